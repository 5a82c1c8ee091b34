package agent

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxAutoWorkers bounds the workers that are chosen automatically: past it the uplink's queues are the limit, and an
// operator who has more of those says so in the configuration.
const maxAutoWorkers = 8

// Cores says which CPU cores poll and which are left to everything else.
type Cores struct {
	Workers []int // one per worker
	Control []int // never empty; shares cores with the workers only when there are no others
}

// PlanCores chooses the cores. allowed are those that the process may use, ascending. pinned names one core per worker;
// without it the last cores are taken, because the first one usually serves interrupts. workers is their number; 0 means
// half of the cores, at least 1 and at most 8.
func PlanCores(allowed []int, workers int, pinned []int) (Cores, error) {
	if len(allowed) == 0 {
		return Cores{}, fmt.Errorf("no CPU core may be used; check the CPU affinity that sluiced is started with")
	}
	for i, c := range pinned {
		if !slices.Contains(allowed, c) {
			return Cores{}, fmt.Errorf("dataplane.cores: core %d is not one that sluiced may use (%s); name others, or widen its CPU affinity",
				c, coreList(allowed))
		}
		if slices.Contains(pinned[:i], c) {
			return Cores{}, fmt.Errorf("dataplane.cores: core %d is named twice; give each worker a core of its own", c)
		}
	}
	switch {
	case len(pinned) > 0 && workers > 0 && workers != len(pinned):
		return Cores{}, fmt.Errorf("dataplane.cores names %d cores for %d workers; name one per worker, or leave out dataplane.workers",
			len(pinned), workers)
	case len(pinned) > 0:
	case workers > len(allowed):
		return Cores{}, fmt.Errorf("dataplane.workers: %d workers need a core each, and sluiced may use %d (%s); lower it, or widen its CPU affinity",
			workers, len(allowed), coreList(allowed))
	default:
		if workers == 0 {
			workers = min(max(len(allowed)/2, 1), maxAutoWorkers)
		}
		pinned = allowed[len(allowed)-workers:]
	}
	c := Cores{Workers: slices.Clone(pinned)}
	for _, core := range allowed {
		if !slices.Contains(pinned, core) {
			c.Control = append(c.Control, core)
		}
	}
	if len(c.Control) == 0 {
		c.Control = slices.Clone(allowed)
	}
	return c, nil
}

// coreList writes cores the way taskset takes them: "0-3,6".
func coreList(cores []int) string {
	var parts []string
	for i := 0; i < len(cores); {
		j := i
		for j+1 < len(cores) && cores[j+1] == cores[j]+1 {
			j++
		}
		part := strconv.Itoa(cores[i])
		if j > i {
			part += "-" + strconv.Itoa(cores[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}

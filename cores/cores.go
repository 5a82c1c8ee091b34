// Package cores chooses the CPU cores of the workers: by configuration, or by what the kernel tells about the machine. It
// reads sysfs, and changes nothing.
package cores

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxAuto bounds the workers that are chosen automatically: past it the uplink's queues are the limit, and an operator who
// has more of those says so in the configuration.
const maxAuto = 8

// Plan says which CPU cores poll and which are left to everything else.
type Plan struct {
	Workers []int // one per worker
	Control []int // never empty; shares cores with the workers only when there are no others
	Why     string
	Notes   []string // what an operator may want otherwise
}

// Wish is what the configuration asks for.
type Wish struct {
	Workers int   // 0: automatic
	Cores   []int // one for each worker; empty: automatic
	Node    int   // of the NIC; Unknown without one
}

// Choose plans. Without a wish it takes isolated cores if there are any, all of them, else half of the physical cores, and
// of these at most 8. Isolated ones go first, then those that share no physical core with another worker's, those of the
// NIC's node, and the last ones, since the first usually serves interrupts.
func (m *Machine) Choose(w Wish) (Plan, error) {
	if len(m.Allowed) == 0 {
		return Plan{}, fmt.Errorf("no CPU core may be used; check the CPU affinity that sluiced is started with")
	}
	var p Plan
	switch {
	case len(w.Cores) > 0:
		if err := m.check(w); err != nil {
			return Plan{}, err
		}
		p.Workers = slices.Clone(w.Cores)
	case w.Workers > len(m.Allowed):
		return Plan{}, fmt.Errorf("dataplane.workers: %d workers need a core each, and sluiced may use %d (%s); lower it, or widen its CPU affinity",
			w.Workers, len(m.Allowed), List(m.Allowed))
	default:
		n := w.Workers
		if n == 0 {
			n = m.automatic()
		}
		for range n {
			p.Workers = append(p.Workers, m.next(p.Workers, w.Node, w.Workers == 0))
		}
		slices.Sort(p.Workers)
	}
	m.chooseControl(&p)
	m.explain(&p, w)
	return p, nil
}

// check refuses a list of cores that cannot be had.
func (m *Machine) check(w Wish) error {
	for i, c := range w.Cores {
		switch {
		case len(m.Online) > 0 && !slices.Contains(m.Online, c):
			return fmt.Errorf("dataplane.cores: core %d does not exist here, or is offline; this machine has %s", c, List(m.Online))
		case !slices.Contains(m.Allowed, c):
			return fmt.Errorf("dataplane.cores: core %d is not one that sluiced may use (%s); name others, or widen its CPU affinity",
				c, List(m.Allowed))
		case slices.Contains(w.Cores[:i], c):
			return fmt.Errorf("dataplane.cores: core %d is named twice; give each worker a core of its own", c)
		}
	}
	if w.Workers > 0 && w.Workers != len(w.Cores) {
		return fmt.Errorf("dataplane.cores names %d cores for %d workers; name one per worker, or leave out dataplane.workers",
			len(w.Cores), w.Workers)
	}
	return nil
}

// automatic is how many workers suit the machine.
func (m *Machine) automatic() int {
	isolated := m.usableIsolated()
	if len(isolated) > 0 {
		return min(m.physical(isolated), maxAuto)
	}
	return min(max(m.physical(m.Allowed)/2, 1), maxAuto)
}

// usableIsolated are the isolated cores that workers may have: where all are isolated, the first one's physical core is left to
// control.
func (m *Machine) usableIsolated() []int {
	isolated := m.isolated()
	if len(isolated) < len(m.Allowed) || len(m.Allowed) == 1 {
		return isolated
	}
	rest := slices.DeleteFunc(slices.Clone(isolated), func(c int) bool { return m.together(c, m.Allowed[0]) })
	if len(rest) == 0 {
		return isolated[1:]
	}
	return rest
}

// isolated are the allowed cores that the kernel keeps free.
func (m *Machine) isolated() (found []int) {
	for _, c := range m.Allowed {
		if m.Isolated[c] {
			found = append(found, c)
		}
	}
	return found
}

// physical counts the physical cores behind a list.
func (m *Machine) physical(list []int) (n int) {
	for i, c := range list {
		if !slices.ContainsFunc(list[:i], func(other int) bool { return m.together(c, other) }) {
			n++
		}
	}
	return n
}

// next is the best of the cores that are left. Of its own accord it leaves the first core to control.
func (m *Machine) next(taken []int, node int, auto bool) int {
	rank := func(c int) []int {
		shared := slices.ContainsFunc(taken, func(other int) bool { return m.together(c, other) })
		return []int{
			flag(auto && m.together(c, m.Allowed[0])), flag(shared), flag(!m.Isolated[c]),
			flag(node != Unknown && m.Node[c] != node), flag(m.together(c, m.Allowed[0])), -c,
		}
	}
	best := -1
	for _, c := range m.Allowed {
		if !slices.Contains(taken, c) && (best < 0 || slices.Compare(rank(c), rank(best)) < 0) {
			best = c
		}
	}
	return best
}

func flag(set bool) int {
	if set {
		return 1
	}
	return 0
}

// chooseControl leaves control what no worker has: not the other threads of workers' physical cores, and no isolated cores,
// where there are others. The kernel moves no thread between isolated cores, so control gets only one of those.
func (m *Machine) chooseControl(p *Plan) {
	free := slices.DeleteFunc(slices.Clone(m.Allowed), func(c int) bool { return slices.Contains(p.Workers, c) })
	narrow := func(drop func(int) bool) {
		if rest := slices.DeleteFunc(slices.Clone(free), drop); len(rest) > 0 {
			free = rest
		}
	}
	narrow(func(c int) bool { return m.Isolated[c] })
	narrow(func(c int) bool { return slices.ContainsFunc(p.Workers, func(w int) bool { return m.together(c, w) }) })
	if len(free) == 0 {
		p.Control = slices.Clone(m.Allowed)
		p.Notes = append(p.Notes, "control and workers share cores, since there are no others: an apply or a query may hold packets up; give sluiced another core")
		return
	}
	if m.Isolated[free[0]] {
		free = free[:1]
		p.Notes = append(p.Notes, fmt.Sprintf("all cores that workers leave are isolated: control gets core %d alone, since the kernel moves no threads between isolated cores; leave a core out of isolcpus", free[0]))
	}
	p.Control = free
}

// explain says why it is these cores.
func (m *Machine) explain(p *Plan, w Wish) {
	how := "chosen by sluiced"
	switch {
	case len(w.Cores) > 0:
		how = "named by dataplane.cores"
	case w.Workers > 0:
		how = "as many as dataplane.workers says"
	}
	parts := []string{how}
	isolated := 0
	for _, c := range p.Workers {
		isolated += flag(m.Isolated[c])
	}
	switch {
	case isolated == len(p.Workers):
		parts = append(parts, "isolated")
	case isolated == 0:
		parts = append(parts, "not isolated")
	default:
		parts = append(parts, fmt.Sprintf("%d isolated", isolated))
	}
	if m.physical(p.Workers) < len(p.Workers) {
		parts = append(parts, "some share a physical core")
		p.Notes = append(p.Notes, fmt.Sprintf("%s are on %s: two on one physical core get little more than one; use fewer, or other cores",
			count(len(p.Workers), "worker"), count(m.physical(p.Workers), "physical core")))
	} else if m.threads() {
		parts = append(parts, "each a physical core of its own")
	}
	if m.nodes() > 1 && w.Node != Unknown {
		far := slices.DeleteFunc(slices.Clone(p.Workers), func(c int) bool { return m.Node[c] == w.Node })
		if len(far) == 0 {
			parts = append(parts, fmt.Sprintf("on the NIC's node %d", w.Node))
		} else {
			p.Notes = append(p.Notes, fmt.Sprintf("the NIC is on node %d, and cores %s are not: their packets cross between the sockets; isolate or name cores of that node", w.Node, List(far)))
		}
	}
	p.Why = fmt.Sprintf("%s on %s: %s; control on %s", count(len(p.Workers), "worker"), List(sorted(p.Workers)), strings.Join(parts, ", "), List(p.Control))
}

func sorted(list []int) []int {
	list = slices.Clone(list)
	slices.SortFunc(list, cmp.Compare)
	return list
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// List writes ascending cores the way taskset takes them: "0-3,6".
func List(cores []int) string {
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

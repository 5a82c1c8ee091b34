package tcp

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/sluicenet/sluice/demo/netlab"
)

// cpu is processor time, seconds.
type cpu struct{ user, system float64 }

// clockTick is USER_HZ, in which the kernel counts the time of processes: 100 on every Linux of Go's.
const clockTick = 100

// cpuOf sums up what processes have used, with all their threads (proc(5): utime and stime).
func cpuOf(all []*netlab.Process) (sum cpu, err error) {
	for _, p := range all {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		if err != nil {
			return sum, fmt.Errorf("%s has ended: %w: %s", p.Name, err, p.LogTail(10))
		}
		one, err := parseCPU(stat)
		if err != nil {
			return sum, fmt.Errorf("processor time of %s: %w", p.Name, err)
		}
		sum.user += one.user
		sum.system += one.system
	}
	return sum, nil
}

// parseCPU reads fields 14 and 15. The name in field 2 may hold anything, so fields count from its closing bracket.
func parseCPU(stat []byte) (c cpu, err error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return c, fmt.Errorf("unreadable stat %q", stat)
	}
	user, err := strconv.ParseUint(fields[11], 10, 64)
	if err != nil {
		return c, err
	}
	system, err := strconv.ParseUint(fields[12], 10, 64)
	return cpu{float64(user) / clockTick, float64(system) / clockTick}, err
}

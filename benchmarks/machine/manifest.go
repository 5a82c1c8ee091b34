package machine

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Manifest says under which conditions results were taken.
type Manifest struct {
	Time           time.Time         `json:"time"`
	CPU            string            `json:"cpu"`
	Cores          int               `json:"cores"`
	VirtualMachine bool              `json:"virtualMachine"`
	Core           int               `json:"core"`  // that was measured
	TSCHz          float64           `json:"tscHz"` // cycles are of this clock, whatever the core's own
	MemoryMB       int               `json:"memoryMB"`
	HugepagesMB    int               `json:"hugepagesMB"`
	IsolatedCores  string            `json:"isolatedCores"` // as the kernel was told; "" for none
	Kernel         string            `json:"kernel"`
	Versions       map[string]string `json:"versions"` // of DPDK, Open vSwitch, Go
	Revision       string            `json:"revision"` // of the source
	Modified       bool              `json:"modified"` // the source had changes that were not committed
	Load1          float64           `json:"load1"`    // load average of one minute at the start
}

// Describe fills in what the machine tells of itself.
func Describe(core int) Manifest {
	m := Manifest{Time: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Core: core, Load1: Load1(),
		Versions: map[string]string{"Go": runtime.Version()}}
	m.CPU, m.VirtualMachine = parseCPU(readText("/proc/cpuinfo"))
	m.MemoryMB = parseMemory(readText("/proc/meminfo"), "MemTotal:") >> 10
	m.IsolatedCores = strings.TrimSpace(readText("/sys/devices/system/cpu/isolated"))
	m.Cores = strings.Count(readText("/proc/cpuinfo"), "processor\t:")
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	m.Revision, m.Modified = revision()
	return m
}

// HugepagesMB is what stands in hugepages now.
func HugepagesMB() int {
	meminfo := readText("/proc/meminfo")
	return parseMemory(meminfo, "Hugetlb:") >> 10
}

func readText(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(text)
}

func parseCPU(cpuinfo string) (model string, virtual bool) {
	for line := range strings.Lines(cpuinfo) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "model name":
			model = strings.TrimSpace(value)
		case "flags":
			virtual = strings.Contains(" "+strings.TrimSpace(value)+" ", " hypervisor ")
		}
	}
	return model, virtual
}

// parseMemory finds a line of /proc/meminfo, KiB.
func parseMemory(meminfo, key string) (kb int) {
	for line := range strings.Lines(meminfo) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == key {
			for _, c := range fields[1] {
				kb = kb*10 + int(c-'0')
			}
		}
	}
	return kb
}

// revision asks the program what it was built of, and git when it does not know.
func revision() (rev string, modified bool) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				rev = s.Value
			case "vcs.modified":
				modified = s.Value == "true"
			}
		}
	}
	if rev != "" {
		return rev, modified
	}
	out, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		return "unknown", false
	}
	status, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output()
	return strings.TrimSpace(string(out)), err == nil && len(status) > 0
}

package cores

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Unknown is the node of a device that belongs to none.
const Unknown = -1

// Machine is what the kernel tells about the cores. What it does not tell is empty.
type Machine struct {
	Online   []int
	Allowed  []int        // that this process may use, ascending
	Isolated map[int]bool // by isolcpus or nohz_full: the kernel gives them no work of its own accord
	Node     map[int]int  // of a core
	first    map[int]int  // the first core that shares the physical one
}

// Read looks at the machine whose file system is at root. affinity are the cores that the process was started with, nil for
// all that are online.
func Read(root string, affinity []int) *Machine {
	cpu := filepath.Join(root, "sys/devices/system/cpu")
	m := &Machine{Online: readList(filepath.Join(cpu, "online")), Isolated: map[int]bool{}, Node: map[int]int{}, first: map[int]int{}}
	for _, file := range []string{"isolated", "nohz_full"} {
		for _, c := range readList(filepath.Join(cpu, file)) {
			m.Isolated[c] = true
		}
	}
	for _, c := range m.Online {
		dir := filepath.Join(cpu, fmt.Sprintf("cpu%d", c), "topology")
		together := readList(filepath.Join(dir, "core_cpus_list"))
		if together == nil {
			together = readList(filepath.Join(dir, "thread_siblings_list")) // its name until Linux 5.3
		}
		if len(together) > 0 {
			m.first[c] = together[0]
		}
	}
	nodes, _ := filepath.Glob(filepath.Join(root, "sys/devices/system/node/node[0-9]*")) // the pattern is well-formed
	for _, dir := range nodes {
		number, _ := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), "node")) // the kernel's own name
		for _, c := range readList(filepath.Join(dir, "cpulist")) {
			m.Node[c] = number
		}
	}
	m.Allowed = affinity
	if affinity == nil {
		m.Allowed = m.Online
	}
	return m
}

// Default reports that the process was started with the cores that the kernel gives to everybody: all but those of isolcpus,
// which nobody gets without asking. Who was given others is meant to use no more than those.
func (m *Machine) Default() bool {
	isolated := func(c int) bool { return m.Isolated[c] }
	return slices.Equal(slices.DeleteFunc(slices.Clone(m.Allowed), isolated), slices.DeleteFunc(slices.Clone(m.Online), isolated))
}

// together reports that two cores are one physical core, or the same.
func (m *Machine) together(a, b int) bool {
	if a == b {
		return true
	}
	first, known := m.first[a]
	other, both := m.first[b]
	return known && both && first == other
}

// threads reports that physical cores have several threads here.
func (m *Machine) threads() bool { return m.physical(m.Online) < len(m.Online) }

func (m *Machine) nodes() int {
	seen := map[int]bool{}
	for _, n := range m.Node {
		seen[n] = true
	}
	return len(seen)
}

// PCINode is the NUMA node of a PCI device, Unknown where the kernel tells none.
func PCINode(root, address string) int {
	return readNode(filepath.Join(root, "sys/bus/pci/devices", address, "numa_node"))
}

// InterfaceNode is the node of the NIC behind an interface of the kernel's, Unknown of one without a NIC.
func InterfaceNode(root, name string) int {
	return readNode(filepath.Join(root, "sys/class/net", name, "device/numa_node"))
}

func readNode(file string) int {
	b, err := os.ReadFile(file)
	if err != nil {
		return Unknown
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 0 {
		return Unknown
	}
	return n
}

// readList reads a list such as 0-3,8 from a file; nil where there is none.
func readList(file string) (list []int) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	for part := range strings.SplitSeq(strings.TrimSpace(string(b)), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.Atoi(first)
		z, errZ := strconv.Atoi(last)
		if errA != nil || errZ != nil {
			continue
		}
		for c := a; c <= z; c++ {
			list = append(list, c)
		}
	}
	slices.Sort(list)
	return list
}

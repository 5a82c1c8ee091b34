package doctor

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicenet/sluice/cores"
	"github.com/sluicenet/sluice/nic"
)

// daemon asks the one that runs. A host without is no fault: the doctor is called before the first start, too.
func (x *examination) daemon(ctx context.Context) {
	running, err := x.Daemon(ctx)
	if err != nil {
		x.warn("daemon", "systemctl start sluiced, or: sluiced --config FILE", "%v", err)
		return
	}
	x.running = true
	x.ok("daemon", "%s", running.Description)
	// Without the right to see the daemon's namespace, it is taken for ours: that of nearly every host.
	theirs, ours := x.networkNamespace(strconv.Itoa(running.PID)), x.networkNamespace("self")
	if theirs == "" || ours == "" || theirs == ours {
		return
	}
	x.apart = true
	x.warn("daemon", fmt.Sprintf("examine them there: ip netns exec $(ip netns identify %d) sluice doctor, with the same arguments", running.PID),
		"sluiced (pid %d) runs in another network namespace: its interfaces and addresses are not to be seen from here", running.PID)
}

// networkNamespace names that of a process, empty when it may not be seen.
func (x *examination) networkNamespace(process string) string {
	name, err := os.Readlink(x.path("proc", process, "ns/net"))
	if err != nil {
		return ""
	}
	return name
}

func (x *examination) user() {
	if x.UID != 0 {
		x.warn("permissions", "sudo sluice doctor", "not root: sluiced needs root for hugepages, taps and namespaces, and these checks see less than all")
		return
	}
	x.ok("permissions", "root")
}

func (x *examination) cpu() {
	online := parseList(x.read("sys/devices/system/cpu/online"))
	isolated := parseList(x.read("sys/devices/system/cpu/isolated"))
	info := x.read("proc/cpuinfo")
	x.ok("cpu", "%s online (%s), isolated: %s", plural(len(online), "core"), firstOf(cpuField(info, "model name"), "unknown model"), formatList(isolated))
	if flags := cpuField(info, "flags"); flags != "" && !slices.Contains(strings.Fields(flags), "sse4_2") {
		x.fail("cpu", "use a machine from 2009 or later; in a virtual one, choose CPU model host", "no SSE4.2, which DPDK needs")
	}
	if len(online) == 1 {
		x.warn("cpu", "give the machine a second core", "a worker and everything else share the only core")
	}
	var loose []int
	for _, c := range x.config.Dataplane.Cores {
		switch {
		case !slices.Contains(online, c):
			x.fail("cpu", "name cores out of "+formatList(online)+" in dataplane.cores", "dataplane.cores: core %d is not online", c)
		case !slices.Contains(isolated, c):
			loose = append(loose, c)
		}
	}
	if len(loose) > 0 {
		list := formatList(loose)
		x.warn("cpu", fmt.Sprintf("add isolcpus=%s nohz_full=%s rcu_nocbs=%s to GRUB_CMDLINE_LINUX in /etc/default/grub, then: update-grub && reboot", list, list, list),
			"workers run on %s, not isolated: %s: the kernel has other work for them, which costs latency", plural(len(x.config.Dataplane.Cores), "core"), list)
	}
	if governor := x.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"); governor == "powersave" {
		x.warn("cpu", "echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor", "the frequency governor is powersave")
	}
}

// placement says which cores sluiced would choose.
func (x *examination) placement(cards []nic.Card) {
	m := cores.Read(x.Root, nil)
	c := &x.config.Dataplane
	w := cores.Wish{Workers: c.Workers, Cores: c.Cores, Node: cores.Unknown}
	for _, u := range x.config.Uplinks {
		if i := slices.IndexFunc(cards, func(c nic.Card) bool { return c.PCI == u.Device.PCI }); i >= 0 && w.Node == cores.Unknown {
			w.Node = cores.PCINode(x.Root, cards[i].PCI)
		}
	}
	p, err := m.Choose(w)
	if err != nil {
		x.fail("cores", "change dataplane.cores or dataplane.workers", "%v", err)
		return
	}
	x.ok("cores", "%s", p.Why)
	for _, note := range p.Notes {
		what, remedy, _ := strings.Cut(note, "; ")
		x.warn("cores", firstOf(remedy, "give the machine more cores, or sluiced fewer"), "%s", what)
	}
}

// numa compares the nodes of the configuration's cards with those of its cores.
func (x *examination) numa(cards []nic.Card) {
	nodes := x.glob("sys/devices/system/node/node[0-9]*")
	if len(nodes) < 2 {
		x.ok("numa", "one node")
		return
	}
	var parts []string
	byNode := map[int][]int{}
	for _, n := range nodes {
		cpus := parseList(x.read("sys/devices/system/node", n, "cpulist"))
		number, _ := strconv.Atoi(strings.TrimPrefix(n, "node")) // the kernel's own name
		byNode[number] = cpus
		parts = append(parts, n+": cores "+formatList(cpus))
	}
	x.ok("numa", "%d nodes, %s", len(nodes), strings.Join(parts, "; "))
	for _, u := range x.config.Uplinks {
		i := slices.IndexFunc(cards, func(c nic.Card) bool { return c.PCI == u.Device.PCI })
		if i < 0 || cards[i].NUMA == nic.None || len(x.config.Dataplane.Cores) == 0 {
			continue
		}
		node := cards[i].NUMA
		near := func(c int) bool { return slices.Contains(byNode[node], c) }
		if !slices.ContainsFunc(x.config.Dataplane.Cores, near) {
			x.warn("numa", "name cores out of "+formatList(byNode[node])+" in dataplane.cores",
				"uplink %s (%s) is on node %d, all worker cores are on others: every packet crosses between the sockets", u.Name, u.Device.PCI, node)
		}
	}
}

const (
	kib = 1 << 10
	mib = 1 << 20
	// wantHugeBytes is the packet pool of a few ports with room to grow.
	wantHugeBytes = 256 * mib
)

// hugepages counts per node and size. Their lack fails only a configuration that insists.
func (x *examination) hugepages() {
	mode := firstOf(x.config.Dataplane.Hugepages, "auto")
	free := 0
	smallest, node := "", ""
	for _, n := range x.glob("sys/devices/system/node/node[0-9]*") {
		for _, size := range x.glob("sys/devices/system/node", n, "hugepages/hugepages-*kB") {
			dir := []string{"sys/devices/system/node", n, "hugepages", size}
			pageKB, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(size, "hugepages-"), "kB")) // the kernel's own name
			total, unused := x.number(append(dir, "nr_hugepages")...), x.number(append(dir, "free_hugepages")...)
			if total > 0 {
				x.ok("hugepages", "%s: %d of %d pages of %s free", n, unused, total, pageSize(pageKB))
			}
			free += unused * pageKB * kib
			if pageKB == 2048 && smallest == "" {
				smallest, node = size, n
			}
		}
	}
	if mode == "off" {
		x.ok("hugepages", "not needed: dataplane.hugepages is off")
		return
	}
	if free >= wantHugeBytes || x.running { // a running daemon holds what it needs
		return
	}
	remedy := "boot with hugepagesz=2M hugepages=256"
	if smallest != "" {
		remedy = fmt.Sprintf("echo 256 > /sys/devices/system/node/%s/hugepages/%s/nr_hugepages", node, smallest)
	}
	if mode == "on" && free == 0 {
		x.fail("hugepages", remedy, "none free, and dataplane.hugepages is on")
		return
	}
	x.warn("hugepages", remedy, "%d MiB free, %d MiB wanted; sluiced runs without, at a lower rate, and PCI cards without an IOMMU do not work", free/mib, wantHugeBytes/mib)
}

func pageSize(kb int) string {
	if kb >= mib {
		return fmt.Sprintf("%d GiB", kb/mib)
	}
	if kb >= kib {
		return fmt.Sprintf("%d MiB", kb/kib)
	}
	return fmt.Sprintf("%d KiB", kb)
}

// libraries looks for DPDK the way the loader will find it.
func (x *examination) libraries() {
	for _, dir := range []string{"usr/local/lib", "usr/local/lib/*", "usr/lib/*", "usr/lib64", "usr/lib"} {
		eal := x.glob(dir, "librte_eal.so.[0-9]*")
		if len(eal) == 0 {
			continue
		}
		drivers := x.glob(dir, "dpdk/pmds-*/librte_net_*.so")
		if len(drivers) == 0 {
			x.fail("dpdk", "apt-get install dpdk", "%s is there, but none of its drivers for network cards", eal[0])
			return
		}
		x.ok("dpdk", "%s with %s for network devices", eal[0], plural(len(drivers), "driver"))
		return
	}
	x.fail("dpdk", "apt-get install dpdk", "DPDK's libraries are not installed")
}

// cpuField is the value of the first line "name : value" of /proc/cpuinfo.
func cpuField(info, name string) string {
	for line := range strings.Lines(info) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func firstOf(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// parseList reads the kernel's form of a set of numbers: "0-3,6". What does not fit the form is left out.
func parseList(s string) []int {
	var list []int
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil {
			continue
		}
		for n := from; n <= to; n++ {
			list = append(list, n)
		}
	}
	return list
}

// formatList is the reverse of parseList for an ascending list.
func formatList(list []int) string {
	if len(list) == 0 {
		return "none"
	}
	var parts []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, strconv.Itoa(list[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", list[i], list[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

package doctor

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/fakesys"
	"github.com/sluicenet/sluice/nic"
	"github.com/sluicenet/sluice/policy"
)

// server is a two-socket machine that has all that a DPDK host needs:
//
//	node0: cores 0-1, 512 pages of 2 MiB, enp3s0f0 (vfio-pci), enp3s0f1 (ixgbe), eno1 (default route)
//	node1: cores 2-3 (isolated)
func server(t *testing.T) (*Host, *fakesys.Tree) {
	f := fakesys.New(t)
	f.File("sys/devices/system/cpu/online", "0-3\n")
	f.File("sys/devices/system/cpu/isolated", "2-3\n")
	f.File("proc/cpuinfo", "processor\t: 0\nmodel name\t: Xeon Gold 6242\nflags\t\t: fpu sse4_2 avx2\n")
	f.File("sys/devices/system/node/node0/cpulist", "0-1\n")
	f.File("sys/devices/system/node/node1/cpulist", "2-3\n")
	f.File("sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "512\n")
	f.File("sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "500\n")
	f.File("sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages", "0\n")
	f.File("usr/lib/x86_64-linux-gnu/librte_eal.so.23", "")
	f.File("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_ixgbe.so", "")
	f.File("dev/net/tun", "")
	f.File("run/netns/red-vm1", "")
	f.Driver("vfio-pci")
	f.AddNIC(fakesys.NIC{PCI: "0000:03:00.0", Driver: "vfio-pci", Group: "12"})
	f.AddNIC(fakesys.NIC{PCI: "0000:03:00.1", Driver: "ixgbe", Interface: "enp3s0f1", MAC: "a0:36:9f:00:00:02", Group: "13"})
	f.AddNIC(fakesys.NIC{PCI: "0000:05:00.0", Driver: "igb", Interface: "eno1", MAC: "a0:36:9f:00:00:03", Group: "14"})
	f.AddNIC(fakesys.NIC{PCI: "0000:81:00.0", Driver: "mlx5_core", Interface: "ml0", MAC: "0c:42:a1:00:00:01", Group: "15"})
	f.File("proc/net/route", "Iface\tDestination\nenp9\nxx\neno1\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
	f.Interface("fabric0", 1600)
	addresses := func() (map[string][]netip.Prefix, error) {
		return map[string][]netip.Prefix{"eno1": {netip.MustParsePrefix("10.0.2.15/24")}}, nil
	}
	return &Host{
		Root: f.Root, Addresses: addresses, NICs: &nic.System{Root: f.Root, StateDir: f.Path("run/sluice/nic"), Addresses: addresses, PID: 1},
		Daemon: func(context.Context) (Running, error) { return Running{"sluiced v1 runs", 4711}, nil },
	}, f
}

func config(t *testing.T, text string) *policy.Config {
	t.Helper()
	c, err := policy.Parse("host.yaml", []byte("host: {name: host-a}\n"+text))
	require.NoError(t, err)
	return c
}

const afPacket = "uplinks: [{name: up0, device: {driver: af_packet, interface: fabric0}, providerAddresses: [172.16.1.1/24]}]\n"

const oneVM = afPacket + `
networks: [{name: red, subnets: [{name: red-web, vsid: 6001, prefix: 10.0.0.0/24}]}]
vports: [{name: red-vm1, device: {driver: tap, namespace: red-vm1}, mac: "00:15:5d:00:01:05", subnet: red-web, addresses: [10.0.0.5], mtu: MTU}]
`

func vmWithMTU(mtu string) string { return strings.Replace(oneVM, "MTU", mtu, 1) }

func pci(address string) string {
	return `uplinks: [{name: up0, device: {pci: "` + address + `"}, providerAddresses: [172.16.1.1/24]}]` + "\n"
}

func examine(t *testing.T, h *Host, c *policy.Config) []Finding {
	t.Helper()
	found, err := h.Examine(context.Background(), c)
	require.NoError(t, err)
	for _, f := range found {
		assert.NotEmpty(t, f.What)
		assert.Equal(t, f.Severity == OK, f.Remedy == "", "%v: what is not well has a remedy", f)
	}
	return found
}

func TestAFitServer(t *testing.T) {
	h, _ := server(t)
	for name, c := range map[string]*policy.Config{
		"no configuration": nil,
		"af_packet":        config(t, vmWithMTU("1500")),
		"PCI card":         config(t, pci("0000:03:00.0")+"dataplane: {cores: [2, 3], workers: 2, hugepages: \"on\"}\n"),
		"shared PCI card":  config(t, pci("0000:81:00.0")),
	} {
		t.Run(name, func(t *testing.T) {
			found := examine(t, h, c)
			for _, f := range found {
				if f.Check != "numa" && !strings.HasPrefix(f.What, "the NIC is on node 0") { // the PCI card is on the other node
					assert.Equal(t, OK, f.Severity, f)
				}
			}
		})
	}
	found := examine(t, h, nil)
	assert.Contains(t, found, Finding{"cpu", OK, "4 cores online (Xeon Gold 6242), isolated: 2-3", ""})
	assert.Contains(t, found, Finding{"numa", OK, "2 nodes, node0: cores 0-1; node1: cores 2-3", ""})
	assert.Contains(t, found, Finding{"hugepages", OK, "node0: 500 of 512 pages of 2 MiB free", ""})
	assert.Contains(t, found, Finding{"nic", OK, "0000:05:00.0 eno1: 8086:10fb, driver igb; not to be taken: it carries the default route", ""})
}

func TestFindings(t *testing.T) {
	tests := map[string]struct {
		setup  func(*Host, *fakesys.Tree)
		config string
		want   Finding
	}{
		"daemon absent": {setup: func(h *Host, _ *fakesys.Tree) {
			h.Daemon = func(context.Context) (Running, error) { return Running{}, errors.New("no socket") }
		}, want: Finding{"daemon", Warn, "no socket", "systemctl start sluiced, or: sluiced --config FILE"}},
		"not root": {setup: func(h *Host, _ *fakesys.Tree) { h.UID = 1000 },
			want: Finding{"permissions", Warn, "not root: sluiced needs root for hugepages, taps and namespaces, and these checks see less than all", "sudo sluice doctor"}},
		"old CPU": {setup: func(_ *Host, f *fakesys.Tree) { f.File("proc/cpuinfo", "flags : fpu sse2\n") },
			want: Finding{"cpu", Fail, "no SSE4.2, which DPDK needs", "use a machine from 2009 or later; in a virtual one, choose CPU model host"}},
		"one core": {setup: func(_ *Host, f *fakesys.Tree) { f.File("sys/devices/system/cpu/online", "0\n") },
			want: Finding{"cpu", Warn, "a worker and everything else share the only core", "give the machine a second core"}},
		"core offline": {config: "dataplane: {cores: [7]}\n",
			want: Finding{"cpu", Fail, "dataplane.cores: core 7 is not online", "name cores out of 0-3 in dataplane.cores"}},
		"core not isolated": {config: "dataplane: {cores: [0, 1, 2]}\n",
			want: Finding{"cpu", Warn, "workers run on 3 cores, not isolated: 0-1: the kernel has other work for them, which costs latency",
				"add isolcpus=0-1 nohz_full=0-1 rcu_nocbs=0-1 to GRUB_CMDLINE_LINUX in /etc/default/grub, then: update-grub && reboot"}},
		"governor": {setup: func(_ *Host, f *fakesys.Tree) {
			f.File("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
		}, want: Finding{"cpu", Warn, "the frequency governor is powersave", "echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"}},
		"cores far from the card": {config: pci("0000:03:00.0") + "dataplane: {cores: [3]}\n",
			want: Finding{"numa", Warn, "uplink up0 (0000:03:00.0) is on node 0, all worker cores are on others: every packet crosses between the sockets",
				"name cores out of 0-1 in dataplane.cores"}},
		"no hugepages, insisted": {setup: noHugepages, config: "dataplane: {hugepages: \"on\"}\n",
			want: Finding{"hugepages", Fail, "none free, and dataplane.hugepages is on", "echo 256 > /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"}},
		"no hugepages, auto": {setup: noHugepages,
			want: Finding{"hugepages", Warn, "0 MiB free, 256 MiB wanted; sluiced runs without, at a lower rate, and PCI cards without an IOMMU do not work",
				"echo 256 > /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"}},
		"no hugepages, off": {setup: noHugepages, config: "dataplane: {hugepages: \"off\"}\n",
			want: Finding{"hugepages", OK, "not needed: dataplane.hugepages is off", ""}},
		"no DPDK": {setup: func(_ *Host, f *fakesys.Tree) { f.Remove("usr") },
			want: Finding{"dpdk", Fail, "DPDK's libraries are not installed", "apt-get install dpdk"}},
		"DPDK without drivers": {setup: func(_ *Host, f *fakesys.Tree) { f.Remove("usr/lib/x86_64-linux-gnu/dpdk") },
			want: Finding{"dpdk", Fail, "librte_eal.so.23 is there, but none of its drivers for network cards", "apt-get install dpdk"}},
		"no IOMMU": {setup: func(_ *Host, f *fakesys.Tree) { f.Remove("sys/kernel/iommu_groups") }, config: pci("0000:03:00.0"),
			want: Finding{"iommu", Fail, "none, and an uplink is a PCI card", "switch it on in the firmware and boot with intel_iommu=on (Intel) or amd_iommu=on (AMD) iommu=pt; or, without protection: modprobe vfio enable_unsafe_noiommu_mode=1"}},
		"no IOMMU, shared card": {setup: func(_ *Host, f *fakesys.Tree) { f.Remove("sys/kernel/iommu_groups") }, config: pci("0000:81:00.0"),
			want: Finding{"iommu", OK, "none; only PCI cards need it", ""}},
		"no-IOMMU mode": {setup: func(_ *Host, f *fakesys.Tree) {
			f.Remove("sys/kernel/iommu_groups")
			f.File("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n")
		}, config: pci("0000:03:00.0"),
			want: Finding{"iommu", Warn, "none; vfio hands out cards without protection", "switch it on in the firmware and boot with intel_iommu=on (Intel) or amd_iommu=on (AMD) iommu=pt"}},
		"vfio-pci not loaded": {setup: func(_ *Host, f *fakesys.Tree) { f.Remove("sys/bus/pci/drivers/vfio-pci") }, config: pci("0000:03:00.0"),
			want: Finding{"iommu", Fail, "the driver vfio-pci is not loaded, and an uplink is a PCI card", "modprobe vfio-pci"}},
		"PCI card with the kernel": {config: pci("0000:03:00.1"),
			want: Finding{"uplink up0", Fail, "0000:03:00.1 (enp3s0f1) is bound to ixgbe, not to a driver that DPDK uses", "sluice nic bind 0000:03:00.1"}},
		"PCI card of the default route": {config: pci("0000:05:00.0"),
			want: Finding{"uplink up0", Fail, "0000:05:00.0 (eno1) is not to be taken: it carries the default route", "choose another card: sluice nic list"}},
		"PCI card absent": {config: pci("0000:09:00.0"),
			want: Finding{"uplink up0", Fail, "there is no PCI network card 0000:09:00.0", "sluice nic list"}},
		"interface absent": {setup: func(_ *Host, f *fakesys.Tree) { f.Remove("sys/class/net/fabric0") }, config: afPacket,
			want: Finding{"uplink up0", Fail, "interface fabric0 does not exist in this network namespace", "ip -brief link (shows those there are)"}},
		"interface down": {setup: func(_ *Host, f *fakesys.Tree) { f.File("sys/class/net/fabric0/flags", "0x1002\n") }, config: afPacket,
			want: Finding{"uplink up0", Fail, "interface fabric0 is down", "ip link set dev fabric0 up"}},
		"interface in a bridge": {setup: func(_ *Host, f *fakesys.Tree) { f.Interface("br0", 1500); f.Over("br0", "fabric0", true) }, config: afPacket,
			want: Finding{"uplink up0", Warn, "interface fabric0 belongs to br0, which sees the fabric's packets too", "ip link set dev fabric0 nomaster"}},
		"MTU below the configuration's": {config: strings.Replace(afPacket, "name: up0", "name: up0, mtu: 9000", 1),
			want: Finding{"uplink up0", Warn, "interface fabric0 has MTU 1600, the configuration says 9000: sluiced sets it at start",
				"nothing, unless the interface cannot have it; to try: ip link set dev fabric0 mtu 9000"}},
		"MTU above the configuration's": {config: strings.Replace(vmWithMTU("1500"), "name: up0", "name: up0, mtu: 1500", 1),
			want: Finding{"uplink up0", Warn, "MTU 1500 is configured; vport red-vm1 sends packets of 1500, which need 1542 on the fabric",
				"set the uplink's mtu to 1542 (and the fabric's switches), or lower the VMs' MTU to 1458"}},
		"MTU one too small for the VM": {config: vmWithMTU("1559"),
			want: Finding{"uplink up0", Warn, "interface fabric0 has MTU 1600; vport red-vm1 sends packets of 1559, which need 1601 on the fabric",
				"ip link set dev fabric0 mtu 1601 (and the fabric's switches), or lower the VMs' MTU to 1558"}},
		"MTU just enough": {config: vmWithMTU("1558"), want: Finding{"uplink up0", OK, "interface fabric0 has MTU 1600", ""}},
		"PA of the kernel": {setup: func(h *Host, _ *fakesys.Tree) {
			h.Addresses = func() (map[string][]netip.Prefix, error) {
				return map[string][]netip.Prefix{"fabric0": {netip.MustParsePrefix("172.16.1.1/16")}}, nil
			}
		}, config: afPacket, want: Finding{"uplink up0", Fail, "the kernel owns provider address 172.16.1.1 as well, on fabric0: both would answer for it",
			"ip address del 172.16.1.1/16 dev fabric0"}},
		"no tun": {setup: func(_ *Host, f *fakesys.Tree) { f.Remove("dev/net/tun") },
			want: Finding{"tap", Fail, "/dev/net/tun does not exist: no tap can be made", "modprobe tun; in a container: mkdir -p /dev/net && mknod /dev/net/tun c 10 200"}},
		"no namespace": {setup: func(_ *Host, f *fakesys.Tree) { f.Remove("run/netns/red-vm1") }, config: vmWithMTU("1500"),
			want: Finding{"namespace red-vm1", Fail, "vport red-vm1 is to be in it, and it does not exist", "ip netns add red-vm1"}},
		"no card": {setup: func(_ *Host, f *fakesys.Tree) { f.Remove("sys/bus/pci/devices") },
			want: Finding{"nic", OK, "no PCI network card: uplinks can be af_packet interfaces", ""}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, f := server(t)
			if tt.setup != nil {
				tt.setup(h, f)
			}
			var c *policy.Config
			if tt.config != "" {
				c = config(t, tt.config)
			}
			found := examine(t, h, c)
			assert.Contains(t, found, tt.want)
			if tt.want.Severity == Fail {
				assert.Equal(t, Fail, Worst(found))
			}
		})
	}
}

func noHugepages(h *Host, f *fakesys.Tree) {
	f.File("sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "0\n")
	h.Daemon = func(context.Context) (Running, error) { return Running{}, errors.New("no socket") }
}

func TestRunningDaemonHoldsTheHugepages(t *testing.T) {
	h, f := server(t)
	f.File("sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "0\n")
	for _, found := range examine(t, h, config(t, "dataplane: {hugepages: \"on\"}\n")) {
		assert.Equal(t, OK, found.Severity, found)
	}
}

// TestDaemonInAnotherNamespace looks at no interfaces but the daemon's.
func TestDaemonInAnotherNamespace(t *testing.T) {
	tests := map[string]struct {
		setup func(*fakesys.Tree)
		apart bool
	}{
		"another":        {func(f *fakesys.Tree) { f.Link("proc/self/ns/net", "net:[1]"); f.Link("proc/4711/ns/net", "net:[2]") }, true},
		"the same":       {func(f *fakesys.Tree) { f.Link("proc/self/ns/net", "net:[1]"); f.Link("proc/4711/ns/net", "net:[1]") }, false},
		"not to be seen": {func(f *fakesys.Tree) { f.Link("proc/self/ns/net", "net:[1]") }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, f := server(t)
			tt.setup(f)
			f.Remove("sys/class/net/fabric0")
			found := examine(t, h, config(t, afPacket))
			says := Finding{"daemon", Warn, "sluiced (pid 4711) runs in another network namespace: its interfaces and addresses are not to be seen from here",
				"examine them there: ip netns exec $(ip netns identify 4711) sluice doctor, with the same arguments"}
			if tt.apart {
				assert.Contains(t, found, says)
				assert.Equal(t, Warn, Worst(found))
			} else {
				assert.NotContains(t, found, says)
				assert.Equal(t, Fail, Worst(found))
			}
		})
	}
}

func TestExamineThisMachine(t *testing.T) {
	h := This(func(context.Context) (Running, error) { return Running{}, errors.New("none") })
	found := examine(t, h, nil)
	checks := map[string]bool{}
	for _, f := range found {
		checks[f.Check] = true
	}
	for _, want := range []string{"daemon", "permissions", "cpu", "numa", "dpdk", "iommu", "nic", "tap"} {
		assert.True(t, checks[want], want)
	}
}

func TestWorst(t *testing.T) {
	assert.Equal(t, OK, Worst(nil))
	assert.Equal(t, Warn, Worst([]Finding{{Severity: OK}, {Severity: Warn}, {Severity: OK}}))
	assert.Equal(t, Fail, Worst([]Finding{{Severity: Fail}, {Severity: Warn}}))
}

func TestLists(t *testing.T) {
	for text, want := range map[string][]int{"0-3,6": {0, 1, 2, 3, 6}, "": nil, "5": {5}, "x,2": {2}} {
		assert.Equal(t, want, parseList(text), text)
	}
	assert.Equal(t, "0-3,6", formatList([]int{0, 1, 2, 3, 6}))
	assert.Equal(t, "none", formatList(nil))
}

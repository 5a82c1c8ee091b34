package nic

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/fakesys"
)

const pciIDList = "# a list\n8086  Intel Corporation\n\t10fb  82599ES 10-Gigabit SFI/SFP+\n\t\t8086 000c  a subsystem\n" +
	"1af4  Red Hat, Inc.\n\t1000  Virtio network device\n"

// server is a host with two ports of one card in bus 3, a bond of two onboard ports, and a virtio card:
//
//	0000:03:00.0 enp3s0f0          0000:05:00.0 eno1 ─┐
//	0000:03:00.1 enp3s0f1          0000:05:00.1 eno2 ─┴ bond0 ─ bond0.7 (default route)
//	0000:00:04.0 ens4 (virtio)     0000:86:00.0 a disk controller
func server(t *testing.T) (*System, *fakesys.Tree) {
	tree := fakesys.New(t)
	multi := map[string]string{"config": string([]byte{0x0e: 0x80})}
	tree.AddNIC(fakesys.NIC{PCI: "0000:03:00.0", Driver: "ixgbe", Interface: "enp3s0f0", MAC: "a0:36:9f:00:00:01", Group: "12", NUMA: 0, Attrs: multi})
	tree.AddNIC(fakesys.NIC{PCI: "0000:03:00.1", Driver: "ixgbe", Interface: "enp3s0f1", MAC: "a0:36:9f:00:00:02", Group: "12", NUMA: 1})
	tree.AddNIC(fakesys.NIC{PCI: "0000:05:00.0", Driver: "igb", Interface: "eno1", MAC: "a0:36:9f:00:00:03", Group: "13",
		Attrs: map[string]string{"acpi_index": "1\n", "sriov_totalvfs": "7\n", "sriov_numvfs": "0\n"}})
	tree.AddNIC(fakesys.NIC{PCI: "0000:05:00.1", Driver: "igb", Interface: "eno2", MAC: "a0:36:9f:00:00:04", Group: "14"})
	tree.AddNIC(fakesys.NIC{PCI: "0000:00:04.0", Driver: "virtio-pci",
		Attrs: map[string]string{"vendor": "0x1af4\n", "device": "0x1000\n", "virtio1/net/ens4/address": "52:54:00:00:00:01\n"}})
	tree.Link("sys/class/net/ens4", tree.Path("sys/bus/pci/devices/0000:00:04.0/virtio1/net/ens4"))
	tree.File("sys/bus/pci/devices/0000:86:00.0/class", "0x010000\n")
	tree.Interface("bond0", 1500)
	tree.Interface("bond0.7", 1500)
	tree.Over("bond0", "eno1", true)
	tree.Over("bond0", "eno2", true)
	tree.Over("bond0.7", "bond0", false)
	tree.Driver("vfio-pci")
	tree.File("usr/share/misc/pci.ids", pciIDList)
	tree.File("proc/net/route", "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"+
		"bond0.7\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"+
		"enp3s0f0\t00000000\t0102000A\t0200\t0\t0\t0\t00000000\t0\t0\t0\n"+ // rejecting: leads nowhere
		"ens4\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n") // 192.168.0.0/16
	return &System{
		Root: tree.Root, StateDir: tree.Path("run/sluice/nic"), PID: 1, Write: tree.Write,
		Addresses: func() (map[string][]netip.Prefix, error) {
			return map[string][]netip.Prefix{
				"bond0.7":  {netip.MustParsePrefix("10.0.2.15/24")},
				"enp3s0f0": {netip.MustParsePrefix("172.16.1.1/24"), netip.MustParsePrefix("fe80::1/64")},
				"ens4":     {netip.MustParsePrefix("192.168.7.1/16"), netip.MustParsePrefix("2001:db8::4/64")},
			}, nil
		},
	}, tree
}

func TestBypassing(t *testing.T) {
	s, tree := server(t)
	for _, id := range []string{"0000:03:00.0", "enp3s0f0", "nowhere0", "0000:99:00.0", ""} {
		require.Empty(t, s.Bypassing(id), id)
	}
	tree.File("sys/bus/pci/devices/0000:03:00.0/sriov_numvfs", "4\n")
	tree.File("sys/bus/pci/devices/0000:03:00.0/infiniband/mlx5_0/fw_ver", "1\n")
	for _, id := range []string{"0000:03:00.0", "enp3s0f0"} {
		require.Equal(t, []string{"4 virtual functions", "RDMA device mlx5_0"}, s.Bypassing(id), id)
	}
	require.Empty(t, s.Bypassing("enp3s0f1"))
}

func TestList(t *testing.T) {
	s, _ := server(t)
	cards, err := s.List()
	require.NoError(t, err)
	type row struct {
		pci, name, mac, driver, model string
		numa, group, maxVFs           int
	}
	var got []row
	for _, c := range cards {
		got = append(got, row{c.PCI, c.Name, c.MAC, c.Driver, c.Model, c.NUMA, c.IOMMUGroup, c.MaxVFs})
	}
	const x520 = "Intel Corporation 82599ES 10-Gigabit SFI/SFP+"
	assert.Equal(t, []row{
		{"0000:00:04.0", "ens4", "52:54:00:00:00:01", "virtio-pci", "Red Hat, Inc. Virtio network device", 0, None, 0},
		{"0000:03:00.0", "enp3s0f0", "a0:36:9f:00:00:01", "ixgbe", x520, 0, 12, 0},
		{"0000:03:00.1", "enp3s0f1", "a0:36:9f:00:00:02", "ixgbe", x520, 1, 12, 0},
		{"0000:05:00.0", "eno1", "a0:36:9f:00:00:03", "igb", x520, 0, 13, 7},
		{"0000:05:00.1", "eno2", "a0:36:9f:00:00:04", "igb", x520, 0, 14, 0},
	}, got)
}

func TestListOfThisMachine(t *testing.T) {
	cards, err := Host().List()
	require.NoError(t, err)
	for _, c := range cards {
		assert.Regexp(t, `^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`, c.PCI)
		assert.NotEmpty(t, c.Name)
		assert.NotEmpty(t, c.Model)
	}
}

func TestModel(t *testing.T) {
	ids := pciIDs(pciIDList)
	assert.Equal(t, "Intel Corporation 9999", ids.model("0x8086", "0x9999"), "a device that the list does not know")
	assert.Equal(t, "Red Hat, Inc. 10fb", ids.model("0x1af4", "0x10fb"), "another vendor's device")
	assert.Equal(t, "15b3:1017", ids.model("0x15b3", "0x1017"))
	assert.Equal(t, "8086:10fb", pciIDs("").model("0x8086", "0x10fb"), "a host without a list")
}

func TestFind(t *testing.T) {
	s, tree := server(t)
	tree.AddNIC(fakesys.NIC{PCI: "0000:07:00.0", Driver: "igb", Interface: "dup0", MAC: "a0:36:9f:00:00:01"})
	for id, want := range map[string]string{
		"0000:03:00.1": "0000:03:00.1", "03:00.1": "0000:03:00.1", "enp3s0f1": "0000:03:00.1",
		"A0:36:9F:00:00:02": "0000:03:00.1", "a0-36-9f-00-00-02": "0000:03:00.1",
		"eno1": "0000:05:00.0", "enp5s0": "0000:05:00.0", // both of udev's names
		"enp0s4": "0000:00:04.0", "enp3s0f0": "0000:03:00.0",
	} {
		c, err := s.Find(id)
		require.NoError(t, err, id)
		assert.Equal(t, want, c.PCI, id)
	}
	_, err := s.Find("enp9s0")
	assert.ErrorContains(t, err, "there is no such PCI address, MAC or interface name; name one of 0000:00:04.0 (ens4), 0000:03:00.0 (enp3s0f0)")
	_, err = s.Find("a0:36:9f:00:00:01")
	assert.ErrorContains(t, err, "0000:03:00.0 and 0000:07:00.0 answer to it; name one by its PCI address")
	_, err = (&System{Root: t.TempDir()}).Find("eth0")
	assert.ErrorContains(t, err, "no PCI network card")
}

func TestPredictableNames(t *testing.T) {
	multi := map[string]string{"config": string([]byte{0x0e: 0x80})}
	tests := map[string]struct {
		nic  fakesys.NIC
		want []string
	}{
		"single function":         {fakesys.NIC{PCI: "0000:1a:00.0"}, []string{"enp26s0"}},
		"first of several":        {fakesys.NIC{PCI: "0000:03:00.0", Attrs: multi}, []string{"enp3s0f0"}},
		"second of several":       {fakesys.NIC{PCI: "0000:03:00.1"}, []string{"enp3s0f1"}},
		"another domain":          {fakesys.NIC{PCI: "0001:03:00.0"}, []string{"enP1p3s0"}},
		"wide domain of a vm":     {fakesys.NIC{PCI: "10000:e1:00.0"}, []string{"enP65536p225s0"}},
		"onboard by ACPI":         {fakesys.NIC{PCI: "0000:05:00.0", Attrs: map[string]string{"acpi_index": "2"}}, []string{"eno2", "enp5s0"}},
		"onboard by SMBIOS":       {fakesys.NIC{PCI: "0000:05:00.0", Attrs: map[string]string{"index": "3"}}, []string{"eno3", "enp5s0"}},
		"physical slot":           {fakesys.NIC{PCI: "0000:08:00.1"}, []string{"ens6f1", "enp8s0f1"}},
		"virtual function of 0.0": {fakesys.NIC{PCI: "0000:03:10.2"}, []string{"enp3s0f0v1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tree := fakesys.New(t)
			tree.AddNIC(tt.nic)
			tree.File("sys/bus/pci/slots/6/address", "0000:08:00\n")
			tree.File("sys/bus/pci/slots/6-1/address", "0000:08:00\n")
			if tt.nic.PCI == "0000:03:10.2" {
				tree.AddNIC(fakesys.NIC{PCI: "0000:03:00.0", Attrs: multi})
				tree.Link("sys/bus/pci/devices/0000:03:10.2/physfn", tree.Path("sys/bus/pci/devices/0000:03:00.0"))
				tree.Link("sys/bus/pci/devices/0000:03:00.0/virtfn0", tree.Path("sys/bus/pci/devices/0000:03:10.0"))
				tree.Link("sys/bus/pci/devices/0000:03:00.0/virtfn1", tree.Path("sys/bus/pci/devices/0000:03:10.2"))
			}
			s := &System{Root: tree.Root}
			assert.Equal(t, tt.want, s.predictableNames(tt.nic.PCI))
		})
	}
}

func TestProtected(t *testing.T) {
	const ssh6 = "2001:db8::99 50000 2001:db8::4 22"
	tests := map[string]struct {
		session string // of the process
		sudo    string // SSH_CONNECTION of its grandparent
		want    map[string][]string
	}{
		"default route through bond and VLAN": {want: map[string][]string{}},
		"session to an own address": {session: "192.168.9.9 50000 192.168.7.1 22",
			want: map[string][]string{"ens4": {"it carries your session from 192.168.9.9"}}},
		"session by IPv6": {session: ssh6,
			want: map[string][]string{"ens4": {"it carries your session from 2001:db8::99"}}},
		"session in a mapped address": {session: "::ffff:192.168.9.9 50000 ::ffff:192.168.7.1 22",
			want: map[string][]string{"ens4": {"it carries your session from 192.168.9.9"}}},
		"session behind the route to the client": {session: "192.168.9.9 50000 203.0.113.1 22",
			want: map[string][]string{"ens4": {"it carries your session from 192.168.9.9"}}},
		"session under sudo": {sudo: ssh6,
			want: map[string][]string{"ens4": {"it carries your session from 2001:db8::99"}}},
		"no session to be read": {session: "nonsense", want: map[string][]string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, tree := server(t)
			s.Session, s.PID = tt.session, 300
			tree.File("proc/300/stat", "300 (sluice) S 200 300 0")
			tree.File("proc/300/environ", "TERM=xterm\x00")
			tree.File("proc/200/stat", "200 (su) do (x) S 100 200 0")
			tree.File("proc/100/stat", "100 (bash) S 1 100 0")
			tree.File("proc/100/environ", "TERM=xterm\x00SSH_CONNECTION="+tt.sudo+"\x00")
			tt.want["eno1"] = []string{"it carries the default route (through bond0)", "it belongs to bond0"}
			tt.want["eno2"] = tt.want["eno1"]
			cards, err := s.List()
			require.NoError(t, err)
			got := map[string][]string{}
			for _, c := range cards {
				if len(c.Protected) > 0 {
					got[c.Name] = c.Protected
				}
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestDefaultRouteByIPv6(t *testing.T) {
	s, tree := server(t)
	zero := "00000000000000000000000000000000"
	line := func(dst, bits, flags, iface string) string {
		return dst + " " + bits + " " + zero + " 00 fe800000000000000000000000000001 00000400 00000001 00000000 " + flags + " " + iface + "\n"
	}
	tree.File("proc/net/ipv6_route", line(zero, "00", "00000003", "enp3s0f1")+
		line(zero, "00", "00200200", "lo")+line("20010db8000000000000000000000000", "40", "00000001", "ens4")+"short line\n")
	cards, err := s.List()
	require.NoError(t, err)
	assert.Equal(t, []string{"it carries the default route"}, cards[2].Protected)
	assert.Empty(t, cards[0].Protected)
}

func TestDamagedStateIsReported(t *testing.T) {
	s, tree := server(t)
	tree.File("run/sluice/nic/0000:03:00.0.json", "{")
	_, err := s.List()
	assert.ErrorContains(t, err, "network card 0000:03:00.0")
	assert.ErrorContains(t, err, "remove the file")
	assert.ErrorContains(t, err, filepath.Join(s.StateDir, "0000:03:00.0.json"))
}

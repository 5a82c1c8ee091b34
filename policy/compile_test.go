package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicenet/sluice/packet"
)

func parsed(t require.TestingT, text string) *Config {
	c, err := Parse("test.yaml", []byte(text))
	require.NoError(t, err)
	return c
}

// scattered are port indices as a switch that has run for a while gives them out.
func scattered() PortTable {
	return PortTable{
		"up0": {Index: 4, MAC: mac("02:00:00:00:ff:00"), MTU: 1600}, "up1": {Index: 0, MAC: mac("02:00:00:00:ff:01"), MTU: 9000},
		"red-vm1": {Index: 7}, "red-vm2": {Index: 2}, "printer": {Index: 3}, "host0": {Index: 1},
	}
}

func TestCompile(t *testing.T) {
	c := parsed(t, good)
	s, err := Compile(c, nil, scattered())
	require.NoError(t, err)

	assert.Equal(t, uint64(1), s.Revision)
	assert.Equal(t, defaultRouterMAC, s.RouterMAC)
	require.Len(t, s.Ports, 8)
	assert.Equal(t, Port{Kind: PortUplink, MAC: mac("02:00:00:00:ff:00"), MTU: 1600, Uplink: NoIndex, Subnet: NoIndex}, s.Ports[4])
	assert.Equal(t, Port{Kind: PortVport, Attach: AttachSubnet, MAC: mac("02:00:00:00:01:01"), MTU: 1500, Uplink: NoIndex, Subnet: 0}, s.Ports[7])
	assert.Equal(t, Port{Kind: PortVport, Attach: AttachVLAN, MAC: mac("02:00:00:00:01:03"), MTU: 1500, VLAN: 100, Uplink: 4, Subnet: NoIndex}, s.Ports[3])
	assert.Equal(t, Port{Kind: PortVport, Attach: AttachPassThrough, MAC: mac("02:00:00:00:01:04"), MTU: 1500, Uplink: 4, Subnet: NoIndex,
		Trunk: []uint16{200, 300}}, s.Ports[1])
	assert.Equal(t, Port{}, s.Ports[5], "a hole")

	require.Len(t, s.Subnets, 3)
	web := s.SubnetByVSID(6001)
	assert.Equal(t, addr("10.0.0.1"), web.Gateway4)
	assert.Equal(t, addr("2001:db8:1::1"), web.Gateway6)
	assert.Equal(t, []Record{
		{CA: addr("10.0.0.5"), MAC: mac("02:00:00:00:01:01"), Port: 7},
		{CA: addr("10.0.0.6"), MAC: mac("02:00:00:00:01:02"), Port: 2},
		{CA: addr("10.0.0.7"), MAC: mac("02:00:00:00:02:07"), PA: addr("172.16.1.2"), Port: NoIndex},
		{MAC: mac("02:00:00:00:02:08"), PA: addr("172.16.2.2"), Port: NoIndex},
	}, web.Records)
	assert.Equal(t, Prefix{}, s.SubnetByVSID(6002).Prefix6)
	assert.Equal(t, packet.Addr{}, s.SubnetByVSID(6002).Gateway6)
	assert.NotEqual(t, web.RDID, s.SubnetByVSID(7001).RDID)
	assert.Equal(t, []uint32{0, 1}, s.Domain(web.RDID).Subnets)
	assert.Equal(t, []Route{{Prefix: pfx("0.0.0.0/0"), Subnet: NoIndex, NextHop: addr("10.0.0.7")}}, s.Domain(web.RDID).Routes)

	assert.Equal(t, []ProviderAddress{
		{Addr: addr("172.16.1.1"), Prefix: pfx("172.16.1.0/24"), Gateway: addr("172.16.1.254"), Uplink: 4},
		{Addr: addr("172.16.2.1"), Prefix: pfx("172.16.2.0/24"), Uplink: 0},
	}, s.PAs)
	assert.True(t, s.SameHost(addr("172.16.1.2"), addr("172.16.2.2")))
	require.Len(t, s.Bridges, 4)
	assert.Equal(t, []uint32{3}, s.Bridges[BridgeID(4, 100)].Ports)
	for _, vlan := range []uint16{0, 200, 300} {
		assert.Equal(t, []uint32{1}, s.Bridges[BridgeID(4, vlan)].Ports, "VLAN %d", vlan)
	}
}

func TestCompileDetails(t *testing.T) {
	t.Run("a vport without an address has a record of layer 2", func(t *testing.T) {
		s, err := Compile(parsed(t, spoil(t, edits{", addresses: [10.0.0.5]", ""})), nil, scattered())
		require.NoError(t, err)
		r := s.SubnetByVSID(6001).ByMAC(mac("02:00:00:00:01:01"))
		require.NotNil(t, r)
		assert.True(t, r.CA.IsZero())
		assert.True(t, r.Local())
	})
	t.Run("a vport with several addresses has as many records", func(t *testing.T) {
		s, err := Compile(parsed(t, spoil(t, edits{"[10.0.0.5]", `[10.0.0.5, 10.0.0.55, "2001:db8:1::5"]`})), nil, scattered())
		require.NoError(t, err)
		for _, ca := range []string{"10.0.0.5", "10.0.0.55", "2001:db8:1::5"} {
			assert.Equal(t, uint32(7), s.SubnetByVSID(6001).ByCA(addr(ca)).Port, ca)
		}
	})
	t.Run("the configured MTU goes before that of the device", func(t *testing.T) {
		s, err := Compile(parsed(t, spoil(t, edits{"interface: eth1}", "interface: eth1}, mtu: 1700"})), nil, scattered())
		require.NoError(t, err)
		assert.Equal(t, uint16(1700), s.Ports[4].MTU)
		assert.Equal(t, uint16(9000), s.Ports[0].MTU)
	})
	t.Run("routes are in the order of look-up", func(t *testing.T) {
		s, err := Compile(parsed(t, spoil(t, edits{"nextHop: 10.0.0.7}", `nextHop: 10.0.0.7, metric: 5}
      - {prefix: 192.168.0.0/16, gateway: 172.16.1.9, subnet: red-db}
      - {prefix: "::/0", gateway: 172.16.1.9}
      - {prefix: 0.0.0.0/0, nextHop: 10.0.0.6, metric: 2}`})), nil, scattered())
		require.NoError(t, err)
		routes := s.Domain(s.SubnetByVSID(6001).RDID).Routes
		require.Len(t, routes, 4)
		assert.Equal(t, Route{Prefix: pfx("192.168.0.0/16"), Subnet: 1, Gateway: addr("172.16.1.9")}, routes[0])
		assert.Equal(t, addr("10.0.0.6"), routes[1].NextHop)
		assert.Equal(t, addr("10.0.0.7"), routes[2].NextHop)
		assert.Equal(t, "::/0", routes[3].Prefix.String())
	})
}

// TestCompileShares: a subnet that did not change is the previous one itself, not a copy.
func TestCompileShares(t *testing.T) {
	first, err := Compile(parsed(t, good), nil, scattered())
	require.NoError(t, err)

	again, err := Compile(parsed(t, good), first, scattered())
	require.NoError(t, err)
	assert.Equal(t, uint64(2), again.Revision)
	for i := range first.Subnets {
		assert.Same(t, first.Subnets[i], again.Subnets[i])
	}
	d := Compare(first, again)
	assert.True(t, d.Empty())

	moved, err := Compile(parsed(t, spoil(t, edits{"02:00:00:00:02:07, pa: 172.16.1.2", "02:00:00:00:02:07, pa: 172.16.2.2",
		"nextHop: 10.0.0.7", "nextHop: 10.0.0.6"})), first, scattered())
	require.NoError(t, err)
	assert.NotSame(t, first.Subnets[0], moved.Subnets[0])
	assert.Same(t, first.Subnets[1], moved.Subnets[1])
	assert.Same(t, first.Subnets[2], moved.Subnets[2])

	ports := scattered()
	ports["red-vm1"] = PortInfo{Index: 8}
	renumbered, err := Compile(parsed(t, good), first, ports)
	require.NoError(t, err)
	assert.NotSame(t, first.Subnets[0], renumbered.Subnets[0], "its records name the port")
	assert.Same(t, first.Subnets[1], renumbered.Subnets[1])
	d = Compare(first, renumbered)
	assert.False(t, d.All)
	assert.Equal(t, []uint32{7, 8}, d.Ports)

	inserted, err := Compile(parsed(t, spoil(t, edits{"      - {name: red-db", "      - {name: red-new, vsid: 6009, prefix: 10.0.9.0/24}\n      - {name: red-db"})),
		first, scattered())
	require.NoError(t, err)
	assert.Same(t, first.Subnets[0], inserted.Subnets[0])
	for i, sub := range inserted.Subnets {
		assert.Equal(t, uint32(i), sub.Index, "an index that shifted is not shared")
	}
}

func TestCompileRefusesIndices(t *testing.T) {
	c := parsed(t, good)
	ports := scattered()
	delete(ports, "printer")
	_, err := Compile(c, nil, ports)
	assert.EqualError(t, err, "port printer has no index in the switch")
	ports["printer"] = PortInfo{Index: 4}
	_, err = Compile(c, nil, ports)
	assert.EqualError(t, err, "ports up0 and printer have the same index 4 in the switch")
	ports["printer"] = PortInfo{Index: NoIndex}
	_, err = Compile(c, nil, ports)
	assert.EqualError(t, err, "port printer has index 4294967295 in the switch; the largest is 1048575")
}

// TestCompileUnchecked: a configuration that did not come from Parse is refused, not believed.
func TestCompileUnchecked(t *testing.T) {
	tests := map[string]*Config{
		"vport v: subnet nowhere is not defined":                  {Vports: []VportConfig{{Name: "v", Subnet: "nowhere"}}},
		"vport v: uplink nowhere is not defined":                  {Vports: []VportConfig{{Name: "v", Uplink: "nowhere", VLAN: 5}}},
		"vport v: uplink w is not defined":                        {Vports: []VportConfig{{Name: "w"}, {Name: "v", Uplink: "w", VLAN: 5}}},
		"record 0: subnet nowhere is not defined":                 {Records: []RecordConfig{{Subnet: "nowhere"}}},
		"route 0.0.0.0/0: subnet nowhere is not defined":          {Networks: []NetworkConfig{{Routes: []RouteConfig{{Subnet: "nowhere", Prefix: pfx("0.0.0.0/0").Netip()}}}}},
		"ports same and same have the same index 0 in the switch": {Vports: []VportConfig{{Name: "same"}, {Name: "same"}}},
	}
	for want, c := range tests {
		ports := PortTable{"v": {Index: 0}, "w": {Index: 1}, "same": {Index: 0}}
		_, err := Compile(c, nil, ports)
		assert.EqualError(t, err, want)
	}
	s, err := Compile(&Config{Vports: []VportConfig{{Name: "v"}}}, nil, PortTable{"v": {}})
	require.NoError(t, err)
	assert.Equal(t, AttachNone, s.Ports[0].Attach, "a vport without a network belongs nowhere")
}

// drawHost writes a configuration of a few VMs, local and remote, as a file.
func drawHost(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("host: {name: h}\nuplinks:\n  - {name: up, device: {driver: af_packet, interface: eth1}, providerAddresses: [172.16.1.1/24]}\n")
	b.WriteString("networks:\n  - {name: n, subnets: [{name: s0, vsid: 5000, prefix: 10.0.0.0/24}, {name: s1, vsid: 5001, prefix: 10.0.1.0/24}]}\n")
	var vports, records strings.Builder
	for i := range 8 {
		subnet := rapid.IntRange(0, 1).Draw(t, "subnet")
		ca := fmt.Sprintf("10.0.%d.%d", subnet, i+2)
		switch rapid.IntRange(0, 2).Draw(t, "where") {
		case 1:
			fmt.Fprintf(&vports, "  - {name: vm%d, device: {driver: tap}, mac: 02:00:00:00:00:0%d, subnet: s%d, addresses: [%s], mtu: %d}\n",
				i, i, subnet, ca, rapid.IntRange(1400, 1401).Draw(t, "mtu"))
		case 2:
			fmt.Fprintf(&records, "  - {subnet: s%d, ca: %s, mac: 02:00:00:00:00:0%d, pa: 172.16.1.%d}\n", subnet, ca, i,
				rapid.IntRange(2, 3).Draw(t, "host"))
		}
	}
	if vports.Len() > 0 {
		b.WriteString("vports:\n" + vports.String())
	}
	if records.Len() > 0 {
		b.WriteString("records:\n" + records.String())
	}
	return strings.ReplaceAll(b.String(), "mac: 02:00:00:00:00:00", "mac: 02:00:00:00:00:08")
}

// TestCompileIncrementally: compiling after another configuration gives the same policy as compiling afresh.
func TestCompileIncrementally(t *testing.T) {
	ports := PortTable{"up": {Index: 0}}
	for i := range uint32(8) {
		ports[fmt.Sprintf("vm%d", i)] = PortInfo{Index: i + 1}
	}
	rapid.Check(t, func(t *rapid.T) {
		now, wanted := parsed(t, drawHost(t)), parsed(t, drawHost(t))
		prev, err := Compile(now, nil, ports)
		require.NoError(t, err)
		next, err := Compile(wanted, prev, ports)
		require.NoError(t, err)
		fresh, err := Compile(wanted, nil, ports)
		require.NoError(t, err)
		fresh.Revision = next.Revision
		require.Equal(t, fresh, next)

		d := Compare(prev, next)
		require.Equal(t, d.Empty(), len(Diff(now, wanted)) == 0, "what Diff shows is what the data plane renews")
	})
}

package policy

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

func addr(s string) packet.Addr { return packet.AddrFromNetip(netip.MustParseAddr(s)) }

func pfx(s string) Prefix { return PrefixFrom(netip.MustParsePrefix(s)) }

func mac(s string) packet.MAC {
	m, err := packet.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}

func TestPrefix(t *testing.T) {
	tests := []struct {
		prefix  string
		in, out []string
	}{
		{"10.0.0.0/24", []string{"10.0.0.0", "10.0.0.255"}, []string{"10.0.1.0", "9.255.255.255", "::a00:0", "2001:db8::1"}},
		{"10.0.0.5/32", []string{"10.0.0.5"}, []string{"10.0.0.4"}},
		{"0.0.0.0/0", []string{"0.0.0.0", "10.0.0.1", "255.255.255.255"}, []string{"::1", "2001:db8::1"}},
		{"::/0", []string{"::1", "2001:db8::1", "fe80::1"}, []string{"10.0.0.1", "0.0.0.0"}},
		{"::/8", []string{"::1"}, []string{"10.0.0.1", "2001:db8::1"}},
		{"::/64", []string{"::1"}, []string{"10.0.0.1", "0:0:0:1::1"}},
		{"2001:db8:1::/64", []string{"2001:db8:1::", "2001:db8:1::ffff"}, []string{"2001:db8:1:1::", "10.0.0.1"}},
		{"2001:db8:1::/65", []string{"2001:db8:1::1"}, []string{"2001:db8:1:0:8000::"}},
		{"2001:db8:1::8/128", []string{"2001:db8:1::8"}, []string{"2001:db8:1::9"}},
		{"2001::/16", []string{"2001:db8::1"}, []string{"2002::1"}},
	}
	for _, tt := range tests {
		t.Run(tt.prefix, func(t *testing.T) {
			p := pfx(tt.prefix)
			for _, a := range tt.in {
				assert.True(t, p.Contains(addr(a)), a)
			}
			for _, a := range tt.out {
				assert.False(t, p.Contains(addr(a)), a)
			}
			assert.Equal(t, tt.prefix, p.String())
			assert.False(t, p.IsZero())
		})
	}
	var none Prefix
	assert.False(t, none.Contains(addr("::")))
	assert.False(t, none.Contains(addr("0.0.0.0")))
	assert.Equal(t, "-", none.String())
	assert.Equal(t, none, PrefixFrom(netip.Prefix{}))
	assert.False(t, none.Netip().IsValid())
	assert.Equal(t, "10.0.0.0/24", pfx("10.0.0.77/24").String(), "host bits are masked")
}

// webSubnet is 10.0.0.0/24 and 2001:db8:1::/64 with a local VM of two addresses, a remote one and one of layer 2 only.
func webSubnet() *Subnet {
	return NewSubnet(Subnet{
		Index: 0, Name: "red-web", VSID: 6001, RDID: 7, Prefix4: pfx("10.0.0.0/24"), Prefix6: pfx("2001:db8:1::/64"),
		Gateway4: addr("10.0.0.1"), Gateway6: addr("2001:db8:1::1"),
	}, []Record{
		{CA: addr("10.0.0.5"), MAC: mac("00:15:5d:00:01:05"), Port: 3},
		{CA: addr("2001:db8:1::5"), MAC: mac("00:15:5d:00:01:05"), Port: 3},
		{CA: addr("10.0.0.7"), MAC: mac("00:15:5d:00:01:07"), PA: addr("172.16.1.2"), Port: NoIndex},
		{MAC: mac("00:15:5d:00:01:09"), PA: addr("172.16.1.3"), Port: NoIndex},
	})
}

func TestSubnetLookups(t *testing.T) {
	s := webSubnet()
	require.NotNil(t, s.ByCA(addr("2001:db8:1::5")))
	assert.True(t, s.ByCA(addr("2001:db8:1::5")).Local())
	assert.False(t, s.ByCA(addr("10.0.0.7")).Local())
	assert.Nil(t, s.ByCA(addr("10.0.0.9")))
	assert.Nil(t, s.ByCA(packet.Addr{}), "a record of layer 2 only is not found by the zero address")
	assert.Equal(t, addr("10.0.0.5"), s.ByMAC(mac("00:15:5d:00:01:05")).CA, "the first record of a MAC")
	assert.Equal(t, addr("172.16.1.3"), s.ByMAC(mac("00:15:5d:00:01:09")).PA)
	assert.Nil(t, s.ByMAC(mac("00:15:5d:00:01:0a")))

	assert.True(t, s.Contains(addr("10.0.0.9")))
	assert.True(t, s.Contains(addr("2001:db8:1::9")))
	assert.False(t, s.Contains(addr("10.0.1.9")))
	for _, a := range []string{"10.0.0.1", "2001:db8:1::1", "fe80::1"} {
		assert.True(t, s.IsGateway(addr(a)), a)
	}
	assert.False(t, s.IsGateway(addr("10.0.0.2")))
	assert.False(t, s.IsGateway(packet.Addr{}))
	v4 := NewSubnet(Subnet{Prefix4: pfx("10.0.0.0/24"), Gateway4: addr("10.0.0.1")}, nil)
	assert.False(t, v4.IsGateway(addr("fe80::1")), "no IPv6 prefix, no IPv6 gateway")
	assert.False(t, v4.IsGateway(packet.Addr{}))
}

func TestDomainLookups(t *testing.T) {
	d := Domain{RDID: 7, Name: "red", Subnets: []uint32{0}, Routes: []Route{
		{Prefix: pfx("0.0.0.0/0"), Metric: 20, Subnet: NoIndex, NextHop: addr("10.0.0.253")},
		{Prefix: pfx("0.0.0.0/0"), Metric: 10, Subnet: NoIndex, NextHop: addr("10.0.0.254")},
		{Prefix: pfx("192.168.0.0/16"), Metric: 90, Subnet: 1, Gateway: addr("172.16.1.9")},
		{Prefix: pfx("192.168.0.0/16"), Metric: 91, Subnet: NoIndex, Gateway: addr("172.16.1.8")},
		{Prefix: pfx("::/0"), Subnet: NoIndex, Gateway: addr("172.16.1.7")},
	}}
	d.SortRoutes()
	s := NewSnapshot(Snapshot{Subnets: []*Subnet{webSubnet()}, Domains: []Domain{d}}, nil)

	assert.Equal(t, "red-web", s.SubnetOf(7, addr("10.0.0.200")).Name)
	assert.Nil(t, s.SubnetOf(7, addr("10.0.9.1")))
	assert.Nil(t, s.SubnetOf(8, addr("10.0.0.200")))
	assert.Nil(t, s.Domain(8))
	assert.Equal(t, "red-web", s.SubnetByVSID(6001).Name)
	assert.Nil(t, s.SubnetByVSID(6002))

	from := s.Subnets[0]
	assert.Equal(t, addr("10.0.0.254"), s.RouteOf(from, addr("8.8.8.8")).NextHop, "lowest metric")
	assert.Equal(t, addr("172.16.1.8"), s.RouteOf(from, addr("192.168.3.4")).Gateway, "longest prefix that serves the subnet")
	assert.Equal(t, addr("172.16.1.7"), s.RouteOf(from, addr("2001:db8:9::1")).Gateway, "the IPv6 default route")
	assert.Nil(t, s.RouteOf(&Subnet{RDID: 8}, addr("8.8.8.8")))
}

func TestPortOutOfRange(t *testing.T) {
	s := NewSnapshot(Snapshot{Ports: []Port{{Kind: PortVport}}}, nil)
	assert.Equal(t, PortVport, s.Port(0).Kind)
	assert.Equal(t, PortNone, s.Port(1).Kind)
	assert.Equal(t, PortNone, s.Port(NoIndex).Kind)
}

func TestPathTo(t *testing.T) {
	s := NewSnapshot(Snapshot{PAs: []ProviderAddress{
		{Addr: addr("172.16.1.1"), Prefix: pfx("172.16.1.0/24"), Uplink: 0},
		{Addr: addr("172.16.2.1"), Prefix: pfx("172.16.2.0/24"), Gateway: addr("172.16.2.254"), Uplink: 1},
	}}, [][]packet.Addr{
		{addr("172.16.1.2"), addr("172.16.2.2")},
		{addr("172.16.1.3"), addr("172.16.2.3")},
	})
	t.Run("direct", func(t *testing.T) {
		target, path, ok := s.PathTo(addr("172.16.1.9"), 12345)
		assert.True(t, ok)
		assert.Equal(t, addr("172.16.1.9"), target)
		assert.Equal(t, ProviderPath{Uplink: 0, Source: addr("172.16.1.1"), NextHop: addr("172.16.1.9")}, path)
	})
	t.Run("by the gateway", func(t *testing.T) {
		_, path, ok := s.PathTo(addr("192.0.2.1"), 12345)
		assert.True(t, ok)
		assert.Equal(t, ProviderPath{Uplink: 1, Source: addr("172.16.2.1"), NextHop: addr("172.16.2.254")}, path)
	})
	t.Run("both addresses of a host are used", func(t *testing.T) {
		seen := map[packet.Addr]uint32{}
		for hash := range uint32(1 << 12) {
			target, path, ok := s.PathTo(addr("172.16.1.2"), hash<<4)
			assert.True(t, ok)
			seen[target] = path.Uplink
		}
		assert.Equal(t, map[packet.Addr]uint32{addr("172.16.1.2"): 0, addr("172.16.2.2"): 1}, seen)
	})
	t.Run("same host", func(t *testing.T) {
		assert.True(t, s.SameHost(addr("172.16.1.2"), addr("172.16.2.2")))
		assert.False(t, s.SameHost(addr("172.16.1.2"), addr("172.16.1.3")))
		assert.False(t, s.SameHost(addr("172.16.1.2"), addr("172.16.1.7")))
		assert.True(t, s.SameHost(addr("172.16.1.7"), addr("172.16.1.7")))
	})
	assert.Equal(t, uint32(1), s.LocalPA(addr("172.16.2.1")).Uplink)
	assert.Nil(t, s.LocalPA(addr("172.16.2.2")))
}

func TestPathToSkipsUnreachableAddresses(t *testing.T) {
	s := NewSnapshot(Snapshot{PAs: []ProviderAddress{{Addr: addr("172.16.1.1"), Prefix: pfx("172.16.1.0/24")}}},
		[][]packet.Addr{{addr("172.16.1.2"), addr("172.16.2.2")}, {addr("172.16.3.3"), addr("172.16.2.3")}})
	for hash := range uint32(1 << 10) {
		target, _, ok := s.PathTo(addr("172.16.2.2"), hash<<6)
		require.True(t, ok, "the host has an address in our fabric")
		require.Equal(t, addr("172.16.1.2"), target)
	}
	target, _, ok := s.PathTo(addr("172.16.2.3"), 0)
	assert.False(t, ok)
	assert.Equal(t, addr("172.16.2.3"), target)
}

func TestPathToBoundsItsChoice(t *testing.T) {
	var pas []ProviderAddress
	for i := range uint32(20) {
		pas = append(pas, ProviderAddress{Addr: packet.AddrFrom4(0xac100101 + i), Prefix: pfx("172.16.1.0/24"), Uplink: i})
	}
	s := NewSnapshot(Snapshot{PAs: pas}, nil)
	seen := map[uint32]bool{}
	for hash := range uint32(1 << 12) {
		_, path, ok := s.PathTo(addr("172.16.1.200"), hash<<12)
		require.True(t, ok)
		seen[path.Uplink] = true
	}
	assert.Len(t, seen, maxPaths)
}

func TestWithRecordsSharesTheRest(t *testing.T) {
	other := NewSubnet(Subnet{Index: 1, Name: "red-db", VSID: 6002, RDID: 7, Prefix4: pfx("10.0.1.0/24")}, nil)
	s := NewSnapshot(Snapshot{Revision: 4, Subnets: []*Subnet{webSubnet(), other}}, nil)
	next := s.WithRecords(0, []Record{{CA: addr("10.0.0.8"), MAC: mac("00:15:5d:00:01:08"), Port: NoIndex, PA: addr("172.16.1.2")}})

	assert.Equal(t, uint64(5), next.Revision)
	assert.Same(t, other, next.Subnets[1])
	assert.NotNil(t, next.SubnetByVSID(6001).ByCA(addr("10.0.0.8")))
	assert.Nil(t, next.SubnetByVSID(6001).ByCA(addr("10.0.0.5")))
	assert.NotNil(t, s.SubnetByVSID(6001).ByCA(addr("10.0.0.5")), "the snapshot before is as it was")
	assert.Equal(t, "red-web", next.Subnets[0].Name)
}

package policy

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicenet/sluice/packet"
)

// compareBase has an uplink (0), two vports of subnet 0 (1, 2), one of subnet 1 (3) and one of VLAN 100 (4).
func compareBase() Snapshot {
	vport := func(m string, subnet uint32) Port {
		return Port{Kind: PortVport, Attach: AttachSubnet, MAC: mac(m), MTU: 1500, Uplink: NoIndex, Subnet: subnet}
	}
	return Snapshot{
		RouterMAC: mac("02:15:5d:00:00:01"),
		Ports: []Port{
			{Kind: PortUplink, MAC: mac("02:00:00:00:00:01"), MTU: 1600, Uplink: NoIndex, Subnet: NoIndex},
			vport("02:00:00:00:01:01", 0),
			vport("02:00:00:00:01:02", 0),
			vport("02:00:00:00:01:03", 1),
			{Kind: PortVport, Attach: AttachVLAN, MAC: mac("02:00:00:00:01:04"), MTU: 1500, VLAN: 100, Subnet: NoIndex},
		},
		Subnets: []*Subnet{
			NewSubnet(Subnet{Index: 0, VSID: 6001, RDID: 7, Prefix4: pfx("10.0.0.0/24"), Gateway4: addr("10.0.0.1")}, []Record{
				{CA: addr("10.0.0.5"), MAC: mac("02:00:00:00:01:01"), Port: 1},
				{CA: addr("10.0.0.6"), MAC: mac("02:00:00:00:01:02"), Port: 2},
				{CA: addr("10.0.0.7"), MAC: mac("02:00:00:00:02:07"), PA: addr("172.16.1.2"), Port: NoIndex},
				{MAC: mac("02:00:00:00:02:09"), PA: addr("172.16.1.2"), Port: NoIndex},
			}),
			NewSubnet(Subnet{Index: 1, VSID: 6002, RDID: 7, Prefix4: pfx("10.0.1.0/24"), Gateway4: addr("10.0.1.1")}, []Record{
				{CA: addr("10.0.1.5"), MAC: mac("02:00:00:00:01:03"), Port: 3},
				{CA: addr("10.0.1.254"), MAC: mac("02:00:00:00:02:fe"), PA: addr("172.16.1.2"), Port: NoIndex},
			}),
		},
		Domains: []Domain{{RDID: 7, Name: "red", Subnets: []uint32{0, 1},
			Routes: []Route{{Prefix: pfx("0.0.0.0/0"), Subnet: NoIndex, NextHop: addr("10.0.1.254")}}}},
		Bridges: map[uint32]*Bridge{BridgeID(0, 100): {ID: BridgeID(0, 100), VLAN: 100, Ports: []uint32{4}}},
		PAs:     []ProviderAddress{{Addr: addr("172.16.1.1"), Prefix: pfx("172.16.1.0/24")}},
	}
}

// withRecord changes record i of a subnet, or appends one.
func withRecord(s *Snapshot, subnet, i int, change func(*Record)) {
	records := slices.Clone(s.Subnets[subnet].Records)
	if i == len(records) {
		records = append(records, Record{Port: NoIndex})
	}
	change(&records[i])
	s.Subnets[subnet] = NewSubnet(*s.Subnets[subnet], records)
}

func withoutRecord(s *Snapshot, subnet, i int) {
	records := slices.Delete(slices.Clone(s.Subnets[subnet].Records), i, i+1)
	s.Subnets[subnet] = NewSubnet(*s.Subnets[subnet], records)
}

func TestCompareRecordsAndPorts(t *testing.T) {
	key := func(a string) AddrKey { return AddrKey{7, addr(a)} }
	tests := []struct {
		name   string
		change func(*Snapshot)
		want   Delta
	}{
		{"nothing", func(*Snapshot) {}, Delta{}},
		{"names and revision", func(s *Snapshot) {
			s.Revision, s.Domains[0].Name = 9, "rouge"
		}, Delta{}},
		{"records rebuilt alike", func(s *Snapshot) {
			withRecord(s, 0, 2, func(*Record) {})
		}, Delta{}},
		{"a remote VM moves to another host", func(s *Snapshot) {
			withRecord(s, 0, 2, func(r *Record) { r.PA = addr("172.16.1.3") })
		}, Delta{Addrs: []AddrKey{key("10.0.0.7")}, MACs: []MACKey{{6001, mac("02:00:00:00:02:07")}}}},
		{"a remote VM changes its MAC", func(s *Snapshot) {
			withRecord(s, 0, 2, func(r *Record) { r.MAC = mac("02:00:00:00:02:08") })
		}, Delta{Addrs: []AddrKey{key("10.0.0.7")},
			MACs: []MACKey{{6001, mac("02:00:00:00:02:07")}, {6001, mac("02:00:00:00:02:08")}}}},
		{"a remote VM changes its address", func(s *Snapshot) {
			withRecord(s, 0, 2, func(r *Record) { r.CA = addr("10.0.0.8") })
		}, Delta{Addrs: []AddrKey{key("10.0.0.7"), key("10.0.0.8")}, MACs: []MACKey{{6001, mac("02:00:00:00:02:07")}}}},
		{"a record appears", func(s *Snapshot) {
			withRecord(s, 1, 2, func(r *Record) { r.CA, r.MAC, r.PA = addr("10.0.1.9"), mac("02:00:00:00:02:0a"), addr("172.16.1.2") })
		}, Delta{Addrs: []AddrKey{key("10.0.1.9")}, MACs: []MACKey{{6002, mac("02:00:00:00:02:0a")}}}},
		{"a record of layer 2 goes", func(s *Snapshot) {
			withoutRecord(s, 0, 3)
		}, Delta{MACs: []MACKey{{6001, mac("02:00:00:00:02:09")}}}},
		{"a local VM loses its address: what it may send changes", func(s *Snapshot) {
			withoutRecord(s, 0, 0)
		}, Delta{Ports: []uint32{1}, Addrs: []AddrKey{key("10.0.0.5")}, MACs: []MACKey{{6001, mac("02:00:00:00:01:01")}}}},
		{"a vport's MTU: also what is sent to it", func(s *Snapshot) {
			s.Ports[2].MTU = 1400
		}, Delta{Ports: []uint32{2}, Addrs: []AddrKey{key("10.0.0.6")}, MACs: []MACKey{{6001, mac("02:00:00:00:01:02")}}}},
		{"a vport moves to another subnet", func(s *Snapshot) {
			s.Ports[1].Subnet = 1
			withoutRecord(s, 0, 0)
			withRecord(s, 1, 2, func(r *Record) { r.CA, r.MAC, r.Port = addr("10.0.1.6"), mac("02:00:00:00:01:01"), 1 })
		}, Delta{Ports: []uint32{1}, Addrs: []AddrKey{key("10.0.0.5"), key("10.0.1.6")},
			MACs: []MACKey{{6001, mac("02:00:00:00:01:01")}, {6002, mac("02:00:00:00:01:01")}}}},
		{"an unattached vport appears", func(s *Snapshot) {
			s.Ports = append(s.Ports, Port{Kind: PortVport, MAC: mac("02:00:00:00:01:05"), Subnet: NoIndex, Uplink: NoIndex})
		}, Delta{Ports: []uint32{5}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			prev, next := compareBase(), compareBase()
			next.Subnets = slices.Clone(prev.Subnets)
			tt.change(&next)
			a, b := NewSnapshot(prev, nil), NewSnapshot(next, nil)
			d := Compare(a, b)
			assert.Equal(t, tt.want, d)
			assert.Equal(t, tt.want, Compare(b, a), "the way back touches the same")
			assert.Equal(t, tt.name == "nothing" || tt.name == "names and revision" || tt.name == "records rebuilt alike", d.Empty())
		})
	}
}

func TestCompareRenewsAll(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Snapshot)
	}{
		{"router MAC", func(s *Snapshot) { s.RouterMAC[5]++ }},
		{"provider address", func(s *Snapshot) { s.PAs[0].Addr.Lo++ }},
		{"provider gateway", func(s *Snapshot) { s.PAs[0].Gateway = addr("172.16.1.254") }},
		{"uplink's MAC", func(s *Snapshot) { s.Ports[0].MAC[5]++ }},
		{"uplink goes", func(s *Snapshot) { s.Ports[0] = Port{} }},
		{"bridged vport's MTU", func(s *Snapshot) { s.Ports[4].MTU = 1400 }},
		{"bridge membership", func(s *Snapshot) {
			s.Bridges = map[uint32]*Bridge{BridgeID(0, 100): {ID: BridgeID(0, 100), VLAN: 100, Ports: []uint32{4, 5}}}
		}},
		{"bridge appears", func(s *Snapshot) {
			s.Bridges = map[uint32]*Bridge{BridgeID(0, 100): s.Bridges[100], BridgeID(0, 0): {}}
		}},
		{"route", func(s *Snapshot) { s.Domains[0].Routes[0].Metric = 5 }},
		{"record of a route's next hop", func(s *Snapshot) {
			withRecord(s, 1, 1, func(r *Record) { r.PA = addr("172.16.1.3") })
		}},
		{"record of a route's next hop goes", func(s *Snapshot) { withoutRecord(s, 1, 1) }},
		{"domain goes", func(s *Snapshot) { s.Domains = nil }},
		{"subnet goes", func(s *Snapshot) { s.Subnets = s.Subnets[:1] }},
		{"subnet's VSID", func(s *Snapshot) { sub := *s.Subnets[1]; sub.VSID = 6003; s.Subnets[1] = &sub }},
		{"subnet's prefix", func(s *Snapshot) { sub := *s.Subnets[1]; sub.Prefix4.Bits--; s.Subnets[1] = &sub }},
		{"subnet's gateway", func(s *Snapshot) { sub := *s.Subnets[1]; sub.Gateway4.Lo++; s.Subnets[1] = &sub }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			prev, next := compareBase(), compareBase()
			next.Subnets = slices.Clone(prev.Subnets)
			tt.change(&next)
			assert.Equal(t, Delta{All: true}, Compare(NewSnapshot(prev, nil), NewSnapshot(next, nil)))
			assert.Equal(t, Delta{All: true}, Compare(NewSnapshot(next, nil), NewSnapshot(prev, nil)))
		})
	}
	s := NewSnapshot(compareBase(), nil)
	assert.Equal(t, Delta{All: true}, Compare(nil, s))
	assert.Equal(t, Delta{All: true}, Compare(s, nil))
	assert.Equal(t, Delta{}, Compare(nil, nil))
	hosts := [][]packet.Addr{{addr("172.16.1.2"), addr("172.16.1.3")}}
	assert.Equal(t, Delta{All: true}, Compare(s, NewSnapshot(compareBase(), hosts)))
}

// The small worlds that the property test draws from, so that two snapshots often agree in part.
var (
	fewCAs  = []packet.Addr{addr("10.0.0.5"), addr("10.0.0.6"), addr("10.0.1.5"), addr("10.0.1.6"), addr("2001:db8::5")}
	fewMACs = []packet.MAC{mac("02:00:00:00:01:01"), mac("02:00:00:00:01:02"), mac("02:00:00:00:01:03")}
	fewPAs  = []packet.Addr{addr("172.16.1.2"), addr("172.16.1.3"), addr("172.16.2.2"), addr("192.0.2.9")}
)

func drawRecord(t *rapid.T) Record {
	r := Record{MAC: rapid.SampledFrom(fewMACs).Draw(t, "mac"), Port: NoIndex}
	if rapid.IntRange(0, 4).Draw(t, "layer 2 only") > 0 {
		r.CA = rapid.SampledFrom(fewCAs).Draw(t, "ca")
	}
	if rapid.Bool().Draw(t, "local") {
		r.Port = rapid.Uint32Range(0, 4).Draw(t, "port")
	} else {
		r.PA = rapid.SampledFrom(fewPAs).Draw(t, "pa")
	}
	return r
}

func drawPort(t *rapid.T) Port {
	p := Port{Kind: PortKind(rapid.IntRange(0, 2).Draw(t, "kind")), Uplink: NoIndex, Subnet: NoIndex}
	if p.Kind == PortNone {
		return Port{}
	}
	p.MTU = uint16(rapid.IntRange(1400, 1401).Draw(t, "mtu"))
	if p.Kind == PortVport && rapid.IntRange(0, 9).Draw(t, "bridged") == 0 {
		p.Attach, p.Trunk = AttachPassThrough, []uint16{uint16(rapid.IntRange(1, 2).Draw(t, "trunk"))}
	} else if p.Kind == PortVport {
		p.Attach, p.Subnet = AttachSubnet, rapid.Uint32Range(0, 1).Draw(t, "subnet")
	}
	return p
}

// mutate makes a snapshot that differs from s in a few places, sharing the rest with it.
func mutate(t *rapid.T, s *Snapshot) *Snapshot {
	next := *s
	next.Subnets, next.Ports = slices.Clone(s.Subnets), slices.Clone(s.Ports)
	next.Domains, next.PAs = slices.Clone(s.Domains), slices.Clone(s.PAs)
	groups := s.groups
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		i := rapid.IntRange(0, 1).Draw(t, "which")
		switch rapid.IntRange(0, 9).Draw(t, "change") {
		case 0, 1, 2:
			withRecord(&next, i, len(next.Subnets[i].Records), func(r *Record) { *r = drawRecord(t) })
		case 3, 4:
			if n := len(next.Subnets[i].Records); n > 0 {
				withoutRecord(&next, i, rapid.IntRange(0, n-1).Draw(t, "record"))
			}
		case 5, 6:
			next.Ports[rapid.IntRange(0, len(next.Ports)-1).Draw(t, "port")] = drawPort(t)
		case 7:
			next.Domains[0].Routes = []Route{{Prefix: pfx("0.0.0.0/0"), Subnet: NoIndex, NextHop: rapid.SampledFrom(fewCAs).Draw(t, "next hop")}}
		case 8:
			next.PAs[0].Gateway = rapid.SampledFrom(fewPAs).Draw(t, "gateway")
		case 9:
			groups = [][]packet.Addr{{fewPAs[0], rapid.SampledFrom(fewPAs[1:]).Draw(t, "other")}}
		}
	}
	return NewSnapshot(next, groups)
}

// TestCompareCoversEveryDifference: whatever two snapshots answer differently is in the Delta.
func TestCompareCoversEveryDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := Snapshot{
			Ports: rapid.SliceOfN(rapid.Custom(drawPort), 3, 5).Draw(t, "ports"),
			Subnets: []*Subnet{
				NewSubnet(Subnet{Index: 0, VSID: 6001, RDID: 7, Prefix4: pfx("10.0.0.0/24"), Prefix6: pfx("2001:db8::/64")},
					rapid.SliceOfN(rapid.Custom(drawRecord), 0, 5).Draw(t, "records 0")),
				NewSubnet(Subnet{Index: 1, VSID: 6002, RDID: 7, Prefix4: pfx("10.0.1.0/24")},
					rapid.SliceOfN(rapid.Custom(drawRecord), 0, 5).Draw(t, "records 1")),
			},
			Domains: []Domain{{RDID: 7, Subnets: []uint32{0, 1}}},
			PAs:     []ProviderAddress{{Addr: addr("172.16.1.1"), Prefix: pfx("172.16.1.0/24")}},
		}
		prev := mutate(t, NewSnapshot(base, nil))
		next := mutate(t, prev)
		d := Compare(prev, next)
		require.True(t, slices.IsSorted(d.Ports))
		if !d.All {
			requireCovered(t, prev, next, d)
		}
	})
}

func requireCovered(t *rapid.T, prev, next *Snapshot, d Delta) {
	for i := range uint32(max(len(prev.Ports), len(next.Ports)) + 1) {
		if !assert.ObjectsAreEqual(prev.Port(i), next.Port(i)) {
			require.Contains(t, d.Ports, i)
		}
	}
	for i, a := range prev.Subnets {
		b := next.Subnets[i]
		for _, ca := range fewCAs {
			if p, n := a.ByCA(ca), b.ByCA(ca); !assert.ObjectsAreEqual(p, n) {
				require.Contains(t, d.Addrs, AddrKey{a.RDID, ca})
				requireOwners(t, d, p, n)
			}
			require.Equal(t, prev.RouteOf(a, ca), next.RouteOf(b, ca))
			if r := next.RouteOf(b, ca); r != nil && !r.NextHop.IsZero() {
				require.NotContains(t, d.Addrs, AddrKey{a.RDID, r.NextHop}, "flows by this next hop are not named")
			}
		}
		for _, m := range fewMACs {
			if p, n := a.ByMAC(m), b.ByMAC(m); !assert.ObjectsAreEqual(p, n) {
				require.Contains(t, d.MACs, MACKey{a.VSID, m})
				requireOwners(t, d, p, n)
			}
		}
	}
	for _, pa := range fewPAs {
		for hash := range uint32(4) {
			hash |= hash<<8 | hash<<16
			targetA, pathA, okA := prev.PathTo(pa, hash)
			targetB, pathB, okB := next.PathTo(pa, hash)
			require.Equal(t, []any{targetA, pathA, okA}, []any{targetB, pathB, okB})
		}
		require.Equal(t, prev.SameHost(fewPAs[0], pa), next.SameHost(fewPAs[0], pa))
	}
}

// requireOwners: the vport of a record that changed may send otherwise than before.
func requireOwners(t *rapid.T, d Delta, records ...*Record) {
	for _, r := range records {
		if r != nil && r.Local() {
			require.Contains(t, d.Ports, r.Port)
		}
	}
}

package policy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicenet/sluice/packet"
)

func TestRuleFillsOneCacheLine(t *testing.T) {
	assert.EqualValues(t, 64, reflect.TypeFor[ACLRule]().Size())
}

// withACLs compiles the good configuration with rules for ports that it has.
func withACLs(t *testing.T, prev *Snapshot, e edits) *Snapshot {
	t.Helper()
	s, err := Compile(parsed(t, spoil(t, e)), prev, scattered())
	require.NoError(t, err)
	return s
}

const (
	ruleA = "{name: a, direction: in, action: deny, protocol: tcp, localPort: 22}"
	ruleB = "{name: b, direction: both, action: allow, weight: 1, remote: 10.0.0.0/8}"
)

func TestCompileACLs(t *testing.T) {
	shared := edits{"[10.0.0.5]}", "[10.0.0.5], aclList: web}", "[10.0.0.6]}", "[10.0.0.6], aclList: web}", "vlan: 100}", "vlan: 100, acls: [" + ruleA + "]}",
		"networks:", "aclLists:\n  - {name: empty, rules: []}\n  - {name: web, rules: [" + ruleA + ", " + ruleB + "]}\nnetworks:"}
	s := withACLs(t, nil, shared)
	require.Len(t, s.ACLs, 3, "the empty one, the list, the printer's own")
	assert.Equal(t, s.Ports[7].ACL, s.Ports[2].ACL, "both have one list in memory")
	web := s.ACL(s.Ports[7].ACL)
	assert.Equal(t, "list web", web.Owner)
	assert.Len(t, web.rules[DirIn], 2)
	assert.Len(t, web.rules[DirOut], 1)
	assert.Equal(t, "acl b of list web (line 12)", web.Describe(&web.rules[DirIn][0]), "the weight goes before the order")
	assert.Equal(t, "tcp, local port 22", web.rules[DirIn][1].Transport())
	assert.Equal(t, "vport printer", s.ACL(s.Ports[3].ACL).Owner)
	assert.Zero(t, s.Ports[1].ACL)
	assert.Nil(t, s.ACL(0).Decide(DirIn, &ACLPacket{Class: FrameIPv4}))
	assert.Empty(t, s.ACL(99).rules[DirIn])

	again := withACLs(t, s, shared)
	for i := range s.ACLs {
		assert.Same(t, s.ACLs[i], again.ACLs[i], "unchanged lists are shared")
	}
	d := Compare(s, again)
	assert.True(t, d.Empty())

	moved := withACLs(t, s, append(slices.Clone(shared), "host: {name: host-a}", "# a comment\nhost: {name: host-a}"))
	assert.Equal(t, "acl b of list web (line 13)", moved.ACL(moved.Ports[7].ACL).Describe(&web.rules[DirIn][0]))
	d = Compare(s, moved)
	assert.True(t, d.Empty(), "lines and names decide nothing")

	_, err := Compile(&Config{Vports: []VportConfig{{Name: "v", ACLList: "nowhere"}}}, nil, PortTable{"v": {}})
	assert.EqualError(t, err, "vport v: acl list nowhere is not defined")
}

func TestCompareACLs(t *testing.T) {
	list := func(rules string) edits {
		return edits{"[10.0.0.5]}", "[10.0.0.5], aclList: web}", "networks:", "aclLists: [{name: web, rules: [" + rules + "]}]\nnetworks:"}
	}
	key, macs := AddrKey{derivedRDID("red"), addr("10.0.0.5")}, []MACKey{{6001, mac("02:00:00:00:01:01")}}
	one := Delta{Ports: []uint32{7}, Addrs: []AddrKey{key}, MACs: macs}
	for name, tt := range map[string]struct {
		now, wanted edits
		want        Delta
	}{
		"a rule appears":                {nil, list(ruleA), one},
		"a rule changes":                {list(ruleA), list(strings.Replace(ruleA, "22", "23", 1)), one},
		"an action changes":             {list(ruleA), list(strings.Replace(ruleA, "deny", "allow", 1)), one},
		"the same under another name":   {list(ruleA), edits{"[10.0.0.5]}", "[10.0.0.5], acls: [" + ruleA + "]}"}, Delta{}},
		"another weight, the same rank": {list(ruleB), list(strings.Replace(ruleB, "weight: 1", "weight: 2", 1)), Delta{}},
		"of a bridged vport":            {nil, edits{"vlan: 100}", "vlan: 100, acls: [" + ruleA + "]}"}, Delta{All: true}},
		"of a route's next hop": {edits{"nextHop: 10.0.0.7}", "nextHop: 10.0.0.5}"},
			append(list(ruleA), "nextHop: 10.0.0.7}", "nextHop: 10.0.0.5}"), Delta{All: true}},
	} {
		t.Run(name, func(t *testing.T) {
			a := withACLs(t, nil, tt.now)
			b := withACLs(t, a, tt.wanted)
			assert.Equal(t, tt.want, Compare(a, b))
			assert.Equal(t, tt.want, Compare(b, a))
		})
	}
}

// matches is the documentation of rules in the simplest words.
func matches(r *ACLConfig, d Direction, p *ACLPacket) bool {
	if r.Direction != "both" && r.Direction != d.String() {
		return false
	}
	if !r.RemoteMAC.IsZero() && r.RemoteMAC != p.RemoteMAC {
		return false
	}
	isIP := p.Class == FrameIPv4 || p.Class == FrameIPv6
	if r.EtherType != 0 {
		return map[FrameClass]uint16{FrameIPv4: 0x800, FrameIPv6: 0x86dd, FrameNeighbour: 0x86dd, FrameARP: 0x806,
			FrameOther: p.EtherType, FrameOpaque: p.EtherType}[p.Class] == r.EtherType
	}
	asksPort := r.RemotePort.Set || r.LocalPort.Set
	asksIP := r.Protocol != "any" || r.Remote.IsValid() || r.Local.IsValid() || asksPort
	switch {
	case p.Class == FrameARP || p.Class == FrameNeighbour:
		return false
	case !asksIP:
		return true
	case p.Class == FrameOpaque:
		return r.Action == "deny"
	case !isIP:
		return false
	}
	in := func(prefix netip.Prefix, a packet.Addr) bool {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], a.Hi)
		binary.BigEndian.PutUint64(b[8:], a.Lo)
		n := netip.AddrFrom16(b)
		if p.Class == FrameIPv4 {
			n = n.Unmap()
		}
		return !prefix.IsValid() || prefix.Contains(n)
	}
	if !in(r.Remote, p.Remote) || !in(r.Local, p.Local) || r.Protocol != "any" && r.Protocol != protocolName(p.Proto) {
		return false
	}
	if asksPort && !p.HasPorts {
		return r.Action == "deny"
	}
	inRange := func(q PortRange, port uint16) bool { return !q.Set || q.Low <= port && port <= q.High }
	return inRange(r.RemotePort, p.RemotePort) && inRange(r.LocalPort, p.LocalPort)
}

var fewPrefixes = []netip.Prefix{{}, {}, pfx("0.0.0.0/0").Netip(), pfx("10.0.0.0/8").Netip(), pfx("10.0.0.0/24").Netip(), pfx("10.0.0.5/32").Netip(),
	netip.MustParsePrefix("::/0"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("2001:db8::5/128"),
	netip.MustParsePrefix("2001:db8::/66")}

func drawRule(t *rapid.T) ACLConfig {
	r := ACLConfig{Direction: rapid.SampledFrom([]string{"in", "out", "both"}).Draw(t, "direction"),
		Action: rapid.SampledFrom([]string{"allow", "deny"}).Draw(t, "action"), Weight: uint16(rapid.IntRange(0, 2).Draw(t, "weight")), Protocol: ProtocolAny}
	if rapid.IntRange(0, 5).Draw(t, "with MAC") == 0 {
		r.RemoteMAC = rapid.SampledFrom(fewMACs).Draw(t, "mac")
	}
	if rapid.IntRange(0, 5).Draw(t, "with EtherType") == 0 {
		r.EtherType = rapid.SampledFrom([]uint16{0x800, 0x806, 0x86dd, 0x8100, 0x88b5}).Draw(t, "etherType")
		return r
	}
	r.Remote = rapid.SampledFrom(fewPrefixes).Draw(t, "remote")
	r.Local = rapid.SampledFrom(fewPrefixes).Draw(t, "local")
	if r.Remote.IsValid() && r.Local.IsValid() && r.Remote.Addr().Is4() != r.Local.Addr().Is4() {
		r.Local = netip.Prefix{}
	}
	r.Protocol = rapid.SampledFrom([]string{"any", "tcp", "udp", "icmp", "47"}).Draw(t, "protocol")
	if r.Protocol == "tcp" || r.Protocol == "udp" {
		r.RemotePort, r.LocalPort = drawPorts(t), drawPorts(t)
	}
	return r
}

func drawPorts(t *rapid.T) PortRange {
	if rapid.Bool().Draw(t, "any port") {
		return PortRange{}
	}
	a, b := rapid.Uint16Range(0, 3).Draw(t, "port"), rapid.SampledFrom([]uint16{0, 1, 2, 3, 65535}).Draw(t, "port")
	return PortRange{min(a, b), max(a, b), true}
}

func drawPacket(t *rapid.T) ACLPacket {
	p := ACLPacket{RemoteMAC: rapid.SampledFrom(fewMACs).Draw(t, "mac"), Class: FrameClass(1) << rapid.IntRange(0, 5).Draw(t, "class")}
	choose := func(all ...string) packet.Addr { return addr(rapid.SampledFrom(all).Draw(t, "addr")) }
	switch p.Class {
	case FrameIPv4:
		p.Remote, p.Local = choose("10.0.0.5", "10.0.0.6", "10.1.0.5", "11.0.0.0"), choose("10.0.0.5", "192.0.2.1")
	case FrameIPv6, FrameNeighbour:
		p.Remote, p.Local = choose("2001:db8::5", "2001:db8:1::5", "::", "2001:db8:0:0:8000::", "::ffff:10.0.0.5"), choose("2001:db8::5", "fe80::1")
	case FrameOther:
		p.EtherType = 0x88b5
	case FrameOpaque:
		p.EtherType = rapid.SampledFrom([]uint16{0, 0x8100, 0x88a8}).Draw(t, "etherType")
	}
	if p.Class == FrameIPv4 || p.Class == FrameIPv6 {
		p.Proto = rapid.SampledFrom([]uint8{6, 17, 1, 47}).Draw(t, "protocol")
		if p.HasPorts = HasPorts(p.Proto) && rapid.IntRange(0, 3).Draw(t, "fragment") > 0; p.HasPorts {
			port := rapid.SampledFrom([]uint16{0, 1, 2, 3, 4, 65535})
			p.RemotePort, p.LocalPort = port.Draw(t, "remote port"), port.Draw(t, "local port")
		}
	}
	return p
}

// TestDecideAsDocumented compares with the rules read one by one.
func TestDecideAsDocumented(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(drawRule), 0, 8).Draw(t, "rules")
		for i := range rules {
			rules[i].Name = fmt.Sprint("r", i)
		}
		acl := compileACL("vport v", rules)
		for _, p := range rapid.SliceOfN(rapid.Custom(drawPacket), 1, 20).Draw(t, "packets") {
			for d := range numDirections {
				var best *ACLConfig
				for i := range rules {
					if r := &rules[i]; matches(r, d, &p) && (best == nil || r.Weight > best.Weight) {
						best = r
					}
				}
				got := acl.Decide(d, &p)
				require.Equal(t, best == nil, got == nil, "%s: %+v", d, p)
				if best == nil {
					continue
				}
				require.Equal(t, best.Name, acl.origins[got.number].name, "%s: %+v", d, p)
				require.Equal(t, best.Action == "deny", got.Denies())
			}
		}
	})
}

// TestDecideAddrs: the rules for unknown ports are those that Decide may find for some.
func TestDecideAddrs(t *testing.T) {
	s := withACLs(t, nil, edits{"[10.0.0.5]}", "[10.0.0.5], acls: [" + ruleA + ", " + strings.Replace(ruleB, "weight: 1", "weight: 0", 1) + ", {name: c, direction: in, action: deny}]}"})
	acl := s.ACL(s.Ports[7].ACL)
	maybe, decisive := acl.DecideAddrs(DirIn, &ACLPacket{Class: FrameIPv4, Remote: addr("10.1.1.1"), Local: addr("10.0.0.5")})
	require.Len(t, maybe, 1)
	assert.Equal(t, "acl a of vport red-vm1 (line 6)", acl.Describe(maybe[0]))
	require.NotNil(t, decisive)
	assert.Equal(t, "acl b of vport red-vm1 (line 6)", acl.Describe(decisive))
	assert.Equal(t, "any", decisive.Transport())
	_, decisive = acl.DecideAddrs(DirIn, &ACLPacket{Class: FrameIPv4, Remote: addr("192.0.2.1"), Local: addr("10.0.0.5")})
	assert.Equal(t, "acl c of vport red-vm1 (line 6)", acl.Describe(decisive))
	maybe, decisive = acl.DecideAddrs(DirOut, &ACLPacket{Class: FrameIPv4, Remote: addr("192.0.2.1"), Local: addr("10.0.0.5")})
	assert.Empty(t, maybe)
	assert.Nil(t, decisive)
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1, 10, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			acl := compileACL("vport v", manyRules(n))
			p := &ACLPacket{Class: FrameIPv4, Proto: 6, HasPorts: true, Remote: addr("10.9.9.9"), Local: addr("10.0.0.5"), LocalPort: 443}
			for b.Loop() {
				if acl.Decide(DirIn, p) != nil {
					b.Fatal("no rule matches")
				}
			}
		})
	}
}

// manyRules match nothing of 10.9.0.0/16.
func manyRules(n int) []ACLConfig {
	rules := make([]ACLConfig, n)
	for i := range rules {
		rules[i] = ACLConfig{Direction: DirectionBoth, Action: ActionDeny, Protocol: "tcp", LocalPort: PortRange{443, 443, true},
			Remote: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 200, byte(i >> 8), byte(i)}), 32)}
	}
	return rules
}

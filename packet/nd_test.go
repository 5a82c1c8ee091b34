package packet

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Both as Linux sends them (testdata/linux.pcap).
const (
	nsGolden = "6000 0000 0020 3aff 20010db8000900000000000000000010 ff0200000000000000000001ff000001" +
		"8700 1bff 0000 0000 20010db8000900000000000000000001 0101 0200 0000 000a"
	naGolden = "6000 0000 0020 3aff 20010db8000900000000000000000001 20010db8000900000000000000000010" +
		"8800 0a4a e000 0000 20010db8000900000000000000000001 0201 0200 0000 0001"
)

func TestNeighborGolden(t *testing.T) {
	host, router := addr(t, "2001:db8:9::10"), addr(t, "2001:db8:9::1")
	ip, f := CheckIPv6(unhex(t, nsGolden))
	require.Equal(t, FaultNone, f)
	s, f := CheckNeighborSolicit(ip, ip.Payload())
	require.Equal(t, FaultNone, f)
	assert.Equal(t, router, s.Target())
	mac, ok := s.SourceMAC()
	assert.True(t, ok)
	assert.Equal(t, macA, mac)
	b := make([]byte, NeighborMACLen)
	assert.Equal(t, len(b), EncodeNeighborSolicit(b, host, SolicitedNode(router), router, macA))
	assert.Equal(t, []byte(s), b)
	_, f = CheckNeighborAdvert(ip, ip.Payload())
	assert.Equal(t, FaultProtocol, f)

	ip, f = CheckIPv6(unhex(t, naGolden))
	require.Equal(t, FaultNone, f)
	a, f := CheckNeighborAdvert(ip, ip.Payload())
	require.Equal(t, FaultNone, f)
	assert.Equal(t, router, a.Target())
	assert.Equal(t, NAFlagRouter|NAFlagSolicited|NAFlagOverride, a.Flags())
	mac, ok = a.TargetMAC()
	assert.True(t, ok)
	assert.Equal(t, macB, mac)
	assert.Equal(t, len(b), EncodeNeighborAdvert(b, router, host, router, a.Flags(), macB))
	assert.Equal(t, []byte(a), b)
	_, f = CheckNeighborSolicit(ip, ip.Payload())
	assert.Equal(t, FaultProtocol, f)

	assert.Zero(t, EncodeNeighborAdvert(b[:31], router, host, router, 0, macB), "no room")
}

// message is a neighbour message to be broken in one place; fix makes its checksum right again.
type message struct {
	ip  IPv6
	fix bool
}

func (m *message) body() []byte { return m.ip[IPv6Len:] }

func TestNeighborChecks(t *testing.T) {
	solicit := func(ip IPv6) Fault { _, f := CheckNeighborSolicit(ip, ip.Payload()); return f }
	advert := func(ip IPv6) Fault { _, f := CheckNeighborAdvert(ip, ip.Payload()); return f }
	for _, c := range []struct {
		name, golden string
		check        func(IPv6) Fault
		change       func(*message)
		want         Fault
	}{
		{"solicit", nsGolden, solicit, func(*message) {}, FaultNone},
		{"forwarded", nsGolden, solicit, func(m *message) { m.ip[ipv6Hops] = 254 }, FaultHopLimit},
		{"checksum", nsGolden, solicit, func(m *message) { m.fix = false; m.body()[31] ^= 1 }, FaultChecksum},
		{"other source than summed", nsGolden, solicit, func(m *message) { m.fix = false; m.ip[ipv6Src+15] ^= 1 }, FaultChecksum},
		{"code", nsGolden, solicit, func(m *message) { m.body()[1] = 1 }, FaultProtocol},
		{"target is a group", nsGolden, solicit, func(m *message) { m.body()[8] = 0xff }, FaultAddress},
		{"option of length 0", nsGolden, solicit, func(m *message) { m.body()[25] = 0 }, FaultOption},
		{"option beyond the end", nsGolden, solicit, func(m *message) { m.body()[25] = 2 }, FaultOption},
		{"unknown option", nsGolden, solicit, func(m *message) { m.body()[24] = 14 }, FaultNone},
		{"no option", nsGolden, solicit, func(m *message) { m.ip = m.ip[:64] }, FaultNone},
		{"half an option", nsGolden, solicit, func(m *message) { m.ip = m.ip[:68] }, FaultOption},
		{"cut off", nsGolden, solicit, func(m *message) { m.ip = m.ip[:63] }, FaultTruncated},
		{"from :: with a MAC", nsGolden, solicit, func(m *message) { m.ip.SetSrc(Addr{}) }, FaultAddress},
		{"from ::", nsGolden, solicit, func(m *message) { m.ip = m.ip[:64]; m.ip.SetSrc(Addr{}) }, FaultNone},
		{"from :: to one host", nsGolden, solicit, func(m *message) {
			m.ip = m.ip[:64]
			m.ip.SetSrc(Addr{})
			m.ip.SetDst(Addr{0xfe80 << 48, 1})
		}, FaultAddress},
		{"advert", naGolden, advert, func(*message) {}, FaultNone},
		{"advert forwarded", naGolden, advert, func(m *message) { m.ip[ipv6Hops] = 64 }, FaultHopLimit},
		{"advert about a group", naGolden, advert, func(m *message) { m.body()[8] = 0xff }, FaultAddress},
		{"solicited, to a group", naGolden, advert, func(m *message) { m.ip.SetDst(Addr{0xff02 << 48, 1}) }, FaultAddress},
		{"unsolicited, to a group", naGolden, advert, func(m *message) {
			m.ip.SetDst(Addr{0xff02 << 48, 1})
			m.body()[4] &^= NAFlagSolicited
		}, FaultNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := message{ip: unhex(t, c.golden), fix: true}
			c.change(&m)
			m.ip.SetPayloadLen(uint16(len(m.ip) - IPv6Len))
			if m.fix && len(m.body()) >= ICMPv6Len {
				ICMPv6(m.body()).SetChecksum(m.ip.Src(), m.ip.Dst())
			}
			assert.Equal(t, c.want, c.check(m.ip))
		})
	}
}

func TestNeighborTruncatedAtEveryByte(t *testing.T) {
	ip := IPv6(unhex(t, naGolden))
	for n := range len(ip) - IPv6Len {
		_, f := CheckNeighborAdvert(ip, ip.Payload()[:n])
		assert.NotEqual(t, FaultNone, f, n)
		_, f = CheckNeighborSolicit(ip, ip.Payload()[:n])
		assert.NotEqual(t, FaultNone, f, n)
		_, f = CheckRouterAdvert(ip, ip.Payload()[:n])
		assert.NotEqual(t, FaultNone, f, n)
	}
}

func TestNeighborWithoutMAC(t *testing.T) {
	dst := SolicitedNode(addr(t, "fe80::1"))
	b := make([]byte, NeighborMACLen)
	n := EncodeNeighborSolicit(b, Addr{}, dst, addr(t, "fe80::1"), MAC{})
	require.Equal(t, NeighborLen, n)
	s, f := CheckNeighborSolicit(packet6(Addr{}, dst, 255, b[:n]), b[:n])
	require.Equal(t, FaultNone, f)
	_, ok := s.SourceMAC()
	assert.False(t, ok)
}

func TestRouterAdvert(t *testing.T) {
	src, dst := addr(t, "fe80::1"), addr(t, "ff02::1")
	prefix := PrefixInfo{Prefix: addr(t, "2001:db8:1::"), Bits: 64, OnLink: true, Autonomous: true, ValidSeconds: 86400, PreferredSeconds: 14400}
	for _, c := range []struct {
		name   string
		fields RouterAdvertFields
		len    int
	}{
		{"bare", RouterAdvertFields{}, 16},
		{"timers", RouterAdvertFields{CurHopLimit: 64, Flags: RAFlagManaged | RAFlagOther, LifetimeSeconds: 1800, ReachableMillis: 30000, RetransMillis: 1000}, 16},
		{"MAC and MTU", RouterAdvertFields{SourceMAC: macB, MTU: 1458}, 32},
		{"prefixes", RouterAdvertFields{SourceMAC: macB, MTU: 1458, Prefixes: []PrefixInfo{prefix, {Prefix: addr(t, "2001:db8:2::"), Bits: 48}}}, 96},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := make([]byte, 128)
			for i := range b {
				b[i] = 0xee
			}
			n := c.fields.Encode(b[:c.len], src, dst)
			require.Equal(t, c.len, n)
			require.Equal(t, c.len, c.fields.Len())
			r, f := CheckRouterAdvert(packet6(src, dst, 255, b[:n]), b[:n])
			require.Equal(t, FaultNone, f)

			got := RouterAdvertFields{CurHopLimit: r.CurHopLimit(), Flags: r.Flags(), LifetimeSeconds: r.Lifetime(),
				ReachableMillis: r.ReachableTime(), RetransMillis: r.RetransTimer()}
			got.SourceMAC, _ = r.SourceMAC()
			got.MTU, _ = r.MTU()
			for rest := r.Options(); len(rest) > 0; {
				typ, data, next, f := NextNDOption(rest)
				require.Equal(t, FaultNone, f)
				if p, ok := ParsePrefixInfo(data); typ == NDOptPrefix && ok {
					got.Prefixes = append(got.Prefixes, p)
				}
				rest = next
			}
			assert.Equal(t, c.fields, got)
			assert.Zero(t, c.fields.Encode(b[:n-1], src, dst), "no room")

			_, f = CheckRouterAdvert(packet6(src, dst, 64, b[:n]), b[:n])
			assert.Equal(t, FaultHopLimit, f)
			global := addr(t, "2001:db8::1")
			ICMPv6(b[:n]).SetChecksum(global, dst)
			_, f = CheckRouterAdvert(packet6(global, dst, 255, b[:n]), b[:n])
			assert.Equal(t, FaultAddress, f)
		})
	}
}

func TestRouterAdvertOddOptions(t *testing.T) {
	src, dst := addr(t, "fe80::1"), addr(t, "ff02::1")
	b := append(make([]byte, RouterAdvertLen), unhex(t, "0502 0000 0000 05b4 0000 0000 0000 0000")...) // MTU, 16 bytes
	b[0] = ICMPv6RouterAdvert
	ICMPv6(b).SetChecksum(src, dst)
	r, f := CheckRouterAdvert(packet6(src, dst, 255, b), b)
	require.Equal(t, FaultNone, f)
	_, ok := r.MTU()
	assert.False(t, ok)
	_, ok = ParsePrefixInfo(make([]byte, 29))
	assert.False(t, ok)
	bad := make([]byte, 30)
	bad[0] = 129
	_, ok = ParsePrefixInfo(bad)
	assert.False(t, ok, "a prefix of 129 bits")
}

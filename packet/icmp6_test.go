package packet

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// packet6 puts a message into an IPv6 packet.
func packet6(src, dst Addr, hops uint8, m []byte) IPv6 {
	f := IPv6Fields{PayloadLen: uint16(len(m)), NextHeader: ProtoICMPv6, HopLimit: hops, Src: src, Dst: dst}
	b := make([]byte, IPv6Len)
	f.Encode(b)
	return append(b, m...)
}

func TestICMPv6EchoGolden(t *testing.T) {
	src, dst := addr(t, "2001:db8:9::10"), addr(t, "2001:db8:a::b")
	b := make([]byte, 16)
	n := EncodeICMPv6Echo(b, src, dst, ICMPv6Echo, 0x4f3e, 1, []byte("odd"))
	require.Equal(t, 11, n)
	m, f := CheckICMPv6(b[:n])
	require.Equal(t, FaultNone, f)
	assert.Equal(t, ICMPv6Echo, m.Type())
	assert.Zero(t, m.Code())
	assert.Equal(t, uint16(0x4f3e), m.ID())
	assert.Equal(t, uint16(1), m.Seq())
	assert.Equal(t, "odd", string(m.Payload()))
	assert.NotZero(t, m.Checksum())
	assert.True(t, m.ChecksumOK(src, dst))
	assert.True(t, m.ChecksumOK(dst, src), "addition does not see the order")
	assert.False(t, m.ChecksumOK(src, addr(t, "2001:db8:a::c")))
	assert.False(t, m.IsError())
	assert.Zero(t, EncodeICMPv6Echo(b[:10], src, dst, ICMPv6Echo, 1, 1, []byte("odd")), "no room")
}

func TestICMPv6PacketTooBig(t *testing.T) {
	src, dst := addr(t, "2001:db8:9::1"), addr(t, "2001:db8:9::10")
	orig := packet6(dst, addr(t, "2001:db8:a::b"), 64, make([]byte, 1460))
	b := make([]byte, 1500)
	n := EncodeICMPv6Error(b, src, dst, ICMPv6PacketTooBig, 0, 1400, orig)
	assert.Equal(t, IPv6MinMTU, IPv6Len+n)
	m := ICMPv6(b[:n])
	assert.Equal(t, ICMPv6PacketTooBig, m.Type())
	assert.Equal(t, uint32(1400), m.MTU())
	assert.True(t, m.IsError())
	assert.True(t, m.ChecksumOK(src, dst))
	assert.Equal(t, []byte(orig[:n-8]), m.Payload())

	n = EncodeICMPv6Error(b, src, dst, ICMPv6TimeExceeded, 0, 0, orig[:60])
	assert.Equal(t, 68, n)
	assert.Zero(t, EncodeICMPv6Error(b[:67], src, dst, ICMPv6TimeExceeded, 0, 0, orig[:60]))
}

func TestMayAnswerIPv6(t *testing.T) {
	icmp := func(typ byte) []byte { return []byte{typ, 0, 0, 0, 0, 0, 0, 0} }
	host, peer, group := "2001:db8::1", "2001:db8::2", "ff02::1"
	for _, c := range []struct {
		name      string
		src, dst  string
		next      uint8
		payload   []byte
		typ, code uint8
		want      bool
	}{
		{"UDP", host, peer, ProtoUDP, make([]byte, 8), ICMPv6TimeExceeded, 0, true},
		{"from nobody", "::", peer, ProtoUDP, make([]byte, 8), ICMPv6TimeExceeded, 0, false},
		{"from a group", group, peer, ProtoUDP, make([]byte, 8), ICMPv6TimeExceeded, 0, false},
		{"to a group", host, group, ProtoUDP, make([]byte, 8), ICMPv6TimeExceeded, 0, false},
		{"too big to a group", host, group, ProtoUDP, make([]byte, 8), ICMPv6PacketTooBig, 0, true},
		{"unknown option to a group", host, group, ProtoUDP, make([]byte, 8), ICMPv6ParameterProblem, ICMPv6UnknownOption, true},
		{"other problem to a group", host, group, ProtoUDP, make([]byte, 8), ICMPv6ParameterProblem, 0, false},
		{"echo", host, peer, ProtoICMPv6, icmp(ICMPv6Echo), ICMPv6TimeExceeded, 0, true},
		{"error", host, peer, ProtoICMPv6, icmp(ICMPv6PacketTooBig), ICMPv6PacketTooBig, 0, false},
		{"unassigned error", host, peer, ProtoICMPv6, icmp(127), ICMPv6TimeExceeded, 0, false},
		{"redirect", host, peer, ProtoICMPv6, icmp(ICMPv6Redirect), ICMPv6TimeExceeded, 0, false},
		{"ICMPv6 cut off", host, peer, ProtoICMPv6, []byte{128}, ICMPv6TimeExceeded, 0, false},
		{"error behind options", host, peer, ProtoDstOpts, append([]byte{ProtoICMPv6, 0, 1, 4, 0, 0, 0, 0}, icmp(1)...), ICMPv6TimeExceeded, 0, false},
		{"first fragment", host, peer, ProtoFragment, append([]byte{ProtoUDP, 0, 0, 1, 0, 0, 0, 1}, make([]byte, 8)...), ICMPv6PacketTooBig, 0, true},
		{"later fragment", host, peer, ProtoFragment, append([]byte{ProtoUDP, 0, 0, 8, 0, 0, 0, 1}, make([]byte, 8)...), ICMPv6PacketTooBig, 0, false},
		{"broken chain", host, peer, ProtoDstOpts, []byte{ProtoUDP, 9, 0, 0}, ICMPv6PacketTooBig, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ip := packet6(addr(t, c.src), addr(t, c.dst), 64, c.payload)
			ip[ipv6Next] = c.next
			assert.Equal(t, c.want, MayAnswerIPv6(ip, c.typ, c.code))
		})
	}
}

func TestIPv6AddressKinds(t *testing.T) {
	for _, c := range []struct {
		in                               string
		multicast, linkLocal, unspecific bool
	}{
		{"::", false, false, true},
		{"::1", false, false, false},
		{"fe80::1", false, true, false},
		{"febf::1", false, true, false},
		{"fec0::1", false, false, false},
		{"ff02::1", true, false, false},
		{"2001:db8::1", false, false, false},
		{"10.0.0.1", false, false, false},
	} {
		a := addr(t, c.in)
		assert.Equal(t, c.multicast, IsMulticast6(a), c.in)
		assert.Equal(t, c.linkLocal, IsLinkLocal6(a), c.in)
		assert.Equal(t, c.unspecific, IsUnspecified6(a), c.in)
	}
	assert.Equal(t, addr(t, "ff02::1:ffcd:ef01"), SolicitedNode(addr(t, "2001:db8:0:89ab:cdef:1234:abcd:ef01")))
	assert.Equal(t, MAC{0x33, 0x33, 0xff, 0xcd, 0xef, 0x01}, MulticastMAC6(addr(t, "ff02::1:ffcd:ef01")))
	assert.Equal(t, MAC{0x33, 0x33, 0, 0, 0, 1}, MulticastMAC6(addr(t, "ff02::1")))
}

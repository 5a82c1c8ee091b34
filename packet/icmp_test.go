package packet

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestICMPEchoGolden(t *testing.T) {
	b := make([]byte, 64)
	n := EncodeICMPEcho(b, ICMPEcho, 0x5181, 1, []byte("abcd"))
	require.Equal(t, 12, n)
	assert.Equal(t, unhex(t, "0800 e1b6 5181 0001 61626364"), b[:n])
	m, f := CheckICMP(b[:n])
	require.Equal(t, FaultNone, f)
	assert.Equal(t, ICMPEcho, m.Type())
	assert.Zero(t, m.Code())
	assert.Equal(t, uint16(0x5181), m.ID())
	assert.Equal(t, uint16(1), m.Seq())
	assert.Equal(t, "abcd", string(m.Payload()))
	assert.True(t, m.ChecksumOK())
	assert.False(t, m.IsError())
	assert.Zero(t, EncodeICMPEcho(make([]byte, 11), ICMPEcho, 1, 1, []byte("abcd")), "no room")

	require.True(t, m.TurnEcho())
	want := make([]byte, n)
	EncodeICMPEcho(want, ICMPEchoReply, 0x5181, 1, []byte("abcd"))
	assert.Equal(t, want, []byte(m))
	assert.False(t, m.TurnEcho(), "a reply is not answered")
}

func TestICMPTruncated(t *testing.T) {
	for n := range ICMPLen {
		_, f := CheckICMP(make([]byte, n))
		assert.Equal(t, FaultTruncated, f)
		_, f = CheckICMPv6(make([]byte, n))
		assert.Equal(t, FaultTruncated, f)
	}
}

// Every identifier, which takes the checksum through all its values; 0 leaves nothing but zeros in the reply.
func TestICMPTurnEchoIsRecomputation(t *testing.T) {
	b := make([]byte, ICMPLen)
	for id := range 0x10000 {
		EncodeICMPEcho(b, ICMPEcho, uint16(id), 0, nil)
		require.True(t, ICMP(b).TurnEcho())
		got := ICMP(b).Checksum()
		ICMP(b).SetChecksum()
		require.Equal(t, ICMP(b).Checksum(), got, "%#x", id)
	}
}

func TestICMPTurnEchoKeepsCorruption(t *testing.T) {
	b := make([]byte, ICMPLen)
	EncodeICMPEcho(b, ICMPEcho, 1, 1, nil)
	b[7] ^= 4
	require.True(t, ICMP(b).TurnEcho())
	assert.False(t, ICMP(b).ChecksumOK())
	for _, other := range []byte{ICMPEchoReply, ICMPUnreachable, 13, 255} {
		b[0] = other
		before := append([]byte(nil), b...)
		assert.False(t, ICMP(b).TurnEcho())
		assert.Equal(t, before, b)
	}
}

func TestICMPErrors(t *testing.T) {
	orig := make(IPv4, 1500)
	f := IPv4Fields{TTL: 1, Proto: ProtoUDP, TotalLen: 1500, Src: 0x0a000005, Dst: 0x0a000107}
	f.Encode(orig)
	for _, c := range []struct {
		name       string
		encode     func(b []byte, orig IPv4) int
		typ, code  uint8
		mtu        uint16
		quote, len int
	}{
		{"fragmentation needed", func(b []byte, o IPv4) int { return EncodeICMPFragNeeded(b, 1458, o) },
			ICMPUnreachable, ICMPFragNeeded, 1458, 1500, 8 + MaxICMPQuote},
		{"time exceeded", func(b []byte, o IPv4) int { return EncodeICMPError(b, ICMPTimeExceeded, ICMPTTLExceeded, o) },
			ICMPTimeExceeded, 0, 0, 1500, 8 + MaxICMPQuote},
		{"of a short packet", func(b []byte, o IPv4) int { return EncodeICMPError(b, ICMPUnreachable, ICMPHostUnreachable, o) },
			ICMPUnreachable, ICMPHostUnreachable, 0, 28, 36},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := make([]byte, 600)
			b[4] = 0xee // stale bytes
			n := c.encode(b, orig[:c.quote])
			require.Equal(t, c.len, n)
			m, f := CheckICMP(b[:n])
			require.Equal(t, FaultNone, f)
			assert.Equal(t, c.typ, m.Type())
			assert.Equal(t, c.code, m.Code())
			assert.Equal(t, c.mtu, m.MTU())
			assert.Zero(t, m.ID())
			assert.True(t, m.ChecksumOK())
			assert.True(t, m.IsError())
			assert.Equal(t, []byte(orig[:n-8]), m.Payload())
			assert.LessOrEqual(t, IPv4Len+n, 576)
			assert.Zero(t, c.encode(make([]byte, c.len-1), orig[:c.quote]), "no room")
		})
	}
}

// The worker builds an error in the buffer of the packet that it is about.
func TestICMPErrorInPlace(t *testing.T) {
	orig := goldenIPv4(t)
	buf := make([]byte, IPv4Len+ICMPLen+len(orig))
	copy(buf[20:], orig)
	n := EncodeICMPError(buf[12:], ICMPTimeExceeded, 0, IPv4(buf[20:20+len(orig)]))
	require.Equal(t, ICMPLen+len(orig), n)
	assert.Equal(t, []byte(orig), ICMP(buf[12:12+n]).Payload())

	copy(buf[0:], orig)
	n = EncodeICMPError(buf[IPv4Len:], ICMPTimeExceeded, 0, IPv4(buf[:len(orig)]))
	assert.Equal(t, []byte(orig), ICMP(buf[IPv4Len:IPv4Len+n]).Payload())
}

func TestMayAnswerIPv4(t *testing.T) {
	icmp := func(typ byte) []byte { return []byte{typ, 0, 0, 0, 0, 0, 0, 0} }
	for _, c := range []struct {
		name     string
		src, dst uint32
		proto    uint8
		frag     uint16
		payload  []byte
		want     bool
	}{
		{"UDP", 0x0a000001, 0x0a000102, ProtoUDP, 0, make([]byte, 8), true},
		{"first fragment", 0x0a000001, 0x0a000102, ProtoUDP, IPv4MoreFragments, make([]byte, 8), true},
		{"later fragment", 0x0a000001, 0x0a000102, ProtoUDP, 1, make([]byte, 8), false},
		{"from nobody", 0, 0x0a000102, ProtoUDP, 0, make([]byte, 8), false},
		{"from a net", 0x00000001, 0x0a000102, ProtoUDP, 0, make([]byte, 8), false},
		{"from loopback", 0x7f000001, 0x0a000102, ProtoUDP, 0, make([]byte, 8), false},
		{"from a group", 0xe0000001, 0x0a000102, ProtoUDP, 0, make([]byte, 8), false},
		{"from broadcast", 0xffffffff, 0x0a000102, ProtoUDP, 0, make([]byte, 8), false},
		{"to a group", 0x0a000001, 0xe0000001, ProtoUDP, 0, make([]byte, 8), false},
		{"to broadcast", 0x0a000001, 0xffffffff, ProtoUDP, 0, make([]byte, 8), false},
		{"to nobody", 0x0a000001, 0, ProtoUDP, 0, make([]byte, 8), false},
		{"echo", 0x0a000001, 0x0a000102, ProtoICMP, 0, icmp(ICMPEcho), true},
		{"echo reply", 0x0a000001, 0x0a000102, ProtoICMP, 0, icmp(ICMPEchoReply), true},
		{"unreachable", 0x0a000001, 0x0a000102, ProtoICMP, 0, icmp(ICMPUnreachable), false},
		{"quench", 0x0a000001, 0x0a000102, ProtoICMP, 0, icmp(ICMPSourceQuench), false},
		{"redirect", 0x0a000001, 0x0a000102, ProtoICMP, 0, icmp(ICMPRedirect), false},
		{"time exceeded", 0x0a000001, 0x0a000102, ProtoICMP, 0, icmp(ICMPTimeExceeded), false},
		{"parameter problem", 0x0a000001, 0x0a000102, ProtoICMP, 0, icmp(ICMPParameterProblem), false},
		{"ICMP cut off", 0x0a000001, 0x0a000102, ProtoICMP, 0, []byte{8}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := IPv4Fields{Proto: c.proto, Src: c.src, Dst: c.dst, Frag: c.frag, TotalLen: uint16(20 + len(c.payload))}
			b := make([]byte, 20)
			f.Encode(b)
			ip, fault := CheckIPv4(append(b, c.payload...))
			require.Equal(t, FaultNone, fault)
			assert.Equal(t, c.want, MayAnswerIPv4(ip))
		})
	}
}

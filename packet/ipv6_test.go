package packet

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A UDP packet as Linux sends it, with a traffic class and flow label put in.
const ipv6Golden = "6b9a bcde 000b 1140 2001 0db8 0009 0000 0000 0000 0000 0010 2001 0db8 000a 0000 0000 0000 0000 000b" +
	"a964 138a 000b ffff 6f6464"

func TestIPv6Golden(t *testing.T) {
	v, f := CheckIPv6(append(unhex(t, ipv6Golden), 0xee, 0xee))
	require.Equal(t, FaultNone, f)
	assert.Len(t, v, 51, "what pads the frame is cut off")
	assert.Equal(t, uint8(0xb9), v.TrafficClass())
	assert.Equal(t, uint8(46), v.DSCP())
	assert.Equal(t, ECNECT1, v.ECN())
	assert.Equal(t, uint32(0xabcde), v.FlowLabel())
	assert.Equal(t, uint16(11), v.PayloadLen())
	assert.Equal(t, ProtoUDP, v.NextHeader())
	assert.Equal(t, uint8(64), v.HopLimit())
	assert.Equal(t, addr(t, "2001:db8:9::10"), v.Src())
	assert.Equal(t, addr(t, "2001:db8:a::b"), v.Dst())
	assert.Len(t, v.Payload(), 11)

	c, f := v.Walk()
	assert.Equal(t, FaultNone, f)
	assert.Equal(t, IPv6Chain{Proto: ProtoUDP, Upper: IPv6Len}, c)

	fields := v.Fields()
	b := make([]byte, IPv6Len)
	fields.Encode(b)
	assert.Equal(t, []byte(v[:IPv6Len]), b)
}

func TestIPv6Check(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   Fault
		len    int
	}{
		{"good", func(b []byte) []byte { return b }, FaultNone, 51},
		{"no payload", func(b []byte) []byte { b[5] = 0; return b }, FaultNone, 40},
		{"version 4", func(b []byte) []byte { b[0] = 0x4b; return b }, FaultVersion, 0},
		{"payload one beyond", func(b []byte) []byte { b[5] = 12; return b }, FaultTotalLength, 0},
		{"payload 65535", func(b []byte) []byte { b[4], b[5] = 0xff, 0xff; return b }, FaultTotalLength, 0},
		{"jumbogram", func(b []byte) []byte { b[5], b[6] = 0, ProtoHopByHop; return b }, FaultTotalLength, 0},
		{"empty", func([]byte) []byte { return nil }, FaultTruncated, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, f := CheckIPv6(c.change(unhex(t, ipv6Golden)))
			assert.Equal(t, c.want, f)
			assert.Len(t, v, c.len)
		})
	}
}

func TestIPv6TruncatedAtEveryByte(t *testing.T) {
	b := unhex(t, ipv6Golden)
	for n := range b {
		_, f := CheckIPv6(b[:n])
		want := FaultTotalLength
		if n < IPv6Len {
			want = FaultTruncated
		}
		assert.Equal(t, want, f, n)
	}
	assert.Equal(t, FaultNone, CheckIPv6Header(b[:40], 51))
	assert.Equal(t, FaultTotalLength, CheckIPv6Header(b[:40], 50))
	assert.Equal(t, FaultTruncated, CheckIPv6Header(b[:39], 51))
}

func TestIPv6Setters(t *testing.T) {
	v := IPv6(unhex(t, ipv6Golden))
	v.SetTrafficClass(0x5c)
	v.SetPayloadLen(0x1234)
	v.SetSrc(addr(t, "fe80::1"))
	v.SetDst(addr(t, "ff02::2"))
	require.True(t, v.DecHopLimit())
	assert.Equal(t, IPv6Fields{TrafficClass: 0x5c, FlowLabel: 0xabcde, PayloadLen: 0x1234, NextHeader: ProtoUDP, HopLimit: 63,
		Src: addr(t, "fe80::1"), Dst: addr(t, "ff02::2")}, v.Fields())
	for _, last := range []byte{0, 1} {
		v[ipv6Hops] = last
		assert.False(t, v.DecHopLimit())
		assert.Equal(t, last, v.HopLimit())
	}
}

// header is an extension header of tests.
type header struct {
	typ   uint8
	bytes string // without the next-header byte
}

// chain builds a packet of the headers, the last of which is the upper layer.
func chain(t testing.TB, headers ...header) IPv6 {
	var body []byte
	for i, h := range headers {
		if i+1 < len(headers) {
			body = append(body, headers[i+1].typ)
		}
		body = append(body, unhex(t, h.bytes)...)
	}
	f := IPv6Fields{PayloadLen: uint16(len(body)), NextHeader: headers[0].typ, HopLimit: 64}
	b := make([]byte, IPv6Len, IPv6Len+len(body))
	f.Encode(b)
	return IPv6(append(b, body...))
}

const (
	opts8  = "00 0104 00000000"                               // one option of padding
	opts16 = "01 010c 0000 0000 0000 0000 0000 0000"          // likewise, 16 bytes
	route8 = "00 00 00 00000000"                              // type 0, none left
	fragA  = "00 0001 0000002a"                               // first of several
	fragB  = "00 05a8 0000002a"                               // last, offset 1448
	fragM  = "00 05a9 0000002a"                               // one in the middle
	atomic = "00 0000 0000002a"                               // RFC 6946
	fragR  = "ff 0006 0000002a"                               // reserved bits set, else atomic
	udp8   = "0035 0035 0008 0000"                            // the upper layer
	tcp20  = "0016 0016 00000000 00000000 5002 0000 00000000" // likewise
)

func TestIPv6Walk(t *testing.T) {
	upper := func(p uint8) header {
		if p == ProtoTCP {
			return header{p, tcp20}
		}
		return header{p, udp8}
	}
	repeat := func(n int, h, last header) []header {
		var hs []header
		for range n {
			hs = append(hs, h)
		}
		return append(hs, last)
	}
	hop, dst, route := header{ProtoHopByHop, opts8}, header{ProtoDstOpts, opts8}, header{ProtoRouting, route8}
	frag := func(s string) header { return header{ProtoFragment, s} }
	for _, c := range []struct {
		name    string
		headers []header
		want    IPv6Chain
		fault   Fault
	}{
		{"none", []header{upper(ProtoTCP)}, IPv6Chain{ProtoTCP, 40, 0}, FaultNone},
		{"every known one", []header{hop, dst, route, frag(atomic), {ProtoDstOpts, opts16}, {ProtoMobility, opts8}, upper(ProtoUDP)},
			IPv6Chain{ProtoUDP, 40 + 7*8, 64}, FaultNone},
		{"first fragment", []header{frag(fragA), upper(ProtoUDP)}, IPv6Chain{ProtoUDP, 48, 40}, FaultNone},
		{"first fragment, options behind", []header{hop, frag(fragA), dst, upper(ProtoTCP)}, IPv6Chain{ProtoTCP, 64, 48}, FaultNone},
		{"last fragment", []header{frag(fragB), upper(ProtoUDP)}, IPv6Chain{ProtoUDP, 48, 40}, FaultNone},
		{"middle fragment", []header{frag(fragM), upper(ProtoUDP)}, IPv6Chain{ProtoUDP, 48, 40}, FaultNone},
		{"later fragment of options", []header{frag(fragB), {ProtoDstOpts, "ff"}}, IPv6Chain{ProtoDstOpts, 48, 40}, FaultNone},
		{"reserved bits of a fragment", []header{frag(fragR), upper(ProtoUDP)}, IPv6Chain{ProtoUDP, 48, 40}, FaultNone},
		{"nothing follows", []header{dst, {ProtoNoNext, ""}}, IPv6Chain{ProtoNoNext, 48, 0}, FaultNone},
		{"unknown header", []header{dst, {253, "ff"}}, IPv6Chain{253, 48, 0}, FaultNone},
		{"ESP", []header{hop, {ProtoESP, "00000001"}}, IPv6Chain{ProtoESP, 48, 0}, FaultNone},
		{"AH", []header{{ProtoAH, "04 0000"}}, IPv6Chain{ProtoAH, 40, 0}, FaultNone},
		{"inner IPv6", []header{dst, {ProtoIPv6, "60"}}, IPv6Chain{ProtoIPv6, 48, 0}, FaultNone},
		{"as many as allowed", repeat(MaxIPv6Extensions, dst, upper(ProtoUDP)), IPv6Chain{ProtoUDP, 104, 0}, FaultNone},
		{"one too many", repeat(MaxIPv6Extensions+1, dst, upper(ProtoUDP)), IPv6Chain{}, FaultChain},
		{"very many", repeat(150, dst, upper(ProtoUDP)), IPv6Chain{}, FaultChain},
		{"hop-by-hop not first", []header{dst, hop, upper(ProtoUDP)}, IPv6Chain{}, FaultChain},
		{"two hop-by-hop", []header{hop, hop, upper(ProtoUDP)}, IPv6Chain{}, FaultChain},
		{"two fragment headers", []header{frag(fragA), frag(fragA), upper(ProtoUDP)}, IPv6Chain{}, FaultChain},
		{"atomic fragment in a fragment", []header{frag(atomic), frag(fragA), upper(ProtoUDP)}, IPv6Chain{}, FaultChain},
		{"options beyond the packet", []header{{ProtoDstOpts, "01 0104 00000000"}}, IPv6Chain{}, FaultTruncated},
		{"options of 2048 bytes announced", []header{{ProtoDstOpts, "ff 0104 00000000"}, upper(ProtoTCP)}, IPv6Chain{}, FaultTruncated},
		{"header announced, nothing there", []header{dst, {ProtoRouting, ""}}, IPv6Chain{}, FaultTruncated},
		{"seven bytes of a header", []header{{ProtoRouting, "0000 0000 0000"}}, IPv6Chain{}, FaultTruncated},
		{"seven bytes of a fragment header", []header{{ProtoFragment, "0000 0000 0000"}}, IPv6Chain{}, FaultTruncated},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, f := CheckIPv6(chain(t, c.headers...))
			require.Equal(t, FaultNone, f)
			got, f := v.Walk()
			assert.Equal(t, c.fault, f)
			if f == FaultNone {
				assert.Equal(t, c.want, got)
			}
		})
	}
}

func TestIPv6WalkBoundsLength(t *testing.T) {
	for units := range 64 {
		size := (units + 1) * 8
		body := make([]byte, size+8)
		body[0], body[1] = ProtoUDP, byte(units)
		f := IPv6Fields{PayloadLen: uint16(len(body)), NextHeader: ProtoDstOpts}
		b := make([]byte, IPv6Len)
		f.Encode(b)
		c, fault := IPv6(append(b, body...)).Walk()
		if size > MaxIPv6ExtensionLen {
			assert.Equal(t, FaultChain, fault, size)
			continue
		}
		assert.Equal(t, FaultNone, fault, size)
		assert.Equal(t, IPv6Chain{ProtoUDP, IPv6Len + size, 0}, c)
	}
}

func TestIPv6WalkTruncatedAtEveryByte(t *testing.T) {
	v := chain(t, header{ProtoHopByHop, opts8}, header{ProtoFragment, fragA}, header{ProtoDstOpts, opts16}, header{ProtoUDP, udp8})
	const upper = IPv6Len + 8 + 8 + 16
	for n := IPv6Len; n < len(v); n++ {
		cut := append(IPv6(nil), v[:n]...)
		binary.BigEndian.PutUint16(cut[ipv6Payload:], uint16(n-IPv6Len))
		c, f := cut.Walk()
		if n < upper {
			assert.Equal(t, FaultTruncated, f, n)
			continue
		}
		assert.Equal(t, FaultNone, f, n)
		assert.Equal(t, IPv6Chain{ProtoUDP, upper, 48}, c)
	}
}

func TestIPv6Fragment(t *testing.T) {
	for _, c := range []struct {
		offset uint16
		more   bool
		atomic bool
	}{{0, false, true}, {0, true, false}, {8, false, false}, {1448, true, false}, {65528, true, false}} {
		b := make([]byte, IPv6FragmentLen)
		b[1] = 0xff
		EncodeIPv6Fragment(b, ProtoTCP, c.offset, c.more, 0xdeadbeef)
		v := IPv6Fragment(b)
		assert.Equal(t, ProtoTCP, v.NextHeader())
		assert.Equal(t, int(c.offset), v.Offset())
		assert.Equal(t, c.more, v.More())
		assert.Equal(t, c.atomic, v.IsAtomic())
		assert.Equal(t, uint32(0xdeadbeef), v.ID())
		assert.Zero(t, b[1])
	}
}

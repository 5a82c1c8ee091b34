package packet

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A UDP packet of three bytes; goldenIPv4 fills in the header checksum.
const ipv4Golden = "4500 001f 1234 4000 4011 0000 c0a8 0001 c0a8 00c7 0035 1234 000b 0000 616263"

func goldenIPv4(t testing.TB) IPv4 {
	b := IPv4(unhex(t, ipv4Golden))
	b.SetChecksum()
	return b
}

func TestIPv4Golden(t *testing.T) {
	v, f := CheckIPv4(unhex(t, "45b9 0073 1234 4000 4011 a574 c0a8 0001 c0a8 00c7"))
	assert.Equal(t, FaultTotalLength, f, "the header alone is not the packet")
	assert.Nil(t, v)

	v, f = CheckIPv4(append(unhex(t, "45b9 0073 1234 4000 4011 a574 c0a8 0001 c0a8 00c7"), make([]byte, 0x73-20+6)...))
	require.Equal(t, FaultNone, f)
	assert.Len(t, v, 0x73, "what pads the frame is cut off")
	assert.Equal(t, 20, v.HeaderLen())
	assert.Equal(t, uint8(0xb9), v.TOS())
	assert.Equal(t, uint8(46), v.DSCP())
	assert.Equal(t, ECNECT1, v.ECN())
	assert.Equal(t, uint16(0x73), v.TotalLen())
	assert.Equal(t, uint16(0x1234), v.ID())
	assert.True(t, v.DontFragment())
	assert.False(t, v.IsFragment())
	assert.Equal(t, uint8(64), v.TTL())
	assert.Equal(t, ProtoUDP, v.Proto())
	assert.Equal(t, uint16(0xa574), v.HeaderChecksum())
	assert.True(t, v.ChecksumOK())
	assert.Equal(t, uint32(0xc0a80001), v.Src())
	assert.Equal(t, uint32(0xc0a800c7), v.Dst())
	assert.Empty(t, v.Options())
	assert.Len(t, v.Payload(), 0x73-20)
}

func TestIPv4Check(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   Fault
		len    int
	}{
		{"good", func(b []byte) []byte { return b }, FaultNone, 31},
		{"padded", func(b []byte) []byte { return append(b, make([]byte, 15)...) }, FaultNone, 31},
		{"header only", func(b []byte) []byte { b[3] = 20; return b }, FaultNone, 20},
		{"version 6", func(b []byte) []byte { b[0] = 0x65; return b }, FaultVersion, 0},
		{"version 0", func(b []byte) []byte { b[0] = 0x05; return b }, FaultVersion, 0},
		{"IHL 0", func(b []byte) []byte { b[0] = 0x40; return b }, FaultHeaderLength, 0},
		{"IHL 4", func(b []byte) []byte { b[0] = 0x44; return b }, FaultHeaderLength, 0},
		{"IHL beyond the bytes", func(b []byte) []byte { b[0] = 0x4f; return b }, FaultTruncated, 0},
		{"total length below the header", func(b []byte) []byte { b[3] = 19; return b }, FaultTotalLength, 0},
		{"total length below the options", func(b []byte) []byte { b[0], b[3] = 0x47, 27; return b }, FaultTotalLength, 0},
		{"total length 0", func(b []byte) []byte { b[3] = 0; return b }, FaultTotalLength, 0},
		{"total length one beyond", func(b []byte) []byte { b[3] = 32; return b }, FaultTotalLength, 0},
		{"total length 65535", func(b []byte) []byte { b[2], b[3] = 0xff, 0xff; return b }, FaultTotalLength, 0},
		{"empty", func([]byte) []byte { return nil }, FaultTruncated, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, f := CheckIPv4(c.change(goldenIPv4(t)))
			assert.Equal(t, c.want, f)
			assert.Len(t, v, c.len)
		})
	}
}

func TestIPv4TruncatedAtEveryByte(t *testing.T) {
	b := goldenIPv4(t)
	for n := range b {
		_, f := CheckIPv4(b[:n])
		want := FaultTotalLength
		if n < IPv4Len {
			want = FaultTruncated
		}
		assert.Equal(t, want, f, n)
	}
}

func TestIPv4HeaderInFirstSegment(t *testing.T) {
	b := goldenIPv4(t)
	binary.BigEndian.PutUint16(b[ipv4Total:], 4000)
	assert.Equal(t, FaultNone, CheckIPv4Header(b[:20], 4000))
	assert.Equal(t, FaultNone, CheckIPv4Header(b[:20], 4006))
	assert.Equal(t, FaultTotalLength, CheckIPv4Header(b[:20], 3999))
	assert.Equal(t, FaultTruncated, CheckIPv4Header(b[:19], 4000))
}

func TestIPv4Fragments(t *testing.T) {
	for _, c := range []struct {
		frag     uint16
		fragment bool
		more, df bool
		offset   int
	}{
		{0, false, false, false, 0},
		{IPv4DontFragment, false, false, true, 0},
		{0x8000, false, false, false, 0}, // the reserved bit
		{IPv4MoreFragments, true, true, false, 0},
		{IPv4MoreFragments | 185, true, true, false, 1480},
		{185, true, false, false, 1480},
		{1, true, false, false, 8},
		{0x1fff, true, false, false, 65528},
	} {
		b := goldenIPv4(t)
		binary.BigEndian.PutUint16(b[ipv4Frag:], c.frag)
		assert.Equal(t, c.fragment, b.IsFragment(), "%#x", c.frag)
		assert.Equal(t, c.more, b.MoreFragments(), "%#x", c.frag)
		assert.Equal(t, c.df, b.DontFragment(), "%#x", c.frag)
		assert.Equal(t, c.offset, b.FragOffset(), "%#x", c.frag)
	}
}

func TestIPv4ChecksumOKIsRecomputation(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 5000 {
		n := IPv4Len + 4*r.IntN(11)
		b := IPv4(randomBytes(r, n))
		b[0] = 0x40 | byte(n/4)
		if r.IntN(4) == 0 {
			for i := 1; i < n; i++ {
				b[i] = 0xff * byte(r.IntN(2))
			}
		}
		assert.Equal(t, plainChecksum(b, 0) == 0, b.ChecksumOK(), "%x", []byte(b))
		b.SetChecksum()
		assert.True(t, b.ChecksumOK(), "%x", []byte(b))
		b[1+r.IntN(n-1)] ^= 1 << r.IntN(8)
		assert.False(t, b.ChecksumOK(), "%x", []byte(b))
	}
}

func TestIPv4SettersKeepChecksum(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 2000 {
		b := goldenIPv4(t)
		v := r.Uint32()
		b.SetTOS(uint8(v))
		b.SetTotalLen(uint16(v >> 3))
		b.SetID(uint16(v >> 5))
		b.SetTTL(uint8(v >> 7))
		b.SetSrc(v)
		b.SetDst(^v)
		f := b.Fields()
		want := IPv4Fields{TOS: uint8(v), TTL: uint8(v >> 7), Proto: ProtoUDP, TotalLen: uint16(v >> 3), ID: uint16(v >> 5),
			Frag: IPv4DontFragment, Src: v, Dst: ^v, Options: []byte{}}
		require.Equal(t, want, f)
		require.True(t, b.ChecksumOK())
		again := make([]byte, IPv4Len)
		require.Equal(t, IPv4Len, f.Encode(again))
		require.Equal(t, []byte(b[:IPv4Len]), again)
	}
}

func TestIPv4DecTTL(t *testing.T) {
	for ttl := range 256 {
		b := goldenIPv4(t)
		b.SetTTL(uint8(ttl))
		assert.Equal(t, ttl > 1, b.DecTTL())
		if ttl > 1 {
			assert.Equal(t, uint8(ttl-1), b.TTL())
		} else {
			assert.Equal(t, uint8(ttl), b.TTL())
		}
		assert.True(t, b.ChecksumOK())
	}
}

func TestIPv4EncodeOptions(t *testing.T) {
	for n := range 43 {
		opts := make([]byte, n)
		for i := range opts {
			opts[i] = OptionNop
		}
		f := IPv4Fields{TTL: 1, Proto: ProtoICMP, TotalLen: 60, Options: opts}
		b := make([]byte, 64)
		for i := range b {
			b[i] = 0xee
		}
		got := f.Encode(b)
		if n > 40 {
			assert.Zero(t, got)
			assert.Equal(t, byte(0xee), b[0], "nothing written")
			continue
		}
		want := 20 + (n+3)/4*4
		assert.Equal(t, want, got)
		assert.Equal(t, want, IPv4(b).HeaderLen())
		assert.True(t, IPv4(b).ChecksumOK())
		assert.Equal(t, opts, IPv4(b).Options()[:n])
		assert.Equal(t, make([]byte, want-20-n), IPv4(b).Options()[n:], "padded with ends of options")
		assert.Equal(t, byte(0xee), b[want])
		assert.Zero(t, f.Encode(make([]byte, want-1)), "no room")
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		name, options string
		fault         Fault
		kinds         []uint8
	}{
		{"none", "", FaultNone, nil},
		{"padding only", "01 01 01 00", FaultNone, nil},
		{"end hides the rest", "00 83 ff", FaultNone, nil},
		{"record route", "07 07 04 00000000 00", FaultNone, []uint8{7}},
		{"timestamp behind padding", "01 44 04 0500", FaultNone, []uint8{68}},
		{"two", "94 04 0000 07 03 04 00", FaultNone, []uint8{148, 7}},
		{"empty data", "04 02", FaultNone, []uint8{4}},
		{"length 0", "07 00 04 00", FaultOption, nil},
		{"length 1", "07 01 04 00", FaultOption, nil},
		{"length beyond", "07 05 04 00", FaultOption, nil},
		{"kind alone", "07", FaultOption, nil},
		{"bad second", "04 02 08 09 00", FaultOption, []uint8{4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.options)
			assert.Equal(t, c.fault, CheckOptions(b))
			var kinds []uint8
			for rest := b; len(rest) > 0; {
				k, d, r, f := NextOption(rest)
				if f != FaultNone || k == OptionEnd {
					break
				}
				kinds = append(kinds, k)
				found, ok := FindOption(b, k)
				assert.True(t, ok)
				assert.Equal(t, d, found)
				rest = r
			}
			assert.Equal(t, c.kinds, kinds)
			_, ok := FindOption(b, 99)
			assert.False(t, ok)
		})
	}
}

func TestSourceRoute(t *testing.T) {
	for _, c := range []struct {
		options string
		want    bool
	}{
		{"", false},
		{"83 07 04 0a000001 00", true},
		{"01 89 07 04 0a000001", true},
		{"07 07 04 00000000 00", false},
		{"00 83 07 04 0a000001", false}, // behind the end
	} {
		f := IPv4Fields{Options: unhex(t, c.options)}
		b := make([]byte, IPv4MaxLen)
		n := f.Encode(b)
		assert.Equal(t, c.want, IPv4(b[:n]).HasSourceRoute(), c.options)
	}
}

func TestFaultNames(t *testing.T) {
	seen := map[string]bool{}
	for f := range numFaults {
		assert.Regexp(t, `^[a-z]+(-[a-z]+)*$`, f.String())
		assert.False(t, seen[f.String()], f.String())
		seen[f.String()] = true
	}
	assert.Equal(t, "unknown", Fault(200).String())
}

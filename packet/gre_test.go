package packet

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGREGolden(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		len         int
		want        GREFields
	}{
		{"bare", "0000 0800 45", 4, GREFields{0, 0x0800, 0, 0}},
		{"key, as Open vSwitch sends it", "2000 6558 0017710a 33", 8, GREFields{GREKey, EtherTypeTEB, 0x17710a, 0}},
		{"key and sequence, as Open vSwitch sends them", "3000 6558 0017710c 00000003 33", 12,
			GREFields{GREKey | GRESequence, EtherTypeTEB, 0x17710c, 3}},
		{"sequence", "1000 0800 00000007", 8, GREFields{GRESequence, 0x0800, 0, 7}},
		{"checksum", "8000 0800 77ff 0000", 8, GREFields{GREChecksum, 0x0800, 0, 0}},
		{"all", "b000 6558 0000 0000 00000001 00000002 aa", 16, GREFields{GREChecksum | GREKey | GRESequence, EtherTypeTEB, 1, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.bytes)
			g, f := CheckGRE(b)
			require.Equal(t, FaultNone, f)
			assert.Equal(t, c.len, g.HeaderLen())
			assert.Equal(t, b[c.len:], g.Payload())
			assert.Equal(t, c.want, g.Fields())
			for n := range c.len {
				_, f = CheckGRE(b[:n])
				assert.Equal(t, FaultTruncated, f, "cut to %d", n)
			}
			again := append([]byte(nil), b...)
			fields := g.Fields()
			assert.Equal(t, c.len, fields.Encode(again))
			if g.HasChecksum() {
				GRE(again).SetChecksum()
				g.SetChecksum()
				assert.True(t, g.ChecksumOK())
				g[len(g)-1] ^= 1
				assert.False(t, g.ChecksumOK())
				g[len(g)-1] ^= 1
			}
			assert.True(t, g.ChecksumOK())
			assert.Equal(t, b, again)
			assert.Zero(t, fields.Encode(make([]byte, c.len-1)), "no room")
		})
	}
}

// Every value of the flags: what must be zero, what must be ignored, what announces fields.
func TestGREEveryFlag(t *testing.T) {
	b := make([]byte, 64)
	for flags := range 0x10000 {
		b[0], b[1] = byte(flags>>8), byte(flags)
		g, f := CheckGRE(b)
		var want Fault
		switch {
		case flags&7 != 0:
			want = FaultVersion
		case flags&0x4c00 != 0:
			want = FaultReserved
		}
		if f != want {
			t.Fatalf("flags %#x: %v, want %v", flags, f, want)
		}
		if f != FaultNone {
			continue
		}
		n := 4
		for _, bit := range []int{0x8000, 0x2000, 0x1000} {
			if flags&bit != 0 {
				n += 4
			}
		}
		if g.HeaderLen() != n || g.HasChecksum() != (flags&0x8000 != 0) || g.HasKey() != (flags&0x2000 != 0) || g.HasSequence() != (flags&0x1000 != 0) {
			t.Fatalf("flags %#x: length %d, want %d", flags, g.HeaderLen(), n)
		}
	}
}

func TestNVGREGolden(t *testing.T) {
	b := unhex(t, "2000 6558 0017710a 3333 0000 0002") // Open vSwitch, VSID 6001, FlowID 10
	g, f := CheckNVGRE(b)
	require.Equal(t, FaultNone, f)
	assert.Equal(t, uint32(6001), g.VSID())
	assert.Equal(t, uint8(10), g.FlowID())
	assert.Equal(t, uint32(0x17710a), g.Key())
	assert.Equal(t, b[8:], g.Inner())

	again := make([]byte, NVGRELen)
	EncodeNVGRE(again, 6001, 10)
	assert.Equal(t, b[:8], again)
	EncodeNVGRE(again, 0xffabcdef, 0xff)
	assert.Equal(t, unhex(t, "2000 6558 abcdefff"), again)
}

func TestNVGRERefused(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		want        Fault
	}{
		{"no inner frame is not the header's fault", "2000 6558 0017710a", FaultNone},
		{"bits that GRE ignores", "23f8 6558 0017710a", FaultFlags},
		{"empty", "", FaultTruncated},
		{"key cut off", "2000 6558 001771", FaultTruncated},
		{"no key", "0000 6558 0017710a", FaultFlags},
		{"checksum", "a000 6558 00000000 0017710a", FaultFlags},
		{"sequence", "3000 6558 0017710a 00000001", FaultFlags},
		{"sequence cut off", "3000 6558 0017710a", FaultTruncated},
		{"checksum alone", "8000 6558 00000000", FaultFlags},
		{"IPv4 inside", "2000 0800 0017710a", FaultProtocol},
		{"IPv6 inside", "2000 86dd 0017710a", FaultProtocol},
		{"ERSPAN", "1000 88be 00000001", FaultProtocol},
		{"PPTP", "3001 880b 00000001 00000001", FaultVersion},
		{"version 7", "2007 6558 0017710a", FaultVersion},
		{"routing present", "6000 6558 0017710a", FaultReserved},
		{"strict source route", "2800 6558 0017710a", FaultReserved},
		{"recursion control", "2400 6558 0017710a", FaultReserved},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, f := CheckNVGRE(unhex(t, c.bytes))
			assert.Equal(t, c.want, f)
			assert.Equal(t, f == FaultNone, g != nil)
		})
	}
}

// A frame inside NVGRE inside NVGRE is an ordinary inner frame to the outer header.
func TestNVGRENested(t *testing.T) {
	inner := unhex(t, "2000 6558 0017710a aabb")
	outer := append(unhex(t, "2000 6558 001772ff"), inner...)
	g, f := CheckNVGRE(outer)
	require.Equal(t, FaultNone, f)
	assert.Equal(t, uint32(6002), g.VSID())
	g, f = CheckNVGRE(g.Inner())
	require.Equal(t, FaultNone, f)
	assert.Equal(t, uint32(6001), g.VSID())
}

package packet

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTCPGolden(t *testing.T) {
	b := unhex(t, "c8fa 1389 8a6c 8a01 0000 0002 a0c2 ff00 0000 0003 0204 0550 0402 080a 9e7d 4e89 0000 0000 0103 030a aabb")
	v, f := CheckTCP(b)
	require.Equal(t, FaultNone, f)
	assert.Equal(t, uint16(0xc8fa), v.SrcPort())
	assert.Equal(t, uint16(5001), v.DstPort())
	assert.Equal(t, uint32(0x8a6c8a01), v.Seq())
	assert.Equal(t, uint32(2), v.Ack())
	assert.Equal(t, 40, v.HeaderLen())
	assert.Equal(t, TCPSyn|TCPEce<<1|TCPEce, v.Flags())
	assert.Equal(t, TCPSyn|TCPEce|TCPCwr, v.Flags())
	assert.Equal(t, uint16(0xff00), v.Window())
	assert.Equal(t, uint16(0), v.Checksum())
	assert.Equal(t, uint16(3), v.Urgent())
	assert.Equal(t, []byte{0xaa, 0xbb}, v.Payload())
	mss, ok := v.MSS()
	assert.True(t, ok)
	assert.Equal(t, uint16(1360), mss)
	scale, ok := FindOption(v.Options(), TCPOptWindowScale)
	assert.True(t, ok)
	assert.Equal(t, []byte{10}, scale)

	fields := v.Fields()
	again := append([]byte(nil), b...)
	clear(again[:40])
	require.Equal(t, 40, fields.Encode(again))
	assert.Equal(t, b, again)
	assert.Zero(t, fields.Encode(make([]byte, 39)), "no room")
	fields.Options = make([]byte, 41)
	assert.Zero(t, fields.Encode(again), "options too long")

	pseudo := PseudoSum4(0x0a09000a, 0x0a09010b, ProtoTCP, uint16(len(b)))
	assert.False(t, v.ChecksumOK(pseudo))
	v.SetChecksum(pseudo)
	assert.True(t, v.ChecksumOK(pseudo))
}

func TestTCPCheck(t *testing.T) {
	good := unhex(t, "c8fa 1389 8a6c 8a01 0000 0002 6002 ff00 0000 0003 0204 0550")
	for n := range good {
		_, f := CheckTCP(good[:n])
		want := FaultHeaderLength
		if n < TCPLen {
			want = FaultTruncated
		}
		assert.Equal(t, want, f, n)
	}
	for words := range 16 {
		b := append([]byte(nil), good...)
		b[tcpOffset] = byte(words << 4)
		v, f := CheckTCP(b)
		if words == 5 || words == 6 {
			assert.Equal(t, FaultNone, f)
			assert.Len(t, v.Options(), words*4-20)
			continue
		}
		assert.Equal(t, FaultHeaderLength, f, words)
	}
}

func TestTCPMSS(t *testing.T) {
	for _, c := range []struct {
		options string
		mss     uint16
		ok      bool
	}{
		{"", 0, false},
		{"0204 05b4", 1460, true},
		{"0101 0101 0204 05b4", 1460, true},
		{"0402 080a 00000000 00000000 00 000000", 0, false},
		{"0203 0500", 0, false},         // wrong length
		{"0200 05b4", 0, false},         // length 0
		{"0800 0204 05b4 00", 0, false}, // broken option in front
	} {
		f := TCPFields{Options: unhex(t, c.options)}
		b := make([]byte, TCPMaxLen)
		v := TCP(b[:f.Encode(b)])
		mss, ok := v.MSS()
		assert.Equal(t, c.ok, ok, c.options)
		assert.Equal(t, c.mss, mss, c.options)
	}
}

func TestUDPGolden(t *testing.T) {
	b := unhex(t, "b39b 138a 000b 0000 6f6464 eeee")
	u, f := CheckUDP(b)
	require.Equal(t, FaultNone, f)
	assert.Equal(t, uint16(0xb39b), u.SrcPort())
	assert.Equal(t, uint16(5002), u.DstPort())
	assert.Equal(t, uint16(11), u.Length())
	assert.Equal(t, "odd", string(u.Payload()), "cut to its length")
	again := make([]byte, UDPLen)
	EncodeUDP(again, u.SrcPort(), u.DstPort(), u.Length())
	assert.Equal(t, b[:UDPLen], again)

	pseudo := PseudoSum4(0x0a09000a, 0x0a09010b, ProtoUDP, u.Length())
	assert.True(t, u.ChecksumOK(pseudo), "none was computed")
	u.SetChecksum(pseudo)
	assert.NotZero(t, u.Checksum())
	assert.True(t, u.ChecksumOK(pseudo))
	u[8] ^= 1
	assert.False(t, u.ChecksumOK(pseudo))
}

func TestUDPCheck(t *testing.T) {
	for _, c := range []struct {
		bytes string
		want  Fault
	}{
		{"", FaultTruncated},
		{"0035 0035 0008 00", FaultTruncated},
		{"0035 0035 0008 0000", FaultNone},
		{"0035 0035 0007 0000", FaultTotalLength},
		{"0035 0035 0000 0000", FaultTotalLength},
		{"0035 0035 0009 0000", FaultTotalLength},
		{"0035 0035 ffff 0000", FaultTotalLength},
		{"0035 0035 0009 0000 aa", FaultNone},
	} {
		_, f := CheckUDP(unhex(t, c.bytes))
		assert.Equal(t, c.want, f, c.bytes)
	}
}

// A sum that comes to zero is sent as 0xffff, since 0 says that there is none.
func TestUDPChecksumOfZero(t *testing.T) {
	b := UDP(unhex(t, "0000 0000 000a 0000 0000"))
	for word := range 0x10000 {
		b[8], b[9] = byte(word>>8), byte(word)
		b.SetChecksum(PseudoSum4(0x0a000001, 0x0a000002, ProtoUDP, 10))
		require.NotZero(t, b.Checksum())
		require.True(t, b.ChecksumOK(PseudoSum4(0x0a000001, 0x0a000002, ProtoUDP, 10)))
		if b.Checksum() == 0xffff {
			// The same again by an incremental update from a neighbour value, and on from there.
			was := b.Checksum()
			next := UDPChecksum(was, UpdateChecksum16(was, uint16(word), uint16(word)+1))
			assert.Equal(t, was, UDPChecksum(next, UpdateChecksum16(next, uint16(word)+1, uint16(word))))
		}
	}
	assert.Equal(t, uint16(0), UDPChecksum(0, 0x1234), "none stays none")
	assert.Equal(t, uint16(0xffff), UDPChecksum(1, 0))
	assert.Equal(t, uint16(0x1234), UDPChecksum(1, 0x1234))
}

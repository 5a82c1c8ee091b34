package packet

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unhex reads bytes in tests; blanks are skipped.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	clean := make([]byte, 0, len(s))
	for _, c := range []byte(s) {
		if c > ' ' {
			clean = append(clean, c)
		}
	}
	b, err := hex.DecodeString(string(clean))
	require.NoError(t, err)
	return b
}

// plainChecksum is RFC 1071 word by word, to compare with.
func plainChecksum(b []byte, sum uint64) uint16 {
	for i, c := range b {
		sum += uint64(c) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestChecksumGolden(t *testing.T) {
	for _, c := range []struct {
		name, in string
		sum      uint32
		want     uint16
	}{
		{"RFC 1071, section 3", "0001 f203 f4f5 f6f7", 0, 0x220d},
		{"IPv4 header", "4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7", 0, 0xb861},
		{"IPv4 header with its checksum", "4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7", 0, 0},
		{"nothing", "", 0, 0xffff},
		{"zeros", "0000 0000 00", 0, 0xffff},
		{"ones", "ffff ffff", 0, 0},
		{"odd", "01", 0, 0xfeff},
		{"carry out of the start", "0001", 0xffffffff, 0xfffe},
		{"start alone", "", 0x1fffe, 0},
	} {
		assert.Equal(t, c.want, Checksum(unhex(t, c.in), c.sum), c.name)
	}
}

func TestChecksumEveryLengthAndAlignment(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	buf := randomBytes(r, 256)
	ones := make([]byte, 256)
	for i := range ones {
		ones[i] = 0xff
	}
	for off := range 8 {
		for n := 0; n <= 200; n++ {
			start := r.Uint32()
			require.Equal(t, plainChecksum(buf[off:off+n], uint64(start)), Checksum(buf[off:off+n], start), "%d+%d", off, n)
			require.Equal(t, plainChecksum(ones[off:off+n], 0xffffffff), Checksum(ones[off:off+n], 0xffffffff), "ones %d+%d", off, n)
		}
	}
	big := make([]byte, 65535)
	for i := range big {
		big[i] = 0xff
	}
	assert.Equal(t, plainChecksum(big, 0xffffffff), Checksum(big, 0xffffffff))
}

func TestSumChains(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		b := randomBytes(r, r.IntN(300))
		cut := r.IntN(len(b)+1) &^ 1
		assert.Equal(t, Checksum(b, 0), Checksum(b[cut:], Sum(b[:cut], 0)))
		assert.Equal(t, Checksum(b, 0), FoldChecksum(Sum(b[cut:], Sum(b[:cut], 0))))
	}
}

func TestPseudoSums(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		b := randomBytes(r, 40)
		proto, n := uint8(r.Uint32()), r.Uint32()
		v4 := append(b[:8:8], 0, proto)
		v4 = binary.BigEndian.AppendUint16(v4, uint16(n))
		assert.Equal(t, plainChecksum(v4, 0),
			FoldChecksum(PseudoSum4(binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), proto, uint16(n))))
		v6 := binary.BigEndian.AppendUint32(b[:32:32], n)
		v6 = append(v6, 0, 0, 0, proto)
		assert.Equal(t, plainChecksum(v6, 0), FoldChecksum(PseudoSum6(AddrFrom16(b), AddrFrom16(b[16:]), proto, n)))
	}
	all := Addr{^uint64(0), ^uint64(0)}
	assert.Equal(t, uint16(0), FoldChecksum(PseudoSum6(all, all, 0, 0)))
}

// RFC 1624, section 4: the header that equation 2 gets wrong.
func TestUpdateChecksumGolden(t *testing.T) {
	assert.Equal(t, uint16(0x0000), UpdateChecksum16(0xdd2f, 0x5555, 0x3285))
}

// edge makes words that hit the two zeros of one's complement more often than chance.
func edge(r *rand.Rand) uint16 {
	switch r.IntN(4) {
	case 0:
		return 0
	case 1:
		return 0xffff
	}
	return uint16(r.Uint32())
}

func TestUpdateChecksumIsRecomputation(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 20000 {
		b := make([]byte, 24)
		for i := 0; i < len(b); i += 2 {
			binary.BigEndian.PutUint16(b[i:], edge(r))
		}
		b[22] = 0x45 // something under the checksum is never zero, as in IP, TCP and UDP
		old := append([]byte(nil), b...)
		before := Checksum(b, 0)
		var got uint16
		switch r.IntN(3) {
		case 0:
			binary.BigEndian.PutUint16(b[4:], edge(r))
			got = UpdateChecksum16(before, binary.BigEndian.Uint16(old[4:]), binary.BigEndian.Uint16(b[4:]))
		case 1:
			binary.BigEndian.PutUint32(b[4:], uint32(edge(r))<<16|uint32(edge(r)))
			got = UpdateChecksum32(before, binary.BigEndian.Uint32(old[4:]), binary.BigEndian.Uint32(b[4:]))
		default:
			for i := 4; i < 20; i += 2 {
				binary.BigEndian.PutUint16(b[i:], edge(r))
			}
			got = UpdateChecksum128(before, AddrFrom16(old[4:]), AddrFrom16(b[4:]))
		}
		require.Equal(t, Checksum(b, 0), got, "%x -> %x", old, b)
	}
}

// Every pair of words at the edges, for every checksum that a header can have.
func TestUpdateChecksum16AllChecksums(t *testing.T) {
	words := []uint16{0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff}
	for fill := range 0x10000 {
		for _, from := range words {
			for _, to := range words {
				rest := []byte{0x45, 0, byte(fill >> 8), byte(fill)}
				before := Checksum(binary.BigEndian.AppendUint16(rest[:4:4], from), 0)
				after := Checksum(binary.BigEndian.AppendUint16(rest[:4:4], to), 0)
				if got := UpdateChecksum16(before, from, to); got != after {
					t.Fatalf("fill %#x, %#x -> %#x: %#x, want %#x", fill, from, to, got, after)
				}
			}
		}
	}
}

func TestUpdateChecksum128ServesIPv4(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 1000 {
		check, from, to := uint16(r.Uint32()), r.Uint32(), r.Uint32()
		if check == 0xffff {
			continue // only zeros have it
		}
		require.Equal(t, UpdateChecksum32(check, from, to), UpdateChecksum128(check, AddrFrom4(from), AddrFrom4(to)))
	}
}

// The documented limit: nothing but zeros is left.
func TestUpdateChecksumToAllZeros(t *testing.T) {
	assert.Equal(t, uint16(0xffff), Checksum([]byte{0, 0}, 0))
	assert.Equal(t, uint16(0x0000), UpdateChecksum16(Checksum([]byte{8, 0}, 0), 0x0800, 0))
}

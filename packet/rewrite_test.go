package packet

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAddrPair(t *testing.T) {
	p := MakeAddrPair(0x0a000005, 0xac10011f)
	assert.Equal(t, uint32(0x0a000005), p.Src())
	assert.Equal(t, uint32(0xac10011f), p.Dst())
	assert.Equal(t, MakeAddrPair(0xac10011f, 0x0a000005), p.swap())
	ip := goldenIPv4(t)
	assert.Equal(t, MakeAddrPair(ip.Src(), ip.Dst()), ip.Addrs())
}

// TestChecksumDelta compares incremental updates with checksums computed anew, over addresses where carries and zeros
// are likely.
func TestChecksumDelta(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	word := func() uint32 {
		return []uint32{0, 0xffffffff, 0xffff, 0xffff0000, 1, 0x0a000005, 0xac10011f, r.Uint32(), r.Uint32(), r.Uint32()}[r.IntN(10)]
	}
	for range 100000 {
		from, to := MakeAddrPair(word(), word()|1), MakeAddrPair(word(), word()|1)
		rest := r.Uint32() & 0xffff
		was := FoldChecksum(PseudoSum4(from.Src(), from.Dst(), ProtoTCP, 20) + rest)
		want := FoldChecksum(PseudoSum4(to.Src(), to.Dst(), ProtoTCP, 20) + rest)
		delta := ChecksumDelta(from, to)
		require.Equal(t, want, ApplyDelta(was, delta), "%x -> %x", from, to)
		require.Equal(t, delta, ChecksumDelta(from.swap(), to.swap()), "the same in the other direction")
		if want == 0 {
			want = 0xffff
		}
		if was == 0 {
			was = 0xffff
		}
		require.Equal(t, want, ApplyDeltaUDP(was, delta))
	}
	assert.Zero(t, ApplyDeltaUDP(0, 0x1234), "no checksum stays none")
}

func TestSetAddrs(t *testing.T) {
	for range 2 {
		ip := goldenIPv4(t)
		to := MakeAddrPair(0xac10011f, 0xac100129)
		ip.SetAddrs(to, ChecksumDelta(ip.Addrs(), to))
		assert.True(t, ip.ChecksumOK())
		assert.Equal(t, uint32(0xac10011f), ip.Src())
		assert.Equal(t, uint32(0xac100129), ip.Dst())
	}
}

func TestNamesAddresses(t *testing.T) {
	for name, tc := range map[string]struct {
		options []byte
		want    bool
	}{
		"none": {nil, false}, "router alert": {[]byte{148, 4, 0, 0}, false}, "padding": {[]byte{1, 1, 1, 0}, false},
		"behind the end": {[]byte{0, 131, 3, 4}, false},
		"loose route":    {[]byte{131, 3, 4, 0}, true}, "strict route": {[]byte{1, 137, 3, 4}, true},
		"record route": {[]byte{148, 4, 0, 0, 7, 3, 4, 0}, true}, "timestamp": {[]byte{68, 4, 5, 0}, true},
		"cut off": {[]byte{148, 9, 0, 0}, true}, "without length": {[]byte{1, 1, 1, 148}, true},
	} {
		b := make([]byte, 60)
		f := IPv4Fields{TTL: 1, Proto: ProtoUDP, TotalLen: 60, Src: 1, Dst: 2, Options: tc.options}
		require.NotZero(t, f.Encode(b))
		assert.Equal(t, tc.want, IPv4(b).NamesAddresses(), name)
	}
}

func TestRewriteTransport(t *testing.T) {
	from, to := MakeAddrPair(0x0a000005, 0x0a000007), MakeAddrPair(0xac10011f, 0xac100129)
	delta := ChecksumDelta(from, to)
	for proto, at := range map[uint8]int{ProtoTCP: 16, ProtoUDP: 6, ProtoUDPLite: 6, ProtoDCCP: 6} {
		l4 := randomBytes(rand.New(rand.NewPCG(1, uint64(proto))), 40)
		binary.BigEndian.PutUint16(l4[at:], 0)
		sum := func(p AddrPair) uint16 { return Checksum(l4, PseudoSum4(p.Src(), p.Dst(), proto, 40)) }
		was, want := sum(from), sum(to)
		binary.BigEndian.PutUint16(l4[at:], was)
		require.True(t, RewriteTransport(l4, proto, from, to, delta))
		assert.Equal(t, want, binary.BigEndian.Uint16(l4[at:]), "protocol %d", proto)
		assert.False(t, RewriteTransport(l4[:at+1], proto, from, to, delta), "protocol %d, cut off", proto)
	}
	for _, proto := range []uint8{ProtoESP, ProtoSCTP, ProtoGRE, ProtoIGMP} {
		l4 := randomBytes(rand.New(rand.NewPCG(1, 2)), 40)
		before := string(l4)
		assert.True(t, RewriteTransport(l4, proto, from, to, delta))
		assert.Equal(t, before, string(l4), "protocol %d does not cover the addresses", proto)
	}
}

// TestRewriteQuote spoils what an ICMP error quotes: whatever cannot be translated stays as it was.
func TestRewriteQuote(t *testing.T) {
	from, to := MakeAddrPair(0x0a000005, 0x0a000007), MakeAddrPair(0xac10011f, 0xac100129)
	delta := ChecksumDelta(from, to)
	message := func() ICMP {
		quote := make([]byte, 28)
		f := IPv4Fields{TTL: 9, Proto: ProtoUDP, TotalLen: 28, Src: from.Dst(), Dst: from.Src()}
		f.Encode(quote)
		binary.BigEndian.PutUint16(quote[26:], 0x1234)
		b := make([]byte, ICMPLen+len(quote))
		EncodeICMPError(b, ICMPUnreachable, ICMPPortUnreachable, quote)
		return b
	}
	good := message()
	require.True(t, RewriteTransport(good, ProtoICMP, from, to, delta))
	quote := IPv4(good.Payload())
	assert.True(t, good.ChecksumOK())
	assert.True(t, quote.ChecksumOK())
	assert.Equal(t, to.swap(), quote.Addrs())
	assert.Equal(t, ApplyDelta(0x1234, delta), binary.BigEndian.Uint16(quote[26:]), "the quoted UDP checksum")

	for name, spoil := range map[string]func(ICMP) ICMP{
		"redirect":          func(m ICMP) ICMP { m[0] = ICMPRedirect; return m },
		"no quote":          func(m ICMP) ICMP { return m[:ICMPLen] },
		"header cut off":    func(m ICMP) ICMP { return m[:ICMPLen+19] },
		"version":           func(m ICMP) ICMP { m[8] = 0x65; return m },
		"header length":     func(m ICMP) ICMP { m[8] = 0x44; return m },
		"header beyond":     func(m ICMP) ICMP { m[8] = 0x4f; return m },
		"another source":    func(m ICMP) ICMP { m[8+15]++; return m },
		"another target":    func(m ICMP) ICMP { m[8+19]++; return m },
		"the same way":      func(m ICMP) ICMP { binary.LittleEndian.PutUint64(m[20:], uint64(from)); return m },
		"shorter than ICMP": func(m ICMP) ICMP { return m[:7] },
	} {
		m := spoil(message())
		before := string(m)
		assert.False(t, RewriteTransport(m, ProtoICMP, from, to, delta), name)
		assert.Equal(t, before, string(m), name)
	}
	fragment := message()
	binary.BigEndian.PutUint16(fragment[8+6:], 3) // a later fragment has no UDP header
	fragment.SetChecksum()
	require.True(t, RewriteTransport(fragment, ProtoICMP, from, to, delta))
	assert.Equal(t, uint16(0x1234), binary.BigEndian.Uint16(fragment[8+26:]))
	assert.True(t, fragment.ChecksumOK())
	echo := ICMP(make([]byte, 20))
	EncodeICMPEcho(echo, ICMPEcho, 1, 2, make([]byte, 12))
	before := string(echo)
	assert.True(t, RewriteTransport(echo, ProtoICMP, from, to, delta))
	assert.Equal(t, before, string(echo), "a ping covers no addresses")
}

// FuzzRewriteTransport: nothing is read or written outside, and what was translated translates back.
func FuzzRewriteTransport(f *testing.F) {
	f.Add(ProtoICMP, append([]byte{3, 3, 0, 0, 0, 0, 0, 0, 0x45}, make([]byte, 40)...))
	f.Add(ProtoTCP, make([]byte, 20))
	f.Add(ProtoUDP, make([]byte, 8))
	from, to := MakeAddrPair(0x0a000005, 0x0a000007), MakeAddrPair(0xac10011f, 0xac100129)
	f.Fuzz(func(t *testing.T, proto uint8, l4 []byte) {
		if len(l4) >= 28 && proto == ProtoICMP {
			binary.LittleEndian.PutUint64(l4[20:], uint64(from.swap()))
		}
		sum := Checksum(l4, 0)
		before := string(l4)
		if !RewriteTransport(l4, proto, from, to, ChecksumDelta(from, to)) {
			require.Equal(t, before, string(l4))
			return
		}
		if proto == ProtoICMP && sum == 0 {
			require.Zero(t, Checksum(l4, 0), "a right ICMP checksum stays right")
		}
		require.True(t, RewriteTransport(l4, proto, to, from, ChecksumDelta(to, from)))
	})
}

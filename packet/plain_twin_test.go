package packet

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlainTwins holds the assembly and its twin in Go equal, on bursts of frames that are nearly plain.
func TestPlainTwins(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	plainEver, otherEver := 0, 0
	for range 3000 {
		n := 1 + r.IntN(RxBurst)
		pkts := make([]*Packet, n)
		for i := range pkts {
			pkts[i] = nearlyPlain(r)
		}
		var a, b Burst
		for i := range a.Scope {
			a.Scope[i] = uint64(r.Uint32() & 0x1ffffff)
		}
		b.Scope = a.Scope
		among, seed := r.Uint64()|r.Uint64(), r.Uint64()
		plain, bytes := a.ParsePlain(pkts, among, seed)
		plainGo, bytesGo := b.parsePlainGo(pkts, among, seed)
		require.Equal(t, plainGo, plain)
		require.Equal(t, bytesGo, bytes)
		for i, p := range pkts {
			if plain>>i&1 == 0 {
				otherEver++
				continue
			}
			plainEver++
			require.Equal(t, b.Key[i], a.Key[i], "%x", p.Data())
			require.Equal(t, b.Hash[i], a.Hash[i])
		}
	}
	require.Greater(t, plainEver, 10000)
	require.Greater(t, otherEver, 10000)
}

func nearlyPlain(r *rand.Rand) *Packet {
	frame := make([]byte, 54+r.IntN(40))
	for i := range frame {
		frame[i] = byte(r.Uint32())
	}
	frame[6] &^= 1
	binary.BigEndian.PutUint32(frame[12:], 0x08004500|r.Uint32()&0xff)
	total := len(frame) - 14 - r.IntN(3)
	binary.BigEndian.PutUint16(frame[16:], uint16(total))
	binary.BigEndian.PutUint16(frame[20:], 0x4000)
	frame[23] = []byte{ProtoTCP, ProtoUDP}[r.IntN(2)]
	if frame[23] == ProtoTCP {
		frame[46] = 5<<4 | frame[46]&0xf
	} else {
		binary.BigEndian.PutUint16(frame[38:], uint16(total-20))
	}
	switch r.IntN(4) {
	case 0: // one byte of the headers becomes anything
		frame[r.IntN(54)] = byte(r.Uint32())
	case 1: // or loses or gains a bit
		frame[r.IntN(54)] ^= 1 << r.IntN(8)
	case 2:
		if r.IntN(8) == 0 {
			clear(frame[6:12])
		}
	}
	p := newPacket(Headroom, frame, 8)
	switch r.IntN(40) {
	case 0:
		p.RefCnt = uint16(r.IntN(4))
	case 1:
		p.NbSegs = uint16(r.IntN(4))
	case 2:
		p.OlFlags = 1 << r.IntN(64)
	case 3:
		p.DataLen -= uint16(r.IntN(len(frame)))
	case 4:
		p.Port, p.VLANTCI = uint16(r.Uint32()), uint16(r.Uint32())
	}
	return p
}

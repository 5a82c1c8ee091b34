package packet

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	macA = MAC{0x02, 0, 0, 0, 0, 0x0a}
	macB = MAC{0x02, 0, 0, 0, 0, 0x01}
)

// Both messages as Linux sends them (testdata/linux.pcap).
const (
	arpAsk    = "0001 0800 0604 0001 0200 0000 000a 0a09 000a 0000 0000 0000 0a09 0001"
	arpAnswer = "0001 0800 0604 0002 0200 0000 0001 0a09 0001 0200 0000 000a 0a09 000a"
)

func TestARPGolden(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		op          uint16
		sha         MAC
		spa         uint32
		tha         MAC
		tpa         uint32
	}{
		{"request", arpAsk, ARPRequest, macA, 0x0a09000a, MAC{}, 0x0a090001},
		{"reply", arpAnswer, ARPReply, macB, 0x0a090001, macA, 0x0a09000a},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, ok := CheckARP(unhex(t, c.bytes))
			require.True(t, ok)
			assert.Equal(t, c.op, a.Op())
			assert.Equal(t, c.sha, a.SenderMAC())
			assert.Equal(t, c.spa, a.SenderIP())
			assert.Equal(t, c.tha, a.TargetMAC())
			assert.Equal(t, c.tpa, a.TargetIP())
			assert.False(t, a.IsGratuitous())
			assert.False(t, a.IsProbe())
			b := make([]byte, ARPLen)
			EncodeARP(b, c.op, c.sha, c.spa, c.tha, c.tpa)
			assert.Equal(t, []byte(a), b)
		})
	}
}

func TestARPRefused(t *testing.T) {
	good := unhex(t, arpAsk)
	for n := range ARPLen {
		_, ok := CheckARP(good[:n])
		assert.False(t, ok, "cut to %d", n)
	}
	for i := range 6 { // hardware type, protocol type, lengths
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x10
		_, ok := CheckARP(bad)
		assert.False(t, ok, "byte %d", i)
	}
	a, ok := CheckARP(append(good, make([]byte, 18)...))
	assert.True(t, ok)
	assert.Len(t, a, ARPLen, "padding of the frame is no part of the message")
}

func TestARPKinds(t *testing.T) {
	for _, c := range []struct {
		name              string
		op                uint16
		spa, tpa          uint32
		gratuitous, probe bool
	}{
		{"announcement", ARPRequest, 1, 1, true, false},
		{"gratuitous reply", ARPReply, 1, 1, true, false},
		{"probe", ARPRequest, 0, 1, false, true},
		{"probe of nothing", ARPRequest, 0, 0, false, true},
		{"reply from nobody", ARPReply, 0, 1, false, false},
		{"question", ARPRequest, 1, 2, false, false},
	} {
		b := make([]byte, ARPLen)
		EncodeARP(b, c.op, macA, c.spa, MAC{}, c.tpa)
		assert.Equal(t, c.gratuitous, ARP(b).IsGratuitous(), c.name)
		assert.Equal(t, c.probe, ARP(b).IsProbe(), c.name)
	}
}

package generator

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicenet/sluice/internal/frames"
)

var shapes = map[string]func(l4 frames.Layer, n int) []byte{
	"plain": func(l4 frames.Layer, n int) []byte {
		return frames.Build(frames.Ether("02:00:00:00:00:01", "02:00:00:00:00:02"), frames.IPv4("10.0.0.1", "10.0.0.2"), l4, frames.Payload(n))
	},
	"tagged": func(l4 frames.Layer, n int) []byte {
		return frames.Build(frames.Ether("02:00:00:00:00:01", "02:00:00:00:00:02"), frames.VLAN(7, 0), frames.IPv4("10.0.0.1", "10.0.0.2"), l4, frames.Payload(n))
	},
}

// Whatever a stamp says, the frame's checksum stays right, and the stamp is read back, inside NVGRE too.
func TestStamp(t *testing.T) {
	for name, shape := range shapes {
		for proto, c := range map[string]struct {
			l4   frames.Layer
			room int
		}{"udp": {frames.UDP(1024, 5001), 18}, "tcp": {frames.TCP(1024, 5001), 6}} {
			t.Run(name+" "+proto, func(t *testing.T) {
				template := shape(c.l4, c.room)
				at, ok := find(template)
				require.True(t, ok)
				clearStamp(template, at)
				rapid.Check(t, func(t *rapid.T) {
					frame := append([]byte{}, template...)
					s := stamp{rapid.Uint32().Draw(t, "sequence"), rapid.Uint32().Draw(t, "stream"),
						markOfOurs<<8 | uint16(rapid.Uint8().Draw(t, "trial")), rapid.Uint64Range(0, timeMask).Draw(t, "time")}
					s.put(frame, at)
					setPorts(frame, at, rapid.Uint16().Draw(t, "source"), rapid.Uint16().Draw(t, "destination"))
					requireChecksum(t, frame)
					for _, f := range [][]byte{frame, frames.NVGRE("02:00:00:00:00:03", "02:00:00:00:00:04", "172.16.1.1", "172.16.1.2", 5001, 9, frame)} {
						var got stamp
						require.Equal(t, stamped, got.read(f))
						require.Equal(t, s, got)
					}
					bit := rapid.IntRange(0, 63).Draw(t, "bit")
					frame[int(at.time)+bit/8] ^= 1 << (bit % 8)
					var got stamp
					require.Equal(t, damaged, got.read(frame))
				})
			})
		}
	}
}

func requireChecksum(t require.TestingT, frame []byte) {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Lazy) // not what it takes the payload for
	ip := p.NetworkLayer().(*layers.IPv4)
	pseudo := uint32(ip.Protocol) + uint32(len(ip.Payload))
	for _, b := range [][]byte{ip.SrcIP.To4(), ip.DstIP.To4(), ip.Payload} {
		for i := 0; i < len(b); i += 2 {
			word := uint32(b[i]) << 8
			if i+1 < len(b) {
				word |= uint32(b[i+1])
			}
			pseudo += word
		}
	}
	for pseudo > 0xffff {
		pseudo = pseudo>>16 + pseudo&0xffff
	}
	require.EqualValues(t, 0xffff, pseudo, "checksum")
}

func TestForeignFrames(t *testing.T) {
	good := shapes["plain"](frames.UDP(1, 2), 18)
	for name, f := range map[string][]byte{
		"empty":         {},
		"short":         good[:13],
		"half a header": good[:30],
		"no room":       good[:59],
		"unstamped":     good,
		"ARP":           frames.ARPRequest("02:00:00:00:00:01", "10.0.0.1", "10.0.0.2"),
		"IPv6":          frames.Patch(good, 12, 0x86, 0xdd),
		"fragment":      frames.Patch(good, 20, 0x20, 0),
		"ICMP":          frames.Patch(good, 23, 1),
		"GRE with sum":  frames.Patch(frames.NVGRE("02:00:00:00:00:03", "02:00:00:00:00:04", "172.16.1.1", "172.16.1.2", 5001, 9, good), 34, 0xa0),
		"tag at end":    frames.Patch(good, 12, 0x81, 0)[:16],
	} {
		var s stamp
		assert.Equal(t, foreign, s.read(f), name)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 100_000 { // no frame makes it read beyond its end
		f := append([]byte{}, good...)
		for range 4 {
			f[rnd.IntN(len(f))] = byte(rnd.Uint32())
		}
		var s stamp
		s.read(f[:rnd.IntN(len(f)+1)])
	}
}

// A model that remembers everything is what order is measured by.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]uint32{0, 1<<31 - 50, 1<<32 - 50}).Draw(t, "start")
		o := order{next: start}
		seen := map[int]bool{}
		high := -1
		for _, v := range rapid.SliceOf(rapid.IntRange(0, 200)).Draw(t, "arrivals") {
			want := reordered
			switch {
			case v > high:
				want = inOrder
				high = v
			case high-v >= window:
				want = tooOld
			case seen[v]:
				want = duplicate
			}
			seen[v] = true
			require.Equal(t, want, o.arrive(start+uint32(v)), "%d", v)
		}
	})
}

func TestPace(t *testing.T) {
	p := pace{perCycle: 0.001, start: 500, burst: 1}
	due := func(now uint64) int {
		n := p.due(now, maxBatch)
		p.done += uint64(n)
		return n
	}
	assert.Equal(t, 0, due(1499))
	assert.Equal(t, 1, due(1501))
	assert.Equal(t, 0, due(1502))
	assert.Equal(t, maxBatch, due(101_501))
	assert.Equal(t, 36, due(101_501), "the rest of what was owed")
	assert.Zero(t, p.skipped)
	due(10_000_500)
	assert.EqualValues(t, 10_000-101-backlog, p.skipped, "what cannot be caught up is given up")
	assert.Equal(t, maxBatch, (&pace{}).due(7, maxBatch), "no rate: all that fits")

	p.full = true
	due(20_000_500)
	assert.Positive(t, p.blocked, "the device had no room")
	assert.EqualValues(t, 10_000-101-backlog, p.skipped)

	b := pace{perCycle: 0.001, burst: 32}
	assert.Zero(t, b.due(31_500, maxBatch), "a burst goes together")
	assert.Equal(t, 32, b.due(33_000, maxBatch))
	assert.Equal(t, 64, (&pace{perCycle: 0.001, burst: 256}).due(200_500, maxBatch), "longer bursts go in several calls")
}

func TestStampLayout(t *testing.T) {
	frame := shapes["plain"](frames.UDP(1, 2), 18)
	require.Len(t, frame, 60)
	at, _ := find(frame)
	s := stamp{sequence: 0x01020304, stream: 0x05060708, mark: 0x5109, time: 0x0a0b0c0d0e0f}
	s.put(frame, at)
	assert.Equal(t, []byte{1, 2, 3, 4, 5, 6, 7, 8, 0x51, 9}, frame[42:52])
	assert.Equal(t, []byte{0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f}, frame[54:60])
	assert.NotZero(t, binary.BigEndian.Uint16(frame[52:]))
	frame = shapes["plain"](frames.TCP(1, 2), 6)
	require.Len(t, frame, 60)
	at, _ = find(frame)
	s.put(frame, at)
	assert.Equal(t, []byte{1, 2, 3, 4, 5, 6, 7, 8}, frame[38:46])
	assert.Equal(t, []byte{0x51, 9}, frame[48:50])
	assert.Equal(t, []byte{0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f}, frame[54:60])
}

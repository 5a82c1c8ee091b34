package qos

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

// envelope checks that within any time no more is sent than a burst and a rate times that time: what is above the rate so
// far must never be more than a burst above its own minimum.
type envelope struct {
	rate, burst float64
	sent        float64
	low         float64
	worst       float64
}

func (e *envelope) add(now int64, bytes uint32) {
	drain := e.rate * float64(now) / 1e9
	e.low = min(e.low, e.sent-drain)
	e.sent += float64(bytes)
	e.worst = max(e.worst, e.sent-drain-e.low)
}

func TestMaximumsAreExact(t *testing.T) {
	for _, rate := range []uint64{mbit, 10 * mbit, 100 * mbit, gbit, 10 * gbit} {
		for name, frame := range map[string]uint32{"60": 60, "1514": 1514, "9000": 9000, "mixed": 0} {
			if raceDetector && frame != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%d Mbit/s of %s bytes", rate/mbit, name), func(t *testing.T) {
				burst := max(30_000, rate/10_000)
				c := &Config{RateBytesPerSec: 20 * gbit, Leaves: leaves(2)}
				c.Leaves[0].MaxBytesPerSec, c.Leaves[0].BurstBytes = rate, burst
				r := newRig(t, c, 8192)
				size := fixed(frame)
				if frame == 0 {
					size = mixed(rand.New(rand.NewPCG(1, 1)))
				}
				r.saturate(3, 0, size)
				r.step = 20 * us
				out := envelope{rate: float64(rate), burst: float64(burst)}
				r.onSent = func(_ *packet.Packet, o Origin) { out.add(r.now, o.Bytes) }
				r.run(500 * ms)
				r.reset()
				length := 10 * sec
				if frames := rate * 10 / uint64(WireLen(max(frame, 60))); frames > 10_000_000 || raceDetector && rate >= gbit {
					length = sec // enough frames, and the test would be long
				}
				r.run(length)
				near(t, float64(rate)*float64(length)/1e9, r.leaf(0), 0.005, 0, "sent")
				assert.LessOrEqual(t, out.worst, float64(burst)+1, "burst")
			})
		}
	}
}

func TestMaximumHoldsOverAllClasses(t *testing.T) {
	c := &Config{RateBytesPerSec: gbit, Leaves: leaves(2)}
	c.Classes[6].Strict = true
	c.Leaves[0].MaxBytesPerSec, c.Leaves[0].BurstBytes = 80*mbit, 20_000
	r := newRig(t, c, 8192)
	out := envelope{rate: 80 * mbit, burst: 20_000}
	r.onSent = func(_ *packet.Packet, o Origin) {
		if o.Leaf == 0 {
			out.add(r.now, o.Bytes)
		}
	}
	small := r.saturate(6, 0, fixed(60))
	small.off = true
	r.saturate(0, 0, fixed(60))
	r.saturate(1, 0, fixed(1514))
	r.saturate(2, 0, fixed(15_000)) // a packet that the device cuts
	r.saturate(0, 1, fixed(1514))
	r.run(100 * ms)
	r.reset()
	r.run(sec)
	near(t, 80*mbit, r.leaf(0), 0.005, 0, "limited leaf")
	near(t, 920*mbit, r.leaf(1), 0.005, 0, "other leaf")
	for class, bytes := range r.sent[0][:3] {
		assert.Greater(t, bytes, uint64(mbit), "class %d is starved by packets of other lengths", class)
	}
	small.off = false
	r.run(100 * ms)
	r.reset()
	r.run(100 * ms)
	near(t, 8*mbit, r.sent[0][6], 0.005, 2*fullFrame, "the strict class has all of the maximum")
	assert.LessOrEqual(t, out.worst, 20_000.0+1, "burst over all classes")
}

func TestLongPacketsPassSmallBursts(t *testing.T) {
	c := &Config{RateBytesPerSec: gbit, Leaves: leaves(1)}
	c.Leaves[0].MaxBytesPerSec, c.Leaves[0].BurstBytes = 100*mbit, 10_000
	r := newRig(t, c, 100)
	r.saturate(0, 0, fixed(65_000)).depth = 130_000
	r.run(100 * ms)
	r.reset()
	r.run(sec)
	near(t, 100*mbit, r.leaf(0), 0.005, 65_024, "packets longer than the burst")
}

func TestThrottledVportsOfTenThousand(t *testing.T) {
	const n = 10_000
	c := &Config{RateBytesPerSec: 10 * gbit, Leaves: leaves(n), Packets: 100_000}
	for i := range c.Leaves {
		c.Leaves[i].BurstBytes = 10 * fullFrame
		c.Leaves[i].MaxBytesPerSec = 500_000 // 5 GB/s over all would be more than the link
		if i%2 == 0 {
			c.Leaves[i].MaxBytesPerSec = 50_000
		}
	}
	r := newRig(t, c, 100_000)
	for i := range uint32(n) {
		r.saturate(uint8(i/2%Classes), i, fixed(1514)).depth = 2 * fullFrame
	}
	r.step = 100 * us
	r.run(500 * ms)
	r.reset()
	const length = 20 * fullFrame * sec / 50_000 // twenty frames of a slow one
	r.run(length)
	var slow, quick uint64
	for i := range uint32(n) {
		if got := r.leaf(i); i%2 == 0 {
			slow += got
			assert.InDelta(t, 20*fullFrame, got, fullFrame, "leaf %d", i)
		} else {
			quick += got
		}
	}
	near(t, n/2*20*fullFrame, slow, 0.005, 0, "slow vports")
	near(t, n/2*4*20*fullFrame, quick, 0.005, 0, "quick ones share what is left")
}

func TestGroupMaximumHoldsOverItsMembers(t *testing.T) {
	c := &Config{RateBytesPerSec: gbit, Leaves: leaves(5)}
	c.Groups = []Group{{Key: 1, Parent: NoGroup, MaxBytesPerSec: 200 * mbit, BurstBytes: 40_000}, {Key: 2, Parent: 0, MaxBytesPerSec: 50 * mbit, BurstBytes: 40_000}}
	for i := range 2 {
		c.Leaves[i].Group, c.Leaves[2+i].Group = 0, 1
	}
	r := newRig(t, c, 8192)
	out := envelope{rate: 200 * mbit, burst: 40_000}
	r.onSent = func(_ *packet.Packet, o Origin) {
		if o.Leaf < 4 {
			out.add(r.now, o.Bytes)
		}
	}
	for leaf := range uint32(5) {
		for class := range uint8(Classes) {
			r.saturate(class, leaf, fixed(1514)).depth = 10_000
		}
	}
	r.run(100 * ms)
	r.reset()
	r.run(sec)
	near(t, 50*mbit, r.leaf(2)+r.leaf(3), 0.005, 0, "inner group")
	near(t, 200*mbit, r.leaf(0)+r.leaf(1)+r.leaf(2)+r.leaf(3), 0.005, 0, "outer group")
	near(t, 800*mbit, r.leaf(4), 0.005, 0, "the rest")
	assert.LessOrEqual(t, out.worst, 40_001.0, "burst of the outer group")
}

func TestPassChargesWhatQueuesWould(t *testing.T) {
	c := &Config{RateBytesPerSec: gbit, BurstBytes: 20_000, Leaves: leaves(2), Groups: []Group{{Key: 1, Parent: NoGroup, MaxBytesPerSec: 100 * mbit, BurstBytes: 10_000}}}
	c.Leaves[0].Group = 0
	c.Leaves[1].MaxBytesPerSec, c.Leaves[1].BurstBytes = 10*mbit, 5000
	r := newRig(t, c, 8)
	assert.True(t, r.s.Pass(0, 1, 0, 10, 9000))
	assert.False(t, r.s.Pass(0, 1, 0, 1, 2000), "the group's burst is spent")
	assert.True(t, r.s.Pass(0, 1, 1, 5, 5000))
	assert.False(t, r.s.Pass(0, 1, 1, 1, 84), "the leaf's burst is spent")
	assert.True(t, r.s.Pass(100*us, 1, 0, 1, 2000), "1250 bytes later")
	assert.Equal(t, QueueStats{SentPackets: 11, SentBytes: 11_000}, r.s.Stats(1, 0))
	require.True(t, r.give(&source{class: 2, leaf: 1}, 60))
	assert.False(t, r.s.Pass(sec, 1, 0, 1, 84), "a packet waits")
}

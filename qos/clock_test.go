package qos

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluicenet/sluice/packet"
)

// limitedRig has one leaf with a maximum, and the envelope of what it sends.
func limitedRig(t *testing.T) (*rig, *uint64) {
	c := &Config{RateBytesPerSec: gbit, BurstBytes: 40_000, Leaves: leaves(1)}
	c.Leaves[0].MaxBytesPerSec, c.Leaves[0].BurstBytes = 100*mbit, 20_000
	r := newRig(t, c, 8192)
	r.saturate(0, 0, fixed(1514))
	sent := new(uint64)
	r.onSent = func(_ *packet.Packet, o Origin) { *sent += uint64(o.Bytes) }
	r.run(100 * ms)
	*sent = 0
	return r, sent
}

func TestClockStepsReleaseNoBurst(t *testing.T) {
	for name, step := range map[string]int64{"an hour back": -3600 * sec, "an hour on": 3600 * sec, "a millisecond back": -ms, "a stall of 10 ms": 10 * ms} {
		t.Run(name, func(t *testing.T) {
			r, sent := limitedRig(t)
			r.now += step
			r.feed()
			r.drain()
			assert.LessOrEqual(t, *sent, uint64(20_000), "at once")
			*sent = 0
			r.run(100 * ms)
			near(t, 10*mbit, *sent, 0.005, 2*fullFrame, "in the next 100 ms")
		})
	}
}

func TestClockStepsWithWaitingPackets(t *testing.T) {
	r, sent := limitedRig(t)
	r.sources[0].off = true
	for range 200 { // the clock jumps about, forward on the whole
		r.now += 3 * ms
		r.drain()
		r.now -= 2 * ms
		r.drain()
	}
	assert.Zero(t, r.s.Packets(), "packets are stuck")
	assert.NotZero(t, *sent)
}

func TestNextTellsWhenToComeBack(t *testing.T) {
	r, _ := limitedRig(t)
	assert.Equal(t, int64(forever), func() int64 {
		s, _ := New(&Config{Leaves: leaves(1)})
		defer s.Close()
		return s.Next(5)
	}(), "nothing waits")
	r.drain()
	turns, start, packets := 0, r.now, r.packets
	for r.now < start+100*ms {
		next := r.s.Next(r.now)
		assert.Greater(t, next, r.now)
		r.now = next
		r.feed()
		r.drain()
		turns++
	}
	sent := int(r.packets - packets)
	assert.InDelta(t, sent, turns, 3, "a turn for each packet")
	assert.InDelta(t, 10*mbit/1538, sent, 3)
}

func TestNextOfALinkAndAClass(t *testing.T) {
	c := &Config{RateBytesPerSec: 10 * mbit, BurstBytes: 3000, Leaves: leaves(1)}
	c.Classes[1].MaxBytesPerSec, c.Classes[1].BurstBytes = mbit, 5000
	r := newRig(t, c, 100)
	r.saturate(0, 0, fixed(1514)).depth = 20_000
	r.saturate(1, 0, fixed(1514)).depth = 20_000
	turns := 0
	for r.feed(); r.now < sec; turns++ {
		r.drain()
		r.feed()
		r.now = r.s.Next(r.now)
	}
	near(t, 10*mbit, r.leaf(0), 0.005, 3000+fullFrame, "link")
	near(t, mbit, r.class(1), 0.02, 5000+fullFrame, "class 1")
	assert.Less(t, turns, int(r.packets)+200, "it comes back no oftener than something can leave")
}

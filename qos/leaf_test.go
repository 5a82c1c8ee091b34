package qos

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluicenet/sluice/packet"
)

// leafTolerance is what a leaf's queue may be off in bytes: its quantum and two frames.
func leafTolerance(s *Scheduler, class uint8, leaf uint32) float64 {
	return float64(s.ents[queueID(class, leaf)].quantum>>creditShift + 2*fullFrame)
}

func TestWeightsOfOneToAThousand(t *testing.T) {
	c := &Config{RateBytesPerSec: gbit, Leaves: leaves(3)}
	c.Leaves[0].Weight, c.Leaves[1].Weight, c.Leaves[2].Weight = 1, 1000, 1000
	r := newRig(t, c, 8192)
	for leaf := range uint32(3) {
		r.saturate(0, leaf, fixed(1514))
	}
	run, longest := uint64(0), [3]uint64{}
	last := uint32(9)
	var quiet, longestQuiet int64
	r.onSent = func(_ *packet.Packet, o Origin) {
		if o.Leaf != last {
			run, last = 0, o.Leaf
		}
		run += uint64(o.Bytes)
		longest[o.Leaf] = max(longest[o.Leaf], run)
		if o.Leaf == 0 {
			longestQuiet = max(longestQuiet, r.now-quiet)
			quiet = r.now
		}
	}
	r.run(10 * ms) // all of what the link may send at once has gone, the queues with it
	quiet, longestQuiet, longest = r.now, 0, [3]uint64{}
	r.reset()
	r.run(10 * sec)
	near(t, 10*gbit/2001.0, r.leaf(0), 0.01, leafTolerance(r.s, 0, 0), "leaf of weight 1")
	near(t, 10*gbit*1000/2001.0, r.leaf(1), 0.002, 0, "leaf of weight 1000")
	near(t, 10*gbit*1000/2001.0, r.leaf(2), 0.002, 0, "other leaf of weight 1000")
	for leaf, most := range longest {
		assert.LessOrEqual(t, most, uint64(maxQuantum+fullFrame), "leaf %d sent so much without a pause", leaf)
	}
	// Its share is a frame in 24.6 ms.
	assert.Less(t, longestQuiet, 3*25*ms, "the leaf of weight 1 starved")
}

func TestThousandVportsWithMinimums(t *testing.T) {
	const n = 1000
	random := rand.New(rand.NewPCG(7, 7))
	c := oneClass(&Config{RateBytesPerSec: 10 * gbit, Leaves: leaves(n), Packets: 400_000}, 0)
	left := float64(10 * gbit)
	for i := range c.Leaves {
		if i%10 == 0 {
			continue // shares what is left
		}
		rate := uint64(left / 300 * random.Float64())
		c.Leaves[i].MinBytesPerSec = max(rate, 100*mbit/1000)
		left -= float64(c.Leaves[i].MinBytesPerSec)
	}
	r := newRig(t, c, n*250)
	for i := range uint32(n) {
		r.saturate(0, i, mixed(random)).depth = 40_000
	}
	r.step = 20 * us
	r.run(50 * ms)
	r.reset()
	r.run(500 * ms)
	for i := range c.Leaves {
		got := float64(r.leaf(uint32(i)))
		want := float64(c.Leaves[i].MinBytesPerSec) / 2
		if want == 0 {
			want = left / (n / 10) / 2
		}
		assert.GreaterOrEqual(t, got, min(want*0.99, want-leafTolerance(r.s, 0, uint32(i))), "leaf %d with minimum %d", i, c.Leaves[i].MinBytesPerSec)
		near(t, want, r.leaf(uint32(i)), 0.01, leafTolerance(r.s, 0, uint32(i)), "leaf %d", i)
	}
}

// p99 is the delay, in nanoseconds, of 99 of 100 packets of other leaves than the first.
func p99(t *testing.T, noise float64) int64 {
	const n = 100
	random := rand.New(rand.NewPCG(3, 4))
	c := &Config{RateBytesPerSec: gbit, Leaves: leaves(n), BurstBytes: minBurstBytes, Packets: 100_000}
	c.Classes[0].QueueBytes = 100_000
	r := newRig(t, c, 60_000)
	r.step = us
	share := float64(gbit) / n
	due := make([]float64, n) // Poisson arrivals
	var sources []*source
	for i := range uint32(n) {
		sources = append(sources, &source{leaf: i})
	}
	var delays []int64
	r.onSent = func(p *packet.Packet, o Origin) {
		if o.Leaf != 0 && r.now > 50*ms {
			delays = append(delays, r.now-int64(p.TxOffload))
		}
	}
	for ; r.now < 500*ms; r.now += r.step {
		for i, s := range sources {
			rate := share * 0.9
			if i == 0 {
				rate = share * noise
			}
			for due[i] <= float64(r.now) {
				r.give(s, 590)
				due[i] += random.ExpFloat64() * 614 / rate * 1e9
			}
		}
		r.drain()
	}
	slices.Sort(delays)
	return delays[len(delays)*99/100]
}

func TestNoisyNeighbourDoesNotDelayOthers(t *testing.T) {
	quiet, noisy := p99(t, 1), p99(t, 10)
	t.Logf("p99 of the others: %d ns with a neighbour at its share, %d ns at ten times its share", quiet, noisy)
	assert.Less(t, noisy, 2*quiet)
}

func TestGroupsShare(t *testing.T) {
	c := oneClass(&Config{RateBytesPerSec: gbit, Leaves: leaves(6)}, 2)
	c.Groups = []Group{
		{Key: 1, Parent: NoGroup, MinBytesPerSec: 500 * mbit},
		{Key: 2, Parent: NoGroup, MaxBytesPerSec: 100 * mbit},
		{Key: 3, Parent: 0, Weight: 3},
	}
	c.Leaves[0].Group = 0 // with group 2, of weight 3, it divides 500 Mbit/s
	c.Leaves[1].Group, c.Leaves[2].Group = 2, 2
	c.Leaves[3].Group, c.Leaves[4].Group = 1, 1
	c.Leaves[2].Weight = 2
	c.Leaves[3].MinBytesPerSec = 75 * mbit
	r := newRig(t, c, 8192)
	var sources []*source
	for leaf := range uint32(6) {
		sources = append(sources, r.saturate(2, leaf, fixed(1000)))
	}
	expect := func(mbits ...float64) {
		r.run(50 * ms)
		r.reset()
		r.run(sec)
		for leaf, want := range mbits {
			near(t, want*mbit, r.leaf(uint32(leaf)), 0.01, leafTolerance(r.s, 2, uint32(leaf)), "leaf %d of %v", leaf, mbits)
		}
		assert.LessOrEqual(t, r.leaf(3)+r.leaf(4), uint64(100*mbit*1.005), "group 1")
	}
	// Leaf 4 has no part in the 75 of its group, so 1/128. Leaf 5 has what minimums leave.
	small := 75 / 129.0
	expect(125, 125, 250, 75-small, small, 425)
	sources[5].off = true // 500 and 75 are to share 1000, but group 1 may have no more than 100
	expect(225, 225, 450, 100*128/129.0, 100/129.0, 0)
	sources[0].off = true
	expect(0, 300, 600, 100*128/129.0, 100/129.0, 0)
}

package qos

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

func TestNewWeightsUnderFullLoad(t *testing.T) {
	const n = 100
	weights := func(seed uint64) *Config {
		random := rand.New(rand.NewPCG(seed, 1))
		c := &Config{RateBytesPerSec: gbit, Leaves: leaves(n)}
		for i := range c.Classes {
			c.Classes[i].Weight = 1 + random.Uint32N(10)
		}
		for i := range c.Leaves {
			c.Leaves[i].Weight = 1 + random.Uint32N(10)
		}
		return c
	}
	r := newRig(t, weights(0), 60_000)
	for leaf := range uint32(n) {
		r.saturate(uint8(leaf%4), leaf, fixed(590))
	}
	for seed := range uint64(10) {
		c := weights(seed)
		require.NoError(t, r.s.reconfigure(r.now, c))
		r.run(20 * ms)
		r.reset()
		r.run(80 * ms)
		var classes float64
		var leaves [4]float64
		for i := range 4 {
			classes += float64(c.Classes[i].Weight)
		}
		for i := range c.Leaves {
			leaves[i%4] += float64(c.Leaves[i].Weight)
		}
		for i := range c.Leaves {
			class := i % 4
			want := 0.08 * gbit * float64(c.Classes[class].Weight) / classes * float64(c.Leaves[i].Weight) / leaves[class]
			near(t, want, r.leaf(uint32(i)), 0.01, leafTolerance(r.s, uint8(class), uint32(i)), "leaf %d with weights %d", i, seed)
		}
	}
	for _, s := range r.sources {
		s.off = true
	}
	r.run(sec)
	assert.Zero(t, r.s.Packets())
	assert.Equal(t, len(r.mem), len(r.free), "no packet is lost")
	assert.Zero(t, r.refused)
}

func TestReconfigurationLosesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	build := func() *Config {
		c := &Config{RateBytesPerSec: gbit, Packets: 5000}
		for i := range random.IntN(4) {
			c.Groups = append(c.Groups, Group{Key: uint64(100 + i), Parent: NoGroup, MaxBytesPerSec: 100 * mbit})
		}
		for _, key := range random.Perm(30)[:1+random.IntN(25)] {
			l := Leaf{Key: uint64(key), Group: NoGroup, Weight: 1 + random.Uint32N(20)}
			if len(c.Groups) > 0 && random.IntN(2) == 0 {
				l.Group = int32(random.IntN(len(c.Groups)))
			}
			if random.IntN(3) == 0 {
				l.MaxBytesPerSec = uint64(1+random.IntN(100)) * mbit
			}
			c.Leaves = append(c.Leaves, l)
		}
		return c
	}
	c := build()
	s, err := New(c)
	require.NoError(t, err)
	defer s.Close()
	mem := make([]packet.Packet, 20_000)
	next := 0
	var given, taken [30][Classes][]uint64 // numbers of packets
	out, from := make([]*packet.Packet, 50), make([]Origin, 50)
	keys := func(leaf uint32) uint64 { return s.keys[leaf] }
	now := int64(0)
	take := func() {
		n := s.Dequeue(now, out, from)
		for i, p := range out[:n] {
			k := &taken[keys(from[i].Leaf)][from[i].Class]
			*k = append(*k, p.TxOffload)
		}
	}
	for next < len(mem)-10 {
		for range random.IntN(200) {
			leaf, class := uint32(random.IntN(len(c.Leaves))), uint8(random.IntN(Classes))
			burst := make([]*packet.Packet, 1+random.IntN(5))
			for i := range burst {
				burst[i] = &mem[min(next+i, len(mem)-1)]
				burst[i].PktLen, burst[i].TxOffload = 60+random.Uint32N(1400), uint64(next+i)
			}
			n := s.Enqueue(class, leaf, burst)
			for _, p := range burst[:n] {
				given[keys(leaf)][class] = append(given[keys(leaf)][class], p.TxOffload)
			}
			if next += n; next >= len(mem)-10 {
				break
			}
		}
		for range random.IntN(20) {
			take()
			now += int64(random.IntN(100)) * us
		}
		c = build()
		require.NoError(t, s.reconfigure(now, c))
	}
	for i := 0; s.Packets() > 0; i++ {
		take()
		now += ms
		require.Less(t, i, 100_000, "%d packets are stuck", s.Packets())
	}
	assert.Equal(t, given, taken, "the same packets, in the same order")
}

func TestPlansGrowStale(t *testing.T) {
	c := &Config{Leaves: leaves(3)}
	r := newRig(t, c, 8)
	p, err := r.s.Compile(c)
	require.NoError(t, err)
	require.NoError(t, r.s.reconfigure(0, c))
	require.ErrorIs(t, r.s.Install(0, p), ErrStale)
	p.Close()
}

// The bound on packets is that of the configuration in force, whichever way it changed. What a larger one let in stays.
func TestPacketsAreBoundedAsConfigured(t *testing.T) {
	bounded := func(packets int) *Config {
		return &Config{RateBytesPerSec: gbit, Leaves: leaves(300), Packets: packets}
	}
	r := newRig(t, bounded(100), 5000)
	sources := make([]source, 300)
	fill := func(rounds int) int {
		for i := range rounds * len(sources) {
			src := &sources[i%len(sources)]
			src.leaf = uint32(i % len(sources))
			r.give(src, 60)
		}
		return r.s.Packets()
	}
	assert.Equal(t, 100, fill(1))
	require.NoError(t, r.s.reconfigure(r.now, bounded(200)))
	assert.Equal(t, 200, fill(1), "more from now on")

	require.NoError(t, r.s.reconfigure(r.now, bounded(4000)))
	full := fill(40)
	assert.Greater(t, full, 3500)
	for range 2 { // the second time nothing but what waits says how much room that takes
		require.NoError(t, r.s.reconfigure(r.now, bounded(50)))
		assert.Equal(t, full, fill(1), "none is lost, none accepted")
	}
	for r.s.Packets() > 0 {
		r.drain()
		r.now += 10 * us
		if n := r.s.Packets(); n >= 50 {
			assert.Equal(t, n, fill(1))
		}
	}
	assert.Equal(t, len(r.mem), len(r.free))
	assert.Equal(t, 50, fill(1))
}

func TestNewLimitsAreNoNewBursts(t *testing.T) {
	c := &Config{RateBytesPerSec: gbit, Leaves: leaves(1)}
	c.Leaves[0].MaxBytesPerSec, c.Leaves[0].BurstBytes = 10*mbit, 15_000
	r := newRig(t, c, 200)
	r.saturate(0, 0, fixed(1514))
	r.run(100 * ms)
	r.reset()
	for range 100 { // one for each millisecond
		require.NoError(t, r.s.reconfigure(r.now, c))
		r.run(ms)
	}
	near(t, mbit, r.leaf(0), 0.005, 2*fullFrame, "limited leaf")
}

func TestRemoveTakesWhatMatches(t *testing.T) {
	c := &Config{RateBytesPerSec: gbit, Leaves: leaves(3)}
	c.Leaves[1].MaxBytesPerSec = 10 * mbit
	r := newRig(t, c, 3000)
	for leaf := range uint32(3) {
		r.saturate(2, leaf, fixed(300))
	}
	r.run(ms)
	r.feed()
	before := r.s.Packets()
	var gone int
	room := make([]*packet.Packet, 16)
	looks := map[*packet.Packet]bool{}
	odd := func(p *packet.Packet) bool { return Queue(p.HashHigh) == QueueOf(2, 1) || p.RSSHash%2 == 1 }
	look := func(p *packet.Packet) bool {
		require.False(t, looks[p], "looked at before")
		looks[p] = true
		return odd(p)
	}
	ask := func(leaf uint32, oldest *packet.Packet) bool {
		require.Equal(t, QueueOf(2, leaf), Queue(oldest.HashHigh))
		require.GreaterOrEqual(t, oldest.RSSHash, r.seen[QueueOf(2, leaf)])
		return true
	}
	for at := (Place{}); ; {
		n := r.s.Remove(&at, ask, look, room)
		if n == 0 {
			break
		}
		for _, p := range room[:n] {
			require.True(t, odd(p))
		}
		gone += n
	}
	assert.Equal(t, before-gone, r.s.Packets())
	assert.Len(t, looks, before)
	assert.Zero(t, r.s.QueueBytes(2, 1))
	out, left := make([]*packet.Packet, 64), 0
	last := map[uint32]uint32{}
	for now := r.now; r.s.Packets() > 0; now += ms {
		n := r.s.Dequeue(now, out, nil)
		for _, p := range out[:n] {
			require.False(t, odd(p))
			if seq, seen := last[p.HashHigh]; seen {
				require.Equal(t, seq+2, p.RSSHash)
			}
			last[p.HashHigh] = p.RSSHash
		}
		left += n
	}
	assert.Equal(t, before-gone, left)
	for class := range uint8(Classes) {
		assert.Zero(t, r.s.Bytes(class))
		assert.Zero(t, r.s.classes[class].active)
	}
	require.True(t, r.give(&source{class: 2, leaf: 1}, 60), "an emptied queue takes packets again")
	assert.Equal(t, 1, r.s.Dequeue(r.now+sec*10, out, nil))
	require.True(t, r.give(&source{class: 5, leaf: 0}, 60))
	assert.Equal(t, 1, r.s.Flush(&Place{}, out))
}

// The worker that removes packets does not wait for the collector, nor for packets in queues that do not concern it.
func TestRemovingLooksAtLittle(t *testing.T) {
	c := &Config{Leaves: leaves(50)}
	r := newRig(t, c, 10_000)
	for leaf := range uint32(50) {
		src := &source{class: 1, leaf: leaf}
		for range 100 {
			r.give(src, 60)
		}
	}
	room := make([]*packet.Packet, 32)
	looks, match := 0, false
	one := func(leaf uint32, _ *packet.Packet) bool { return leaf == 7 }
	walk := func() (gone int) {
		for at := (Place{}); ; {
			n := r.s.Remove(&at, one, func(*packet.Packet) bool { looks++; return match }, room)
			if gone += n; n == 0 {
				return gone
			}
		}
	}
	assert.Zero(t, testing.AllocsPerRun(9, func() { walk() }))
	assert.Equal(t, 10*100, looks)
	looks, match = 0, true
	assert.Equal(t, 100, walk())
	assert.Equal(t, 100, looks)
	assert.Equal(t, 4900, r.s.Packets())
	r.run(ms)
	assert.Zero(t, r.s.Packets())
}

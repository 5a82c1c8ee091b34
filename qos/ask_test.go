package qos

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

func TestPacketsCostNoAllocations(t *testing.T) {
	c := &Config{RateBytesPerSec: gbit, Leaves: leaves(20), Groups: []Group{{Key: 1, Parent: NoGroup, MaxBytesPerSec: 100 * mbit}}}
	for i := range c.Leaves[:10] {
		c.Leaves[i].Group, c.Leaves[i].MaxBytesPerSec = 0, 50*mbit
	}
	c.Classes[0].MarkBytes = 1000
	s := benchScheduler(t, 20, 10_000, func(to *Config) { *to = *c })
	pkts := benchPackets(20, Classes, 20)
	out, from := make([]*packet.Packet, 64), make([]Origin, 64)
	now := int64(0)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for i := 0; i+16 <= len(pkts); i += 16 {
			s.Enqueue(uint8(i), uint32(i%20), pkts[i:i+16])
			s.Mark(uint8(i), uint32(i%20), 8)
		}
		for s.Packets() > 0 {
			s.Dequeue(now, out, from)
			now = s.Next(now)
		}
		s.Pass(now+sec, 1, 1, 1, 84)
	}))
}

func TestMarksByDepth(t *testing.T) {
	c := &Config{Leaves: leaves(3)}
	c.Classes[1].MarkBytes, c.Classes[1].MarkFullBytes = 10_000, 20_000
	c.Classes[2].MarkBytes = 10_000
	r := newRig(t, c, 1000)
	put := func(class uint8, leaf uint32, n int) {
		src := &source{class: class, leaf: leaf}
		for range n {
			require.True(t, r.give(src, 976)) // 1000 on the wire
		}
	}
	yes := func(class uint8, leaf uint32) (n int) {
		for range 25 {
			set := r.s.Mark(class, leaf, 4)
			require.Zero(t, set>>4)
			n += bits.OnesCount8(set)
		}
		return n
	}
	put(2, 0, 9)
	assert.Zero(t, yes(2, 0), "below the threshold")
	put(2, 0, 1)
	assert.Equal(t, 100, yes(2, 0), "at the threshold")
	put(2, 1, 2)
	assert.Zero(t, yes(2, 1), "a short queue beside a long one")
	assert.Equal(t, 100, yes(2, 0))
	put(1, 0, 15)
	assert.Equal(t, 50, yes(1, 0), "half way")
	put(1, 0, 5)
	assert.Equal(t, 100, yes(1, 0), "from the end of the ramp")
	assert.Zero(t, yes(0, 0), "no marks without a threshold")
	r.s.Capable(1, 0, 5, 3)
	assert.EqualValues(t, 5, r.s.Stats(1, 0).Capable)
	assert.EqualValues(t, 3, r.s.Stats(1, 0).Marked)
	require.NoError(t, r.s.reconfigure(0, c))
	assert.EqualValues(t, 5, r.s.Stats(1, 0).Capable)
}

func TestContradictionsAreRefused(t *testing.T) {
	for name, change := range map[string]func(c *Config){
		"minimum 200000 bytes/s is above maximum 100000":               func(c *Config) { c.Leaves[0].MinBytesPerSec, c.Leaves[0].MaxBytesPerSec = 200_000, 100_000 },
		"minimums add up to 130000000 bytes/s, the link has 125000000": func(c *Config) { c.Leaves[0].MinBytesPerSec, c.Leaves[1].MinBytesPerSec = 65_000_000, 65_000_000 },
		"burst is 1000 bytes":               func(c *Config) { c.Leaves[1].MaxBytesPerSec, c.Leaves[1].BurstBytes = mbit, 1000 },
		"there is no group 1":               func(c *Config) { c.Leaves[1].Group = 1 },
		"parent 0 does not stand before it": func(c *Config) { c.Groups[0].Parent = 0 },
		"which is leaf 0's":                 func(c *Config) { c.Leaves[1].Key = c.Leaves[0].Key },
		"above its maximum 1000000": func(c *Config) {
			c.Leaves[0].Group, c.Leaves[0].MinBytesPerSec, c.Groups[0].MaxBytesPerSec = 0, 2_000_000, 1_000_000
		},
		"minimums need the rate of the link":                            func(c *Config) { c.RateBytesPerSec, c.Leaves[0].MinBytesPerSec = 0, mbit },
		"all are marked from 5 bytes, but marking starts at 10":         func(c *Config) { c.Classes[3].MarkBytes, c.Classes[3].MarkFullBytes = 10, 5 },
		"maximum is 10 bytes/s: choose 0 for none, or 1000 to 12500000": func(c *Config) { c.Classes[3].MaxBytesPerSec = 10 },
	} {
		c := &Config{RateBytesPerSec: gbit, Leaves: leaves(2), Groups: []Group{{Key: 1, Parent: NoGroup}}}
		change(c)
		_, err := New(c)
		require.ErrorIs(t, err, ErrConfig)
		assert.ErrorContains(t, err, name)
	}
}

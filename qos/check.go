package qos

import (
	"errors"
	"fmt"
)

// ErrConfig is what every error about a configuration wraps.
var ErrConfig = errors.New("qos configuration")

// Bounds of what a configuration may hold. The arithmetic of buckets and credits relies on them.
const (
	fullFrame      = 1514 + wireOverhead // a full Ethernet frame on the wire
	minBytesPerSec = 1000
	maxBytesPerSec = 125_000_000_000 // 1 Tbit/s
	minBurstBytes  = fullFrame
	maxBurstBytes  = 256 << 20
	maxLeaves      = 1 << 20
	maxGroups      = 1 << 16
	maxWeight      = 1 << 20
	maxDepth       = 4 // groups in groups
	maxPackets     = 1 << 24
)

func fault(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
}

func checkRate(what string, bytesPerSec uint64) error {
	if bytesPerSec != 0 && (bytesPerSec < minBytesPerSec || bytesPerSec > maxBytesPerSec) {
		return fault("%s is %d bytes/s: choose 0 for none, or %d to %d", what, bytesPerSec, minBytesPerSec, maxBytesPerSec)
	}
	return nil
}

func checkBurst(what string, burst uint64) error {
	if burst != 0 && (burst < minBurstBytes || burst > maxBurstBytes) {
		return fault("%s is %d bytes: choose 0 for the default, or %d (a full frame on the wire) to %d", what, burst, minBurstBytes, maxBurstBytes)
	}
	return nil
}

// checkLimits checks what leaves and groups have in common.
func checkLimits(what string, minimum, maximum, burst uint64, weight uint32) error {
	if maximum != 0 && minimum > maximum {
		return fault("%s: minimum %d bytes/s is above maximum %d", what, minimum, maximum)
	}
	if weight > maxWeight {
		return fault("%s: weight %d is above %d", what, weight, maxWeight)
	}
	return errors.Join(checkRate(what+": minimum", minimum), checkRate(what+": maximum", maximum), checkBurst(what+": burst", burst))
}

// check refuses what contradicts itself. Whoever has positions in a file says it better beforehand.
func (c *Config) check() error {
	if len(c.Leaves) > maxLeaves || len(c.Groups) > maxGroups || c.Packets < 0 || c.Packets > maxPackets {
		return fault("%d leaves, %d groups, %d packets: at most %d, %d and %d", len(c.Leaves), len(c.Groups), c.Packets, maxLeaves, maxGroups, maxPackets)
	}
	if err := errors.Join(checkRate("link", c.RateBytesPerSec), checkBurst("link: burst", c.BurstBytes)); err != nil {
		return err
	}
	for i, k := range c.Classes {
		what := fmt.Sprintf("class %d", i)
		if err := checkLimits(what, 0, k.MaxBytesPerSec, k.BurstBytes, k.Weight); err != nil {
			return err
		}
		if k.MarkFullBytes != 0 && k.MarkFullBytes < k.MarkBytes {
			return fault("%s: all are marked from %d bytes, but marking starts at %d", what, k.MarkFullBytes, k.MarkBytes)
		}
	}
	if err := c.checkGroups(); err != nil {
		return err
	}
	return c.checkLeaves()
}

func (c *Config) checkGroups() error {
	keys := make(map[uint64]int, len(c.Groups))
	depth := make([]int, len(c.Groups))
	for i := range c.Groups {
		g := &c.Groups[i]
		what := fmt.Sprintf("group %d", i)
		if other, twice := keys[g.Key]; twice {
			return fault("%s has key %#x, which is group %d's", what, g.Key, other)
		}
		keys[g.Key] = i
		if g.Parent < NoGroup || int(g.Parent) >= i {
			return fault("%s: parent %d does not stand before it", what, g.Parent)
		}
		if depth[i] = 1; g.Parent != NoGroup {
			depth[i] = depth[g.Parent] + 1
		}
		if depth[i] > maxDepth {
			return fault("%s is %d groups deep, at most %d", what, depth[i], maxDepth)
		}
		if err := checkLimits(what, g.MinBytesPerSec, g.MaxBytesPerSec, g.BurstBytes, g.Weight); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkLeaves() error {
	keys := make(map[uint64]int, len(c.Leaves))
	for i := range c.Leaves {
		l := &c.Leaves[i]
		what := fmt.Sprintf("leaf %d", i)
		if other, twice := keys[l.Key]; twice {
			return fault("%s has key %#x, which is leaf %d's", what, l.Key, other)
		}
		keys[l.Key] = i
		if l.Group < NoGroup || int(l.Group) >= len(c.Groups) {
			return fault("%s: there is no group %d", what, l.Group)
		}
		if err := checkLimits(what, l.MinBytesPerSec, l.MaxBytesPerSec, l.BurstBytes, l.Weight); err != nil {
			return err
		}
	}
	return c.checkMinimums()
}

// checkMinimums adds up what was promised, from the leaves to the link.
func (c *Config) checkMinimums() error {
	need := c.minimums()
	total := need[len(c.Groups)]
	if total == 0 {
		return nil
	}
	for i := range c.Groups {
		if g := &c.Groups[i]; g.MaxBytesPerSec != 0 && need[i] > g.MaxBytesPerSec {
			return fault("group %d: minimums of its members add up to %d bytes/s, above its maximum %d", i, need[i], g.MaxBytesPerSec)
		}
	}
	if c.RateBytesPerSec == 0 {
		return fault("minimums need the rate of the link")
	}
	if total > c.RateBytesPerSec {
		return fault("minimums add up to %d bytes/s, the link has %d", total, c.RateBytesPerSec)
	}
	return nil
}

// minimums is what each group must get: its own minimum or the sum of its members', whichever is more; the last one is the
// link's.
func (c *Config) minimums() []uint64 {
	link := len(c.Groups)
	need := make([]uint64, link+1)
	at := func(group int32) int {
		if group == NoGroup {
			return link
		}
		return int(group)
	}
	for i := range c.Leaves {
		need[at(c.Leaves[i].Group)] += c.Leaves[i].MinBytesPerSec
	}
	for i := link - 1; i >= 0; i-- {
		need[i] = max(need[i], c.Groups[i].MinBytesPerSec)
		need[at(c.Groups[i].Parent)] += need[i]
	}
	return need
}

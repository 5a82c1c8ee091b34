// Package memcpy measures what copying frames costs by itself, on one core: with large frames a switch is to be read
// beside it, since a replay copies every frame once.
package memcpy

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/benchmarks/measure"
)

// Spec says what to copy.
type Spec struct {
	Block   int // bytes of a frame
	Stride  int // bytes from one frame to the next: buffers are larger than frames
	Sources int // frames that are copied from, in turn
	Targets int // frames that are copied to, in turn
	Core    int // -1: wherever
	Clock   measure.Clock
	Windows int
	Window  time.Duration
}

// batch is how many copies lie between two looks at the clock.
const batch = 512

// Run copies by Go's copy, which is memmove, and counts blocks as packets. When ctx ends it returns what is complete,
// with the context's error.
func Run(ctx context.Context, s Spec) (sample measure.Sample, err error) {
	if s.Block < 1 || s.Stride < s.Block || s.Sources < 1 || s.Targets < 1 || s.Windows < 1 || s.Window <= 0 {
		return sample, fmt.Errorf("copy %d windows of blocks of %d bytes: %w", s.Windows, s.Block, errSpec)
	}
	if s.Core >= 0 {
		runtime.LockOSThread() // not unlocked: the thread ends with its goroutine
		var set unix.CPUSet
		set.Set(s.Core)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return sample, fmt.Errorf("copy on core %d: %w", s.Core, err)
		}
	}
	from, to := make([]byte, s.Sources*s.Stride), make([]byte, s.Targets*s.Stride)
	for _, area := range [][]byte{from, to} {
		for i := 0; i < len(area); i += 64 {
			area[i] = 1 // a page that was never written is no memory of its own
		}
	}
	c := copier{from: from, to: to, stride: s.Stride, block: s.Block}
	for range s.Sources/batch + 1 { // warm
		c.copy()
	}
	var windows []measure.Window
	for len(windows) < s.Windows && ctx.Err() == nil {
		w := measure.Window{}
		start, first := time.Now(), s.Clock()
		for w.Seconds < s.Window.Seconds() {
			c.copy()
			w.Packets += batch
			w.Seconds = time.Since(start).Seconds()
		}
		w.Cycles = s.Clock() - first
		windows = append(windows, w)
	}
	if len(windows) > 0 {
		sample.Set(windows)
		sample.Detail = map[string]float64{"bytesPerSecond": sample.MPPS * 1e6 * float64(s.Block)}
	}
	return sample, ctx.Err()
}

var errSpec = errors.New("blocks, areas and windows must not be empty, nor blocks larger than the stride")

// copier goes round in two areas.
type copier struct {
	from, to      []byte
	stride, block int
	atFrom, atTo  int
}

func (c *copier) copy() {
	for range batch {
		copy(c.to[c.atTo:c.atTo+c.block], c.from[c.atFrom:c.atFrom+c.block])
		if c.atFrom += c.stride; c.atFrom >= len(c.from) {
			c.atFrom = 0
		}
		if c.atTo += c.stride; c.atTo >= len(c.to) {
			c.atTo = 0
		}
	}
}

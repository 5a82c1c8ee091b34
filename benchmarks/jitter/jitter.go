// Package jitter keeps the time that a loop takes from one turn to the next, and says how far it strays.
package jitter

import (
	"math/bits"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	subBucketBits = 8       // 256 sub-buckets: two significant digits
	Longest       = 1 << 40 // cycles that are told apart, some minutes
)

// LoopTimes counts turns by their length in cycles, in the layout of an HdrHistogram with a lowest value of 1 and two
// significant digits, so that C can fill it too. It has one writer; it may be read when the writer rests.
type LoopTimes struct {
	Counts []int64
}

// New makes an empty one.
func New() *LoopTimes {
	return &LoopTimes{Counts: make([]int64, len(hdrhistogram.New(1, Longest, 2).Export().Counts))}
}

// Record counts one turn.
func (l *LoopTimes) Record(cycles uint64) {
	shift := 64 - bits.LeadingZeros64(cycles|(1<<subBucketBits-1)) - subBucketBits
	i := shift<<(subBucketBits-1) + int(cycles>>shift)
	if i >= len(l.Counts) {
		i = len(l.Counts) - 1
	}
	l.Counts[i]++
}

// Reset forgets all turns.
func (l *LoopTimes) Reset() { clear(l.Counts) }

const (
	longGap = time.Millisecond      // a turn that a user of the network notices
	lost    = 10 * time.Microsecond // a turn that can only be so long because somebody else had the core
)

// Summary says how long turns took.
type Summary struct {
	Turns              int64   `json:"turns"`
	P50Ns              float64 `json:"p50Ns"`
	P99Ns              float64 `json:"p99Ns"`
	P9999Ns            float64 `json:"p9999Ns"`
	MaxNs              float64 `json:"maxNs"`
	GapsPerMinute      float64 `json:"gapsPerMinute"` // turns of over 1 ms
	Gaps               int64   `json:"gaps"`
	LostShare          float64 `json:"lostShare"` // of the time, spent in turns of over 10 µs
	Seconds            float64 `json:"seconds"`
	CollectionsPerMin  float64 `json:"collectionsPerMinute"` // of Go's garbage collector; 0 where there is none
	CollectionsCounted int64   `json:"collections"`
}

// Summary sums up turns at tscHz cycles per second.
func (l *LoopTimes) Summary(tscHz float64) Summary {
	h := hdrhistogram.Import(&hdrhistogram.Snapshot{LowestTrackableValue: 1, HighestTrackableValue: Longest, SignificantFigures: 2, Counts: l.Counts})
	ns := func(cycles int64) float64 { return float64(cycles) / tscHz * 1e9 }
	s := Summary{Turns: h.TotalCount(), P50Ns: ns(h.ValueAtQuantile(50)), P99Ns: ns(h.ValueAtQuantile(99)),
		P9999Ns: ns(h.ValueAtQuantile(99.99)), MaxNs: ns(h.Max())}
	taken, total := 0.0, 0.0
	gapCycles, lostCycles := int64(tscHz*longGap.Seconds()), int64(tscHz*lost.Seconds())
	for _, bar := range h.Distribution() {
		time := float64(bar.From+bar.To) / 2 * float64(bar.Count)
		total += time
		if bar.From >= gapCycles {
			s.Gaps += bar.Count
		}
		if bar.From >= lostCycles {
			taken += time
		}
	}
	s.Seconds = total / tscHz
	if total > 0 {
		s.LostShare = taken / total
		s.GapsPerMinute = float64(s.Gaps) / s.Seconds * 60
	}
	return s
}

// WithCollections adds what the garbage collector did meanwhile.
func (s Summary) WithCollections(n int64) Summary {
	s.CollectionsCounted = n
	if s.Seconds > 0 {
		s.CollectionsPerMin = float64(n) / s.Seconds * 60
	}
	return s
}

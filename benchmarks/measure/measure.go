// Package measure turns counters that grow into rates: readings, the windows between them, and what a series of windows
// says when neighbours disturb the machine.
package measure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicenet/sluice/benchmarks/jitter"
)

// Clock is the time stamp counter of the CPU.
type Clock func() uint64

// Window is what happened between two readings of a counter.
type Window struct {
	Packets uint64  `json:"packets"`
	Cycles  uint64  `json:"cycles"` // of the time stamp counter
	Seconds float64 `json:"seconds"`
	Blur    float64 `json:"blur"` // how long the readings took, as a share of the window: its error at most
}

// CyclesPerPacket is the price of a packet.
func (w Window) CyclesPerPacket() float64 { return float64(w.Cycles) / float64(w.Packets) }

// MPPS is the rate, millions of packets per second.
func (w Window) MPPS() float64 { return float64(w.Packets) / w.Seconds / 1e6 }

// Sample is what one contender did in one round.
type Sample struct {
	Contender       string             `json:"contender"`
	CyclesPerPacket float64            `json:"cyclesPerPacket"` // median of the windows; 0 where no packets move
	BestCycles      float64            `json:"bestCycles"`      // least of the windows
	MPPS            float64            `json:"mpps"`            // median of the windows
	Windows         []Window           `json:"windows,omitempty"`
	Jitter          *jitter.Summary    `json:"jitter,omitempty"`
	Detail          map[string]float64 `json:"detail,omitempty"` // what the contender says of itself
	Notes           []string           `json:"notes,omitempty"`
	Waited          float64            `json:"waited"` // share of the time for which other programs had the measured core
	Busy            *Busy              `json:"busy,omitempty"`
}

// DisturbedFrom is the share of Waited from which a sample says more about others than about its contender.
const DisturbedFrom = 0.02

// Disturbed reports whether others had the core for too long.
func (s *Sample) Disturbed() bool { return s.Waited >= DisturbedFrom }

// Busy is what else happened on the machine while the sample was taken.
type Busy struct {
	Load1 float64 `json:"load1"` // load average of one minute at the end
	Steal float64 `json:"steal"` // share of the measuring core's time that the hypervisor gave to others
}

// Set puts in what the windows say.
func (s *Sample) Set(windows []Window) {
	s.Windows = windows
	s.CyclesPerPacket = Median(Values(windows, Window.CyclesPerPacket))
	s.BestCycles = slices.Min(Values(windows, Window.CyclesPerPacket))
	s.MPPS = Median(Values(windows, Window.MPPS))
}

// ErrNoPackets says that a counter did not move.
var ErrNoPackets = errors.New("no packets were sent")

// reading is a counter at a moment, which lies between before and after.
type reading struct {
	count  uint64
	tsc    uint64
	at     time.Time
	cycles uint64 // that it took
}

const (
	patience  = 20 * time.Second // without a packet: on a busy machine whoever is measured may not get its core for long
	maxEmpty  = 10               // windows in a row without a packet, at least
	readTries = 5
	goodBlur  = 20 * time.Microsecond // a reading that took no longer is not tried again
)

// read takes the best of several readings: whoever reads may be interrupted between looking at the clock and at the
// counter.
func read(clock Clock, count func() (uint64, error)) (best reading, err error) {
	for try := range readTries {
		start, before := time.Now(), clock()
		n, err := count()
		if err != nil {
			return reading{}, err
		}
		after, took := clock(), time.Since(start)
		r := reading{count: n, tsc: before + (after-before)/2, at: start.Add(took / 2), cycles: after - before}
		if try == 0 || r.cycles < best.cycles {
			best = r
		}
		if took <= goodBlur {
			break
		}
	}
	return best, nil
}

// Series measures n windows, one after the other, each as long as that and until a packet has passed. When ctx ends it
// returns the windows that are complete, with the context's error.
func Series(ctx context.Context, clock Clock, n int, length time.Duration, count func() (uint64, error)) ([]Window, error) {
	return series(ctx, clock, n, length, patience, count)
}

func series(ctx context.Context, clock Clock, n int, length, patience time.Duration,
	count func() (uint64, error)) ([]Window, error) {
	var windows []Window
	last, err := read(clock, count)
	if err != nil {
		return nil, err
	}
	for empty := 0; len(windows) < n; {
		select {
		case <-ctx.Done():
			return windows, ctx.Err()
		case <-time.After(length):
		}
		now, err := read(clock, count)
		if err != nil {
			return windows, err
		}
		w := Window{Packets: now.count - last.count, Cycles: now.tsc - last.tsc, Seconds: now.at.Sub(last.at).Seconds()}
		if w.Packets == 0 { // others have the core: the next window is so much longer
			if empty++; empty >= maxEmpty && now.at.Sub(last.at) >= patience {
				return windows, fmt.Errorf("in %.2f s: %w", w.Seconds, ErrNoPackets)
			}
			continue
		}
		empty = 0
		w.Blur = float64(now.cycles+last.cycles) / 2 / float64(w.Cycles)
		windows = append(windows, w)
		last = now
	}
	return windows, nil
}

// Values applies f to each item.
func Values[T any](items []T, f func(T) float64) []float64 {
	v := make([]float64, len(items))
	for i := range items {
		v[i] = f(items[i])
	}
	return v
}

// Median is the middle value, 0 without any.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Clone(v)
	slices.Sort(s)
	if len(s)%2 == 1 {
		return s[len(s)/2]
	}
	return (s[len(s)/2-1] + s[len(s)/2]) / 2
}

// Spread is a median with the range that it comes from.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// SpreadOf sums up values.
func SpreadOf(v []float64) Spread {
	if len(v) == 0 {
		return Spread{}
	}
	return Spread{Median: Median(v), Min: slices.Min(v), Max: slices.Max(v), N: len(v)}
}

// Ratios divides the values of two contenders round by round, so that what disturbed a whole round cancels out. A round
// that one of them lacks is left out.
func Ratios[K cmp.Ordered](a, b map[K]float64) []float64 {
	var rounds []K
	for k := range a {
		if b[k] > 0 && a[k] > 0 {
			rounds = append(rounds, k)
		}
	}
	slices.Sort(rounds)
	return Values(rounds, func(k K) float64 { return a[k] / b[k] })
}

// Frequency measures a clock, cycles per second.
func Frequency(clock Clock) float64 {
	const length = 200 * time.Millisecond
	cycles, at := clock(), time.Now()
	time.Sleep(length)
	return float64(clock()-cycles) / time.Since(at).Seconds()
}

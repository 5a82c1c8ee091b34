package vmq

import (
	"math"
	"time"
)

const (
	bigStep = 0.2 // of the level: samples that differ by more may tell of a change
	leap    = 0.02
)

// filter follows a load: noise is averaged, a change is believed at once when two samples in a row tell of it, and one
// sample that stands out alone hardly counts. So it answers a VM that becomes busy within two samples, and nothing moves
// because of noise.
type filter struct {
	level, before float64
	seen          bool
}

func (f *filter) add(v float64, past, smoothing time.Duration) {
	defer func() { f.before, f.seen = v, true }()
	if !f.seen {
		f.level = v
		return
	}
	now, then := v-f.level, f.before-f.level
	if step := max(leap, bigStep*f.level); math.Abs(now) > step && math.Abs(then) > step && (now > 0) == (then > 0) {
		f.level = v
		if math.Abs(then) < math.Abs(now) {
			f.level = f.before
		}
		return
	}
	weight := 1.0
	if smoothing > 0 {
		weight = 1 - math.Exp(-float64(past)/float64(smoothing))
	}
	f.level += weight * now
}

// set says what the load is known to be, by what was just decided.
func (f *filter) set(v float64) { f.level, f.before, f.seen = v, v, true }

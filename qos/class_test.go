package qos

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

// classTolerance is what a class may be off in bytes: its quantum and two frames.
func classTolerance(s *Scheduler, class int) float64 {
	return float64(s.classes[class].quantum>>creditShift + 2*fullFrame)
}

func TestEightClassesSaturated(t *testing.T) {
	weights := [Classes]uint32{5, 10, 15, 20, 20, 10, 10, 10}
	for _, rate := range []uint64{100 * mbit, gbit, 10 * gbit} {
		c := &Config{RateBytesPerSec: rate, Leaves: leaves(4)}
		var total float64
		for i, w := range weights {
			c.Classes[i].Weight = w
			total += float64(w)
		}
		r := newRig(t, c, 32_768)
		random := rand.New(rand.NewPCG(1, rate))
		frame, windows := mixed(random), 100
		if rate == 10*gbit {
			frame = fixed(1514) // of the others it would be too many
		}
		if raceDetector {
			windows = 2
		}
		for class := range uint8(Classes) {
			for leaf := range uint32(4) {
				r.saturate(class, leaf, frame)
			}
		}
		r.run(10 * ms)
		var sums [Classes]uint64
		for range windows {
			r.reset()
			r.run(100 * ms)
			for i, w := range weights {
				got := r.class(uint8(i))
				near(t, float64(rate)/10*float64(w)/total, got, 0.01, classTolerance(r.s, i), "class %d in 100 ms at %d bytes/s", i, rate)
				sums[i] += got
			}
		}
		if windows < 100 {
			continue
		}
		for i, w := range weights {
			near(t, float64(rate)*10*float64(w)/total, sums[i], 0.002, 0, "class %d in 10 s at %d bytes/s", i, rate)
		}
	}
}

func TestUnusedShareGoesToTheOthersInProportion(t *testing.T) {
	c := &Config{RateBytesPerSec: 10 * gbit, Leaves: leaves(1)}
	for i, w := range []uint32{40, 30, 20, 10} {
		c.Classes[i].Weight = w
	}
	r := newRig(t, c, 8192)
	var sources [4]*source
	for i := range sources {
		sources[i] = r.saturate(uint8(i), 0, fixed(1514))
		sources[i].depth = 100_000
	}
	r.run(10 * ms)
	sources[0].off = true
	r.run(1 * ms) // what class 0 still had
	r.reset()
	r.run(10 * ms)
	for i, w := range []float64{0, 30, 20, 10} {
		near(t, 10*gbit/100*w/60, r.class(uint8(i)), 0.01, classTolerance(r.s, i), "class %d without class 0", i)
	}
	sources[0].off = false
	r.reset()
	r.run(10 * ms)
	for i, w := range []float64{40, 30, 20, 10} {
		near(t, 10*gbit/100*w/100, r.class(uint8(i)), 0.01, classTolerance(r.s, i), "class %d with class 0 again", i)
	}
}

func TestStrictGoesBeforeETS(t *testing.T) {
	c := &Config{RateBytesPerSec: gbit, Leaves: leaves(2)}
	c.Classes[7].Strict, c.Classes[2].Strict = true, true
	r := newRig(t, c, 32_768)
	r.saturate(0, 0, fixed(1514))
	r.saturate(5, 1, fixed(1514))
	r.offer(7, 0, 300*mbit, fixed(200))
	r.offer(2, 1, 200*mbit, fixed(200))
	r.run(10 * ms)
	r.reset()
	r.run(100 * ms)
	near(t, 30*mbit, r.class(7), 0.01, 2*fullFrame, "class 7")
	near(t, 20*mbit, r.class(2), 0.01, 2*fullFrame, "class 2")
	near(t, 25*mbit, r.class(0), 0.01, classTolerance(r.s, 0), "class 0")
	near(t, 25*mbit, r.class(5), 0.01, classTolerance(r.s, 5), "class 5")
	both := r.saturate(7, 1, fixed(1514))
	r.run(10 * ms)
	r.reset()
	r.run(20 * ms)
	assert.Zero(t, r.class(0)+r.class(2)+r.class(5), "the highest strict class takes all that it can")
	both.off = true
	r.run(10 * ms)
	r.reset()
	r.run(100 * ms)
	near(t, 20*mbit, r.class(2), 0.01, 2*fullFrame, "class 2 again")
}

func TestClassMaximum(t *testing.T) {
	c := &Config{RateBytesPerSec: gbit, Leaves: leaves(2)}
	c.Classes[7] = Class{Strict: true, MaxBytesPerSec: 100 * mbit}
	c.Classes[3] = Class{Weight: 9, MaxBytesPerSec: 250 * mbit, BurstBytes: 30_000}
	r := newRig(t, c, 32_768)
	r.saturate(7, 0, fixed(700))
	r.saturate(3, 0, fixed(1514))
	r.saturate(3, 1, fixed(60))
	r.saturate(0, 0, fixed(1514))
	r.run(20 * ms)
	r.reset()
	r.run(sec)
	near(t, 100*mbit, r.class(7), 0.005, 0, "class 7")
	near(t, 250*mbit, r.class(3), 0.005, 0, "class 3")
	near(t, 650*mbit, r.class(0), 0.005, 0, "class 0")
}

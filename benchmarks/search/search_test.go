package search

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var both = []Goal{{"NDR", 0}, {"PDR", 0.005}}

func config() Config {
	return Config{Goals: both, MinLoad: 1000, MaxLoad: 14.88e6, Resolution: 0.005, Trial: time.Second, Trials: 5, Exceed: 0.5, MaxTrials: 400}
}

// device carries so many packets per second; spoil says which trials something else on the machine spoils.
func device(capacity float64, spoil func(load float64) bool) Trial {
	return func(_ context.Context, load float64, length time.Duration) (Outcome, error) {
		o := Outcome{Offered: load, Sent: uint64(load * length.Seconds())}
		if load > capacity {
			o.Lost = uint64(float64(o.Sent) * (1 - capacity/load))
			o.Lost = max(o.Lost, 1)
		}
		if spoil(load) {
			o.Lost = min(o.Sent, o.Lost+max(1, o.Sent/20))
		}
		return o, nil
	}
}

func quiet(float64) bool { return false }

// On a quiet machine the bounds enclose the capacity, as closely as asked for.
func TestQuietDevice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := config()
		c.Resolution = rapid.Float64Range(0.001, 0.1).Draw(t, "resolution")
		capacity := rapid.Float64Range(c.MinLoad*1.2, c.MaxLoad*0.98).Draw(t, "capacity")
		r, err := Search(t.Context(), c, device(capacity, quiet), nil)
		require.NoError(t, err)
		ndr, pdr := r.Bounds[0], r.Bounds[1]
		for _, b := range r.Bounds {
			require.True(t, b.Done)
			require.LessOrEqual(t, b.Upper-b.Lower, b.Upper*c.Resolution)
		}
		require.LessOrEqual(t, ndr.Lower, capacity)
		require.Greater(t, ndr.Upper, capacity*(1-1e-6)) // a loss below one packet is none
		require.LessOrEqual(t, pdr.Lower*(1-0.005), capacity+2, "but for whole packets")
		require.GreaterOrEqual(t, pdr.Upper*(1-0.005), capacity-2)
		require.GreaterOrEqual(t, pdr.Lower, ndr.Lower)
		require.InEpsilon(t, ndr.Lower, ndr.Conditional, 1e-9)
		require.LessOrEqual(t, pdr.Conditional, pdr.Lower)
		require.LessOrEqual(t, pdr.Conditional, capacity+1)
	})
}

// Whoever spoils two trials of five at each load, whichever they are, changes nothing.
func TestSpoiltMinority(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := config()
		capacity := rapid.Float64Range(c.MinLoad*1.2, c.MaxLoad*0.98).Draw(t, "capacity")
		seed := rapid.Uint64().Draw(t, "seed")
		seen, spoilt := map[float64]int{}, map[float64]map[int]bool{}
		r, err := Search(t.Context(), c, device(capacity, func(load float64) bool {
			if spoilt[load] == nil {
				order := rand.New(rand.NewPCG(seed, uint64(load))).Perm(5)
				spoilt[load] = map[int]bool{order[0]: true, order[1]: true}
			}
			seen[load]++
			return spoilt[load][seen[load]-1]
		}), nil)
		require.NoError(t, err)
		ndr := r.Bounds[0]
		require.True(t, ndr.Done)
		require.LessOrEqual(t, ndr.Lower, capacity)
		require.Greater(t, ndr.Upper, capacity*(1-1e-6))
		require.LessOrEqual(t, ndr.Upper-ndr.Lower, ndr.Upper*c.Resolution)
	})
}

// A machine that spoils every sixth trial at random: the search is right far more often than one trial per load would be.
func TestNoisyMachine(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	const runs, share = 300, 1.0 / 6
	right := func(trials int) (n int) {
		for range runs {
			c := config()
			c.Trials, c.Goals = trials, both[:1]
			capacity := math.Exp(noise.Float64()*5) * 60_000
			r, err := Search(t.Context(), c, device(capacity, func(float64) bool { return noise.Float64() < share }), nil)
			require.NoError(t, err)
			if b := r.Bounds[0]; b.Lower <= capacity && b.Lower >= capacity*(1-2*c.Resolution) {
				n++
			}
		}
		return n
	}
	several, single := right(9), right(1)
	assert.Greater(t, several, runs*9/10)
	assert.Less(t, single, several)
}

func TestEndsOfTheRange(t *testing.T) {
	c := config()
	r, err := Search(t.Context(), c, device(1e9, quiet), nil)
	require.NoError(t, err)
	for _, b := range r.Bounds {
		assert.Equal(t, Bounds{Goal: b.Goal, Lower: c.MaxLoad, Conditional: c.MaxLoad, Done: true, AtMax: true}, b)
	}
	assert.Len(t, r.Trials, 3, "three good trials of five decide")

	r, err = Search(t.Context(), c, device(0, quiet), nil)
	require.NoError(t, err)
	for _, b := range r.Bounds {
		assert.Equal(t, Bounds{Goal: b.Goal, Upper: c.MinLoad, Done: true}, b)
	}
}

// A generator that cannot do what it is asked for is the limit, and its trials are no verdict on the device.
func TestGeneratorIsTheLimit(t *testing.T) {
	const able = 2e6
	r, err := Search(t.Context(), config(), func(ctx context.Context, load float64, length time.Duration) (Outcome, error) {
		return device(1e9, quiet)(ctx, min(load, able), length)
	}, nil)
	require.NoError(t, err)
	assert.InDelta(t, able, r.GeneratorLimit, 1)
	assert.True(t, r.Bounds[0].AtMax)
	assert.InDelta(t, able, r.Bounds[0].Lower, 1)

	_, err = Search(t.Context(), config(), func(context.Context, float64, time.Duration) (Outcome, error) {
		return Outcome{Offered: 10, Sent: 10}, nil
	}, nil)
	require.ErrorContains(t, err, "the generator sent 10")
}

// A generator that falls short once in a while is asked again.
func TestShortTrialsAreRepeated(t *testing.T) {
	n, capacity := 0, 3e6
	r, err := Search(t.Context(), config(), func(ctx context.Context, load float64, length time.Duration) (Outcome, error) {
		o, err := device(capacity, quiet)(ctx, load, length)
		if n++; n%3 == 0 {
			o.Offered, o.Lost = load/2, o.Sent
		}
		return o, err
	}, nil)
	require.NoError(t, err)
	assert.Zero(t, r.GeneratorLimit)
	assert.InEpsilon(t, capacity, r.Bounds[0].Lower, 0.01)
}

// A generator that did more before is no limit: the machine is busy, and the search says so instead of measuring that.
func TestGeneratorThatTires(t *testing.T) {
	n := 0
	r, err := Search(t.Context(), config(), func(ctx context.Context, load float64, length time.Duration) (Outcome, error) {
		o, err := device(3e6, quiet)(ctx, load, length)
		if n++; n > 8 {
			o.Offered = 5000
		}
		return o, err
	}, nil)
	require.ErrorIs(t, err, ErrUnfinished)
	require.ErrorContains(t, err, "the machine is too busy")
	assert.Zero(t, r.GeneratorLimit)
	assert.Positive(t, r.Bounds[0].Upper)
}

// Trials in which the generator hardly ran are repeated, and too many of them in a row are the end.
func TestStalledTrials(t *testing.T) {
	n, share := 0, 0
	busy := func(ctx context.Context, load float64, length time.Duration) (Outcome, error) {
		o, err := device(3e6, quiet)(ctx, load, length)
		if n++; n%4 < share {
			o.Stalled, o.Lost = 0.6, o.Sent
		}
		return o, err
	}
	share = 2
	r, err := Search(t.Context(), config(), busy, nil)
	require.NoError(t, err)
	assert.InEpsilon(t, 3e6, r.Bounds[0].Lower, 0.01)
	share = 4
	_, err = Search(t.Context(), config(), busy, nil)
	require.ErrorIs(t, err, ErrUnfinished)
	require.ErrorContains(t, err, "something else had the generator's core")
}

func TestPartial(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Search(ctx, config(), device(1e6, quiet), func(o Outcome) {
		if o.LossRatio() == 0 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, r.Bounds, 2)
	assert.False(t, r.Bounds[0].Done)
	assert.Positive(t, r.Bounds[0].Upper)

	c := config()
	c.MaxTrials = 4
	r, err = Search(t.Context(), c, device(1e6, quiet), nil)
	require.ErrorIs(t, err, ErrUnfinished)
	assert.Len(t, r.Trials, 4)

	broken := errors.New("cable is out")
	r, err = Search(t.Context(), config(), func(context.Context, float64, time.Duration) (Outcome, error) { return Outcome{}, broken }, nil)
	require.ErrorIs(t, err, broken)
	assert.NotNil(t, r)
}

func TestBadConfig(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"no goal":               func(c *Config) { c.Goals = nil },
		"has to be above 0":     func(c *Config) { c.MinLoad = 0 },
		"not above the":         func(c *Config) { c.MaxLoad = 10 },
		"resolution 0":          func(c *Config) { c.Resolution = 0 },
		"0 trials of 1s":        func(c *Config) { c.Trials = 0 },
		"may exceed the loss":   func(c *Config) { c.Exceed = 1 },
		"goal NDR: loss of 100": func(c *Config) { c.Goals = []Goal{{"NDR", 1}} },
	} {
		c := config()
		change(&c)
		_, err := Search(t.Context(), c, device(1e6, quiet), nil)
		require.ErrorContains(t, err, want)
	}
}

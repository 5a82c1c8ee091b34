package vmq

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLimitsThatContradictThemselvesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Limits)
		says   string
	}{
		"crossed over":      {func(l *Limits) { l.Upper, l.Lower = 0.4, 0.6 }, "thresholds are crossed over: lower 60 % is not below upper 40 %, so that workers would be emptied and filled in turn; choose lower at most 30 %"},
		"equal":             {func(l *Limits) { l.Lower = l.Upper }, "crossed over"},
		"too near":          {func(l *Limits) { l.Lower = 0.75 }, "lower threshold 75 % is too near to upper 80 %: what one move empties another would fill again; choose at most 70 %"},
		"upper above all":   {func(l *Limits) { l.Upper = 80 }, "upper threshold 8000 %: choose 10 % to 100 %"},
		"no number":         {func(l *Limits) { l.Upper = math.NaN() }, "upper threshold"},
		"negative lower":    {func(l *Limits) { l.Lower = -0.1 }, "choose 0 (workers are never emptied)"},
		"no gain":           {func(l *Limits) { l.MinGain = 0 }, "least gain of a move is 0 %: choose 0.1 % to 10 %"},
		"no moves":          {func(l *Limits) { l.MaxMoves = 0 }, "0 moves in an interval: choose 1 to 1024"},
		"no interval":       {func(l *Limits) { l.Interval = 0 }, "interval of 0s: choose 10ms to 1m0s"},
		"short residence":   {func(l *Limits) { l.Residence = time.Millisecond }, "residence of 1ms: a queue stays at least one interval, so choose 250ms to 1h0m0s"},
		"smoothing":         {func(l *Limits) { l.Smoothing = -1 }, "choose 0 (none)"},
		"calm":              {func(l *Limits) { l.Calm = -1 }, "choose 0 (workers are emptied at once)"},
		"remote":            {func(l *Limits) { l.RemoteCost = -1 }, "NUMA node"},
		"own":               {func(l *Limits) { l.OwnFrom = 2 }, "vports own a queue from 200 %"},
		"margin":            {func(l *Limits) { l.OwnMargin = 1 }, "would take it from each other in turn"},
		"cycles":            {func(l *Limits) { l.CyclesPerSec = 2.6 }, "a core of 2.6 cycles/s"},
		"no price":          {func(l *Limits) { l.HandOver = nil }, "nothing says what hand-over costs"},
		"order of bursts":   {func(l *Limits) { l.HandOver = []BurstCost{{32, 14}, {8, 33}} }, "rising order of bursts: 8 stands behind 32"},
		"price":             {func(l *Limits) { l.HandOver = []BurstCost{{0, 14}} }, "hand-over at bursts of 0"},
		"gain of hand-over": {func(l *Limits) { l.HandOverGain = -1 }, "hand-over must carry -1 times more"},
	} {
		t.Run(name, func(t *testing.T) {
			l := quick()
			c.change(&l)
			err := l.Check()
			require.ErrorIs(t, err, ErrLimits)
			assert.ErrorContains(t, err, c.says)
			_, newErr := New(l)
			assert.Equal(t, err, newErr)
		})
	}
	l := DefaultLimits()
	require.NoError(t, l.Check(), "hand-over needs no price where the core's speed is unknown")
	l.Lower, l.HandOver = 0, nil
	assert.NoError(t, l.Check())
}

func TestKindsAndCausesHaveNames(t *testing.T) {
	assert.Equal(t, "refused", Refused.String())
	assert.Equal(t, "one-is-enough", Enough.String())
	assert.Len(t, kinds, int(Refused)+1)
	assert.Len(t, causes, int(Enough)+1)
}

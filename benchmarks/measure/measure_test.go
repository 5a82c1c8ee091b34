package measure

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSeries(t *testing.T) {
	tsc, packets := uint64(0), uint64(0)
	clock := func() uint64 { tsc += 1000; return tsc }
	count := func() (uint64, error) { packets += 500; return packets, nil }
	windows, err := Series(context.Background(), clock, 3, time.Millisecond, count)
	require.NoError(t, err)
	require.Len(t, windows, 3)
	for _, w := range windows {
		// Each reading moves the clock by 2,000 cycles and the counter by 500, however often it is tried.
		assert.InDelta(t, 4, w.CyclesPerPacket(), 1e-9)
		assert.Greater(t, w.MPPS(), 0.0)
		assert.Greater(t, w.Blur, 0.0)
	}
	s := Sample{}
	s.Set(windows)
	assert.InDelta(t, 4, s.CyclesPerPacket, 1e-9)
	assert.InDelta(t, 4, s.BestCycles, 1e-9)
}

func TestSeriesFails(t *testing.T) {
	clock := func() uint64 { return 1 }
	_, err := series(context.Background(), clock, 1, 0, 0, func() (uint64, error) { return 7, nil })
	require.ErrorIs(t, err, ErrNoPackets)
	broken := errors.New("broken")
	_, err = Series(context.Background(), clock, 1, 0, func() (uint64, error) { return 0, broken })
	require.ErrorIs(t, err, broken)
	ctx, cancel := context.WithCancel(context.Background())
	n := uint64(0)
	windows, err := Series(ctx, clock, 1_000_000, time.Microsecond, func() (uint64, error) {
		if n++; n > 20 {
			cancel()
		}
		return n, nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.NotEmpty(t, windows, "what is complete is kept")
}

// Whoever is measured may not run in many windows: they become one.
func TestSeriesWaitsForAPacket(t *testing.T) {
	tsc, calls := uint64(0), uint64(0)
	clock := func() uint64 { tsc++; return tsc }
	windows, err := Series(context.Background(), clock, 2, 0, func() (uint64, error) { calls++; return calls / 100, nil })
	require.NoError(t, err)
	require.Len(t, windows, 2)
}

func TestSpread(t *testing.T) {
	assert.Equal(t, Spread{}, SpreadOf(nil))
	assert.Equal(t, Spread{Median: 2, Min: 1, Max: 9, N: 3}, SpreadOf([]float64{9, 1, 2}))
	assert.Equal(t, Spread{Median: 3, Min: 1, Max: 9, N: 4}, SpreadOf([]float64{9, 1, 2, 4}))
	assert.Zero(t, Median(nil))
}

func TestRatiosPairRounds(t *testing.T) {
	ours := map[int]float64{1: 30, 2: 10, 3: 40, 5: 7}
	theirs := map[int]float64{1: 10, 2: 5, 4: 3, 5: 0}
	assert.Equal(t, []float64{3, 2}, Ratios(ours, theirs))
	assert.Empty(t, Ratios(ours, nil))
}

package scale

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/measure"
)

func TestRoundsAlternate(t *testing.T) {
	r := Result{Workers: 2, Cores: []int{0, 1}}
	var order []int
	calls := 0.0
	require.NoError(t, r.Measure(context.Background(), "p", 256, 3, 0, func(_ context.Context, workers int) (measure.Sample, error) {
		order = append(order, workers)
		calls++
		return measure.Sample{MPPS: float64(workers) * (10 + calls), Waited: 0.5}, nil
	}))
	assert.Equal(t, []int{1, 2, 2, 1, 1, 2}, order)
	s := r.Scenarios[0]
	assert.Equal(t, []Round{{11, 24, 0.5}, {14, 26, 0.5}, {15, 32, 0.5}}, s.Rounds)
	assert.InDelta(t, 32.0/15, s.Ratio.Median, 1e-9)
	assert.Equal(t, 14.0, s.One.Median)
	assert.Contains(t, r.String(), "p, 256 flows: 1 worker 14.00 Mpps (11.00 to 15.00), 2 workers 26.00 Mpps")
	file := filepath.Join(t.TempDir(), FileName)
	require.NoError(t, r.WriteJSON(file))
	again, err := ReadJSON(file)
	require.NoError(t, err)
	assert.Equal(t, s.Rounds, again.Scenarios[0].Rounds)
}

func TestDisturbedRoundsAreTakenAgain(t *testing.T) {
	r := Result{Workers: 2}
	waited := []float64{0.3, 0, 0.1, 0.1, 0.2, 0, 0, 0}
	calls := 0
	require.NoError(t, r.Measure(context.Background(), "p", 1, 2, 2, func(_ context.Context, workers int) (measure.Sample, error) {
		calls++
		return measure.Sample{MPPS: float64(calls), Waited: waited[calls-1]}, nil
	}))
	assert.Equal(t, 8, calls)
	assert.Equal(t, 0.1, r.Scenarios[0].Rounds[0].Waited, "the quietest of three tries")
	assert.Zero(t, r.Scenarios[0].Rounds[1].Waited)
}

func TestWhatIsCompleteStays(t *testing.T) {
	r := Result{Workers: 2}
	calls := 0
	err := r.Measure(context.Background(), "p", 1, 5, 0, func(context.Context, int) (measure.Sample, error) {
		if calls++; calls == 3 {
			return measure.Sample{}, errors.New("broken")
		}
		return measure.Sample{MPPS: 1}, nil
	})
	require.ErrorContains(t, err, "p, 1 flows, round 2: 2 workers: broken")
	assert.Len(t, r.Scenarios[0].Rounds, 1)
	assert.Equal(t, 1.0, r.Scenarios[0].Ratio.Median)
}

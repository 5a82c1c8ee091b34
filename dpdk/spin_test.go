package dpdk

import (
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"
)

func TestSpinFillsAnHdrHistogram(t *testing.T) {
	for _, turn := range []uint64{0, 3000} {
		empty := hdrhistogram.New(1, 1<<40, 2).Export()
		const cycles = 50_000_000
		before := TSC()
		elapsed, err := Spin(0, cycles, turn, empty.Counts)
		passed := TSC() - before
		require.NoError(t, err)
		require.GreaterOrEqual(t, elapsed, uint64(cycles))
		require.LessOrEqual(t, elapsed, passed)
		h := hdrhistogram.Import(empty)
		require.Positive(t, h.TotalCount())
		require.GreaterOrEqual(t, h.Min()+h.Min()/100, int64(turn))
		sum := h.Mean() * float64(h.TotalCount())
		require.InEpsilon(t, elapsed, sum, 0.02, "the buckets mean what the library takes them for")
	}
}

func TestSpinRefuses(t *testing.T) {
	_, err := Spin(0, 1, 0, nil)
	require.ErrorIs(t, err, ErrInvalid)
	_, err = Spin(1023, 1, 0, make([]int64, 1))
	require.ErrorContains(t, err, "pin to core 1023")
}

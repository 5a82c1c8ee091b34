package dpdk

import (
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"
)

func TestSpinFillsAnHdrHistogram(t *testing.T) {
	empty := hdrhistogram.New(1, 1<<40, 2).Export()
	const cycles = 50_000_000
	before := TSC()
	elapsed, err := Spin(0, cycles, empty.Counts)
	passed := TSC() - before
	require.NoError(t, err)
	require.GreaterOrEqual(t, elapsed, uint64(cycles))
	require.LessOrEqual(t, elapsed, passed)
	h := hdrhistogram.Import(empty)
	require.Greater(t, h.TotalCount(), int64(1000))
	sum := h.Mean() * float64(h.TotalCount())
	require.InEpsilon(t, elapsed, sum, 0.02, "the buckets mean what the library takes them for")
}

func TestSpinRefuses(t *testing.T) {
	_, err := Spin(0, 1, nil)
	require.ErrorIs(t, err, ErrInvalid)
	_, err = Spin(1023, 1, make([]int64, 1))
	require.ErrorContains(t, err, "pin to core 1023")
}

package qos

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What went to the device without asking is taken off what may leave, but the link owes no more than a burst for it.
func TestChargedBytesAreOwed(t *testing.T) {
	s, err := New(&Config{RateBytesPerSec: 1_000_000, BurstBytes: 20_000, Leaves: leaves(1)})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	s.Charge(0, 20_000)
	require.False(t, s.Pass(0, 0, 0, 1, 1000), "the burst is spent")
	require.False(t, s.Pass(ms-us, 0, 0, 1, 1000))
	require.True(t, s.Pass(ms+us, 0, 0, 1, 1000))
	for range 3 {
		s.Charge(ms+us, 1<<63)
	}
	require.False(t, s.Pass(22*ms-us, 0, 0, 1, 1000))
	require.True(t, s.Pass(22*ms+2*us, 0, 0, 1, 1000), "a burst was owed")
}

func TestChargeWithoutALink(t *testing.T) {
	s, err := New(&Config{Leaves: leaves(1)})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	s.Charge(0, 1<<63)
	require.True(t, s.Pass(0, 0, 0, 1, 1000))
}

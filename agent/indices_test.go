package agent

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIndices(t *testing.T) {
	x := newIndices(3)
	for want := range uint32(3) {
		got, err := x.take()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := x.take()
	require.ErrorContains(t, err, "all 3 are in use")

	x.free(1)
	got, err := x.take()
	require.NoError(t, err)
	require.EqualValues(t, 1, got, "the lowest free index is given out again")
}

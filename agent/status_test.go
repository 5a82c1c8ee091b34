package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/dataplane"
)

func TestPulse(t *testing.T) {
	t0 := time.Unix(1000, 0)
	at := func(iterations ...uint64) (w []dataplane.WorkerStatus) {
		for i, n := range iterations {
			w = append(w, dataplane.WorkerStatus{ID: i, LoopTotals: dataplane.LoopTotals{Iterations: n}})
		}
		return w
	}
	var p pulse
	require.Empty(t, p.stalled(t0), "nothing was sampled yet")
	p.sample(t0, at(1, 1))
	p.sample(t0.Add(stallAfter/2), at(2, 1))
	require.Empty(t, p.stalled(t0.Add(stallAfter/2)))
	p.sample(t0.Add(stallAfter+1), at(3, 1))
	require.Equal(t, []int{1}, p.stalled(t0.Add(stallAfter+1)))
	p.sample(t0.Add(stallAfter+2), at(3, 2))
	require.Empty(t, p.stalled(t0.Add(stallAfter+2)), "it goes on")
	require.Len(t, p.stalled(t0.Add(3*stallAfter)), 2, "a sampler that stands still is a stall too")
	p.sample(t0.Add(3*stallAfter), at(9))
	require.Empty(t, p.stalled(t0.Add(3*stallAfter)), "a worker that ended is not missed")
}

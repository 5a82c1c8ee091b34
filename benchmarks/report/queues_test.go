package report

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/vmq"
)

func TestQueues(t *testing.T) {
	run := func(mode string, after float64) *vmq.ModeRun {
		return &vmq.ModeRun{Mode: mode, Phases: []vmq.Phase{{To: 1, OfferedMPPS: 20, MPPS: 11, SteadyMPPS: 11}, {From: 1, To: 3, OfferedMPPS: 20, MPPS: after, SteadyMPPS: after, Settled: 0.4, Moves: 1}},
			Points: []vmq.Point{{At: 0.5, OfferedMPPS: 20, MPPS: 11}, {At: 1.5, Phase: 1, OfferedMPPS: 20, MPPS: after}}}
	}
	r := &vmq.Result{Cores: []int{1, 0}, Scenarios: []*vmq.Scenario{{Workers: 2, CapacityMPPS: 10, Lead: time.Second, Runs: []*vmq.ModeRun{run("dynamic", 19.8), run("off", 11)},
		Profile: profile.Profile{Name: "vmq-skew", Description: "two of four queues are busy", Load: []profile.Phase{{For: 2 * time.Second, VMs: []float64{1, 0, 1, 0}}}}}}}
	e := &Evidence{Compare: comparison(t), Queues: r}
	var out bytes.Buffer
	queuesSection(&out, e)
	assert.Contains(t, out.String(), "| dynamic | 11.00 |  19.80 |  0.40 | 1.80 | 99.0 % | 1 | 0 | 0 |")
	assert.NotContains(t, out.String(), "not complete")
	r.Partial = true
	queuesSection(&out, e)
	assert.Contains(t, out.String(), "**These figures are not complete")
	aim := aim(t, "Dynamic VMQ: packet rate after ÷ before", "skewed load, 4 queues, 2 workers")
	assert.EqualValues(t, "yes", aim.Bound.Judge(aim.Figure(e)))
	pictures, err := queuesPictures(r)
	require.NoError(t, err)
	assert.Len(t, pictures, 2)
	assert.Contains(t, string(pictures["vmq-skew.svg"]), "<svg")
	out.Reset()
	queuesSection(&out, &Evidence{})
	assert.Empty(t, out.String())
	assert.Equal(t, vmq.FileName, filepath.Base("benchmarks/results/vmq.json"))
}

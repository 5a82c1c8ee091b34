package flood

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/internal/memport"
)

func spec(t *testing.T, vms int) Spec {
	p, err := profile.Load("newflow-flood")
	require.NoError(t, err)
	p.VMs, p.Flows = vms, 64
	arena := memport.NewArena(4096, 2048)
	net := memport.New(arena)
	uplink := net.Device(1, 1)
	uplink.SetSink(memport.Discard)
	t.Cleanup(func() { assert.Equal(t, arena.Size(), arena.Free(), "packets lost: %s", arena.Report()) })
	start := time.Now()
	return Spec{Plan: traffic.New(*p), Poller: net.Poller(), Uplink: uplink.Handle(), Core: -1, TSCHz: memport.TSCHz,
		Clock: func() uint64 { return uint64(time.Since(start)) }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Rounds: 2, Window: 20 * time.Millisecond}
}

// Memory ports are too slow for figures; what must hold at any speed is that everything was measured, and no known flow
// suffered where new ones were refused.
func TestEveryRoundMeasuresEverything(t *testing.T) {
	r, err := Run(context.Background(), spec(t, 2))
	require.NoError(t, err)
	require.EqualValues(t, 5, r.Share, "the default")
	for i := range 2 {
		assert.Positive(t, r.KnownCycles[i])
		assert.Positive(t, r.NewFlowCycles[i])
		assert.Positive(t, r.FloodOffered[i])
		assert.Positive(t, r.FloodSetUp[i])
		assert.Positive(t, r.MixedRate[i])
		assert.Positive(t, r.MixedSetUp[i])
		assert.Zero(t, r.MixedLoss[i])
		assert.Zero(t, r.KnownEvicted[i])
	}
	var text bytes.Buffer
	r.Print(&text)
	assert.Contains(t, text.String(), "cycles of a packet that begins a flow")
}

func TestPrintMarksDisturbedRounds(t *testing.T) {
	r := Result{KnownCycles: []float64{50, 50}, QuietLoss: []float64{0, 0.696}, FloodLoss: []float64{0, 0.7}}
	var text bytes.Buffer
	r.Print(&text)
	assert.Contains(t, text.String(), "DISTURBED: 1 of 2 rounds")
	assert.Contains(t, text.String(), "WARNING: 1 of 2 rounds lost more than 0.1 %")
	assert.NotContains(t, text.String(), " \n")

	text.Reset()
	r = Result{KnownCycles: []float64{50}, QuietLoss: []float64{0.0005}}
	r.Print(&text)
	assert.Contains(t, text.String(), "1 round;")
	assert.NotContains(t, text.String(), "WARNING")
	text.Reset()
	r.Waited = 0.2
	r.Print(&text)
	assert.Contains(t, text.String(), "WARNING: other programs had the core")
}

func TestAFloodNeedsAPortOfItsOwn(t *testing.T) {
	_, err := Run(context.Background(), spec(t, 1))
	require.ErrorContains(t, err, "choose two VMs at least")
}

func TestEndedRunKeepsCompleteRounds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := spec(t, 2)
	s.Rounds, s.Window = 1, time.Millisecond
	clock, left := s.Clock, -1
	s.Clock = func() uint64 {
		if left--; left == 0 {
			cancel()
		}
		return clock()
	}
	r, err := begin(s)
	require.NoError(t, err)
	defer r.sw.Close()
	require.NoError(t, r.settle(ctx))
	require.NoError(t, r.rounds(ctx))
	require.Len(t, r.result.KnownCycles, 1)
	r.Rounds, left = 1000, 12 // a round reads the clock 24 times at least
	require.ErrorIs(t, r.rounds(ctx), context.Canceled)
	require.Len(t, r.result.KnownCycles, 1, "half a round is none")
	require.Len(t, r.result.KnownEvicted, 1)
	require.Len(t, r.result.FloodLoss, 1)
}

// A worker that takes no packets is no reason to wait for ever.
func TestNothingToMeasureIsAnError(t *testing.T) {
	s := spec(t, 2)
	s.Poller, s.Patience = idle{s.Poller}, 50*time.Millisecond
	_, err := Run(context.Background(), s)
	require.ErrorIs(t, err, measure.ErrNoPackets)
	require.ErrorContains(t, err, "the worker took 0 packets")
}

// idle leaves the worker no buffers to receive into.
type idle struct{ dataplane.Poller }

func (i idle) Poll() {
	i.Poller.Poll()
	for io := i.IO(); io.NumSpares > keepSpares; io.NumFree++ {
		io.NumSpares--
		io.Free[io.NumFree] = io.Spares[io.NumSpares]
	}
}

package vmq

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/internal/memdriver"
	"github.com/sluicenet/sluice/policy"
)

// small is a profile that memory ports on a busy machine can do.
func small(t *testing.T, name string) *profile.Profile {
	p, err := profile.Load(name)
	require.NoError(t, err)
	changed, err := p.WithFlows(4 * p.VMs)
	require.NoError(t, err)
	for i := range changed.Load {
		changed.Load[i].For = 300 * time.Millisecond
	}
	return &changed
}

// TestNothingIsLostInAnyMode runs a whole agent on memory; how fast it is says nothing here.
func TestNothingIsLostInAnyMode(t *testing.T) {
	for _, name := range []string{"vmq-skew", "vmq-many-quiet"} {
		t.Run(name, func(t *testing.T) {
			s, err := Run(t.Context(), Spec{Profile: small(t, name), Modes: []string{policy.VMQDynamic, policy.VMQStatic, policy.VMQOff}, Cores: []int{-1, -1},
				Lead: 200 * time.Millisecond, Every: 20 * time.Millisecond, Limits: map[string]any{"interval": "50ms"}, Capacity: 20_000,
				Driver: func(agent.Pool) (agent.Driver, error) { return memdriver.New(16384), nil }, Log: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			require.Len(t, s.Runs, 3)
			for _, r := range s.Runs {
				assert.True(t, r.Totals.OK(), "%s: %s %v", r.Mode, &r.Totals, r.Incidents)
				assert.NotZero(t, r.Totals.Arrived)
				assert.Len(t, r.Phases, 1+len(s.Profile.Load))
			}
			static := s.Of(policy.VMQStatic)
			require.NotEmpty(t, static.Moves, "queues were put by hand")
			assert.Equal(t, "mode", static.Moves[0].Cause)
			assert.Empty(t, s.Of(policy.VMQOff).Moves)
		})
	}
}

func TestByHand(t *testing.T) {
	assert.Equal(t, []int{0, 0, 1, 1}, byHand([]float64{0.95, 0.05, 0.95, 0.05}, 2))
	assert.Equal(t, []int{1, 0, 1}, byHand([]float64{0.3, 0.9, 0.3}, 2))
}

func TestSettling(t *testing.T) {
	r := &ModeRun{Mode: "dynamic", Moves: []Move{{Kind: "move", At: 1.3}, {Kind: "move", At: 1.4, Error: "no"}, {Kind: "refused", At: 1.5}}}
	for i := range 60 { // a point every 50 ms: 1 Mpps in the lead and for 0.4 s after it, then 2
		p := Point{At: float64(i+1) * 0.05, OfferedMPPS: 2, MPPS: 1, Busy: []float64{1, 0.2}}
		if p.At > 1.001 {
			p.Phase = 1
		}
		if p.At > 1.401 {
			p.MPPS = 2
		}
		r.Points = append(r.Points, p)
	}
	r.summarise(time.Second, []profile.Phase{{For: 2 * time.Second, VMs: []float64{1, 1}}})
	require.Len(t, r.Phases, 2)
	assert.InDelta(t, 1, r.Phases[0].SteadyMPPS, 1e-9)
	assert.InDelta(t, 2, r.Phases[1].SteadyMPPS, 1e-9)
	assert.InDelta(t, 0.4, r.Phases[1].Settled, 1e-9)
	assert.Equal(t, 1, r.MoveCount())
	assert.InDelta(t, 2, r.Ratio(), 1e-9)
	assert.InDelta(t, 0.9, r.Share(), 1e-9)

	res := &Result{Scenarios: []*Scenario{{Profile: profile.Profile{Name: "vmq-skew", Load: []profile.Phase{{VMs: []float64{1, 1}}}}, Workers: 2, Runs: []*ModeRun{r}}}}
	assert.Contains(t, res.String(), "dynamic before 1.00 Mpps; 2.00 of 2.00 Mpps after 0.40 s; after by before 2.00; 90.0 % of all; 1 move;")
	dir := t.TempDir()
	require.NoError(t, res.WriteJSON(filepath.Join(dir, FileName)))
	again, err := ReadJSON(filepath.Join(dir, FileName))
	require.NoError(t, err)
	assert.Equal(t, r.Phases, again.Scenarios[0].Runs[0].Phases)
	require.NoError(t, res.WriteCSV(filepath.Join(dir, CSVName)))
	text, err := os.ReadFile(filepath.Join(dir, CSVName))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	assert.Len(t, lines, 61)
	assert.Equal(t, "vmq-skew,dynamic,1.3000,1,2.0000,1.0000,0.0000,1.0000,1", lines[26])
}

package vmqsim

import (
	"context"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The small scenario of the published result comes out the same: who changes the balancer makes the result anew.
func TestPublishedResultIsCurrent(t *testing.T) {
	r, err := Read("../results/vmq-sim.json")
	require.NoError(t, err)
	const remedy = "the balancer or the simulator changed: run make vmq-sim"
	require.Equal(t, CheckScenario(), r.Check.Scenario, remedy)
	require.Len(t, r.Outcomes, len(Scenarios()), remedy)
	for i, s := range Scenarios() {
		require.Equal(t, s, r.Outcomes[i].Scenario, remedy)
	}
	o, err := Run(context.Background(), r.Check.Scenario, false)
	require.NoError(t, err)
	exact := 1e-9
	if runtime.GOARCH != "amd64" {
		exact = 0.1 // others round sums otherwise, and loads take another course
	}
	for i, have := range o.Totals {
		want := r.Check.Totals[i]
		assert.Equal(t, want.Contender, have.Contender)
		assert.InEpsilon(t, want.MaxLoad, have.MaxLoad, exact, "%s: %s", have.Contender, remedy)
		assert.InDelta(t, want.AboveCores, have.AboveCores, exact, "%s: %s", have.Contender, remedy)
		assert.InDelta(t, want.Moves, have.Moves, exact*max(want.Moves, 1), "%s: %s", have.Contender, remedy)
	}
}

// What the page claims holds for the small scenario too, and for other loads than the published ones.
func TestBalancerBeatsTheRules(t *testing.T) {
	for seed := range uint64(3) {
		s := CheckScenario()
		s.Seed += 100 + seed
		o, err := Run(context.Background(), s, true)
		require.NoError(t, err)
		us, them := o.Of(Sluice), o.Of(OVS)
		assert.Less(t, us.Ratio, 1.25, "seed %d", s.Seed)
		assert.Less(t, us.MaxLoad, o.Of(Static).MaxLoad)
		assert.LessOrEqual(t, us.AboveCores, them.AboveCores, "seed %d", s.Seed)
		assert.LessOrEqual(t, us.MostMoves, 1920)
		assert.NotEmpty(t, us.LoadSeries)
		assert.Len(t, us.CoresSeries, len(o.BoundSeries))
		for _, c := range o.Totals {
			assert.GreaterOrEqual(t, c.Ratio, 1-1e-9, "nobody beats the bound")
		}
	}
}

func TestNoAssignmentBeatsTheBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		demand := make([]float64, 1+rng.IntN(60))
		for i := range demand {
			demand[i] = rng.Float64() * rng.Float64()
		}
		workers := 1 + rng.IntN(10)
		least, _ := bound(demand, workers)
		most := longestFirst(demand, workers)
		assert.GreaterOrEqual(t, most, least-1e-12)
		l := late{}
		assert.InDelta(t, most, l.next(demand, workers), 1e-9, "late by nothing is longest first")
	}
	least, byMean := bound([]float64{0.6, 0.6, 0.6}, 2)
	assert.InDelta(t, 1.2, least, 1e-12, "two must meet")
	assert.False(t, byMean)
}

func TestWorkersServeTheirQueuesInTurn(t *testing.T) {
	h := newHost(Scenario{Cores: 2, Nodes: 2}, &Load{Demand: make([]float64, 4), Node: []int{0, 0, 0, 0}})
	h.At = []int{0, 0, 0, 1}
	h.Serve([]float64{0.1, 0.8, 0.5, 0.5})
	assert.InDeltaSlice(t, []float64{0.1, 0.45, 0.45, 0.6}, h.Served, 1e-12, "the last one is away from its node")
	assert.InDeltaSlice(t, []float64{1, 0.6}, h.Busy, 1e-12)
	assert.InDelta(t, 1.4, h.Asked[0], 1e-12)
}

// The examples of Open vSwitch's documentation.
func TestOpenVSwitchAssignments(t *testing.T) {
	h := newHost(Scenario{Cores: 3, Nodes: 1}, &Load{Demand: make([]float64, 5), Node: make([]int, 5)})
	assert.Equal(t, []int{2, 0, 2, 1, 1}, newOVS(false, 0.95).assign(h, []float64{0.3, 0.8, 0.6, 0.7, 0.1}), "cycles")
	assert.Equal(t, []int{2, 0, 2, 1, 2}, newOVS(true, 0.95).assign(h, []float64{0.1, 0.8, 0.5, 0.7, 0.1}), "group")
}

func TestOpenVSwitchWaitsForAMinuteAboveTheThreshold(t *testing.T) {
	h := newHost(Scenario{Cores: 2, Nodes: 1}, &Load{Demand: make([]float64, 4), Node: make([]int, 4)})
	o := newOVS(true, 0.95)
	o.start(h)
	at := time.Duration(0)
	run := func(d time.Duration, demand ...float64) {
		for end := at + d; at < end; at += Step {
			h.Serve(demand)
			o.balance(h, at)
		}
	}
	run(2*time.Minute, 0.4, 0.3, 0.4, 0.3)
	before := h.Moves
	loads := []float64{0.05, 0.05, 0.05, 0.05}
	for q, w := range h.At {
		if w == h.At[0] {
			loads[q] = 0.6
		}
	}
	run(55*time.Second, loads...)
	assert.Equal(t, before, h.Moves, "not yet")
	run(75*time.Second, loads...)
	assert.Greater(t, h.Moves, before)
	before = h.Moves
	run(10*time.Minute, loads...)
	assert.Equal(t, before, h.Moves, "nothing to improve")
}

func TestBusyVMsGetQueues(t *testing.T) {
	s := PublishedOwners()
	s.Cores, s.VMs, s.Own, s.Shared, s.Time = 8, 300, 16, 2, 4*time.Minute
	o, err := RunOwners(context.Background(), s)
	require.NoError(t, err)
	require.Equal(t, "dynamic", o.Modes[0].Mode)
	require.Greater(t, o.Modes[0].Episodes, 10)
	assert.LessOrEqual(t, o.Modes[0].P99, 1.0)
	assert.Greater(t, o.Modes[0].OwnTime, 3*o.Modes[1].OwnTime)
}

func TestARunCanBeStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Play(ctx, true, Scenarios(), func(string) {})
	assert.ErrorIs(t, err, context.Canceled)
}

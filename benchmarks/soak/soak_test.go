package soak

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/benchmarks/sequence"
	"github.com/sluicenet/sluice/internal/memdriver"
	"github.com/sluicenet/sluice/policy"
)

func small() Shape {
	return Shape{Tenants: 2, VMs: 3, Peers: 5, Flows: 320, Rules: 20, Sizes: []int{60, 590, 1514}, UDPOf10: 3, MTU: 1500, Queues: 1, Outputs: 1}
}

func spec(cores ...int) Spec {
	s := Spec{Shape: small(), Cores: cores, Duration: time.Second, Every: 10 * time.Millisecond}
	s.Driver = func(_ *policy.Config, pool agent.Pool) (agent.Driver, error) {
		return tidy{memdriver.New(pool.Packets)}, nil
	}
	return s
}

// tidy looks for what is left open, and for packets that leaked.
type tidy struct{ *memdriver.Driver }

func (d tidy) Close() error { return errors.Join(d.CheckClean(), d.Driver.Close()) }

// Configurations change every ten milliseconds, in every way, and no stream notices.
func TestUntouchedStreamsNoticeNothing(t *testing.T) {
	for name, cores := range map[string][]int{"one worker": {-1}, "two workers": {-1, -1}} {
		t.Run(name, func(t *testing.T) {
			s := spec(cores...)
			reports := 0
			s.Progress = func(_ *Result, rate float64) {
				if rate > 0 {
					reports++
				}
			}
			var r *Result
			for s.Duration = 1500 * time.Millisecond; s.Duration < time.Minute; s.Duration *= 4 { // a busy machine takes longer
				var err error
				r, err = Run(context.Background(), s)
				require.NoError(t, err)
				if r.Applies > len(changes) && reports > 0 && r.Totals.Made > 10_000 {
					break
				}
			}
			assert.False(t, r.Partial)
			assert.Greater(t, r.Applies, len(changes), "every kind of change had its turn")
			assert.Len(t, r.Kinds, len(changes))
			assert.GreaterOrEqual(t, r.Changes, r.Applies, "each apply changed something")
			assert.Greater(t, r.Totals.Made, uint64(10_000))
			assert.Positive(t, reports)
			assert.Positive(t, r.ApplyMax)
			assert.Positive(t, r.Totals.LongestTurn)
		})
	}
}

// Receive queues that carry streams at full rate move between workers all the time, also while the uplink has a scheduler
// that one of them owns, with a backlog and without: nothing is lost or reordered, and no flow is decided again.
func TestMovesLoseAndReorderNothing(t *testing.T) {
	for name, rate := range map[string]string{"no scheduler": "", "scheduler": "100Gbit", "scheduler with a backlog": "100Mbit"} {
		t.Run(name, func(t *testing.T) {
			s := spec(-1, -1, -1)
			s.Every, s.Moves, s.Rate = time.Hour, time.Millisecond, rate
			var r *Result
			for s.Duration = time.Second; s.Duration < time.Minute; s.Duration *= 4 { // a busy machine takes longer
				var err error
				r, err = Run(context.Background(), s)
				require.NoError(t, err)
				if r.Moves > 30 && r.Totals.Made > 10_000 {
					break
				}
			}
			assert.Greater(t, r.Moves, 30)
			assert.Greater(t, r.Totals.Made, uint64(10_000))
			assert.Zero(t, r.Decisions)
			assert.Positive(t, r.MoveMax)
			assert.Contains(t, r.String(), "moves of receive queues between workers")
		})
	}
}

func TestInterruptedSoakIsPartial(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := spec(-1)
	s.Duration = time.Hour
	s.Progress = func(r *Result, _ float64) {
		if r.Totals.Made > 0 {
			cancel()
		}
	}
	r, err := Run(ctx, s)
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, r.Partial)
	assert.NotZero(t, r.Totals.Made)
	assert.True(t, r.Totals.OK(), "%s", &r.Totals)
	file := filepath.Join(t.TempDir(), FileName)
	require.NoError(t, r.WriteJSON(file))
	again, err := ReadJSON(file)
	require.NoError(t, err)
	assert.Equal(t, r.Totals, again.Totals)
	assert.True(t, again.Partial)
}

func TestSoakThatCannotStartIsPartial(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, err := Run(ctx, spec(-1))
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, r.Partial)

	s := spec(-1)
	open := s.Driver
	s.Driver = func(c *policy.Config, pool agent.Pool) (agent.Driver, error) {
		d, err := open(c, pool)
		d.(tidy).Fail("open ch1", errors.New("no more taps"))
		return d, err
	}
	_, err = Run(context.Background(), s)
	require.ErrorContains(t, err, "vport ch1: no more taps")
}

// Every configuration that the changes can lead to is a valid one.
func TestEveryChangeIsValid(t *testing.T) {
	w, n, r := newSite(small(), ""), full(), rand.New(rand.NewPCG(7, 0))
	last := ""
	for step := range 150 {
		kinds := n.step(step, r)
		text := w.config(n, "")
		_, err := policy.Parse("soak", text)
		require.NoError(t, err, "%v\n%s", kinds, text)
		require.True(t, last != string(text), "%v changes nothing", kinds)
		last = string(text)
	}
}

func TestLossIsAnError(t *testing.T) {
	for name, totals := range map[string]sequence.Totals{
		"lost at the end": {Made: 2, Arrived: 1},
		"lost":            {Made: 1, Arrived: 1, Lost: 1},
		"reordered":       {Made: 1, Arrived: 1, Reordered: 1},
		"duplicated":      {Made: 1, Arrived: 1, Duplicated: 1},
		"corrupted":       {Made: 1, Arrived: 1, Corrupted: 1},
		"misrouted":       {Made: 1, Arrived: 1, Misrouted: 1},
		"foreign":         {Made: 1, Arrived: 1, Foreign: 1},
	} {
		r := Result{Totals: totals, Incidents: []sequence.Incident{{What: "gap", Stream: "s1"}}}
		require.ErrorIs(t, r.Err(), ErrLoss, name)
		require.ErrorContains(t, r.Err(), "s1", name)
	}
	require.NoError(t, (&Result{Totals: sequence.Totals{Made: 1, Arrived: 1}}).Err())
}

func TestRunRefuses(t *testing.T) {
	for want, spoil := range map[string]func(*Spec){
		"0 tenants":      func(s *Spec) { s.Tenants = 0 },
		"5 flows":        func(s *Spec) { s.Flows = 5 },
		"frames of 2000": func(s *Spec) { s.Sizes = []int{2000} },
		"0 workers":      func(s *Spec) { s.Cores = nil },
		"every 0s":       func(s *Spec) { s.Every = 0 },
		"two workers":    func(s *Spec) { s.Moves = time.Second },
	} {
		s := spec(-1)
		spoil(&s)
		_, err := Run(context.Background(), s)
		assert.ErrorContains(t, err, want)
	}
}

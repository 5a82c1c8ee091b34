package dataplane

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sleepyPoller notes how long a worker would sleep.
type sleepyPoller struct {
	Poller
	blind bool
	slept []time.Duration
}

func (p *sleepyPoller) Blind() bool          { return p.blind }
func (p *sleepyPoller) Wait(d time.Duration) { p.slept = append(p.slept, d) }

func TestBackOff(t *testing.T) {
	const spin, most = 50 * time.Microsecond, 500 * time.Microsecond
	for _, tc := range []struct {
		name  string
		quiet time.Duration
		set   func(*worker, *sleepyPoller)
		want  []time.Duration
	}{
		{"spins first", spin - 1, func(*worker, *sleepyPoller) {}, nil},
		{"woken, it sleeps until timers are due", spin, func(*worker, *sleepyPoller) {}, []time.Duration{timerNap}},
		{"blind, it looks again soon", spin, func(_ *worker, p *sleepyPoller) { p.blind = true }, []time.Duration{shortestNap}},
		{"later an eighth of the quiet", 8 * 77 * time.Microsecond, func(_ *worker, p *sleepyPoller) { p.blind = true },
			[]time.Duration{77 * time.Microsecond}},
		{"and no longer than it may", time.Hour, func(_ *worker, p *sleepyPoller) { p.blind = true }, []time.Duration{most}},
		{"packets wait for a next hop", time.Hour, func(w *worker, _ *sleepyPoller) { w.held = make([]heldPackets, 1) },
			[]time.Duration{most}},
		{"with schedulers it answers often", time.Hour, func(w *worker, _ *sleepyPoller) { w.egress = &diversion{} },
			[]time.Duration{housekeeping}},
		{"packets are to be sent", time.Hour, func(w *worker, _ *sleepyPoller) { w.out.n = 1 }, nil},
		{"a queue rests", time.Hour, func(w *worker, _ *sleepyPoller) { w.slow.resting = 1 }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &sleepyPoller{}
			w := &worker{poller: p, doing: &doing{}, idle: Idle{Spin: spin, MaxSleep: most}}
			tc.set(w, p)
			w.backOff(idlePolls+1, tc.quiet)
			assert.Equal(t, tc.want, p.slept)
			assert.False(t, w.asleep.Load())
		})
	}
}

// What ended a sleep is sent before the timers that became due meanwhile, but they are put off only once.
func TestPacketsBeforeTimers(t *testing.T) {
	w := &worker{poller: &sleepyPoller{}, doing: &doing{}, idle: Idle{MaxSleep: time.Millisecond}}
	require.True(t, w.timersGo())
	w.backOff(idlePolls+1, time.Second)
	w.out.n = 1
	require.False(t, w.timersGo())
	require.True(t, w.timersGo())
	w.backOff(idlePolls+1, time.Second)
	w.out.n = 0
	require.True(t, w.timersGo())
}

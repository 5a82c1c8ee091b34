package balance

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/dataplane/vmq"
)

const hz = 1_000_000_000

// fakeSwitch is two workers whose queues take what share of a worker they ask for; a worker serves no more than all its
// time, and each of its queues the same part of what it asks for.
type fakeSwitch struct {
	wants   map[vmq.QueueKey]float64
	at      map[vmq.QueueKey]int
	workers []dataplane.WorkerStatus
	totals  map[vmq.QueueKey]*dataplane.QueueTotals
	fail    error
	silent  int // worker that tells nothing; -1: none
	moves   int
}

func newFakeSwitch(workers int, wants map[vmq.QueueKey]float64) *fakeSwitch {
	f := &fakeSwitch{wants: wants, at: map[vmq.QueueKey]int{}, totals: map[vmq.QueueKey]*dataplane.QueueTotals{}, silent: -1}
	for i := range workers {
		f.workers = append(f.workers, dataplane.WorkerStatus{ID: i, Core: i})
	}
	for k := range wants {
		f.totals[k] = &dataplane.QueueTotals{}
	}
	return f
}

// pass lets time pass.
func (f *fakeSwitch) pass(d time.Duration) {
	cycles := uint64(d.Seconds() * hz)
	for i := range f.workers {
		w := &f.workers[i]
		if i == f.silent {
			w.Age += d
			continue
		}
		sum := 0.0
		for k, want := range f.wants {
			if f.at[k] == i {
				sum += want
			}
		}
		busy := uint64(min(sum, 1) * float64(cycles))
		w.BusyCycles += busy
		w.IdleCycles += cycles - busy
		for k, want := range f.wants {
			if f.at[k] == i && sum > 0 {
				got := uint64(want / max(sum, 1) * float64(cycles))
				f.totals[k].BusyCycles += got
				f.totals[k].Packets += got / 100
				f.totals[k].Bursts += got / 6400
				w.Packets += got / 100
			}
		}
	}
}

func (f *fakeSwitch) Workers() []dataplane.WorkerStatus {
	all := make([]dataplane.WorkerStatus, len(f.workers))
	copy(all, f.workers)
	for k, t := range f.totals {
		w := &all[f.at[k]]
		w.Queues = append(w.Queues, dataplane.QueueStatus{Port: k.Port, Queue: k.Queue, Age: w.Age, QueueTotals: *t})
	}
	return all
}

func (f *fakeSwitch) MoveQueue(port uint32, queue uint16, worker int) error {
	if f.fail != nil {
		return f.fail
	}
	f.at[vmq.QueueKey{Port: port, Queue: queue}] = worker
	f.moves++
	return nil
}

// stand is a balancer over a fake switch with a clock of its own.
type stand struct {
	*fakeSwitch
	b    *Balancer
	plan *Plan
	now  time.Time
	log  strings.Builder
}

func q(n uint16) vmq.QueueKey { return vmq.QueueKey{Port: 1, Queue: n} }

func newStand(f *fakeSwitch, mode vmq.Mode, workers []int) *stand {
	s := &stand{fakeSwitch: f, now: time.Unix(1_700_000_000, 0), plan: &Plan{Limits: vmq.DefaultLimits(), Ports: map[uint32]Port{
		1: {Name: "up0", Uplink: true, Node: -1, Mode: mode, Workers: workers}}}}
	s.b = New(Options{Switch: f, Plan: func() *Plan { return s.plan }, NodeOf: func(int) int { return -1 },
		Log: slog.New(slog.NewTextHandler(&s.log, nil))})
	s.b.started, s.b.clock = s.now, func() time.Time { return s.now }
	return s
}

func (s *stand) run(d time.Duration) {
	const period = 125 * time.Millisecond
	for end := s.now.Add(d); s.now.Before(end); {
		s.pass(period)
		s.now = s.now.Add(period)
		s.b.Step(context.Background(), s.now)
	}
}

func skewed() map[vmq.QueueKey]float64 {
	return map[vmq.QueueKey]float64{q(0): 0.6, q(1): 0.5, q(2): 0.5, q(3): 0.3}
}

func TestSaturatedWorkerIsRelievedAndTheGainMeasured(t *testing.T) {
	s := newStand(newFakeSwitch(2, skewed()), vmq.Dynamic, nil)
	s.run(time.Second)
	assert.Positive(t, s.moves, "within a second")
	s.run(2 * time.Second)
	events, forgotten := s.b.History()
	require.NotEmpty(t, events)
	assert.Zero(t, forgotten)
	first := events[len(events)-1]
	assert.Equal(t, uint64(1), first.Number)
	assert.Equal(t, vmq.MoveQueue, first.Kind)
	assert.Equal(t, "up0", first.Port)
	assert.Equal(t, 0, first.From)
	assert.Equal(t, 1, first.To)
	assert.NotEmpty(t, first.Reason)
	require.True(t, first.Measured)
	assert.InDelta(t, 1.9, first.PacketsRatio, 0.06, "two workers serve 1.9 of what one could")
	assert.Contains(t, s.log.String(), "receive queue: move")
	counts := s.b.Counts()
	assert.Equal(t, uint64(s.moves), counts[Count{Kind: vmq.MoveQueue, Cause: first.Cause}])
	moves := uint64(0)
	for n := range uint16(4) {
		moves += s.b.Moves(q(n))
	}
	assert.Equal(t, uint64(s.moves), moves)
	for _, l := range s.b.Loads() {
		assert.True(t, l.Known)
		assert.InDelta(t, 0.95, l.Busy, 0.06)
	}
}

func TestQueuesOutsideModeDynamicStay(t *testing.T) {
	for _, mode := range []vmq.Mode{vmq.Static, vmq.Off} {
		s := newStand(newFakeSwitch(2, skewed()), mode, nil)
		s.run(3 * time.Second)
		assert.Zero(t, s.moves)
	}
}

func TestStaticQueuesGoWhereTheConfigurationWantsThem(t *testing.T) {
	s := newStand(newFakeSwitch(2, skewed()), vmq.Static, []int{1, 0, 1, 0})
	s.run(time.Second)
	assert.Equal(t, map[vmq.QueueKey]int{q(0): 1, q(2): 1}, s.at)
	assert.Equal(t, map[Count]uint64{{Kind: vmq.MoveQueue, Cause: vmq.ByMode}: 2}, moved(s.b))
	other := *s.plan
	other.Ports = map[uint32]Port{1: {Name: "up0", Uplink: true, Node: -1, Mode: vmq.Static, Workers: []int{0, 0, 0, 0}}}
	s.plan = &other    // another configuration is applied
	s.run(time.Second) // at once, whenever they moved last
	assert.Equal(t, map[vmq.QueueKey]int{q(0): 0, q(2): 0}, s.at)
}

// moved are the counts of moves alone.
func moved(b *Balancer) map[Count]uint64 {
	counts := b.Counts()
	maps.DeleteFunc(counts, func(c Count, _ uint64) bool { return c.Kind != vmq.MoveQueue })
	return counts
}

func TestLimitsChangeWhileItRuns(t *testing.T) {
	s := newStand(newFakeSwitch(2, map[vmq.QueueKey]float64{q(0): 0.35, q(1): 0.35}), vmq.Dynamic, nil)
	s.run(2 * time.Second)
	assert.Zero(t, s.moves, "70 % is below the threshold")
	other := *s.plan
	other.Limits.Upper, other.Limits.Lower = 0.5, 0.2
	s.plan = &other
	s.run(2 * time.Second)
	assert.Equal(t, 1, s.moves)
}

func TestFailureKeepsTheStateAndIsToldOnce(t *testing.T) {
	s := newStand(newFakeSwitch(2, skewed()), vmq.Dynamic, nil)
	s.fail = errors.New("the worker does not answer")
	s.run(5 * time.Second)
	events, _ := s.b.History()
	require.NotEmpty(t, events)
	assert.LessOrEqual(t, len(events), 8, "once for each queue and target")
	assert.Equal(t, "the worker does not answer", events[0].Err)
	assert.False(t, events[0].Measured)
	assert.Equal(t, strings.Count(s.log.String(), "receive queue stays as it was"), len(events))
	assert.Zero(t, s.b.Moves(events[0].Queue))
	s.fail = nil
	s.run(10 * time.Second)
	assert.Positive(t, s.moves, "it is tried again")
}

func TestSilentWorkerGetsNoQueues(t *testing.T) {
	s := newStand(newFakeSwitch(2, skewed()), vmq.Dynamic, nil)
	s.silent = 1
	s.run(silentFrom + 250*time.Millisecond)
	before := s.moves
	s.run(3 * time.Second)
	assert.Equal(t, before, s.moves)
	for _, l := range s.b.Loads() {
		assert.Equal(t, l.Worker == 0, l.Known)
	}
}

func TestStatesOfWorkers(t *testing.T) {
	m := newMeter()
	s := m.sample(time.Now(), 0, &Plan{}, []dataplane.WorkerStatus{
		{ID: 0}, {ID: 1, Age: 2 * silentFrom}, {ID: 2, State: dataplane.WorkerFailed},
	}, func(int) int { return 0 })
	require.Len(t, s.Workers, 3)
	for i, want := range []vmq.State{vmq.Running, vmq.Stalled, vmq.Gone} {
		assert.Equal(t, want, s.Workers[i].State)
	}
}

func TestPortsThatThePlanDoesNotKnowAreLeftAlone(t *testing.T) {
	s := newStand(newFakeSwitch(2, skewed()), vmq.Dynamic, nil)
	s.plan = &Plan{Limits: vmq.DefaultLimits(), Ports: map[uint32]Port{}}
	s.run(3 * time.Second)
	assert.Zero(t, s.moves)
}

func TestHistoryIsBounded(t *testing.T) {
	b := New(Options{})
	for i := range 3 * remembered {
		require.True(t, b.remember(&Event{Kind: vmq.MoveQueue, To: i}))
	}
	events, forgotten := b.History()
	require.Len(t, events, remembered)
	assert.Equal(t, uint64(2*remembered), forgotten)
	assert.Equal(t, uint64(3*remembered), events[0].Number)
	assert.Equal(t, uint64(2*remembered+1), events[remembered-1].Number)
	b.note(1, 1, 1) // forgotten
	b.note(uint64(2*remembered+1), 0.25, 2)
	events, _ = b.History()
	assert.Equal(t, 0.25, events[remembered-1].Gain)
}

func TestItEndsWithItsContext(t *testing.T) {
	s := newStand(newFakeSwitch(2, skewed()), vmq.Dynamic, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.b.Run(ctx); close(done) }()
	cancel()
	<-done
	assert.Equal(t, maxPeriod, New(Options{}).period())
}

// Two workers that are busy when the balancer begins: while it knows no load it does nothing, where all seem idle.
func TestNothingIsDecidedWithoutLoads(t *testing.T) {
	f := newFakeSwitch(2, map[vmq.QueueKey]float64{q(0): 0.7, q(1): 0.7})
	f.at[q(1)] = 1
	s := newStand(f, vmq.Dynamic, nil)
	f.pass(time.Minute) // they ran before
	for range 40 {
		s.b.Step(context.Background(), s.now)
		f.pass(100 * time.Millisecond)
		s.now = s.now.Add(100 * time.Millisecond)
	}
	assert.Zero(t, f.moves, s.log.String())
}

package dataplane

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spoil makes the next burst of a port's queue fail in the middle, whichever worker has it.
func (r *rig) spoil(port string) {
	r.t.Helper()
	w := r.sw.workers[r.workerOf(port)]
	done := w.do(func() {
		for _, q := range w.queues {
			if q != nil && q.port == r.index.byName[port] {
				q.actions.free()
				q.actions = nil
			}
		}
	})
	require.True(r.t, done)
}

// state is how a worker fares.
func (r *rig) state(worker int) WorkerStatus { return r.sw.Workers()[worker] }

// settled waits until a worker that failed is back, and all is done that follows.
func (r *rig) settled(worker int) {
	r.t.Helper()
	require.True(r.t, r.net.WaitFor(patience, func() bool {
		st := r.state(worker)
		return st.Faults > 0 && st.State == WorkerRuns
	}))
	r.sw.mu.Lock()   // until others have taken over
	r.sw.mu.Unlock() //nolint:staticcheck // nothing is to be done while it is locked
}

// A worker fails in the middle of a burst: the others take its queues over, flows of queues that it was not at are known
// still, its scheduler goes to another one, each packet is accounted for, none leaks, and it comes back.
func TestOthersTakeOver(t *testing.T) {
	r := newRig(t, 3)
	r.sw.patience = patience
	lines := make(logLines, 100)
	r.sw.cfg.Log = slog.New(slog.NewTextHandler(lines, nil))
	r.resolve()
	r.scheduled("up0", 1e9)
	failing := r.sw.egresses[0].owner.id
	for _, port := range []string{"red-vm1", "red-vm2", "red-db0"} {
		r.move(port, failing)
	}
	pass := func(port string, frame []byte) { // by the lane to the scheduler's owner
		r.inject(port, frame)
		r.wait("up0", 1)
	}
	pass("red-vm1", numbered(0))
	pass("red-vm2", toFarFrom(redVM2, "10.0.0.6", 0))
	known := r.status("red-vm2")
	r.spoil("red-vm1")
	w := r.sw.workers[failing]
	w.do(func() { // all in one poll
		for i := range 20 {
			r.inject("red-vm2", toFarFrom(redVM2, "10.0.0.6", i))
			r.inject("red-vm1", numbered(i))
		}
	})
	require.True(t, r.net.WaitFor(patience, func() bool { return r.workerOf("red-vm1") != failing && r.workerOf("red-vm2") != failing }))
	r.settled(failing)
	for _, w := range r.workers() {
		require.True(t, w.ID != failing || len(w.Queues) == 0, "it comes back without queues")
	}
	require.NotEqual(t, failing, r.sw.egresses[0].owner.id)
	require.NotEqualValues(t, failing, r.sw.steward.Load())
	r.idle()
	r.balanced()
	c := r.counters("red-vm1")
	require.EqualValues(t, 20, c.Drops[ReasonWorkerFailed], "%v", c.Drops)
	r.devs["up0"].Sent()
	pass("red-vm1", numbered(1)) // with tables of its own again
	pass("red-vm2", toFarFrom(redVM2, "10.0.0.6", 1))
	require.Equal(t, known.Misses, r.status("red-vm2").Misses, "the queue that it was not at keeps its flows")
	st := r.state(failing)
	require.EqualValues(t, 1, st.Faults)
	require.Contains(t, st.Fault, "a burst of queue 0 of port red-vm1")
	line := <-lines
	require.Contains(t, line, "a worker failed")
	require.Contains(t, line, "stack=")
	r.move("red-vm1", failing)
	pass("red-vm1", numbered(2))
	r.balanced()
}

// A worker that is alone goes on at once when it fails, and pauses when it fails again soon.
func TestWorkerThatIsAloneGoesOn(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	for round := range uint64(2) {
		r.spoil("red-vm1")
		r.inject("red-vm1", numbered(0))
		r.idle()
		require.True(t, r.net.WaitFor(patience, func() bool { st := r.state(0); return st.Faults == round+1 && st.State == WorkerRuns }))
		require.Len(t, r.send("red-vm1", numbered(1))["up0"], 1)
	}
	require.EqualValues(t, 2, r.counters("red-vm1").Drops[ReasonWorkerFailed])
	r.balanced()
}

// The worker that takes over from one that failed fails by a queue's tables at the very move, which had them from the first
// one: each queue has one worker all the same.
func TestFaultWhileOthersTakeOver(t *testing.T) {
	r := newRig(t, 3)
	r.sw.patience = patience
	r.resolve()
	r.move("red-vm1", 0)
	r.move("red-vm2", 0)
	r.sw.workers[0].do(func() { // the next burst is of red-vm2's queue alone, which gets new tables for it
		for _, q := range r.sw.workers[0].queues {
			if q != nil && (q.port == r.index.byName["red-vm1"] || q.port == r.index.byName["red-vm2"]) {
				q.actions.free()
				q.actions = nil
			}
		}
		r.inject("red-vm2", numbered(0))
	})
	for _, port := range []string{"red-vm1", "red-vm2"} {
		require.True(t, r.net.WaitFor(patience, func() bool { return r.workerOf(port) > 0 }))
	}
	r.settled(0)
	require.True(t, r.net.WaitFor(patience, func() bool {
		return r.state(1).State == WorkerRuns && r.state(2).State == WorkerRuns
	}))
	require.Positive(t, r.state(1).Faults+r.state(2).Faults)
	for to := range 3 { // from whoever has it now
		r.move("red-vm1", to)
		require.Len(t, r.send("red-vm1", numbered(to))["up0"], 1)
	}
	r.balanced()
}

// failingPoller fails in Poll when it is told to.
type failingPoller struct {
	Poller
	fails atomic.Bool
}

func (p *failingPoller) Poll() {
	if p.fails.CompareAndSwap(true, false) {
		panic(errors.New("the driver lost its mind"))
	}
	p.Poller.Poll()
}

func TestWorkerFailsElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(r *rig, w *worker, p *failingPoller)
		want string
	}{
		"poll":    {func(_ *rig, _ *worker, p *failingPoller) { p.fails.Store(true) }, "the driver lost its mind; it was at sending to its devices"},
		"command": {func(r *rig, w *worker, _ *failingPoller) { require.False(r.t, w.do(func() { panic("what") })) }, "what; it was at a change"},
		"timers": {func(_ *rig, w *worker, _ *failingPoller) {
			w.do(func() {
				for _, q := range w.queues {
					if q != nil {
						q.flows.free()
						q.flows = nil
					}
				}
				w.nextRun = 0
			})
		}, "it was at its timers"},
		"fault in mapped memory": {func(_ *rig, w *worker, _ *failingPoller) {
			w.do(func() {
				slots, err := offHeap[uint64](1000)
				if err == nil {
					freeOffHeap(slots)
					slots[0] = 1
				}
			})
		}, "runtime error"},
	} {
		t.Run(name, func(t *testing.T) {
			r := bareRig(t)
			r.sw.patience = patience
			p := &failingPoller{Poller: r.net.Poller()}
			r.addWorker(r.net.Poller())
			r.addWorker(p)
			r.setUp(rigPolicy, 2)
			r.resolve()
			r.move("red-vm1", 1)
			c.fail(r, r.sw.workers[1], p)
			require.True(t, r.net.WaitFor(patience, func() bool { return r.workerOf("red-vm1") == 0 }))
			r.settled(1)
			require.Contains(t, r.state(1).Fault, c.want)
			require.Len(t, r.send("red-vm1", numbered(2))["up0"], 1)
			r.balanced()
		})
	}
}

// New ports, schedulers and moved queues keep off a worker that has failed and is not back yet.
func TestNothingGoesToAFailedWorker(t *testing.T) {
	r := newRig(t, 3)
	r.sw.workers[1].health.failed.Store(true)
	r.sw.workers[1].health.last.Store(&fault{what: "tried"})
	require.ErrorIs(t, r.sw.MoveQueue(r.index.byName["red-vm1"], 0, 1), ErrFailed)
	for range 4 {
		require.NotEqual(t, 1, r.sw.nextWorker().id)
	}
	r.scheduled("up0", 1_000_000)
	r.scheduled("up0", 0)
	require.NotEqual(t, 1, fewest(r.sw.owned(nil)))
	require.Equal(t, WorkerFailed, r.state(1).State)
	require.Equal(t, "tried", r.state(1).Doing)
	r.sw.workers[1].health.failed.Store(false)
}

// A worker that comes to no end is reported, once, with what it does; its queues stay, and it is reported when it goes on.
func TestStallIsReported(t *testing.T) {
	r := newRig(t, 2)
	lines := make(logLines, 100)
	r.sw.cfg.Log = slog.New(slog.NewTextHandler(lines, nil))
	at := r.workerOf("red-vm1")
	w := r.sw.workers[at]
	goOn := make(chan struct{})
	w.post(func() { <-goOn })
	require.True(t, r.net.WaitFor(patience, func() bool { time.Sleep(time.Millisecond); return r.state(at).State == WorkerStalled }))
	require.Contains(t, r.state(at).Doing, "a change of ports, policy or queues, for ")
	require.Contains(t, r.state(at).Doing, "in state S")
	require.Equal(t, at, r.workerOf("red-vm1"), "its queues are left with it")
	line := ""
	for !strings.Contains(line, "a worker comes to no end") {
		line = <-lines
	}
	require.Contains(t, line, "doing=")
	close(goOn)
	for !strings.Contains(line, "goes on") {
		line = <-lines
		require.NotContains(t, line, "no end", "once")
	}
	require.Equal(t, WorkerRuns, r.state(at).State)
}

// What a worker is at names the port and the queue.
func TestDoingNamesTheQueue(t *testing.T) {
	r := newRig(t, 1)
	d := &doing{}
	r.sw.workers[0].do(func() {
		for _, q := range r.sw.workers[0].queues {
			if q.port == r.index.byName["red-vm2"] {
				d.noteRun(3, q)
			}
		}
	})
	require.Equal(t, "a burst of queue 0 of port red-vm2", r.sw.tell(d))
	d.enter(doingNew)
	require.Equal(t, "new flows, ARP or neighbour discovery of queue 0 of port red-vm2", r.sw.tell(d))
	_, run, _, _ := d.read()
	require.Equal(t, 3, run)
	d.note(doingSleep)
	require.Equal(t, "sleep", r.sw.tell(d))
}

// Workers fail again and again while their queues move, schedulers come and go, and packets flow: every packet is accounted
// for, none leaks, and all goes on.
func TestFaultsUnderLoad(t *testing.T) {
	r := newRig(t, 3)
	r.sw.patience, r.sw.absence = patience, 10*time.Millisecond
	r.resolve()
	one, two := r.sequence("red-vm1", redVM1, "10.0.0.5"), r.sequence("red-vm2", redVM2, "10.0.0.6")
	rng := rand.New(rand.NewPCG(5, 5))
	ports := []string{"red-vm1", "red-vm2", "up0"}
	check := func() int {
		sent := r.devs["up0"].Sent()
		return one(sent) + two(sent)
	}
	for round := range 40 {
		switch round % 4 {
		case 0:
			r.scheduled("up0", 50_000_000)
		case 2:
			r.scheduled("up0", 0)
		}
		port := ports[rng.IntN(len(ports))]
		for _, w := range r.sw.workers {
			w.do(func() {
				for _, q := range w.queues {
					if q != nil && q.actions != nil && q.port == r.index.byName[port] {
						q.actions.free()
						q.actions = nil
					}
				}
			})
		}
		for range 3 {
			err := r.sw.MoveQueue(r.index.byName[ports[rng.IntN(2)]], 0, rng.IntN(3))
			require.True(t, err == nil || errors.Is(err, ErrFailed), "%v", err)
			r.net.WaitFor(time.Millisecond, func() bool { return false })
			check()
		}
	}
	faults := uint64(0)
	require.True(t, r.net.WaitFor(patience, func() bool {
		faults = 0
		for _, w := range r.sw.Workers() {
			if faults += w.Faults; w.State == WorkerFailed {
				return false
			}
		}
		return check() > 0
	}), "all are back, and packets flow")
	require.Greater(t, faults, uint64(5))
	r.devs["red-vm1"].SetSource(0, nil)
	r.devs["red-vm2"].SetSource(0, nil)
	r.scheduled("up0", 0)
	r.idle()
	check()
	r.balanced()
	require.Positive(t, r.counters("red-vm1").Drops[ReasonWorkerFailed]+r.counters("red-vm2").Drops[ReasonWorkerFailed])
}

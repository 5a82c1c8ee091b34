package dataplane

import (
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/packet"
)

// A worker that fails, by a mistake in this program, takes nothing else down. It frees what it had in hand, goes on sending
// what waits in its schedulers, and obeys commands, but receives nothing. The other workers take its queues and schedulers
// over; the queue that it was at begins with empty tables, for the old ones may be half changed. A while later the worker
// comes back, without queues. One that is alone goes on with its queues, at once if it had not failed for some time.

// restartPause is how long a failed worker stays away, unless it is alone and failed for the first time in restartAlone.
const (
	restartPause = time.Second
	restartAlone = 10 * time.Second
	standPause   = 5 * time.Millisecond // between two looks of a failed worker at its lanes and commands
)

// stallAfter is for how long a worker may tell nothing until it is reported as stalled.
const stallAfter = time.Second

// WorkerState says how a worker fares.
type WorkerState uint8

// States of a worker.
const (
	WorkerRuns    WorkerState = iota
	WorkerStalled             // it comes to no end with something; its queues are left with it
	WorkerFailed              // it polls nothing, others have its queues; it comes back
)

var workerStates = [...]string{"running", "stalled", "failed"}

func (s WorkerState) String() string { return workerStates[s] }

// health is what others know of a worker.
type health struct {
	failed atomic.Bool
	faults atomic.Uint64
	last   atomic.Pointer[fault]
	told   bool // that it stalls; control's
}

// fault is what ended a worker's loop.
type fault struct {
	at    time.Time
	what  string // and what the worker was at
	stack string
	stage uint64
	run   int
}

// survive calls f; a panic in it becomes a fault, nil without.
func (w *worker) survive(f func()) (why *fault) {
	defer func() {
		if v := recover(); v != nil {
			stage, run, _, _ := w.doing.read()
			why = &fault{at: time.Now(), what: fmt.Sprintf("%v; it was at %s", v, w.sw.tell(w.doing)), stack: string(debug.Stack()),
				stage: stage, run: run}
		}
	}()
	f()
	return nil
}

// live is the worker's life.
func (w *worker) live() {
	debug.SetPanicOnFault(true) // tables are mapped memory
	for {
		why := w.survive(w.loop)
		if why == nil {
			break
		}
		w.fail(why)
		if w.stop {
			break
		}
	}
	w.survive(w.leave)
	w.end()
}

// fail sees a worker through from a fault to where it may go on.
func (w *worker) fail(why *fault) {
	pause := w.sw.absence
	if last := w.health.last.Load(); w.sw.alone(w) && (last == nil || why.at.Sub(last.at) > restartAlone) {
		pause = 0
	}
	w.health.last.Store(why)
	w.health.faults.Add(1)
	w.health.failed.Store(true)
	w.sw.cfg.Log.Error("a worker failed; its queues go to the others, and it comes back later (please report this)",
		"worker", w.id, "fault", why.what, "stack", why.stack)
	if again := w.survive(func() { w.salvage(why) }); again != nil {
		w.sw.cfg.Log.Error("what a failed worker had in hand could not be freed", "worker", w.id, "fault", again.what, "stack", again.stack)
		w.out.n, w.out.spans, w.out.mixed, w.io.NumFree = 0, 0, false, 0
	}
	go w.sw.takeOver(w)
	w.stand(why, pause)
	if !w.stop {
		w.health.failed.Store(false)
		w.sw.cfg.Log.Warn("the worker that failed is back", "worker", w.id)
	}
}

// stand obeys commands and sends, but receives nothing.
func (w *worker) stand(why *fault, pause time.Duration) {
	sends := why.stage != doingQoS && why.stage != doingPoll
	for end := why.at.Add(pause); !w.stop && time.Now().Before(end); {
		sends = sends && w.survive(w.flush) == nil
		w.totals.Iterations++
		w.doing.note(doingNothing)
		if w.pending.Load() {
			w.obey()
		} else {
			w.survive(func() { w.publishSome(publishQueues) })
			w.poller.Wait(standPause)
		}
	}
	w.spent = interval{}
	w.io.RxBudget = packet.MaxRx
}

// obey runs commands, also those behind one that fails.
func (w *worker) obey() {
	if why := w.survive(w.runCommands); why != nil {
		w.sw.cfg.Log.Error("a command to a failed worker failed as well", "worker", w.id, "fault", why.what, "stack", why.stack)
	}
}

// salvage brings a worker whose loop broke off to the end of an iteration: what it had staged is sent, and what it still had
// in hand is freed and counted.
func (w *worker) salvage(why *fault) {
	w.sample.on = false
	w.sample.pause()
	w.spent.runs, w.io.RxBudget = 0, packet.MaxRx
	if w.ctr.seq.Load()&1 != 0 {
		w.ctr.seq.Add(1) // readers wait for it
	}
	switch why.stage {
	case doingKnown, doingNew:
		w.salvageRuns(why.run)
	case doingTimers, doingCommand: // which look at all of them
		for _, q := range w.queues {
			w.renew(q)
		}
	case doingPoll, doingQoS: // whose packets are whose cannot be told: they are lost to the pool
		w.out.n, w.out.spans, w.out.mixed, w.io.NumTx, w.io.NumTxRuns = 0, 0, false, 0, 0
	}
	w.listQueues() // a command may have broken off in between
	w.ctr.publish()
}

// salvageRuns ends a burst that broke off in run first, and those behind it.
func (w *worker) salvageRuns(first int) {
	staged := 0
	for i := range w.out.span[:w.out.spans] {
		staged += int(w.out.span[i].count)
	}
	w.out.n = min(w.out.n, staged) // a packet that is in no span is still in hand
	for i := range w.io.RxRuns[:w.io.NumRxRuns] {
		run := &w.io.RxRuns[i]
		q := w.queues[run.Ref]
		if i < first || q == nil {
			continue
		}
		if i == first {
			w.renew(q)
			if w.slow.refused > 0 {
				w.ctr.dropMany(q.port, ReasonSlowPathShare, uint64(w.slow.refused))
			}
		} else {
			w.ctr.of(q.port).rx += uint64(run.Count)
		}
		for _, p := range w.io.Rx[run.First : run.First+run.Count] {
			if i == first && w.disposed(p) {
				continue
			}
			w.discard(q.port, p, ReasonWorkerFailed)
		}
	}
	w.slow.refused, w.slow.copies, w.slow.deciding = 0, 0, false
	clear(w.burst.Outer[:])
}

// disposed reports whether a packet is staged, freed or held.
func (w *worker) disposed(p *packet.Packet) bool {
	if slices.Contains(w.io.Tx[:w.out.n], p) || slices.Contains(w.io.Free[:w.io.NumFree], p) {
		return true
	}
	return slices.ContainsFunc(w.held, func(h heldPackets) bool { return slices.Contains(h.pkts[:h.n], p) })
}

// renew gives a queue empty tables; without memory for them it keeps what it has.
func (w *worker) renew(q *rxQueue) {
	if q == nil {
		return
	}
	fresh, err := newRxQueue(w.sw, PortSpec{}, 0)
	if err != nil {
		return
	}
	if q.flows != nil && q.wide != nil {
		fresh.flows.stats, fresh.wide.stats = q.flows.stats, q.wide.stats // they only grow
	}
	q.free()
	q.flows, q.wide, q.actions, q.release = fresh.flows, fresh.wide, fresh.actions, fresh.release
}

// alone reports whether no other worker could take over.
func (s *Switch) alone(w *worker) bool {
	return !slices.ContainsFunc(s.running(), func(o *worker) bool { return o != w && !o.health.failed.Load() })
}

// takeOver gives the queues and schedulers of a failed worker to the others.
func (s *Switch) takeOver(w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.alone(w) || !w.health.failed.Load() {
		return
	}
	from := time.Now()
	s.steward.CompareAndSwap(int32(w.id), int32(s.nextWorker().id))
	moved := 0
	for _, q := range *w.listed.Load() {
		for range s.workers { // one may hang
			to := s.nextWorker()
			if to == w {
				continue
			}
			if !slices.Contains(*w.listed.Load(), q) {
				break // it is on its way, and one that hangs is to take it
			}
			err := s.move(&move{q: q, from: w, to: to, done: make(chan error, 1)})
			if err == nil {
				moved++
				break
			}
			s.cfg.Log.Error("a queue of a failed worker stays with it", "worker", w.id, "port", s.ports[q.port].Name, "queue", q.queue, "error", err)
		}
	}
	schedulers, err := s.takeOverSchedulers(w)
	if err != nil {
		s.cfg.Log.Error("an output whose worker failed has no scheduler until the next change of policy", "worker", w.id, "error", err)
	}
	s.cfg.Log.Warn("other workers took over", "worker", w.id, "queues", moved, "schedulers", schedulers, "took", time.Since(from))
}

// takeOverSchedulers gives the schedulers of a failed worker to others. What waits in them is sent.
func (s *Switch) takeOverSchedulers(w *worker) (count int, err error) {
	var its []*egress
	for _, e := range s.egresses {
		if e.owner == w {
			its = append(its, e)
		}
	}
	if len(its) == 0 {
		return 0, nil
	}
	if w.health.last.Load().stage == doingQoS { // it may fail once more, and nobody is to wait for it then
		s.dropShaping(its)
	} else {
		s.endShaping(its)
	}
	w.do(func() { // should it have failed again before it let go of them
		if d := w.egress; d != nil {
			mine := func(e *egress) bool { return slices.Contains(its, e) }
			d.owned, d.waiting = slices.DeleteFunc(d.owned, mine), slices.DeleteFunc(d.waiting, mine)
		}
	})
	for _, e := range its {
		e.gone.Store(true)
	}
	shaping, err := s.planShaping(s.snap.Load())
	if err != nil {
		s.partWorkers()
		return 0, err
	}
	s.begin(shaping)
	return len(its), nil
}

// watch reports workers that stall, and that go on, once each.
func (s *Switch) watch() {
	for _, w := range s.running() {
		state, what := s.healthOf(w)
		switch {
		case state == WorkerStalled && !w.health.told:
			w.health.told = true
			s.cfg.Log.Warn("a worker comes to no end; its queues are left with it", "worker", w.id, "core", w.core, "doing", what)
		case state != WorkerStalled && w.health.told:
			w.health.told = false
			s.cfg.Log.Info("the worker that stalled goes on", "worker", w.id)
		}
	}
}

// healthOf says how a worker fares and, unless it runs, what it does or why it failed.
func (s *Switch) healthOf(w *worker) (WorkerState, string) {
	if w.health.failed.Load() {
		return WorkerFailed, w.health.last.Load().what
	}
	age := s.age(w.shown.load().at)
	if stage, _, _, _ := w.doing.read(); age < stallAfter || stage == doingSleep {
		return WorkerRuns, ""
	}
	return WorkerStalled, fmt.Sprintf("%s, for %s; %s", s.tell(w.doing), age.Round(time.Millisecond), threadState(w.thread.Load()))
}

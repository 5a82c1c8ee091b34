package dataplane

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/packet"
)

const (
	housekeeping = 10 * time.Millisecond  // between two rounds of timers
	tickShift    = 24                     // clock >> tickShift is the tick of flow tables, 16.8 ms
	sweepSlots   = 4096                   // flow slots looked at per round of timers
	clockStart   = int64(1 * time.Second) // so that "never" (0) lies in the past
	maxEvents    = 1024
	maxLearned   = maxEvents / 8 // events of one receive queue between two rounds of timers: none fills the ring alone
)

// worker owns a core, a poller and the receive queues on its list, and runs every packet to completion. All fields but
// the atomics are its thread's alone; others reach it through do.
type worker struct {
	sw     *Switch
	id     int
	core   int
	poller Poller
	io     *packet.IO
	idle   Idle

	queues  []*rxQueue // by ref; nil where one was removed
	ctr     *counters
	out     txStage
	egress  *diversion // nil while no output has a scheduler
	held    []heldPackets
	events  eventRing
	touched uint64 // keeps the touch loop from being optimised away
	tsc     uint64 // at the last poll, never less than before
	skew    uint64 // what makes it so
	now     int64  // clock at the last poll, ns
	tick    uint32
	nextRun int64 // of the timers
	napped  bool  // since they ran
	sweepQ  int

	// Of the burst in hand, by place. What is plain has burst.Key, and meta only once it is needed (complete).
	burst packet.Burst
	meta  [packet.RxBurst]packet.Parsed
	wide  [packet.RxBurst]packet.WideKey
	class [packet.RxBurst]frameClass
	known [packet.RxBurst]uint32 // actions of plain packets of known flows, 0 for all others
	miss  [packet.RxBurst]uint8
	fresh newFlow
	slow  protection

	pending  atomic.Bool // commands is not empty
	mu       sync.Mutex
	commands []func()
	stopped  bool

	totals   LoopTotals
	spent    interval
	sample   stageSampler
	publishQ int // queue that was published last
	shown    *published[stamped[LoopTotals]]
	listed   atomic.Pointer[[]*rxQueue]

	clock  atomic.Int64 // now, as of the last timers or command
	asleep atomic.Bool  // it may nap, and is to be woken when packets are handed to it
	doing  *doing       // off the heap: what it is at, for others to read when it stalls
	thread atomic.Int32
	health health
	stop   bool
	done   chan struct{}
}

func newWorker(s *Switch, id int, spec WorkerSpec) (*worker, error) {
	ctr, err := newCounters(s.cfg.MaxPorts)
	if err != nil {
		return nil, err
	}
	w := &worker{sw: s, id: id, core: spec.Core, poller: spec.Poller, idle: spec.Idle, ctr: ctr,
		now: clockStart, held: make([]heldPackets, 0, maxHeld), done: make(chan struct{}),
		shown: newPublished[stamped[LoopTotals]]()}
	w.sample.init(s.cfg.SampleEvery, s.cfg.TSCHz, s.seed())
	w.publishLoop()
	w.listQueues()
	if err := w.out.init(s.cfg.MaxPorts); err != nil {
		ctr.free()
		return nil, err
	}
	at, err := offHeap[doing](1)
	if err != nil {
		ctr.free()
		w.out.free()
		return nil, err
	}
	w.doing = &at[0]
	runtime.AddCleanup(w, freeOffHeap[doing], at)
	w.fresh.meta = &w.meta[0]
	w.slow.init(s.cfg.TSCHz)
	return w, nil
}

// start runs the worker on a thread of its own; it returns when the poller is ready or has failed.
func (w *worker) start() error {
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, with its affinity, ends with the goroutine
		defer close(w.done)
		err := w.enter()
		ready <- err
		if err == nil {
			w.live()
		}
	}()
	return <-ready
}

func (w *worker) enter() error {
	if w.core >= 0 {
		var set unix.CPUSet
		set.Set(w.core)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("pin worker %d to core %d: %w (choose a core that exists and that this process may use)", w.id, w.core, err)
		}
	}
	if err := w.poller.Start(); err != nil {
		return fmt.Errorf("start worker %d: %w", w.id, err)
	}
	w.thread.Store(int32(unix.Gettid()))
	w.io = w.poller.IO()
	w.io.RxBudget = packet.MaxRx
	w.sample.calibrate(w.poller)
	return nil
}

// loop is the worker's life until it is told to stop: one poll, then everything that was received is run to completion.
func (w *worker) loop() {
	empty, quiet := 0, int64(0) // empty polls in a row, and since when
	for !w.stop {
		w.poll()
		received, scheduled := w.io.NumRx, w.egress != nil && w.egress.active
		w.account(received, scheduled)
		if received == 0 {
			empty++
		} else {
			w.receive()
			empty, quiet = 0, w.now
		}
		if len(w.held) > 0 {
			w.releaseHeld()
		}
		if w.now >= w.nextRun && w.timersGo() {
			w.timers()
		}
		if scheduled {
			empty, quiet = 0, w.now
		}
		if w.pending.Load() {
			w.flush()
			w.runCommands()
			empty = 0
		}
		if empty > idlePolls && w.idle.MaxSleep > 0 {
			w.backOff(empty, time.Duration(w.now-quiet))
		}
	}
}

// poll sends what the last iteration made, learns what became of it, and receives.
func (w *worker) poll() {
	if w.sample.on {
		w.mark(nil, StageOther)
	}
	if w.egress != nil {
		w.doing.note(doingQoS)
		w.divert()
		if w.sample.on {
			w.mark(nil, StageQoS)
		}
	}
	w.out.arrange(w.io)
	w.doing.note(doingPoll)
	w.poller.Poll()
	w.doing.note(doingOther)
	if w.sample.on {
		w.closeSample()
	}
	w.readClock()
	w.tick = uint32(w.now >> tickShift)
	w.slow.begin(w.tsc, w.io.NumRx)
	if w.slow.resting > 0 {
		w.wakeRested()
	}
	w.settle()
	w.ctr.publish()
}

// readClock goes on where it was when the time stamp counter has jumped back, as it may when a virtual machine moves:
// timers would stand still until it has caught up.
func (w *worker) readClock() {
	tsc := w.io.TSC + w.skew
	if tsc < w.tsc {
		w.skew += w.tsc - tsc
		tsc = w.tsc
	}
	w.tsc = tsc
	w.now = w.sw.clockAt(tsc)
}

// flush sends what is left without receiving: nothing is on its way afterwards.
func (w *worker) flush() {
	w.io.RxBudget = 0
	w.poll()
	w.io.RxBudget = packet.MaxRx
}

// receive runs what the poll delivered, queue by queue.
func (w *worker) receive() {
	if w.sample.wait--; w.sample.wait == 0 {
		w.openSample()
	}
	for i := range w.io.RxRuns[:w.io.NumRxRuns] {
		run := &w.io.RxRuns[i]
		q := w.queues[run.Ref]
		w.spent.note(i, run, q)
		w.doing.noteRun(i, q)
		w.run(q, w.io.Rx[run.First:run.First+run.Count])
	}
	w.spent.runs = int(w.io.NumRxRuns)
	w.doing.note(doingOther)
}

// do runs f on the worker's thread between two iterations, when no packet is on its way, and returns when it has run:
// every packet that the worker looked at before is through then (a quiescent point). It reports false when the worker
// has ended, and when f made it fail.
func (w *worker) do(f func()) bool {
	finished, done := make(chan struct{}), false
	posted := w.post(func() {
		defer close(finished)
		f()
		w.ctr.publish() // before the caller goes on and reads them
		w.publishLoop()
		done = true
	})
	if posted {
		<-finished
	}
	return posted && done
}

// post is do for those who do not wait.
func (w *worker) post(f func()) bool {
	w.mu.Lock()
	if w.stopped {
		w.mu.Unlock()
		return false
	}
	w.commands = append(w.commands, f)
	w.pending.Store(true)
	w.mu.Unlock()
	w.poller.Wake()
	return true
}

// runCommands runs those that wait now; what they bring in is for the next time.
func (w *worker) runCommands() {
	w.clock.Store(w.now)
	w.doing.note(doingCommand)
	for n := w.waiting(); n > 0; n-- {
		w.mu.Lock()
		f := w.commands[0]
		w.commands = slices.Delete(w.commands, 0, 1)
		w.pending.Store(len(w.commands) > 0)
		w.mu.Unlock()
		f()
	}
	w.doing.note(doingOther)
}

func (w *worker) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.commands)
}

// leave ends the worker: nothing it holds is lost to the pool.
func (w *worker) leave() {
	w.dropHeld(ReasonPortGone, func(*heldPackets, uint32) bool { return true })
	w.flush()
	for _, q := range w.queues {
		if q != nil {
			w.poller.RemoveRx(q.ref)
			q.free()
		}
	}
}

// end comes last, however the worker fared.
func (w *worker) end() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	for w.waiting() > 0 { // those that came too late for the loop
		w.obey()
	}
	w.poller.Close()
	w.out.free()
}

// timers are the worker's slow duties: idle flows, and for one of the workers the fabric's ARP cache.
func (w *worker) timers() {
	rounds := min(1+int(w.now-w.nextRun)/int(housekeeping), maxRounds) // that passed asleep
	w.nextRun = w.now + int64(housekeeping)
	w.clock.Store(w.now)
	w.doing.note(doingTimers)
	w.publishSome(publishQueues)
	w.answer()
	budget := rounds * sweepSlots
	for range len(w.queues) {
		w.sweepQ = (w.sweepQ + 1) % len(w.queues)
		q := w.queues[w.sweepQ]
		if q == nil {
			continue
		}
		budget -= w.sweepQueue(q, budget)
		if budget <= 0 {
			break
		}
	}
	if int32(w.id) == w.sw.steward.Load() {
		w.refreshNeighbours()
	}
	w.doing.note(doingOther)
}

func (w *worker) sweepQueue(q *rxQueue, budget int) (looked int) {
	idle := uint32(w.sw.cfg.FlowIdle >> tickShift)
	q.flows.migrate(migrateBatch, w.tick, q.release)
	q.wide.migrate(migrateBatch, w.tick, q.release)
	n := min(len(q.flows.slots), budget)
	q.flows.sweep(n, w.tick, idle, q.release, func(f *flow[packet.Key]) {
		w.keepLearned(q, &q.actions.slots[f.action], f.key.SrcMAC(), f.seen)
	})
	m := min(len(q.wide.slots), budget)
	q.wide.sweep(m, w.tick, idle, q.release, func(f *flow[packet.WideKey]) {
		k := packet.Key{f.key[0], f.key[1], f.key[2]}
		w.keepLearned(q, &q.actions.slots[f.action], k.SrcMAC(), f.seen)
	})
	return n + m
}

// keepLearned keeps a learned address young while its known flows, which pass no layer, still see packets, and learns one
// again whose event was lost, or which was forgotten.
func (w *worker) keepLearned(q *rxQueue, a *action, src packet.MAC, seen uint32) {
	if a.flags&flagLearn == 0 || w.tick-seen >= uint32(time.Second>>tickShift) {
		return
	}
	if _, ok := w.sw.fdb.lookup(a.vsid, src); ok {
		w.sw.fdb.touch(a.vsid, src, w.now)
	} else {
		w.reportLearned(q, a.vsid, src)
	}
}

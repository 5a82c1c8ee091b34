package dataplane

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/qos"
)

// How schedulers go. With an output that stays, all workers stand still once while the owners send what waits. A worker that
// hangs must not stop the others for longer than a moment, so each wait of a worker for another one has an end.

// endShaping takes schedulers away, and sends what waits in them.
func (s *Switch) endShaping(gone []*egress) {
	if len(gone) == 0 {
		return
	}
	s.drain(gone)
	s.standStill(func(w *worker) {
		w.takeAll()
		w.endOwned(gone, false)
		w.hideEgresses(gone)
	})
	s.closeEgresses(gone)
}

// dropShaping takes the schedulers of outputs away that go themselves, and drops what waits in them. Nobody stands still:
// once no worker knows the schedulers, nothing comes into lanes and queues behind what the owners drop.
func (s *Switch) dropShaping(gone []*egress) {
	if len(gone) == 0 {
		return
	}
	for _, w := range s.workers {
		w.do(func() { w.hideEgresses(gone) })
	}
	for _, w := range s.workers {
		w.do(func() {
			w.takeAll()
			w.endOwned(gone, true)
		})
	}
	s.closeEgresses(gone)
	s.partWorkers()
}

// closeEgresses gives back what schedulers had that no worker knows any more.
func (s *Switch) closeEgresses(gone []*egress) {
	for _, e := range gone {
		e.sched.Close()
	}
	s.listEgresses(slices.DeleteFunc(slices.Clone(s.egresses), func(e *egress) bool { return slices.Contains(gone, e) }))
}

// drainTime is how long schedulers that are to go may take to send what waits at the pace of the link, which towards a VM is
// its inbound maximum. What is left then is sent at once, and the device may not accept all of it.
const drainTime = 100 * time.Millisecond

// drainedPackets are few enough for any device to accept at once.
const drainedPackets = packet.RxBurst

// drain lifts all limits but the link's, and waits until next to nothing is left.
func (s *Switch) drain(gone []*egress) {
	long := s.backlogs(gone)
	for _, e := range long {
		s.unlimit(e)
	}
	for end := time.Now().Add(s.drainTime); len(long) > 0 && time.Now().Before(end); long = s.backlogs(long) {
		time.Sleep(time.Millisecond)
	}
}

// backlogs are those schedulers that hold more.
func (s *Switch) backlogs(of []*egress) (long []*egress) {
	for _, w := range s.workers {
		if !slices.ContainsFunc(of, func(e *egress) bool { return e.owner == w }) {
			continue
		}
		w.do(func() {
			for _, e := range of {
				if e.owner == w && e.sched.Packets() > drainedPackets {
					long = append(long, e)
				}
			}
		})
	}
	return long
}

func (s *Switch) unlimit(e *egress) {
	sum := *e.shown.Load().sum
	sum.Groups, sum.Leaves = slices.Clone(sum.Groups), slices.Clone(sum.Leaves)
	for i := range sum.Classes {
		sum.Classes[i].MaxBytesPerSec = 0
	}
	for i := range sum.Groups {
		sum.Groups[i].MaxBytesPerSec = 0
	}
	for i := range sum.Leaves {
		sum.Leaves[i].MaxBytesPerSec = 0
	}
	plan, err := e.sched.Compile(&sum)
	if err != nil {
		return // without memory for it, the limits stay
	}
	e.owner.do(func() {
		if e.sched.Install(e.owner.now, plan) != nil {
			plan.Close()
		}
		e.next = 0
	})
}

// How long workers stand still: for those that are to come, at first, twice as long with each further try; and for those
// that send what waits.
const (
	standPatience = 50 * time.Millisecond
	flushPatience = time.Second
)

// standStill runs f on all workers while none of them looks at packets: nothing is on its way then but in lanes. When one
// does not come, the others go on forwarding until it is there, and all try again.
func (s *Switch) standStill(f func(*worker)) {
	for patience := standPatience; !s.tryStandStill(f, patience); patience = min(2*patience, flushPatience) {
	}
}

func (s *Switch) tryStandStill(f func(*worker), patience time.Duration) bool {
	st := newStand(len(s.workers))
	var through sync.WaitGroup
	for i, w := range s.workers {
		through.Go(func() {
			w.do(func() { st.join(i, func() { f(w) }) })
		})
	}
	if !st.await(patience) {
		s.cfg.Log.Warn("workers do not stand still while schedulers are taken away; the others go on until they do",
			"workers", st.missing())
	}
	through.Wait()
	return st.verdict.Load() == standsStill
}

// stand is where workers meet.
type stand struct {
	came    []atomic.Bool
	absent  atomic.Int32 // workers
	busy    atomic.Int32 // workers that have not run f
	verdict atomic.Int32
	decided chan struct{} // closed with the verdict
	release func()        // ends the stand
	over    chan struct{}
}

// Verdicts on a stand; 0 is none yet.
const (
	standsStill = 1 + iota // all came
	standOff               // one did not
)

func newStand(workers int) *stand {
	st := &stand{came: make([]atomic.Bool, workers), decided: make(chan struct{}), over: make(chan struct{})}
	st.absent.Store(int32(workers))
	st.busy.Store(int32(workers))
	st.release = sync.OnceFunc(func() { close(st.over) })
	return st
}

// decide makes the first verdict the one that holds.
func (st *stand) decide(verdict int32) {
	if st.verdict.CompareAndSwap(0, verdict) {
		close(st.decided)
	}
}

// join runs f on a worker's thread, once all have come and before any goes on.
func (st *stand) join(worker int, f func()) {
	st.came[worker].Store(true)
	if st.absent.Add(-1) == 0 {
		st.decide(standsStill)
	}
	<-st.decided
	if st.verdict.Load() != standsStill {
		return
	}
	f()
	if st.busy.Add(-1) == 0 {
		st.release()
	}
	<-st.over
}

// await bounds how long those who came wait; false when others did not.
func (st *stand) await(patience time.Duration) bool {
	select {
	case <-st.decided:
	case <-time.After(patience):
		st.decide(standOff)
	}
	if st.verdict.Load() != standsStill {
		return false
	}
	select {
	case <-st.over:
	case <-time.After(flushPatience): // a device hangs; the order of what is left is lost, the others' packets are not
		st.release()
	}
	return true
}

// missing are the workers that have not come.
func (st *stand) missing() (workers []int) {
	for i := range st.came {
		if !st.came[i].Load() {
			workers = append(workers, i)
		}
	}
	return workers
}

// The following run on a worker's thread between two iterations, when nothing is staged.

// hideEgresses lets what goes to outputs whose schedulers go past them.
func (w *worker) hideEgresses(gone []*egress) {
	for _, e := range gone {
		w.egress.byPort[e.port] = nil
	}
}

// endOwned empties those schedulers that this worker owns, and disowns them.
func (w *worker) endOwned(gone []*egress, drop bool) {
	for _, e := range gone {
		if e.owner == w {
			w.flushEgress(e, drop)
			e.gone.Store(true)
		}
	}
	w.egress.owned = slices.DeleteFunc(w.egress.owned, func(e *egress) bool { return e.owner == w && slices.Contains(gone, e) })
}

// takeAll takes in everything that was handed over until now.
func (w *worker) takeAll() {
	for _, l := range w.egress.from {
		if l == nil {
			continue
		}
		for ready := l.ready.Load(); int32(ready-l.rowsOut) > 0; {
			w.takeHanded()
			w.sendStaged()
		}
	}
}

// sendStaged sends what is staged, and frees what is to be freed, whatever else waits in schedulers.
func (w *worker) sendStaged() {
	w.io.RxBudget = 0
	w.out.arrange(w.io)
	w.poller.Poll()
	w.settle()
	w.io.RxBudget = packet.MaxRx
}

// flushEgress empties a scheduler.
func (w *worker) flushEgress(e *egress, drop bool) {
	var at qos.Place
	for {
		room := w.io.Tx[:sendBatch]
		n := e.sched.Flush(&at, room)
		if n == 0 {
			break
		}
		if !drop {
			w.letOut(e, room[:n])
			w.sendStaged()
			continue
		}
		for i, p := range room[:n] {
			in := p.In()
			w.ctr.of(in).queued--
			w.io.Tx[i] = nil
			w.discard(in, p, ReasonPortGone)
		}
		w.sendStaged()
	}
	e.waiting = false
	itself := func(other *egress) bool { return other == e }
	w.egress.waiting = slices.DeleteFunc(w.egress.waiting, itself)
}

// forgetIn drops what waits and came in by a port that goes. A vport may have got a queue of its own while it had packets in
// the default one, or lost it to another port of its name: a queue whose oldest packet came in by the port that it is for
// holds no others, and of all other queues every packet is looked at.
func (w *worker) forgetIn(port uint32) {
	if w.egress == nil {
		return
	}
	w.takeAll()
	came := func(p *packet.Packet) bool { return p.In() == port }
	for _, e := range w.egress.waiting {
		var at qos.Place
		mayHold := func(leaf uint32, oldest *packet.Packet) bool {
			if int(leaf) >= len(e.conf.Leaves) {
				return true // one that the configuration has no more
			}
			owner := e.conf.Leaves[leaf].Port
			return owner == port || owner != oldest.In()
		}
		for {
			room := w.io.Tx[:sendBatch]
			n := e.sched.Remove(&at, mayHold, came, room)
			if n == 0 {
				break
			}
			for _, p := range room[:n] {
				w.ctr.of(port).queued--
				w.discard(port, p, ReasonPortGone)
			}
			w.sendStaged()
		}
	}
}

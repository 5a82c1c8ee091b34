package dataplane

import "github.com/sluicenet/sluice/packet"

// What keeps a worker busy, told for each of its receive queues: who balances workers asks what a queue would take along.
// An iteration with packets of one queue only is that queue's, with its polls, and all that was done for it. An iteration
// with packets of several is divided by their number, each times what one costs lately in its queue (stage.go); what other
// workers handed over has its part too, and is no queue's.

// interval is the time of a loop iteration, from the end of its poll to the end of the next one: a nap belongs to the
// iteration that received nothing.
type interval struct {
	since uint64 // time stamp
	busy  bool
	runs  int
	work  [packet.MaxRxRuns]work
}

// work is what a run took by its queue's price.
type work struct{ ref, cycles uint32 }

// Prices of a packet in cycles, which count only beside each other.
const (
	firstPrice   = 60
	handedPrice  = 60 // of one that another worker handed over
	sharedPrice  = 30 // what it takes of the stages that are no queue's
	dearestPrice = 1 << 20
	priceMemory  = 4 // the price moves by a fourth of the difference
)

func (v *interval) note(i int, run *packet.RxRun, q *rxQueue) {
	if q != nil {
		v.work[i] = work{run.Ref, uint32(run.Count) * q.price}
	} else {
		v.work[i] = work{}
	}
}

// account tells busy from idle time of the iteration that has ended, and begins the next one. scheduled says that packets of
// a scheduler kept the worker busy.
func (w *worker) account(received uint32, scheduled bool) {
	t, v := &w.totals, &w.spent
	if spent := w.tsc - v.since; v.busy {
		t.BusyCycles += spent
		w.chargeQueues(spent)
	} else if v.since != 0 {
		t.IdleCycles += spent
	}
	v.since, v.busy, v.runs = w.tsc, received > 0 || scheduled, 0
	t.Packets += uint64(received)
	t.Iterations++
	if received > 0 {
		t.BusyIterations++
	}
}

// chargeQueues divides the time of an iteration among the queues that it received from.
func (w *worker) chargeQueues(spent uint64) {
	runs := w.spent.work[:w.spent.runs]
	handed := uint64(0)
	if w.egress != nil {
		handed = uint64(w.egress.taken) * handedPrice
	}
	if len(runs) == 1 && handed == 0 {
		if q := w.queues[runs[0].ref]; q != nil {
			q.totals.BusyCycles += spent
		}
		return
	}
	sum := handed
	for i := range runs {
		sum += uint64(runs[i].cycles)
	}
	each := float64(spent) / float64(max(sum, 1))
	for i := range runs {
		if q := w.queues[runs[i].ref]; q != nil {
			q.totals.BusyCycles += uint64(float64(runs[i].cycles) * each)
		}
	}
}

// learnPrice takes what a packet of the queue costs from the samples since the last time.
func (q *rxQueue) learnPrice() {
	s := &q.totals.Sample
	cycles := uint64(0)
	for _, stage := range []Stage{StageParse, StageLookup, StageExecute, StageNewFlows} {
		cycles += s.Cycles[stage]
	}
	packets := s.Packets - q.priced.packets
	if packets == 0 {
		return
	}
	now := min((cycles-q.priced.cycles)/packets+sharedPrice, dearestPrice)
	q.price += uint32(int32(uint32(now)-q.price) / priceMemory)
	q.priced.cycles, q.priced.packets = cycles, s.Packets
}

package dataplane

import "github.com/sluicenet/sluice/packet"

// Protection of known flows. Slow work is what known flows do without: deciding new flows, ARP and neighbour discovery,
// copies of flooded frames, pings of the gateway. As long as no known flow waits, all of it is done. While one does, slow
// work gets the configured share of the worker: what goes beyond is dropped before it costs much, and a queue that brings
// hardly anything else is polled less often.
//
// That known flows wait is seen from outside: a queue whose bursts stay full, and hold known packets, has more than the
// worker took. Time is cycles of the time stamp counter, measured around the slow work of each burst.
//
//	earned ──┬─ account of (queue, kind) ──► slow work
//	 share × ├─ account …     │ overflow
//	 time    └─ account …     └──► spare, for any of them

// slowKind tells accounts of one queue apart: a flood of new flows must not silence ARP, or known flows lose their next
// hop.
type slowKind uint8

const (
	slowFlow slowKind = iota
	slowNeighbour
	slowCopy
	numSlowKinds
)

// Times of the protection, in microseconds.
const (
	protectPatience = 10   // for which bursts are full until somebody waits
	protectDepth    = 10   // of credit that all accounts together may save up, and that a busy worker lends
	protectLeast    = 2    // that one account may save up however many there are: a handful of flows
	protectDebt     = 100  // of debt at most
	protectPeriod   = 1000 // in which whoever asks is counted
	protectRest     = 1000 // that a queue rests at most
	protectBusy     = 4    // a worker is busy whose known flows take a fourth of its time
)

// doorPlaces is the number of flows at the door: a power of two.
const doorPlaces = 1 << 14

const (
	costShift = 3    // an average moves by an eighth of the difference
	firstCost = 1000 // of slow work
	firstRate = 60   // of other packets
)

// account is the credit of one kind of slow work of one queue.
type account struct {
	credit int64  // cycles; below zero it is debt
	seen   uint64 // of protection.earned
	period uint64 // when it last asked
}

// waiter is a queue whose known flows wait.
type waiter struct {
	ref  uint32
	turn uint64
}

// protection is a worker's account of its slow work.
type protection struct {
	share  uint64 // percent of the time, while known flows wait; 0 and 100 do not limit
	perUS  uint64 // cycles
	last   uint64 // time stamp of the last turn
	turn   uint64 // number of the turn, 1 or more
	earned uint64 // for all accounts, since the start
	spare  int64  // what accounts could not hold

	period, periodEnd uint64
	asking, asked     uint64 // accounts in the last period, and in this one so far

	waits       [2]waiter // the last two queues, so that one is another than whoever asks
	resting     int       // queues
	received    uint32    // packets of this turn
	spent       uint64    // cycles of slow work in this turn
	spentAll    uint64    // since the start
	spentBefore uint64    // in the turn before
	packet      uint64    // cycles of a packet that is not slow, as of the last turn with refusals
	known       uint64    // packets of known flows in this period
	busy        bool      // they took much of the last one
	cost        [numSlowKinds]int64

	deciding bool   // slow work is being measured as part of other slow work
	copies   uint32 // slow actions of known flows in this burst
	refused  uint32 // packets in this burst
	why      slowKind
	refusals bool   // in this turn
	flooded  uint64 // the last period with refusals
	door     [doorPlaces]uint32
}

func (s *protection) init(tscHz uint64) {
	s.perUS, s.turn, s.asking, s.period, s.packet = max(1, tscHz/1e6), 1, 1, 2, firstRate
	for k := range s.cost {
		s.cost[k] = firstCost
	}
}

// begin starts a turn: what passed since the last one is earned, by share while known flows waited.
func (s *protection) begin(tsc uint64, received uint32) {
	elapsed := tsc - s.last
	if s.last == 0 {
		elapsed = 0
	}
	s.last = tsc
	if s.refusals {
		s.packet = min((elapsed-min(elapsed, s.spent))/uint64(max(1, s.received)), 4*s.packet) // unless it was interrupted
		s.packet = max(s.packet, 1)
		s.refusals, s.flooded = false, s.period
	}
	s.spentAll += s.spent
	s.spentBefore, s.spent, s.received = s.spent, 0, received
	if s.limits() {
		elapsed = elapsed * s.share / 100
	}
	s.earned += elapsed
	s.turn++
	if tsc >= s.periodEnd {
		s.asking, s.asked = max(1, s.asked), 0
		s.busy = s.known*s.packet*protectBusy >= tsc-s.periodEnd+protectPeriod*s.perUS
		s.known = 0
		s.period++
		s.periodEnd = tsc + protectPeriod*s.perUS
	}
}

// limits reports whether slow work has to keep within its share now.
func (s *protection) limits() bool {
	return s.turn-s.waits[0].turn <= 1 && s.share-1 < 99
}

// welcome lets a queue into this worker's accounts: what it owes goes along, and it is served.
func (s *protection) welcome(q *rxQueue) {
	for k := range q.slow {
		q.slow[k].seen, q.slow[k].period = s.earned, 0
	}
	q.fullSince, q.fullTurn, q.learnRound = 0, 0, 0
}

// leave takes a queue out of this worker's accounts.
func (s *protection) leave(q *rxQueue) {
	for i := range s.waits {
		if s.waits[i].ref == q.ref {
			s.waits[i] = waiter{}
		}
	}
	if q.rests {
		q.rests = false
		s.resting--
	}
}

// othersWait reports whether known flows of another queue wait.
func (s *protection) othersWait(ref uint32) bool {
	for i := range s.waits {
		if s.waits[i].ref != ref && s.turn-s.waits[i].turn <= 1 {
			return true
		}
	}
	return false
}

// note looks at a burst for known flows that wait.
func (s *protection) note(q *rxQueue, packets, slow int) {
	s.known += uint64(packets - slow)
	if packets < packet.RxBurst || slow >= packets {
		if q.fullSince != 0 {
			q.fullSince = 0
			for i := range s.waits {
				if s.waits[i].ref == q.ref {
					s.waits[i].turn = 0
				}
			}
		}
		return
	}
	if q.fullSince == 0 || s.turn-q.fullTurn > 1 {
		q.fullSince = s.last
	}
	q.fullTurn = s.turn
	if s.last-q.fullSince < protectPatience*s.perUS && s.spentBefore < protectPatience*s.perUS/2 {
		return // a burst of known flows alone is soon done
	}
	if s.waits[0].ref != q.ref {
		s.waits[1] = s.waits[0]
	}
	s.waits[0] = waiter{q.ref, s.turn}
}

// grant gives an account what it earned: an equal part of what all did. What it cannot hold goes to the spare credit.
func (s *protection) grant(a *account) {
	if a.period != s.period {
		a.period = s.period
		s.asked++
	}
	if a.seen == s.earned {
		return
	}
	n := max(s.asking, s.asked)
	a.credit += int64(min(s.earned-a.seen, protectPeriod*s.perUS*n) / n)
	a.seen = s.earned
	depth := int64(max(protectDepth/n, protectLeast) * s.perUS)
	if over := a.credit - depth; over > 0 {
		a.credit = depth
		s.spare = min(s.spare+over, int64(protectDepth*s.perUS))
	}
}

// afford takes the price of one packet off an account, or off the spare credit. While nobody waits it is owed; but where
// known flows are many, slow work must not come in lumps that are longer than their rings.
func (s *protection) afford(a *account, k slowKind) bool {
	s.grant(a)
	switch limits := s.limits(); {
	case a.credit > 0 || !limits && (!s.busy || a.credit > -int64(protectDepth*s.perUS)):
		s.charge(a, s.cost[k])
	case s.spare > 0:
		s.spare -= s.cost[k]
	default:
		return false
	}
	return true
}

func (s *protection) charge(a *account, cycles int64) {
	a.credit = max(a.credit-cycles, -int64(protectDebt*s.perUS))
}

// learnCost moves the average of a kind towards what a packet cost just now. What interrupted the worker is not its cost.
func (s *protection) learnCost(k slowKind, cycles int64) {
	s.cost[k] += (min(cycles, 8*s.cost[k]) - s.cost[k]) >> costShift
	s.cost[k] = max(s.cost[k], 1)
}

// runMissed handles the packets of a burst that no valid flow knows, as far as their share goes.
func (w *worker) runMissed(q *rxQueue, pkts []*packet.Packet, miss []uint8) {
	s := &w.slow
	s.note(q, len(pkts), len(miss)+int(s.copies))
	if len(miss) > 0 {
		w.doing.enter(doingNew)
		w.runSlow(q, pkts, miss)
	}
	if s.refused > 0 {
		w.ctr.dropMany(q.port, ReasonSlowPathShare, uint64(s.refused))
		w.relieve(q, len(pkts)-len(miss)-int(s.copies))
	}
	s.copies = 0
}

func (w *worker) runSlow(q *rxQueue, pkts []*packet.Packet, miss []uint8) {
	s := &w.slow
	s.share = uint64(q.snap.SlowPathShare)
	var counts [numSlowKinds]int64
	done, start := int64(0), uint64(0)
	stale := w.staleOf(q, miss)
	s.deciding = true
	var spent [numSlowKinds]bool // nothing is earned within a burst
	for _, i := range miss {
		k := slowFlow
		if c := w.class[i]; c == classARP || c == classND {
			k = slowNeighbour
		}
		if spent[k] = spent[k] || !s.afford(&q.slow[k], k); spent[k] && stale>>i&1 == 0 {
			w.denySlow(q, pkts[i], k)
			continue
		}
		if done++; done == 1 {
			start = w.poller.Cycles()
		}
		counts[k]++
		if w.class[i] == classPlain {
			w.complete(pkts[i], int(i))
		}
		w.runNew(q, pkts[i], int(i))
	}
	s.deciding = false
	if done == 0 {
		return
	}
	took := w.poller.Cycles() - start
	s.spent += took
	each := int64(took) / done
	for k, n := range counts {
		if n > 0 {
			s.charge(&q.slow[k], n*(each-s.cost[k])) // afford took the average
			s.learnCost(slowKind(k), each)
		}
	}
}

// staleOf is the set of packets of stale flows, while slow work may be refused. It is drawn up before the first of them is
// decided: the flow's next packets in the burst are no longer stale then, and must not be lost either.
func (w *worker) staleOf(q *rxQueue, miss []uint8) (set uint64) {
	if !w.slow.limits() && !w.slow.busy {
		return 0
	}
	for _, i := range miss {
		if w.class[i] == classPlain && q.flows.unknown(w.burst.Hash[i]) {
			continue
		}
		if w.isStale(q, int(i)) {
			set |= 1 << i
		}
	}
	return set
}

// isStale reports a flow that is known and must be decided again because policy changed: that is nobody's flood, and what
// it knows already must not be lost.
func (w *worker) isStale(q *rxQueue, i int) bool {
	switch w.class[i] {
	case classPlain:
		f := q.flows.lookup(&w.burst.Key[i], w.burst.Hash[i])
		return f != nil && f.epoch != w.sw.epochs.sum(f.srcCell, f.dstCell)
	case classFlow:
		f := q.flows.lookup(&w.meta[i].Key, w.burst.Hash[i])
		return f != nil && f.epoch != w.sw.epochs.sum(f.srcCell, f.dstCell)
	case classWide:
		f := q.wide.lookup(&w.wide[i], w.burst.Hash[i])
		return f != nil && f.epoch != w.sw.epochs.sum(f.srcCell, f.dstCell)
	}
	return false
}

// letsIn reports whether a new flow may go into the flow table: in a flood only when it asks a second time, so that flows
// of one packet neither fill the table nor make it outgrow the caches.
func (w *worker) letsIn(i int) bool {
	s, hash := &w.slow, w.burst.Hash[i]
	if s.period-s.flooded > 1 {
		return true
	}
	at, tag := hash%doorPlaces, uint32(hash>>32)|1
	if s.door[at] == tag {
		s.door[at] = 0
		return true
	}
	s.door[at] = tag
	return false
}

func (w *worker) denySlow(q *rxQueue, p *packet.Packet, k slowKind) {
	w.slow.refused++ // counted as dropped by runMissed
	w.slow.why = k
	w.free(p)
}

// mayCopy reports whether a known flow's slow action is within its share. measured says that the caller tells copied when
// it began.
func (w *worker) mayCopy(q *rxQueue, p *packet.Packet) (start uint64, ok bool) {
	s := &w.slow
	if s.deciding {
		return 0, true
	}
	s.share = uint64(q.snap.SlowPathShare)
	s.copies++
	if !s.afford(&q.slow[slowCopy], slowCopy) {
		w.denySlow(q, p, slowCopy)
		return 0, false
	}
	return w.poller.Cycles(), true
}

// copied settles what mayCopy took for a slow action.
func (w *worker) copied(q *rxQueue, start uint64) {
	if start == 0 {
		return
	}
	s := &w.slow
	spent := w.poller.Cycles() - start
	s.spent += spent
	s.charge(&q.slow[slowCopy], int64(spent)-s.cost[slowCopy])
	s.learnCost(slowCopy, int64(spent))
}

// relieve lets a queue rest that brings more of what is refused than of known flows, while known flows of another queue
// wait: to receive and to refuse takes time as well. It rests until it has paid for that.
func (w *worker) relieve(q *rxQueue, known int) {
	s := &w.slow
	refused := s.refused
	s.refused, s.refusals = 0, true
	if int(refused) <= known || !s.othersWait(q.ref) {
		return
	}
	a := &q.slow[s.why]
	s.charge(a, int64(refused)*int64(s.packet))
	if a.credit >= 0 || q.rests {
		return
	}
	q.rests, q.restKind, q.restEnd = true, s.why, s.last+protectRest*s.perUS
	s.resting++
	w.poller.RestRx(q.ref, true)
}

// wakeRested serves queues again that have paid.
func (w *worker) wakeRested() {
	s := &w.slow
	s.resting = 0
	for _, q := range w.queues {
		if q == nil || !q.rests {
			continue
		}
		a := &q.slow[q.restKind]
		s.grant(a)
		if a.credit > 0 || s.last >= q.restEnd {
			q.rests = false
			w.poller.RestRx(q.ref, false)
		} else {
			s.resting++
		}
	}
}

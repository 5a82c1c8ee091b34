package dataplane

import "math"

// Stage is a part of the work of a loop iteration. What each costs is sampled: in some of the iterations that received
// something the worker reads the time stamp counter between its stages, so often that the reads take a four-hundredth of
// its busy time. The stages of a sampled iteration leave nothing out: they sum to the time from its poll's end to the end
// of the next poll, less the reads themselves. Each sample counts as many times as there were iterations since the one
// before: sums are estimates of the whole, however often samples are taken.
type Stage uint8

// The stages, in the order in which a packet meets them.
const (
	StagePoll     Stage = iota // grouping by output, and the poll call: transmit, free, refill, receive
	StageParse                 // headers, keys and hashes; decapsulation; the touch of the flows' cache lines
	StageLookup                // of flows, with the check that they are still valid
	StageExecute               // of known flows' actions
	StageNewFlows              // layers, insertion and first action of new flows; ARP, neighbour discovery
	StageQoS                   // schedulers of outputs, and handing over to their owners; nothing without them
	StageOther                 // accounts, what waited for a next hop, timers
	StageStalled               // any stage that took far too long at once: something else had the core
	NumStages
)

var stageNames = [NumStages]string{"poll", "parse", "lookup", "execute", "new-flows", "qos", "other", "stalled"}

func (s Stage) String() string { return stageNames[s] }

// Stages lists all stages, in the order of display.
func Stages() (all []Stage) {
	for s := range NumStages {
		all = append(all, s)
	}
	return all
}

// OfQueue reports whether the stage is told for each receive queue too: polls, schedulers and timers serve all of them at
// once.
func (s Stage) OfQueue() bool { return s != StagePoll && s != StageQoS && s != StageOther }

// StageTotals is what the stages have cost since the start, estimated. Cycles per packet of a stage are a ratio of two
// growths: Cycles[stage] / Packets.
type StageTotals struct {
	Samples uint64 // iterations of a worker, bursts of a receive queue
	Packets uint64 // that they stand for
	Cycles  [NumStages]uint64
}

const (
	sampleShare      = 400  // the reads take one cycle of so many busy ones,
	maxSampleEvery   = 1024 // unless that were less than one iteration of so many
	sampleMemory     = 8    // samples over which the length of an iteration is averaged
	stallsPerSecond  = 1000 // a stage that takes longer than a second divided by this has stalled;
	pollPatience     = 4    // a poll so many times longer: each packet for a tap is a system call
	calibrationReads = 64
)

// stageSampler is a worker's stop watch.
type stageSampler struct {
	on     bool   // this iteration is sampled
	fixed  bool   // every is not ours to choose
	wait   uint64 // iterations with packets until the next sample, never 0
	weight uint64 // iterations that the next sample, or this one, stands for
	every  uint64 // their mean; 0 samples nothing
	random uint64 // state of the generator that varies wait, so that no pattern of traffic stays in step with it
	mean   uint64 // cycles of a sampled iteration, lately
	reads  uint64 // of the time stamp counter in the iteration that is sampled
	begun  uint64 // time stamp at its begin
	last   uint64 // time stamp at the end of the stage before
	cost   uint64 // cycles of one read
	beside uint64 // cycles of the rest of what ends a stage, where it counts
	stall  uint64 // cycles
	burst  uint64 // packets of the iteration that is sampled
	totals StageTotals
}

// markCost is the least that the end of a stage costs, cycles: where the clock is cheap to read, it is the rest of it.
const markCost = 62

// init begins with a random phase. every is Config.SampleEvery.
func (s *stageSampler) init(every int, tscHz, seed uint64) {
	s.every, s.fixed, s.stall, s.random = uint64(max(every, 0)), every != 0, tscHz/stallsPerSecond, seed|1
	if !s.fixed {
		s.every = maxSampleEvery
	}
	s.pause()
}

// adapt chooses how often to sample from what the sample that has ended cost, and how long iterations are. It looks only
// back, so that it does not choose the iterations themselves.
func (s *stageSampler) adapt(length uint64) {
	if s.fixed {
		return
	}
	s.mean = (s.mean*(sampleMemory-1) + min(length, s.stall)) / sampleMemory // no jump of the counter, and no stall
	s.every = min(1+sampleShare*s.reads*(s.cost+s.beside)/max(s.mean, 1), maxSampleEvery)
}

// pause draws the number of iterations until the next sample: evenly from half to one and a half of the mean.
func (s *stageSampler) pause() {
	if s.every == 0 {
		s.wait = math.MaxUint64 // for longer than anything runs
		return
	}
	s.random ^= s.random << 13 // xorshift64
	s.random ^= s.random >> 7
	s.random ^= s.random << 17
	s.wait = 1 + s.every/2 + s.random%s.every
	s.weight = s.wait
}

// calibrate measures what one read of the time stamp counter costs, so that stages are not charged for being measured.
func (s *stageSampler) calibrate(p Poller) {
	s.cost = math.MaxUint64
	last := p.Cycles()
	for range calibrationReads {
		now := p.Cycles()
		s.cost, last = min(s.cost, now-last), now
	}
	s.beside = max(s.cost, markCost) - s.cost
}

// openSample makes this iteration a sampled one. Its time runs since the poll, hence the first stage is the accounting.
func (w *worker) openSample() {
	s := &w.sample
	s.on, s.begun, s.last, s.reads, s.burst = true, w.io.TSC, w.io.TSC, 0, uint64(w.io.NumRx)
	w.mark(nil, StageOther)
}

// mark ends a stage: the time since the last mark was its. Where the stage was a burst's, q is its queue.
func (w *worker) mark(q *rxQueue, stage Stage) {
	s := &w.sample
	now := w.poller.Cycles()
	s.charge(q, stage, now, s.cost)
	s.last = now
	s.reads++
}

// sampleBurst counts a burst of a sampled iteration, and ends its first stage.
func (w *worker) sampleBurst(q *rxQueue, packets int) {
	q.totals.Sample.Samples++
	q.totals.Sample.Packets += uint64(packets) * w.sample.weight
	w.mark(q, StageParse)
}

// closeSample ends the iteration with the poll that sent what it made.
func (w *worker) closeSample() {
	s := &w.sample
	s.charge(nil, StagePoll, w.io.TSC, 0) // read inside the poll, at no further cost
	s.totals.Samples++
	s.totals.Packets += s.burst * s.weight
	s.on = false
	s.adapt(w.io.TSC - s.begun - s.reads*s.cost)
	s.pause()
}

func (s *stageSampler) charge(q *rxQueue, stage Stage, now, cost uint64) {
	if now < s.last+cost { // the counter jumped back, or this read was cheaper than ever
		return
	}
	spent := now - s.last - cost
	limit := s.stall
	if stage == StagePoll {
		limit *= pollPatience
	}
	if spent > limit {
		stage = StageStalled
	}
	spent *= s.weight
	s.totals.Cycles[stage] += spent
	if q != nil {
		q.totals.Sample.Cycles[stage] += spent
	}
}

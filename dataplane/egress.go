package dataplane

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
	"github.com/sluicenet/sluice/qos"
)

// Outputs with a scheduler. At the end of an iteration what goes to such an output is diverted: into the scheduler when this
// worker owns it, else into the lane to the worker that does. The owner then sends what the scheduler lets go. With a
// scheduler every packet of a flow goes to the owner, always, and only the owner may pass it by while nothing waits: workers
// that sometimes went straight through would reorder flows. What the switch sends of its own, ARP and the like, belongs to no
// flow: each worker sends it at once, and the owner charges the link with it.
//
// A packet that waits, in a lane or a scheduler, is charged as queued to the port that it came in by.

// egress is an output with a scheduler. Port and owner never change; what follows the empty line is for all threads; the rest
// belongs to the owner's, but that control compiles the next configuration beside the scheduler.
type egress struct {
	port    uint32
	owner   *worker
	sched   *qos.Scheduler
	conf    *policy.SchedulerQoS
	marks   [policy.TrafficClasses]uint32 // depth from which a class marks, bytes; 0: it does not
	next    int64                         // before this time nothing can leave
	waiting bool                          // it is in diversion.waiting

	own     atomic.Uint64          // wire bytes that workers sent past it, not charged yet
	shown   atomic.Pointer[shape]  // what is in force, for others
	request atomic.Pointer[report] // of somebody who wants to know
	gone    atomic.Bool            // nobody answers any more
}

// diversion is what a worker knows of outputs with a scheduler; it has none while there are none.
type diversion struct {
	byPort  []*egress // nil: straight through
	to      []*lane   // by worker, nil to itself
	from    []*lane   // likewise
	first   int       // of from, the one to be read first
	owned   []*egress // by this worker
	waiting []*egress // of those, the ones that hold packets
	turn    int       // of those, the one that is served first
	taken   int       // packets that other workers handed over, taken in this iteration
	active  bool      // packets were taken in or sent in this iteration

	in, size [sendBatch]uint32 // of what a scheduler lets go
}

// sendBatch is the most that one scheduler sends in one iteration: as much as a worker receives, so that a backlog shrinks
// whatever comes in.
const sendBatch = packet.MaxRx

// shortestDoze is the shortest time that a worker with a backlog sleeps for.
const shortestDoze = 10 * time.Microsecond

// divert takes the spans for outputs with a scheduler out of what this iteration sends, and puts in what schedulers let go.
func (w *worker) divert() {
	d, o := w.egress, &w.out
	d.active, d.taken = false, 0
	spans := o.spans
	if spans > fewSpans {
		w.touchQueues(o.span[:spans])
	}
	o.n, o.spans, o.mixed = 0, 0, false
	for i := range spans {
		s := o.span[i] // its place may be written again
		pkts := w.io.Tx[s.first : s.first+s.count]
		switch e := d.byPort[s.out]; {
		case e == nil:
			o.keep(w.io, &s)
		case s.queue == queueOwn:
			e.own.Add(uint64(wireBytes(pkts)))
			o.keep(w.io, &s)
		case e.owner != w:
			w.handOver(d.to[e.owner.id], &s, pkts)
		case e.passes(w.now, s.in, s.queue, pkts):
			o.keep(w.io, &s)
		default:
			w.enqueue(e, s.in, s.queue, pkts)
		}
	}
	for _, l := range d.to {
		if l != nil && l.show() && l.reader.asleep.Load() {
			l.reader.poller.Wake()
		}
	}
	w.takeHanded()
	w.serve()
}

// fewSpans are fetched soon enough one by one.
const fewSpans = 4

// touchQueues touches what spans will need of schedulers, so that it is fetched at the same time.
func (w *worker) touchQueues(spans []span) {
	sum := uint64(0)
	for i := range spans {
		s := &spans[i]
		if e := w.egress.byPort[s.out]; e != nil && e.owner == w && s.queue != queueOwn {
			sum += e.sched.Touch(queueClass(s.queue), e.conf.Leaf(s.in, queueDest(s.queue)))
		}
	}
	w.touched = sum
}

// keep puts a span back, closing up to what was kept before.
func (o *txStage) keep(io *packet.IO, s *span) {
	at := uint32(o.n)
	if s.first != at {
		copy(io.Tx[at:], io.Tx[s.first:s.first+s.count])
		copy(o.size[at:], o.size[s.first:s.first+s.count])
		s.first = at
	}
	o.mixed = o.mixed || o.spans > 0 && o.span[o.spans-1].out != s.out
	o.span[o.spans] = *s
	o.spans++
	o.n += int(s.count)
}

// handOver gives a span to the worker that owns its output.
func (w *worker) handOver(l *lane, s *span, pkts []*packet.Packet) {
	taken := l.put(s.in, s.out, s.queue, pkts)
	w.ctr.of(s.in).queued += uint64(taken)
	for _, p := range pkts[taken:] {
		w.discard(s.in, p, ReasonHandOverFull)
	}
}

// passes reports that packets need not wait: nothing does, and all limits have room.
func (e *egress) passes(now int64, in uint32, queue uint16, pkts []*packet.Packet) bool {
	if e.waiting {
		return false
	}
	e.chargeOwn(now)
	return e.sched.Pass(now, queueClass(queue), e.conf.Leaf(in, queueDest(queue)), uint32(len(pkts)), wireBytes(pkts))
}

// chargeOwn charges the link with what went past the scheduler.
func (e *egress) chargeOwn(now int64) {
	if e.own.Load() != 0 {
		e.sched.Charge(now, e.own.Swap(0))
	}
}

func wireBytes(pkts []*packet.Packet) (sum uint32) {
	for _, p := range pkts {
		sum += qos.WireBytes(p)
	}
	return sum
}

// markStep is how many packets are marked by one look at the queue's depth: the bits of a set of them.
const markStep = 8

// enqueue gives packets to the scheduler, marks those that come into a long queue, and drops what it does not accept.
func (w *worker) enqueue(e *egress, in uint32, queue uint16, pkts []*packet.Packet) {
	class, leaf := queueClass(queue), e.conf.Leaf(in, queueDest(queue))
	bytes := uint64(0)
	for _, p := range pkts {
		p.NoteIn(in)
		bytes += uint64(p.PktLen)
	}
	step := len(pkts)
	marks := e.marks[class]
	if marks != 0 && e.sched.Bytes(class)+bytes+uint64(len(pkts))*mostOverhead >= uint64(marks) {
		step = markStep
	}
	accepted := 0
	for accepted < len(pkts) {
		some := pkts[accepted:min(accepted+step, len(pkts))]
		due := uint8(0)
		if step == markStep {
			due = e.sched.Mark(class, leaf, len(some))
		}
		n := e.sched.Enqueue(class, leaf, some)
		if marks != 0 {
			e.mark(class, leaf, some[:n], due)
		}
		accepted += n
		if n < len(some) {
			break
		}
	}
	w.ctr.of(in).queued += uint64(accepted)
	for _, p := range pkts[accepted:] {
		w.discard(in, p, ReasonQueueFull)
	}
	if e.next = 0; accepted > 0 && !e.waiting {
		e.waiting = true
		w.egress.waiting = append(w.egress.waiting, e)
	}
}

// mostOverhead bounds what a frame takes of the wire besides its bytes.
const mostOverhead = 84

// mark counts those packets whose transport understands marks, of those that were accepted, and marks the ones of a set: what
// the queue refused is no mark that anybody gets.
func (e *egress) mark(class uint8, leaf uint32, pkts []*packet.Packet, set uint8) {
	capable, marked := uint32(0), uint32(0)
	for _, p := range pkts {
		if packet.ECT(p) {
			capable++
			if set&1 != 0 && packet.MarkCE(p) {
				marked++
			}
		}
		set >>= 1
	}
	if capable != 0 {
		e.sched.Capable(class, leaf, capable, marked)
	}
}

// laneBatch is the most that is taken from one lane in an iteration: as much as its writer receives in one.
const laneBatch = packet.MaxRx

// takeHanded takes in what other workers handed over, as far as an iteration can drop it. Where that is less than there is,
// the next iteration goes on with the lane that did not get all: when the owner is overloaded, all writers lose alike.
func (w *worker) takeHanded() {
	d := w.egress
	for range d.from {
		if l := d.from[d.first]; l != nil && !l.empty() {
			d.active = true
			if !w.takeLane(d, l) {
				return
			}
		}
		d.first = (d.first + 1) % len(d.from)
	}
}

// takeLane takes in the rows of one lane that are due; false when there was no room for them all.
func (w *worker) takeLane(d *diversion, l *lane) bool {
	defer l.done()
	taken, ready := 0, l.ready.Load()
	for row, pkts := l.peek(ready); row != nil; row, pkts = l.peek(ready) {
		if taken > 0 && taken+len(pkts) > laneBatch {
			break
		}
		if int(w.io.NumFree)+len(pkts) > packet.MaxFree {
			return false
		}
		w.takeRow(d, row, pkts)
		l.next(row)
		taken += len(pkts)
		d.taken += len(pkts)
	}
	return true
}

func (w *worker) takeRow(d *diversion, row *handed, pkts []*packet.Packet) {
	o := &w.out
	w.ctr.of(row.in).queued -= uint64(len(pkts))
	e := d.byPort[row.out]
	if e == nil || e.owner != w {
		for _, p := range pkts {
			w.discard(row.in, p, ReasonPortGone)
		}
		return
	}
	if o.n+len(pkts) <= packet.MaxTx && e.passes(w.now, row.in, row.queue, pkts) {
		for i, p := range pkts {
			w.io.Tx[o.n+i] = p
			d.size[i] = p.PktLen
		}
		o.add(row.in, row.out, d.size[:len(pkts)])
		return
	}
	w.enqueue(e, row.in, row.queue, pkts)
}

// add makes packets of these sizes, which stand at the end of IO.Tx, part of what is sent.
func (o *txStage) add(in, out uint32, sizes []uint32) {
	first, bytes := o.n, uint64(0)
	for i, size := range sizes {
		o.size[first+i] = size
		bytes += uint64(size)
	}
	o.n = first + len(sizes)
	o.extend(in, out, first, bytes)
}

// serve sends what the schedulers of this worker let go by now.
func (w *worker) serve() {
	d := w.egress
	if len(d.waiting) == 0 {
		return
	}
	d.turn++
	kept := 0
	for i := range d.waiting {
		e := d.waiting[(d.turn+i)%len(d.waiting)]
		if e.next <= w.now {
			w.serveOne(d, e)
		}
	}
	for _, e := range d.waiting {
		if e.waiting {
			d.waiting[kept] = e
			kept++
		}
	}
	clear(d.waiting[kept:])
	d.waiting = d.waiting[:kept]
}

func (w *worker) serveOne(d *diversion, e *egress) {
	o := &w.out
	e.chargeOwn(w.now)
	room := w.io.Tx[o.n:min(o.n+sendBatch, packet.MaxTx)]
	n := e.sched.Dequeue(w.now, room, nil)
	w.letOut(e, room[:n])
	d.active = d.active || n > 0
	e.waiting = e.sched.Packets() > 0
	if n < len(room) {
		e.next = e.sched.Next(w.now)
	}
}

// letOut makes packets that a scheduler let go part of what is sent; they stand at the end of IO.Tx. Packets of one port
// come in rows, as their queues are served.
func (w *worker) letOut(e *egress, pkts []*packet.Packet) {
	d := w.egress
	w.recall(pkts)
	for first := 0; first < len(pkts); {
		in, next := d.in[first], first+1
		for next < len(pkts) && d.in[next] == in {
			next++
		}
		w.ctr.of(in).queued -= uint64(next - first)
		w.out.add(in, e.port, d.size[first:next])
		first = next
	}
}

// recall reads from packets that waited by which ports they came in, and how long they are, and touches the counters of these
// ports. Neither is in a cache then, and loads that do not wait for each other are under way together.
func (w *worker) recall(pkts []*packet.Packet) {
	d := w.egress
	for i, p := range pkts {
		d.in[i], d.size[i] = p.In(), p.PktLen
	}
	sum, last := uint64(0), uint32(math.MaxUint32)
	for _, in := range d.in[:len(pkts)] {
		if in != last {
			sum += w.ctr.local[in].queued
			last = in
		}
	}
	w.touched = sum
}

// doze shortens a nap so that no packet waits for longer than its scheduler makes it, and announces it to those that hand
// packets over: the worker says that it sleeps before it looks at its lanes for the last time, so that one of both sees the
// other. 0 says that there is no time for a nap.
func (w *worker) doze(nap time.Duration) time.Duration {
	d := w.egress
	next := int64(math.MaxInt64)
	for _, e := range d.waiting {
		next = min(next, e.next)
	}
	if next < math.MaxInt64 {
		if nap = min(nap, time.Duration(next-w.now)); nap < shortestDoze {
			return 0
		}
	}
	w.asleep.Store(true)
	for _, l := range d.from {
		if l != nil && !l.empty() {
			w.asleep.Store(false)
			return 0
		}
	}
	return nap
}

package dataplane

import (
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// span is a row of staged packets that came in by one port and go out by one queue of one.
type span struct {
	in, out uint32
	queue   uint16 // of out, where that has a scheduler (makeQueue), or queueOwn
	first   uint32 // place of the first packet in IO.Tx
	count   uint32
	bytes   uint64
}

// txStage collects what one iteration sends, in the order it was decided, right in IO.Tx. Only when there is more than
// one output are the packets arranged by output for the poll: one run each, in the order of staging, so that no flow is
// reordered. All accounting is by spans.
type txStage struct {
	n      int
	spans  int
	order  [packet.MaxTx]uint16 // spans in the order of IO.Tx, once arranged
	span   [packet.MaxTx]span
	size   [packet.MaxTx]uint32 // by place in IO.Tx
	mixed  bool                 // more than one output
	pkts   [packet.MaxTx]*packet.Packet
	sizes  [packet.MaxTx]uint32
	next   [packet.MaxTx]uint16 // spans of one output, linked; numbers count from 1
	outs   [packet.MaxTx]uint32
	byPort []spanList
}

type spanList struct{ head, tail uint16 }

func (o *txStage) init(maxPorts int) (err error) {
	o.byPort, err = offHeap[spanList](maxPorts)
	return err
}

func (o *txStage) free() { freeOffHeap(o.byPort); o.byPort = nil }

// arrange makes the runs for the poll.
func (o *txStage) arrange(io *packet.IO) {
	io.NumTx, io.NumTxRuns = uint32(o.n), 0
	if o.n == 0 {
		return
	}
	if o.mixed {
		o.sort(io)
		return
	}
	for i := range o.spans {
		o.order[i] = uint16(i)
	}
	io.TxRuns[0] = packet.TxRun{Out: o.span[0].out, Count: uint16(o.n)}
	io.NumTxRuns = 1
}

// sort puts the spans of each output together.
func (o *txStage) sort(io *packet.IO) {
	outs := 0
	for i := range o.spans {
		list := &o.byPort[o.span[i].out]
		if list.head == 0 {
			o.outs[outs] = o.span[i].out
			outs++
			list.head = uint16(i + 1)
		} else {
			o.next[list.tail-1] = uint16(i + 1)
		}
		o.next[i] = 0
		list.tail = uint16(i + 1)
	}
	copy(o.pkts[:o.n], io.Tx[:o.n])
	copy(o.sizes[:o.n], o.size[:o.n])
	at, k := uint32(0), 0
	for i, out := range o.outs[:outs] {
		run := packet.TxRun{Out: out, First: uint16(at)}
		for n := o.byPort[out].head; n != 0; n = o.next[n-1] {
			s := &o.span[n-1]
			copy(io.Tx[at:at+s.count], o.pkts[s.first:s.first+s.count])
			copy(o.size[at:at+s.count], o.sizes[s.first:s.first+s.count])
			s.first = at
			at += s.count
			o.order[k] = n - 1
			k++
		}
		run.Count = uint16(at) - run.First
		io.TxRuns[i] = run
		o.byPort[out] = spanList{}
	}
	io.NumTxRuns = uint32(outs)
}

// settle takes the devices' answers: what was accepted is sent, the rest dropped, each charged to the port that the
// packet came in by.
func (w *worker) settle() {
	o := &w.out
	k := 0
	for i := range w.io.TxRuns[:w.io.NumTxRuns] {
		run := &w.io.TxRuns[i]
		accepted, end := uint32(run.First+run.Sent), uint32(run.First+run.Count)
		to := w.ctr.of(run.Out)
		for ; k < o.spans && o.span[o.order[k]].first < end; k++ {
			s := &o.span[o.order[k]]
			if s.first+s.count > accepted {
				w.reject(s, accepted)
			}
			w.ctr.of(s.in).sent += uint64(s.count)
			to.tx += uint64(s.count)
			to.txBytes += s.bytes
		}
	}
	w.io.NumTx, w.io.NumTxRuns = 0, 0
	o.n, o.spans, o.mixed = 0, 0, false
}

// reject cuts a span down to the packets that stand before place accepted, and counts the others as dropped.
func (w *worker) reject(s *span, accepted uint32) {
	for k := max(s.first, accepted); k < s.first+s.count; k++ {
		w.ctr.drop(s.in, ReasonTxRejected)
		s.bytes -= uint64(w.out.size[k])
	}
	s.count = max(s.first, accepted) - s.first
}

// Queues of an output: 3 bits of traffic class, then 7 of the sender's destination class, 0 for none.
const (
	queueClassMask = policy.TrafficClasses - 1
	queueDestShift = 3
)

// queueOwn is none of these: what the switch sends of its own waits for nobody (worker.sendOwn).
const queueOwn = 1 << 15

// makeQueue names a queue of an output.
func makeQueue(class, dest uint8) uint16 {
	return uint16(class)&queueClassMask | uint16(dest&policy.MaxDestinations)<<queueDestShift
}

func queueClass(queue uint16) uint8 { return uint8(queue & queueClassMask) }

func queueDest(queue uint16) uint8 { return uint8(queue >> queueDestShift) }

// send stages a packet for an output; in is the port that it is charged to.
func (w *worker) send(in, out uint32, p *packet.Packet) { w.sendQueue(in, out, 0, p) }

// sendOwn stages what the switch itself has to say: ARP, neighbour discovery and ICMP errors. It goes past the queues of the
// output: if it waited among the packets of tenants, one of them that floods its queue would make the switch forget the next
// hops of all. It comes at bounded rates.
func (w *worker) sendOwn(port uint32, p *packet.Packet) { w.sendQueue(port, port, queueOwn, p) }

// defaultQueue is that of an output's default flow, in the class of packets that no rule matches.
func (w *worker) defaultQueue(out uint32) uint16 {
	snap := w.sw.snap.Load()
	s := snap.QoS.Scheduler(out)
	if s == nil {
		return 0
	}
	return makeQueue(s.Class(snap.Classes.DefaultTC()), 0)
}

// sendQueue stages a packet for a queue of an output.
func (w *worker) sendQueue(in, out uint32, queue uint16, p *packet.Packet) {
	o := &w.out
	n := o.n
	if n >= packet.MaxTx {
		w.discard(in, p, ReasonTxBurstFull)
		return
	}
	size := p.PktLen
	w.io.Tx[n] = p
	o.size[n] = size
	o.n = n + 1
	if o.spans > 0 {
		s := &o.span[o.spans-1]
		if s.in == in && s.out == out && s.queue == queue {
			s.count++
			s.bytes += uint64(size)
			return
		}
	}
	o.open(in, out, queue, n)
}

// open begins a span with the packet at place n.
func (o *txStage) open(in, out uint32, queue uint16, n int) {
	if o.spans > 0 && o.span[o.spans-1].out != out {
		o.mixed = true
	}
	s := &o.span[o.spans]
	s.in, s.out, s.queue, s.first, s.count, s.bytes = in, out, queue, uint32(n), 1, uint64(o.size[n])
	o.spans++
}

// extend adds what was staged from a place on, sizes and all, to a span. to is a row's output, with its queue.
func (o *txStage) extend(in, to uint32, first int, bytes uint64) {
	out, queue := to&(1<<rowQueueShift-1), uint16(to>>rowQueueShift)
	if o.spans > 0 {
		if s := &o.span[o.spans-1]; s.in == in && s.out == out && s.queue == queue {
			s.count += uint32(o.n - first)
			s.bytes += bytes
			return
		}
	}
	o.open(in, out, queue, first)
	s := &o.span[o.spans-1]
	s.count, s.bytes = uint32(o.n-first), bytes
}

// discard drops a packet and counts why.
func (w *worker) discard(in uint32, p *packet.Packet, r Reason) {
	w.ctr.drop(in, r)
	w.free(p)
}

// consume ends a packet that was for the switch itself.
func (w *worker) consume(in uint32, p *packet.Packet) {
	b := w.ctr.of(in)
	b.consumed++
	b.seldom = true
	w.free(p)
}

// free gives a packet back with the next poll. The list has room for all that one iteration can drop.
func (w *worker) free(p *packet.Packet) {
	w.io.Free[w.io.NumFree] = p
	w.io.NumFree++
}

// spare takes a fresh packet, nil when the pool is dry.
func (w *worker) spare() *packet.Packet {
	if w.io.NumSpares == 0 {
		return nil
	}
	w.io.NumSpares--
	p := w.io.Spares[w.io.NumSpares]
	p.Reset(packet.Headroom)
	return p
}

// answerSpares are left alone by copies: flooding in one network must not keep ARP requests and answers from others.
const answerSpares = packet.MaxSpares / 4

// clone copies a packet, all segments, into a spare; nil when there is none or it does not fit.
func (w *worker) clone(p *packet.Packet) *packet.Packet {
	if w.io.NumSpares <= answerSpares {
		return nil
	}
	c := w.spare()
	if c == nil {
		return nil
	}
	if !c.Append(int(p.PktLen)) {
		w.free(c)
		return nil
	}
	at := c.Data()
	for s := p; s != nil; s = s.Next {
		at = at[copy(at, s.Data()):]
	}
	return c
}

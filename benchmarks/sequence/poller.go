package sequence

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
)

const (
	stockSize    = 2 * packet.MaxTx
	keepSpares   = packet.MaxSpares / 4 // for the switch's own answers
	probeEveryMs = 2
)

// Poller stands between a worker and its real poller.
type Poller struct {
	dataplane.Poller
	net    *Net
	io     *packet.IO
	queues []*rxQueue
	next   int // in queues: the one that comes first
	outs   []*port
	stock  []*packet.Packet // that arrived here, to be sent again
	runs   [packet.MaxTxRuns]packet.TxRun
	round  uint64
	last   uint64 // time stamp of the previous poll
	now    Totals
	shared sharedTotals
}

// rxQueue is a receive queue of a sequence port on this poller's list.
type rxQueue struct {
	port    *port
	ref     uint32
	streams []*stream
	pace    *pace
	at      int    // next stream
	probe   uint64 // time stamp of the next round of probes
}

// sharedTotals are Totals as others may read them: one writer.
type sharedTotals struct {
	made, arrived, reordered, duplicated, corrupted, misrouted, foreign atomic.Uint64
	lost, longest                                                       atomic.Int64
}

// Poller wraps a worker's real poller.
func (n *Net) Poller(inner dataplane.Poller) *Poller {
	p := &Poller{Poller: inner, net: n, stock: make([]*packet.Packet, 0, stockSize)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pollers = append(n.pollers, p)
	return p
}

// Start implements dataplane.Poller.
func (p *Poller) Start() error {
	if err := p.Poller.Start(); err != nil {
		return err
	}
	p.io = p.Poller.IO()
	return nil
}

// AddRx implements dataplane.Poller.
func (p *Poller) AddRx(device uint32, queue uint16, ref uint32) error {
	port := p.net.byHandle(device)
	if port == nil {
		return p.Poller.AddRx(device, queue, ref)
	}
	if int(queue) >= port.RxQueues {
		return fmt.Errorf("sequence port %s has %d receive queues and no number %d", port.Name, port.RxQueues, queue)
	}
	p.queues = append(p.queues, &rxQueue{port: port, ref: ref, streams: port.streams[queue], pace: &port.paces[queue]})
	return nil
}

// RemoveRx implements dataplane.Poller.
func (p *Poller) RemoveRx(ref uint32) {
	for i, q := range p.queues {
		if q.ref == ref {
			p.queues = append(p.queues[:i], p.queues[i+1:]...)
			return
		}
	}
	p.Poller.RemoveRx(ref)
}

// SetTx implements dataplane.Poller.
func (p *Poller) SetTx(out uint32, device uint32, queue uint16, shared bool) error {
	port := p.net.byHandle(device)
	if port == nil {
		return p.Poller.SetTx(out, device, queue, shared)
	}
	for int(out) >= len(p.outs) {
		p.outs = append(p.outs, nil)
	}
	p.outs[out] = port
	return nil
}

// ClearTx implements dataplane.Poller.
func (p *Poller) ClearTx(out uint32) {
	if p.output(out) == nil {
		p.Poller.ClearTx(out)
		return
	}
	p.outs[out] = nil
}

func (p *Poller) output(out uint32) *port {
	if int(out) < len(p.outs) {
		return p.outs[out]
	}
	return nil
}

// Wait implements dataplane.Poller: while streams run there is always something to receive.
func (p *Poller) Wait(limit time.Duration) {
	switch phase(p.net.phase.Load()) {
	case running:
		return
	case probing, quiet, drained:
		limit = min(limit, probeEveryMs*time.Millisecond)
	}
	p.Poller.Wait(limit)
}

// Close implements dataplane.Poller.
func (p *Poller) Close() {
	for _, pkt := range p.stock {
		if p.io.NumFree == packet.MaxFree {
			p.io.RxBudget = 0
			p.Poller.Poll()
		}
		p.free(pkt)
	}
	p.stock = p.stock[:0]
	p.Poller.Close()
}

// Poll implements dataplane.Poller.
func (p *Poller) Poll() {
	io := p.io
	if round := p.net.round.Load(); round != p.round {
		p.round, p.now, p.last = round, Totals{}, 0
	}
	runs, packets := io.NumTxRuns, io.NumTx
	arrived := p.now.Arrived
	mine := p.takeAll()
	if mine > 0 && mine < runs {
		p.split(runs)
	} else if mine > 0 {
		io.NumTxRuns, io.NumTx = 0, 0
	}
	made := p.now.Made
	if p.net.window > 0 && p.now.Arrived != arrived {
		p.net.flying.Add(int64(arrived) - int64(p.now.Arrived))
	}
	budget := min(io.RxBudget, packet.MaxRx)
	io.RxBudget = max(budget, uint32(p.net.burst)) - uint32(p.net.burst)
	p.Poller.Poll()
	io.RxBudget = budget
	if mine > 0 && mine < runs {
		p.join(runs)
	}
	io.NumTxRuns, io.NumTx = runs, packets
	p.keepTime()
	if budget > 0 {
		p.receive(budget)
	}
	if p.net.window > 0 && p.now.Made != made {
		p.net.flying.Add(int64(p.now.Made - made))
	}
	p.publish()
}

// takeAll takes the packets of the runs that go to sequence ports, and says how many runs these are.
func (p *Poller) takeAll() (mine uint32) {
	io := p.io
	for i := range io.TxRuns[:io.NumTxRuns] {
		run := &io.TxRuns[i]
		port := p.output(run.Out)
		if port == nil {
			continue
		}
		for _, pkt := range io.Tx[run.First : run.First+run.Count] {
			p.check(port, pkt)
			p.keep(pkt)
		}
		run.Sent = run.Count
		mine++
	}
	return mine
}

// split leaves to the real poller only its own runs, packed together as they were.
func (p *Poller) split(n uint32) {
	io := p.io
	copy(p.runs[:n], io.TxRuns[:n])
	at, k := uint16(0), 0
	for i := range p.runs[:n] {
		run := p.runs[i]
		if p.output(run.Out) != nil {
			continue
		}
		copy(io.Tx[at:], io.Tx[run.First:run.First+run.Count])
		run.First = at
		at += run.Count
		io.TxRuns[k] = run
		k++
	}
	io.NumTxRuns, io.NumTx = uint32(k), uint32(at)
}

// join gives the worker its runs back, with the real poller's answers.
func (p *Poller) join(n uint32) {
	io := p.io
	k := 0
	for i := range p.runs[:n] {
		if run := &p.runs[i]; p.output(run.Out) == nil {
			run.Sent = io.TxRuns[k].Sent
			k++
		}
	}
	copy(io.TxRuns[:n], p.runs[:n])
}

// check looks at a packet that leaves by a sequence port.
func (p *Poller) check(port *port, pkt *packet.Packet) {
	data := pkt.Data()
	v, ok := numberOf(data)
	id := v >> seqBits & (maxStreams - 1)
	if !ok || pkt.NbSegs != 1 || id >= uint64(len(p.net.streams)) {
		p.foreign(port, data)
		return
	}
	if v>>(seqBits+streamBits) != p.round&roundMask {
		return // of an earlier round
	}
	s := &p.net.streams[id]
	if port != s.out {
		p.now.Misrouted++
		p.net.note("misrouted", s, "it left by port "+port.Name+", "+dump(data))
		return
	}
	if !s.same(data) {
		p.now.Corrupted++
		p.net.note("corrupted", s, dump(data)+", want "+dump(s.Want))
	}
	p.order(s, v&seqMask)
}

func (p *Poller) order(s *stream, seq uint64) {
	verdict, gap := s.arrive(seq, p.round)
	p.now.Arrived++
	switch verdict {
	case inOrder:
		if seq == 0 {
			s.arrived.Store(p.round)
		}
		return
	case afterGap:
		s.arrived.Store(p.round)
		p.now.Lost += int64(gap)
		p.net.note("gap", s, fmt.Sprintf("%d packets missing before number %d", gap, seq))
	case late:
		p.now.Lost--
		p.now.Reordered++
		p.net.note("reordered", s, fmt.Sprintf("number %d arrived behind %d", seq, s.next-1))
	case twice:
		p.now.Arrived--
		p.now.Duplicated++
		p.net.note("duplicated", s, fmt.Sprintf("number %d arrived again", seq))
	}
}

// foreign takes what is no numbered packet: ARP, or something that the switch should not have sent.
func (p *Poller) foreign(port *port, data []byte) {
	if port.ask(data) {
		return
	}
	p.now.Foreign++
	p.net.note("foreign", nil, "at port "+port.Name+", "+dump(data))
}

// keep takes a packet over to send it again, if it is a whole one of the pool.
func (p *Poller) keep(pkt *packet.Packet) {
	if len(p.stock) < stockSize && pkt.Writable() {
		p.stock = append(p.stock, pkt)
		return
	}
	p.free(pkt)
}

func (p *Poller) free(pkt *packet.Packet) {
	p.io.Free[p.io.NumFree] = pkt
	p.io.NumFree++
}

// fresh is an empty packet, nil when there is none to be had now.
func (p *Poller) fresh() *packet.Packet {
	var pkt *packet.Packet
	if n := len(p.stock); n > 0 {
		pkt, p.stock = p.stock[n-1], p.stock[:n-1]
	} else if n := p.io.NumSpares; n > keepSpares {
		p.io.NumSpares--
		pkt = p.io.Spares[n-1]
	} else {
		return nil
	}
	pkt.Reset(packet.Headroom)
	return pkt
}

// receive adds packets of the streams to what the real poller received.
func (p *Poller) receive(budget uint32) {
	now := phase(p.net.phase.Load())
	left := uint32(p.net.burst)
	if p.net.window > 0 && now == running {
		left = min(left, uint32(max(p.net.window-p.net.flying.Load(), 0)))
	}
	p.next = (p.next + 1) % max(len(p.queues), 1) // another one comes first than in the last poll, or the others would get nothing
	for n := len(p.queues); n > 0; n-- {
		if p.next++; p.next >= len(p.queues) {
			p.next = 0
		}
		q := p.queues[p.next]
		if q.port.asked.Load() {
			p.answer(q, budget)
		}
		switch now {
		case running:
			got := p.make(q, q.pace.due(p.io.TSC, min(left, packet.RxBurst, budget-p.io.NumRx)), true)
			q.pace.fetched(got)
			left -= got
		case probing:
			left -= p.probe(q, min(left, packet.RxBurst, budget-p.io.NumRx))
		case quiet, drained:
		}
	}
}

// make receives up to count packets of the queue's streams, which take turns.
func (p *Poller) make(q *rxQueue, count uint32, all bool) uint32 {
	io := p.io
	first := io.NumRx
	for tries := len(q.streams); io.NumRx-first < count && (all || tries > 0) && len(q.streams) > 0; tries-- {
		if q.at++; q.at >= len(q.streams) {
			q.at = 0
		}
		s := q.streams[q.at]
		if !all && s.arrived.Load() == p.round {
			continue
		}
		pkt := p.fresh()
		if pkt == nil {
			break
		}
		if !pkt.Append(len(s.Frame)) {
			panic(fmt.Sprintf("sequence: a packet of the pool has no room for the %d bytes of stream %s", len(s.Frame), s.Name))
		}
		s.number(pkt.Data(), p.round)
		io.Rx[io.NumRx] = pkt
		io.NumRx++
	}
	return p.delivered(q, first)
}

// delivered makes what was received since first a run of the queue.
func (p *Poller) delivered(q *rxQueue, first uint32) uint32 {
	io := p.io
	n := io.NumRx - first
	if n > 0 {
		io.RxRuns[io.NumRxRuns] = packet.RxRun{Ref: q.ref, First: uint16(first), Count: uint16(n)}
		io.NumRxRuns++
		p.now.Made += uint64(n)
	}
	return n
}

// probe sends one packet of each stream that has not arrived yet, now and then.
func (p *Poller) probe(q *rxQueue, count uint32) uint32 {
	if p.io.TSC < q.probe {
		return 0
	}
	q.probe = p.io.TSC + p.net.tscHz/1000*probeEveryMs
	return p.make(q, count, false)
}

// answer receives an ARP answer for what the switch asked by this port.
func (p *Poller) answer(q *rxQueue, budget uint32) {
	io := p.io
	for io.NumRx < budget {
		pkt := p.fresh()
		if pkt == nil {
			return
		}
		r, ok := q.port.take()
		if !ok {
			p.keep(pkt)
			return
		}
		pkt.Append(arpFrame) // a fresh packet has room for it
		r.encode(pkt.Data())
		io.Rx[io.NumRx] = pkt
		io.NumRx++
		io.RxRuns[io.NumRxRuns] = packet.RxRun{Ref: q.ref, First: uint16(io.NumRx - 1), Count: 1}
		io.NumRxRuns++
	}
}

func (p *Poller) keepTime() {
	tsc := p.io.TSC
	if spent := tsc - p.last; p.last != 0 && tsc > p.last {
		p.now.LongestTurn = max(p.now.LongestTurn, time.Duration(float64(spent)/float64(p.net.tscHz)*float64(time.Second)))
	}
	p.last = tsc
}

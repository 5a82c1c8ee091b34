package memport

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/packet"
)

// maxOutputs bounds the output numbers of a poller, so that a wrong number does not ask for endless memory.
const maxOutputs = 1 << 20

// Poller serves a worker from the devices of a net. It has the methods of dataplane.Poller.
type Poller struct {
	net     *Net
	io      *packet.IO
	rx      []rxEntry
	first   int // entry of the poll list that is served first by the next Poll
	out     []txEntry
	waker   chan struct{}
	timer   *time.Timer
	idle    int  // polls since there was something to do
	waiting bool // in Wait, and not signalled yet
	closed  bool
	scratch []byte
	inPoll  atomic.Bool
	yields  atomic.Int32 // polls that let other goroutines run first
}

// wakeYields covers the poll in hand when Wake is called, the one before the worker looks at its commands, and the one after
// it has run them: whoever waits for that is ready then, but on the worker's own P, where it would have to wait until the
// scheduler interrupts the worker, 10 ms for each command.
const wakeYields = 3

type rxEntry struct {
	queue *rxQueue
	dev   *Device
	ref   uint32
	rests bool
}

type txEntry struct {
	dev    *Device // nil: unknown output
	queue  uint16
	shared bool
}

// Poller makes a poller for one worker.
func (n *Net) Poller() *Poller {
	n.arena.mu.Lock()
	defer n.arena.mu.Unlock()
	p := &Poller{net: n, waker: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	p.timer.Stop()
	var mem []byte
	p.io, mem = newIO()
	n.arena.maps = append(n.arena.maps, mem)
	n.pollers = append(n.pollers, p)
	return p
}

// Start does nothing: memory needs no thread of its own.
func (p *Poller) Start() error { return nil }

// IO is the exchange area. It stays mapped until Arena.Close.
func (p *Poller) IO() *packet.IO { return p.io }

// Poll does one exchange: send, free, refill, receive.
func (p *Poller) Poll() {
	if !p.inPoll.CompareAndSwap(false, true) {
		panic("memport: two goroutines call Poll of one poller at once")
	}
	defer p.inPoll.Store(false)
	if p.yields.Load() > 0 {
		p.yields.Add(-1)
		runtime.Gosched()
	}
	a := p.net.arena
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.closed {
		panic("memport: Poll of a closed poller")
	}
	io := p.io
	p.idle++
	if io.NumTx|io.NumFree != 0 {
		p.idle = 0
	}
	p.transmit(io)
	for i := range io.NumFree {
		a.own(io.Free[i], stateWorker, stateWorker, "freed")
		a.put(io.Free[i])
		io.Free[i] = nil
	}
	io.NumFree = 0
	p.refill(io)
	p.receive(io)
	if io.NumRx != 0 {
		p.idle = 0
	}
	io.TSC = p.net.now()
	p.net.stepped()
}

// Cycles reads the net's clock.
func (p *Poller) Cycles() uint64 {
	p.net.arena.mu.Lock()
	defer p.net.arena.mu.Unlock()
	return p.net.now()
}

func (p *Poller) transmit(io *packet.IO) {
	for r := range io.NumTxRuns {
		if d := p.output(io.TxRuns[r].Out).dev; d != nil {
			d.quota = d.limit
		}
	}
	covered := uint32(0)
	for r := range io.NumTxRuns {
		run := &io.TxRuns[r]
		covered += uint32(run.Count)
		if uint32(run.First)+uint32(run.Count) > io.NumTx {
			panic(fmt.Sprintf("memport: transmit run %d covers packets %d to %d of %d", r, run.First, int(run.First)+int(run.Count), io.NumTx))
		}
		run.Sent = 0
		for i := range run.Count {
			if p.send(run, io.Tx[run.First+i]) {
				run.Sent++
			}
		}
	}
	if covered != io.NumTx {
		panic(fmt.Sprintf("memport: the transmit runs cover %d packets of %d: each must be in exactly one", covered, io.NumTx))
	}
}

// output finds an output, the zero one when it is unknown.
func (p *Poller) output(out uint32) txEntry {
	if int(out) < len(p.out) {
		return p.out[out]
	}
	return txEntry{}
}

// send passes a packet to an output and reports whether the device accepted it. The packet is gone in either case.
func (p *Poller) send(run *packet.TxRun, pkt *packet.Packet) bool {
	a := p.net.arena
	a.own(pkt, stateWorker, stateWorker, "sent")
	a.verify(pkt)
	o := p.output(run.Out)
	if o.dev == nil {
		a.put(pkt)
		return false
	}
	d := o.dev
	if d.limit >= 0 {
		if d.quota <= 0 {
			d.stats.TxRejected++
			a.put(pkt)
			return false
		}
		d.quota--
	}
	d.stats.TxPackets++
	d.stats.TxBytes += uint64(pkt.PktLen)
	p.deliver(d, o.queue, pkt)
	return true
}

// deliver puts an accepted packet where the device's frames go: to a sink, over a cable, or to the test.
func (p *Poller) deliver(d *Device, queue uint16, pkt *packet.Packet) {
	a := p.net.arena
	switch {
	case d.sink != nil:
		d.sink(queue, pkt)
		a.put(pkt)
	case d.peer != nil:
		p.scratch = appendBytes(p.scratch[:0], pkt)
		a.put(pkt)
		if !a.fits(len(p.scratch)) {
			d.peer.stats.RxNoBuffer++
			return
		}
		d.peer.enqueue(int(queue)%len(d.peer.rx), a.build(p.scratch, stateRx, nil))
	default:
		if !sole(pkt) { // the test shares the buffer, and the list needs packets of its own
			p.scratch = appendBytes(p.scratch[:0], pkt)
			a.put(pkt)
			pkt = a.build(p.scratch, stateWorker, nil)
		}
		a.own(pkt, stateWorker, stateSent, "sent")
		slot := a.slotOf(pkt)
		a.queue[slot] = queue
		a.push(&d.sent, slot)
	}
}

// sole reports that every segment has one owner.
func sole(p *packet.Packet) bool {
	for ; p != nil; p = p.Next {
		if p.RefCnt != 1 {
			return false
		}
	}
	return true
}

// fits reports whether the arena has packets for a frame of n bytes.
func (a *Arena) fits(n int) bool {
	return n <= len(a.free)*(a.mem.buf-packet.Headroom) && len(a.free) > 0
}

func (p *Poller) refill(io *packet.IO) {
	a := p.net.arena
	for io.NumSpares < packet.MaxSpares {
		slot, ok := a.take(stateWorker)
		if !ok {
			return
		}
		io.Spares[io.NumSpares] = a.mem.format(slot)
		io.NumSpares++
	}
}

func (p *Poller) receive(io *packet.IO) {
	io.NumRx, io.NumRxRuns = 0, 0
	budget := min(io.RxBudget, packet.MaxRx)
	for n := len(p.rx); n > 0 && io.NumRx < budget; n-- {
		if p.first >= len(p.rx) {
			p.first = 0
		}
		e := &p.rx[p.first]
		p.first++
		if e.rests || !e.queue.ready() {
			continue
		}
		first := io.NumRx
		for io.NumRx < budget && io.NumRx-first < packet.RxBurst {
			pkt := p.next(e)
			if pkt == nil {
				break
			}
			e.dev.stats.RxPackets++
			e.dev.stats.RxBytes += uint64(pkt.PktLen)
			io.Rx[io.NumRx] = pkt
			io.NumRx++
		}
		if io.NumRx > first {
			io.RxRuns[io.NumRxRuns] = packet.RxRun{Ref: e.ref, First: uint16(first), Count: uint16(io.NumRx - first)}
			io.NumRxRuns++
		}
	}
}

// next takes one packet from a receive queue, nil when it has none.
func (p *Poller) next(e *rxEntry) *packet.Packet {
	a := p.net.arena
	if e.queue.wait.count > 0 {
		pkt := a.mem.at(a.pop(&e.queue.wait))
		a.own(pkt, stateRx, stateWorker, "received")
		return pkt
	}
	if e.queue.source == nil {
		return nil
	}
	slot, ok := a.take(stateWorker)
	if !ok {
		e.dev.stats.RxNoBuffer++
		return nil
	}
	pkt := a.mem.format(slot)
	pkt.Port = uint16(e.dev.handle)
	if !e.queue.source(pkt) {
		a.put(pkt)
		return nil
	}
	return pkt
}

// Wait blocks until a receive queue of a device with wake-up has a packet, Wake is called, or max has passed.
func (p *Poller) Wait(max time.Duration) {
	a := p.net.arena
	a.mu.Lock()
	blocks := !p.readable()
	p.waiting = blocks && len(p.waker) == 0
	p.net.stepped()
	a.mu.Unlock()
	if !blocks {
		return
	}
	p.timer.Reset(max)
	select {
	case <-p.waker:
	case <-p.timer.C:
	}
	p.timer.Stop()
	a.mu.Lock()
	p.waiting = false
	a.mu.Unlock()
}

// Blind reports that a device of the poll list has no wake-up.
func (p *Poller) Blind() bool {
	a := p.net.arena
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range p.rx {
		if p.rx[i].dev.noWakeup {
			return true
		}
	}
	return false
}

func (p *Poller) readable() bool {
	for i := range p.rx {
		if !p.rx[i].dev.noWakeup && p.rx[i].queue.ready() {
			return true
		}
	}
	return false
}

// Wake ends a Wait, this one or the next.
func (p *Poller) Wake() {
	p.yields.Store(wakeYields)
	p.net.arena.mu.Lock()
	defer p.net.arena.mu.Unlock()
	p.idle = 0
	p.signal()
}

func (p *Poller) signal() {
	p.waiting = false
	select {
	case p.waker <- struct{}{}:
	default:
	}
}

// AddRx puts a receive queue onto the poll list.
func (p *Poller) AddRx(device uint32, queue uint16, ref uint32) error {
	p.net.arena.mu.Lock()
	defer p.net.arena.mu.Unlock()
	p.mustBeEmpty("AddRx")
	d := p.net.devs[device]
	if d == nil {
		return fmt.Errorf("there is no memory device %d", device)
	}
	if int(queue) >= len(d.rx) {
		return fmt.Errorf("memory device %d has %d receive queues and no number %d", device, len(d.rx), queue)
	}
	if d.rx[queue].poller != nil {
		return fmt.Errorf("receive queue %d of memory device %d is polled already: take it off the other poll list first", queue, device)
	}
	for i := range p.rx {
		if p.rx[i].ref == ref {
			return fmt.Errorf("reference %d is on the poll list already", ref)
		}
	}
	d.rx[queue].poller = p
	p.rx = append(p.rx, rxEntry{queue: &d.rx[queue], dev: d, ref: ref})
	p.idle = 0
	return nil
}

// RemoveRx takes a queue off the poll list.
func (p *Poller) RemoveRx(ref uint32) {
	p.net.arena.mu.Lock()
	defer p.net.arena.mu.Unlock()
	p.mustBeEmpty("RemoveRx")
	for i := range p.rx {
		if p.rx[i].ref == ref {
			p.rx[i].queue.poller = nil
			p.rx = append(p.rx[:i], p.rx[i+1:]...)
			if p.first > i {
				p.first--
			}
			return
		}
	}
}

// RestRx passes over a queue, or serves it again.
func (p *Poller) RestRx(ref uint32, rest bool) {
	p.net.arena.mu.Lock()
	defer p.net.arena.mu.Unlock()
	for i := range p.rx {
		if p.rx[i].ref == ref {
			p.rx[i].rests = rest
		}
	}
}

// SetTx gives an output its transmit queue. Two pollers that name the same queue must both say shared.
func (p *Poller) SetTx(out uint32, device uint32, queue uint16, shared bool) error {
	p.net.arena.mu.Lock()
	defer p.net.arena.mu.Unlock()
	p.mustBeEmpty("SetTx")
	d := p.net.devs[device]
	if d == nil {
		return fmt.Errorf("there is no memory device %d", device)
	}
	if int(queue) >= d.tx {
		return fmt.Errorf("memory device %d has %d transmit queues and no number %d", device, d.tx, queue)
	}
	if out >= maxOutputs {
		return fmt.Errorf("output %d is too large: at most %d outputs", out, maxOutputs)
	}
	for _, other := range p.net.pollers {
		for _, o := range other.out {
			if other != p && o.dev == d && o.queue == queue && !(shared && o.shared) {
				return fmt.Errorf("transmit queue %d of memory device %d is used by two pollers: both must say shared", queue, device)
			}
		}
	}
	for int(out) >= len(p.out) {
		p.out = append(p.out, txEntry{})
	}
	p.out[out] = txEntry{d, queue, shared}
	return nil
}

// ClearTx forgets an output.
func (p *Poller) ClearTx(out uint32) {
	p.net.arena.mu.Lock()
	defer p.net.arena.mu.Unlock()
	p.mustBeEmpty("ClearTx")
	if int(out) < len(p.out) {
		p.out[out] = txEntry{}
	}
}

// mustBeEmpty keeps the rule that lists change only while nothing is to be sent.
func (p *Poller) mustBeEmpty(deed string) {
	if p.io.NumTx != 0 {
		panic(fmt.Sprintf("memport: %s while IO holds %d packets to send", deed, p.io.NumTx))
	}
}

func (p *Poller) uses(d *Device) bool {
	for i := range p.rx {
		if p.rx[i].dev == d {
			return true
		}
	}
	for i := range p.out {
		if p.out[i].dev == d {
			return true
		}
	}
	return false
}

// Close frees the spares and what waits in IO.Free, and leaves all queues.
func (p *Poller) Close() {
	a := p.net.arena
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.closed {
		panic("memport: a poller is closed twice")
	}
	p.closed = true
	for i := range p.io.NumFree {
		a.put(p.io.Free[i])
	}
	for i := range p.io.NumSpares {
		a.put(p.io.Spares[i])
	}
	p.io.NumFree, p.io.NumSpares = 0, 0
	for i := range p.rx {
		p.rx[i].queue.poller = nil
	}
	p.rx, p.out = nil, nil
	for i, q := range p.net.pollers {
		if q == p {
			p.net.pollers = append(p.net.pollers[:i], p.net.pollers[i+1:]...)
			break
		}
	}
	p.net.stepped()
}

package memport

import (
	"fmt"
	"sync"
	"time"

	"github.com/sluicenet/sluice/packet"
)

// TSCHz is the rate of the time stamp counter that pollers report, cycles per second.
const TSCHz = 1_000_000_000

// Net is a set of devices and the pollers that serve them. All use one arena.
type Net struct {
	arena   *Arena
	devs    map[uint32]*Device
	last    uint32 // handle of the newest device
	pollers []*Poller
	step    uint64    // counts the steps of all pollers
	steps   sync.Cond // broadcast when step moves
	start   time.Time
	fake    bool
	tsc     uint64 // while fake
}

// New makes a net without devices.
func New(a *Arena) *Net {
	return &Net{arena: a, devs: map[uint32]*Device{}, steps: sync.Cond{L: &a.mu}, start: time.Now()}
}

// SetTSC stops the time stamp counter at v cycles; from then on only SetTSC and AdvanceTSC move it.
func (n *Net) SetTSC(v uint64) {
	n.arena.mu.Lock()
	defer n.arena.mu.Unlock()
	if v < n.now() {
		panic(fmt.Sprintf("memport: the TSC is at %d and cannot go back to %d", n.now(), v))
	}
	n.fake, n.tsc = true, v
	n.wakeAll()
}

// AdvanceTSC stops the time stamp counter d later than it is now, and wakes the workers.
func (n *Net) AdvanceTSC(d time.Duration) {
	n.arena.mu.Lock()
	defer n.arena.mu.Unlock()
	n.tsc = n.now() + uint64(d) // 1 GHz: a cycle is a nanosecond
	n.fake = true
	n.wakeAll()
}

// stepped lets those look again who wait for something.
func (n *Net) stepped() {
	n.step++
	n.steps.Broadcast()
}

// now is the TSC. It starts above zero, so that zero can mean never.
func (n *Net) now() uint64 {
	if n.fake {
		return n.tsc
	}
	return uint64(time.Since(n.start)) + TSCHz
}

func (n *Net) wakeAll() {
	for _, p := range n.pollers {
		p.idle = 0
		p.signal()
	}
}

// Device is a port made of memory. Its methods are safe to call at any time.
type Device struct {
	net      *Net
	handle   uint32
	rx       []rxQueue
	tx       int // queues
	sent     list
	limit    int // packets accepted per poll; negative: all
	quota    int // what is left of limit in this poll
	sink     func(queue uint16, p *packet.Packet)
	peer     *Device
	stats    Stats
	noWakeup bool
	closed   bool
}

// Stats counts what passed a device.
type Stats struct {
	RxPackets, RxBytes uint64 // taken by workers
	TxPackets, TxBytes uint64 // accepted from workers
	TxRejected         uint64 // refused because of SetTxLimit
	RxNoBuffer         uint64 // frames of a source or a peer that found no free packet
}

type rxQueue struct {
	wait   list
	source func(p *packet.Packet) bool
	poller *Poller // on whose poll list the queue is
}

func (q *rxQueue) ready() bool { return q.wait.count > 0 || q.source != nil }

// list is a first-in-first-out list of slots, linked through Arena.next.
type list struct {
	head, tail uint32
	count      int
}

func (a *Arena) push(l *list, slot uint32) {
	a.next[slot] = none
	if l.count == 0 {
		l.head = slot
	} else {
		a.next[l.tail] = slot
	}
	l.tail = slot
	l.count++
}

func (a *Arena) pop(l *list) uint32 {
	slot := l.head
	l.head = a.next[slot]
	l.count--
	return slot
}

// Device adds a device with the given numbers of receive and transmit queues.
func (n *Net) Device(rxQueues, txQueues int) *Device {
	n.arena.mu.Lock()
	defer n.arena.mu.Unlock()
	n.last++
	d := &Device{net: n, handle: n.last, rx: make([]rxQueue, rxQueues), tx: txQueues, limit: -1}
	n.devs[d.handle] = d
	return d
}

// Handle is the number by which pollers know the device, 1 or more.
func (d *Device) Handle() uint32 { return d.handle }

// RxQueues is the number of receive queues.
func (d *Device) RxQueues() int { return len(d.rx) }

// TxQueues is the number of transmit queues.
func (d *Device) TxQueues() int { return d.tx }

// Inject puts a frame into a receive queue and wakes the worker that polls it.
func (d *Device) Inject(queue int, frame []byte, opts ...Option) {
	d.locked()
	defer d.net.arena.mu.Unlock()
	d.enqueue(queue, d.net.arena.build(frame, stateRx, opts))
}

// InjectPacket puts a packet that Arena.Get gave into a receive queue.
func (d *Device) InjectPacket(queue int, p *packet.Packet) {
	d.locked()
	defer d.net.arena.mu.Unlock()
	d.net.arena.own(p, stateTest, stateRx, "injected")
	d.enqueue(queue, p)
}

// SetSource makes a receive queue endless: once its injected frames are used up, Poll calls fill for each further
// packet, which is empty and has packet.Headroom. fill returns false when it has nothing for now. nil ends it. fill
// runs with the net locked and must not call its methods.
func (d *Device) SetSource(queue int, fill func(p *packet.Packet) bool) {
	d.locked()
	defer d.net.arena.mu.Unlock()
	d.rx[queue].source = fill
	d.wake(queue)
}

// Waiting is the number of injected packets that no worker has taken yet.
func (d *Device) Waiting() int {
	d.locked()
	defer d.net.arena.mu.Unlock()
	total := 0
	for i := range d.rx {
		total += d.rx[i].wait.count
	}
	return total
}

func (d *Device) enqueue(queue int, p *packet.Packet) {
	if queue < 0 || queue >= len(d.rx) {
		panic(fmt.Sprintf("memport: device %d has %d receive queues and no number %d", d.handle, len(d.rx), queue))
	}
	a := d.net.arena
	p.Port = uint16(d.handle)
	a.push(&d.rx[queue].wait, a.slotOf(p))
	d.wake(queue)
}

func (d *Device) wake(queue int) {
	if p := d.rx[queue].poller; p != nil {
		p.idle = 0
		if !d.noWakeup {
			p.signal()
		}
	}
}

// SetTxLimit makes the device accept at most n packets per poll and refuse the rest; a negative n ends the limit.
func (d *Device) SetTxLimit(n int) {
	d.locked()
	defer d.net.arena.mu.Unlock()
	d.limit = n
}

// SetSink passes sent packets to f, which may look at them until it returns, instead of keeping them for Sent. nil ends
// it. f runs with the net locked and must not call its methods.
func (d *Device) SetSink(f func(queue uint16, p *packet.Packet)) {
	d.locked()
	defer d.net.arena.mu.Unlock()
	d.sink = f
}

// Discard is a sink that looks at nothing.
func Discard(uint16, *packet.Packet) {}

// SetWakeup says whether a frame in a receive queue ends a Poller's Wait, as a tap's descriptor does (the default), or
// not, as with most PMDs.
func (d *Device) SetWakeup(on bool) {
	d.locked()
	defer d.net.arena.mu.Unlock()
	d.noWakeup = !on
}

// Connect joins two devices like a cable: what is sent by one is received by the other, in the receive queue of the
// number of the transmit queue, modulo their count. Both belong to one net.
func Connect(a, b *Device) {
	if a.net != b.net {
		panic("memport: a cable joins devices of one net only")
	}
	a.locked()
	defer a.net.arena.mu.Unlock()
	a.peer, b.peer = b, a
}

// Stats reads the device's counters.
func (d *Device) Stats() Stats {
	d.locked()
	defer d.net.arena.mu.Unlock()
	return d.stats
}

// Frame is a frame that a worker sent.
type Frame struct {
	Queue    uint16
	Segments int
	OlFlags  uint64
	Data     []byte // of all segments
}

// Sent takes the frames that were sent since the last call, in the order in which the device accepted them.
func (d *Device) Sent() [][]byte {
	frames := d.SentFrames()
	out := make([][]byte, len(frames))
	for i := range frames {
		out[i] = frames[i].Data
	}
	return out
}

// SentFrames is Sent with what else is known of each frame.
func (d *Device) SentFrames() []Frame {
	d.locked()
	defer d.net.arena.mu.Unlock()
	a := d.net.arena
	out := make([]Frame, 0, d.sent.count)
	for d.sent.count > 0 {
		slot := a.pop(&d.sent)
		p := a.mem.at(slot)
		out = append(out, Frame{Queue: a.queue[slot], Segments: int(p.NbSegs), OlFlags: p.OlFlags, Data: Bytes(p)})
		a.put(p)
	}
	return out
}

// Close removes the device and frees what is in its queues. It fails, and changes nothing, while a poller still has
// one of its queues.
func (d *Device) Close() error {
	d.locked()
	defer d.net.arena.mu.Unlock()
	if d.closed {
		return fmt.Errorf("memory device %d is closed already", d.handle)
	}
	for _, p := range d.net.pollers {
		if p.uses(d) {
			return fmt.Errorf("memory device %d is closed while a poller still has one of its queues: take it off the poll list and the outputs first", d.handle)
		}
	}
	a := d.net.arena
	for i := range d.rx {
		for d.rx[i].wait.count > 0 {
			a.put(a.mem.at(a.pop(&d.rx[i].wait)))
		}
	}
	for d.sent.count > 0 {
		a.put(a.mem.at(a.pop(&d.sent)))
	}
	if d.peer != nil {
		d.peer.peer, d.peer = nil, nil
	}
	d.closed = true
	delete(d.net.devs, d.handle)
	return nil
}

// locked locks the net.
func (d *Device) locked() { d.net.arena.mu.Lock() }

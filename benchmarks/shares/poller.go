package shares

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/qos"
)

// Phases of a run.
const (
	resting     uint32 = iota
	introducing        // one frame of each source after the other until all have arrived
	running
	emptying // nothing is sent any more
	finished
)

// linkAhead is how much the link takes in beyond what it sends at the moment, as the ring of a NIC does, bytes.
const linkAhead = 1 << 20

// poller is everything outside a worker: the clock, the VMs, the link. Time goes on by a step with each poll, whatever the
// machine does meanwhile, so that a run is the same on a fast and on a slow one.
//
//	            ┌────── poller.Poll, one step ──────┐
//	worker ──►  │ link at its rate, or VM  ◄── sent │
//	worker ◄──  │ streams of the VMs ──► received   │
//	            └───────────────────────────────────┘
type poller struct {
	pool    *pool
	io      *packet.IO
	step    int64
	runStep int64 // step of the run, set before it is asked for
	now     int64
	refs    map[uint32]uint32 // receive queues, by device
	outs    map[uint32]uint32 // devices, by output
	sink    uint32            // device that all leaves by
	uplink  uint32            // device
	perByte float64           // of the link, ns; 0: it takes what comes
	free    int64             // when the link has sent all that it took in

	t        *traffic
	profiles []profile.Stream // of the run
	rec      *recorder
	length   int64
	ask      atomic.Uint32 // phase that is asked for
	phase    uint32
	reached  chan uint32 // phases that have come to their end
	asked    []uint32    // next hops that the switch asks for
	mac, hop packet.MAC
	unknown  int   // sources that have not arrived yet
	retry    int64 // when the greeting is sent again
	tries    int
	greetAt  int
	until    int64

	stopAt int64 // time of a run at which onStop is called, once; 0: never
	onStop func()
}

// Start implements dataplane.Poller.
func (p *poller) Start() error { p.io = p.pool.exchange(); return nil }

// IO implements dataplane.Poller.
func (p *poller) IO() *packet.IO { return p.io }

// Cycles implements dataplane.Poller.
func (p *poller) Cycles() uint64 { return uint64(p.now) }

// Wait implements dataplane.Poller: the worker never sleeps.
func (p *poller) Wait(time.Duration) {}

// Blind implements dataplane.Poller.
func (p *poller) Blind() bool { return true }

// Wake implements dataplane.Poller.
func (p *poller) Wake() {}

// AddRx implements dataplane.Poller.
func (p *poller) AddRx(device uint32, _ uint16, ref uint32) error { p.refs[device] = ref; return nil }

// RemoveRx implements dataplane.Poller.
func (p *poller) RemoveRx(ref uint32) {
	for device, r := range p.refs {
		if r == ref {
			delete(p.refs, device)
		}
	}
}

// RestRx implements dataplane.Poller: slow work takes no time here, so no queue is ever put to rest.
func (p *poller) RestRx(uint32, bool) {}

// SetTx implements dataplane.Poller.
func (p *poller) SetTx(out uint32, device uint32, _ uint16, _ bool) error {
	p.outs[out] = device
	return nil
}

// ClearTx implements dataplane.Poller.
func (p *poller) ClearTx(out uint32) { delete(p.outs, out) }

// Close implements dataplane.Poller.
func (p *poller) Close() {}

// Poll implements dataplane.Poller.
func (p *poller) Poll() {
	io := p.io
	for i := range io.TxRuns[:io.NumTxRuns] {
		run := &io.TxRuns[i]
		p.send(run, io.Tx[run.First:run.First+run.Count])
	}
	for _, pkt := range io.Free[:io.NumFree] {
		p.dropped(pkt)
	}
	io.NumFree = 0
	for io.NumSpares < packet.MaxSpares {
		pkt := p.pool.take()
		if pkt == nil {
			break
		}
		io.Spares[io.NumSpares] = pkt
		io.NumSpares++
	}
	p.now += p.step
	io.NumRx, io.NumRxRuns = 0, 0
	if io.RxBudget > 0 {
		p.receive()
	}
	p.progress()
	io.TSC = uint64(p.now)
}

// send takes what leaves by one output, as far as the link has room.
func (p *poller) send(run *packet.TxRun, pkts []*packet.Packet) {
	device, known := p.outs[run.Out]
	run.Sent = uint16(len(pkts))
	for i, pkt := range pkts {
		if !known || device != p.sink {
			p.dropped(pkt)
			continue
		}
		wire := qos.WireBytes(pkt)
		at := max(p.now, p.free)
		if p.perByte > 0 {
			if float64(at-p.now) > linkAhead*p.perByte {
				run.Sent = uint16(i)
				for _, rest := range pkts[i:] {
					p.dropped(rest)
				}
				return
			}
			at += int64(float64(wire)*p.perByte + 0.5)
			p.free = at
		}
		p.arrived(pkt, wire, at)
	}
}

// arrived notes a packet that reaches the other side.
func (p *poller) arrived(pkt *packet.Packet, wire uint32, at int64) {
	defer p.pool.put(pkt)
	data := pkt.Data()
	id, seq, sent := stampOf(data, len(p.t.sources))
	if id == nobodys {
		p.question(data)
		return
	}
	s := &p.t.sources[id]
	if seq == greeting {
		if !s.known {
			s.known, s.wire = true, float64(wire) // as the switch has made it
			p.unknown--
		}
		return
	}
	if seq < s.expected {
		p.rec.reordered++
	}
	s.expected = max(s.expected, seq+1)
	marked := congested(data)
	p.rec.arrive(s, uint32(s.wire), wire, sent, at, marked)
	if s.window != nil && p.phase == running {
		p.t.push(event{at: float64(at + s.window.rtt), kind: ack, which: int32(id), seq: seq, marked: marked})
	}
}

// congested reports the mark on the outermost IPv4 header.
func congested(data []byte) bool {
	at := packet.EthernetLen
	if binary.BigEndian.Uint16(data[12:]) == packet.EtherTypeVLAN {
		at += packet.VLANLen
	}
	return data[at]>>4 == 4 && data[at+1]&packet.ECNMask == packet.ECNCE
}

// dropped notes a packet that the switch gave up.
func (p *poller) dropped(pkt *packet.Packet) {
	if pkt.DataLen > 0 && p.rec != nil {
		if id, seq, _ := stampOf(pkt.Data(), len(p.t.sources)); id != nobodys && seq != greeting {
			s := &p.t.sources[id]
			p.rec.drop(s, uint32(s.wire), p.now)
		}
	}
	p.pool.put(pkt)
}

// question notes whom the switch asks for by ARP.
func (p *poller) question(data []byte) {
	if len(data) < packet.EthernetLen || binary.BigEndian.Uint16(data[12:]) != packet.EtherTypeARP {
		return
	}
	if arp, ok := packet.CheckARP(data[packet.EthernetLen:]); ok && arp.Op() == packet.ARPRequest && len(p.asked) < packet.MaxSpares {
		p.asked = append(p.asked, arp.TargetIP())
	}
}

// receive hands the worker what the VMs have sent by now.
func (p *poller) receive() {
	for len(p.asked) > 0 && p.io.NumRx < p.io.RxBudget {
		pkt, ref := p.pool.take(), p.refs[p.uplink]
		if pkt == nil {
			return
		}
		pkt.Append(arpFrame)
		p.answer(pkt.Data(), p.asked[len(p.asked)-1])
		p.asked = p.asked[:len(p.asked)-1]
		p.give(pkt, ref)
	}
	switch p.phase {
	case introducing:
		p.greet()
	case running:
		p.t.until(p.now, int(p.io.RxBudget-p.io.NumRx))
		for p.io.NumRx < p.io.RxBudget {
			a, ok := p.t.take()
			if !ok {
				break
			}
			s := &p.t.sources[a.source]
			if !p.deliver(uint32(a.source), s, s.seq, a.at) {
				panic("shares: the pool has no packet left: it is smaller than the queues of the switch")
			}
			s.seq++
			p.rec.offer(s, uint32(s.wire), p.now)
		}
	}
}

// deliver hands one frame of a source to the worker.
func (p *poller) deliver(id uint32, s *source, seq uint32, at int64) bool {
	pkt := p.pool.take()
	if pkt == nil {
		return false
	}
	pkt.Append(len(s.frame)) // profiles have no longer frames than a packet has room for
	s.stamp(pkt.Data(), id, seq, at)
	p.give(pkt, s.ref)
	return true
}

// give adds a packet to what was received.
func (p *poller) give(pkt *packet.Packet, ref uint32) {
	io := p.io
	if n := io.NumRxRuns; n > 0 && io.RxRuns[n-1].Ref == ref && io.RxRuns[n-1].Count < packet.RxBurst {
		io.RxRuns[n-1].Count++
	} else {
		io.RxRuns[n] = packet.RxRun{Ref: ref, First: uint16(io.NumRx), Count: 1}
		io.NumRxRuns++
	}
	io.Rx[io.NumRx] = pkt
	io.NumRx++
}

// How long the switch may take to learn flows and next hops.
const (
	greetEvery = int64(100 * time.Millisecond)
	greetTries = 50
	greetBurst = 32
	settleFor  = int64(200 * time.Millisecond) // after which all buckets are full
	rollFor    = int64(200 * time.Millisecond) // in which streams run before anything counts: bursts are over, queues as they stay
)

// greet sends a frame of each source that has not arrived yet, a few at a time.
func (p *poller) greet() {
	for n := 0; n < greetBurst && p.greetAt < len(p.t.sources); p.greetAt++ {
		if s := &p.t.sources[p.greetAt]; !s.known {
			if !p.deliver(uint32(p.greetAt), s, greeting, p.now) {
				return
			}
			n++
		}
	}
	if p.greetAt == len(p.t.sources) && p.now >= p.retry {
		p.greetAt, p.retry = 0, p.now+greetEvery
		p.tries++
	}
}

// progress leads from one phase to the next.
func (p *poller) progress() {
	if want := p.ask.Load(); want != p.phase {
		p.enter(want)
	}
	switch p.phase {
	case resting, finished:
		time.Sleep(20 * time.Microsecond) // nobody waits for this clock
	case introducing:
		if p.unknown == 0 || p.tries > greetTries {
			p.leave()
		}
	case running:
		p.rec.look(p.now)
		if p.onStop != nil && p.now >= p.rec.origin+p.stopAt {
			p.onStop()
			p.onStop = nil
		}
		if p.now >= p.rec.end {
			p.leave()
		}
	case emptying:
		if p.rec.waiting <= 0 || p.now >= p.until {
			p.leave()
		}
	}
}

func (p *poller) enter(phase uint32) {
	p.phase = phase
	switch phase {
	case introducing:
		p.retry = p.now + greetEvery
	case running:
		p.step = p.runStep
		p.now += settleFor
		p.rec = newRecorder(p.now+rollFor, p.length, len(p.profiles), p.t.queues)
		p.t.begin(p.now, p.profiles)
	case emptying:
		p.t.end()
		p.rec.end = max(min(p.rec.end, p.now), p.rec.origin)
		p.until = p.now + longestNs
	}
}

// leave tells that a phase is over.
func (p *poller) leave() {
	phase := p.phase
	p.phase = resting
	p.ask.CompareAndSwap(phase, resting) // another may be asked for by now: who was interrupted does not wait for this one
	p.reached <- phase
}

const arpFrame = 60

// answer writes the ARP answer of the host on the other side.
func (p *poller) answer(data []byte, addr uint32) {
	clear(data)
	eth := packet.Ethernet(data)
	eth.SetDst(p.mac)
	eth.SetSrc(p.hop)
	binary.BigEndian.PutUint16(data[12:], packet.EtherTypeARP)
	near := packet.AddrFromNetip(profile.SharesNearPA).V4()
	packet.EncodeARP(data[packet.EthernetLen:], packet.ARPReply, p.hop, addr, p.mac, near)
}

// missing names a source that never arrived.
func (p *poller) missing(name func(*source) string) error {
	for i := range p.t.sources {
		if s := &p.t.sources[i]; !s.known {
			return fmt.Errorf("%w: %s, and %d more", ErrNoWay, name(s), p.unknown-1)
		}
	}
	return nil
}

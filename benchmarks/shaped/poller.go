package shaped

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// phase is what the poller does.
type phase uint32

const (
	resting   phase = iota // nothing
	learning               // packets of all flows, and the answer to the question for the next hop
	filling                // packets, while the link's clock stands still
	settling               // packets at the link's pace
	measuring              // likewise, and the time is taken
	ended                  // nothing, and what waits leaves
)

const (
	frameLen = 60
	wireLen  = frameLen + 42 + 24 // of NVGRE, preamble, FCS and gap
	stock    = 2 * (packet.MaxRx + packet.MaxTx)
	classAt  = 37 // of the low byte of the UDP port
	polls    = 64 // a second of resting, at least
)

// source is what a vport sends next.
type source struct {
	ref   uint32
	class uint8
	frame [frameLen]byte
}

// turn is one iteration of the worker with packets: their number, and the time outside and inside of the poll.
type turn struct{ packets, outside, inside uint32 }

// poller implements dataplane.Poller.
type poller struct {
	io       *packet.IO
	clock    func() uint64
	row      uint32
	free     []*packet.Packet
	sources  []source
	place    []uint32 // of the source of a device
	next     int
	uplink   uint32 // ref
	asked    bool
	step     uint64 // thousandths of a nanosecond of the link for a packet
	rest     uint64
	standing bool // packets wait: the clock is the link's

	phase atomic.Uint32
	left  int64
	done  chan struct{}
	wake  chan struct{}

	began bool
	came  uint32 // packets of the last poll
	last  uint64 // end of the last poll
	turns []turn // of the phase that is measured
}

func newPoller(s Spec, pkts []*packet.Packet) *poller {
	p := &poller{io: new(packet.IO), clock: s.Clock, row: uint32(s.Row), free: pkts, sources: make([]source, s.Vports),
		place: make([]uint32, s.Vports+1), standing: s.queued(), step: wireLen * 1e12 / linkBytes, done: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	for at, vport := range rand.New(rand.NewPCG(1, 2)).Perm(s.Vports) {
		p.place[vport+1] = uint32(at)
		p.sources[at].frame = frameOf(vport)
	}
	p.io.TSC = tscHz
	return p
}

// frameOf is what a vport sends: UDP to the peer.
func frameOf(vport int) (f [frameLen]byte) {
	eth := packet.Ethernet(f[:])
	eth.SetDst(peerMAC)
	eth.SetSrc(vmMAC(vport))
	binary.BigEndian.PutUint16(f[12:], packet.EtherTypeIPv4)
	ip := f[14:34]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], frameLen-14)
	binary.BigEndian.PutUint32(ip[12:], vmCA(vport))
	binary.BigEndian.PutUint32(ip[16:], peerCA)
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(f[34:], 1000)
	binary.BigEndian.PutUint16(f[36:], firstPort)
	binary.BigEndian.PutUint16(f[38:], frameLen-34)
	return f
}

// do lets so many packets come in, or more, in a phase.
func (p *poller) do(ctx context.Context, what phase, packets uint64) error {
	p.left = int64(packets)
	p.phase.Store(uint32(what))
	p.Wake()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return errors.New("the switch takes no packets")
	}
}

func (p *poller) Start() error                             { return nil }
func (p *poller) IO() *packet.IO                           { return p.io }
func (p *poller) Cycles() uint64                           { return p.io.TSC }
func (p *poller) RemoveRx(uint32)                          {}
func (p *poller) RestRx(uint32, bool)                      {}
func (p *poller) SetTx(uint32, uint32, uint16, bool) error { return nil }
func (p *poller) ClearTx(uint32)                           {}
func (p *poller) Close()                                   {}

// Blind implements dataplane.Poller.
func (p *poller) Blind() bool { return true }

// Wait implements dataplane.Poller: while something is to come in there is nothing to wait for.
func (p *poller) Wait(limit time.Duration) {
	if now := phase(p.phase.Load()); now != resting && now != ended {
		return
	}
	select {
	case <-p.wake:
	case <-time.After(limit):
	}
}

// Wake implements dataplane.Poller.
func (p *poller) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *poller) AddRx(device uint32, _ uint16, ref uint32) error {
	if device == 0 {
		p.uplink = ref
		return nil
	}
	p.sources[p.place[device]].ref = ref
	return nil
}

// Poll implements dataplane.Poller.
func (p *poller) Poll() {
	start := p.clock()
	now := phase(p.phase.Load())
	io := p.io
	sent := io.NumTx
	p.swallow(now)
	io.NumRx, io.NumRxRuns = 0, 0
	if io.RxBudget > 0 && now != resting && now != ended {
		if p.asked {
			p.answer()
		} else {
			p.receive()
		}
	}
	p.advance(now, sent)
	end := p.clock()
	if now == measuring {
		if p.began && len(p.turns) < cap(p.turns) {
			p.turns = append(p.turns, turn{p.came, uint32(start - p.last), uint32(end - start)})
		}
		p.began, p.came = true, io.NumRx
	}
	p.last = end
	if now == resting || now == ended {
		return
	}
	if p.left -= int64(io.NumRx); p.left <= 0 {
		p.began = false
		p.phase.Store(uint32(resting))
		p.done <- struct{}{}
	}
}

// advance lets the worker's clock go on: without a backlog twice as fast as the link needs.
func (p *poller) advance(now phase, sent uint32) {
	io := p.io
	switch {
	case now == filling || now == resting && p.standing:
		return
	case now == resting || now == ended || io.NumRx == 0:
		io.TSC += tscHz / 100_000
		return
	}
	p.rest += uint64(io.NumRx) * p.step
	if !p.standing || now == learning {
		p.rest += uint64(io.NumRx) * p.step
	}
	io.TSC += p.rest / 1000
	p.rest %= 1000
}

// swallow takes what the worker sends and frees, and gives it spares.
func (p *poller) swallow(now phase) {
	io := p.io
	for i := range io.TxRuns[:io.NumTxRuns] {
		run := &io.TxRuns[i]
		run.Sent = run.Count
		for _, pkt := range io.Tx[run.First : run.First+run.Count] {
			if now == learning && binary.BigEndian.Uint16(pkt.Data()[12:]) == packet.EtherTypeARP {
				p.asked = true
			}
			p.free = append(p.free, pkt)
		}
	}
	p.free = append(p.free, io.Free[:io.NumFree]...)
	io.NumFree = 0
	for io.NumSpares < packet.MaxSpares {
		io.Spares[io.NumSpares] = p.take()
		io.NumSpares++
	}
}

func (p *poller) take() *packet.Packet {
	n := len(p.free) - 1
	pkt := p.free[n]
	p.free = p.free[:n]
	return pkt
}

// receive makes what the vports send, a row of each after the other.
func (p *poller) receive() {
	io := p.io
	for io.NumRx+p.row <= io.RxBudget && len(p.free) >= int(p.row) {
		s := &p.sources[p.next]
		if p.next++; p.next == len(p.sources) {
			p.next = 0
		}
		io.RxRuns[io.NumRxRuns] = packet.RxRun{Ref: s.ref, First: uint16(io.NumRx), Count: uint16(p.row)}
		io.NumRxRuns++
		for range p.row {
			pkt := p.take()
			pkt.Reset(packet.Headroom)
			pkt.Append(frameLen)
			f := pkt.Data()
			copy(f, s.frame[:])
			f[classAt] += s.class
			io.Rx[io.NumRx] = pkt
			io.NumRx++
		}
		s.class = (s.class + 1) % policy.TrafficClasses
	}
}

// answer is the far host's, to the question for its MAC.
func (p *poller) answer() {
	io := p.io
	pkt := p.take()
	pkt.Reset(packet.Headroom)
	pkt.Append(frameLen)
	f := pkt.Data()
	clear(f)
	eth := packet.Ethernet(f)
	eth.SetDst(uplinkMAC)
	eth.SetSrc(farMAC)
	binary.BigEndian.PutUint16(f[12:], packet.EtherTypeARP)
	packet.EncodeARP(f[14:], packet.ARPReply, farMAC, farPA, uplinkMAC, nearPA)
	io.Rx[0] = pkt
	io.RxRuns[0] = packet.RxRun{Ref: p.uplink, Count: 1}
	io.NumRx, io.NumRxRuns = 1, 1
	p.asked = false
}

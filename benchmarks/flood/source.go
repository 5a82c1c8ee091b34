package flood

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
)

const (
	ringPlaces   = 1024                  // of a receive queue, as a NIC has them: what does not fit is lost
	enough       = 64                    // after so many packets a poll ends with the round, as in package dpdk
	keepSpares   = packet.MaxSpares / 4  // for the switch's own answers
	answerEvery  = 10 * time.Millisecond // between two ARP replies of the next hop
	arpFrame     = 60
	portsOff     = 14 + 20 // of the transport ports, in frames without IP options
	freshDstPort = 5100    // of the first new flows: no known flow has it, no rule denies it
	freshDstMask = 2047
)

// load says what one receive queue offers. It does not change once it is set.
type load struct {
	interval uint64 // cycles between two packets, in units of 2^-16; 0: always one more
	fresh    uint32 // of 2^16 packets those of flows that nobody has seen
}

// allFresh is the load's part that makes every packet a new flow.
const allFresh = 1 << 16

// Source makes the traffic of a plan's sources inside the worker, as a device in memory would, between the worker and a
// poller whose devices swallow what comes out.
type Source struct {
	dataplane.Poller
	io     *packet.IO
	queues []*queue
	next   int
	uplink uint32 // device
	tscHz  uint64
	answer uint64 // time stamp of the next ARP reply
	arp    []byte
	ref    uint32 // of the uplink's queue
	wired  bool   // ref is known
}

// queue is a receive queue of a source.
type queue struct {
	device uint32
	ref    uint32
	here   bool // on the poll list
	rests  bool
	frames [][]byte // of the known flows
	at     int
	fresh  uint64 // new flows made
	share  uint32 // rest of load.fresh

	load  atomic.Pointer[load]
	seen  *load
	since uint64 // time stamp of the first poll with this load
	made  uint64 // with this load
	stats counts
}

// counts are what a queue did since the start. They have one writer.
type counts struct {
	offered, lost, known, fresh atomic.Uint64
}

func newSource(inner dataplane.Poller, plan *traffic.Plan, tscHz uint64) (*Source, error) {
	s := &Source{Poller: inner, tscHz: tscHz, arp: make([]byte, arpFrame)}
	for hop, mac := range traffic.NextHops() {
		eth := packet.Ethernet(s.arp)
		eth.SetDst(traffic.UplinkMAC)
		eth.SetSrc(mac)
		binary.BigEndian.PutUint16(s.arp[12:], packet.EtherTypeARP)
		packet.EncodeARP(s.arp[14:], packet.ARPReply, mac, hop.V4(), traffic.UplinkMAC, packet.AddrFromNetip(traffic.NearPA).V4())
	}
	for i, name := range plan.Sources {
		q := &queue{device: firstDevice + uint32(i)}
		for n := range plan.Profile.Flows {
			f := plan.Flow(n)
			if f.Source != name {
				continue
			}
			frame, err := plan.Frame(f)
			if err != nil {
				return nil, err
			}
			q.frames = append(q.frames, frame)
		}
		if len(q.frames) == 0 {
			return nil, fmt.Errorf("port %s has no flow: choose at least %d flows", name, len(plan.Sources))
		}
		s.queues = append(s.queues, q)
	}
	return s, nil
}

// firstDevice keeps the handles of sources apart from those of real devices.
const firstDevice = 1 << 31

// Start implements dataplane.Poller.
func (s *Source) Start() error {
	if err := s.Poller.Start(); err != nil {
		return err
	}
	s.io = s.Poller.IO()
	return nil
}

// AddRx implements dataplane.Poller: nothing is received from real devices.
func (s *Source) AddRx(device uint32, _ uint16, ref uint32) error {
	if device == s.uplink {
		s.ref, s.wired = ref, true
		return nil
	}
	q := s.queues[device-firstDevice]
	q.ref, q.here = ref, true
	return nil
}

// RemoveRx implements dataplane.Poller.
func (s *Source) RemoveRx(ref uint32) {
	for _, q := range s.queues {
		if q.ref == ref {
			q.here = false
		}
	}
}

// RestRx implements dataplane.Poller.
func (s *Source) RestRx(ref uint32, rest bool) {
	for _, q := range s.queues {
		if q.ref == ref {
			q.rests = rest
		}
	}
}

// Wait implements dataplane.Poller: there is always something to do.
func (s *Source) Wait(time.Duration) {}

// Poll implements dataplane.Poller.
func (s *Source) Poll() {
	budget := s.io.RxBudget
	s.io.RxBudget = 0
	s.Poller.Poll()
	s.io.RxBudget = budget
	if budget == 0 {
		return
	}
	now := s.io.TSC
	if s.wired && now >= s.answer {
		s.answer = now + uint64(answerEvery)*s.tscHz/uint64(time.Second)
		copy(s.make(arpFrame), s.arp)
		s.end(s.ref, s.io.NumRx-1)
	}
	for _, q := range s.queues {
		q.arrive(now)
	}
	for round := s.io.NumRx; ; round = s.io.NumRx {
		for range s.queues {
			q := s.queues[s.next]
			s.next = (s.next + 1) % len(s.queues)
			if q.here && !q.rests {
				s.receive(q)
			}
		}
		if s.io.NumRx == round || s.io.NumRx >= enough {
			return
		}
	}
}

// arrive lets time pass for a queue's ring: what finds no place is lost. While a queue rests its ring fills up.
func (q *queue) arrive(now uint64) {
	l := q.load.Load()
	if l != q.seen {
		q.seen, q.since, q.made, q.share = l, now, 0, 0
	}
	if l == nil || l.interval == 0 {
		return
	}
	due := (now - q.since) << 16 / l.interval // 2^48 cycles are a day
	if waiting := due - q.made; waiting > ringPlaces {
		lost := waiting - ringPlaces
		q.made += lost
		q.stats.lost.Store(q.stats.lost.Load() + lost)
		q.stats.offered.Store(q.stats.offered.Load() + lost)
	}
}

// receive makes a burst of what waits.
func (s *Source) receive(q *queue) {
	l, n := q.seen, uint64(packet.RxBurst)
	if l == nil {
		return
	}
	if l.interval != 0 {
		n = min(n, (s.io.TSC-q.since)<<16/l.interval-q.made)
	}
	if uint64(s.io.NumSpares) < n+keepSpares {
		s.refill()
	}
	first, fresh := s.io.NumRx, q.fresh
	for range n {
		if s.io.NumSpares <= keepSpares || s.io.NumRx == s.io.RxBudget {
			break
		}
		f := q.frames[q.at]
		if q.at++; q.at == len(q.frames) {
			q.at = 0
		}
		data := s.make(len(f))
		copy(data, f)
		if q.share += l.fresh; q.share >= allFresh {
			q.share -= allFresh
			binary.BigEndian.PutUint32(data[portsOff:], uint32(q.fresh)<<16|uint32(freshDstPort+q.fresh>>16&freshDstMask))
			q.fresh++
		}
	}
	made := uint64(s.io.NumRx - first)
	if made == 0 {
		return
	}
	s.end(q.ref, first)
	q.made += made
	q.stats.offered.Store(q.stats.offered.Load() + made)
	q.stats.fresh.Store(q.fresh)
	q.stats.known.Store(q.stats.known.Load() + made - (q.fresh - fresh))
}

// replays counts how often all known flows have had a packet since the start.
func (s *Source) replays() uint64 {
	n := ^uint64(0)
	for _, q := range s.queues {
		n = min(n, q.stats.known.Load()/uint64(len(q.frames)))
	}
	return n
}

// refill has the spares filled up in the middle of a poll.
func (s *Source) refill() {
	runs, n, tsc, received, rxRuns := s.io.NumTxRuns, s.io.NumTx, s.io.TSC, s.io.NumRx, s.io.NumRxRuns
	budget := s.io.RxBudget
	s.io.NumTxRuns, s.io.NumTx, s.io.RxBudget = 0, 0, 0 // they are sent already
	s.Poller.Poll()
	s.io.NumTxRuns, s.io.NumTx, s.io.TSC, s.io.RxBudget = runs, n, tsc, budget
	s.io.NumRx, s.io.NumRxRuns = received, rxRuns
}

// make appends a received packet and gives its bytes. There is a spare.
func (s *Source) make(n int) []byte {
	io := s.io
	io.NumSpares--
	p := io.Spares[io.NumSpares]
	p.Reset(packet.Headroom)
	p.Append(n)
	io.Rx[io.NumRx] = p
	io.NumRx++
	return p.Data()
}

func (s *Source) end(ref uint32, first uint32) {
	s.io.RxRuns[s.io.NumRxRuns] = packet.RxRun{Ref: ref, First: uint16(first), Count: uint16(s.io.NumRx - first)}
	s.io.NumRxRuns++
}

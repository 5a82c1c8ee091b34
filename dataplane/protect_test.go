package dataplane

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

// Prices of the simulated worker, cycles of its 1 GHz clock.
const (
	priceTurn  = 100
	pricePkt   = 60
	priceFlow  = 1500
	ringPlaces = 1024
)

// pricedPoller makes time pass by what the worker does: by turns, packets, and flows decided. So a simulation costs the
// same on every machine.
type pricedPoller struct {
	Poller
	w       *worker
	spent   uint64
	created uint64 // price of a packet that the switch makes
}

func (p *pricedPoller) Poll() {
	p.Poller.Poll()
	p.spent += priceTurn + pricePkt*uint64(p.IO().NumRx)
	p.IO().TSC = p.Cycles()
}

func (p *pricedPoller) Cycles() uint64 {
	decided := uint64(0)
	if p.w != nil {
		for _, q := range p.w.queues {
			decided += priceFlow * (q.flows.stats.Misses + q.wide.stats.Misses)
			decided += p.created * p.w.ctr.local[q.port].created
		}
	}
	return 1<<32 + p.spent + decided
}

// protected is a rig whose worker keeps slow work within a share, in simulated time.
type protected struct {
	*rig
	w     *worker
	clock *pricedPoller
	from  uint64
}

func newProtected(t *testing.T, share string) *protected {
	r := bareRig(t)
	clock := &pricedPoller{Poller: r.net.Poller()}
	r.addWorker(clock)
	r.setUp(strings.Replace(rigPolicy, "slowPathShare: 100%", "slowPathShare: "+share, 1), 1)
	r.resolve()
	r.discardSent()
	return &protected{rig: r, w: r.sw.workers[0], clock: clock}
}

// run simulates so many cycles, on the worker's thread, with the sources in place.
func (r *protected) run(cycles uint64, sources map[string]source) {
	r.w.do(func() {
		r.clock.w = r.w
		r.from = r.clock.Cycles()
		for name, s := range sources {
			r.devs[name].SetSource(0, s.fill)
			s.start(r)
		}
		for r.clock.Cycles()-r.from < cycles {
			r.w.poll()
			r.w.receive()
			if r.w.now >= r.w.nextRun {
				r.w.timers()
			}
		}
		for name := range sources {
			r.devs[name].SetSource(0, nil)
		}
		r.w.flush()
	})
}

// source makes the packets of one port.
type source interface {
	start(r *protected)
	fill(p *packet.Packet) bool
}

// flood always has a packet: every n-th of a known flow, the others of flows of their own.
type flood struct {
	frame []byte
	known uint32 // 0: none
	count uint32
}

func (f *flood) start(*protected) {}

func (f *flood) fill(p *packet.Packet) bool {
	f.count++
	ports := f.count | 1<<31
	if f.known != 0 && f.count%f.known == 0 {
		ports = 0x04d2_0001
	}
	p.Append(len(f.frame))
	copy(p.Data(), f.frame)
	binary.BigEndian.PutUint32(p.Data()[34:], ports)
	return true
}

// paced has a packet of a known flow every so many cycles, and a ring that loses what does not fit.
type paced struct {
	every         uint64
	fresh         bool // each packet is a flow of its own
	r             *protected
	offered, lost uint64
	taken         uint64
}

func (s *paced) start(r *protected) { s.r, s.offered, s.lost, s.taken = r, 0, 0, 0 }

func (s *paced) fill(p *packet.Packet) bool {
	if s.r == nil {
		return false
	}
	s.offered = (s.r.clock.Cycles() - s.r.from) / s.every
	if waiting := s.offered - s.taken - s.lost; waiting > ringPlaces {
		s.lost += waiting - ringPlaces
	}
	if s.offered == s.taken+s.lost {
		return false
	}
	s.taken++
	f := toFar(7)
	p.Append(len(f))
	copy(p.Data(), f)
	if s.fresh {
		binary.BigEndian.PutUint32(p.Data()[34:], uint32(s.taken)|1<<30)
	}
	return true
}

func (r *protected) refused(port string) uint64 {
	return r.counters(port).Drops[ReasonSlowPathShare]
}

func (r *protected) missesOf(port string) (n uint64) {
	for _, q := range r.workers()[0].Queues {
		if q.Port == r.index.byName[port] {
			n += q.Misses
		}
	}
	return n
}

func floodOf(src, addr string) *flood { return &flood{frame: dataFrame(src, redFar, addr, "10.0.0.7")} }

const ms = 1_000_000 // cycles of the simulated clock

func TestKnownFlowsAtHalfLoadLoseNothingToAFlood(t *testing.T) {
	for _, share := range []string{"1%", "10%", "20%", "30%"} {
		t.Run(share, func(t *testing.T) {
			r := newProtected(t, share)
			known := &paced{every: 2 * pricePkt}
			sources := map[string]source{"red-vm1": known, "red-vm2": floodOf(redVM2, "10.0.0.6")}
			r.run(5*ms, sources)
			require.Less(t, known.lost*25, known.offered, "before the worker has noticed")
			before := r.missesOf("red-vm2")
			r.run(15*ms, sources)
			require.InEpsilon(t, 15*ms/(2*pricePkt), known.offered, 0.01)
			require.Less(t, known.lost*500, known.offered, "less than two in a thousand once it has")
			require.Zero(t, r.refused("red-vm1"))
			require.Greater(t, (r.missesOf("red-vm2")-before)*priceFlow, uint64(15*ms/4), "what nobody else wants is used")
			r.balanced()
		})
	}
}

// Packets of known and new flows take turns in one queue that never runs empty.
func TestNewFlowsKeepWithinTheirShare(t *testing.T) {
	for share, percent := range map[string]float64{"5%": 5, "20%": 20, "60%": 60} {
		for mix, every := range map[string]uint32{"half": 2, "a tenth known": 10} {
			t.Run(share+", "+mix, func(t *testing.T) {
				r := newProtected(t, share)
				mixed := floodOf(redVM1, "10.0.0.5")
				mixed.known = every
				before := r.counters("red-vm1").RxPackets
				r.run(50*ms, map[string]source{"red-vm1": mixed})
				took := float64(r.missesOf("red-vm1")) * priceFlow / (50 * ms) * 100
				require.InDelta(t, percent, took, 2)
				received := r.counters("red-vm1").RxPackets - before
				require.EqualValues(t, mixed.count, received)
				fresh := uint64(mixed.count - mixed.count/every)
				require.InDelta(t, fresh, r.missesOf("red-vm1")+r.refused("red-vm1"), 3, "all others are refused")
				require.Equal(t, r.refused("red-vm1"), r.counters("red-vm1").Dropped, "nothing else is lost")
				r.balanced()
			})
		}
	}
}

// Without known flows that wait, nothing is refused, however much there is.
func TestNewFlowsUseAnIdleWorker(t *testing.T) {
	r := newProtected(t, "1%")
	r.run(20*ms, map[string]source{"red-vm2": floodOf(redVM2, "10.0.0.6")})
	require.Zero(t, r.refused("red-vm2"))
	require.Greater(t, r.missesOf("red-vm2")*priceFlow, uint64(18*ms))
	r.balanced()
}

func TestNewFlowsAreWelcomeRightAfterAFlood(t *testing.T) {
	r := newProtected(t, "5%")
	mixed := floodOf(redVM1, "10.0.0.5")
	mixed.known = 2
	r.run(20*ms, map[string]source{"red-vm1": mixed})
	refused := r.refused("red-vm1")
	require.NotZero(t, refused)
	r.run(20*ms, map[string]source{"red-vm1": &paced{every: 4 * priceFlow, fresh: true}})
	require.LessOrEqual(t, r.refused("red-vm1")-refused, uint64(packet.RxBurst), "no debt remains")
}

// While known flows wait, two floods get the same, and whoever asks for little gets all of it.
func TestQueuesShareFairly(t *testing.T) {
	r := newProtected(t, "20%")
	busy := floodOf(redVM1, "10.0.0.5")
	busy.known = 1
	shy := &shyFlows{frame: fromFar(dataFrame(redFar, redVM1, "10.0.0.7", "10.0.0.5")), every: 100_000}
	a, b := floodOf(redVM2, "10.0.0.6"), &flood{frame: dataFrame(blueVM1, blueFar, "10.0.0.5", "10.0.0.7")}
	r.run(100*ms, map[string]source{"red-vm1": busy, "red-vm2": a, "blue-vm1": b, "up0": shy})
	require.Zero(t, r.refused("up0"))
	require.EqualValues(t, shy.sent, r.missesOf("up0"))
	require.Greater(t, shy.sent, uint64(900))
	one, two := float64(r.missesOf("red-vm2")), float64(r.missesOf("blue-vm1"))
	require.InEpsilon(t, one, two, 0.1)
	require.Less(t, (one+two+float64(shy.sent))*priceFlow, 0.22*100*ms)
	require.Greater(t, float64(r.counters("red-vm1").RxPackets)*pricePkt, 0.7*100*ms, "refusing takes little")
	r.balanced()
}

// shyFlows has a new flow now and then.
type shyFlows struct {
	frame       []byte
	every, sent uint64
	r           *protected
}

func (s *shyFlows) start(r *protected) { s.r = r }

func (s *shyFlows) fill(p *packet.Packet) bool {
	if s.r == nil || (s.r.clock.Cycles()-s.r.from)/s.every <= s.sent {
		return false
	}
	s.sent++
	p.Append(len(s.frame))
	copy(p.Data(), s.frame)
	binary.BigEndian.PutUint32(p.Data()[42+34:], uint32(s.sent)|1<<30)
	return true
}

// Neighbour discovery has an account of its own: a flood of new flows, on the same port even, does not silence it.
func TestARPIsAnsweredDuringAFlood(t *testing.T) {
	r := newProtected(t, "10%")
	mixed := &withARP{flood: floodOf(redVM1, "10.0.0.5"), arp: frames.ARPRequest(redVM1, "10.0.0.5", "10.0.0.7")}
	mixed.known = 2
	created := r.counters("red-vm1").Created
	r.run(20*ms, map[string]source{"red-vm1": mixed})
	require.NotZero(t, r.refused("red-vm1"))
	require.Greater(t, mixed.asked, uint64(100))
	require.Equal(t, mixed.asked, r.counters("red-vm1").Created-created)
	r.balanced()
}

// withARP asks once in a while.
type withARP struct {
	*flood
	arp   []byte
	asked uint64
}

func (s *withARP) fill(p *packet.Packet) bool {
	if s.count%1000 == 999 {
		s.count++
		s.asked++
		p.Append(len(s.arp))
		copy(p.Data(), s.arp)
		return true
	}
	return s.flood.fill(p)
}

// A change of policy makes known flows decide again: they are none of the new ones, be there one packet of each in a burst
// or several.
func TestKnownFlowsThatDecideAgainAreNotRefused(t *testing.T) {
	for _, flows := range []uint32{512, packet.RxBurst / 4} {
		r := newProtected(t, "1%")
		changed := &restless{circle: circle{flood: floodOf(redVM2, "10.0.0.6"), flows: flows}, every: 2048,
			cell: portCell(r.index.byName["red-vm2"])}
		for deadline := time.Now().Add(patience); r.flowsOf("red-vm2") < int(flows); { // while the table grows, a crowded place in it may refuse one
			require.True(t, time.Now().Before(deadline), "%d flows are known", r.flowsOf("red-vm2"))
			r.run(1*ms, map[string]source{"red-vm2": &changed.circle})
		}
		busy := floodOf(redVM1, "10.0.0.5")
		busy.known = 1
		before, refused := r.missesOf("red-vm2"), r.refused("red-vm2")
		r.run(5*ms, map[string]source{"red-vm1": busy, "red-vm2": changed})
		require.Equal(t, refused, r.refused("red-vm2"), "%d flows", flows)
		require.GreaterOrEqual(t, r.missesOf("red-vm2")-before, 4*uint64(flows), "%d flows", flows)
	}
}

// What policy has come to refuse from the fabric is not known any more: who goes on sending it is a flood like others.
func TestRefusedFlowsKeepWithinTheShare(t *testing.T) {
	r := newProtected(t, "5%")
	gone := &same{frame: fromFar(dataFrame(redFar, redVM1, "10.0.0.7", "10.0.0.5"))}
	r.run(1*ms, map[string]source{"up0": gone})
	require.EqualValues(t, 1, r.flowsOf("up0"))
	policy := strings.Replace(rigPolicy, "slowPathShare: 100%", "slowPathShare: 5%", 1)
	r.publish(r.parse(strings.Replace(policy, `- {subnet: red-web, ca: 10.0.0.7, `, `- {subnet: red-web, ca: 10.0.0.77, `, 1)))
	busy := floodOf(redVM2, "10.0.0.6")
	busy.known, busy.frame = 1, dataFrame(redVM2, "00:15:5d:00:01:08", "10.0.0.6", "10.0.0.8")
	before := r.missesOf("up0")
	r.run(50*ms, map[string]source{"red-vm2": busy, "up0": gone})
	require.NotZero(t, r.counters("up0").Drops[ReasonUnknownSender])
	require.Less(t, float64(r.missesOf("up0")-before)*priceFlow, 0.1*50*ms)
	require.Zero(t, r.flowsOf("up0"))
	r.balanced()
}

// restless is a circle of which policy changes now and then.
type restless struct {
	circle
	r     *protected
	cell  uint16
	every int
	n     int
}

func (s *restless) start(r *protected) { s.r = r }

func (s *restless) fill(p *packet.Packet) bool {
	if s.n++; s.n%s.every == 0 {
		s.r.sw.epochs.bump(s.cell)
	}
	return s.circle.fill(p)
}

// circle repeats its flows. Their ports lie apart: ports in a row are a row of hashes, which under few seeds crowd so much
// that not all flows find a place.
type circle struct {
	*flood
	flows uint32
}

func (s *circle) fill(p *packet.Packet) bool {
	s.count %= s.flows
	s.flood.fill(p)
	ports := s.count * 0x9e37_79b1
	ports = (ports ^ ports>>15) * 0x85eb_ca6b
	binary.BigEndian.PutUint32(p.Data()[34:], ports^ports>>13|1<<31)
	return true
}

func TestFloodedFramesAndPingsKeepWithinTheirShare(t *testing.T) {
	ping := frames.Ping(redVM2, routerMAC, "10.0.0.6", "10.0.0.1", 1, 1)
	for name, tc := range map[string]struct {
		port  string
		frame []byte
	}{"flood": {"acc1", untagged(acc1MAC, broadcast)}, "ping": {"red-vm2", ping}} {
		t.Run(name, func(t *testing.T) {
			r := newProtected(t, "10%")
			busy := floodOf(redVM1, "10.0.0.5")
			busy.known = 1
			r.clock.created = 500
			r.run(20*ms, map[string]source{"red-vm1": busy, tc.port: &same{tc.frame}})
			c := r.counters(tc.port)
			require.NotZero(t, c.Drops[ReasonSlowPathShare])
			require.Less(t, float64(c.Created*500), 0.11*20*ms)
			require.Greater(t, float64(c.Created*500), 0.03*20*ms, "receiving and refusing is part of the share")
			require.Greater(t, float64(r.counters("red-vm1").RxPackets*pricePkt), 0.75*20*ms)
			r.balanced()
		})
	}
}

// same repeats one frame.
type same struct{ frame []byte }

func (s *same) start(*protected) {}

func (s *same) fill(p *packet.Packet) bool {
	return p.Append(len(s.frame)) && copy(p.Data(), s.frame) > 0
}

func TestRefusingAllocatesNothing(t *testing.T) {
	r := newRigOf(t, 1, strings.Replace(rigPolicy, "slowPathShare: 100%", "slowPathShare: 1%", 1))
	r.resolve()
	mixed := floodOf(redVM1, "10.0.0.5")
	mixed.known = 4
	r.discardSent()
	allocs := -1.0
	w := r.sw.workers[0]
	w.do(func() {
		r.devs["red-vm1"].SetSource(0, mixed.fill)
		iteration := func() {
			w.poll()
			w.receive()
		}
		for range 1000 {
			iteration()
		}
		allocs = testing.AllocsPerRun(50, iteration)
		for range 4 { // it counts the whole process: what other goroutines allocate is not in every run
			allocs = min(allocs, testing.AllocsPerRun(50, iteration))
		}
		r.devs["red-vm1"].SetSource(0, nil)
		w.flush()
	})
	require.Zero(t, allocs)
	require.Greater(t, r.counters("red-vm1").Drops[ReasonSlowPathShare], uint64(1000))
	r.balanced()
}

// In a flood new flows of one packet do not fill the table, those that go on get in, and known ones stay.
func TestAFloodDoesNotFillTheFlowTable(t *testing.T) {
	r := newProtected(t, "50%")
	mixed := floodOf(redVM1, "10.0.0.5")
	mixed.known = 2
	r.run(100*ms, map[string]source{"red-vm1": mixed})
	require.Greater(t, r.missesOf("red-vm1"), uint64(20_000))
	require.Less(t, r.flowsOf("red-vm1"), 2000, "of those before the flood was known as one")
	few := &circle{flood: mixed, flows: 200}
	r.run(100*ms, map[string]source{"red-vm1": few})
	misses, refused := r.missesOf("red-vm1"), r.refused("red-vm1")
	r.run(10*ms, map[string]source{"red-vm1": few})
	require.Equal(t, misses, r.missesOf("red-vm1"), "all are known")
	require.Equal(t, refused, r.refused("red-vm1"))
}

func (r *protected) flowsOf(port string) int {
	for _, q := range r.workers()[0].Queues {
		if q.Port == r.index.byName[port] {
			return int(q.Flows)
		}
	}
	return -1
}

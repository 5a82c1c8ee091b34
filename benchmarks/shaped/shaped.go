// Package shaped measures what a worker of the switch pays for quality of service: one worker, with vports that send packets
// of known flows in eight classes by one uplink, NVGRE around them. The ports are inside the worker's poller, which makes what
// the vports send and swallows what the uplink gets, so that no other thread takes part:
//
//	            ┌─── Poll ───┐
//	worker ──►  │ swallow    │   the time outside of Poll is the worker's own
//	worker ◄──  │ make       │
//	            └────────────┘
//
// The clock that the worker sees is the poller's: it goes on by what the link needs for the packets that came in. So queues
// that were filled while it stood still stay as full as they are, however quick the machine is.
package shaped

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// Mode says what stands behind the uplink's output.
type Mode string

const (
	Off     Mode = "off"     // no scheduler
	Open    Mode = "open"    // a scheduler; the link is half full, nothing waits
	Backlog Mode = "backlog" // a scheduler; packets wait for each vport in each class
	Limited Mode = "limited" // likewise, and each vport has a maximum, which it does not reach
)

const (
	tscHz     = uint64(time.Second) // of the clock that the worker sees: nanoseconds
	linkBytes = 12_500_000_000      // a second: 100 Gbit/s
	rateText  = "100Gbit"
	patience  = time.Minute
)

// Modes are all of them.
var Modes = []Mode{Off, Open, Backlog, Limited}

// Spec says what to measure.
type Spec struct {
	Vports  int
	Depth   int // packets that wait for each vport in each class
	Row     int // packets that a vport sends in a row, all of one class
	Packets uint64
	Mode    Mode
	Core    int           // -1: wherever
	Clock   func() uint64 // the real one
	Log     *slog.Logger
}

// Cost is what a packet took in the median turn of the worker, in units of the clock: other programs on the machine count for
// little there.
type Cost struct {
	Worker  float64 `json:"worker"`  // outside of the poll
	Poll    float64 `json:"poll"`    // inside: making and swallowing it
	Waiting float64 `json:"waiting"` // packets in the mean, for each vport in each class
}

// MinPackets are enough for a median.
const MinPackets = 10_000

// What is asked for is bounded by how many packets a scheduler lets wait.
const (
	maxVports = 10_000
	maxDepth  = dataplane.QueuedPerLeaf/policy.TrafficClasses - 1
)

// Check says what cannot be measured.
func (s *Spec) Check() error {
	if s.Vports < 1 || s.Vports > maxVports || s.Depth < 1 || s.Depth > maxDepth || s.Row < 1 || s.Row > packet.RxBurst {
		return fmt.Errorf("%d vports, %d packets waiting, %d in a row: choose 1 to %d vports, 1 to %d packets, 1 to %d in a row",
			s.Vports, s.Depth, s.Row, maxVports, maxDepth, packet.RxBurst)
	}
	return nil
}

// Bench is a switch that stands ready. Run measures it as often as wanted.
type Bench struct {
	Spec
	sw     *dataplane.Switch
	poller *poller
	arena  arena
	lost   uint64 // before the queues stood: until the next hop was known
}

// New makes the switch, lets it learn all flows, and fills its queues.
func New(ctx context.Context, s Spec) (b *Bench, err error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	b = &Bench{Spec: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
			b = nil
		}
	}()
	queues := s.Vports * policy.TrafficClasses
	waiting := 0
	if s.queued() {
		waiting = queues * s.Depth
	}
	var pkts []*packet.Packet
	if b.arena, pkts, err = newArena(waiting + stock); err != nil {
		return b, err
	}
	if b.sw, err = dataplane.New(dataplane.Config{TSCHz: tscHz, MaxPorts: s.Vports + 1, MaxFlows: 1 << 10, SampleEvery: -1, Log: s.Log}); err != nil {
		return b, err
	}
	p := newPoller(s, pkts)
	if _, err = b.sw.AddWorker(dataplane.WorkerSpec{Core: s.Core, Poller: p, Idle: dataplane.Idle{MaxSleep: time.Millisecond}}); err != nil {
		return b, err
	}
	b.poller = p
	if err = b.open(); err != nil {
		return b, err
	}
	if err = p.do(ctx, learning, uint64(2*queues)); err != nil {
		return b, err
	}
	held := func() uint64 { _, n := b.count(); return n }
	if err = fill(uint64(waiting), uint64(queues), held, func(packets uint64) error { return p.do(ctx, filling, packets) }); err != nil {
		return b, err
	}
	err = p.do(ctx, settling, uint64(2*queues))
	b.lost, _ = b.count()
	return b, err
}

// fillMost is how many packets may come without one more waiting: thrice what the link's burst lets through before any waits.
const fillMost = 1 << 17

// fill sends packets, as many as there are queues at a time, until so many are held.
func fill(waiting, queues uint64, held func() uint64, send func(packets uint64) error) error {
	most, vain := uint64(0), uint64(0)
	for {
		now := held()
		if now >= waiting {
			return nil
		}
		if now > most {
			most, vain = now, 0
		}
		if vain >= fillMost {
			return fmt.Errorf("%w: of %d packets that should wait there are %d, and sending more does not help", ErrLost, waiting, now)
		}
		packets := min(waiting-now, queues)
		if err := send(packets); err != nil {
			return err
		}
		vain += packets
	}
}

// count adds up what the ports' counters say.
func (b *Bench) count() (dropped, waiting uint64) {
	b.sw.Quiesce()
	for i := range b.Vports + 1 {
		ctr, _ := b.sw.PortCounters(uint32(i))
		dropped += ctr.Dropped
		waiting += ctr.Queued
	}
	return dropped, waiting
}

func (s *Spec) queued() bool { return s.Mode == Backlog || s.Mode == Limited }

// open adds the ports and gives them their policy.
func (b *Bench) open() error {
	c, err := policy.Parse("shaped.yaml", b.config())
	if err != nil {
		return err
	}
	for i := range b.Vports + 1 {
		port := dataplane.PortSpec{Index: uint32(i), Name: portName(i), Uplink: i == 0, Device: uint32(i), RxQueues: 1, TxQueues: 1}
		if err := b.sw.AddPort(port); err != nil {
			return err
		}
	}
	snap, err := policy.Compile(c, nil, index{})
	if err != nil {
		return err
	}
	return b.sw.Publish(snap)
}

// ErrLost says that packets are missing.
var ErrLost = errors.New("the switch lost packets")

// Run measures Packets packets.
func (b *Bench) Run(ctx context.Context) (c Cost, err error) {
	p := b.poller
	p.turns = make([]turn, 0, b.Packets/uint64(b.Row)+1)
	if err := p.do(ctx, measuring, b.Packets); err != nil {
		return c, err
	}
	outside, inside := make([]float64, len(p.turns)), make([]float64, len(p.turns))
	for i, t := range p.turns {
		outside[i], inside[i] = float64(t.outside)/float64(t.packets), float64(t.inside)/float64(t.packets)
	}
	c = Cost{Worker: measure.Median(outside), Poll: measure.Median(inside)}
	dropped, waiting := b.count()
	c.Waiting = float64(waiting) / float64(b.Vports*policy.TrafficClasses)
	if lost := dropped - b.lost; lost > 0 {
		return c, fmt.Errorf("%w: %d dropped", ErrLost, lost)
	}
	return c, nil
}

// Close ends the switch.
func (b *Bench) Close() (err error) {
	if b.sw != nil {
		if b.poller != nil {
			b.poller.phase.Store(uint32(ended))
		}
		b.sw.Close()
	}
	if b.arena.mem != nil {
		err = b.arena.close()
	}
	return err
}

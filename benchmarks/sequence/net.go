// Package sequence proves that a switch loses, reorders and changes nothing. Its ports are inside the worker: a wrapper
// around the worker's poller makes numbered packets for the receive queues of sequence ports, and takes and checks what
// the worker sends to them. So generator, switch and checker share one thread, and a machine with two cores has enough:
//
//	            ┌──── Poller.Poll ────┐
//	worker ──►  │ check  ◄─ transmit  │ ──► the real poller: all other ports
//	worker ◄──  │ number ─► receive   │ ◄──
//	            └─────────────────────┘
//
// Any number of workers, each with a poller of its own, share one Net. A stream is checked wherever it leaves. Nothing is
// allocated, and no lock taken, for a burst in which nothing is wrong.
package sequence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/packet"
)

// Port is a port whose traffic is made and checked here.
type Port struct {
	Name     string
	RxQueues int
	TxQueues int
	// Hops are answered for by ARP, behind an uplink: the hosts of the fabric.
	Hops map[packet.Addr]packet.MAC
}

// Config of a Net.
type Config struct {
	Ports   []Port
	Streams []Stream
	TSCHz   uint64
	Burst   int // packets made by one poll at most, up to MaxBurst; 0 is DefaultBurst
	// Window is how many packets are under way at most while streams run, give or take a burst of each poller; 0: as many as
	// there is room for. A switch whose workers hand packets to each other drops what comes faster than it goes.
	Window int
}

// Bursts.
const (
	DefaultBurst = 64
	MaxBurst     = packet.MaxRx / 2 // the other half of a poll is for the real ports
)

// firstHandle keeps the handles of sequence ports apart from those of real devices.
const firstHandle = 1 << 31

// phase says what the pollers do.
type phase uint32

const (
	quiet   phase = iota // make nothing, check nothing
	probing              // one packet of a stream after the other, until each has arrived: next hops and flows get known
	running              // full rate
	drained              // make nothing; what is under way still counts
)

// Net is a set of sequence ports and the streams between them.
type Net struct {
	ports   []*port
	byName  map[string]*port
	streams []stream
	burst   int
	window  int64
	tscHz   uint64
	flying  atomic.Int64 // packets under way, while there is a window
	phase   atomic.Uint32
	round   atomic.Uint64 // of Start: packets of another one count for nothing

	mu        sync.Mutex
	pollers   []*Poller
	incidents []Incident
	unlisted  int // incidents beyond the list
}

// port is one Port, with the streams that enter by each of its queues.
type port struct {
	Port
	handle  uint32
	streams [][]*stream
	paces   []pace      // of the receive queues
	asked   atomic.Bool // asks is not empty
	mu      sync.Mutex
	asks    []request
}

// New makes the ports and streams. Nothing moves yet.
func New(c Config) (*Net, error) {
	n := &Net{byName: map[string]*port{}, burst: c.Burst, window: int64(c.Window), tscHz: c.TSCHz, streams: make([]stream, len(c.Streams))}
	if n.burst == 0 {
		n.burst = DefaultBurst
	}
	if n.burst < 1 || n.burst > MaxBurst || c.TSCHz == 0 {
		return nil, fmt.Errorf("bursts of %d packets, clock of %d Hz: want bursts of 1 to %d, and a clock", n.burst, c.TSCHz, MaxBurst)
	}
	for i, p := range c.Ports {
		if n.byName[p.Name] != nil || p.RxQueues < 1 || p.TxQueues < 1 {
			return nil, fmt.Errorf("sequence port %s: want each name once, and queues both ways", p.Name)
		}
		q := &port{Port: p, handle: firstHandle + uint32(i), streams: make([][]*stream, p.RxQueues), paces: make([]pace, p.RxQueues), asks: make([]request, 0, maxRequests)}
		for i := range q.paces {
			q.paces[i].rate.Store(unpaced)
		}
		n.ports = append(n.ports, q)
		n.byName[p.Name] = q
	}
	if len(c.Streams) < 1 || len(c.Streams) > maxStreams {
		return nil, fmt.Errorf("%d streams: want 1 to %d", len(c.Streams), maxStreams)
	}
	for i := range c.Streams {
		if err := n.addStream(uint32(i), c.Streams[i]); err != nil {
			return nil, fmt.Errorf("stream %s: %w", c.Streams[i].Name, err)
		}
	}
	return n, nil
}

// Handle is the device of a sequence port, as pollers know it; false for other names.
func (n *Net) Handle(name string) (uint32, bool) {
	if p := n.byName[name]; p != nil {
		return p.handle, true
	}
	return 0, false
}

// Named reports whether there is a sequence port of a name.
func (n *Net) Named(name string) bool { return n.byName[name] != nil }

// byHandle finds the sequence port of a device, nil for real ones.
func (n *Net) byHandle(device uint32) *port {
	if device < firstHandle || device-firstHandle >= uint32(len(n.ports)) {
		return nil
	}
	return n.ports[device-firstHandle]
}

// Errors of Start and Stop.
var (
	ErrNoWay = errors.New("streams do not arrive")
)

// Start lets every stream send single packets until one of each has arrived as it should, at most for patience, and then
// all of them at full rate. From here on everything counts.
func (n *Net) Start(ctx context.Context, patience time.Duration) error {
	n.round.Add(1)
	n.phase.Store(uint32(probing))
	deadline := time.Now().Add(patience)
	for {
		missing := n.missing()
		if missing == "" {
			break
		}
		if err := pause(ctx); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			n.phase.Store(uint32(quiet))
			return n.noWay(patience, missing)
		}
	}
	n.phase.Store(uint32(quiet))
	if err := pause(ctx); err != nil { // what still waited for a next hop is through, or belongs to an earlier round
		return err
	}
	n.mu.Lock()
	n.incidents, n.unlisted = nil, 0
	n.mu.Unlock()
	n.flying.Store(0)
	n.round.Add(1)
	n.phase.Store(uint32(running))
	return nil
}

// noWay says which streams did not arrive, and what was seen instead.
func (n *Net) noWay(patience time.Duration, missing string) error {
	err := fmt.Errorf("%w within %s: %s", ErrNoWay, patience, missing)
	if list, _ := n.Incidents(); len(list) > 0 {
		err = fmt.Errorf("%w; the first that went wrong: %s", err, list[0])
	}
	return err
}

// missing names streams of which nothing has arrived yet.
func (n *Net) missing() string {
	names, count := "", 0
	for i := range n.streams {
		if s := &n.streams[i]; s.arrived.Load() == n.round.Load() {
			continue
		}
		if count++; count <= 3 {
			names += " " + n.streams[i].Name
		}
	}
	if count == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d streams:%s", count, len(n.streams), names)
}

// Stop ends sending and waits until all that is under way has arrived, or cannot arrive any more.
func (n *Net) Stop() {
	n.phase.CompareAndSwap(uint32(running), uint32(drained))
	still := 0
	for last := n.Totals(); still < settled; {
		time.Sleep(pausing)
		now := n.Totals()
		if still++; now != last {
			still = 0
		}
		last = now
	}
}

const (
	pausing = 10 * time.Millisecond
	settled = 20 // pauses without a packet: longer than anything stays in a switch that does not queue
)

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pausing):
		return nil
	}
}

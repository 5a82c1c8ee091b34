// Package dataplane forwards packets: workers, flow tables, the layers that decide new flows, and the actions that
// known flows cost.
//
// A packet's way (worker.run): receive burst, parse once into a flow key, look the flow up in the table of its receive
// queue; a known flow's action is executed; a new flow passes the layers, which compose an action from the policy
// snapshot. What a burst sends is grouped by output and handed over with the next poll.
//
// Ownership: a receive queue, its flow tables and its actions belong to one worker. Shared without locks are the
// snapshot (immutable, behind an atomic pointer), the epoch cells, the neighbour cache and the forwarding database.
package dataplane

import (
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/policy"
)

// Errors of the control side.
var (
	ErrPortIndex = errors.New("port index out of range or in use")
	ErrNoPort    = errors.New("no such port")
	ErrNoWorker  = errors.New("no worker runs")
	ErrClosed    = errors.New("the switch is closed")
)

// Config sizes a Switch. The zero value of a field means its default.
type Config struct {
	MaxPorts int           // port indices are 0 to MaxPorts-1; default 4096, at most maxPorts
	MaxFlows int           // flow entries per receive queue, rounded up to a power of two; default 1<<20
	FlowIdle time.Duration // after which a flow without packets is forgotten; default 60 s
	MACAge   time.Duration // after which a learned address without packets is forgotten; default 300 s
	TSCHz    uint64        // cycles per second of IO.TSC; required

	// SampleEvery is the mean number of a worker's loop iterations with packets of which one has its stages measured. By
	// default a worker chooses it so that reading the clock takes a quarter of a per cent of its busy time; below 0 none is
	// measured.
	SampleEvery int
	Log         *slog.Logger // default: slog.Default()
}

func (c *Config) setDefaults() error {
	if c.TSCHz == 0 {
		return errors.New("the frequency of the time stamp counter is not known")
	}
	if c.MaxPorts == 0 {
		c.MaxPorts = 4096
	}
	if c.MaxPorts < 1 || c.MaxPorts > maxPorts {
		return fmt.Errorf("%d ports: %w (1 to %d)", c.MaxPorts, ErrPortIndex, maxPorts)
	}
	if c.MaxFlows <= 0 {
		c.MaxFlows = 1 << 20
	}
	c.MaxFlows = max(1<<bits.Len(uint(c.MaxFlows-1)), 2*minFlowSlots)
	if c.FlowIdle <= 0 {
		c.FlowIdle = 60 * time.Second
	}
	if c.MACAge <= 0 {
		c.MACAge = 300 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return nil
}

// WorkerSpec describes a worker.
type WorkerSpec struct {
	Core   int // that its thread is pinned to; -1 leaves it to the scheduler
	Poller Poller
	Idle   Idle
}

// PortSpec describes a port whose device is open.
type PortSpec struct {
	Index    uint32 // of the port in policy.Snapshot.Ports
	Name     string
	Uplink   bool
	Device   uint32 // handle that the pollers know
	RxQueues int    // spread over the workers
	TxQueues int    // shared by workers when they are fewer

	// LinkBytesPerSec is the speed of the device's link; 0: not known. A scheduler without a configured rate keeps to it.
	LinkBytesPerSec uint64
}

// Switch is the data path of one host: its workers, ports and what they share.
type Switch struct {
	cfg        Config
	snap       atomic.Pointer[policy.Snapshot]
	epochs     epochs
	neighbours neighbours
	fdb        *fdb
	storms     storms
	started    time.Time
	tscStart   atomic.Uint64
	nsPerCycle uint64 // in units of 2^-32

	mu     sync.Mutex // control side, while it changes workers, ports or policy; a worker that hangs keeps it
	next   int        // worker that gets the next queue
	closed bool

	readMu  sync.RWMutex // of those below: readers take it alone, writers inside mu, and nobody waits for a worker with it
	workers []*worker
	ports   map[uint32]PortSpec

	egresses []*egress // of outputs with a scheduler; the list itself does not change
	lanes    []*lane   // of all workers; control side
	reportMu sync.Mutex

	drainTime time.Duration                       // tests have more
	patience  time.Duration                       // with workers that do not take part in a move; tests have less
	absence   time.Duration                       // of a worker that failed; likewise
	newLane   func(reader *worker) (*lane, error) // tests let it fail

	steward atomic.Int32 // the worker that keeps the fabric's ARP cache

	moving atomic.Pointer[move] // the one move that is under way
	moves  atomic.Uint64        // that began or ended

	fdbMu sync.Mutex // the one writer of fdb
	quit  chan struct{}
	gone  chan struct{}
}

// New makes a switch without workers and ports. Close ends it.
func New(cfg Config) (*Switch, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, fmt.Errorf("make switch: %w", err)
	}
	perCycle, _ := bits.Div64(uint64(time.Second)>>32, uint64(time.Second)<<32, cfg.TSCHz)
	s := &Switch{cfg: cfg, nsPerCycle: perCycle, fdb: newFDB(), storms: make(storms, cfg.MaxPorts), started: time.Now(),
		ports: map[uint32]PortSpec{}, drainTime: drainTime, patience: movePatience, absence: restartPause, newLane: newLane, quit: make(chan struct{}),
		gone: make(chan struct{})}
	s.snap.Store(policy.NewSnapshot(policy.Snapshot{}, nil))
	go s.control()
	return s, nil
}

func (s *Switch) seed() uint64 { return rand.Uint64() }

// clockAt turns a time stamp into nanoseconds of the switch's own clock, which starts with the first poll.
func (s *Switch) clockAt(tsc uint64) int64 {
	start := s.tscStart.Load()
	if start == 0 {
		s.tscStart.CompareAndSwap(0, max(tsc, 1))
		start = s.tscStart.Load()
	}
	if tsc < start {
		return clockStart
	}
	hi, lo := bits.Mul64(tsc-start, s.nsPerCycle)
	return clockStart + int64(hi<<32|lo>>32)
}

// clock is the latest time that any worker saw.
func (s *Switch) clock() int64 {
	now := clockStart
	for _, w := range s.running() {
		now = max(now, w.clock.Load())
	}
	return now
}

// running lists the workers; the list itself does not change.
func (s *Switch) running() []*worker {
	s.readMu.RLock()
	defer s.readMu.RUnlock()
	return s.workers
}

// run makes a list of workers the one that is read.
func (s *Switch) run(workers []*worker) {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	s.workers = workers
}

func (s *Switch) notePort(spec PortSpec) {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	s.ports[spec.Index] = spec
}

func (s *Switch) forgetPort(index uint32) {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	delete(s.ports, index)
}

// AddWorker starts a worker. It fails when its core or its poller cannot be had. Workers are added before ports: queues
// of ports that exist already stay where they are, and their transmit queues become shared where they do not suffice.
func (s *Switch) AddWorker(spec WorkerSpec) (id int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, ErrClosed
	}
	w, err := newWorker(s, len(s.workers), spec)
	if err != nil {
		return 0, err
	}
	if err := w.start(); err != nil {
		w.ctr.free()
		w.out.free()
		return 0, err
	}
	before := s.workers
	s.run(append(before[:len(before):len(before)], w))
	for _, port := range s.ports {
		for _, each := range s.workers {
			if err := s.attachTx(each, port); err != nil {
				s.run(before)
				s.end(w)
				return 0, fmt.Errorf("give worker %d the outputs of port %s: %w", w.id, port.Name, err)
			}
		}
	}
	if len(s.egresses) > 0 {
		lanes, err := s.planLanes()
		if err != nil {
			s.run(before)
			s.end(w)
			return 0, fmt.Errorf("let worker %d hand packets over: %w", w.id, err)
		}
		s.joinWorkers(lanes)
		w.do(func() {
			for _, e := range s.egresses {
				w.egress.byPort[e.port] = e
			}
		})
	}
	return w.id, nil
}

// end stops a worker and gives back what it has.
func (s *Switch) end(w *worker) {
	w.do(func() { w.stop = true })
	<-w.done
	w.ctr.free()
}

// AddPort puts a port's queues onto the workers' lists. The port takes part once a published snapshot mentions it.
func (s *Switch) AddPort(spec PortSpec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch _, taken := s.ports[spec.Index]; {
	case s.closed:
		return ErrClosed
	case len(s.workers) == 0:
		return fmt.Errorf("add port %s: %w", spec.Name, ErrNoWorker)
	case taken || int(spec.Index) >= s.cfg.MaxPorts:
		return fmt.Errorf("add port %s at index %d: %w", spec.Name, spec.Index, ErrPortIndex)
	}
	s.notePort(spec)
	if err := s.attach(spec); err != nil {
		s.detach(spec.Index)
		s.forgetPort(spec.Index)
		return fmt.Errorf("add port %s: %w", spec.Name, err)
	}
	return nil
}

func (s *Switch) attach(spec PortSpec) error {
	s.storms[spec.Index].Store(0)
	for _, w := range s.workers {
		w.do(func() { w.ctr.reset(spec.Index) })
		if err := s.attachTx(w, spec); err != nil {
			return err
		}
	}
	for queue := range spec.RxQueues {
		w := s.nextWorker()
		q, err := newRxQueue(s, spec, queue)
		if err != nil {
			return err
		}
		if !w.do(func() { err = w.addQueue(q) }) {
			err = ErrClosed
		}
		if err != nil {
			q.free()
			return err
		}
	}
	return nil
}

// nextWorker takes turns among the workers that have not failed, unless all have.
func (s *Switch) nextWorker() (w *worker) {
	for range s.workers {
		w = s.workers[s.next%len(s.workers)]
		if s.next++; !w.health.failed.Load() {
			break
		}
	}
	return w
}

func (s *Switch) attachTx(w *worker, spec PortSpec) (err error) {
	if spec.TxQueues == 0 {
		return nil
	}
	queue, shared := w.id%spec.TxQueues, len(s.workers) > spec.TxQueues
	if !w.do(func() { err = w.poller.SetTx(spec.Index, spec.Device, uint16(queue), shared) }) {
		return ErrClosed
	}
	return err
}

// RemovePort takes a port off the workers. When it returns, every worker has passed a quiescent point: no packet is on
// its way to or from the port, and its index and its device may be given to others. Publish a snapshot without the port
// first, so that nobody sends to it any more.
func (s *Switch) RemovePort(index uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	port, ok := s.ports[index]
	if !ok {
		return fmt.Errorf("remove port %d: %w", index, ErrNoPort)
	}
	if i := slices.IndexFunc(s.egresses, func(e *egress) bool { return e.port == index }); i >= 0 {
		s.dropShaping(s.egresses[i : i+1 : i+1])
	}
	s.detach(index)
	s.forgetPort(index)
	if port.Uplink {
		s.neighbours.forget(index)
	}
	for _, w := range s.workers {
		s.learnFrom(w) // what the port has yet to be learned by must not be taken for its successor's
	}
	s.forget(func(e LearnedMAC, _ int64) bool { return e.Port == index })
	return nil
}

func (s *Switch) detach(index uint32) {
	for _, w := range s.workers {
		w.do(func() {
			w.dropHeld(ReasonPortGone, func(h *heldPackets, in uint32) bool { return h.uplink == index || in == index })
			for _, q := range w.queues {
				if q != nil && q.port == index {
					w.takeOff(q)
					q.free()
				}
			}
			w.poller.ClearTx(index)
		})
	}
	for _, w := range s.workers { // none gets any more of what came in by the port
		w.do(func() { w.forgetIn(index) })
	}
}

// Publish makes a snapshot the policy. Only the flows that it may decide otherwise decide again. It fails, and changes
// nothing, when there is no memory for a scheduler. It waits for a worker that hangs; the others forward meanwhile.
func (s *Switch) Publish(next *policy.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	shaping, err := s.planShaping(next)
	if err != nil {
		return err
	}
	s.endShaping(shaping.close)
	s.store(next)
	s.begin(shaping)
	s.partWorkers()
	return nil
}

func (s *Switch) store(next *policy.Snapshot) {
	prev := s.snap.Load()
	delta := policy.Compare(prev, next)
	s.snap.Store(next) // before any cell: see epochs
	if delta.All {
		s.epochs.bumpAll()
	}
	for _, port := range delta.Ports {
		s.epochs.bump(portCell(port))
	}
	for _, a := range delta.Addrs {
		s.epochs.bump(addrCell(a.RDID, a.Addr))
	}
	for _, m := range delta.MACs {
		s.epochs.bump(macCell(m.VSID, false, m.MAC))
	}
	for _, pa := range delta.PAs {
		s.epochs.bump(paCell(pa))
	}
	if delta.All {
		s.forget(func(e LearnedMAC, _ int64) bool { return !memberOf(next, e.Bridge, e.Port) })
	}
}

// Snapshot is the policy in force.
func (s *Switch) Snapshot() *policy.Snapshot { return s.snap.Load() }

// Close stops the workers. Their pollers are closed, the devices stay open. Counters can be read no more.
func (s *Switch) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.dropShaping(s.egresses)
	close(s.quit)
	for _, w := range s.workers {
		w.do(func() { w.stop = true })
		<-w.done
	}
	s.mu.Unlock()
	<-s.gone
	s.mu.Lock()
	ended := s.workers
	s.readMu.Lock()
	s.workers, s.ports = nil, map[uint32]PortSpec{}
	s.readMu.Unlock()
	for _, w := range ended { // nobody reads them any more
		w.ctr.free()
	}
}

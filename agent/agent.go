// Package agent makes the system what a configuration asks for: it opens and closes devices, gives ports their indices,
// runs the workers and publishes the compiled policy.
//
// A change is a transaction. New devices are opened and added to the switch first; what fails is undone, and the switch
// has seen nothing. Publishing the snapshot is the point of no return: afterwards ports that went are removed from the
// switch, then their devices are closed. A device is thus there before a snapshot mentions it, and gone only after every
// worker has let go of it. Ports that did not change are never touched.
package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/agent/balance"
	"github.com/sluicenet/sluice/cores"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/policy"
)

// Errors that callers tell apart.
var (
	// ErrStopped: the agent has been stopped, or never started.
	ErrStopped = errors.New("sluiced is not running its ports: it is starting or stopping")
	// ErrRefused: the configuration is valid, but cannot be applied to what runs.
	ErrRefused = errors.New("refused")
)

// Options says what an Agent works with.
type Options struct {
	Config *policy.Config // checked; what Start makes real
	File   string         // where Config came from, for messages
	YAML   []byte         // its text
	Driver Driver
	Cores  []int // one worker each; -1: not pinned
	// CoresWhy says why these, for people.
	CoresWhy string
	Pool     Pool // that Driver was made with, from PoolFor
	Log      *slog.Logger
	// KernelAddrs lists the addresses that the kernel owns here, with their interface; nil: ask the kernel.
	KernelAddrs func() (map[netip.Addr]string, error)
}

// Agent owns the switch and its ports. Its methods may be called from any goroutine.
type Agent struct {
	opts    Options
	log     *slog.Logger
	sw      *dataplane.Switch
	indices *indices
	started time.Time

	turn    chan struct{} // holds one token: whoever has it may change things
	running atomic.Pointer[Running]
	last    atomic.Pointer[Attempt]
	pulse   pulse

	balancer *balance.Balancer
	nodes    map[int]int // NUMA node of each core

	// devices is held for reading by whoever calls a device for its state, and for writing while devices are closed.
	devices sync.RWMutex
}

// Running is what runs, as one consistent whole. It is immutable.
type Running struct {
	Config   *policy.Config
	File     string // as named by whoever applied it
	YAML     []byte
	Hash     string // SHA-256 of YAML, in hex
	Revision uint64 // the first is 1
	Applied  time.Time
	Snapshot *policy.Snapshot

	divides  map[string]bool   // uplinks whose device divides the link as Config says
	linkMbit map[string]uint32 // of uplinks, that their schedulers go by; 0: not known
	tolerant bool              // what links cannot give is scaled down, also where it is new
	excused  []policy.LinkProblem
	assumed  []string       // uplinks whose speed in linkMbit is a guess of this step
	ran      *policy.Config // before, while this is compiled

	queues  *balance.Plan
	order   []*port // uplinks first, then vports, in the order of their configuration
	byName  map[string]*port
	byIndex map[uint32]*port
}

// Attempt is the outcome of the last try to apply a configuration.
type Attempt struct {
	At  time.Time
	Err error // nil: it runs
}

// port is one port of the switch with its device. Only spec changes, under Agent.devices.
type port struct {
	name   string
	index  uint32
	spec   portSpec
	device Device
}

// gone reports that the port's interface was deleted by somebody else.
func (p *port) gone() bool { return p.device != nil && p.device.Gone() }

func (p *port) dcb() DCB {
	if p.device == nil {
		return DCB{}
	}
	return p.device.DCB()
}

// New makes an Agent that does nothing yet.
func New(opts Options) (*Agent, error) {
	if opts.Config == nil || opts.Driver == nil || len(opts.Cores) == 0 {
		return nil, errors.New("agent: Config, Driver and Cores must be set")
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.KernelAddrs == nil {
		opts.KernelAddrs = kernelAddrs
	}
	a := &Agent{opts: opts, log: opts.Log, turn: make(chan struct{}, 1), started: time.Now()}
	sw, err := dataplane.New(switchConfig(opts))
	if err != nil {
		return nil, err
	}
	a.sw, a.indices = sw, newIndices(maxPorts)
	a.nodes = cores.Read("/", nil).Node
	a.balancer = balance.New(balance.Options{
		Switch: sw, Plan: a.balancePlan, NodeOf: a.NodeOf, Log: a.log,
	})
	return a, nil
}

// Start runs the workers and the configuration of Options. When it fails everything is as before, and the Agent is of no
// further use.
func (a *Agent) Start(ctx context.Context) error {
	if err := a.addWorkers(); err != nil {
		a.sw.Close()
		return err
	}
	next, _, err := a.transition(&Running{}, given{
		config: a.opts.Config, file: a.opts.File, text: a.opts.YAML, tolerant: true, // a bad cable must not keep VMs from each other
	})
	if err != nil {
		a.sw.Close()
		return err
	}
	a.last.Store(&Attempt{At: next.Applied})
	a.turn <- struct{}{}
	a.log.Info("running", "file", next.File, "ports", len(next.order), "workers", len(a.opts.Cores))
	return nil
}

func (a *Agent) addWorkers() error {
	for _, core := range a.opts.Cores {
		poller, err := a.opts.Driver.NewPoller()
		if err != nil {
			return fmt.Errorf("worker on core %d: %w", core, err)
		}
		spec := dataplane.WorkerSpec{Core: core, Poller: poller, Idle: idleOf(&a.opts.Config.Dataplane)}
		if _, err := a.sw.AddWorker(spec); err != nil {
			return fmt.Errorf("worker on core %d: %w", core, err)
		}
	}
	return nil
}

// CoresWhy says which cores the workers have, and why.
func (a *Agent) CoresWhy() string { return a.opts.CoresWhy }

func idleOf(c *policy.DataplaneConfig) dataplane.Idle {
	if c.Idle.Mode == policy.IdleBusy {
		return dataplane.Idle{}
	}
	return dataplane.Idle{Spin: c.Idle.Spin, MaxSleep: c.Idle.MaxSleep}
}

// acquire waits for the turn to change things. Before Start has succeeded and after Stop there is none to have.
func (a *Agent) acquire(ctx context.Context) error {
	if a.running.Load() == nil {
		return ErrStopped
	}
	select {
	case <-a.turn:
	case <-ctx.Done():
		return fmt.Errorf("wait for another apply to finish: %w", ctx.Err())
	}
	if a.running.Load() == nil {
		a.release()
		return ErrStopped
	}
	return nil
}

func (a *Agent) release() { a.turn <- struct{}{} }

// Stop ends all workers and closes all devices; interfaces that are persistent stay. An apply that is under way finishes
// first.
func (a *Agent) Stop() error {
	if err := a.acquire(context.Background()); err != nil {
		a.sw.Close() // it never ran, or another Stop was faster
		return nil
	}
	defer a.release()
	r := a.running.Swap(nil)
	a.sw.Close() // outside devices: a worker that hangs keeps nobody from asking how things are
	a.devices.Lock()
	defer a.devices.Unlock()
	var errs []error
	for _, p := range r.order {
		if err := p.device.Close(); err != nil {
			errs = append(errs, fmt.Errorf("%s: close: %w", p.spec.object(), err))
		}
	}
	a.log.Info("stopped")
	return errors.Join(errs...)
}

func hash(yaml []byte) string {
	sum := sha256.Sum256(yaml)
	return hex.EncodeToString(sum[:])
}

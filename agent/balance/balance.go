// Package balance carries out what package vmq decides: it samples the load of workers and receive queues, asks, moves
// queues, and remembers what was done, why, and what came of it.
//
// It has a goroutine of its own and waits for nobody but the switch, whose moves end within seconds also where a worker
// hangs. A move that fails leaves the queue where it was, and shows in the next sample.
package balance

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/dataplane/vmq"
)

// Switch is what the balancer needs of one.
type Switch interface {
	Workers() []dataplane.WorkerStatus
	MoveQueue(port uint32, queue uint16, worker int) error
}

// Plan is what a configuration says about receive queues. It is immutable; another configuration has another one.
type Plan struct {
	Limits vmq.Limits
	Ports  map[uint32]Port // by index
}

// Port is a port with receive queues.
type Port struct {
	Name    string
	Uplink  bool
	Node    int // NUMA node of its device; negative: unknown
	Mode    vmq.Mode
	Workers []int // of vmq.Static: where each queue is to be; nil: where it is
}

// Options says what a Balancer works with.
type Options struct {
	Switch Switch
	Plan   func() *Plan       // that holds now; nil: nothing runs
	NodeOf func(core int) int // NUMA node of a core; negative: unknown
	Log    *slog.Logger
}

// Balancer belongs to the goroutine that calls Run or Step. The other methods may be called from any.
type Balancer struct {
	opts    Options
	started time.Time
	clock   func() time.Time // tests have their own
	plan    *Plan
	decider *vmq.Balancer
	meter   meter
	pending []pending
	retry   map[vmq.QueueKey]time.Time // of queues that could not be put where the configuration wants them

	mu      sync.Mutex
	history history
	loads   []Load
}

// New makes a balancer.
func New(o Options) *Balancer {
	return &Balancer{opts: o, started: time.Now(), clock: time.Now, retry: map[vmq.QueueKey]time.Time{}, meter: newMeter(), history: newHistory()}
}

const (
	maxPeriod   = 250 * time.Millisecond
	perDecision = 2 // samples in an interval, so that a decision is never much older than its reason
	idlePeriod  = maxPeriod
	retryAfter  = 5 * time.Second
)

// Run samples and decides until ctx ends.
func (b *Balancer) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-timer.C:
			b.Step(ctx, now)
			timer.Reset(b.period())
		}
	}
}

func (b *Balancer) period() time.Duration {
	if b.plan == nil {
		return idlePeriod
	}
	return min(b.plan.Limits.Interval/perDecision, maxPeriod)
}

// Step takes one sample and does what it asks for.
func (b *Balancer) Step(ctx context.Context, now time.Time) {
	plan := b.opts.Plan()
	if plan == nil {
		return
	}
	if b.decider == nil || !reflect.DeepEqual(plan.Limits, b.plan.Limits) {
		decider, err := vmq.New(plan.Limits)
		if err != nil { // the configuration was checked for it
			b.opts.Log.Error("receive queues stay where they are", "error", err)
			return
		}
		b.decider = decider
	}
	b.plan = plan
	sample := b.meter.sample(now, now.Sub(b.started), plan, b.opts.Switch.Workers(), b.opts.NodeOf)
	b.tellLoads()
	b.forget(b.meter.queues)
	b.measure()
	moved := b.place(ctx, now, sample)
	if !b.meter.informed(sample.Workers) {
		return // without loads everybody seems idle, and all queues would come together
	}
	for _, d := range b.decider.Decide(sample) {
		if ctx.Err() != nil {
			return
		}
		if !slices.Contains(moved, d.Queue) && !b.carryOut(ctx, d) {
			return // what hangs now would hold up the other moves as well
		}
	}
}

// place puts queues where the configuration wants them.
func (b *Balancer) place(ctx context.Context, now time.Time, s vmq.Sample) (moved []vmq.QueueKey) {
	for i := range s.Queues {
		q := &s.Queues[i]
		want := b.plan.Ports[q.Port].Workers
		if int(q.Queue) >= len(want) || want[q.Queue] == q.Worker || now.Before(b.retry[q.QueueKey]) || ctx.Err() != nil {
			continue
		}
		delete(b.retry, q.QueueKey)
		moved = append(moved, q.QueueKey)
		if !b.carryOut(ctx, vmq.Decision{Kind: vmq.MoveQueue, Queue: q.QueueKey, From: q.Worker, To: want[q.Queue], Cause: vmq.ByMode, Reason: "the configuration says so"}) {
			b.retry[q.QueueKey] = now.Add(retryAfter)
			break
		}
	}
	return moved
}

// errNotCarriedOut is of decisions that no sample of this package leads to.
var errNotCarriedOut = errors.New("nothing in this daemon can do that yet")

// carryOut does what a decision says, and remembers it; false when it was not to be done.
func (b *Balancer) carryOut(ctx context.Context, d vmq.Decision) bool {
	began := b.clock()
	e := Event{At: began, Kind: d.Kind, Cause: d.Cause, Reason: d.Reason, Queue: d.Queue, Port: b.plan.Ports[d.Queue.Port].Name, From: d.From,
		To: d.To, Workers: d.Workers, Expected: d.Gain}
	if d.Kind != vmq.MoveQueue {
		e.From, e.To = vmq.NoWorker, vmq.NoWorker
	}
	var err error
	switch d.Kind {
	case vmq.MoveQueue:
		err = b.opts.Switch.MoveQueue(d.Queue.Port, d.Queue.Queue, d.To)
	case vmq.Refused: // an event to tell of
	default:
		err = errNotCarriedOut
	}
	e.Took = b.clock().Sub(began)
	if err != nil {
		if ctx.Err() != nil {
			return false // the switch is closing, which is no news
		}
		e.Err = err.Error()
	}
	if !b.remember(&e) {
		return err == nil
	}
	b.tell(&e)
	if e.Err == "" && d.Kind == vmq.MoveQueue {
		b.pending = append(b.pending, b.meter.expect(e.Number, b.clock(), d.From, d.To))
	}
	return err == nil
}

// tell logs an event.
func (b *Balancer) tell(e *Event) {
	args := []any{"port", e.Port, "queue", e.Queue.Queue}
	if e.Kind == vmq.MoveQueue {
		args = append(args, "from", e.From, "to", e.To)
	}
	args = append(args, "cause", e.Cause.String(), "reason", e.Reason)
	switch {
	case e.Err != "":
		b.opts.Log.Warn("receive queue stays as it was", append(args, "error", e.Err)...)
	case e.Kind == vmq.Refused && b.plan.Ports[e.Queue.Port].Mode != vmq.Dynamic:
		b.opts.Log.Debug("receive queue stays, as its mode says", args...)
	case e.Kind == vmq.Refused:
		b.opts.Log.Warn("receive queue cannot be helped", args...)
	default:
		b.opts.Log.Info("receive queue: "+e.Kind.String(), append(args, "expectedGain", e.Expected)...)
	}
}

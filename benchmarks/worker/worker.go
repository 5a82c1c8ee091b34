// Package worker measures the switch itself: one worker of package dataplane on one core, with the policy of a profile,
// between a device that replays the profile's traffic and devices that swallow what comes out.
//
//	replay ──► Poller ◄── fabric ◄── worker of dataplane ──► fabric ──► Poller ──► sink
//	                      answers ARP, notes turns
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"time"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
)

// Name is how results call the switch.
const Name = "sluice"

// Spec says what to measure, on what.
type Spec struct {
	Plan    *traffic.Plan
	Poller  dataplane.Poller
	Devices map[string]uint32 // by the plan's port: handles that the poller knows. The sources replay, the others swallow
	Core    int               // -1: wherever
	Clock   measure.Clock
	TSCHz   uint64
	Log     *slog.Logger

	Warmup  time.Duration
	Windows int           // of measurement
	Window  time.Duration // length of one
	Churn   int64         // bytes of garbage per second beside the worker
	// SampleEvery is dataplane.Config's: the mean number of turns of which one has its stages measured.
	SampleEvery int

	Beside []Second // further workers, see Second

	MaxFlows int // bound of the flow table; 0 leaves room for the profile's flows, at least the switch's default
}

// patience is how long a switch may take until its traffic flows, and how long it may stop until all flows are known.
const patience = 20 * time.Second

// run is a switch that is being measured.
type run struct {
	Spec
	sw      *dataplane.Switch
	fabric  *fabric
	fabrics []*fabric // of all workers, that one first
}

// Run measures, and closes the poller. When ctx ends it returns what is complete, with the context's error.
func Run(ctx context.Context, s Spec) (sample measure.Sample, err error) {
	r := &run{Spec: s, fabric: newFabric(s.Poller, s.Plan, s.Devices[traffic.Uplink], s.TSCHz)}
	sample.Contender = Name
	r.fabrics = []*fabric{r.fabric}
	if r.sw, err = dataplane.New(dataplane.Config{TSCHz: s.TSCHz, SampleEvery: s.SampleEvery, Log: s.Log, MaxFlows: maxFlows(&s)}); err != nil {
		s.Poller.Close()
		return sample, r.closeBeside(0, err)
	}
	defer r.sw.Close()
	if err := r.start(); err != nil {
		return sample, err
	}
	if err := r.settle(ctx); err != nil {
		return sample, err
	}
	stop := startChurn(s.Churn)
	defer stop()
	if err := wait(ctx, s.Warmup); err != nil {
		return sample, err
	}
	err = r.measure(ctx, &sample)
	return sample, err
}

// maxFlows has four places for each flow of the profile where the default would have fewer, as the documents advise.
func maxFlows(s *Spec) int {
	const fewest = 1 << 20
	if s.MaxFlows > 0 {
		return s.MaxFlows
	}
	return max(fewest, 4*s.Plan.Profile.Flows)
}

// start gives the switch its worker, ports and policy.
func (r *run) start() error {
	snap, err := r.Plan.Policy()
	if err == nil {
		_, err = r.sw.AddWorker(dataplane.WorkerSpec{Core: r.Core, Poller: r.fabric})
	}
	if err != nil {
		r.Poller.Close() // no worker does
		return r.closeBeside(0, err)
	}
	if err := r.addBeside(); err != nil {
		return err
	}
	for i, name := range r.Plan.Ports() {
		device, ok := r.Devices[name]
		if !ok && name != traffic.Uplink { // local switching needs no uplink
			return fmt.Errorf("port %s: no device", name)
		}
		port := dataplane.PortSpec{Index: uint32(i), Name: name, Uplink: name == traffic.Uplink, Device: device}
		if ok {
			port.RxQueues, port.TxQueues = r.queues(name)
		}
		if err := r.sw.AddPort(port); err != nil {
			return err
		}
	}
	return r.sw.Publish(snap)
}

// settle waits until every flow is known: each was replayed three times, the next hops have answered, and a bridge has
// learned all addresses.
func (r *run) settle(ctx context.Context) error {
	if err := r.learn(ctx); err != nil {
		return err
	}
	if err := r.forward(ctx); err != nil {
		return err
	}
	for _, f := range r.fabrics {
		f.watching.Store(false)
	}
	return nil
}

// learn lets the stations behind a bridge's ports be heard until all are known, some at a time: a switch bounds what it
// learns at once, and forgets what is above.
func (r *run) learn(ctx context.Context) error {
	stations := r.Plan.Stations()
	for attempt, deadline := 0, time.Now().Add(patience); ; attempt++ {
		known := map[packet.MAC]bool{}
		for _, l := range r.sw.Learned() {
			known[l.MAC] = true
		}
		var lessons []lesson
		for _, s := range stations {
			if !known[s.MAC] && len(lessons) < lessonsAtOnce {
				lessons = append(lessons, lesson{r.Devices[s.Name], traffic.Announcement(s, attempt)})
			}
		}
		if len(lessons) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s only %d of %d addresses were learned", patience, len(known), len(stations))
		}
		r.fabric.lessons.Store(&lessons)
		if err := wait(ctx, 25*time.Millisecond); err != nil { // control looks every 20
			return err
		}
	}
}

// lessonsAtOnce is well below what a queue learns in one of control's turns.
const lessonsAtOnce = 200

// forward waits until each flow was replayed three times since all is learned.
func (r *run) forward(ctx context.Context) error {
	once := uint64(0) // packets of one replay, by all workers
	for _, source := range r.Plan.Sources {
		once += uint64(r.Plan.FramesOf(source) * len(r.fabrics))
	}
	before, err := r.sent()
	if err != nil {
		return err
	}
	want, lost := before+3*once, uint64(0)
	start, last, moved := time.Now(), before, time.Now()
	for {
		sent, err := r.sent()
		if err != nil {
			return err
		}
		if now := r.dropped(); now != lost && time.Since(start) < patience/4 {
			want, lost = max(want, sent+2*once), now // flows are still set up as far as they may be, or a next hop is awaited
		}
		if sent >= want {
			return nil
		}
		if sent != last {
			last, moved = sent, time.Now() // a slow machine takes its time, as long as it goes on
		}
		if time.Since(moved) > patience {
			return fmt.Errorf("after %d of %d packets nothing was forwarded for %s: %w: dropped %v", sent, want, patience, measure.ErrNoPackets, r.drops())
		}
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// sent counts what left the switch, of all sources.
func (r *run) sent() (uint64, error) {
	sum := uint64(0)
	for _, source := range r.Plan.Sources {
		c, ok := r.sw.PortCounters(r.Plan.Index(source))
		if !ok {
			return 0, fmt.Errorf("port %s is gone", source)
		}
		sum += c.Sent
	}
	return sum, nil
}

// totals are counters before and after a measurement.
type totals struct {
	received, sent, dropped, inBytes, outBytes, outPackets uint64

	created      uint64
	hits, misses uint64
	flows        uint64
	iterations   uint64
	stages       dataplane.StageTotals
}

func (r *run) totals() (t totals) {
	for _, source := range r.Plan.Sources {
		c, _ := r.sw.PortCounters(r.Plan.Index(source))
		t.received += c.RxPackets
		t.sent += c.Sent
		t.dropped += c.Dropped
		t.created += c.Created
		t.inBytes += c.RxBytes
	}
	for _, sink := range r.Plan.Sinks {
		c, _ := r.sw.PortCounters(r.Plan.Index(sink))
		t.outPackets += c.TxPackets
		t.outBytes += c.TxBytes
	}
	r.sw.Quiesce() // the end of a turn
	for _, w := range r.sw.Workers() {
		t.flows += w.Flows
		t.iterations += w.Iterations
		t.stages.Packets += w.Sample.Packets
		t.stages.Samples += w.Sample.Samples
		for stage, cycles := range w.Sample.Cycles {
			t.stages.Cycles[stage] += cycles
		}
		for _, q := range w.Queues {
			t.hits += q.Hits
			t.misses += q.Misses
		}
	}
	return t
}

// dropped counts what was lost, of all sources.
func (r *run) dropped() (sum uint64) {
	for _, n := range r.drops() {
		sum += n
	}
	return sum
}

func (r *run) drops() map[dataplane.Reason]uint64 {
	all := map[dataplane.Reason]uint64{}
	for _, source := range r.Plan.Sources {
		c, _ := r.sw.PortCounters(r.Plan.Index(source))
		for reason, n := range c.Drops {
			all[reason] += n
		}
	}
	return all
}

func (r *run) measure(ctx context.Context, sample *measure.Sample) error {
	before := r.totals()
	collections := gcCycles()
	waited := machine.WatchThreads(os.Getpid(), len(r.fabrics))
	r.fabric.recording.Store(true)
	windows, err := measure.Series(ctx, r.Clock, r.Windows, r.Window, r.sent)
	r.fabric.recording.Store(false)
	sample.Waited = waited()
	collections = gcCycles() - collections
	after := r.totals() // a quiet point: the worker has seen that it need not record any more
	if len(windows) == 0 {
		return err
	}
	sample.Set(windows)
	turns := r.fabric.loops.Summary(float64(r.TSCHz)).WithCollections(int64(collections))
	sample.Jitter = &turns
	perTurn := float64(after.sent-before.sent) / float64(after.iterations-before.iterations)
	sample.Detail = map[string]float64{
		"packetsPerTurn": perTurn,
		// Without what others took of the core: a turn in the middle was not interrupted.
		"cyclesInMedianTurn": turns.P50Ns / 1e9 * float64(r.TSCHz) / perTurn,
		"flows":              float64(after.flows),
		"missShare":          float64(after.misses-before.misses) / max(1, float64(after.hits-before.hits+after.misses-before.misses)),
		"dropShare":          float64(after.dropped-before.dropped) / max(1, float64(after.received-before.received)),
	}
	if packets := after.stages.Packets - before.stages.Packets; packets > 0 {
		sample.Detail["turnsPerSample"] = float64(after.iterations-before.iterations) / float64(after.stages.Samples-before.stages.Samples)
		for _, stage := range dataplane.Stages() {
			sample.Detail["stage "+stage.String()] = float64(after.stages.Cycles[stage]-before.stages.Cycles[stage]) / float64(packets)
		}
	}
	if r.Churn > 0 {
		sample.Detail["garbagePerSecond"] = float64(r.Churn)
	}
	return errors.Join(err, r.check(before, after))
}

// check refuses a result that was not of the work that the profile asks for.
func (r *run) check(before, after totals) error {
	if lost := after.dropped - before.dropped; lost > 0 {
		return fmt.Errorf("%d of %d packets were dropped while measuring, since the start: %v", lost, after.received-before.received, r.drops())
	}
	if made := after.created - before.created; made > 0 && r.Plan.Profile.Direction.Stays() {
		return fmt.Errorf("%d copies were made for flooding: not every address was known", made)
	}
	p := &r.Plan.Profile
	in, out := after.received-before.received, after.outPackets-before.outPackets
	inBytes, outBytes := after.inBytes-before.inBytes, after.outBytes-before.outBytes
	if p.IMIX != "" { // what is on its way when the counters are read has other sizes than the mean
		got, want := per(outBytes, out), per(inBytes, in)+float64(p.Sent(0)-p.Received(0))
		if math.Abs(got-want) > sizeTolerance*want {
			return fmt.Errorf("frames left with %.1f bytes in the mean: they should have had %.1f", got, want)
		}
	} else if want := uint64(p.Sent(p.MaxBytes())); outBytes != out*want {
		return fmt.Errorf("%d bytes left in %d frames: they should have had %d bytes each", outBytes, out, want)
	}
	return nil
}

const sizeTolerance = 0.01

func per(sum, n uint64) float64 { return float64(sum) / float64(max(n, 1)) }

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Package flood measures what a flood of new flows does to known ones, and what a new flow costs: one worker of package
// dataplane with the policy of a profile, whose traffic is made in the worker itself, so that it can be offered at any rate
// on a machine with few cores.
//
//	Source ◄── worker ──► Source ──► Poller ──► sink
//	known flows, new flows, rings that overflow
package flood

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dataplane"
)

// Spec says what to measure, on what.
type Spec struct {
	Plan   *traffic.Plan // two sources at least: the first has the known flows, the second the flood on a queue of its own
	Poller dataplane.Poller
	Uplink uint32 // device that swallows what is sent
	Core   int    // -1: wherever
	Clock  measure.Clock
	TSCHz  uint64
	Log    *slog.Logger
	Share  uint8 // dataplane.slowPathShare, percent; 0: the default

	Rounds int
	Window time.Duration // of every measurement in a round, at least: it goes on until the worker has done what is measured

	Patience time.Duration // until it has; 0: a minute
}

// Result is what a flood did. Rates are packets per second, shares parts of 1, and every value is one per round.
type Result struct {
	Profile  string           `json:"profile"`
	Manifest machine.Manifest `json:"manifest"`
	Partial  string           `json:"partial,omitempty"` // why rounds are missing
	Waited   float64          `json:"waited"`            // share of the time for which other programs had the core

	Share         uint8     `json:"slowPathShare"`
	KnownCycles   []float64 `json:"knownCycles"`   // of a known flow's packet, alone
	NewFlowCycles []float64 `json:"newFlowCycles"` // of a packet that begins a flow, alone, through all layers

	// Two queues: known flows at half of what the worker can do, and beside them a flood without end.
	QuietLoss    []float64 `json:"quietLoss"` // of known flows, without the flood
	FloodLoss    []float64 `json:"floodLoss"`
	FloodOffered []float64 `json:"floodOffered"` // packets of the flood that the worker took
	FloodSetUp   []float64 `json:"floodSetUp"`   // flows that it set up

	// One queue: every other packet begins a flow.
	MixedRate    []float64 `json:"mixedRate"` // packets received with the flood, refused ones counted, as a part of those without
	MixedSetUp   []float64 `json:"mixedSetUp"`
	MixedLoss    []float64 `json:"mixedLoss"`    // of known flows
	KnownEvicted []float64 `json:"knownEvicted"` // known flows that the table no longer held afterwards
}

// Quiet is the loss without a flood up to which a round says something about the flood, rather than about other programs
// that had the core.
const Quiet = 0.001

// disturbed counts the rounds that lost packets before the flood began.
func (r *Result) disturbed() (n int) {
	for _, lost := range r.QuietLoss {
		if lost > Quiet {
			n++
		}
	}
	return n
}

const (
	patience = time.Minute
	settling = 20 * time.Millisecond // after a change of load, and between two looks at what the worker has done
)

// run is a switch that is being flooded.
type run struct {
	Spec
	sw     *dataplane.Switch
	source *Source
	result *Result
}

// Run measures, and closes the poller. When ctx ends it returns the rounds that are complete, with the context's error.
func Run(ctx context.Context, s Spec) (*Result, error) {
	r, err := begin(s)
	if err != nil {
		return nil, err
	}
	defer r.sw.Close()
	if err := r.settle(ctx); err != nil {
		return nil, err
	}
	return r.result, r.rounds(ctx)
}

// begin starts the switch. Its poller is closed where that fails.
func begin(s Spec) (*run, error) {
	if s.Patience == 0 {
		s.Patience = patience
	}
	r := &run{Spec: s, result: &Result{}}
	var err error
	if len(s.Plan.Sources) < 2 {
		err = errors.New("a flood beside known flows needs two ports that send: choose two VMs at least")
	} else {
		r.source, err = newSource(s.Poller, s.Plan, s.TSCHz)
	}
	if err == nil {
		r.sw, err = dataplane.New(dataplane.Config{TSCHz: s.TSCHz, Log: s.Log})
	}
	if err != nil {
		s.Poller.Close()
		return nil, err
	}
	if err := r.start(); err != nil {
		r.sw.Close()
		return nil, err
	}
	return r, nil
}

// rounds measures until all are done, or ctx ends.
func (r *run) rounds(ctx context.Context) error {
	for range r.Rounds {
		if err := r.round(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) start() error {
	snap, err := r.Plan.Policy()
	if err != nil {
		r.Poller.Close() // no worker does
		return err
	}
	if r.Share != 0 {
		snap.SlowPathShare = r.Share
	}
	r.result.Share = snap.SlowPathShare
	r.source.uplink = r.Uplink
	if _, err := r.sw.AddWorker(dataplane.WorkerSpec{Core: r.Core, Poller: r.source}); err != nil {
		r.Poller.Close()
		return err
	}
	for i, name := range r.Plan.Ports() {
		port := dataplane.PortSpec{Index: uint32(i), Name: name, RxQueues: 1}
		if name == traffic.Uplink {
			port.Uplink, port.Device, port.TxQueues = true, r.Uplink, 1
		} else {
			port.Device = firstDevice + uint32(i) - 1
		}
		if err := r.sw.AddPort(port); err != nil {
			return err
		}
	}
	return r.sw.Publish(snap)
}

// settle makes the flows of all queues known: each passes at least once, and is no miss.
func (r *run) settle(ctx context.Context) error {
	for i := range r.source.queues {
		r.offer(i, &load{})
	}
	before := r.read()
	for deadline := time.Now().Add(r.Patience); ; {
		if err := wait(ctx, settling); err != nil {
			return err
		}
		now := r.read()
		d := now.minus(before)
		if d.misses > 0 || d.dropped > 0 {
			before = now
		} else if d.replays >= 2 { // of which one is whole
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s there are still flows that are not known: %s: %w", r.Patience, &now, measure.ErrNoPackets)
		}
	}
	r.quiet()
	return nil
}

func (r *run) offer(queue int, l *load) { r.source.queues[queue].load.Store(l) }

// quiet ends all loads, and returns when every packet is through.
func (r *run) quiet() {
	for i := range r.source.queues {
		r.offer(i, nil)
	}
	r.sw.Quiesce() // the turn in hand may have begun before
	r.sw.Quiesce()
}

// round measures everything once.
func (r *run) round(ctx context.Context) error {
	known, err := r.cycles(ctx, 0, &load{})
	if err != nil {
		return err
	}
	quiet, err := r.separate(ctx, known, false)
	if err != nil {
		return err
	}
	flooded, err := r.separate(ctx, known, true)
	if err != nil {
		return err
	}
	mixed, err := r.mixed(ctx)
	if err != nil {
		return err
	}
	fresh, err := r.cycles(ctx, 1, &load{fresh: allFresh}) // where known flows are not
	if err != nil {
		return err
	}
	add := func(to *[]float64, v float64) { *to = append(*to, v) }
	add(&r.result.KnownCycles, known)
	add(&r.result.NewFlowCycles, fresh)
	add(&r.result.QuietLoss, quiet.loss())
	add(&r.result.FloodLoss, flooded.loss())
	add(&r.result.FloodOffered, flooded.perSecond(flooded.flooded))
	add(&r.result.FloodSetUp, flooded.perSecond(flooded.misses))
	add(&r.result.MixedRate, mixed.perSecond(mixed.received)*known/float64(r.TSCHz))
	add(&r.result.MixedSetUp, mixed.perSecond(mixed.misses))
	// What was sent and began no flow was of a known one.
	add(&r.result.MixedLoss, share(int64(mixed.all.known)-int64(mixed.all.sent)+int64(mixed.all.misses), mixed.all.known))
	add(&r.result.KnownEvicted, float64(mixed.evicted))
	return nil
}

// cycles of a packet when one queue alone has this load.
func (r *run) cycles(ctx context.Context, queue int, l *load) (float64, error) {
	d, err := r.during(ctx, func() { r.offer(queue, l) }, func(d *reading) bool {
		return d.received > 0 && (d.misses > 0 || l.fresh == 0)
	})
	if err != nil {
		return 0, err
	}
	return float64(d.cycles) / float64(d.received), nil
}

// separate offers known flows at half of what the worker can do, with or without a flood on the other queue.
func (r *run) separate(ctx context.Context, knownCycles float64, flooded bool) (delta, error) {
	return r.during(ctx, func() {
		if flooded {
			r.offer(1, &load{fresh: allFresh})
		}
		r.offer(0, &load{interval: uint64(2 * knownCycles * (1 << 16))})
	}, func(d *reading) bool {
		return d.known > 0 && (d.flooded > 0 && d.misses > 0 || !flooded)
	})
}

// mixed puts both into one queue, and looks afterwards whether all known flows are still known.
func (r *run) mixed(ctx context.Context) (delta, error) {
	d, err := r.during(ctx, func() { r.offer(0, &load{fresh: allFresh / 2}) }, func(d *reading) bool {
		return d.known > 0 && d.misses > 0
	})
	if err != nil {
		return d, err
	}
	every := uint64(len(r.source.queues[0].frames))
	after, err := r.during(ctx, func() { r.offer(0, &load{}) }, func(d *reading) bool { return d.known >= every })
	d.evicted = after.all.misses
	return d, err
}

// during sets a load, waits until it is all there is, measures until the window is over and the worker has done enough,
// which on a busy machine may come later, and ends the load.
func (r *run) during(ctx context.Context, set func(), enough func(*reading) bool) (d delta, err error) {
	idle := r.read()
	set()
	defer r.quiet()
	if err := wait(ctx, settling); err != nil {
		return d, err
	}
	before := r.read() // the end of a turn, so that the next one has the load
	if err := wait(ctx, r.Window); err != nil {
		return d, err
	}
	d = delta{reading: r.read().minus(before), tscHz: r.TSCHz}
	for deadline := time.Now().Add(r.Patience); !enough(&d.reading); d.reading = r.read().minus(before) {
		if time.Now().After(deadline) {
			return d, fmt.Errorf("in %s there was nothing to measure: %s: %w", r.Window+r.Patience, &d.reading, measure.ErrNoPackets)
		}
		if err := wait(ctx, settling); err != nil {
			return d, err
		}
	}
	r.quiet()
	d.all = r.read().minus(idle)
	return d, nil
}

// reading is what counts, between two turns of the worker.
type reading struct {
	cycles                  uint64 // time stamp
	received, sent, dropped uint64 // of all sources
	misses                  uint64
	offered, lost, known    uint64 // of the first queue; lost: no place in its ring
	refused                 uint64 // of the first port
	flooded                 uint64 // received on the second port
	turns                   uint64 // of the worker
	replays                 uint64 // of the known flows of every queue
}

// String says what the worker did, for errors.
func (c *reading) String() string {
	return fmt.Sprintf("in %d turns the worker took %d packets, set up %d flows, sent %d packets and dropped %d",
		c.turns, c.received, c.misses, c.sent, c.dropped)
}

// read looks at the end of a turn, for which it waits: only then has the worker told all.
func (r *run) read() (c reading) {
	r.sw.Quiesce()
	for i, name := range r.Plan.Sources {
		p, _ := r.sw.PortCounters(r.Plan.Index(name))
		c.received += p.RxPackets
		c.sent += p.Sent
		c.dropped += p.Dropped
		switch i {
		case 0:
			c.refused = p.Dropped
		case 1:
			c.flooded = p.RxPackets
		}
	}
	c.cycles = r.Clock()
	for _, w := range r.sw.Workers() {
		c.turns += w.Iterations
		for _, q := range w.Queues {
			c.misses += q.Misses
		}
	}
	s := &r.source.queues[0].stats
	c.offered, c.lost, c.known = s.offered.Load(), s.lost.Load(), s.known.Load()
	c.replays = r.source.replays()
	return c
}

func (c reading) minus(b reading) reading {
	return reading{c.cycles - b.cycles, c.received - b.received, c.sent - b.sent, c.dropped - b.dropped, c.misses - b.misses,
		c.offered - b.offered, c.lost - b.lost, c.known - b.known, c.refused - b.refused, c.flooded - b.flooded,
		c.turns - b.turns, c.replays - b.replays}
}

// delta is what happened in a window; all is the same from before the load to after it.
type delta struct {
	reading
	all     reading
	tscHz   uint64
	evicted uint64
}

func (d *delta) perSecond(n uint64) float64 {
	return float64(n) / float64(d.cycles) * float64(d.tscHz)
}

// loss of the first queue: what its ring could not hold, and what was refused.
func (d *delta) loss() float64 { return share(int64(d.lost+d.refused), d.offered) }

func share(part int64, whole uint64) float64 { return float64(max(part, 0)) / float64(max(whole, 1)) }

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Package vmq compares the modes of dynamic VMQ: dynamic, static and off, under loads that change by themselves.
//
// The switch is the real agent with real workers and its balancer; the load comes by sequence ports, inside the workers,
// so that a machine with two cores has two workers under full load. Each receive queue brings packets at a rate of its own
// into a ring of the size that NICs have; what does not fit is missed, as a NIC would, and all that is fetched is numbered
// and must arrive, in order.
package vmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/sequence"
	"github.com/sluicenet/sluice/policy"
)

// Spec says what to run, on what.
type Spec struct {
	Profile  *profile.Profile // with a load
	Modes    []string
	Driver   func(pool agent.Pool) (agent.Driver, error)
	Cores    []int          // one worker each; -1: wherever
	Lead     time.Duration  // under the first load before the mode is applied: queues are where they began
	Every    time.Duration  // between two points of the series
	Limits   map[string]any // dataplane.vmq of mode dynamic
	Capacity float64        // packets a second of one worker, 0: measured
	Log      *slog.Logger
	Progress func(text string)
}

// Times of a run.
const (
	patience  = 30 * time.Second // until every stream has arrived once
	warmup    = 300 * time.Millisecond
	calibrate = 700 * time.Millisecond
)

// Run measures all modes of a profile. What was complete when ctx ended stays.
func Run(ctx context.Context, spec Spec) (*Scenario, error) {
	p := spec.Profile
	if len(p.Load) == 0 || len(spec.Cores) < 2 || len(spec.Modes) == 0 || spec.Every <= 0 || spec.Lead <= 0 {
		return nil, fmt.Errorf("profile %s with %d phases of load, %d workers, %d modes: want a load, two workers, a mode, and times above zero",
			p.Name, len(p.Load), len(spec.Cores), len(spec.Modes))
	}
	s := &Scenario{Profile: *p, Workers: len(spec.Cores), Lead: spec.Lead, CapacityMPPS: spec.Capacity / mega}
	if spec.Capacity == 0 {
		err := spec.with(ctx, func(r *run) (err error) {
			spec.Capacity, err = r.capacity(ctx)
			return err
		})
		if err != nil {
			return s, fmt.Errorf("what one worker forwards: %w", err)
		}
		s.CapacityMPPS = spec.Capacity / mega
		spec.say("one worker forwards %.2f Mpps of %s", s.CapacityMPPS, p.Name)
	}
	for _, mode := range spec.Modes {
		err := spec.with(ctx, func(r *run) error {
			one, err := r.measure(ctx, mode)
			if one != nil {
				s.Runs = append(s.Runs, one)
				spec.say("%s: %s", p.Name, one)
			}
			return err
		})
		if err != nil {
			return s, fmt.Errorf("%s, mode %s: %w", p.Name, mode, err)
		}
	}
	return s, nil
}

const mega = 1e6

func (s *Spec) say(format string, args ...any) {
	if s.Progress != nil {
		s.Progress(fmt.Sprintf(format, args...))
	}
}

// run is a switch under load.
type run struct {
	*Spec
	site    *site
	net     *sequence.Net
	agent   *agent.Agent
	running *ModeRun
	made    time.Time
}

// PoolFor is the packet pool that a profile takes.
func PoolFor(p *profile.Profile, workers int) (agent.Pool, error) {
	_, config, err := begin(newSite(p, workers))
	if err != nil {
		return agent.Pool{}, err
	}
	return agent.PoolFor(config, workers), nil
}

// begin is the configuration that leaves all queues where they began.
func begin(s *site) (text []byte, config *policy.Config, err error) {
	text, err = s.config(policy.VMQOff, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	if config, err = policy.Parse("vmq", text); err != nil {
		return nil, nil, fmt.Errorf("the configuration of the profile: %w", err)
	}
	return text, config, nil
}

// with runs a switch with all queues where they began, and lets all streams through once.
func (s *Spec) with(ctx context.Context, do func(*run) error) (err error) {
	r := &run{Spec: s, site: newSite(s.Profile, len(s.Cores))}
	text, config, err := begin(r.site)
	if err != nil {
		return err
	}
	pool := agent.PoolFor(config, len(s.Cores))
	real, err := s.Driver(pool)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, real.Close()) }()
	streams, err := r.site.streams()
	if err != nil {
		return err
	}
	if r.net, err = sequence.New(sequence.Config{Ports: r.site.ports(), Streams: streams, TSCHz: real.TSCHz()}); err != nil {
		return err
	}
	r.agent, err = agent.New(agent.Options{Config: config, File: "vmq", YAML: text, Driver: &driver{Driver: real, net: r.net}, Cores: s.Cores, Pool: pool, Log: s.Log})
	if err != nil {
		return err
	}
	if err := r.agent.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.agent.Stop()) }()
	balancing, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { r.agent.Balance(balancing); close(ended) }()
	defer func() { cancel(); <-ended }()
	return do(r)
}

// capacity is what one worker forwards with all queues at it, each at full rate.
func (r *run) capacity(ctx context.Context) (float64, error) {
	if err := r.apply(ctx, policy.VMQStatic, make([]int, len(r.site.queues)), nil); err != nil {
		return 0, err
	}
	for deadline := time.Now().Add(patience); !r.allAt(0); {
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("the queues are not at worker 0 after %s", patience)
		}
		if err := wait(ctx, time.Millisecond); err != nil {
			return 0, err
		}
	}
	if err := r.net.Start(ctx, patience); err != nil {
		return 0, err
	}
	defer r.net.Stop()
	if err := wait(ctx, warmup); err != nil {
		return 0, err
	}
	began, before := time.Now(), r.net.Totals().Arrived
	if err := wait(ctx, calibrate); err != nil {
		return 0, err
	}
	return float64(r.net.Totals().Arrived-before) / time.Since(began).Seconds(), nil
}

func (r *run) allAt(worker int) bool {
	queues := 0
	for _, w := range r.agent.Switch().Workers() {
		for _, q := range w.Queues {
			if r.loaded(r.agent.Running().PortName(q.Port)) {
				if w.ID != worker {
					return false
				}
				queues++
			}
		}
	}
	return queues == len(r.site.queues)
}

// loaded reports that a port's queues bring a load.
func (r *run) loaded(port string) bool {
	for _, q := range r.site.queues {
		if q.port == port {
			return true
		}
	}
	return false
}

func (r *run) apply(ctx context.Context, mode string, at []int, limits map[string]any) error {
	text, err := r.site.config(mode, at, limits)
	if err == nil {
		_, err = r.agent.Apply(ctx, "vmq", text, false)
	}
	return err
}

// measure runs all phases in a mode.
func (r *run) measure(ctx context.Context, mode string) (one *ModeRun, err error) {
	one = &ModeRun{Mode: mode, Began: time.Now()}
	r.running = one
	load := r.Profile.Load
	if err := r.net.Start(ctx, patience); err != nil {
		return nil, err
	}
	defer func() {
		r.net.Stop()
		one.Totals = r.net.Totals()
		one.Incidents, _ = r.net.Incidents()
		r.history()
		one.summarise(r.Lead, load)
		if err == nil && !one.Totals.OK() {
			err = fmt.Errorf("packets were lost, reordered or changed: %s", &one.Totals)
		}
	}()
	if err := r.pace(load[0]); err != nil {
		return one, err
	}
	if err := wait(ctx, warmup); err != nil { // what streams left in the rings at full rate is gone
		return one, err
	}
	r.made = time.Now()
	if err := r.record(ctx, r.Lead, 0, load[0].Offered()); err != nil {
		return one, err
	}
	var at []int
	if mode == policy.VMQStatic {
		at = byHand(load[0].VMs, len(r.Cores))
	}
	var limits map[string]any
	if mode == policy.VMQDynamic {
		limits = r.Limits
	}
	if err := r.apply(ctx, mode, at, limits); err != nil {
		return one, err
	}
	end := r.Lead
	for i, phase := range load {
		if err := r.pace(phase); err != nil {
			return one, err
		}
		end += phase.For
		if err := r.record(ctx, end, i+1, phase.Offered()); err != nil {
			return one, err
		}
	}
	return one, nil
}

func (r *run) pace(p profile.Phase) error {
	for i, q := range r.site.queues {
		if err := r.net.Pace(q.port, q.number, p.VMs[i]*r.Capacity); err != nil {
			return err
		}
	}
	return nil
}

// record takes points until so long after the beginning of the lead.
func (r *run) record(ctx context.Context, end time.Duration, phase int, offered float64) error {
	last := r.look()
	for {
		left := end - time.Since(r.made)
		if left <= 0 {
			return nil
		}
		if err := wait(ctx, min(r.Every, left)); err != nil {
			return err
		}
		now := r.look()
		point := now.since(&last)
		point.At, point.Phase, point.OfferedMPPS = now.at.Sub(r.made).Seconds(), phase, offered*r.Capacity/mega
		r.running.Points = append(r.running.Points, point)
		last = now
	}
}

// look is all counters at a moment.
type look struct {
	at              time.Time
	arrived, missed uint64
	workers         []workerTime
}

type workerTime struct{ busy, idle uint64 }

func (r *run) look() look {
	l := look{at: time.Now(), arrived: r.net.Totals().Arrived}
	for _, q := range r.site.queues {
		_, missed := r.net.Brought(q.port, q.number)
		l.missed += missed
	}
	for _, w := range r.agent.Switch().Workers() {
		l.workers = append(l.workers, workerTime{w.BusyCycles, w.IdleCycles})
	}
	return l
}

func (l *look) since(before *look) (p Point) {
	seconds := l.at.Sub(before.at).Seconds()
	p.MPPS = float64(l.arrived-before.arrived) / seconds / mega
	p.MissedMPPS = float64(l.missed-before.missed) / seconds / mega
	for i, w := range l.workers {
		busy, idle := float64(w.busy-before.workers[i].busy), float64(w.idle-before.workers[i].idle)
		p.Busy = append(p.Busy, busy/max(busy+idle, 1))
	}
	return p
}

// history takes over what the balancer did.
func (r *run) history() {
	events, _ := r.agent.Balancer().History()
	for i := len(events) - 1; i >= 0; i-- {
		e := &events[i]
		m := Move{At: e.At.Sub(r.made).Seconds(), Kind: e.Kind.String(), Queue: fmt.Sprintf("%s/%d", e.Port, e.Queue.Queue), From: e.From, To: e.To, Cause: e.Cause.String(),
			Reason: e.Reason, Error: e.Err, Expected: e.Expected, TookUs: float64(e.Took.Nanoseconds()) / 1e3}
		if e.Measured {
			m.Measured, m.PacketsRatio = &e.Gain, &e.PacketsRatio
		}
		r.running.Moves = append(r.running.Moves, m)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Package soak runs a switch under full load for long, while its configuration changes every second, and proves that
// nothing of what the changes do not name is lost, reordered or altered.
//
// The switch is the real agent with real workers. The ports that stay are sequence ports: their packets are made and
// checked inside the worker (package sequence). The ports that come, go and change are the driver's.
package soak

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/benchmarks/sequence"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/policy"
)

// Spec says what to run, on what.
type Spec struct {
	Shape
	Driver    func(c *policy.Config, pool agent.Pool) (agent.Driver, error) // for the ports that change
	Cores     []int                                                         // one worker each; -1: wherever
	Namespace string                                                        // for the changing taps; "": the process's own
	Duration  time.Duration
	Every     time.Duration // between changes of the configuration
	Moves     time.Duration // between two moves of a stream's receive queue to another worker; 0: none
	Rate      string        // of the uplink's scheduler, as in a configuration; "": it has none
	Burst     int           // of the sequence ports; 0: their default
	Seed      uint64        // of the changes
	Log       *slog.Logger
	Progress  func(r *Result, packetsPerSecond float64) // now and then, with the rate since then; nil: silence
}

const (
	patience      = 30 * time.Second // until every stream has arrived once
	progressEvery = time.Second
)

// soak is one run.
type soak struct {
	Spec
	site   *site
	net    *sequence.Net
	driver agent.Driver
	agent  *agent.Agent
	other  *neighbour
	rand   *rand.Rand
	result *Result
	took   []time.Duration

	reported time.Time
}

// Run soaks. The result is what was seen until the end, also with an error; it is marked as partial when ctx ended it.
func Run(ctx context.Context, spec Spec) (*Result, error) {
	if len(spec.Cores) == 0 || spec.Duration <= 0 || spec.Every <= 0 {
		return nil, fmt.Errorf("%d workers for %s, changes every %s: want at least one worker, and times above zero", len(spec.Cores), spec.Duration, spec.Every)
	}
	if spec.Moves < 0 || spec.Moves > 0 && len(spec.Cores) < 2 {
		return nil, fmt.Errorf("moves every %s among %d workers: want two workers at least, and a time above zero", spec.Moves, len(spec.Cores))
	}
	spec.Outputs, spec.Queues = len(spec.Cores), len(spec.Cores)
	if err := spec.check(); err != nil {
		return nil, err
	}
	s := &soak{Spec: spec, site: newSite(spec.Shape, spec.Rate), other: full(), rand: rand.New(rand.NewPCG(spec.Seed, 0))}
	s.result = &Result{Shape: spec.Shape, Workers: len(spec.Cores), Planned: spec.Duration, Every: spec.Every, Rate: spec.Rate, Kinds: map[string]int{}, Began: time.Now()}
	if err := s.start(ctx); err != nil {
		s.result.Partial = true
		return s.result, err
	}
	err := s.run(ctx)
	s.finish(err)
	return s.result, errors.Join(err, s.agent.Stop(), s.driver.Close(), s.result.Err())
}

// start runs the agent with everything there, and lets the streams through.
func (s *soak) start(ctx context.Context) (err error) {
	text := s.site.config(s.other, s.Namespace)
	config, err := policy.Parse("soak", text)
	if err != nil {
		return fmt.Errorf("the configuration of the soak: %w", err)
	}
	pool := agent.PoolFor(config, len(s.Cores))
	if s.driver, err = s.Driver(config, pool); err != nil {
		return err
	}
	streams, err := s.site.streams()
	if err == nil {
		s.net, err = sequence.New(sequence.Config{Ports: s.ports(), Streams: streams, TSCHz: s.driver.TSCHz(), Burst: s.Burst, Window: s.window()})
	}
	if err != nil {
		return errors.Join(err, s.driver.Close())
	}
	s.agent, err = agent.New(agent.Options{Config: config, File: "soak", YAML: text, Driver: &driver{Driver: s.driver, net: s.net}, Cores: s.Cores, Pool: pool, Log: s.Log})
	if err == nil {
		err = s.agent.Start(ctx)
	}
	if err != nil {
		return errors.Join(err, s.driver.Close())
	}
	if err := s.net.Start(ctx, patience); err != nil {
		return errors.Join(err, s.agent.Stop(), s.driver.Close())
	}
	return nil
}

// window is few enough packets for the lanes between two workers and the queues of a scheduler, where there are such.
func (s *soak) window() int {
	if s.Rate == "" {
		return 0
	}
	return dataplane.LaneSize / 2
}

func (s *soak) ports() []sequence.Port {
	ports := []sequence.Port{{Name: uplinkName, RxQueues: s.Queues, TxQueues: s.Outputs, Hops: s.site.hops()}}
	for i := range s.site.vms {
		ports = append(ports, sequence.Port{Name: s.site.vms[i].name, RxQueues: 1, TxQueues: 1})
	}
	return ports
}

// run changes the configuration until the time is over, or a change fails.
func (s *soak) run(ctx context.Context) error {
	began := time.Now()
	s.result.Began, s.reported = began, began
	changes, progress := time.NewTicker(s.Every), time.NewTicker(progressEvery)
	defer changes.Stop()
	defer progress.Stop()
	moves := time.NewTicker(max(s.Moves, time.Millisecond))
	defer moves.Stop()
	if s.Moves == 0 {
		moves.Stop()
	}
	s.result.Decisions = s.decisions()
	defer func() { s.result.Decisions = s.decisions() - s.result.Decisions }()
	end := time.NewTimer(s.Duration)
	defer end.Stop()
	defer func() { s.result.Took = time.Since(began) }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return nil
		case <-progress.C:
			s.result.Took = time.Since(began)
			s.report()
		case <-moves.C:
			if err := s.move(); err != nil {
				return err
			}
		case <-changes.C:
			if err := s.change(ctx); err != nil {
				return err
			}
		}
	}
}

// move lets another worker have one of the receive queues that streams come in by.
func (s *soak) move() error {
	type place struct {
		port   uint32
		queue  uint16
		worker int
	}
	var all []place
	workers, running := s.agent.Switch().Workers(), s.agent.Running()
	for _, w := range workers {
		for _, q := range w.Queues {
			if s.net.Named(running.PortName(q.Port)) {
				all = append(all, place{q.Port, q.Queue, w.ID})
			}
		}
	}
	at := all[s.rand.IntN(len(all))]
	before := time.Now()
	if err := s.agent.Switch().MoveQueue(at.port, at.queue, other(s.rand, at.worker, len(workers)-1)); errors.Is(err, dataplane.ErrHangs) { // on a busy machine a worker may lack its core for longer than a move waits
		s.result.MovesRefused++
		return nil
	} else if err != nil {
		return fmt.Errorf("move %d: %w", s.result.Moves+1, err)
	}
	s.result.Moves++
	s.result.MoveMax = max(s.result.MoveMax, time.Since(before))
	return nil
}

// decisions is how often a flow was new, or decided again.
func (s *soak) decisions() (n uint64) {
	s.agent.Switch().Quiesce()
	for _, w := range s.agent.Switch().Workers() {
		for _, q := range w.Queues {
			n += q.Misses
		}
	}
	return n
}

// change applies the next configuration.
func (s *soak) change(ctx context.Context) error {
	kinds := s.other.step(s.result.Applies, s.rand)
	text := s.site.config(s.other, s.Namespace)
	before := time.Now()
	res, err := s.agent.Apply(context.WithoutCancel(ctx), "soak", text, false)
	if err != nil {
		return fmt.Errorf("change %d (%v): %w", s.result.Applies+1, kinds, err)
	}
	s.took = append(s.took, time.Since(before))
	s.result.Applies++
	s.result.Changes += len(res.Changes)
	for _, k := range kinds {
		s.result.Kinds[k]++
	}
	return nil
}

func (s *soak) report() {
	if s.Progress != nil {
		before, arrived := s.reported, s.result.Totals.Arrived
		s.reported, s.result.Totals = time.Now(), s.net.Totals()
		s.result.summarise(s.took)
		s.Progress(s.result, float64(s.result.Totals.Arrived-arrived)/s.reported.Sub(before).Seconds())
	}
}

// finish lets what is under way arrive, and draws the sum.
func (s *soak) finish(err error) {
	s.net.Stop()
	s.result.Totals = s.net.Totals()
	s.result.Incidents, s.result.MoreIncidents = s.net.Incidents()
	s.result.Partial = err != nil
	s.result.summarise(s.took)
}

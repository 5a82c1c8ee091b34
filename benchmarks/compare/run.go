package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

// Contender is something that is measured.
type Contender interface {
	// Name is how results call it.
	Name() string
	// Available reports why it cannot take part, nil if it can.
	Available() error
	// Run starts it, measures it and ends it. Nothing of it is left when Run returns, also when ctx has ended. What is
	// complete then is returned with the error.
	Run(ctx context.Context, job Job) (measure.Sample, error)
}

// Chooser is a contender that makes sense for some profiles only.
type Chooser interface {
	Contender
	// Takes reports whether it takes part in a scenario.
	Takes(p *profile.Profile) bool
}

// Job is one sample to be taken.
type Job struct {
	Plan        *traffic.Plan
	Files       map[string]string // pcaps by source
	Dir         string            // empty, for this run of the contender alone
	Core        int               // to be measured
	ControlCore int               // for everything else
	Warmup      time.Duration
	Windows     int
	Window      time.Duration
	Clock       measure.Clock
}

// Options of Run.
type Options struct {
	Plans      []*traffic.Plan
	Contenders []Contender
	Rounds     int
	Retries    int           // how often a sample is taken again when other programs had the core meanwhile
	Pause      time.Duration // before that
	Job        Job           // what is the same for all; Plan, Files and Dir are filled in
	Seconds    float64
	Dir        string // scratch
	Progress   io.Writer
	// Keep is called with the result after every sample, so that nothing is lost however the run ends.
	Keep func(*Result) error
	// Busy watches the machine during a sample.
	Busy func() func() *measure.Busy

	again int // how often any sample may still be taken again
}

// On a machine that is never quiet a run must end too: a share of all samples may be taken again.
const (
	retryShare    = 0.125
	fewestRetries = 10
)

// MinRounds is what a result must have to say something about spread.
const MinRounds = 5

// Run lets the contenders take turns: all of them in every round, each round beginning with another one, so that what
// drifts on the machine hits all alike. A contender that cannot take part is named in the result, and the rest goes on.
func Run(ctx context.Context, o Options, result *Result) error {
	contenders := o.available(result)
	if len(contenders) == 0 {
		return errors.New("nobody to compare: see above")
	}
	o.again = max(fewestRetries, int(retryShare*float64(len(o.Plans)*len(contenders)*o.Rounds)))
	for _, plan := range o.Plans {
		dir := filepath.Join(o.Dir, fmt.Sprintf("%s-%d", plan.Profile.Name, plan.Profile.Flows))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make a folder for the replays: %w", err)
		}
		files, err := plan.WriteSources(dir)
		if err != nil {
			return err
		}
		fmt.Fprintf(o.Progress, "%s\n", &plan.Profile)
		takers := taking(contenders, &plan.Profile)
		for round := 1; round <= o.Rounds; round++ {
			for i := range takers {
				if err := o.turn(ctx, result, plan, files, round, takers[(i+round-1)%len(takers)]); err != nil {
					return err
				}
			}
		}
	}
	result.Complete()
	return o.Keep(result)
}

// taking are the contenders that make sense for a profile.
func taking(all []Contender, p *profile.Profile) (some []Contender) {
	for _, c := range all {
		if chooser, chooses := c.(Chooser); !chooses || chooser.Takes(p) {
			some = append(some, c)
		}
	}
	return some
}

func (o *Options) available(result *Result) (some []Contender) {
	for _, c := range o.Contenders {
		if err := c.Available(); err != nil {
			result.Missing[c.Name()] = err.Error()
			fmt.Fprintf(o.Progress, "%s does not take part: %v\n", c.Name(), err)
			continue
		}
		some = append(some, c)
	}
	return some
}

// turn takes one sample, again while others disturb it. Only an end of the whole run is an error.
func (o *Options) turn(ctx context.Context, result *Result, plan *traffic.Plan, files map[string]string, round int, c Contender) error {
	var best measure.Sample
	var bestErr error
	for try := 0; ; try++ {
		sample, err := o.sample(ctx, plan, files, c)
		o.report(round, &sample, err)
		if try == 0 || (err == nil && (bestErr != nil || sample.Waited < best.Waited)) {
			best, bestErr = sample, err
		}
		if ctx.Err() != nil || err != nil || !sample.Disturbed() || try == o.Retries || o.again <= 0 {
			break
		}
		o.again--
		fmt.Fprintf(o.Progress, "    again in %s\n", o.Pause)
		select {
		case <-ctx.Done():
		case <-time.After(o.Pause):
		}
		if ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() != nil {
		result.Partial = fmt.Sprintf("interrupted in round %d of %s with %d flows, at %s", round, plan.Profile.Name, plan.Profile.Flows, c.Name())
		bestErr = nil // what ended it is said
	}
	result.Add(plan, round, best, bestErr)
	return errors.Join(ctx.Err(), o.Keep(result))
}

// sample lets a contender run once.
func (o *Options) sample(ctx context.Context, plan *traffic.Plan, files map[string]string, c Contender) (measure.Sample, error) {
	job := o.Job
	job.Plan, job.Files = plan, files
	length := plan.Profile.Duration
	if o.Seconds > 0 {
		length = time.Duration(o.Seconds * float64(time.Second))
	}
	job.Window = length / time.Duration(job.Windows)
	var err error
	if job.Dir, err = os.MkdirTemp(o.Dir, c.Name()+"-"); err != nil {
		return measure.Sample{Contender: c.Name()}, fmt.Errorf("make a folder for %s: %w", c.Name(), err)
	}
	busy := o.Busy()
	sample, err := c.Run(ctx, job)
	sample.Contender = c.Name()
	sample.Busy = busy()
	return sample, err
}

func (o *Options) report(round int, s *measure.Sample, err error) {
	others := ""
	if s.Disturbed() {
		others = fmt.Sprintf("  DISTURBED: others had the core for %.0f %% of the time", 100*s.Waited)
	}
	switch {
	case err != nil:
		fmt.Fprintf(o.Progress, "  round %d of %d  %-14s failed: %v\n", round, o.Rounds, s.Contender, err)
	case len(s.Windows) > 0:
		fmt.Fprintf(o.Progress, "  round %d of %d  %-14s %6.1f cycles/packet  %6.2f Mpps%s\n", round, o.Rounds, s.Contender, s.CyclesPerPacket, s.MPPS, others)
	case s.Jitter != nil:
		fmt.Fprintf(o.Progress, "  round %d of %d  %-14s p99.99 %.1f µs, %.0f gaps over 1 ms a minute%s\n", round, o.Rounds, s.Contender,
			s.Jitter.P9999Ns/1e3, s.Jitter.GapsPerMinute, others)
	}
}

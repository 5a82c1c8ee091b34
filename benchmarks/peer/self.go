package peer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
)

// Self is this program again, as a process of its own, so that every sample begins anew, as those of the peers do.
type Self struct {
	Label   string
	Program string
	Command []string          // its subcommand and further flags
	Refs    map[string]string // how the command line named each profile, by the profile's name; nil when it takes none

	Only func(*profile.Profile) bool // the profiles for which it makes sense; nil: all
}

// SpinName is how results call the loop that does nothing.
const SpinName = "spin"

// Name implements compare.Contender.
func (s *Self) Name() string { return s.Label }

// Available implements compare.Contender.
func (s *Self) Available() error { return nil }

// Takes implements compare.Chooser.
func (s *Self) Takes(p *profile.Profile) bool { return s.Only == nil || s.Only(p) }

// resultPatience is for starting, warming up and cleaning up, beside the measurement.
const resultPatience = time.Minute

// Run implements compare.Contender.
func (s *Self) Run(ctx context.Context, job compare.Job) (measure.Sample, error) {
	file := filepath.Join(job.Dir, compare.ResultFile)
	p, err := start(s.Label, job.Dir, options{}, s.argv(job, file)...)
	if err != nil {
		return measure.Sample{}, err
	}
	timeout := time.NewTimer(job.Warmup + time.Duration(job.Windows)*job.Window + resultPatience)
	defer timeout.Stop()
	var late error
	select {
	case <-p.done:
	case <-ctx.Done():
		late = ctx.Err()
	case <-timeout.C:
		late = fmt.Errorf("%s: no result after %s", s.Label, resultPatience)
	}
	p.stop() // it writes what it has
	sample, err := onlySample(file)
	switch {
	case late != nil:
		return sample, late
	case p.err != nil:
		return sample, p.ended()
	}
	return sample, err
}

func (s *Self) argv(job compare.Job, file string) []string {
	argv := append([]string{s.Program}, s.Command...)
	seconds := (time.Duration(job.Windows) * job.Window).Seconds()
	argv = append(argv, "--core", strconv.Itoa(job.Core), "--seconds", strconv.FormatFloat(seconds, 'f', -1, 64), "--json", file)
	if s.Refs != nil {
		argv = append(argv, "--profile", s.Refs[job.Plan.Profile.Name], "--flows", strconv.Itoa(job.Plan.Profile.Flows),
			"--windows", strconv.Itoa(job.Windows), "--warmup", job.Warmup.String())
	}
	return argv
}

// onlySample reads the one sample of a result.
func onlySample(file string) (measure.Sample, error) {
	r, err := compare.ReadJSON(file)
	if err != nil {
		return measure.Sample{}, err
	}
	for _, s := range r.Scenarios {
		for _, round := range s.Rounds {
			for _, sample := range round.Samples {
				return sample, nil
			}
		}
	}
	return measure.Sample{}, errors.New("the result is empty")
}

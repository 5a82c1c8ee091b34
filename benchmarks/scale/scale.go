// Package scale compares one worker with several, by turns: what a further core brings.
package scale

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/result"
)

// FileName is how a result is called in a folder of results.
const FileName = "scale.json"

// MinRounds make a median and a spread worth their names.
const MinRounds = 5

// Scenario is one traffic with what one worker and several made of it. A round with neighbours that were too loud for one
// of them is taken again, and kept when that does not help.
type Scenario struct {
	Profile string         `json:"profile"`
	Flows   int            `json:"flows"`
	Rounds  []Round        `json:"rounds"`
	One     measure.Spread `json:"oneMpps"`
	Several measure.Spread `json:"severalMpps"`
	Ratio   measure.Spread `json:"ratio"` // of the packet rates, several by one, in each round
}

// Round is one turn of each.
type Round struct {
	One     float64 `json:"oneMpps"`
	Several float64 `json:"severalMpps"`
	Waited  float64 `json:"waited"` // the larger share of a sample in which other programs had a worker's core
}

// Result is all scenarios.
type Result struct {
	Manifest  machine.Manifest `json:"manifest"`
	Began     time.Time        `json:"began"`
	Partial   bool             `json:"partial"`
	Workers   int              `json:"workers"`
	Cores     []int            `json:"cores"`
	Scenarios []*Scenario      `json:"scenarios"`
}

// Take measures with so many workers.
type Take func(ctx context.Context, workers int) (measure.Sample, error)

// Measure adds a scenario of so many rounds. On an error the complete rounds stay.
func (r *Result) Measure(ctx context.Context, profile string, flows, rounds, retries int, take Take) error {
	s := &Scenario{Profile: profile, Flows: flows}
	r.Scenarios = append(r.Scenarios, s)
	defer s.summarise()
	for round := range rounds {
		var best *Round
		for try := 0; try <= retries; try++ {
			one, err := s.round(ctx, round, r.Workers, take)
			if err != nil {
				return fmt.Errorf("%s, %d flows, round %d: %w", profile, flows, round+1, err)
			}
			if best == nil || one.Waited < best.Waited {
				best = one
			}
			if best.Waited < measure.DisturbedFrom {
				break
			}
		}
		s.Rounds = append(s.Rounds, *best)
	}
	return nil
}

// round takes one sample of each; who begins changes from round to round.
func (s *Scenario) round(ctx context.Context, n, workers int, take Take) (*Round, error) {
	r := &Round{}
	order := []int{1, workers}
	if n%2 == 1 {
		order[0], order[1] = order[1], order[0]
	}
	for _, count := range order {
		sample, err := take(ctx, count)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", result.Count(count, "worker"), err)
		}
		if count == 1 {
			r.One = sample.MPPS
		} else {
			r.Several = sample.MPPS
		}
		r.Waited = max(r.Waited, sample.Waited)
	}
	return r, nil
}

func (s *Scenario) summarise() {
	one, several := map[int]float64{}, map[int]float64{}
	for i, r := range s.Rounds {
		one[i], several[i] = r.One, r.Several
	}
	s.One = measure.SpreadOf(measure.Values(s.Rounds, func(r Round) float64 { return r.One }))
	s.Several = measure.SpreadOf(measure.Values(s.Rounds, func(r Round) float64 { return r.Several }))
	s.Ratio = measure.SpreadOf(measure.Ratios(several, one))
}

// String says it in a few lines.
func (r *Result) String() string {
	var b strings.Builder
	for _, s := range r.Scenarios {
		fmt.Fprintf(&b, "%s, %s: 1 worker %.2f Mpps (%.2f to %.2f), %d workers %.2f Mpps (%.2f to %.2f), ratio %.2f (%.2f to %.2f), %s\n",
			s.Profile, result.Count(s.Flows, "flow"), s.One.Median, s.One.Min, s.One.Max, r.Workers, s.Several.Median, s.Several.Min, s.Several.Max,
			s.Ratio.Median, s.Ratio.Min, s.Ratio.Max, result.Count(len(s.Rounds), "round"))
	}
	if r.Partial {
		b.WriteString("PARTIAL: interrupted, or failed\n")
	}
	return b.String()
}

// WriteJSON writes the result to a file.
func (r *Result) WriteJSON(file string) error { return result.WriteJSON(file, r) }

// ReadJSON reads a result.
func ReadJSON(file string) (*Result, error) { return result.ReadJSON[Result](file) }

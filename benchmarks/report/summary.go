// Package report writes results down for people: a table on the terminal, and docs/PERFORMANCE.md.
package report

import (
	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/jitter"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/worker"
)

// Row is what one contender did in all rounds of a scenario.
type Row struct {
	Contender string
	Cycles    measure.Spread // per packet: medians of the rounds
	Best      float64        // cycles per packet of the best window of all
	MPPS      measure.Spread
	Ratio     measure.Spread // our packet rate divided by this one's, round by round; N is 0 for our own
	Turns     *Turns         // nil when its loop was not timed
	Detail    map[string]float64
}

// Turns sums up the loop times of the rounds.
type Turns struct {
	P50Ns, P9999Ns, GapsPerMinute, CollectionsPerMinute, LostShare measure.Spread

	MaxNs   float64
	Seconds float64 // in all rounds together
}

// Rows sums up a scenario. Contenders that move packets come first, each in the order of its first appearance.
func Rows(s *compare.Scenario) (rows []Row) {
	ours := rates(s, worker.Name)
	var timed []Row
	for _, name := range s.Contenders() {
		samples := ordered(s, name)
		row := Row{Contender: name, Turns: turns(samples), Detail: details(samples)}
		moving := samples[:0:0]
		for _, sample := range samples {
			if len(sample.Windows) > 0 {
				moving = append(moving, sample)
			}
		}
		if len(moving) == 0 {
			timed = append(timed, row)
			continue
		}
		row.Cycles = measure.SpreadOf(measure.Values(moving, func(x measure.Sample) float64 { return x.CyclesPerPacket }))
		row.MPPS = measure.SpreadOf(measure.Values(moving, func(x measure.Sample) float64 { return x.MPPS }))
		row.Best = measure.SpreadOf(measure.Values(moving, func(x measure.Sample) float64 { return x.BestCycles })).Min
		if name != worker.Name {
			row.Ratio = measure.SpreadOf(measure.Ratios(ours, rates(s, name)))
		}
		rows = append(rows, row)
	}
	return append(rows, timed...)
}

// ordered gives a contender's samples in the order of the rounds.
func ordered(s *compare.Scenario, contender string) (samples []measure.Sample) {
	byRound := s.Samples(contender)
	for _, round := range s.Rounds {
		if sample, ok := byRound[round.Number]; ok {
			samples = append(samples, sample)
		}
	}
	return samples
}

func rates(s *compare.Scenario, contender string) map[int]float64 {
	byRound := map[int]float64{}
	for round, sample := range s.Samples(contender) {
		byRound[round] = sample.MPPS
	}
	return byRound
}

func turns(samples []measure.Sample) *Turns {
	var all []jitter.Summary
	for _, s := range samples {
		if s.Jitter != nil {
			all = append(all, *s.Jitter)
		}
	}
	if len(all) == 0 {
		return nil
	}
	spread := func(f func(jitter.Summary) float64) measure.Spread { return measure.SpreadOf(measure.Values(all, f)) }
	t := &Turns{
		P50Ns:                spread(func(j jitter.Summary) float64 { return j.P50Ns }),
		P9999Ns:              spread(func(j jitter.Summary) float64 { return j.P9999Ns }),
		GapsPerMinute:        spread(func(j jitter.Summary) float64 { return j.GapsPerMinute }),
		CollectionsPerMinute: spread(func(j jitter.Summary) float64 { return j.CollectionsPerMin }),
		LostShare:            spread(func(j jitter.Summary) float64 { return j.LostShare }),
		MaxNs:                spread(func(j jitter.Summary) float64 { return j.MaxNs }).Max,
	}
	for _, j := range all {
		t.Seconds += j.Seconds
	}
	return t
}

// details are the medians of what contenders say of themselves.
func details(samples []measure.Sample) map[string]float64 {
	values := map[string][]float64{}
	for _, s := range samples {
		for key, v := range s.Detail {
			values[key] = append(values[key], v)
		}
	}
	medians := map[string]float64{}
	for key, v := range values {
		medians[key] = measure.Median(v)
	}
	return medians
}

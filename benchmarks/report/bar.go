package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/measure"
)

// Aim is one target of the bar, and how it is read from a result.
type Aim struct {
	What   string // what is measured
	Bound  Bound
	Figure func(*Evidence) Figure
}

// Bound is a target: a figure that must not be below, or not above.
type Bound struct {
	Above  bool // at least Value, else at most
	Value  float64
	Digits int
	Unit   string // behind the number: " ×", " %"
}

// Figure is what a result says of an aim. Its N is 0 when that was not measured.
type Figure struct {
	measure.Spread

	Note    string // what a reader must know beside the number; may be empty
	Counted bool   // over everything, not sampled round by round
}

// text is the figure as the page writes it. Fewer rounds than a result must have are said.
func (f Figure) text(digits int) string {
	parts := []string{span(f.Spread, digits)}
	if f.N > 0 && f.N < compare.MinRounds && !f.Counted {
		parts = append(parts, fmt.Sprintf("%d of %d rounds", f.N, compare.MinRounds))
	}
	parts = append(parts, f.Note)
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// Verdict says whether an aim is met.
type Verdict string

// Verdicts. An aim is met by the median; a round that missed it is said.
const (
	Met         Verdict = "yes"
	MetByMedian Verdict = "yes, by the median"
	Missed      Verdict = "**no**"
	NotMeasured Verdict = "not measured"
)

// Judge compares a figure with the bound.
func (b Bound) Judge(f Figure) Verdict {
	worst := f.Max
	if b.Above {
		worst = f.Min
	}
	switch {
	case f.N == 0:
		return NotMeasured
	case !b.holds(f.Median):
		return Missed
	case !b.holds(worst):
		return MetByMedian
	}
	return Met
}

func (b Bound) holds(v float64) bool {
	if b.Above {
		return v >= b.Value
	}
	return v <= b.Value
}

// precision is how many digits behind the point a figure needs to be held against the bound; what is counted has none.
func (b Bound) precision() int {
	if b.Digits == 0 {
		return 0
	}
	return max(b.Digits, 2)
}

// String is the target as the page writes it.
func (b Bound) String() string {
	sign := "≤"
	if b.Above {
		sign = "≥"
	}
	return fmt.Sprintf("%s %.*f%s", sign, b.Digits, b.Value, b.Unit)
}

// place is a scenario: a number of flows of one of some profiles, which differ in nothing else. A result from before they
// had rules is about other work, and does not count.
type place struct {
	flows    int
	acls     int
	profiles []string
}

// in finds the scenario; it is empty when it was not measured.
func (p place) in(r *compare.Result) *compare.Scenario {
	for _, s := range r.Scenarios {
		if s.Profile.Flows == p.flows && s.Profile.ACLs == p.acls && slices.Contains(p.profiles, s.Profile.Name) {
			return s
		}
	}
	return &compare.Scenario{}
}

// figureOf reads one number from every sample.
type figureOf func(measure.Sample) float64

func rate(s measure.Sample) float64   { return s.MPPS }
func cycles(s measure.Sample) float64 { return s.CyclesPerPacket }

// byRound gives a contender's figure in every round that has one.
func byRound(s *compare.Scenario, contender string, f figureOf) map[int]float64 {
	values := map[int]float64{}
	for round, sample := range s.Samples(contender) {
		if v := f(sample); v > 0 {
			values[round] = v
		}
	}
	return values
}

// ratio divides the figures of two contenders inside each round of a scenario.
func ratio(where place, a, b string, f figureOf) func(*Evidence) Figure {
	return func(e *Evidence) Figure {
		s := where.in(e.Compare)
		return Figure{Spread: measure.SpreadOf(measure.Ratios(byRound(s, a, f), byRound(s, b, f)))}
	}
}

// ratioToBest is our packet rate over that of the best configuration of Open vSwitch, if more than one was measured.
func ratioToBest(where place) func(*Evidence) Figure {
	return func(e *Evidence) Figure {
		s := where.in(e.Compare)
		rows := Rows(s)
		f := Figure{Spread: bestRatio(rows)}
		if f.N > 0 {
			f.Note = lookUp(best(rows).Contender).short
		}
		return f
	}
}

func configurations(rows []Row) (n int) {
	for _, r := range rows {
		if isOpenVSwitch(r.Contender) && r.Cycles.N > 0 {
			n++
		}
	}
	return n
}

// acrossPlaces divides figures of two scenarios, which do not share rounds: the range is the widest that their rounds allow.
func acrossPlaces(a, b func(*Evidence) measure.Spread) func(*Evidence) Figure {
	return func(e *Evidence) Figure {
		x, y := a(e), b(e)
		if x.N == 0 || y.N == 0 || y.Min <= 0 {
			return Figure{}
		}
		return Figure{Spread: measure.Spread{Median: x.Median / y.Median, Min: x.Min / y.Max, Max: x.Max / y.Min, N: min(x.N, y.N)}}
	}
}

// cyclesAt is what a packet costs us in a scenario.
func cyclesAt(where place) func(*Evidence) measure.Spread {
	return func(e *Evidence) measure.Spread { return spreadOf(byRound(where.in(e.Compare), ours, cycles)) }
}

// ownCyclesAt is that without what the source of the packets costs.
func ownCyclesAt(where place) func(*Evidence) measure.Spread {
	return func(e *Evidence) measure.Spread { return own(where.in(e.Compare)) }
}

// own is what we add to the cost of the source, which is all that testpmd io pays, in the same round.
func own(s *compare.Scenario) measure.Spread {
	source := byRound(s, testpmdIO, cycles)
	left := map[int]float64{}
	for round, v := range byRound(s, ours, cycles) {
		if source[round] > 0 {
			left[round] = v - source[round]
		}
	}
	return spreadOf(left)
}

func spreadOf[K comparable](values map[K]float64) measure.Spread {
	all := make([]float64, 0, len(values))
	for _, v := range values {
		all = append(all, v)
	}
	return measure.SpreadOf(all)
}

// slowTurns compares how long turns of our loop beside garbage take with those of a loop in C, in the same rounds of all
// scenarios.
func slowTurns(e *Evidence) Figure {
	var all []float64
	for _, s := range e.Compare.Scenarios {
		p9999 := func(x measure.Sample) float64 {
			if x.Jitter == nil {
				return 0
			}
			return x.Jitter.P9999Ns
		}
		all = append(all, measure.Ratios(byRound(s, churn, p9999), byRound(s, spin, p9999))...)
	}
	return Figure{Spread: measure.SpreadOf(all)}
}

// gaps compares how often turns of over a millisecond come, in all rounds of all scenarios together: in one round there
// are too few to say anything.
func gaps(e *Evidence) Figure {
	a, aOK := gapsPerMinute(e.Compare, churn)
	b, bOK := gapsPerMinute(e.Compare, spin)
	if !aOK || !bOK {
		return Figure{}
	}
	v := a / b
	switch {
	case a == 0:
		v = 0
	case b == 0:
		v = math.Inf(1)
	}
	return exactly(v, fmt.Sprintf("%.1f a minute beside %.1f", a, b))
}

func gapsPerMinute(r *compare.Result, contender string) (perMinute float64, ok bool) {
	var n int64
	seconds := 0.0
	for _, s := range r.Scenarios {
		for _, sample := range s.Samples(contender) {
			if sample.Jitter != nil {
				n += sample.Jitter.Gaps
				seconds += sample.Jitter.Seconds
			}
		}
	}
	if seconds == 0 {
		return 0, false
	}
	return float64(n) / seconds * 60, true
}

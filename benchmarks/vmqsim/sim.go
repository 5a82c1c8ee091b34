package vmqsim

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sluicenet/sluice/dataplane/vmq"
)

// Names of contenders.
const (
	Static    = "static"
	OVS       = "Open vSwitch"
	OVSTuned  = "Open vSwitch, tuned"
	Sluice    = "sluice"
	SluiceAll = "sluice, all cores"
)

// Contenders in the order of tables.
var Contenders = []string{Static, OVS, OVSTuned, Sluice, SluiceAll}

// reaction is what it takes at least to see a load and to answer it: two samples.
const reaction = 2 * Step

// Threshold is the load above which a worker counts as overloaded: Open vSwitch's own.
const Threshold = 0.95

// Totals is what one contender did in a scenario, after the first minutes.
type Totals struct {
	Contender   string    `json:"contender"`
	MaxLoad     float64   `json:"meanMaxLoad"`        // what the busiest core was asked for, on average over time
	Bound       float64   `json:"meanBound"`          // on average, for the cores that it used
	Ratio       float64   `json:"maxLoadByBound"`     // MaxLoad ÷ Bound
	AboveTime   float64   `json:"timeAbove"`          // share of time in which any core was asked for more than the threshold
	AboveCores  float64   `json:"coreTimeAbove"`      // share of the cores' time
	Lost        float64   `json:"lost"`               // share of the work that was asked for and not done
	Cores       float64   `json:"meanCores"`          // in use
	Moves       float64   `json:"movesPerMinute"`     // on average
	MostMoves   int       `json:"mostMovesInAMinute"` // most in one minute
	LoadSeries  []float64 `json:"loadSeries,omitempty"`
	CoresSeries []float64 `json:"coresSeries,omitempty"`

	asked, done float64
	steps, over int
	overCores   int
	inMinute    int
	movesBefore int
}

// Outcome is a scenario with what everybody made of it.
type Outcome struct {
	Scenario    Scenario  `json:"scenario"`
	Totals      []Totals  `json:"totals"`
	Bound       float64   `json:"meanBound"`   // on all cores
	LPT         float64   `json:"meanLPT"`     // longest queue first in every step, on all cores
	Late        float64   `json:"meanLate"`    // longest queue first in every step, by what was asked 250 ms before
	ByMean      float64   `json:"boundByMean"` // share of time in which the mean makes the bound, not the greatest queue
	FloorAbove  float64   `json:"floorAbove"`  // share of time in which the bound itself is above the threshold
	BoundSeries []float64 `json:"boundSeries,omitempty"`
	NeedSeries  []float64 `json:"needSeries,omitempty"` // cores that all together ask for
	SeriesStep  float64   `json:"seriesStepSeconds,omitempty"`
}

// seriesPoints is how many points a picture has.
const seriesPoints = 240

// Of is what a contender did.
func (o *Outcome) Of(contender string) *Totals {
	return &o.Totals[slices.IndexFunc(o.Totals, func(t Totals) bool { return t.Contender == contender })]
}

func newContender(name string) (contender, error) {
	limits := vmq.DefaultLimits()
	switch name {
	case Static:
		return static{}, nil
	case OVS:
		return newOVS(false, Threshold), nil
	case OVSTuned:
		return newOVS(true, 0.7), nil
	case SluiceAll:
		limits.Lower = 0
	}
	return newOurs(limits)
}

type run struct {
	host   *Host
	who    contender
	totals Totals
}

// Run plays a scenario with all contenders. series asks for what pictures need.
func Run(ctx context.Context, s Scenario, series bool) (*Outcome, error) {
	load := NewLoad(s)
	var runs []*run
	for _, name := range Contenders {
		who, err := newContender(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		r := &run{host: newHost(s, load), who: who, totals: Totals{Contender: name}}
		who.start(r.host)
		runs = append(runs, r)
	}
	out := &Outcome{Scenario: s}
	bins := 1
	if series {
		bins = max(int((s.Time-warmUp)/Step)/seriesPoints, 1)
		out.SeriesStep = (time.Duration(bins) * Step).Seconds()
	}
	steps, behind := 0, late{delay: int(reaction / Step)}
	for at := time.Duration(0); at < s.Time; at += Step {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		load.Next(at)
		count := at >= warmUp
		if count {
			out.observe(load.Demand, s, steps, bins, series)
			out.Late += behind.next(load.Demand, s.Cores)
		}
		for _, r := range runs {
			r.host.Serve(load.Demand)
			if count {
				r.totals.observe(r.host, load.Demand, steps, bins, series)
			}
			if r.who.balance(r.host, at); !count {
				r.totals.movesBefore = r.host.Moves
			}
		}
		if count {
			steps++
		}
	}
	out.finish(runs, steps, bins)
	return out, nil
}

// series points are means over bins of steps.
func addPoint(series *[]float64, v float64, step, bins int) {
	if step%bins == 0 {
		*series = append(*series, 0)
	}
	(*series)[len(*series)-1] += v / float64(bins)
}

func (o *Outcome) observe(demand []float64, s Scenario, step, bins int, series bool) {
	least, byMean := bound(demand, s.Cores)
	o.Bound += least
	o.LPT += longestFirst(demand, s.Cores)
	if byMean {
		o.ByMean++
	}
	if least > Threshold {
		o.FloorAbove++
	}
	if series {
		sum := 0.0
		for _, d := range demand {
			sum += d
		}
		addPoint(&o.BoundSeries, least, step, bins)
		addPoint(&o.NeedSeries, sum, step, bins)
	}
}

func (t *Totals) observe(h *Host, demand []float64, step, bins int, series bool) {
	most := slices.Max(h.Asked)
	used := h.Used()
	least, _ := bound(demand, used)
	t.MaxLoad += most
	t.Bound += least
	t.Cores += float64(used)
	over := 0
	for w, asked := range h.Asked {
		t.asked += asked
		t.done += h.Busy[w]
		if asked > Threshold {
			over++
		}
	}
	if over > 0 {
		t.over++
	}
	t.overCores += over
	if t.steps++; time.Duration(t.steps)*Step%time.Minute == 0 {
		t.MostMoves = max(t.MostMoves, h.Moves-t.movesBefore-t.inMinute)
		t.inMinute = h.Moves - t.movesBefore
	}
	if series {
		addPoint(&t.LoadSeries, most, step, bins)
		addPoint(&t.CoresSeries, float64(used), step, bins)
	}
}

func (o *Outcome) finish(runs []*run, steps, bins int) {
	n := float64(steps)
	o.Late /= n
	o.Bound, o.LPT, o.ByMean, o.FloorAbove = o.Bound/n, o.LPT/n, o.ByMean/n, o.FloorAbove/n
	for _, r := range runs {
		t := &r.totals
		t.MaxLoad, t.Bound, t.Cores = t.MaxLoad/n, t.Bound/n, t.Cores/n
		t.Ratio = t.MaxLoad / t.Bound
		t.AboveTime = float64(t.over) / n
		t.AboveCores = float64(t.overCores) / n / float64(r.host.Cores)
		t.Lost = 1 - t.done/t.asked
		t.Moves = float64(r.host.Moves-t.movesBefore) / (n * Step.Minutes())
		if last := len(t.LoadSeries) - 1; last >= 0 && steps%bins != 0 { // a bin that is not full
			t.LoadSeries, t.CoresSeries = t.LoadSeries[:last], t.CoresSeries[:last]
			o.BoundSeries, o.NeedSeries = o.BoundSeries[:min(last, len(o.BoundSeries))], o.NeedSeries[:min(last, len(o.NeedSeries))]
		}
		t.LoadSeries, t.CoresSeries = rounded(t.LoadSeries), rounded(t.CoresSeries)
		o.Totals = append(o.Totals, *t)
	}
	o.BoundSeries, o.NeedSeries = rounded(o.BoundSeries), rounded(o.NeedSeries)
}

// rounded keeps what a picture shows.
func rounded(series []float64) []float64 {
	for i, v := range series {
		series[i] = math.Round(v*1000) / 1000
	}
	return series
}

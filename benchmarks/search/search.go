// Package search finds the highest load that a device carries with a given loss: NDR with none, PDR with a little. It
// follows MLRsearch (draft-ietf-bmwg-mlrsearch), which is made for machines whose trials do not repeat: a load is judged
// by several trials, of which a share may exceed the loss, and several goals share their trials. It measures nothing
// itself: a function that it is given does.
package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Goal is a loss to search for.
type Goal struct {
	Name      string  `json:"name"`      // NDR, PDR
	LossRatio float64 `json:"lossRatio"` // 0.005 is half a percent
}

// Config of Search. All of it is required.
type Config struct {
	Goals      []Goal
	MinLoad    float64       // packets per second: below it a search gives up
	MaxLoad    float64       // packets per second: what the generator or the link can do
	Resolution float64       // the bounds may differ by this share: 0.005
	Trial      time.Duration // length of a trial
	Trials     int           // that a load is judged by, where they disagree
	Exceed     float64       // share of them that may lose more than the goal: 0.5 is the majority
	MaxTrials  int           // after which the search ends with what it knows
}

// Outcome is what one trial measured.
type Outcome struct {
	Load    float64 `json:"load"`    // packets per second, that the search asked for
	Offered float64 `json:"offered"` // packets per second, that the generator sent
	Sent    uint64  `json:"sent"`
	Lost    uint64  `json:"lost"`
	Stalled float64 `json:"stalled"`         // share of the time for which something else had the generator's core; Offered leaves it out
	P50Ns   float64 `json:"p50Ns,omitempty"` // latency
	P99Ns   float64 `json:"p99Ns,omitempty"`
}

// LossRatio is the lost share.
func (o Outcome) LossRatio() float64 {
	if o.Sent == 0 {
		return 1
	}
	return float64(o.Lost) / float64(o.Sent)
}

// Trial offers a load for a time and says what came of it.
type Trial func(ctx context.Context, load float64, length time.Duration) (Outcome, error)

// Bounds are what the search knows about one goal.
type Bounds struct {
	Goal
	Lower       float64 `json:"lower"` // packets per second: the highest load that meets the goal, below Upper; 0 if none does
	Upper       float64 `json:"upper"` // packets per second: the lowest load that does not; 0 if all do
	Conditional float64 `json:"conditional"`
	Done        bool    `json:"done"` // the bounds are as close as the resolution, or at the end of the range
	AtMax       bool    `json:"atMax,omitempty"`
}

// Result of Search.
type Result struct {
	Bounds []Bounds  `json:"bounds"` // by goal
	Trials []Outcome `json:"trials"` // in their order
	// GeneratorLimit is the load that the generator could not exceed, packets per second; 0 if it was never asked for
	// more than it can.
	GeneratorLimit float64 `json:"generatorLimit,omitempty"`
}

// ErrUnfinished says that the search ended before its bounds were close: the result is partial.
var ErrUnfinished = errors.New("the bounds are not as close as asked for")

const (
	honest     = 0.99 // a trial counts when the generator offered this share of the load
	maxStalled = 0.5  // and had its core for the rest of the time
	offerTries = 5    // after so many trials in a row that fell short, the generator is taken to be the limit
	growth     = 4    // how much faster than the resolution a step away from a single bound grows
)

// Check finds impossible values.
func (c Config) Check() error {
	switch {
	case len(c.Goals) == 0:
		return errors.New("search: no goal: name a loss, 0 for NDR")
	case c.MinLoad <= 0 || c.MaxLoad < c.MinLoad:
		return fmt.Errorf("search: loads from %g to %g packets per second: the least has to be above 0, and not above the greatest", c.MinLoad, c.MaxLoad)
	case c.Resolution < 0.0001 || c.Resolution > 0.5:
		return fmt.Errorf("search: resolution %g: choose 0.0001 to 0.5 (0.01 to 50 %%)", c.Resolution)
	case c.Trial <= 0 || c.Trials < 1 || c.MaxTrials < 1:
		return fmt.Errorf("search: %d trials of %s, %d in all: choose at least one of each, and a time above zero", c.Trials, c.Trial, c.MaxTrials)
	case c.Exceed < 0 || c.Exceed >= 1:
		return fmt.Errorf("search: %g of the trials may exceed the loss: choose 0 up to, but not including, 1", c.Exceed)
	}
	for _, g := range c.Goals {
		if g.LossRatio < 0 || g.LossRatio >= 1 {
			return fmt.Errorf("search: goal %s: loss of %g %%: choose 0 up to, but not including, 100", g.Name, 100*g.LossRatio)
		}
	}
	return nil
}

// run is a search under way.
type run struct {
	Config
	trial    Trial
	loads    loads
	result   *Result
	observer func(Outcome)
	proven   float64 // the highest load that the generator offered
}

// Search finds the bounds of all goals. observe, if not nil, sees each trial. The result is never nil: when ctx ends,
// a trial fails, or MaxTrials are used up, it holds what is known, and the error says why it is partial.
func Search(ctx context.Context, c Config, trial Trial, observe func(Outcome)) (*Result, error) {
	r := &run{Config: c, trial: trial, result: &Result{}, observer: observe}
	if r.observer == nil {
		r.observer = func(Outcome) {}
	}
	if err := c.Check(); err != nil {
		return r.result, err
	}
	err := r.search(ctx)
	for _, g := range c.Goals {
		r.result.Bounds = append(r.result.Bounds, r.bounds(g))
	}
	return r.result, err
}

func (r *run) search(ctx context.Context) error {
	// What comes through at the highest load is a good guess at what can.
	first, err := r.measure(ctx, r.MaxLoad)
	if err != nil {
		return err
	}
	guess := first.Offered * (1 - first.LossRatio())
	for i := len(r.Goals) - 1; i >= 0; i-- { // goals that allow more have higher bounds, which stand for the stricter ones too
		for {
			load, done := r.next(r.Goals[i], guess)
			if done {
				break
			}
			if _, err := r.measure(ctx, load); err != nil {
				return err
			}
		}
		guess = r.bounds(r.Goals[i]).Lower
	}
	return nil
}

// next says which load to measure for a goal.
func (r *run) next(g Goal, guess float64) (load float64, done bool) {
	if load, undecided := r.loads.undecided(r.Config, g); undecided {
		return load, false
	}
	b := r.bounds(g)
	if b.Done {
		// An upper bound comes from a few bad trials, which a neighbour on the machine may have spoilt: ask it again.
		if u := r.loads.at(b.Upper); u != nil && !u.confirmed(r.Config) {
			return u.load, false
		}
		return 0, true
	}
	switch {
	case b.Upper == 0 && b.Lower == 0:
		return r.clamp(guess), false
	case b.Upper == 0:
		return r.clamp(b.Lower * r.step(b.Lower, true)), false
	case b.Lower == 0:
		if inside := r.clamp(guess); inside < b.Upper*(1-r.Resolution/2) && r.loads.at(inside) == nil {
			return inside, false
		}
		return r.clamp(b.Upper / r.step(b.Upper, false)), false
	}
	// The middle, by ratio: loads differ by shares.
	return math.Sqrt(b.Lower * b.Upper), false
}

// step grows with the number of steps that went the same way, so that a wrong guess is left behind quickly.
func (r *run) step(from float64, up bool) float64 {
	n := r.loads.beyond(from, up)
	return math.Min(2, math.Pow(1+r.Resolution*growth, math.Pow(2, float64(n))))
}

func (r *run) clamp(load float64) float64 { return min(max(load, r.MinLoad), r.MaxLoad) }

// measure makes one valid trial: one in which the generator did what it was asked for.
func (r *run) measure(ctx context.Context, load float64) (Outcome, error) {
	var short []Outcome // in which the generator offered less
	stalls := 0
	for range offerTries {
		if err := ctx.Err(); err != nil {
			return Outcome{}, err
		}
		if len(r.result.Trials) >= r.MaxTrials {
			return Outcome{}, fmt.Errorf("%w after %d trials", ErrUnfinished, r.MaxTrials)
		}
		o, err := r.trial(ctx, load, r.Trial)
		if err != nil {
			return Outcome{}, err
		}
		o.Load = load
		r.result.Trials = append(r.result.Trials, o)
		r.observer(o)
		if o.Stalled > maxStalled {
			stalls++
			continue
		}
		if o.Offered >= load*honest {
			r.proven = max(r.proven, load)
			r.loads.add(load, o)
			return o, nil
		}
		short = append(short, o)
	}
	if stalls > 0 {
		return Outcome{}, fmt.Errorf("%w: in %d of %d trials something else had the generator's core for most of the time: give it one that is free", ErrUnfinished, stalls, offerTries)
	}
	if load <= r.proven {
		return Outcome{}, fmt.Errorf("%w: the generator offered %.0f packets per second before, and now not %.0f: the machine is too busy", ErrUnfinished, r.proven, load)
	}
	slices.SortFunc(short, func(a, b Outcome) int { return cmp.Compare(a.Offered, b.Offered) })
	able := short[len(short)/2]
	if able.Offered < r.MinLoad {
		return Outcome{}, fmt.Errorf("asked for %.0f packets per second, the generator sent %.0f, less than the search begins with: lower the load, or give the generator a core that is free", load, able.Offered)
	}
	// This is what there is: the range ends here, and what was sent counts at the rate at which it was.
	r.MaxLoad = max(r.proven, min(r.MaxLoad, able.Offered))
	r.result.GeneratorLimit = r.MaxLoad
	for _, o := range short {
		r.loads.add(r.MaxLoad, o)
	}
	return able, nil
}

func (r *run) bounds(g Goal) Bounds {
	b := Bounds{Goal: g}
	lower, upper := r.loads.bounds(r.Config, g)
	if upper != nil {
		b.Upper = upper.load
	}
	if lower != nil {
		b.Lower, b.Conditional = lower.load, lower.conditional(r.Config)
	}
	b.AtMax = upper == nil && lower != nil && lower.load >= r.MaxLoad
	atMin := lower == nil && upper != nil && upper.load <= r.MinLoad
	near := lower != nil && upper != nil && (b.Upper-b.Lower)/b.Upper <= r.Resolution
	b.Done = b.AtMax || atMin || near
	return b
}

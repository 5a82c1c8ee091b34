package report

import (
	"errors"
	"fmt"
	"image/color"
	"slices"
	"strings"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
)

// Chart is a picture of what a packet costs each contender: a group of bars for each scenario.
type Chart struct {
	title, subtitle string
	groups          []group
	legend          []series
	limit           float64 // of the axis; a longer bar is cut
}

// group is a scenario.
type group struct {
	name string
	bars []bar
}

type bar struct {
	series
	cycles measure.Spread
	label  string
}

// series are the bars of one colour.
type series struct {
	name string
	fill color.Color
}

// bestSeries is Open vSwitch in its best configuration, whichever that is.
var bestSeries = series{"Open vSwitch, best of three", lookUp(noEMC).fill}

// cutFrom is how many times as long as our longest bar the axis is at most: one that goes on for ever leaves nothing to
// see of the others.
const cutFrom = 3

// NewChart lays out the chart of a result, with every scenario and contender.
func NewChart(r *compare.Result) (*Chart, error) { return newChart(r, drawn) }

// NewSummary lays out a smaller one, of what most people want to know: the same work as Open vSwitch, and what testpmd says
// is the limit. A result without such scenarios has no smaller one.
func NewSummary(r *compare.Result) (*Chart, error) {
	main := *r
	main.Scenarios = slices.DeleteFunc(slices.Clone(r.Scenarios), func(s *compare.Scenario) bool {
		p := &s.Profile
		return len(s.Samples(ovs)) == 0 || p.FrameBytes != usualBytes || p.ACLs > usualACLs || p.Flows > mostFlows
	})
	if len(main.Scenarios) == 0 {
		return NewChart(r)
	}
	return newChart(&main, func(rows []Row) []Row {
		return slices.DeleteFunc(drawn(rows), func(r Row) bool { return r.Contender == bare || r.Contender == testpmdMacswap })
	})
}

// mostFlows is up to where scenarios are in the summary.
const mostFlows = 100_000

// newChart draws the rows that choose gives.
func newChart(r *compare.Result, choose func([]Row) []Row) (*Chart, error) {
	all := rounds(r)
	c := &Chart{title: "What a packet costs one core, in cycles of its clock: fewer is better",
		subtitle: fmt.Sprintf("%s, %.1f GHz, devices in memory, frames of %d bytes if nothing else is said. Bar: median of %d rounds. Whisker: all rounds.\n"+
			"× behind Open vSwitch: how many times its packets sluice moves in the same time.", r.CPU, r.TSCHz/1e9, usualBytes, all)}
	if r.Partial != "" {
		c.title = "INCOMPLETE: " + c.title
	}
	longest, slowest := 0.0, 0.0
	shown := map[series]bool{}
	for _, s := range r.Scenarios {
		g := group{name: groupName(&s.Profile)}
		rows := Rows(s)
		for _, row := range choose(rows) {
			b := newBar(row, all, configurations(rows) > 1 && row.Contender == best(rows).Contender)
			g.bars = append(g.bars, b)
			longest = max(longest, b.cycles.Max)
			if row.Contender == ours {
				slowest = max(slowest, b.cycles.Max)
			}
			shown[b.series] = true
		}
		if len(g.bars) > 0 {
			c.groups = append(c.groups, g)
		}
	}
	if len(c.groups) == 0 {
		return nil, errors.New("draw chart: nobody moved a packet in this result")
	}
	for _, o := range contenders {
		for _, k := range []series{{o.short, o.fill}, bestSeries} {
			if shown[k] && (k != bestSeries || o.name == ovs) {
				c.legend = append(c.legend, k)
			}
		}
	}
	c.limit = longest
	if slowest > 0 {
		c.limit = min(longest, cutFrom*slowest)
	}
	return c, nil
}

// usualBytes is the size of frames that names leave out.
const usualBytes = 64

// groupName says on two lines what the traffic is: what the switch does, and how many flows there are.
func groupName(p *profile.Profile) string {
	name := strings.Replace(kind(p), fmt.Sprintf(", %d bytes", usualBytes), "", 1)
	if i := strings.LastIndex(name, ", "+thousands(p.Flows)+" flows"); i >= 0 {
		name = name[:i] + "\n" + name[i+2:]
	}
	return name
}

// drawn are the rows that get a bar. Who moves no packets or only copies has none, nor has the worker beside garbage, which
// is about the garbage. Of Open vSwitch there is the default, and the best if that is another.
func drawn(rows []Row) (some []Row) {
	chosen := best(rows).Contender
	for _, r := range rows {
		switch {
		case r.Cycles.N == 0, slices.Contains([]string{churn, memcpy, memcpyRAM}, r.Contender):
		case isOpenVSwitch(r.Contender) && r.Contender != ovs && r.Contender != chosen:
		default:
			some = append(some, r)
		}
	}
	slices.SortStableFunc(some, func(a, b Row) int { return rank(a.Contender) - rank(b.Contender) })
	return some
}

// newBar labels a row. best says that it is Open vSwitch at its best of several.
func newBar(r Row, rounds int, best bool) bar {
	c := lookUp(r.Contender)
	b := bar{series{c.short, c.fill}, r.Cycles, fmt.Sprintf("%.0f", r.Cycles.Median)}
	if isOpenVSwitch(r.Contender) && r.Contender != ovs {
		b.series = bestSeries
	}
	var notes []string
	switch {
	case best && r.Contender == ovs:
		notes = append(notes, "also the best")
	case b.series == bestSeries:
		notes = append(notes, strings.TrimPrefix(c.short, "Open vSwitch, "))
	}
	if r.Cycles.N < rounds {
		notes = append(notes, fmt.Sprintf("%d of %d rounds", r.Cycles.N, rounds))
	}
	if r.Ratio.N > 0 && isOpenVSwitch(r.Contender) {
		b.label += fmt.Sprintf("   %.1f×", r.Ratio.Median)
	}
	if len(notes) > 0 {
		b.label += "   (" + strings.Join(notes, ", ") + ")"
	}
	return b
}

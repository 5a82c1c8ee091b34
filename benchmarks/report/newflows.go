package report

import (
	"fmt"
	"io"

	"github.com/sluicenet/sluice/benchmarks/flood"
	"github.com/sluicenet/sluice/benchmarks/measure"
)

// floodFile is how a result of a flood is called in a folder of results.
const floodFile = "flood.json"

// flooded reads one figure of every round of a flood.
func flooded(values func(*flood.Result) []float64, unit float64) func(*Evidence) Figure {
	return func(e *Evidence) Figure {
		if e.Flood == nil {
			return Figure{}
		}
		return Figure{Spread: measure.SpreadOf(measure.Values(values(e.Flood), func(v float64) float64 { return v * unit }))}
	}
}

// floodLoss is what known flows lose beside a flood on another queue, in the rounds that were quiet without it, percent.
func floodLoss(e *Evidence) Figure {
	if e.Flood == nil {
		return Figure{}
	}
	var lost []float64
	for i, v := range e.Flood.FloodLoss {
		if i < len(e.Flood.QuietLoss) && e.Flood.QuietLoss[i] <= flood.Quiet {
			lost = append(lost, 100*v)
		}
	}
	f := Figure{Spread: measure.SpreadOf(lost)}
	if noisy := len(e.Flood.FloodLoss) - len(lost); noisy > 0 {
		f.Note = fmt.Sprintf("without %d rounds that lost packets before the flood began", noisy)
	}
	return f
}

// evictions are all known flows that all rounds of a flood drove out of the table.
func evictions(e *Evidence) Figure {
	if e.Flood == nil || len(e.Flood.KnownEvicted) == 0 {
		return Figure{}
	}
	sum := 0.0
	for _, n := range e.Flood.KnownEvicted {
		sum += n
	}
	return exactly(sum, fmt.Sprintf("in %d rounds", len(e.Flood.KnownEvicted)))
}

// floodSection says what new flows cost, and what a flood of them does to known ones.
func floodSection(w io.Writer, e *Evidence) {
	r := e.Flood
	if r == nil {
		return
	}
	fmt.Fprintf(w, `## New flows

One worker; the traffic of profile %s is made inside it, so that it can be offered at any rate, and lost where it finds no
place in a ring of 1,024 packets. At most %d %% of the worker go to new flows and other slow work
(dataplane.slowPathShare). %d rounds; other programs had the core for %.1f %% of the time. %s

`, r.Profile, r.Share, len(r.KnownCycles), 100*r.Waited, when(e, &r.Manifest))
	if r.Partial != "" {
		fmt.Fprintf(w, "**These figures are not complete: %s.**\n\n", r.Partial)
	}
	rows := [][]string{{"flood", "what", "figure"}}
	line := func(flood, what string, values []float64, unit float64, digits int) {
		rows = append(rows, []string{flood, what, span(measure.SpreadOf(measure.Values(values, func(v float64) float64 { return v * unit })), digits)})
	}
	line("none", "cycles of a packet of a known flow", r.KnownCycles, 1, 1)
	line("", "cycles of a packet that begins a flow, through all layers", r.NewFlowCycles, 1, 0)
	line("", "known flows at half of what the worker can do: lost, %", r.QuietLoss, 100, 3)
	line("on a queue of its own, without end", "the same known flows: lost, %", r.FloodLoss, 100, 3)
	line("", "flows set up a second", r.FloodSetUp, 1, 0)
	line("every other packet of the same queue", "packets received, the refused ones among them, ÷ those without a flood", r.MixedRate, 1, 2)
	line("", "flows set up a second", r.MixedSetUp, 1, 0)
	line("", "known flows evicted", r.KnownEvicted, 1, 0)
	table(w, rows)
}

// Package schedpeer keeps what the scheduler of uplinks costs beside DPDK's librte_sched. The measurement itself is the
// generator's command sched: it needs DPDK.
package schedpeer

import (
	"fmt"
	"io"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/result"
)

// FileName is how the result is called in a folder of results.
const FileName = "sched.json"

// Result is what one run measured, in cycles of the time stamp counter a packet, by round.
type Result struct {
	Vports        int              `json:"vports"`
	Depth         int              `json:"depth"`
	Packets       uint64           `json:"packets"`
	Manifest      machine.Manifest `json:"manifest"`
	Partial       string           `json:"partial,omitempty"`
	Standing      Rounds           `json:"standingCycles"`
	Drained       Rounds           `json:"drainedCycles"`
	ClassError    Rounds           `json:"classShareError"` // the worst class, as a part of its share; measured once
	VportError    Rounds           `json:"vportShareError"` // the worst vport
	StandingRatio []float64        `json:"standingRateRatio"`
	DrainedRatio  []float64        `json:"drainedRateRatio"`
}

// Rounds are values of both contenders.
type Rounds struct {
	Sluice []float64 `json:"sluice"`
	DPDK   []float64 `json:"librte_sched"`
}

// ReadJSON reads what WriteJSON of package result wrote.
func ReadJSON(file string) (*Result, error) { return result.ReadJSON[Result](file) }

// Print writes it for a person.
func (r *Result) Print(w io.Writer) {
	if r.Partial != "" {
		fmt.Fprintf(w, "PARTIAL: %s\n", r.Partial)
	}
	fmt.Fprintf(w, "%d vports, 8 classes, packets of 64 bytes; medians of %s, the least and the greatest\n", r.Vports, result.Count(len(r.Drained.DPDK), "round"))
	result.PrintTable(w, func(w io.Writer) {
		fmt.Fprintln(w, "\tsluice\tlibrte_sched\trate ratio")
		line := func(what string, v Rounds, unit float64, ratios []float64) {
			cell := func(v []float64, unit float64, format string) string {
				s := measure.SpreadOf(v)
				return fmt.Sprintf(format+" ("+format+" to "+format+")", s.Median*unit, s.Min*unit, s.Max*unit)
			}
			ratio := ""
			if ratios != nil {
				ratio = cell(ratios, 1, "%.2f")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", what, cell(v.Sluice, unit, "%.1f"), cell(v.DPDK, unit, "%.1f"), ratio)
		}
		line(fmt.Sprintf("cycles/packet, %d waiting for each vport", r.Depth), r.Standing, 1, r.StandingRatio)
		line("cycles/packet, drained", r.Drained, 1, r.DrainedRatio)
		line("worst class off its share, %", r.ClassError, 100, nil)
		line("worst vport off its share, %", r.VportError, 100, nil)
	})
}

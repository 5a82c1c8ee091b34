package flood

import (
	"fmt"
	"io"

	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/result"
)

// Print writes a result for a terminal: medians of the rounds, with the least and the greatest in brackets.
func (r *Result) Print(w io.Writer) {
	if r.Partial != "" {
		fmt.Fprintf(w, "PARTIAL: %s\n", r.Partial)
	}
	fmt.Fprintf(w, "profile %s, slowPathShare %d%%, %s; others had the core for %.1f %% of the time\n", r.Profile, r.Share,
		result.Count(len(r.KnownCycles), "round"), 100*r.Waited)
	result.PrintTable(w, r.table)
	noisy := r.disturbed()
	if noisy > 0 {
		fmt.Fprintf(w, "WARNING: %d of %s lost more than %g %% of the known flows' packets without a flood, because other programs had the core: what such rounds lose says nothing about the flood\n",
			noisy, result.Count(len(r.QuietLoss), "round"), 100*Quiet)
	}
	if noisy == 0 && r.Waited >= measure.DisturbedFrom {
		fmt.Fprintln(w, "WARNING: other programs had the core for so long that the figures are not comparable: repeat on a quiet machine")
	}
}

func (r *Result) table(t io.Writer) {
	line := func(what string, values []float64, unit float64, format, mark string) {
		s := measure.SpreadOf(values)
		fmt.Fprintf(t, "%s\t"+format+"\t("+format+" to "+format+")%s\n", what, s.Median*unit, s.Min*unit, s.Max*unit, mark)
	}
	mark := ""
	if noisy := r.disturbed(); noisy > 0 {
		mark = fmt.Sprintf("  DISTURBED: %d of %s", noisy, result.Count(len(r.QuietLoss), "round"))
	}
	line("cycles of a packet of a known flow", r.KnownCycles, 1, "%.1f", "")
	line("cycles of a packet that begins a flow", r.NewFlowCycles, 1, "%.0f", "")
	fmt.Fprintln(t, "known flows at half of what the worker can do, flood on another queue:\t\t")
	line("  lost without the flood, %", r.QuietLoss, 100, "%.3f", mark)
	line("  lost with the flood, %", r.FloodLoss, 100, "%.3f", mark)
	line("  of the flood taken, packets/s", r.FloodOffered, 1, "%.0f", "")
	line("  of the flood set up, flows/s", r.FloodSetUp, 1, "%.0f", "")
	fmt.Fprintln(t, "known and new flows in turns on one queue:\t\t")
	line("  packets received, refused ones counted, ÷ known flows alone", r.MixedRate, 1, "%.3f", "")
	line("  set up, flows/s", r.MixedSetUp, 1, "%.0f", "")
	line("  packets of known flows lost, %", r.MixedLoss, 100, "%.4f", "")
	line("  known flows evicted", r.KnownEvicted, 1, "%.0f", "")
}

// WriteJSON writes the result to a file.
func (r *Result) WriteJSON(file string) error { return result.WriteJSON(file, r) }

// ReadJSON reads a result.
func ReadJSON(file string) (*Result, error) { return result.ReadJSON[Result](file) }

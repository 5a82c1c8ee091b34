package report

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/benchmarks/shaped"
	"github.com/sluicenet/sluice/benchmarks/shares"
)

// costFile is how the result of qos-cost, what a whole worker pays for quality of service, is called in a folder of results.
const costFile = "qos-cost.json"

// What the bar is about: how many vports have packets waiting in each of eight classes, and how many a vport sends in a row.
const (
	costVports = 1000
	costMany   = 10_000
	costRow    = 32
)

// schedulerCost is what a packet costs a worker more with a backlog than without a scheduler, in the same rounds. Only
// vports that send costRow in a row are judged: shorter rows cost more, and stand in the table.
func schedulerCost(vports int) func(*Evidence) Figure {
	return func(e *Evidence) Figure {
		if e.Cost == nil {
			return Figure{}
		}
		for _, c := range e.Cost.Cells {
			if c.Vports == vports && c.Row == costRow && c.Mode == shaped.Backlog {
				return Figure{Spread: measure.SpreadOf(c.More)}
			}
		}
		return Figure{}
	}
}

// readShares reads the results of all profiles of shares that lie beside another result.
func readShares(beside string) (all []*shares.Result, err error) {
	for _, name := range profile.SharesNames() {
		r, err := optional(beside, shares.FileName(name), shares.ReadJSON, func(r *shares.Result) bool { return len(r.Variants) > 0 || r.Partial != "" })
		if err != nil {
			return nil, err
		}
		if r != nil {
			all = append(all, r)
		}
	}
	return all, nil
}

// sharesOf finds the result of a profile that is whole.
func (e *Evidence) sharesOf(name string) *shares.Result {
	i := slices.IndexFunc(e.Shares, func(r *shares.Result) bool { return r.Profile == name && r.Partial == "" })
	if i < 0 {
		return nil
	}
	return e.Shares[i]
}

// worstError is the largest error of any stream of a profile over the whole run, percent.
func worstError(name string) func(*Evidence) Figure {
	return func(e *Evidence) Figure {
		r := e.sharesOf(name)
		if r == nil {
			return Figure{}
		}
		worst, packets := 0.0, uint64(0)
		for i := range r.Variants {
			for j := range r.Variants[i].Streams {
				s := &r.Variants[i].Streams[j]
				worst = max(worst, 100*max(s.Error(), -s.Error()))
				packets += s.Packets
			}
		}
		return exactly(worst, fmt.Sprintf("over %s, %s packets", r.Planned, thousands(int(packets))))
	}
}

// outside counts windows of a profile that were too far from the ideal, percent.
func outside(name string) func(*Evidence) Figure {
	return func(e *Evidence) Figure {
		r := e.sharesOf(name)
		if r == nil {
			return Figure{}
		}
		bad, all := 0, 0
		for i := range r.Variants {
			bad, all = bad+r.Variants[i].Outside, all+r.Variants[i].Windows
		}
		return exactly(100*float64(bad)/float64(max(all, 1)), fmt.Sprintf("%d of %s windows of 100 ms", bad, thousands(all)))
	}
}

// neighbour compares the delay of those who stay within their shares beside a noisy neighbour with that beside a quiet one.
func neighbour(e *Evidence) Figure {
	r := e.sharesOf("qos-noisy-neighbour")
	if r == nil || len(r.Variants) != 2 || len(r.Variants[0].Streams) == 0 || len(r.Variants[1].Streams) == 0 {
		return Figure{}
	}
	quiet, noisy := &r.Variants[0].Streams[0].Delay, &r.Variants[1].Streams[0].Delay
	return exactly(float64(noisy.P99)/float64(max(quiet.P99, 1)), fmt.Sprintf("%s beside %s", microseconds(noisy.P99), microseconds(quiet.P99)))
}

// schedRatio reads rates beside librte_sched.
func schedRatio(drained bool) func(*Evidence) Figure {
	return func(e *Evidence) Figure {
		switch {
		case e.Sched == nil:
			return Figure{}
		case drained:
			return Figure{Spread: measure.SpreadOf(e.Sched.DrainedRatio)}
		}
		return Figure{Spread: measure.SpreadOf(e.Sched.StandingRatio)}
	}
}

func microseconds(ns int64) string { return time.Duration(ns).Round(time.Microsecond).String() }

// qosSection says how shares are kept, and what that costs.
func qosSection(w io.Writer, e *Evidence) {
	if len(e.Shares) == 0 && e.Sched == nil && e.Cost == nil {
		return
	}
	fmt.Fprint(w, "## Quality of service\n\n")
	if len(e.Shares) > 0 {
		fmt.Fprint(w, `What streams get of a link, through a whole worker with a clock of its own (`+"`sluice-pktgen shares`"+`): these figures do not
depend on the machine. The ideal is a fluid. A window of 100 ms of a queue is outside the tolerance when it is off by over 1 %
and over a quantum and two frames; those that begin within 0.2 s of a change of a rate are not counted.

`)
	}
	for _, r := range e.Shares {
		sharesTable(w, e, r)
	}
	schedTable(w, e)
	costTable(w, e)
}

// sharesTable has the picture of a profile, and a line for each stream.
func sharesTable(w io.Writer, e *Evidence, r *shares.Result) {
	fmt.Fprintf(w, "### %s\n\n%s.\n%s\n\n", r.Profile, capital(r.Description), when(e, &r.Manifest))
	if r.Partial != "" {
		fmt.Fprintf(w, "**These figures are not complete: %s.**\n\n", r.Partial)
	}
	if len(r.Variants) == 0 {
		return
	}
	fmt.Fprintf(w, "![What the streams of %s got over time, beside the ideal](img/%s.png)\n\n", r.Profile, r.Profile)
	rows := [][]string{{"run", "stream", "VMs", "each configured", "offered, Mbit/s", "ideal", "measured", "error", "worst 100 ms, kB", "delay p50", "p99", "dropped", "marked"}}
	for i := range r.Variants {
		v := &r.Variants[i]
		for j := range v.Streams {
			s := &v.Streams[j]
			mbit := func(bytes float64) string { return fmt.Sprintf("%.1f", v.Mbit(bytes)) }
			rows = append(rows, []string{v.Name, s.Name, thousands(s.Vports), s.Configured, mbit(s.Offered), mbit(s.Ideal), mbit(s.Measured), shares.Percent(s.Error()),
				fmt.Sprintf("%.1f", s.WorstBytes/1000), microseconds(s.Delay.P50), microseconds(s.Delay.P99), thousands(int(s.Dropped)), thousands(int(s.Marked))})
		}
	}
	table(w, rows)
	for i := range r.Variants {
		v := &r.Variants[i]
		fmt.Fprintf(w, "- %s: %.1f %% of the rate used; %s waited by the median, %s in 99 of 100 looks; %d of %s outside the tolerance;\n  %d packets reordered, %d missing.\n",
			v.Name, 100*v.LinkShare, inKilobytes(v.Depth.P50), inKilobytes(v.Depth.P99), v.Outside, thousands(v.Windows)+" windows", v.Reordered, v.Missing)
	}
	fmt.Fprintln(w)
}

func inKilobytes(bytes int64) string { return fmt.Sprintf("%.0f kB", float64(bytes)/1000) }

func capital(text string) string {
	if text == "" || text[0] < 'a' || text[0] > 'z' {
		return text
	}
	return string(text[0]-'a'+'A') + text[1:]
}

// schedTable is the scheduler beside librte_sched.
func schedTable(w io.Writer, e *Evidence) {
	r := e.Sched
	if r == nil {
		return
	}
	fmt.Fprintf(w, `### Beside librte_sched

Putting packets of 64 bytes in and taking them out again, for %s vports in eight classes, in turns on one core
(`+"`sluice-pktgen sched`"+`; docs/PKTGEN.md says how the two differ). %s.
%s

`, thousands(r.Vports), capital(result.Count(len(r.Drained.DPDK), "round")), when(e, &r.Manifest))
	if r.Partial != "" {
		fmt.Fprintf(w, "**These figures are not complete: %s.**\n\n", r.Partial)
	}
	line := func(what string, ours, theirs []float64, unit float64, digits int, ratio string) []string {
		in := func(values []float64) string {
			return span(measure.SpreadOf(measure.Values(values, func(v float64) float64 { return v * unit })), digits)
		}
		return []string{what, in(ours), in(theirs), ratio}
	}
	table(w, [][]string{{"what", "sluice", "librte_sched", "our rate ÷ its rate"},
		line(fmt.Sprintf("cycles a packet, %d always wait for each vport", r.Depth), r.Standing.Sluice, r.Standing.DPDK, 1, 1, span(measure.SpreadOf(r.StandingRatio), 2)),
		line("cycles a packet, bursts of 64 in and out", r.Drained.Sluice, r.Drained.DPDK, 1, 1, span(measure.SpreadOf(r.DrainedRatio), 2)),
		line("worst class off its share, %", r.ClassError.Sluice, r.ClassError.DPDK, 100, 2, "–"),
		line("worst vport off its share, %", r.VportError.Sluice, r.VportError.DPDK, 100, 2, "–")})
}

// costTable is what a whole worker pays.
func costTable(w io.Writer, e *Evidence) {
	r := e.Cost
	if r == nil {
		return
	}
	fmt.Fprintf(w, `### What a worker pays

Cycles of one worker for a packet of 64 bytes of a known flow into NVGRE, without what makes and takes the packets, in the median
turn (`+"`sluice-pktgen qos-cost`"+`): without a scheduler (off), with one on a link that is half full (open), with packets waiting for
each vport in each of eight classes (backlog), and with a maximum for each vport besides (limited). A vport sends several packets
of a class in a row, or one alone; the bar is about %d in a row, and the fewer they are the more each costs. %s.
%s

`, costRow, capital(result.Count(r.Rounds, "round")), when(e, &r.Manifest))
	if r.Partial != "" {
		fmt.Fprintf(w, "**These figures are not complete: %s.**\n\n", r.Partial)
	}
	fmt.Fprintf(w, "%s\n", r.Markdown())
}

package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/peer"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/worker"
)

// prose is what the page says whatever the figures are.
//
//go:embed prose.md
var prose string

// Markdown writes docs/PERFORMANCE.md. source names the file that the result came from.
func Markdown(r *compare.Result, source string) []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, "# Performance\n\n<!-- Written by `sluice-pktgen report` from %s: run it again rather than changing this page. -->\n\n", source)
	if r.Partial != "" {
		fmt.Fprintf(&w, "**These figures are not complete: %s.**\n\n", r.Partial)
	}
	rounds := 0
	for _, s := range r.Scenarios {
		rounds = max(rounds, len(s.Rounds))
	}
	fmt.Fprintf(&w, `One worker on one core, between a replay and a sink in memory. A cycle is one of the time stamp counter, %.2f GHz here. All
contenders take turns on the same core, %d rounds in one run; a figure is the median of the rounds, with the least and the
greatest in brackets. A ratio is taken inside each round first.

`, r.TSCHz/1e9, rounds)
	headlines(&w, r)
	for _, name := range sortedKeys(r.Missing) {
		fmt.Fprintf(&w, "%s did not take part: %s.\n\n", label(name), r.Missing[name])
	}
	conditions(&w, r)
	for _, s := range r.Scenarios {
		scenario(&w, s)
	}
	noise(&w, r)
	w.WriteString(prose)
	return w.Bytes()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// table writes a table; the first row is its head.
func table(w io.Writer, rows [][]string) {
	for i, row := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(row)))
		}
	}
	fmt.Fprintln(w)
}

// find gives a contender's row; the zero Row when it did not take part.
func find(rows []Row, contender string) Row {
	for _, r := range rows {
		if r.Contender == contender {
			return r
		}
	}
	return Row{}
}

// kind says in a few words what the switch does with the traffic.
func kind(p *profile.Profile) string {
	what := map[profile.Direction]string{profile.Encap: "encapsulation", profile.Decap: "decapsulation", profile.Rewrite: "IP rewrite",
		profile.Local: "local switching", profile.Bridge: "local switching by learned addresses"}[p.Direction]
	size := fmt.Sprintf("%d bytes", p.FrameBytes)
	if p.IMIX != "" {
		size = p.IMIX + " IMIX"
	}
	return fmt.Sprintf("%s, %s, %s flows", what, size, thousands(p.Flows))
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func headlines(w io.Writer, r *compare.Result) {
	rows := [][]string{{"traffic", "sluice, cycles per packet", "Open vSwitch-DPDK", "testpmd io", "packet rate: sluice ÷ Open vSwitch", "cycles: sluice ÷ testpmd"}}
	for _, s := range r.Scenarios {
		all := Rows(s)
		ours, ovs, testpmd := find(all, worker.Name), find(all, peer.OpenVSwitchName), find(all, peer.TestpmdName)
		rows = append(rows, []string{kind(&s.Profile), span(ours.Cycles, 1), span(ovs.Cycles, 1), span(testpmd.Cycles, 1), span(ovs.Ratio, 2),
			span(measure.SpreadOf(invert(measure.Ratios(rates(s, worker.Name), rates(s, peer.TestpmdName)))), 2)})
	}
	table(w, rows)
}

// invert turns ratios of rates into ratios of cycles.
func invert(v []float64) []float64 {
	return measure.Values(v, func(x float64) float64 { return 1 / x })
}

func conditions(w io.Writer, r *compare.Result) {
	fmt.Fprint(w, "## Conditions\n\n")
	cpu := fmt.Sprintf("%s, %d cores", r.CPU, r.Cores)
	if r.VirtualMachine {
		cpu += ", in a virtual machine"
	}
	isolated := "no core is isolated from the scheduler"
	if r.IsolatedCores != "" {
		isolated = "isolated: " + r.IsolatedCores
	}
	source := r.Revision
	if r.Modified {
		source += ", with changes that were not committed"
	}
	rows := [][]string{{"what", "on the machine of these figures"}, {"time", r.Time.Format("2006-01-02 15:04 UTC")}, {"processor", cpu},
		{"measured core", fmt.Sprintf("%d; %s", r.Core, isolated)},
		{"memory", fmt.Sprintf("%d MiB, of which %d in hugepages of 2 MiB", r.MemoryMB, r.HugepagesMB)}, {"kernel", r.Kernel}}
	for _, name := range sortedKeys(r.Versions) {
		rows = append(rows, []string{name, strings.TrimPrefix(r.Versions[name], name+" ")})
	}
	table(w, append(rows, []string{"source", source},
		[]string{"load average of one minute", fmt.Sprintf("%.2f before, %.2f after; what is measured counts as 1", r.Load1, r.LoadAfter)}))
}

func scenario(w io.Writer, s *compare.Scenario) {
	p := &s.Profile
	mix := make([]string, len(p.Protocols))
	for i, share := range p.Protocols {
		mix[i] = fmt.Sprintf("%s %d", strings.ToUpper(share.Protocol), share.Weight)
	}
	title := kind(p)
	fmt.Fprintf(w, "## %s%s\n\nProfile %s: %s. Traffic: %s, %s flows, %s.\n\n", strings.ToUpper(title[:1]), title[1:], p.Name,
		p.Description, p.FrameText(), thousands(p.Flows), strings.Join(mix, " : "))
	all := Rows(s)
	rates := [][]string{{"contender", "cycles per packet", "best window", "Mpps", "packet rate: sluice ÷ this"}}
	loops := [][]string{{"one turn of the loop", "median", "p99.99", "longest", "gaps over 1 ms a minute", "time in turns over 10 µs", "collections a minute"}}
	for _, r := range all {
		if r.Cycles.N > 0 {
			rates = append(rates, []string{label(r.Contender), span(r.Cycles, 1), fmt.Sprintf("%.1f", r.Best), span(r.MPPS, 2), span(r.Ratio, 2)})
		}
		if t := r.Turns; t != nil {
			loops = append(loops, []string{label(r.Contender), nanoseconds(t.P50Ns.Median), nanoseconds(t.P9999Ns.Median), nanoseconds(t.MaxNs),
				span(t.GapsPerMinute, 0), fmt.Sprintf("%.1f %%", 100*t.LostShare.Median), span(t.CollectionsPerMinute, 0)})
		}
	}
	table(w, rates)
	if d := find(all, worker.Name).Detail; d["cyclesInMedianTurn"] > 0 {
		fmt.Fprintf(w, "A turn of our loop that nobody interrupts costs %.1f cycles per packet, %.0f packets at once. Of its look-ups %s found no flow.\n\n",
			d["cyclesInMedianTurn"], d["packetsPerTurn"], share(d["missShare"]))
	}
	table(w, loops)
}

func share(v float64) string {
	if v == 0 {
		return "none"
	}
	return fmt.Sprintf("%.2g %%", 100*v)
}

// noise says what the machine itself did to the figures.
func noise(w io.Writer, r *compare.Result) {
	lost, gaps, widest, steal, waited := 0.0, 0.0, 0.0, 0.0, 0.0
	samples, disturbed, spins := 0, 0, 0
	for _, s := range r.Scenarios {
		for _, row := range Rows(s) {
			if t := row.Turns; t != nil && row.Contender == peer.SpinName {
				spins++
				lost, gaps = max(lost, t.LostShare.Max), max(gaps, t.GapsPerMinute.Max)
			}
			if row.Cycles.N > 1 {
				widest = max(widest, (row.Cycles.Max-row.Cycles.Min)/row.Cycles.Median)
			}
		}
		for _, round := range s.Rounds {
			for _, sample := range round.Samples {
				samples++
				waited = max(waited, sample.Waited)
				if sample.Disturbed() {
					disturbed++
				}
				if sample.Busy != nil {
					steal = max(steal, sample.Busy.Steal)
				}
			}
		}
	}
	fmt.Fprintf(w, `## What the noise is

Between the rounds of one contender the cycles per packet differed by up to %.0f %% of their median. Other programs of this
machine had the measured core for up to %.1f %% of a sample; a sample is taken again, a few times, when that is %.0f %% or more,
and %d of %d samples stayed so. The hypervisor took up to %.1f %% of the core, as far as it tells.
`, 100*widest, 100*waited, 100*measure.DisturbedFrom, disturbed, samples, 100*steal)
	if spins > 0 {
		fmt.Fprintf(w, `A loop in C that only looks at the clock, pinned to the same core in the same rounds, in turns of a microsecond, lost up to
%.1f %% of its time in turns of over 10 µs, with up to %.0f gaps over 1 ms a minute: our worker's are to be read beside it.
`, 100*lost, gaps)
	}
	fmt.Fprintln(w)
}

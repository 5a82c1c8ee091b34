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
)

// prose is what the page says whatever the figures are.
//
//go:embed prose.md
var prose string

// Markdown writes docs/PERFORMANCE.md. source names the file that the result came from, chart the picture, as the page
// links to it.
func Markdown(e *Evidence, source, chart string) []byte {
	r := e.Compare
	var w bytes.Buffer
	fmt.Fprintf(&w, "# Performance\n\n<!-- Written by `sluice-pktgen report` from %s: run it again rather than changing this page. -->\n\n", source)
	if r.Partial != "" {
		fmt.Fprintf(&w, "**These figures are not complete: %s.**\n\n", r.Partial)
	}
	fmt.Fprintf(&w, `One worker on one core, between a replay and a sink in memory. A cycle is one of the time stamp counter, %.2f GHz here. All
contenders take turns on the same core, %d rounds in one run; a figure is the median of the rounds, with the least and the
greatest in brackets. A ratio is taken inside each round first.

![Cycles per packet of every contender, by kind of traffic](%s)

`, r.TSCHz/1e9, rounds(r), chart)
	theBar(&w, e)
	for _, name := range sortedKeys(r.Missing) {
		fmt.Fprintf(&w, "%s did not take part: %s.\n\n", label(name), r.Missing[name])
	}
	costs(&w, r)
	rateTable(&w, r)
	byteTable(&w, r)
	turnTable(&w, r)
	floodSection(&w, e)
	scaleSection(&w, e)
	tcpSection(&w, e)
	queuesSection(&w, e)
	qosSection(&w, e)
	soakSection(&w, e)
	documentSection(&w, e, "Latency on real ports", e.Latency)
	documentSection(&w, e, "Rates on real ports", e.Rates)
	scenarioTable(&w, r)
	reasons(&w)
	conditions(&w, r)
	noise(&w, r)
	w.WriteString(prose)
	return w.Bytes()
}

// rounds is how many there are where there are most.
func rounds(r *compare.Result) (n int) {
	for _, s := range r.Scenarios {
		n = max(n, len(s.Rounds))
	}
	return n
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

// kind says in a few words what the traffic is and what the switch does with it.
func kind(p *profile.Profile) string {
	what := map[profile.Direction]string{profile.Encap: "encapsulation", profile.Decap: "decapsulation", profile.Rewrite: "IP rewrite",
		profile.Local: "local switching", profile.Bridge: "learning bridge"}[p.Direction]
	if p.ACLs > usualACLs {
		what += fmt.Sprintf(", %s rules", thousands(p.ACLs))
	}
	size := fmt.Sprintf("%d bytes", p.FrameBytes)
	if p.IMIX != "" {
		size = p.IMIX + " IMIX"
	}
	text := fmt.Sprintf("%s, %s, %s flows", what, size, thousands(p.Flows))
	if p.NewFlowShare > 0 {
		text += fmt.Sprintf(", %.0f %% of the frames new", 100*p.NewFlowShare)
	}
	return text
}

// usualACLs is how many rules a port has where names say nothing of them.
const usualACLs = 100

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
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

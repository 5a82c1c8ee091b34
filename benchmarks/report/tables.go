package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/measure"
)

// none stands where a contender did not take part.
const none = "–"

// theBar writes what was aimed at, what was measured, and whether that is enough.
func theBar(w io.Writer, e *Evidence) {
	fmt.Fprint(w, "## The bar\n\nWhat the switch has to reach, and what this run says of it. \"By the median\" means that some rounds missed it.\n\n")
	rows := [][]string{{"figure", "of", "target", "measured", "met"}}
	for _, g := range Bar {
		for i, a := range g.Aims {
			title := g.Title
			if i > 0 {
				title = ""
			}
			f := a.Figure(e)
			rows = append(rows, []string{title, a.What, a.Bound.String(), f.text(a.Bound.precision()), string(a.Bound.Judge(f))})
		}
	}
	table(w, rows)
	fmt.Fprint(w, `Two more are tests, which every change must pass: a worker allocates nothing (`+"`dataplane/hotpath_test.go`"+`), and the collector
runs less than twice a minute when the daemon rests with the policy of a server (`+"`cmd/sluiced/rest_test.go`"+`).

`)
}

// reasons writes why the bar is where it is.
func reasons(w io.Writer) {
	fmt.Fprint(w, "## Why these targets\n\n")
	for _, g := range Bar {
		fmt.Fprintf(w, "- %s: %s.\n", g.Title, strings.ReplaceAll(g.Why, "\n", " "))
	}
	fmt.Fprintln(w)
}

// taking lists those of some contenders that took part anywhere, so that no column is empty.
func taking(r *compare.Result, names ...string) (some []string) {
	for _, name := range names {
		if slices.ContainsFunc(r.Scenarios, func(s *compare.Scenario) bool { return len(s.Samples(name)) > 0 }) {
			some = append(some, name)
		}
	}
	return some
}

// costs writes the cycles per packet of everybody.
func costs(w io.Writer, r *compare.Result) {
	fmt.Fprint(w, "## Cycles per packet\n\n")
	columns := taking(r, ours, bare, ovs, testpmdIO, testpmdMacswap)
	head := []string{"traffic"}
	for _, name := range columns {
		head = append(head, lookUp(name).short)
		if name == ovs {
			head = append(head, "Open vSwitch, best of its configurations")
		}
	}
	rows := [][]string{head}
	for _, s := range r.Scenarios {
		all := Rows(s)
		row := []string{kind(&s.Profile)}
		for _, name := range columns {
			row = append(row, cell(find(all, name).Cycles, 1, r))
			if name == ovs {
				row = append(row, bestCell(all, r))
			}
		}
		rows = append(rows, row)
	}
	table(w, rows)
}

// bestCell says what Open vSwitch costs at its best, and with which configuration.
func bestCell(rows []Row, r *compare.Result) string {
	b := best(rows)
	switch {
	case b.Cycles.N == 0:
		return none
	case configurations(rows) == 1:
		return "only this one was measured"
	}
	return strings.TrimPrefix(lookUp(b.Contender).short, "Open vSwitch, ") + ": " + cell(b.Cycles, 1, r)
}

// bestRatio is our packet rate over that of Open vSwitch at its best, if there was a choice.
func bestRatio(rows []Row) measure.Spread {
	if configurations(rows) < 2 {
		return measure.Spread{}
	}
	return best(rows).Ratio
}

// cell is a spread in a table; that rounds are missing is said.
func cell(s measure.Spread, digits int, r *compare.Result) string {
	switch n := rounds(r); {
	case s.N == 0:
		return none
	case s.N < n:
		return fmt.Sprintf("%s, %d of %d rounds", span(s, digits), s.N, n)
	}
	return span(s, digits)
}

// rateTable writes packet rates, and how ours compares.
func rateTable(w io.Writer, r *compare.Result) {
	fmt.Fprint(w, `## Packet rates

Ratios are of packet rates, ours by theirs, if nothing else is said. What the source costs is what testpmd io pays, in the
same round.

`)
	rows := [][]string{{"traffic", "sluice, Mpps", "÷ Open vSwitch, default", "÷ Open vSwitch, best", "cycles: sluice ÷ testpmd io", "cycles without the source's"}}
	for _, s := range r.Scenarios {
		all := Rows(s)
		relative := measure.Ratios(byRound(s, ours, cycles), byRound(s, testpmdIO, cycles))
		rows = append(rows, []string{kind(&s.Profile), cell(find(all, ours).MPPS, 2, r), cell(find(all, ovs).Ratio, 2, r), cell(bestRatio(all), 2, r),
			cell(measure.SpreadOf(relative), 2, r), cell(own(s), 1, r)})
	}
	table(w, rows)
}

// byteTable writes bytes per second where there is a speed of copying to hold them against.
func byteTable(w io.Writer, r *compare.Result) {
	columns := taking(r, ours, ovs, testpmdIO, testpmdMacswap, memcpy, memcpyRAM)
	head := []string{"traffic"}
	for _, name := range columns {
		head = append(head, lookUp(name).short)
	}
	rows := [][]string{head}
	for _, s := range r.Scenarios {
		if len(s.Samples(memcpy)) == 0 {
			continue
		}
		gigabytes := func(x measure.Sample) float64 { return x.MPPS * 1e6 * s.Profile.MeanBytes() / 1e9 }
		row := []string{kind(&s.Profile)}
		for _, name := range columns {
			row = append(row, cell(spreadOf(byRound(s, name, gigabytes)), 2, r))
		}
		rows = append(rows, row)
	}
	if len(rows) == 1 {
		return
	}
	fmt.Fprint(w, `## Large frames, GB/s

Bytes of the VMs' frames without FCS. The replay copies each frame once, whoever reads it, which is why copying the same
frames by itself stands beside: between as many buffers as a worker has in use, and between areas that no cache holds.

`)
	table(w, rows)
}

// turnTable writes how long turns of the loops take.
func turnTable(w io.Writer, r *compare.Result) {
	columns := taking(r, ours, churn, spin)
	if len(columns) == 0 {
		return
	}
	fmt.Fprint(w, `## Turns of the loop

How long one in ten thousand turns takes at least (p99.99), how many take over a millisecond, and how often Go's collector
runs. The loop in C only looks at the clock, in turns of a microsecond: what it shows, the machine does to anybody.

`)
	head := []string{"traffic"}
	for _, what := range []string{"p99.99", "gaps over 1 ms a minute"} {
		for _, name := range columns {
			head = append(head, what+", "+lookUp(name).short)
		}
	}
	rows := [][]string{append(head, "collections a minute beside garbage")}
	for _, s := range r.Scenarios {
		all := Rows(s)
		row := []string{kind(&s.Profile)}
		for _, f := range []func(*Turns) string{
			func(t *Turns) string { return timeSpan(t.P9999Ns) },
			func(t *Turns) string { return span(t.GapsPerMinute, 0) },
		} {
			for _, name := range columns {
				row = append(row, turnCell(find(all, name).Turns, f))
			}
		}
		rows = append(rows, append(row, turnCell(find(all, churn).Turns, func(t *Turns) string { return span(t.CollectionsPerMinute, 0) })))
	}
	table(w, rows)
}

func turnCell(t *Turns, f func(*Turns) string) string {
	if t == nil {
		return none
	}
	return f(t)
}

// timeSpan is a spread of times, ns.
func timeSpan(s measure.Spread) string {
	if s.N < 2 {
		return nanoseconds(s.Median)
	}
	return fmt.Sprintf("%s (%s to %s)", nanoseconds(s.Median), nanoseconds(s.Min), nanoseconds(s.Max))
}

// scenarioTable says what the traffic is, and how our worker took it.
func scenarioTable(w io.Writer, r *compare.Result) {
	fmt.Fprint(w, `## The traffic

`)
	rows := [][]string{{"traffic", "profile", "rules", "protocols", "packets in a turn of ours", "look-ups without a flow", "cycles of a turn that nobody interrupts"}}
	for _, s := range r.Scenarios {
		p := &s.Profile
		mix := make([]string, len(p.Protocols))
		for i, share := range p.Protocols {
			mix[i] = fmt.Sprintf("%s %d", strings.ToUpper(share.Protocol), share.Weight)
		}
		row := []string{kind(p), fmt.Sprintf("%s: %s", p.Name, p.Description), thousands(p.ACLs), strings.Join(mix, " : "), none, none, none}
		if d := find(Rows(s), ours).Detail; d["cyclesInMedianTurn"] > 0 {
			row[4], row[5], row[6] = fmt.Sprintf("%.0f", d["packetsPerTurn"]), share(d["missShare"]), fmt.Sprintf("%.1f", d["cyclesInMedianTurn"])
		}
		rows = append(rows, row)
	}
	table(w, rows)
}

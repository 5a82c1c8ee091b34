package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/measure"
)

// Print writes a result for a terminal.
func Print(w io.Writer, r *compare.Result) {
	if r.Partial != "" {
		fmt.Fprintf(w, "PARTIAL: %s\n", r.Partial)
	}
	for _, s := range r.Scenarios {
		if s.Profile.Name != "" {
			fmt.Fprintf(w, "\n%s\n", &s.Profile)
		}
		t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		rows := Rows(s)
		for i, row := range rows {
			if i == 0 && row.Cycles.N > 0 {
				fmt.Fprintln(t, "\tcycles/packet\tbest\tMpps\tours ÷ this")
			}
			if row.Cycles.N > 0 {
				fmt.Fprintf(t, "%s\t%s\t%.1f\t%s\t%s\n", label(row.Contender), span(row.Cycles, 1), row.Best, span(row.MPPS, 2), span(row.Ratio, 2))
			}
		}
		fmt.Fprintln(t, "\nturn of the loop\tp50\tp99.99\tmax\tgaps > 1 ms a minute\ttime in turns > 10 µs\tcollections a minute")
		for _, row := range rows {
			if j := row.Turns; j != nil {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.1f %%\t%s\n", label(row.Contender), nanoseconds(j.P50Ns.Median), nanoseconds(j.P9999Ns.Median),
					nanoseconds(j.MaxNs), span(j.GapsPerMinute, 0), 100*j.LostShare.Median, span(j.CollectionsPerMinute, 0))
			}
		}
		fmt.Fprintln(t)
		for _, row := range rows {
			if len(row.Detail) > 0 {
				fmt.Fprintf(t, "%s\t%s\n", label(row.Contender), detailText(row.Detail))
			}
		}
		t.Flush()
		printNotes(w, s)
	}
	for name, why := range r.Missing {
		fmt.Fprintf(w, "%s did not take part: %s\n", label(name), why)
	}
}

// detailText writes what a contender says of itself.
func detailText(detail map[string]float64) string {
	keys := make([]string, 0, len(detail))
	for k := range detail {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		keys[i] = fmt.Sprintf("%s %.4g", k, detail[k])
	}
	return strings.Join(keys, ", ")
}

// printNotes writes every note and failure once.
func printNotes(w io.Writer, s *compare.Scenario) {
	said := map[string]bool{}
	say := func(line string) {
		if !said[line] {
			said[line] = true
			fmt.Fprintln(w, line)
		}
	}
	for _, round := range s.Rounds {
		for _, sample := range round.Samples {
			for _, note := range sample.Notes {
				say("note: " + note)
			}
		}
		for _, f := range round.Failures {
			say(fmt.Sprintf("round %d: %s failed: %s", round.Number, label(f.Contender), f.Error))
		}
	}
}

// span is a median with its range, where there is one.
func span(s measure.Spread, digits int) string {
	switch s.N {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%.*f", digits, s.Median)
	}
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, s.Median, digits, s.Min, digits, s.Max)
}

// nanoseconds writes a time with three digits in the unit that fits it.
func nanoseconds(ns float64) string {
	for _, u := range []struct {
		unit string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if ns >= u.ns {
			return threeDigits(ns/u.ns) + " " + u.unit
		}
	}
	return threeDigits(ns) + " ns"
}

func threeDigits(v float64) string {
	if v >= 1000 {
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	}
	return fmt.Sprintf("%.3g", v)
}

package report

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/result"
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
		rows := Rows(s)
		result.PrintTable(w, func(t io.Writer) { printRates(t, rows) })
		result.PrintTable(w, func(t io.Writer) { printTurns(t, rows) })
		for _, row := range rows {
			if len(row.Detail) > 0 {
				fmt.Fprintf(w, "%s: %s\n", label(row.Contender), detailText(row.Detail))
			}
		}
		printNotes(w, s)
	}
	for name, why := range r.Missing {
		fmt.Fprintf(w, "%s did not take part: %s\n", label(name), why)
	}
	printDisturbed(w, r)
}

func printRates(t io.Writer, rows []Row) {
	head, others := "\tcycles/packet\tbest\tMpps", false
	for _, row := range rows {
		others = others || row.Ratio.N > 0
	}
	if others {
		head += "\tours ÷ this"
	}
	for i, row := range rows {
		if row.Cycles.N == 0 {
			continue
		}
		if i == 0 {
			fmt.Fprintln(t, head)
		}
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%s\t%s\n", label(row.Contender), span(row.Cycles, 1), row.Best, span(row.MPPS, 2), span(row.Ratio, 2))
	}
}

func printTurns(t io.Writer, rows []Row) {
	fmt.Fprintln(t, "\nturn of the loop\tp50\tp99.99\tmax\tgaps > 1 ms a minute\ttime in turns > 10 µs\tcollections a minute")
	for _, row := range rows {
		if j := row.Turns; j != nil {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.1f %%\t%s\n", label(row.Contender), nanoseconds(j.P50Ns.Median), nanoseconds(j.P9999Ns.Median),
				nanoseconds(j.MaxNs), span(j.GapsPerMinute, 0), 100*j.LostShare.Median, span(j.CollectionsPerMinute, 0))
		}
	}
	fmt.Fprintln(t)
}

// printDisturbed says how many samples tell more about other programs than about their contenders.
func printDisturbed(w io.Writer, r *compare.Result) {
	disturbed, samples := 0, 0
	for _, s := range r.Scenarios {
		for _, round := range s.Rounds {
			for _, sample := range round.Samples {
				samples++
				if sample.Disturbed() {
					disturbed++
				}
			}
		}
	}
	if disturbed > 0 {
		fmt.Fprintf(w, "WARNING: %d of %d samples disturbed: other programs had the core for %.0f %% of the time or more. They are not comparable: repeat on a quiet machine\n",
			disturbed, samples, 100*measure.DisturbedFrom)
	}
}

// detailTexts says how a figure of Sample.Detail is shown, in this order; a share is written in percent.
var detailTexts = []struct{ key, text string }{
	{"packetsPerTurn", "%.4g packets a turn"},
	{"cyclesInMedianTurn", "%.4g cycles/packet in the median turn"},
	{"ownCyclesPerPacket", "%.4g cycles/packet by its own count"},
	{"flows", "%.0f flows in its table"},
	{"emcShare", "%.4g %% found in the EMC"},
	{"smcShare", "%.4g %% found in the SMC"},
	{"megaflowShare", "%.4g %% found by megaflow"},
	{"missShare", "%.4g %% missed"},
	{"dropShare", "%.4g %% dropped"},
	{"garbagePerSecond", "%.4g bytes of garbage a second"},
	{"bytesPerSecond", "%.4g bytes copied a second"},
	{"turnsPerSample", "one of %.4g turns timed by stage"},
}

const stagePrefix = "stage "

// detailText writes what a contender says of itself.
func detailText(detail map[string]float64) string {
	var parts, stages []string
	known := map[string]bool{}
	for _, d := range detailTexts {
		known[d.key] = true
		v, has := detail[d.key]
		if !has {
			continue
		}
		if strings.HasSuffix(d.key, "Share") {
			v *= 100
		}
		parts = append(parts, fmt.Sprintf(d.text, v))
	}
	for _, key := range slices.Sorted(maps.Keys(detail)) {
		if name, isStage := strings.CutPrefix(key, stagePrefix); isStage {
			stages = append(stages, fmt.Sprintf("%s %.4g", name, detail[key]))
		} else if !known[key] {
			parts = append(parts, fmt.Sprintf("%s %.4g", key, detail[key]))
		}
	}
	text := strings.Join(parts, ", ")
	if len(stages) > 0 {
		text += "; cycles/packet by stage: " + strings.Join(stages, ", ")
	}
	return text
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

package report

import (
	"fmt"
	"io"
	"slices"
)

// twice is the packet rate of two workers by that of one.
func twice(where place) func(*Evidence) Figure {
	return func(e *Evidence) Figure {
		if e.Scale == nil || e.Scale.Workers != 2 {
			return Figure{}
		}
		for _, s := range e.Scale.Scenarios {
			if s.Flows == where.flows && slices.Contains(where.profiles, s.Profile) {
				return Figure{Spread: s.Ratio}
			}
		}
		return Figure{}
	}
}

// scaleSection says what a further worker brings.
func scaleSection(w io.Writer, e *Evidence) {
	r := e.Scale
	if r == nil {
		return
	}
	fmt.Fprintf(w, `## %d workers

%d workers on %d cores, a queue each, beside one, by turns on the same traffic. %s

`, r.Workers, r.Workers, len(r.Cores), when(e, &r.Manifest))
	if r.Partial {
		fmt.Fprint(w, "**These figures are not complete: the run ended before its time.**\n\n")
	}
	rows := [][]string{{"profile", "flows", "one worker, Mpps", fmt.Sprintf("%d workers, Mpps", r.Workers), "ratio"}}
	for _, s := range r.Scenarios {
		rows = append(rows, []string{s.Profile, thousands(s.Flows), span(s.One, 2), span(s.Several, 2), span(s.Ratio, 2)})
	}
	table(w, rows)
}

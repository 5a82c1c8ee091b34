package shaped

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
)

// Result is what rounds of all modes at several numbers of vports said, cycles a packet.
type Result struct {
	Manifest machine.Manifest `json:"manifest"`
	Rounds   int              `json:"rounds"` // that are complete
	Partial  string           `json:"partial,omitempty"`
	Cells    []Cell           `json:"cells"`
}

// Cell is one mode at one number of vports, a value for each round.
type Cell struct {
	Vports  int       `json:"vports"`
	Row     int       `json:"row"`
	Mode    Mode      `json:"mode"`
	Waiting float64   `json:"waiting"` // packets for each vport in each class
	Worker  []float64 `json:"worker"`
	More    []float64 `json:"more"` // than with no scheduler, in the same round
}

// Measure fills in rounds of all modes at all numbers of vports and lengths of rows, one after the other, so that a change of
// the machine meets them alike.
func (r *Result) Measure(ctx context.Context, s Spec, vports, rows []int, rounds int) error {
	for _, n := range vports {
		for _, row := range rows {
			for _, mode := range Modes {
				r.Cells = append(r.Cells, Cell{Vports: n, Row: row, Mode: mode})
			}
		}
	}
	for range rounds {
		off := 0.0
		for i := range r.Cells {
			c := &r.Cells[i]
			s.Vports, s.Row, s.Mode = c.Vports, c.Row, c.Mode
			cost, err := measureOne(ctx, s)
			if err != nil {
				return fmt.Errorf("%d vports, %d packets in a row, %s: %w", c.Vports, c.Row, c.Mode, err)
			}
			if c.Mode == Off {
				off = cost.Worker
			}
			c.Worker, c.More, c.Waiting = append(c.Worker, cost.Worker), append(c.More, cost.Worker-off), cost.Waiting
		}
		r.Rounds++
	}
	return nil
}

func measureOne(ctx context.Context, s Spec) (cost Cost, err error) {
	b, err := New(ctx, s)
	if err != nil {
		return cost, err
	}
	cost, err = b.Run(ctx)
	if closed := b.Close(); err == nil {
		err = closed
	}
	return cost, err
}

func (c *Cell) text() (worker, more string) {
	cell := func(v []float64) string {
		s := measure.SpreadOf(v)
		return fmt.Sprintf("%.1f (%.1f to %.1f)", s.Median, s.Min, s.Max)
	}
	if worker = cell(c.Worker); c.Mode == Off {
		return worker, "-"
	}
	return worker, cell(c.More)
}

// Print writes the result for a terminal.
func (r *Result) Print(w io.Writer) {
	if r.Partial != "" {
		fmt.Fprintf(w, "PARTIAL: %s\n", r.Partial)
	}
	fmt.Fprintf(w, "one worker, packets of 64 bytes; cycles a packet outside of the poll, medians of %d rounds, the least and the greatest\n", r.Rounds)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "vports\tin a row\tquality of service\twaiting in a queue\tworker\tmore than off")
	for i := range r.Cells {
		c := &r.Cells[i]
		if len(c.Worker) == 0 {
			continue
		}
		worker, more := c.text()
		fmt.Fprintf(t, "%d\t%d\t%s\t%.1f\t%s\t%s\n", c.Vports, c.Row, c.Mode, c.Waiting, worker, more)
	}
	t.Flush()
}

// Markdown is the table of the result for a page.
func (r *Result) Markdown() string {
	var t strings.Builder
	t.WriteString("| vports | in a row | quality of service | waiting in a queue | worker | more than off |\n|---|---|---|---|---|---|\n")
	for i := range r.Cells {
		c := &r.Cells[i]
		if len(c.Worker) == 0 {
			continue
		}
		worker, more := c.text()
		fmt.Fprintf(&t, "| %d | %d | %s | %.1f | %s | %s |\n", c.Vports, c.Row, c.Mode, c.Waiting, worker, more)
	}
	return t.String()
}

// ReadJSON reads a result that was written before.
func ReadJSON(file string) (*Result, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	r := new(Result)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read result %s: %w", file, err)
	}
	return r, nil
}

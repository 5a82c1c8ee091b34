package generator

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/search"
)

// Document is what a run leaves behind: the conditions, and what was measured.
type Document struct {
	Manifest machine.Manifest `json:"manifest"`
	Profile  profile.Profile  `json:"profile"`
	Send     []string         `json:"send"` // devices, as they were named
	Receive  []string         `json:"receive,omitempty"`
	Partial  string           `json:"partial,omitempty"`  // why it is not whole
	Warnings []string         `json:"warnings,omitempty"` // why the result may not say what it seems to
	Notes    []string         `json:"notes,omitempty"`
	Result   *Result          `json:"result,omitempty"`
	Search   *search.Result   `json:"search,omitempty"` // instead
}

// WriteJSON writes the document for programs.
func (d *Document) WriteJSON(w io.Writer) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// Print writes it for a person.
func (d *Document) Print(w io.Writer) {
	if d.Partial != "" {
		fmt.Fprintf(w, "PARTIAL: %s\n", d.Partial)
	}
	for _, warning := range d.Warnings {
		fmt.Fprintf(w, "WARNING: %s\n", warning)
	}
	fmt.Fprintf(w, "%s\n%s\n", &d.Profile, d.devices())
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if d.Result != nil {
		d.printResult(t)
	}
	if d.Search != nil {
		printSearch(t, d.Search)
	}
	t.Flush()
	for _, note := range d.Notes {
		fmt.Fprintln(w, "note: "+note)
	}
}

func (d *Document) devices() string {
	if len(d.Receive) == 0 {
		return strings.Join(d.Send, ", ") + " -> nobody looks at what arrives"
	}
	return strings.Join(d.Send, ", ") + " -> " + strings.Join(d.Receive, ", ")
}

// asked is the share of the rate that has to be sent, or something is wrong.
const asked = 0.99

// Shortfall says how far the result stayed below the rate that was asked for, and why; "" when it did not.
func (r *Result) Shortfall() string {
	share := r.OfferedPPS / r.AskedPPS
	if r.AskedPPS == 0 || r.Seconds == 0 || share >= asked {
		return ""
	}
	text := fmt.Sprintf("offered only %s of the rate: ", shareText(share))
	awake := r.Seconds - r.Stalled
	switch {
	case r.Blocked > r.Skipped:
		return text + "the device takes no more"
	case awake > 0 && float64(r.Sent)/awake >= asked*r.AskedPPS:
		return text + "for the rest of the time something else had the generator's core"
	}
	return text + "the generator is the limit"
}

// shareText has two digits that count.
func shareText(share float64) string {
	if share >= 0.1 {
		return fmt.Sprintf("%.0f %%", 100*share)
	}
	return fmt.Sprintf("%.2g %%", 100*share)
}

func (d *Document) printResult(t io.Writer) {
	r := d.Result
	fmt.Fprintf(t, "sent\t%d\t%s in %.2f s, %s on the wire\n", r.Sent, rateText(r.OfferedPPS), r.Seconds, bitsText(r.OfferedBPS))
	if len(d.Receive) > 0 {
		fmt.Fprintf(t, "received\t%d\t%s\n", r.Received, rateText(r.ReceivedPPS))
		fmt.Fprintf(t, "lost\t%d\t%s\n", r.Lost, percentText(r.LossRatio))
		fmt.Fprintf(t, "reordered\t%d\t%s\n", r.Reordered, percentText(ratio(r.Reordered, r.Received)))
		fmt.Fprintf(t, "duplicates\t%d\n", r.Duplicates)
	}
	if r.NewSent > 0 && len(d.Receive) > 0 {
		known, knownReceived := r.Sent-r.NewSent, r.Received-min(r.NewReceived, r.Received)
		fmt.Fprintf(t, "lost of known flows\t%d\t%s\n", known-min(known, knownReceived), percentText(1-ratio(min(known, knownReceived), known)))
		fmt.Fprintf(t, "lost of new flows\t%d\t%s\n", r.NewSent-min(r.NewSent, r.NewReceived), percentText(1-ratio(min(r.NewSent, r.NewReceived), r.NewSent)))
	}
	for _, c := range []struct {
		what string
		n    uint64
	}{{"damaged", r.Damaged}, {"at another port than they were for", r.Astray}, {"of an earlier trial", r.Late}, {"of others", r.Foreign},
		{"refused by the device, and offered again", r.Refused}, {"given up, because the device had no room", r.Blocked},
		{"given up, because the generator was late", r.Skipped}} {
		if c.n > 0 {
			fmt.Fprintf(t, "%s\t%d\n", c.what, c.n)
		}
	}
	if r.Stalled > 0 {
		fmt.Fprintf(t, "stalled\t%s\tof the time something else had the generator's core\n", percentText(r.Stalled/r.Seconds))
	}
	if l := r.Latency; l.Frames > 0 {
		fmt.Fprintf(t, "latency\tmin %s\tp50 %s\tp90 %s\tp99 %s\tp99.9 %s\tmax %s\n", timeText(l.MinNs), timeText(l.P50Ns), timeText(l.P90Ns),
			timeText(l.P99Ns), timeText(l.P999Ns), timeText(l.MaxNs))
	}
}

func printSearch(t io.Writer, r *search.Result) {
	fmt.Fprintln(t, "goal\tloss up to\tcarried\tnot carried\tcomes through\t")
	for _, b := range r.Bounds {
		upper, state := rateText(b.Upper), ""
		switch {
		case b.AtMax:
			upper, state = "-", "the greatest load that was tried"
		case !b.Done:
			state = "not as close as asked for"
		case b.Lower == 0:
			state = "not even the least load was carried"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", b.Name, percentText(b.LossRatio), rateText(b.Lower), upper, rateText(b.Conditional), state)
	}
	fmt.Fprintf(t, "trials\t%d\n", len(r.Trials))
	if r.GeneratorLimit > 0 {
		fmt.Fprintf(t, "the generator sent no more than\t%s\n", rateText(r.GeneratorLimit))
	}
}

// Line says an interval in one line.
func (p Progress) Line(receives bool) string {
	line := fmt.Sprintf("%6s  sent %s", p.At.Round(time.Second/10), rateText(float64(p.Counts.Sent)/p.Interval))
	if !receives {
		return line
	}
	line += fmt.Sprintf("  received %s  missing %d", rateText(float64(p.Counts.Received)/p.Interval), p.Total.Lost())
	if p.Latency.Frames > 0 {
		line += fmt.Sprintf("  latency p50 %s  p99 %s", timeText(p.Latency.P50Ns), timeText(p.Latency.P99Ns))
	}
	return line
}

// TrialLine says one trial of a search in one line.
func TrialLine(o search.Outcome) string {
	line := fmt.Sprintf("load %s  offered %s  lost %s  latency p50 %s  p99 %s", rateText(o.Load), rateText(o.Offered), percentText(o.LossRatio()), timeText(o.P50Ns), timeText(o.P99Ns))
	if o.Stalled > 0 {
		line += "  stalled " + percentText(o.Stalled)
	}
	return line
}

func rateText(pps float64) string {
	switch {
	case pps >= 1e6:
		return fmt.Sprintf("%.3f Mpps", pps/1e6)
	case pps >= 1e3:
		return fmt.Sprintf("%.3f kpps", pps/1e3)
	}
	return fmt.Sprintf("%.0f pps", pps)
}

func bitsText(bps float64) string {
	if bps >= 1e9 {
		return fmt.Sprintf("%.3f Gbit/s", bps/1e9)
	}
	return fmt.Sprintf("%.3f Mbit/s", bps/1e6)
}

// percentText never rounds a loss to none.
func percentText(share float64) string {
	if share > 0 && share < 0.00001 {
		return "<0.001 %"
	}
	return fmt.Sprintf("%.3f %%", 100*share)
}

func timeText(ns float64) string {
	d := time.Duration(ns)
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(10 * time.Nanosecond).String()
}

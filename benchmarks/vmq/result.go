package vmq

import (
	"encoding/csv"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/benchmarks/sequence"
)

// FileName and CSVName are how a result is called in a folder of results.
const (
	FileName = "vmq.json"
	CSVName  = "vmq.csv"
)

// Result is all scenarios.
type Result struct {
	Manifest  machine.Manifest `json:"manifest"`
	Began     time.Time        `json:"began"`
	Partial   bool             `json:"partial"`
	Cores     []int            `json:"cores"`
	Scenarios []*Scenario      `json:"scenarios"`
}

// Scenario is a profile's load in several modes.
type Scenario struct {
	Profile      profile.Profile `json:"profile"`
	Workers      int             `json:"workers"`
	CapacityMPPS float64         `json:"capacityMpps"` // of one worker: the profile's loads are parts of it
	Lead         time.Duration   `json:"leadNs"`
	Runs         []*ModeRun      `json:"runs"`
}

// ModeRun is a mode's.
type ModeRun struct {
	Mode      string              `json:"mode"`
	Began     time.Time           `json:"began"`
	Phases    []Phase             `json:"phases"` // the lead first
	Points    []Point             `json:"points"`
	Moves     []Move              `json:"moves"`
	Totals    sequence.Totals     `json:"totals"`
	Incidents []sequence.Incident `json:"incidents,omitempty"`
}

// Point is what happened since the one before.
type Point struct {
	At          float64   `json:"atSeconds"` // since the beginning of the lead
	Phase       int       `json:"phase"`     // 0: the lead
	OfferedMPPS float64   `json:"offeredMpps"`
	MPPS        float64   `json:"mpps"`
	MissedMPPS  float64   `json:"missedMpps"` // did not fit into the rings
	Busy        []float64 `json:"busy"`       // of each worker, 0 to 1
}

// Phase is what came of a part of the load.
type Phase struct {
	From        float64 `json:"fromSeconds"`
	To          float64 `json:"toSeconds"`
	OfferedMPPS float64 `json:"offeredMpps"`
	MPPS        float64 `json:"mpps"`       // mean of all of it
	SteadyMPPS  float64 `json:"steadyMpps"` // of its last third
	// Settled is how long after its beginning the phase forwarded its steady rate for settledFor, less settledShort.
	Settled float64 `json:"settledSeconds"`
	Moves   int     `json:"moves"`
}

// Move is what the balancer did.
type Move struct {
	At           float64  `json:"atSeconds"`
	Kind         string   `json:"kind"`
	Queue        string   `json:"queue"`
	From         int      `json:"from"`
	To           int      `json:"to"`
	Cause        string   `json:"cause"`
	Reason       string   `json:"reason"`
	Error        string   `json:"error,omitempty"`
	TookUs       float64  `json:"tookMicroseconds"`
	Expected     float64  `json:"expectedGain"`
	Measured     *float64 `json:"measuredGain,omitempty"`
	PacketsRatio *float64 `json:"packetsRatio,omitempty"`
}

const (
	settledFor   = 0.2  // seconds
	settledShort = 0.05 // below the steady rate
	steadyPart   = 3    // the last third of a phase
)

// summarise draws the sums of phases.
func (r *ModeRun) summarise(lead time.Duration, load []profile.Phase) {
	from := 0.0
	for i := 0; i <= len(load); i++ {
		p := Phase{From: from, To: from + lead.Seconds()}
		if i > 0 {
			p.To = from + load[i-1].For.Seconds()
		}
		var points []Point
		for _, point := range r.Points {
			if point.Phase == i {
				points = append(points, point)
				p.OfferedMPPS = point.OfferedMPPS
			}
		}
		if len(points) == 0 {
			return
		}
		p.MPPS = mean(points)
		p.SteadyMPPS = mean(points[len(points)-max(len(points)/steadyPart, 1):])
		p.Settled = settled(points, p.SteadyMPPS) - from
		for _, m := range r.Moves {
			if m.Kind == "move" && m.Error == "" && m.At >= p.From && m.At < p.To {
				p.Moves++
			}
		}
		r.Phases = append(r.Phases, p)
		from = p.To
	}
}

func mean(points []Point) (m float64) {
	for i := range points {
		m += points[i].MPPS / float64(len(points))
	}
	return m
}

// settled is the time of the first point from which on the mean over settledFor reaches the steady rate.
func settled(points []Point, steady float64) float64 {
	for i := range points {
		end := i
		for end < len(points) && points[end].At-points[i].At < settledFor {
			end++
		}
		if mean(points[i:end]) >= steady*(1-settledShort) {
			if i == 0 {
				return points[0].At - (points[min(1, len(points)-1)].At - points[0].At)
			}
			return points[i-1].At
		}
	}
	return points[len(points)-1].At
}

// Ratio is the steady rate of the first phase by that of the lead: what the mode has brought.
func (r *ModeRun) Ratio() float64 {
	if len(r.Phases) < 2 || r.Phases[0].MPPS == 0 {
		return 0
	}
	return r.Phases[1].SteadyMPPS / r.Phases[0].MPPS
}

// Share is what was forwarded of what was offered, after the lead.
func (r *ModeRun) Share() float64 {
	sent, offered := 0.0, 0.0
	for _, p := range r.Phases[min(1, len(r.Phases)):] {
		sent += p.MPPS * (p.To - p.From)
		offered += p.OfferedMPPS * (p.To - p.From)
	}
	return sent / max(offered, 1e-9)
}

// MoveCount is the number of moves that were done.
func (r *ModeRun) MoveCount() (n int) {
	for _, p := range r.Phases {
		n += p.Moves
	}
	return n
}

// String says it in a line.
func (r *ModeRun) String() string {
	var phases []string
	for i, p := range r.Phases {
		if i > 0 {
			phases = append(phases, fmt.Sprintf("%.2f of %.2f Mpps after %.2f s", p.SteadyMPPS, p.OfferedMPPS, max(p.Settled, 0)))
		}
	}
	before := 0.0
	if len(r.Phases) > 0 {
		before = r.Phases[0].MPPS
	}
	return fmt.Sprintf("%-7s before %.2f Mpps; %s; after by before %.2f; %.1f %% of all; %s; %d lost, %d reordered of %d",
		r.Mode, before, strings.Join(phases, ", "), r.Ratio(), 100*r.Share(), result.Count(r.MoveCount(), "move"), r.Totals.Lost, r.Totals.Reordered, r.Totals.Made)
}

// Of finds the run of a mode, nil without one.
func (s *Scenario) Of(mode string) *ModeRun {
	for _, r := range s.Runs {
		if r.Mode == mode {
			return r
		}
	}
	return nil
}

// String says it in a few lines.
func (r *Result) String() string {
	var b strings.Builder
	for _, s := range r.Scenarios {
		fmt.Fprintf(&b, "%s: %s, %s, one worker forwards %.2f Mpps\n", s.Profile.Name, result.Count(len(s.Profile.Load[0].VMs), "queue"),
			result.Count(s.Workers, "worker"), s.CapacityMPPS)
		for _, run := range s.Runs {
			fmt.Fprintf(&b, "  %s\n", run)
		}
	}
	if r.Partial {
		b.WriteString("PARTIAL: interrupted, or failed\n")
	}
	return b.String()
}

// WriteJSON writes the result to a file.
func (r *Result) WriteJSON(file string) error { return result.WriteJSON(file, r) }

// ReadJSON reads a result.
func ReadJSON(file string) (*Result, error) { return result.ReadJSON[Result](file) }

// WriteCSV writes all points, one per line.
func (r *Result) WriteCSV(file string) error {
	var text strings.Builder
	w := csv.NewWriter(&text)
	rows := [][]string{{"profile", "mode", "at_seconds", "phase", "offered_mpps", "mpps", "missed_mpps", "busy_max", "moves"}}
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }
	for _, s := range r.Scenarios {
		for _, run := range s.Runs {
			last := 0.0
			for _, p := range run.Points {
				moves, busiest := 0, 0.0
				for _, m := range run.Moves {
					if m.Kind == "move" && m.Error == "" && m.At > last && m.At <= p.At {
						moves++
					}
				}
				for _, b := range p.Busy {
					busiest = max(busiest, b)
				}
				last = p.At
				rows = append(rows, []string{s.Profile.Name, run.Mode, number(p.At), strconv.Itoa(p.Phase), number(p.OfferedMPPS), number(p.MPPS),
					number(p.MissedMPPS), number(busiest), strconv.Itoa(moves)})
			}
		}
	}
	if err := w.WriteAll(rows); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write series: %w", err)
	}
	return nil
}

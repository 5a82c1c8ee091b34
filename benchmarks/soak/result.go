package soak

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/benchmarks/sequence"
)

// FileName is how a result is called in a folder of results.
const FileName = "soak.json"

// Result is what a soak saw.
type Result struct {
	Manifest machine.Manifest `json:"manifest"`
	Profile  string           `json:"profile"`
	Shape    Shape            `json:"shape"`
	Workers  int              `json:"workers"`
	Began    time.Time        `json:"began"`
	Planned  time.Duration    `json:"plannedNs"`
	Took     time.Duration    `json:"tookNs"`
	Partial  bool             `json:"partial"` // it ended before its time
	Every    time.Duration    `json:"changesEveryNs"`

	Moves        int           `json:"moves,omitempty"`        // of receive queues between workers
	MovesRefused int           `json:"movesRefused,omitempty"` // because a worker did not answer in time; the queue stayed
	MoveMax      time.Duration `json:"moveMaxNs,omitempty"`
	Decisions    uint64        `json:"decisions,omitempty"` // flows that were new or decided again
	Rate         string        `json:"schedulerRate,omitempty"`

	Applies  int            `json:"applies"` // configurations applied
	Changes  int            `json:"changes"` // that these made, as apply lists them
	Kinds    map[string]int `json:"kinds"`
	ApplyP50 time.Duration  `json:"applyP50Ns"`
	ApplyMax time.Duration  `json:"applyMaxNs"`

	Totals           sequence.Totals     `json:"totals"`
	PacketsPerSecond float64             `json:"packetsPerSecond"`
	Incidents        []sequence.Incident `json:"incidents,omitempty"`
	MoreIncidents    int                 `json:"moreIncidents,omitempty"`
}

func (r *Result) summarise(took []time.Duration) {
	if r.Took > 0 {
		r.PacketsPerSecond = float64(r.Totals.Arrived) / r.Took.Seconds()
	}
	if len(took) > 0 {
		sorted := slices.Sorted(slices.Values(took))
		r.ApplyP50, r.ApplyMax = sorted[len(sorted)/2], sorted[len(sorted)-1]
	}
}

// String says it in a few lines.
func (r *Result) String() string {
	how := ""
	if r.Partial {
		how = " (PARTIAL: interrupted)"
	}
	moved := ""
	if r.Moves > 0 {
		moved = fmt.Sprintf("%s of receive queues between workers, the longest took %s; %d more were refused, as a worker had lost its core\n",
			result.Count(r.Moves, "move"), r.MoveMax.Round(time.Microsecond), r.MovesRefused)
	}
	if r.Rate != "" {
		moved += fmt.Sprintf("the uplink has a scheduler of %s\n", r.Rate)
	}
	return fmt.Sprintf("%s of %s%s: %s of %s, %s, %.2f Mpps\n%s\n%d configurations applied with %d changes: median %s, longest %s; %d times a flow was new or decided again\n",
		r.Took.Round(time.Millisecond), r.Planned, how, result.Count(r.Shape.Flows, "stream"), result.Count(r.Shape.Tenants, "tenant"),
		result.Count(r.Workers, "worker"), r.PacketsPerSecond/1e6, &r.Totals,
		r.Applies, r.Changes, r.ApplyP50.Round(time.Microsecond), r.ApplyMax.Round(time.Microsecond), r.Decisions) + moved
}

// ErrLoss says that packets of untouched streams did not arrive as they should.
var ErrLoss = errors.New("untouched streams were harmed")

// Err is nil when not one packet was lost, reordered or changed.
func (r *Result) Err() error {
	if r.Totals.OK() && r.Totals.Foreign == 0 {
		return nil
	}
	err := fmt.Errorf("%w: %s", ErrLoss, &r.Totals)
	for _, i := range r.Incidents[:min(len(r.Incidents), 5)] {
		err = fmt.Errorf("%w\n  %s", err, i)
	}
	return err
}

// WriteJSON writes the result to a file.
func (r *Result) WriteJSON(file string) error { return result.WriteJSON(file, r) }

// ReadJSON reads a result.
func ReadJSON(file string) (*Result, error) { return result.ReadJSON[Result](file) }

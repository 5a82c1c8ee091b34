// Package compare runs contenders by turns on the same traffic, on the same core, and keeps what each of them did in every
// round.
package compare

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

// Result is what a run found out, complete or not.
type Result struct {
	machine.Manifest `json:"manifest"`

	Partial   string            `json:"partial,omitempty"` // why it is not complete; "" when it is
	Missing   map[string]string `json:"missing,omitempty"` // contenders that could not take part, and why
	LoadAfter float64           `json:"loadAfter"`         // load average of one minute at the end
	Scenarios []*Scenario       `json:"scenarios"`
}

// Scenario is one kind of traffic.
type Scenario struct {
	Profile profile.Profile `json:"profile"`
	Rounds  []Round         `json:"rounds"`
}

// Round is one turn of every contender.
type Round struct {
	Number   int              `json:"number"`
	Samples  []measure.Sample `json:"samples"`
	Failures []Failure        `json:"failures,omitempty"`
}

// Failure is a sample that could not be taken.
type Failure struct {
	Contender string `json:"contender"`
	Error     string `json:"error"`
}

// NewResult begins a result. It is partial until Complete is called.
func NewResult(m machine.Manifest) *Result {
	return &Result{Manifest: m, Partial: "the run was not finished", Missing: map[string]string{}}
}

// Complete says that nothing is missing. A contender that failed leaves a mark.
func (r *Result) Complete() {
	r.Partial = ""
	for _, s := range r.Scenarios {
		for _, round := range s.Rounds {
			for _, f := range round.Failures {
				r.Partial = fmt.Sprintf("%s failed in round %d of %s: %s", f.Contender, round.Number, s.Profile.Name, f.Error)
			}
		}
	}
}

// Add keeps a sample, or why there is none; what was measured before an error is kept too.
func (r *Result) Add(plan *traffic.Plan, number int, s measure.Sample, err error) {
	r.LoadAfter = machine.Load1()
	round := r.scenario(plan.Profile).round(number)
	if len(s.Windows) > 0 || s.Jitter != nil {
		round.Samples = append(round.Samples, s)
	}
	if err != nil {
		round.Failures = append(round.Failures, Failure{Contender: s.Contender, Error: err.Error()})
	}
}

func (r *Result) scenario(p profile.Profile) *Scenario {
	for _, s := range r.Scenarios {
		if s.Profile.Name == p.Name && s.Profile.Flows == p.Flows {
			return s
		}
	}
	s := &Scenario{Profile: p}
	r.Scenarios = append(r.Scenarios, s)
	return s
}

func (s *Scenario) round(number int) *Round {
	for i := range s.Rounds {
		if s.Rounds[i].Number == number {
			return &s.Rounds[i]
		}
	}
	s.Rounds = append(s.Rounds, Round{Number: number})
	return &s.Rounds[len(s.Rounds)-1]
}

// Samples gives a contender's samples by round.
func (s *Scenario) Samples(contender string) map[int]measure.Sample {
	all := map[int]measure.Sample{}
	for _, round := range s.Rounds {
		for _, sample := range round.Samples {
			if sample.Contender == contender {
				all[round.Number] = sample
			}
		}
	}
	return all
}

// Contenders lists who took part, in the order of their first appearance.
func (s *Scenario) Contenders() (names []string) {
	seen := map[string]bool{}
	for _, round := range s.Rounds {
		for _, sample := range round.Samples {
			if !seen[sample.Contender] {
				seen[sample.Contender] = true
				names = append(names, sample.Contender)
			}
		}
	}
	return names
}

// ReadJSON reads a result.
func ReadJSON(file string) (*Result, error) { return result.ReadJSON[Result](file) }

// WriteJSON writes all of the result. A reader never sees half a file.
func (r *Result) WriteJSON(file string) error { return result.WriteJSON(file, r) }

// Names of the files that WriteAll writes.
const (
	ResultFile   = "result.json"
	TableFile    = "result.csv"
	ManifestFile = "manifest.json"
)

// conditions are the manifest by itself, with the mark of a result that is not complete.
type conditions struct {
	machine.Manifest

	Partial string `json:"partial,omitempty"`
}

// WriteAll writes the result into a folder: everything as JSON, one line per sample as CSV, and the conditions by
// themselves.
func (r *Result) WriteAll(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	table, err := r.CSV()
	return errors.Join(err, r.WriteJSON(filepath.Join(dir, ResultFile)), result.Replace(filepath.Join(dir, TableFile), table),
		result.WriteJSON(filepath.Join(dir, ManifestFile), conditions{r.Manifest, r.Partial}))
}

var csvHeader = []string{"profile", "direction", "frame_bytes", "flows", "round", "contender", "cycles_per_packet", "best_cycles_per_packet",
	"mpps", "turn_p50_ns", "turn_p9999_ns", "turn_max_ns", "gaps_per_minute", "collections_per_minute", "waited", "load1", "steal", "partial"}

// CSV gives one line per sample. What a contender does not have is left empty; the last column says why the result is not
// complete, if it is not.
func (r *Result) CSV() ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	rows := [][]string{csvHeader}
	for _, s := range r.Scenarios {
		for _, round := range s.Rounds {
			for _, sample := range round.Samples {
				rows = append(rows, append(csvRow(&s.Profile, round.Number, &sample), r.Partial))
			}
		}
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("write table: %w", err)
	}
	return out.Bytes(), nil
}

func csvRow(p *profile.Profile, round int, s *measure.Sample) []string {
	number := func(v float64) string { return strconv.FormatFloat(math.Round(v*1e3)/1e3, 'f', -1, 64) }
	row := []string{p.Name, string(p.Direction), number(p.MeanBytes()), strconv.Itoa(p.Flows), strconv.Itoa(round), s.Contender,
		"", "", "", "", "", "", "", "", number(s.Waited), "", ""}
	if len(s.Windows) > 0 {
		row[6], row[7], row[8] = number(s.CyclesPerPacket), number(s.BestCycles), number(s.MPPS)
	}
	if j := s.Jitter; j != nil {
		row[9], row[10], row[11], row[12], row[13] = number(j.P50Ns), number(j.P9999Ns), number(j.MaxNs), number(j.GapsPerMinute), number(j.CollectionsPerMin)
	}
	if s.Busy != nil {
		row[15], row[16] = number(s.Busy.Load1), number(s.Busy.Steal)
	}
	return row
}

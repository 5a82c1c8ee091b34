package vmqsim

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/sluicenet/sluice/dataplane/vmq"
)

// Result is what the published page is made of.
type Result struct {
	Limits   vmq.Limits     `json:"limits"` // of the balancer
	Outcomes []*Outcome     `json:"outcomes"`
	Owners   *OwnersOutcome `json:"owners"`
	Check    *Outcome       `json:"check"` // the small scenario that tests play again
}

// pictured are the scenarios of which the page has pictures.
var pictured = []string{"bursts", "day"}

// Play runs scenarios and says which one is running. With all of the published ones it also runs those of owners and for
// tests.
func Play(ctx context.Context, all bool, scenarios []Scenario, tell func(string)) (*Result, error) {
	r := &Result{Limits: vmq.DefaultLimits()}
	for _, s := range scenarios {
		tell(s.Name)
		o, err := Run(ctx, s, !all || slices.Contains(pictured, s.Name))
		if err != nil {
			return nil, err
		}
		r.Outcomes = append(r.Outcomes, o)
	}
	if !all {
		return r, nil
	}
	tell("owners")
	var err error
	if r.Owners, err = RunOwners(ctx, PublishedOwners()); err == nil {
		r.Check, err = Run(ctx, CheckScenario(), false)
	}
	return r, err
}

// Read reads a result.
func Read(file string) (*Result, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read simulation: %w", err)
	}
	r := &Result{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read simulation %s: %w", file, err)
	}
	return r, nil
}

// Write keeps a result.
func (r *Result) Write(file string) error {
	text, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write simulation: %w", err)
	}
	return nil
}

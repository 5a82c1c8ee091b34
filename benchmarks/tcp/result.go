package tcp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/result"
)

// FileName is how a result is called in a folder of results.
const FileName = "tcp.json"

// Sample is one turn of one contender.
type Sample struct {
	Contender     string  `json:"contender"`
	Round         int     `json:"round"` // from 1 on
	BitsPerSecond float64 `json:"bitsPerSecond"`
	Retransmits   int     `json:"retransmits"`
	Seconds       float64 `json:"seconds"`       // in which the processor time was used
	UserSeconds   float64 `json:"userSeconds"`   // of all processes of the switch on both hosts
	SystemSeconds float64 `json:"systemSeconds"` // of the kernel on their behalf
}

// Cores is the processor time of the switch on both hosts, in cores.
func (s *Sample) Cores() float64 { return (s.UserSeconds + s.SystemSeconds) / s.Seconds }

// Summary is what the rounds of one contender come to.
type Summary struct {
	Contender     string         `json:"contender"`
	BitsPerSecond measure.Spread `json:"bitsPerSecond"`
	Cores         measure.Spread `json:"cores"`
	CPUPerGbit    measure.Spread `json:"cpuSecondsPerGbit"`
	Retransmits   measure.Spread `json:"retransmits"`
}

// Result is all turns.
type Result struct {
	Manifest machine.Manifest  `json:"manifest"`
	Began    time.Time         `json:"began"`
	Partial  bool              `json:"partial"`
	Rounds   int               `json:"rounds"`
	Duration time.Duration     `json:"durationNs"`        // of one turn
	Missing  map[string]string `json:"missing,omitempty"` // contenders that could not take part, and why
	Samples  []Sample          `json:"samples"`
	Summary  []Summary         `json:"summary"`
	// Ratio is our throughput by that of the faster Open vSwitch in the same round, CPURatio that of processor time per bit.
	Ratio    *measure.Spread `json:"ratio,omitempty"`
	CPURatio *measure.Spread `json:"cpuRatio,omitempty"`
}

func (r *Result) summarise() {
	r.Summary, r.Ratio, r.CPURatio = nil, nil, nil
	perGbit := func(s *Sample) float64 {
		return (s.UserSeconds + s.SystemSeconds) / (s.BitsPerSecond * s.Seconds / 1e9)
	}
	rounds := map[string]map[int]*Sample{}
	for _, name := range []string{SluiceName, OpenVSwitchName, OpenVSwitchXDPName} {
		var rate, cores, cost, again []float64
		rounds[name] = map[int]*Sample{}
		for i := range r.Samples {
			if s := &r.Samples[i]; s.Contender == name {
				rate, cores, cost = append(rate, s.BitsPerSecond), append(cores, s.Cores()), append(cost, perGbit(s))
				again = append(again, float64(s.Retransmits))
				rounds[name][s.Round] = s
			}
		}
		if len(rate) > 0 {
			r.Summary = append(r.Summary, Summary{Contender: name, BitsPerSecond: measure.SpreadOf(rate), Cores: measure.SpreadOf(cores), CPUPerGbit: measure.SpreadOf(cost), Retransmits: measure.SpreadOf(again)})
		}
	}
	var ratio, cpuRatio []float64
	for round, ours := range rounds[SluiceName] {
		theirs := rounds[OpenVSwitchName][round]
		if xdp := rounds[OpenVSwitchXDPName][round]; theirs == nil || (xdp != nil && xdp.BitsPerSecond > theirs.BitsPerSecond) {
			theirs = xdp
		}
		if theirs != nil {
			ratio = append(ratio, ours.BitsPerSecond/theirs.BitsPerSecond)
			cpuRatio = append(cpuRatio, perGbit(ours)/perGbit(theirs))
		}
	}
	if len(ratio) > 0 {
		a, b := measure.SpreadOf(ratio), measure.SpreadOf(cpuRatio)
		r.Ratio, r.CPURatio = &a, &b
	}
}

// String says it in a few lines.
func (r *Result) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.Missing)) {
		fmt.Fprintf(&b, "%s takes no part: %s\n", name, r.Missing[name])
	}
	if r.Partial {
		fmt.Fprintln(&b, "PARTIAL: interrupted, or failed")
	}
	for _, s := range r.Summary {
		fmt.Fprintf(&b, "%-14s %.2f Gbit/s (%.2f to %.2f), %.2f cores (%.2f to %.2f) on both hosts, %.0f ms of processor per Gbit, %.0f retransmits\n",
			s.Contender, s.BitsPerSecond.Median/1e9, s.BitsPerSecond.Min/1e9, s.BitsPerSecond.Max/1e9, s.Cores.Median, s.Cores.Min, s.Cores.Max,
			s.CPUPerGbit.Median*1e3, s.Retransmits.Median)
	}
	if r.Ratio != nil {
		fmt.Fprintf(&b, "throughput, ours by the faster Open vSwitch's: %.2f (%.2f to %.2f); processor time per bit: %.2f (%.2f to %.2f)\n",
			r.Ratio.Median, r.Ratio.Min, r.Ratio.Max, r.CPURatio.Median, r.CPURatio.Min, r.CPURatio.Max)
	}
	return b.String()
}

// WriteJSON writes the result to a file.
func (r *Result) WriteJSON(file string) error { return result.WriteJSON(file, r) }

// ReadJSON reads a result.
func ReadJSON(file string) (*Result, error) { return result.ReadJSON[Result](file) }

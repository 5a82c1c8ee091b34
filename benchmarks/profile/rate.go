package profile

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Rate is how fast frames are sent. The zero value is as fast as the sender can.
type Rate struct {
	PPS float64 `json:"pps,omitempty"` // packets per second
	BPS float64 `json:"bps,omitempty"` // instead: bits per second on a wire, preamble, FCS and gap counted
}

// Max reports that the sender shall send as fast as it can.
func (r Rate) Max() bool { return r == Rate{} }

// PacketsPerSecond is the rate for frames of that mean size without FCS; infinite when it is Max.
func (r Rate) PacketsPerSecond(frame float64) float64 {
	switch {
	case r.PPS > 0:
		return r.PPS
	case r.BPS > 0:
		return r.BPS / 8 / (frame + overhead)
	}
	return math.Inf(1)
}

// String is the rate as a profile has it.
func (r Rate) String() string {
	switch {
	case r.PPS > 0:
		return inUnit(r.PPS, "pps")
	case r.BPS > 0:
		return inUnit(r.BPS, "bit")
	}
	return "max"
}

func inUnit(v float64, unit string) string {
	for _, u := range []struct {
		factor float64
		prefix string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= u.factor {
			return strconv.FormatFloat(v/u.factor, 'g', 6, 64) + u.prefix + unit
		}
	}
	return strconv.FormatFloat(v, 'g', 6, 64) + unit
}

// No device of DPDK is faster, nor a CPU that makes packets.
const (
	maxBPS = 800e9
	maxPPS = 1.2e9
)

// ParseRate reads max, 2.5Mpps or 10Gbit.
func ParseRate(text string) (Rate, error) {
	bad := func(what string) (Rate, error) {
		return Rate{}, fmt.Errorf("%q %s: write max, 2.5Mpps or 10Gbit, with k, M or G", text, what)
	}
	if text == "max" {
		return Rate{}, nil
	}
	number, isPPS := strings.CutSuffix(text, "pps")
	number, isBPS := strings.CutSuffix(number, "bit")
	if isPPS == isBPS {
		return bad("is no rate")
	}
	factor := 1.0
	for prefix, f := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} {
		if rest, ok := strings.CutSuffix(number, prefix); ok {
			number, factor = rest, f
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	v *= factor
	switch limit := map[bool]float64{true: maxPPS, false: maxBPS}[isPPS]; {
	case err != nil || math.IsNaN(v):
		return bad("is no rate")
	case v <= 0:
		return bad("sends nothing")
	case v > limit:
		return bad("is an impossible rate: no device is that fast")
	case isPPS:
		return Rate{PPS: v}, nil
	}
	return Rate{BPS: v}, nil
}

func (d *decoder) rate(n *yaml.Node) (err error) {
	if n.Kind != yaml.ScalarNode {
		return errors.New("want one rate: max, 2.5Mpps or 10Gbit")
	}
	d.profile.Rate, err = ParseRate(n.Value)
	return err
}

// Search asks for the highest rates at which a switch loses no more than given shares of the packets.
type Search struct {
	LossPercent []float64     `json:"lossPercent"` // one rate for each: 0 is the NDR, others are PDRs
	Resolution  float64       `json:"resolution"`  // of a rate found, as a share of it
	Trial       time.Duration `json:"trial"`       // length of one trial, ns
}

// What a search has when a profile does not say.
const (
	defaultResolution = 0.005
	defaultTrial      = time.Second
)

func (d *decoder) search(n *yaml.Node) error {
	const shape = "want a mapping: {lossPercent: [0, 0.5], resolution: 0.5%, trial: 1s}"
	if n.Kind != yaml.MappingNode {
		return errors.New(shape)
	}
	s := &Search{Resolution: defaultResolution, Trial: defaultTrial}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		var err error
		switch key {
		case "lossPercent":
			err = value.Decode(&s.LossPercent)
		case "resolution":
			err = percent(&s.Resolution)(value)
		case "trial":
			err = duration(&s.Trial)(value)
		default:
			return fmt.Errorf("unknown key %q: %s", key, shape)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	d.profile.Search = s
	return s.check()
}

func (s *Search) check() error {
	if len(s.LossPercent) == 0 {
		return errors.New("lossPercent is missing: write the losses to allow, such as [0, 0.5]")
	}
	for _, l := range s.LossPercent {
		if !(l >= 0 && l < 100) {
			return fmt.Errorf("lossPercent: a loss of %g %%: choose 0 to less than 100", l)
		}
	}
	if s.Resolution < 0.0001 || s.Resolution > 0.2 {
		return fmt.Errorf("resolution: %g %%: choose 0.01%% to 20%%", 100*s.Resolution)
	}
	if s.Trial < 10*time.Millisecond || s.Trial > 10*time.Minute {
		return fmt.Errorf("trial: %s: choose 10ms to 10m", s.Trial)
	}
	return nil
}

// percent reads 0.5% as 0.005.
func percent(dst *float64) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		number, isPercent := strings.CutSuffix(n.Value, "%")
		v, err := strconv.ParseFloat(number, 64)
		if n.Kind != yaml.ScalarNode || !isPercent || err != nil || math.IsNaN(v) {
			return fmt.Errorf("%q is no share: write 0.5%%", n.Value)
		}
		*dst = v / 100
		return nil
	}
}

package report

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/perf/benchfmt"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
)

// Units of our figures in Go's benchmark format. None contains a word that benchstat would scale.
const (
	unitCycles = "cycles/packet"
	unitRate   = "packets/s"
	unitTurn   = "p99.99-sec/turn"
	unitGaps   = "gaps/min"
)

// better says which way each unit gets better.
var better = []struct{ unit, way string }{
	{unitCycles, "lower"}, {unitRate, "higher"}, {unitTurn, "lower"}, {unitGaps, "lower"},
}

// BenchFormat writes a result as Go's benchmarks are written, for benchstat: each sample is a line, so that the rounds give
// the spread. See https://go.dev/design/14313-benchmark-format.
func BenchFormat(r *compare.Result) ([]byte, error) {
	var out bytes.Buffer
	if r.Partial != "" {
		fmt.Fprintf(&out, "partial: %s\n", strings.ReplaceAll(r.Partial, "\n", " "))
	}
	w := benchfmt.NewWriter(&out)
	for _, b := range better {
		key := benchfmt.UnitMetadataKey{Unit: b.unit, Key: "better"}
		if err := w.Write(&benchfmt.UnitMetadata{UnitMetadataKey: key, OrigUnit: b.unit, Value: b.way}); err != nil {
			return nil, fmt.Errorf("write benchmarks: %w", err)
		}
	}
	written := 0
	for _, s := range r.Scenarios {
		for _, round := range s.Rounds {
			for _, sample := range round.Samples {
				line := &benchfmt.Result{Config: benchConfig(r), Name: benchName(&s.Profile, sample.Contender), Iters: iterations(sample), Values: benchValues(sample)}
				if len(line.Values) == 0 {
					continue
				}
				if err := w.Write(line); err != nil {
					return nil, fmt.Errorf("write benchmarks: %w", err)
				}
				written++
			}
		}
	}
	if written == 0 {
		return nil, errors.New("write benchmarks: the result has no samples")
	}
	return out.Bytes(), nil
}

// benchConfig is what benchstat shows above its tables, and keeps apart when it differs between two files.
func benchConfig(r *compare.Result) []benchfmt.Config {
	return []benchfmt.Config{
		{Key: "pkg", Value: []byte("sluice-pktgen"), File: true},
		{Key: "cpu", Value: []byte(r.CPU), File: true},
	}
}

// benchName tells samples apart by contender, profile and flows.
func benchName(p *profile.Profile, contender string) benchfmt.Name {
	if p.Name == "" { // the loop in C by itself has no traffic
		return benchfmt.Name("Loop/contender=" + contender)
	}
	return benchfmt.Name(fmt.Sprintf("Traffic/profile=%s/flows=%d/contender=%s", p.Name, p.Flows, contender))
}

// iterations are the packets of a sample, or the turns of a loop without packets.
func iterations(s measure.Sample) int {
	n := uint64(0)
	for _, w := range s.Windows {
		n += w.Packets
	}
	if n == 0 && s.Jitter != nil {
		n = uint64(s.Jitter.Turns)
	}
	return int(max(n, 1))
}

func benchValues(s measure.Sample) (v []benchfmt.Value) {
	if len(s.Windows) > 0 {
		v = append(v, benchfmt.Value{Value: s.CyclesPerPacket, Unit: unitCycles}, benchfmt.Value{Value: s.MPPS * 1e6, Unit: unitRate})
	}
	if j := s.Jitter; j != nil {
		v = append(v, benchfmt.Value{Value: j.P9999Ns / 1e9, Unit: unitTurn}, benchfmt.Value{Value: j.GapsPerMinute, Unit: unitGaps})
	}
	return v
}

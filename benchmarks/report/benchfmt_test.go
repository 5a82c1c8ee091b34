package report

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"

	"github.com/sluicenet/sluice/benchmarks/compare"
)

// The reader that benchstat uses finds every sample, with its units and what is better.
func TestBenchFormat(t *testing.T) {
	r, err := compare.ReadJSON("../results/result.json")
	require.NoError(t, err)
	text, err := BenchFormat(r)
	require.NoError(t, err)
	values := map[string][]float64{}
	reader := benchfmt.NewReader(bytes.NewReader(text), "result")
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.Result:
			cpu, _ := rec.ConfigIndex("cpu")
			assert.Equal(t, r.CPU, string(rec.Config[cpu].Value))
			for _, v := range rec.Values {
				values[rec.Name.String()+" "+v.Unit] = append(values[rec.Name.String()+" "+v.Unit], v.Value)
			}
		case *benchfmt.SyntaxError:
			require.NoError(t, rec)
		}
	}
	require.NoError(t, reader.Err())
	for _, s := range r.Scenarios {
		for _, name := range s.Contenders() {
			bench := string(benchName(&s.Profile, name))
			var cycles, rates, turns []float64
			for _, sample := range ordered(s, name) {
				if len(sample.Windows) > 0 {
					cycles, rates = append(cycles, sample.CyclesPerPacket), append(rates, sample.MPPS*1e6)
				}
				if sample.Jitter != nil {
					turns = append(turns, sample.Jitter.P9999Ns/1e9)
				}
			}
			assert.Equal(t, cycles, values[bench+" cycles/packet"], bench)
			assert.Equal(t, rates, values[bench+" packets/s"], bench)
			assert.Equal(t, turns, values[bench+" p99.99-sec/turn"], bench)
		}
	}
	units := reader.Units()
	for unit, want := range map[string]int{"cycles/packet": -1, "packets/s": 1, "p99.99-sec/turn": -1, "gaps/min": -1} {
		assert.Equal(t, want, units.GetBetter(unit), unit)
	}
	r.Partial = "interrupted\nby hand"
	text, err = BenchFormat(r)
	require.NoError(t, err)
	assert.Contains(t, string(text), "partial: interrupted by hand\n")
	_, err = BenchFormat(resultOf())
	require.ErrorContains(t, err, "no samples")
}

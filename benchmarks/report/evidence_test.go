package report

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/flood"
	"github.com/sluicenet/sluice/benchmarks/generator"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/scale"
	"github.com/sluicenet/sluice/benchmarks/sequence"
	"github.com/sluicenet/sluice/benchmarks/soak"
	"github.com/sluicenet/sluice/benchmarks/tcp"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, compare.ResultFile)
	require.NoError(t, comparison(t).WriteJSON(file))
	e, err := Read(file)
	require.NoError(t, err)
	assert.Nil(t, e.Soak)

	beside := filepath.Join(dir, soak.FileName)
	require.NoError(t, os.WriteFile(beside, []byte(`{"tookNs": 1000000000}`), 0o644))
	e, err = Read(file)
	require.NoError(t, err)
	assert.Equal(t, time.Second, e.Soak.Took)
	for _, name := range []string{floodFile, latencyFile, ratesFile, scale.FileName, soak.FileName, tcp.FileName} {
		beside := filepath.Join(dir, name)
		for text, want := range map[string]string{`{"took`: name, `{}`: "nothing was measured in it"} {
			require.NoError(t, os.WriteFile(beside, []byte(text), 0o644))
			_, err = Read(file)
			require.ErrorContains(t, err, want, "a page without it would say that it was not measured")
		}
		require.NoError(t, os.WriteFile(beside, []byte(`{"partial": `+map[bool]string{true: `"no packets"`, false: "true"}[slices.Contains([]string{floodFile, latencyFile, ratesFile}, name)]+"}"), 0o644))
		e, err = Read(file)
		require.NoError(t, err)
		assert.Contains(t, string(Markdown(e, "x", "y")), "not complete: ", name)
		require.NoError(t, os.Remove(beside))
	}
}

func TestSoak(t *testing.T) {
	s := &soak.Result{Workers: 1, Planned: 10 * time.Minute, Took: 10 * time.Minute, Every: time.Second, Applies: 600, Changes: 1234, PacketsPerSecond: 2.5e6,
		ApplyP50: 1500 * time.Microsecond, ApplyMax: 20 * time.Millisecond, Shape: soak.Shape{Tenants: 3, Flows: 12000},
		Totals: sequence.Totals{Made: 1_500_000_000, Arrived: 1_500_000_000}}
	e := &Evidence{Compare: comparison(t), Soak: s}
	none := Bound{}
	assert.Equal(t, Met, none.Judge(harmed(e)))
	assert.Equal(t, "of 1,500,000,000, while 600 configurations were applied", harmed(e).Note)
	var out bytes.Buffer
	soakSection(&out, e)
	for _, want := range []string{"(2.5 Mpps) for 10m0s", "12,000 streams of 3 tenants", "1,500,000,000 made", "0 lost, 0 reordered", "1.5ms by the median"} {
		assert.Contains(t, out.String(), want)
	}
	assert.NotContains(t, out.String(), "not complete")
	s.Totals.Lost, s.Totals.Reordered = 2, 1
	assert.Equal(t, Missed, none.Judge(harmed(e)))
	s.Partial, s.Took = true, time.Minute
	assert.Equal(t, NotMeasured, none.Judge(harmed(e)), "a short one proves nothing")
	out.Reset()
	soakSection(&out, e)
	assert.Contains(t, out.String(), "**This soak is not complete: it ended after 1m0s of 10m0s.**")
}

func TestTCP(t *testing.T) {
	r := &tcp.Result{Rounds: 5, Duration: 4 * time.Second, Samples: []tcp.Sample{{}}, Ratio: &measure.Spread{N: 5, Median: 1.2, Min: 0.9, Max: 1.3}, CPURatio: &measure.Spread{N: 5, Median: 0.8, Min: 0.7, Max: 0.9},
		Summary: []tcp.Summary{{Contender: tcp.SluiceName, BitsPerSecond: measure.Spread{N: 5, Median: 3.21e9, Min: 3e9, Max: 3.5e9}, Cores: measure.Spread{N: 5, Median: 1.5, Min: 1.4, Max: 1.6},
			CPUPerGbit: measure.Spread{N: 5, Median: 0.45, Min: 0.4, Max: 0.5}, Retransmits: measure.Spread{N: 5, Max: 12}}}, Missing: map[string]string{"x": "it is not installed"}}
	e := &Evidence{Compare: comparison(t), TCP: r}
	assert.Equal(t, MetByMedian, noLess(1).Judge(throughput(e)))
	var out bytes.Buffer
	tcpSection(&out, e)
	for _, want := range []string{"| sluice | 3.21 (3.00 to 3.50) | 1.50 (1.40 to 1.60) | 450 (400 to 500) | 0 (0 to 12) |", "x did not take part: it is not installed.",
		"throughput is 1.20 (0.90 to 1.30) times that of the faster Open vSwitch", "processor time per bit 0.80 (0.70 to 0.90) times"} {
		assert.Contains(t, out.String(), want)
	}
	assert.NotContains(t, out.String(), "not complete")
	r.Partial, r.Ratio, r.CPURatio = true, nil, nil
	assert.Equal(t, NotMeasured, noLess(1).Judge(throughput(e)))
	out.Reset()
	tcpSection(&out, e)
	assert.Contains(t, out.String(), "**These figures are not complete")
	assert.NotContains(t, out.String(), "faster Open vSwitch")
}

func TestScale(t *testing.T) {
	spread := func(median, least, greatest float64) measure.Spread {
		return measure.Spread{Median: median, Min: least, Max: greatest, N: 5}
	}
	r := &scale.Result{Workers: 2, Cores: []int{1, 0}, Scenarios: []*scale.Scenario{
		{Profile: "nvgre-encap", Flows: 256, One: spread(20, 19, 21), Several: spread(38, 37, 39), Ratio: spread(1.9, 1.7, 2)}}}
	e := &Evidence{Compare: comparison(t), Scale: r}
	aim := aim(t, "Packet rate: two workers ÷ one", "encapsulation, 256 flows")
	assert.Equal(t, MetByMedian, aim.Bound.Judge(aim.Figure(e)))
	assert.Zero(t, twice(encap10k)(e).N)
	var out bytes.Buffer
	scaleSection(&out, e)
	assert.Contains(t, out.String(), "| nvgre-encap | 256 | 20.00 (19.00 to 21.00) | 38.00 (37.00 to 39.00) | 1.90 (1.70 to 2.00) |")
	assert.NotContains(t, out.String(), "not complete")
	r.Partial, r.Workers = true, 3
	scaleSection(&out, e)
	assert.Contains(t, out.String(), "**These figures are not complete")
	assert.Zero(t, aim.Figure(e).N, "three workers are not two")
}

func TestWhen(t *testing.T) {
	e := &Evidence{Compare: comparison(t)}
	m := e.Compare.Manifest
	assert.Equal(t, "Measured 2026-01-02 03:04 UTC, source abc with changes that were not committed.", when(e, &m))
	m.CPU, m.Modified = "Another CPU", false
	assert.Equal(t, "Measured 2026-01-02 03:04 UTC, source abc, **on another machine**: Another CPU, 2 cores, kernel 6.1.", when(e, &m))
}

func TestDocuments(t *testing.T) {
	d := &generator.Document{Send: []string{"net_a"}, Receive: []string{"net_b"}, Partial: "interrupted",
		Result: &generator.Result{Latency: generator.Latency{Frames: 9, P50Ns: 12000, P99Ns: 34000}}}
	e := &Evidence{Compare: comparison(t)}
	var out bytes.Buffer
	documentSection(&out, e, "Latency on real ports", d)
	for _, want := range []string{"## Latency on real ports\n", "**These figures are not complete: interrupted.**", "net_a -> net_b", "p50 12µs"} {
		assert.Contains(t, out.String(), want)
	}
	out.Reset()
	documentSection(&out, e, "x", nil)
	assert.Empty(t, out.String())
}

func TestFlood(t *testing.T) {
	r := &flood.Result{Profile: "newflow-flood", Share: 20, KnownCycles: []float64{50, 60, 70}, NewFlowCycles: []float64{900, 1000, 3100},
		QuietLoss: []float64{0, 0, 0}, FloodLoss: []float64{0, 0.004, 0.02}, MixedRate: []float64{0.7, 0.79, 0.9}, KnownEvicted: []float64{0, 0, 0}}
	e := &Evidence{Compare: comparison(t), Flood: r}
	for what, want := range map[string]Verdict{
		"cycles of a packet that begins a flow, through all layers": MetByMedian,
		"known flows at half load lost, flood on another queue":     MetByMedian,
		"packet rate ÷ that without flood, on one queue":            Missed,
		"known flows evicted": Met,
	} {
		a := aim(t, "New flows", what)
		assert.Equal(t, want, a.Bound.Judge(a.Figure(e)), what)
	}
	r.QuietLoss[2] = 0.3
	assert.Equal(t, Figure{Spread: measure.Spread{Median: 0.2, Max: 0.4, N: 2}, Note: "without 1 rounds that lost packets before the flood began"}, floodLoss(e))
	r.KnownEvicted[1] = 1
	assert.InDelta(t, 1, evictions(e).Median, 1e-9, "one is one too many")
	var out bytes.Buffer
	floodSection(&out, e)
	for _, want := range []string{"At most 20 % of the worker", "| cycles of a packet that begins a flow, through all layers | 1000 (900 to 3100) |", "lost, % | 0.400 (0.000 to 2.000) |"} {
		assert.Contains(t, out.String(), want)
	}
	assert.NotContains(t, out.String(), "not complete")
	r.Partial = "interrupted"
	floodSection(&out, e)
	assert.Contains(t, out.String(), "**These figures are not complete: interrupted.**")
}

package report

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/jitter"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
)

// samples are a contender's cycles per packet by round; 0 is a round that it lacks.
type samples map[string][]float64

// scenario makes up a scenario of a profile that comes with the program.
func scenario(t *testing.T, name string, flows int, all samples) *compare.Scenario {
	p, err := profile.Load(name)
	require.NoError(t, err)
	sized, err := p.WithFlows(flows)
	require.NoError(t, err)
	s := &compare.Scenario{Profile: sized}
	for _, c := range contenders {
		for i, cycles := range all[c.name] {
			for len(s.Rounds) <= i {
				s.Rounds = append(s.Rounds, compare.Round{Number: len(s.Rounds) + 1})
			}
			sample := measure.Sample{Contender: c.name}
			if cycles > 0 {
				sample.Set([]measure.Window{{Packets: 1e6, Cycles: uint64(cycles * 1e6), Seconds: cycles / 1e3}})
				s.Rounds[i].Samples = append(s.Rounds[i].Samples, sample)
			}
		}
	}
	return s
}

func resultOf(scenarios ...*compare.Scenario) *compare.Result {
	r := compare.NewResult(machine.Manifest{CPU: "Some CPU", TSCHz: 2.6e9})
	r.Scenarios = scenarios
	r.Complete()
	return r
}

func aim(t *testing.T, group, what string) Aim {
	for _, g := range Bar {
		for _, a := range g.Aims {
			if g.Title == group && a.What == what {
				return a
			}
		}
	}
	require.Fail(t, "the bar has no such aim", "%s: %s", group, what)
	return Aim{}
}

func TestJudge(t *testing.T) {
	atLeast, atMost := Bound{Above: true, Value: 3}, Bound{Value: 3}
	for name, tc := range map[string]struct {
		bound       Bound
		low, m, top float64
		want        Verdict
	}{
		"all above":             {atLeast, 3, 4, 5, Met},
		"the median is above":   {atLeast, 2.9, 3, 5, MetByMedian},
		"the median is below":   {atLeast, 2, 2.99, 5, Missed},
		"all below":             {atMost, 1, 2, 3, Met},
		"one round is above":    {atMost, 1, 2, 3.1, MetByMedian},
		"the median is not":     {atMost, 1, 3.01, 4, Missed},
		"more than can be told": {atMost, 1, math.Inf(1), math.Inf(1), Missed},
	} {
		assert.Equal(t, tc.want, tc.bound.Judge(Figure{Spread: measure.Spread{Min: tc.low, Median: tc.m, Max: tc.top, N: 5}}), name)
	}
	assert.Equal(t, NotMeasured, atMost.Judge(Figure{}))
	assert.Equal(t, "≥ 2.8 ×", times(2.8).String())
	assert.Equal(t, "≤ 1.00 ×", noMore(1).String())
}

func TestFigureText(t *testing.T) {
	s := measure.Spread{Median: 2, Min: 1, Max: 3, N: 5}
	assert.Equal(t, "2.00 (1.00 to 3.00), SMC", Figure{Spread: s, Note: "SMC"}.text(2))
	s.N = 2
	assert.Equal(t, "2.00 (1.00 to 3.00), 2 of 5 rounds", Figure{Spread: s}.text(2))
	assert.Equal(t, "3, of 7", exactly(3, "of 7").text(0))
	assert.Equal(t, "too short", Figure{Note: "too short"}.text(2))
	assert.Empty(t, Figure{}.text(2))
}

// Whatever a result lacks is not measured, and no aim is met by nothing.
func TestBarOfAnEmptyResult(t *testing.T) {
	for _, g := range Bar {
		assert.NotEmpty(t, g.Why, g.Title)
		for _, a := range g.Aims {
			assert.Equal(t, NotMeasured, a.Bound.Judge(a.Figure(&Evidence{Compare: resultOf()})), "%s: %s", g.Title, a.What)
		}
	}
}

func TestFigures(t *testing.T) {
	r := resultOf(
		scenario(t, "nvgre-encap", 256, samples{ours: {50, 60, 70}, bare: {40, 48, 56}, churn: {50, 63, 70}, ovs: {150, 180, 210}, noEMC: {200, 200, 200},
			smc: {0, 0, 300}, testpmdIO: {25, 25, 25}}),
		scenario(t, "nvgre-encap", 10_000, samples{ours: {75, 75}, ovs: {300, 300}, noEMC: {150, 150}, smc: {160, 140}, testpmdIO: {25, 25}}),
		scenario(t, "flows-1m", 1_000_000, samples{ours: {200, 180}, testpmdIO: {80, 75}}),
		scenario(t, "iprewrite", 256, samples{ours: {57, 66}}),
		scenario(t, "nvgre-decap", 256, samples{ours: {50}}),
	)
	const byDefault, atBest = "Packet rate: sluice ÷ Open vSwitch-DPDK, default", "Packet rate: sluice ÷ Open vSwitch-DPDK, best of three"
	for _, tc := range []struct {
		group, what      string
		low, median, top float64
		note             string
	}{
		{byDefault, "encapsulation, 256 flows", 3, 3, 3, ""},
		{byDefault, "encapsulation, 10,000 flows", 4, 4, 4, ""},
		{atBest, "encapsulation, 256 flows", 3, 3, 3, "Open vSwitch, default"},
		{atBest, "encapsulation, 10,000 flows", 2, 2, 2, "Open vSwitch, no EMC"},
		{"Cycles: sluice ÷ testpmd io", "encapsulation, 256 flows", 2, 2.4, 2.8, ""},
		{"Cycles: sluice ÷ testpmd io", "encapsulation, 256 flows, bare", 1.6, 1.92, 2.24, ""},
		{"Cycles: sluice ÷ sluice", "IP rewrite ÷ encapsulation, 256 flows", 57. / 70, 61.5 / 60, 66. / 50, ""},
		{"Cycles: sluice ÷ sluice", "encapsulation, 1,000,000 ÷ 10,000 flows, both without the source's cost", 2.1, 2.25, 2.4, ""},
		{"Beside 100 MB/s of garbage", "packet rate ÷ without garbage, encapsulation, 256 flows", 60. / 63, 1, 1, ""},
	} {
		f := aim(t, tc.group, tc.what).Figure(&Evidence{Compare: r})
		name := tc.group + ": " + tc.what
		assert.InDelta(t, tc.low, f.Min, 1e-9, name)
		assert.InDelta(t, tc.median, f.Median, 1e-9, name)
		assert.InDelta(t, tc.top, f.Max, 1e-9, name)
		assert.Equal(t, tc.note, f.Note, name)
	}
	assert.Zero(t, aim(t, byDefault, "decapsulation, 256 flows").Figure(&Evidence{Compare: r}).N, "Open vSwitch was not measured")
	r.Scenarios[0].Profile.ACLs = 0
	assert.Zero(t, aim(t, byDefault, "encapsulation, 256 flows").Figure(&Evidence{Compare: r}).N, "without rules it is other work")
}

func TestTurnsBesideALoopInC(t *testing.T) {
	turns := func(contender string, p9999 float64, gaps int64) measure.Sample {
		return measure.Sample{Contender: contender, Jitter: &jitter.Summary{P9999Ns: p9999, Gaps: gaps, Seconds: 2}}
	}
	s := &compare.Scenario{Rounds: []compare.Round{
		{Number: 1, Samples: []measure.Sample{turns(churn, 40e3, 1), turns(spin, 20e3, 2)}},
		{Number: 2, Samples: []measure.Sample{turns(churn, 30e3, 5), turns(spin, 30e3, 0)}},
	}}
	f := slowTurns(&Evidence{Compare: resultOf(s)})
	assert.Equal(t, measure.Spread{Median: 1.5, Min: 1, Max: 2, N: 2}, f.Spread)
	f = gaps(&Evidence{Compare: resultOf(s)})
	assert.InDelta(t, 3, f.Median, 1e-9)
	assert.Equal(t, "90.0 a minute beside 30.0", f.Note)
	s.Rounds = s.Rounds[1:]
	assert.True(t, math.IsInf(gaps(&Evidence{Compare: resultOf(s)}).Median, 1), "some beside none")
	s.Rounds[0].Samples[0].Jitter.Gaps = 0
	assert.Zero(t, gaps(&Evidence{Compare: resultOf(s)}).Median, "none beside none")
	assert.Equal(t, 1, gaps(&Evidence{Compare: resultOf(s)}).N)
}

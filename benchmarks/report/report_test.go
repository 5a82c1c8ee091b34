package report

import (
	"bytes"
	"crypto/sha256"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/jitter"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

func comparison(t *testing.T) *compare.Result {
	p, err := profile.Load("nvgre-encap")
	require.NoError(t, err)
	r := compare.NewResult(machine.Manifest{CPU: "Some CPU", Cores: 2, TSCHz: 2.6e9, Kernel: "6.1", Revision: "abc", Modified: true,
		Time: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), Versions: map[string]string{"DPDK": "22.11"}})
	plan := traffic.New(*p)
	add := func(round int, contender string, cycles uint64, turns *jitter.Summary) {
		s := measure.Sample{Contender: contender, Jitter: turns, Busy: &measure.Busy{Steal: 0.01}}
		if cycles > 0 {
			s.Set([]measure.Window{{Packets: 1e6, Cycles: cycles * 1e6, Seconds: float64(cycles) * 1e6 / 2.6e9}})
		}
		if contender == "sluice" {
			s.Detail = map[string]float64{"cyclesInMedianTurn": float64(cycles) - 1, "packetsPerTurn": 32, "missShare": 0.004}
		}
		r.Add(plan, round, s, nil)
	}
	for round, sluice := range map[int]uint64{1: 50, 2: 60, 3: 70} {
		add(round, "spin", 0, &jitter.Summary{P50Ns: 1000, P9999Ns: 20000, MaxNs: 3e6, GapsPerMinute: 30, LostShare: 0.01})
		add(round, "sluice", sluice, &jitter.Summary{P50Ns: 900, P9999Ns: 25000, MaxNs: float64(round) * 1e6, Seconds: 2})
		add(round, "ovs-dpdk", 3*sluice, nil)
		add(round, "testpmd-io", sluice/2, nil)
	}
	r.Complete()
	return r
}

func TestRows(t *testing.T) {
	rows := Rows(comparison(t).Scenarios[0])
	require.Len(t, rows, 4)
	assert.Equal(t, "spin", rows[3].Contender, "who moves no packets comes last")
	ours := find(rows, "sluice")
	assert.Equal(t, measure.Spread{Median: 60, Min: 50, Max: 70, N: 3}, ours.Cycles)
	assert.Zero(t, ours.Ratio.N)
	assert.InDelta(t, 50, ours.Best, 1e-9)
	assert.InDelta(t, 3e6, ours.Turns.MaxNs, 1e-9)
	ovs := find(rows, "ovs-dpdk")
	assert.InDelta(t, 3, ovs.Ratio.Median, 1e-9)
	assert.InDelta(t, 3, ovs.Ratio.Max, 1e-9, "ratios are taken inside the rounds")
	assert.Nil(t, ovs.Turns)
	assert.Zero(t, find(rows, "nobody"))
}

func TestMarkdown(t *testing.T) {
	r := comparison(t)
	page := string(Markdown(&Evidence{Compare: r}, "some/result.json", "img/x.png"))
	for _, want := range []string{
		"Written by `sluice-pktgen report` from some/result.json",
		"![Cycles per packet of every contender, by kind of traffic](img/x.png)",
		"| encapsulation, 64 bytes, 256 flows | 60.0 (50.0 to 70.0) | 180.0 (150.0 to 210.0) | only this one was measured | 30.0 (25.0 to 35.0) |",
		"(3.00 to 3.00) | – | 2.00 (2.00 to 2.00) | 30.0 (25.0 to 35.0) |",
		"| 20 µs (20 µs to 20 µs) | 0 (0 to 0) | 30 (30 to 30) |",
		"| UDP 50 : TCP 50 | 32 | 0.4 % | 59.0 |",
		"| source | abc, with changes that were not committed |",
		"| time | 2026-01-02 03:04 UTC |",
		"1.0 % of its time in turns of over 10 µs",
		"differed by up to 33 % of their median",
		"## What devices in memory do not show",
	} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "not complete")
	r.Partial = "interrupted in round 2"
	r.Missing["ovs-dpdk"] = "it is not installed"
	page = string(Markdown(&Evidence{Compare: r}, "x", "y"))
	assert.Contains(t, page, "**These figures are not complete: interrupted in round 2.**")
	assert.Contains(t, page, "Open vSwitch-DPDK, default did not take part: it is not installed.")
}

func TestPrint(t *testing.T) {
	r := comparison(t)
	r.Scenarios[0].Rounds[0].Failures = []compare.Failure{{Contender: "ovs-dpdk", Error: "it does not start"}}
	r.Scenarios[0].Rounds[0].Samples[0].Notes = []string{"no hugepages"}
	r.Scenarios[0].Rounds[0].Samples[0].Detail = map[string]float64{"cyclesInMedianTurn": 59.73, "dropShare": 0.25, "stage poll": 38.64, "stage send": 2, "new": 7}
	r.Complete()
	var out bytes.Buffer
	Print(&out, r)
	assert.NotContains(t, out.String(), " \n", "no blanks at the end of a line")
	assert.Contains(t, out.String(), ": 59.73 cycles/packet in the median turn, 25 % dropped, new 7; cycles/packet by stage: poll 38.64, send 2\n")
	assert.NotContains(t, out.String(), "disturbed")
	for _, want := range []string{"PARTIAL: ovs-dpdk failed in round", "60.0 (50.0 to 70.0)", "note: no hugepages", "failed: it does not start", "20 µs", "1.0 %"} {
		assert.Contains(t, out.String(), want)
	}
}

func TestPrintWarnsOfDisturbedSamples(t *testing.T) {
	r := resultOf(scenario(t, "nvgre-encap", 256, samples{ours: {50, 60, 70}}))
	r.Scenarios[0].Rounds[1].Samples[0].Waited = 0.5
	var out bytes.Buffer
	Print(&out, r)
	assert.Contains(t, out.String(), "WARNING: 1 of 3 samples disturbed")
	assert.NotContains(t, out.String(), "ours ÷ this", "there is nobody to compare with")
}

func TestUnits(t *testing.T) {
	for ns, want := range map[float64]string{12: "12 ns", 999.4: "999 ns", 1500: "1.5 µs", 2.5e6: "2.5 ms", 3.21e9: "3.21 s", 1234e9: "1234 s"} {
		assert.Equal(t, want, nanoseconds(ns))
	}
	for n, want := range map[int]string{7: "7", 256: "256", 10000: "10,000", 1048576: "1,048,576"} {
		assert.Equal(t, want, thousands(n))
	}
}

// The page and its pictures are what the command makes of the result beside them.
func TestPerformancePageIsCurrent(t *testing.T) {
	const file = "benchmarks/results/result.json"
	e, err := Read(filepath.Join("../..", file))
	require.NoError(t, err)
	files, err := Page(e, file, "PERFORMANCE.md")
	require.NoError(t, err)
	pictures := 2 + len(e.Shares)
	if e.Queues != nil {
		pictures += len(e.Queues.Scenarios)
	}
	require.Len(t, files, 1+2*pictures, "the page, and two files for each picture")
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join("../../docs", name))
		require.NoError(t, err)
		const remedy = "docs/%s: run make bench-peers, or bin/sluice-pktgen report %s -w docs/PERFORMANCE.md"
		if filepath.Ext(name) == ".png" { // how well it is packed is up to the release of Go
			assert.Equal(t, pixels(t, want), pixels(t, have), remedy, name, file)
		} else if line, ok := firstDifference(string(want), string(have)); !ok {
			t.Errorf(remedy+"; it differs from\n%s", name, file, line)
		}
	}
}

// firstDifference finds the first line that should stand in a text and does not.
func firstDifference(want, have string) (line string, same bool) {
	lines := strings.Split(have, "\n")
	for i, l := range strings.Split(want, "\n") {
		if i >= len(lines) || lines[i] != l {
			return l, false
		}
	}
	return "", want == have
}

// pixels sums up what a picture shows.
func pixels(t *testing.T, text []byte) [sha256.Size]byte {
	img, err := png.Decode(bytes.NewReader(text))
	require.NoError(t, err)
	all := image.NewNRGBA(img.Bounds())
	draw.Draw(all, all.Bounds(), img, img.Bounds().Min, draw.Src)
	return sha256.Sum256(all.Pix)
}

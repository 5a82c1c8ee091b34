package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/benchmarks/schedpeer"
	"github.com/sluicenet/sluice/benchmarks/shaped"
	"github.com/sluicenet/sluice/benchmarks/shares"
)

// sharesResult is of two variants with the given streams, of 100 windows.
func sharesResult(profile string, errors ...float64) *shares.Result {
	r := &shares.Result{Profile: profile, Description: "what it is", Link: "1Gbit", Planned: time.Second, WindowNs: 10_000_000}
	for _, name := range []string{"quiet", "noisy"} {
		v := shares.Variant{Name: name, Took: time.Second, LinkShare: 0.99, Windows: 1000, Peaks: make(shares.Series, 100), Depth: shares.Percentiles{P50: 50_000, P99: 99_000}}
		for i, e := range errors {
			s := shares.Stream{Name: string(rune('a' + i)), Vports: 1000, Configured: "share 40%", Ideal: 1e6, Measured: 1e6 * (1 + e), Packets: 1000, Series: make(shares.Series, 100), Fluid: make(shares.Series, 100),
				Delay: shares.Percentiles{P50: 1000, P99: int64(len(r.Variants)+1) * 100_000}}
			for w := range s.Series {
				s.Series[w], s.Fluid[w] = 10_000*(1+e), 10_000
			}
			v.Streams = append(v.Streams, s)
		}
		r.Variants = append(r.Variants, v)
	}
	return r
}

func TestQualityOfServiceOnThePage(t *testing.T) {
	e := &Evidence{Compare: comparison(t)}
	var out bytes.Buffer
	qosSection(&out, e)
	assert.Empty(t, out.String(), "nothing was measured")
	for _, figure := range []func(*Evidence) Figure{worstError("qos-8class"), outside("qos-min-share"), neighbour, schedRatio(true), schedulerCost(1000)} {
		assert.Equal(t, NotMeasured, Bound{}.Judge(figure(e)))
	}

	few := sharesResult("qos-min-share", 0.002)
	few.Variants[1].Outside = 2
	partial := sharesResult("qos-incast")
	partial.Partial = "interrupted in variant quiet, 1 of 2"
	e.Shares = []*shares.Result{sharesResult("qos-8class", 0.001, -0.003), partial, few, sharesResult("qos-noisy-neighbour", 0)}
	e.Sched = &schedpeer.Result{Vports: 1000, Depth: 32, Standing: schedpeer.Rounds{Sluice: []float64{60}, DPDK: []float64{93}}, Drained: schedpeer.Rounds{Sluice: []float64{59}, DPDK: []float64{177}},
		ClassError: schedpeer.Rounds{Sluice: []float64{0.0001}, DPDK: []float64{0.01}}, VportError: schedpeer.Rounds{Sluice: []float64{0.001}, DPDK: []float64{0.002}}, StandingRatio: []float64{1.55}, DrainedRatio: []float64{3}}
	e.Cost = &shaped.Result{Rounds: 2, Cells: []shaped.Cell{{Vports: 1000, Row: 1, Mode: shaped.Backlog, Worker: []float64{300}, More: []float64{200}}, {Vports: 1000, Row: 32, Mode: shaped.Off, Worker: []float64{60, 62}}, {Vports: 1000, Row: 32, Mode: shaped.Backlog, Worker: []float64{110, 115}, More: []float64{50, 53}}}}
	assert.InDelta(t, 0.3, worstError("qos-8class")(e).Median, 1e-9)
	assert.Equal(t, "over 1s, 4,000 packets", worstError("qos-8class")(e).Note)
	assert.InDelta(t, 0.1, outside("qos-min-share")(e).Median, 1e-9)
	assert.InDelta(t, 2, neighbour(e).Median, 1e-9)
	assert.Equal(t, "200µs beside 100µs", neighbour(e).Note)
	assert.InDelta(t, 51.5, schedulerCost(1000)(e).Median, 1e-9)
	assert.Zero(t, schedulerCost(10_000)(e).N)
	assert.Zero(t, worstError("qos-incast")(e).N, "what is partial proves nothing")

	qosSection(&out, e)
	for _, want := range []string{
		"### qos-8class\n\nWhat it is.\nMeasured ", "![What the streams of qos-8class got over time, beside the ideal](img/qos-8class.png)",
		"| quiet | b | 1,000 | share 40% | 0.0 | 8.0 | 8.0 | -0.30 % | 0.0 | 1µs | 100µs | 0 | 0 |",
		"- noisy: 99.0 % of the rate used; 50 kB waited by the median, 99 kB in 99 of 100 looks; 2 of 1,000 windows outside the tolerance;",
		"**These figures are not complete: interrupted in variant quiet, 1 of 2.**",
		"| cycles a packet, bursts of 64 in and out | 59.0 | 177.0 | 3.00 |", "| worst class off its share, % | 0.01 | 1.00 | – |",
		"the bar is about 32 in a row", "| 1000 | 1 | backlog | 0.0 | 300.0 (300.0 to 300.0) | 200.0 (200.0 to 200.0) |",
		"| 1000 | 32 | backlog | 0.0 | 112.5 (110.0 to 115.0) | 51.5 (50.0 to 53.0) |",
	} {
		assert.Contains(t, out.String(), want)
	}
	e.Sched.Partial, e.Cost.Partial = "interrupted", "interrupted"
	out.Reset()
	qosSection(&out, e)
	assert.Equal(t, 3, strings.Count(out.String(), "not complete: interrupted"))
}

func TestReadQualityOfService(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, compare.ResultFile)
	require.NoError(t, comparison(t).WriteJSON(file))
	r := sharesResult("qos-8class", 0.001)
	require.NoError(t, result.WriteJSON(filepath.Join(dir, shares.FileName(r.Profile)), r))
	require.NoError(t, os.WriteFile(filepath.Join(dir, costFile), []byte(`{"rounds": 1, "cells": [{"vports": 7, "mode": "off", "worker": [1], "more": [0]}]}`), 0o644))
	e, err := Read(file)
	require.NoError(t, err)
	require.Len(t, e.Shares, 1)
	assert.Equal(t, []float64{1}, e.Cost.Cells[0].Worker)
	files, err := Page(e, "x", "page.md")
	require.NoError(t, err)
	assert.Contains(t, files, "img/qos-8class.png")
	assert.Contains(t, files, "img/qos-8class.svg")
	for _, name := range []string{"qos-incast.json", schedpeer.FileName, costFile} {
		beside := filepath.Join(dir, name)
		for text, want := range map[string]string{`{"took`: name, `{}`: "nothing was measured in it"} {
			require.NoError(t, os.WriteFile(beside, []byte(text), 0o644))
			_, err = Read(file)
			require.ErrorContains(t, err, want)
		}
		require.NoError(t, os.Remove(beside))
	}
}

func TestSharesChart(t *testing.T) {
	r := sharesResult("qos-8class", 0.001, -0.003)
	c, err := NewSharesChart(r)
	require.NoError(t, err)
	require.Len(t, c.panels, 2)
	assert.Equal(t, []string{"a", "b"}, []string{c.legend[0].name, c.legend[1].name})
	assert.Len(t, c.panels[0].lines, 4, "each stream, and its ideal behind it")
	assert.InDelta(t, 8*1.001, c.panels[0].most, 1e-9, "Mbit/s")
	svg, err := c.SVG()
	require.NoError(t, err)
	for _, want := range []string{">qos-8class: rates over time<", ">Mbit/s, noisy<", ">0.4 s<", "Arial"} {
		assert.Contains(t, string(svg), want)
	}
	same, err := c.SVG()
	require.NoError(t, err)
	assert.Equal(t, string(svg), string(same))

	r.Variants[0].Controlled, r.Partial = true, "interrupted"
	c, err = NewSharesChart(r)
	require.NoError(t, err)
	assert.Len(t, c.panels, 1)
	assert.Equal(t, "INCOMPLETE: qos-8class: what waits in the queue over time", c.title)
	assert.Equal(t, "quiet (p99 99 kB, 99.0 % of the rate)", c.legend[0].name)
	_, err = NewSharesChart(&shares.Result{Profile: "x"})
	assert.ErrorContains(t, err, "nothing was measured")
	assert.Len(t, roundNumbers(0, 812), 5)
}

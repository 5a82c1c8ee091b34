package generator

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sluicenet/sluice/benchmarks/jitter"
)

// Latency sums up how long frames took, from just before they were handed to the device that sends them to just after
// the poll that received them, ns. Values are exact to one percent.
type Latency struct {
	Frames int64   `json:"frames"`
	MinNs  float64 `json:"minNs"`
	MeanNs float64 `json:"meanNs"`
	P50Ns  float64 `json:"p50Ns"`
	P90Ns  float64 `json:"p90Ns"`
	P99Ns  float64 `json:"p99Ns"`
	P999Ns float64 `json:"p999Ns"`
	MaxNs  float64 `json:"maxNs"`
}

// latencyOf reads cycles out of the layout that jitter shares with HdrHistogram.
func latencyOf(cycles *jitter.LoopTimes, tscHz float64) Latency {
	h := hdrhistogram.Import(&hdrhistogram.Snapshot{LowestTrackableValue: 1, HighestTrackableValue: jitter.Longest, SignificantFigures: 2, Counts: cycles.Counts})
	if h.TotalCount() == 0 {
		return Latency{}
	}
	ns := func(cycles float64) float64 { return cycles / tscHz * 1e9 }
	at := func(q float64) float64 { return ns(float64(h.ValueAtQuantile(q))) }
	return Latency{Frames: h.TotalCount(), MinNs: ns(float64(h.Min())), MeanNs: ns(h.Mean()), P50Ns: at(50), P90Ns: at(90), P99Ns: at(99),
		P999Ns: at(99.9), MaxNs: ns(float64(h.Max()))}
}

package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

// loadAfter is a daemon n seconds after its start: 1 Mpps in bursts of 20 at 600 cycles a packet, of which a 64th was
// measured. The second worker hangs since second 1.
func loadAfter(n uint64) *sluicev1.GetStatusResponse {
	const s = 1_000_000_000
	sample := func(packets uint64, stages ...string) *sluicev1.StageSample {
		out := &sluicev1.StageSample{Packets: packets}
		for i, name := range stages {
			out.Stages = append(out.Stages, &sluicev1.StageCycles{Stage: name, Cycles: packets * uint64(i+1) * 10})
		}
		return out
	}
	return &sluicev1.GetStatusResponse{SampledNs: n * s, Host: "host-a", Workers: []*sluicev1.Worker{
		{Id: 0, Core: 2, State: "running", SampledNs: n*s - s/100, Packets: n * 1_000_000, BusyIterations: n * 50_000,
			BusyCycles: n * 600_000_000, IdleCycles: n * 2_000_000_000, Stages: sample(n*15_625, "poll", "parse", "new-flows"),
			Queues: []*sluicev1.WorkerQueue{
				{Port: "vm1", SampledNs: n * s, Bursts: n * 10, Packets: n * 100, Hits: n * 75, Misses: n * 25, NewFlows: n * 20, Evictions: n * 3,
					Refused: n * 2, Flows: 7, Stages: sample(n*32, "parse", "new-flows")},
				{Port: "up0", Queue: 1, SampledNs: n * s, Bursts: n * 50_000, Packets: n * 999_900, Flows: 70_000, Stages: sample(0, "parse", "new-flows")},
			}},
		{Id: 1, Core: -1, State: "running", SampledNs: s, Packets: 5, BusyCycles: 1, IdleCycles: 1, Stages: sample(1, "poll", "parse", "new-flows"),
			Queues: []*sluicev1.WorkerQueue{{Port: "vm2", SampledNs: s, Packets: 5}}},
	}}
}

func TestTopIsDrawn(t *testing.T) {
	want := `host-a: 2 workers, 3 receive queues, over 2s; stages in cycles per packet

WORKER  CORE  STATE           BUSY  PKT/S  PKT/BURST  CYCLES/PKT  POLL  PARSE  NEW FLOWS
     0     2  running        23.1%     1M       20.0       600.0  10.0   20.0       30.0
     1   any  silent for 2s      -      -          -           -     -      -          -

PORT  QUEUE  WORKER  PKT/S  PKT/BURST   HITS  MISSES/S  NEW/S  EVICTED/S  REFUSED/S   FLOWS  PARSE  NEW FLOWS
up0       1       0     1M       20.0      -         0      0          0          0  70,000      -          -
vm1       0       0    100       10.0  75.0%        25     20          3          2       7   10.0       20.0
vm2       0       1      -          -      -         -      -          -          -       0      -          -
`
	assert.Equal(t, want, draw(t, NewTop(loadAfter(1), loadAfter(3)), false))
}

func TestTopWithoutAWindow(t *testing.T) {
	top := NewTop(loadAfter(3), loadAfter(2)) // the daemon began anew
	assert.Zero(t, top.WindowSeconds)
	assert.Nil(t, top.Workers[0].CyclesPerPacket)
	assert.Empty(t, top.Workers[0].Stages)
	assert.Contains(t, draw(t, top, false), "no window: the daemon began anew")
	assert.Contains(t, draw(t, NewTop(nil, &sluicev1.GetStatusResponse{}), false), "no host: 0 workers, 0 receive queues")
}

func TestRefreshOverwritesInPlace(t *testing.T) {
	var b bytes.Buffer
	p := &Printer{W: &b, Format: FormatTable}
	require.NoError(t, p.Refresh(&Note{"one\ntwo"}, 24))
	assert.Equal(t, "\x1b[?7l\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J\x1b[?7h", b.String())
	b.Reset()
	require.NoError(t, p.Refresh(&Note{strings.Repeat("x\n", 9) + "x"}, 5))
	assert.Equal(t, 4, strings.Count(b.String(), "\n"))
	assert.Contains(t, b.String(), "7 lines more; make the window taller")
	assert.Zero(t, Height(&b), "a buffer has no lines")
}

func TestDecimal(t *testing.T) {
	for v, want := range map[float64]string{0: "0.0", 0.04: "0.0", 7.25: "7.2", 999.94: "999.9", 999.96: "1k", 52_300: "52.3k"} {
		assert.Equal(t, want, decimal(v), v)
	}
}

package cli

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

// Top is where the workers' time went within a window.
type Top struct {
	Host          string      `json:"host"`
	WindowSeconds float64     `json:"windowSeconds"` // 0: the daemon began anew within it
	Workers       []TopWorker `json:"workers"`
	Queues        []TopQueue  `json:"queues"` // the busiest first

	workerStages, queueStages []string // in the order in which a packet meets them
}

// TopWorker is a worker's share of it. What cannot be told is absent: rates of a worker that hangs, cycles per packet
// where there were none.
type TopWorker struct {
	ID              uint32             `json:"id"`
	Core            int32              `json:"core"` // -1: not pinned
	State           string             `json:"state"`
	SilentSeconds   float64            `json:"silentSeconds"` // since the worker told this: 0.01, unless it hangs
	BusyShare       *float64           `json:"busyShare,omitempty"`
	PacketsPerSec   *float64           `json:"packetsPerSec,omitempty"`
	PacketsPerBurst *float64           `json:"packetsPerBurst,omitempty"` // burst: all that one loop iteration received
	CyclesPerPacket *float64           `json:"cyclesPerPacket,omitempty"` // of all iterations with packets
	Stages          map[string]float64 `json:"stages"`                    // cycles per packet, estimated
	Samples         uint64             `json:"samples"`                   // iterations that the estimate is from
}

// TopQueue is a receive queue's share.
type TopQueue struct {
	Port            string             `json:"port"`
	Queue           uint32             `json:"queue"`
	Worker          uint32             `json:"worker"`
	PacketsPerSec   *float64           `json:"packetsPerSec,omitempty"`
	PacketsPerBurst *float64           `json:"packetsPerBurst,omitempty"`
	HitShare        *float64           `json:"hitShare,omitempty"` // of the packets that the flow table was asked for, 0 to 1
	MissesPerSec    *float64           `json:"missesPerSec,omitempty"`
	NewFlowsPerSec  *float64           `json:"newFlowsPerSec,omitempty"`
	EvictionsPerSec *float64           `json:"evictionsPerSec,omitempty"`
	RefusedPerSec   *float64           `json:"refusedPerSec,omitempty"`
	Flows           uint64             `json:"flows"`
	Stages          map[string]float64 `json:"stages"`
	Samples         uint64             `json:"samples"` // bursts
}

// NewTop compares two samples of the daemon.
func NewTop(before, now *sluicev1.GetStatusResponse) *Top {
	t := &Top{Host: now.GetHost(), WindowSeconds: newWindow(before.GetSampledNs(), now.GetSampledNs()).seconds,
		Workers: []TopWorker{}, Queues: []TopQueue{}}
	was := map[uint32]*sluicev1.Worker{}
	for _, wk := range before.GetWorkers() {
		was[wk.GetId()] = wk
	}
	for _, wk := range now.GetWorkers() {
		old := was[wk.GetId()]
		t.Workers = append(t.Workers, newTopWorker(old, wk, now.GetSampledNs()))
		t.workerStages = stageNames(wk.GetStages(), t.workerStages)
		for _, q := range wk.GetQueues() {
			t.Queues = append(t.Queues, newTopQueue(findQueue(old, q), q, wk.GetId()))
			t.queueStages = stageNames(q.GetStages(), t.queueStages)
		}
	}
	slices.SortStableFunc(t.Queues, func(a, b TopQueue) int {
		return cmp.Or(cmp.Compare(orZero(b.PacketsPerSec), orZero(a.PacketsPerSec)), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Queue, b.Queue))
	})
	return t
}

func newTopWorker(before, now *sluicev1.Worker, answered uint64) TopWorker {
	w := newWindow(before.GetSampledNs(), now.GetSampledNs())
	v := TopWorker{ID: now.GetId(), Core: now.GetCore(), State: now.GetState(), PacketsPerSec: w.rate(before.GetPackets(), now.GetPackets()),
		BusyShare: busyShare(w.rate(before.GetBusyCycles(), now.GetBusyCycles()), w.rate(before.GetIdleCycles(), now.GetIdleCycles()))}
	if told := now.GetSampledNs(); told < answered {
		v.SilentSeconds = nanoseconds(answered - told).Seconds()
	}
	v.PacketsPerBurst = quotient(v.PacketsPerSec, w.rate(before.GetBusyIterations(), now.GetBusyIterations()))
	v.CyclesPerPacket = quotient(w.rate(before.GetBusyCycles(), now.GetBusyCycles()), v.PacketsPerSec)
	v.Stages, v.Samples = stageCosts(w, before.GetStages(), now.GetStages())
	return v
}

func newTopQueue(before, now *sluicev1.WorkerQueue, worker uint32) TopQueue {
	w := newWindow(before.GetSampledNs(), now.GetSampledNs())
	v := TopQueue{Port: now.GetPort(), Queue: now.GetQueue(), Worker: worker, Flows: now.GetFlows(),
		PacketsPerSec:   w.rate(before.GetPackets(), now.GetPackets()),
		MissesPerSec:    w.rate(before.GetMisses(), now.GetMisses()),
		NewFlowsPerSec:  w.rate(before.GetNewFlows(), now.GetNewFlows()),
		EvictionsPerSec: w.rate(before.GetEvictions(), now.GetEvictions()),
		RefusedPerSec:   w.rate(before.GetRefused(), now.GetRefused()),
	}
	v.PacketsPerBurst = quotient(v.PacketsPerSec, w.rate(before.GetBursts(), now.GetBursts()))
	v.HitShare = busyShare(w.rate(before.GetHits(), now.GetHits()), v.MissesPerSec)
	v.Stages, v.Samples = stageCosts(w, before.GetStages(), now.GetStages())
	return v
}

// findQueue is the same queue in an older sample, nil when there is none.
func findQueue(w *sluicev1.Worker, like *sluicev1.WorkerQueue) *sluicev1.WorkerQueue {
	for _, q := range w.GetQueues() {
		if q.GetPort() == like.GetPort() && q.GetQueue() == like.GetQueue() {
			return q
		}
	}
	return nil
}

// stageCosts is the cycles per packet of each stage, and the number of samples.
func stageCosts(w window, before, now *sluicev1.StageSample) (map[string]float64, uint64) {
	costs, was := map[string]float64{}, map[string]uint64{}
	packets := w.rate(before.GetPackets(), now.GetPackets())
	for _, s := range before.GetStages() {
		was[s.GetStage()] = s.GetCycles()
	}
	for _, s := range now.GetStages() {
		if c := quotient(w.rate(was[s.GetStage()], s.GetCycles()), packets); c != nil {
			costs[s.GetStage()] = *c
		}
	}
	if len(costs) == 0 {
		return costs, 0
	}
	return costs, now.GetSamples() - before.GetSamples()
}

func stageNames(s *sluicev1.StageSample, known []string) []string {
	for _, stage := range s.GetStages() {
		if !slices.Contains(known, stage.GetStage()) {
			known = append(known, stage.GetStage())
		}
	}
	return known
}

// quotient is absent where one of both is, and where there is nothing to divide by.
func quotient(a, b *float64) *float64 {
	if a == nil || b == nil || *b == 0 {
		return nil
	}
	q := *a / *b
	return &q
}

func orZero(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// silence is from when on a worker's state says how long it has told nothing.
const silence = time.Second

// Draw shows the workers, then their queues.
func (t *Top) Draw(s *Screen) {
	window := "no window: the daemon began anew"
	if t.WindowSeconds > 0 {
		window = "over " + span(seconds(t.WindowSeconds))
	}
	s.Line("%s: %s, %s, %s; stages in cycles per packet", firstOf(t.Host, "no host"), plural(len(t.Workers), "worker"),
		plural(len(t.Queues), "receive queue"), window)
	if len(t.Workers) == 0 {
		return
	}
	s.Gap()
	rows := make([][]string, 0, len(t.Workers))
	for i := range t.Workers {
		w := &t.Workers[i]
		core, state := "any", w.State
		if w.Core >= 0 {
			core = strconv.Itoa(int(w.Core))
		}
		if silent := seconds(w.SilentSeconds); silent > silence {
			state = s.Paint(Bad, "silent for "+span(silent))
		}
		rows = append(rows, append([]string{strconv.Itoa(int(w.ID)), core, state, optional(w.BusyShare, share), optional(w.PacketsPerSec, short),
			optional(w.PacketsPerBurst, decimal), optional(w.CyclesPerPacket, decimal)}, stageCells(t.workerStages, w.Stages)...))
	}
	s.Table(append([]string{">WORKER", ">CORE", "STATE", ">BUSY", ">PKT/S", ">PKT/BURST", ">CYCLES/PKT"}, stageHeader(t.workerStages)...), rows)
	if len(t.Queues) == 0 {
		return
	}
	s.Gap()
	rows = rows[:0]
	for i := range t.Queues {
		q := &t.Queues[i]
		rows = append(rows, append([]string{q.Port, strconv.Itoa(int(q.Queue)), strconv.Itoa(int(q.Worker)), optional(q.PacketsPerSec, short),
			optional(q.PacketsPerBurst, decimal), optional(q.HitShare, share), optional(q.MissesPerSec, short), optional(q.NewFlowsPerSec, short),
			optional(q.EvictionsPerSec, short), optional(q.RefusedPerSec, short), count(q.Flows)}, stageCells(t.queueStages, q.Stages)...))
	}
	s.Table(append([]string{"PORT", ">QUEUE", ">WORKER", ">PKT/S", ">PKT/BURST", ">HITS", ">MISSES/S", ">NEW/S", ">EVICTED/S", ">REFUSED/S", ">FLOWS"},
		stageHeader(t.queueStages)...), rows)
}

func stageHeader(stages []string) (header []string) {
	for _, stage := range stages {
		header = append(header, ">"+strings.ToUpper(strings.ReplaceAll(stage, "-", " ")))
	}
	return header
}

func stageCells(stages []string, costs map[string]float64) (cells []string) {
	for _, stage := range stages {
		cost, known := costs[stage]
		if !known {
			cells = append(cells, "-")
			continue
		}
		cells = append(cells, decimal(cost))
	}
	return cells
}

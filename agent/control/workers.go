package control

import (
	"slices"
	"time"

	"github.com/sluicenet/sluice/agent"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/dataplane"
)

// workers tells what each worker has last told of itself; now is the clock of the answer.
func (s *Service) workers(r *agent.Running, now uint64) (all []*sluicev1.Worker) {
	stalled := s.agent.Stalled()
	for _, w := range s.agent.Switch().Workers() {
		m := &sluicev1.Worker{
			Id: uint32(w.ID), Core: int32(w.Core), State: "running", Iterations: w.Iterations, Packets: w.Packets,
			BusyCycles: w.BusyCycles, IdleCycles: w.IdleCycles, Flows: w.Flows, SampledNs: ago(now, w.Age),
			Faults: w.Faults, LastFault: w.Fault,
			BusyIterations: w.BusyIterations, Stages: stages(&w.Sample, func(dataplane.Stage) bool { return true }),
		}
		if w.State != dataplane.WorkerRuns || slices.Contains(stalled, w.ID) {
			m.State = max(w.State, dataplane.WorkerStalled).String()
		}
		if w.State == dataplane.WorkerStalled {
			m.Doing = w.Doing
		}
		for i := range w.Queues {
			if name := r.PortName(w.Queues[i].Port); name != "" { // else the port has just come or is just going
				m.Queues = append(m.Queues, queue(&w.Queues[i], name, now))
			}
		}
		all = append(all, m)
	}
	return all
}

func queue(q *dataplane.QueueStatus, port string, now uint64) *sluicev1.WorkerQueue {
	return &sluicev1.WorkerQueue{
		Port: port, Queue: uint32(q.Queue), Flows: q.Flows, SampledNs: ago(now, q.Age), Bursts: q.Bursts, Packets: q.Packets,
		Hits: q.Hits, Misses: q.Misses, NewFlows: q.Inserted, Evictions: q.Evictions, Expired: q.Expired, Refused: q.Refused,
		Stages: stages(&q.Sample, dataplane.Stage.OfQueue),
	}
}

func stages(t *dataplane.StageTotals, told func(dataplane.Stage) bool) *sluicev1.StageSample {
	m := &sluicev1.StageSample{Samples: t.Samples, Packets: t.Packets}
	for _, stage := range dataplane.Stages() {
		if told(stage) {
			m.Stages = append(m.Stages, &sluicev1.StageCycles{Stage: stage.String(), Cycles: t.Cycles[stage]})
		}
	}
	return m
}

// ago is a moment on the clock of the answers, which starts a little after the switch's: never before its first tick.
func ago(now uint64, age time.Duration) uint64 {
	if uint64(age) >= now {
		return 1
	}
	return now - uint64(age)
}

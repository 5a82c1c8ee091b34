package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/agent/balance"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/dataplane/vmq"
	"github.com/sluicenet/sluice/policy"
)

// ListQueues implements the control API.
func (s *Service) ListQueues(_ context.Context, req *sluicev1.ListQueuesRequest) (*sluicev1.ListQueuesResponse, error) {
	r := s.agent.Running()
	if r == nil {
		return nil, coded(agent.ErrStopped)
	}
	now := s.sampled()
	res := &sluicev1.ListQueuesResponse{SampledNs: now}
	stalled := s.agent.Stalled()
	for _, w := range s.agent.Switch().Workers() {
		m := &sluicev1.QueueWorker{Id: uint32(w.ID), Core: int32(w.Core), Node: int32(s.agent.NodeOf(w.Core)), State: "running", Packets: w.Packets,
			BusyCycles: w.BusyCycles, IdleCycles: w.IdleCycles, SampledNs: ago(now, w.Age)}
		if w.State != dataplane.WorkerRuns || slices.Contains(stalled, w.ID) {
			m.State = max(w.State, dataplane.WorkerStalled).String()
		}
		res.Workers = append(res.Workers, m)
		for i := range w.Queues {
			q := &w.Queues[i]
			if name := r.PortName(q.Port); name != "" && (req.GetPort() == "" || req.GetPort() == name) {
				res.Queues = append(res.Queues, s.queue(r, q, name, w.ID, now))
			}
		}
	}
	if req.GetPort() != "" && len(res.Queues) == 0 {
		return nil, notFound("no port %s with receive queues on this host; `sluice queue map` shows all", req.GetPort())
	}
	slices.SortFunc(res.Queues, func(a, b *sluicev1.Queue) int {
		return cmp.Or(cmp.Compare(a.GetPort(), b.GetPort()), cmp.Compare(a.GetQueue(), b.GetQueue()))
	})
	return res, nil
}

func (s *Service) queue(r *agent.Running, q *dataplane.QueueStatus, port string, worker int, now uint64) *sluicev1.Queue {
	m := &sluicev1.Queue{Port: port, PortKind: "uplink", Queue: uint32(q.Queue), Worker: uint32(worker), Mode: r.QueueMode(q.Port), Node: int32(r.QueueNode(q.Port)),
		Bursts: q.Bursts, Packets: q.Packets, BusyCycles: q.BusyCycles, SampledNs: ago(now, q.Age),
		Moves: s.agent.Balancer().Moves(vmq.QueueKey{Port: q.Port, Queue: q.Queue})}
	if r.Snapshot.Port(q.Port).Kind != policy.PortUplink {
		m.PortKind, m.Vports = "vport", []string{port}
	}
	return m
}

// ListMoves implements the control API.
func (s *Service) ListMoves(_ context.Context, req *sluicev1.ListMovesRequest) (*sluicev1.ListMovesResponse, error) {
	if s.agent.Running() == nil {
		return nil, coded(agent.ErrStopped)
	}
	events, forgotten := s.agent.Balancer().History()
	res := &sluicev1.ListMovesResponse{Forgotten: forgotten}
	for i := range events {
		if n := req.GetLimit(); n > 0 && len(res.Events) == int(n) {
			break
		}
		if req.GetPort() == "" || req.GetPort() == events[i].Port {
			res.Events = append(res.Events, queueEvent(&events[i]))
		}
	}
	return res, nil
}

func queueEvent(e *balance.Event) *sluicev1.QueueEvent {
	m := &sluicev1.QueueEvent{
		Number: e.Number, AtUnixNs: uint64(e.At.UnixNano()), Kind: e.Kind.String(), Cause: e.Cause.String(), Reason: e.Reason, Port: e.Port,
		Queue: uint32(e.Queue.Queue), From: int32(e.From), To: int32(e.To), Vport: e.Vport, Error: e.Err, ExpectedGain: e.Expected,
		TookNs: uint64(e.Took / time.Nanosecond),
	}
	for _, w := range e.Workers {
		m.Workers = append(m.Workers, uint32(w))
	}
	if e.Measured {
		m.MeasuredGain, m.PacketsRatio = &e.Gain, &e.PacketsRatio
	}
	return m
}

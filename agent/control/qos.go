package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sluicenet/sluice/agent"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/nic"
	"github.com/sluicenet/sluice/policy"
)

// ListSchedulers implements the control API.
func (s *Service) ListSchedulers(_ context.Context, req *sluicev1.ListSchedulersRequest) (*sluicev1.ListSchedulersResponse, error) {
	r := s.agent.Running()
	if r == nil {
		return nil, coded(agent.ErrStopped)
	}
	res := &sluicev1.ListSchedulersResponse{SampledNs: s.sampled()}
	for _, st := range s.agent.Switch().Schedulers() {
		name := r.PortName(st.Port)
		if name == "" {
			continue
		}
		m := s.scheduler(r, name, &st)
		if req.GetPort() == "" || req.GetPort() == name || ofVport(m, req.GetPort()) {
			res.Schedulers = append(res.Schedulers, m)
		}
	}
	for i := range r.Config.Uplinks {
		if u := &r.Config.Uplinks[i]; r.Divides(u.Name) && (req.GetPort() == "" || req.GetPort() == u.Name) {
			res.Schedulers = append(res.Schedulers, byDevice(u))
		}
	}
	for _, m := range res.Schedulers {
		if u := r.Config.Uplink(m.GetPort()); u != nil {
			m.Bypassing = nic.Host().Bypassing(cmp.Or(u.Device.PCI, u.Device.Interface))
		}
	}
	if req.GetPort() != "" && len(res.Schedulers) == 0 {
		if r.Config.Vport(req.GetPort()) != nil {
			return nil, notFound("vport %s has no share or limit of its own: with quality of service on its uplink it is among the (others) there; `sluice qos show` shows all", req.GetPort())
		}
		return nil, notFound("no port %s with quality of service on this host; `sluice qos show` shows all", req.GetPort())
	}
	return res, nil
}

func (s *Service) scheduler(r *agent.Running, name string, st *dataplane.SchedulerStatus) *sluicev1.Scheduler {
	m := &sluicev1.Scheduler{
		Port: name, PortKind: "vport", Worker: uint32(st.Worker), RateBytesPerSec: st.BytesPerSec, WaitingPackets: st.Packets,
		SampledNs: uint64(st.At.Sub(s.start) / time.Nanosecond),
	}
	if r.Snapshot.Port(st.Port).Kind == policy.PortUplink {
		m.PortKind = "uplink"
	}
	if st.Err != nil {
		m.Error = st.Err.Error()
	}
	c := st.Config
	for tc := range c.Classes {
		if k := &c.Classes[tc]; k.Strict || k.Weight != 0 {
			m.Classes = append(m.Classes, &sluicev1.TrafficClass{
				Tc: uint32(tc), Name: k.Name, Strict: k.Strict, SharePercent: k.Weight, MaxBytesPerSec: k.MaxBytesPerSec,
				MarkBytes: k.MarkBytes, MarkFullBytes: k.MarkFullBytes, QueueBytes: k.QueueBytes,
			})
		}
	}
	for i := range c.Groups {
		g := &c.Groups[i]
		m.Groups = append(m.Groups, &sluicev1.SchedulerGroup{
			Name: g.Name, MinBytesPerSec: g.MinBytesPerSec, MaxBytesPerSec: g.MaxBytesPerSec, BurstBytes: g.BurstBytes, Weight: g.Weight,
		})
	}
	for i := range c.Leaves {
		m.Leaves = append(m.Leaves, leaf(r, c, &c.Leaves[i]))
	}
	for i := range st.Queues {
		q := &st.Queues[i]
		l := m.Leaves[q.Leaf]
		l.Queues = append(l.Queues, &sluicev1.SchedulerQueue{
			Tc: uint32(q.Class), WaitingPackets: q.Packets, WaitingBytes: q.Bytes, SentPackets: q.SentPackets, SentBytes: q.SentBytes,
			DroppedPackets: q.RefusedPackets, DroppedBytes: q.RefusedBytes, MarkedPackets: q.Marked, EctPackets: q.Capable,
		})
	}
	return m
}

// ofVport leaves of an uplink's scheduler what is of one vport, and reports whether that is anything.
func ofVport(m *sluicev1.Scheduler, vport string) bool {
	m.Leaves = slices.DeleteFunc(m.Leaves, func(l *sluicev1.SchedulerLeaf) bool { return l.GetVport() != vport })
	if len(m.Leaves) == 0 {
		return false
	}
	m.Groups = slices.DeleteFunc(m.Groups, func(g *sluicev1.SchedulerGroup) bool { return g.GetName() != m.Leaves[0].GetGroup() })
	m.WaitingPackets = 0
	for _, l := range m.Leaves {
		for _, q := range l.GetQueues() {
			m.WaitingPackets += q.GetWaitingPackets()
		}
	}
	return true
}

// byDevice is an uplink whose device divides the link. It counts nothing by class.
func byDevice(u *policy.UplinkConfig) *sluicev1.Scheduler {
	m := &sluicev1.Scheduler{Port: u.Name, PortKind: "uplink", ByDevice: true}
	for i := range u.QoS.Classes {
		c := &u.QoS.Classes[i]
		m.Classes = append(m.Classes, &sluicev1.TrafficClass{Tc: uint32(c.TC), Name: c.Name, SharePercent: uint32(c.Share)})
	}
	return m
}

func leaf(r *agent.Running, c *policy.SchedulerQoS, l *policy.LeafQoS) *sluicev1.SchedulerLeaf {
	m := &sluicev1.SchedulerLeaf{
		Vport: r.PortName(l.Port), Destination: l.Name, MinBytesPerSec: l.MinBytesPerSec, MaxBytesPerSec: l.MaxBytesPerSec,
		BurstBytes: l.BurstBytes, Weight: l.Weight,
	}
	if l.Group >= 0 && int(l.Group) < len(c.Groups) {
		m.Group = c.Groups[l.Group].Name
	}
	return m
}

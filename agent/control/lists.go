package control

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"connectrpc.com/connect"

	"github.com/sluicenet/sluice/agent"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// ListVports implements the control API.
func (s *Service) ListVports(_ context.Context, req *sluicev1.ListVportsRequest) (*sluicev1.ListVportsResponse, error) {
	r, ports := s.agent.Ports()
	if r == nil {
		return nil, coded(agent.ErrStopped)
	}
	res := &sluicev1.ListVportsResponse{SampledNs: s.sampled()}
	for _, p := range ports {
		if p.Tap == nil || (req.GetName() != "" && req.GetName() != p.Name) {
			continue
		}
		v := &sluicev1.Vport{
			Name: p.Name, Index: p.Index, Mac: p.Tap.MAC.String(), Mtu: uint32(p.MTU), Device: device(p), Counters: counters(p.Counters),
		}
		attach(v, r)
		res.Vports = append(res.Vports, v)
	}
	if req.GetName() != "" && len(res.Vports) == 0 {
		return nil, notFound("no vport %s on this host; `sluice vport list` shows all", req.GetName())
	}
	slices.SortFunc(res.Vports, func(a, b *sluicev1.Vport) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return res, nil
}

// attach fills in the network that a vport belongs to.
func attach(v *sluicev1.Vport, r *agent.Running) {
	p := r.Snapshot.Port(v.GetIndex())
	switch p.Attach {
	case policy.AttachSubnet:
		sub := r.Snapshot.Subnets[p.Subnet]
		v.Attachment, v.Subnet, v.Vsid = "subnet", sub.Name, sub.VSID
		if d := r.Snapshot.Domain(sub.RDID); d != nil {
			v.Network = d.Name
		}
		for i := range sub.Records {
			if rec := &sub.Records[i]; rec.Port == v.GetIndex() && !rec.CA.IsZero() {
				v.Addresses = append(v.Addresses, rec.CA.String())
			}
		}
	case policy.AttachVLAN:
		v.Attachment, v.Vlan, v.Uplink = "vlan", uint32(p.VLAN), r.PortName(p.Uplink)
	case policy.AttachPassThrough:
		v.Attachment, v.Uplink = "pass-through", r.PortName(p.Uplink)
		for _, vlan := range p.Trunk {
			v.Trunk = append(v.Trunk, uint32(vlan))
		}
	}
}

// ListUplinks implements the control API.
func (s *Service) ListUplinks(_ context.Context, req *sluicev1.ListUplinksRequest) (*sluicev1.ListUplinksResponse, error) {
	r, ports := s.agent.Ports()
	if r == nil {
		return nil, coded(agent.ErrStopped)
	}
	res := &sluicev1.ListUplinksResponse{SampledNs: s.sampled()}
	for _, p := range ports {
		if p.Uplink == nil || (req.GetName() != "" && req.GetName() != p.Name) {
			continue
		}
		u := &sluicev1.Uplink{
			Name: p.Name, Index: p.Index, Mac: p.MAC.String(), Mtu: uint32(p.MTU), Device: device(p), Counters: counters(p.Counters),
			Dcb: dcb(&p),
		}
		for i := range r.Snapshot.PAs {
			pa := &r.Snapshot.PAs[i]
			if pa.Uplink != p.Index {
				continue
			}
			u.ProviderAddresses = append(u.ProviderAddresses, withPrefix(pa.Addr, pa.Prefix))
			u.Gateway = addrText(pa.Gateway)
		}
		res.Uplinks = append(res.Uplinks, u)
	}
	if req.GetName() != "" && len(res.Uplinks) == 0 {
		return nil, notFound("no uplink %s on this host; `sluice uplink list` shows all", req.GetName())
	}
	slices.SortFunc(res.Uplinks, func(a, b *sluicev1.Uplink) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return res, nil
}

func dcb(p *agent.PortStatus) *sluicev1.DCB {
	d := &p.DCB
	m := &sluicev1.DCB{Classes: uint32(d.Classes), HasPfc: d.HasPFC, Running: uint32(d.Running), Divides: d.Divides, Software: p.Software}
	if d.Err != nil {
		m.Reason = d.Err.Error()
	}
	if d.Refused != nil {
		m.Refused = d.Refused.Error()
	}
	for _, priority := range agent.Priorities(d.PFC) {
		m.PausingPriorities = append(m.PausingPriorities, uint32(priority))
	}
	return m
}

func device(p agent.PortStatus) *sluicev1.Device {
	d := &sluicev1.Device{
		RxQueues: uint32(p.RxQueues), TxQueues: uint32(p.TxQueues), LinkUp: p.LinkUp, SpeedMbitPerSec: p.SpeedMbit,
	}
	switch {
	case p.Tap != nil:
		d.Driver, d.Interface, d.Namespace = "tap", p.Tap.Interface, p.Tap.Namespace
	case p.Uplink.PCI != "":
		d.Driver, d.Address = "pci", p.Uplink.PCI
	default:
		d.Address = p.Uplink.DevArgs
		name, _, _ := strings.Cut(p.Uplink.DevArgs, ",")
		for _, arg := range strings.Split(p.Uplink.DevArgs, ",") {
			if v, ok := strings.CutPrefix(arg, "iface="); ok {
				d.Interface = v
			}
		}
		d.Driver = driverOf(name, d.Interface)
	}
	if p.StatsErr != nil {
		d.StatsError = p.StatsErr.Error()
		return d
	}
	d.Stats = &sluicev1.DeviceStats{
		RxPackets: p.Stats.RxPackets, RxBytes: p.Stats.RxBytes, RxMissed: p.Stats.RxMissed, RxErrors: p.Stats.RxErrors,
		RxNoBuffers: p.Stats.RxNoMbuf, TxPackets: p.Stats.TxPackets, TxBytes: p.Stats.TxBytes, TxErrors: p.Stats.TxErrors,
	}
	return d
}

// driverOf is the driver in the name of a virtual device, which ends in a number or in the interface it is over.
func driverOf(device, iface string) string {
	driver := strings.TrimPrefix(device, "net_")
	if d, ok := strings.CutSuffix(driver, "_"+iface); ok && iface != "" {
		return d
	}
	return strings.TrimRight(driver, "0123456789")
}

func counters(c dataplane.PortCounters) *sluicev1.Counters {
	m := &sluicev1.Counters{
		RxPackets: c.RxPackets, RxBytes: c.RxBytes, Created: c.Created, Sent: c.Sent, Consumed: c.Consumed,
		Dropped: c.Dropped, Queued: c.Queued, TxPackets: c.TxPackets, TxBytes: c.TxBytes,
	}
	for _, r := range dataplane.Reasons() {
		if n := c.Drops[r]; n > 0 {
			m.Drops = append(m.Drops, &sluicev1.DropCount{Reason: r.String(), Explanation: r.Explain(), Packets: n})
		}
	}
	return m
}

// ListDrops implements the control API.
func (s *Service) ListDrops(_ context.Context, req *sluicev1.ListDropsRequest) (*sluicev1.ListDropsResponse, error) {
	r, ports := s.agent.Ports()
	if r == nil {
		return nil, coded(agent.ErrStopped)
	}
	res := &sluicev1.ListDropsResponse{SampledNs: s.sampled()}
	found := false
	for _, p := range ports {
		if req.GetPort() != "" && req.GetPort() != p.Name {
			continue
		}
		found = true
		kind := "vport"
		if p.Uplink != nil {
			kind = "uplink"
		}
		for _, d := range counters(p.Counters).GetDrops() {
			res.Drops = append(res.Drops, &sluicev1.Drop{
				Port: p.Name, PortKind: kind, Reason: d.GetReason(), Explanation: d.GetExplanation(), Packets: d.GetPackets(),
			})
		}
	}
	if req.GetPort() != "" && !found {
		return nil, notFound("no port %s on this host; `sluice vport list` and `sluice uplink list` show all", req.GetPort())
	}
	return res, nil
}

// ListRecords implements the control API.
func (s *Service) ListRecords(_ context.Context, req *sluicev1.ListRecordsRequest) (*sluicev1.ListRecordsResponse, error) {
	r := s.agent.Running()
	if r == nil {
		return nil, coded(agent.ErrStopped)
	}
	subnets := r.Snapshot.Subnets
	if req.GetSubnet() != "" {
		vsid, _ := strconv.ParseUint(req.GetSubnet(), 10, 32)
		sub := findSubnet(r.Snapshot, uint32(vsid), req.GetSubnet())
		if sub == nil {
			return nil, notFound("no virtual subnet %s on this host; `sluice record list` shows the ones it knows", req.GetSubnet())
		}
		subnets = []*policy.Subnet{sub}
	}
	var ca packet.Addr
	if req.GetCa() != "" {
		var err error
		if ca, err = parseAddr("customer address", req.GetCa()); err != nil {
			return nil, err
		}
	}
	res := &sluicev1.ListRecordsResponse{}
	for _, sub := range subnets {
		for i := range sub.Records {
			if rec := &sub.Records[i]; ca.IsZero() || rec.CA == ca {
				res.Records = append(res.Records, record(r, sub, rec))
			}
		}
	}
	return res, nil
}

func record(r *agent.Running, sub *policy.Subnet, rec *policy.Record) *sluicev1.Record {
	m := &sluicev1.Record{
		Subnet: sub.Name, Vsid: sub.VSID, Ca: addrText(rec.CA), Mac: rec.MAC.String(), Pa: addrText(rec.PA), Type: "static",
	}
	if d := r.Snapshot.Domain(sub.RDID); d != nil {
		m.Network = d.Name
	}
	m.Method = policy.MethodNVGRE
	if rec.Rewrite {
		m.Method = policy.MethodRewrite
	}
	if rec.CA.IsZero() {
		m.Type = "l2-only"
	}
	if rec.Local() {
		m.Vport = r.PortName(rec.Port)
	}
	return m
}

// ListNeighbours implements the control API.
func (s *Service) ListNeighbours(context.Context, *sluicev1.ListNeighboursRequest) (*sluicev1.ListNeighboursResponse, error) {
	r := s.agent.Running()
	if r == nil {
		return nil, coded(agent.ErrStopped)
	}
	res := &sluicev1.ListNeighboursResponse{}
	for _, n := range s.agent.Switch().Neighbours() {
		res.Neighbours = append(res.Neighbours, &sluicev1.Neighbour{
			Uplink: r.PortName(n.Uplink), Address: n.Addr.String(), Mac: macText(n.MAC), State: n.State, AgeNs: uint64(n.Age),
		})
	}
	return res, nil
}

// ListLearned implements the control API.
func (s *Service) ListLearned(context.Context, *sluicev1.ListLearnedRequest) (*sluicev1.ListLearnedResponse, error) {
	r := s.agent.Running()
	if r == nil {
		return nil, coded(agent.ErrStopped)
	}
	res := &sluicev1.ListLearnedResponse{}
	for _, l := range s.agent.Switch().Learned() {
		res.Learned = append(res.Learned, &sluicev1.LearnedMac{
			Bridge: r.BridgeName(l.Bridge), Mac: l.MAC.String(), Port: r.PortName(l.Port), AgeNs: uint64(l.Age),
		})
	}
	return res, nil
}

func findSubnet(snap *policy.Snapshot, vsid uint32, name string) *policy.Subnet {
	if vsid != 0 {
		return snap.SubnetByVSID(vsid)
	}
	for _, sub := range snap.Subnets {
		if sub.Name == name {
			return sub
		}
	}
	return nil
}

func subnetName(req *sluicev1.NextHopRequest) string {
	if req.GetVsid() != 0 {
		return "with VSID " + strconv.FormatUint(uint64(req.GetVsid()), 10)
	}
	return strconv.Quote(req.GetSubnet())
}

func parseAddr(what, text string) (packet.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return packet.Addr{}, connect.NewError(connect.CodeInvalidArgument,
			fmt.Errorf("%s %q is not an IP address; write it like 10.0.0.5 or 2001:db8::5", what, text))
	}
	return packet.AddrFromNetip(a), nil
}

func addrText(a packet.Addr) string {
	if a.IsZero() {
		return ""
	}
	return a.String()
}

func macText(m packet.MAC) string {
	if m.IsZero() {
		return ""
	}
	return m.String()
}

func withPrefix(a packet.Addr, p policy.Prefix) string {
	bits := int(p.Bits)
	if a.Is4() {
		bits -= 96
	}
	return a.String() + "/" + strconv.Itoa(bits)
}

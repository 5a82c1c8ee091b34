package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/api"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/api/sluice/v1/sluicev1connect"
	"github.com/sluicenet/sluice/policy"
)

// daemon answers the API with a small switch whose counters grow by the same amount with every answer, a second of its
// clock apart. Configurations it checks for real.
type daemon struct {
	sluicev1connect.UnimplementedSluiceServiceHandler
	mu       sync.Mutex
	answers  uint64
	notReady string
	applied  *sluicev1.ApplyRequest
	asked    func(n uint64) // called with every answer
}

// tick is the number of this answer, from 1.
func (d *daemon) tick() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers++
	if d.asked != nil {
		d.asked(d.answers)
	}
	return d.answers
}

const second = 1_000_000_000

func (d *daemon) GetVersion(context.Context, *sluicev1.GetVersionRequest) (*sluicev1.GetVersionResponse, error) {
	return &sluicev1.GetVersionResponse{Version: "v1.2.3", Commit: "0123456789abcdef", GoVersion: "go1.26.0", DpdkVersion: "DPDK 22.11.4"}, nil
}

func (d *daemon) GetStatus(context.Context, *sluicev1.GetStatusRequest) (*sluicev1.GetStatusResponse, error) {
	n := d.tick()
	return &sluicev1.GetStatusResponse{
		SampledNs: n * second, Host: "host-a", Pid: 4711, UptimeNs: 7260 * second, Ready: d.notReady == "", NotReadyReason: d.notReady,
		Revision: 3, ConfigFile: "/etc/sluice/host.yaml", ConfigHash: "9f86d081884c7d65", AppliedUnixNs: 1_700_000_000 * second,
		LastApplyError: "uplink up1: no such interface", Vports: 2, Uplinks: 1, Version: "v1.2.3",
		Workers: []*sluicev1.Worker{
			{Id: 0, Core: 1, State: "running", Iterations: n * 9_000_000, Packets: n * 1_200_000, BusyCycles: n * 90_000_000, IdleCycles: n * 30_000_000, Flows: 42,
				SampledNs: n*second - 10_000_000, BusyIterations: n * 50_000, Stages: stages(n*19_200, "poll", 27, "parse", 9, "execute", 38.5),
				Queues: []*sluicev1.WorkerQueue{
					{Port: "red-vm1", Flows: 2, SampledNs: n * second, Bursts: n * 1000, Packets: n * 8000, Hits: n * 7000, Misses: n * 1000,
						NewFlows: n * 900, Evictions: n * 5, Refused: n * 90, Stages: stages(n*128, "parse", 12, "execute", 40)},
					{Port: "up0", Flows: 40, SampledNs: n * second, Bursts: n * 49_000, Packets: n * 1_192_000, Hits: n * 1_192_000, Stages: stages(0, "parse", 0, "execute", 0)}}},
			{Id: 1, Core: -1, State: "stalled", Iterations: 77, SampledNs: 1}, // it has told nothing since its start
		},
	}, nil
}

// stages are the measured costs of so many packets, given as stage and cycles per packet in turn.
func stages(packets uint64, costs ...any) *sluicev1.StageSample {
	s := &sluicev1.StageSample{Samples: packets / 24, Packets: packets}
	for i := 0; i < len(costs); i += 2 {
		var perPacket float64
		switch cost := costs[i+1].(type) {
		case int:
			perPacket = float64(cost)
		case float64:
			perPacket = cost
		}
		s.Stages = append(s.Stages, &sluicev1.StageCycles{Stage: costs[i].(string), Cycles: uint64(perPacket * float64(packets))})
	}
	return s
}

func (d *daemon) Apply(_ context.Context, r *sluicev1.ApplyRequest) (*sluicev1.ApplyResponse, error) {
	d.mu.Lock()
	d.applied = r
	d.mu.Unlock()
	_, err := policy.Parse(r.GetFile(), r.GetYaml())
	var bad *policy.Errors
	if errors.As(err, &bad) {
		var list []*sluicev1.Problem
		for _, p := range bad.Problems {
			list = append(list, &sluicev1.Problem{File: p.File, Line: uint32(p.Line), Object: p.Object, What: p.What, Remedy: p.Remedy})
		}
		return nil, api.InvalidConfig(r.GetFile(), list)
	}
	if strings.Contains(string(r.GetYaml()), "host-a") {
		return &sluicev1.ApplyResponse{Revision: 3}, nil
	}
	return &sluicev1.ApplyResponse{Revision: 4, Changes: []*sluicev1.Change{
		{Op: "add", Kind: "vport", Name: "red-vm3", Detail: "tap red-vm3"}, {Op: "modify", Kind: "vport", Name: "red-vm1", Detail: "mtu 1500 -> 1400"},
		{Op: "remove", Kind: "record", Name: "10.0.0.9 of red-web"},
	}, Warnings: []*sluicev1.Problem{{File: r.GetFile(), Line: 4, Object: "uplink up0", What: "MTU 1500 is too small", Remedy: "set it to 1542"}}}, nil
}

func (d *daemon) GetConfig(context.Context, *sluicev1.GetConfigRequest) (*sluicev1.GetConfigResponse, error) {
	return &sluicev1.GetConfigResponse{Yaml: []byte("host: {name: host-a}\n"), File: "/etc/sluice/host.yaml", Revision: 3, ConfigHash: "9f86d081884c7d65"}, nil
}

// traffic is a port's counters after n answers: they add up, and grow by 1000 packets of 125 bytes and 10 drops.
func traffic(n uint64) *sluicev1.Counters {
	return &sluicev1.Counters{RxPackets: n * 1000, RxBytes: n * 125_000, Created: n * 5, Sent: n * 990, Consumed: n * 5, Dropped: n * 10,
		TxPackets: n * 2000, TxBytes: n * 250_000, Drops: []*sluicev1.DropCount{
			{Reason: "source-spoof", Explanation: "The sender used an address that is not its own.", Packets: n * 10}}}
}

func (d *daemon) ListVports(_ context.Context, r *sluicev1.ListVportsRequest) (*sluicev1.ListVportsResponse, error) {
	n := d.tick()
	all := []*sluicev1.Vport{
		{Name: "legacy", Index: 3, Mac: "00:15:5d:00:03:01", Mtu: 1500, Attachment: "vlan", Vlan: 100, Uplink: "up0", Device: &sluicev1.Device{Driver: "tap", Interface: "legacy", RxQueues: 1, TxQueues: 1}},
		{Name: "red-vm1", Index: 2, Mac: "00:15:5d:00:01:05", Mtu: 1500, Attachment: "subnet", Network: "red", Subnet: "red-web", Vsid: 6001,
			Addresses: []string{"10.0.0.5"}, Counters: traffic(n),
			Device: &sluicev1.Device{Driver: "tap", Interface: "red-vm1", Namespace: "red-vm1", LinkUp: true, RxQueues: 1, TxQueues: 1, StatsError: "a tap counts nothing"}},
	}
	if r.GetName() == "" {
		return &sluicev1.ListVportsResponse{SampledNs: n * second, Vports: all}, nil
	}
	for _, p := range all {
		if p.GetName() == r.GetName() {
			return &sluicev1.ListVportsResponse{SampledNs: n * second, Vports: []*sluicev1.Vport{p}}, nil
		}
	}
	return nil, connect.NewError(connect.CodeNotFound, errors.New("no vport "+r.GetName()+" on this host; see sluice vport list"))
}

func (d *daemon) ListUplinks(context.Context, *sluicev1.ListUplinksRequest) (*sluicev1.ListUplinksResponse, error) {
	n := d.tick()
	return &sluicev1.ListUplinksResponse{SampledNs: n * second, Uplinks: []*sluicev1.Uplink{{
		Name: "up0", Index: 1, Mac: "02:00:00:00:00:01", Mtu: 1600, ProviderAddresses: []string{"172.16.1.1/24"}, Gateway: "172.16.1.254", Dcb: &sluicev1.DCB{Reason: "device up0: its driver has no DCB", Refused: "device up0: its driver has no DCB", Software: "the class is strict"},
		Device: &sluicev1.Device{Driver: "net_ixgbe", Address: "0000:03:00.0", LinkUp: true, SpeedMbitPerSec: 10_000, RxQueues: 2, TxQueues: 2,
			Stats: &sluicev1.DeviceStats{RxPackets: n * 1001, RxMissed: n}},
		Counters: traffic(n),
	}}}, nil
}

func (d *daemon) ListRecords(_ context.Context, r *sluicev1.ListRecordsRequest) (*sluicev1.ListRecordsResponse, error) {
	var list []*sluicev1.Record
	for _, rec := range []*sluicev1.Record{
		{Network: "red", Subnet: "red-web", Vsid: 6001, Ca: "10.0.0.5", Mac: "00:15:5d:00:01:05", Vport: "red-vm1", Type: "static", Method: "nvgre"},
		{Network: "red", Subnet: "red-web", Vsid: 6001, Ca: "10.0.0.7", Mac: "00:15:5d:00:01:07", Pa: "172.16.1.2", Type: "static", Method: "nvgre"},
		{Network: "red", Subnet: "red-db", Vsid: 6002, Mac: "00:15:5d:00:01:09", Pa: "172.16.1.2", Type: "l2-only", Method: "nvgre"},
	} {
		subnet, ca := r.GetSubnet(), r.GetCa()
		if (subnet == "" || subnet == rec.GetSubnet()) && (ca == "" || ca == rec.GetCa()) {
			list = append(list, rec)
		}
	}
	return &sluicev1.ListRecordsResponse{Records: list}, nil
}

func (d *daemon) ListNeighbours(context.Context, *sluicev1.ListNeighboursRequest) (*sluicev1.ListNeighboursResponse, error) {
	return &sluicev1.ListNeighboursResponse{Neighbours: []*sluicev1.Neighbour{
		{Uplink: "up0", Address: "172.16.1.2", Mac: "02:00:00:00:00:02", State: "reachable", AgeNs: 12 * second},
		{Uplink: "up0", Address: "172.16.1.9", State: "incomplete"},
	}}, nil
}

func (d *daemon) ListLearned(context.Context, *sluicev1.ListLearnedRequest) (*sluicev1.ListLearnedResponse, error) {
	return &sluicev1.ListLearnedResponse{Learned: []*sluicev1.LearnedMac{{Bridge: "up0 vlan 100", Mac: "00:15:5d:00:03:01", Port: "legacy", AgeNs: 90 * second}}}, nil
}

func (d *daemon) ListDrops(context.Context, *sluicev1.ListDropsRequest) (*sluicev1.ListDropsResponse, error) {
	n := d.tick()
	return &sluicev1.ListDropsResponse{SampledNs: n * second, Drops: []*sluicev1.Drop{
		{Port: "red-vm1", PortKind: "vport", Reason: "source-spoof", Explanation: "The sender used an address that is not its own.", Packets: n * 10},
		{Port: "up0", PortKind: "uplink", Reason: "source-spoof", Explanation: "The sender used an address that is not its own.", Packets: n * 5},
		{Port: "up0", PortKind: "uplink", Reason: "unknown-vsid", Explanation: "No subnet of this host has the VSID.", Packets: 2_000_000},
	}}, nil
}

func (d *daemon) ListSchedulers(_ context.Context, q *sluicev1.ListSchedulersRequest) (*sluicev1.ListSchedulersResponse, error) {
	n := d.tick()
	if q.GetPort() == "nosuch" {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no port nosuch with quality of service on this host"))
	}
	return &sluicev1.ListSchedulersResponse{SampledNs: n * second, Schedulers: []*sluicev1.Scheduler{
		{Port: "up0", PortKind: "uplink", Worker: 1, RateBytesPerSec: 1_250_000_000, WaitingPackets: 12, SampledNs: n * second, Bypassing: []string{"2 virtual functions"},
			Classes: []*sluicev1.TrafficClass{{Tc: 0, Name: "default", SharePercent: 70, MarkBytes: 100_000, MarkFullBytes: 300_000}, {Tc: 3, Name: "storage", SharePercent: 30, MaxBytesPerSec: 125_000_000},
				{Tc: 7, Name: "voice", Strict: true}},
			Groups: []*sluicev1.SchedulerGroup{{Name: "red", MinBytesPerSec: 250_000_000}},
			Leaves: []*sluicev1.SchedulerLeaf{
				{Weight: 1, Queues: []*sluicev1.SchedulerQueue{{Tc: 0, SentPackets: n * 100, SentBytes: n * 100_000}}},
				{Vport: "red-vm1", Group: "red", MinBytesPerSec: 125_000_000, MaxBytesPerSec: 250_000_000, Queues: []*sluicev1.SchedulerQueue{
					{Tc: 0, WaitingPackets: 12, WaitingBytes: 18_456, SentPackets: n * 2000, SentBytes: n * 3_000_000, DroppedPackets: n * 5, EctPackets: n * 90, MarkedPackets: n * 40},
					{Tc: 3, SentPackets: n * 600, SentBytes: n * 900_000}}},
				{Vport: "red-vm1", Destination: "internet", MaxBytesPerSec: 12_500_000},
			}},
		{Port: "up1", PortKind: "uplink", ByDevice: true, Classes: []*sluicev1.TrafficClass{{Tc: 0, Name: "a", SharePercent: 25}, {Tc: 1, Name: "b", SharePercent: 25}}},
		{Port: "red-vm1", PortKind: "vport", RateBytesPerSec: 62_500_000, Error: "worker 0: the worker does not answer"},
	}}, nil
}

func (d *daemon) ListQueues(_ context.Context, q *sluicev1.ListQueuesRequest) (*sluicev1.ListQueuesResponse, error) {
	n := d.tick()
	if q.GetPort() == "nosuch" {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no port nosuch with receive queues on this host"))
	}
	return &sluicev1.ListQueuesResponse{SampledNs: n * second,
		Workers: []*sluicev1.QueueWorker{
			{Id: 0, Core: 1, Node: 0, State: "running", Packets: n * 1_500_000, BusyCycles: n * 900_000_000, IdleCycles: n * 100_000_000, SampledNs: n * second},
			{Id: 1, Core: -1, Node: -1, State: "stalled", SampledNs: 1},
		},
		Queues: []*sluicev1.Queue{
			{Port: "red-vm1", PortKind: "vport", Queue: 0, Worker: 1, Mode: "static", Vports: []string{"red-vm1"}, Node: -1, SampledNs: 1},
			{Port: "up0", PortKind: "uplink", Queue: 0, Worker: 0, Mode: "dynamic", Packets: n * 1_500_000, Bursts: n * 50_000, BusyCycles: n * 850_000_000,
				SampledNs: n * second, Moves: 3, HandedTo: []uint32{0, 1}},
		}}, nil
}

func (d *daemon) ListMoves(_ context.Context, q *sluicev1.ListMovesRequest) (*sluicev1.ListMovesResponse, error) {
	gain, ratio := 0.38, 1.25
	events := []*sluicev1.QueueEvent{
		{Number: 3, AtUnixNs: 1_700_000_001 * second, Kind: "refused", Cause: "saturation", Reason: "up0/0 alone is too much for worker 0", Port: "up0", From: -1, To: -1},
		{Number: 2, AtUnixNs: 1_700_000_000 * second, Kind: "move", Cause: "overload", Reason: "worker 0 is 97 % busy", Port: "up0", Queue: 1, From: 0, To: 1,
			Error: "the worker does not answer", ExpectedGain: 0.4, TookNs: 1_000_000_000},
		{Number: 1, AtUnixNs: 1_699_999_999 * second, Kind: "move", Cause: "overload", Reason: "worker 0 is 96 % busy", Port: "up0", Queue: 1, From: 0, To: 1,
			ExpectedGain: 0.4, MeasuredGain: &gain, PacketsRatio: &ratio, TookNs: 40_000},
	}
	if n := int(q.GetLimit()); n > 0 {
		events = events[:n]
	}
	return &sluicev1.ListMovesResponse{Events: events, Forgotten: 7}, nil
}

func (d *daemon) NextHop(_ context.Context, q *sluicev1.NextHopRequest) (*sluicev1.NextHopResponse, error) {
	if q.GetTarget() == "10.9.9.9" {
		return &sluicev1.NextHopResponse{Verdict: "drop", Reason: "no-route", ReasonExplanation: "No subnet or route of the network has the target.",
			Steps: []string{"10.9.9.9 is in no subnet of network red"}}, nil
	}
	return &sluicev1.NextHopResponse{Verdict: "nvgre", Steps: []string{"10.0.0.7 is in subnet red-web (VSID 6001)", "its record points at host 172.16.1.2"},
		Pa: "172.16.1.2", NextHop: "172.16.1.2", NextHopMac: "02:00:00:00:00:02", Uplink: "up0", Vsid: 6001, Mac: "00:15:5d:00:01:07"}, nil
}

// serve puts a daemon on a socket of its own.
func serve(t *testing.T, d *daemon) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s.sock")
	l, err := api.Listen(socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- api.Serve(ctx, l, d) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	return socket
}

// outcome is what a command line did.
type outcome struct {
	code     int
	out, err string
}

// sluice runs a command line against a socket, with short intervals.
func sluice(t *testing.T, socket string, args ...string) outcome {
	t.Helper()
	return sluiceWith(t, nil, append([]string{"--socket", socket}, args...)...)
}

// sluiceWith runs a command line after change has had its way with the app.
func sluiceWith(t *testing.T, change func(*app), args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &errs)
	if change != nil {
		change(a)
	}
	code := a.run(context.Background(), args)
	return outcome{code, out.String(), errs.String()}
}

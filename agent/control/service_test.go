package control_test

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/agent/control"
	"github.com/sluicenet/sluice/api"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/api/sluice/v1/sluicev1connect"
	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memdriver"
	"github.com/sluicenet/sluice/policy"
)

const config = `
host: {name: host-a}
daemon: {metrics: "off"}
uplinks:
  - {name: up0, device: {devargs: "net_pcap0,iface=eth7"}, mtu: 1600, providerAddresses: [172.16.1.1/24], gateway: 172.16.1.254}
networks:
  - name: red
    subnets:
      - {name: web, vsid: 6001, prefix: 10.0.0.0/24}
records:
  - {subnet: web, ca: 10.0.0.7, mac: "00:15:5d:00:01:07", pa: 172.16.1.2}
  - {subnet: web, mac: "00:15:5d:00:01:08", pa: 172.16.1.2}
vports:
  - {name: vm1, device: {driver: tap, namespace: ns1}, mac: "00:15:5d:00:01:05", subnet: web, addresses: [10.0.0.5, 10.0.0.6]}
  - {name: acc, device: {driver: tap}, mac: "00:15:5d:00:01:20", uplink: up0, vlan: 100}
  - {name: host0, device: {driver: tap}, mac: "00:15:5d:00:01:21", uplink: up0, passThrough: true, trunk: [200, 300]}
`

type daemon struct {
	agent  *agent.Agent
	driver *memdriver.Driver
	socket string
	client sluicev1connect.SluiceServiceClient
	stop   func()
}

// serve runs an agent behind the control API on a real socket.
func serve(t *testing.T, started bool) *daemon {
	t.Helper()
	c, err := policy.Parse("host.yaml", []byte(config))
	require.NoError(t, err)
	d := &daemon{driver: memdriver.New(4096), socket: filepath.Join(t.TempDir(), "s.sock")}
	d.agent, err = agent.New(agent.Options{
		Config: c, File: "host.yaml", YAML: []byte(config), Driver: d.driver, Cores: []int{-1}, Pool: agent.Pool{Packets: 1 << 20, FrameSize: 2048},
		KernelAddrs: func() (map[netip.Addr]string, error) { return nil, nil },
	})
	require.NoError(t, err)
	l, err := api.Listen(d.socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- api.Serve(ctx, l, control.New(d.agent, control.Build{Version: "v1.2.3", Commit: "abc", Go: "go1", DPDK: "none"}))
	}()
	d.stop = func() {
		cancel()
		require.NoError(t, <-served)
		require.NoError(t, d.agent.Stop())
		require.NoError(t, d.driver.CheckClean())
	}
	d.client = api.Dial(d.socket)
	if started {
		require.NoError(t, d.agent.Start(t.Context()))
	}
	return d
}

func TestAnswersWhileStarting(t *testing.T) {
	d := serve(t, false)
	defer d.stop()
	v, err := d.client.GetVersion(t.Context(), &sluicev1.GetVersionRequest{})
	require.NoError(t, err)
	require.Equal(t, "v1.2.3", v.GetVersion())
	s, err := d.client.GetStatus(t.Context(), &sluicev1.GetStatusRequest{})
	require.NoError(t, err)
	require.False(t, s.GetReady())
	require.NotEmpty(t, s.GetNotReadyReason())
	_, err = d.client.Apply(t.Context(), &sluicev1.ApplyRequest{Yaml: []byte(config), File: "f"})
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
	_, err = d.client.ListVports(t.Context(), &sluicev1.ListVportsRequest{})
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
}

func TestStatusAndLists(t *testing.T) {
	d := serve(t, true)
	defer d.stop()
	ctx := t.Context()

	s, err := d.client.GetStatus(ctx, &sluicev1.GetStatusRequest{})
	require.NoError(t, err)
	require.True(t, s.GetReady(), s.GetNotReadyReason())
	require.Equal(t, "host-a", s.GetHost())
	require.EqualValues(t, 1, s.GetRevision())
	require.EqualValues(t, 3, s.GetVports())
	require.EqualValues(t, 1, s.GetUplinks())
	require.Len(t, s.GetWorkers(), 1)
	var polled []string
	for _, q := range s.GetWorkers()[0].GetQueues() {
		polled = append(polled, q.GetPort())
	}
	require.ElementsMatch(t, []string{"up0", "vm1", "acc", "host0"}, polled)

	vports, err := d.client.ListVports(ctx, &sluicev1.ListVportsRequest{})
	require.NoError(t, err)
	require.Len(t, vports.GetVports(), 3)
	acc, host0, vm1 := vports.GetVports()[0], vports.GetVports()[1], vports.GetVports()[2]
	require.Equal(t, []string{"acc", "host0", "vm1"}, []string{acc.GetName(), host0.GetName(), vm1.GetName()})
	require.Equal(t, "vlan", acc.GetAttachment())
	require.EqualValues(t, 100, acc.GetVlan())
	require.Equal(t, "up0", acc.GetUplink())
	require.Equal(t, "pass-through", host0.GetAttachment())
	require.Equal(t, []uint32{200, 300}, host0.GetTrunk())
	require.Equal(t, "subnet", vm1.GetAttachment())
	require.Equal(t, "red", vm1.GetNetwork())
	require.Equal(t, "web", vm1.GetSubnet())
	require.EqualValues(t, 6001, vm1.GetVsid())
	require.Equal(t, []string{"10.0.0.5", "10.0.0.6"}, vm1.GetAddresses())
	require.Equal(t, "00:15:5d:00:01:05", vm1.GetMac())
	require.Equal(t, "ns1", vm1.GetDevice().GetNamespace())
	require.Equal(t, "tap", vm1.GetDevice().GetDriver())

	uplinks, err := d.client.ListUplinks(ctx, &sluicev1.ListUplinksRequest{Name: "up0"})
	require.NoError(t, err)
	require.Len(t, uplinks.GetUplinks(), 1)
	up := uplinks.GetUplinks()[0]
	require.Zero(t, up.GetDcb().GetClasses())
	require.NotEmpty(t, up.GetDcb().GetReason())
	require.Equal(t, []string{"172.16.1.1/24"}, up.GetProviderAddresses())
	require.Equal(t, "172.16.1.254", up.GetGateway())
	require.Equal(t, "pcap", up.GetDevice().GetDriver())
	require.Equal(t, "eth7", up.GetDevice().GetInterface())
	require.True(t, up.GetDevice().GetLinkUp())

	records, err := d.client.ListRecords(ctx, &sluicev1.ListRecordsRequest{Subnet: "6001"})
	require.NoError(t, err)
	kinds := map[string]int{}
	for _, r := range records.GetRecords() {
		kinds[r.GetType()+" "+r.GetVport()+" "+r.GetPa()]++
	}
	require.Equal(t, map[string]int{"static vm1 ": 2, "static  172.16.1.2": 1, "l2-only  172.16.1.2": 1}, kinds)

	cfg, err := d.client.GetConfig(ctx, &sluicev1.GetConfigRequest{})
	require.NoError(t, err)
	require.Equal(t, config, string(cfg.GetYaml()))
	require.Equal(t, s.GetConfigHash(), cfg.GetConfigHash())
}

func TestTrafficShowsInCountersAndDrops(t *testing.T) {
	d := serve(t, true)
	defer d.stop()
	ctx := t.Context()
	d.driver.Port("vm1").Inject(0, frames.Ping("00:15:5d:00:01:99", "00:15:5d:00:01:07", "10.0.0.5", "10.0.0.7", 1, 1)) // not its MAC
	d.driver.Port("vm1").Inject(0, frames.Ping("00:15:5d:00:01:05", "00:15:5d:00:01:07", "10.0.0.5", "10.0.0.7", 1, 2)) // asks for a next hop
	sent, err := d.driver.Port("up0").WaitSent(1, 20*time.Second)
	require.NoError(t, err)
	require.NotEmpty(t, sent)
	require.NoError(t, d.driver.Net().WaitIdle(20*time.Second))

	drops, err := d.client.ListDrops(ctx, &sluicev1.ListDropsRequest{Port: "vm1"})
	require.NoError(t, err)
	require.Len(t, drops.GetDrops(), 1)
	require.Contains(t, drops.GetDrops()[0].GetReason(), "spoof")
	require.NotEmpty(t, drops.GetDrops()[0].GetExplanation())
	vports, err := d.client.ListVports(ctx, &sluicev1.ListVportsRequest{Name: "vm1"})
	require.NoError(t, err)
	c := vports.GetVports()[0].GetCounters()
	require.EqualValues(t, 2, c.GetRxPackets())
	require.Equal(t, c.GetRxPackets()+c.GetCreated(), c.GetSent()+c.GetConsumed()+c.GetDropped()+c.GetQueued())
	require.EqualValues(t, 1, c.GetDropped())

	neighbours, err := d.client.ListNeighbours(ctx, &sluicev1.ListNeighboursRequest{})
	require.NoError(t, err)
	require.Len(t, neighbours.GetNeighbours(), 1)
	require.Equal(t, "up0", neighbours.GetNeighbours()[0].GetUplink())
	require.Equal(t, "172.16.1.2", neighbours.GetNeighbours()[0].GetAddress())
	require.Equal(t, "incomplete", neighbours.GetNeighbours()[0].GetState())

	d.driver.Port("acc").Inject(0, frames.Ping("00:15:5d:00:01:20", "00:15:5d:00:01:30", "192.0.2.1", "192.0.2.2", 1, 1))
	_, err = d.driver.Port("up0").WaitSent(1, 20*time.Second)
	require.NoError(t, err)
	var learned *sluicev1.ListLearnedResponse
	require.Eventually(t, func() bool {
		learned, err = d.client.ListLearned(ctx, &sluicev1.ListLearnedRequest{})
		return err == nil && len(learned.GetLearned()) == 1
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, "up0 vlan 100", learned.GetLearned()[0].GetBridge())
	require.Equal(t, "acc", learned.GetLearned()[0].GetPort())
}

func TestNextHop(t *testing.T) {
	d := serve(t, true)
	defer d.stop()
	ctx := t.Context()
	n, err := d.client.NextHop(ctx, &sluicev1.NextHopRequest{Vsid: 6001, Source: "10.0.0.5", Target: "10.0.0.7"})
	require.NoError(t, err)
	require.Equal(t, "172.16.1.2", n.GetPa())
	require.Equal(t, "up0", n.GetUplink())
	require.NotEmpty(t, n.GetSteps())
	n, err = d.client.NextHop(ctx, &sluicev1.NextHopRequest{Subnet: "web", Source: "10.0.0.7", Target: "10.0.0.5"})
	require.NoError(t, err)
	require.Equal(t, "vm1", n.GetVport())
	for _, tc := range []struct {
		req  *sluicev1.NextHopRequest
		code connect.Code
	}{
		{&sluicev1.NextHopRequest{Vsid: 7000, Source: "10.0.0.5", Target: "10.0.0.7"}, connect.CodeNotFound},
		{&sluicev1.NextHopRequest{Subnet: "wob", Source: "10.0.0.5", Target: "10.0.0.7"}, connect.CodeNotFound},
		{&sluicev1.NextHopRequest{Vsid: 6001, Source: "10.0.0", Target: "10.0.0.7"}, connect.CodeInvalidArgument},
		{&sluicev1.NextHopRequest{Vsid: 6001, Source: "10.0.0.5", Target: ""}, connect.CodeInvalidArgument},
	} {
		_, err := d.client.NextHop(ctx, tc.req)
		require.Equal(t, tc.code, connect.CodeOf(err), "%v: %v", tc.req, err)
	}
}

func TestNamesThatAreUnknown(t *testing.T) {
	d := serve(t, true)
	defer d.stop()
	ctx := t.Context()
	_, err := d.client.ListVports(ctx, &sluicev1.ListVportsRequest{Name: "up0"})
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	_, err = d.client.ListUplinks(ctx, &sluicev1.ListUplinksRequest{Name: "vm1"})
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	_, err = d.client.ListDrops(ctx, &sluicev1.ListDropsRequest{Port: "nobody"})
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	_, err = d.client.ListRecords(ctx, &sluicev1.ListRecordsRequest{Subnet: "nobody"})
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	_, err = d.client.ListRecords(ctx, &sluicev1.ListRecordsRequest{Ca: "10.0"})
	require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
}

func TestApply(t *testing.T) {
	d := serve(t, true)
	defer d.stop()
	ctx := t.Context()

	bad := strings.Replace(strings.Replace(config, "vsid: 6001", "vsid: 17", 1), "vlan: 100", "vlan: 5000", 1)
	_, err := d.client.Apply(ctx, &sluicev1.ApplyRequest{Yaml: []byte(bad), File: "bad.yaml"})
	require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
	found := api.ProblemsOf(err)
	require.Len(t, found, 2, "all problems at once: %v", err)
	require.Equal(t, "bad.yaml", found[0].GetFile())
	require.Positive(t, found[0].GetLine())
	require.Positive(t, found[0].GetColumn())
	require.NotEmpty(t, found[0].GetRemedy())
	s, err := d.client.GetStatus(ctx, &sluicev1.GetStatusRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 1, s.GetRevision())
	require.Contains(t, s.GetLastApplyError(), "bad.yaml")

	restart := "dataplane: {workers: 1}\n" + config
	_, err = d.client.Apply(ctx, &sluicev1.ApplyRequest{Yaml: []byte(restart), File: "f"})
	require.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(err))

	smaller := config[:strings.Index(config, "  - {name: acc")]
	res, err := d.client.Apply(ctx, &sluicev1.ApplyRequest{Yaml: []byte(smaller), File: "f", DryRun: true})
	require.NoError(t, err)
	require.EqualValues(t, 1, res.GetRevision())
	res, err = d.client.Apply(ctx, &sluicev1.ApplyRequest{Yaml: []byte(smaller), File: "f"})
	require.NoError(t, err)
	require.EqualValues(t, 2, res.GetRevision())
	require.Len(t, res.GetChanges(), 2)
	require.Equal(t, "remove", res.GetChanges()[0].GetOp())
	require.Equal(t, "vport", res.GetChanges()[0].GetKind())
	s, err = d.client.GetStatus(ctx, &sluicev1.GetStatusRequest{})
	require.NoError(t, err)
	require.Empty(t, s.GetLastApplyError())
	require.Equal(t, res.GetConfigHash(), s.GetConfigHash())
	require.EqualValues(t, 1, s.GetVports())
}

func TestSecondDaemonAndStaleSocket(t *testing.T) {
	d := serve(t, true)
	_, err := api.Listen(d.socket)
	require.ErrorIs(t, err, api.ErrAlreadyRunning)
	d.stop()

	// What a killed daemon leaves: a socket file that nobody listens on.
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: d.socket, Net: "unix"})
	require.NoError(t, err)
	dead.SetUnlinkOnClose(false)
	require.NoError(t, dead.Close())
	l, err := api.Listen(d.socket)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

// An uplink whose device divides the link by itself is told of like others, as far as anything is known.
func TestDeviceThatSchedules(t *testing.T) {
	d := serve(t, true)
	defer d.stop()
	d.driver.GiveClasses(8)
	const uplink = `uplinks:
  - {name: up9, device: {devargs: net_null9}, qos: {classes: [{tc: 0, name: a, share: 20%, ecn: off}, {tc: 1, name: b, share: 20%, ecn: off},
      {tc: 2, name: c, share: 20%, ecn: off, pfc: true}, {tc: 3, name: d, share: 20%, ecn: off}]}}
`
	text := strings.Replace(config, "uplinks:\n", uplink, 1) + "classification: {outer: [{tc: 0, pcp: 0}, {tc: 1, pcp: 1}, {tc: 2, pcp: 2}, {tc: 3, pcp: 3}]}\n"
	_, err := d.client.Apply(t.Context(), &sluicev1.ApplyRequest{Yaml: []byte(text), File: "f"})
	require.NoError(t, err)
	list, err := d.client.ListSchedulers(t.Context(), &sluicev1.ListSchedulersRequest{Port: "up9"})
	require.NoError(t, err)
	require.Len(t, list.GetSchedulers(), 1)
	m := list.GetSchedulers()[0]
	require.True(t, m.GetByDevice())
	require.Equal(t, "uplink", m.GetPortKind())
	require.Empty(t, m.GetBypassing(), "no NIC")
	require.Len(t, m.GetClasses(), 4)
	require.Equal(t, "c", m.GetClasses()[2].GetName())
	require.EqualValues(t, 20, m.GetClasses()[2].GetSharePercent())
	ups, err := d.client.ListUplinks(t.Context(), &sluicev1.ListUplinksRequest{Name: "up9"})
	require.NoError(t, err)
	dcb := ups.GetUplinks()[0].GetDcb()
	require.EqualValues(t, 8, dcb.GetClasses())
	require.EqualValues(t, 4, dcb.GetRunning())
	require.True(t, dcb.GetDivides())
	require.True(t, dcb.GetHasPfc())
	require.Equal(t, []uint32{2}, dcb.GetPausingPriorities())
	require.Empty(t, dcb.GetReason()+dcb.GetRefused()+dcb.GetSoftware())
}

func TestQueuesAndMoves(t *testing.T) {
	d := serve(t, true)
	defer d.stop()
	ctx := t.Context()
	all, err := d.client.ListQueues(ctx, &sluicev1.ListQueuesRequest{})
	require.NoError(t, err)
	require.Len(t, all.GetWorkers(), 1)
	require.Equal(t, "running", all.GetWorkers()[0].GetState())
	require.EqualValues(t, -1, all.GetWorkers()[0].GetNode(), "it is not pinned")
	require.Len(t, all.GetQueues(), 4, "in order of their ports")
	require.Equal(t, "acc", all.GetQueues()[0].GetPort())
	up := all.GetQueues()[2]
	require.Equal(t, "up0", up.GetPort())
	require.Equal(t, "uplink", up.GetPortKind())
	require.Equal(t, "dynamic", up.GetMode())
	require.Empty(t, up.GetVports(), "it is shared")
	one, err := d.client.ListQueues(ctx, &sluicev1.ListQueuesRequest{Port: "vm1"})
	require.NoError(t, err)
	require.Len(t, one.GetQueues(), 1)
	require.Equal(t, []string{"vm1"}, one.GetQueues()[0].GetVports())
	_, err = d.client.ListQueues(ctx, &sluicev1.ListQueuesRequest{Port: "nosuch"})
	require.Equal(t, connect.CodeNotFound, connect.CodeOf(err))

	moves, err := d.client.ListMoves(ctx, &sluicev1.ListMovesRequest{})
	require.NoError(t, err)
	require.Empty(t, moves.GetEvents())
}

// A vport may be asked for: its rows of the uplink's scheduler, and what it gets.
func TestSchedulersOfAVport(t *testing.T) {
	d := serve(t, true)
	defer d.stop()
	text := strings.Replace(config, "gateway: 172.16.1.254}", "gateway: 172.16.1.254,\n     qos: {rate: 1Gbit, classes: [{tc: 0, name: all, share: 100%}]}}", 1)
	text = strings.Replace(text, "10.0.0.6]}", "10.0.0.6], qos: {max: 100Mbit, inbound: {max: 50Mbit}, destinations: [{name: near, prefixes: [10.0.0.0/8]}]}}", 1)
	_, err := d.client.Apply(t.Context(), &sluicev1.ApplyRequest{Yaml: []byte(text), File: "f"})
	require.NoError(t, err)
	list, err := d.client.ListSchedulers(t.Context(), &sluicev1.ListSchedulersRequest{Port: "vm1"})
	require.NoError(t, err)
	require.Len(t, list.GetSchedulers(), 2)
	up, in := list.GetSchedulers()[0], list.GetSchedulers()[1]
	require.Equal(t, []string{"up0", "vm1"}, []string{up.GetPort(), in.GetPort()})
	require.Len(t, up.GetLeaves(), 2)
	require.Equal(t, "vm1", up.GetLeaves()[0].GetVport())
	require.EqualValues(t, 12_500_000, up.GetLeaves()[0].GetMaxBytesPerSec())
	require.Equal(t, "near", up.GetLeaves()[1].GetDestination())
	_, err = d.client.ListSchedulers(t.Context(), &sluicev1.ListSchedulersRequest{Port: "acc"})
	require.ErrorContains(t, err, "vport acc has no share or limit of its own")
	_, err = d.client.ListSchedulers(t.Context(), &sluicev1.ListSchedulersRequest{Port: "nosuch"})
	require.ErrorContains(t, err, "no port nosuch with quality of service")
}

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/api"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/nic"
)

// draw is a view's form for people.
func draw(t *testing.T, v View, color bool) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, (&Printer{W: &b, Format: FormatTable, Color: color}).Print(v))
	return b.String()
}

func TestNumbers(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", 1<<64 - 1: "18,446,744,073,709,551,615"} {
		assert.Equal(t, want, count(n))
	}
	for v, want := range map[float64]string{0: "0", 0.5: "0.5", 1: "1", 9.99: "9.99", 9.996: "10", 12.34: "12.3", 99.96: "100", 999.4: "999",
		999.6: "1k", 1500: "1.5k", 14_880_952: "14.9M", 9.41e9: "9.41G", 2e18: "2000P"} {
		assert.Equal(t, want, short(v), v)
	}
	for d, want := range map[time.Duration]string{0: "0s", 850 * time.Millisecond: "850ms", 12 * time.Second: "12s", 432 * time.Second: "7m12s",
		125 * time.Minute: "2h5m", 76 * time.Hour: "3d4h"} {
		assert.Equal(t, want, span(d))
	}
	assert.Equal(t, "33.3%", share(1.0/3))
	assert.Equal(t, time.Duration(1<<63-1), nanoseconds(1<<64-1), "nothing overflows")
}

func TestWindow(t *testing.T) {
	const s = 1_000_000_000
	assert.Nil(t, newWindow(0, 5*s).rate(1, 2), "one sample")
	assert.Nil(t, newWindow(5*s, 5*s).rate(1, 2), "no time between them")
	assert.Nil(t, newWindow(9*s, 2*s).rate(1, 2), "the daemon's clock began anew")
	assert.Nil(t, newWindow(2*s, 4*s).rate(9, 2), "the counter began anew")
	assert.Equal(t, 250.0, *newWindow(2*s, 4*s).rate(500, 1000))
	assert.Equal(t, 0.0, *newWindow(2*s, 4*s).rate(500, 500))
}

func TestSample(t *testing.T) {
	n := 0
	ask := func(context.Context) (*int, error) { n++; v := n; return &v, nil }
	before, now, err := Sample(context.Background(), time.Nanosecond, ask)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, []int{*before, *now})
	before, now, err = Sample(context.Background(), 0, ask)
	require.NoError(t, err)
	assert.Nil(t, before)
	assert.Equal(t, 3, *now)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, err = Sample(ctx, time.Hour, ask)
	assert.ErrorIs(t, err, context.Canceled)
	_, _, err = Sample(context.Background(), time.Nanosecond, func(context.Context) (*int, error) { return nil, errors.New("gone") })
	assert.ErrorContains(t, err, "gone")
}

// TestRestartBetweenSamples shows no rates, rather than wrong ones.
func TestRestartBetweenSamples(t *testing.T) {
	before := &sluicev1.GetStatusResponse{SampledNs: 100, Workers: []*sluicev1.Worker{{SampledNs: 99, Packets: 500, BusyCycles: 50, IdleCycles: 50}}}
	now := &sluicev1.GetStatusResponse{SampledNs: 200, Workers: []*sluicev1.Worker{{SampledNs: 199, Packets: 5, BusyCycles: 5, IdleCycles: 5}, {Id: 1}}}
	st := NewStatus(before, now)
	assert.Nil(t, st.Workers[0].PacketsPerSec)
	assert.Nil(t, st.Workers[0].BusyShare)
	assert.Nil(t, st.Workers[1].PacketsPerSec, "a worker that was not there before")

	ports := NewVports(&sluicev1.ListVportsResponse{SampledNs: 100, Vports: []*sluicev1.Vport{{Name: "a", Counters: &sluicev1.Counters{RxPackets: 9}}}},
		&sluicev1.ListVportsResponse{SampledNs: 200, Vports: []*sluicev1.Vport{{Name: "a", Counters: &sluicev1.Counters{RxPackets: 1}}, {Name: "b"}}})
	assert.Nil(t, ports.Vports[0].Rates)
	assert.Nil(t, ports.Vports[1].Rates)
}

// Why a worker stalls or failed stands below the table.
func TestStatusTellsOfWorkers(t *testing.T) {
	out := draw(t, NewStatus(nil, &sluicev1.GetStatusResponse{Host: "host-a", Ready: true, Workers: []*sluicev1.Worker{
		{Id: 0, State: "running", Faults: 2, LastFault: "index out of range; it was at its timers"},
		{Id: 1, State: "stalled", Doing: "a burst of queue 0 of port red-vm1, for 2s; thread 7 in state D"},
	}}), false)
	assert.Contains(t, out, "worker 0 failed 2 times, the last time by: index out of range; it was at its timers\n")
	assert.Contains(t, out, "worker 1 stalls: it comes to no end with a burst of queue 0 of port red-vm1, for 2s; thread 7 in state D\n")
}

func TestStatusThatIsNotWell(t *testing.T) {
	out := draw(t, NewStatus(nil, &sluicev1.GetStatusResponse{Host: "host-a", NotReadyReason: "uplink up0 has no link", Pid: 7,
		LastApplyError: "uplink up1: no such interface", LastApplyErrorUnixNs: 1}), false)
	assert.Contains(t, out, "state       not ready: uplink up0 has no link\n")
	assert.Contains(t, out, ": uplink up1: no such interface\n")
	assert.NotContains(t, out, "config", "none was applied")
	assert.NotContains(t, out, "WORKER")
}

func TestPairsOfSeveralLines(t *testing.T) {
	s := &Screen{}
	s.Pairs([2]string{"name", "one\ntwo"}, [2]string{"long name", ""}, [2]string{"x", "y"})
	assert.Equal(t, "name  one\n      two\nx     y\n", s.buf.String())
}

func TestAccountingVerdict(t *testing.T) {
	s := &Screen{}
	assert.Equal(t, "adds up", Counters{RxPackets: 10, Created: 2, Sent: 5, Consumed: 1, Dropped: 4, Queued: 2}.verdict(s))
	assert.Equal(t, "1,000 more came in (exact when no packets flow)", Counters{RxPackets: 1000}.verdict(s))
	assert.Equal(t, "3 more went out (exact when no packets flow)", Counters{Sent: 3}.verdict(s))
}

func TestAttachedInWords(t *testing.T) {
	for want, p := range map[string]Vport{
		"red/red-web (VSID 6001)":         {Network: "red", Subnet: "red-web", VSID: 6001, Attachment: "subnet"},
		"up0 VLAN 100":                    {Uplink: "up0", VLAN: 100, Attachment: "vlan"},
		"up0 pass-through, VLANs 200,300": {Uplink: "up0", Trunk: []uint32{200, 300}, Attachment: "pass-through"},
		"up0 pass-through":                {Uplink: "up0", Attachment: "pass-through"},
	} {
		assert.Equal(t, want, p.attached())
	}
}

func TestEmptyLists(t *testing.T) {
	for want, v := range map[string]View{
		"no vports\n":  NewVports(nil, &sluicev1.ListVportsResponse{}),
		"no uplinks\n": NewUplinks(nil, &sluicev1.ListUplinksResponse{}),
		"no records\n": NewRecords(&sluicev1.ListRecordsResponse{}),
		"no neighbours: nothing was sent to the fabric yet\n":       NewNeighbours(&sluicev1.ListNeighboursResponse{}),
		"nothing learned: only VLAN and pass-through ports learn\n": NewLearned(&sluicev1.ListLearnedResponse{}),
		"nothing dropped\n":                                               NewDrops(nil, &sluicev1.ListDropsResponse{}, ByBoth),
		"no PCI network cards\n":                                          &Cards{},
		"f.yaml: nothing to change, revision 2 runs\n":                    NewPlan("f.yaml", true, &sluicev1.ApplyResponse{Revision: 2}),
		"f.yaml: 1 problem, 0 warnings\n":                                 &Check{File: "f.yaml", Problems: []Problem{{}}},
		"f.yaml: ok, 1 warning (host a)\n":                                &Check{File: "f.yaml", OK: true, Warnings: []Problem{{}}, Contents: "host a"},
		"0000:03:00.0 (enp3s0): no driver has it now\nnote: modprobe x\n": &Binding{Result: binding("echo 1 > a", "modprobe x")},
	} {
		assert.Contains(t, draw(t, v, false), want)
	}
}

// TestDropThatIsNewInTheWindow counts from nothing.
func TestDropThatIsNewInTheWindow(t *testing.T) {
	d := NewDrops(&sluicev1.ListDropsResponse{SampledNs: 1_000_000_000}, &sluicev1.ListDropsResponse{SampledNs: 3_000_000_000,
		Drops: []*sluicev1.Drop{{Port: "a", Reason: "source-spoof", Packets: 10}}}, ByBoth)
	assert.Equal(t, 5.0, *d.Drops[0].PerSec)
}

func TestChangeOfASection(t *testing.T) {
	plan := NewPlan("f.yaml", false, &sluicev1.ApplyResponse{Changes: []*sluicev1.Change{{Op: "modify", Kind: "host", Detail: "name host-a -> host-b"}}})
	assert.Contains(t, draw(t, plan, false), "~ host: name host-a -> host-b\n")
}

func TestUnknownNodeOfACard(t *testing.T) {
	for numa, want := range map[int]string{nic.None: "-", 0: "0", 1: "1"} {
		out := draw(t, &Cards{Cards: []nic.Card{{PCI: "0000:03:00.0", NUMA: numa, IOMMUGroup: 77}}}, false)
		assert.Regexp(t, `nobody +- +`+want+` +77`, out)
		assert.Equal(t, want, numberOrDash(numa))
	}
}

func TestNextHopToMany(t *testing.T) {
	answer := &sluicev1.NextHopResponse{Verdict: "nvgre"}
	for to, many := range map[string]bool{"224.0.0.1": true, "239.1.2.3": true, "255.255.255.255": true, "ff02::fb": true,
		"10.0.0.7": false, "10.0.0.255": false, "2001:db8::1": false} {
		hop := NewNextHop(&sluicev1.NextHopRequest{Target: to}, answer)
		assert.Equal(t, many, hop.Dropped(), to)
		assert.Equal(t, many, hop.Reason == "tenant-broadcast", to)
	}
}

func TestColours(t *testing.T) {
	plan := NewPlan("f.yaml", false, &sluicev1.ApplyResponse{Changes: []*sluicev1.Change{{Op: "add", Kind: "vport", Name: "x"}}})
	assert.Contains(t, draw(t, plan, true), "\x1b[32m+ vport x\x1b[0m\n")
	assert.NotContains(t, draw(t, plan, false), "\x1b")
	ports := draw(t, NewVports(nil, &sluicev1.ListVportsResponse{Vports: []*sluicev1.Vport{{Name: "long-name-of-a-port", Device: &sluicev1.Device{LinkUp: true}}, {Name: "b"}}}), true)
	assert.Contains(t, ports, "\x1b[32mup\x1b[0m")
	assert.False(t, ColorFits(&bytes.Buffer{}), "a buffer is no terminal")
}

// TestYAMLIsNotMisread by readers that still follow YAML 1.1.
func TestYAMLIsNotMisread(t *testing.T) {
	var b bytes.Buffer
	p := &Printer{W: &b, Format: FormatYAML}
	require.NoError(t, p.Print(&Data{map[string]any{"a": "10:15:50:00:03:01", "b": "on", "c": "12", "d": "00:15:5d:00:01:05", "e": "plain", "f": "line\nline", "g": []string{}}}))
	assert.Equal(t, "---\na: \"10:15:50:00:03:01\"\nb: \"on\"\nc: \"12\"\nd: \"00:15:5d:00:01:05\"\ne: plain\nf: |-\n  line\n  line\ng: []\n", b.String())
}

func TestExitCode(t *testing.T) {
	down := &api.UnreachableError{}
	for code, errs := range map[int][]error{
		ExitOK:          {nil},
		ExitWrong:       {ErrReported, errors.New("any"), connect.NewError(connect.CodeNotFound, errors.New("no vport"))},
		ExitUsage:       {Usage(errors.New("flag")), fmt.Errorf("wrapped: %w", Usage(errors.New("flag")))},
		ExitUnreachable: {down, fmt.Errorf("wrapped: %w", down)},
	} {
		for _, err := range errs {
			assert.Equal(t, code, ExitCode(err), err)
		}
	}
	_, err := ParseFormat("xml")
	assert.Equal(t, ExitUsage, ExitCode(err))
}

func binding(step, note string) *nic.Result {
	return &nic.Result{PCI: "0000:03:00.0", Name: "enp3s0", Steps: []string{step}, Notes: []string{note}}
}

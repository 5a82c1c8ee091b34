package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

func plan(t *testing.T, name string, change func(*profile.Profile)) *traffic.Plan {
	t.Helper()
	p, err := profile.Load(name)
	require.NoError(t, err)
	change(p)
	return traffic.New(*p)
}

func asIs(*profile.Profile) {}

// program is DPDK's side of the telemetry socket.
type program struct {
	sync.Mutex
	answers map[string]any
}

func (p *program) listen(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return path
}

func (p *program) serve(c *net.UnixConn) {
	defer c.Close()
	fmt.Fprint(c, `{"version": "DPDK 22.11.11", "pid": 1, "max_output_len": 16384}`)
	buf := make([]byte, 1<<12)
	for {
		n, err := c.Read(buf)
		if err != nil || n == 0 {
			return
		}
		command, _, _ := strings.Cut(string(buf[:n]), ",")
		p.Lock()
		text, _ := json.Marshal(map[string]any{command: p.answers[string(buf[:n])]})
		p.Unlock()
		if _, err := c.Write(text); err != nil {
			return
		}
	}
}

func TestTelemetry(t *testing.T) {
	p := &program{answers: map[string]any{
		"/ethdev/list":    []int{0, 1, 2},
		"/ethdev/info,0":  map[string]any{"name": "net_pcap0", "mtu": 1500},
		"/ethdev/info,1":  map[string]any{"name": "net_null0"},
		"/ethdev/info,2":  map[string]any{"name": "net_null1"},
		"/ethdev/stats,0": map[string]any{"ipackets": 100, "opackets": 1},
		"/ethdev/stats,1": map[string]any{"ipackets": 0, "opackets": 60, "q_opackets": []int{60}},
		"/ethdev/stats,2": map[string]any{"ipackets": 0, "opackets": 39},
	}}
	tel, err := dialTelemetryAt(p.listen(t))
	require.NoError(t, err)
	defer tel.close()
	ports, err := tel.ports()
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"net_pcap0": 0, "net_null0": 1, "net_null1": 2}, ports)
	in, err := tel.sum(ports, []string{"net_pcap0"}, received)
	require.NoError(t, err)
	assert.EqualValues(t, 100, in)
	out, err := tel.sum(ports, []string{"net_null0", "net_null1"}, sent)
	require.NoError(t, err)
	assert.EqualValues(t, 99, out)
	_, err = tel.sum(ports, []string{"net_null7"}, sent)
	require.ErrorContains(t, err, "there is no device net_null7")
	_, err = tel.stats(9)
	require.ErrorIs(t, err, errNoAnswer)
	_, err = dialTelemetryAt(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTestpmdPairsReplaysWithSinks(t *testing.T) {
	job := compare.Job{Plan: plan(t, "nvgre-encap", func(p *profile.Profile) { p.VMs = 2 }), Core: 3, ControlCore: 1,
		Files: map[string]string{"t1-vm1": "/a.pcap", "t1-vm2": "/b.pcap"}}
	args, w := testpmdArgs(job, "pre")
	line := strings.Join(args, " ")
	assert.Contains(t, line, "-l 1,3 --main-lcore=1 --in-memory --no-pci --file-prefix=pre")
	assert.Contains(t, line, "--vdev=net_pcap0,rx_pcap=/a.pcap,infinite_rx=1 --vdev=net_null0,no-rx=1 --vdev=net_pcap1,rx_pcap=/b.pcap,infinite_rx=1 --vdev=net_null1,no-rx=1")
	assert.Contains(t, line, "-- --forward-mode=io --nb-cores=1 --auto-start --total-num-mbufs=16640")
	assert.Equal(t, []string{"net_null0", "net_null1"}, w.sinks)

	job.Plan = plan(t, "nvgre-decap", func(p *profile.Profile) { p.VMs = 3 })
	job.Files = map[string]string{traffic.Uplink: "/up.pcap"}
	args, w = testpmdArgs(job, "pre")
	assert.Equal(t, 2, strings.Count(strings.Join(args, " "), "--vdev="), "one replay needs one sink")
	assert.Equal(t, []string{"net_pcap0"}, w.sources)
}

func TestOpenVSwitchPlans(t *testing.T) {
	for name, tc := range map[string]struct {
		plan  *traffic.Plan
		flows map[string][]string
		ports []string // somewhere in what adds ports
	}{
		"encap": {plan(t, "nvgre-encap", func(p *profile.Profile) { p.Tenants = 2 }),
			map[string][]string{underlay: {"in_port=LOCAL,actions=output:1", "in_port=1,actions=LOCAL"},
				overlay: {"in_port=1,actions=set_field:0x138900->tun_id,output:1000", "in_port=2,actions=set_field:0x138a00->tun_id,output:1000"}},
			[]string{"mtu_request=1600", `options:dpdk-devargs="net_null0,no-rx=1"`, `options:dpdk-devargs="net_pcap1,rx_pcap=/t2-vm1,infinite_rx=1"`}},
		"decap": {plan(t, "nvgre-decap", asIs),
			map[string][]string{underlay: {"in_port=LOCAL,actions=output:1", "in_port=1,actions=LOCAL"},
				overlay: {"in_port=1000,tun_id=0x138900/0xffffff00,actions=output:1"}},
			[]string{`options:dpdk-devargs="net_pcap0,rx_pcap=/up0,infinite_rx=1"`, `options:dpdk-devargs="net_null0,no-rx=1"`}},
		"decap to several": {plan(t, "nvgre-decap", func(p *profile.Profile) { p.VMs = 2 }),
			map[string][]string{underlay: {"in_port=LOCAL,actions=output:1", "in_port=1,actions=LOCAL"},
				overlay: {"in_port=1000,tun_id=0x138900/0xffffff00,dl_dst=00:15:5d:01:01:02,actions=output:1",
					"in_port=1000,tun_id=0x138900/0xffffff00,dl_dst=00:15:5d:01:01:03,actions=output:2"}}, nil},
		"local": {plan(t, "l2-64b", asIs), map[string][]string{overlay: {"actions=NORMAL"}},
			[]string{`options:dpdk-devargs="net_pcap0,rx_pcap=/t1-vm1,infinite_rx=1"`, "tag=1", `options:dpdk-devargs="net_null0,no-rx=1"`}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{}
			for _, s := range tc.plan.Sources {
				files[s] = "/" + s
			}
			c := planOVS(tc.plan, wire(tc.plan, files))
			got := map[string][]string{}
			all := ""
			for _, b := range c.bridges {
				got[b.name] = b.flows
				assert.Equal(t, []string{"add-br", b.name}, b.create[:2])
				all += strings.Join(b.ports, " ") + "\n"
			}
			assert.Equal(t, tc.flows, got)
			for _, p := range tc.ports {
				assert.Contains(t, all, p)
			}
			if tc.plan.Profile.Direction == profile.Local {
				assert.Contains(t, c.commands, []string{"fdb/add", overlay, "t1-peer1", "1", "00:15:5d:01:20:02"})
			}
		})
	}
	settings := strings.Join(ovsSettings(compare.Job{Core: 3, ControlCore: 1}, "pre"), " ")
	assert.Contains(t, settings, "dpdk-lcore-mask=0x2 other_config:pmd-cpu-mask=0x8")
}

// script writes a shell script that stands for this program.
func script(t *testing.T, body string) string {
	file := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"+body), 0o755))
	return file
}

func selfJob(t *testing.T) compare.Job {
	return compare.Job{Plan: plan(t, "nvgre-encap", asIs), Dir: t.TempDir(), Core: 1, Windows: 4, Window: 250 * time.Millisecond, Warmup: time.Second}
}

func resultFile(t *testing.T) string {
	r := compare.NewResult(machine.Manifest{})
	s := measure.Sample{Contender: "sluice"}
	s.Set([]measure.Window{{Packets: 10, Cycles: 700, Seconds: 1}})
	r.Add(plan(t, "nvgre-encap", asIs), 1, s, nil)
	file := filepath.Join(t.TempDir(), "r.json")
	require.NoError(t, r.WriteJSON(file))
	return file
}

func TestSelfTakesTheSampleFromTheFile(t *testing.T) {
	job := selfJob(t)
	// The result goes to what follows --json; the arguments go to a file.
	program := script(t, `echo "$@" > `+job.Dir+`/args
while [ "$1" != --json ]; do shift; done
cp `+resultFile(t)+` "$2"`)
	self := &Self{Label: "sluice", Program: program, Command: []string{"worker", "--churn", "1MB"}, Refs: map[string]string{"nvgre-encap": "./my.yaml"}}
	require.NoError(t, self.Available())
	sample, err := self.Run(context.Background(), job)
	require.NoError(t, err)
	assert.InDelta(t, 70, sample.CyclesPerPacket, 1e-9)
	args, err := os.ReadFile(filepath.Join(job.Dir, "args"))
	require.NoError(t, err)
	assert.Equal(t, "worker --churn 1MB --core 1 --seconds 1 --json "+filepath.Join(job.Dir, "result.json")+
		" --profile ./my.yaml --flows 256 --windows 4 --warmup 1s\n", string(args))
}

func TestSelfFails(t *testing.T) {
	_, err := (&Self{Label: "sluice", Program: script(t, "echo no hugepages >&2; exit 1")}).Run(context.Background(), selfJob(t))
	require.ErrorContains(t, err, "no hugepages")
	_, err = (&Self{Label: "sluice", Program: script(t, "exit 0")}).Run(context.Background(), selfJob(t))
	require.ErrorIs(t, err, os.ErrNotExist, "it left no result")
	_, err = (&Self{Label: "sluice", Program: "/does/not/exist"}).Run(context.Background(), selfJob(t))
	require.ErrorContains(t, err, "start sluice")
}

func TestSelfWritesWhatItHasWhenInterrupted(t *testing.T) {
	job := selfJob(t)
	program := script(t, `trap 'cp `+resultFile(t)+` `+job.Dir+`/result.json; exit 1' TERM
touch `+job.Dir+`/ready
while :; do sleep 0.05; done`)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for _, err := os.Stat(job.Dir + "/ready"); err != nil; _, err = os.Stat(job.Dir + "/ready") {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	sample, err := (&Self{Label: "sluice", Program: program}).Run(ctx, job)
	require.ErrorIs(t, err, context.Canceled)
	assert.Len(t, sample.Windows, 1)
}

func TestProcessesEnd(t *testing.T) {
	p, err := start("sleeper", t.TempDir(), options{}, "sleep", "600")
	require.NoError(t, err)
	pid := p.pid()
	p.stop()
	_, err = os.Stat("/proc/" + strconv.Itoa(pid))
	require.ErrorIs(t, err, os.ErrNotExist)
	p.stop() // again does nothing

	p, err = start("dies", t.TempDir(), options{}, script(t, "echo last words; exit 3"))
	require.NoError(t, err)
	err = until(context.Background(), "get ready", time.Minute, func() (bool, error) { return false, nil }, p)
	require.ErrorContains(t, err, "last words")
	require.ErrorIs(t, err, errEnded)
	err = until(context.Background(), "get ready", time.Millisecond, func() (bool, error) { return false, nil })
	require.ErrorContains(t, err, "get ready: not within 1ms")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, until(ctx, "get ready", time.Minute, func() (bool, error) { return false, nil }), context.Canceled)
}

func TestTool(t *testing.T) {
	out, err := tool(context.Background(), true, "echo", "hello")
	require.NoError(t, err)
	assert.Equal(t, "hello\n", out)
	complains := script(t, "echo careful >&2")
	_, err = tool(context.Background(), false, complains)
	require.NoError(t, err)
	_, err = tool(context.Background(), true, complains)
	require.ErrorContains(t, err, "careful")
	_, err = tool(context.Background(), false, "false")
	require.Error(t, err)
}

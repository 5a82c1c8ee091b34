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
	args, w := testpmdArgs(job, "pre", "macswap")
	line := strings.Join(args, " ")
	assert.Contains(t, line, "-l 1,3 --main-lcore=1 --in-memory --no-pci --file-prefix=pre")
	assert.Contains(t, line, "--vdev=net_pcap0,rx_pcap=/a.pcap,infinite_rx=1 --vdev=net_null0,no-rx=1 --vdev=net_pcap1,rx_pcap=/b.pcap,infinite_rx=1 --vdev=net_null1,no-rx=1")
	assert.Contains(t, line, "-- --forward-mode=macswap --nb-cores=1 --auto-start --total-num-mbufs=16640")
	assert.Equal(t, []string{"net_null0", "net_null1"}, w.sinks)

	job.Plan = plan(t, "nvgre-decap", func(p *profile.Profile) { p.VMs = 3 })
	job.Files = map[string]string{traffic.Uplink: "/up.pcap"}
	args, w = testpmdArgs(job, "pre", "io")
	assert.Equal(t, 2, strings.Count(strings.Join(args, " "), "--vdev="), "one replay needs one sink")
	assert.Equal(t, []string{"net_pcap0"}, w.sources)
}

func few(p *profile.Profile) { p.ACLs, p.Peers = 0, 2 }

func TestOpenVSwitchPlans(t *testing.T) {
	phy := []string{"in_port=LOCAL,actions=output:1", "in_port=1,actions=LOCAL"}
	const passed = "table=1,priority=1,actions=resubmit(,2)"
	const near, far = "dl_src=00:15:5d:01:01:02,ip,nw_src=10.0.1.2", "10.0.32.2"
	for name, tc := range map[string]struct {
		plan  *traffic.Plan
		flows map[string][]string
		ports []string // somewhere in what adds ports
	}{
		"encap": {plan(t, "nvgre-encap", few),
			map[string][]string{underlay: phy, overlay: {
				"table=0,priority=10,in_port=1," + near + ",actions=set_field:5001->reg0,resubmit(,1)", passed,
				"table=2,reg0=5001,dl_dst=00:15:5d:01:20:02,actions=set_field:0x138900->tun_id,set_field:172.16.1.2->tun_dst,output:1000",
				"table=2,reg0=5001,dl_dst=00:15:5d:01:20:03,actions=set_field:0x138900->tun_id,set_field:172.16.1.2->tun_dst,output:1000"}},
			[]string{"mtu_request=1600", `options:dpdk-devargs="net_null0,no-rx=1"`, `options:dpdk-devargs="net_pcap0,rx_pcap=/t1-vm1,infinite_rx=1"`}},
		"decap to several": {plan(t, "nvgre-decap", func(p *profile.Profile) { p.ACLs, p.Peers, p.VMs = 0, 1, 2 }),
			map[string][]string{underlay: phy, overlay: {
				"table=0,priority=10,in_port=1000,tun_id=0x138900/0xffffff00,tun_src=172.16.1.2,dl_src=00:15:5d:01:20:02,ip,nw_src=" + far +
					",actions=set_field:5001->reg0,resubmit(,1)", passed,
				"table=2,reg0=5001,dl_dst=00:15:5d:01:01:02,actions=output:1",
				"table=2,reg0=5001,dl_dst=00:15:5d:01:01:03,actions=output:2"}},
			[]string{`options:dpdk-devargs="net_pcap0,rx_pcap=/up0,infinite_rx=1"`, `options:dpdk-devargs="net_null0,no-rx=1"`}},
		"rewrite": {plan(t, "iprewrite", func(p *profile.Profile) { p.ACLs, p.Peers = 0, 1 }),
			map[string][]string{overlay: {
				"table=0,priority=10,in_port=1," + near + ",actions=set_field:5001->reg0,resubmit(,1)", passed,
				"table=2,reg0=5001,dl_dst=00:15:5d:01:20:02,ip,in_port=1,nw_src=10.0.1.2,nw_dst=10.0.32.2,actions=set_field:02:00:00:00:01:01->eth_src," +
					"set_field:02:00:00:00:02:01->eth_dst,set_field:172.16.1.100->ip_src,set_field:172.17.0.1->ip_dst,output:1000"}},
			[]string{"ofport_request=1000"}},
		"virtual subnet": {plan(t, "l2-subnet", few), map[string][]string{overlay: {
			"table=0,priority=10,in_port=1," + near + ",actions=set_field:5001->reg0,resubmit(,1)", passed, "table=2,actions=NORMAL"}}, []string{"tag=100"}},
		"bridge": {plan(t, "l2-64b", few), map[string][]string{overlay: {"table=0,actions=resubmit(,1)", passed, "table=2,actions=NORMAL"}},
			[]string{`options:dpdk-devargs="net_pcap0,rx_pcap=/t1-vm1,infinite_rx=1"`, "tag=100", `options:dpdk-devargs="net_null0,no-rx=1"`}},
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
			assert.Equal(t, got[underlay] != nil, c.tunnels())
			assert.Equal(t, tc.plan.Profile.Direction.Stays(), len(c.commands) > 0)
		})
	}
	settings := strings.Join(ovsSettings(compare.Job{Plan: plan(t, "nvgre-encap", asIs), Core: 3, ControlCore: 1}, "pre"), " ")
	assert.Contains(t, settings, "dpdk-lcore-mask=0x2 other_config:pmd-cpu-mask=0x8 other_config:dpdk-socket-mem=1024")
	assert.NotContains(t, settings, "per-port-memory")
}

func TestOpenVSwitchHasTheRules(t *testing.T) {
	encap := rules(plan(t, "nvgre-encap", asIs))
	require.Len(t, encap, 100, "the last one lets pass")
	assert.Equal(t, []string{
		"table=1,priority=10,tcp,tp_dst=0x1/0xffff,actions=drop",
		"table=1,priority=10,ip,nw_dst=10.1.0.0/24,actions=drop",
		"table=1,priority=10,udp,tp_dst=0x4000/0xfff8,actions=drop",
		"table=1,priority=10,tcp,nw_dst=10.128.0.0/20,tp_dst=0x1bb/0xffff,actions=drop",
		"table=1,priority=10,icmp,nw_dst=10.0.64.0/28,actions=drop"}, encap[:5])
	assert.Contains(t, rules(plan(t, "nvgre-decap", asIs)), "table=1,priority=10,ip,nw_src=10.1.0.0/24,actions=drop")

	p := plan(t, "nvgre-decap", asIs)
	assert.Equal(t, "in_port=1000,tun_id=0x138900,tun_src=172.16.1.2,tun_dst=172.16.1.1,tcp,dl_src=00:15:5d:01:20:02,dl_dst=00:15:5d:01:01:02,"+
		"nw_src=10.0.32.3,nw_dst=10.0.1.2,nw_ttl=64,tp_src=1024,tp_dst=25", probe(p, 25, forged(p)))
}

func TestLargeReplaysGetMemoryOfTheirOwn(t *testing.T) {
	p := plan(t, "flows-1m", asIs)
	w := wire(p, map[string]string{"t1-vm1": "/a"})
	assert.Contains(t, dpdkPort(overlay, "t1-vm1", 1, w), "options:n_rxq=245")
	assert.NotContains(t, strings.Join(dpdkPort(overlay, traffic.Uplink, 1, w), " "), "n_rxq")
	assert.Contains(t, ovsSettings(compare.Job{Plan: p}, "pre"), "other_config:per-port-memory=true")
	assert.Greater(t, OpenVSwitchMemoryMB(p), 3000)
}

func TestControl(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctl")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := json.NewDecoder(c)
		for {
			var ask struct {
				Method string
				Params []string
				ID     int
			}
			if in.Decode(&ask) != nil {
				return
			}
			answer := fmt.Sprintf(`{"id":%d,"result":%q,"error":null}`, ask.ID, strings.Join(ask.Params, "+"))
			if ask.Method == "wrong" {
				answer = fmt.Sprintf(`{"id":%d,"result":null,"error":"no such command"}`, ask.ID)
			}
			fmt.Fprintln(c, answer)
		}
	}()
	ctl, err := dialControl(context.Background(), path)
	require.NoError(t, err)
	defer ctl.close()
	for range 2 {
		out, err := ctl.call("fdb/add", "br", "port")
		require.NoError(t, err)
		assert.Equal(t, "br+port", out)
	}
	_, err = ctl.call("wrong")
	require.ErrorContains(t, err, "no such command")
	_, err = dialControl(context.Background(), path+"x")
	require.ErrorIs(t, err, os.ErrNotExist)
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

func TestMissingToolsNameTheirPackage(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	require.EqualError(t, needTools(), "ovsdb-tool is not installed (Debian: apt-get install openvswitch-switch-dpdk)")
	for _, name := range []string{"ovsdb-tool", "ovsdb-server", "ovs-vsctl", "ovs-ofctl", "ovs-appctl"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), nil, 0o755))
	}
	require.EqualError(t, needTools(), "nsenter is not installed (Debian: apt-get install util-linux)")
}

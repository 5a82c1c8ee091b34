package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/demo/netlab"
)

// withQoS gives vports of host a their qos, and the uplink its classes.
func withQoS(link string, vports map[string]string, rest string) string {
	yaml := pairConfig("a") + rest
	if link != "" {
		yaml = strings.Replace(yaml, "providerAddresses: [172.16.1.1/24]}", "providerAddresses: [172.16.1.1/24], qos: {"+link+"}}", 1)
	}
	for name, qos := range vports {
		at := strings.Index(yaml, "{name: "+name+",")
		end := at + strings.Index(yaml[at:], "}\n") // of the line: the vport's own
		yaml = yaml[:end] + ", qos: {" + qos + "}" + yaml[end:]
	}
	return yaml
}

const (
	oneClass   = "rate: 1Gbit, classes: [{tc: 0, name: default, share: 100%}]"
	wireOfMSS  = 14 + 20 + 8 + 14 + 1500 + 24 // outer, inner and what the wire adds
	goodputMSS = 1500 - 20 - 20 - 12          // TCP with timestamps
)

// goodput is what TCP can carry at a rate on the wire.
func goodput(wireBits float64) float64 { return wireBits * goodputMSS / wireOfMSS }

func (p *pair) iperf(from, to string, seconds int) netlab.Rate {
	p.t.Helper()
	return p.iperfBy(from, to, netlab.IperfOptions{Duration: time.Duration(seconds) * time.Second, Control: "cubic"})
}

func (p *pair) iperfBy(from, to string, o netlab.IperfOptions) netlab.Rate {
	p.t.Helper()
	r, err := netlab.Iperf(p.ctx, p.vms[from], p.vms[to], netip.MustParseAddr(pairVMOf(to).ca), o)
	require.NoError(p.t, err)
	return r
}

// requireRate allows TCP to stay below a limit, on a machine that is busy with other things, but never above it. A burst is
// left over from the time before.
func (p *pair) requireRate(what string, got netlab.Rate, wireBits float64, burstBits float64, seconds int) {
	p.t.Helper()
	limit := goodput(wireBits)
	p.t.Logf("%s: %.1f Mbit/s of TCP, %.1f%% of what the limit lets through", what, got.BitsPerSecond/1e6, 100*got.BitsPerSecond/limit)
	assert.LessOrEqual(p.t, got.BitsPerSecond, 1.01*limit+burstBits/float64(seconds), what)
	assert.GreaterOrEqual(p.t, got.BitsPerSecond, 0.5*limit, what)
}

// Real TCP is held to the maximum of its vport, to that of a destination class, and to an inbound maximum, and is free again
// when an apply takes them away.
func TestMaximumsHoldTCP(t *testing.T) {
	p := newPair(t)
	const burst = 64 << 10 * 8
	for _, tt := range []struct {
		what, link string
		vports     map[string]string
		limit      float64
		port       string
	}{
		{"maximum of the sender", oneClass, map[string]string{"red-1": "max: 40Mbit, burst: 64KiB"}, 40e6, "up0"},
		{"another maximum", oneClass, map[string]string{"red-1": "max: 20Mbit, burst: 64KiB"}, 20e6, "up0"},
		{"maximum of a destination", oneClass, map[string]string{"red-1": "max: 200Mbit, burst: 64KiB, destinations: [{name: far, prefixes: [10.0.0.7/32], max: 30Mbit, burst: 64KiB}]"}, 30e6, "up0"},
	} {
		out, err := p.a.apply(withQoS(tt.link, tt.vports, ""))
		require.NoError(t, err, out)
		p.requireRate(tt.what, p.iperf("red-1", "red-2", 3), tt.limit, burst, 3)
		out, err = p.a.cli("qos", "show", "up0", "--interval", "0")
		require.NoError(t, err, out)
		assert.Contains(t, out, "red-1")
	}
	out, err := p.a.apply(withQoS("", map[string]string{"red-1": "inbound: {max: 25Mbit, burst: 64KiB}"}, ""))
	require.NoError(t, err, out)
	got := p.iperf("red-2", "red-1", 3) // towards red-1
	limit := 25e6 * goodputMSS / (14 + 1500 + 24)
	t.Logf("inbound maximum: %.1f Mbit/s of TCP", got.BitsPerSecond/1e6)
	assert.LessOrEqual(t, got.BitsPerSecond, 1.01*limit+burst/3.0)
	assert.GreaterOrEqual(t, got.BitsPerSecond, 0.5*limit)
	out, err = p.a.cli("qos", "show", "--interval", "0")
	require.NoError(t, err, out)
	assert.Contains(t, out, "vport red-1 (inbound): 25Mbit/s")

	out, err = p.a.apply(pairConfig("a"))
	require.NoError(t, err, out)
	out, err = p.a.cli("qos", "show", "--interval", "0")
	require.NoError(t, err, out)
	assert.Contains(t, out, "no quality of service")
	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{})
	p.a.requireBalanced()
	p.b.requireBalanced()
}

// qosView is what `sluice qos show -o json` says of one output.
type qosView struct {
	Outputs []struct {
		QueuedPackets int
		Classes       []struct {
			TC            int
			Share         float64
			BitsPerSec    float64
			MarkedPackets int
		}
	}
}

func (d *daemon) qos(port string, interval time.Duration) (v qosView) {
	d.l.t.Helper()
	out, err := d.cli("qos", "show", port, "-o", "json", "--interval", interval.String())
	require.NoError(d.l.t, err, out)
	require.NoError(d.l.t, json.Unmarshal([]byte(out), &v), out)
	require.Len(d.l.t, v.Outputs, 1)
	return v
}

// Eight classes of real TCP share a link as configured while all have something to send.
func TestEightClassesShareALink(t *testing.T) {
	p := newPair(t)
	shares := []int{26, 20, 16, 12, 10, 8, 5, 3}
	var classes, rules []string
	for tc, share := range shares {
		classes = append(classes, fmt.Sprintf("{tc: %d, name: class%d, share: %d%%, ecn: off}", tc, tc, share))
		rules = append(rules, fmt.Sprintf("    - {name: to-%d, match: {protocol: tcp, remotePort: %d}, tc: %d}\n", tc, 6000+tc, tc))
	}
	out, err := p.a.apply(withQoS("rate: 60Mbit, classes: ["+strings.Join(classes, ", ")+"]", nil, "classification:\n  rules:\n"+strings.Join(rules, "")))
	require.NoError(t, err, out)
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	var senders []chan error
	for tc := range shares {
		port := strconv.Itoa(6000 + tc)
		server, err := p.vms["red-2"].Start("iperf3-"+port, "iperf3", "-s", "-1", "-p", port, "--forceflush")
		require.NoError(t, err)
		t.Cleanup(server.Kill)
		require.NoError(t, server.WaitLog(ctx, "Server listening", 5*time.Second))
		done := make(chan error, 1)
		go func() {
			_, err := p.vms["red-1"].Run(ctx, "iperf3", "-c", "10.0.0.7", "-p", port, "-t", "9", "-P", "2", "-C", "cubic")
			done <- err
		}()
		senders = append(senders, done)
	}
	time.Sleep(3 * time.Second) // slow start, which overshoots
	v := p.a.qos("up0", 4*time.Second)
	total := 0.0
	for tc, c := range v.Outputs[0].Classes {
		total += c.BitsPerSec
		t.Logf("class %d: %.1f%% of the link's traffic, %d%% promised", tc, 100*c.Share, shares[tc])
		assert.InEpsilon(t, float64(shares[tc])/100, c.Share, 0.25, "class %d", tc)
	}
	assert.LessOrEqual(t, total, 60e6*1.02)
	assert.GreaterOrEqual(t, total, 60e6*0.7)
	for _, done := range senders {
		assert.NoError(t, <-done)
	}
	p.a.requireBalanced()
}

// depths are the bytes that waited in one class of up0, sampled until ctx ends.
func (d *daemon) depths(ctx context.Context) (all []uint64) {
	for ctx.Err() == nil {
		res, err := d.client.ListSchedulers(ctx, &sluicev1.ListSchedulersRequest{Port: "up0"})
		if err != nil {
			break
		}
		sum := uint64(0)
		for _, l := range res.GetSchedulers()[0].GetLeaves() {
			for _, q := range l.GetQueues() {
				sum += q.GetWaitingBytes()
			}
		}
		all = append(all, sum)
		time.Sleep(2 * time.Millisecond) // leaves the processor to what is measured
	}
	return all
}

// congested is how a link is filled, and for how long.
type congested struct {
	control string
	streams int
	mbit    int
	seconds int
}

// queueOf fills the link from red-1 to red-2, and returns what waited, in all but 1 % of the samples, the part of the limit
// that TCP got, and how many packets were marked.
func (p *pair) queueOf(c congested, ecn string) (p99 uint64, part float64, marked int) {
	p.t.Helper()
	out, err := p.a.apply(withQoS(fmt.Sprintf("rate: %dMbit, classes: [{tc: 0, name: default, share: 100%%, queue: 256KiB, ecn: %s}]", c.mbit, ecn), nil, ""))
	require.NoError(p.t, err, out)
	length := time.Duration(c.seconds) * time.Second
	ctx, cancel := context.WithTimeout(p.ctx, length-time.Second)
	defer cancel()
	sampled := make(chan []uint64, 1)
	go func() {
		time.Sleep(time.Second) // slow start, which overshoots
		sampled <- p.a.depths(ctx)
	}()
	got := p.iperfBy("red-1", "red-2", netlab.IperfOptions{Duration: length, Control: c.control, Streams: c.streams})
	all := <-sampled
	require.NotEmpty(p.t, all)
	slices.Sort(all)
	v := p.a.qos("up0", 0)
	return all[len(all)*99/100], got.BitsPerSecond / goodput(float64(c.mbit)*1e6), v.Outputs[0].Classes[0].MarkedPackets
}

// With marks TCP keeps the queue short and the link full; without, it fills the queue until packets are dropped. One good
// round of some is enough, because a machine that is busy with other things may starve TCP. The switch is at fault when each
// round says so: TCP fills the link without marks, and with them the queue is long, or far too little comes through. What lies
// between can be the machine's: a short queue runs empty where a long one lasts through a pause.
func (p *pair) requireShortQueue(c congested, atLeast float64, rounds int) {
	p.t.Helper()
	for _, vm := range []string{"red-1", "red-2"} {
		p.run(p.vms[vm], "sysctl", "-qw", "net.ipv4.tcp_ecn=1")
		if c.control == "dctcp" { // which tells the sender of each mark only if the receiver has it too
			p.run(p.vms[vm], "sysctl", "-qw", "net.ipv4.tcp_congestion_control=dctcp")
		}
	}
	const farTooLittle = 0.6
	fault, marksBefore := true, 0
	for range rounds {
		tail, tailPart, none := p.queueOf(c, "off")
		marked, markedPart, marks := p.queueOf(c, "{from: 24KiB}")
		assert.Equal(p.t, marksBefore, none, "none without ecn")
		marks, marksBefore = marks-marksBefore, marks
		p.t.Logf("%d x %s over %d Mbit/s: tail drop: 99%% of samples up to %d bytes, %.1f%% of the link; marks: %d bytes, %.1f%%, %d packets marked",
			c.streams, c.control, c.mbit, tail, 100*tailPart, marked, 100*markedPart, marks)
		long := marks == 0 || marked > tail/2
		if !long && markedPart >= atLeast {
			p.a.requireBalanced()
			return
		}
		fault = fault && tailPart >= atLeast && (long || markedPart < farTooLittle)
	}
	p.a.requireBalanced()
	require.False(p.t, fault, "with marks half the queue of tail drop, and %.0f%% of the link", 100*atLeast)
	p.t.Skipf("this machine is too busy: in no round did TCP with marks get %.0f%% of the link at half the queue, and not each round blames the switch", 100*atLeast)
}

func TestMarksKeepTheQueueShort(t *testing.T) {
	newPair(t).requireShortQueue(congested{control: "cubic", streams: 1, mbit: 40, seconds: 5}, 0.95, 3)
}

// The rate is one that an emulated machine reaches: there the kernel is that has DCTCP (see machine_test.go).
func TestDCTCPKeepsTheQueueShort(t *testing.T) {
	controls, err := os.ReadFile("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
	require.NoError(t, err)
	if !slices.Contains(strings.Fields(string(controls)), "dctcp") {
		t.Skip("this kernel has no DCTCP that a namespace may use: make test-lab runs this test in a machine whose kernel has it")
	}
	newPair(t).requireShortQueue(congested{control: "dctcp", streams: 4, mbit: 10, seconds: 8}, 0.95, 3)
}

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/demo/netlab"
)

// onWorkers is the pair's configuration of host a with two workers, and all its queues at those workers: one of the
// uplink, and that of each VM.
func onWorkers(uplink, vms int) string {
	yaml := strings.Replace(pairConfig("a"), dataplaneOf("a"), "workers: 2", 1)
	yaml = strings.Replace(yaml, "name: up0, ", fmt.Sprintf("name: up0, vmq: {mode: static, workers: [%d]}, ", uplink), 1)
	return strings.ReplaceAll(yaml, "device: {driver: tap,", fmt.Sprintf("vmq: {mode: static, workers: [%d]}, device: {driver: tap,", vms))
}

// Queues of the uplink and of VMs change their workers, to and fro, while TCP runs through them and pings are counted.
//
//	red-1, blue-1 ── host-a: two workers ── fabric ── host-b ── red-2, blue-2
func TestQueuesMoveUnderTraffic(t *testing.T) {
	if len(netlab.Cores()) < 2 {
		t.Skip("one core: there is only one worker")
	}
	l := newLab(t)
	fabric, hostA, hostB := l.namespace("fabric"), l.namespace("host-a"), l.namespace("host-b")
	l.wire(hostA, "eth1", fabric, "to-a", 1600)
	l.wire(hostB, "eth1", fabric, "to-b", 1600)
	require.NoError(t, fabric.AddBridge("br0", 1600, "to-a", "to-b"))
	p := l.startPair(hostA, hostB, func(host string) string {
		if host == "a" {
			return onWorkers(0, 1)
		}
		return pairConfig(host)
	})
	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{})
	p.requirePing(p.vms["blue-1"], "10.0.0.7", netlab.PingOptions{})

	const count = 400
	pings, rates := make(chan netlab.PingResult, 1), make(chan netlab.Rate, 1)
	go func() {
		defer close(pings)
		answer, err := p.vms["blue-1"].Ping(p.ctx, addr("10.0.0.7"), netlab.PingOptions{Count: count, Interval: 10 * time.Millisecond, Limit: 40 * time.Second})
		if assert.NoError(t, err) {
			pings <- answer
		}
	}()
	go func() {
		defer close(rates)
		rate, err := netlab.Iperf(p.ctx, p.vms["red-1"], p.vms["red-2"], addr("10.0.0.7"), netlab.IperfOptions{Duration: 4 * time.Second})
		if assert.NoError(t, err) {
			rates <- rate
		}
	}()
	swaps, done := 0, time.After(4*time.Second)
	for at := 0; ; at = 1 - at {
		out, err := p.a.apply(onWorkers(1-at, at))
		require.NoError(t, err, out)
		require.Eventually(t, func() bool {
			return p.a.queueWorkers("red-1")[0] == fmt.Sprint(at) && p.a.queueWorkers("up0")[0] == fmt.Sprint(1-at)
		}, patience(20*time.Second), 20*time.Millisecond, "after swap %d", swaps)
		swaps++
		select {
		case <-done:
		default:
			continue
		}
		break
	}
	got, rate := <-pings, <-rates
	t.Logf("%d swaps of all queues; %d of %d pings answered; TCP %.0f Mbit/s, %d segments sent again", swaps, got.Received, got.Sent, rate.BitsPerSecond/1e6, rate.Retransmits)
	assert.Equal(t, count, got.Sent)
	assert.Equal(t, count, got.Received, "no answer may be missing")
	assert.Zero(t, got.Duplicates)
	assert.Positive(t, rate.BitsPerSecond, "TCP goes on")
	assert.Greater(t, swaps, 1)
	out, err := p.a.cli("queue", "history", "--limit", "5")
	require.NoError(t, err, out)
	assert.Contains(t, out, "the configuration says so")
	t.Logf("history:\n%s", out)
	out, err = p.a.cli("queue", "map")
	require.NoError(t, err, out)
	t.Logf("map:\n%s", out)
	p.a.requireBalanced()
	p.b.requireBalanced()
}

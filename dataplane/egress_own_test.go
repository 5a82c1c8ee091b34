package dataplane

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/qos"
)

// isARP finds the ARP messages of one kind among frames.
func isARP(op uint16, all [][]byte) (found [][]byte) {
	for _, f := range all {
		if packet.Ethernet(f).EtherType() != packet.EtherTypeARP {
			continue
		}
		if arp, ok := packet.CheckARP(f[packet.EthernetLen:]); ok && arp.Op() == op {
			found = append(found, f)
		}
	}
	return found
}

// A VM without a share fills the default flow to the brim: the switch still answers ARP, whichever worker gets the question,
// and confirms its next hops.
func TestFloodDoesNotSilenceARP(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	r.scheduledBurst("up0", 1_000, 2_000)
	r.net.AdvanceTSC(time.Second)
	flood := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.UDP(7, 2), frames.Payload(1400))
	for range 1000 {
		r.inject("red-vm1", flood)
	}
	r.idle()
	require.Positive(t, r.counters("red-vm1").Drops[ReasonQueueFull])
	r.devs["up0"].Sent()
	for queue := range 2 {
		r.devs["up0"].Inject(queue, frames.ARPRequest(hostBMAC, hostBPA, hostAPA))
		r.idle()
		require.Len(t, isARP(packet.ARPReply, r.devs["up0"].Sent()), 1, "answer by worker %d", queue)
	}
	r.net.AdvanceTSC(neighbourAge + time.Second)
	r.idle()
	require.NotEmpty(t, isARP(packet.ARPRequest, r.devs["up0"].Sent()), "confirmation of the next hop")
	r.balanced()
}

// A VM whose own limit is used up by what others send it still gets answers to its ARP.
func TestInboundFloodDoesNotSilenceARP(t *testing.T) {
	r := newRig(t, 2)
	r.scheduledBurst("red-vm2", 1_000, 2_000)
	r.net.AdvanceTSC(time.Second)
	flood := frames.Build(frames.Ether(redVM1, redVM2), frames.IPv4("10.0.0.5", "10.0.0.6"), frames.UDP(7, 2), frames.Payload(1400))
	for range 1000 {
		r.inject("red-vm1", flood)
	}
	r.idle()
	require.Positive(t, r.counters("red-vm1").Drops[ReasonQueueFull])
	r.devs["red-vm2"].Sent()
	r.inject("red-vm2", frames.ARPRequest(redVM2, "10.0.0.6", "10.0.0.7"))
	r.idle()
	require.Len(t, isARP(packet.ARPReply, r.devs["red-vm2"].Sent()), 1)
	r.balanced()
}

// What passes the queues by is charged to the link: the backlog waits for it.
func TestOwnMessagesAreCharged(t *testing.T) {
	for queue := range 2 { // by the owner, and by the other worker
		r := newRig(t, 2)
		r.resolve()
		r.scheduledBurst("up0", 100_000, 20_000)
		r.net.AdvanceTSC(time.Second)
		frame := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.UDP(7, 2),
			frames.Payload(1000-24-42-42))
		for range 100 {
			r.inject("red-vm1", frame)
		}
		r.idle()
		require.Len(t, r.devs["up0"].Sent(), 20, "the burst")
		for range 60 { // 84 bytes of the wire each, 5,040 in all
			r.devs["up0"].Inject(queue, frames.ARPRequest(hostBMAC, hostBPA, hostAPA))
		}
		r.idle()
		require.Len(t, r.devs["up0"].Sent(), 60)
		for range 20 {
			r.net.AdvanceTSC(5 * time.Millisecond)
			r.idle()
		}
		sent := len(r.devs["up0"].Sent()) // of 100 ms, 50 paid for the answers
		require.InDelta(t, 5, sent, 1)
		r.balanced()
	}
}

// The answer to a ping waits in the class that the default rule names.
func TestPingIsAnsweredInTheDefaultClass(t *testing.T) {
	r := newRigOf(t, 1, strings.Replace(rigPolicy, "gateway: 172.16.1.254}", "gateway: 172.16.1.254, qos: {rate: 1Gbit, "+
		"classes: [{tc: 0, name: other, share: 10%}, {tc: 1, name: rest, share: 90%}]}}", 1)+"classification: {default: {tc: 1}}\n")
	r.inject("up0", frames.Ping(hostBMAC, uplinkMAC, hostBPA, hostAPA, 1, 1))
	require.Len(t, r.wait("up0", 1), 1)
	var other, rest qos.QueueStats
	r.set(func() {
		sched := r.sw.egresses[0].sched
		other, rest = sched.Stats(0, 0), sched.Stats(1, 0)
	})
	require.Zero(t, other)
	require.EqualValues(t, 1, rest.SentPackets)
	r.balanced()
}

package dataplane

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

func toFar(port uint16) []byte {
	return frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.UDP(port, 2), frames.Payload(30))
}

func TestPacketsWaitForNextHop(t *testing.T) {
	r := newRig(t, 1)
	for i := range uint16(heldPerNextHop + 3) {
		r.inject("red-vm1", toFar(i))
	}
	r.idle()
	require.Len(t, r.devs["up0"].Sent(), 1, "one request, whatever the number of packets")
	c := r.counters("red-vm1")
	require.EqualValues(t, heldPerNextHop, c.Queued)
	require.EqualValues(t, 3, c.Drops[ReasonNextHopPending])
	r.balanced()
	out := r.send("up0", frames.ARPReply(hostBMAC, hostBPA, uplinkMAC, hostAPA))
	require.Len(t, out["up0"], heldPerNextHop)
	for i, f := range out["up0"] {
		frames.Equal(t, toFar(uint16(i)), frames.Decap(t, f).Inner, "in order")
	}
	require.Zero(t, r.counters("red-vm1").Queued)
	r.balanced()
}

func TestSilentNextHop(t *testing.T) {
	r := newRig(t, 1)
	r.net.AdvanceTSC(time.Millisecond)
	r.inject("red-vm1", toFar(1))
	r.idle()
	for range 4 {
		r.net.AdvanceTSC(arpRetry + time.Millisecond)
		r.idle()
	}
	require.Len(t, r.devs["up0"].Sent(), arpTries)
	require.EqualValues(t, 1, r.counters("red-vm1").Drops[ReasonNextHopUnresolved])
	require.Equal(t, "failed", r.sw.Neighbours()[0].State)
	r.net.AdvanceTSC(arpHoldDown)
	require.Len(t, r.send("red-vm1", toFar(1))["up0"], 1, "a packet makes it ask again")
	require.Len(t, r.send("up0", frames.ARPReply(hostBMAC, hostBPA, uplinkMAC, hostAPA))["up0"], 1, "and the host that is back is served")
	r.balanced()
}

// While packets wait for a next hop that does not answer, flows of others still run in rows.
func TestSilentNextHopLeavesRowsToOthers(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	for range 2 {
		r.send("red-vm1", toFar(7))
	}
	r.send("red-vm1", dataFrame(redVM1, "00:15:5d:00:01:08", "10.0.0.5", "10.0.0.8"))
	require.EqualValues(t, 1, r.counters("red-vm1").Queued)
	r.sw.neighbours.changes.Add(1) // a row looks at the MAC again, and notes that
	require.Len(t, r.send("red-vm1", toFar(7))["up0"], 1)
	w, inRows := r.sw.workers[0], 0
	w.do(func() {
		for _, q := range w.queues {
			for _, f := range q.actions.fast {
				if f.row>>rowChangesShift == uint64(r.sw.neighbours.changes.Load()+1) {
					inRows++
				}
			}
		}
	})
	require.Equal(t, 1, inRows)
	require.EqualValues(t, 1, r.counters("red-vm1").Queued, "it still waits")
	r.balanced()
}

func TestNextHopIsConfirmedByUnicast(t *testing.T) {
	r := newRig(t, 1)
	r.net.AdvanceTSC(time.Millisecond)
	r.resolve()
	require.Equal(t, "reachable", r.sw.Neighbours()[0].State)
	r.net.AdvanceTSC(neighbourAge + time.Second)
	sent := r.wait("up0", 1)
	frames.Equal(t, frames.Pad(frames.ARPProbe(uplinkMAC, hostAPA, hostBMAC, hostBPA), 60), sent[0])
	require.Len(t, r.send("red-vm1", toFar(1))["up0"], 1, "traffic goes on meanwhile")
	const moved = "02:bb:00:00:00:99"
	r.send("up0", frames.ARPReply(moved, hostBPA, uplinkMAC, hostAPA))
	out := r.send("red-vm1", toFar(1))
	require.Equal(t, moved, frames.Decap(t, out["up0"][0]).DstMAC.String(), "known flows use the new address at once")
	for range arpTries + 2 {
		r.net.AdvanceTSC(neighbourAge)
		r.idle()
	}
	require.Equal(t, "failed", r.sw.Neighbours()[0].State, "a next hop that stays silent is forgotten")
	r.balanced()
}

func TestProviderGateway(t *testing.T) {
	r := newRig(t, 1)
	out := r.send("red-vm1", frames.Build(frames.Ether(redVM1, "00:15:5d:00:01:09"), frames.IPv4("10.0.0.5", "10.0.0.9"), frames.UDP(1, 2)))
	frames.EqualAll(t, [][]byte{frames.Pad(frames.ARPRequest(uplinkMAC, hostAPA, "172.16.1.254"), 60)}, out["up0"])
	out = r.send("up0", frames.ARPReply(hostBMAC, "172.16.1.254", uplinkMAC, hostAPA))
	require.Equal(t, "10.99.0.9", frames.Decap(t, out["up0"][0]).Dst.String())
	r.balanced()
}

func TestExplainNextHop(t *testing.T) {
	r := newRig(t, 1)
	addr := func(s string) packet.Addr {
		return packet.AddrFrom4(packet.ARP(frames.ARPRequest(redVM1, s, s)[14:]).SenderIP())
	}
	hop, err := r.sw.NextHop(6001, addr("10.0.0.5"), addr("10.0.1.7"))
	require.NoError(t, err)
	require.Equal(t, "nvgre", hop.Verdict)
	require.EqualValues(t, 6002, hop.VSID)
	require.Equal(t, redDB1, hop.MAC.String())
	require.Equal(t, hostBPA, hop.PA.String())
	require.EqualValues(t, 1558, hop.MTU)
	require.Contains(t, strings.Join(hop.Steps, "\n"), "routed from subnet red-web to red-db")

	hop, err = r.sw.NextHop(6001, addr("10.0.0.5"), addr("10.0.0.6"))
	require.NoError(t, err)
	require.Equal(t, "local", hop.Verdict)
	require.Equal(t, r.index.byName["red-vm2"], hop.Port)

	hop, err = r.sw.NextHop(7001, addr("10.0.0.5"), addr("10.0.1.7"))
	require.NoError(t, err)
	require.Equal(t, "drop", hop.Verdict)
	require.Equal(t, ReasonNoRoute, hop.Reason)

	_, err = r.sw.NextHop(4242, addr("10.0.0.5"), addr("10.0.1.7"))
	require.ErrorIs(t, err, ErrUnknownSubnet)
}

package dataplane

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

func rewriteFlows(n int, src, dst, from, to string, tcp bool) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		l4 := frames.UDP(uint16(i), 2)
		if tcp {
			l4 = frames.TCP(uint16(i), 2)
		}
		all[i] = frames.Build(frames.Ether(src, dst), frames.IPv4(from, to), l4, frames.Payload(30))
	}
	return all
}

func TestRewriteAllocatesNothing(t *testing.T) {
	quote := frames.Build(frames.Ether(greenFar, greenVM1), frames.IPv4("10.0.0.7", "10.0.0.5"), frames.UDP(1, 2), frames.Payload(9))[14:]
	for name, tc := range map[string]struct {
		port   string
		frames [][]byte
	}{
		"out":     {"green-vm1", rewriteFlows(32, greenVM1, greenFar, "10.0.0.5", "10.0.0.7", true)},
		"routed":  {"green-vm1", rewriteFlows(32, greenVM1, routerMAC, "10.0.0.5", "10.0.1.7", false)},
		"in":      {"up0", rewriteFlows(32, hostBMAC, uplinkMAC, greenFarPA, greenVM1PA, true)},
		"error":   {"green-vm1", [][]byte{frames.Build(frames.Ether(greenVM1, greenFar), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.ICMP(3, 3, 0), frames.Bytes(quote))}},
		"options": {"green-vm1", [][]byte{frames.Build(frames.Ether(greenVM1, greenFar), frames.IPv4("10.0.0.5", "10.0.0.7", frames.RouterAlert()), frames.UDP(1, 2))}},
		"probe":   {"green-vm1", [][]byte{frames.ARPProbe(greenVM1, "10.0.0.5", greenFar, "10.0.0.7")}},
		"refused": {"up0", rewriteFlows(4, hostBMAC, uplinkMAC, limeFarPA, greenVM1PA, false)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRewriteRig(t)
			require.Zero(t, r.allocations(tc.port, tc.frames))
			r.balanced()
		})
	}
}

// BenchmarkMethods compares the two methods on the same packets, both ways.
func BenchmarkMethods(b *testing.B) {
	for _, flows := range []int{256, 2048} {
		red := rewriteFlows(flows, redVM1, redFar, "10.0.0.5", "10.0.0.7", false)
		back := rewriteFlows(flows, redFar, redVM1, "10.0.0.7", "10.0.0.5", false)
		for i := range back {
			back[i] = frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, uint8(i), back[i])
		}
		for _, way := range []struct {
			name, port string
			frames     [][]byte
		}{
			{"encap", "red-vm1", red},
			{"rewrite-out-udp", "green-vm1", rewriteFlows(flows, greenVM1, greenFar, "10.0.0.5", "10.0.0.7", false)},
			{"rewrite-out-tcp", "green-vm1", rewriteFlows(flows, greenVM1, greenFar, "10.0.0.5", "10.0.0.7", true)},
			{"decap", "up0", back},
			{"rewrite-in-udp", "up0", rewriteFlows(flows, hostBMAC, uplinkMAC, greenFarPA, greenVM1PA, false)},
			{"rewrite-in-tcp", "up0", rewriteFlows(flows, hostBMAC, uplinkMAC, greenFarPA, greenVM1PA, true)},
		} {
			b.Run(way.name+"-"+strconv.Itoa(flows), func(b *testing.B) {
				r := newRewriteRig(b)
				r.know(frames.Ping(redVM1, redFar, "10.0.0.5", "10.0.0.7", 1, 1), "red-vm1", hostBPA)
				r.measure(b, way.port, way.frames)
			})
		}
	}
}

// BenchmarkMethodActions is what the two methods differ by: the action of a known flow alone, without devices, parser
// and look-up.
func BenchmarkMethodActions(b *testing.B) {
	for _, tc := range []struct {
		name, port string
		frame      []byte
	}{
		{"encap", "red-vm1", rewriteFlows(1, redVM1, redFar, "10.0.0.5", "10.0.0.7", false)[0]},
		{"rewrite-out-udp", "green-vm1", rewriteFlows(1, greenVM1, greenFar, "10.0.0.5", "10.0.0.7", false)[0]},
		{"rewrite-out-tcp", "green-vm1", rewriteFlows(1, greenVM1, greenFar, "10.0.0.5", "10.0.0.7", true)[0]},
		{"rewrite-in-tcp", "up0", rewriteFlows(1, hostBMAC, uplinkMAC, greenFarPA, greenVM1PA, true)[0]},
	} {
		b.Run(tc.name, func(b *testing.B) {
			r := newRewriteRig(b)
			r.know(frames.Ping(redVM1, redFar, "10.0.0.5", "10.0.0.7", 1, 1), "red-vm1", hostBPA)
			require.Len(b, r.send(tc.port, tc.frame), 1)
			w := r.sw.workers[0]
			w.do(func() { r.repeatAction(b, w, w.queues[r.index.byName[tc.port]], tc.frame) })
		})
	}
}

// repeatAction executes the action of a frame's flow for a burst of packets, again and again.
func (r *rig) repeatAction(b *testing.B, w *worker, q *rxQueue, frame []byte) {
	w.poll()
	var pkts [packet.RxBurst]*packet.Packet
	for i := range pkts {
		pkts[i] = w.spare()
		pkts[i].Append(len(frame))
		copy(pkts[i].Data(), frame)
		w.burst.Outer[i] = packet.Outer{}
	}
	w.burst.SetScope(q.scope)
	plain, _ := w.burst.ParsePlain(pkts[:], ^uint64(0), q.flows.seed)
	require.Equal(b, ^uint64(0), plain)
	w.lookupBurst(q, pkts[:], plain)
	b.ResetTimer()
	for n := 0; n < b.N; n += len(pkts) {
		require.Equal(b, len(pkts), w.runFast(q, pkts[:], 0, 0))
		for _, p := range pkts {
			p.TrimFront(int(p.DataLen) - len(frame))
		}
		w.out.n, w.out.spans = 0, 0
	}
	b.StopTimer()
	for _, p := range pkts {
		w.free(p)
	}
}

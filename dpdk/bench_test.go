package dpdk

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

// BenchmarkForward replays 64-byte frames of 256 flows from memory (net_pcap) into a sink (net_null): the worker's
// floor, to be read beside dpdk-testpmd --forward-mode=io on the same two devices.
func BenchmarkForward(b *testing.B) {
	pool := newPool(b, 8191, 1518)
	frames := make([][]byte, 256)
	for i := range frames {
		frames[i] = frame(60, 0)
		binary.BigEndian.PutUint32(frames[i][20:], uint32(i))
	}
	src := newUplink(b, pool, unique("net_pcap")+",infinite_rx=1,rx_pcap="+writePcap(b, frames...), 1)
	dst := newUplink(b, pool, unique("net_null")+",no-rx=1", 1)
	p := newPoller(b, pool)
	require.NoError(b, p.AddRx(src.Handle(), 0, 0))
	require.NoError(b, p.SetTx(0, dst.Handle(), 0, false))
	io := p.IO()
	reportBest(b, io, "cycles/packet", func() (packets int) {
		io.RxBudget = packet.MaxRx
		p.Poll()
		forward(io, func(uint32) uint32 { return 0 })
		return int(io.NumRx)
	})
	flush(p)
}

// BenchmarkIdle polls taps that receive nothing: the cost must not grow with their number.
func BenchmarkIdle(b *testing.B) {
	for _, taps := range []int{0, 1, 200} {
		b.Run(fmt.Sprintf("%d taps", taps), func(b *testing.B) {
			if taps > 0 {
				needTaps(b)
			}
			pool := newPool(b, 8191, 1518)
			devices := make([]*Device, taps)
			for i := range devices {
				devices[i] = newTap(b, TapOptions{Name: unique("idle"), MAC: packet.MAC{2, 0, 0, 1, byte(i >> 8), byte(i)}, Pool: pool})
				ip(b, "link", "set", devices[i].Name(), "down") // a quiet guest: no neighbour discovery
			}
			p := newPoller(b, pool)
			for i, d := range devices {
				require.NoError(b, p.AddRx(d.Handle(), 0, uint32(i)))
			}
			io := p.IO()
			io.RxBudget = packet.MaxRx
			reportBest(b, io, "cycles/poll", func() int {
				p.Poll()
				freeRx(p)
				return 1
			})
			flush(p)
		})
	}
}

// reportBest reports the least cycles per unit that a window of a thousand steps took: with neighbours on the core, the
// mean says more about them.
func reportBest(b *testing.B, io *packet.IO, unit string, step func() int) {
	const window = 1000
	best, units, start := math.Inf(1), 0, io.TSC
	for n := 0; b.Loop(); n++ {
		units += step()
		if n%window == window-1 {
			if cycles := float64(io.TSC - start); units > 0 {
				best = min(best, cycles/float64(units))
			}
			units, start = 0, io.TSC
		}
	}
	b.ReportMetric(best, unit)
}

// BenchmarkCycles is what reading the clock costs, and what a call of C for it would.
func BenchmarkCycles(b *testing.B) {
	p := newPoller(b, newPool(b, 256, 64))
	b.Run("poller", func(b *testing.B) {
		for b.Loop() {
			p.Cycles()
		}
	})
	b.Run("call of C", func(b *testing.B) {
		for b.Loop() {
			TSC()
		}
	})
}

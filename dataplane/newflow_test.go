package dataplane

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

// TestNewFlowsAllocateNothing runs loop iterations in which every packet is a flow of its own: at counts its two bytes up.
func TestNewFlowsAllocateNothing(t *testing.T) {
	inner := dataFrame(redFar, redVM1, "10.0.0.7", "10.0.0.5")
	for name, tc := range map[string]struct {
		port  string
		frame []byte
		at    int
	}{
		"encapsulate":      {"red-vm1", dataFrame(redVM1, redFar, "10.0.0.5", "10.0.0.7"), 34},
		"switch":           {"red-vm1", dataFrame(redVM1, redVM2, "10.0.0.5", "10.0.0.6"), 34},
		"route":            {"red-vm1", dataFrame(redVM1, routerMAC, "10.0.0.5", "10.0.1.5"), 34},
		"next hop":         {"red-vm1", dataFrame(redVM1, routerMAC, "10.0.0.5", "192.0.2.9"), 34},
		"provider gateway": {"red-vm1", dataFrame(redVM1, routerMAC, "10.0.0.5", "198.51.100.9"), 34},
		"decapsulate":      {"up0", fromFar(inner), 42 + 34},
		"forged":           {"up0", frames.NVGRE(hostBMAC, uplinkMAC, "172.16.1.9", hostAPA, 6001, 1, inner), 42 + 34},
		"learn":            {"acc1", untagged("02:00:00:00:00:01", "02:00:00:00:00:02"), 10},
		"IPv6":             {"red-vm1", udp6(redVM1, redFar, red5, red7), 54},
		"spoofed":          {"red-vm1", dataFrame(redVM1, redVM2, "203.0.113.9", "10.0.0.6"), 34},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRigOf(t, 1, strings.Replace(rigPolicy, "{prefix: 192.0.2.0/24, nextHop: 10.0.0.6}",
				"{prefix: 192.0.2.0/24, nextHop: 10.0.0.6}\n      - {prefix: 198.51.100.0/24, gateway: 172.16.1.2}", 1))
			r.resolve()
			for _, d := range r.devs {
				d.SetSink(func(uint16, *packet.Packet) {})
			}
			before, allocs := r.misses(), -1.0
			w := r.sw.workers[0]
			w.do(func() {
				n := uint16(0)
				r.devs[tc.port].SetSource(0, func(p *packet.Packet) bool {
					n++
					ok := p.Append(len(tc.frame)) && copy(p.Data(), tc.frame) == len(tc.frame)
					binary.BigEndian.PutUint16(p.Data()[tc.at:], n)
					return ok
				})
				iteration := func() {
					w.poll()
					w.receive()
					w.timers()
				}
				iteration()
				allocs = testing.AllocsPerRun(20, iteration)
				for range 4 { // it counts the whole process: what other goroutines allocate is not in every run
					allocs = min(allocs, testing.AllocsPerRun(20, iteration))
				}
				r.devs[tc.port].SetSource(0, nil)
				w.flush()
			})
			require.Zero(t, allocs)
			require.Greater(t, r.misses(), before+1000)
			r.balanced()
		})
	}
}

func udp6(src, dst, from, to string) []byte {
	return frames.Build(frames.Ether(src, dst), frames.IPv6(from, to), frames.UDP(1, 2), frames.Payload(30))
}

package dataplane

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

// BenchmarkOrder sends b.N numbered packets by two workers to one uplink, whose scheduler comes, changes and goes meanwhile,
// and looks at the order of every one: -benchtime 100000000x is the proof.
func BenchmarkOrder(b *testing.B) {
	r := newRig(b, 2)
	r.resolve()
	r.sequence("red-vm1", redVM1, "10.0.0.5")
	r.sequence("red-vm2", redVM2, "10.0.0.6")
	one, two := packet.MAC{0, 0x15, 0x5d, 0, 1, 5}, packet.MAC{0, 0x15, 0x5d, 0, 1, 6}
	var seen, late [2]int
	last := [2]int64{-1, -1}
	full := make(chan struct{})
	r.devs["up0"].SetSink(func(_ uint16, p *packet.Packet) {
		f := p.Data()
		if len(f) < 42+54 {
			return
		}
		i := 0
		switch packet.MAC(f[48:]) {
		case one:
		case two:
			i = 1
		default:
			return
		}
		number := int64(binary.BigEndian.Uint32(f[42+14+20+8:]))
		if number <= last[i] {
			late[i]++
		}
		last[i] = number
		if seen[i]++; seen[0]+seen[1] == b.N {
			close(full)
		}
	})
	b.ResetTimer()
	rounds := 0
	for going := true; going; rounds++ {
		r.scheduled("up0", []uint64{50_000_000, 100e9, 200_000_000, 0}[rounds%4])
		select {
		case <-full:
			going = false
		case <-time.After(5 * time.Millisecond):
		}
	}
	b.StopTimer()
	r.devs["red-vm1"].SetSource(0, nil)
	r.devs["red-vm2"].SetSource(0, nil)
	r.scheduled("up0", 0)
	r.idle()
	b.Logf("%d and %d packets, %d changes of the scheduler", seen[0], seen[1], rounds)
	require.Zero(b, late[0]+late[1], "packets that came after a later one of their flow")
	r.balanced()
}

package dataplane

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/policy"
)

// linked gives up0 the speed of its link, with shares of 3 to 1.
func (r *rig) linked(bytesPerSec uint64) {
	r.t.Helper()
	up := policy.SchedulerQoS{Port: r.index.byName["up0"], RateBytesPerSec: bytesPerSec, Leaves: []policy.LeafQoS{
		{Port: policy.NoIndex, Group: -1, Parent: -1, Weight: 1},
		{Key: 7, Port: r.index.byName["red-vm1"], Group: -1, Parent: -1, Weight: 30},
		{Key: 8, Port: r.index.byName["red-vm2"], Group: -1, Parent: -1, Weight: 10}}}
	up.Classes[0] = policy.ClassQoS{Name: "default", Weight: 100, QueueBytes: 4 << 20}
	snap := *r.snap
	snap.QoS = policy.NewQoS([]policy.SchedulerQoS{up}, nil)
	require.NoError(r.t, r.sw.Publish(&snap))
	r.snap = &snap
}

// A link that changes its speed: within 100 ms of the scheduler's time its senders have their shares of the new one, and
// nothing that waits is lost, or overtaken.
func TestSharesFollowTheLink(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	r.linked(10_000_000)
	r.net.AdvanceTSC(time.Second)
	r.idle()
	r.devs["up0"].Sent()
	from := map[byte]string{5: redVM1, 6: redVM2}
	next, injected := map[byte]uint32{}, map[byte]uint32{}
	total := 0
	fill := func() { // so many wait that the link is busy
		for vm, waiting := range map[byte]uint32{5: 800, 6: 400} {
			for ; injected[vm]-next[vm] < waiting; injected[vm]++ {
				payload := make([]byte, 1000-24-42-42) // 1,000 bytes on the wire
				binary.BigEndian.PutUint32(payload, injected[vm])
				r.inject(fmt.Sprintf("red-vm%d", vm-4), frames.Build(frames.Ether(from[vm], redFar), frames.IPv4(fmt.Sprintf("10.0.0.%d", vm), "10.0.0.7"),
					frames.UDP(7, 2), frames.Bytes(payload)))
			}
		}
		r.idle()
	}
	took := func(d time.Duration) (counts map[byte]int) {
		counts = map[byte]int{}
		for range d / time.Millisecond {
			r.net.AdvanceTSC(time.Millisecond)
			r.idle()
			for _, f := range r.devs["up0"].Sent() {
				vm := f[42+14+15] // last byte of the inner source address
				seq := binary.BigEndian.Uint32(f[42+42:])
				require.Equal(t, next[vm], seq, "sender %d", vm)
				next[vm]++
				counts[vm]++
				total++
			}
		}
		return counts
	}
	fill()
	took(10 * time.Millisecond)
	for _, packetsPerSec := range []int{2000, 4000, 500} {
		fill()
		r.linked(uint64(packetsPerSec) * 1000)
		took(100 * time.Millisecond)
		got := took(100 * time.Millisecond)
		all := packetsPerSec / 10
		within := 0.01*float64(all) + 5 // a quantum and two frames of 1,600 bytes, in packets of 1,000
		require.InDelta(t, all*3/4, got[5], within, "%d a second", packetsPerSec)
		require.InDelta(t, all/4, got[6], within, "%d a second", packetsPerSec)
		r.balanced()
	}
	r.linked(1_000_000_000)
	took(20 * time.Millisecond)
	require.EqualValues(t, injected[5]+injected[6], total, "nothing is lost")
	require.Zero(t, r.queued())
	r.balanced()
}

package dataplane

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
)

func TestBusyCyclesAreDividedAmongQueues(t *testing.T) {
	for name, c := range map[string]struct {
		packets [2]uint32 // of either queue
		price   [2]uint32
		handed  int
		want    [2]uint64 // of 1,200 cycles
	}{
		"one queue":                {packets: [2]uint32{0, 64}, price: [2]uint32{60, 60}, want: [2]uint64{0, 1200}},
		"as many":                  {packets: [2]uint32{64, 64}, price: [2]uint32{60, 60}, want: [2]uint64{600, 600}},
		"three times as many":      {packets: [2]uint32{16, 48}, price: [2]uint32{60, 60}, want: [2]uint64{300, 900}},
		"half as many, as dear":    {packets: [2]uint32{32, 64}, price: [2]uint32{240, 60}, want: [2]uint64{800, 400}},
		"packets of other workers": {packets: [2]uint32{0, 64}, price: [2]uint32{60, 60}, handed: 128, want: [2]uint64{0, 400}},
		"only those":               {handed: 64},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			var got [2]uint64
			r.set(func() {
				w := r.sw.workers[0]
				w.spent.runs = 0
				for ref, n := range c.packets {
					if n > 0 {
						w.spent.work[w.spent.runs] = work{uint32(ref), n * c.price[ref]}
						w.spent.runs++
					}
				}
				if c.handed > 0 {
					w.egress = &diversion{taken: c.handed}
				}
				before := [2]uint64{w.queues[0].totals.BusyCycles, w.queues[1].totals.BusyCycles}
				w.chargeQueues(1200)
				for ref := range got {
					got[ref] = w.queues[ref].totals.BusyCycles - before[ref]
				}
				w.egress, w.spent.runs = nil, 0
			})
			require.Equal(t, c.want, got)
		})
	}
}

// What queues are charged with is what their worker was busy for, but for what is rounded off, also where they move.
func TestQueuesSumToTheirWorkers(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	for round := range 50 {
		for i := range 40 {
			r.inject("red-vm1", numbered(i))
			r.inject("red-vm2", frames.Build(frames.Ether(redVM2, redVM1), frames.IPv4("10.0.0.6", "10.0.0.5"), frames.UDP(1, uint16(i)), frames.Payload(9)))
		}
		r.idle()
		r.devs["up0"].Sent()
		r.devs["red-vm1"].Sent()
		if round%10 == 9 {
			r.move("red-vm1", round/10%2)
		}
	}
	workers, queues, iterations := uint64(0), uint64(0), uint64(0)
	for _, w := range r.workers() {
		workers += w.BusyCycles
		iterations += w.Iterations
		for _, q := range w.Queues {
			queues += q.BusyCycles
			if q.Packets == 0 {
				require.Zero(t, q.BusyCycles)
			}
		}
	}
	require.LessOrEqual(t, queues, workers)
	require.Greater(t, queues+workers/4+4*iterations, workers, "but for iterations in which a queue left")
	require.NotZero(t, r.status("red-vm1").BusyCycles)
}

// A queue whose packets cost more is charged with more: here those that are all new flows, beside known ones.
func TestPriceIsLearned(t *testing.T) {
	q, err := newRxQueue(newRig(t, 1).sw, PortSpec{}, 0)
	require.NoError(t, err)
	defer q.free()
	q.publish(1)
	require.EqualValues(t, firstPrice, q.price, "nothing is known yet")
	for range 40 {
		q.totals.Sample.Packets += 100
		q.totals.Sample.Cycles[StageNewFlows] += 100 * 2000
		q.totals.Sample.Cycles[StageStalled] += 1e9
		q.publish(1)
	}
	require.InDelta(t, 2000+sharedPrice, q.price, 4)
	for range 40 {
		q.totals.Sample.Packets += 100
		q.totals.Sample.Cycles[StageLookup] += 100 * 20
		q.publish(1)
	}
	require.InDelta(t, 20+sharedPrice, q.price, 4)
}

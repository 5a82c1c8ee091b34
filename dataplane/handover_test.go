package dataplane

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

// fakes are packets without a buffer, whose length is their number.
func fakes(t *testing.T, n int) []*packet.Packet {
	mem, err := offHeap[packet.Packet](n)
	require.NoError(t, err)
	t.Cleanup(func() { freeOffHeap(mem) })
	all := make([]*packet.Packet, n)
	for i := range all {
		all[i] = &mem[i]
		all[i].PktLen = uint32(i)
	}
	return all
}

func newTestLane(t *testing.T) *lane {
	l, err := newLane(nil)
	require.NoError(t, err)
	t.Cleanup(l.free)
	return l
}

func TestLaneTakesWhatFits(t *testing.T) {
	l, pkts := newTestLane(t), fakes(t, laneSize+1)
	require.True(t, l.empty())
	require.False(t, l.show(), "nothing to see")
	require.Equal(t, laneSize, l.put(1, 2, 3, pkts), "the first ones")
	require.Zero(t, l.put(1, 2, 3, pkts[:1]))
	require.True(t, l.empty(), "not shown yet")
	require.True(t, l.show())
	require.False(t, l.empty())
	row, got := l.peek(l.ready.Load())
	require.Equal(t, handed{1, 2, 3, laneSize}, *row)
	require.Equal(t, pkts[:laneSize], got)
	l.next(row)
	require.Zero(t, l.put(1, 2, 3, pkts[:1]), "places come back once all is done")
	l.done()
	require.Equal(t, 1, l.put(1, 2, 3, pkts[:1]))
}

// One writer and one reader, each on its own thread: everything comes through once, in order, in the rows that it was put in
// or parts of them.
func TestLaneKeepsOrder(t *testing.T) {
	const total = 200_000
	l, mem := newTestLane(t), fakes(t, 4*laneSize)
	go func() {
		rng := rand.New(rand.NewPCG(1, 1))
		for n := 0; n < total; {
			first := n % len(mem)
			row := mem[first:min(first+1+rng.IntN(packet.RxBurst), len(mem), first+total-n)]
			n += l.put(uint32(n/len(mem)), 5, 6, row)
			if rng.IntN(3) == 0 || n == total {
				l.show()
			}
			runtime.Gosched()
		}
	}()
	for n := 0; n < total; {
		ready := l.ready.Load()
		for row, pkts := l.peek(ready); row != nil; row, pkts = l.peek(ready) {
			for i, p := range pkts {
				if int(p.PktLen) != n%len(mem) || i == 0 && row.in != uint32(n/len(mem)) {
					t.Fatalf("packet %d: got number %d of row %+v", n, p.PktLen, row)
				}
				n++
			}
			l.next(row)
		}
		l.done()
		runtime.Gosched()
	}
	require.True(t, l.empty())
}

// Five writers hand over as much as they receive, which is more than the owner can drop in an iteration: all get the same
// through, and none more than its part of one.
func TestOverloadHitsAllWritersAlike(t *testing.T) {
	const rounds = 200
	r, pkts := newRig(t, 1), fakes(t, packet.MaxRx)
	d := &diversion{byPort: make([]*egress, r.sw.cfg.MaxPorts), from: []*lane{nil}} // nobody has the output: all are dropped
	for range 5 {
		d.from = append(d.from, newTestLane(t))
	}
	for _, l := range d.from[1:] { // writers were faster for a while
		for range laneSize / packet.RxBurst {
			l.put(0, 1, 0, pkts[:packet.RxBurst])
		}
	}
	fewest, mostAtOnce := uint32(math.MaxUint32), uint32(0) // packets in one round, of all lanes and of one
	r.set(func() {
		w := r.sw.workers[0]
		before := w.egress
		w.egress = d
		for range rounds {
			for _, l := range d.from[1:] {
				l.put(0, 1, 0, pkts)
				l.show()
			}
			was := [6]uint32{}
			for i, l := range d.from[1:] {
				was[i] = l.pktsOut
			}
			w.takeHanded()
			for i, l := range d.from[1:] {
				mostAtOnce = max(mostAtOnce, l.pktsOut-was[i])
			}
			fewest = min(fewest, w.io.NumFree)
			w.io.NumFree = 0 // they are nobody's
		}
		w.egress = before
	})
	require.EqualValues(t, packet.MaxFree, fewest)
	require.EqualValues(t, laneBatch, mostAtOnce)
	least, most := uint32(math.MaxUint32), uint32(0)
	for _, l := range d.from[1:] {
		least, most = min(least, l.pktsOut), max(most, l.pktsOut)
	}
	require.LessOrEqual(t, most-least, uint32(laneBatch), "of %d", most)
}

// What a worker hands to an owner that has fallen behind, beyond what the lane holds, is dropped under a reason of its own, and
// what the lane holds is sent once the owner goes on.
func TestFullLaneIsTheReason(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	r.scheduled("up0", 100e9)
	owner := r.sw.egresses[0].owner
	from := ""
	for _, name := range []string{"red-vm1", "red-vm2"} { // one each
		for _, q := range r.sw.workers[1-owner.id].queues {
			if q != nil && q.port == r.index.byName[name] {
				from = name
			}
		}
	}
	require.NotEmpty(t, from)
	mac, ip := redVM1, "10.0.0.5"
	if from == "red-vm2" {
		mac, ip = redVM2, "10.0.0.6"
	}
	r.inject(from, toFarFrom(mac, ip, 0)) // the flow is known
	r.wait("up0", 1)
	before := r.counters(from)
	held, goOn := make(chan struct{}), make(chan struct{})
	go owner.do(func() { close(held); <-goOn })
	<-held
	const total = laneSize + 300
	for i := range total {
		r.inject(from, toFarFrom(mac, ip, i))
	}
	require.Eventually(t, func() bool { return r.counters(from).RxPackets == before.RxPackets+total }, patience, time.Millisecond)
	after := r.counters(from)
	require.EqualValues(t, total-laneSize, after.Drops[ReasonHandOverFull]-before.Drops[ReasonHandOverFull])
	require.EqualValues(t, laneSize, after.Queued)
	close(goOn)
	require.Len(t, r.wait("up0", laneSize), laneSize)
	r.balanced()
}

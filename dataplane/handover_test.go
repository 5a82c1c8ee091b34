package dataplane

import (
	"math/rand/v2"
	"runtime"
	"testing"

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

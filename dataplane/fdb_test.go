package dataplane

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
)

func station(n int) packet.MAC { return packet.MACFromUint64(0x02_0000000000 | uint64(n)) }

func TestFDBLimits(t *testing.T) {
	db := newFDB()
	learn := func(n int, port uint32, limit int) bool { return db.learn(1, station(n), port, limit, 1) }
	for n := range maxVportMACs {
		require.True(t, learn(n, 7, maxVportMACs))
	}
	require.False(t, learn(maxVportMACs, 7, maxVportMACs), "a vport has its share")
	require.True(t, learn(maxVportMACs, 8, maxVportMACs), "others have theirs")
	require.False(t, learn(maxVportMACs, 7, maxVportMACs), "nor may it take an address over")
	require.True(t, learn(0, 8, maxVportMACs), "an address moves")
	require.True(t, learn(maxVportMACs+1, 7, maxVportMACs), "and leaves a place")
	at, ok := db.lookup(1, station(0))
	require.True(t, ok)
	require.EqualValues(t, 8, at)

	learned := 0
	for n := range 2 * maxMACs {
		if learn(1<<20+n, 9, maxUplinkMACs) {
			learned++
		}
	}
	require.Equal(t, maxUplinkMACs, learned)
	require.True(t, learn(1, 10, maxVportMACs), "there is room for vports when uplinks have all of theirs")
	require.Equal(t, maxVportMACs+2+maxUplinkMACs, db.count)
}

func TestFDBKeepsNoUselessMarks(t *testing.T) {
	db := newFDB()
	const n = 60000
	for i := range n {
		require.True(t, db.learn(1, station(i), 9, maxMACs, int64(i)))
	}
	gone := 0
	db.expire(func(_ LearnedMAC, used int64) bool { return used%16 != 0 }, func(uint32, packet.MAC) { gone++ })
	require.Equal(t, n-n/16, gone)
	for i := range fdbSlots {
		if db.slots[i].mac.Load() == fdbDeleted {
			require.NotZero(t, db.slots[(i+1)%fdbSlots].mac.Load(), "slot %d", i)
		}
	}
	for i := range n {
		_, ok := db.lookup(1, station(i))
		require.Equal(t, i%16 == 0, ok, "station %d", i)
	}
	db.expire(func(LearnedMAC, int64) bool { return true }, func(uint32, packet.MAC) {})
	require.Zero(t, db.count)
	require.Empty(t, db.ofPort)
	for i := range db.slots {
		require.Zero(t, db.slots[i].mac.Load())
	}
}

// A port that sends from ever new addresses must not keep others from being learned.
func TestLearningIsShared(t *testing.T) {
	r := newRig(t, 1)
	for _, d := range r.devs {
		d.SetSink(memport.Discard)
	}
	r.net.AdvanceTSC(0) // no timer runs from now on
	n := 0
	r.devs["acc1"].SetSource(0, func(p *packet.Packet) bool {
		f := untagged(station(n).String(), broadcast)
		n++
		return n < 4*maxEvents && p.Append(len(f)) && copy(p.Data(), f) == len(f)
	})
	require.True(t, r.net.WaitFor(patience, func() bool { return r.counters("acc1").RxPackets >= 2*maxEvents }))
	r.inject("acc2", untagged(acc2MAC, broadcast))
	r.learned(acc2MAC, "acc2")
	r.devs["acc1"].SetSource(0, nil)
	r.idle()
	require.LessOrEqual(t, len(r.sw.Learned()), 2*maxLearned+1, "the timers may run once more")
	require.Positive(t, r.workers()[0].LearnLost)
	r.balanced()
}

package dpdk

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

func TestRingLoopback(t *testing.T) {
	pool := newPool(t, 2048, 1518)
	d := newUplink(t, pool, unique("net_ring"), 1)
	p := newPoller(t, pool)
	require.NoError(t, p.AddRx(d.Handle(), 0, 7))
	require.NoError(t, p.SetTx(3, d.Handle(), 0, true))
	io := p.IO()
	flush(p)
	require.EqualValues(t, packet.MaxSpares, io.NumSpares)

	run := send(t, p, 3, frame(60, 'a'), frame(1518, 'b'))
	flush(p)
	require.EqualValues(t, 2, run.Sent)
	require.Zero(t, io.NumRx, "a budget of 0 only sends")

	io.RxBudget = packet.MaxRx
	p.Poll()
	require.EqualValues(t, 2, io.NumRx)
	require.EqualValues(t, 1, io.NumRxRuns)
	require.Equal(t, packet.RxRun{Ref: 7, First: 0, Count: 2}, io.RxRuns[0])
	require.Equal(t, frame(60, 'a'), io.Rx[0].Data())
	require.Equal(t, frame(1518, 'b'), io.Rx[1].Data())
	require.EqualValues(t, packet.Headroom, io.Rx[0].Headroom())
	require.True(t, io.Rx[0].Writable())
	require.NotZero(t, io.TSC)
	require.Greater(t, p.Cycles(), io.TSC, "the same clock, later")
	require.Less(t, p.Cycles()-io.TSC, 10*TSCHz(), "in the same unit")
	freeRx(p)
	p.Poll()
	require.Zero(t, io.NumFree)
	require.Zero(t, io.NumRx)

	s, err := d.Stats()
	require.NoError(t, err)
	require.EqualValues(t, 2, s.RxPackets)
	require.EqualValues(t, 2, s.TxPackets)
}

func TestUnknownOutputFrees(t *testing.T) {
	pool := newPool(t, 1024, 1518)
	d := newUplink(t, pool, unique("net_null"), 1)
	p := newPoller(t, pool)
	require.NoError(t, p.SetTx(5, d.Handle(), 0, false))
	p.ClearTx(5)
	flush(p)
	for _, out := range []uint32{0, 5, 1 << 31} {
		run := send(t, p, out, frame(60, 'x'))
		flush(p)
		require.Zero(t, run.Sent)
	}
}

// A ring holds 1,024 packets less one: what exceeds it is freed, and Sent says where.
func TestFullQueueFreesTheRest(t *testing.T) {
	pool := newPool(t, 2048, 64)
	d := newUplink(t, pool, unique("net_ring"), 1)
	p := newPoller(t, pool)
	require.NoError(t, p.SetTx(0, d.Handle(), 0, false))
	io := p.IO()
	flush(p)
	sent, last := 0, 0
	for range 40 {
		f := make([][]byte, 32)
		for i := range f {
			f[i] = frame(60, 'f')
		}
		run := send(t, p, 0, f...)
		flush(p)
		flush(p) // refills the spares
		last = int(run.Sent)
		sent += last
	}
	require.Zero(t, last)
	require.EqualValues(t, 1023, sent)
	require.NoError(t, p.AddRx(d.Handle(), 0, 0))
	io.RxBudget = packet.MaxRx
	got := 0
	for range 100 {
		p.Poll()
		got += int(io.NumRx)
		require.LessOrEqual(t, io.NumRx, uint32(2*packet.RxBurst), "a queue alone gets two rounds")
		for _, run := range io.RxRuns[:io.NumRxRuns] {
			require.LessOrEqual(t, run.Count, uint16(packet.RxBurst), "more than a burst in one run")
		}
		freeRx(p)
	}
	require.Equal(t, sent, got)
	flush(p)
}

// Queues that always have packets share a small budget evenly.
func TestBudgetRoundRobin(t *testing.T) {
	pool := newPool(t, 2048, 64)
	const queues = 5
	var devices []*Device
	for range queues {
		devices = append(devices, newUplink(t, pool, unique("net_null"), 1)) // delivers a full burst whenever asked
	}
	p := newPoller(t, pool)
	for ref, d := range devices {
		require.NoError(t, p.AddRx(d.Handle(), 0, uint32(ref)))
	}
	io := p.IO()
	got := map[uint32]int{}
	for range 5 * queues {
		io.RxBudget = 2 * packet.RxBurst
		p.Poll()
		require.EqualValues(t, 2*packet.RxBurst, io.NumRx)
		for _, r := range io.RxRuns[:io.NumRxRuns] {
			got[r.Ref] += int(r.Count)
		}
		freeRx(p)
	}
	for ref := range uint32(queues) {
		require.Equal(t, 10*packet.RxBurst, got[ref], "queue %d", ref)
	}
	p.RemoveRx(2)
	clear(got)
	for range 8 {
		p.Poll()
		for _, r := range io.RxRuns[:io.NumRxRuns] {
			got[r.Ref]++
		}
		freeRx(p)
	}
	require.Equal(t, map[uint32]int{0: 4, 1: 4, 3: 4, 4: 4}, got)
	p.RestRx(1, true)
	p.RestRx(99, true) // nobody's
	clear(got)
	for range 6 {
		p.Poll()
		for _, r := range io.RxRuns[:io.NumRxRuns] {
			got[r.Ref]++
		}
		freeRx(p)
	}
	require.Equal(t, map[uint32]int{0: 4, 3: 4, 4: 4}, got, "one rests")
	for _, ref := range []uint32{0, 3, 4} {
		p.RestRx(ref, true)
	}
	p.Poll()
	require.Zero(t, io.NumRx, "all rest")
	p.RestRx(1, false)
	p.Poll()
	require.EqualValues(t, 1, io.RxRuns[0].Ref)
	freeRx(p)
	flush(p)
}

func TestEmptyPool(t *testing.T) {
	pool := newPool(t, 100, 64) // fewer than the spares
	d := newUplink(t, pool, unique("net_null"), 1)
	p := newPoller(t, pool)
	flush(p)
	io := p.IO()
	require.NotZero(t, io.NumSpares)
	require.Less(t, io.NumSpares, uint32(packet.MaxSpares))
	require.NoError(t, p.AddRx(d.Handle(), 0, 0))
	for range 20 {
		io.RxBudget = packet.MaxRx
		p.Poll()
		require.LessOrEqual(t, io.NumRx, uint32(packet.RxBurst))
		freeRx(p)
	}
	flush(p)
}

func TestPollAllocatesNothing(t *testing.T) {
	pool := newPool(t, 2048, 64)
	src := newUplink(t, pool, unique("net_null"), 1)
	dst := newUplink(t, pool, unique("net_null")+",no-rx=1", 1)
	p := newPoller(t, pool)
	require.NoError(t, p.AddRx(src.Handle(), 0, 0))
	require.NoError(t, p.SetTx(0, dst.Handle(), 0, false))
	io := p.IO()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		io.RxBudget = packet.MaxRx
		p.Poll()
		forward(io, func(uint32) uint32 { return 0 })
	}))
	flush(p)
}

func TestWakeEndsWait(t *testing.T) {
	p := newPoller(t, newPool(t, 256, 64))
	p.Wake()
	start := time.Now()
	p.Wait(10 * time.Second) // the wake of before
	go p.Wake()
	p.Wait(10 * time.Second)
	require.Less(t, time.Since(start), 5*time.Second)
	p.Wait(time.Microsecond) // nothing pending: it comes back by itself
	p.Wait(-1)
}

func TestPollListMistakes(t *testing.T) {
	pool := newPool(t, 256, 64)
	d := newUplink(t, pool, unique("net_null"), 1)
	p := newPoller(t, pool)
	require.ErrorIs(t, p.AddRx(1<<30, 0, 0), ErrNoDevice)
	require.ErrorIs(t, p.AddRx(d.Handle(), 1, 0), ErrInvalid)
	require.ErrorIs(t, p.SetTx(0, d.Handle(), 9, false), ErrInvalid)
	require.ErrorIs(t, p.SetTx(maxOutputs, d.Handle(), 0, false), ErrInvalid)
	require.NoError(t, p.AddRx(d.Handle(), 0, 1))
	require.ErrorIs(t, p.AddRx(d.Handle(), 0, 1), ErrBusy)
	require.NoError(t, p.SetTx(0, d.Handle(), 0, false))
	require.NoError(t, p.SetTx(0, d.Handle(), 0, true), "an output may be set anew")
	require.ErrorIs(t, d.Close(), ErrBusy, "a poller still has it")
	p.RemoveRx(1)
	p.RemoveRx(99)
	p.ClearTx(0)
	p.ClearTx(99)
}

// Three workers send to one transmit queue, whose ring is made for a single producer: only the lock keeps it whole.
func TestSharedTransmitQueue(t *testing.T) {
	pool := newPool(t, 4096, 64)
	d := newUplink(t, pool, unique("net_ring"), 1)
	const workers, rounds = 3, 2000
	var wg sync.WaitGroup
	var sent atomic.Int64
	for n := range workers {
		p, err := NewPoller(pool)
		require.NoError(t, err)
		require.NoError(t, p.SetTx(uint32(n), d.Handle(), 0, true))
		wg.Go(func() {
			runtime.LockOSThread()
			defer p.Close()
			if err := p.Start(); err != nil {
				t.Error(err)
				return
			}
			flush(p)
			for range rounds {
				run := send(t, p, uint32(n), frame(60, byte(n)), frame(60, byte(n)))
				flush(p)
				sent.Add(int64(run.Sent))
			}
		})
	}
	p := newPoller(t, pool)
	require.NoError(t, p.AddRx(d.Handle(), 0, 0))
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	received, io := int64(0), p.IO()
	for ended := false; !ended || io.NumRx > 0; {
		select {
		case <-done:
			ended = true
		default:
		}
		io.RxBudget = packet.MaxRx
		p.Poll()
		received += int64(io.NumRx)
		for _, m := range io.Rx[:io.NumRx] {
			require.EqualValues(t, 60, m.PktLen)
			require.Less(t, m.Data()[59], byte(workers))
		}
		freeRx(p)
	}
	flush(p)
	require.Equal(t, sent.Load(), received)
	require.NotZero(t, received)
}

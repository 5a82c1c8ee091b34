package memport_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
)

var _ dataplane.Poller = (*memport.Poller)(nil)

const timeout = 10 * time.Second

func newNet(t *testing.T, packets, room int) (*memport.Arena, *memport.Net) {
	a := memport.NewArena(packets, room)
	t.Cleanup(a.Close)
	return a, memport.New(a)
}

// frame is n bytes that differ from those of other seeds.
func frame(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i)
	}
	return b
}

// forward sends all received packets to output 0.
func forward(io *packet.IO) {
	io.NumTx = io.NumRx
	copy(io.Tx[:], io.Rx[:io.NumRx])
	io.NumTxRuns = 0
	if io.NumTx > 0 {
		io.TxRuns[0] = packet.TxRun{Out: 0, Count: uint16(io.NumTx)}
		io.NumTxRuns = 1
	}
}

func step(p *memport.Poller) {
	io := p.IO()
	io.RxBudget = packet.MaxRx
	p.Poll()
	io.NumTx, io.NumTxRuns = 0, 0
	forward(io)
}

func TestInjectedFramesArriveUnchanged(t *testing.T) {
	shapes := map[string][]memport.Option{
		"plain":        nil,
		"split":        {memport.Split(14, 34, 34)},
		"byte by byte": {memport.Split(1, 2, 3, 4, 5, 6, 7)},
		"no headroom":  {memport.Headroom(0)},
		"shared":       {memport.Shared()},
		"indirect":     {memport.Indirect()},
		"flags":        {memport.Edit(func(p *packet.Packet) { p.OlFlags |= 1 })},
	}
	for name, opts := range shapes {
		t.Run(name, func(t *testing.T) {
			a, net := newNet(t, 256, 512)
			in, out := net.Device(1, 1), net.Device(1, 1)
			p := net.Poller()
			require.NoError(t, p.AddRx(in.Handle(), 0, 7))
			require.NoError(t, p.SetTx(0, out.Handle(), 0, false))
			want := frame(60, 3)
			in.Inject(0, want, opts...)
			step(p)
			require.EqualValues(t, 1, p.IO().NumRx)
			assert.Equal(t, packet.RxRun{Ref: 7, First: 0, Count: 1}, p.IO().RxRuns[0])
			got := p.IO().Rx[0]
			assert.Equal(t, want, memport.Bytes(got))
			assert.Equal(t, in.Handle(), uint32(got.Port))
			step(p)
			assert.EqualValues(t, 1, p.IO().TxRuns[0].Count|p.IO().TxRuns[0].Sent)
			assert.Equal(t, [][]byte{want}, out.Sent())
			require.NoError(t, a.ReleaseShared())
			p.Close()
			assert.Equal(t, a.Size(), a.Free(), a.Report())
		})
	}
}

func TestShapes(t *testing.T) {
	a, _ := newNet(t, 64, 100)
	p := a.Get(frame(250, 0))
	assert.EqualValues(t, 3, p.NbSegs, "a frame longer than the room spreads over segments")
	assert.EqualValues(t, 250, p.PktLen)
	a.Put(p)
	p = a.Get(frame(20, 0), memport.Headroom(5), memport.Split(4))
	assert.Equal(t, 5, p.Headroom())
	assert.EqualValues(t, 4, p.DataLen)
	assert.False(t, p.Writable())
	a.Put(p)
	p = a.Get(frame(20, 0), memport.Indirect())
	assert.False(t, p.Writable())
	a.Put(p)
	require.NoError(t, a.ReleaseShared())
	assert.Equal(t, 64, a.Free(), a.Report())
}

func TestReleaseSharedTellsOfWrites(t *testing.T) {
	for name, opt := range map[string]memport.Option{"shared": memport.Shared(), "indirect": memport.Indirect()} {
		t.Run(name, func(t *testing.T) {
			a, _ := newNet(t, 8, 100)
			p := a.Get(frame(20, 0), opt)
			require.True(t, p.Prepend(4))
			p.Data()[10] ^= 0xff
			assert.ErrorContains(t, a.ReleaseShared(), "while it had two owners")
			a.Put(p)
			assert.Equal(t, 8, a.Free(), "the test let go first, then the worker")
		})
	}
}

func TestFreedFramesAreOverwritten(t *testing.T) {
	for _, room := range []int{100, 20} {
		a, _ := newNet(t, 1, room)
		p := a.Get(frame(20, 0))
		data := p.Data()
		a.Put(p)
		assert.Equal(t, bytes.Repeat([]byte{0xdb}, 20), data)
	}
}

func TestFaultsPanic(t *testing.T) {
	cases := []struct {
		name, message string
		do            func(a *memport.Arena, p *memport.Poller, pkt *packet.Packet)
	}{
		{"freed twice", "freed twice", func(a *memport.Arena, _ *memport.Poller, _ *packet.Packet) {
			q := a.Get(nil)
			a.Put(q)
			a.Put(q)
		}},
		{"freed twice by IO", "freed, although it is free", func(_ *memport.Arena, p *memport.Poller, pkt *packet.Packet) {
			p.IO().Free[0], p.IO().Free[1], p.IO().NumFree = pkt, pkt, 2
			p.Poll()
		}},
		{"sent twice", "sent, although it is sent", func(_ *memport.Arena, p *memport.Poller, pkt *packet.Packet) {
			io := p.IO()
			io.Tx[0], io.Tx[1], io.NumTx = pkt, pkt, 2
			io.TxRuns[0], io.NumTxRuns = packet.TxRun{Count: 2}, 1
			p.Poll()
		}},
		{"sent and freed", "freed, although it is sent", func(_ *memport.Arena, p *memport.Poller, pkt *packet.Packet) {
			io := p.IO()
			io.Tx[0], io.NumTx, io.Free[0], io.NumFree = pkt, 1, pkt, 1
			io.TxRuns[0], io.NumTxRuns = packet.TxRun{Count: 1}, 1
			p.Poll()
		}},
		{"not covered", "cover 0 packets of 1", func(_ *memport.Arena, p *memport.Poller, pkt *packet.Packet) {
			p.IO().Tx[0], p.IO().NumTx = pkt, 1
			p.Poll()
		}},
		{"lying length", "its segments say 1 and 60", func(_ *memport.Arena, p *memport.Poller, pkt *packet.Packet) {
			pkt.PktLen++
			io := p.IO()
			io.Tx[0], io.NumTx = pkt, 1
			io.TxRuns[0], io.NumTxRuns = packet.TxRun{Count: 1}, 1
			p.Poll()
		}},
		{"list changed with packets to send", "AddRx while IO holds 1", func(_ *memport.Arena, p *memport.Poller, pkt *packet.Packet) {
			p.IO().Tx[0], p.IO().NumTx = pkt, 1
			_ = p.AddRx(1, 0, 0)
		}},
		{"foreign packet", "no packet of this arena", func(a *memport.Arena, _ *memport.Poller, _ *packet.Packet) {
			a.Put(new(packet.Packet))
		}},
		{"arena used up", "all 300 packets of the arena are in use", func(a *memport.Arena, _ *memport.Poller, _ *packet.Packet) {
			for {
				a.Get(nil)
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a, net := newNet(t, 300, 100)
			d := net.Device(1, 1)
			p := net.Poller()
			require.NoError(t, p.AddRx(d.Handle(), 0, 0))
			require.NoError(t, p.SetTx(0, d.Handle(), 0, false))
			d.Inject(0, frame(60, 0))
			p.IO().RxBudget = 1
			p.Poll()
			defer func() { assert.Contains(t, fmt.Sprint(recover()), c.message) }()
			c.do(a, p, p.IO().Rx[0])
		})
	}
}

func TestReceiveBudgetAndTurns(t *testing.T) {
	const burst = packet.RxBurst
	_, net := newNet(t, 2048, 64)
	p := net.Poller()
	for i := range uint32(3) {
		d := net.Device(1, 1)
		require.NoError(t, p.AddRx(d.Handle(), 0, 10+i))
		for range 3*burst + 4 {
			d.Inject(0, frame(20, byte(i)))
		}
	}
	runs := func(budget uint32) (out []packet.RxRun) {
		io := p.IO()
		io.RxBudget = budget
		p.Poll()
		copy(io.Free[:], io.Rx[:io.NumRx])
		io.NumFree = io.NumRx
		return append(out, io.RxRuns[:io.NumRxRuns]...)
	}
	assert.Equal(t, []packet.RxRun{{Ref: 10, First: 0, Count: burst}, {Ref: 11, First: burst, Count: 8}}, runs(burst+8))
	assert.Equal(t, []packet.RxRun{{Ref: 12, First: 0, Count: burst}, {Ref: 10, First: burst, Count: burst}, {Ref: 11, First: 2 * burst, Count: burst}}, runs(256),
		"resumes after the queue that was served last, at most a burst from each")
	assert.Empty(t, runs(0), "no budget: only sends")
	p.RemoveRx(10)
	p.RestRx(11, true)
	assert.Equal(t, []packet.RxRun{{Ref: 12, First: 0, Count: burst}}, runs(256), "the other one rests")
	p.RestRx(11, false)
	assert.Equal(t, []packet.RxRun{{Ref: 12, First: 0, Count: burst}, {Ref: 11, First: burst, Count: burst}}, runs(256))
}

func TestTransmitLimitUnknownOutputAndQueues(t *testing.T) {
	a, net := newNet(t, 512, 64)
	d, out := net.Device(1, 1), net.Device(1, 4)
	p := net.Poller()
	require.NoError(t, p.AddRx(d.Handle(), 0, 0))
	require.NoError(t, p.SetTx(0, out.Handle(), 3, false))
	out.SetTxLimit(2)
	for i := range 5 {
		d.Inject(0, frame(20, byte(i)))
	}
	step(p)
	step(p)
	frames := out.SentFrames()
	require.Len(t, frames, 2)
	assert.EqualValues(t, 3, frames[0].Queue)
	assert.EqualValues(t, 3, out.Stats().TxRejected)
	out.SetTxLimit(-1)
	p.ClearTx(0)
	d.Inject(0, frame(20, 0))
	step(p)
	io := p.IO()
	p.Poll()
	assert.EqualValues(t, 0, io.TxRuns[0].Sent, "unknown output")
	io.NumTx, io.NumTxRuns = 0, 0
	assert.Empty(t, out.Sent())
	p.Close()
	assert.Equal(t, a.Size(), a.Free(), a.Report())
}

func TestListErrors(t *testing.T) {
	_, net := newNet(t, 512, 64)
	d := net.Device(1, 1)
	p, q := net.Poller(), net.Poller()
	require.NoError(t, p.AddRx(d.Handle(), 0, 0))
	assert.ErrorContains(t, p.AddRx(99, 0, 1), "no memory device 99")
	assert.ErrorContains(t, p.AddRx(d.Handle(), 1, 1), "no number 1")
	assert.ErrorContains(t, q.AddRx(d.Handle(), 0, 0), "polled already")
	d2 := net.Device(1, 1)
	assert.ErrorContains(t, p.AddRx(d2.Handle(), 0, 0), "on the poll list already")
	require.NoError(t, p.SetTx(5, d.Handle(), 0, true))
	assert.ErrorContains(t, q.SetTx(5, d.Handle(), 0, false), "both must say shared")
	require.NoError(t, q.SetTx(5, d.Handle(), 0, true))
	assert.ErrorContains(t, p.SetTx(5, d.Handle(), 7, true), "no number 7")
	assert.ErrorContains(t, d.Close(), "still has one of its queues")
	p.Close()
	q.Close()
	require.NoError(t, d.Close())
	assert.ErrorContains(t, d.Close(), "closed already")
}

// worker is a run-to-completion loop as dataplane has one, in its smallest form.
func worker(p *memport.Poller, stop <-chan struct{}, done *sync.WaitGroup) {
	defer done.Done()
	for {
		step(p)
		select {
		case <-stop:
			io := p.IO()
			p.Poll()
			io.NumTx, io.NumTxRuns = 0, 0
			copy(io.Free[:], io.Rx[:io.NumRx])
			io.NumFree = io.NumRx
			p.Close()
			return
		default:
		}
		if p.IO().NumRx == 0 {
			p.Wait(time.Hour)
		}
	}
}

func TestWorkersThousandPortsWaits(t *testing.T) {
	a, net := newNet(t, 4096, 128)
	sink := net.Device(1, 2)
	var done sync.WaitGroup
	stop := make(chan struct{})
	var pollers [2]*memport.Poller
	for i := range pollers {
		pollers[i] = net.Poller()
		require.NoError(t, pollers[i].SetTx(0, sink.Handle(), uint16(i), false))
	}
	devs := make([]*memport.Device, 1000)
	for i := range devs {
		devs[i] = net.Device(1, 1)
		require.NoError(t, pollers[i%2].AddRx(devs[i].Handle(), 0, uint32(i)))
	}
	for _, p := range pollers {
		done.Add(1)
		go worker(p, stop, &done)
	}
	for i, d := range devs {
		d.Inject(0, frame(40, byte(i)))
	}
	got, err := sink.WaitSent(len(devs), timeout)
	require.NoError(t, err)
	assert.Len(t, got, len(devs))
	require.NoError(t, net.WaitIdle(timeout))
	assert.Empty(t, sink.Sent())
	_, err = sink.WaitSent(1, time.Millisecond)
	assert.ErrorContains(t, err, "sent 0 frames")
	close(stop)
	for _, p := range pollers {
		p.Wake()
	}
	done.Wait()
	assert.Equal(t, a.Size(), a.Free(), a.Report())
}

func TestWaitIdleSeesWaitingFrames(t *testing.T) {
	_, net := newNet(t, 64, 64)
	d := net.Device(1, 1)
	d.SetWakeup(false)
	p := net.Poller()
	require.NoError(t, p.AddRx(d.Handle(), 0, 0))
	d.Inject(0, frame(20, 0))
	p.Wait(time.Microsecond)
	assert.ErrorContains(t, net.WaitIdle(time.Millisecond), "1 frames wait in device 1")
	assert.Equal(t, 1, d.Waiting())
	d.SetWakeup(true)
	p.Wait(time.Hour)
}

func TestSourceSinkAndCable(t *testing.T) {
	a, net := newNet(t, 1024, 128)
	src, mid, end := net.Device(1, 1), net.Device(2, 3), net.Device(1, 1)
	memport.Connect(mid, end)
	p, q := net.Poller(), net.Poller()
	require.NoError(t, p.AddRx(src.Handle(), 0, 0))
	require.NoError(t, p.SetTx(0, mid.Handle(), 2, false))
	require.NoError(t, q.AddRx(end.Handle(), 0, 0))
	far := net.Device(1, 1)
	require.NoError(t, q.SetTx(0, far.Handle(), 0, false))
	var next, seen uint64
	far.SetSink(func(_ uint16, pkt *packet.Packet) {
		assert.Equal(t, seen, binary.BigEndian.Uint64(pkt.Data()))
		seen++
	})
	src.SetSource(0, func(pkt *packet.Packet) bool {
		if next == 1000 || !pkt.Append(60) {
			return false
		}
		binary.BigEndian.PutUint64(pkt.Data(), next)
		next++
		return true
	})
	for seen < 1000 {
		step(p)
		step(q)
	}
	assert.EqualValues(t, 1000, end.Stats().RxPackets)
	assert.EqualValues(t, 60000, far.Stats().TxBytes)
	p.Close()
	q.Close()
	assert.Equal(t, a.Size(), a.Free(), a.Report())
}

func TestClock(t *testing.T) {
	_, net := newNet(t, 256, 64)
	p := net.Poller()
	p.Poll()
	before := p.IO().TSC
	assert.NotZero(t, before)
	p.Poll()
	assert.GreaterOrEqual(t, p.IO().TSC, before)
	assert.GreaterOrEqual(t, p.Cycles(), p.IO().TSC)
	net.SetTSC(1 << 60)
	net.AdvanceTSC(time.Second)
	p.Poll()
	assert.EqualValues(t, 1<<60+memport.TSCHz, p.IO().TSC)
	assert.Equal(t, p.IO().TSC, p.Cycles())
	p.Wait(time.Hour) // AdvanceTSC has woken it
	assert.Panics(t, func() { net.SetTSC(5) })
}

func TestPollAllocatesNothing(t *testing.T) {
	_, net := newNet(t, 1024, 64)
	d, out := net.Device(1, 1), net.Device(1, 1)
	out.SetSink(memport.Discard)
	p := net.Poller()
	require.NoError(t, p.AddRx(d.Handle(), 0, 0))
	require.NoError(t, p.SetTx(0, out.Handle(), 0, false))
	d.SetSource(0, func(pkt *packet.Packet) bool { return pkt.Append(60) })
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		step(p)
		p.Wait(time.Hour)
	}))
	d.SetSource(0, nil)
	step(p)
	assert.Zero(t, testing.AllocsPerRun(10, func() { p.Wait(time.Microsecond) }))
}

func TestSparesAreFresh(t *testing.T) {
	a, net := newNet(t, 100, 64)
	p := net.Poller()
	p.Poll()
	io := p.IO()
	assert.EqualValues(t, 100, io.NumSpares, "as far as the arena allows")
	assert.Equal(t, 0, a.Free())
	for _, s := range io.Spares[:io.NumSpares] {
		assert.Equal(t, packet.Headroom, s.Headroom())
		assert.True(t, s.Writable())
	}
	p.Close()
	assert.Equal(t, 100, a.Free())
}

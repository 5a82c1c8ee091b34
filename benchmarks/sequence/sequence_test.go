package sequence

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
)

// bench is a Net under a worker that the test itself plays: everything that port "a" receives goes to port "b".
type bench struct {
	t     *testing.T
	net   *Net
	arena *memport.Arena
	p     *Poller
	io    *packet.IO
	other *memport.Device
}

// Outputs and references of the bench.
const (
	toA, toB, toOther    = 3, 4, 5
	fromA, fromB, fromOt = 0, 1, 2
)

// burst is what one queue gives in a turn.
const burst = min(packet.RxBurst, DefaultBurst)

var hop = packet.Addr{}

func newBench(t *testing.T, streams int) *bench {
	b := &bench{t: t, arena: memport.NewArena(2048, 2048)}
	hop = packet.AddrFrom4(0xac100102)
	c := Config{TSCHz: memport.TSCHz, Ports: []Port{
		{Name: "a", RxQueues: 1, TxQueues: 1},
		{Name: "b", RxQueues: 1, TxQueues: 1, Hops: map[packet.Addr]packet.MAC{hop: {2, 0, 0, 0, 0, 9}}},
	}}
	for i := range streams {
		frame := make([]byte, 64+i%7*200)
		frame[20] = byte(i)
		want := append([]byte(nil), frame...)
		want[0] = 0xee // the worker that the test plays writes this
		c.Streams = append(c.Streams, Stream{Name: fmt.Sprintf("s%d", i), In: "a", Out: "b", Frame: frame, Want: want, FreeByte: 30})
	}
	var err error
	b.net, err = New(c)
	require.NoError(t, err)
	mem := memport.New(b.arena)
	b.other = mem.Device(1, 1)
	b.p = b.net.Poller(mem.Poller())
	require.NoError(t, b.p.Start())
	b.io = b.p.IO()
	b.io.RxBudget = packet.MaxRx
	for i, name := range []string{"a", "b"} {
		handle, ok := b.net.Handle(name)
		require.True(t, ok)
		require.NoError(t, b.p.AddRx(handle, 0, uint32(i)))
		require.NoError(t, b.p.SetTx(toA+uint32(i), handle, 0, false))
	}
	require.NoError(t, b.p.AddRx(b.other.Handle(), 0, fromOt))
	require.NoError(t, b.p.SetTx(toOther, b.other.Handle(), 0, false))
	t.Cleanup(func() {
		b.p.Close()
		require.NoError(t, b.other.Close())
		assert.Equal(t, b.arena.Size(), b.arena.Free(), "packets lost: %s", b.arena.Report())
	})
	return b
}

// forward is one turn of the worker; spoil may change what it sends.
func (b *bench) forward(spoil func(out []*packet.Packet) []*packet.Packet) {
	io := b.io
	b.p.Poll()
	io.NumTx, io.NumTxRuns = 0, 0
	var out, others []*packet.Packet
	for _, run := range io.RxRuns[:io.NumRxRuns] {
		for _, p := range io.Rx[run.First : run.First+run.Count] {
			switch run.Ref {
			case fromA:
				p.Data()[0] = 0xee
				p.Data()[30] = p.Data()[20] // the byte that is the switch's choice
				out = append(out, p)
			case fromOt:
				others = append(others, p)
			default:
				b.free(p)
			}
		}
	}
	if spoil != nil {
		out = spoil(out)
	}
	half := len(out) / 2 // real and sequence ports by turns
	b.send(toB, out[:half])
	b.send(toOther, others)
	b.send(toB, out[half:])
}

func (b *bench) free(p *packet.Packet) {
	b.io.Free[b.io.NumFree] = p
	b.io.NumFree++
}

func (b *bench) send(out uint32, pkts []*packet.Packet) {
	io := b.io
	if len(pkts) == 0 {
		return
	}
	io.TxRuns[io.NumTxRuns] = packet.TxRun{Out: out, First: uint16(io.NumTx), Count: uint16(len(pkts))}
	io.NumTxRuns++
	io.NumTx += uint32(copy(io.Tx[io.NumTx:], pkts))
}

// run starts at full rate.
func (b *bench) run() {
	b.net.round.Add(1)
	b.net.phase.Store(uint32(running))
}

func (b *bench) totals() Totals {
	b.net.phase.Store(uint32(drained))
	b.forward(nil)
	b.forward(nil)
	t := b.net.Totals()
	t.LongestTurn = 0
	return t
}

func TestNothingIsWrong(t *testing.T) {
	b := newBench(t, 20)
	b.run()
	for i := range 1000 {
		b.other.Inject(0, make([]byte, 100))
		b.forward(nil)
		require.Equal(t, min(i, 1000), b.other.SentCount(), "real ports have their packets sent")
	}
	got := b.totals()
	assert.True(t, got.OK(), "%s", &got)
	assert.EqualValues(t, 1000*burst, got.Made, "one queue, a burst a turn")
	assert.Len(t, b.other.Sent(), 1000)
	list, more := b.net.Incidents()
	assert.Empty(t, list)
	assert.Zero(t, more)
}

func TestFaultsAreFound(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(b *bench, out []*packet.Packet) []*packet.Packet
		want  func(t *Totals) uint64
		count uint64
		what  string
	}{
		"lost": {func(b *bench, out []*packet.Packet) []*packet.Packet {
			b.free(out[3])
			return append(out[:3], out[4:]...)
		},
			func(t *Totals) uint64 { return uint64(t.Lost) }, 1, "gap"},
		"reordered": {func(_ *bench, out []*packet.Packet) []*packet.Packet { out[2], out[3] = out[3], out[2]; return out },
			func(t *Totals) uint64 { return t.Reordered }, 1, "reordered"},
		"header": {func(_ *bench, out []*packet.Packet) []*packet.Packet { out[5].Data()[7] = 1; return out },
			func(t *Totals) uint64 { return t.Corrupted }, 1, "corrupted"},
		"payload": {func(_ *bench, out []*packet.Packet) []*packet.Packet { out[5].Data()[40] ^= 1; return out },
			func(t *Totals) uint64 { return t.Corrupted }, 1, "corrupted"},
		"cut": {func(_ *bench, out []*packet.Packet) []*packet.Packet { out[5].TrimFront(1); return out },
			func(t *Totals) uint64 { return t.Corrupted }, 1, "corrupted"},
		"another choice": {func(_ *bench, out []*packet.Packet) []*packet.Packet { out[5].Data()[30]++; return out },
			func(t *Totals) uint64 { return t.Corrupted }, 1, "corrupted"},
		"number": {func(_ *bench, out []*packet.Packet) []*packet.Packet {
			d := out[5].Data()
			d[len(d)-1] ^= 1
			return out
		},
			func(t *Totals) uint64 { return t.Foreign }, 1, "foreign"},
		"port": {func(b *bench, out []*packet.Packet) []*packet.Packet { b.send(toA, out[:1]); return out[1:] },
			func(t *Totals) uint64 { return t.Misrouted }, 1, "misrouted"},
		"twice": {func(b *bench, out []*packet.Packet) []*packet.Packet {
			b.io.NumSpares--
			c := b.io.Spares[b.io.NumSpares]
			c.Reset(packet.Headroom)
			require.True(b.t, c.Append(len(out[4].Data())))
			copy(c.Data(), out[4].Data())
			return append(out, c)
		}, func(t *Totals) uint64 { return t.Duplicated }, 1, "duplicated"},
		"all": {func(b *bench, out []*packet.Packet) []*packet.Packet {
			for _, p := range out {
				b.free(p)
			}
			return nil
		}, func(t *Totals) uint64 { return uint64(t.Lost) }, burst, "gap"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1)
			b.run()
			b.forward(nil) // nothing received yet is being sent
			b.forward(nil)
			b.forward(func(out []*packet.Packet) []*packet.Packet { return tc.spoil(b, out) })
			for range 3 {
				b.forward(nil)
			}
			got := b.totals()
			assert.False(t, got.OK(), "%s", &got)
			assert.Equal(t, tc.count, tc.want(&got), "%s", &got)
			list, _ := b.net.Incidents()
			require.NotEmpty(t, list)
			seen := map[string]bool{}
			for _, i := range list {
				seen[i.What] = true
			}
			assert.True(t, seen[tc.what], "%v", list)
		})
	}
}

func TestWhatIsLostAtTheEndCounts(t *testing.T) {
	b := newBench(t, 1)
	b.run()
	b.forward(func(out []*packet.Packet) []*packet.Packet {
		for _, p := range out {
			b.free(p)
		}
		return nil
	})
	got := b.totals()
	assert.Zero(t, got.Lost, "no later packet shows the gap")
	assert.False(t, got.OK(), "%s", &got)
}

func TestARPIsAnswered(t *testing.T) {
	b := newBench(t, 1)
	b.p.Poll()
	for _, addr := range []uint32{hop.V4(), 0xac1001fe} { // the second one is nobody's
		b.io.NumSpares--
		p := b.io.Spares[b.io.NumSpares]
		p.Reset(packet.Headroom)
		require.True(t, p.Append(60))
		clear(p.Data())
		binary.BigEndian.PutUint16(p.Data()[12:], packet.EtherTypeARP)
		packet.EncodeARP(p.Data()[14:], packet.ARPRequest, packet.MAC{2, 0, 0, 0, 0, 1}, 0xac100101, packet.MAC{}, addr)
		b.send(toB, []*packet.Packet{p})
	}
	b.p.Poll()
	require.EqualValues(t, 1, b.io.NumRxRuns)
	require.EqualValues(t, fromB, b.io.RxRuns[0].Ref)
	p := b.io.Rx[0]
	arp, ok := packet.CheckARP(p.Data()[14:])
	require.True(t, ok)
	assert.Equal(t, packet.ARPReply, arp.Op())
	assert.Equal(t, hop.V4(), arp.SenderIP())
	assert.Equal(t, packet.MAC{2, 0, 0, 0, 0, 9}, arp.SenderMAC())
	b.free(p)
	b.io.NumTx, b.io.NumTxRuns = 0, 0
	assert.Zero(t, b.net.Totals().Foreign)
}

func TestStartWaitsForEveryStream(t *testing.T) {
	b := newBench(t, 50)
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		first := true
		for {
			select {
			case <-stop:
				return
			default:
				b.forward(func(out []*packet.Packet) []*packet.Packet {
					if first && len(out) > 0 { // the first packet is lost, as when the next hop is not known yet
						first = false
						b.free(out[0])
						return out[1:]
					}
					return out
				})
			}
		}
	}()
	require.NoError(t, b.net.Start(context.Background(), 10*time.Second))
	require.Eventually(t, func() bool { return b.net.Totals().Made > 1000 }, 20*time.Second, time.Millisecond)
	b.net.Stop()
	close(stop)
	<-ended
	got := b.net.Totals()
	assert.True(t, got.OK(), "%s", &got)
	assert.Greater(t, got.Made, uint64(1000))
}

func TestStartSaysWhatDoesNotArrive(t *testing.T) {
	b := newBench(t, 5)
	err := b.net.Start(context.Background(), 20*time.Millisecond)
	require.ErrorIs(t, err, ErrNoWay)
	require.ErrorContains(t, err, "5 of 5 streams: s0 s1 s2")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, b.net.Start(ctx, time.Minute), context.Canceled)
}

func TestNoAllocations(t *testing.T) {
	b := newBench(t, 200)
	b.run()
	turn := func() { // forward without the test's own lists
		b.p.Poll()
		io := b.io
		n := io.NumRx
		for _, p := range io.Rx[:n] {
			p.Data()[0], p.Data()[30] = 0xee, p.Data()[20]
		}
		copy(io.Tx[:n], io.Rx[:n])
		io.NumTx, io.NumTxRuns = n, 1
		io.TxRuns[0] = packet.TxRun{Out: toB, Count: uint16(n)}
	}
	for range 10 {
		turn()
	}
	assert.Zero(t, testing.AllocsPerRun(100, turn))
	got := b.totals()
	assert.True(t, got.OK(), "%s", &got)
}

func TestNewRefuses(t *testing.T) {
	frame := make([]byte, 64)
	ok := Config{TSCHz: 1, Ports: []Port{{Name: "a", RxQueues: 1, TxQueues: 1}}, Streams: []Stream{{Name: "s", In: "a", Out: "a", Frame: frame, Want: frame}}}
	_, err := New(ok)
	require.NoError(t, err)
	for want, spoil := range map[string]func(c *Config){
		"clock":              func(c *Config) { c.TSCHz = 0 },
		"1 to 128":           func(c *Config) { c.Burst = MaxBurst + 1 },
		"each name once":     func(c *Config) { c.Ports = append(c.Ports, c.Ports[0]) },
		"0 streams":          func(c *Config) { c.Streams = nil },
		"two sequence ports": func(c *Config) { c.Streams[0].Out = "x" },
		"queue 1":            func(c *Config) { c.Streams[0].Queue = 1 },
		"at least 50":        func(c *Config) { c.Streams[0].Frame = frame[:40] },
		"free byte":          func(c *Config) { c.Streams[0].FreeByte = 60 },
	} {
		c := ok
		c.Streams = append([]Stream(nil), ok.Streams...)
		spoil(&c)
		_, err := New(c)
		assert.ErrorContains(t, err, want)
	}
}

// Whatever its number, a frame of a stream adds the same to a checksum.
func TestNumberIsNeutralToChecksums(t *testing.T) {
	s := stream{Stream: Stream{Frame: make([]byte, 65)}, id: 77}
	for i := range s.Frame {
		s.Frame[i] = byte(i * 7)
	}
	first := make([]byte, 65)
	s.number(first, 1)
	for range 1000 {
		data := make([]byte, 65)
		s.made += 12345
		s.number(data, 1)
		for _, at := range []int{0, 14, 15} { // even and odd
			require.Equal(t, packet.Checksum(first[at:], 0), packet.Checksum(data[at:], 0))
		}
	}
}

// All queues of a poller have their turn, also when each could fill every poll; a paced one brings what it is told to.
func TestQueuesTakeTurns(t *testing.T) {
	c := Config{TSCHz: memport.TSCHz, Ports: []Port{{Name: "a", RxQueues: 3, TxQueues: 1}, {Name: "b", RxQueues: 1, TxQueues: 1}}}
	for queue := range 3 {
		c.Streams = append(c.Streams, Stream{Name: fmt.Sprint(queue), In: "a", Queue: queue, Out: "b", Frame: make([]byte, 64), Want: make([]byte, 64)})
	}
	n, err := New(c)
	require.NoError(t, err)
	arena := memport.NewArena(4096, 2048)
	p := n.Poller(memport.New(arena).Poller())
	require.NoError(t, p.Start())
	defer p.Close()
	handle, _ := n.Handle("a")
	for queue := range 3 {
		require.NoError(t, p.AddRx(handle, uint16(queue), uint32(queue)))
	}
	n.phase.Store(uint32(running))
	poll := func() {
		p.IO().RxBudget = packet.MaxRx
		p.Poll()
		for _, pkt := range p.IO().Rx[:p.IO().NumRx] {
			p.free(pkt)
		}
		p.IO().NumTx, p.IO().NumTxRuns = 0, 0
	}
	for range 30 {
		poll()
	}
	for queue := range 3 {
		made, missed := n.Brought("a", queue)
		assert.NotZero(t, made, "queue %d", queue)
		assert.Zero(t, missed)
	}
	require.Error(t, n.Pace("a", 3, 1))
	require.NoError(t, n.Pace("a", 1, 0))
	before, _ := n.Brought("a", 1)
	for range 30 {
		poll()
	}
	after, _ := n.Brought("a", 1)
	assert.Equal(t, before, after, "a rate of nothing")

	var ring pace // 1 packet in 10 cycles
	require.NoError(t, n.Pace("a", 2, memport.TSCHz/10))
	ring.rate.Store(n.byName["a"].paces[2].rate.Load())
	assert.Zero(t, ring.due(1000, 64))
	assert.Equal(t, uint32(10), ring.due(1100, 64))
	ring.fetched(10)
	assert.Equal(t, uint32(64), ring.due(1100+10*(RingSize+7), 64))
	assert.EqualValues(t, 7, ring.missed.Load(), "what the ring has no room for")
}

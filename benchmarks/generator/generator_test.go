package generator

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
)

// lab is a generator with a device of memory for every port of its plan, each cabled to one of the device under test.
//
//	generator ── gen[port] ═══ dut[port] ── device under test
type lab struct {
	t     *testing.T
	plan  *traffic.Plan
	arena *memport.Arena
	net   *memport.Net
	spec  Spec
	gen   map[string]*memport.Device
	dut   map[string]*memport.Device
}

func newLab(t *testing.T, name string, change func(*profile.Profile)) *lab {
	p, err := profile.Load(name)
	require.NoError(t, err)
	change(p)
	l := &lab{t: t, plan: traffic.New(*p), arena: memport.NewArena(8192, 2048), gen: map[string]*memport.Device{}, dut: map[string]*memport.Device{}}
	l.net = memport.New(l.arena)
	l.spec = Spec{Plan: l.plan, Poller: l.net.Poller(), Core: -1, TSCHz: memport.TSCHz}
	for _, port := range l.plan.Ports() {
		l.gen[port], l.dut[port] = l.net.Device(1, 1), l.net.Device(1, 1)
		memport.Connect(l.gen[port], l.dut[port])
		l.spec.Devices = append(l.spec.Devices, Device{Name: port, Handle: l.gen[port].Handle(), Receive: true, Sources: []string{port}, Sinks: []string{port}})
	}
	return l
}

// forward runs a device under test that sends what comes in by sources out by to. fault may change a burst: it returns
// what to do with frame i, counted from 0.
func (l *lab) forward(to string, fault func(i int, p *packet.Packet) fate) (stop func()) {
	poller := l.net.Poller()
	for i, port := range l.plan.Ports() {
		require.NoError(l.t, poller.AddRx(l.dut[port].Handle(), 0, uint32(i)))
		require.NoError(l.t, poller.SetTx(uint32(i), l.dut[port].Handle(), 0, false))
	}
	var ended atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer poller.Close()
		f := forwarder{io: poller.IO(), out: l.plan.Index(to), fault: fault}
		for !ended.Load() {
			f.io.RxBudget = packet.MaxRx / 2 // room for copies
			poller.Poll()
			f.turn()
			if f.io.NumRx == 0 {
				poller.Wait(100 * time.Microsecond)
			}
		}
		f.io.RxBudget = 0
		f.io.NumTx, f.io.NumTxRuns = 0, 0
		poller.Poll()
	}()
	stop = func() { ended.Store(true); poller.Wake(); <-done }
	l.t.Cleanup(stop)
	return stop
}

type fate int

const (
	pass fate = iota
	drop
	twice
	behind // the next frame
)

type forwarder struct {
	io    *packet.IO
	out   uint32
	fault func(int, *packet.Packet) fate
	n     int
	held  *packet.Packet
}

func (f *forwarder) turn() {
	io := f.io
	io.NumTx, io.NumTxRuns = 0, 0
	for _, p := range io.Rx[:io.NumRx] {
		i := f.n
		f.n++
		switch f.fault(i, p) {
		case drop:
			io.Free[io.NumFree] = p
			io.NumFree++
			continue
		case twice:
			io.NumSpares--
			q := io.Spares[io.NumSpares]
			q.Append(len(p.Data()))
			copy(q.Data(), p.Data())
			f.send(q)
		case behind:
			f.held = p
			continue
		case pass:
		}
		f.send(p)
		if f.held != nil {
			f.send(f.held)
			f.held = nil
		}
	}
}

func (f *forwarder) send(p *packet.Packet) {
	io := f.io
	if io.NumTxRuns == 0 {
		io.TxRuns[0] = packet.TxRun{Out: f.out}
		io.NumTxRuns = 1
	}
	io.Tx[io.NumTx] = p
	io.NumTx++
	io.TxRuns[0].Count++
}

func (l *lab) start() *Generator {
	g, err := Start(l.spec)
	require.NoError(l.t, err)
	l.t.Cleanup(g.Close)
	return g
}

const patience = 20 * time.Second

func short(p *profile.Profile) { p.Flows = min(p.Flows, 64) }

// trial sends about 2,000 frames, slowly enough for any machine.
func (g *Generator) trial(t *testing.T) Result {
	return g.enough(t, Trial{PPS: 20_000, Length: 100 * time.Millisecond, Settle: patience}, 2001)
}

// enough repeats a trial that asks for at most so many frames until a fifth of them were sent.
func (g *Generator) enough(t *testing.T, trial Trial, most uint64) Result {
	res := g.until(t, trial, func(r *Result) bool { return r.Sent >= most/5 })
	assert.LessOrEqual(t, res.Sent+res.Skipped, most)
	return res
}

// until repeats a trial: a busy machine may keep the generator from its core for most of its length.
func (g *Generator) until(t *testing.T, trial Trial, ok func(*Result) bool) Result {
	for deadline := time.Now().Add(patience); ; {
		res, err := g.Run(t.Context(), trial, nil)
		require.NoError(t, err)
		if ok(&res) {
			return res
		}
		require.True(t, time.Now().Before(deadline), "%+v", res)
	}
}

func TestEveryFrameArrives(t *testing.T) {
	for _, name := range []string{"nvgre-encap", "nvgre-decap", "nvgre-imix", "newflow-flood", "udp-1400b", "l2-64b", "soak"} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, name, short)
			l.forward(l.plan.Flow(0).Sink, func(int, *packet.Packet) fate { return pass })
			l.spec.Devices[0].Receive = true
			g := l.start()
			for range 2 {
				res := g.trial(t)
				assert.Equal(t, res.Sent, res.Received)
				assert.Zero(t, res.Lost+res.Reordered+res.Duplicates+res.Damaged+res.Late, "%+v", res)
				assert.EqualValues(t, res.Sent, res.Latency.Frames)
				assert.Positive(t, res.Latency.P50Ns)
				assert.GreaterOrEqual(t, res.Latency.MaxNs, res.Latency.P999Ns)
				assert.Equal(t, res.SentBytes, res.ReceivedSize)
				if s := l.plan.Profile.NewFlowShare; s > 0 {
					assert.InDelta(t, s*float64(res.Sent), res.NewSent, 2+float64(maxBatch))
					assert.Equal(t, res.NewSent, res.NewReceived)
				}
			}
		})
	}
}

// Several tenants and VMs, each with a device: what a VM sends leaves by its own, in bursts of the profile's length.
func TestManyPorts(t *testing.T) {
	l := newLab(t, "nvgre-encap", func(p *profile.Profile) {
		p.Tenants, p.VMs, p.Peers, p.Flows, p.Burst = 2, 3, 4, 100, 4
	})
	l.realSwitch()
	g := l.start()
	var res Result
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		var err error
		res, err = g.Run(t.Context(), Trial{PPS: 20_000, Length: 50 * time.Millisecond, Settle: 200 * time.Millisecond}, nil)
		require.NoError(t, err)
		if res.Lost == 0 && res.Received > 0 {
			break
		}
	}
	assert.Zero(t, res.Lost+res.Reordered+res.Duplicates+res.Astray, "anti-spoofing lets only a VM's own frames through: %+v", res)
	assert.Positive(t, res.Received)
	for _, port := range l.plan.Sources {
		assert.Positive(t, l.gen[port].Stats().TxPackets, port)
	}
}

func TestFaultsAreTold(t *testing.T) {
	every := func(n int, what fate) func(int, *packet.Packet) fate {
		return func(i int, _ *packet.Packet) fate {
			if i%n != 0 {
				return pass
			}
			return what
		}
	}
	for name, c := range map[string]struct {
		fault func(int, *packet.Packet) fate
		check func(*testing.T, Result)
	}{
		"lost": {every(10, drop), func(t *testing.T, r Result) {
			assert.InDelta(t, float64(r.Sent)/10, r.Lost, 2)
			assert.InDelta(t, 0.1, r.LossRatio, 2/float64(r.Sent))
		}},
		"twice": {every(4, twice), func(t *testing.T, r Result) {
			assert.InDelta(t, float64(r.Sent)/4, r.Duplicates, 2)
			assert.Zero(t, r.Lost)
			assert.Equal(t, r.Sent, r.Received)
		}},
		"reordered": {every(5, behind), func(t *testing.T, r Result) {
			assert.InDelta(t, float64(r.Sent)/5, r.Reordered, 2)
			assert.LessOrEqual(t, r.Lost, uint64(1), "the last frame may be waiting for one more")
		}},
		"damaged": {func(i int, p *packet.Packet) fate {
			if i%20 == 0 {
				p.Data()[58] ^= 4
			}
			return pass
		}, func(t *testing.T, r Result) {
			assert.InDelta(t, float64(r.Sent)/20, r.Damaged, 2)
			assert.Equal(t, r.Damaged, r.Lost)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, "nvgre-encap", func(p *profile.Profile) { p.Flows, p.Peers = 1, 1 })
			l.forward(traffic.Uplink, c.fault)
			g := l.start()
			c.check(t, g.enough(t, Trial{PPS: 20_000, Length: 100 * time.Millisecond, Settle: time.Second}, 2001))
		})
	}
}

func TestAstray(t *testing.T) {
	l := newLab(t, "l2-64b", func(p *profile.Profile) { p.Flows, p.Peers = 60, 3 })
	all := l.plan.Ports()
	l.forward(all[len(all)-1], func(int, *packet.Packet) fate { return pass })
	res := l.start().trial(t)
	assert.Positive(t, res.Astray, "flows are for several ports, and all came to one")
	assert.Less(t, res.Astray, res.Received)
}

// The switch itself is the device under test: frames come out of NVGRE, go into it, are rewritten, or stay. It asks for
// its next hop, and the generator for the switch's MAC.
func TestThroughTheSwitch(t *testing.T) {
	for _, name := range []string{"nvgre-encap", "nvgre-decap", "nvgre-imix", "iprewrite", "l2-subnet", "l2-macs"} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, name, short)
			l.realSwitch()
			g := l.start()
			assert.Empty(t, g.Notes())
			var res Result
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); { // until next hops, flows and stations are known
				var err error
				res, err = g.Run(t.Context(), Trial{PPS: 10_000, Length: 50 * time.Millisecond, Settle: 200 * time.Millisecond}, nil)
				require.NoError(t, err)
				if res.Lost+res.Duplicates == 0 && res.Sent > 0 {
					break
				}
			}
			assert.Zero(t, res.Lost+res.Reordered+res.Duplicates+res.Damaged+res.Astray, "%+v", res)
			assert.Positive(t, res.Sent)
			assert.Equal(t, res.Sent, res.Received)
		})
	}
}

func (l *lab) realSwitch() {
	sw, err := dataplane.New(dataplane.Config{TSCHz: memport.TSCHz, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(l.t, err)
	l.t.Cleanup(sw.Close)
	snap, err := l.plan.Policy()
	require.NoError(l.t, err)
	_, err = sw.AddWorker(dataplane.WorkerSpec{Core: -1, Poller: l.net.Poller(), Idle: dataplane.Idle{MaxSleep: 100 * time.Microsecond}})
	require.NoError(l.t, err)
	for i, name := range l.plan.Ports() {
		require.NoError(l.t, sw.AddPort(dataplane.PortSpec{Index: uint32(i), Name: name, Uplink: name == traffic.Uplink,
			Device: l.dut[name].Handle(), RxQueues: 1, TxQueues: 1}))
	}
	require.NoError(l.t, sw.Publish(snap))
}

// A device without room is no loss: what it refuses is sent again, under the same numbers.
func TestRefusedFramesAreNotLost(t *testing.T) {
	l := newLab(t, "nvgre-encap", short)
	l.forward(traffic.Uplink, func(int, *packet.Packet) fate { return pass })
	l.gen["t1-vm1"].SetTxLimit(7)
	res := l.start().until(t, Trial{Length: 50 * time.Millisecond, Settle: patience}, func(r *Result) bool { return r.Refused > 0 && r.Received > 0 })
	assert.Positive(t, res.Refused)
	assert.Positive(t, res.Received)
	assert.Zero(t, res.Reordered+res.Duplicates)
}

// Where a device has room again for a later run of the same poll, no number goes out twice.
func TestNumbersOfRefusedFrames(t *testing.T) {
	w := &worker{io: &packet.IO{}, next: []uint32{3, 1}}
	w.stream[0], w.number[0] = 0, 0 // run 0: one frame of stream 0, refused
	w.stream[1], w.number[1] = 1, 0 // run 1: stream 1 by another device, refused
	w.stream[2], w.number[2] = 0, 1 // run 2: stream 0 again, of which one is sent
	w.stream[3], w.number[3] = 0, 2
	copy(w.io.TxRuns[:], []packet.TxRun{{Count: 1}, {Out: 1, First: 1, Count: 1}, {First: 2, Count: 2, Sent: 1}})
	w.io.NumTxRuns = 3
	w.account()
	assert.Equal(t, []uint32{2, 0}, w.next)
	assert.EqualValues(t, 1, w.counts.Sent)
	assert.EqualValues(t, 3, w.counts.Refused)
}

// At a rate, what the device leaves no room for is lost to a search, and no fault of the generator.
func TestBlockedFrames(t *testing.T) {
	l := newLab(t, "nvgre-encap", short)
	l.forward(traffic.Uplink, func(int, *packet.Packet) fate { return pass })
	l.gen["t1-vm1"].SetTxLimit(0)
	res := l.start().until(t, Trial{PPS: 1e6, Length: 100 * time.Millisecond, Settle: patience}, func(r *Result) bool { return r.Blocked > 0 })
	assert.Zero(t, res.Sent)
	assert.Positive(t, res.Blocked)
	o := res.Outcome()
	assert.Equal(t, res.Blocked, o.Sent)
	assert.InDelta(t, 1.0, o.LossRatio(), 0)
}

func TestShortfall(t *testing.T) {
	for want, r := range map[string]Result{
		"offered only 1.8 % of the rate: the device takes no more":                                        {AskedPPS: 1000, OfferedPPS: 18, Seconds: 1, Counts: Counts{Sent: 18, Blocked: 900, Skipped: 80}},
		"offered only 57 % of the rate: the generator is the limit":                                       {AskedPPS: 1000, OfferedPPS: 570, Seconds: 1, Stalled: 0.1, Counts: Counts{Sent: 570, Skipped: 400}},
		"offered only 50 % of the rate: for the rest of the time something else had the generator's core": {AskedPPS: 1000, OfferedPPS: 500, Seconds: 1, Stalled: 0.5, Counts: Counts{Sent: 500, Skipped: 500}},
	} {
		assert.Equal(t, want, r.Shortfall())
		r.OfferedPPS = 995
		assert.Empty(t, r.Shortfall())
		r.OfferedPPS, r.AskedPPS = 10, 0
		assert.Empty(t, r.Shortfall(), "as fast as possible")
	}
	assert.Empty(t, (&Result{AskedPPS: 1000, Partial: true}).Shortfall(), "interrupted before the first frame")
	var out strings.Builder
	(&Document{Warnings: []string{"too slow"}}).Print(&out)
	assert.True(t, strings.HasPrefix(out.String(), "WARNING: too slow\n"), out.String())
}

// A ring that nobody empties keeps no packets beyond the generator's end.
func TestFullRingIsEmptied(t *testing.T) {
	l := newLab(t, "nvgre-encap", short)
	ring := l.net.Device(1, 1)
	memport.Connect(ring, ring)
	ring.SetTxLimit(100)
	l.spec.Devices = []Device{{Name: "ring", Handle: ring.Handle(), Sources: l.plan.Sources}}
	g, err := Start(l.spec)
	require.NoError(t, err)
	res, err := g.Run(t.Context(), Trial{Length: 10 * time.Millisecond}, nil)
	require.NoError(t, err)
	assert.Positive(t, res.Sent)
	assert.Positive(t, ring.Waiting())
	g.Close()
	assert.Zero(t, ring.Waiting())
	assert.Equal(t, l.arena.Size(), l.arena.Free(), l.arena.Report())
}

func TestInterruptedTrialIsPartial(t *testing.T) {
	l := newLab(t, "nvgre-encap", short)
	l.forward(traffic.Uplink, func(int, *packet.Packet) fate { return pass })
	g := l.start()
	ctx, cancel := context.WithCancel(t.Context())
	var seen []Progress
	moved := 0 // of which something was sent in between
	res, err := g.Run(ctx, Trial{PPS: 10_000, Length: time.Hour, Settle: patience, Every: 20 * time.Millisecond}, func(p Progress) {
		seen = append(seen, p)
		if p.Counts.Sent > 0 {
			moved++
		}
		if moved == 5 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, res.Partial)
	assert.Equal(t, res.Sent, res.Received)
	sum := uint64(0)
	for _, p := range seen {
		sum += p.Counts.Sent
	}
	assert.LessOrEqual(t, sum, res.Sent, "each tells of its own time")
	assert.Positive(t, sum)
	assert.Less(t, res.Seconds, patience.Seconds())
	res = g.trial(t)
	assert.Zero(t, res.Lost, "the next trial is whole")
}

func TestNewFlowsBySecond(t *testing.T) {
	l := newLab(t, "nvgre-encap", func(p *profile.Profile) { p.Flows, p.NewFlowsPerSecond = 20, 5000 })
	tuples := map[string]int{}
	stop := l.forward(traffic.Uplink, func(_ int, p *packet.Packet) fate {
		tuples[string(p.Data()[26:38])]++
		return pass
	})
	g, err := Start(l.spec)
	require.NoError(t, err)
	fresh := uint64(0)
	g.until(t, Trial{PPS: 20_000, Length: 100 * time.Millisecond, Settle: patience}, func(r *Result) bool {
		assert.Equal(t, r.NewSent, r.NewReceived)
		assert.Zero(t, r.Lost)
		fresh += r.NewSent
		return r.Sent > 200 && fresh > 20
	})
	g.Close()
	stop()
	assert.Len(t, tuples, 20+int(fresh), "no new flow comes twice")
}

func TestBadTrialsAndSpecs(t *testing.T) {
	l := newLab(t, "nvgre-encap", short)
	g := l.start()
	for _, trial := range []Trial{{}, {Length: -1}, {PPS: -1, Length: 1}} {
		_, err := g.Run(t.Context(), trial, nil)
		require.ErrorIs(t, err, errTrial)
	}
	l = newLab(t, "nvgre-encap", short)
	for i := range l.spec.Devices {
		l.spec.Devices[i].Sources = nil
	}
	_, err := Start(l.spec)
	require.ErrorContains(t, err, "port t1-vm1 has no device to send by")
	l = newLab(t, "nvgre-encap", short)
	l.spec.Devices[0].Handle = 99
	_, err = Start(l.spec)
	require.Error(t, err)
}

// A switch that keeps silent is told by a note, and gets the frames nevertheless.
func TestSilentSwitch(t *testing.T) {
	l := newLab(t, "nvgre-decap", short)
	l.forward("t1-vm1", func(int, *packet.Packet) fate { return drop })
	for i := range l.spec.Devices {
		l.spec.Devices[i].Receive = false
	}
	g := l.start()
	require.Len(t, g.Notes(), 1)
	assert.Contains(t, g.Notes()[0], "nobody answered ARP for 172.16.1.1")
	assert.False(t, g.Receives())
	res := g.trial(t)
	assert.Zero(t, res.Lost, "nobody looks")
}

func TestSendingAllocatesNothing(t *testing.T) {
	l := newLab(t, "nvgre-imix", func(p *profile.Profile) { p.NewFlowShare = 0.25 })
	for _, d := range l.gen {
		d.SetSink(memport.Discard)
	}
	tmpl, err := newTemplates(l.plan, map[string]uint16{"t1-vm1": 1}, nil)
	require.NoError(t, err)
	w := newWorker(&Generator{Spec: l.spec}, tmpl)
	require.NoError(t, w.enter())
	w.begin(trial{mark: markOfOurs << 8})
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		w.build(maxBatch)
		w.poller.Poll()
		w.account()
		w.receive(w.io.TSC)
	}))
	w.leave()
	w.poller.Close()
}

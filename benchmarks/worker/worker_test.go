package worker

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
)

// bench is a spec on memory ports: sources replay the plan's frames without end.
func bench(t *testing.T, plan *traffic.Plan) Spec { return benchBeside(t, plan, 0) }

// benchBeside has further workers.
func benchBeside(t *testing.T, plan *traffic.Plan, more int) Spec {
	arena := memport.NewArena(4096, 2048)
	net := memport.New(arena)
	start := time.Now()
	spec := Spec{Plan: plan, Poller: net.Poller(), Devices: map[string]uint32{}, Core: -1, TSCHz: memport.TSCHz,
		Clock: func() uint64 { return uint64(time.Since(start)) }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Warmup: time.Millisecond, Windows: 3, Window: 5 * time.Millisecond}
	for range more {
		spec.Beside = append(spec.Beside, Second{Poller: net.Poller(), Core: -1})
	}
	for _, name := range plan.Ports() {
		d := net.Device(1+more, 1+more)
		d.SetSink(memport.Discard)
		spec.Devices[name] = d.Handle()
		if frames := framesOf(t, plan, name); len(frames) > 0 {
			next := 0
			d.SetSource(0, func(p *packet.Packet) bool {
				f := frames[next%len(frames)]
				next++
				return p.Append(len(f)) && copy(p.Data(), f) == len(f)
			})
		}
	}
	t.Cleanup(func() {
		assert.Equal(t, arena.Size(), arena.Free(), "packets lost: %s", arena.Report())
	})
	return spec
}

func framesOf(t *testing.T, plan *traffic.Plan, port string) (frames [][]byte) {
	for i := range plan.Profile.Flows {
		if f := plan.Flow(i); f.Source == port {
			frame, err := plan.Frame(f)
			require.NoError(t, err)
			frames = append(frames, frame)
		}
	}
	return frames
}

func plan(t *testing.T, name string, change func(*profile.Profile)) *traffic.Plan {
	p, err := profile.Load(name)
	require.NoError(t, err)
	change(p)
	return traffic.New(*p)
}

func TestEveryProfileIsForwarded(t *testing.T) {
	for _, name := range profile.Names() {
		for shape, change := range map[string]func(*profile.Profile){
			"as it is": func(p *profile.Profile) { p.Flows = min(p.Flows, 256) },
			"wide":     func(p *profile.Profile) { p.Tenants, p.VMs, p.Peers, p.Flows = 2, 3, 4, 200 },
		} {
			t.Run(name+", "+shape, func(t *testing.T) {
				spec := bench(t, plan(t, name, change))
				spec.Churn = 1 << 20
				sample, err := Run(context.Background(), spec)
				require.NoError(t, err)
				assert.Equal(t, Name, sample.Contender)
				assert.Len(t, sample.Windows, 3)
				assert.Greater(t, sample.CyclesPerPacket, 0.0)
				assert.GreaterOrEqual(t, sample.CyclesPerPacket, sample.BestCycles)
				flows, announced := float64(spec.Plan.Profile.Flows), float64(len(spec.Plan.Stations()))
				assert.InDelta(t, flows+announced/2, sample.Detail["flows"], flows/5+2*announced)
				assert.Less(t, sample.Detail["missShare"], 0.2, "flows are known, but for those that find no room")
				assert.Greater(t, sample.Detail["packetsPerTurn"], 1.0)
				assert.Positive(t, sample.Jitter.Turns)
			})
		}
	}
}

func TestRunFails(t *testing.T) {
	asIs := func(*profile.Profile) {}
	for name, tc := range map[string]struct {
		spoil func(*Spec)
		want  string
	}{
		"no device":   {func(s *Spec) { delete(s.Devices, "t1-vm1") }, "port t1-vm1: no device"},
		"no clock":    {func(s *Spec) { s.TSCHz = 0 }, "time stamp counter"},
		"bad profile": {func(s *Spec) { s.Plan.Tenants[0].VSID = 1 }, "vsid"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := bench(t, plan(t, "nvgre-encap", asIs))
			tc.spoil(&spec)
			_, err := Run(context.Background(), spec)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestRunKeepsWhatIsComplete(t *testing.T) {
	spec := bench(t, plan(t, "nvgre-encap", func(*profile.Profile) {}))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	spec.Windows = 1 << 20
	time.AfterFunc(2*time.Second, cancel)
	sample, err := Run(ctx, spec)
	require.ErrorIs(t, err, context.Canceled)
	require.NotEmpty(t, sample.Windows)
	require.Greater(t, sample.MPPS, 0.0)
}

func TestDropsAreNoResult(t *testing.T) {
	r := run{Spec: Spec{Plan: plan(t, "nvgre-encap", func(*profile.Profile) {})}}
	require.NoError(t, r.check(totals{}, totals{received: 2, sent: 2, outPackets: 2, outBytes: 2 * 106}))
	err := r.check(totals{}, totals{received: 2, sent: 2, outPackets: 2, outBytes: 2 * 64})
	require.ErrorContains(t, err, "they should have had 106 bytes each")
}

func TestFabricConfirmsBeforeTheSwitchAsks(t *testing.T) {
	spec := bench(t, plan(t, "nvgre-encap", func(*profile.Profile) {}))
	f := newFabric(spec.Poller, spec.Plan, spec.Devices[traffic.Uplink], spec.TSCHz)
	require.NoError(t, f.Start())
	require.NoError(t, f.AddRx(spec.Devices[traffic.Uplink], 0, 7))
	f.watching.Store(false)
	answers := 0
	f.io.RxBudget = packet.MaxRx
	for range 3 {
		f.next = 0 // due
		f.Poll()
		for _, run := range f.io.RxRuns[:f.io.NumRxRuns] {
			require.EqualValues(t, 7, run.Ref)
			p := f.io.Rx[run.First]
			arp, ok := packet.CheckARP(p.Data()[14:])
			require.True(t, ok)
			require.EqualValues(t, packet.ARPReply, arp.Op())
			require.Equal(t, traffic.FarHostMAC, arp.SenderMAC())
			require.Equal(t, packet.AddrFromNetip(traffic.FarPA).V4(), arp.SenderIP())
			f.io.Free[f.io.NumFree] = p
			f.io.NumFree++
			answers++
		}
	}
	require.Equal(t, 3, answers)
	f.next = 0
	f.io.RxBudget = 0
	f.Poll()
	require.Zero(t, f.io.NumRx, "a poll that only sends receives no answer")
	f.Close()
}

func TestSecondWorkerTakesItsShare(t *testing.T) {
	spec := benchBeside(t, plan(t, "nvgre-encap", func(p *profile.Profile) { p.VMs, p.Flows = 2, 64 }), 1)
	sample, err := Run(context.Background(), spec)
	require.NoError(t, err)
	assert.Len(t, sample.Windows, 3)
	assert.InDelta(t, 64, sample.Detail["flows"], 8)

	broken := benchBeside(t, plan(t, "nvgre-encap", func(p *profile.Profile) { p.VMs, p.Flows = 2, 64 }), 1)
	broken.Beside[0].Core = 1 << 9
	_, err = Run(context.Background(), broken)
	require.ErrorContains(t, err, "pin worker 1 to core 512")
}

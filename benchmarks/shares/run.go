// Package shares shows that the switch keeps the shares of an uplink, or of a VM's inbound limit. It runs a profile of
// streams through a real worker, flow table, classification and scheduler, with a clock of its own: time goes on with each
// poll, so that what the machine does besides changes nothing. What arrives is compared with an ideal fluid.
package shares

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// Errors of a run.
var (
	ErrNoWay = errors.New("a stream does not arrive")
	ErrSlow  = errors.New("the streams offer more than a worker takes in")
)

// Spec says what to run.
type Spec struct {
	Profile  *profile.Shares
	Core     int // -1: any
	Log      *slog.Logger
	Progress func(variant string) // before each; may be nil
}

// Run runs all variants of a profile. When it is interrupted it gives what there is, marked as partial, with the error.
func Run(ctx context.Context, s Spec) (*Result, error) {
	r := &Result{Profile: s.Profile.Name, Description: s.Profile.Description, Link: s.Profile.Link.String(), LinkBytesPerSec: s.Profile.Link.BPS / 8, Planned: s.Profile.Duration, WindowNs: windowNs}
	for i := range s.Profile.Variants {
		v := &s.Profile.Variants[i]
		if s.Progress != nil {
			s.Progress(v.Name)
		}
		one, err := runVariant(ctx, &s, v)
		if one != nil {
			r.Variants = append(r.Variants, *one)
		}
		if err != nil {
			r.Partial = fmt.Sprintf("variant %s: %v", v.Name, err)
			if errors.Is(err, context.Canceled) {
				r.Partial = fmt.Sprintf("interrupted in variant %s, %d of %d", v.Name, i+1, len(s.Profile.Variants))
			}
			return r, err
		}
	}
	return r, nil
}

// bench is one run.
type bench struct {
	*Spec
	variant *profile.Variant
	streams []profile.Stream
	snap    *policy.Snapshot
	conf    *policy.SchedulerQoS // of the output
	queues  []place              // that take part
	ports   policy.PortTable
	poller  *poller
	sw      *dataplane.Switch
}

// place is the queue that a source's packets wait in.
type place struct {
	leaf  uint32
	class uint8
}

func runVariant(ctx context.Context, s *Spec, v *profile.Variant) (*Variant, error) {
	b := &bench{Spec: s, variant: v}
	for _, stream := range s.Profile.Streams {
		if !slices.Contains(v.Without, stream.Name) {
			stream.ECN = stream.ECN && v.ECN
			b.streams = append(b.streams, stream)
		}
	}
	if err := b.prepare(); err != nil {
		return nil, err
	}
	defer b.poller.pool.close()
	if err := b.start(); err != nil {
		return nil, err
	}
	defer b.sw.Close() // before the packets go
	if err := b.introduce(ctx); err != nil {
		return nil, err
	}
	return b.measure(ctx)
}

// prepare compiles the policy and makes the sources.
func (b *bench) prepare() error {
	c, err := b.Profile.Host()
	if err != nil {
		return err
	}
	b.ports = policy.NumberPorts(c)
	up := b.ports[c.Uplinks[0].Name]
	up.MAC = uplinkMAC
	b.ports[c.Uplinks[0].Name] = up
	if b.snap, err = policy.Compile(c, nil, b.ports); err != nil {
		return err
	}
	out := b.ports[b.Profile.Out()].Index
	if b.conf = b.snap.QoS.Scheduler(out); b.conf == nil {
		return fmt.Errorf("profile %s: port %s has no scheduler", b.Profile.Name, b.Profile.Out())
	}
	t := &traffic{random: rand.New(rand.NewPCG(1, 2)), streams: make([][]int32, len(b.streams))}
	for i := range b.streams {
		stream := &b.streams[i]
		t.changes = append(t.changes, stream.Changes)
		first := b.Profile.First(stream.Vports)
		for n := range b.Profile.Set(stream.Vports).Count {
			if err := b.addSource(t, i, first+n); err != nil {
				return err
			}
		}
	}
	pool, err := newPool(dataplane.QueuedFor(len(b.conf.Leaves)) + dataplane.QueuedPerVport + spareSlack)
	if err != nil {
		return err
	}
	b.poller = &poller{pool: pool, now: int64(time.Second), step: longestStep, refs: map[uint32]uint32{}, outs: map[uint32]uint32{},
		sink: out, uplink: up.Index, t: t, profiles: b.streams, length: int64(b.Profile.Duration), reached: make(chan uint32, 4),
		mac: uplinkMAC, hop: hopMAC, unknown: len(t.sources)}
	if !b.Profile.Target {
		b.poller.perByte = 1e9 / (b.Profile.Wire.BPS / 8)
	}
	return nil
}

// spareSlack is what worker and link hold besides the queues.
const spareSlack = 4 * packet.MaxTx

var (
	uplinkMAC = packet.MAC{0x02, 0, 0, 0, 0x01, 0x01}
	hopMAC    = packet.MAC{0x02, 0, 0, 0, 0x02, 0x01}
)

func (b *bench) addSource(t *traffic, stream, vm int) error {
	st := &b.streams[stream]
	from, to := b.Profile.VM(vm), b.Profile.Receiver()
	id := len(t.sources)
	frame, err := frameOf(st, from, to, uint16(firstPort+stream))
	if err != nil {
		return err
	}
	s := source{stream: stream, vport: vm, frame: frame}
	if st.Control != "" {
		s.window = &window{}
	}
	q := b.queueOf(st, from, to, uint16(firstPort+stream))
	if s.queue = slices.Index(b.queues, q); s.queue < 0 {
		s.queue = len(b.queues)
		b.queues = append(b.queues, q)
	}
	t.queues = len(b.queues)
	t.sources = append(t.sources, s)
	t.streams[stream] = append(t.streams[stream], int32(id))
	return nil
}

const firstPort = 10001

// queueOf asks the policy which queue a stream's packets of a VM belong to.
func (b *bench) queueOf(s *profile.Stream, from, to profile.VM, local uint16) place {
	in := b.ports[from.Name].Index
	p := policy.ClassPacket{In: in, DSCP: uint8(s.DSCP), PCP: uint8(max(s.PCP, 0)), Tagged: s.PCP >= 0}
	p.Class, p.Proto, p.HasPorts, p.LocalPort, p.RemotePort = policy.FrameIPv4, protocolNumber[s.Protocol], true, local, uint16(s.Port)
	p.Local, p.Remote = packet.AddrFromNetip(from.CA), packet.AddrFromNetip(to.CA)
	if at := b.snap.Port(in).Subnet; at != policy.NoIndex {
		p.VSID, p.RDID = b.snap.Subnets[at].VSID, b.snap.Subnets[at].RDID
	}
	dest := uint8(0)
	if !b.Profile.Target {
		dest = b.snap.QoS.Dest(in, p.Remote)
	}
	return place{leaf: b.conf.Leaf(in, dest), class: b.conf.Class(b.snap.Classes.Decide(&p).TC)}
}

var protocolNumber = map[string]uint8{"udp": packet.ProtoUDP, "tcp": packet.ProtoTCP}

// start makes the switch, with one worker.
func (b *bench) start() (err error) {
	most := 0
	for _, p := range b.ports {
		most = max(most, int(p.Index)+1)
	}
	if b.sw, err = dataplane.New(dataplane.Config{TSCHz: 1e9, SampleEvery: -1, MaxPorts: most, MaxFlows: flowsPerQueue, Log: b.Log}); err != nil {
		return fmt.Errorf("make the switch: %w", err)
	}
	defer func() {
		if err != nil {
			b.sw.Close()
		}
	}()
	if _, err := b.sw.AddWorker(dataplane.WorkerSpec{Core: b.Core, Poller: b.poller}); err != nil {
		return err
	}
	for name, p := range b.ports {
		if err := b.sw.AddPort(dataplane.PortSpec{Index: p.Index, Name: name, Uplink: p.Index == b.poller.uplink, Device: p.Index, RxQueues: 1, TxQueues: 1}); err != nil {
			return err
		}
	}
	if err := b.sw.Publish(b.snap); err != nil {
		return err
	}
	for i := range b.poller.t.sources { // the worker does not look before it is asked to
		s := &b.poller.t.sources[i]
		s.ref = b.poller.refs[b.ports[b.Profile.VM(s.vport).Name].Index]
	}
	return nil
}

// flowsPerQueue is more than any VM here has.
const flowsPerQueue = 256

// await asks for a phase, and waits until it is over.
func (b *bench) await(ctx context.Context, phase uint32) error {
	b.poller.ask.Store(phase)
	for {
		select {
		case done := <-b.poller.reached:
			if done == phase {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// introduce lets the switch learn all flows, and finds the rates of the streams.
func (b *bench) introduce(ctx context.Context) error {
	if err := b.await(ctx, introducing); err != nil {
		return err
	}
	t := b.poller.t
	if b.poller.unknown > 0 {
		err := b.poller.missing(func(s *source) string {
			return fmt.Sprintf("stream %s of vport %s", b.streams[s.stream].Name, b.Profile.VM(s.vport).Name)
		})
		return fmt.Errorf("%w: the switch dropped %v", err, b.drops())
	}
	b.setShares()
	offered := 0.0
	for i := range t.sources {
		s := &t.sources[i]
		most := s.bytesPerSec(b.streams[s.stream].Rate)
		for _, c := range b.streams[s.stream].Changes {
			most = max(most, s.bytesPerSec(c.Rate))
		}
		if s.window != nil {
			most = s.share
		}
		offered += most / s.wire
	}
	b.poller.runStep = min(longestStep, int64(packet.MaxRx/4/offered*1e9))
	if b.poller.runStep < shortestStep {
		return fmt.Errorf("profile %s: %w: %.1f million packets a second (use larger frames, or lower rates)", b.Profile.Name, ErrSlow, offered/1e6)
	}
	return nil
}

// Steps of the clock, ns. The shortest bounds how many polls a second of the profile takes.
const (
	longestStep  = 20_000
	shortestStep = 500
)

// drops are what the switch gave up, by reason.
func (b *bench) drops() map[string]uint64 {
	b.sw.Quiesce()
	all := map[string]uint64{}
	for _, p := range b.ports {
		c, _ := b.sw.PortCounters(p.Index)
		for reason, n := range c.Drops {
			if n > 0 {
				all[reason.String()] += n
			}
		}
	}
	return all
}

// measure lets all streams run, and what waits then leave.
func (b *bench) measure(ctx context.Context) (*Variant, error) {
	before := b.drops()
	err := b.await(ctx, running)
	if late := b.await(context.Background(), emptying); late != nil {
		return nil, late
	}
	drops := b.drops()
	for reason, n := range before {
		if drops[reason] -= n; drops[reason] == 0 {
			delete(drops, reason)
		}
	}
	return b.result(drops), err
}

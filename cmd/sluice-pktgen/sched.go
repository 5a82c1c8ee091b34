package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/benchmarks/schedpeer"
	"github.com/sluicenet/sluice/dpdk"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/qos"
)

// schedFlags are the flags of the sched command.
type schedFlags struct {
	vports, depth, rounds int
	packets               uint64
	core                  int
	json, folder          string
}

const (
	schedRate        = 25_000_000_000 // bytes a second, 200 Gbit/s: nobody reaches it, so the link limits nothing
	schedMemoryMB    = 640
	schedDraws       = 1 << 16 // classes that packets get in turn
	schedShareFrames = 4000    // of each vport, to see what it gets
)

// schedWeights are those of the four classes that are not strict.
var schedWeights = [dpdk.SchedClasses - dpdk.SchedStrict]uint8{4, 3, 2, 1}

func (a *app) schedCommand() *cobra.Command {
	var o schedFlags
	cmd := &cobra.Command{
		Use: "sched", Short: "Measure the scheduler of uplinks beside DPDK's librte_sched", Args: cobra.NoArgs,
		Long: `Put packets of 64 bytes into the scheduler and take them out again, on a core of its own, in turns with librte_sched and with
the same packets: eight classes, four strict and four by weight, for so many vports (a pipe each there). With a standing
backlog, where what comes out goes back to its vport in a class drawn at random, and drained, where a burst goes in and comes
out. The queue of a packet is written in both. Before that the shares of classes and vports, all busy, are counted.
Needs DPDK; hugepages are added for the time of the run when this is root. Ctrl-C keeps the rounds that are complete.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.sched(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.IntVar(&o.vports, "vports", 1000, "number of vports")
	f.IntVar(&o.depth, "depth", 32, "packets of each vport that wait")
	f.IntVar(&o.rounds, "rounds", 40, "how often everything is measured")
	f.Uint64Var(&o.packets, "packets", 300_000, "packets in each measurement of time")
	f.IntVar(&o.core, "core", 1, "core to measure on")
	f.StringVar(&o.json, "json", "", "also write the result to this file")
	f.StringVar(&o.folder, "out", "", "also write it to this folder, as sched.json")
	return cmd
}

func (a *app) sched(ctx context.Context, o schedFlags) (err error) {
	if o.vports < 1 || o.vports > 1<<14 || o.depth < 4 || o.depth > 64 || o.rounds < 1 || o.packets < 1000 {
		return fmt.Errorf("--vports %d, --depth %d, --rounds %d, --packets %d: choose 1 to 16384 vports, a depth of 4 to 64, at least 1 round, at least 1000 packets", o.vports, o.depth, o.rounds, o.packets)
	}
	if err := errors.Join(machine.CheckCore(o.core), machine.LeaveCore(o.core)); err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	pages, err := machine.ReserveHugepages(schedMemoryMB)
	if err != nil {
		return err
	}
	prefix := fmt.Sprintf("sluice-pktgen-%d", os.Getpid())
	defer func() { err = errors.Join(err, os.RemoveAll(filepath.Join("/var/run/dpdk", prefix)), pages.Release()) }()
	if _, err := dpdk.Init(dpdk.Options{MemoryMB: schedMemoryMB, MainCore: machine.ControlCore(o.core), FilePrefix: prefix}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dpdk.Cleanup()) }()
	b, err := newSchedBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	r := &schedpeer.Result{Vports: o.vports, Depth: o.depth, Packets: o.packets, Manifest: a.manifest(o.core)}
	done := make(chan error)
	go func() { done <- b.run(ctx, r) }()
	runErr := <-done
	if len(r.Drained.DPDK) == 0 {
		return runErr
	}
	if errors.Is(runErr, context.Canceled) {
		r.Partial = errInterrupted.Error()
	} else if runErr != nil {
		r.Partial = runErr.Error()
	}
	r.Print(a.out)
	return errors.Join(runErr, o.keep(r))
}

// keep writes the result where it was asked for.
func (o *schedFlags) keep(r *schedpeer.Result) (err error) {
	if o.json != "" {
		err = result.WriteJSON(o.json, r)
	}
	if o.folder != "" {
		err = errors.Join(err, result.WriteJSON(filepath.Join(o.folder, schedpeer.FileName), r))
	}
	return err
}

// schedBench has both schedulers, and one set of packets.
type schedBench struct {
	schedFlags
	theirs *dpdk.Sched
	pkts   []*packet.Packet
	draws  []uint8
	class  [dpdk.SchedClasses]uint8 // ours of theirs: strict ones in falling order
	config *qos.Config
	ns     float64 // of a cycle
	out    [dpdk.SchedBurst]*packet.Packet
	to     [dpdk.SchedBurst]qos.Queue
}

func newSchedBench(o schedFlags) (b *schedBench, err error) {
	b = &schedBench{schedFlags: o, draws: make([]uint8, schedDraws), ns: 1e9 / float64(dpdk.TSCHz())}
	packets := o.vports * o.depth
	if b.theirs, err = dpdk.NewSched(o.vports, packets, schedRate, schedWeights); err != nil {
		return nil, err
	}
	b.pkts = b.theirs.Packets()
	b.config = &qos.Config{RateBytesPerSec: schedRate, Packets: 2 * packets}
	for i := range b.class {
		b.class[i] = uint8(dpdk.SchedClasses - 1 - i)
		c := &b.config.Classes[b.class[i]]
		if c.Strict = i < dpdk.SchedStrict; !c.Strict {
			c.Weight = uint32(schedWeights[i-dpdk.SchedStrict])
		}
	}
	for i := range o.vports {
		b.config.Leaves = append(b.config.Leaves, qos.Leaf{Key: uint64(i), Group: qos.NoGroup})
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range b.draws {
		b.draws[i] = uint8(random.IntN(dpdk.SchedClasses))
	}
	random.Shuffle(packets, func(i, j int) { b.pkts[i], b.pkts[j] = b.pkts[j], b.pkts[i] })
	return b, nil
}

func (b *schedBench) close() { b.theirs.Close() }

// deal gives packets their vports and first classes: of all, or of those by weight alone.
func (b *schedBench) deal(weighted bool) {
	for i, p := range b.pkts {
		p.VLANTCIOuter = uint16(i % b.vports)
		p.VLANTCI = uint16(b.draws[i%schedDraws])
		if weighted {
			p.VLANTCI = uint16(dpdk.SchedStrict + i/b.vports%(dpdk.SchedClasses-dpdk.SchedStrict))
		}
	}
}

func (b *schedBench) run(ctx context.Context, r *schedpeer.Result) error {
	runtime.LockOSThread() // for good: the thread ends with this goroutine, and its pin with it
	var set unix.CPUSet
	set.Set(b.core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to core %d: %w", b.core, err)
	}
	if err := b.shares(r); err != nil {
		return err
	}
	for range b.rounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.round(r); err != nil {
			return err
		}
	}
	return nil
}

// round measures everything once, ours and theirs in turns.
func (b *schedBench) round(r *schedpeer.Result) error {
	per := func(moved, cycles uint64) float64 { return float64(cycles) / float64(moved) }
	for _, drained := range []bool{false, true} {
		run := dpdk.SchedRun{Drained: drained, Classes: b.draws, Packets: b.packets}
		moved, cycles, err := b.ours(run)
		if err != nil {
			return err
		}
		theirMoved, theirCycles, err := b.other(run)
		if err != nil {
			return err
		}
		to, ratios := &r.Standing, &r.StandingRatio
		if drained {
			to, ratios = &r.Drained, &r.DrainedRatio
		}
		to.Sluice, to.DPDK = append(to.Sluice, per(moved, cycles)), append(to.DPDK, per(theirMoved, theirCycles))
		*ratios = append(*ratios, per(theirMoved, theirCycles)/per(moved, cycles))
	}
	return nil
}

// other measures librte_sched.
func (b *schedBench) other(run dpdk.SchedRun) (moved, cycles uint64, err error) {
	b.deal(len(run.Classes) == 0)
	if !run.Drained {
		if err := b.theirs.Fill(); err != nil {
			return 0, 0, err
		}
	}
	moved, cycles = b.theirs.Run(run)
	b.theirs.Empty()
	return moved, cycles, nil
}

// ours measures the scheduler of this project.
func (b *schedBench) ours(run dpdk.SchedRun) (moved, cycles uint64, err error) {
	b.deal(len(run.Classes) == 0)
	s, err := qos.New(b.config)
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	if !run.Drained {
		for at := 0; at < len(b.pkts); at += dpdk.SchedBurst {
			part := append(b.out[:0], b.pkts[at:min(at+dpdk.SchedBurst, len(b.pkts))]...)
			if b.assign(&dpdk.SchedRun{}, part, 0); s.EnqueueEach(b.to[:len(part)], part) != 0 {
				return 0, 0, errors.New("the scheduler refused a packet of the standing backlog")
			}
		}
	}
	at, next := uint32(0), 0
	start := dpdk.TSC()
	for moved < run.Packets {
		now := int64(float64(dpdk.TSC()) * b.ns)
		var n int
		if run.Drained {
			part := b.pkts[next : next+dpdk.SchedBurst]
			b.assign(&run, part, at)
			n = dpdk.SchedBurst - s.EnqueueEach(b.to[:], part)
			for left := n; left > 0; {
				left -= s.Dequeue(now, b.out[:left], nil)
			}
			if next += dpdk.SchedBurst; next+dpdk.SchedBurst > len(b.pkts) {
				next = 0
			}
		} else {
			n = s.Dequeue(now, b.out[:], nil)
			b.assign(&run, b.out[:n], at)
			n -= s.EnqueueEach(b.to[:n], b.out[:n])
		}
		at += uint32(n)
		moved += uint64(n)
	}
	return moved, dpdk.TSC() - start, nil
}

// assign writes the queues of a burst, as the other contender does.
func (b *schedBench) assign(run *dpdk.SchedRun, pkts []*packet.Packet, at uint32) {
	if run.Served != nil {
		for _, p := range pkts {
			run.Served[uint32(p.VLANTCIOuter)*dpdk.SchedClasses+uint32(p.VLANTCI)]++
		}
	}
	if len(run.Classes) == schedDraws {
		for i, p := range pkts {
			p.VLANTCI = uint16(run.Classes[(at+uint32(i))%schedDraws])
		}
	}
	to := b.to[:len(pkts)]
	for i, p := range pkts {
		to[i] = qos.QueueOf(b.class[p.VLANTCI%dpdk.SchedClasses], uint32(p.VLANTCIOuter))
	}
}

// shares keeps all vports busy in the classes by weight, and compares what each gets with what it should.
func (b *schedBench) shares(r *schedpeer.Result) error {
	for _, contender := range []struct {
		run           func(dpdk.SchedRun) (uint64, uint64, error)
		classes, each *[]float64
	}{{b.ours, &r.ClassError.Sluice, &r.VportError.Sluice}, {b.other, &r.ClassError.DPDK, &r.VportError.DPDK}} {
		run := dpdk.SchedRun{Packets: uint64(b.vports) * schedShareFrames, Served: make([]uint64, b.vports*dpdk.SchedClasses)}
		moved, _, err := contender.run(run)
		if err != nil {
			return err
		}
		var classes [dpdk.SchedClasses]float64
		var worst, weights float64
		for vport := range b.vports {
			var sum float64
			for class, n := range run.Served[vport*dpdk.SchedClasses:][:dpdk.SchedClasses] {
				sum += float64(n)
				classes[class] += float64(n)
			}
			worst = max(worst, off(sum, float64(moved)/float64(b.vports)))
		}
		*contender.each = append(*contender.each, worst)
		for _, w := range schedWeights {
			weights += float64(w)
		}
		worst = 0
		for i, w := range schedWeights {
			worst = max(worst, off(classes[dpdk.SchedStrict+i], float64(moved)*float64(w)/weights))
		}
		*contender.classes = append(*contender.classes, worst)
	}
	return nil
}

func off(got, want float64) float64 { return max(got-want, want-got) / want }

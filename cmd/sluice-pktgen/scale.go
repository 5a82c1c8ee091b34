package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/benchmarks/scale"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/benchmarks/worker"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/dpdk"
)

// scaleFlags are the flags of the scale command.
type scaleFlags struct {
	profile string
	flows   []int
	cores   []int
	rounds  int
	retries int
	seconds float64
	warmup  time.Duration
	out     string
}

func (a *app) scaleCommand() *cobra.Command {
	var o scaleFlags
	cmd := &cobra.Command{
		Use: "scale", Short: "Measure several workers of the switch beside one, by turns", Args: cobra.NoArgs,
		Long: `Run the switch with one worker, and with one on each of the given cores, by turns and in several rounds, on the same
traffic: as many VMs send as there are cores, each by a queue of its own. Says the packet rates and their ratio. Needs
DPDK. Ctrl-C keeps what was measured until then, marked as partial.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plans, err := scalePlans(o)
			if err != nil {
				return err
			}
			return a.scale(cmd.Context(), plans, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.profile, "profile", "nvgre-encap", "profile, of direction encap or rewrite; it gets as many VMs as there are cores")
	f.IntSliceVar(&o.flows, "flows", []int{256, 10_000}, "numbers of flows, one after the other")
	f.IntSliceVar(&o.cores, "cores", []int{1, 0}, "cores of the workers; one worker alone runs on the first")
	f.IntVar(&o.rounds, "rounds", scale.MinRounds, "rounds")
	f.IntVar(&o.retries, "retries", 3, "how often to take a round again when other programs had a worker's core meanwhile")
	f.Float64Var(&o.seconds, "seconds", 1, "time to measure in every turn")
	f.DurationVar(&o.warmup, "warmup", 300*time.Millisecond, "time between the first packets and the measurement")
	f.StringVarP(&o.out, "out", "d", "", "folder to write "+scale.FileName+" to")
	return cmd
}

// scalePlans makes the traffic for each number of flows.
func scalePlans(o scaleFlags) (plans []*traffic.Plan, err error) {
	p, err := profile.Load(o.profile)
	if err != nil {
		return nil, err
	}
	switch {
	case p.Direction != profile.Encap && p.Direction != profile.Rewrite:
		return nil, fmt.Errorf("profile %s has direction %s: a replay has one queue, so it takes VMs as sources: choose one of %s or %s",
			o.profile, p.Direction, profile.Encap, profile.Rewrite)
	case len(o.cores) < 2 || o.rounds < 1 || o.seconds <= 0:
		return nil, fmt.Errorf("%s, %s of %g s: choose at least two cores, one round, and a time above zero", result.Count(len(o.cores), "core"), result.Count(o.rounds, "round"), o.seconds)
	}
	p.Tenants, p.VMs = 1, len(o.cores)
	for _, flows := range o.flows {
		changed, err := p.WithFlows(flows)
		if err != nil {
			return nil, err
		}
		plans = append(plans, traffic.New(changed))
	}
	if len(plans) == 0 {
		return nil, errors.New("no number of flows: give at least one by --flows")
	}
	return plans, nil
}

func (a *app) scale(ctx context.Context, plans []*traffic.Plan, o scaleFlags) (err error) {
	for _, core := range o.cores {
		if err := machine.CheckCore(core); err != nil {
			return err
		}
	}
	debug.SetGCPercent(gcPercent)
	runtime.GOMAXPROCS(runtime.NumCPU() + len(o.cores) + 1)
	largest := plans[0]
	for _, p := range plans {
		if p.Profile.Flows > largest.Profile.Flows {
			largest = p
		}
	}
	d, err := openDevices(largest, machine.ControlCore(o.cores[0]), len(o.cores))
	if err != nil {
		return err
	}
	d.poller.Close() // each turn has pollers of its own
	defer func() { err = errors.Join(err, d.close()) }()
	r := &scale.Result{Manifest: a.manifest(o.cores[0]), Began: time.Now(), Partial: true, Workers: len(o.cores), Cores: o.cores}
	err = a.scaleAll(ctx, r, d, plans, o)
	r.Partial = err != nil
	fmt.Fprint(a.out, r.String())
	if o.out != "" {
		err = errors.Join(err, r.WriteJSON(filepath.Join(o.out, scale.FileName)))
	}
	return err
}

func (a *app) scaleAll(ctx context.Context, r *scale.Result, d *devices, plans []*traffic.Plan, o scaleFlags) error {
	for _, plan := range plans {
		if err := d.replug(plan, len(o.cores)); err != nil {
			return err
		}
		take := func(ctx context.Context, workers int) (measure.Sample, error) {
			sample, err := a.scaleSample(ctx, d, plan, workers, o)
			if err == nil {
				fmt.Fprintf(a.err, "%s  %s  %.2f Mpps\n", result.Count(plan.Profile.Flows, "flow"), result.Count(workers, "worker"), sample.MPPS)
			}
			return sample, err
		}
		if err := r.Measure(ctx, o.profile, plan.Profile.Flows, o.rounds, o.retries, take); err != nil {
			return err
		}
	}
	return nil
}

// scaleSample measures with the first so many cores.
func (a *app) scaleSample(ctx context.Context, d *devices, plan *traffic.Plan, workers int, o scaleFlags) (measure.Sample, error) {
	var pollers []dataplane.Poller
	for range workers {
		p, err := dpdk.NewPoller(d.pool)
		if err != nil {
			for _, p := range pollers {
				p.Close()
			}
			return measure.Sample{}, err
		}
		pollers = append(pollers, p)
	}
	spec := worker.Spec{
		Plan: plan, Poller: pollers[0], Devices: d.handles, Core: o.cores[0], Clock: dpdk.TSC, TSCHz: dpdk.TSCHz(),
		Log: slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})), Warmup: o.warmup, Windows: defaultWindows,
		Window: time.Duration(o.seconds * float64(time.Second) / defaultWindows),
	}
	for i, p := range pollers[1:] {
		spec.Beside = append(spec.Beside, worker.Second{Poller: p, Core: o.cores[i+1]})
	}
	return worker.Run(ctx, spec)
}

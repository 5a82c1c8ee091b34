package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/flood"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dpdk"
)

// floodFlags are the flags of the flood command.
type floodFlags struct {
	profile string
	core    int
	share   int
	rounds  int
	window  time.Duration
	json    string
}

func (a *app) floodCommand() *cobra.Command {
	var o floodFlags
	cmd := &cobra.Command{
		Use: "flood", Short: "Measure what a flood of new flows does to known ones, and what a new flow costs", Args: cobra.NoArgs,
		Long: `Run one worker of the switch on a core of its own and offer it known flows and a flood of flows that nobody has seen:
on two receive queues, with the known ones at half of what the worker can do, and on one queue in turns. The traffic is
made in the worker, and lost where it finds no place in a ring of 1,024 packets. Needs DPDK; hugepages are added for the
time of the run when this is root. Ctrl-C keeps the rounds that are complete, marked as partial.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("share") && (o.share < 1 || o.share > 100) {
				return fmt.Errorf("--share %d: choose 1 to 100", o.share)
			}
			plan, err := floodPlan(o.profile)
			if err != nil {
				return err
			}
			return a.flood(cmd.Context(), plan, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.profile, "profile", "newflow-flood", "profile of the known flows; the new ones are as they are, but for their ports")
	f.IntVar(&o.core, "core", 1, "core of the worker")
	f.IntVar(&o.share, "share", 0, "dataplane.slowPathShare, 1 to 100 percent, instead of the default")
	f.IntVar(&o.rounds, "rounds", 20, "how often everything is measured")
	f.DurationVar(&o.window, "window", 100*time.Millisecond, "length of each measurement")
	f.StringVar(&o.json, "json", "", "also write the result to this file")
	return cmd
}

// floodPlan gives the flood a VM of its own.
func floodPlan(name string) (*traffic.Plan, error) {
	p, err := profile.Load(name)
	if err != nil {
		return nil, err
	}
	if p.Direction != profile.Encap {
		return nil, fmt.Errorf("profile %s: direction %s: a flood comes from VMs here (choose a profile with direction %s)", p.Name, p.Direction, profile.Encap)
	}
	p.VMs = max(p.VMs, 2)
	p.Flows *= p.VMs // the first VM has as many as the profile says
	return traffic.New(*p), nil
}

func (a *app) flood(ctx context.Context, plan *traffic.Plan, o floodFlags) (err error) {
	if o.rounds < 1 || o.window < time.Millisecond {
		return fmt.Errorf("%s, windows of %s: choose at least one round, and a millisecond", result.Count(o.rounds, "round"), o.window)
	}
	if err := errors.Join(machine.CheckCore(o.core), machine.LeaveCore(o.core)); err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	d, err := openDevices(plan, machine.ControlCore(o.core), 1) // of which only the uplink is used
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	waited := machine.WatchThread(os.Getpid())
	r, err := flood.Run(ctx, flood.Spec{
		Plan: plan, Poller: d.poller, Uplink: d.handles[traffic.Uplink], Core: o.core, Clock: dpdk.TSC, TSCHz: dpdk.TSCHz(),
		Log:   slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Share: uint8(o.share), Rounds: o.rounds, Window: o.window,
	})
	if r == nil {
		return err
	}
	r.Profile, r.Waited, r.Manifest = plan.Profile.Name, waited(), a.manifest(o.core)
	if err != nil {
		r.Partial = err.Error()
		if errors.Is(err, context.Canceled) {
			r.Partial = errInterrupted.Error()
		}
	}
	r.Print(a.out)
	if o.json == "" {
		return err
	}
	return errors.Join(err, r.WriteJSON(o.json))
}

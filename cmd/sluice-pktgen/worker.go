package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/report"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/benchmarks/worker"
	"github.com/sluicenet/sluice/dpdk"
)

// workerFlags are the flags of the worker command.
type workerFlags struct {
	profile    string
	flows      flowCount
	core       int
	seconds    float64
	warmup     time.Duration
	windows    int
	bare       bool
	churn      byteRate
	sample     int
	json       string
	cpuProfile string
}

func (a *app) workerCommand() *cobra.Command {
	var o workerFlags
	cmd := &cobra.Command{
		Use: "worker --profile PROFILE", Short: "Measure one worker of the switch in this process", Args: cobra.NoArgs,
		Long: `Run one worker of the switch on a core of its own, between a device that replays the profile's traffic from memory and
devices that swallow what comes out, and measure its rate, and how long its turns take. Needs DPDK; hugepages are added
for the time of the run when this is root.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, err := loadPlan(o.profile, o.flows)
			if err != nil {
				return err
			}
			if o.bare {
				plan.Profile.ACLs = 0
			}
			return a.worker(cmd.Context(), plan, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.profile, "profile", "", "profile")
	flowsFlag(f, &o.flows)
	f.IntVar(&o.core, "core", 1, "core of the worker")
	f.Float64Var(&o.seconds, "seconds", 0, "time to measure, instead of the profile's")
	f.DurationVar(&o.warmup, "warmup", 500*time.Millisecond, "time between the first packets and the measurement")
	f.IntVar(&o.windows, "windows", defaultWindows, "windows that the time is divided into")
	f.BoolVar(&o.bare, "bare", false, "without the rules that the profile gives the VMs' ports")
	f.Var(&o.churn, "churn", "make garbage beside the worker, e.g. 100MB per second")
	f.IntVar(&o.sample, "sample-every", 0, "measure the stages of one of so many turns; -1: of none; 0: as the switch does by itself")
	f.StringVar(&o.json, "json", "", "also write the result to this file")
	f.StringVar(&o.cpuProfile, "cpuprofile", "", "write a profile of the program while it measures, for go tool pprof")
	must(cmd.MarkFlagRequired("profile"))
	return cmd
}

const defaultWindows = 10

// gcPercent is the daemon's: collections take a core from a worker for milliseconds.
const gcPercent = 1000

func (a *app) worker(ctx context.Context, plan *traffic.Plan, o workerFlags) (err error) {
	if err := machine.CheckCore(o.core); err != nil {
		return err
	}
	if err := machine.LeaveCore(o.core); err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	length := plan.Profile.Duration
	if o.seconds > 0 {
		length = time.Duration(o.seconds * float64(time.Second))
	}
	if o.windows < 1 || length <= 0 {
		return fmt.Errorf("%d windows in %s: choose at least one window, and a time above zero", o.windows, length)
	}
	d, err := openDevices(plan, machine.ControlCore(o.core), 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	stopProfile, err := startProfile(o.cpuProfile)
	if err != nil {
		return err
	}
	result := compare.NewResult(a.manifest(o.core))
	busy := machine.Watch(o.core)
	sample, runErr := worker.Run(ctx, worker.Spec{
		Plan: plan, Poller: d.poller, Devices: d.handles, Core: o.core, Clock: dpdk.TSC, TSCHz: dpdk.TSCHz(),
		Log: slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})), Warmup: o.warmup, Windows: o.windows,
		Window: length / time.Duration(o.windows), Churn: int64(o.churn), SampleEvery: o.sample,
	})
	stopProfile()
	sample.Busy = busy()
	for _, note := range []string{d.memory.Note, d.pages.Note} {
		if note != "" {
			sample.Notes = append(sample.Notes, note)
		}
	}
	result.HugepagesMB = machine.HugepagesMB()
	return errors.Join(runErr, a.showSample(result, plan, sample, o.json, runErr))
}

func startProfile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("write CPU profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, fmt.Errorf("write CPU profile: %w", err)
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}

// showSample prints a result of one sample, and writes it when a file is named.
func (a *app) showSample(result *compare.Result, plan *traffic.Plan, sample measure.Sample, file string, runErr error) error {
	result.Add(plan, 1, sample, runErr)
	if runErr == nil {
		result.Complete()
	}
	report.Print(a.out, result)
	if file == "" {
		return nil
	}
	return result.WriteJSON(file)
}

func (a *app) manifest(core int) machine.Manifest {
	m := machine.Describe(core)
	if m.Revision == "unknown" && commit != "" {
		m.Revision = commit
	}
	m.TSCHz = float64(dpdk.TSCHz())
	m.Versions["DPDK"] = dpdk.Version()
	return m
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/memcpy"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dpdk"
)

// Contenders that only copy.
const (
	memcpyName    = "memcpy"     // as many buffers as a worker has in use
	memcpyRAMName = "memcpy-ram" // more than any cache holds
)

// memcpyFlags are the flags of the memcpy command.
type memcpyFlags struct {
	profile string
	flows   flowCount
	core    int
	seconds float64
	warmup  time.Duration
	windows int
	mib     int
	json    string
}

func (a *app) memcpyCommand() *cobra.Command {
	var o memcpyFlags
	cmd := &cobra.Command{
		Use: "memcpy --profile PROFILE", Short: "Measure how fast frames are copied", Args: cobra.NoArgs,
		Long: `Copy blocks as large as a profile's frames on a thread pinned to a core: from as many buffers as the replay has to as many
as a worker has in use, or between areas that no cache holds. A replay copies each frame once, so a switch that moves
large frames is to be read beside this.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, err := loadPlan(o.profile, o.flows)
			if err != nil {
				return err
			}
			return a.memcpy(cmd.Context(), plan, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.profile, "profile", "", "profile")
	flowsFlag(f, &o.flows)
	f.IntVar(&o.core, "core", 1, "core to copy on")
	f.Float64Var(&o.seconds, "seconds", 0, "time to measure, instead of the profile's")
	f.DurationVar(&o.warmup, "warmup", 0, "taken for the sake of compare; every buffer is copied once before the measurement")
	f.IntVar(&o.windows, "windows", defaultWindows, "windows that the time is divided into")
	f.IntVar(&o.mib, "area", 0, "MiB to copy from and to, instead of the buffers in use")
	f.StringVar(&o.json, "json", "", "also write the result to this file")
	must(cmd.MarkFlagRequired("profile"))
	return cmd
}

func (a *app) memcpy(ctx context.Context, plan *traffic.Plan, o memcpyFlags) error {
	if err := machine.CheckCore(o.core); err != nil {
		return err
	}
	if o.mib < 0 || o.mib > maxAreaMB {
		return fmt.Errorf("areas of %d MiB: choose 0 to %d", o.mib, maxAreaMB)
	}
	length := plan.Profile.Duration
	if o.seconds > 0 {
		length = time.Duration(o.seconds * float64(time.Second))
	}
	if o.windows < 1 {
		return fmt.Errorf("%d windows: choose at least one", o.windows)
	}
	if err := machine.LeaveCore(o.core); err != nil {
		return err
	}
	spec := memcpy.Spec{Block: plan.Profile.MaxBytes(), Stride: bufferStride, Sources: 0, Targets: workerPackets, Core: o.core,
		Clock: dpdk.TSC, Windows: o.windows, Window: length / time.Duration(o.windows)}
	for _, source := range plan.Sources {
		spec.Sources += plan.FramesOf(source)
	}
	if o.mib > 0 {
		spec.Sources = o.mib << 20 / bufferStride
		spec.Targets = spec.Sources
	}
	result := compare.NewResult(a.manifest(o.core))
	result.TSCHz = measure.Frequency(dpdk.TSC)
	busy := machine.Watch(o.core)
	sample, runErr := memcpy.Run(ctx, spec)
	sample.Contender, sample.Busy = memcpyName, busy()
	if err := a.showSample(result, plan, sample, o.json, runErr); err != nil {
		return err
	}
	return runErr
}

const (
	maxAreaMB    = 4096
	ramAreaMB    = 256  // each of two: several times the largest cache
	bufferStride = 2304 // of a worker's buffers: descriptor, headroom and a frame of the fabric's MTU
)

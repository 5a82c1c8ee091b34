package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/jitter"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/peer"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dpdk"
)

func (a *app) spinCommand() *cobra.Command {
	var core int
	var seconds float64
	var turn time.Duration
	var file string
	cmd := &cobra.Command{
		Use: "spin", Short: "Measure what a loop that does nothing misses of its core", Args: cobra.NoArgs,
		Long: "Wait by the time stamp counter, on a thread pinned to a core, in turns as long as a worker's, and note how long the turns\nreally take. What this loop misses, any worker on that core would: a worker's jitter is to be read beside it.",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.spin(cmd.Context(), core, seconds, turn, file) },
	}
	f := cmd.Flags()
	f.IntVar(&core, "core", 1, "core to spin on")
	f.Float64Var(&seconds, "seconds", 2, "time to spin")
	f.DurationVar(&turn, "turn", time.Microsecond, "length of a turn: a worker's is about a microsecond")
	f.StringVar(&file, "json", "", "also write the result to this file")
	return cmd
}

// spinSlice is how long an interrupt may have to wait.
const spinSlice = 500 * time.Millisecond

func (a *app) spin(ctx context.Context, core int, seconds float64, turn time.Duration, file string) error {
	if err := machine.CheckCore(core); err != nil {
		return err
	}
	if seconds <= 0 || turn < 0 || turn > time.Millisecond {
		return fmt.Errorf("%g seconds in turns of %s: choose a time above zero, and turns of up to 1ms", seconds, turn)
	}
	if err := machine.LeaveCore(core); err != nil {
		return err
	}
	hz := measure.Frequency(dpdk.TSC)
	result := compare.NewResult(a.manifest(core))
	result.TSCHz = hz
	busy := machine.Watch(core)
	waited := machine.WatchThread(os.Getpid())
	loops := jitter.New()
	left := time.Duration(seconds * float64(time.Second))
	for ; left > 0 && ctx.Err() == nil; left -= spinSlice {
		if _, err := dpdk.Spin(core, uint64(min(left, spinSlice).Seconds()*hz), uint64(turn.Seconds()*hz), loops.Counts); err != nil {
			return err
		}
	}
	turns := loops.Summary(hz)
	sample := measure.Sample{Contender: peer.SpinName, Jitter: &turns, Waited: waited(), Busy: busy()}
	if err := a.showSample(result, &traffic.Plan{}, sample, file, ctx.Err()); err != nil {
		return err
	}
	return ctx.Err()
}

// byteRate is a flag such as 100MB, bytes per second.
type byteRate int64

var rateUnits = map[string]float64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

// Set implements pflag.Value.
func (r *byteRate) Set(text string) error {
	number := strings.TrimRight(strings.TrimSuffix(text, "/s"), "KMGiB")
	factor, known := rateUnits[strings.TrimSuffix(text, "/s")[len(number):]]
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || v < 0 || v*factor > 1e11 {
		return fmt.Errorf("%q is no rate: write 100MB, at most 100GB", text)
	}
	*r = byteRate(v * factor)
	return nil
}

// String implements pflag.Value.
func (r *byteRate) String() string { return strconv.FormatInt(int64(*r), 10) }

// Type implements pflag.Value.
func (r *byteRate) Type() string { return "rate" }

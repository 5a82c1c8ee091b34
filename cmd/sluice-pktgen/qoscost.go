package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/benchmarks/shaped"
	"github.com/sluicenet/sluice/dpdk"
)

// qosCostFlags are the flags of the qos-cost command.
type qosCostFlags struct {
	vports  []int
	depth   int
	rows    []int
	core    int
	packets uint64
	rounds  int
	json    string
}

func (a *app) qosCostCommand() *cobra.Command {
	var o qosCostFlags
	cmd := &cobra.Command{
		Use: "qos-cost", Short: "Measure what quality of service costs a worker of the switch", Args: cobra.NoArgs,
		Long: `Run one worker of the switch on a core of its own, with vports that send packets of known flows in eight classes by one
uplink, and measure the cycles of a packet with no scheduler (off), with one on a link that is half full (open), with packets
waiting for each vport in each class (backlog), and with a maximum for each vport besides (limited). The ports are in the
worker's poller, so no devices, no hugepages and no root are needed. Ctrl-C keeps the rounds that are complete, marked as partial.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.qosCost(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.IntSliceVar(&o.vports, "vports", []int{1000, 10_000}, "vports, one number after the other")
	f.IntVar(&o.depth, "depth", 3, "packets that wait for each vport in each class")
	f.IntSliceVar(&o.rows, "rows", []int{32, 8, 1}, "packets that a vport sends in a row, all of one class, one number after the other")
	f.IntVar(&o.core, "core", 1, "core of the worker")
	f.Uint64Var(&o.packets, "packets", 1_000_000, "packets in each round")
	f.IntVar(&o.rounds, "rounds", 3, "rounds of all modes, one after the other")
	f.StringVar(&o.json, "json", "", "also write the result to this file")
	return cmd
}

func (a *app) qosCost(ctx context.Context, o qosCostFlags) error {
	s := shaped.Spec{Depth: o.depth, Packets: o.packets, Core: o.core, Clock: dpdk.TSC,
		Log: slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if o.rounds < 1 || o.packets < shaped.MinPackets || len(o.vports) == 0 || len(o.rows) == 0 {
		return fmt.Errorf("%v vports, %v in a row, %d rounds of %d packets: choose at least one number of each, one round, %d packets",
			o.vports, o.rows, o.rounds, o.packets, shaped.MinPackets)
	}
	for _, s.Vports = range o.vports {
		for _, s.Row = range o.rows {
			if err := s.Check(); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(machine.CheckCore(o.core), machine.LeaveCore(o.core)); err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	r := &shaped.Result{Manifest: a.manifest(o.core)}
	if err := r.Measure(ctx, s, o.vports, o.rows, o.rounds); err != nil {
		if r.Rounds == 0 {
			return err
		}
		r.Partial = err.Error()
	}
	r.Print(a.out)
	if o.json != "" {
		return result.WriteJSON(o.json, r)
	}
	return nil
}

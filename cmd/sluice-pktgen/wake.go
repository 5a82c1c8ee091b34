package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/wake"
)

// wakeFlags are the flags of the wake command.
type wakeFlags struct {
	sluiced string
	core    int
	packets int
	idle    time.Duration
}

func (a *app) wakeCommand() *cobra.Command {
	var o wakeFlags
	cmd := &cobra.Command{
		Use: "wake", Short: "Measure what a packet waits that finds its worker asleep", Args: cobra.NoArgs,
		Long: `Send single packets at random gaps of 10 ms in the mean through a daemon with one worker, by a tap, by af_packet, and by a
device that cannot wake the worker, in network namespaces of this machine: once while the worker may sleep (dataplane.idle mode
adaptive), once while it polls on (busy). Says how long packets took from the sender to the receiver's kernel, and what the
daemon took of a core while nothing came. What adaptive takes longer than busy is the price of sleeping. Needs root.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.wake(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.sluiced, "sluiced", beside("sluiced"), "the daemon")
	f.IntVar(&o.core, "core", 1, "core of its worker")
	f.IntVar(&o.packets, "packets", 1000, "packets of each turn")
	f.DurationVar(&o.idle, "idle", 5*time.Second, "how long the daemon is left alone before, while its processor time is measured")
	return cmd
}

func (a *app) wake(ctx context.Context, o wakeFlags) error {
	if o.packets < 1 || o.idle <= 0 {
		return fmt.Errorf("%d packets, %s idle: choose numbers above zero", o.packets, o.idle)
	}
	if err := machine.CheckCore(o.core); err != nil {
		return err
	}
	reap, err := reaper(wake.Prefix)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%-22s %-9s %8s %5s %9s %9s %9s %13s %13s\n", "DEVICE", "MODE", "PACKETS", "LOST", "P50", "P99", "MAX", "WORKER, IDLE", "DAEMON, IDLE")
	_, err = wake.Run(ctx, wake.Spec{
		Sluiced: o.sluiced, Core: o.core, Packets: o.packets, Idle: o.idle, Reaper: reap,
		Progress: func(s wake.Sample) {
			fmt.Fprintf(a.out, "%-22s %-9s %8d %5d %9s %9s %9s %11.2f %% %11.2f %%\n", s.Device, s.Mode, s.Packets, s.Lost,
				s.P50.Round(time.Microsecond), s.P99.Round(time.Microsecond), s.Max.Round(time.Microsecond), s.Worker*100, s.Daemon*100)
		},
	})
	return err
}

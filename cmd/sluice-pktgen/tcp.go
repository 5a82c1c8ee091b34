package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/tcp"
)

// tcpFlags are the flags of the tcp command.
type tcpFlags struct {
	sluiced  string
	rounds   int
	duration time.Duration
	out      string
	keepLogs bool
}

func (a *app) tcpCommand() *cobra.Command {
	var o tcpFlags
	cmd := &cobra.Command{
		Use: "tcp", Short: "Measure TCP between two VMs on two hosts, beside Open vSwitch", Args: cobra.NoArgs,
		Long: `Run iperf3 between two VMs with taps on two hosts that a veth pair joins, all in network namespaces of this machine:
through our daemons, and through Open vSwitch's userspace datapath, by turns and in several rounds. Says throughput, and
the processor time of all processes of the switch. Needs root and iperf3. A peer that is not installed is named, and the
rest runs. Ctrl-C keeps what was measured until then, marked as partial.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.tcp(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.sluiced, "sluiced", beside("sluiced"), "the daemon")
	f.IntVar(&o.rounds, "rounds", tcp.MinRounds, "rounds")
	f.DurationVar(&o.duration, "duration", 4*time.Second, "length of one turn")
	f.StringVarP(&o.out, "out", "d", "", "folder to write "+tcp.FileName+" to")
	f.BoolVar(&o.keepLogs, "keep-logs", false, "when a turn fails, leave namespaces, processes and logs as they are")
	return cmd
}

// beside is the path of a program in the folder of this one.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}

func (a *app) tcp(ctx context.Context, o tcpFlags) error {
	reap, err := reaper(tcp.Prefix)
	if err != nil {
		return err
	}
	result, err := tcp.Run(ctx, tcp.Spec{
		Reaper: reap, Sluiced: o.sluiced, Rounds: o.rounds, Duration: o.duration, KeepLogs: o.keepLogs,
		Progress: func(s tcp.Sample) {
			fmt.Fprintf(a.err, "round %d  %-14s %.2f Gbit/s, %.2f cores\n", s.Round, s.Contender, s.BitsPerSecond/1e9, s.Cores())
		},
	})
	if result == nil {
		return err
	}
	result.Manifest = a.manifest(-1)
	result.Manifest.Versions["Open vSwitch"] = tcp.Version()
	fmt.Fprint(a.out, result.String())
	if o.out != "" {
		err = errors.Join(err, result.WriteJSON(filepath.Join(o.out, tcp.FileName)))
	}
	return err
}

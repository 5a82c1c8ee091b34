package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/cli"
	"github.com/sluicenet/sluice/demo"
)

const (
	reapFlag     = "reap"
	iperfSeconds = 2
)

func (a *app) demoCommand() *cobra.Command {
	var o demo.Options
	var down, reap bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Two hosts, three tenants, one fabric: sluice at work on this machine", Args: cobra.NoArgs,
		Long: `Build two hosts in network namespaces, each with a sluiced of its own, and join them by a fabric. Three tenants, red,
blue and green, use the same customer addresses; green's packets are rewritten, those of the others travel in NVGRE. Pings,
TCP and UDP streams between their VMs, a capture of the wire and the counters show that each tenant reaches its own VMs and
never another's. Needs root, and leaves nothing behind but the capture, also when interrupted.
The exit code is 1 when a check fails.`,
		Example: "  sudo sluice demo\n  sudo sluice demo --keep            # leave it running, to look around\n" +
			"  sudo sluice demo --down            # and end it\n  sudo sluice demo --capture wire.pcapng",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case reap:
				return demo.Reap(a.in)
			case down:
				return a.endDemo()
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("demo: find the program that cleans up afterwards: %w", err)
			}
			o.Progress, o.Reaper = a.err, []string{self, "demo", "--" + reapFlag}
			report, err := demo.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.reportDemo(report)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Keep, "keep", false, "leave it running and say how to look around")
	f.BoolVar(&down, "down", false, "end a demo that was left running")
	f.DurationVar(&o.Duration, "duration", iperfSeconds*time.Second, "length of each throughput measurement")
	f.StringVar(&o.Capture, "capture", demo.DefaultCapture(), "file for the capture of the wire (pcapng); empty: do not keep it")
	f.StringVar(&o.Sluiced, "sluiced", "", "the daemon to run (default: beside this program, else in PATH)")
	f.BoolVar(&reap, reapFlag, false, "take a demo down after its end; the demo calls this")
	_ = f.MarkHidden(reapFlag) // the flag exists
	cmd.MarkFlagsMutuallyExclusive("keep", "down")
	return cmd
}

func (a *app) endDemo() error {
	found, err := demo.Down()
	if err != nil {
		return err
	}
	if !found {
		return a.printer.Print(&cli.Note{Text: "no demo is running"})
	}
	return a.printer.Print(&cli.Note{Text: "the demo has ended"})
}

func (a *app) reportDemo(r *demo.Report) error {
	if a.printer.Format == cli.FormatTable {
		r.WriteTable(a.out)
	} else if err := a.printer.Print(&cli.Data{Value: r}); err != nil {
		return err
	}
	if !r.Passed {
		return cli.ErrReported
	}
	return nil
}

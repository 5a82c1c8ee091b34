package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/cli"
)

func (a *app) topCommand() *cobra.Command {
	once := false
	cmd := &cobra.Command{
		Use: "top", Short: "Where the workers' cycles go", Args: cobra.NoArgs,
		Long: `Show for each worker its load, packets per burst, and the cycles per packet of each stage; for each receive queue its
packets, how many of them found their flow in the table, new flows, and flows evicted or refused for want of space; all over
the interval. On a terminal it goes on until interrupted; into a pipe, and with --once, -o json or -o yaml, it shows one
window.

The stages are poll (transmit, free, refill, receive), parse (with decapsulation), lookup, execute (of known flows'
actions), new flows (layers; ARP and neighbour discovery), qos (schedulers), other (accounts, timers) and stalled
(something else had the core). They are measured in some of the loop iterations that have packets; all other columns count
everything.`,
		Example: "  sluice top\n  sluice top --once --interval 5s\n  sluice top -o json | jq .workers[0].stages",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.settings.GetDuration(keyInterval) == 0 {
				return cli.Usage(errors.New("top needs an interval above 0; leave out --interval 0"))
			}
			watch := !once && a.printer.Format == cli.FormatTable && cli.IsTerminal(a.out)
			return sampleAndShow(cmd.Context(), a, watch, func(ctx context.Context) (*sluicev1.GetStatusResponse, error) {
				return call(ctx, a, a.client().GetStatus, &sluicev1.GetStatusRequest{})
			}, func(before, now *sluicev1.GetStatusResponse) (cli.View, error) {
				return cli.NewTop(before, now), nil
			})
		},
	}
	cmd.Flags().Duration(keyInterval, time.Second, "window that everything is measured over")
	cmd.Flags().BoolVar(&once, "once", false, "show one window, also on a terminal")
	return cmd
}

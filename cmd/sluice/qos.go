package main

import (
	"context"

	"github.com/spf13/cobra"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/cli"
)

func (a *app) qosCommand() *cobra.Command {
	ask := func(port string) func(context.Context) (*sluicev1.ListSchedulersResponse, error) {
		return func(ctx context.Context) (*sluicev1.ListSchedulersResponse, error) {
			return call(ctx, a, a.client().ListSchedulers, &sluicev1.ListSchedulersRequest{Port: port})
		}
	}
	names := func(ctx context.Context) (names []cobra.Completion, err error) {
		list, err := ask("")(ctx)
		for _, p := range list.GetSchedulers() {
			names = append(names, p.GetPort())
		}
		return names, err
	}
	one := withRates(&cobra.Command{
		Use: "show [PORT]", Short: "Show shares and limits, and what they do", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.complete(names),
		Long: `Show the outputs with quality of service: uplinks, and vports whose inbound rate is limited. For each traffic class, group
and vport: what is configured, the measured rate, what waits now, congestion marks, and packets dropped because the queue
was full. Of a vport: its rows on each uplink, and what it gets; of one with destinations first the sum. Rates count what a frame takes of the wire. A vport's traffic that bypasses the switch is not shaped here.`,
		Example: "  sluice qos show\n  sluice qos show up0 --watch\n  sluice qos show up0 -o json | jq '.outputs[0].classes'",
		RunE: func(cmd *cobra.Command, args []string) error {
			port := ""
			if len(args) > 0 {
				port = args[0]
			}
			return show(cmd, a, ask(port), func(before, now *sluicev1.ListSchedulersResponse) (cli.View, error) {
				return cli.NewQoS(before, now), nil
			})
		},
	})
	return group("qos", "Quality of service", one)
}

package main

import (
	"context"

	"github.com/spf13/cobra"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/cli"
)

const limitFlag = "limit"

func (a *app) queueCommand() *cobra.Command {
	ask := func(port string) func(context.Context) (*sluicev1.ListQueuesResponse, error) {
		return func(ctx context.Context) (*sluicev1.ListQueuesResponse, error) {
			return call(ctx, a, a.client().ListQueues, &sluicev1.ListQueuesRequest{Port: port})
		}
	}
	names := func(ctx context.Context) (names []cobra.Completion, err error) {
		list, err := ask("")(ctx)
		for i, q := range list.GetQueues() {
			if i == 0 || list.GetQueues()[i-1].GetPort() != q.GetPort() {
				names = append(names, q.GetPort())
			}
		}
		return names, err
	}
	portOf := func(args []string) string {
		if len(args) > 0 {
			return args[0]
		}
		return ""
	}
	queues := withRates(&cobra.Command{
		Use: "map [PORT]", Short: "Show which worker polls which receive queue", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.complete(names),
		Long: `Show the workers with their cores and loads, and the receive queues: the worker that polls each, whose packets it brings,
its share of the worker's time, and how often it has moved.`,
		Example: "  sluice queue map\n  sluice queue map up0 --watch\n  sluice queue map -o json | jq '.queues[] | [.port, .queue, .worker]'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return show(cmd, a, ask(portOf(args)), func(before, now *sluicev1.ListQueuesResponse) (cli.View, error) {
				return cli.NewQueueMap(before, now), nil
			})
		},
	})
	history := &cobra.Command{
		Use: "history [PORT]", Short: "Show what was decided for receive queues, and why", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.complete(names),
		Long: `Show what was decided for receive queues, the latest first: when, what and why, by how much the busiest worker concerned was
expected to be relieved, and by how much it was in the second after it; PACKETS is what the workers concerned forwarded in
that second, as a multiple of the second before. What could not be done says why, and the queue is where it was.`,
		Example: "  sluice queue history\n  sluice queue history up0 --limit 10\n  sluice queue history -o json | jq '.events[0].reason'",
		RunE: func(cmd *cobra.Command, args []string) error {
			limit, err := cmd.Flags().GetUint32(limitFlag)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, a.client().ListMoves, &sluicev1.ListMovesRequest{Port: portOf(args), Limit: limit})
			if err != nil {
				return err
			}
			return a.printer.Print(cli.NewQueueHistory(answer))
		},
	}
	history.Flags().Uint32(limitFlag, 0, "show at most so many; 0 shows all that are remembered")
	return group("queue", "Receive queues and their workers", queues, history)
}

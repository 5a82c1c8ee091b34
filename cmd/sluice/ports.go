package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/cli"
)

func (a *app) statusCommand() *cobra.Command {
	return withRates(&cobra.Command{
		Use: "status", Short: "The daemon at a glance", Args: cobra.NoArgs,
		Long: `Show whether the daemon is ready, the configuration it runs, the last error of apply, and its workers with their load
over the interval. The exit code is 1 when it is not ready.`,
		Example: "  sluice status\n  sluice status --interval 5s\n  sluice status -o json | jq .ready",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ready := true
			err := show(cmd, a, func(ctx context.Context) (*sluicev1.GetStatusResponse, error) {
				return call(ctx, a, a.client().GetStatus, &sluicev1.GetStatusRequest{})
			}, func(before, now *sluicev1.GetStatusResponse) (cli.View, error) {
				ready = now.GetReady()
				return cli.NewStatus(before, now), nil
			})
			if err == nil && !ready {
				return cli.ErrReported
			}
			return err
		},
	})
}

func (a *app) vportCommand() *cobra.Command {
	ask := func(name string) func(context.Context) (*sluicev1.ListVportsResponse, error) {
		return func(ctx context.Context) (*sluicev1.ListVportsResponse, error) {
			return call(ctx, a, a.client().ListVports, &sluicev1.ListVportsRequest{Name: name})
		}
	}
	names := func(ctx context.Context) (names []cobra.Completion, err error) {
		list, err := ask("")(ctx)
		for _, p := range list.GetVports() {
			names = append(names, p.GetName())
		}
		return names, err
	}
	list := withRates(&cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the VMs' ports", Args: cobra.NoArgs,
		Long:    "List the VMs' ports with their rates. RX is what the switch received from the VM, TX what it delivered to it.",
		Example: "  sluice vport list\n  sluice vport list --interval 0    # totals, at once\n  sluice vport list --watch",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return show(cmd, a, ask(""), func(before, now *sluicev1.ListVportsResponse) (cli.View, error) {
				return cli.NewVports(before, now), nil
			})
		},
	})
	one := withRates(&cobra.Command{
		Use: "show NAME", Short: "Show one VM's port", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(names),
		Long: `Show one VM's port: its network, device, rates, the accounting of every packet that came in by it, and what was dropped
and why.`,
		Example: "  sluice vport show red-vm1\n  sluice vport show red-vm1 -o json | jq .counters",
		RunE: func(cmd *cobra.Command, args []string) error {
			return show(cmd, a, ask(args[0]), func(before, now *sluicev1.ListVportsResponse) (cli.View, error) {
				if list := cli.NewVports(before, now); len(list.Vports) == 1 {
					return &list.Vports[0], nil
				}
				return nil, fmt.Errorf("vport %s: the switch has none of this name; see sluice vport list", args[0])
			})
		},
	})
	return group("vport", "The VMs' ports", list, one)
}

func (a *app) uplinkCommand() *cobra.Command {
	ask := func(name string) func(context.Context) (*sluicev1.ListUplinksResponse, error) {
		return func(ctx context.Context) (*sluicev1.ListUplinksResponse, error) {
			return call(ctx, a, a.client().ListUplinks, &sluicev1.ListUplinksRequest{Name: name})
		}
	}
	names := func(ctx context.Context) (names []cobra.Completion, err error) {
		list, err := ask("")(ctx)
		for _, p := range list.GetUplinks() {
			names = append(names, p.GetName())
		}
		return names, err
	}
	list := withRates(&cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the physical ports", Args: cobra.NoArgs,
		Long:    "List the physical ports with their provider addresses, link and rates. RX is what came in from the fabric.",
		Example: "  sluice uplink list\n  sluice uplink list -o yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return show(cmd, a, ask(""), func(before, now *sluicev1.ListUplinksResponse) (cli.View, error) {
				return cli.NewUplinks(before, now), nil
			})
		},
	})
	one := withRates(&cobra.Command{
		Use: "show NAME", Short: "Show one physical port", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(names),
		Long: `Show one physical port: its addresses, device, rates, the accounting of every packet that came in by it, what was dropped
and why, and the device's own counts.`,
		Example: "  sluice uplink show up0",
		RunE: func(cmd *cobra.Command, args []string) error {
			return show(cmd, a, ask(args[0]), func(before, now *sluicev1.ListUplinksResponse) (cli.View, error) {
				if list := cli.NewUplinks(before, now); len(list.Uplinks) == 1 {
					return &list.Uplinks[0], nil
				}
				return nil, fmt.Errorf("uplink %s: the switch has none of this name; see sluice uplink list", args[0])
			})
		},
	})
	return group("uplink", "The physical ports", list, one)
}

// complete offers the daemon's names to the shell; without a daemon there are none.
func (a *app) complete(names func(context.Context) ([]cobra.Completion, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 || a.prepare(cmd) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, err := names(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/cli"
	"github.com/sluicenet/sluice/packet"
)

func (a *app) recordCommand() *cobra.Command {
	var q sluicev1.ListRecordsRequest
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List where customer addresses live", Args: cobra.NoArgs,
		Long:    "List the lookup records: for each customer address of a virtual subnet its MAC, and the vport or the host that has it.",
		Example: "  sluice record list\n  sluice record list --subnet red-web\n  sluice record list --subnet 6001 --ca 10.0.0.7",
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := call(cmd.Context(), a, a.client().ListRecords, &q)
			if err != nil {
				return err
			}
			return a.printer.Print(cli.NewRecords(answer))
		},
	}
	list.Flags().StringVar(&q.Subnet, "subnet", "", "only this subnet, by name or VSID")
	list.Flags().StringVar(&q.Ca, "ca", "", "only this customer address")
	return group("record", "Where customer addresses live", list)
}

func (a *app) neighbourCommand() *cobra.Command {
	return group("neighbour", "The fabric's Ethernet addresses", &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the fabric's Ethernet addresses as ARP found them", Args: cobra.NoArgs,
		Example: "  sluice neighbour list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := call(cmd.Context(), a, a.client().ListNeighbours, &sluicev1.ListNeighboursRequest{})
			if err != nil {
				return err
			}
			return a.printer.Print(cli.NewNeighbours(answer))
		},
	})
}

func (a *app) learnedCommand() *cobra.Command {
	return group("learned", "Ethernet addresses learned on VLAN and pass-through networks", &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the Ethernet addresses learned on VLAN and pass-through networks", Args: cobra.NoArgs,
		Example: "  sluice learned list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := call(cmd.Context(), a, a.client().ListLearned, &sluicev1.ListLearnedRequest{})
			if err != nil {
				return err
			}
			return a.printer.Print(cli.NewLearned(answer))
		},
	})
}

func (a *app) nexthopCommand() *cobra.Command {
	var q sluicev1.NextHopRequest
	var vsid string
	cmd := &cobra.Command{
		Use: "nexthop {--vsid N | --subnet NAME} --from CA --to CA", Short: "Say where a packet would go, and why", Args: cobra.NoArgs,
		Long: `Say what the switch would do with a packet from one customer address to another, step by step. No packet is sent. The
exit code is 1 when it would be dropped.`,
		Example: "  sluice nexthop --vsid 6001 --from 10.0.0.5 --to 10.0.0.7\n  sluice nexthop --subnet red-web --from 10.0.0.5 --to 10.0.1.9",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkNextHop(&q, vsid); err != nil {
				return cli.Usage(err)
			}
			answer, err := call(cmd.Context(), a, a.client().NextHop, &q)
			if err != nil {
				return err
			}
			hop := cli.NewNextHop(&q, answer)
			if err := a.printer.Print(hop); err != nil {
				return err
			}
			if hop.Dropped() {
				return cli.ErrReported
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&vsid, "vsid", "", "virtual subnet of the sender, by number")
	f.StringVar(&q.Subnet, "subnet", "", "virtual subnet of the sender, by name")
	f.StringVar(&q.Source, "from", "", "customer address of the sender")
	f.StringVar(&q.Target, "to", "", "customer address of the target")
	for _, name := range []string{"from", "to"} {
		_ = cmd.MarkFlagRequired(name) // the flag exists
	}
	cmd.MarkFlagsOneRequired("vsid", "subnet")
	cmd.MarkFlagsMutuallyExclusive("vsid", "subnet")
	return cmd
}

// checkNextHop puts the VSID, when one is given, into a question, and refuses what cannot be asked.
func checkNextHop(q *sluicev1.NextHopRequest, vsid string) error {
	if vsid != "" || q.GetSubnet() == "" {
		n, err := strconv.ParseUint(vsid, 10, 32)
		if err != nil || n < packet.MinVSID || n > packet.MaxVSID {
			return fmt.Errorf("--vsid wants a number from %d to %d, not %q", packet.MinVSID, packet.MaxVSID, vsid)
		}
		q.Vsid = uint32(n)
	}
	var ends [2]netip.Addr
	for i, end := range []struct{ flag, value string }{{"from", q.GetSource()}, {"to", q.GetTarget()}} {
		a, err := netip.ParseAddr(end.value)
		if err != nil {
			return fmt.Errorf("--%s %q: this is no IP address; give the customer address of a VM", end.flag, end.value)
		}
		ends[i] = a.Unmap()
	}
	if ends[0].Is4() != ends[1].Is4() {
		return fmt.Errorf("--from %s and --to %s: a packet has either IPv4 or IPv6 addresses; give two of one family", q.GetSource(), q.GetTarget())
	}
	return nil
}

func (a *app) dropsCommand() *cobra.Command {
	var q sluicev1.ListDropsRequest
	var by string
	cmd := withRates(&cobra.Command{
		Use: "drops", Short: "What was dropped, where and why", Args: cobra.NoArgs,
		Long: `List what was dropped, per port and reason, the most first, with the rate over the interval. A packet is charged to the port
that it came in by.`,
		Example: "  sluice drops\n  sluice drops --by reason\n  sluice drops --port red-vm1 --watch",
		RunE: func(cmd *cobra.Command, _ []string) error {
			grouping := cli.Grouping(by)
			if grouping != cli.ByBoth && grouping != cli.ByPort && grouping != cli.ByReason {
				return cli.Usage(fmt.Errorf("--by %q: rows can be merged by port or by reason; name one of them", by))
			}
			return show(cmd, a, func(ctx context.Context) (*sluicev1.ListDropsResponse, error) {
				return call(ctx, a, a.client().ListDrops, &q)
			}, func(before, now *sluicev1.ListDropsResponse) (cli.View, error) {
				return cli.NewDrops(before, now, grouping), nil
			})
		},
	})
	cmd.Flags().StringVar(&by, "by", "", "merge rows by port or by reason")
	cmd.Flags().StringVar(&q.Port, "port", "", "only this vport or uplink")
	return cmd
}

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/dpdk"
	"github.com/sluicenet/sluice/policy"
)

func (a *app) configCommand() *cobra.Command {
	var name, uplink string
	var flows flowCount
	cmd := &cobra.Command{
		Use: "config --profile PROFILE --uplink DEVICE", Short: "Write the configuration under which sluiced forwards a profile's traffic",
		Args: cobra.NoArgs,
		Long: "Write a host's configuration for sluiced: the uplink, a tap for each VM of the profile, rules, and records of the VMs on the\nother host, which sluice-pktgen run plays.",
		RunE: func(*cobra.Command, []string) error {
			if err := dpdk.CheckDevargs(uplink); err != nil {
				return fmt.Errorf("--uplink: %w", err)
			}
			text, err := configOf(name, flows, uplinkDevice(uplink))
			if err != nil {
				return err
			}
			_, err = a.out.Write(text)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "profile", "", "profile")
	flowsFlag(f, &flows)
	f.StringVar(&uplink, "uplink", "", "the switch's uplink: a PCI address, or a driver with its arguments as in net_af_packet0,iface=eth1")
	must(cmd.MarkFlagRequired("profile"), cmd.MarkFlagRequired("uplink"))
	return cmd
}

// configOf writes the configuration for a profile: of a qos profile with its shares and limits.
func configOf(name string, flows flowCount, device map[string]string) ([]byte, error) {
	if profile.IsShares(name) {
		if flows != 0 {
			return nil, fmt.Errorf("--flows: profile %s has one flow for each VM of a stream (leave it out)", name)
		}
		s, err := profile.LoadShares(name)
		if err != nil {
			return nil, err
		}
		return s.Config(device)
	}
	plan, err := loadPlan(name, flows)
	if err != nil {
		return nil, err
	}
	return plan.ConfigOn(device)
}

// uplinkDevice is a device of DPDK as a configuration describes it.
func uplinkDevice(devargs string) map[string]string {
	if iface := interfaceOf(devargs); iface != "" && strings.HasPrefix(devargs, "net_af_packet") {
		return map[string]string{"driver": policy.DriverAFPacket, "interface": iface}
	}
	if pciDevice.MatchString(devargs) {
		return map[string]string{"pci": devargs}
	}
	return map[string]string{"devargs": devargs}
}

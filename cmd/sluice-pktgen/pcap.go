package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

// loadPlan reads a profile before anything else happens.
func loadPlan(name string, flows flowCount) (*traffic.Plan, error) {
	p, err := profile.Load(name)
	if err != nil {
		return nil, err
	}
	changed, err := p.WithFlows(int(flows))
	if err != nil {
		return nil, err
	}
	return traffic.New(changed), nil
}

func (a *app) profilesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "profiles [PROFILE...]", Short: "List the profiles, or check the given ones",
		RunE: func(_ *cobra.Command, args []string) error {
			check := len(args) > 0
			if !check {
				args = slices.Concat(profile.Names(), profile.SharesNames())
			}
			var faults []error
			for _, name := range args {
				text, err := describeProfile(name)
				if err != nil {
					faults = append(faults, err)
					continue
				}
				fmt.Fprintln(a.out, text)
			}
			return errors.Join(faults...)
		},
	}
}

// describeProfile says in two lines what a profile is.
func describeProfile(name string) (string, error) {
	if profile.IsShares(name) {
		s, err := profile.LoadShares(name)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s\n    %s", s, s.Description), nil
	}
	p, err := profile.Load(name)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s\n    %s", p, p.Description), nil
}

func (a *app) pcapCommand() *cobra.Command {
	var name, file, port string
	var flows flowCount
	cmd := &cobra.Command{
		Use: "pcap --profile PROFILE -w FILE", Short: "Write a profile's traffic as a pcap, for any switch", Args: cobra.NoArgs,
		Long: "Write the frames of a profile's flows, each once or burst times, to a pcap that any switch can be fed with.\nThe same profile gives the same bytes.",
		RunE: func(*cobra.Command, []string) error {
			plan, err := loadPlan(name, flows)
			if err != nil {
				return err
			}
			write := func(w io.Writer) error { return plan.WritePcap(w, port) }
			if port != "" && plan.FramesOf(port) == 0 {
				return fmt.Errorf("profile %s: nothing comes in by port %q: it has %v", plan.Profile.Name, port, plan.Sources)
			}
			if file == "-" {
				return write(a.out)
			}
			return plan.WriteFile(file, port)
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "profile", "", "profile")
	f.StringVarP(&file, "write", "w", "", "file to write; - for standard output")
	f.StringVar(&port, "port", "", "only what comes in by this port, e.g. t1-vm1")
	flowsFlag(f, &flows)
	must(cmd.MarkFlagRequired("profile"), cmd.MarkFlagRequired("write"))
	return cmd
}

// must holds where only a mistake of this program fails.
func must(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		panic(err)
	}
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/report"
	"github.com/sluicenet/sluice/benchmarks/vmqsim"
)

// vmqSimFlags are the flags of the vmq-sim command.
type vmqSimFlags struct {
	scenarios []string
	time      time.Duration
	seed      uint64
	from      string
	json      string
	page      string
}

func (a *app) vmqSimCommand() *cobra.Command {
	var o vmqSimFlags
	var names []string
	for _, s := range vmqsim.Scenarios() {
		names = append(names, s.Name)
	}
	cmd := &cobra.Command{
		Use: "vmq-sim", Short: "Simulate how workers are balanced on up to 128 cores, beside Open vSwitch's rules", Args: cobra.NoArgs,
		Long: `Drive the balancer of the daemon with the loads of up to 2,000 VMs on up to 128 cores, and compare it with queues that stay
where they are, with the rules that Open vSwitch publishes for its automatic load balancing, and with a bound that nobody can
beat. Time is simulated: equal runs give equal figures, on any machine and beside other programs. Needs neither root nor
devices. docs/VMQ-SIMULATION.md is made by --json and -w. Scenarios:

` + scenarioHelp(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.vmqSim(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.scenarios, "scenario", names, "scenarios to play")
	f.DurationVar(&o.time, "time", 0, "simulated time of each, instead of its own; the first two minutes do not count")
	f.Uint64Var(&o.seed, "seed", 0, "other random loads than the published ones")
	f.StringVar(&o.from, "from", "", "do not simulate, but read this result")
	f.StringVar(&o.json, "json", "", "also write the result to this file")
	f.StringVarP(&o.page, "write", "w", "", "also write the page to this file, and its pictures to img beside it; needs --json or --from, and all scenarios")
	cmd.MarkFlagsMutuallyExclusive("from", "json")
	return cmd
}

func scenarioHelp() string {
	var b strings.Builder
	for _, s := range vmqsim.Scenarios() {
		fmt.Fprintf(&b, "  %-8s %3d cores, %4d VMs: %s\n", s.Name, s.Cores, s.VMs, s.Says)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (a *app) vmqSim(ctx context.Context, o vmqSimFlags) error {
	r, err := a.vmqResult(ctx, &o)
	if err != nil {
		return err
	}
	if err := report.PrintVMQ(a.out, r); err != nil {
		return err
	}
	if o.json != "" {
		if err := r.Write(o.json); err != nil {
			return err
		}
	}
	if o.page == "" {
		return nil
	}
	source := o.from + o.json // one of them is empty
	if source == "" || r.Owners == nil {
		return fmt.Errorf("the page %s shows all scenarios of a result that lies in the repository: give --json or --from, and leave --scenario, --time and --seed out", o.page)
	}
	dir, name := filepath.Split(o.page)
	files, err := report.VMQPage(r, source, name)
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write page: %w", err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return fmt.Errorf("write page: %w", err)
		}
	}
	return nil
}

// vmqResult reads a result, or makes one.
func (a *app) vmqResult(ctx context.Context, o *vmqSimFlags) (*vmqsim.Result, error) {
	if o.from != "" {
		return vmqsim.Read(o.from)
	}
	published := vmqsim.Scenarios()
	var chosen []vmqsim.Scenario
	for _, name := range o.scenarios {
		i := slices.IndexFunc(published, func(s vmqsim.Scenario) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no scenario %q: see sluice-pktgen vmq-sim --help", name)
		}
		s := published[i]
		if o.time != 0 {
			s.Time = o.time
		}
		if s.Seed += o.seed; s.Time < vmqsim.LeastTime || s.Time > vmqsim.MostTime {
			return nil, fmt.Errorf("simulated time of %v: choose %v to %v", s.Time, vmqsim.LeastTime, vmqsim.MostTime)
		}
		chosen = append(chosen, s)
	}
	all := len(chosen) == len(published) && o.time == 0 && o.seed == 0
	return vmqsim.Play(ctx, all, chosen, func(name string) { fmt.Fprintf(a.err, "sluice-pktgen: scenario %s\n", name) })
}

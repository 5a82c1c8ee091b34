package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/vmq"
	"github.com/sluicenet/sluice/policy"
)

// vmqFlags are the flags of the vmq command.
type vmqFlags struct {
	profiles []string
	modes    []string
	cores    []int
	lead     time.Duration
	every    time.Duration
	interval time.Duration
	out      string
}

var vmqModes = []string{policy.VMQDynamic, policy.VMQStatic, policy.VMQOff}

func (a *app) vmqCommand() *cobra.Command {
	var o vmqFlags
	cmd := &cobra.Command{
		Use: "vmq", Short: "Compare the modes of dynamic VMQ under loads that change", Args: cobra.NoArgs,
		Long: `Run a whole agent with a worker on each of the given cores, and let the receive queues of a profile bring what its load says,
in parts of what one worker forwards. All queues begin where the switch puts them; after the lead the mode is applied:
dynamic balances, static puts the queues where an operator would who knows the first load, off leaves them. Says the rates,
how long it took to reach them, and the moves, and fails when a packet that was fetched is lost, reordered or altered. The
packets are made and checked inside the workers. Needs DPDK. Ctrl-C keeps what was measured until then, marked as partial.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loads, err := vmqLoads(&o)
			if err != nil {
				return err
			}
			return a.vmq(cmd.Context(), loads, o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.profiles, "profile", []string{"vmq-skew", "vmq-shift", "vmq-many-quiet"}, "profiles with a load, one after the other")
	f.StringSliceVar(&o.modes, "modes", vmqModes, "modes, one after the other")
	f.IntSliceVar(&o.cores, "cores", []int{1, 0}, "cores of the workers")
	f.DurationVar(&o.lead, "lead", time.Second, "time under the first load before the mode is applied")
	f.DurationVar(&o.every, "every", 50*time.Millisecond, "time between two points of the series")
	f.DurationVar(&o.interval, "interval", 0, "dataplane.vmq.interval of mode dynamic, instead of the default")
	f.StringVarP(&o.out, "out", "d", "", "folder to write "+vmq.FileName+" and "+vmq.CSVName+" to")
	return cmd
}

// vmqLoads reads the profiles, and refuses what could not be measured.
func vmqLoads(o *vmqFlags) (loads []*profile.Profile, err error) {
	for _, name := range o.profiles {
		p, err := profile.Load(name)
		if err != nil {
			return nil, err
		}
		if len(p.Load) == 0 {
			return nil, fmt.Errorf("profile %s has no load: add load, or choose vmq-skew, vmq-shift or vmq-many-quiet", name)
		}
		loads = append(loads, p)
	}
	for _, mode := range o.modes {
		if !slices.Contains(vmqModes, mode) {
			return nil, fmt.Errorf("there is no mode %q: there are %s", mode, strings.Join(vmqModes, ", "))
		}
	}
	if len(loads) == 0 || len(o.modes) == 0 || len(o.cores) < 2 || o.lead <= 0 || o.every <= 0 {
		return nil, errors.New("nothing to compare: give at least one profile, one mode and two cores, and times above zero")
	}
	return loads, nil
}

func (a *app) vmq(ctx context.Context, loads []*profile.Profile, o vmqFlags) (err error) {
	for _, core := range o.cores {
		if err := machine.CheckCore(core); err != nil {
			return err
		}
	}
	debug.SetGCPercent(gcPercent)
	runtime.GOMAXPROCS(runtime.NumCPU() + len(o.cores) + 1)
	r := &vmq.Result{Manifest: a.manifest(o.cores[0]), Began: time.Now(), Partial: true, Cores: o.cores}
	err = a.vmqAll(ctx, r, loads, o)
	r.Partial = err != nil
	fmt.Fprint(a.out, r.String())
	if o.out != "" {
		err = errors.Join(err, r.WriteJSON(filepath.Join(o.out, vmq.FileName)), r.WriteCSV(filepath.Join(o.out, vmq.CSVName)))
	}
	return err
}

func (a *app) vmqAll(ctx context.Context, r *vmq.Result, loads []*profile.Profile, o vmqFlags) (err error) {
	limits := map[string]any{}
	if o.interval > 0 {
		limits["interval"] = o.interval.String()
	}
	var shared *sharedDriver // DPDK starts once in a process, with room for the largest profile
	defer func() {
		if shared != nil {
			err = errors.Join(err, shared.agentDriver.Close())
		}
	}()
	for _, p := range loads {
		s, err := vmq.Run(ctx, vmq.Spec{
			Profile: p, Modes: o.modes, Cores: o.cores, Lead: o.lead, Every: o.every, Limits: limits,
			Driver: func(pool agent.Pool) (agent.Driver, error) {
				if shared == nil {
					d, err := openAgentDriver(largestPool(loads, len(o.cores), pool), machine.ControlCore(o.cores[0]))
					if err != nil {
						return nil, err
					}
					shared = &sharedDriver{d}
				}
				return shared, nil
			},
			Log:      slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelError})),
			Progress: func(text string) { fmt.Fprintln(a.err, text) },
		})
		if s != nil && len(s.Runs) > 0 {
			r.Scenarios = append(r.Scenarios, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sharedDriver stays open from one run to the next.
type sharedDriver struct{ *agentDriver }

// Close leaves it open.
func (d *sharedDriver) Close() error { return nil }

// largestPool is the packet pool that all profiles can do with.
func largestPool(loads []*profile.Profile, workers int, pool agent.Pool) agent.Pool {
	for _, p := range loads {
		if need, err := vmq.PoolFor(p, workers); err == nil {
			pool.Packets, pool.FrameSize = max(pool.Packets, need.Packets), max(pool.FrameSize, need.FrameSize)
		}
	}
	return pool
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/soak"
	"github.com/sluicenet/sluice/demo/netlab"
	"github.com/sluicenet/sluice/policy"
)

// soakFlags are the flags of the soak command.
type soakFlags struct {
	profile  string
	duration time.Duration
	every    time.Duration
	moves    time.Duration
	flows    int
	rate     string
	cores    []int
	seed     uint64
	out      string
}

const soakLab = "sluice-soak-" // prefix of the namespace with the taps that come and go

func (a *app) soakCommand() *cobra.Command {
	var o soakFlags
	cmd := &cobra.Command{
		Use: "soak", Short: "Run the switch under full load while its configuration changes", Args: cobra.NoArgs,
		Long: `Run a whole agent with its workers at full load, and apply another configuration every second: vports, uplinks and
networks come and go, rules, records, routes, methods, MTUs and addresses change. The streams of all other ports are
numbered, made and checked inside the workers. With --moves the receive queues of these move from worker to worker. Fails when one packet of these is lost, reordered or altered. Needs DPDK
and root, for taps. Ctrl-C keeps what was seen until then, marked as partial.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			shape, err := soakShape(o.profile)
			if err != nil {
				return err
			}
			if o.flows > 0 {
				shape.Flows = o.flows
			}
			return a.soak(cmd.Context(), shape, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.profile, "profile", "soak", "profile of the streams that nothing may happen to: tenants, VMs, peers, flows, sizes")
	f.DurationVar(&o.duration, "duration", 10*time.Minute, "how long")
	f.DurationVar(&o.every, "every", time.Second, "time between two changes of the configuration")
	f.DurationVar(&o.moves, "moves", 0, "time between two moves of a receive queue to another worker; 0 moves none")
	f.IntVar(&o.flows, "flows", 0, "streams; 0 takes the profile's")
	f.StringVar(&o.rate, "rate", "", `rate of a scheduler of the uplink, such as 10Gbit; "" is none. Packets under way are few enough for its queues then`)
	f.IntSliceVar(&o.cores, "cores", []int{1}, "cores of the workers")
	f.Uint64Var(&o.seed, "seed", 1, "of the changes: the same seed makes the same changes")
	f.StringVarP(&o.out, "out", "d", "", "folder to write "+soak.FileName+" to")
	return cmd
}

// soakShape takes from a profile what a soak uses of it.
func soakShape(name string) (soak.Shape, error) {
	p, err := profile.Load(name)
	if err != nil {
		return soak.Shape{}, err
	}
	s := soak.Shape{Tenants: p.Tenants, VMs: max(p.VMs, 2), Peers: p.Peers, Flows: p.Flows, Rules: p.ACLs, MTU: 1500}
	for _, size := range p.Sizes() {
		for range size.Weight {
			s.Sizes = append(s.Sizes, size.Bytes)
		}
	}
	udp, total := 0, 0
	for _, share := range p.Protocols {
		if total += share.Weight; share.Protocol == "udp" {
			udp += share.Weight
		}
	}
	s.UDPOf10 = udp * 10 / total
	return s, nil
}

func (a *app) soak(ctx context.Context, shape soak.Shape, o soakFlags) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("soak: it makes taps, and needs root")
	}
	for _, core := range o.cores {
		if err := machine.CheckCore(core); err != nil {
			return err
		}
	}
	if len(o.cores) == 1 { // with more there may be no core left for the rest of the program
		if err := machine.LeaveCore(o.cores[0]); err != nil {
			return err
		}
	}
	debug.SetGCPercent(gcPercent)
	runtime.GOMAXPROCS(runtime.NumCPU() + len(o.cores) + 1)
	vms, leave, err := soakNamespace()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	result, err := soak.Run(ctx, soak.Spec{
		Shape: shape, Cores: o.cores, Namespace: vms, Duration: o.duration, Every: o.every, Moves: o.moves, Rate: o.rate, Seed: o.seed,
		Driver: func(_ *policy.Config, pool agent.Pool) (agent.Driver, error) {
			return openAgentDriver(pool, machine.ControlCore(o.cores[0]))
		},
		Log: slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelError})),
		Progress: func(r *soak.Result, rate float64) {
			fmt.Fprintf(a.err, "%6s  %.2f Mpps, %d configurations applied, %s\n", r.Took.Round(time.Second), rate/1e6, r.Applies, &r.Totals)
		},
	})
	if result == nil {
		return err
	}
	result.Profile, result.Manifest = o.profile, a.manifest(o.cores[0])
	fmt.Fprint(a.out, result.String())
	if o.out != "" {
		err = errors.Join(err, result.WriteJSON(filepath.Join(o.out, soak.FileName)))
	}
	return err
}

func soakDir() string { return filepath.Join(os.TempDir(), soakLab+"lab") }

// soakNamespace makes a network namespace for the changing taps: nothing of the host talks into them there.
func soakNamespace() (name string, leave func() error, err error) {
	reap, err := reaper(soakLab)
	if err != nil {
		return "", nil, err
	}
	lab, err := netlab.Open(soakLab, soakDir())
	if err != nil {
		return "", nil, err
	}
	// What a killed run left: its namespaces, but not the folder with the lock, which is ours by now.
	if err := netlab.Sweep(soakLab, filepath.Join(soakDir(), "processes")); err != nil {
		return "", nil, errors.Join(err, lab.Close())
	}
	r, err := lab.StartReaper(reap...)
	if err != nil {
		return "", nil, errors.Join(err, lab.Close())
	}
	leave = func() error { return errors.Join(lab.Close(), r.Sweep()) }
	ns, err := lab.AddNamespace("vms")
	if err != nil {
		return "", nil, errors.Join(err, leave())
	}
	return ns.Name(), leave, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/peer"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/report"
	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/benchmarks/worker"
	"github.com/sluicenet/sluice/dpdk"
)

// compareFlags are the flags of the compare command.
type compareFlags struct {
	scenarios []string
	rounds    int
	retries   int
	core      int
	seconds   float64
	warmup    time.Duration
	windows   int
	only      []string
	out       string
	keepLogs  bool
}

// defaultScenarios are what docs/PERFORMANCE.md shows.
var defaultScenarios = []string{
	"nvgre-encap:256", "nvgre-encap:10000", "nvgre-encap:100000", "nvgre-decap:256", "nvgre-decap:10000", "nvgre-decap:100000",
	"iprewrite:256", "l2-64b:256", "l2-macs:100000", "acl-10k:256", "udp-1400b:256", "flows-1m:1000000",
}

func (a *app) compareCommand() *cobra.Command {
	var o compareFlags
	cmd := &cobra.Command{
		Use: "compare", Short: "Measure the switch beside its peers, by turns, on one core", Args: cobra.NoArgs,
		Long: `Feed the same traffic to our worker, to testpmd, which looks at no packet (io) or swaps its addresses (macswap), and to
Open vSwitch-DPDK with the same policy and three settings of its caches, each in a process of its own on the same core, by
turns and in several rounds. With large frames, also measure how fast they can be copied. Needs root, for hugepages. A peer
that is not installed is named, and the rest runs. Ctrl-C keeps what was measured until then, marked as partial.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plans, refs, err := loadScenarios(o.scenarios)
			if err != nil {
				return err
			}
			return a.compare(cmd.Context(), plans, refs, o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.scenarios, "scenario", defaultScenarios, "profiles, each with a number of flows if not its own: PROFILE[:FLOWS]")
	f.IntVar(&o.rounds, "rounds", compare.MinRounds, "rounds")
	f.IntVar(&o.retries, "retries", 3, "how often to take a sample again when other programs had the core meanwhile; an eighth of all samples at most")
	f.IntVar(&o.core, "core", 1, "core to measure on")
	f.Float64Var(&o.seconds, "seconds", 0, "time to measure in every turn, instead of the profile's")
	f.DurationVar(&o.warmup, "warmup", 300*time.Millisecond, "time between the first packets and the measurement")
	f.IntVar(&o.windows, "windows", defaultWindows, "windows that the time is divided into")
	f.StringSliceVar(&o.only, "only", nil, "only these contenders: "+strings.Join(names(a.contenders("", nil)), ", "))
	f.StringVarP(&o.out, "out", "d", "", "folder to write result.json, result.csv and manifest.json to")
	f.BoolVar(&o.keepLogs, "keep-logs", false, "keep the folder with what the contenders printed")
	must(cmd.MarkFlagRequired("out"))
	return cmd
}

// loadScenarios reads all profiles before anything starts. refs says how each profile was named.
func loadScenarios(scenarios []string) (plans []*traffic.Plan, refs map[string]string, err error) {
	refs = map[string]string{}
	for _, s := range scenarios {
		name, flows := s, 0
		if i := strings.LastIndexByte(s, ':'); i >= 0 {
			if flows, err = strconv.Atoi(s[i+1:]); err != nil || flows < 1 {
				return nil, nil, fmt.Errorf("scenario %q: %q is no number of flows: write PROFILE or PROFILE:FLOWS", s, s[i+1:])
			}
			name = s[:i]
		}
		plan, err := loadPlan(name, flowCount(flows))
		if err != nil {
			return nil, nil, err
		}
		plans = append(plans, plan)
		refs[plan.Profile.Name] = name
	}
	return plans, refs, nil
}

// churned is the garbage that the second run of our worker has beside it.
const churned = "100MB"

func (a *app) contenders(self string, refs map[string]string) []compare.Contender {
	all := []compare.Contender{
		&peer.Self{Label: worker.Name, Program: self, Command: []string{"worker"}, Refs: refs},
		&peer.Self{Label: worker.Name + "-bare", Program: self, Command: []string{"worker", "--bare"}, Refs: refs, Only: basic},
		&peer.Self{Label: worker.Name + "-churn", Program: self, Command: []string{"worker", "--churn", churned}, Refs: refs, Only: basic},
		peer.Testpmd{Mode: "io"},
		peer.Testpmd{Mode: "macswap", Only: small},
		&peer.Self{Label: peer.SpinName, Program: self, Command: []string{"spin"}, Only: basic},
		&peer.Self{Label: memcpyName, Program: self, Command: []string{"memcpy"}, Refs: refs, Only: large},
		&peer.Self{Label: memcpyRAMName, Program: self, Command: []string{"memcpy", "--area", strconv.Itoa(ramAreaMB)}, Refs: refs, Only: large},
	}
	for _, v := range peer.OpenVSwitches() {
		all = append(all, v)
	}
	return all
}

// basic profiles are where jitter is looked at: encapsulation of small frames of few flows.
func basic(p *profile.Profile) bool {
	return p.Direction == profile.Encap && p.Flows <= 1000 && p.MaxBytes() < 128 && p.ACLs <= 100
}

// small profiles have few enough flows to start quickly.
func small(p *profile.Profile) bool { return p.Flows <= 200_000 }

// large profiles are those whose frames cost by their bytes.
func large(p *profile.Profile) bool { return p.MeanBytes() >= 1024 }

func names(contenders []compare.Contender) (n []string) {
	for _, c := range contenders {
		n = append(n, c.Name())
	}
	return n
}

// choose keeps the contenders that are named, all when none is.
func choose(all []compare.Contender, only []string) (some []compare.Contender, err error) {
	byName := map[string]compare.Contender{}
	for _, c := range all {
		byName[c.Name()] = c
	}
	for _, name := range only {
		c, known := byName[name]
		if !known {
			return nil, fmt.Errorf("there is no contender %q: there are %s", name, strings.Join(names(all), ", "))
		}
		some = append(some, c)
	}
	if len(only) == 0 {
		return all, nil
	}
	return some, nil
}

func (a *app) compare(ctx context.Context, plans []*traffic.Plan, refs map[string]string, o compareFlags) (err error) {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	contenders, err := choose(a.contenders(self, refs), o.only)
	if err != nil {
		return err
	}
	if o.rounds < 1 || o.windows < 1 || o.retries < 0 || o.seconds < 0 {
		return fmt.Errorf("%s with %s: choose at least one of each", result.Count(o.rounds, "round"), result.Count(o.windows, "window"))
	}
	if err := machine.CheckCore(o.core); err != nil {
		return err
	}
	if err := machine.LeaveCore(o.core); err != nil {
		return err
	}
	memoryMB := 0
	for _, plan := range plans {
		memoryMB = max(memoryMB, peer.OpenVSwitchMemoryMB(plan))
	}
	pages, err := machine.ReserveHugepages(memoryMB)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pages.Release()) }()
	if pages.Note != "" {
		fmt.Fprintf(a.err, "sluice-pktgen: %s\n", pages.Note)
	}
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return fmt.Errorf("make a folder for the contenders: %w", err)
	}
	if o.keepLogs {
		fmt.Fprintf(a.out, "what the contenders print is kept in %s\n", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	r := a.newResult(o.core)
	runErr := compare.Run(ctx, compare.Options{
		Plans: plans, Contenders: contenders, Rounds: o.rounds, Retries: o.retries, Pause: retryPause, Seconds: o.seconds, Dir: dir, Progress: a.out,
		Job:  compare.Job{Core: o.core, ControlCore: machine.ControlCore(o.core), Warmup: o.warmup, Windows: o.windows, Clock: dpdk.TSC},
		Keep: func(r *compare.Result) error { return r.WriteAll(o.out) },
		Busy: func() func() *measure.Busy { return machine.Watch(o.core) },
	}, r)
	report.Print(a.out, r)
	return runErr
}

// retryPause is about as long as others take to finish what they are at.
const retryPause = 5 * time.Second

func (a *app) newResult(core int) *compare.Result {
	m := a.manifest(core)
	m.TSCHz = measure.Frequency(dpdk.TSC)
	m.HugepagesMB = machine.HugepagesMB()
	if v := peer.OpenVSwitchVersion(); v != "" {
		m.Versions["Open vSwitch"] = v
	}
	return compare.NewResult(m)
}

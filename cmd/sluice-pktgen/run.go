package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/generator"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/search"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dpdk"
)

// runFlags are the flags of the run command.
type runFlags struct {
	profile  string
	flows    flowCount
	tx, rx   []string
	rate     string
	duration time.Duration
	warmup   time.Duration
	settle   time.Duration
	wait     time.Duration
	core     int
	output   string

	hugepages string

	search     bool
	loss       []float64
	resolution float64
	trial      time.Duration
	trials     int
	maxTrials  int
}

const runHelp = `Send a profile's traffic by real ports, and judge what comes back: loss, order, duplicates, latency.

A device is what DPDK calls one: a PCI address, or a driver with its arguments, such as
  0000:03:00.0                                   a NIC that is bound to vfio-pci
  net_af_packet0,iface=eth1                      an interface of the kernel: veth, a tap of the switch, a NIC
  net_memif0,role=client,socket=/run/x.sock      shared memory with another process
  net_vhost0,iface=/run/x.sock                   a VM's port, seen from the host
  net_virtio_user0,path=/run/x.sock              the same, seen from the VM
  net_null0, net_ring0, net_pcap0,tx_pcap=FILE   memory, files
A profile with several senders has several ports: --tx t1-vm1=DEVICE --tx t1-vm2=DEVICE; a device without a name stands
for all that are left. Without --rx nobody looks at what arrives.

Rates count frames (2.5Mpps) or bits on the wire, with FCS, preamble and gap (10Gbit). With --search, or a profile that
has search, the highest rates are found at which no more than the given share is lost. See docs/PKTGEN.md.`

func (a *app) runCommand() *cobra.Command {
	var o runFlags
	cmd := &cobra.Command{
		Use: "run --profile PROFILE --tx DEVICE [--rx DEVICE]", Short: "Send a profile's traffic by real ports, and judge what comes back",
		Args: cobra.NoArgs, Long: runHelp,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.generate(cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.profile, "profile", "", "profile")
	flowsFlag(f, &o.flows)
	f.StringArrayVar(&o.tx, "tx", nil, "[PORT=]DEVICE to send by; may be repeated")
	f.StringArrayVar(&o.rx, "rx", nil, "[PORT=]DEVICE to receive by; may be repeated, and be one that sends")
	f.StringVar(&o.rate, "rate", "", "max, 2.5Mpps or 10Gbit, instead of the profile's")
	f.DurationVar(&o.duration, "duration", 0, "time to send, instead of the profile's")
	f.DurationVar(&o.warmup, "warmup", 500*time.Millisecond, "time to send before anything counts: the device learns its flows")
	f.DurationVar(&o.settle, "settle", 500*time.Millisecond, "time to wait for frames that are on their way, at most")
	f.DurationVar(&o.wait, "wait", 10*time.Second, "time to wait for links to come up, at most")
	f.IntVar(&o.core, "core", 1, "core of the generator")
	f.StringVar(&o.hugepages, "hugepages", "auto", "auto, on or off: auto adds what is missing for the time of the run, as root")
	f.StringVarP(&o.output, "output", "o", "table", "table or json")
	f.BoolVar(&o.search, "search", false, "search for the highest rates, up to --rate")
	f.Float64SliceVar(&o.loss, "loss", []float64{0, 0.5}, "losses to search for, in percent: 0 is the NDR")
	f.Float64Var(&o.resolution, "resolution", 0.5, "how close the bounds of a rate shall be, in percent of it")
	f.DurationVar(&o.trial, "trial", time.Second, "length of a trial of the search")
	f.IntVar(&o.trials, "trials", 5, "trials that judge a rate, where they disagree")
	f.IntVar(&o.maxTrials, "max-trials", 300, "trials after which the search ends")
	must(cmd.MarkFlagRequired("profile"), cmd.MarkFlagRequired("tx"))
	return cmd
}

// generate checks everything before it starts anything.
func (a *app) generate(cmd *cobra.Command, o runFlags) error {
	plan, err := loadPlan(o.profile, o.flows)
	if err != nil {
		return err
	}
	if err := o.complete(plan, cmd.Flags().Changed); err != nil {
		return err
	}
	assigned, err := assign(plan, o.tx, o.rx)
	if err != nil {
		return err
	}
	if o.search && len(o.rx) == 0 {
		return errors.New("a search needs a device to receive by: name one with --rx DEVICE")
	}
	if err := machine.CheckCore(o.core); err != nil {
		return err
	}
	if err := machine.LeaveCore(o.core); err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	return a.onDevices(cmd.Context(), plan, assigned, o)
}

// complete takes from the profile what no flag says, and checks the rest.
func (o *runFlags) complete(plan *traffic.Plan, given func(string) bool) error {
	p := &plan.Profile
	if o.rate != "" {
		rate, err := profile.ParseRate(o.rate)
		if err != nil {
			return fmt.Errorf("--rate %w", err)
		}
		p.Rate = rate
	}
	if s := p.Search; s != nil {
		o.search = true
		if !given("loss") {
			o.loss = s.LossPercent
		}
		if !given("resolution") {
			o.resolution = 100 * s.Resolution
		}
		if !given("trial") {
			o.trial = s.Trial
		}
	}
	if given("duration") {
		p.Duration = o.duration
	}
	if p.Duration <= 0 || o.warmup < 0 || o.settle < 0 || o.wait < 0 {
		return fmt.Errorf("%s of sending after %s of warm-up, %s and %s of waiting: choose times above zero", p.Duration, o.warmup, o.settle, o.wait)
	}
	if o.output != "table" && o.output != "json" {
		return fmt.Errorf("--output %q: there are table and json", o.output)
	}
	if !slices.Contains([]string{"auto", "on", "off"}, o.hugepages) {
		return fmt.Errorf("--hugepages %q: there are auto, on and off", o.hugepages)
	}
	if o.search {
		return o.searchConfig(1, 2).Check()
	}
	return nil
}

func (o *runFlags) searchConfig(low, high float64) search.Config {
	c := search.Config{MinLoad: low, MaxLoad: high, Resolution: o.resolution / 100, Trial: o.trial, Trials: o.trials, Exceed: 0.5, MaxTrials: o.maxTrials}
	for _, loss := range o.loss {
		name := "NDR"
		if loss > 0 {
			name = fmt.Sprintf("PDR %g %%", loss)
		}
		c.Goals = append(c.Goals, search.Goal{Name: name, LossRatio: loss / 100})
	}
	return c
}

// onDevices runs between opening the devices and giving them back.
func (a *app) onDevices(ctx context.Context, plan *traffic.Plan, assigned *assignment, o runFlags) (err error) {
	d, err := openLab(plan, assigned, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	g, err := generator.Start(generator.Spec{Plan: plan, Poller: d.poller, Devices: assigned.devices, Core: o.core, TSCHz: float64(dpdk.TSCHz())})
	if err != nil {
		return err
	}
	defer g.Close()
	pps := 0.0
	if r := plan.Profile.Rate; !r.Max() {
		pps = rateOf(r, g.WireBytes())
		if err := d.checkRate(assigned, pps, g.WireBytes()); err != nil {
			return err
		}
	}
	doc := &generator.Document{Manifest: a.manifest(o.core), Profile: plan.Profile, Send: o.tx, Receive: o.rx, Notes: d.notes()}
	doc.Manifest.HugepagesMB = machine.HugepagesMB()
	doc.Notes = append(doc.Notes, g.Notes()...)
	a.warn(doc, fullRings(assigned)...)
	runErr := a.trials(ctx, g, doc, pps, o)
	if doc.Result != nil {
		if short := doc.Result.Shortfall(); short != "" {
			doc.Warnings = append([]string{short}, doc.Warnings...)
		}
	}
	if runErr != nil {
		doc.Partial = runErr.Error()
		if errors.Is(runErr, context.Canceled) {
			doc.Partial = errInterrupted.Error()
		}
	}
	if o.output == "json" {
		return errors.Join(runErr, doc.WriteJSON(a.out))
	}
	doc.Print(a.out)
	return runErr
}

// warn says at once what stands above the result later: a run may be long.
func (a *app) warn(doc *generator.Document, warnings ...string) {
	for _, warning := range warnings {
		fmt.Fprintln(a.err, "warning: "+warning)
	}
	doc.Warnings = append(doc.Warnings, warnings...)
}

// fullRings warns of rings in memory that are sent by and not received from.
func fullRings(a *assignment) (warnings []string) {
	for _, d := range a.devices {
		if strings.HasPrefix(d.Name, "net_ring") && !d.Receive {
			warnings = append(warnings, fmt.Sprintf("%s gives back what it is sent, and nobody receives: it is full after 1,023 frames: add --rx %s", d.Name, d.Name))
		}
	}
	return warnings
}

// rateOf is a rate in frames per second, where the frames take so many bytes on a wire.
func rateOf(r profile.Rate, wireBytes float64) float64 {
	if r.BPS > 0 {
		return r.BPS / 8 / wireBytes
	}
	return r.PPS
}

// notes are what opening the devices has to say.
func (d *devices) notes() (notes []string) {
	if d.memory.Note != "" {
		notes = append(notes, d.memory.Note)
	}
	if d.pages != nil && d.pages.Note != "" {
		notes = append(notes, d.pages.Note)
	}
	for _, device := range d.open {
		notes = append(notes, device.Notes()...)
	}
	return notes
}

// trials warms the device under test up, then measures once, or searches.
func (a *app) trials(ctx context.Context, g *generator.Generator, doc *generator.Document, pps float64, o runFlags) error {
	warm := generator.Trial{PPS: pps, Length: o.warmup, Settle: o.settle}
	neighbours := machine.WatchCore(o.core)
	var before generator.Result
	if o.warmup > 0 {
		var err error
		if before, err = g.Run(ctx, warm, nil); err != nil {
			return fmt.Errorf("warm-up: %w", err)
		}
		a.warn(doc, sharedCore(o.core, neighbours())...)
	}
	if o.search {
		return a.find(ctx, g, doc, pps, before.OfferedPPS, o)
	}
	trial := generator.Trial{PPS: pps, Length: doc.Profile.Duration, Settle: o.settle, Every: time.Second}
	result, err := g.Run(ctx, trial, func(p generator.Progress) { fmt.Fprintln(a.err, p.Line(g.Receives())) })
	doc.Result = &result
	if o.warmup == 0 {
		a.warn(doc, sharedCore(o.core, neighbours())...)
	}
	return err
}

// sharedCore warns of threads that the generator takes turns with, which makes both slow and every latency long.
func sharedCore(core int, neighbours []machine.Neighbour) (warnings []string) {
	for _, n := range neighbours {
		warnings = append(warnings, fmt.Sprintf("core %d is not the generator's alone: thread %s of %s (process %d) is pinned to it and ran %.0f %% of the time: choose another with --core",
			core, n.Thread, n.Command, n.Process, 100*n.Share))
	}
	return warnings
}

// leastShare of the highest load is where a search gives up.
const leastShare = 1e-4

// find searches for the highest rates: up to the given one, or to what the generator did in the warm-up.
func (a *app) find(ctx context.Context, g *generator.Generator, doc *generator.Document, pps, most float64, o runFlags) error {
	if pps > 0 {
		most = pps
	}
	if most <= 0 {
		return errors.New("the search does not know how high to begin: name the highest rate with --rate, or leave the warm-up on")
	}
	result, err := search.Search(ctx, o.searchConfig(math.Max(1, most*leastShare), most), func(ctx context.Context, load float64, length time.Duration) (search.Outcome, error) {
		r, err := g.Run(ctx, generator.Trial{PPS: load, Length: length, Settle: o.settle}, nil)
		return r.Outcome(), err
	}, func(o search.Outcome) { fmt.Fprintln(a.err, generator.TrialLine(o)) })
	doc.Search = result
	return err
}

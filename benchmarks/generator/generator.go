// Package generator sends the traffic of a profile through a device under test and judges what comes back: loss, order,
// duplicates and latency. One thread on one core sends and receives, through the same Poller that the switch's workers
// have, so that the generator runs on every port that the switch does.
//
//	templates ─ pace ─ stamp ─► Poller ──► device under test ──► Poller ─► read stamp ─ order, latency, counts
//
// The numbers of one trial belong to the worker's thread while it runs; it hands them out once in a while, whole.
package generator

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/benchmarks/jitter"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/search"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dataplane"
)

// Device is a port to send and receive by.
type Device struct {
	Name    string
	Handle  uint32 // that the poller knows
	Receive bool   // what arrives here is judged
	Sources []string
	Sinks   []string // ports of the plan: what they send leaves here, what is for them is to arrive here
}

// Spec says what to send, on what.
type Spec struct {
	Plan    *traffic.Plan
	Poller  dataplane.Poller
	Devices []Device
	Core    int // -1: wherever
	TSCHz   float64
}

// Generator is ready to run trials, one after the other.
type Generator struct {
	Spec
	worker *worker
	trials chan trial
	done   chan struct{}
	number uint8
	hists  chan *jitter.LoopTimes // to be filled
}

// Trial asks for one measurement.
type Trial struct {
	PPS    float64       // frames per second; 0 is as many as possible
	Length time.Duration // of sending
	Settle time.Duration // to wait for frames that are on their way, at most
	Every  time.Duration // between two calls of progress
}

// trial is what the worker gets.
type trial struct {
	perCycle      float64
	length        uint64 // cycles
	settle, every uint64
	mark          uint16
	abort         *atomic.Bool
	hist          *jitter.LoopTimes
	spare         <-chan *jitter.LoopTimes
	reports       chan<- report
}

// report is what the worker hands out: counts since the trial began, latency since the last report.
type report struct {
	counts  Counts
	cycles  uint64 // since the trial began
	sending uint64 // cycles, of them with frames to send
	stalled uint64 // cycles, of those, in which somebody else had the core
	hist    *jitter.LoopTimes
	last    bool
}

// Progress is what happened in an interval of a trial.
type Progress struct {
	At       time.Duration // since the trial began
	Interval float64       // s
	Counts   Counts        // of the interval; frames that are on their way are not lost
	Total    Counts
	Latency  Latency
}

// Result is what one trial measured.
type Result struct {
	AskedPPS    float64 `json:"askedPPS"` // frames per second; 0: as many as possible
	Seconds     float64 `json:"seconds"`  // of sending
	Stalled     float64 `json:"stalled"`  // s, of them, in turns of the loop of over 500 µs: something else had the core
	OfferedPPS  float64 `json:"offeredPPS"`
	OfferedBPS  float64 `json:"offeredBPS"` // bits per second on a wire; FCS, preamble and gap counted
	ReceivedPPS float64 `json:"receivedPPS"`
	Counts
	Lost      uint64  `json:"lost"`
	LossRatio float64 `json:"lossRatio"`
	Latency   Latency `json:"latency"`
	Partial   bool    `json:"partial,omitempty"` // it was interrupted
}

// Start makes the frames, takes a thread, and makes itself known to the device under test. It owns the poller from then
// on, also on an error.
func Start(s Spec) (*Generator, error) {
	outputs, sinks := map[string]uint16{}, map[string]uint16{}
	for i, d := range s.Devices {
		for _, port := range d.Sources {
			outputs[port] = uint16(i)
		}
		for _, port := range d.Sinks {
			sinks[port] = uint16(i)
		}
	}
	t, err := newTemplates(s.Plan, outputs, sinks)
	if err != nil {
		s.Poller.Close()
		return nil, err
	}
	g := &Generator{Spec: s, trials: make(chan trial), done: make(chan struct{}), hists: make(chan *jitter.LoopTimes, 4)}
	for range cap(g.hists) {
		g.hists <- jitter.New()
	}
	g.worker = newWorker(g, t)
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, with its affinity, ends with the goroutine
		defer close(g.done)
		defer s.Poller.Close()
		err := g.worker.enter()
		ready <- err
		for tr := range g.trials {
			g.worker.run(tr)
		}
		g.worker.leave()
	}()
	if err := <-ready; err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// Close ends the thread and gives the poller back.
func (g *Generator) Close() {
	close(g.trials)
	<-g.done
}

// Notes say what to know about the results.
func (g *Generator) Notes() []string { return g.worker.notes }

// WireBytes is what the mean frame takes on a wire: FCS, preamble and gap counted.
func (g *Generator) WireBytes() float64 { return g.worker.wire }

// Receives reports whether arrivals are looked at: without it nothing is known but what was sent.
func (g *Generator) Receives() bool {
	for _, d := range g.Devices {
		if d.Receive {
			return true
		}
	}
	return false
}

// Run makes one trial. When ctx ends it stops sending, waits for what is on its way, and returns what was measured, marked
// as partial, with the context's error.
func (g *Generator) Run(ctx context.Context, t Trial, progress func(Progress)) (Result, error) {
	if t.Length <= 0 || t.PPS < 0 {
		return Result{}, fmt.Errorf("trial of %s at %g frames per second: %w: choose a time above zero, and a rate of 0 (as fast as possible) or more", t.Length, t.PPS, errTrial)
	}
	if t.Every <= 0 {
		t.Every = time.Second
	}
	cycles := func(d time.Duration) uint64 { return uint64(d.Seconds() * g.TSCHz) }
	if !g.Receives() {
		t.Settle = 0 // there is nothing to wait for
	}
	g.number++
	var abort atomic.Bool
	stop := context.AfterFunc(ctx, func() { abort.Store(true) })
	defer stop()
	reports := make(chan report, cap(g.hists))
	tr := trial{perCycle: t.PPS / g.TSCHz, length: cycles(t.Length), settle: cycles(t.Settle), every: cycles(t.Every),
		mark: markOfOurs<<8 | uint16(g.number), abort: &abort, hist: <-g.hists, spare: g.hists, reports: reports}
	tr.hist.Reset()
	g.trials <- tr
	total := jitter.New()
	var last report
	for r := range reports {
		if progress != nil && !r.last {
			progress(g.progress(r, last))
		}
		for i, n := range r.hist.Counts {
			total.Counts[i] += n
		}
		g.hists <- r.hist
		last = r
	}
	res := g.result(t, last, total)
	res.Partial = abort.Load()
	if res.Partial {
		return res, ctx.Err()
	}
	return res, nil
}

var errTrial = errors.New("impossible trial")

func (g *Generator) progress(now, before report) Progress {
	return Progress{At: time.Duration(float64(now.cycles) / g.TSCHz * 1e9), Interval: float64(now.cycles-before.cycles) / g.TSCHz,
		Counts: now.counts.minus(before.counts), Total: now.counts, Latency: latencyOf(now.hist, g.TSCHz)}
}

func (g *Generator) result(t Trial, r report, total *jitter.LoopTimes) Result {
	res := Result{AskedPPS: t.PPS, Seconds: float64(r.sending) / g.TSCHz, Stalled: float64(r.stalled) / g.TSCHz, Counts: r.counts, Latency: latencyOf(total, g.TSCHz)}
	if res.Seconds > 0 {
		res.OfferedPPS = float64(r.counts.Sent) / res.Seconds
		res.OfferedBPS = float64(r.counts.SentBytes+r.counts.Sent*uint64(profile.WireBytes(0))) * 8 / res.Seconds
		res.ReceivedPPS = float64(r.counts.Received) / res.Seconds
	}
	if g.Receives() {
		res.Lost, res.LossRatio = r.counts.Lost(), r.counts.LossRatio()
	}
	return res
}

// Outcome is what a search makes of a result. Frames that the device under test left no room for are lost ones: where a
// ring in memory is full, whoever should empty it is too slow. The rate is that of the time in which the generator had its
// core.
func (r *Result) Outcome() search.Outcome {
	o := search.Outcome{Sent: r.Sent + r.Blocked, Lost: r.Lost + r.Blocked, P50Ns: r.Latency.P50Ns, P99Ns: r.Latency.P99Ns}
	if awake := r.Seconds - r.Stalled; awake > 0 {
		o.Stalled = r.Stalled / r.Seconds
		o.Offered = float64(o.Sent) / awake
	}
	return o
}

// pin keeps the calling thread on a core.
func pin(core int) error {
	if core < 0 {
		return nil
	}
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin the generator to core %d: %w (choose a core that exists and that this process may use)", core, err)
	}
	return nil
}

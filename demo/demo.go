// Package demo shows sluice at work on one machine: two hosts with a fabric between them, three tenants with the same
// addresses, two by NVGRE and one by IP rewrite, real virtual switches and real packets.
//
//	host-a: sluiced ── eth1 ──┐                     ┌── eth1 ── sluiced: host-b
//	  red-…   VM namespaces   └── bridge (fabric) ──┘   red-…   VM namespaces
//	  blue-…  with a tap each       dumpcap              blue-…  with a tap each
//	  green-…                                            green-…
//
// Run builds it from the sample configurations, checks that it does what it should, and reports. A reaper process takes
// everything down again, however the demo ends.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sluicenet/sluice/demo/netlab"
)

// What a demo is known by on its machine.
const (
	prefix  = "sluice-demo-"     // of its namespaces
	runDir  = "/run/sluice-demo" // logs, sockets, configurations
	keptTag = "kept"             // file of runDir: the demo was left running on purpose
)

// Options of a demo.
type Options struct {
	Sluiced  string        // path of the daemon; empty: beside our own binary, else in PATH
	Duration time.Duration // of each measurement, two per tenant
	Keep     bool          // leave it running
	Capture  string        // file for the capture of the wire; empty: do not keep it
	Progress io.Writer     // where to say what happens meanwhile
	Reaper   []string      // command that calls Reap, normally our own binary with a hidden flag
}

// Run builds the demo, runs its checks and takes it down, or with Keep leaves it. The error says that it could not be
// carried out, a cancelled ctx included; a check that failed is in the report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	started := time.Now()
	sluiced, err := preflight(o)
	if err != nil {
		return nil, err
	}
	lab, err := open(ourName(o.Reaper[0]))
	if err != nil {
		return nil, err
	}
	defer lab.Close()
	reaper, err := lab.StartReaper(o.Reaper...)
	if err != nil {
		return nil, err
	}
	keep := false
	defer func() {
		if keep {
			err = reaper.Keep()
			return
		}
		err = errors.Join(err, reaper.Sweep())
	}()
	s := &stage{lab: lab, sluiced: sluiced, opts: o, progress: newProgress(o.Progress)}
	if report, err = s.play(ctx); err != nil {
		return nil, s.explain(ctx, err)
	}
	if o.Keep {
		if err := os.WriteFile(lab.Path(keptTag), nil, 0o644); err != nil {
			return nil, fmt.Errorf("keep the demo: %w", err)
		}
		keep, report.Kept = true, true
	}
	report.Seconds = time.Since(started).Seconds()
	return report, nil
}

// open takes the demo's lab, and sweeps what a demo left whose reaper was killed too. command is how a person calls us.
func open(command string) (*netlab.Lab, error) {
	lab, err := netlab.Open(prefix, runDir)
	if errors.Is(err, netlab.ErrBusy) {
		return nil, errors.New("another demo is running on this machine, or still cleaning up: wait for its end, or end it with Ctrl-C in its terminal")
	}
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(lab.Path(keptTag)); err == nil {
		lab.Close()
		return nil, fmt.Errorf("an earlier demo was left running with --keep: end it with: %s demo --down", command)
	}
	if err := errors.Join(lab.Sweep(), lab.Close()); err != nil {
		return nil, fmt.Errorf("sweep what an earlier demo left: %w", err)
	}
	return netlab.Open(prefix, runDir)
}

// Down ends a demo that was left running, with every process inside its namespaces. It reports whether there was one.
func Down() (bool, error) {
	if err := needRoot(); err != nil {
		return false, err
	}
	left, err := netlab.Left(prefix, runDir)
	if err != nil || len(left) == 0 {
		return false, err
	}
	lab, err := netlab.Open(prefix, runDir)
	if errors.Is(err, netlab.ErrBusy) {
		return false, errors.New("the demo is still at work, or cleaning up: end it with Ctrl-C in its terminal")
	}
	if err != nil {
		return false, err
	}
	return true, errors.Join(lab.Sweep(), lab.Close())
}

// Reap is the whole life of the process that takes a demo down after its end; stdin is the pipe from the demo.
func Reap(stdin io.Reader) error { return netlab.RunReaper(prefix, runDir, stdin) }

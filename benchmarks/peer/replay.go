package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

// wiring says which DPDK devices stand for the ports of a plan: replays and sinks, as for our own worker.
type wiring struct {
	devargs map[string]string // by port
	frames  map[string]int    // in the replays, by port
	sources []string          // names of devices
	sinks   []string
}

// wire names a device for each port of a plan that moves packets.
func wire(plan *traffic.Plan, files map[string]string) wiring {
	w := wiring{devargs: map[string]string{}, frames: map[string]int{}}
	for i, port := range plan.Sources {
		name := fmt.Sprintf("net_pcap%d", i)
		w.sources = append(w.sources, name)
		if files != nil {
			w.frames[port] = plan.FramesOf(port)
		}
		w.devargs[port] = fmt.Sprintf("%s,rx_pcap=%s,infinite_rx=1", name, files[port])
	}
	for i, port := range plan.Sinks {
		name := fmt.Sprintf("net_null%d", i)
		w.sinks = append(w.sinks, name)
		w.devargs[port] = name + ",no-rx=1"
	}
	return w
}

// frames is how many packets the replays hold.
func frames(plan *traffic.Plan) (n int) {
	for _, source := range plan.Sources {
		n += plan.FramesOf(source)
	}
	return n
}

const (
	startPatience  = 30 * time.Second
	settlePatience = 2 * time.Minute // Open vSwitch raises the number of flows that it keeps by a thousand at a time
	lossAllowed    = 0.001           // of the packets in a measurement
)

// filePrefix tells the DPDK programs of this process from all others on the machine.
func filePrefix(name string) string { return fmt.Sprintf("sluice-bench-%d-%s", os.Getpid(), name) }

// measureDPDK measures a DPDK program that forwards already, the first of the processes, from the counters of its devices.
// settled says when it knows all flows; nil: when each has passed three times.
func measureDPDK(ctx context.Context, job compare.Job, prefix string, w wiring, settled func() (bool, error), all ...*process) (s measure.Sample, err error) {
	var t *telemetry
	err = until(ctx, "look at its counters", startPatience, func() (bool, error) {
		var err error
		t, err = dialTelemetry(prefix)
		return err == nil, err
	}, all...)
	if err != nil {
		return s, err
	}
	defer t.close()
	ports, err := t.ports()
	if err != nil {
		return s, err
	}
	out := func() (uint64, error) { return t.sum(ports, w.sinks, sent) }
	in := func() (uint64, error) { return t.sum(ports, w.sources, received) }
	// Every flow three times, so that what is learned from the first packets is learned.
	first, err := out()
	if err != nil {
		return s, err
	}
	err = until(ctx, "forward packets", startPatience, func() (bool, error) {
		now, err := out()
		return err == nil && now-first >= 3*uint64(frames(job.Plan)), err
	}, all...)
	if err != nil {
		return s, err
	}
	if settled != nil {
		if err := until(ctx, "know every flow", settlePatience, settled, all...); err != nil {
			return s, err
		}
	}
	select {
	case <-ctx.Done():
		return s, ctx.Err()
	case <-time.After(job.Warmup):
	}
	// What goes out is read before and after what comes in, so that packets on their way do not look lost.
	outBefore, err1 := out()
	inBefore, err2 := in()
	waited := machine.WatchThread(all[0].pid())
	windows, runErr := measure.Series(ctx, job.Clock, job.Windows, job.Window, out)
	s.Waited = waited()
	inAfter, err3 := in()
	outAfter, err4 := out()
	if len(windows) > 0 {
		s.Set(windows)
	}
	if err := errors.Join(runErr, err1, err2, err3, err4); err != nil {
		return s, err
	}
	got, passed := inAfter-inBefore, outAfter-outBefore
	lost := float64(got-min(passed, got)) / float64(max(got, 1))
	s.Detail = map[string]float64{"dropShare": lost}
	if lost > lossAllowed {
		return s, fmt.Errorf("of %d packets only %d were sent on: it does not do the same work", got, passed)
	}
	return s, nil
}

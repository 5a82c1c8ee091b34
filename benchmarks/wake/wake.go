// Package wake measures what it costs a packet to find its worker asleep: a daemon gets single packets at random gaps, while
// its workers may sleep and while they poll on, by turns, and the kernel's own time stamps say how long each took. Before,
// the daemon is left alone, and its processor time is read.
//
//	vm 02:..:05 ── tap ── sluiced ── veth ── wire 02:..:07
package wake

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluicenet/sluice/demo/netlab"
)

// Spec says what to measure.
type Spec struct {
	Sluiced  string // path of the daemon
	Core     int    // of its worker
	Packets  int    // of one turn
	Idle     time.Duration
	Reaper   []string // command line of a program that calls netlab.RunReaper with Prefix and Dir
	Progress func(Sample)
}

// Prefix of the namespaces.
const Prefix = "sluice-wake-"

// Dir is the folder with logs and sockets of a turn.
func Dir() string { return filepath.Join(os.TempDir(), Prefix+"lab") }

const (
	fabric   = "fabric0"
	vmLink   = "vm"
	mtu      = 1500
	patience = 20 * time.Second
	meanGap  = 10 * time.Millisecond
	leastGap = time.Millisecond // longer than a worker polls on
)

// Device is where the packets come in.
type Device struct {
	Name   string
	uplink string // device of the uplink, in YAML
	byTap  bool   // they come by the tap, and leave by the uplink
}

// Devices are two that wake a worker, and one that does not.
var Devices = []Device{
	{"tap", "{driver: af_packet, interface: " + fabric + "}", true},
	{"af_packet", "{driver: af_packet, interface: " + fabric + "}", false},
	{"af_xdp (wakes nobody)", "{driver: af_xdp, interface: " + fabric + "}", false},
}

// Modes of dataplane.idle.
var Modes = []string{"adaptive", "busy"}

// Sample is one turn.
type Sample struct {
	Device, Mode  string
	Packets, Lost int
	P50, P99, Max time.Duration
	Worker        float64 // of a core, idle
	Daemon        float64 // likewise, all its threads
}

// Run measures each device in each mode. What was measured until an error is returned with it.
func Run(ctx context.Context, s Spec) (all []Sample, err error) {
	if _, err := os.Stat(s.Sluiced); err != nil {
		return nil, fmt.Errorf("the daemon: %w (build it: make build)", err)
	}
	l, err := netlab.Open(Prefix, Dir())
	if err != nil {
		return nil, err
	}
	if err := errors.Join(l.Sweep(), l.Close()); err != nil {
		return nil, err
	}
	for _, d := range Devices {
		for _, mode := range Modes {
			sample, err := turn(ctx, s, d, mode)
			if err != nil {
				return all, fmt.Errorf("%s, %s: %w", d.Name, mode, err)
			}
			all = append(all, sample)
			if s.Progress != nil {
				s.Progress(sample)
			}
		}
	}
	return all, nil
}

// turn builds everything anew, so that nothing of one turn is left in the next.
func turn(ctx context.Context, s Spec, d Device, mode string) (sample Sample, err error) {
	l, err := netlab.Open(Prefix, Dir())
	if err != nil {
		return sample, err
	}
	reaper, err := l.StartReaper(s.Reaper...)
	if err != nil {
		return sample, errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, l.Close(), reaper.Sweep()) }()
	var spaces [3]*netlab.Namespace
	for i, name := range []string{"host", "vm", "wire"} {
		if spaces[i], err = l.AddNamespace(name); err != nil {
			return sample, err
		}
	}
	host, vm, wire := spaces[0], spaces[1], spaces[2]
	if err := l.AddVeth(host, fabric, wire, fabric, mtu); err != nil {
		return sample, err
	}
	daemon, err := start(ctx, l, s, d, mode, host, vm)
	if err != nil {
		return sample, err
	}
	sample = Sample{Device: d.Name, Mode: mode}
	if sample.Worker, sample.Daemon, err = idle(ctx, daemon.PID(), s.Core, s.Idle); err != nil {
		return sample, err
	}
	ends := [2]*end{{mac: vmMAC}, {mac: wireMAC}}
	defer ends[0].close()
	defer ends[1].close()
	if err := errors.Join(ends[0].open(vm, vmLink), ends[1].open(wire, fabric)); err != nil {
		return sample, err
	}
	from, to := ends[1], ends[0]
	if d.byTap {
		from, to = to, from
	}
	return sample, offCore(s.Core, func() error { return measure(ctx, s, from, to, &sample) })
}

func start(ctx context.Context, l *netlab.Lab, s Spec, d Device, mode string, host, vm *netlab.Namespace) (*netlab.Process, error) {
	file := l.Path("host.yaml")
	text := configuration(l.Path("host.sock"), s.Core, d, mode, vm.Name())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	p, err := host.Start("sluiced", s.Sluiced, "--config", file)
	if err != nil {
		return nil, err
	}
	return p, p.WaitLog(ctx, "msg=ready", patience)
}

func configuration(socket string, core int, d Device, mode, vm string) string {
	return fmt.Sprintf(`host: {name: host}
daemon: {socket: %q, metrics: "off"}
dataplane: {cores: [%d], idle: {mode: %s}}
uplinks:
  - {name: up0, device: %s, mtu: %d}
vports:
  - {name: %s, device: {driver: tap, namespace: %q}, mac: %q, uplink: up0, passThrough: true}
`, socket, core, mode, d.uplink, mtu, vmLink, vm, vmMAC)
}

// measure sends the packets. First both ends make themselves known to the switch.
func measure(ctx context.Context, s Spec, from, to *end, sample *Sample) error {
	for range 5 {
		if err := errors.Join(from.send(to), to.send(from)); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	from.drain()
	to.drain()
	delays := make([]time.Duration, 0, s.Packets)
	for range s.Packets {
		if err := ctx.Err(); err != nil {
			return err
		}
		time.Sleep(leastGap + time.Duration(rand.ExpFloat64()*float64(meanGap-leastGap)))
		sent := time.Now()
		if err := from.send(to); err != nil {
			return err
		}
		arrived, err := to.receive()
		if err != nil {
			return err
		}
		sample.Packets++
		if arrived.IsZero() {
			sample.Lost++
			continue
		}
		delays = append(delays, arrived.Sub(sent))
	}
	if len(delays) == 0 {
		return errors.New("no packet came through")
	}
	slices.Sort(delays)
	sample.P50, sample.P99, sample.Max = delays[len(delays)/2], delays[len(delays)*99/100], delays[len(delays)-1]
	return nil
}

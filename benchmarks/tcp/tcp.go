// Package tcp measures TCP between two VMs on two hosts: through our switch, and through Open vSwitch's userspace
// datapath, by turns, on one machine. VMs and hosts are network namespaces, VMs have taps, the fabric is a veth pair:
//
//	vm-a 10.0.0.5 ── tap ── host-a 172.16.1.1 ── veth, MTU 1600 ── host-b 172.16.1.2 ── tap ── vm-b 10.0.0.7
//	     iperf3 -c            switch                                  switch             iperf3 -s
package tcp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/demo/netlab"
)

// Spec says what to measure.
type Spec struct {
	Sluiced  string // path of the daemon
	Rounds   int
	Duration time.Duration // of one iperf3
	Progress func(Sample)
	KeepLogs bool
	Reaper   []string // command line of a program that calls netlab.RunReaper with Prefix and Dir
}

// MinRounds make a median and a spread worth their names.
const MinRounds = 5

// Prefix of the namespaces.
const Prefix = "sluice-tcp-"

// Dir is the folder with logs and sockets of a turn.
func Dir() string { return filepath.Join(os.TempDir(), Prefix+"lab") }

// The VMs and their hosts.
const (
	fabricMTU = 1600
	uplink    = "fabric0"
	vsid      = 6001
	warmup    = time.Second
	patience  = 20 * time.Second
)

// end is one host with its VM.
type end struct {
	name   string
	pa, ca string
	mac    string
	host   *netlab.Namespace
	vm     *netlab.Namespace
}

func (e *end) tap() string { return "vm-" + e.name }

// lab is both hosts.
type lab struct {
	*netlab.Lab
	ends [2]*end
}

func (l *lab) other(e *end) *end {
	if e == l.ends[0] {
		return l.ends[1]
	}
	return l.ends[0]
}

// contender is a switch that runs on both hosts.
type contender interface {
	name() string
	// available says why it cannot take part; nil if it can.
	available() error
	// start runs it on both hosts and connects the VMs. The processes returned are all that move packets or decide.
	start(ctx context.Context, l *lab) ([]*netlab.Process, error)
}

// Run measures all contenders by turns. The result is what is complete, also with an error.
func Run(ctx context.Context, s Spec) (*Result, error) {
	if s.Rounds < 1 || s.Duration < time.Second {
		return nil, fmt.Errorf("%s of %s: want at least one round, of a second", result.Count(s.Rounds, "round"), s.Duration)
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("tcp: it makes network namespaces, and needs root")
	}
	r := &Result{Began: time.Now(), Rounds: s.Rounds, Duration: s.Duration, Partial: true, Missing: map[string]string{}}
	var all []contender
	for _, c := range []contender{&sluice{program: s.Sluiced}, &openVSwitch{}, &openVSwitch{afxdp: true}} {
		if err := c.available(); err != nil {
			r.Missing[c.name()] = err.Error()
			continue
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return r, errors.New("nothing to measure: nobody can take part")
	}
	if err := sweep(); err != nil {
		return r, err
	}
	for round := range s.Rounds {
		for i := range all {
			c := all[(i+round)%len(all)] // none is always the first one
			sample, err := turn(ctx, c, s)
			if err != nil {
				r.summarise()
				return r, fmt.Errorf("%s, round %d: %w", c.name(), round+1, err)
			}
			sample.Round = round + 1
			r.Samples = append(r.Samples, sample)
			if s.Progress != nil {
				s.Progress(sample)
			}
		}
	}
	r.Partial = false
	r.summarise()
	return r, nil
}

// sweep removes what an earlier run kept.
func sweep() error {
	l, err := netlab.Open(Prefix, Dir())
	if err != nil {
		return err
	}
	return errors.Join(l.Sweep(), l.Close())
}

// turn builds everything anew, so that nothing of one turn is left in the next.
func turn(ctx context.Context, c contender, s Spec) (sample Sample, err error) {
	inner, err := netlab.Open(Prefix, Dir())
	if err != nil {
		return sample, err
	}
	l := &lab{Lab: inner}
	reaper, err := l.StartReaper(s.Reaper...)
	if err != nil {
		return sample, errors.Join(err, l.Close())
	}
	defer func() {
		end := reaper.Sweep
		if s.KeepLogs && err != nil {
			end = reaper.Keep
		}
		err = errors.Join(err, l.Close(), end())
	}()
	if err := l.build(); err != nil {
		return sample, err
	}
	processes, err := c.start(ctx, l)
	if err != nil {
		return sample, err
	}
	if err := l.connect(ctx); err != nil {
		return sample, err
	}
	to := netip.MustParseAddr(l.ends[1].ca)
	if _, err := netlab.Iperf(ctx, l.ends[0].vm, l.ends[1].vm, to, netlab.IperfOptions{Duration: warmup}); err != nil {
		return sample, err
	}
	before, err := cpuOf(processes)
	if err != nil {
		return sample, err
	}
	began := time.Now()
	rate, err := netlab.Iperf(ctx, l.ends[0].vm, l.ends[1].vm, to, netlab.IperfOptions{Duration: s.Duration})
	if err != nil {
		return sample, err
	}
	after, err := cpuOf(processes)
	if err != nil {
		return sample, err
	}
	return Sample{
		Contender: c.name(), BitsPerSecond: rate.BitsPerSecond, Retransmits: rate.Retransmits, Seconds: time.Since(began).Seconds(),
		UserSeconds: after.user - before.user, SystemSeconds: after.system - before.system,
	}, nil
}

// build makes the hosts, the VMs and the wire between the hosts.
func (l *lab) build() error {
	for i, e := range []end{
		{name: "a", pa: "172.16.1.1", ca: "10.0.0.5", mac: "00:15:5d:00:01:05"},
		{name: "b", pa: "172.16.1.2", ca: "10.0.0.7", mac: "00:15:5d:00:01:07"},
	} {
		var err error
		if e.host, err = l.AddNamespace("host-" + e.name); err != nil {
			return err
		}
		if e.vm, err = l.AddNamespace("vm-" + e.name); err != nil {
			return err
		}
		l.ends[i] = &e
	}
	return l.AddVeth(l.ends[0].host, uplink, l.ends[1].host, uplink, fabricMTU)
}

// connect gives the VMs their addresses, and waits until they hear each other.
func (l *lab) connect(ctx context.Context) error {
	for _, e := range l.ends {
		if err := e.vm.AddAddress(e.tap(), netip.MustParsePrefix(e.ca+"/24")); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(patience)
	for {
		_, err := l.ends[0].vm.Ping(ctx, netip.MustParseAddr(l.ends[1].ca), netlab.PingOptions{Count: 1})
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
	}
}

package demo

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicenet/sluice/api"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/api/sluice/v1/sluicev1connect"
	"github.com/sluicenet/sluice/configs"
	"github.com/sluicenet/sluice/demo/netlab"
)

// samples are the configurations that the demo runs, the same that a reader finds in configs.
var samples = []string{"laptop-a.yaml", "laptop-b.yaml"}

// stage is the demo while it runs.
type stage struct {
	lab      *netlab.Lab
	sluiced  string
	opts     Options
	progress *progress

	plan    *plan
	casts   []cast
	fabric  *netlab.Namespace
	hosts   []*netlab.Namespace
	daemons []*netlab.Process
	clients []sluicev1connect.SluiceServiceClient
	vms     map[*vm]*netlab.Namespace
}

// play is the whole performance.
func (s *stage) play(ctx context.Context) (*Report, error) {
	var err error
	if s.plan, err = makePlan(samples, configs.Files.ReadFile); err != nil {
		return nil, err
	}
	if s.casts, err = s.plan.casting(); err != nil {
		return nil, err
	}
	report := newReport(s)
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"build two hosts, a fabric and " + fmt.Sprint(len(s.plan.vms)) + " VMs", s.build},
		{"start sluiced on " + s.plan.hosts[0].Name + " and " + s.plan.hosts[1].Name, s.startDaemons},
		{"configure the VMs", s.configureVMs},
		{"check reachability and isolation, with a capture of the wire", func(ctx context.Context) error { return s.checkWire(ctx, report) }},
		{"measure TCP and UDP", func(ctx context.Context) error { return s.measure(ctx, report) }},
		{"add up the counters", func(ctx context.Context) error { return s.checkCounters(ctx, report) }},
	}
	for _, step := range steps {
		done := s.progress.step(step.what)
		err := step.do(ctx)
		if err == nil {
			err = ctx.Err()
		}
		done(err)
		if err != nil {
			return nil, err
		}
	}
	report.finish()
	return report, nil
}

// build makes all namespaces and wires.
//
//	host-a: eth1 ── host-a [bridge br0] host-b ── host-b: eth1
func (s *stage) build(context.Context) error {
	var err error
	if s.fabric, err = s.lab.AddNamespace("fabric"); err != nil {
		return err
	}
	ports := make([]string, 0, len(s.plan.hosts))
	for i := range s.plan.hosts {
		h := &s.plan.hosts[i]
		ns, err := s.lab.AddNamespace(h.Name)
		if err != nil {
			return err
		}
		s.hosts = append(s.hosts, ns)
		if err := s.lab.AddVeth(ns, h.Uplink, s.fabric, h.Name, h.MTU); err != nil {
			return err
		}
		ports = append(ports, h.Name)
		if err := os.WriteFile(s.configFile(i), h.YAML, 0o644); err != nil {
			return fmt.Errorf("write configuration of %s: %w", h.Name, err)
		}
	}
	if err := s.fabric.AddBridge("br0", s.plan.hosts[0].MTU, ports...); err != nil {
		return err
	}
	s.vms = make(map[*vm]*netlab.Namespace, len(s.plan.vms))
	for _, v := range s.plan.vms {
		if s.vms[v], err = s.lab.AddNamespace(v.Namespace); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) configFile(host int) string {
	return s.lab.Path(s.plan.hosts[host].Name + ".yaml")
}

// startDaemons starts sluiced on all hosts at once and waits until every one is ready.
func (s *stage) startDaemons(ctx context.Context) error {
	for i := range s.plan.hosts {
		h := &s.plan.hosts[i]
		p, err := s.hosts[i].Start("sluiced-"+h.Name, s.sluiced, "--config", s.configFile(i))
		if err != nil {
			return err
		}
		s.daemons = append(s.daemons, p)
		s.clients = append(s.clients, api.Dial(h.Socket))
	}
	group, ctx := errgroup.WithContext(ctx)
	for i := range s.daemons {
		group.Go(func() error { return s.waitReady(ctx, i) })
	}
	return group.Wait()
}

const startLimit = 20 * time.Second

func (s *stage) waitReady(ctx context.Context, host int) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	daemon, name := s.daemons[host], s.plan.hosts[host].Name
	reason := "it did not answer on its socket"
	for {
		status, err := s.clients[host].GetStatus(ctx, &sluicev1.GetStatusRequest{})
		if err == nil && status.Ready {
			return nil
		}
		if err == nil {
			reason = status.NotReadyReason
		}
		select {
		case <-daemon.Done():
			return fmt.Errorf("sluiced on %s did not start", name) // explain adds why
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("sluiced on %s was not ready after %s: %s; the last lines of its log:\n%s",
					name, startLimit, reason, daemon.LogTail(15))
			}
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// configureVMs does what the operating system of each VM would: address, route, interface up.
func (s *stage) configureVMs(context.Context) error {
	for _, v := range s.plan.vms {
		ns := s.vms[v]
		if err := ns.WaitLink(v.Interface, 5*time.Second); err != nil {
			return err
		}
		if err := ns.AddAddress(v.Interface, netip.PrefixFrom(v.CA, v.Prefix.Bits())); err != nil {
			return err
		}
		if err := ns.SetUp(v.Interface); err != nil {
			return err
		}
		if err := ns.AddRoute(netip.PrefixFrom(netip.IPv4Unspecified(), 0), v.gateway()); err != nil {
			return err
		}
	}
	return nil
}

// explain adds to an error what the daemons have to say, when one of them has ended.
func (s *stage) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i, daemon := range s.daemons {
		select {
		case <-daemon.Done():
			return fmt.Errorf("%w\nsluiced on %s has ended (%v); the last lines of its log:\n%s",
				err, s.plan.hosts[i].Name, daemon.Err(), daemon.LogTail(15))
		default:
		}
	}
	return err
}

package demo

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicenet/sluice/demo/netlab"
)

// question is a check that every tenant answers for itself.
type question struct {
	what string
	ask  func(context.Context, *cast) (Cell, error)
}

// checkWire asks everything about reachability and isolation while the fabric is captured, then looks at the capture.
func (s *stage) checkWire(ctx context.Context, r *Report) error {
	// Every frame between the two hosts passes the fabric's port to the first one.
	capture, err := s.fabric.Capture(ctx, s.plan.hosts[0].Name, s.captureFile())
	if err != nil {
		return err
	}
	questions := []question{
		{"ping: same subnet, other host", s.askNear},
		{"ping: other subnet, other host", s.askFar},
		{"ping: the gateway", s.askGateway},
		{fmt.Sprintf("who answers at %s?", s.casts[0].near.CA), s.askName},
		{"ping: what only another has", s.askForeign},
	}
	for _, q := range questions {
		if err := s.ask(ctx, r, q); err != nil {
			return err
		}
	}
	if err := capture.Stop(); err != nil {
		return err
	}
	frames, err := decode(ctx, capture.File)
	if err != nil {
		return err
	}
	s.judgeWire(r, frames)
	return s.keepCapture(r)
}

// ask puts a question to all tenants at the same time.
func (s *stage) ask(ctx context.Context, r *Report, q question) error {
	check := Check{What: q.what, Answers: make([]Cell, len(s.casts))}
	group, ctx := errgroup.WithContext(ctx)
	for i := range s.casts {
		group.Go(func() (err error) {
			check.Answers[i], err = q.ask(ctx, &s.casts[i])
			check.Answers[i].Tenant = s.casts[i].tenant
			return err
		})
	}
	r.Checks = append(r.Checks, check)
	return group.Wait()
}

// The TTL that a Linux VM sends with; the distributed router takes one off, once, whatever lies between the hosts.
const (
	initialTTL = 64
	routedTTL  = initialTTL - 1
)

func (s *stage) askNear(ctx context.Context, c *cast) (Cell, error) {
	return s.askPing(ctx, c, c.near.CA, initialTTL)
}

func (s *stage) askFar(ctx context.Context, c *cast) (Cell, error) {
	return s.askPing(ctx, c, c.far.CA, routedTTL)
}

func (s *stage) askGateway(ctx context.Context, c *cast) (Cell, error) {
	return s.askPing(ctx, c, c.client.gateway(), initialTTL)
}

func (s *stage) askPing(ctx context.Context, c *cast, to netip.Addr, ttl int) (Cell, error) {
	answer, err := s.vms[c.client].Ping(ctx, to, netlab.PingOptions{Count: pingCount})
	if err != nil || answer.Received == 0 {
		return Cell{Text: fmt.Sprintf("%s no answer", to)}, err
	}
	return Cell{
		Passed: answer.Received == pingCount && answer.TTL == ttl,
		Text:   fmt.Sprintf("%s  %d/%d  %.2f ms  TTL %d", to, answer.Received, answer.Sent, answer.AverageMillis, answer.TTL),
		TTL:    answer.TTL, RoundTripMillis: answer.AverageMillis,
	}, nil
}

// askName finds out which VM answers at the shared address, by its name and by its MAC.
func (s *stage) askName(_ context.Context, c *cast) (Cell, error) {
	listener, err := serveMarker(s.vms[c.near], c.near.Name)
	if err != nil {
		return Cell{}, err
	}
	defer listener.Close()
	name, err := askMarker(s.vms[c.client], c.near.CA)
	if err != nil {
		return Cell{Text: "nobody answers"}, nil
	}
	mac, err := s.vms[c.client].Neighbour(c.near.CA)
	return Cell{
		Passed: name == c.near.Name && mac.String() == c.near.MAC,
		Text:   fmt.Sprintf("%s %s", name, mac),
	}, err
}

// askForeign pings what the tenant must not reach. What left for it is judged by the capture.
func (s *stage) askForeign(ctx context.Context, c *cast) (Cell, error) {
	if c.foreign == nil {
		return Cell{Passed: true, Text: "none: it has them all"}, nil
	}
	answer, err := s.vms[c.client].Ping(ctx, c.foreign.CA, netlab.PingOptions{Count: pingCount, Limit: time.Second})
	said := "no answer"
	if answer.Received > 0 {
		said = "answered!"
	}
	return Cell{Passed: answer.Received == 0, Text: fmt.Sprintf("%s %s: %s", c.foreign.CA, c.foreign.Name, said)}, err
}

// judgeWire draws the conclusions from the capture: one row per tenant, and what holds for all.
func (s *stage) judgeWire(r *Report, frames []frame) {
	isolation := Check{What: "frames on the wire for that"}
	vsids := Check{What: "VSIDs on the wire"}
	owners := s.plan.owners()
	for i := range s.casts {
		c := &s.casts[i]
		leaked, seen, plain := 0, map[uint32]bool{}, map[string]bool{}
		for j := range frames {
			f := &frames[j]
			if owners[f.From] == c.tenant && !f.ARP {
				plain[f.To] = true
				if !f.rewritten(owners) {
					leaked++
				}
				continue
			}
			if !f.NVGRE || !s.plan.owns(c.tenant, f.VSID) {
				continue
			}
			seen[f.VSID] = true
			if c.foreign != nil && f.names(c.foreign.CA.String()) {
				leaked++
			}
		}
		isolation.Answers = append(isolation.Answers, Cell{Tenant: c.tenant, Passed: leaked == 0, Text: fmt.Sprint(leaked)})
		cell := Cell{Tenant: c.tenant, Passed: seen[c.near.VSID] && seen[c.far.VSID], Text: listNumbers(seen)}
		if c.client.PA.IsValid() {
			cell.Passed = len(seen) == 0 && plain[c.near.PA.String()] && plain[c.far.PA.String()]
			cell.Text = fmt.Sprintf("none: %d PAs of VMs", len(plain))
		}
		vsids.Answers = append(vsids.Answers, cell)
	}
	r.Checks = append(r.Checks, isolation, vsids)
	r.Wire = summarise(frames, s.plan)
	r.Checks = append(r.Checks,
		Check{What: "frames of no known kind", Answers: []Cell{zero(r.Wire.Strange)}},
		Check{What: "tenant broadcasts on the wire", Answers: []Cell{zero(r.Wire.TenantBroadcasts)}},
		Check{What: "frames that tshark objects to", Answers: []Cell{zero(r.Wire.Complaints)}},
	)
}

func zero(count int) Cell { return Cell{Passed: count == 0, Text: fmt.Sprint(count)} }

func listNumbers(set map[uint32]bool) string {
	numbers := make([]uint32, 0, len(set))
	for n := range set {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return strings.Trim(fmt.Sprint(numbers), "[]")
}

const pingCount = 3

// udpRate is low enough for any machine that can run the demo: 9,000 packets a second.
const udpRate = "100M"

// measure lets every tenant in turn send as fast as TCP goes, and UDP at a fixed rate.
func (s *stage) measure(ctx context.Context, r *Report) error {
	tcp, udp := Check{What: "TCP by iperf3"}, Check{What: "UDP by iperf3, 100 Mbit/s"}
	for i := range s.casts {
		c := &s.casts[i]
		run := func(o netlab.IperfOptions) (netlab.Rate, error) {
			return netlab.Iperf(ctx, s.vms[c.client], s.vms[c.near], c.near.CA, o)
		}
		for _, m := range []struct {
			check *Check
			cell  func() (Cell, error)
		}{
			{&tcp, func() (Cell, error) { return tcpCell(run(netlab.IperfOptions{Duration: s.opts.Duration})) }},
			{&udp, func() (Cell, error) {
				return udpCell(run(netlab.IperfOptions{Duration: s.opts.Duration, UDP: true, Rate: udpRate}))
			}},
		} {
			cell, err := m.cell()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				cell = Cell{Text: err.Error()}
			}
			cell.Tenant = c.tenant
			m.check.Answers = append(m.check.Answers, cell)
		}
	}
	r.Checks = append(r.Checks, tcp, udp)
	return nil
}

func tcpCell(got netlab.Rate, err error) (Cell, error) {
	return Cell{Passed: got.BitsPerSecond > 0, Text: bitRate(got.BitsPerSecond), BitsPerSecond: got.BitsPerSecond}, err
}

// A virtual switch on real hardware loses nothing at this rate. On a machine whose few cores serve workers, VMs and the
// generator at once, whoever is not scheduled in time loses what its ring cannot hold; more than maxLoss is no service.
const (
	noteLoss = 1.0  // percent: worth a remark
	maxLoss  = 20.0 // percent: failed
	lossNote = "UDP: packets are lost where a ring is full while its reader has no core: two hosts, the VMs and iperf3 share this machine's. " +
		"`sluice drops` and the counters above say what the switches dropped; what is in neither was lost in a VM's socket or a host's interface."
)

func udpCell(got netlab.Rate, err error) (Cell, error) {
	note := ""
	if got.LossPercent > noteLoss {
		note = lossNote
	}
	return Cell{
		Passed:        got.BitsPerSecond > 0 && got.LossPercent <= maxLoss,
		Note:          note,
		Text:          fmt.Sprintf("%s, %.2g%% lost", bitRate(got.BitsPerSecond), got.LossPercent),
		BitsPerSecond: got.BitsPerSecond, LossPercent: got.LossPercent,
	}, err
}

func bitRate(bits float64) string {
	switch {
	case bits >= 1e9:
		return fmt.Sprintf("%.2f Gbit/s", bits/1e9)
	case bits >= 1e6:
		return fmt.Sprintf("%.0f Mbit/s", bits/1e6)
	}
	return fmt.Sprintf("%.0f kbit/s", bits/1e3)
}

// settleLimit bounds the wait for counters that no longer move.
const settleLimit = 3 * time.Second

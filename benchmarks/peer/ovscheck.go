package peer

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
)

var (
	pmdCycles = regexp.MustCompile(`avg cycles per packet: ([0-9.]+)`)
	pmdMisses = regexp.MustCompile(`miss with success upcall: ([0-9]+)`)
	pmdEMC    = regexp.MustCompile(`emc hits: ([0-9]+)`)
	pmdSMC    = regexp.MustCompile(`smc hits: ([0-9]+)`)
	pmdRecv   = regexp.MustCompile(`packets received: ([0-9]+)`)
	pmdMega   = regexp.MustCompile(`megaflow hits: ([0-9]+)`)
	dpFlows   = regexp.MustCompile(`(?m)^\s*flows: ([0-9]+)`)
)

// ownStats is how long Open vSwitch counts by itself.
const ownStats = 300 * time.Millisecond

// listed is how many flows are looked at one by one.
const listed = 20_000

// inspect refuses a sample of an Open vSwitch that did something else than the profile asks for, and notes what it says
// of itself.
func (o *ovs) inspect(ctx context.Context, s *measure.Sample) error {
	ctl, err := dialControl(ctx, o.path("ctl"))
	if err != nil {
		return err
	}
	defer ctl.close()
	before, err := o.flows(ctl)
	if err != nil {
		return err
	}
	// Measured by itself in a time of its own, so that it does not count its start.
	if _, err := ctl.call("dpif-netdev/pmd-stats-clear"); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(ownStats):
	}
	stats, err := ctl.call("dpif-netdev/pmd-stats-show", "-pmd", strconv.Itoa(o.job.Core))
	if err != nil {
		return err
	}
	after, err := o.flows(ctl)
	if err != nil {
		return err
	}
	s.Detail["flows"] = after
	s.Detail["ownCyclesPerPacket"] = found(pmdCycles, stats)
	packets := max(1, found(pmdRecv, stats))
	s.Detail["missShare"] = found(pmdMisses, stats) / packets
	s.Detail["emcShare"] = found(pmdEMC, stats) / packets
	s.Detail["smcShare"] = found(pmdSMC, stats) / packets
	s.Detail["megaflowShare"] = found(pmdMega, stats) / packets
	if err := o.checkFlows(ctl, before, after); err != nil {
		return err
	}
	return o.checkPolicy(ctl)
}

// found is the number that a pattern finds, 0 if none.
func found(pattern *regexp.Regexp, text string) float64 {
	m := pattern.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	v, _ := strconv.ParseFloat(m[1], 64) // the pattern has digits only
	return v
}

// flows counts what the datapath has cached.
func (o *ovs) flows(ctl *control) (float64, error) {
	text, err := ctl.call("dpctl/show")
	return found(dpFlows, text), err
}

// pairs is how many pairs of addresses talk through a bridge; each is a flow of the datapath. 0 where targets are rules.
func (o *ovs) pairs() float64 {
	p := &o.job.Plan.Profile
	return float64(min(p.Flows, p.MACs*p.MACs*p.VMs*p.Peers*p.Tenants))
}

// settled says when the datapath knows all pairs of addresses; nil where there are few flows.
func (o *ovs) settled(ctx context.Context) func() (bool, error) {
	pairs := o.pairs()
	if pairs == 0 {
		return nil
	}
	return func() (bool, error) {
		ctl, err := dialControl(ctx, o.path("ctl"))
		if err != nil {
			return false, err
		}
		defer ctl.close()
		flows, err := o.flows(ctl)
		return flows >= 0.99*pairs, err
	}
}

// checkFlows wants the actions of the profile, and with learned addresses a flow for each pair, no more and no less.
func (o *ovs) checkFlows(ctl *control, before, after float64) error {
	p := &o.job.Plan.Profile
	if pairs := o.pairs(); pairs > 0 {
		if min(before, after) < 0.99*pairs || max(before, after) > 1.01*pairs+16 {
			return fmt.Errorf("open vSwitch has %.0f flows, and had %.0f a moment before: they should be the %.0f pairs of addresses", after, before, pairs)
		}
	}
	if after > listed {
		return nil
	}
	flows, err := ctl.call("dpctl/dump-flows")
	if err != nil {
		return err
	}
	for _, want := range map[profile.Direction][]string{
		profile.Encap: {"tnl_push(", "eth(src=", "ipv4(src="}, profile.Decap: {"tnl_pop(", "eth(src=", "ipv4(src="},
		profile.Rewrite: {"set(ipv4(", "eth(src=", "ipv4(src="}, profile.Local: {"eth(src=", "ipv4(src="}}[p.Direction] {
		if !strings.Contains(flows, want) {
			return fmt.Errorf("no flow of Open vSwitch has %s: it does not do the same work", want)
		}
	}
	return nil
}

// checkPolicy asks what would happen to packets that no policy lets pass, and to one of the traffic.
func (o *ovs) checkPolicy(ctl *control) error {
	plan := o.job.Plan
	if plan.Profile.Direction == profile.Bridge {
		return nil // has none
	}
	f := plan.Flow(0)
	type question struct {
		packet string
		drop   bool
	}
	ask := []question{{probe(plan, f.DstPort, f.From.CA), false}, {probe(plan, f.DstPort, forged(plan)), true}}
	if rules := plan.Rules(); len(rules) > 1 {
		ask = append(ask, question{probe(plan, rules[0].Low, f.From.CA), true})
	}
	for _, q := range ask {
		answer, err := ctl.call("ofproto/trace", overlay, q.packet)
		if err != nil {
			return err
		}
		actions := answer[strings.LastIndex(answer, "Datapath actions:")+1:]
		if dropped := strings.HasSuffix(strings.TrimSpace(actions), "drop"); dropped != q.drop {
			return fmt.Errorf("open vSwitch does not carry the policy: a packet with %s meets: %s", q.packet, strings.TrimSpace(actions))
		}
	}
	return nil
}

package agent

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluicenet/sluice/agent/balance"
	"github.com/sluicenet/sluice/cores"
	"github.com/sluicenet/sluice/dataplane/vmq"
	"github.com/sluicenet/sluice/policy"
)

// Balance moves receive queues between the workers, as the configuration that runs says, until ctx ends.
func (a *Agent) Balance(ctx context.Context) { a.balancer.Run(ctx) }

// Balancer is for reading what was decided for receive queues.
func (a *Agent) Balancer() *balance.Balancer { return a.balancer }

// balancePlan is what the configuration that runs says about receive queues, nil while none runs.
func (a *Agent) balancePlan() *balance.Plan {
	if r := a.running.Load(); r != nil {
		return r.queues
	}
	return nil
}

var modes = map[string]vmq.Mode{policy.VMQDynamic: vmq.Dynamic, policy.VMQStatic: vmq.Static, policy.VMQOff: vmq.Off}

// planQueues says what a configuration wants of the receive queues.
func (a *Agent) planQueues(r *Running) *balance.Plan {
	plan := &balance.Plan{Limits: limitsOf(&r.Config.Dataplane.VMQ, a.opts.Driver.TSCHz()), Ports: map[uint32]balance.Port{}}
	for _, p := range r.order {
		q := r.queueConfig(p)
		port := balance.Port{Name: p.spec.name(), Uplink: p.spec.uplink != nil, Node: cores.Unknown, Mode: modes[q.Mode], Workers: q.Workers}
		if port.Uplink {
			port.Node = nodeOf(&r.Config.Uplink(port.Name).Device)
		}
		plan.Ports[p.index] = port
	}
	return plan
}

// nodeOf is the NUMA node of an uplink's device; cores.Unknown of one that belongs to none.
func nodeOf(d *policy.UplinkDevice) int {
	switch {
	case d.PCI != "":
		return cores.PCINode("/", d.PCI)
	case d.Interface != "":
		return cores.InterfaceNode("/", d.Interface)
	}
	return cores.Unknown
}

// queueConfig is what the configuration says about a port's receive queues.
func (r *Running) queueConfig(p *port) *policy.VMQConfig {
	if p.spec.uplink != nil {
		return &r.Config.Uplink(p.spec.name()).VMQ
	}
	return &r.Config.Vport(p.spec.name()).VMQ
}

// QueueMode is the mode of a port's receive queues by its index; "" without the port.
func (r *Running) QueueMode(index uint32) string {
	if p := r.byIndex[index]; p != nil {
		return r.queueConfig(p).Mode
	}
	return ""
}

// QueueNode is the NUMA node of a port's device by its index; -1: unknown.
func (r *Running) QueueNode(index uint32) int {
	if p, ok := r.queues.Ports[index]; ok {
		return p.Node
	}
	return cores.Unknown
}

// NodeOf is the NUMA node of a core; -1: unknown.
func (a *Agent) NodeOf(core int) int {
	if node, ok := a.nodes[core]; ok {
		return node
	}
	return cores.Unknown
}

func limitsOf(c *policy.VMQLimits, tscHz uint64) vmq.Limits {
	const percent = 100
	l := vmq.DefaultLimits()
	l.Upper, l.Lower, l.MinGain = float64(c.Upper)/percent, float64(c.Lower)/percent, float64(c.MinGain)/percent
	l.Interval, l.MaxMoves, l.Residence, l.Calm = c.Interval, c.Moves, c.Residence, c.Calm
	l.CyclesPerSec = float64(tscHz)
	return l
}

// checkQueueWorkers refuses workers that do not exist, which policy cannot know when the daemon chooses their number.
func checkQueueWorkers(c *policy.Config, workers int) error {
	check := func(object string, q *policy.VMQConfig) error {
		if i := slices.IndexFunc(q.Workers, func(w int) bool { return w >= workers }); i >= 0 {
			return fmt.Errorf("%w: %s: vmq.workers: worker %d does not exist: there are %d, numbered from 0; use one of these, or set dataplane.workers and restart sluiced",
				ErrRefused, object, q.Workers[i], workers)
		}
		return nil
	}
	for i := range c.Uplinks {
		if err := check("uplink "+c.Uplinks[i].Name, &c.Uplinks[i].VMQ); err != nil {
			return err
		}
	}
	for i := range c.Vports {
		if err := check("vport "+c.Vports[i].Name, &c.Vports[i].VMQ); err != nil {
			return err
		}
	}
	return nil
}

// tellBalancing logs, for uplinks that are new or whose mode changed, what can be done for their receive queues.
func (a *Agent) tellBalancing(now, next *Running) {
	for i := range next.Config.Uplinks {
		u := &next.Config.Uplinks[i]
		if now.Config != nil {
			if was := now.Config.Uplink(u.Name); was != nil && was.VMQ.String() == u.VMQ.String() {
				continue
			}
		}
		queues := next.byName[u.Name].device.RxQueues()
		how := "they stay at their workers"
		switch {
		case u.VMQ.Mode != policy.VMQDynamic:
		case len(a.opts.Cores) == 1:
			how = "there is one worker, and they stay there"
		case queues == 1:
			how = "the device has one, which moves as a whole"
		default:
			how = "they move between workers as their load asks for"
		}
		a.log.Info("receive queues of the uplink", "uplink", u.Name, "mode", u.VMQ.String(), "queues", queues, "workers", len(a.opts.Cores), "fallback", how)
	}
}

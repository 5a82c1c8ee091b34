package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
)

// PortStatus is one port with its device, as it is now.
type PortStatus struct {
	Name     string
	Index    uint32
	Uplink   *UplinkSpec // of an uplink
	Tap      *TapSpec    // of a vport
	MAC      packet.MAC
	MTU      int
	RxQueues int
	TxQueues int

	LinkUp    bool
	SpeedMbit uint32 // 0: unknown
	DCB       DCB    // of an uplink
	Software  string // why its classes are scheduled in software; "" where they are not, or it has none
	Stats     DeviceStats
	StatsErr  error // why there are no Stats
	Counters  dataplane.PortCounters
}

// Running returns what runs, nil before Start and after Stop.
func (a *Agent) Running() *Running { return a.running.Load() }

// LastAttempt returns the outcome of the last try to apply a configuration, nil before the first.
func (a *Agent) LastAttempt() *Attempt { return a.last.Load() }

// Uptime is the time since New.
func (a *Agent) Uptime() time.Duration { return time.Since(a.started) }

// Switch is for reading what the switch knows: neighbours, learned addresses, workers, next hops.
func (a *Agent) Switch() *dataplane.Switch { return a.sw }

// Ports returns what runs and its ports, uplinks first; nothing when the agent does not run.
func (a *Agent) Ports() (*Running, []PortStatus) {
	a.devices.RLock()
	defer a.devices.RUnlock()
	r := a.running.Load()
	if r == nil {
		return nil, nil
	}
	ports := make([]PortStatus, 0, len(r.order))
	for _, p := range r.order {
		s := PortStatus{
			Name: p.spec.name(), Index: p.index, Uplink: p.spec.uplink, Tap: p.spec.tap, MAC: p.device.MAC(), MTU: p.device.MTU(),
			RxQueues: p.device.RxQueues(), TxQueues: p.device.TxQueues(),
		}
		s.LinkUp, s.SpeedMbit = p.device.Link()
		if s.Uplink != nil {
			s.DCB, s.Software = p.device.DCB(), r.software(p)
		}
		s.Stats, s.StatsErr = p.device.Stats()
		s.Counters, _ = a.sw.PortCounters(p.index)
		ports = append(ports, s)
	}
	return r, ports
}

// PortName names the port of an index; "" without one.
func (r *Running) PortName(index uint32) string {
	if p := r.byIndex[index]; p != nil {
		return p.name
	}
	return ""
}

// Ready reports nil when all uplinks are there and every worker makes progress, else why not. A VM that took its
// interface away is no reason.
func (a *Agent) Ready() error {
	a.devices.RLock()
	defer a.devices.RUnlock()
	r := a.running.Load()
	if r == nil {
		return ErrStopped
	}
	for _, p := range r.order {
		if p.spec.uplink != nil && p.gone() {
			return fmt.Errorf("%s: its interface was deleted (%s); make it again, and sluiced opens it", p.spec.object(), p.spec.thing())
		}
	}
	return a.Alive()
}

// Alive reports nil when every worker makes progress, else which does not.
func (a *Agent) Alive() error {
	if s := a.Stalled(); len(s) > 0 {
		return fmt.Errorf("workers without progress for over %v: %v; restart sluiced", stallAfter, s)
	}
	return nil
}

// Stalled lists the workers without progress, by number.
func (a *Agent) Stalled() []int { return a.pulse.stalled(time.Now()) }

// Monitor watches the workers' progress for Ready and Alive, follows the speed of links, and heals ports, until ctx ends.
func (a *Agent) Monitor(ctx context.Context) {
	tick := time.NewTicker(stallAfter / 4)
	defer tick.Stop()
	failed, unfollowed := "", ""
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			a.pulse.sample(now, a.sw.Workers())
			unfollowed = a.followAndTell(ctx, unfollowed)
			failed = a.healAndTell(ctx, failed)
		}
	}
}

// healAndTell heals, and logs what comes of it; the same failure, which it returns, only once.
func (a *Agent) healAndTell(ctx context.Context, before string) (failed string) {
	healed, err := a.Heal(ctx)
	if errors.Is(err, ErrStopped) || ctx.Err() != nil {
		return before
	}
	if err != nil && err.Error() != before {
		a.log.Warn("an interface was deleted, or its namespace, and cannot be opened again yet; sluiced goes on trying", "error", err)
	}
	if len(healed) > 0 {
		a.log.Info("interfaces that were deleted are back", "ports", healed)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// stallAfter is how long a worker may take for one iteration before it counts as hanging. An idle worker iterates much
// more often, and the slowest honest iteration is a matter of milliseconds.
const stallAfter = 4 * time.Second

// pulse remembers when each worker was last seen to have made progress.
type pulse struct {
	mu    sync.Mutex
	beats map[int]beat
}

type beat struct {
	iterations uint64
	changed    time.Time
	sampled    time.Time
}

func (p *pulse) sample(now time.Time, workers []dataplane.WorkerStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := make(map[int]beat, len(workers))
	for _, w := range workers {
		b, known := p.beats[w.ID]
		if !known || w.Iterations != b.iterations {
			b = beat{iterations: w.Iterations, changed: now}
		}
		b.sampled = now
		next[w.ID] = b
	}
	p.beats = next
}

// stalled lists the workers without progress. A sampler that does not run itself is a stall too: of a worker that it
// waits for while it heals a port, or of the Go scheduler.
func (p *pulse) stalled(now time.Time) (workers []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, b := range p.beats {
		if now.Sub(b.changed) > stallAfter || now.Sub(b.sampled) > stallAfter {
			workers = append(workers, id)
		}
	}
	slices.Sort(workers)
	return workers
}

// BridgeName names a layer-2 domain that is not virtualised: its uplink, with the VLAN where there is one.
func (r *Running) BridgeName(id uint32) string {
	b := r.Snapshot.Bridges[id]
	switch {
	case b == nil:
		return ""
	case b.VLAN == 0:
		return r.PortName(b.Uplink)
	}
	return fmt.Sprintf("%s vlan %d", r.PortName(b.Uplink), b.VLAN)
}

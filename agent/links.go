package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicenet/sluice/policy"
)

// Links change their speed while they are in use. A scheduler whose rate is left to the device follows.

// speedOf is the speed that an uplink's scheduler is to go by, Mbit/s; 0 when nobody knows. A link that is down has none:
// the scheduler stays as it was. Of a device that was opened without a link it is the highest that it can have.
func (r *Running) speedOf(p *port) uint32 {
	up, mbit := p.device.Link()
	if before := r.linkMbit[p.spec.name()]; r.byName[p.spec.name()] == p && before != 0 && (!up || mbit == 0) {
		return before
	}
	return mbit
}

// LinkMbit is the rate of an uplink's link by its device, Mbit/s; 0 when it does not tell.
func (r *Running) LinkMbit(name string) uint32 { return r.linkMbit[name] }

// Excuse takes what links cannot give any more: what was promised when they were faster must not stop what runs.
func (r *Running) Excuse(errs *policy.Errors) bool {
	r.excused = errs
	return r.tolerant
}

// goesByDevice reports that an uplink has a scheduler whose rate is left to the device.
func goesByDevice(u *policy.UplinkConfig) bool {
	return u != nil && u.Scheduled() && u.QoS.BytesPerSec == 0
}

// FollowLinks gives schedulers the speed that the links of their uplinks have by now. What waits in them stays, in order.
func (a *Agent) FollowLinks(ctx context.Context) error {
	if err := a.acquire(ctx); err != nil {
		return err
	}
	defer a.release()
	now := a.running.Load()
	for i := range now.Config.Uplinks {
		u := &now.Config.Uplinks[i]
		if !goesByDevice(u) || now.speedOf(now.byName[u.Name]) == now.linkMbit[u.Name] {
			continue
		}
		same := given{config: now.Config, file: now.File, text: now.YAML, same: true, tolerant: true, heal: u.Name}
		_, _, err := a.transition(now, same)
		return err // the step took all links along
	}
	return nil
}

// followAndTell follows, and logs when it cannot; the same failure, which it returns, only once.
func (a *Agent) followAndTell(ctx context.Context, before string) (failed string) {
	err := a.FollowLinks(ctx)
	if errors.Is(err, ErrStopped) || ctx.Err() != nil {
		return before
	}
	if err == nil {
		return ""
	}
	if err.Error() != before {
		a.log.Warn("a link changed its speed, and its scheduler cannot follow; sluiced goes on trying", "error", err)
	}
	return err.Error()
}

// tellSpeeds logs which links have changed, and what they cannot give any more.
func (a *Agent) tellSpeeds(now, next *Running) {
	changed := false
	for i := range next.Config.Uplinks {
		u := &next.Config.Uplinks[i]
		before, speed := now.linkMbit[u.Name], next.linkMbit[u.Name]
		if !goesByDevice(u) || before == speed || now.Config == nil || !goesByDevice(now.Config.Uplink(u.Name)) {
			continue
		}
		changed = true
		a.log.Info("the link has another speed, and its scheduler follows", "uplink", u.Name, "before", fmt.Sprintf("%dMbit", before),
			"now", fmt.Sprintf("%dMbit", speed))
	}
	if !changed || next.excused == nil {
		return
	}
	for _, p := range next.excused.Problems {
		a.log.Warn("a link is slower than what was promised of it: all its minimums are scaled down", "file", p.File, "line", p.Line,
			"object", p.Object, "problem", p.What, "remedy", p.Remedy)
	}
}

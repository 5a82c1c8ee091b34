package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sluicenet/sluice/policy"
)

// Links change their speed while they are in use. A scheduler whose rate is left to the device follows.

// assumedMbit is what a scheduler goes by that has to run before anybody knows the speed of its link, Mbit/s: rather too much,
// which keeps the order of the classes, than too little, which would hold packets back for nothing.
const assumedMbit = 10_000

// speedOf is the speed that an uplink's scheduler is to go by, Mbit/s; 0 when nobody knows. A link that is down has none:
// the scheduler stays as it was. Of a device that was opened without a link it is the highest that it can have.
func (r *Running) speedOf(p *port) uint32 {
	up, mbit := p.device.Link()
	ran, before := r.byName[p.spec.name()], r.linkMbit[p.spec.name()]
	if before != 0 && (!up || mbit == 0) && ran.spec.thing() == p.spec.thing() {
		return before
	}
	return mbit
}

// learnSpeed notes the speed of an uplink's link. Where nobody knows it, and a scheduler has to run, it is assumed.
func (r *Running) learnSpeed(before *Running, p *port, u *policy.UplinkConfig) {
	mbit := before.speedOf(p)
	if mbit == 0 && r.tolerant && goesByDevice(u) {
		mbit = assumedMbit
		r.assumed = append(r.assumed, u.Name)
	}
	r.linkMbit[u.Name] = mbit
}

// LinkMbit is the rate of an uplink's link by its device, Mbit/s; 0 when it does not tell.
func (r *Running) LinkMbit(name string) uint32 { return r.linkMbit[name] }

// Excuse takes what links cannot give any more: what was promised when they were faster must stop neither what runs nor a
// start. Of what is applied only that is refused which asks for more than what ran.
func (r *Running) Excuse(problems []policy.LinkProblem) (refused []policy.LinkProblem) {
	var ran []policy.LinkProblem
	if r.ran != nil {
		ran = r.ran.LinkProblems(r.LinkMbit)
	}
	for _, p := range problems {
		old := slices.ContainsFunc(ran, func(o policy.LinkProblem) bool {
			return o.Uplink == p.Uplink && o.Fault == p.Fault && o.Object == p.Object && o.AskedBytesPerSec >= p.AskedBytesPerSec
		})
		if p.Fault != policy.LinkUnknown && (r.tolerant || old) {
			r.excused = append(r.excused, p)
		} else {
			refused = append(refused, p)
		}
	}
	return refused
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

// tellSpeeds logs which links have changed or are not known, and what they cannot give any more.
func (a *Agent) tellSpeeds(now, next *Running) {
	for _, name := range next.assumed {
		a.log.Warn("the device does not tell the rate of its link: until it does, its scheduler goes by one that is assumed", "uplink", name,
			"assumed", fmt.Sprintf("%dMbit", assumedMbit), "remedy", "add rate: <rate> to qos of the uplink")
	}
	for i := range next.Config.Uplinks {
		u := &next.Config.Uplinks[i]
		before, speed := now.linkMbit[u.Name], next.linkMbit[u.Name]
		if !goesByDevice(u) || before == speed || now.Config == nil || !goesByDevice(now.Config.Uplink(u.Name)) {
			continue
		}
		a.log.Info("the link has another speed, and its scheduler follows", "uplink", u.Name, "before", fmt.Sprintf("%dMbit", before),
			"now", fmt.Sprintf("%dMbit", speed))
	}
	for _, p := range next.excused {
		if slices.ContainsFunc(now.excused, func(o policy.LinkProblem) bool { return o.Object == p.Object && o.What == p.What }) {
			continue
		}
		what := "a link is slower than what was promised of it: all its minimums are scaled down"
		if p.Fault == policy.LinkMaximum {
			what = "a link is slower than a limit of what leaves by it: the limit means nothing until the link is faster"
		}
		a.log.Warn(what, "file", p.File, "line", p.Line, "object", p.Object, "problem", p.What, "remedy", p.Remedy)
	}
}

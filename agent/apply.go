package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sluicenet/sluice/policy"
)

// Result says what an apply changed, or would change.
type Result struct {
	Changes  []policy.Change
	Warnings []policy.Problem
	Revision uint64 // that runs afterwards
	Hash     string // SHA-256 of the text given, in hex
}

// Apply makes the configuration in text the running one; file names it in messages. With dryRun it says what would
// change and checks what can be checked without touching anything. An error means that nothing changed: *policy.Errors
// for a bad configuration, ErrRefused for one that does not fit what runs, else what the system said.
func (a *Agent) Apply(ctx context.Context, file string, text []byte, dryRun bool) (*Result, error) {
	wanted, err := policy.Parse(file, text)
	if err == nil {
		if err = a.acquire(ctx); err != nil {
			return nil, err
		}
		defer a.release()
	}
	var res *Result
	if err == nil {
		res, err = a.apply(given{config: wanted, file: file, text: text}, dryRun)
	}
	if !dryRun {
		a.last.Store(&Attempt{At: time.Now(), Err: err})
	}
	if err != nil {
		a.log.Warn("configuration not applied, nothing changed", "file", file, "dryRun", dryRun, "error", err)
		return nil, err
	}
	return res, nil
}

// given is a checked configuration with the text that it comes from.
type given struct {
	config   *policy.Config
	file     string
	text     []byte
	same     bool   // it asks for what runs already: the revision stays
	tolerant bool   // links may be slower than what was promised of them
	heal     string // the only port whose lost interface is to be opened again; "": all
}

// apply does Apply's work for whoever has the turn.
func (a *Agent) apply(wanted given, dryRun bool) (*Result, error) {
	now := a.running.Load()
	res := &Result{
		Changes: policy.Diff(now.Config, wanted.config), Warnings: wanted.config.Warnings(), Revision: now.Revision, Hash: hash(wanted.text),
	}
	if err := restartNeeded(res.Changes); err != nil {
		return nil, err
	}
	wanted.same = len(res.Changes) == 0
	res.Changes = append(res.Changes, reopened(now, wanted.config)...)
	if dryRun {
		_, err := a.check(now, wanted)
		return res, err
	}
	next, leftover, err := a.transition(now, wanted)
	if err != nil {
		return nil, err
	}
	for i := range next.excused {
		res.Warnings = append(res.Warnings, next.excused[i].Problem)
	}
	for _, err := range leftover {
		res.Warnings = append(res.Warnings, policy.Problem{File: wanted.file, What: err.Error(), Remedy: "look at the log of sluiced"})
	}
	if p, differs := a.startFileDiffers(next.Hash); differs {
		res.Warnings = append(res.Warnings, p)
		a.log.Warn(p.What, "file", p.File, "remedy", p.Remedy)
	}
	res.Revision = next.Revision
	a.log.Info("configuration applied", "file", wanted.file, "revision", next.Revision, "changes", len(res.Changes), "hash", next.Hash[:12])
	return res, nil
}

// reopened lists the ports that stay and whose interface somebody deleted.
func reopened(now *Running, wanted *policy.Config) (changes []policy.Change) {
	for _, p := range now.order {
		kind := "vport"
		if p.spec.uplink != nil {
			kind = "uplink"
		}
		stays := wanted.Vport(p.spec.name()) != nil || wanted.Uplink(p.spec.name()) != nil
		if stays && p.gone() {
			changes = append(changes, policy.Change{
				Op: policy.OpModify, Kind: kind, Name: p.spec.name(), Detail: "its interface was deleted: open it again", Effect: policy.EffectDevice,
			})
		}
	}
	return changes
}

// startFileDiffers reports whether a restart would bring back another configuration than the one with the hash.
func (a *Agent) startFileDiffers(running string) (policy.Problem, bool) {
	text, err := os.ReadFile(a.opts.File)
	if err == nil && hash(text) == running {
		return policy.Problem{}, false
	}
	return policy.Problem{
		File: a.opts.File, What: "sluiced reads this file when it starts, and what runs now is another configuration",
		Remedy: "write the configuration there too, or a restart goes back to the old one",
	}, true
}

// Heal opens the ports again whose interface was deleted, as happens when a VM's namespace is made anew. It names those
// that are back.
func (a *Agent) Heal(ctx context.Context) (healed []string, err error) {
	if err := a.acquire(ctx); err != nil {
		return nil, err
	}
	defer a.release()
	now := a.running.Load()
	var names []string
	for _, p := range now.order {
		if p.gone() {
			names = append(names, p.spec.name())
		}
	}
	var errs []error
	for _, name := range names { // each by itself: one that cannot be had must not keep the others from coming back
		now = a.running.Load()
		same := given{config: now.Config, file: now.File, text: now.YAML, same: true, tolerant: true, heal: name}
		if _, _, err := a.transition(now, same); err != nil {
			errs = append(errs, err)
			continue
		}
		healed = append(healed, a.running.Load().byName[name].spec.object())
	}
	return healed, errors.Join(errs...)
}

// check finds everything that speaks against a configuration before the system is touched, and how to get there.
func (a *Agent) check(now *Running, wanted given) (plan, error) {
	specs := specsOf(wanted.config, len(a.opts.Cores))
	if need := poolFor(asOpened(specs, now.byName), queuesOf(wanted.config), len(a.opts.Cores), 0); !a.opts.Pool.covers(need) {
		return plan{}, fmt.Errorf("%w: the packet pool made at start has %d buffers for frames of %d bytes, and this needs %d for %d: restart sluiced with this file",
			ErrRefused, a.opts.Pool.Packets, a.opts.Pool.FrameSize, need.Packets, need.FrameSize)
	}
	if err := checkQueueWorkers(wanted.config, len(a.opts.Cores)); err != nil {
		return plan{}, err
	}
	if err := a.checkKernelAddrs(wanted.config); err != nil {
		return plan{}, err
	}
	p, err := makePlan(now.byName, now.order, specs, wanted.heal)
	if err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return p, nil
}

// transition takes the system from now to wanted, or leaves it as it was. After it has succeeded leftover says what of
// the old ports could not be cleaned up.
func (a *Agent) transition(now *Running, wanted given) (next *Running, leftover []error, err error) {
	p, err := a.check(now, wanted)
	if err != nil {
		return nil, nil, err
	}
	var u undo
	defer func() {
		if err != nil {
			err = errors.Join(err, u.run())
		}
	}()
	opened := map[string]*port{}
	for _, spec := range p.open {
		port, err := a.openPort(spec, &u)
		if err != nil {
			return nil, nil, err
		}
		opened[spec.name()] = port
	}
	for _, c := range p.change {
		if err := a.changePort(c, &u); err != nil {
			return nil, nil, err
		}
	}
	next = a.successor(now, wanted, opened)
	next.ran = now.Config
	if next.Snapshot, err = policy.Compile(wanted.config, now.Snapshot, next); err != nil {
		return nil, nil, fmt.Errorf("compile the policy: %w", err)
	}
	next.ran = nil
	for _, spec := range p.open {
		if err := a.addPort(opened[spec.name()], &u); err != nil {
			return nil, nil, err
		}
	}
	if err := a.sw.Publish(next.Snapshot); err != nil {
		return nil, nil, err
	}
	a.running.Store(next)
	a.tellScheduling(now, next)
	a.tellSpeeds(now, next)
	a.tellBalancing(now, next)
	return next, a.closePorts(p.close), nil
}

package agent

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// undo is what takes back the steps of a transition that failed.
type undo []func() error

func (u *undo) add(step func() error) { *u = append(*u, step) }

// run takes the steps back, the last one first, and goes on when one fails: as much as possible is to be as it was.
func (u *undo) run() error {
	var errs []error
	for i := len(*u) - 1; i >= 0; i-- {
		if err := (*u)[i](); err != nil {
			errs = append(errs, fmt.Errorf("while undoing: %w", err))
		}
	}
	return errors.Join(errs...)
}

// openPort opens the device of a new port and gives the port an index.
func (a *Agent) openPort(spec portSpec, u *undo) (*port, error) {
	index, err := a.indices.take()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrRefused, spec.object(), err)
	}
	u.add(func() error { a.indices.free(index); return nil })
	var d Device
	if spec.uplink != nil {
		d, err = a.opts.Driver.OpenUplink(*spec.uplink)
	} else {
		d, err = a.opts.Driver.OpenTap(*spec.tap)
	}
	if err != nil {
		return nil, err
	}
	u.add(func() error {
		if d.Created() {
			return d.Remove()
		}
		return d.Close() // a VM may be using the interface since before this daemon
	})
	return &port{name: spec.name(), index: index, spec: spec, device: d}, nil
}

// bytesPerMbit is a megabit in bytes.
const bytesPerMbit = 1_000_000 / 8

// addPort makes the switch poll a port. Its packets are dropped until a snapshot knows it.
func (a *Agent) addPort(p *port, u *undo) error {
	_, speedMbit := p.device.Link()
	err := a.sw.AddPort(dataplane.PortSpec{
		Index: p.index, Name: p.spec.name(), Uplink: p.spec.uplink != nil, Device: p.device.Handle(),
		RxQueues: p.device.RxQueues(), TxQueues: p.device.TxQueues(), LinkBytesPerSec: uint64(speedMbit) * bytesPerMbit,
	})
	if err != nil {
		return fmt.Errorf("%s: add to the switch: %w", p.spec.object(), err)
	}
	u.add(func() error { return a.sw.RemovePort(p.index) })
	return nil
}

// changePort gives a running vport another address or MTU, or an uplink another wish.
func (a *Agent) changePort(c change, u *undo) error {
	old := c.port.spec
	if err := a.reconfigure(c.port, c.spec); err != nil {
		return err
	}
	u.add(func() error { return a.reconfigure(c.port, old) })
	return nil
}

func (a *Agent) reconfigure(p *port, spec portSpec) error {
	a.devices.Lock()
	defer a.devices.Unlock()
	if spec.uplink != nil { // what is asked of its device in vain: see portSpec.difference
		p.spec = spec
		return nil
	}
	mac, mtu := spec.tap.MAC, spec.tap.MTU
	if err := p.device.Reconfigure(mac, mtu); err != nil {
		return fmt.Errorf("%s: set address %s and MTU %d: %w", spec.object(), mac, mtu, err)
	}
	p.spec = spec
	return nil
}

// closePorts takes ports that no snapshot mentions any more out of the switch and closes their devices. What fails is
// logged and returned; the index of a port that the switch did not let go of is never given out again.
func (a *Agent) closePorts(ports []*port) (failed []error) {
	for _, p := range ports {
		err := a.sw.RemovePort(p.index)
		if err == nil {
			a.devices.Lock()
			err = p.device.Remove()
			a.devices.Unlock()
			a.indices.free(p.index)
		}
		if err != nil {
			err = fmt.Errorf("%s was removed, but: %w", p.spec.object(), err)
			a.log.Error("clean-up after apply", "error", err)
			failed = append(failed, err)
			continue
		}
		a.log.Info("port removed", "port", p.spec.object(), "index", p.index)
	}
	return failed
}

// successor is what runs after now once the opened ports are added: ports that stay keep their place in the switch.
func (a *Agent) successor(now *Running, wanted given, opened map[string]*port) *Running {
	next := &Running{
		Config: wanted.config, File: wanted.file, YAML: wanted.text, Hash: hash(wanted.text), Revision: now.Revision + 1,
		Applied: time.Now(), byName: map[string]*port{}, byIndex: map[uint32]*port{}, divides: map[string]bool{}, linkMbit: map[string]uint32{}, tolerant: wanted.tolerant,
	}
	if wanted.same {
		next.Revision, next.Applied = now.Revision, now.Applied
	}
	for _, spec := range specsOf(wanted.config, len(a.opts.Cores)) {
		p := opened[spec.name()]
		if p == nil {
			p = now.byName[spec.name()]
		}
		if spec.uplink != nil {
			next.divides[spec.name()] = spec.uplink.Hardware.Divides && p.dcb().Divides
			next.learnSpeed(now, p, wanted.config.Uplink(spec.name()))
		}
		next.order = append(next.order, p)
		next.byName[spec.name()], next.byIndex[p.index] = p, p
	}
	next.queues = a.planQueues(next)
	return next
}

// Index is the switch port of an uplink or vport, for the compilation of the policy.
func (r *Running) Index(name string) (uint32, bool) {
	if p := r.byName[name]; p != nil {
		return p.index, true
	}
	return policy.NoIndex, false
}

// MAC is the address of an uplink's or vport's device.
func (r *Running) MAC(name string) packet.MAC {
	if p := r.byName[name]; p != nil {
		return p.device.MAC()
	}
	return packet.MAC{}
}

// MTU is the largest IP packet that an uplink's or vport's device carries, bytes.
func (r *Running) MTU(name string) int {
	if p := r.byName[name]; p != nil {
		return p.device.MTU()
	}
	return 0
}

// Package memdriver is an agent.Driver over memory ports, for tests of everything above the devices: a real agent with
// real workers, and no NIC, namespace or cgo below.
package memdriver

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
)

// UplinkMAC is the address of every uplink's device.
var UplinkMAC = packet.MAC{0x02, 0, 0, 0, 0, 1}

// Driver opens memory ports and remembers what was done with them.
type Driver struct {
	net   *memport.Net
	arena *memport.Arena

	mu     sync.Mutex
	fail   map[string]error
	open   map[string]*device
	taps   map[string]bool // interfaces that exist, by name
	deeds  []string
	before func(deed string)

	classes int             // that devices of uplinks take
	links   map[string]link // that were set, by name

	gate gate // workers pass it with every poll
}

// New makes a driver with buffers for so many packets.
func New(packets int) *Driver {
	a := memport.NewArena(packets, 2048)
	return &Driver{net: memport.New(a), arena: a, fail: map[string]error{}, open: map[string]*device{}, taps: map[string]bool{}, links: map[string]link{}}
}

// Net is the net of the memory ports.
func (d *Driver) Net() *memport.Net { return d.net }

// Fail makes a deed fail from now on; nil mends it. Deeds are "open NAME", "reconfigure NAME", "close NAME" and
// "remove NAME".
func (d *Driver) Fail(deed string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail[deed] = err; err == nil {
		delete(d.fail, deed)
	}
}

// Before has f called before every deed; nil ends it.
func (d *Driver) Before(f func(deed string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = f
}

// Deeds takes what was done since the last call, in order.
func (d *Driver) Deeds() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	deeds := d.deeds
	d.deeds = nil
	return deeds
}

// Port is the memory port that was opened under a name, nil when there is none.
func (d *Driver) Port(name string) *memport.Device {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dev := d.open[name]; dev != nil {
		return dev.Device
	}
	return nil
}

// Interfaces lists the taps that exist, in order of name.
func (d *Driver) Interfaces() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for name := range d.taps {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Delete takes an interface away behind the agent's back.
func (d *Driver) Delete(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dev := d.open[name]
	dev.gone = true
	delete(d.taps, dev.tap)
}

// link is the state of a link.
type link struct {
	down bool
	mbit uint32
}

// SetLink gives the link of a device, open or not yet, a state and a speed.
func (d *Driver) SetLink(name string, up bool, mbit uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.links[name] = link{!up, mbit}
	if dev := d.open[name]; dev != nil {
		dev.link = d.links[name]
	}
}

// CheckClean reports what is left open, and packets that were lost.
func (d *Driver) CheckClean() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.open) > 0 {
		return fmt.Errorf("%d devices are still open", len(d.open))
	}
	if d.arena.Free() != d.arena.Size() {
		return errors.New("packets were lost:\n" + d.arena.Report())
	}
	return nil
}

func (d *Driver) do(deed string) error {
	d.mu.Lock()
	before := d.before
	d.mu.Unlock()
	if before != nil {
		before(deed)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deeds = append(d.deeds, deed)
	return d.fail[deed]
}

// OpenUplink implements agent.Driver.
func (d *Driver) OpenUplink(s agent.UplinkSpec) (agent.Device, error) {
	dev := &device{name: s.Name, mac: UplinkMAC, mtu: s.MTU}
	d.mu.Lock()
	classes := d.classes
	d.mu.Unlock()
	h := s.Hardware
	switch {
	case classes > 0:
		dev.dcb = agent.DCB{Classes: classes, HasPFC: true, Running: h.Classes, Divides: h.Divides, PFC: h.PFC}
	case h.Classes > 0 && h.Required:
		return nil, fmt.Errorf("uplink %s: hardware is required, and refuses: %w", s.Name, errNoDCB)
	case h.Classes > 0:
		dev.dcb.Refused = errNoDCB
		fallthrough
	default:
		dev.dcb.Err = errNoDCB
	}
	return d.openPort(dev, s.RxQueues, s.TxQueues)
}

var errNoDCB = fmt.Errorf("the device has no DCB: %w", errors.ErrUnsupported)

// GiveClasses makes uplinks that are opened from now on take classes of their own.
func (d *Driver) GiveClasses(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.classes = n
}

// OpenTap implements agent.Driver.
func (d *Driver) OpenTap(s agent.TapSpec) (agent.Device, error) {
	return d.openPort(&device{name: s.Name, tap: s.Interface, persist: s.Persist, mac: s.MAC, mtu: s.MTU}, s.Queues, s.Queues)
}

func (d *Driver) openPort(dev *device, rx, tx int) (agent.Device, error) {
	object := "uplink " + dev.name
	if dev.tap != "" {
		object = "vport " + dev.name
	}
	if err := d.do("open " + dev.name); err != nil {
		return nil, fmt.Errorf("%s: %w", object, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.open {
		if dev.tap != "" && o.tap == dev.tap && !o.gone {
			return nil, fmt.Errorf("%s: interface %s is busy", object, dev.tap)
		}
	}
	dev.driver, dev.Device, dev.link = d, d.net.Device(rx, tx), link{mbit: 10_000}
	if l, set := d.links[dev.name]; set {
		dev.link = l
	}
	if dev.tap != "" {
		dev.created = !d.taps[dev.tap]
		d.taps[dev.tap] = true
	}
	d.open[dev.name] = dev
	return dev, nil
}

// NewPoller implements agent.Driver.
func (d *Driver) NewPoller() (dataplane.Poller, error) {
	if err := d.do("poller"); err != nil {
		return nil, err
	}
	return &poller{Poller: d.net.Poller(), gate: &d.gate}, nil
}

// Hang keeps all workers from coming back from their next poll, until release is called. When it returns all of them
// hang.
func (d *Driver) Hang() (release func()) { return d.gate.shut() }

// gate is what workers wait at while they hang.
type gate struct {
	mu      sync.Mutex
	moved   sync.Cond // anything below has changed
	closed  bool
	workers int // that poll
	waiting int // of them
}

func (g *gate) shut() (open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.moved.L = &g.mu
	for g.waiting < g.workers {
		g.moved.Wait()
	}
	return func() { g.change(func() { g.closed = false }) }
}

func (g *gate) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	g.moved.Broadcast()
}

func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		return
	}
	g.waiting++
	g.moved.Broadcast()
	for g.closed {
		g.moved.Wait()
	}
	g.waiting--
}

// poller hangs when it is told to.
type poller struct {
	*memport.Poller
	gate    *gate
	started bool
}

func (p *poller) Start() error {
	p.started = true
	p.gate.change(func() { p.gate.workers++ })
	return p.Poller.Start()
}

func (p *poller) Poll() {
	p.gate.pass()
	p.Poller.Poll()
}

func (p *poller) Close() {
	if p.started {
		p.gate.change(func() { p.gate.workers-- })
	}
	p.Poller.Close()
}

// TSCHz implements agent.Driver.
func (d *Driver) TSCHz() uint64 { return memport.TSCHz }

// Close implements agent.Driver.
func (d *Driver) Close() error {
	d.arena.Close()
	return nil
}

// device is an open memory port.
type device struct {
	*memport.Device
	driver       *Driver
	name, tap    string
	persist      bool
	created      bool
	mac          packet.MAC
	mtu          int
	gone, closed bool
	dcb          agent.DCB
	link         link
}

func (v *device) MAC() packet.MAC { return v.mac }
func (v *device) MTU() int        { return v.mtu }

func (v *device) Link() (bool, uint32) {
	v.driver.mu.Lock()
	defer v.driver.mu.Unlock()
	return !v.closed && !v.link.down, v.link.mbit
}

func (v *device) Created() bool  { return v.created }
func (v *device) DCB() agent.DCB { return v.dcb }
func (v *device) Close() error   { return v.end("close", !v.persist) }
func (v *device) Remove() error  { return v.end("remove", true) }

func (v *device) Gone() bool {
	v.driver.mu.Lock()
	defer v.driver.mu.Unlock()
	return v.gone
}

// Stats panics after Close: the agent promises not to ask then.
func (v *device) Stats() (agent.DeviceStats, error) {
	if v.closed {
		panic("memdriver: Stats of " + v.name + ", which is closed")
	}
	s := v.Device.Stats()
	return agent.DeviceStats{
		RxPackets: s.RxPackets, RxBytes: s.RxBytes, TxPackets: s.TxPackets, TxBytes: s.TxBytes, TxErrors: s.TxRejected,
		RxNoMbuf: s.RxNoBuffer,
	}, nil
}

func (v *device) Reconfigure(mac packet.MAC, mtu int) error {
	if err := v.driver.do("reconfigure " + v.name); err != nil {
		return err
	}
	v.mac, v.mtu = mac, mtu
	return nil
}

func (v *device) end(deed string, remove bool) error {
	if err := v.driver.do(deed + " " + v.name); err != nil {
		return err
	}
	if err := v.Device.Close(); err != nil {
		return err
	}
	v.driver.mu.Lock()
	defer v.driver.mu.Unlock()
	v.closed = true
	if v.driver.open[v.name] == v {
		delete(v.driver.open, v.name)
	}
	if remove && !v.gone {
		delete(v.driver.taps, v.tap)
	}
	return nil
}

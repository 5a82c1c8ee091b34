package soak

import (
	"errors"
	"fmt"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/benchmarks/sequence"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
)

// driver opens sequence ports by their names, and all others at the real driver.
type driver struct {
	agent.Driver
	net *sequence.Net
}

// OpenUplink implements agent.Driver.
func (d *driver) OpenUplink(s agent.UplinkSpec) (agent.Device, error) {
	if handle, ok := d.net.Handle(s.Name); ok {
		return &device{handle: handle, mac: uplinkMAC, mtu: s.MTU, rx: s.RxQueues, tx: s.TxQueues}, nil
	}
	return d.Driver.OpenUplink(s)
}

// OpenTap implements agent.Driver.
func (d *driver) OpenTap(s agent.TapSpec) (agent.Device, error) {
	if handle, ok := d.net.Handle(s.Name); ok {
		return &device{handle: handle, mac: s.MAC, mtu: s.MTU, rx: s.Queues, tx: s.Queues}, nil
	}
	return d.Driver.OpenTap(s)
}

// NewPoller implements agent.Driver.
func (d *driver) NewPoller() (dataplane.Poller, error) {
	inner, err := d.Driver.NewPoller()
	if err != nil {
		return nil, err
	}
	return d.net.Poller(inner), nil
}

// device is a sequence port as the agent sees it.
type device struct {
	handle uint32
	mac    packet.MAC
	mtu    int
	rx, tx int
}

func (d *device) Handle() uint32                    { return d.handle }
func (d *device) MAC() packet.MAC                   { return d.mac }
func (d *device) MTU() int                          { return d.mtu }
func (d *device) Link() (bool, uint32)              { return true, 0 }
func (d *device) DCB() agent.DCB                    { return agent.DCB{Err: errors.ErrUnsupported} }
func (d *device) Stats() (agent.DeviceStats, error) { return agent.DeviceStats{}, nil }
func (d *device) RxQueues() int                     { return d.rx }
func (d *device) TxQueues() int                     { return d.tx }
func (d *device) Created() bool                     { return true }
func (d *device) Gone() bool                        { return false }
func (d *device) Close() error                      { return nil }
func (d *device) Remove() error                     { return nil }

// Reconfigure implements agent.Device: nothing of an untouched port may be touched.
func (d *device) Reconfigure(mac packet.MAC, mtu int) error {
	return fmt.Errorf("a port that stays as it is was to get MAC %s and MTU %d", mac, mtu)
}

package dpdk

// #include "poll.h"
import "C"

import (
	"fmt"
	"sync"

	"github.com/sluicenet/sluice/packet"
)

// Stats are a device's own counters since it was opened.
type Stats struct {
	RxPackets uint64
	RxBytes   uint64
	RxErrors  uint64 // damaged, too long, or not what the device was asked for
	RxMissed  uint64 // dropped by the device because nobody took them in time
	RxNoMbuf  uint64 // not received because the mempool was empty
	TxPackets uint64
	TxBytes   uint64
	TxErrors  uint64
}

// Device is an uplink (an ethdev port) or a tap. Pollers know it by its handle.
type Device struct {
	handle uint32
	name   string
	notes  []string
	port   port

	mu     sync.Mutex
	users  int // poll list entries and outputs that refer to it
	closed bool
}

// port is what differs between an ethdev port and a tap.
type port interface {
	mac() packet.MAC
	mtu() int
	link() (up bool, speedMbit uint32)
	dcb() DCB
	stats() (Stats, error)
	rxQueues() int
	txQueues() int
	addRx(p *C.struct_sluice_poller, queue uint16, ref uint32) error
	waker(queue uint16) waker
	output(queue uint16, shared bool) C.struct_sluice_out
	wasCreated() bool
	gone() bool
	reconfigure(mac packet.MAC, mtu int) error
	close() error
	remove() error
}

// devices hands out handles, from 1 upward and never twice.
var devices = struct {
	sync.Mutex
	last  uint32
	byNum map[uint32]*Device
}{byNum: map[uint32]*Device{}}

func register(name string, p port, notes []string) *Device {
	devices.Lock()
	defer devices.Unlock()
	devices.last++
	d := &Device{handle: devices.last, name: name, notes: notes, port: p}
	devices.byNum[d.handle] = d
	return d
}

// use finds a device and keeps it from being closed until done.
func use(handle uint32) (*Device, error) {
	devices.Lock()
	d := devices.byNum[handle]
	devices.Unlock()
	if d == nil {
		return nil, fmt.Errorf("device %d: %w", handle, ErrNoDevice)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, fmt.Errorf("device %s: %w: it is closed", d.name, ErrNoDevice)
	}
	d.users++
	return d, nil
}

func (d *Device) done() {
	d.mu.Lock()
	d.users--
	d.mu.Unlock()
}

// Handle is the number by which pollers know the device.
func (d *Device) Handle() uint32 { return d.handle }

// Name is the name given when it was opened.
func (d *Device) Name() string { return d.name }

// Notes say where the device is less than what was asked for, e.g. fewer queues, and what opening it changed elsewhere.
func (d *Device) Notes() []string { return d.notes }

// MAC is the device's Ethernet address; for a tap, that of the VM behind it.
func (d *Device) MAC() packet.MAC {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.port.mac()
}

// MTU is the largest payload of a frame, bytes.
func (d *Device) MTU() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.port.mtu()
}

// Created reports that opening the device made its interface, as opposed to finding it.
func (d *Device) Created() bool { return d.port.wasCreated() }

// Gone reports that the interface was deleted by somebody else, by itself or with its namespace: the device is of no use
// any more and has to be closed.
func (d *Device) Gone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.closed && d.port.gone()
}

// Reconfigure changes address and MTU while packets run. It fails with ErrUnsupported, and changes nothing, where the
// device cannot: then it has to be closed and opened again.
func (d *Device) Reconfigure(mac packet.MAC, mtu int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("reconfigure %s: %w: it is closed", d.name, ErrNoDevice)
	}
	return d.port.reconfigure(mac, mtu)
}

// RxQueues is the number of receive queues that the device really has.
func (d *Device) RxQueues() int { return d.port.rxQueues() }

// TxQueues is the number of transmit queues that the device really has.
func (d *Device) TxQueues() int { return d.port.txQueues() }

// Link reports whether frames can pass, and the speed if the device knows one: without a link the highest that it can
// have, so that a pulled cable does not make shares of the link impossible. It never waits.
func (d *Device) Link() (up bool, speedMbit uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false, 0
	}
	return d.port.link()
}

// DCB says what the device can do of data center bridging, and what of it is in force. Both are settled when it is opened.
func (d *Device) DCB() DCB {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.port.dcb()
}

// Stats reads the counters.
func (d *Device) Stats() (Stats, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return Stats{}, fmt.Errorf("statistics of %s: %w: it is closed", d.name, ErrNoDevice)
	}
	return d.port.stats()
}

// Close gives the device back to the system; a persistent tap stays where it is. It refuses while a poller refers to
// the device. Closing twice does nothing.
func (d *Device) Close() error { return d.end(d.port.close) }

// Remove closes the device and deletes what opening it made: a persistent tap.
func (d *Device) Remove() error { return d.end(d.port.remove) }

func (d *Device) end(how func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	if d.users > 0 {
		return fmt.Errorf("close device %s: %w by %d entries of pollers: take it off them first", d.name, ErrBusy, d.users)
	}
	d.closed = true
	devices.Lock()
	delete(devices.byNum, d.handle)
	devices.Unlock()
	return how()
}

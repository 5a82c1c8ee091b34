package agent

import (
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// Driver is the seam between the agent and what moves packets. cmd/sluiced implements it over package dpdk; tests
// implement it over memory ports. The agent calls it from one goroutine at a time. Errors of the Open methods name the
// uplink or vport.
type Driver interface {
	// OpenUplink makes a physical port ready to receive and send. Nothing remains of it when it fails.
	OpenUplink(UplinkSpec) (Device, error)
	// OpenTap makes a VM's port ready: the interface is created when it does not exist, moved into its namespace and
	// brought up. Nothing remains of it when it fails; an interface that was there before stays.
	OpenTap(TapSpec) (Device, error)
	// NewPoller makes the exchange of one worker. The worker closes it.
	NewPoller() (dataplane.Poller, error)
	// TSCHz is the rate of packet.IO.TSC, cycles per second.
	TSCHz() uint64
	// Close is the last call, after all devices are closed and all workers have stopped.
	Close() error
}

// UplinkSpec says what physical port to open. Exactly one of DevArgs and PCI is set.
type UplinkSpec struct {
	Name     string // of the uplink in the configuration, for messages
	DevArgs  string // a DPDK virtual device: "net_af_packet0,iface=veth0"
	PCI      string // a PCI address: "0000:03:00.0"
	RxQueues int
	TxQueues int // wanted: one per worker; a device may offer fewer, which are then shared
	MTU      int // largest IP packet, bytes
	Hardware policy.HardwareQoS
}

// TapSpec says what tap interface to open for a VM.
type TapSpec struct {
	Name      string     // of the vport in the configuration, for messages
	Interface string     // interface name in the namespace
	Namespace string     // a name under /run/netns or a path; "" is the daemon's own
	MAC       packet.MAC // of the VM: the interface bears it
	MTU       int        // largest IP packet, bytes
	Queues    int
	Persist   bool // the interface outlives the daemon
}

// Device is an open port. Its methods may be called from any goroutine, but not after Close or Remove.
type Device interface {
	// Handle names the device to pollers.
	Handle() uint32
	MAC() packet.MAC
	MTU() int
	// Link reports the carrier; speedMbit is 0 when the device does not know it.
	Link() (up bool, speedMbit uint32)
	// DCB says what the device can do of data center bridging, and what of UplinkSpec.Hardware is in force. It stays the
	// same as long as the device is open.
	DCB() DCB
	Stats() (DeviceStats, error)
	RxQueues() int
	TxQueues() int
	// Created reports that opening the device made its interface: undoing the open removes it again.
	Created() bool
	// Gone reports that somebody deleted the interface, by itself or with its namespace.
	Gone() bool
	// Reconfigure changes address and MTU of the running device. It fails, and changes nothing, where the device cannot.
	Reconfigure(mac packet.MAC, mtu int) error
	// Close gives the device back to the system; a persistent interface stays.
	Close() error
	// Remove closes the device and deletes its interface, persistent or not.
	Remove() error
}

// DCB is what a device can do of data center bridging by itself, and what of it is in force.
type DCB struct {
	Classes int   // that its driver tells of
	Err     error // why it tells of none
	HasPFC  bool  // its driver has priority flow control

	Running int   // classes that it runs with; 0: all frames are alike to it
	Divides bool  // it divides the link among these
	PFC     uint8 // priorities that pause, a bit for each
	Refused error // why less is in force than was asked for
}

// DeviceStats is what a device counts itself, since it was opened. A device leaves at 0 what it does not count.
type DeviceStats struct {
	RxPackets, RxBytes uint64
	TxPackets, TxBytes uint64
	RxMissed           uint64 // dropped by the device: its receive queue was full
	RxErrors           uint64
	TxErrors           uint64
	RxNoMbuf           uint64 // not received: the packet pool was empty
}

package dpdk

// #include <stdlib.h>
// #include <rte_dev.h>
// #include "ethdev.h"
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"github.com/sluicenet/sluice/packet"
)

// UplinkOptions of OpenUplink.
type UplinkOptions struct {
	Name        string // the user's name for it, for messages
	What        string // what messages call it; "" is "uplink NAME"
	Devargs     string // a PCI address, or a virtual device: "net_af_packet0,iface=eth1"
	RxQueues    int    // wanted; the device may have fewer. 0 is 1
	TxQueues    int    // likewise
	MTU         int    // bytes; 0 is the driver's own
	Promiscuous bool   // receive frames for any address
	DCB         DCBOptions
	Interrupts  bool // set the device up to wake sleeping workers, where its driver can
	Pool        *Mempool
}

// ethdev is an uplink: a port of DPDK.
type ethdev struct {
	name   string
	id     C.uint16_t
	kernel *kernelInterface // of drivers on top of the kernel, else nil
	rings  *ringSockets     // of af_packet, else nil
	intr   bool             // receive queues have interrupts
	locks  *C.struct_sluice_txlock
	rx, tx int
	addr   packet.MAC
	maxLen int

	bridging DCB
	dcbTx    *C.struct_sluice_dcb // of a device that runs with classes of its own, else nil
}

// control keeps DPDK's control calls, which are not safe against each other, and their log lines apart.
var control sync.Mutex

// OpenUplink plugs the device in, configures it and starts it.
func OpenUplink(o UplinkOptions) (*Device, error) {
	what := cmp.Or(o.What, "uplink "+o.Name)
	if err := running(what); err != nil {
		return nil, err
	}
	control.Lock()
	defer control.Unlock()
	o.RxQueues, o.TxQueues = max(1, o.RxQueues), max(1, o.TxQueues)
	frame := o.MTU + l2Overhead
	if o.Pool == nil || o.MTU < 0 || frame > o.Pool.FrameSize() {
		return nil, fmt.Errorf("%s: MTU %d: %w: frames of %d bytes do not fit the packets of the mempool", what, o.MTU, ErrInvalid, frame)
	}
	args := parseDevargs(o.Devargs)
	kernel, err := prepare(&args, &o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	args.replace()
	id, err := probe(args, what)
	if err != nil {
		kernel.release()
		return nil, err
	}
	e := &ethdev{name: args.name, id: id, kernel: kernel}
	notes, err := e.start(o, what)
	if err == nil && args.isAFPacket() {
		e.rings, err = findRingSockets(kernel.index)
	}
	if err == nil {
		e.findWakers()
	}
	if err != nil {
		C.sluice_ethdev_close(id)
		C.free(unsafe.Pointer(e.dcbTx))
		kernel.release()
		return nil, err
	}
	if kernel != nil {
		for _, note := range kernel.notes {
			notes = append(notes, what+": "+note)
		}
	}
	takeLog()
	return register(o.Name, e, notes), nil
}

// prepare checks what DPDK would answer only with a bare failure, and completes the arguments.
func prepare(args *devargs, o *UplinkOptions) (*kernelInterface, error) {
	if args.name == "" {
		return nil, fmt.Errorf("no device named: %w: want a PCI address, or a driver with its arguments as in net_af_packet0,iface=eth1", ErrInvalid)
	}
	if args.isPCI() || strings.Contains(args.name, ":") {
		if err := checkAddress(args.name); err != nil {
			return nil, err
		}
		if !eal.pci {
			return nil, fmt.Errorf("PCI device %s: %w while running: the daemon was started without a PCI uplink; restart it with this one in its configuration", args.name, ErrUnsupported)
		}
		return nil, checkPCI(sysfsPCI, args.name)
	}
	if !args.onKernel() {
		return nil, nil
	}
	if err := CheckDevargs(args.String()); err != nil {
		return nil, err
	}
	name := args.get("iface")
	if interfaceInUse(name) {
		return nil, fmt.Errorf("interface %s: %w by another uplink: name another interface", name, ErrBusy)
	}
	k, err := openKernelInterface(name)
	if err != nil {
		return nil, err
	}
	if o.MTU == 0 {
		o.MTU = k.mtu()
	}
	if args.isAFPacket() {
		if err := args.afPacket(o.RxQueues, o.MTU); err != nil {
			return nil, err
		}
	}
	claim, note, err := claimInterface(name, k.index) // before anything of it changes
	if err != nil {
		return nil, err
	}
	if k.claim = claim; note != "" {
		k.notes = append(k.notes, note)
	}
	if err := k.bringUp(o.MTU); err != nil {
		k.release()
		return nil, err
	}
	return k, nil
}

// probe plugs a device in and finds its port. One that EAL probed at the start is found without.
func probe(args devargs, what string) (C.uint16_t, error) {
	name := C.CString(args.name)
	defer C.free(unsafe.Pointer(name))
	if id := C.sluice_ethdev_find(name); id >= 0 {
		if ethdevInUse(C.uint16_t(id)) {
			return 0, fmt.Errorf("%s: device %s: %w by another uplink: name another device", what, args.name, ErrBusy)
		}
		return C.uint16_t(id), nil
	}
	all := C.CString(args.String())
	defer C.free(unsafe.Pointer(all))
	if err := errno(C.rte_dev_probe(all)); err != nil {
		return 0, failure(fmt.Sprintf("%s: open device %s", what, args), err, takeLog())
	}
	id := C.sluice_ethdev_find(name)
	if id < 0 {
		bus := C.CString("vdev")
		defer C.free(unsafe.Pointer(bus))
		C.rte_eal_hotplug_remove(bus, name)
		return 0, fmt.Errorf("%s: device %s: %w: it is not an Ethernet device", what, args, ErrInvalid)
	}
	return C.uint16_t(id), nil
}

func ethdevInUse(id C.uint16_t) bool {
	return anyEthdev(func(e *ethdev) bool { return e.id == id })
}

// interfaceInUse: the kernel would not mind, and deal each frame to one of the two.
func interfaceInUse(name string) bool {
	return anyEthdev(func(e *ethdev) bool { return e.kernel != nil && e.kernel.name == name && !e.kernel.gone() })
}

// replace gives the device another name while one of its name, whose interface is gone, is still open: the successor is
// opened before workers let go of the old one.
func (d *devargs) replace() {
	taken := func(name string) bool {
		return anyEthdev(func(e *ethdev) bool { return e.name == name })
	}
	if !d.onKernel() || !anyEthdev(func(e *ethdev) bool { return e.name == d.name && e.gone() }) {
		return
	}
	name := d.name
	for n := 2; taken(d.name); n++ {
		d.name = fmt.Sprintf("%s_%d", name, n)
	}
}

func anyEthdev(is func(*ethdev) bool) bool {
	devices.Lock()
	defer devices.Unlock()
	for _, d := range devices.byNum {
		if e, ok := d.port.(*ethdev); ok && is(e) {
			return true
		}
	}
	return false
}

func (e *ethdev) start(o UplinkOptions, what string) (notes []string, err error) {
	conf := C.struct_sluice_ethdev_conf{
		pool: o.Pool.c, rx_queues: C.uint16_t(o.RxQueues), tx_queues: C.uint16_t(o.TxQueues), mtu: C.uint16_t(o.MTU),
	}
	if o.Promiscuous {
		conf.promiscuous = 1
	}
	if o.Interrupts {
		conf.interrupts = 1
	}
	queueOf, err := e.startAs(&o, &conf, what)
	if err != nil {
		return nil, err
	}
	// Drivers on top of the kernel got the MTU there; others without a limit of their own take any frame.
	err = errno(conf.mtu_ret)
	if err != nil && e.kernel == nil && !errors.Is(err, syscall.ENOTSUP) {
		return nil, fmt.Errorf("%s: MTU %d: %w by the device (%w; it says at most %d): lower the uplink's mtu", what, o.MTU, ErrUnsupported, err, int(conf.max_mtu))
	}
	e.intr = conf.interrupts != 0
	e.rx, e.tx, e.maxLen = int(conf.rx_queues), int(conf.tx_queues), o.MTU
	if o.MTU == 0 {
		var mtu C.uint16_t
		if err := errno(C.rte_eth_dev_get_mtu(e.id, &mtu)); err != nil {
			return nil, failure(what+": read the MTU", err, takeLog())
		}
		e.maxLen = int(mtu)
	}
	if e.rx == 0 || e.tx == 0 {
		return nil, fmt.Errorf("%s: %w: the device has %d receive and %d transmit queues, one of each is needed", what, ErrUnsupported, e.rx, e.tx)
	}
	if e.rx < o.RxQueues && e.bridging.Running == 0 {
		notes = append(notes, fmt.Sprintf("%s: %d receive queues wanted, the device has %d", what, o.RxQueues, e.rx))
	}
	if e.tx < o.TxQueues && e.bridging.Running == 0 {
		notes = append(notes, fmt.Sprintf("%s: %d transmit queues wanted, the device has %d: workers share them", what, o.TxQueues, e.tx))
	}
	var addr C.struct_rte_ether_addr
	if err := errno(C.rte_eth_macaddr_get(e.id, &addr)); err != nil {
		return nil, failure(what+": read the MAC address", err, takeLog())
	}
	e.addr = *(*packet.MAC)(unsafe.Pointer(&addr))
	if e.locks = C.sluice_txlocks_create(C.uint(e.tx)); e.locks == nil {
		return nil, fmt.Errorf("%s: %w", what, ErrNoMemory)
	}
	if e.bridging.Running > 0 {
		if err := e.useClasses(e.bridging.Running, queueOf); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	return notes, nil
}

// startAs starts the device with classes of its own where these are wanted and it takes them, else without.
func (e *ethdev) startAs(o *UplinkOptions, conf *C.struct_sluice_ethdev_conf, what string) (queueOf [8]int, err error) {
	if o.DCB.Classes > 0 {
		queueOf, err = e.startDCB(o, conf)
		if err != nil && o.DCB.Required {
			return queueOf, fmt.Errorf("%s: hardware is required, and refuses: %w", what, err)
		}
		if err != nil {
			e.bridging.Refused = err
		}
	}
	if e.bridging.Running == 0 {
		if err := errno(C.sluice_ethdev_start(e.id, conf)); err != nil {
			return queueOf, failure(fmt.Sprintf("%s: %s", what, C.GoString(conf.step)), err, takeLog())
		}
	}
	e.probeDCB()
	return queueOf, nil
}

func (e *ethdev) mac() packet.MAC { return e.addr }
func (e *ethdev) mtu() int        { return e.maxLen }
func (e *ethdev) rxQueues() int   { return e.rx }
func (e *ethdev) dcb() DCB        { return e.bridging }

// txQueues is 1 of a device with classes of its own: which of its queues a frame takes is a matter of the frame's class.
func (e *ethdev) txQueues() int {
	if e.dcbTx != nil {
		return 1
	}
	return e.tx
}

// An uplink's interface is never of our making.
func (e *ethdev) wasCreated() bool { return false }

// gone: a NIC that was pulled out is a matter of its link, an interface of the kernel's never comes back by itself.
func (e *ethdev) gone() bool { return e.kernel != nil && e.kernel.gone() }

func (e *ethdev) reconfigure(mac packet.MAC, mtu int) error {
	if mac == e.addr && mtu == e.maxLen {
		return nil
	}
	return fmt.Errorf("device %s: change MAC or MTU while it runs: %w", e.name, ErrUnsupported)
}

func (e *ethdev) link() (up bool, speedMbit uint32) {
	if e.kernel != nil {
		return e.kernel.link()
	}
	var speed C.uint32_t
	up = C.sluice_ethdev_link(e.id, &speed) != 0
	return up, uint32(speed)
}

func (e *ethdev) stats() (Stats, error) {
	var s C.struct_rte_eth_stats
	if err := errno(C.rte_eth_stats_get(e.id, &s)); err != nil {
		return Stats{}, failure("statistics of device "+e.name, err, "")
	}
	if e.rings != nil {
		missed, err := e.rings.read()
		if err != nil {
			return Stats{}, fmt.Errorf("statistics of device %s: %w", e.name, err)
		}
		s.imissed += C.uint64_t(missed)
	}
	return Stats{
		RxPackets: uint64(s.ipackets), RxBytes: uint64(s.ibytes), RxErrors: uint64(s.ierrors), RxMissed: uint64(s.imissed), RxNoMbuf: uint64(s.rx_nombuf),
		TxPackets: uint64(s.opackets), TxBytes: uint64(s.obytes), TxErrors: uint64(s.oerrors) + e.dcbDropped(),
	}, nil
}

func (e *ethdev) addRx(p *C.struct_sluice_poller, queue uint16, ref uint32) error {
	return errno(C.sluice_poller_add_rx_ethdev(p, C.struct_sluice_rxq{
		ref: C.uint32_t(ref), port: e.id, queue: C.uint16_t(queue), interrupt: C.bool(e.intr),
	}))
}

func (e *ethdev) output(queue uint16, shared bool) C.struct_sluice_out {
	if e.dcbTx != nil {
		return C.struct_sluice_out{kind: C.SLUICE_OUT_DCB, port: e.id, dcb: e.dcbTx}
	}
	out := C.struct_sluice_out{kind: C.SLUICE_OUT_ETHDEV, port: e.id, queue: C.uint16_t(queue)}
	if shared {
		out.lock = &unsafe.Slice(e.locks, e.tx)[queue]
	}
	return out
}

func (e *ethdev) close() error {
	control.Lock()
	defer control.Unlock()
	err := errno(C.sluice_ethdev_close(e.id))
	C.free(unsafe.Pointer(e.locks))
	C.free(unsafe.Pointer(e.dcbTx))
	e.kernel.release()
	if log := takeLog(); err != nil {
		return failure("close device "+e.name, err, log)
	}
	return nil
}

func (e *ethdev) remove() error { return e.close() }

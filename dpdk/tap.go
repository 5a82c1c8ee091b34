package dpdk

// #include <stdlib.h>
// #include "ethdev.h"
import "C"

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/packet"
)

// TapOptions of OpenTap.
type TapOptions struct {
	Name      string // the user's name for it, for messages
	Interface string // "" is Name
	Namespace string // a name under /run/netns or a path; "" is the process's own
	MAC       packet.MAC
	MTU       int // bytes; 0 is 1500
	Queues    int // receive and transmit queues; 0 is 1
	Persist   bool
	Pool      *Mempool // packets of which frames up to the MTU must fit
}

// tap is a VM's port: an interface whose other end are file descriptors of ours, one per queue. Guests are granted no
// offload, so that every frame comes as it would go onto a wire.
type tap struct {
	iface   string
	where   string // " in network namespace X", for messages
	ns      string // the name of the interface's namespace; "" is the process's own
	nsID    namespaceID
	addr    packet.MAC
	maxLen  int
	queues  int
	q       *C.struct_sluice_tapq
	index   int
	nl      *netlink.Handle // bound to the interface's namespace
	limit   int             // largest MTU that the mempool has room for
	created bool
}

const (
	maxTapQueues = 256 // of the kernel's
	vnetHdrSize  = 12  // struct virtio_net_hdr_mrg_rxbuf
	tunDevice    = "/dev/net/tun"
)

// OpenTap creates the interface, or attaches to the one it finds, and brings it up with the VM's MAC and MTU. One found
// in the process's own namespace while another is wanted is moved. When it fails, nothing remains that it made.
func OpenTap(o TapOptions) (*Device, error) {
	what := "vport " + o.Name
	if err := running(what); err != nil {
		return nil, err
	}
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	t := &tap{iface: o.Interface, addr: o.MAC, maxLen: o.MTU, queues: o.Queues, limit: o.Pool.FrameSize() - l2Overhead}
	if t.q = C.sluice_tapqs_create(C.uint(t.queues)); t.q == nil {
		return nil, fmt.Errorf("%s: %w", what, ErrNoMemory)
	}
	for i := range t.queue() {
		t.queue()[i].fd = -1
	}
	var err error
	if o.Namespace == "" {
		err = t.open(o)
	} else {
		err = t.openIn(o)
	}
	if err != nil {
		t.free()
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return register(o.Name, t, nil), nil
}

func (o *TapOptions) complete() error {
	if o.Interface == "" {
		o.Interface = o.Name
	}
	if o.MTU == 0 {
		o.MTU = 1500
	}
	o.Queues = max(1, o.Queues)
	switch {
	case len(o.Interface) == 0 || len(o.Interface) >= unix.IFNAMSIZ || strings.ContainsAny(o.Interface, "/%: "):
		return fmt.Errorf("interface name %q: %w: want 1 to %d characters without / %% : and spaces", o.Interface, ErrInvalid, unix.IFNAMSIZ-1)
	case o.Queues > maxTapQueues:
		return fmt.Errorf("%d queues: %w: a tap has at most %d", o.Queues, ErrInvalid, maxTapQueues)
	case o.Pool == nil || o.MTU < 68 || o.MTU+l2Overhead > o.Pool.FrameSize():
		return fmt.Errorf("MTU %d: %w: want at least 68, and frames that fit the packets of the mempool", o.MTU, ErrInvalid)
	case o.MAC.IsZero() || o.MAC.IsGroup():
		return fmt.Errorf("MAC %s: %w: want the address of one station", o.MAC, ErrInvalid)
	}
	return nil
}

func (t *tap) openIn(o TapOptions) error {
	t.where, t.ns = " in network namespace "+o.Namespace, o.Namespace
	ns, err := openNamespace(o.Namespace)
	if err != nil {
		return err
	}
	defer unix.Close(ns)
	if t.nsID, err = identify(ns); err != nil {
		return fmt.Errorf("network namespace %s: identify it: %w", o.Namespace, err)
	}
	err = inNamespace(ns, func() error { return t.open(o) })
	if !errors.Is(err, errAtHome) {
		return err
	}
	link, err := netlink.LinkByName(t.iface)
	if err == nil {
		err = netlink.LinkSetNsFd(link, ns)
	}
	if err != nil {
		return interfaceError(t.iface, "move it to network namespace "+o.Namespace, err)
	}
	return inNamespace(ns, func() error { return t.open(o) })
}

// errAtHome says that an idle tap of the wanted name is in the process's own namespace.
var errAtHome = errors.New("the interface is in the process's own namespace")

// open works in the namespace that the calling thread is in.
func (t *tap) open(o TapOptions) (err error) {
	if t.nl == nil {
		if t.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return fmt.Errorf("netlink: %w", err)
		}
	}
	found, err := t.inspect(o)
	if err != nil {
		return err
	}
	if !found && o.Namespace != "" && idleTapAtHome(t.iface) {
		return errAtHome
	}
	t.created = !found
	for i := range t.queue() {
		if err := t.attach(i); err != nil {
			return t.explain(err)
		}
	}
	if err := t.setUp(o); err != nil {
		_ = t.setPersist(!t.created) // one that was found idle was persistent
		return err
	}
	return nil
}

// inspect looks at an interface that is there already: it must be an idle tap with as many queues as wanted.
func (t *tap) inspect(o TapOptions) (found bool, err error) {
	var link netlink.Link
	err = patiently(func() error {
		link, err = t.nl.LinkByName(t.iface)
		if tuntap, ok := link.(*netlink.Tuntap); err == nil && ok && tuntap.Queues > 0 {
			return syscall.EBUSY
		}
		return err
	})
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return false, nil
	}
	if err != nil {
		return false, t.explain(err)
	}
	tuntap, ok := link.(*netlink.Tuntap)
	if !ok || tuntap.Mode != netlink.TUNTAP_MODE_TAP {
		return false, fmt.Errorf("interface %s%s: %w: it exists and is no tap but a %s: choose another name, or `ip link del` it", t.iface, t.where, ErrBusy, link.Type())
	}
	if many := tuntap.Flags&netlink.TUNTAP_MULTI_QUEUE != 0; many != (o.Queues > 1) {
		return false, fmt.Errorf("interface %s%s: %w: it exists with another number of queues: `ip link del %s` there, it will be made anew", t.iface, t.where, ErrUnsupported, t.iface)
	}
	return true, nil
}

// patiently repeats f while it says busy: what a killed process held can stay so for a moment.
func patiently(f func() error) (err error) {
	const tries, pause = 10, 50 * time.Millisecond
	for range tries {
		if err = f(); !errors.Is(err, syscall.EBUSY) {
			return err
		}
		time.Sleep(pause)
	}
	return err
}

func (t *tap) attach(queue int) error {
	return patiently(func() error {
		fd, err := attachQueue(t.iface, t.queues > 1)
		t.queue()[queue].fd = C.int(fd)
		return err
	})
}

// idleTapAtHome asks on a fresh goroutine: the caller's thread is elsewhere, all others are in the process's namespace.
func idleTapAtHome(name string) bool {
	answer := make(chan bool)
	go func() {
		link, err := netlink.LinkByName(name)
		tuntap, ok := link.(*netlink.Tuntap)
		answer <- err == nil && ok && tuntap.Mode == netlink.TUNTAP_MODE_TAP && tuntap.Queues == 0
	}()
	return <-answer
}

// explain turns the errors of attaching to a tap into advice.
func (t *tap) explain(err error) error {
	switch {
	case errors.Is(err, syscall.EBUSY):
		return fmt.Errorf("interface %s%s: %w by another process: stop it (`grep -l 'iff:.*%s' /proc/[0-9]*/fdinfo/*` finds it), or choose another name", t.iface, t.where, ErrBusy, t.iface)
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return fmt.Errorf("interface %s%s: %w: run as root, or with CAP_NET_ADMIN", t.iface, t.where, ErrPermission)
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("interface %s: %w: %s is missing: `modprobe tun`", t.iface, ErrUnsupported, tunDevice)
	case errors.Is(err, syscall.EINVAL):
		return fmt.Errorf("interface %s%s: %w as a tap: not a name for an interface, or it exists as something else", t.iface, t.where, ErrInvalid)
	}
	return fmt.Errorf("interface %s%s: %w", t.iface, t.where, err)
}

// attachQueue opens one queue of the tap in the thread's namespace and creates the tap if it is not there.
func attachQueue(name string, multi bool) (int, error) {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		if multi {
			flags |= unix.IFF_MULTI_QUEUE
		}
		req.SetUint16(flags)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetHdrSize)
	}
	if err == nil {
		err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// setUp gives the interface its address before it comes up: the VM must not appear with another one for a moment.
func (t *tap) setUp(o TapOptions) error {
	if err := t.setPersist(o.Persist); err != nil {
		return interfaceError(t.iface, "make it persistent", err)
	}
	link, err := t.nl.LinkByName(t.iface)
	if err != nil {
		return interfaceError(t.iface, "look it up", err)
	}
	t.index = link.Attrs().Index
	if err := t.configure(o.MAC, o.MTU); err != nil {
		return err
	}
	if err := t.nl.LinkSetUp(link); err != nil {
		return interfaceError(t.iface, "set it up", err)
	}
	return nil
}

func (t *tap) configure(mac packet.MAC, mtu int) error {
	link, err := t.nl.LinkByIndex(t.index)
	if err != nil {
		return interfaceError(t.iface, "look it up", err)
	}
	if string(link.Attrs().HardwareAddr) != string(mac[:]) {
		if err := t.nl.LinkSetHardwareAddr(link, net.HardwareAddr(mac[:])); err != nil {
			return interfaceError(t.iface, "set MAC "+mac.String(), err)
		}
	}
	if link.Attrs().MTU != mtu {
		if err := t.nl.LinkSetMTU(link, mtu); err != nil {
			_ = t.nl.LinkSetHardwareAddr(link, link.Attrs().HardwareAddr) // all or nothing
			return interfaceError(t.iface, fmt.Sprintf("set MTU %d", mtu), err)
		}
	}
	return nil
}

func (t *tap) setPersist(on bool) error {
	v := 0
	if on {
		v = 1
	}
	return unix.IoctlSetInt(int(t.queue()[0].fd), unix.TUNSETPERSIST, v)
}

func (t *tap) queue() []C.struct_sluice_tapq { return unsafe.Slice(t.q, t.queues) }

func (t *tap) mac() packet.MAC  { return t.addr }
func (t *tap) mtu() int         { return t.maxLen }
func (t *tap) rxQueues() int    { return t.queues }
func (t *tap) txQueues() int    { return t.queues }
func (t *tap) wasCreated() bool { return t.created }

func (t *tap) reconfigure(mac packet.MAC, mtu int) error {
	if mtu < 68 || mtu > t.limit || mac.IsZero() || mac.IsGroup() {
		return fmt.Errorf("interface %s: MAC %s, MTU %d: %w: want a station's address, and frames that fit the packets of the mempool (MTU at most %d)", t.iface, mac, mtu, ErrInvalid, t.limit)
	}
	if err := t.configure(mac, mtu); err != nil {
		return err
	}
	t.addr, t.maxLen = mac, mtu
	return nil
}

// gone reports what a worker found when it read a queue, or that the namespace's name leads elsewhere. Our descriptors
// belong to the namespace and keep it, and the interface, alive behind a name that was deleted: only the name tells.
func (t *tap) gone() bool {
	return t.dead() || t.ns != "" && !t.nsID.leadsTo(t.ns)
}

func (t *tap) dead() bool {
	for i := range t.queue() {
		if atomic.LoadUint32((*uint32)(&t.queue()[i].dead)) != 0 {
			return true
		}
	}
	return false
}

func (t *tap) dcb() DCB {
	return DCB{Err: fmt.Errorf("interface %s: a tap has no DCB: %w", t.iface, ErrUnsupported)}
}

// link is what the VM made of it: it may set its interface down, or delete it.
func (t *tap) link() (up bool, speedMbit uint32) {
	if t.gone() { // no VM is reached through it any more
		return false, 0
	}
	link, err := t.nl.LinkByIndex(t.index)
	if err != nil {
		return false, 0
	}
	const running = unix.IFF_UP | unix.IFF_RUNNING
	return link.Attrs().RawFlags&running == running, 0
}

func (t *tap) stats() (Stats, error) {
	var s Stats
	load := func(c *C.uint64_t) uint64 { return atomic.LoadUint64((*uint64)(c)) }
	for i := range t.queue() {
		q := &t.queue()[i]
		s.RxPackets += load(&q.rx_packets)
		s.RxBytes += load(&q.rx_bytes)
		s.RxErrors += load(&q.rx_errors)
		s.RxNoMbuf += load(&q.rx_nombuf)
		s.TxPackets += load(&q.tx_packets)
		s.TxBytes += load(&q.tx_bytes)
		s.TxErrors += load(&q.tx_errors)
	}
	return s, nil
}

func (t *tap) addRx(p *C.struct_sluice_poller, queue uint16, ref uint32) error {
	return errno(C.sluice_poller_add_rx_tap(p, &t.queue()[queue], C.uint32_t(ref)))
}

func (t *tap) output(queue uint16, _ bool) C.struct_sluice_out {
	return C.struct_sluice_out{kind: C.SLUICE_OUT_TAP, tapq: &t.queue()[queue]}
}

func (t *tap) close() error {
	t.free()
	return nil
}

func (t *tap) remove() error {
	err := t.setPersist(false)
	t.free() // the last descriptor takes the interface along
	if err != nil && !errors.Is(err, syscall.EBADFD) {
		return interfaceError(t.iface, "delete it", err)
	}
	return nil
}

func (t *tap) free() {
	for i := range t.queue() {
		if fd := int(t.queue()[i].fd); fd >= 0 {
			unix.Close(fd)
		}
	}
	C.free(unsafe.Pointer(t.q))
	t.q, t.queues = nil, 0
	if t.nl != nil {
		t.nl.Close()
	}
}

package dpdk

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// kernelInterface is the kernel's side of an uplink whose driver works on top of the kernel (af_packet, af_xdp). Such
// drivers set no MTU and know neither carrier nor speed.
type kernelInterface struct {
	name  string
	notes []string // what bringUp changed that others may rely on, and who claims the interface in vain
	claim net.Listener
	index int // what drivers are bound to: an interface that is made again under the name has another
}

func openKernelInterface(name string) (*kernelInterface, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			return nil, fmt.Errorf("interface %s: %w in this network namespace: `ip link` lists those that are there", name, ErrNoInterface)
		}
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	return &kernelInterface{name: name, index: link.Attrs().Index}, nil
}

func (k *kernelInterface) mtu() int {
	link, err := netlink.LinkByName(k.name)
	if err != nil {
		return 0
	}
	return link.Attrs().MTU
}

// bringUp gives the interface the uplink's MTU and sets it up, as DPDK does with a NIC of its own.
func (k *kernelInterface) bringUp(mtu int) error {
	link, err := netlink.LinkByName(k.name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", k.name, err)
	}
	if link.Attrs().MTU != mtu {
		if err := netlink.LinkSetMTU(link, mtu); err != nil {
			return interfaceError(k.name, fmt.Sprintf("set MTU %d", mtu), err)
		}
		k.notes = append(k.notes, fmt.Sprintf("the kernel's interface %s had MTU %d and now has the uplink's, %d", k.name, link.Attrs().MTU, mtu))
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return interfaceError(k.name, "set it up", err)
	}
	return nil
}

// gone reports that the interface was deleted, or moved to another network namespace.
func (k *kernelInterface) gone() bool {
	_, err := netlink.LinkByIndex(k.index)
	return errors.As(err, &netlink.LinkNotFoundError{})
}

func (k *kernelInterface) link() (up bool, speedMbit uint32) {
	const running = unix.IFF_UP | unix.IFF_RUNNING
	link, err := netlink.LinkByIndex(k.index)
	if err != nil {
		return false, 0
	}
	return link.Attrs().RawFlags&running == running, ethtoolSpeed(link.Attrs().Name)
}

// interfaceError says what a person can do about a failed change of an interface.
func interfaceError(name, verb string, err error) error {
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return fmt.Errorf("interface %s: %s: %w: run as root, or with CAP_NET_ADMIN", name, verb, ErrPermission)
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ERANGE):
		return fmt.Errorf("interface %s: %s: %w by the interface: `ip -d link show %s` tells its limits", name, verb, ErrUnsupported, name)
	}
	return fmt.Errorf("interface %s: %s: %w", name, verb, err)
}

// ethtoolCmd is struct ethtool_cmd of <linux/ethtool.h>.
type ethtoolCmd struct {
	cmd, supported, advertising                          uint32
	speed                                                uint16
	duplex, port, phy, transceiver, autoneg, mdioSupport uint8
	maxTxPkt, maxRxPkt                                   uint32
	speedHi                                              uint16
	tpMDIX, tpMDIXCtrl                                   uint8
	lpAdvertising                                        uint32
	reserved                                             [2]uint32
}

// ethtoolSpeed asks an interface for its speed by ETHTOOL_GSET, Mbit/s; 0 if it knows none.
func ethtoolSpeed(name string) uint32 {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	cmd := ethtoolCmd{cmd: unix.ETHTOOL_GSET}
	req := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&cmd)}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); e != 0 {
		return 0
	}
	return cmd.mbit()
}

// mbit is the speed of the link, else the highest that the interface can have: without a carrier it tells no speed.
func (c *ethtoolCmd) mbit() uint32 {
	if speed := uint32(c.speedHi)<<16 | uint32(c.speed); speed != 0 && speed != ^uint32(0) {
		return speed
	}
	// SUPPORTED_* of <linux/ethtool.h>. Faster modes than these have no bit.
	for _, m := range []struct{ modes, mbit uint32 }{
		{0xf << 27, 56_000}, {0xf << 23, 40_000}, {1 << 31, 25_000}, {3 << 21, 20_000}, {1<<12 | 7<<18, 10_000}, {1 << 15, 2500}, {3<<4 | 1<<17, 1000}, {3 << 2, 100}, {3, 10},
	} {
		if c.supported&m.modes != 0 {
			return m.mbit
		}
	}
	return 0
}

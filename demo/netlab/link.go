package netlab

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
)

// AddVeth joins two namespaces by a wire: a virtual Ethernet pair whose ends have these names and this MTU, both up.
func (l *Lab) AddVeth(a *Namespace, nameA string, b *Namespace, nameB string, mtu int) error {
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: nameA, MTU: mtu},
		PeerName:      nameB,
		PeerNamespace: netlink.NsFd(b.fd),
	}
	if err := a.links.LinkAdd(veth); err != nil {
		return fmt.Errorf("add veth %s in %s to %s in %s: %w", nameA, a.name, nameB, b.name, err)
	}
	if err := a.SetUp(nameA); err != nil {
		return err
	}
	return b.SetUp(nameB)
}

// AddBridge makes a plain Linux bridge out of interfaces of the namespace: a learning Ethernet switch without spanning
// tree, as a fabric has it. Multicast snooping is off, because with it the bridge sends reports of its own.
func (n *Namespace) AddBridge(name string, mtu int, ports ...string) error {
	snooping := false
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu}, MulticastSnooping: &snooping}
	if err := n.links.LinkAdd(bridge); err != nil {
		return fmt.Errorf("add bridge %s in %s: %w", name, n.name, err)
	}
	for _, port := range ports {
		link, err := n.link(port)
		if err != nil {
			return err
		}
		if err := n.links.LinkSetMaster(link, bridge); err != nil {
			return fmt.Errorf("put %s on bridge %s in %s: %w", port, name, n.name, err)
		}
	}
	return n.SetUp(name)
}

// SetUp brings an interface up.
func (n *Namespace) SetUp(name string) error {
	link, err := n.link(name)
	if err != nil {
		return err
	}
	if err := n.links.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s in %s up: %w", name, n.name, err)
	}
	return nil
}

// SetMAC changes an interface's Ethernet address.
func (n *Namespace) SetMAC(name string, mac net.HardwareAddr) error {
	link, err := n.link(name)
	if err != nil {
		return err
	}
	if err := n.links.LinkSetHardwareAddr(link, mac); err != nil {
		return fmt.Errorf("set MAC %s of %s in %s: %w", mac, name, n.name, err)
	}
	return nil
}

// MAC reads an interface's Ethernet address.
func (n *Namespace) MAC(name string) (net.HardwareAddr, error) {
	link, err := n.link(name)
	if err != nil {
		return nil, err
	}
	return link.Attrs().HardwareAddr, nil
}

// AddAddress gives an interface an address with its prefix length. Duplicate address detection is left out: it would
// hold an IPv6 address back for a second.
func (n *Namespace) AddAddress(name string, address netip.Prefix) error {
	link, err := n.link(name)
	if err != nil {
		return err
	}
	addr := &netlink.Addr{IPNet: toIPNet(address)}
	if address.Addr().Is6() {
		addr.Flags = ifaFlagNoDAD
	}
	if err := n.links.AddrAdd(link, addr); err != nil {
		return fmt.Errorf("add address %s to %s in %s: %w", address, name, n.name, err)
	}
	return nil
}

const ifaFlagNoDAD = 0x02 // IFA_F_NODAD of linux/if_addr.h

// AddRoute routes a prefix by a gateway.
func (n *Namespace) AddRoute(to netip.Prefix, gateway netip.Addr) error {
	route := &netlink.Route{Dst: toIPNet(to.Masked()), Gw: gateway.AsSlice()}
	if err := n.links.RouteAdd(route); err != nil {
		return fmt.Errorf("add route to %s by %s in %s: %w", to, gateway, n.name, err)
	}
	return nil
}

// Neighbour reads what Ethernet address the kernel holds for an address; nil when it holds none.
func (n *Namespace) Neighbour(addr netip.Addr) (net.HardwareAddr, error) {
	table, err := n.links.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list neighbours in %s: %w", n.name, err)
	}
	for _, neigh := range table {
		if got, ok := netip.AddrFromSlice(neigh.IP); ok && got.Unmap() == addr.Unmap() {
			return neigh.HardwareAddr, nil
		}
	}
	return nil, nil
}

// WaitLink waits until an interface exists.
func (n *Namespace) WaitLink(name string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		_, err := n.link(name)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (n *Namespace) link(name string) (netlink.Link, error) {
	link, err := n.links.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find interface %s in %s: %w", name, n.name, err)
	}
	return link, nil
}

func toIPNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

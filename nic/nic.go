// Package nic finds the host's PCI network cards and moves them between the kernel's drivers and those that DPDK uses.
//
// A card is named by its PCI address, its MAC or the kernel's predictable interface name; the name still finds it while
// it has no interface. Everything goes through sysfs (driver_override), and what a card was before is remembered, so
// that it can be given back.
package nic

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// DefaultStateDir remembers the cards taken from the kernel. It vanishes with a reboot, and so do the bindings.
const DefaultStateDir = "/run/sluice/nic"

// None stands for "no NUMA node" and "no IOMMU group".
const None = -1

// System is the host whose cards are managed. Its fields are seams for trees other than the running kernel's.
type System struct {
	Root      string                                    // holds sys, proc, usr
	StateDir  string                                    // one file per card taken
	Addresses func() (map[string][]netip.Prefix, error) // of the kernel's interfaces, by name
	Session   string                                    // SSH_CONNECTION of this process; empty: that of an ancestor
	PID       int                                       // whose ancestors are searched for a session
	Write     func(path, value string) error            // to a sysfs file
}

// Host is the machine that the process runs on.
func Host() *System {
	return &System{
		Root: "/", StateDir: DefaultStateDir, Addresses: interfaceAddresses,
		Session: os.Getenv("SSH_CONNECTION"), PID: os.Getpid(), Write: writeSysfs,
	}
}

// Card is one PCI network function.
type Card struct {
	PCI        string   `json:"pci"`    // "0000:03:00.0"
	Name       string   `json:"name"`   // the kernel's interface name, also while it has none
	MAC        string   `json:"mac"`    // empty when the card is taken and nothing is remembered
	Model      string   `json:"model"`  // vendor and device in words, or their ids
	Driver     string   `json:"driver"` // that it is bound to; empty: none
	DPDK       bool     `json:"dpdk"`   // the driver is one that DPDK takes cards from
	Interfaces []string `json:"interfaces"`
	NUMA       int      `json:"numa"`
	IOMMUGroup int      `json:"iommuGroup"`
	VFs        int      `json:"vfs"`
	MaxVFs     int      `json:"maxVFs"`
	Was        string   `json:"kernelDriver,omitempty"` // driver it goes back to, when it is taken
	Protected  []string `json:"protected"`              // why it is not to be taken
	names      []string // everything it answers to, the best first
	macs       []string
}

// dpdkDrivers are the kernel's drivers that hand a card to a process.
var dpdkDrivers = []string{"vfio-pci", "uio_pci_generic", "igb_uio"}

// sharedDrivers serve the kernel and DPDK at once: their cards are never bound to anything else.
var sharedDrivers = []string{"mlx4_core", "mlx5_core", "mana"}

// Shared reports whether DPDK uses the card beside its kernel driver, so that there is nothing to bind.
func (c *Card) Shared() bool { return slices.Contains(sharedDrivers, c.Driver) }

// List finds all cards in order of PCI address.
func (s *System) List() ([]Card, error) {
	entries, err := os.ReadDir(s.path("sys/bus/pci/devices"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a machine without PCI
	}
	if err != nil {
		return nil, fmt.Errorf("list PCI devices: %w", err)
	}
	guard, err := s.guard()
	if err != nil {
		return nil, err
	}
	ids := s.readIDs()
	var cards []Card
	for _, e := range entries {
		const networkClass = "0x02"
		if !strings.HasPrefix(s.attr(e.Name(), "class"), networkClass) {
			continue
		}
		c, err := s.card(e.Name(), ids)
		if err != nil {
			return nil, err
		}
		for _, i := range c.Interfaces {
			c.Protected = append(c.Protected, guard[i]...)
		}
		if len(c.Interfaces) == 0 && c.Driver != "" && !c.DPDK {
			// What it carries cannot be seen from here: in a container it may well be the host's way out.
			c.Protected = append(c.Protected, "its interface is not in this network namespace")
		}
		cards = append(cards, c)
	}
	return cards, nil
}

// Find returns the one card that id names: a PCI address (with or without domain), a MAC or an interface name.
func (s *System) Find(id string) (*Card, error) {
	cards, err := s.List()
	if err != nil {
		return nil, err
	}
	var found []*Card
	for i := range cards {
		if cards[i].answersTo(id) {
			found = append(found, &cards[i])
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("network card %s: there is no such PCI address, MAC or interface name; %s", id, known(cards))
	}
	var pcis []string
	for _, c := range found {
		pcis = append(pcis, c.PCI)
	}
	return nil, fmt.Errorf("network card %s: %s answer to it; name one by its PCI address", id, strings.Join(pcis, " and "))
}

func known(cards []Card) string {
	if len(cards) == 0 {
		return "this machine has no PCI network card"
	}
	var names []string
	for _, c := range cards {
		names = append(names, c.PCI+" ("+c.Name+")")
	}
	return "name one of " + strings.Join(names, ", ")
}

func (c *Card) answersTo(id string) bool {
	id = strings.ToLower(id)
	if id == c.PCI || "0000:"+id == c.PCI || slices.Contains(c.names, id) {
		return true
	}
	mac, err := net.ParseMAC(id)
	return err == nil && slices.Contains(c.macs, mac.String())
}

func (s *System) card(pci string, ids pciIDs) (Card, error) {
	c := Card{
		PCI: pci, Driver: linkBase(s.device(pci, "driver")), Protected: []string{},
		NUMA: s.number(pci, "numa_node", None), IOMMUGroup: None,
		VFs: s.number(pci, "sriov_numvfs", 0), MaxVFs: s.number(pci, "sriov_totalvfs", 0),
		Model: ids.model(s.attr(pci, "vendor"), s.attr(pci, "device")),
	}
	c.DPDK = slices.Contains(dpdkDrivers, c.Driver)
	if group, err := strconv.Atoi(linkBase(s.device(pci, "iommu_group"))); err == nil {
		c.IOMMUGroup = group
	}
	c.Interfaces = s.interfaces(pci)
	for _, i := range c.Interfaces {
		c.names = append(c.names, i)
		c.addMAC(read(s.path("sys/class/net", i, "address")))
	}
	was, err := s.recall(pci)
	if err != nil {
		return c, err
	}
	if was != nil {
		if c.DPDK {
			c.Was = was.Driver
		}
		for _, i := range was.Interfaces {
			c.names = append(c.names, i.Name)
			c.addMAC(i.MAC)
		}
	}
	c.names = append(c.names, s.predictableNames(pci)...)
	c.Name = c.names[0]
	return c, nil
}

func (c *Card) addMAC(mac string) {
	if mac == "" {
		return
	}
	c.macs = append(c.macs, strings.ToLower(mac))
	c.MAC = c.macs[0]
}

// interfaces are the kernel's interfaces on a card; those of virtio sit one level deeper.
func (s *System) interfaces(pci string) []string {
	names := []string{}
	for _, pattern := range []string{"net/*", "virtio*/net/*"} {
		found, _ := filepath.Glob(s.device(pci, pattern)) // the pattern is well-formed
		for _, f := range found {
			names = append(names, filepath.Base(f))
		}
	}
	return names
}

// Bypassing names what may send by a NIC beside whoever has its port: its virtual functions, and its RDMA devices. The NIC is
// named by its PCI address, or an interface of the kernel's.
func (s *System) Bypassing(id string) (names []string) {
	if at, err := filepath.EvalSymlinks(s.path("sys/class/net", id)); err == nil {
		id = filepath.Base(filepath.Dir(filepath.Dir(at))) // .../0000:03:00.0/net/enp3s0f0
	}
	if n := s.number(id, "sriov_numvfs", 0); n > 0 {
		names = append(names, fmt.Sprintf("%d virtual functions", n))
	}
	rdma, _ := os.ReadDir(s.device(id, "infiniband")) // none where there is no such folder
	for _, d := range rdma {
		names = append(names, "RDMA device "+d.Name())
	}
	return names
}

func (s *System) path(elem ...string) string {
	return filepath.Join(append([]string{s.Root}, elem...)...)
}

func (s *System) device(pci string, elem ...string) string {
	return s.path(append([]string{"sys/bus/pci/devices", pci}, elem...)...)
}

func (s *System) attr(pci, name string) string { return read(s.device(pci, name)) }

func (s *System) number(pci, name string, absent int) int {
	n, err := strconv.Atoi(s.attr(pci, name))
	if err != nil {
		return absent
	}
	return n
}

// read returns a sysfs attribute, empty when it is absent or, as some are, unreadable.
func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// linkBase is what a sysfs link points at: the name of a driver, a group, a master. Empty without a link.
func linkBase(path string) string {
	target, err := os.Readlink(path)
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

func writeSysfs(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

func interfaceAddresses() (map[string][]netip.Prefix, error) {
	ifs, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	all := make(map[string][]netip.Prefix, len(ifs))
	for _, i := range ifs {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list addresses of %s: %w", i.Name, err)
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				all[i.Name] = append(all[i.Name], p)
			}
		}
	}
	return all, nil
}

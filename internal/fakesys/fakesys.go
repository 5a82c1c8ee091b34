// Package fakesys builds trees that look like /sys and /proc to the code that reads the host, and stands in for the
// kernel where that code writes: a driver lets a card go, another takes it, its interface vanishes and comes back.
package fakesys

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Tree is a fake root directory. Its Write takes what the code under test would write to sysfs.
type Tree struct {
	Root    string
	Refuses string   // a driver that accepts no card
	Written []string // "path value", relative to Root
	t       testing.TB
	nics    map[string]NIC
}

// NIC describes a PCI network function that the kernel's driver has.
type NIC struct {
	PCI       string
	Driver    string // that the kernel chooses
	Interface string // empty: the driver makes none
	MAC       string
	MTU       int
	Group     string // IOMMU group; empty: no IOMMU
	NUMA      int
	Attrs     map[string]string // more files of the device: "sriov_numvfs", ...
}

// New returns an empty tree that ends with the test.
func New(t testing.TB) *Tree {
	tree := &Tree{Root: t.TempDir(), t: t, nics: map[string]NIC{}}
	tree.File("sys/bus/pci/drivers_probe", "")
	tree.Dir("sys/bus/pci/devices")
	tree.Dir("sys/class/net")
	return tree
}

// Path is a place in the tree.
func (f *Tree) Path(elem ...string) string {
	return filepath.Join(append([]string{f.Root}, elem...)...)
}

// Dir makes a folder.
func (f *Tree) Dir(path string) { require.NoError(f.t, os.MkdirAll(f.Path(path), 0o755)) }

// File writes a file and the folders above it.
func (f *Tree) File(path, content string) {
	f.Dir(filepath.Dir(path))
	require.NoError(f.t, os.WriteFile(f.Path(path), []byte(content), 0o644))
}

// Link makes a symbolic link; what it points at need not exist.
func (f *Tree) Link(path, target string) {
	f.Dir(filepath.Dir(path))
	require.NoError(f.t, os.Symlink(target, f.Path(path)))
}

// Remove takes a file or folder away.
func (f *Tree) Remove(path string) { require.NoError(f.t, os.RemoveAll(f.Path(path))) }

// Driver makes a PCI driver known to the kernel.
func (f *Tree) Driver(name string) { f.Dir("sys/bus/pci/drivers/" + name) }

// AddNIC plugs a card in.
func (f *Tree) AddNIC(n NIC) {
	dev := "sys/bus/pci/devices/" + n.PCI
	for name, value := range map[string]string{"class": "0x020000", "vendor": "0x8086", "device": "0x10fb",
		"driver_override": "(null)", "numa_node": strconv.Itoa(n.NUMA)} {
		f.File(dev+"/"+name, value+"\n")
	}
	for name, value := range n.Attrs {
		f.File(dev+"/"+name, value)
	}
	if n.Group != "" {
		group := "sys/kernel/iommu_groups/" + n.Group
		f.Link(dev+"/iommu_group", f.Path(group))
		f.Link(group+"/devices/"+n.PCI, f.Path(dev))
	}
	f.nics[n.PCI] = n
	f.probe(n)
}

// Interface makes a kernel interface that belongs to no card.
func (f *Tree) Interface(name string, mtu int) {
	f.File("sys/class/net/"+name+"/mtu", strconv.Itoa(mtu)+"\n")
	f.File("sys/class/net/"+name+"/flags", "0x1003\n")
}

// Over puts the interface upper on top of lower, as a bond (with master) or a VLAN.
func (f *Tree) Over(upper, lower string, master bool) {
	f.Link("sys/class/net/"+upper+"/lower_"+lower, f.Path("sys/class/net", lower))
	if master {
		f.Link("sys/class/net/"+lower+"/master", f.Path("sys/class/net", upper))
	}
}

// Write does what the kernel does when a value is written to a file of sysfs.
func (f *Tree) Write(path, value string) error {
	relative, err := filepath.Rel(f.Root, path)
	require.NoError(f.t, err)
	if _, err := os.Stat(path); err != nil && filepath.Base(path) != "unbind" {
		return err
	}
	f.Written = append(f.Written, relative+" "+strings.TrimSpace(value))
	pci := strings.TrimSpace(value)
	switch filepath.Base(path) {
	case "driver_override":
		f.File(relative, value)
	case "unbind":
		return f.release(pci)
	case "drivers_probe":
		if _, bound := f.bound(pci); !bound {
			f.probe(f.nics[pci])
		}
	default:
		return fmt.Errorf("write %s: the fake kernel has no such file", relative)
	}
	return nil
}

// bound is the driver that has a card.
func (f *Tree) bound(pci string) (string, bool) {
	target, err := os.Readlink(f.Path("sys/bus/pci/devices", pci, "driver"))
	return filepath.Base(target), err == nil
}

func (f *Tree) release(pci string) error {
	if _, bound := f.bound(pci); !bound {
		return fmt.Errorf("write unbind: %w", os.ErrNotExist)
	}
	n := f.nics[pci]
	for _, p := range []string{"sys/class/net/" + n.Interface, "sys/bus/pci/devices/" + pci + "/net"} {
		if n.Interface != "" {
			require.NoError(f.t, os.RemoveAll(f.Path(p)))
		}
	}
	return os.Remove(f.Path("sys/bus/pci/devices", pci, "driver"))
}

func (f *Tree) probe(n NIC) {
	dev := "sys/bus/pci/devices/" + n.PCI
	override, err := os.ReadFile(f.Path(dev, "driver_override"))
	require.NoError(f.t, err)
	driver := strings.TrimSpace(string(override))
	if driver == "" || driver == "(null)" {
		driver = n.Driver
	}
	if driver == "" || driver == f.Refuses {
		return
	}
	f.Driver(driver)
	f.Link(dev+"/driver", f.Path("sys/bus/pci/drivers", driver))
	if driver != n.Driver || n.Interface == "" {
		return
	}
	mtu := n.MTU
	if mtu == 0 {
		mtu = 1500
	}
	f.File(dev+"/net/"+n.Interface+"/address", n.MAC+"\n")
	f.File(dev+"/net/"+n.Interface+"/mtu", strconv.Itoa(mtu)+"\n")
	f.File(dev+"/net/"+n.Interface+"/flags", "0x1003\n")
	f.Link("sys/class/net/"+n.Interface, f.Path(dev, "net", n.Interface))
}

package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicenet/sluice/nic"
	"github.com/sluicenet/sluice/policy"
)

// iommu matters to PCI cards only, and not to those that DPDK shares with the kernel.
func (x *examination) iommu(cards []nic.Card) {
	groups := len(x.glob("sys/kernel/iommu_groups/*"))
	if groups > 0 {
		x.ok("iommu", "on, %s", plural(groups, "group"))
	}
	wanted := false
	for _, u := range x.config.Uplinks {
		i := slices.IndexFunc(cards, func(c nic.Card) bool { return c.PCI == u.Device.PCI })
		wanted = wanted || u.Device.PCI != "" && (i < 0 || !cards[i].Shared())
	}
	noIOMMU := x.read("sys/module/vfio/parameters/enable_unsafe_noiommu_mode") == "Y"
	switch {
	case groups > 0:
	case noIOMMU:
		x.warn("iommu", "switch it on in the firmware and boot with intel_iommu=on (Intel) or amd_iommu=on (AMD) iommu=pt",
			"none; vfio hands out cards without protection")
	case wanted:
		x.fail("iommu", "switch it on in the firmware and boot with intel_iommu=on (Intel) or amd_iommu=on (AMD) iommu=pt; or, without protection: "+
			"modprobe vfio enable_unsafe_noiommu_mode=1", "none, and an uplink is a PCI card")
	default:
		x.ok("iommu", "none; only PCI cards need it")
	}
	if !x.exists("sys/bus/pci/drivers/vfio-pci") {
		if wanted {
			x.fail("iommu", "modprobe vfio-pci", "the driver vfio-pci is not loaded, and an uplink is a PCI card")
		} else {
			x.ok("iommu", "the driver vfio-pci is not loaded; only PCI cards need it")
		}
	}
}

// cards lists the network cards with who has them.
func (x *examination) cards(cards []nic.Card) {
	if len(cards) == 0 {
		x.ok("nic", "no PCI network card: uplinks can be af_packet interfaces")
	}
	for _, c := range cards {
		what := fmt.Sprintf("%s %s: %s, driver %s", c.PCI, c.Name, c.Model, firstOf(c.Driver, "none"))
		if len(c.Protected) > 0 {
			what += "; not to be taken: " + strings.Join(c.Protected, ", ")
		}
		x.ok("nic", "%s", what)
	}
}

// pciUplinks holds the configuration's PCI cards against those that are there.
func (x *examination) pciUplinks(cards []nic.Card) {
	for _, u := range x.config.Uplinks {
		pci := u.Device.PCI
		if pci == "" {
			continue
		}
		i := slices.IndexFunc(cards, func(c nic.Card) bool { return c.PCI == pci })
		if i < 0 {
			x.fail("uplink "+u.Name, "sluice nic list", "there is no PCI network card %s", pci)
			continue
		}
		switch c := cards[i]; {
		case c.DPDK, c.Shared():
			x.ok("uplink "+u.Name, "%s is ready for DPDK (driver %s)", pci, c.Driver)
		case len(c.Protected) > 0:
			x.fail("uplink "+u.Name, "choose another card: sluice nic list", "%s (%s) is not to be taken: %s", pci, c.Name, strings.Join(c.Protected, ", "))
		default:
			x.fail("uplink "+u.Name, "sluice nic bind "+pci, "%s (%s) is bound to %s, not to a driver that DPDK uses", pci, c.Name, firstOf(c.Driver, "no driver"))
		}
	}
}

// kernelUplinks looks at the interfaces that uplinks share with the kernel.
func (x *examination) kernelUplinks() {
	need, adds, vm := x.largestVM()
	for _, u := range x.config.Uplinks {
		name := u.Device.Interface
		if name == "" {
			continue
		}
		check := "uplink " + u.Name
		if !x.exists("sys/class/net", name) {
			x.fail(check, "ip -brief link (shows those there are)", "interface %s does not exist in this network namespace", name)
			continue
		}
		flags, _ := strconv.ParseUint(strings.TrimPrefix(x.read("sys/class/net", name, "flags"), "0x"), 16, 32)
		const up = 1
		if flags&up == 0 {
			x.fail(check, "ip link set dev "+name+" up", "interface %s is down", name)
		}
		if master := linkBase(x.path("sys/class/net", name, "master")); master != "" {
			x.warn(check, "ip link set dev "+name+" nomaster", "interface %s belongs to %s, which sees the fabric's packets too", name, master)
		}
		mtu := x.number("sys/class/net", name, "mtu")
		if u.MTU != 0 && u.MTU != mtu {
			x.warn(check, fmt.Sprintf("nothing, unless the interface cannot have it; to try: ip link set dev %s mtu %d", name, u.MTU),
				"interface %s has MTU %d, the configuration says %d: sluiced sets it at start", name, mtu, u.MTU)
			mtu = u.MTU
		}
		switch {
		case need > mtu && u.MTU != 0:
			x.warn(check, fmt.Sprintf("set the uplink's mtu to %d (and the fabric's switches), or lower the VMs' MTU to %d", need, mtu-policy.Overhead),
				"MTU %d is configured; vport %s sends packets of %d, which need %d on the fabric", mtu, vm, need-policy.Overhead, need)
		case need > mtu:
			x.warn(check, fmt.Sprintf("ip link set dev %s mtu %d (and the fabric's switches), or lower the VMs' MTU to %d", name, need, mtu-adds),
				"interface %s has MTU %d; vport %s sends packets of %d, which need %d on the fabric", name, mtu, vm, need-adds, need)
		default:
			x.ok(check, "interface %s has MTU %d", name, mtu)
		}
	}
}

// largestVM is the fabric MTU that the virtualised vport with the largest packets needs, what crossing the fabric adds to
// these, and its name.
func (x *examination) largestVM() (mtu, adds int, vport string) {
	for i := range x.config.Vports {
		v := &x.config.Vports[i]
		if more := x.config.OverheadOf(v); v.Attachment() == policy.AttachSubnet && v.MTU+more > mtu {
			mtu, adds, vport = v.MTU+more, more, v.Name
		}
	}
	return mtu, adds, vport
}

// providerAddresses must not be the kernel's as well: both would answer.
func (x *examination) providerAddresses(addresses map[string][]netip.Prefix) {
	for _, v := range x.config.Vports {
		for _, pa := range v.ProviderAddresses {
			if owner, prefix := kernelOwner(addresses, pa); owner != "" {
				x.fail("vport "+v.Name, fmt.Sprintf("ip address del %s dev %s", prefix, owner),
					"the kernel owns the VM's provider address %s as well, on %s: both would answer for it", pa, owner)
			}
		}
	}
	for _, u := range x.config.Uplinks {
		for _, pa := range u.ProviderAddresses {
			owner, prefix := kernelOwner(addresses, pa.Addr())
			if owner == "" {
				x.ok("uplink "+u.Name, "provider address %s is free", pa.Addr())
				continue
			}
			x.fail("uplink "+u.Name, fmt.Sprintf("ip address del %s dev %s", prefix, owner),
				"the kernel owns provider address %s as well, on %s: both would answer for it", pa.Addr(), owner)
		}
	}
}

func kernelOwner(addresses map[string][]netip.Prefix, a netip.Addr) (iface string, prefix netip.Prefix) {
	for name, prefixes := range addresses {
		for _, p := range prefixes {
			if p.Addr().Unmap() == a.Unmap() {
				return name, p
			}
		}
	}
	return "", netip.Prefix{}
}

// tun is the door to tap interfaces.
func (x *examination) tun() {
	const device = "dev/net/tun"
	f, err := os.OpenFile(x.path(device), os.O_RDWR, 0)
	switch {
	case err == nil:
		_ = f.Close()
		x.ok("tap", "/dev/net/tun can be opened")
	case errors.Is(err, fs.ErrNotExist):
		x.fail("tap", "modprobe tun; in a container: mkdir -p /dev/net && mknod /dev/net/tun c 10 200", "/dev/net/tun does not exist: no tap can be made")
	case errors.Is(err, fs.ErrPermission):
		x.fail("tap", "run it as root; in a container: give it the device /dev/net/tun", "/dev/net/tun may not be opened by this user")
	default:
		x.fail("tap", "modprobe tun", "/dev/net/tun cannot be opened: %v", err)
	}
}

// namespaces that taps are to be moved into.
func (x *examination) namespaces() {
	seen := map[string]bool{}
	for _, v := range x.config.Vports {
		ns := v.Device.Namespace
		if ns == "" || seen[ns] {
			continue
		}
		seen[ns] = true
		file := ns
		if !strings.Contains(ns, "/") {
			file = "/run/netns/" + ns
		}
		if x.exists(file) {
			x.ok("namespace "+ns, "it exists")
			continue
		}
		x.fail("namespace "+ns, "ip netns add "+path.Base(ns), "vport %s is to be in it, and it does not exist", v.Name)
	}
}

// linkBase is the name of what a link points at, empty without a link.
func linkBase(file string) string {
	target, err := os.Readlink(file)
	if err != nil {
		return ""
	}
	return path.Base(target)
}

package dpdk

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const sysfsPCI = "/sys/bus/pci/devices"

var pciAddress = regexp.MustCompile(`^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]$`)

// userspaceDrivers hand a device to DPDK; the bifurcated ones share it with the kernel.
var userspaceDrivers = []string{"vfio-pci", "uio_pci_generic", "igb_uio", "mlx4_core", "mlx5_core", "mana"}

func checkAddress(address string) error {
	if !pciAddress.MatchString(address) {
		return fmt.Errorf("PCI device %q: %w: want an address as in 0000:03:00.0", address, ErrInvalid)
	}
	return nil
}

// checkPCI tells in the user's words why DPDK could not drive a NIC: EAL itself passes over a device that is absent or
// held by the kernel without a word.
func checkPCI(root, address string) error {
	if err := checkAddress(address); err != nil {
		return err
	}
	dir := filepath.Join(root, strings.ToLower(address))
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("PCI device %s: %w on this machine: `dpdk-devbind.py --status-dev net` lists the NICs and their addresses", address, ErrNoDevice)
	}
	link, err := os.Readlink(filepath.Join(dir, "driver"))
	if err != nil {
		return fmt.Errorf("PCI device %s: %w: it has no driver: `modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci %s`", address, ErrKernelDriver, address)
	}
	driver := filepath.Base(link)
	if !slices.Contains(userspaceDrivers, driver) {
		iface := ""
		if nets, _ := os.ReadDir(filepath.Join(dir, "net")); len(nets) > 0 {
			iface = ", as interface " + nets[0].Name()
		}
		return fmt.Errorf("PCI device %s: %w: %s has it%s; if nothing else uses it: `modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci %s`",
			address, ErrKernelDriver, driver, iface, address)
	}
	if driver == "vfio-pci" {
		return checkIOMMU(root, dir, address)
	}
	return nil
}

func checkIOMMU(root, dir, address string) error {
	if _, err := os.Stat(filepath.Join(dir, "iommu_group")); err == nil {
		return nil
	}
	const unsafeMode = "module/vfio/parameters/enable_unsafe_noiommu_mode"
	mode, _ := os.ReadFile(filepath.Join(root, "../../..", unsafeMode))
	if strings.HasPrefix(string(mode), "Y") {
		return nil
	}
	return fmt.Errorf("PCI device %s: %w: vfio-pci has it, but the IOMMU is off: switch on VT-d or AMD-Vi in the firmware and start the kernel with intel_iommu=on or amd_iommu=on iommu=pt; "+
		"without an IOMMU at all, and at your own risk: `echo 1 > /sys/%s`, then bind again", address, ErrIOMMU, unsafeMode)
}

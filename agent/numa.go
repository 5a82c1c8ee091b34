package agent

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	sysfs       = "/sys"
	unknownNode = -1
)

// nodeOfCore is the NUMA node of a core, by the folders of sysfs; unknownNode where the kernel tells none.
func nodeOfCore(root string, core int) int {
	if core < 0 {
		return unknownNode
	}
	found, err := filepath.Glob(filepath.Join(root, "devices/system/cpu", "cpu"+strconv.Itoa(core), "node*"))
	if err != nil || len(found) != 1 {
		return unknownNode
	}
	node, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(found[0]), "node"))
	if err != nil {
		return unknownNode
	}
	return node
}

// nodeOfPCI is the NUMA node of a PCI device; unknownNode where the kernel tells none.
func nodeOfPCI(root, address string) int {
	text, err := os.ReadFile(filepath.Join(root, "bus/pci/devices", address, "numa_node"))
	if err != nil {
		return unknownNode
	}
	node, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || node < 0 {
		return unknownNode
	}
	return node
}

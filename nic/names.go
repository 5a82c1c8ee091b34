package nic

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// predictableNames are the interface names that udev derives from where a card sits (systemd.net-naming-scheme(7)), so
// they hold while the card has no interface: eno1 (firmware's index), ens2 (slot), enp3s0f1 (bus, slot, function). A
// virtual function has its parent's names with v<number>.
func (s *System) predictableNames(pci string) []string {
	if pf := linkBase(s.device(pci, "physfn")); pf != "" {
		n := s.virtualFunction(pf, pci)
		names := s.predictableNames(pf)
		for i := range names {
			names[i] += "v" + n
		}
		return names
	}
	var domain, bus, slot, function uint32
	if _, err := fmt.Sscanf(pci, "%x:%x:%x.%x", &domain, &bus, &slot, &function); err != nil {
		return []string{pci}
	}
	prefix, suffix := "", ""
	if domain != 0 {
		prefix = fmt.Sprintf("P%d", domain)
	}
	if function != 0 || s.multifunction(pci) {
		suffix = fmt.Sprintf("f%d", function)
	}
	var names []string
	for _, attr := range []string{"acpi_index", "index"} {
		if n := s.number(pci, attr, 0); n > 0 {
			names = append(names, fmt.Sprintf("eno%d", n))
			break
		}
	}
	if number := s.slot(pci); number != "" {
		names = append(names, "en"+prefix+"s"+number+suffix)
	}
	return append(names, fmt.Sprintf("en%sp%ds%d%s", prefix, bus, slot, suffix))
}

// virtualFunction is the number of a VF among those of its PF.
func (s *System) virtualFunction(pf, vf string) string {
	links, _ := filepath.Glob(s.device(pf, "virtfn*")) // the pattern is well-formed
	for _, l := range links {
		if linkBase(l) == vf {
			return strings.TrimPrefix(filepath.Base(l), "virtfn")
		}
	}
	return "?"
}

// multifunction reads the bit of the PCI header that makes udev name function 0 too.
func (s *System) multifunction(pci string) bool {
	const headerType, multi = 0x0e, 0x80
	config, err := os.ReadFile(s.device(pci, "config"))
	return err == nil && len(config) > headerType && config[headerType]&multi != 0
}

// slot is the number of the physical slot that holds the card, empty when the firmware names none.
func (s *System) slot(pci string) string {
	address, _, _ := strings.Cut(pci, ".")
	files, _ := filepath.Glob(s.path("sys/bus/pci/slots/*/address")) // the pattern is well-formed
	for _, f := range files {
		name := filepath.Base(filepath.Dir(f))
		if _, err := strconv.Atoi(name); err == nil && read(f) == address {
			return name
		}
	}
	return ""
}

// pciIDs is the text of the PCI id list; empty when the host has none.
type pciIDs string

func (s *System) readIDs() pciIDs {
	for _, f := range []string{"usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids"} {
		if b, err := os.ReadFile(s.path(f)); err == nil {
			return pciIDs(b)
		}
	}
	return ""
}

// model puts vendor and device ("0x8086", "0x10fb") into words, as far as the list knows them.
func (ids pciIDs) model(vendor, device string) string {
	v, d := strings.TrimPrefix(vendor, "0x"), strings.TrimPrefix(device, "0x")
	vendorName := ""
	lines := bufio.NewScanner(strings.NewReader(string(ids)))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case vendorName == "":
			vendorName = strings.TrimPrefix(prefixed(line, v), v)
		case !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, "#"):
			return strings.TrimSpace(vendorName) + " " + d // the next vendor: this one has no such device
		case prefixed(line, "\t"+d) != "":
			return strings.TrimSpace(vendorName) + " " + strings.TrimSpace(strings.TrimPrefix(line, "\t"+d))
		}
	}
	if vendorName != "" {
		return strings.TrimSpace(vendorName) + " " + d
	}
	return v + ":" + d
}

// prefixed returns line when it starts with an id and its separator, else nothing.
func prefixed(line, id string) string {
	if strings.HasPrefix(line, id+"  ") {
		return line
	}
	return ""
}

package nic

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// DefaultDriver hands a card to DPDK behind the IOMMU.
const DefaultDriver = "vfio-pci"

// Options say how to bind or unbind.
type Options struct {
	Driver string // Bind: one of vfio-pci (the default), uio_pci_generic, igb_uio
	Force  bool   // despite what protects the card, or a process that uses it
	DryRun bool   // say the steps, do none
}

// Result says what was done to a card, or with DryRun would be.
type Result struct {
	PCI    string   `json:"pci"`
	Name   string   `json:"name"`
	Driver string   `json:"driver"` // afterwards
	Steps  []string `json:"steps"`  // as shell commands; none: it was so already
	Notes  []string `json:"notes"`  // what to know or do beyond
}

// step is one write to sysfs.
type step struct{ path, value string }

func (t step) String() string { return fmt.Sprintf("echo %s > %s", strings.TrimSpace(t.value), t.path) }

// Bind takes a card from the kernel's driver and hands it to DPDK's. What it was is remembered first. When the new
// driver does not accept the card, it goes back to the old one.
func (s *System) Bind(id string, o Options) (*Result, error) {
	if o.Driver == "" {
		o.Driver = DefaultDriver
	}
	if !slices.Contains(dpdkDrivers, o.Driver) {
		return nil, fmt.Errorf("driver %s: DPDK takes cards from %s only; name one of them", o.Driver, strings.Join(dpdkDrivers, ", "))
	}
	c, err := s.Find(id)
	if err != nil {
		return nil, err
	}
	r := &Result{PCI: c.PCI, Name: c.Name, Driver: o.Driver, Steps: []string{}, Notes: []string{}}
	if c.Driver == o.Driver {
		return r, nil
	}
	if err := s.bindable(c, o); err != nil {
		return nil, err
	}
	r.Notes = s.bindNotes(c, o)
	steps := s.moveTo(c, o.Driver)
	for _, t := range steps {
		r.Steps = append(r.Steps, t.String())
	}
	if o.DryRun {
		return r, nil
	}
	if !c.DPDK { // moving from one of DPDK's drivers to another must not make that one the kernel's
		if err := s.remember(c); err != nil {
			return nil, err
		}
	}
	if err := s.run(c, steps, o.Driver); err != nil {
		return nil, errors.Join(err, s.giveBack(c))
	}
	return r, nil
}

// bindable refuses what would fail or cut something off.
func (s *System) bindable(c *Card, o Options) error {
	object := fmt.Sprintf("network card %s (%s)", c.PCI, c.Name)
	if c.Shared() {
		return fmt.Errorf("%s: DPDK uses it beside the kernel's driver %s, there is nothing to bind; put its PCI address into the configuration as it is", object, c.Driver)
	}
	why := slices.Clone(c.Protected)
	if c.VFs > 0 {
		why = append(why, fmt.Sprintf("its %d virtual functions would vanish", c.VFs))
	}
	if len(why) > 0 && !o.Force {
		return fmt.Errorf("%s: %s; choose another card, or take it all the same with --force", object, strings.Join(why, ", and "))
	}
	if !exists(s.path("sys/bus/pci/drivers", o.Driver)) {
		return fmt.Errorf("%s: the kernel has no driver %s; load it: modprobe %s", object, o.Driver, strings.ReplaceAll(o.Driver, "_", "-"))
	}
	if o.Driver == DefaultDriver && c.IOMMUGroup == None && !s.noIOMMU() {
		return fmt.Errorf("%s: there is no IOMMU, which %s needs; switch it on in the firmware and boot with intel_iommu=on (Intel) or amd_iommu=on (AMD) iommu=pt, "+
			"or go without its protection: echo 1 > %s", object, o.Driver, noIOMMUFile)
	}
	return nil
}

const noIOMMUFile = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

// noIOMMU reports whether the kernel is told to hand out cards without protection.
func (s *System) noIOMMU() bool { return read(s.path(noIOMMUFile)) == "Y" }

// bindNotes tells what the binding takes along and what may still stand in its way.
func (s *System) bindNotes(c *Card, o Options) []string {
	notes := []string{}
	addresses, _ := s.Addresses() // a note only
	for _, i := range c.Interfaces {
		for _, p := range addresses[i] {
			if !p.Addr().IsLinkLocalUnicast() {
				notes = append(notes, fmt.Sprintf("the kernel loses %s with interface %s", p, i))
			}
		}
	}
	if o.Driver != DefaultDriver {
		return append(notes, o.Driver+" gives DPDK the card without an IOMMU's protection")
	}
	if c.IOMMUGroup == None {
		return append(notes, "without an IOMMU nothing keeps the card from memory that is not its own")
	}
	members, _ := filepath.Glob(s.device(c.PCI, "iommu_group/devices/*")) // the pattern is well-formed
	for _, m := range members {
		pci := filepath.Base(m)
		driver := linkBase(s.device(pci, "driver"))
		free := driver == "" || driver == DefaultDriver || driver == "pci-stub" || driver == "pcieport"
		if pci != c.PCI && !free {
			notes = append(notes, fmt.Sprintf("%s (%s) shares IOMMU group %d: DPDK cannot open either until it is bound to %s too",
				pci, driver, c.IOMMUGroup, DefaultDriver))
		}
	}
	return notes
}

// Unbind gives a card back to the kernel driver that it had; when nothing is remembered, to the one the kernel chooses.
func (s *System) Unbind(id string, o Options) (*Result, error) {
	c, err := s.Find(id)
	if err != nil {
		return nil, err
	}
	r := &Result{PCI: c.PCI, Name: c.Name, Driver: c.Driver, Steps: []string{}, Notes: []string{}}
	if c.Driver != "" && !c.DPDK {
		return r, nil
	}
	object := fmt.Sprintf("network card %s (%s)", c.PCI, c.Name)
	if user := s.user(c); user != "" && !o.Force {
		return nil, fmt.Errorf("%s: %s uses it; stop that first, or take it away with --force", object, user)
	}
	if c.Was != "" && !exists(s.path("sys/bus/pci/drivers", c.Was)) {
		return nil, fmt.Errorf("%s: its driver %s is not loaded; load it: modprobe %s", object, c.Was, c.Was)
	}
	steps := s.moveTo(c, c.Was)
	for _, t := range steps {
		r.Steps = append(r.Steps, t.String())
	}
	r.Driver = c.Was
	if o.DryRun {
		return r, nil
	}
	if err := s.run(c, steps, c.Was); err != nil {
		return nil, err
	}
	r.Driver = linkBase(s.device(c.PCI, "driver"))
	if r.Driver == "" {
		r.Notes = append(r.Notes, "no kernel driver wants the card; load the right one with modprobe")
	}
	return r, s.forget(c.PCI)
}

// moveTo are the steps that bind a card to a driver; an empty driver lets the kernel choose. driver_override keeps every
// other driver off it and, unlike new_id, concerns no other card of the same model.
func (s *System) moveTo(c *Card, driver string) []step {
	override := step{s.device(c.PCI, "driver_override"), driver}
	if driver == "" {
		override.value = "\n"
	}
	steps := []step{override}
	if c.Driver != "" {
		steps = append(steps, step{s.device(c.PCI, "driver/unbind"), c.PCI})
	}
	steps = append(steps, step{s.path("sys/bus/pci/drivers_probe"), c.PCI})
	if driver != "" && !slices.Contains(dpdkDrivers, driver) {
		steps = append(steps, step{s.device(c.PCI, "driver_override"), "\n"}) // back with the kernel, nothing is forced
	}
	return steps
}

// run writes the steps and looks whether the driver (any, when empty) took the card: the kernel accepts the request
// also when the driver then refuses.
func (s *System) run(c *Card, steps []step, driver string) error {
	object := fmt.Sprintf("network card %s (%s)", c.PCI, c.Name)
	for _, t := range steps {
		if err := s.Write(t.path, t.value); err != nil {
			if errors.Is(err, fs.ErrPermission) {
				return fmt.Errorf("%s: %w; run the command as root", object, err)
			}
			return fmt.Errorf("%s: %s: %w; see dmesg for the kernel's reason", object, t, err)
		}
	}
	if got := linkBase(s.device(c.PCI, "driver")); driver != "" && got != driver {
		return fmt.Errorf("%s: driver %s did not accept it; see dmesg for the kernel's reason", object, driver)
	}
	return nil
}

// giveBack undoes a binding that failed half-way.
func (s *System) giveBack(c *Card) error {
	now := *c
	now.Driver = linkBase(s.device(c.PCI, "driver"))
	if err := s.run(&now, s.moveTo(&now, c.Driver), c.Driver); err != nil {
		return fmt.Errorf("and giving it back failed too: %w", err)
	}
	if c.DPDK {
		return nil
	}
	return s.forget(c.PCI)
}

// user names the process that holds a taken card open, empty without one. Unbinding would wait for it in the kernel.
func (s *System) user(c *Card) string {
	node := "/dev/vfio/" + linkBase(s.device(c.PCI, "iommu_group"))
	if c.Driver != DefaultDriver {
		uio, _ := filepath.Glob(s.device(c.PCI, "uio/uio*")) // the pattern is well-formed
		if len(uio) == 0 {
			return ""
		}
		node = "/dev/" + filepath.Base(uio[0])
	}
	files, _ := filepath.Glob(s.path("proc/[0-9]*/fd/*")) // the pattern is well-formed
	for _, f := range files {
		target, err := os.Readlink(f)
		if err != nil || target != node && strings.Replace(target, "noiommu-", "", 1) != node {
			continue
		}
		pid := filepath.Base(filepath.Dir(filepath.Dir(f)))
		if n, err := strconv.Atoi(pid); err == nil {
			return fmt.Sprintf("process %d (%s)", n, read(s.path("proc", pid, "comm")))
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

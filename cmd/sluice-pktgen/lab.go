package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sluicenet/sluice/benchmarks/generator"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dpdk"
	"github.com/sluicenet/sluice/packet"
)

// portFlag is one --tx or --rx: a device, and the port of the profile that it stands for.
type portFlag struct {
	port    string // "" is all that no other device stands for
	devargs string
}

// parsePort reads [PORT=]DEVICE. A device's own arguments come behind a comma.
func parsePort(text string) portFlag {
	if port, device, ok := strings.Cut(text, "="); ok && !strings.Contains(port, ",") {
		return portFlag{port, device}
	}
	return portFlag{"", text}
}

func (p portFlag) name() string {
	name, _, _ := strings.Cut(p.devargs, ",")
	return name
}

// assignment is which device stands for which ports, in the order in which they were named.
type assignment struct {
	devargs []string
	flags   []string           // that named them first, as they were given
	devices []generator.Device // without handles
}

// assign spreads the plan's ports over devices. A device that is named twice is one.
func assign(plan *traffic.Plan, tx, rx []string) (*assignment, error) {
	a := &assignment{}
	sending := func(d *generator.Device) *[]string { return &d.Sources }
	if err := a.spread("--tx", tx, plan.Sources, sending); err != nil {
		return nil, err
	}
	if len(tx) == 0 {
		return nil, errors.New("no device to send by: name one with --tx DEVICE")
	}
	for _, port := range plan.Sources {
		if !slices.ContainsFunc(a.devices, func(d generator.Device) bool { return slices.Contains(d.Sources, port) }) {
			return nil, fmt.Errorf("port %s of the profile sends, and has no device: add --tx %s=DEVICE, or --tx DEVICE for all that are left", port, port)
		}
	}
	return a, a.spread("--rx", rx, plan.Sinks, func(d *generator.Device) *[]string {
		d.Receive = true
		return &d.Sinks
	})
}

func (a *assignment) spread(flag string, texts, ports []string, list func(*generator.Device) *[]string) error {
	left := slices.Clone(ports)
	var rest *portFlag
	for _, text := range texts {
		p := parsePort(text)
		bad := dpdk.CheckDevargs(p.devargs)
		switch {
		case p.devargs == "":
			return fmt.Errorf("%s %q names no device: write a PCI address, or a driver with its arguments as in net_af_packet0,iface=eth1", flag, text)
		case bad != nil:
			return fmt.Errorf("%s %s: %w", flag, text, bad)
		case p.port == "" && rest != nil:
			return fmt.Errorf("%s %s: %s stands for all ports already: say which of %s each is for, as in %s %s=DEVICE",
				flag, text, rest.name(), strings.Join(ports, ", "), flag, ports[0])
		case p.port == "":
			rest = &p
			continue
		case !slices.Contains(left, p.port):
			return fmt.Errorf("%s %s: the profile has no port %q for it, or it is given twice: it has %s", flag, text, p.port, strings.Join(ports, ", "))
		}
		left = slices.DeleteFunc(left, func(s string) bool { return s == p.port })
		d := a.device(p, flag+" "+text)
		ports := list(d)
		*ports = append(*ports, p.port)
	}
	if rest != nil {
		d := a.device(*rest, flag+" "+rest.devargs)
		ports := list(d)
		*ports = append(*ports, left...)
	}
	return nil
}

func (a *assignment) device(p portFlag, flag string) *generator.Device {
	for i := range a.devices {
		if a.devices[i].Name == p.name() {
			return &a.devices[i]
		}
	}
	a.devargs, a.flags = append(a.devargs, p.devargs), append(a.flags, flag)
	a.devices = append(a.devices, generator.Device{Name: p.name()})
	return &a.devices[len(a.devices)-1]
}

// pciDevice is an address of the PCI bus.
var pciDevice = regexp.MustCompile(`^[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]`)

// ringPackets are what a NIC's receive and transmit rings may hold, or those of a driver in memory.
const ringPackets = 2 * 1024

// openLab starts DPDK with the devices of an assignment. On an error nothing is left open.
func openLab(plan *traffic.Plan, a *assignment, o runFlags) (d *devices, err error) {
	d = &devices{prefix: fmt.Sprintf("sluice-pktgen-%d", os.Getpid())}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	packets := workerPackets + len(a.devices)*ringPackets
	options := dpdk.Options{Hugepages: dpdk.Hugepages(o.hugepages), MemoryMB: dpdk.MempoolBytes(packets, frameRoom)>>20*11/10 + slackMB,
		MainCore: machine.ControlCore(o.core), FilePrefix: d.prefix}
	for _, args := range a.devargs {
		if pciDevice.MatchString(args) {
			options.PCI = append(options.PCI, strings.SplitN(args, ",", 2)[0])
		}
		if strings.HasPrefix(args, "net_virtio_user") {
			options.ExtraArgs = []string{"--single-file-segments"} // vhost-user hands over few descriptors
		}
	}
	if options.Hugepages != dpdk.HugepagesOff {
		if d.pages, err = machine.ReserveHugepages(options.MemoryMB); err != nil {
			return d, err
		}
	}
	if d.memory, err = dpdk.Init(options); err != nil {
		return d, err
	}
	if d.pool, err = dpdk.NewMempool(dpdk.MempoolOptions{Count: packets, FrameSize: frameRoom}); err != nil {
		return d, err
	}
	for _, servers := range []bool{true, false} { // who connects must find somebody
		for i := range a.devices {
			if listens(a.devargs[i]) != servers {
				continue
			}
			if err := d.openPort(plan, &a.devices[i], a.devargs[i], a.flags[i]); err != nil {
				return d, err
			}
		}
	}
	if err := d.awaitLinks(o.wait); err != nil {
		return d, err
	}
	d.poller, err = dpdk.NewPoller(d.pool)
	return d, err
}

// listens reports a device that others connect to.
func listens(devargs string) bool {
	return strings.HasPrefix(devargs, "net_vhost") || strings.HasPrefix(devargs, "net_memif") && strings.Contains(devargs, "role=server")
}

// standardMTU is what every device carries without being asked.
const standardMTU = 1500

func (d *devices) openPort(plan *traffic.Plan, to *generator.Device, devargs, flag string) error {
	need := 0
	if len(to.Sources) > 0 {
		need = plan.Profile.Received(plan.Profile.MaxBytes()) - packet.EthernetLen
	}
	if to.Receive {
		need = max(need, plan.Profile.Sent(plan.Profile.MaxBytes())-packet.EthernetLen)
	}
	options := dpdk.UplinkOptions{Name: to.Name, What: flag, Devargs: devargs, Promiscuous: true, Pool: d.pool}
	iface := interfaceOf(devargs)
	if iface == "" && need > standardMTU {
		options.MTU = need
	}
	device, err := dpdk.OpenUplink(options)
	if err != nil {
		if !listens(devargs) && (strings.HasPrefix(devargs, "net_memif") || strings.HasPrefix(devargs, "net_virtio_user")) {
			err = fmt.Errorf("%w: it connects to a socket: start the other end first", err)
		}
		return err
	}
	d.open = append(d.open, device)
	to.Handle = device.Handle()
	if iface != "" && device.MTU() < need {
		return fmt.Errorf("interface %s has an MTU of %d, and the profile's packets are up to %d bytes: `ip link set %s mtu %d`, on both ends", iface, device.MTU(), need, iface, need)
	}
	return nil
}

// interfaceOf is the interface of the kernel that a device works on; "" for others.
func interfaceOf(devargs string) string {
	if !strings.HasPrefix(devargs, "net_af_") {
		return ""
	}
	for arg := range strings.SplitSeq(devargs, ",") {
		if name, ok := strings.CutPrefix(arg, "iface="); ok {
			return name
		}
	}
	return ""
}

// awaitLinks waits for the other ends: memif and vhost are up when somebody has connected.
func (d *devices) awaitLinks(wait time.Duration) error {
	for _, device := range d.open {
		for deadline := time.Now().Add(wait); ; time.Sleep(10 * time.Millisecond) {
			if up, _ := device.Link(); up {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("device %s: its link is down after %s: start what is at the other end, plug the cable in, or wait longer with --wait", device.Name(), wait)
			}
		}
	}
	return nil
}

// hangUp is how long the other end of a memif may take to notice.
const hangUp = 500 * time.Millisecond

// awaitHangUp waits, when a memif was closed, until another one of this process that it was connected with has noticed:
// the driver hears of it on a thread of its own, and both ends at once, the other being closed meanwhile, kill the process.
func (d *devices) awaitHangUp(closed *dpdk.Device, left []*dpdk.Device) {
	if !strings.HasPrefix(closed.Name(), "net_memif") {
		return
	}
	deadline := time.Now().Add(hangUp)
	for _, device := range left {
		for strings.HasPrefix(device.Name(), "net_memif") && time.Now().Before(deadline) {
			if up, _ := device.Link(); !up {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	time.Sleep(10 * time.Millisecond) // the link is down before all is put away
}

// checkRate refuses what the links cannot carry. Drivers in memory and virtual interfaces have no speed of their own,
// though they name one.
func (d *devices) checkRate(a *assignment, pps, wireBytes float64) error {
	sum := 0.0
	var names []string
	for i, to := range a.devices {
		if len(to.Sources) == 0 {
			continue
		}
		mbit := d.speed(to.Handle)
		if mbit == 0 || !isHardware(a.devargs[i]) {
			return nil
		}
		sum += float64(mbit) * 1e6
		names = append(names, to.Name)
	}
	if most := sum / 8 / wireBytes; pps > most {
		return fmt.Errorf("%s is an impossible rate: %s carries %s, which are at most %s of this profile's frames (on average %.0f bytes on the wire)",
			profile.Rate{PPS: pps}, strings.Join(names, " and "), profile.Rate{BPS: sum}, profile.Rate{PPS: most}, wireBytes)
	}
	return nil
}

// speed is that of a device's link, Mbit/s; 0 if it knows none.
func (d *devices) speed(handle uint32) uint32 {
	for _, device := range d.open {
		if device.Handle() == handle {
			_, mbit := device.Link()
			return mbit
		}
	}
	return 0
}

func isHardware(devargs string) bool {
	if iface := interfaceOf(devargs); iface != "" {
		_, err := os.Stat(filepath.Join("/sys/class/net", iface, "device"))
		return err == nil
	}
	return pciDevice.MatchString(devargs)
}

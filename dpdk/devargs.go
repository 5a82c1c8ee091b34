package dpdk

import (
	"fmt"
	"strconv"
	"strings"
)

// devargs is a device's description in DPDK's words: a name or PCI address, and arguments key=value.
type devargs struct {
	name string
	args []string
}

func parseDevargs(s string) devargs {
	parts := strings.Split(s, ",")
	return devargs{name: parts[0], args: parts[1:]}
}

func (d devargs) String() string { return strings.Join(append([]string{d.name}, d.args...), ",") }

// CheckDevargs refuses what no uplink can be opened with, as far as its text tells. Whether the device is there, and its
// driver, only opening it says.
func CheckDevargs(s string) error {
	d := parseDevargs(s)
	switch {
	case strings.Contains(d.name, ":"):
		return checkAddress(d.name)
	case !strings.HasPrefix(d.name, "net_") && !strings.HasPrefix(d.name, "eth_"):
		return fmt.Errorf("device %q: %w: want a PCI address, or a driver with its arguments as in net_af_packet0,iface=eth1", s, ErrInvalid)
	case d.onKernel() && d.get("iface") == "":
		return fmt.Errorf("device %s: %w: it lacks iface=INTERFACE", d, ErrInvalid)
	}
	return nil
}

// get returns the value of a key; "" if it is not there.
func (d devargs) get(key string) string {
	for _, a := range d.args {
		if v, ok := strings.CutPrefix(a, key+"="); ok {
			return v
		}
	}
	return ""
}

// setDefault adds a key that the user did not give.
func (d *devargs) setDefault(key, value string) {
	if d.get(key) == "" {
		d.args = append(d.args, key+"="+value)
	}
}

// isPCI reports a device of the PCI bus, as opposed to a virtual one.
func (d devargs) isPCI() bool { return pciAddress.MatchString(d.name) }

// onKernel reports a driver that works on top of an interface of the kernel, which iface= names.
func (d devargs) onKernel() bool {
	for _, driver := range []string{"net_af_packet", "eth_af_packet", "net_af_xdp"} {
		if strings.HasPrefix(d.name, driver) {
			return true
		}
	}
	return false
}

func (d devargs) isAFPacket() bool { return d.onKernel() && strings.Contains(d.name, "af_packet") }

// Geometry of an af_packet ring. The driver takes slot i to be at i times the slot size, so a block must hold a whole
// number of slots; the kernel wants blocks of whole pages; and the driver wants an mbuf as large as a slot.
const (
	slotUnit     = 1024 // four of them are a page
	slotOverhead = 96   // in front of the frame: tpacket2_hdr, sockaddr_ll, alignment (66), and a VLAN tag put back (4)
	minSlot      = 2048
	l2Overhead   = 14 + 8 // Ethernet header and two VLAN tags
	// Four times the driver's own: the ring must last while another process has the worker's core. It costs twice that
	// many slots of the kernel's memory per queue.
	ringFrames = 2048
)

// ringSlot is the slot that a frame of so many bytes needs.
func ringSlot(frameSize int) int {
	return max(minSlot, (frameSize+slotOverhead+slotUnit-1)/slotUnit*slotUnit)
}

// afPacket completes the arguments for af_packet: receive queues, and slots that frames up to the MTU fit in.
//
// A pair of queues is a socket, and the kernel spreads what it receives over all of them: with more pairs than receive queues
// the others' share would never be fetched. So there are as many transmit queues as receive queues, and workers share them.
//
// The driver has the kernel reassemble IP fragments (PACKET_FANOUT_FLAG_DEFRAG, which cannot be undone): a packet that
// was fragmented on the wire arrives as one frame, cut to the slot. NVGRE is not concerned, since its outer packets are
// never fragmented; fragments for VLAN and pass-through ports are. net_af_xdp and NICs driven by DPDK do not do this.
func (d *devargs) afPacket(queues, mtu int) error {
	d.setDefault("qpairs", strconv.Itoa(max(1, queues)))
	slot := ringSlot(mtu + l2Overhead)
	if given := d.get("framesz"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < mtu+l2Overhead+slotOverhead {
			return fmt.Errorf("framesz=%s: %w: MTU %d needs at least %d", given, ErrInvalid, mtu, mtu+l2Overhead+slotOverhead)
		}
		return nil
	}
	if d.get("blocksz") == "" {
		d.setDefault("framecnt", strconv.Itoa(ringFrames)) // a whole number of blocks
	}
	if slot > minSlot {
		block := slot
		for block%4096 != 0 {
			block += slot
		}
		d.setDefault("framesz", strconv.Itoa(slot))
		d.setDefault("blocksz", strconv.Itoa(block))
	}
	return nil
}

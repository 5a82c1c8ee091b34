package generator

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/packet"
)

// The generator stands in for everything around the device under test. That is more than traffic: the host on the other
// side of the fabric answers ARP, asks for the switch's own address, and stations behind a bridge have been heard of.

const (
	arpFrame    = 60
	askTries    = 5
	askInterval = 200 * time.Millisecond

	announceInterval = 500 * time.Microsecond // between at most packet.MaxSpares stations
)

var broadcast = packet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// introduce makes the generator known, before the first trial.
func (w *worker) introduce() error {
	if w.plan.Profile.Direction == profile.Bridge {
		w.announce()
	}
	if slices.Contains(w.plan.Sources, traffic.Uplink) {
		return w.resolve(w.device(traffic.Uplink, func(d *Device) []string { return d.Sources }))
	}
	return nil
}

// device finds the device that stands for a port of the plan; -1 if none does.
func (w *worker) device(port string, ports func(*Device) []string) int {
	return slices.IndexFunc(w.devices, func(d Device) bool { return slices.Contains(ports(&d), port) })
}

// announce lets every station behind a bridge be heard, by gratuitous ARP.
func (w *worker) announce() {
	either := func(d *Device) []string { return append(slices.Clone(d.Sources), d.Sinks...) }
	for _, vm := range w.plan.Stations() {
		out := w.device(vm.Name, either)
		if out < 0 {
			continue
		}
		r := reply{out: uint16(out)}
		own := packet.AddrFromNetip(vm.CA).V4()
		packet.EncodeEthernet(r.frame[:], broadcast, vm.MAC, packet.EtherTypeARP)
		packet.EncodeARP(r.frame[packet.EthernetLen:], packet.ARPRequest, vm.MAC, own, packet.MAC{}, own)
		w.replies = append(w.replies, r)
	}
	for len(w.replies) > 0 {
		w.exchange()
		w.poller.Wait(announceInterval) // no faster than anybody learns
	}
}

// exchange sends what is to be said beside the traffic, and hears what others say.
func (w *worker) exchange() {
	w.build(0)
	w.io.RxBudget = packet.MaxRx
	w.poller.Poll()
	w.io.NumFree = uint32(copy(w.io.Free[:], w.io.Rx[:w.io.NumRx]))
}

// resolve asks for the MAC of the switch under test, which the frames of its fabric are sent to. A switch that does not
// answer gets the one of the profile.
func (w *worker) resolve(uplink int) error {
	d := &w.devices[uplink]
	if !d.Receive {
		if err := w.poller.AddRx(d.Handle, 0, uint32(uplink)); err != nil {
			return err
		}
		defer func() {
			w.build(0)
			w.io.RxBudget = 0
			w.poller.Poll() // the list changes only while nothing is in the exchange area
			w.poller.RemoveRx(uint32(uplink))
		}()
	}
	near := packet.AddrFromNetip(traffic.NearPA).V4()
	request := reply{out: uint16(uplink)}
	encodeARP(request.frame[:], packet.ARPRequest, broadcast, packet.MAC{}, near)
	for range askTries {
		w.replies = append(w.replies, request)
		for until := time.Now().Add(askInterval); time.Now().Before(until); {
			w.exchange()
			for _, p := range w.io.Rx[:w.io.NumRx] {
				if mac, ok := claims(p.Data(), near); ok {
					w.retarget(traffic.UplinkMAC, mac)
					return nil
				}
			}
			w.poller.Wait(time.Millisecond)
		}
	}
	w.notes = append(w.notes, "nobody answered ARP for "+traffic.NearPA.String()+" at "+d.Name+
		": frames go to the MAC of the profile, "+traffic.UplinkMAC.String())
	return nil
}

// claims finds who says that the address is his.
func claims(frame []byte, address uint32) (packet.MAC, bool) {
	arp, ok := arpOf(frame)
	if !ok || arp.Op() != packet.ARPReply || arp.SenderIP() != address {
		return packet.MAC{}, false
	}
	return arp.SenderMAC(), true
}

func arpOf(frame []byte) (packet.ARP, bool) {
	if len(frame) < packet.EthernetLen || binary.BigEndian.Uint16(frame[12:]) != packet.EtherTypeARP {
		return packet.ARP{}, false
	}
	return packet.CheckARP(frame[packet.EthernetLen:])
}

// answer replies for the host on the other side of the fabric, which the generator plays.
func (w *worker) answer(frame []byte, device uint16) {
	arp, ok := arpOf(frame)
	if !ok || arp.Op() != packet.ARPRequest || len(w.replies) >= maxBatch {
		return
	}
	if packet.AddrFrom4(arp.TargetIP()) != packet.AddrFromNetip(traffic.FarPA) {
		return
	}
	r := reply{out: device}
	encodeARP(r.frame[:], packet.ARPReply, arp.SenderMAC(), arp.SenderMAC(), arp.SenderIP())
	w.replies = append(w.replies, r)
}

// encodeARP writes what the far host says.
func encodeARP(frame []byte, op uint16, to, target packet.MAC, targetIP uint32) {
	packet.EncodeEthernet(frame, to, traffic.FarHostMAC, packet.EtherTypeARP)
	packet.EncodeARP(frame[packet.EthernetLen:], op, traffic.FarHostMAC, packet.AddrFromNetip(traffic.FarPA).V4(), target, targetIP)
}

// say puts a frame that is no traffic into the next poll.
func (w *worker) say(r *reply) {
	io := w.io
	io.NumSpares--
	p := io.Spares[io.NumSpares]
	p.Append(arpFrame)
	copy(p.Data(), r.frame[:])
	w.put(p, uint32(r.out), control)
}

package traffic

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/packet"
)

// Frame makes the frame of a flow as the switch receives it: with Decap inside NVGRE.
func (p *Plan) Frame(f Flow) ([]byte, error) {
	ip := &layers.IPv4{Version: 4, TTL: 64, Flags: layers.IPv4DontFragment, SrcIP: f.From.CA.AsSlice(), DstIP: f.To.CA.AsSlice()}
	transport, header, err := transportOf(f, ip)
	if err != nil {
		return nil, err
	}
	frame, err := build(ethernet(f.From.MAC, f.To.MAC), ip, transport, pattern(f.Bytes-14-20-header))
	if err != nil || p.Profile.Direction != profile.Decap {
		return frame, err
	}
	return encapsulate(frame, f, FarHostMAC, UplinkMAC, FarPA, NearPA)
}

// Encapsulated makes of a VM's frame what leaves by the uplink, with Encap. The switch chooses FlowIDByte by itself.
func (p *Plan) Encapsulated(f Flow, frame []byte) ([]byte, error) {
	return encapsulate(frame, f, UplinkMAC, FarHostMAC, NearPA, FarPA)
}

// FlowIDByte is where an encapsulated frame has its FlowID (RFC 7637, section 3.2).
const FlowIDByte = 14 + 20 + 7

func encapsulate(frame []byte, f Flow, src, dst packet.MAC, from, to netip.Addr) ([]byte, error) {
	outer := &layers.IPv4{Version: 4, TTL: 64, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolGRE,
		SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	gre := &layers.GRE{KeyPresent: true, Protocol: layers.EthernetTypeTransparentEthernetBridging, Key: f.VSID<<8 | uint32(f.FlowID)}
	return build(ethernet(src, dst), outer, gre, gopacket.Payload(frame))
}

// announcementType is an EtherType for experiments (IEEE 802).
const announcementType = 0x88b5

// Announcement is a frame by which bridges learn a station, of no meaning, to an address that nobody has. Each attempt
// has another one: a switch learns from frames of flows that it does not know.
func Announcement(of VM, attempt int) []byte {
	frame := make([]byte, 60)
	copy(frame, []byte{0x02, 0xff, 0, 0, byte(attempt >> 8), byte(attempt)})
	copy(frame[6:], of.MAC[:])
	binary.BigEndian.PutUint16(frame[12:], announcementType)
	return frame
}

func ethernet(src, dst packet.MAC) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: net.HardwareAddr(src[:]), DstMAC: net.HardwareAddr(dst[:]), EthernetType: layers.EthernetTypeIPv4}
}

// transportOf makes the transport header and says how long it is.
func transportOf(f Flow, ip *layers.IPv4) (gopacket.SerializableLayer, int, error) {
	switch f.Protocol {
	case "udp":
		ip.Protocol = layers.IPProtocolUDP
		u := &layers.UDP{SrcPort: layers.UDPPort(f.SrcPort), DstPort: layers.UDPPort(f.DstPort)}
		return u, 8, u.SetNetworkLayerForChecksum(ip)
	case "tcp":
		ip.Protocol = layers.IPProtocolTCP
		t := &layers.TCP{SrcPort: layers.TCPPort(f.SrcPort), DstPort: layers.TCPPort(f.DstPort), ACK: true, Seq: 1, Ack: 1, Window: 65535}
		return t, 20, t.SetNetworkLayerForChecksum(ip)
	}
	return nil, 0, fmt.Errorf("flow %s to %s: there is no protocol %q", f.From.Name, f.To.Name, f.Protocol)
}

// pattern is a payload that is easy to recognise in a dump.
func pattern(n int) gopacket.Payload {
	b := make(gopacket.Payload, n)
	for i := range b {
		b[i] = byte('a' + i%26)
	}
	return b
}

func build(stack ...gopacket.SerializableLayer) ([]byte, error) {
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...); err != nil {
		return nil, fmt.Errorf("make frame: %w", err)
	}
	return buf.Bytes(), nil
}

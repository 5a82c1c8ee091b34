package shares

import (
	"fmt"
	"net"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/packet"
)

// frameOf makes the frame of a stream as a VM sends it. It has no UDP checksum, as its end changes with every packet.
func frameOf(s *profile.Stream, from, to profile.VM, port uint16) ([]byte, error) {
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr(from.MAC[:]), DstMAC: net.HardwareAddr(to.MAC[:]), EthernetType: layers.EthernetTypeIPv4}
	stack := []gopacket.SerializableLayer{eth}
	if s.PCP >= 0 {
		eth.EthernetType = layers.EthernetTypeDot1Q
		stack = append(stack, &layers.Dot1Q{Priority: uint8(s.PCP), Type: layers.EthernetTypeIPv4})
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, TOS: uint8(s.DSCP << 2), Flags: layers.IPv4DontFragment, SrcIP: from.CA.AsSlice(), DstIP: to.CA.AsSlice()}
	if s.ECN {
		ip.TOS |= packet.ECNECT0
	}
	stack = append(stack, ip)
	if s.Protocol == "tcp" {
		ip.Protocol = layers.IPProtocolTCP
		stack = append(stack, &layers.TCP{SrcPort: layers.TCPPort(port), DstPort: layers.TCPPort(s.Port), ACK: true, Seq: 1, Ack: 1, Window: 65535, DataOffset: 5})
	} else {
		ip.Protocol = layers.IPProtocolUDP
		stack = append(stack, &layers.UDP{SrcPort: layers.UDPPort(port), DstPort: layers.UDPPort(s.Port)})
	}
	stack = append(stack, gopacket.Payload(make([]byte, s.FrameBytes-s.HeaderBytes()+profile.StampBytes)))
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, stack...); err != nil {
		return nil, fmt.Errorf("make frame of stream %s: %w", s.Name, err)
	}
	frame := buf.Bytes()
	packet.IPv4(frame[s.HeaderBytes()-s.TransportBytes()-profile.StampBytes-packet.IPv4Len:]).SetChecksum()
	return frame, nil
}

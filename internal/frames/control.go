package frames

import (
	"encoding/binary"

	"github.com/google/gopacket/layers"
)

const (
	broadcast = "ff:ff:ff:ff:ff:ff"
	unknown   = "00:00:00:00:00:00"
)

// ARP is an ARP message for IPv4 over Ethernet (RFC 826): op 1 asks, 2 answers.
func ARP(op uint16, senderMAC, senderIP, targetMAC, targetIP any) Layer {
	return &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: op, SourceHwAddress: mac(senderMAC), SourceProtAddress: addr(senderIP).AsSlice(),
		DstHwAddress: mac(targetMAC), DstProtAddress: addr(targetIP).AsSlice(),
	}
}

// ARPRequest is the broadcast frame by which a station asks for target.
func ARPRequest(senderMAC, senderIP, target any) []byte {
	return Build(Ether(senderMAC, broadcast), ARP(1, senderMAC, senderIP, unknown, target))
}

// ARPProbe is the unicast request by which a station confirms a neighbour that it knows.
func ARPProbe(senderMAC, senderIP, targetMAC, targetIP any) []byte {
	return Build(Ether(senderMAC, targetMAC), ARP(1, senderMAC, senderIP, unknown, targetIP))
}

// ARPReply is the frame by which sender answers target.
func ARPReply(senderMAC, senderIP, targetMAC, targetIP any) []byte {
	return Build(Ether(senderMAC, targetMAC), ARP(2, senderMAC, senderIP, targetMAC, targetIP))
}

// GratuitousARP is the broadcast request by which a station announces its own address (RFC 5227, section 3).
func GratuitousARP(senderMAC, ip any) []byte {
	return Build(Ether(senderMAC, broadcast), ARP(1, senderMAC, ip, unknown, ip))
}

// DuplicateProbe is the ARP probe of address conflict detection: the sender's address is 0.0.0.0 (RFC 5227, section 2.1.1).
func DuplicateProbe(senderMAC, ip any) []byte {
	return Build(Ether(senderMAC, broadcast), ARP(1, senderMAC, "0.0.0.0", unknown, ip))
}

// Echo is an ICMP echo request.
func Echo(id, seq uint16) Layer {
	return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: id, Seq: seq}
}

// EchoReply is an ICMP echo reply.
func EchoReply(id, seq uint16) Layer {
	return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(0, 0), Id: id, Seq: seq}
}

// ICMP is any other ICMP message; rest is the second word of its header. The offending packet follows as Bytes.
func ICMP(typ, code uint8, rest uint32) Layer {
	return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, code), Id: uint16(rest >> 16), Seq: uint16(rest)}
}

// ICMPv6 is an ICMPv6 message; its body follows as Bytes.
func ICMPv6(typ, code uint8) Layer {
	return &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, code)}
}

// Ping is the whole frame of an echo request with 56 bytes of data.
func Ping(srcMAC, dstMAC, src, dst any, id, seq uint16) []byte {
	if addr(src).Is6() {
		body := binary.BigEndian.AppendUint32(nil, uint32(id)<<16|uint32(seq))
		return Build(Ether(srcMAC, dstMAC), IPv6(src, dst), ICMPv6(128, 0), Bytes(append(body, make([]byte, 56)...)))
	}
	return Build(Ether(srcMAC, dstMAC), IPv4(src, dst, DF()), Echo(id, seq), Payload(56))
}

// NeighbourSolicitation is the body of a neighbour solicitation with a source link-layer address; it follows
// ICMPv6(135, 0) (RFC 4861, section 4.3).
func NeighbourSolicitation(target, srcMAC any) Layer {
	body := append(make([]byte, 4), addr(target).AsSlice()...)
	return Bytes(append(append(body, 1, 1), mac(srcMAC)...))
}

// NeighbourAdvertisement is the body of a solicited advertisement; it follows ICMPv6(136, 0) (RFC 4861, section 4.4).
func NeighbourAdvertisement(target, targetMAC any) Layer {
	body := append([]byte{0x60, 0, 0, 0}, addr(target).AsSlice()...)
	return Bytes(append(append(body, 2, 1), mac(targetMAC)...))
}

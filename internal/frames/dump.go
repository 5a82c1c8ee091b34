package frames

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
)

// Dump writes a frame in words, one header per line, inner frames indented, checksums judged.
func Dump(frame []byte) string {
	var b strings.Builder
	dump(&b, frame, "")
	return b.String()
}

// dump prints one Ethernet frame and goes on with what an NVGRE packet carries.
func dump(b *strings.Builder, frame []byte, indent string) {
	line := func(format string, args ...any) { fmt.Fprintf(b, indent+format+"\n", args...) }
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	rest := frame
	var network gopacket.NetworkLayer
	for _, l := range p.Layers() {
		rest = l.LayerPayload()
		switch l := l.(type) {
		case *layers.Ethernet:
			line("eth  %s > %s type 0x%04x, %d bytes", l.SrcMAC, l.DstMAC, binary.BigEndian.Uint16(l.Contents[12:]), len(frame))
		case *layers.Dot1Q:
			line("vlan %d pcp %d type 0x%04x", l.VLANIdentifier, l.Priority, uint16(l.Type))
		case *layers.ARP:
			line("arp  op %d, %x %s asks %x %s", l.Operation, l.SourceHwAddress, ip4(l.SourceProtAddress), l.DstHwAddress, ip4(l.DstProtAddress))
		case *layers.IPv4:
			network = l
			line("ip4  %s > %s proto %d ttl %d tos 0x%02x id %d flags %d offset %d ihl %d length %d, checksum %s", l.SrcIP, l.DstIP,
				l.Protocol, l.TTL, l.TOS, l.Id, l.Flags, l.FragOffset, l.IHL, l.Length, verdict(internetSum(l.Contents, 0)))
		case *layers.IPv6:
			network = l
			line("ip6  %s > %s next %d hops %d class 0x%02x label %d length %d", l.SrcIP, l.DstIP, l.NextHeader, l.HopLimit, l.TrafficClass, l.FlowLabel, l.Length)
		case *layers.TCP:
			line("tcp  %d > %d flags %s seq %d ack %d window %d options %v, checksum %s", l.SrcPort, l.DstPort, flags(l), l.Seq, l.Ack, l.Window, l.Options, transport(network, 6, l.BaseLayer))
		case *layers.UDP:
			line("udp  %d > %d length %d, checksum %s", l.SrcPort, l.DstPort, l.Length, transport(network, 17, l.BaseLayer))
		case *layers.ICMPv4:
			line("icmp %s id %d seq %d, checksum %s", l.TypeCode, l.Id, l.Seq, verdict(internetSum(append(bytes.Clone(l.Contents), l.Payload...), 0)))
		case *layers.ICMPv6:
			line("icmp6 %s, checksum %s", l.TypeCode, transport(network, 58, l.BaseLayer))
		case *layers.GRE:
			flagsVersion := binary.BigEndian.Uint16(l.Contents)
			line("gre  flags 0x%04x protocol 0x%04x vsid %d flow %d", flagsVersion, uint16(l.Protocol), l.Key>>8, uint8(l.Key))
			if l.Protocol == layers.EthernetTypeTransparentEthernetBridging {
				dump(b, l.LayerPayload(), indent+"     ")
				rest = nil
			}
		case *gopacket.DecodeFailure:
			line("undecodable: %v", l.Error())
			rest = l.LayerContents()
		case *gopacket.Payload, *gopacket.Fragment:
			rest = l.LayerContents()
		default:
			line("%-4s %x", l.LayerType(), l.LayerContents())
		}
		if ends(l) {
			break
		}
	}
	if len(rest) > 0 {
		line("data %d bytes: %x", len(rest), rest)
	}
	if n := trailer(p); n > 0 {
		line("trailer %d bytes", n)
	}
}

// ends reports a header behind which everything is data, or another frame: gopacket would go on by port number.
func ends(l gopacket.Layer) bool {
	switch l.(type) {
	case *layers.GRE, *layers.TCP, *layers.UDP:
		return true
	}
	return false
}

// trailer is the number of bytes behind the IP packet.
func trailer(p gopacket.Packet) int {
	eth := p.LinkLayer()
	ip, ok := p.NetworkLayer().(*layers.IPv4)
	if eth == nil || !ok || p.Layer(layers.LayerTypeDot1Q) != nil {
		return 0
	}
	return len(eth.LayerPayload()) - int(ip.Length)
}

func ip4(b []byte) string {
	if len(b) != 4 {
		return fmt.Sprintf("%x", b)
	}
	return fmt.Sprintf("%d.%d.%d.%d", b[0], b[1], b[2], b[3])
}

func flags(t *layers.TCP) string {
	s := ""
	for _, f := range []struct {
		set  bool
		name string
	}{{t.SYN, "S"}, {t.FIN, "F"}, {t.RST, "R"}, {t.PSH, "P"}, {t.ACK, "A"}, {t.URG, "U"}, {t.ECE, "E"}, {t.CWR, "C"}} {
		if f.set {
			s += f.name
		}
	}
	return s
}

// transport judges a checksum that covers a pseudo header.
func transport(n gopacket.NetworkLayer, proto uint32, l layers.BaseLayer) string {
	body := append(bytes.Clone(l.Contents), l.Payload...)
	var pseudo []byte
	switch ip := n.(type) {
	case *layers.IPv4:
		if ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0 {
			return "of a fragment"
		}
		pseudo = append(bytes.Clone(ip.SrcIP), ip.DstIP...)
	case *layers.IPv6:
		pseudo = append(bytes.Clone(ip.SrcIP), ip.DstIP...)
	default:
		return "unknown"
	}
	return verdict(internetSum(append(pseudo, body...), proto+uint32(len(body))))
}

func verdict(sum uint16) string {
	if sum == 0 {
		return "ok"
	}
	return "WRONG"
}

// Equal asserts that two frames are the same bytes, and shows them in words otherwise.
func Equal(t testing.TB, want, got []byte, msg ...any) bool {
	t.Helper()
	return bytes.Equal(want, got) || assert.Equal(t, exact(want), exact(got), msg...)
}

// EqualAll asserts that two lists of frames are the same bytes in the same order.
func EqualAll(t testing.TB, want, got [][]byte, msg ...any) bool {
	t.Helper()
	all := func(frames [][]byte) string {
		var b strings.Builder
		for i, f := range frames {
			fmt.Fprintf(&b, "frame %d\n%s", i, exact(f))
		}
		return b.String()
	}
	return assert.Equal(t, all(want), all(got), msg...)
}

// exact is Dump with the bytes, so that frames of equal words and different bytes differ.
func exact(frame []byte) string { return fmt.Sprintf("%s%x\n", Dump(frame), frame) }

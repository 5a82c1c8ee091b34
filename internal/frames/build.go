// Package frames builds and reads Ethernet frames for tests, by google/gopacket, so that the frames that test our
// parser and our headers are not written by the same hand.
//
//	frame := frames.Build(
//		frames.Ether("00:15:5d:00:01:05", "00:15:5d:00:01:07"),
//		frames.IPv4("10.0.0.5", "10.0.0.7", frames.DF()),
//		frames.UDP(4000, 53),
//		frames.Payload(100))
//
// An address argument is its text or anything whose String method gives it. Wrong arguments panic: they are mistakes of
// the test.
package frames

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Layer is one header of a frame, or its payload.
type Layer = gopacket.SerializableLayer

// EtherTypeTest is the EtherType of a payload without a network header (IEEE 802 local experimental).
const EtherTypeTest = 0x88b5

// Build makes a frame of its layers, outermost first. Lengths, checksums and the protocol of the next layer are filled
// in where they are zero. Short frames are not padded: see Pad.
func Build(stack ...Layer) []byte {
	var network gopacket.NetworkLayer
	for i, l := range stack {
		next := Layer(nil)
		if i+1 < len(stack) {
			next = stack[i+1]
		}
		switch l := l.(type) {
		case *ether:
			setType(&l.typ, next)
		case *layers.Dot1Q:
			setType(&l.Type, next)
		case *layers.IPv4:
			network = l
			if l.Protocol == 0 {
				l.Protocol = protocolOf(next)
			}
		case *layers.IPv6:
			network = l
			if l.NextHeader == 0 {
				l.NextHeader = protocolOf(next)
			}
		case *extension:
			if l.next == 0 {
				l.next = protocolOf(next)
			}
		case interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}:
			if network != nil {
				must(l.SetNetworkLayerForChecksum(network))
			}
		}
	}
	buf := gopacket.NewSerializeBuffer()
	must(gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: network != nil || !needsNetwork(stack)}, stack...))
	return append([]byte(nil), buf.Bytes()...)
}

// needsNetwork reports a transport header without a network header, whose checksum cannot be computed.
func needsNetwork(stack []Layer) bool {
	for _, l := range stack {
		switch l.(type) {
		case *layers.TCP, *layers.UDP, *layers.ICMPv6:
			return true
		}
	}
	return false
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("frames: %v", err))
	}
}

func setType(typ *layers.EthernetType, next Layer) {
	if *typ != 0 {
		return
	}
	switch next.(type) {
	case *layers.Dot1Q:
		*typ = layers.EthernetTypeDot1Q
	case *layers.IPv4:
		*typ = layers.EthernetTypeIPv4
	case *layers.IPv6:
		*typ = layers.EthernetTypeIPv6
	case *layers.ARP:
		*typ = layers.EthernetTypeARP
	default:
		*typ = EtherTypeTest
	}
}

func protocolOf(next Layer) layers.IPProtocol {
	switch l := next.(type) {
	case *layers.TCP:
		return layers.IPProtocolTCP
	case *layers.UDP:
		return layers.IPProtocolUDP
	case *layers.ICMPv4:
		return layers.IPProtocolICMPv4
	case *layers.ICMPv6:
		return layers.IPProtocolICMPv6
	case *layers.GRE:
		return layers.IPProtocolGRE
	case *extension:
		return l.proto
	default:
		return layers.IPProtocolNoNextHeader
	}
}

// ether is an Ethernet header. gopacket's own pads frames to 60 bytes, which taps and tunnels do not.
type ether struct {
	dst, src net.HardwareAddr
	typ      layers.EthernetType
}

func (e *ether) LayerType() gopacket.LayerType { return layers.LayerTypeEthernet }

func (e *ether) SerializeTo(b gopacket.SerializeBuffer, _ gopacket.SerializeOptions) error {
	h, err := b.PrependBytes(14)
	if err != nil {
		return err
	}
	copy(h, e.dst)
	copy(h[6:], e.src)
	binary.BigEndian.PutUint16(h[12:], uint16(e.typ))
	return nil
}

// Ether is an Ethernet header.
func Ether(src, dst any) Layer { return &ether{dst: mac(dst), src: mac(src)} }

// EtherOf is an Ethernet header with an EtherType of its own.
func EtherOf(src, dst any, etherType uint16) Layer {
	return &ether{dst: mac(dst), src: mac(src), typ: layers.EthernetType(etherType)}
}

// VLAN is an 802.1Q tag.
func VLAN(id uint16, pcp uint8) Layer {
	return &layers.Dot1Q{VLANIdentifier: id, Priority: pcp}
}

// IPOption changes an IPv4 or IPv6 header.
type IPOption func(*layers.IPv4, *layers.IPv6)

// TTL sets the time to live or hop limit, which is 64 otherwise.
func TTL(n uint8) IPOption {
	return func(a *layers.IPv4, b *layers.IPv6) {
		if a != nil {
			a.TTL = n
		} else {
			b.HopLimit = n
		}
	}
}

// TOS sets the type of service or traffic class: DSCP<<2 | ECN.
func TOS(n uint8) IPOption {
	return func(a *layers.IPv4, b *layers.IPv6) {
		if a != nil {
			a.TOS = n
		} else {
			b.TrafficClass = n
		}
	}
}

// Proto sets the protocol or next header.
func Proto(n uint8) IPOption {
	return func(a *layers.IPv4, b *layers.IPv6) {
		if a != nil {
			a.Protocol = layers.IPProtocol(n)
		} else {
			b.NextHeader = layers.IPProtocol(n)
		}
	}
}

// DF sets the don't-fragment flag (IPv4).
func DF() IPOption {
	return func(a *layers.IPv4, _ *layers.IPv6) { a.Flags |= layers.IPv4DontFragment }
}

// ID sets the identification (IPv4).
func ID(n uint16) IPOption { return func(a *layers.IPv4, _ *layers.IPv6) { a.Id = n } }

// Frag makes the packet a fragment: offset in units of 8 bytes (IPv4).
func Frag(offset uint16, more bool) IPOption {
	return func(a *layers.IPv4, _ *layers.IPv6) {
		a.FragOffset = offset
		if more {
			a.Flags |= layers.IPv4MoreFragments
		}
	}
}

// RouterAlert adds an IPv4 option of four bytes (RFC 2113).
func RouterAlert() IPOption {
	return func(a *layers.IPv4, _ *layers.IPv6) {
		a.Options = append(a.Options, layers.IPv4Option{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}})
	}
}

// FlowLabel sets the flow label (IPv6).
func FlowLabel(n uint32) IPOption { return func(_ *layers.IPv4, b *layers.IPv6) { b.FlowLabel = n } }

// IPv4 is an IPv4 header.
func IPv4(src, dst any, opts ...IPOption) Layer {
	ip := &layers.IPv4{Version: 4, TTL: 64, SrcIP: addr(src).AsSlice(), DstIP: addr(dst).AsSlice()}
	for _, o := range opts {
		o(ip, nil)
	}
	return ip
}

// IPv6 is an IPv6 header.
func IPv6(src, dst any, opts ...IPOption) Layer {
	ip := &layers.IPv6{Version: 6, HopLimit: 64, SrcIP: addr(src).AsSlice(), DstIP: addr(dst).AsSlice()}
	for _, o := range opts {
		o(nil, ip)
	}
	return ip
}

// extension is an IPv6 extension header; body follows the next-header byte.
type extension struct {
	proto, next layers.IPProtocol
	body        []byte
}

func (e *extension) LayerType() gopacket.LayerType { return gopacket.LayerTypePayload }

func (e *extension) SerializeTo(b gopacket.SerializeBuffer, _ gopacket.SerializeOptions) error {
	h, err := b.PrependBytes(1 + len(e.body))
	if err != nil {
		return err
	}
	h[0] = byte(e.next)
	copy(h[1:], e.body)
	return nil
}

// HopByHop is a hop-by-hop options header of 8 bytes (RFC 8200, section 4.3).
func HopByHop() Layer { return &extension{proto: 0, body: []byte{0, 1, 4, 0, 0, 0, 0}} }

// DestOpts is a destination options header of 8*(1+n) bytes (RFC 8200, section 4.6).
func DestOpts(n uint8) Layer {
	body := make([]byte, 7+8*int(n))
	body[0], body[1], body[2] = n, 1, 4
	for i := 7; i < len(body); i += 8 { // PadN of 8 bytes each
		body[i], body[i+1] = 1, 6
	}
	return &extension{proto: 60, body: body}
}

// Routing is a routing header of type 0 without addresses left (RFC 8200, section 4.4).
func Routing() Layer { return &extension{proto: 43, body: []byte{0, 0, 0, 0, 0, 0, 0}} }

// Frag6 is an IPv6 fragment header: offset in units of 8 bytes (RFC 8200, section 4.5).
func Frag6(id uint32, offset uint16, more bool) Layer {
	body := make([]byte, 7)
	v := offset << 3
	if more {
		v |= 1
	}
	binary.BigEndian.PutUint16(body[1:], v)
	binary.BigEndian.PutUint32(body[3:], id)
	return &extension{proto: 44, body: body}
}

// UDP is a UDP header.
func UDP(src, dst uint16) Layer {
	return &layers.UDP{SrcPort: layers.UDPPort(src), DstPort: layers.UDPPort(dst)}
}

// TCPOption changes a TCP header.
type TCPOption func(*layers.TCP)

// SYN makes the segment open a connection with the given maximum segment size.
func SYN(mss uint16) TCPOption {
	return func(t *layers.TCP) {
		t.SYN, t.ACK = true, false
		t.Options = append(t.Options, layers.TCPOption{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{byte(mss >> 8), byte(mss)}})
	}
}

// TCP is a TCP header with ACK set.
func TCP(src, dst uint16, opts ...TCPOption) Layer {
	t := &layers.TCP{SrcPort: layers.TCPPort(src), DstPort: layers.TCPPort(dst), Seq: 1, Ack: 1, ACK: true, Window: 65535}
	for _, o := range opts {
		o(t)
	}
	return t
}

// Payload is n bytes that count up.
func Payload(n int) Layer {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return gopacket.Payload(b)
}

// Bytes is a payload of given bytes.
func Bytes(b []byte) Layer { return gopacket.Payload(b) }

// mac reads an Ethernet address.
func mac(v any) net.HardwareAddr {
	hw, err := net.ParseMAC(text(v))
	must(err)
	return hw
}

// addr reads an IP address.
func addr(v any) netip.Addr {
	a, err := netip.ParseAddr(text(v))
	must(err)
	return a
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case fmt.Stringer:
		return v.String()
	}
	panic(fmt.Sprintf("frames: %T is no address: want its text, or a value whose String method gives it", v))
}

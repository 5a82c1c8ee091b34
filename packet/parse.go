package packet

import (
	"encoding/binary"
	"math/bits"
)

// Layer3 says what a frame carries.
type Layer3 uint8

const (
	L3None Layer3 = iota // neither ARP nor IP
	L3ARP
	L3IPv4
	L3IPv6
)

// ParseError says why a frame cannot be understood; the zero value is none.
type ParseError uint8

const (
	ParseOK           ParseError = iota
	ErrTruncatedEth              // shorter than an Ethernet header
	ErrTruncatedVLAN             // tag without the EtherType behind it
	ErrTruncatedARP              // ARP shorter than 28 bytes, or not Ethernet/IPv4
	ErrTruncatedIPv4             // frame ends inside the IPv4 header
	ErrIPv4Version               // version is not 4
	ErrIPv4HeaderLen             // IHL below 5
	ErrIPv4TotalLen              // total length beyond the frame, or shorter than the header
	ErrIPv4Fragment              // fragment that reaches beyond 65,535 bytes, or is empty
	ErrTruncatedIPv6             // frame ends inside the IPv6 header
	ErrIPv6Version               // version is not 6
	ErrIPv6PayloadLen            // payload length beyond the frame, or a jumbogram
	ErrIPv6Chain                 // extension headers truncated, too many, or out of place
	ErrTruncatedL4               // TCP, UDP or ICMP header cut off, in a first fragment as well (RFC 1858)
	ErrL4Length                  // TCP data offset or UDP length that contradicts the IP length
	ErrSourceMAC                 // source address is a group address or zero
	ErrSegments                  // headers split across the segments of a packet
	NumParseErrors
)

// Parsed is what Parse finds in a frame. Offsets count from the first byte of the parsed frame.
type Parsed struct {
	Key   Key    // of IPv4 and non-IP frames; of IPv6 only words 0 to 2 are of use (WideKey completes them)
	L3    uint16 // network header
	L4    uint16 // transport header; 0 without one in this frame
	Len   uint32 // bytes that carry meaning; what follows is padding of the link
	TCI   uint16 // 802.1Q tag; valid when Tagged
	Kind  Layer3
	Err   ParseError
	Proto uint8 // IP protocol, behind IPv6 extension headers
	TOS   uint8 // DSCP and ECN
	// Tagged: one 802.1Q tag was skipped. Nested: another tag follows the first, or an 802.1ad tag leads.
	Tagged, Nested bool
	Fragment       bool // part of a fragmented datagram, the first one included
}

const (
	ethLen       = 14
	vlanLen      = 4
	etherTypeMin = 0x600 // below it the field is an 802.3 length
)

// Network protocol numbers in the byte order of a raw load, so that the comparison needs no swap.
const (
	rawIPv4 = 0x0008
	rawIPv6 = 0xdd86
	rawARP  = 0x0608
	rawVLAN = 0x0081
	rawQinQ = 0xa888
)

// Parse reads the headers of a frame up to the transport ports and builds its flow key. It never reads outside data,
// believes no length before checking it, and writes every field of out that Err and Kind make meaningful.
// data is the first segment and frameLen the length of the whole packet: headers must stand in the first segment, and
// one that reaches beyond it is split rather than truncated.
func Parse(data []byte, frameLen int, scope uint32, out *Parsed) {
	*out = Parsed{}
	parseFrame(data, frameLen, scope, out)
	if out.Err != ParseOK && frameLen > len(data) {
		markSplit(out)
	}
}

// markSplit turns a truncation into ErrSegments: with more segments to come the bytes are there, but elsewhere.
func markSplit(out *Parsed) {
	switch out.Err {
	case ErrTruncatedEth, ErrTruncatedVLAN, ErrTruncatedARP, ErrTruncatedIPv4, ErrTruncatedIPv6, ErrIPv6Chain:
		out.Err = ErrSegments
	}
}

func parseFrame(data []byte, frameLen int, scope uint32, out *Parsed) {
	if len(data) < ethLen {
		out.Err = ErrTruncatedEth
		return
	}
	w1 := binary.LittleEndian.Uint64(data)
	w2 := uint64(binary.LittleEndian.Uint32(data[8:]))
	if src := w1>>48 | w2<<16; src&1 != 0 || src == 0 {
		out.Err = ErrSourceMAC
		return
	}
	out.Key[1], out.Key[2] = w1, w2
	out.Key[0] = uint64(scope) << 32
	off := ethLen
	etherType := binary.LittleEndian.Uint16(data[12:])
	if etherType == rawVLAN || etherType == rawQinQ {
		etherType, off = parseTag(data, etherType, out)
		if out.Err != ParseOK {
			return
		}
	}
	out.L3 = uint16(off)
	out.Len = uint32(frameLen)
	switch etherType {
	case rawIPv4:
		parseIPv4(data[off:], frameLen-off, out)
	case rawIPv6:
		parseIPv6(data[off:], frameLen-off, out)
	case rawARP:
		out.Kind = L3ARP
		out.Key[2] |= uint64(EtherTypeARP) << 32
		if _, ok := CheckARP(data[off:]); !ok {
			out.Err = ErrTruncatedARP
		}
	default:
		etherType = bits.ReverseBytes16(etherType)
		if etherType < etherTypeMin {
			etherType = 0 // every LLC frame between two stations is one flow, whatever its length
		}
		out.Key[2] |= uint64(etherType) << 32
	}
}

func parseTag(data []byte, etherType uint16, out *Parsed) (inner uint16, off int) {
	if etherType == rawQinQ {
		out.Nested = true
		return etherType, ethLen
	}
	if len(data) < ethLen+vlanLen {
		out.Err = ErrTruncatedVLAN
		return 0, 0
	}
	out.Tagged = true
	out.TCI = binary.BigEndian.Uint16(data[14:])
	out.Key[0] |= keyTagged | uint64(out.TCI&keyTCIMask)
	inner = binary.LittleEndian.Uint16(data[16:])
	out.Nested = inner == rawVLAN || inner == rawQinQ
	return inner, ethLen + vlanLen
}

// parseIPv4 reads an IPv4 header (RFC 791) and the ports behind it. ip is what stands in the first segment of the room
// bytes that the packet has.
func parseIPv4(ip []byte, room int, out *Parsed) {
	out.Kind = L3IPv4
	if len(ip) < 20 {
		out.Err = ErrTruncatedIPv4
		return
	}
	header := int(ip[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(ip[2:]))
	switch {
	case ip[0]>>4 != 4:
		out.Err = ErrIPv4Version
		return
	case header < 20:
		out.Err = ErrIPv4HeaderLen
		return
	case header > len(ip):
		out.Err = ErrTruncatedIPv4
		return
	case total < header || total > room:
		out.Err = ErrIPv4TotalLen
		return
	}
	out.TOS, out.Proto = ip[1], ip[9]
	out.Len = uint32(out.L3) + uint32(total)
	out.Key[0] |= uint64(ip[9])<<keyProtoShift | uint64(ip[1]>>2)<<keyDSCPShift | keyL3IPv4<<keyL3Shift
	out.Key[3] = binary.LittleEndian.Uint64(ip[12:])
	frag := binary.BigEndian.Uint16(ip[6:])
	if frag&0x3fff == 0 {
		out.L4 = out.L3 + uint16(header)
		parseL4(ip[header:min(total, len(ip))], total-header, out)
		return
	}
	out.Fragment = true
	out.Key[0] |= keyFragBit
	offset := int(frag&0x1fff) * 8
	if total == header || offset+total-header > 0xffff {
		out.Err = ErrIPv4Fragment
		return
	}
	if offset == 0 {
		out.L4 = out.L3 + uint16(header)
		parseL4(ip[header:min(total, len(ip))], total-header, out)
	}
}

// transportLen is the shortest header of each protocol that has ports or a type in the key; 0 for all others.
var transportLen = [256]uint8{ProtoTCP: 20, ProtoUDP: 8, ProtoSCTP: 12, ProtoICMP: 8, ProtoICMPv6: 4}

// parseL4 checks the transport header and puts the ports into the key, except for a first fragment, which must share
// its key with those that follow. l4 is what stands in the first segment of a payload of size bytes.
func parseL4(l4 []byte, size int, out *Parsed) {
	need := int(transportLen[out.Proto])
	if need == 0 {
		return
	}
	if size < need {
		out.Err = ErrTruncatedL4
		return
	}
	if len(l4) < need {
		out.Err = ErrSegments
		return
	}
	ports := binary.LittleEndian.Uint32(l4)
	switch out.Proto {
	case ProtoTCP:
		if n := int(l4[12]>>4) * 4; n < 20 || (n > size && !out.Fragment) {
			out.Err = ErrL4Length
			return
		}
	case ProtoUDP:
		if n := int(binary.BigEndian.Uint16(l4[4:])); n < 8 || (n > size && !out.Fragment) {
			out.Err = ErrL4Length
			return
		}
	case ProtoICMP, ProtoICMPv6:
		ports &= 0xffff // type and code; the checksum is no part of the flow
	}
	if !out.Fragment {
		out.Key[2] |= uint64(ports) << 32
	}
}

// parseIPv6 reads an IPv6 header (RFC 8200), its extension headers and the ports behind them. A fragment header that
// makes no fragment (RFC 6946) is an extension header like others.
func parseIPv6(ip []byte, room int, out *Parsed) {
	out.Kind = L3IPv6
	switch CheckIPv6Header(ip, room) {
	case FaultNone:
	case FaultTruncated:
		out.Err = ErrTruncatedIPv6
		return
	case FaultVersion:
		out.Err = ErrIPv6Version
		return
	default:
		out.Err = ErrIPv6PayloadLen
		return
	}
	size := IPv6Len + int(IPv6(ip).PayloadLen())
	v := IPv6(ip[:min(size, len(ip))])
	out.TOS = v.TrafficClass()
	out.Len = uint32(out.L3) + uint32(size)
	c, fault := v.Walk()
	if fault != FaultNone {
		out.Err = ErrIPv6Chain
		return
	}
	out.Proto = c.Proto
	out.Key[0] |= uint64(c.Proto)<<keyProtoShift | uint64(out.TOS>>2)<<keyDSCPShift | keyL3IPv6<<keyL3Shift
	if c.Fragment != 0 && !IPv6Fragment(v[c.Fragment:]).IsAtomic() {
		out.Fragment = true
		out.Key[0] |= keyFragBit
		if IPv6Fragment(v[c.Fragment:]).Offset() != 0 {
			return
		}
	}
	if c.Proto != ProtoNoNext {
		out.L4 = out.L3 + uint16(c.Upper)
		parseL4(v[c.Upper:], size-c.Upper, out)
	}
}

// Wide completes the key of an IPv6 frame that Parse accepted. data is the slice that was parsed.
func (m *Parsed) Wide(data []byte, out *WideKey) {
	ip := data[m.L3 : m.L3+40]
	*out = WideKey{m.Key[0], m.Key[1], m.Key[2],
		binary.LittleEndian.Uint64(ip[8:]), binary.LittleEndian.Uint64(ip[16:]),
		binary.LittleEndian.Uint64(ip[24:]), binary.LittleEndian.Uint64(ip[32:]), 0}
}

// SrcMAC is the source Ethernet address of the parsed frame.
func (m *Parsed) SrcMAC() MAC { return m.Key.SrcMAC() }

// DstMAC is the destination Ethernet address of the parsed frame.
func (m *Parsed) DstMAC() MAC {
	w := m.Key[1]
	return MAC{byte(w), byte(w >> 8), byte(w >> 16), byte(w >> 24), byte(w >> 32), byte(w >> 40)}
}

// VID is the VLAN of the frame, 0 when it has no tag or only a priority.
func (m *Parsed) VID() uint16 {
	if !m.Tagged {
		return 0
	}
	return m.TCI & 0xfff
}

// Untag moves the offsets to where they are once the frame's tag was taken off.
func (m *Parsed) Untag() {
	m.Tagged = false
	m.L3 -= vlanLen
	m.Len -= vlanLen
	if m.L4 != 0 {
		m.L4 -= vlanLen
	}
}

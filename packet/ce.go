package packet

import "encoding/binary"

// ECT reports whether the transport of a packet understands marks of congestion: the ECN bits of its outermost IP header are
// not 0 (RFC 3168). It looks behind at most two tags, like MarkCE.
func ECT(p *Packet) bool {
	data := p.Data()
	if len(data) >= EthernetLen+IPv4Len && binary.BigEndian.Uint16(data[ethernetType:]) == EtherTypeIPv4 {
		return data[EthernetLen+ipv4TOS]&ECNMask != ECNNotECT
	}
	return otherECT(data)
}

func otherECT(data []byte) bool {
	ip, etherType := network(data)
	switch {
	case etherType == EtherTypeIPv4 && len(ip) >= IPv4Len:
		return ip[ipv4TOS]&ECNMask != ECNNotECT
	case etherType == EtherTypeIPv6 && len(ip) >= IPv6Len:
		return ip[1]>>4&ECNMask != ECNNotECT
	}
	return false
}

// network is what follows the Ethernet header and at most two tags.
func network(data []byte) (l3 []byte, etherType uint16) {
	if len(data) < EthernetLen {
		return nil, 0
	}
	at := EthernetLen
	etherType = binary.BigEndian.Uint16(data[ethernetType:])
	for range 2 {
		if etherType != EtherTypeVLAN && etherType != EtherTypeQinQ || len(data) < at+VLANLen {
			break
		}
		etherType = binary.BigEndian.Uint16(data[at+2:])
		at += VLANLen
	}
	return data[at:], etherType
}

// MarkCE sets the mark of congestion on the outermost IP header of a frame, behind at most two tags, when its transport
// understands marks (ECT), or it is marked already, and reports that it bears it now. Others are left alone: those that are
// not IP, those whose header is cut off or stands in a later segment, and those whose bytes have another owner too (RFC 3168,
// section 5: a router drops where it may not mark).
func MarkCE(p *Packet) bool {
	if p.RefCnt != 1 || p.OlFlags&(FlagExternal|FlagIndirect) != 0 {
		return false
	}
	ip, etherType := network(p.Data())
	switch {
	case etherType == EtherTypeIPv4 && len(ip) >= IPv4Len && ip[0]>>4 == 4:
		if ip[ipv4TOS]&ECNMask == ECNNotECT {
			return false
		}
		SetECN4(ip, ECNCE)
	case etherType == EtherTypeIPv6 && len(ip) >= IPv6Len && ip[0]>>4 == 6:
		if ip[1]>>4&ECNMask == ECNNotECT {
			return false
		}
		SetECN6(ip, ECNCE)
	default:
		return false
	}
	return true
}

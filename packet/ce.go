package packet

import "encoding/binary"

// MarkCE sets the mark of congestion on the outermost IP header of a frame, behind at most two tags, when its transport
// understands marks (ECT), or it is marked already, and reports that it bears it now. Others are left alone: those that are
// not IP, those whose header is cut off or stands in a later segment, and those whose bytes have another owner too (RFC 3168,
// section 5: a router drops where it may not mark).
func MarkCE(p *Packet) bool {
	data := p.Data()
	if len(data) < EthernetLen || p.RefCnt != 1 || p.OlFlags&(FlagExternal|FlagIndirect) != 0 {
		return false
	}
	l3, etherType := EthernetLen, binary.BigEndian.Uint16(data[ethernetType:])
	for range 2 {
		if etherType != EtherTypeVLAN && etherType != EtherTypeQinQ || len(data) < l3+VLANLen {
			break
		}
		etherType = binary.BigEndian.Uint16(data[l3+2:])
		l3 += VLANLen
	}
	ip := data[l3:]
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

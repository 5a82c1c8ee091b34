package packet

import "encoding/binary"

// NeighborMACLen is the length of a solicitation or advertisement with one MAC option.
const NeighborMACLen = NeighborLen + ndOptMACLen

// EncodeNeighborSolicit writes a solicitation for target, with its checksum, to b, and returns its length, or 0, with
// nothing written, when b is shorter than NeighborMACLen. A zero mac is left out, as section 7.2.2 asks of a sender
// whose src is still unspecified.
func EncodeNeighborSolicit(b []byte, src, dst, target Addr, mac MAC) int {
	return encodeNeighbor(b, ICMPv6NeighborSolicit, 0, src, dst, target, NDOptSourceMAC, mac)
}

// EncodeNeighborAdvert writes an advertisement that target is at mac, with its checksum, to b, and returns its length, or
// 0, with nothing written, when b is shorter than NeighborMACLen.
func EncodeNeighborAdvert(b []byte, src, dst, target Addr, flags uint8, mac MAC) int {
	return encodeNeighbor(b, ICMPv6NeighborAdvert, flags, src, dst, target, NDOptTargetMAC, mac)
}

func encodeNeighbor(b []byte, typ, flags uint8, src, dst, target Addr, option uint8, mac MAC) int {
	if len(b) < NeighborMACLen {
		return 0
	}
	n := NeighborLen
	b[0], b[icmpCode] = typ, 0
	binary.BigEndian.PutUint32(b[icmpID:], uint32(flags)<<24)
	putAddr(b[ndTarget:NeighborLen], target)
	if !mac.IsZero() {
		n += putNDMAC(b[n:], option, mac)
	}
	ICMPv6(b[:n]).SetChecksum(src, dst)
	return n
}

func putNDMAC(b []byte, option uint8, mac MAC) int {
	b[0], b[1] = option, ndOptMACLen/8
	copy(b[2:ndOptMACLen], mac[:])
	return ndOptMACLen
}

// PrefixInfo is the prefix option of a router advertisement (RFC 4861, section 4.6.2).
type PrefixInfo struct {
	Prefix           Addr
	Bits             uint8
	OnLink           bool
	Autonomous       bool   // hosts make addresses of it (RFC 4862)
	ValidSeconds     uint32 // 0xffffffff: for ever
	PreferredSeconds uint32
}

// ParsePrefixInfo reads the data of an NDOptPrefix, as NextNDOption returns it.
func ParsePrefixInfo(data []byte) (p PrefixInfo, ok bool) {
	if len(data) != ndOptPrefixLen-2 || data[0] > 128 {
		return p, false
	}
	return PrefixInfo{
		Prefix: AddrFrom16(data[14:]), Bits: data[0],
		OnLink: data[1]&ndPrefixOnLink != 0, Autonomous: data[1]&ndPrefixAutoCfg != 0,
		ValidSeconds: binary.BigEndian.Uint32(data[2:]), PreferredSeconds: binary.BigEndian.Uint32(data[6:]),
	}, true
}

func (p *PrefixInfo) encode(b []byte) int {
	clear(b[:ndOptPrefixLen])
	b[0], b[1], b[2] = NDOptPrefix, ndOptPrefixLen/8, p.Bits
	if p.OnLink {
		b[3] |= ndPrefixOnLink
	}
	if p.Autonomous {
		b[3] |= ndPrefixAutoCfg
	}
	binary.BigEndian.PutUint32(b[4:], p.ValidSeconds)
	binary.BigEndian.PutUint32(b[8:], p.PreferredSeconds)
	putAddr(b[16:ndOptPrefixLen], p.Prefix)
	return ndOptPrefixLen
}

// RouterAdvertFields are the contents of a router advertisement.
type RouterAdvertFields struct {
	CurHopLimit     uint8
	Flags           uint8
	LifetimeSeconds uint16
	ReachableMillis uint32
	RetransMillis   uint32
	SourceMAC       MAC    // zero: left out
	MTU             uint32 // 0: left out
	Prefixes        []PrefixInfo
}

// Len returns the length of the encoded message, bytes.
func (f *RouterAdvertFields) Len() int {
	n := RouterAdvertLen + len(f.Prefixes)*ndOptPrefixLen
	if !f.SourceMAC.IsZero() {
		n += ndOptMACLen
	}
	if f.MTU != 0 {
		n += ndOptMTULen
	}
	return n
}

// Encode writes the message with its checksum to b and returns its length, or 0, with nothing written, when b is too
// short.
func (f *RouterAdvertFields) Encode(b []byte, src, dst Addr) int {
	if len(b) < f.Len() {
		return 0
	}
	b[0], b[icmpCode] = ICMPv6RouterAdvert, 0
	b[raHops], b[raFlags] = f.CurHopLimit, f.Flags
	binary.BigEndian.PutUint16(b[raLifetime:], f.LifetimeSeconds)
	binary.BigEndian.PutUint32(b[raReachable:], f.ReachableMillis)
	binary.BigEndian.PutUint32(b[raRetransmit:], f.RetransMillis)
	n := RouterAdvertLen
	if !f.SourceMAC.IsZero() {
		n += putNDMAC(b[n:], NDOptSourceMAC, f.SourceMAC)
	}
	if f.MTU != 0 {
		binary.BigEndian.PutUint32(b[n:], uint32(NDOptMTU)<<24|ndOptMTULen/8<<16)
		binary.BigEndian.PutUint32(b[n+4:], f.MTU)
		n += ndOptMTULen
	}
	for i := range f.Prefixes {
		n += f.Prefixes[i].encode(b[n:])
	}
	ICMPv6(b[:n]).SetChecksum(src, dst)
	return n
}

package packet

import (
	"encoding/binary"
	"math/bits"
)

// Burst is what is found out about up to RxBurst packets whose headers are the ordinary ones; others are read by Parse.
// Packets are named by their place in the burst, sets of them by a bit each.
type Burst struct {
	Key   [RxBurst]Key
	Hash  [RxBurst]uint64
	Scope [RxBurst]uint64 // in which addresses are to be understood
	Outer [RxBurst]Outer
	scope uint32  // that SetScope gave to all
	mixed bool    // DecapPlain has given others to some
	table uintptr // SetTable
	mask  uint64
}

// Outer is what decapsulation remembers of the outer header.
type Outer struct {
	Src  uint32 // provider address of the sender; 0 when the packet did not come in NVGRE
	VSID uint32
	TOS  uint8
}

// Fabric is what a frame must be addressed to so that its NVGRE header is taken off.
type Fabric struct {
	MAC uint64   // of the uplink, as the low 48 bits of a little-endian load
	PAs []uint32 // provider addresses, not empty
}

// plainLen is what ParsePlain looks at: Ethernet, IPv4 without options, and a TCP header.
const plainLen = ethLen + IPv4Len + 20

// nvgreLen is what NVGRE over IPv4 without options adds: Ethernet, IPv4, GRE with a key (RFC 7637, section 3).
const nvgreLen = ethLen + IPv4Len + 8

const (
	// Raw little-endian loads: EtherType IPv4 with version 4 and 5 words of header in three bytes; MF and fragment offset,
	// and these with the protocol; the GRE header K=1 with protocol 0x6558 (RFC 7637, section 3.2).
	rawPlainIPv4 = 0x450008
	rawPlainMask = 0xffffff
	rawFragMask  = 0xff3f
	rawNVGRE     = 0x58650020
)

// plainHeader is the shortest header of the protocols that ParsePlain reads, 0 for all others.
var plainHeader = [256]uint8{ProtoTCP: 20, ProtoUDP: 8}

// ParsePlain is Parse for what most frames are: TCP or UDP in IPv4 without tag, options or fragments, in one segment of
// at least 54 bytes that may be written. It reads the packets of the set among, each in its Scope, and returns the set of
// those that it accepts, with Key and Hash just as Parse finds them, and the bytes of all packets of among. Every other
// frame and everything malformed is left to Parse.
func (b *Burst) ParsePlain(pkts []*Packet, among, seed uint64) (plain uint64, bytes uint64) {
	if len(pkts) == 0 {
		return 0, 0
	}
	return b.parsePlain(pkts[:min(len(pkts), RxBurst)], among, seed)
}

// parsePlainGo is ParsePlain for machines that have no assembly of their own, and what that is tested against.
func (b *Burst) parsePlainGo(pkts []*Packet, among, seed uint64) (plain uint64, bytes uint64) {
	for i, p := range pkts[:min(len(pkts), RxBurst)] {
		if among>>i&1 == 0 {
			continue
		}
		bytes += uint64(p.PktLen)
		d, size := p.PlainFront(), int(p.DataLen)
		if size < plainLen || !p.simple() {
			continue
		}
		w1, w2 := binary.LittleEndian.Uint64(d[0:]), uint64(binary.LittleEndian.Uint32(d[8:]))
		ip, ttl := binary.LittleEndian.Uint32(d[12:]), binary.LittleEndian.Uint32(d[20:])
		room, least := int(binary.BigEndian.Uint16(d[16:]))-IPv4Len, int(plainHeader[ttl>>24])
		if ip&rawPlainMask != rawPlainIPv4 || ttl&rawFragMask != 0 || room > size-ethLen-IPv4Len ||
			w1>>48&1 != 0 || w1>>48|w2 == 0 || least == 0 {
			continue
		}
		// Both readings of the transport header's length are taken and one is chosen without a branch: which protocol
		// comes next would often be guessed wrong.
		udp, tcp := int(binary.BigEndian.Uint16(d[38:])), int(d[46]>>2&^3)
		header := udp ^ (udp^tcp)&-(least>>4)
		if header < least || header > room {
			continue
		}
		k := &b.Key[i] // both parts of word 0 stand where the key has them
		k[0] = b.Scope[i]<<32 | keyL3IPv4<<keyL3Shift | uint64(ttl&(0xff<<keyProtoShift)) | uint64(ip>>8&(0x3f<<keyDSCPShift))
		k[1], k[2] = w1, w2|uint64(binary.LittleEndian.Uint32(d[34:]))<<32
		k[3] = binary.LittleEndian.Uint64(d[26:])
		b.Hash[i] = k.Hash(seed)
		plain |= 1 << i
	}
	return plain, bytes
}

// SetScope says that all packets are of one scope, those of DecapPlain excepted.
func (b *Burst) SetScope(scope uint32) {
	if b.scope == scope && !b.mixed {
		return
	}
	b.scope, b.mixed = scope, false
	for i := range b.Scope {
		b.Scope[i] = uint64(scope)
	}
}

// PlainParsed is what Parse finds in a frame that ParsePlain accepted.
func PlainParsed(p *Packet, k *Key, out *Parsed) {
	d := p.PlainFront()
	*out = Parsed{Key: *k, L3: ethLen, L4: ethLen + IPv4Len, Len: ethLen + uint32(binary.BigEndian.Uint16(d[16:])), Kind: L3IPv4,
		Proto: d[23], TOS: d[15]}
}

// PlainTOS is the DSCP and ECN of a frame that ParsePlain accepted.
func PlainTOS(p *Packet) uint8 { return p.PlainFront()[15] }

// DecapPlain takes NVGRE off the packets that have the ordinary outer headers for this host: IPv4 without options or
// tag, with a right checksum, and a GRE header of nothing but a key. It returns the set of those packets, with Outer and
// Scope filled in and cut to their inner frames, and the bytes of all packets as they came in. All others it leaves
// as they are.
func (b *Burst) DecapPlain(pkts []*Packet, local *Fabric) (inner uint64, bytes uint64) {
	first := local.PAs[0]
	b.mixed = true
	for i, p := range pkts[:min(len(pkts), RxBurst)] {
		bytes += uint64(p.PktLen)
		d, size := p.PlainFront(), uint32(p.DataLen)
		if size < plainLen || !p.simple() {
			continue
		}
		w0, w4 := binary.LittleEndian.Uint64(d[0:]), binary.LittleEndian.Uint32(d[14:])
		id, ttl := binary.LittleEndian.Uint32(d[18:]), binary.LittleEndian.Uint32(d[22:])
		from, to := binary.LittleEndian.Uint32(d[26:]), binary.LittleEndian.Uint32(d[30:])
		total := uint32(bits.ReverseBytes16(uint16(w4 >> 16)))
		if w0&0xffff_ffff_ffff != local.MAC || binary.LittleEndian.Uint16(d[12:]) != rawIPv4 || w4&0xff != 0x45 ||
			uint8(ttl>>8) != ProtoGRE || id>>16&rawFragMask != 0 || total > size-ethLen || total < nvgreLen-ethLen ||
			binary.LittleEndian.Uint32(d[34:]) != rawNVGRE || from == 0 {
			continue
		}
		sum := uint64(w4) + uint64(id) + uint64(ttl) + uint64(from) + uint64(to) // RFC 1071: in any byte order
		sum = sum>>32 + sum&0xffff_ffff
		sum = sum>>32 + sum&0xffff_ffff
		sum = sum>>16 + sum&0xffff
		sum = sum>>16 + sum&0xffff
		vsid := binary.BigEndian.Uint32(d[38:]) >> 8
		if sum != 0xffff || !ValidVSID(vsid) || (bits.ReverseBytes32(to) != first && !local.owns(bits.ReverseBytes32(to))) {
			continue
		}
		o := &b.Outer[i]
		o.Src, o.VSID, o.TOS = bits.ReverseBytes32(from), vsid, uint8(w4>>8)
		b.Scope[i] = uint64(NVGREScope(vsid))
		size = total - (nvgreLen - ethLen)
		p.DataOff += nvgreLen
		p.DataLen, p.PktLen = uint16(size), size
		inner |= 1 << i
	}
	return inner, bytes
}

func (f *Fabric) owns(addr uint32) bool {
	for _, pa := range f.PAs {
		if pa == addr {
			return true
		}
	}
	return false
}

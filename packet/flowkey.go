package packet

import "math/bits"

// Key identifies the flow of an IPv4 or non-IP frame, 32 bytes. The words are raw loads of the frame, so building one
// costs no byte swaps:
//
//	0: scope (25), tagged (1) | protocol (8) | DSCP (6), layer 3 (2) | PCP (3), fragment (1), VID (12)
//	1: destination MAC (48) | first two bytes of the source MAC (16)
//	2: rest of the source MAC (32) | source port (16) | destination port (16)
//	3: source address (32) | destination address (32)
//
// For ICMP the ports hold type and code, for non-IP frames the EtherType, and for fragments (the first one too, so that
// all fragments of a datagram are one flow) nothing.
type Key [4]uint64

// WideKey identifies the flow of an IPv6 frame: words 0 to 2 of Key, then source and destination address.
type WideKey [8]uint64

// Scope values of word 0: where a key's addresses are to be understood.
const (
	scopeNVGRE = 1 << 24 // low 24 bits are the VSID of the wire; otherwise they are the port index
)

// PortScope is the scope of frames received as they are on a port.
func PortScope(port uint32) uint32 { return port & 0xffffff }

// NVGREScope is the scope of frames taken out of NVGRE.
func NVGREScope(vsid uint32) uint32 { return scopeNVGRE | vsid&0xffffff }

// Word 0 fields.
const (
	keyProtoShift = 24
	keyDSCPShift  = 18
	keyL3Shift    = 16
	keyFragBit    = 1 << 12
	keyTCIMask    = 0xefff  // PCP and VID of a tag, without the DEI bit that the fragment flag takes
	keyTagged     = 1 << 57 // above the scope: a tag of priority 0 and VLAN 0 must not pass for none
)

// Layer 3 codes of word 0.
const (
	keyL3None = iota
	keyL3IPv4
	keyL3IPv6
)

const (
	hashMul1 = 0x9e3779b97f4a7c15
	hashMul2 = 0xc2b2ae3d27d4eb4f
	hashMul3 = 0x165667b19e3779f9
)

// fold multiplies to 128 bits and folds, the mixing step of wyhash (Wang Yi, 2019).
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// spread makes four secret words of one, the seed itself being the first: every word of a key meets a secret, or
// a word that equals a known constant would make a product zero, whatever its partner.
func spread(seed uint64) (s1, s2, s3 uint64) {
	return seed*hashMul1 ^ hashMul2, seed*hashMul2 ^ hashMul3, seed*hashMul3 ^ hashMul1
}

// finish lets all bits of h decide the lower ones. Without it ports in a row have hashes in arithmetic progression, whose
// low bits take few values under some seeds (a step of 512 in 4096 places: eight of them).
func finish(h uint64) uint64 { return bits.RotateLeft64(h*hashMul1, 32) }

// Hash mixes the key with a secret seed, so that nobody outside can choose keys that collide.
func (k *Key) Hash(seed uint64) uint64 {
	s1, s2, s3 := spread(seed)
	return finish(fold(k[0]^seed, k[1]^s1) ^ fold(k[2]^s2, k[3]^s3))
}

// Hash mixes the key with a secret seed.
func (k *WideKey) Hash(seed uint64) uint64 {
	s1, s2, s3 := spread(seed)
	return finish(fold(k[0]^seed, k[1]^s1) ^ fold(k[2]^s2, k[3]^s3) ^
		fold(k[4]^s2^hashMul1, k[5]^seed^hashMul2) ^ fold(k[6]^s3^hashMul2, k[7]^s1^hashMul3))
}

// Entropy is a hash of the flow's addresses, protocol and ports alone, the same on every host and for every DSCP: the
// choice between equal paths is taken from it.
func (k *Key) Entropy() uint32 {
	return uint32(fold(k[3]^hashMul2^(k[0]>>keyProtoShift&0xff), (k[2]>>32|k[1]<<32)^hashMul1) * hashMul3 >> 32)
}

// Entropy is the flow's hash as for Key.
func (k *WideKey) Entropy() uint32 {
	return uint32(fold(fold(k[3]^hashMul2, k[4]^k[5])^k[6]^(k[0]>>keyProtoShift&0xff), (k[2]>>32|k[1]<<32)^hashMul1) * hashMul3 >> 32)
}

// Proto is the IP protocol, 0 for non-IP.
func (k *Key) Proto() uint8 { return uint8(k[0] >> keyProtoShift) }

// SrcMAC returns the source Ethernet address.
func (k *Key) SrcMAC() MAC {
	return MAC{byte(k[1] >> 48), byte(k[1] >> 56), byte(k[2]), byte(k[2] >> 8), byte(k[2] >> 16), byte(k[2] >> 24)}
}

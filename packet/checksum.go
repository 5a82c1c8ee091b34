package packet

import (
	"encoding/binary"
	"math/bits"
)

// Internet checksum (RFC 1071): the one's complement of the one's complement sum of all 16-bit words.
//
// A partial sum is a uint32 in network order that Sum, PseudoSum4 and PseudoSum6 may be chained through, in any order;
// only the last piece may have an odd length. One's complement has two zeros: a sum is 0x0000 only when every word is
// zero, else a sum of zero shows as 0xffff, so the checksum of anything but zeros is never 0xffff.

// Sum adds the bytes of b to a partial sum. An odd last byte counts as the high half of a word.
func Sum(b []byte, sum uint32) uint32 {
	// The sum is taken in little-endian order, 8 bytes at a time, and swapped at the end: one's complement addition does
	// not depend on byte order (RFC 1071, section 2 (B)), and words of 64 bits fold to 16 by end-around carry.
	var acc, carry uint64
	for len(b) >= 32 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[8:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[16:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[24:]), carry)
		b = b[32:]
	}
	if len(b) >= 16 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[8:]), carry)
		b = b[16:]
	}
	if len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), carry)
		b = b[8:]
	}
	var last uint64 // what is left, at most 7 bytes
	if len(b) >= 4 {
		last = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		last += uint64(binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		last += uint64(b[0])
	}
	acc, carry = bits.Add64(acc, last, carry)
	acc += carry // cannot wrap: last is small, so acc is small when there was a carry

	acc = acc>>32 + acc&0xffffffff
	acc = acc>>32 + acc&0xffffffff
	total := uint64(bits.ReverseBytes16(foldSum(uint32(acc)))) + uint64(sum)
	return uint32(total>>32) + uint32(total)
}

// Checksum returns the Internet checksum of b and a partial sum. Over data that already holds its checksum it returns 0
// when that is right.
func Checksum(b []byte, sum uint32) uint16 { return ^foldSum(Sum(b, sum)) }

// FoldChecksum turns a partial sum into a checksum.
func FoldChecksum(sum uint32) uint16 { return ^foldSum(sum) }

// foldSum folds with end-around carry.
func foldSum(sum uint32) uint16 {
	sum = sum>>16 + sum&0xffff
	return uint16(sum>>16 + sum)
}

// PseudoSum4 is the partial sum of the pseudo-header that TCP and UDP checksum over IPv4 (RFC 9293, section 3.1).
// Addresses are in host order; length is that of the transport header and its data, bytes.
func PseudoSum4(src, dst uint32, proto uint8, length uint16) uint32 {
	return src>>16 + src&0xffff + dst>>16 + dst&0xffff + uint32(proto) + uint32(length)
}

// PseudoSum6 is the partial sum of the IPv6 pseudo-header (RFC 8200, section 8.1). proto is the upper-layer protocol,
// not the first next-header value; length is the upper-layer length, bytes.
func PseudoSum6(src, dst Addr, proto uint8, length uint32) uint32 {
	return sumAddr(src) + sumAddr(dst) + uint32(proto) + length>>16 + length&0xffff
}

// sumAddr is the partial sum of the eight words of a, folded once to 18 bits.
func sumAddr(a Addr) uint32 {
	hi, lo := a.Hi>>32+a.Hi&0xffffffff, a.Lo>>32+a.Lo&0xffffffff // 33 bits each
	s := hi + lo                                                 // 34 bits
	return uint32(s>>32) + uint32(s>>16)&0xffff + uint32(s)&0xffff
}

// UpdateChecksum16 returns the checksum after one 16-bit word under it changed (RFC 1624, equation 3: ~(~HC + ~m + m')).
// The result is that of a full computation unless the change leaves nothing but zeros under the checksum: then it is
// 0x0000, which is wrong for data of zeros. IP, TCP and UDP cannot get there (version, addresses); ICMP can.
func UpdateChecksum16(check, from, to uint16) uint16 {
	s := uint32(^check) + uint32(^from) + uint32(to)
	s = s>>16 + s&0xffff
	return ^uint16(s>>16 + s)
}

// UpdateChecksum32 is UpdateChecksum16 for two adjacent words, such as an IPv4 address in host order.
func UpdateChecksum32(check uint16, from, to uint32) uint16 {
	s := uint32(^check) + ^from>>16 + ^from&0xffff + to>>16 + to&0xffff
	s = s>>16 + s&0xffff
	return ^uint16(s>>16 + s)
}

// UpdateChecksum128 is UpdateChecksum16 for an IPv6 address. It also serves a pair of IPv4 addresses, whose mapped
// prefixes cancel out.
func UpdateChecksum128(check uint16, from, to Addr) uint16 {
	s := uint32(^check) + sumAddr(Addr{^from.Hi, ^from.Lo}) + sumAddr(to)
	return ^foldSum(s)
}

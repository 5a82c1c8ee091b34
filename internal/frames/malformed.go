package frames

import (
	"encoding/binary"
	"fmt"
)

// Variant is a frame made wrong in one way.
type Variant struct {
	Name  string
	Frame []byte
}

// Pad appends zeros until the frame has n bytes, as senders do up to 60.
func Pad(frame []byte, n int) []byte {
	out := append([]byte(nil), frame...)
	for len(out) < n {
		out = append(out, 0)
	}
	return out
}

// Patch overwrites the bytes at an offset. Checksums stay as they were.
func Patch(frame []byte, offset int, b ...byte) []byte {
	out := append([]byte(nil), frame...)
	copy(out[offset:offset+len(b)], b)
	return out
}

// FixIPv4 writes the header checksum of the IPv4 header at an offset, over as many bytes as its IHL says and the frame
// has, so that a patched header is wrong in nothing but what was patched.
func FixIPv4(frame []byte, offset int) []byte {
	out := Patch(frame, offset+10, 0, 0)
	end := min(offset+int(out[offset]&0xf)*4, len(out))
	if end >= offset+20 {
		binary.BigEndian.PutUint16(out[offset+10:], internetSum(out[offset:end], 0))
	}
	return out
}

// Truncated is the frame cut at every length below its own.
func Truncated(frame []byte) []Variant {
	out := make([]Variant, len(frame))
	for n := range frame {
		out[n] = Variant{fmt.Sprintf("cut to %d of %d bytes", n, len(frame)), append([]byte(nil), frame[:n]...)}
	}
	return out
}

// MalformedIPv4 spoils a frame whose IPv4 header, without options, starts at offset: 14 in a plain frame, 18 behind an
// 802.1Q tag, 56 behind NVGRE's IPv4.
func MalformedIPv4(frame []byte, offset int) []Variant {
	length := func(n uint16) []byte { return FixIPv4(Patch(frame, offset+2, byte(n>>8), byte(n)), offset) }
	first := func(b byte) []byte { return FixIPv4(Patch(frame, offset, b), offset) }
	return []Variant{
		{"version 5", first(0x55)},
		{"version 6 under the EtherType of IPv4", first(0x65)},
		{"version 0", first(0x05)},
		{"IHL 4", first(0x44)},
		{"IHL 0", first(0x40)},
		{"IHL beyond the frame", Patch(frame, offset, 0x4f)[:offset+40]},
		{"total length beyond the frame", length(uint16(len(frame) - offset + 1))},
		{"total length 65535", length(65535)},
		{"total length below the header", length(19)},
		{"total length zero", length(0)},
		{"header checksum wrong", Patch(frame, offset+10, frame[offset+10]^0x5a)},
	}
}

// MalformedNVGRE spoils an NVGRE packet over an IPv4 header without options: RFC 7637, section 3.2, asks for C=0, K=1,
// S=0, reserved bits 0, version 0, protocol 0x6558 and a VSID that is not reserved.
func MalformedNVGRE(frame []byte) []Variant {
	const gre = 34
	cut := func(n int) []byte {
		out := append([]byte(nil), frame[:n]...)
		binary.BigEndian.PutUint16(out[16:], uint16(n-14))
		return FixIPv4(out, 14)
	}
	return []Variant{
		{"GRE without a key", Patch(frame, gre, 0x00)},
		{"GRE with a checksum", Patch(frame, gre, 0xa0)},
		{"GRE with a sequence number", Patch(frame, gre, 0x30)},
		{"GRE with a routing field", Patch(frame, gre, 0x60)},
		{"GRE with strict source route", Patch(frame, gre, 0x28)},
		{"GRE with recursion control", Patch(frame, gre, 0x21)},
		{"GRE with reserved flags", Patch(frame, gre+1, 0x08)},
		{"GRE version 1", Patch(frame, gre+1, 0x01)},
		{"GRE carries IPv4", Patch(frame, gre+2, 0x08, 0x00)},
		{"GRE carries 802.1Q", Patch(frame, gre+2, 0x81, 0x00)},
		{"VSID 0", Patch(frame, gre+4, 0, 0, 0)},
		{"VSID 4095, reserved", Patch(frame, gre+4, 0, 0x0f, 0xff)},
		{"VSID 0xffffff, vendor specific", Patch(frame, gre+4, 0xff, 0xff, 0xff)},
		{"nothing behind the outer IPv4 header", cut(gre)},
		{"GRE header cut", cut(gre + 7)},
		{"no inner frame", cut(gre + 8)},
		{"inner Ethernet header cut", cut(gre + 8 + 13)},
		{"inner frame tagged with 802.1Q", retag(frame, gre+8+12)},
	}
}

// retag inserts a tag of VLAN 5 before the EtherType at offset and makes the outer IPv4 header longer by it.
func retag(frame []byte, offset int) []byte {
	out := append([]byte(nil), frame[:offset]...)
	out = append(out, 0x81, 0x00, 0x00, 0x05)
	out = append(out, frame[offset:]...)
	binary.BigEndian.PutUint16(out[16:], binary.BigEndian.Uint16(out[16:])+4)
	return FixIPv4(out, 14)
}

// FragmentIPv4 cuts a plain IPv4 frame, without options, into fragments of at most size bytes of payload, which must be
// a multiple of 8.
func FragmentIPv4(frame []byte, size int) [][]byte {
	const ip, data = 14, 34
	end := ip + int(binary.BigEndian.Uint16(frame[ip+2:]))
	var out [][]byte
	for at := data; at < end; at += size {
		n := min(size, end-at)
		f := append(append([]byte(nil), frame[:data]...), frame[at:at+n]...)
		binary.BigEndian.PutUint16(f[ip+2:], uint16(20+n))
		flags := uint16(at-data) / 8
		if at+n < end {
			flags |= 0x2000
		}
		binary.BigEndian.PutUint16(f[ip+6:], flags)
		out = append(out, FixIPv4(f, ip))
	}
	return out
}

// internetSum is the complement of the Internet checksum's sum over b (RFC 1071): zero over a header that holds its
// own right checksum.
func internetSum(b []byte, initial uint32) uint16 {
	sum := initial
	for i := 0; i < len(b); i++ {
		if i%2 == 0 {
			sum += uint32(b[i]) << 8
		} else {
			sum += uint32(b[i])
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

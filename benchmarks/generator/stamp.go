package generator

import (
	"encoding/binary"

	"github.com/sluicenet/sluice/packet"
)

// Every frame bears a stamp of 18 bytes, which fits the smallest frame, of 60 bytes without FCS:
//
//	             UDP                  TCP
//	sequence  4  payload              sequence number
//	stream    4  payload              acknowledgement number
//	mark      2  payload              window                     0x51, number of the trial
//	balance   2  payload              urgent pointer (no URG)
//	time      6  payload              payload                    time stamp counter, cycles, the low 48 bits
//
// All in network byte order. The one's complement sum of a stamp is zero, for which balance cares: the checksum of the
// frame is right whatever the stamp says, so a switch that verifies or updates it finds nothing wrong, and a stamp that
// was damaged on the way is noticed. TCP's numbers are those of no connection: a device that follows connections wants
// profiles with UDP only.
const (
	stampAtUDP  = 8 // sequence and stream, from the beginning of the transport header
	markAtUDP   = 16
	checkAtUDP  = 6
	stampAtTCP  = 4
	markAtTCP   = 14
	checkAtTCP  = 16
	timeAt      = 18 // balance and time: the same place in both
	stampEnd    = 26
	markOfOurs  = 0x51
	timeMask    = 1<<48 - 1
	noStream    = ^uint32(0) // of frames that begin flows of their own: no order among them
	ethernetLen = packet.EthernetLen
)

// place says where in a frame the stamp is.
type place struct {
	stamp, mark, time, check uint8 // offsets
}

// stamp is what a frame says about itself.
type stamp struct {
	sequence, stream uint32
	mark             uint16
	time             uint64 // 48 bits
}

// put writes a stamp.
func (s *stamp) put(frame []byte, at place) {
	binary.BigEndian.PutUint64(frame[at.stamp:], uint64(s.sequence)<<32|uint64(s.stream))
	binary.BigEndian.PutUint16(frame[at.mark:], s.mark)
	binary.BigEndian.PutUint64(frame[at.time:], uint64(^fold(s.sum()))<<48|s.time)
}

func (s *stamp) sum() uint64 {
	t := s.time
	return uint64(s.sequence) + uint64(s.stream) + uint64(s.mark) + t>>32 + t&0xffffffff
}

// fold adds the 16-bit words of a sum of 32-bit ones, as one's complement wants it.
func fold(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return uint16(sum>>16 + sum&0xffff)
}

// arrival is how a received frame is to be taken.
type arrival int

const (
	foreign arrival = iota // not ours: ARP, what hosts say by themselves
	damaged                // ours, with a stamp that does not add up
	stamped
)

// read finds the stamp of a received frame, also inside NVGRE.
func (s *stamp) read(frame []byte) arrival {
	at, ok := find(frame)
	if !ok {
		return foreign
	}
	s.mark = binary.BigEndian.Uint16(frame[at.mark:])
	if s.mark>>8 != markOfOurs {
		return foreign
	}
	first := binary.BigEndian.Uint64(frame[at.stamp:])
	last := binary.BigEndian.Uint64(frame[at.time:])
	s.sequence, s.stream, s.time = uint32(first>>32), uint32(first), last&timeMask
	if fold(s.sum()+last>>48) != 0xffff {
		return damaged
	}
	return stamped
}

const (
	greKeyOnly  = 0x2000 // RFC 7637, section 3.2
	greLen      = 8
	fragmentAny = 0x3fff // more fragments, or an offset
)

// find says where the stamp of a frame is: IPv4 and UDP or TCP, with VLAN tags or without, inside NVGRE or not.
func find(frame []byte) (place, bool) {
	at := 0
	for range 2 {
		l4, protocol := transport(frame, at)
		switch protocol {
		case packet.ProtoUDP, packet.ProtoTCP:
			if l4+stampEnd > len(frame) || l4 > 200 {
				return place{}, false
			}
			return placeOf(l4, protocol), true
		case packet.ProtoGRE:
			if l4+greLen > len(frame) || binary.BigEndian.Uint32(frame[l4:]) != greKeyOnly<<16|packet.EtherTypeTEB {
				return place{}, false
			}
			at = l4 + greLen
		default:
			return place{}, false
		}
	}
	return place{}, false
}

func placeOf(l4 int, protocol uint8) place {
	p := place{stamp: uint8(l4 + stampAtUDP), mark: uint8(l4 + markAtUDP), time: uint8(l4 + timeAt), check: uint8(l4 + checkAtUDP)}
	if protocol == packet.ProtoTCP {
		p.stamp, p.mark, p.check = uint8(l4+stampAtTCP), uint8(l4+markAtTCP), uint8(l4+checkAtTCP)
	}
	return p
}

// transport finds the transport header of the IPv4 packet in the Ethernet frame that begins at the offset; the protocol
// is 0 when there is none.
func transport(frame []byte, at int) (l4 int, protocol uint8) {
	at += ethernetLen
	if at > len(frame) {
		return 0, 0
	}
	typ := binary.BigEndian.Uint16(frame[at-2:])
	for typ == packet.EtherTypeVLAN || typ == packet.EtherTypeQinQ {
		if at += packet.VLANLen; at > len(frame) {
			return 0, 0
		}
		typ = binary.BigEndian.Uint16(frame[at-2:])
	}
	if typ != packet.EtherTypeIPv4 || at+packet.IPv4Len > len(frame) || frame[at]>>4 != 4 {
		return 0, 0
	}
	if binary.BigEndian.Uint16(frame[at+6:])&fragmentAny != 0 {
		return 0, 0
	}
	return at + int(frame[at]&0xf)*4, frame[at+9]
}

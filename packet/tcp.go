package packet

import "encoding/binary"

// TCP header (RFC 9293, section 3.1):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-------------------------------+
//	|          source port          |       destination port        |
//	+-------------------------------+-------------------------------+
//	|                        sequence number                        |
//	+---------------------------------------------------------------+
//	|                     acknowledgment number                     |
//	+-------+-------+-+-+-+-+-+-+-+-+-------------------------------+
//	| offset|  res  |C|E|U|A|P|R|S|F|            window             |
//	+-------+-------+-+-+-+-+-+-+-+-+-------------------------------+
//	|           checksum            |         urgent pointer        |
//	+-------------------------------+-------------------------------+
//	|                 options, 0 to 40 bytes, padded                |
//	+---------------------------------------------------------------+
const (
	TCPLen    = 20 // without options
	TCPMaxLen = 60

	tcpDst      = 2
	tcpSeq      = 4
	tcpAck      = 8
	tcpOffset   = 12
	tcpFlags    = 13
	tcpWindow   = 14
	tcpChecksum = 16
	tcpUrgent   = 18
)

// Control bits.
const (
	TCPFin uint8 = 1 << iota
	TCPSyn
	TCPRst
	TCPPsh
	TCPAck
	TCPUrg
	TCPEce
	TCPCwr
)

// TCP views a segment: header, options and data.
type TCP []byte

// CheckTCP validates the data offset of the segment b, which ends where the IP packet ends.
func CheckTCP(b []byte) (TCP, Fault) {
	if len(b) < TCPLen {
		return nil, FaultTruncated
	}
	if n := int(b[tcpOffset]>>4) * 4; n < TCPLen || n > len(b) {
		return nil, FaultHeaderLength
	}
	return TCP(b), FaultNone
}

// SrcPort returns the source port.
func (t TCP) SrcPort() uint16 { return binary.BigEndian.Uint16(t) }

// DstPort returns the destination port.
func (t TCP) DstPort() uint16 { return binary.BigEndian.Uint16(t[tcpDst:]) }

// Seq returns the sequence number.
func (t TCP) Seq() uint32 { return binary.BigEndian.Uint32(t[tcpSeq:]) }

// Ack returns the acknowledgment number.
func (t TCP) Ack() uint32 { return binary.BigEndian.Uint32(t[tcpAck:]) }

// HeaderLen returns the length of header and options, bytes.
func (t TCP) HeaderLen() int { return int(t[tcpOffset]>>4) * 4 }

// Flags returns the eight control bits.
func (t TCP) Flags() uint8 { return t[tcpFlags] }

// Window returns the window as sent, without its scale.
func (t TCP) Window() uint16 { return binary.BigEndian.Uint16(t[tcpWindow:]) }

// Checksum returns the checksum as it stands.
func (t TCP) Checksum() uint16 { return binary.BigEndian.Uint16(t[tcpChecksum:]) }

// Urgent returns the urgent pointer.
func (t TCP) Urgent() uint16 { return binary.BigEndian.Uint16(t[tcpUrgent:]) }

// Options returns the options, padding included. Read them with NextOption.
func (t TCP) Options() []byte { return t[TCPLen:t.HeaderLen()] }

// Payload returns the data.
func (t TCP) Payload() []byte { return t[t.HeaderLen():] }

// MSS returns the maximum segment size that a SYN offers, bytes; ok is false when it names none.
func (t TCP) MSS() (mss uint16, ok bool) {
	d, ok := FindOption(t.Options(), TCPOptMSS)
	if !ok || len(d) != 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(d), true
}

// ChecksumOK verifies the checksum over the whole view; pseudo is the partial sum of the pseudo-header.
func (t TCP) ChecksumOK(pseudo uint32) bool { return Checksum(t, pseudo) == 0 }

// SetChecksum computes the checksum over the whole view; pseudo is the partial sum of the pseudo-header.
func (t TCP) SetChecksum(pseudo uint32) {
	binary.BigEndian.PutUint16(t[tcpChecksum:], 0)
	binary.BigEndian.PutUint16(t[tcpChecksum:], Checksum(t, pseudo))
}

// TCPFields are the contents of a header, but for the checksum.
type TCPFields struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Reserved         uint8 // the four bits behind the offset; zero when sending
	Flags            uint8
	Window, Urgent   uint16
	Options          []byte // at most 40 bytes; Encode pads them with zeros (end of options) to a multiple of 4
}

// Fields returns the contents of the header. Options keeps pointing into t.
func (t TCP) Fields() TCPFields {
	return TCPFields{
		SrcPort: t.SrcPort(), DstPort: t.DstPort(), Seq: t.Seq(), Ack: t.Ack(), Reserved: t[tcpOffset] & 0xf,
		Flags: t.Flags(), Window: t.Window(), Urgent: t.Urgent(), Options: t.Options(),
	}
}

// Encode writes the header to the front of b, with a checksum of zero, and returns its length, or 0, with nothing
// written, when b is too short or the options too long.
func (f *TCPFields) Encode(b []byte) int {
	n := TCPLen + (len(f.Options)+3)&^3
	if n > TCPMaxLen || n > len(b) {
		return 0
	}
	b = b[:n]
	binary.BigEndian.PutUint16(b, f.SrcPort)
	binary.BigEndian.PutUint16(b[tcpDst:], f.DstPort)
	binary.BigEndian.PutUint32(b[tcpSeq:], f.Seq)
	binary.BigEndian.PutUint32(b[tcpAck:], f.Ack)
	b[tcpOffset] = byte(n/4)<<4 | f.Reserved&0xf
	b[tcpFlags] = f.Flags
	binary.BigEndian.PutUint16(b[tcpWindow:], f.Window)
	binary.BigEndian.PutUint16(b[tcpChecksum:], 0)
	binary.BigEndian.PutUint16(b[tcpUrgent:], f.Urgent)
	clear(b[TCPLen+copy(b[TCPLen:], f.Options):])
	return n
}

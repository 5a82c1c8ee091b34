package packet

import "encoding/binary"

// GRE header (RFC 2784, section 2; RFC 2890, section 2):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-------------------+-----+-----------------------------+
//	|C| |K|S|     Reserved0     | Ver |        protocol type        |
//	+-+-+-+-+-------------------+-----+-----------------------------+
//	|      checksum (if C)            |     reserved (if C)         |
//	+-------------------------------+-------------------------------+
//	|                           key (if K)                          |
//	+---------------------------------------------------------------+
//	|                     sequence number (if S)                    |
//	+---------------------------------------------------------------+
//
// NVGRE (RFC 7637, section 3.2) fixes C=0, K=1, S=0, version 0 and protocol 0x6558, and splits the key:
//
//	+-----------------------------------------------+---------------+
//	|          virtual subnet ID (VSID)             |    FlowID     |
//	+-----------------------------------------------+---------------+
const (
	GRELen   = 4 // without optional fields
	NVGRELen = 8

	greProtocol = 2
	nvgreKey    = 4
)

// Flags, in the first two bytes.
const (
	GREChecksum uint16 = 0x8000
	GREKey      uint16 = 0x2000
	GRESequence uint16 = 0x1000

	greVersion uint16 = 0x0007
	// Bits 1, 4 and 5 were RFC 1701's: a receiver that does not implement it must discard a packet that sets them. Bits 6
	// to 12 must be ignored (RFC 2784, section 2.3; RFC 2890 took bits 2 and 3).
	greMustBeZero uint16 = 0x4c00
)

// NVGREFlags are the first two bytes of every NVGRE header.
const NVGREFlags = GREKey

// GRE views a header and what follows it.
type GRE []byte

// CheckGRE validates flags, version and the presence of the optional fields that the flags announce.
func CheckGRE(b []byte) (GRE, Fault) {
	if len(b) < GRELen {
		return nil, FaultTruncated
	}
	g := GRE(b)
	switch {
	case g.Flags()&greVersion != 0:
		return nil, FaultVersion
	case g.Flags()&greMustBeZero != 0:
		return nil, FaultReserved
	case len(b) < g.HeaderLen():
		return nil, FaultTruncated
	}
	return g, FaultNone
}

// Flags returns the first two bytes: flags, reserved bits and version.
func (g GRE) Flags() uint16 { return binary.BigEndian.Uint16(g) }

// Protocol returns the EtherType of the payload.
func (g GRE) Protocol() uint16 { return binary.BigEndian.Uint16(g[greProtocol:]) }

// HeaderLen returns the length of the header with the fields that its flags announce, bytes.
func (g GRE) HeaderLen() int {
	f := g[0]
	return GRELen + 4*int(f>>7+f>>5&1+f>>4&1)
}

// HasChecksum, HasKey and HasSequence report the optional fields.
func (g GRE) HasChecksum() bool { return g[0]&(1<<7) != 0 }
func (g GRE) HasKey() bool      { return g[0]&(1<<5) != 0 }
func (g GRE) HasSequence() bool { return g[0]&(1<<4) != 0 }

// Key returns the key of a header that HasKey.
func (g GRE) Key() uint32 { return binary.BigEndian.Uint32(g[GRELen+4*int(g[0]>>7):]) }

// Sequence returns the sequence number of a header that HasSequence.
func (g GRE) Sequence() uint32 { return binary.BigEndian.Uint32(g[g.HeaderLen()-4:]) }

// Payload returns what follows the header.
func (g GRE) Payload() []byte { return g[g.HeaderLen():] }

// ChecksumOK verifies the checksum, which covers header and payload, of a header that HasChecksum; without one there is
// nothing to be wrong.
func (g GRE) ChecksumOK() bool { return !g.HasChecksum() || Checksum(g, 0) == 0 }

// SetChecksum computes the checksum of a header that HasChecksum over the whole view.
func (g GRE) SetChecksum() {
	binary.BigEndian.PutUint32(g[GRELen:], 0)
	binary.BigEndian.PutUint16(g[GRELen:], Checksum(g, 0))
}

// GREFields are the contents of a header. The checksum is set separately, once the payload is in place.
type GREFields struct {
	Flags    uint16 // GREChecksum, GREKey, GRESequence
	Protocol uint16
	Key      uint32
	Sequence uint32
}

// Fields returns the contents of the header.
func (g GRE) Fields() GREFields {
	f := GREFields{Flags: g.Flags() & (GREChecksum | GREKey | GRESequence), Protocol: g.Protocol()}
	if g.HasKey() {
		f.Key = g.Key()
	}
	if g.HasSequence() {
		f.Sequence = g.Sequence()
	}
	return f
}

// Encode writes the header to the front of b, with a checksum of zero, and returns its length, or 0, with nothing
// written, when b is too short. Reserved bits and version are sent as zero.
func (f *GREFields) Encode(b []byte) int {
	flags := f.Flags & (GREChecksum | GREKey | GRESequence)
	n := GRE{byte(flags >> 8)}.HeaderLen()
	if len(b) < n {
		return 0
	}
	binary.BigEndian.PutUint16(b, flags)
	binary.BigEndian.PutUint16(b[greProtocol:], f.Protocol)
	at := GRELen
	if flags&GREChecksum != 0 {
		binary.BigEndian.PutUint32(b[at:], 0)
		at += 4
	}
	if flags&GREKey != 0 {
		binary.BigEndian.PutUint32(b[at:], f.Key)
		at += 4
	}
	if flags&GRESequence != 0 {
		binary.BigEndian.PutUint32(b[at:], f.Sequence)
	}
	return n
}

// NVGRE views a header and the inner frame behind it.
type NVGRE []byte

// CheckNVGRE validates an NVGRE header (RFC 7637, section 3.2). Reserved bits that GRE has a receiver ignore are refused:
// NVGRE gives them no meaning, so whatever sets them is not NVGRE. Whether the VSID is reserved or known is the caller's
// question.
func CheckNVGRE(b []byte) (NVGRE, Fault) {
	if len(b) >= NVGRELen && binary.BigEndian.Uint32(b) == uint32(NVGREFlags)<<16|uint32(EtherTypeTEB) {
		return NVGRE(b), FaultNone
	}
	return nil, nvgreFault(b)
}

// nvgreFault finds what is wrong with a header that is not NVGRE.
func nvgreFault(b []byte) Fault {
	g, f := CheckGRE(b)
	switch {
	case f != FaultNone:
		return f
	case g.Protocol() != EtherTypeTEB:
		return FaultProtocol
	default:
		return FaultFlags
	}
}

// Key returns VSID and FlowID together.
func (g NVGRE) Key() uint32 { return binary.BigEndian.Uint32(g[nvgreKey:]) }

// VSID returns the 24-bit virtual subnet ID.
func (g NVGRE) VSID() uint32 { return g.Key() >> 8 }

// FlowID returns the entropy byte that keeps the packets of a flow on one path (RFC 7637, section 3.2).
func (g NVGRE) FlowID() uint8 { return g[nvgreKey+3] }

// Inner returns the frame behind the header.
func (g NVGRE) Inner() []byte { return g[NVGRELen:] }

// EncodeNVGRE writes a header to b, which holds at least NVGRELen bytes. Bits of vsid beyond 24 are dropped.
func EncodeNVGRE(b []byte, vsid uint32, flowID uint8) {
	binary.BigEndian.PutUint64(b, uint64(NVGREFlags)<<48|uint64(EtherTypeTEB)<<32|uint64(vsid&0xffffff)<<8|uint64(flowID))
}

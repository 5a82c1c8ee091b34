package packet

// Fault says why a header is not accepted. It is a value, not an error, because the worker meets it per packet.
// The zero value is none.
type Fault uint8

// Faults that the Check functions of the header views report.
const (
	FaultNone         Fault = iota
	FaultTruncated          // the bytes end inside the header
	FaultVersion            // version field of another protocol, or not 0 in GRE
	FaultHeaderLength       // header length below the minimum of the protocol, or beyond the packet
	FaultTotalLength        // length field beyond the frame, or shorter than the header
	FaultChain              // extension headers too many, too long, repeated or out of place
	FaultReserved           // reserved bits set that a receiver must not ignore
	FaultProtocol           // not the protocol asked for: GRE that carries no Ethernet, ICMP of another type
	FaultFlags              // GRE without a key, or with a checksum or sequence number, where NVGRE forbids it
	FaultOption             // option with a length of zero or beyond its header
	FaultChecksum           // checksum does not match
	FaultHopLimit           // neighbour discovery from beyond the link
	FaultAddress            // address that the message must not carry
	numFaults
)

var faultWords = [numFaults]string{
	FaultNone:         "none",
	FaultTruncated:    "truncated",
	FaultVersion:      "wrong-version",
	FaultHeaderLength: "bad-header-length",
	FaultTotalLength:  "bad-total-length",
	FaultChain:        "bad-extension-chain",
	FaultReserved:     "reserved-bits",
	FaultProtocol:     "wrong-protocol",
	FaultFlags:        "wrong-flags",
	FaultOption:       "bad-option",
	FaultChecksum:     "bad-checksum",
	FaultHopLimit:     "bad-hop-limit",
	FaultAddress:      "bad-address",
}

func (f Fault) String() string {
	if f < numFaults {
		return faultWords[f]
	}
	return "unknown"
}

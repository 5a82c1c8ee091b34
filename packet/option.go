package packet

// Options of IPv4 (RFC 791, section 3.1) and of TCP (RFC 9293, section 3.2) share one form: kind 0 ends the list, kind 1
// is a single byte of padding, all others are kind, length of the whole option, data.
const (
	OptionEnd uint8 = 0
	OptionNop uint8 = 1

	// IPv4 options that make a packet take another way than its destination says.
	IPv4OptLooseRoute  uint8 = 131
	IPv4OptStrictRoute uint8 = 137

	TCPOptMSS           uint8 = 2
	TCPOptWindowScale   uint8 = 3
	TCPOptSACKPermitted uint8 = 4
	TCPOptSACK          uint8 = 5
	TCPOptTimestamps    uint8 = 8
)

// NextOption takes the first option off b, skipping padding, and returns its kind, its data without kind and length,
// and what follows. At the end of the list it returns OptionEnd and no rest, so that a loop over rest always ends.
func NextOption(b []byte) (kind uint8, data, rest []byte, f Fault) {
	for len(b) > 0 && b[0] == OptionNop {
		b = b[1:]
	}
	if len(b) == 0 || b[0] == OptionEnd {
		return OptionEnd, nil, nil, FaultNone
	}
	if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
		return b[0], nil, nil, FaultOption
	}
	return b[0], b[2:b[1]], b[b[1]:], FaultNone
}

// FindOption returns the data of the first option of a kind. ok is false when there is none in front of the end of the
// list or of the first malformed option.
func FindOption(options []byte, kind uint8) (data []byte, ok bool) {
	for len(options) > 0 {
		k, d, rest, f := NextOption(options)
		if f != FaultNone || k == OptionEnd {
			return nil, false
		}
		if k == kind {
			return d, true
		}
		options = rest
	}
	return nil, false
}

// CheckOptions reports the fault of the first malformed option.
func CheckOptions(options []byte) Fault {
	for len(options) > 0 {
		_, _, rest, f := NextOption(options)
		if f != FaultNone {
			return f
		}
		options = rest
	}
	return FaultNone
}

// HasSourceRoute reports a loose or strict source route, which lets a sender steer around the policy of the
// destination (RFC 7126, sections 4.3 and 4.4).
func (v IPv4) HasSourceRoute() bool {
	if v[0]&0xf == IPv4Len/4 {
		return false
	}
	_, loose := FindOption(v.Options(), IPv4OptLooseRoute)
	_, strict := FindOption(v.Options(), IPv4OptStrictRoute)
	return loose || strict
}

package generator

// window is how far behind the highest sequence number an arrival can still be told from a duplicate.
const window = 64

// order follows the sequence numbers of one stream.
type order struct {
	next uint32 // one more than the highest that arrived
	seen uint64 // bit i says that next-1-i arrived
}

// rank is what an arrival is to those before it in its stream.
type rank int

const (
	inOrder   rank = iota // the highest so far: what it skips may be lost, or late
	reordered             // later than a higher number (RFC 4737)
	duplicate             // there already
	tooOld                // so late that it cannot be told whether it is a duplicate
)

// arrive judges a sequence number.
func (o *order) arrive(sequence uint32) rank {
	ahead := int32(sequence - o.next)
	if ahead >= 0 {
		// A shift by 64 or more leaves nothing, as Go defines it.
		o.seen = o.seen<<(uint(ahead)+1) | 1
		o.next = sequence + 1
		return inOrder
	}
	behind := uint32(-ahead) - 1
	if behind >= window {
		return tooOld
	}
	if bit := uint64(1) << behind; o.seen&bit == 0 {
		o.seen |= bit
		return reordered
	}
	return duplicate
}

package qos

import "math/bits"

const (
	nsPerSec   = 1_000_000_000
	tokenShift = 24 // tokens are 2^-24 byte
	rateShift  = 32 // rates are 2^-32 byte a nanosecond
)

// bucket is a token bucket: within any time, what is taken from it is at most its burst and rate times that time. It fits
// a cache line. One without a limit has rate 0.
type bucket struct {
	tokens  int64
	last    int64 // when tokens was right
	rate    uint64
	limit   int64  // the burst, in tokens
	fill    int64  // nanoseconds after which it is full whatever it had
	wake    int64  // when those that wait look again
	need    uint32 // bytes that a long packet of one class waits for; 0 is none
	start   uint32 // bytes that it must hold before anything is taken: packets of all lengths have the same chance then
	next    uint32 // in a slot of the wheel
	waiting uint8  // classes that wait for it
	holder  uint8  // the class with the long packet
	armed   bool   // it stands in the wheel
}

func newBucket(bytesPerSec, burst uint64) bucket {
	if bytesPerSec == 0 {
		return bucket{}
	}
	hi, lo := bits.Mul64(bytesPerSec, 1<<rateShift)
	rate, _ := bits.Div64(hi, lo, nsPerSec)
	hi, lo = bits.Mul64(burst+lengthMask, 1<<rateShift)
	fill, _ := bits.Div64(hi, lo, rate)
	return bucket{tokens: int64(burst << tokenShift), rate: rate, limit: int64(burst << tokenShift), fill: int64(fill) + 1,
		start: uint32(min(fullFrame, burst/2))}
}

func (b *bucket) refill(now int64) {
	d := now - b.last
	if d >= b.fill {
		b.tokens = b.limit
	} else {
		b.tokens = min(b.limit, b.tokens+int64(uint64(d)*b.rate>>(rateShift-tokenShift)))
	}
	b.last = now
}

func (b *bucket) bytes() int64     { return b.tokens >> tokenShift }
func (b *bucket) take(bytes int64) { b.tokens -= bytes << tokenShift }

// fits reports whether a packet may be taken; one that is longer than the burst when the bucket is full.
func (b *bucket) fits(length int64) bool { return b.tokens >= min(length<<tokenShift, b.limit) }

// until is when the bucket will hold so many bytes, of which its burst is the most.
func (b *bucket) until(length int64) int64 {
	missing := min(length<<tokenShift, b.limit) - b.tokens
	if missing <= 0 {
		return b.last
	}
	hi, lo := bits.Mul64(uint64(missing), 1<<(rateShift-tokenShift))
	ns, _ := bits.Div64(hi, lo, b.rate)
	return b.last + int64(ns) + 1
}

// begin reports whether an entity of a class may start to send: when there is enough for a frame of full size, or for its
// next packet if that is longer. So those with short packets do not starve others of the same owner; and a packet that is
// longer than a frame holds up those of other classes, but strict ones above its own.
func (b *bucket) begin(length int64, class, strict uint8) bool {
	if b.need != 0 && b.holder != class && !before(class, b.holder, strict) {
		return false
	}
	if !b.fits(max(length, int64(b.start))) {
		b.hold(length, class, strict)
		return false
	}
	if b.holder == class {
		b.need = 0
	}
	return true
}

// before reports whether a class goes before another whatever that waits for.
func before(class, other, strict uint8) bool {
	return strict>>class&1 != 0 && (class > other || strict>>other&1 == 0)
}

// hold keeps the bucket for a packet that is longer than a frame, unless it is kept already for one with the same right.
func (b *bucket) hold(length int64, class, strict uint8) {
	if length > int64(b.start) && (b.need == 0 || before(class, b.holder, strict)) {
		b.need, b.holder = uint32(length), class
	}
}

// wakeAt is when those that wait may begin.
func (b *bucket) wakeAt() int64 { return b.until(max(int64(b.need), int64(b.start))) }

// The wheel holds buckets by the time at which they will have what is needed. Buckets of idle vports are not in it.
const (
	tickShift     = 10 // a slot is a microsecond
	wheelSlots    = 1 << 14
	fewWheelSlots = 1 << 10 // for up to fewOwners leaves and groups
	fewOwners     = 64
	maxWakes      = 256 // buckets served in one round, so that a stall does not make another one
)

type wheel struct {
	slots   []uint32 // first bucket, 0 is none
	mask    uint32
	count   int
	tick    int64                        // slots up to this one are empty
	summary [wheelSlots / 64 / 64]uint64 // words of used that are not 0
	used    [wheelSlots / 64]uint64
}

func (w *wheel) add(index uint32, b *bucket) {
	tick := (b.wake + 1<<tickShift - 1) >> tickShift
	tick = min(max(tick, w.tick+1), w.tick+int64(w.mask)) // who must wait longer looks once more on the way
	slot := uint32(tick) & w.mask
	b.next = w.slots[slot]
	b.armed = true
	w.slots[slot] = index
	w.used[slot>>6] |= 1 << (slot & 63)
	w.summary[slot>>12] |= 1 << (slot >> 6 & 63)
	w.count++
}

func (w *wheel) take(slot uint32, buckets []bucket) (index uint32) {
	index = w.slots[slot]
	b := &buckets[index]
	b.armed = false
	w.count--
	if w.slots[slot] = b.next; b.next == 0 {
		if w.used[slot>>6] &^= 1 << (slot & 63); w.used[slot>>6] == 0 {
			w.summary[slot>>12] &^= 1 << (slot >> 6 & 63)
		}
	}
	return index
}

// first is the tick of the first slot in use. The wheel is not empty.
func (w *wheel) first() int64 {
	from := uint32(w.tick+1) & w.mask
	if word := w.used[from>>6] >> (from & 63); word != 0 {
		return w.tick + 1 + int64(bits.TrailingZeros64(word))
	}
	word := from>>6 + 1
	for range len(w.summary) + 1 {
		word &= w.mask >> 6
		if sum := w.summary[word>>6] >> (word & 63); sum != 0 {
			word += uint32(bits.TrailingZeros64(sum))
			slot := word<<6 + uint32(bits.TrailingZeros64(w.used[word]))
			return w.tick + 1 + int64((slot-from)&w.mask)
		}
		word = (word | 63) + 1
	}
	panic("qos: the wheel counts buckets that it does not hold")
}

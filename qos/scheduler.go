package qos

import (
	"math"
	"math/bits"

	"github.com/sluicenet/sluice/packet"
)

// Scheduler is one uplink's. Its methods are for one goroutine at a time.
type Scheduler struct {
	tables
	link    bucket
	classes [Classes]class
	strict  uint8  // classes
	ready   uint8  // classes with something to send
	waiting uint8  // classes that are over their maximum
	turn    uint8  // ETS class that sends
	round   uint32 // of ETS
	packets int
	most    int   // packets that may wait
	held    int   // that wait at most: above most while what a larger bound let in drains
	linkFor int64 // bytes that the link did not have room for

	started bool
	last    int64 // the clock's last reading
	offset  int64 // from the clock to the scheduler's own time, which never goes back

	out        []uint64 // of the current Dequeue
	from       []Origin
	n          int
	short      int64  // length of the packet that some limit had no room for
	permit     bool   // let it go: it is longer than any burst, and all buckets are full
	cold       bool   // what waits is not in a cache
	generation uint64 // of configurations
}

// class is one traffic class. It divides the link as nodes do, see entity.
type class struct {
	bucket     bucket
	credit     int64 // 1/256 byte
	quantum    int64
	round      uint32
	queueBytes uint32
	active     uint32 // queues that are not empty
	mark, full uint32
	owed       uint32 // of the ramp of marks
	bytes      uint64 // waiting
}

// verdict says why a turn ended.
type verdict uint8

const (
	more  verdict = iota // its share is used up
	empty                // nothing to send, or nothing that limits allow
	full                 // no room for more packets
	tight                // a limit above has no room for the next packet
)

const (
	forever   = math.MaxInt64
	fetchStep = 4 // entities whose cache lines are asked for at once, that many or more before their turn

	fewPackets = 256 // those are in a cache: they were put in a moment ago
)

// clock turns the caller's time into the scheduler's own.
func (s *Scheduler) clock(now int64) int64 {
	if !s.started {
		s.started, s.offset, s.last = true, -now, now
	}
	if now < s.last {
		s.offset += s.last - now
	}
	s.last = now
	return now + s.offset
}

// Dequeue gives back packets in the order of sending, at most len(pkts), and never more than link, class, groups and
// leaves may send by now. from may be nil, or tells of each packet where it waited. now is in nanoseconds, from any clock; a
// step back counts as standing still.
func (s *Scheduler) Dequeue(now int64, pkts []*packet.Packet, from []Origin) (n int) {
	t := s.clock(now)
	if s.packets == 0 || len(pkts) == 0 {
		return 0
	}
	s.wakeAll(t)
	s.out, s.from, s.n, s.linkFor, s.cold = addresses(pkts), from, 0, 0, s.packets > fewPackets
	budget := int64(forever)
	if s.link.rate != 0 {
		s.link.refill(t)
		budget = s.link.bytes()
	}
	for s.n < len(s.out) {
		class, ok := s.pick()
		if !ok {
			break
		}
		used, v := s.serveClass(t, class, budget)
		budget -= used
		if s.link.rate != 0 {
			s.link.take(used)
		}
		if v == tight {
			if s.link.rate != 0 && !s.link.fits(s.short) {
				s.linkFor = s.short
				break
			}
			s.permit = true
		}
	}
	n = s.n
	s.packets -= n
	s.out, s.from = nil, nil
	return n
}

// pick chooses the class to send from.
func (s *Scheduler) pick() (class uint8, ok bool) {
	can := s.ready &^ s.waiting
	if can == 0 {
		return 0, false
	}
	if strict := can & s.strict; strict != 0 {
		return uint8(bits.Len8(strict)) - 1, true
	}
	for {
		for i := range uint8(Classes) {
			if at := (s.turn + i) % Classes; can>>at&1 != 0 && s.classes[at].credit > 0 {
				s.turn = at
				return at, true
			}
		}
		s.nextRound(can)
	}
}

// nextRound gives all classes that can send their quanta, for so many rounds that one of them may.
func (s *Scheduler) nextRound(can uint8) {
	k := int64(math.MaxInt64)
	for m := can; m != 0; m &= m - 1 {
		c := &s.classes[bits.TrailingZeros8(m)]
		k = min(k, -c.credit/c.quantum+1)
	}
	s.round += uint32(k)
	for m := can; m != 0; m &= m - 1 {
		s.classes[bits.TrailingZeros8(m)].earn(s.round)
	}
}

func (c *class) earn(round uint32) {
	c.credit = min(c.quantum, c.credit+int64(round-c.round)*c.quantum)
	c.round = round
}

// wakeClass lets a class take part.
func (s *Scheduler) wakeClass(class uint32) {
	s.classes[class].earn(s.round)
	s.ready |= 1 << class
}

func (s *Scheduler) serveClass(now int64, at uint8, budget int64) (used int64, v verdict) {
	c := &s.classes[at]
	allow := c.credit
	bit := uint8(1) << at
	if s.strict&bit != 0 {
		allow = forever
	}
	if c.bucket.rate != 0 {
		c.bucket.refill(now)
		budget = min(budget, c.bucket.bytes())
	}
	used, v = s.serve(now, uint32(at), allow, budget)
	c.bytes -= uint64(used)
	if s.strict&bit == 0 {
		c.credit -= used << creditShift
	}
	if c.bucket.rate != 0 {
		c.bucket.take(used)
		if v == tight && !c.bucket.fits(s.short) {
			c.bucket.wake = c.bucket.until(s.short)
			s.waiting |= bit
			v = empty
		}
	}
	if v == empty && s.waiting&bit == 0 {
		s.ready &^= bit
	}
	if v == empty && s.strict&bit == 0 {
		s.turn = (at + 1) % Classes
	}
	return used, v
}

// serve sends from what stands below a node, until allow (1/256 byte) is used up or the limits above, which have budget
// bytes left, hold the next packet up. It returns the bytes sent.
func (s *Scheduler) serve(now int64, at uint32, allow, budget int64) (used int64, v verdict) {
	nd := &s.nodes[at]
	ahead, from, turn := uint32(0), uint32(0), 0
	for allow > 0 {
		if s.n == len(s.out) {
			return used, full
		}
		if nd.near>>(nd.round%nearRounds)&1 == 0 && !s.seek(nd) {
			return used, empty
		}
		id := nd.lists[nd.round%nearRounds].head
		if s.cold {
			if from != nd.round+1 {
				from, ahead, turn = nd.round+1, s.fetchOn(id, 2*fetchStep), 0
			} else if turn++; turn%fetchStep == 0 && ahead != 0 {
				ahead = s.fetchOn(ahead, fetchStep)
			}
		}
		e := &s.ents[id]
		v := more
		if e.earn(nd.round) {
			var sent int64
			share := min(allow, int64(e.credit))
			if e.node == 0 {
				sent, v = s.serveQueue(now, id, e, share, budget)
			} else {
				sent, v = s.serveGroup(now, id, e, share, budget)
			}
			used += sent
			budget -= sent
			allow -= sent << creditShift
			e.credit -= int32(sent << creditShift)
		}
		switch {
		case v == empty:
			s.pop(nd, id)
		case e.credit <= 0:
			s.pop(nd, id)
			s.place(nd, id, e)
		}
		if v == tight || v == full {
			return used, v
		}
	}
	return used, more
}

// serveQueue sends from one leaf's queue.
func (s *Scheduler) serveQueue(now int64, id uint32, e *entity, allow, budget int64) (sent int64, v verdict) {
	r := &s.rings[id]
	if e.count == 0 { // emptied by Remove
		e.state = idle
		return 0, empty
	}
	if e.limited {
		b := &s.buckets[id/Classes]
		b.refill(now)
		if !b.begin(int64(r[e.head&ringMask]&lengthMask), uint8(id%Classes), s.strict) {
			s.throttle(id, e, b)
			return 0, empty
		}
		budget = min(budget, b.bytes())
	}
	v = more
	first := s.n
	head, count, n := e.head, e.count, s.n
	for allow > 0 {
		if n == len(s.out) {
			v = full
			break
		}
		word := r[head&ringMask]
		length := int64(word & lengthMask)
		if length > budget {
			if !s.permit {
				v, s.short = tight, length
				break
			}
			s.permit = false
		}
		s.out[n] = address(word)
		if s.from != nil {
			s.from[n] = Origin{Leaf: id/Classes - 1, Bytes: uint32(length), Class: uint8(id % Classes)}
		}
		n++
		head++
		sent += length
		budget -= length
		allow -= length << creditShift
		if count--; count == 0 {
			if e.chained == 0 {
				v = empty
				break
			}
			s.unchain(id, e)
			head, count = e.head, e.count
		}
	}
	s.n = n
	e.head, e.count = head, count
	e.bytes -= uint32(sent)
	e.sentPackets += uint64(n - first)
	e.sentBytes += uint64(sent)
	if v == empty {
		e.state = idle
		s.classes[id%Classes].active--
	}
	if e.limited {
		v = s.settle(id, e, sent, v)
	}
	return sent, v
}

// serveGroup sends from what stands below a group.
func (s *Scheduler) serveGroup(now int64, id uint32, e *entity, allow, budget int64) (sent int64, v verdict) {
	if e.limited {
		b := &s.buckets[id/Classes]
		b.refill(now)
		if !b.begin(0, uint8(id%Classes), s.strict) {
			s.throttle(id, e, b)
			return 0, empty
		}
		budget = min(budget, b.bytes())
	}
	sent, v = s.serve(now, e.node, allow, budget)
	if v == empty {
		e.state = idle
	}
	if e.limited {
		v = s.settle(id, e, sent, v)
	}
	e.sentBytes += uint64(sent)
	return sent, v
}

// settle takes what an entity sent from its owner's bucket, and throttles it if that is what held it up.
func (s *Scheduler) settle(id uint32, e *entity, sent int64, v verdict) verdict {
	b := &s.buckets[id/Classes]
	b.take(sent)
	if v != tight || b.fits(s.short) {
		return v
	}
	b.hold(s.short, uint8(id%Classes), s.strict)
	s.throttle(id, e, b)
	return empty
}

// throttle lets an entity wait for its owner's bucket, which has been refilled.
func (s *Scheduler) throttle(id uint32, e *entity, b *bucket) {
	e.state = throttled
	b.waiting |= 1 << (id % Classes)
	if !b.armed {
		b.wake = b.wakeAt()
		s.wheel.add(id/Classes, b)
	}
}

// wakeAll makes ready what may send again by now.
func (s *Scheduler) wakeAll(now int64) {
	for m := s.waiting; m != 0; m &= m - 1 {
		at := bits.TrailingZeros8(m)
		if c := &s.classes[at]; c.bucket.wake <= now {
			s.waiting &^= 1 << at
			c.earn(s.round)
		}
	}
	w := &s.wheel
	tick := now >> tickShift
	for wakes := 0; w.count > 0; wakes++ {
		first := w.first()
		if first > tick {
			break
		}
		w.tick = first - 1
		if wakes == maxWakes {
			return
		}
		index := w.take(uint32(first)&w.mask, s.buckets)
		b := &s.buckets[index]
		if b.wake > now {
			s.wheel.add(index, b)
			continue
		}
		s.release(index, b)
	}
	w.tick = max(w.tick, tick)
}

// release makes ready all that wait for a bucket.
func (s *Scheduler) release(owner uint32, b *bucket) {
	if b.waiting>>b.holder&1 == 0 {
		b.need = 0 // Remove took the long packet, or it has gone
	}
	for m := b.waiting; m != 0; m &= m - 1 {
		id := owner*Classes + uint32(bits.TrailingZeros8(m))
		e := &s.ents[id]
		if e.node != 0 && s.nodes[e.node].near|s.nodes[e.node].far == 0 {
			e.state = idle
			continue
		}
		s.insert(id, e)
	}
	b.waiting = 0
}

package qos

import "github.com/sluicenet/sluice/packet"

// Place is how far a walk through what waits has got; the zero value is the start. Install makes it useless.
type Place struct {
	queue uint32 // counted from that of the first leaf in the first class
	kept  uint32 // packets at the front of this queue that were looked at and stay
}

// Remove gives back waiting packets that match, without regard to limits; the others keep their order. Call it with the
// same place until it returns 0. It looks at no packet twice, and only into queues that may hold some: has is asked for each
// that is not empty, and told the oldest packet there.
func (s *Scheduler) Remove(at *Place, has func(leaf uint32, oldest *packet.Packet) bool, match func(*packet.Packet) bool,
	pkts []*packet.Packet) (n int) {
	for end := uint32(s.used * Classes); at.queue < end && s.packets > 0; *at = (Place{queue: at.queue + 1}) {
		id := at.queue + Classes
		e := &s.ents[id]
		if e.bytes == 0 || at.kept == 0 && !has(at.queue/Classes, pointer(s.rings[id][e.head&ringMask])) {
			continue
		}
		if n += s.sift(id, e, at, match, pkts[n:]); n == len(pkts) {
			break // there may be more in this queue
		}
	}
	return n
}

// sift takes what matches out of one queue, and puts the rest back into it. A block is free before what it held is put back,
// so that the pool suffices. A queue that is empty then stays where it is until its turn.
func (s *Scheduler) sift(id uint32, e *entity, at *Place, match func(*packet.Packet) bool, pkts []*packet.Packet) (n int) {
	words, head, count := s.rings[id], e.head, e.count
	chain, left := e.chain, e.chained
	e.head, e.count, e.chained = 0, 0, 0
	kept, gone := uint32(0), uint32(0)
	for {
		for i := range count {
			word := words[(head+i)&ringMask]
			if n == len(pkts) {
				s.push(id, e, word)
			} else if p := pointer(word); kept < at.kept || !match(p) {
				s.push(id, e, word)
				kept++
			} else {
				pkts[n] = p
				n++
				gone += uint32(word & lengthMask)
			}
		}
		if left == 0 {
			break
		}
		words, head, count = ring(s.pool.blocks[chain]), 0, uint8(min(left, blockSlots))
		left -= uint32(count)
		chain = s.pool.release(chain)
	}
	at.kept = kept
	e.bytes -= gone
	s.packets -= n
	c := &s.classes[id%Classes]
	c.bytes -= uint64(gone)
	if e.bytes == 0 {
		c.active--
	}
	return n
}

// Flush gives back whatever waits, as Remove does.
func (s *Scheduler) Flush(at *Place, pkts []*packet.Packet) (n int) {
	return s.Remove(at, func(uint32, *packet.Packet) bool { return true }, func(*packet.Packet) bool { return true }, pkts)
}

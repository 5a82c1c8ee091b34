package qos

// Next is the earliest time at which Dequeue can give a packet: now if it can already, math.MaxInt64 if none waits.
func (s *Scheduler) Next(now int64) int64 {
	if s.packets == 0 {
		return forever
	}
	t := s.clock(now)
	at := int64(forever)
	if s.ready&^s.waiting != 0 {
		at = t
	}
	for class := range uint8(Classes) {
		if s.waiting>>class&1 != 0 {
			at = min(at, s.classes[class].bucket.wake)
		}
	}
	if s.wheel.count > 0 {
		at = min(at, s.wheel.first()<<tickShift)
	}
	if s.link.rate != 0 {
		s.link.refill(t)
		at = max(at, s.link.until(max(s.linkFor, 1)))
	}
	return max(at, t) - s.offset
}

// Pass reports whether packets may go straight to the device: nothing waits, and all limits have room for them. Then they
// are charged, as if they had been queued.
func (s *Scheduler) Pass(now int64, class uint8, leaf uint32, packets, bytes uint32) bool {
	if s.packets != 0 {
		return false
	}
	t := s.clock(now)
	id, length := queueID(class, leaf), int64(bytes)
	c := &s.classes[class%Classes]
	if !s.link.room(t, length) || !c.bucket.room(t, length) {
		return false
	}
	for at := id; ; {
		e := &s.ents[at]
		if e.limited && !s.buckets[at/Classes].room(t, length) {
			return false
		}
		if e.parent < Classes {
			break
		}
		at = s.nodes[e.parent].owner
	}
	s.link.spend(length)
	c.bucket.spend(length)
	for at := id; ; {
		e := &s.ents[at]
		if e.sentBytes += uint64(length); e.limited {
			s.buckets[at/Classes].take(length)
		}
		if e.parent < Classes {
			break
		}
		at = s.nodes[e.parent].owner
	}
	s.ents[id].sentPackets += uint64(packets)
	return true
}

// Charge takes bytes that went to the device without asking off what the link may send, so that what waits leaves the later.
// The link owes a burst at most for it.
func (s *Scheduler) Charge(now int64, bytes uint64) {
	b := &s.link
	if b.rate == 0 {
		return
	}
	b.refill(s.clock(now))
	most := min(b.limit, lengthMask<<tokenShift) // bucket.fill allows for no more
	b.tokens = max(b.tokens-int64(min(bytes, 2*lengthMask))<<tokenShift, min(b.tokens, -most))
}

// room reports whether so much may be taken, by a bucket that may have no limit.
func (b *bucket) room(now, length int64) bool {
	if b.rate == 0 {
		return true
	}
	b.refill(now)
	return b.bytes() >= length
}

func (b *bucket) spend(length int64) {
	if b.rate != 0 {
		b.take(length)
	}
}

// Mark tells which of the next packets of a leaf in a class, at most eight, should carry a congestion mark, as bits. The class
// must hold MarkBytes or more, and the leaf more than its even part of that, so that one leaf's long queue marks nobody else.
// Between MarkBytes and MarkFullBytes it says yes in proportion, evenly spread. Whoever sets marks calls Capable.
func (s *Scheduler) Mark(class uint8, leaf uint32, packets int) (set uint8) {
	c := &s.classes[class%Classes]
	if c.mark == 0 || c.bytes < uint64(c.mark) {
		return 0
	}
	depth := uint64(s.ents[queueID(class, leaf)].bytes) * uint64(c.active)
	switch {
	case depth < uint64(c.mark):
		return 0
	case depth >= uint64(c.full):
		return 1<<packets - 1
	}
	span := c.full - c.mark
	for i := range packets {
		if c.owed += uint32(depth) - c.mark; c.owed >= span {
			c.owed -= span
			set |= 1 << i
		}
	}
	return set
}

// Capable counts packets of a leaf whose transport understands marks, and those of them that got one.
func (s *Scheduler) Capable(class uint8, leaf, packets, marked uint32) {
	id := queueID(class, leaf)
	s.ents[id].capable += uint64(packets)
	if marked != 0 {
		s.rare[id].marked += uint64(marked)
	}
}

// Packets is how many packets wait.
func (s *Scheduler) Packets() int { return s.packets }

// Bytes is what waits in one class.
func (s *Scheduler) Bytes(class uint8) uint64 { return s.classes[class%Classes].bytes }

// QueueBytes is what waits for one leaf in one class.
func (s *Scheduler) QueueBytes(class uint8, leaf uint32) uint64 {
	return uint64(s.ents[queueID(class, leaf)].bytes)
}

// Leaves is the number of leaves, with those that a reconfiguration took away and that had not sent all.
func (s *Scheduler) Leaves() int { return s.used }

// Stats tells of one leaf's queue in one class.
func (s *Scheduler) Stats(class uint8, leaf uint32) QueueStats {
	id := queueID(class, leaf)
	e, r := &s.ents[id], &s.rare[id]
	return QueueStats{Packets: uint64(e.count) + uint64(e.chained), Bytes: uint64(e.bytes), SentPackets: e.sentPackets, SentBytes: e.sentBytes,
		RefusedPackets: r.refusedPackets, RefusedBytes: r.refusedBytes, Capable: e.capable, Marked: r.marked}
}

package qos

// Install changes the configuration under load. Leaves of the same key keep their packets, in order, and their counters;
// limits of the same owner keep what their buckets hold. Leaves that are gone send what waits, in their class, by the
// smallest weight. Under a smaller Config.Packets nothing is accepted until so many more have left. The old memory is
// released.
func (s *Scheduler) Install(now int64, p *Plan) error {
	if p.generation != s.generation {
		return ErrStale
	}
	t := s.clock(now)
	old := s.tables
	s.tables, p.tables = p.tables, tables{}
	s.link = s.link.become(p.link, t)
	for i := range s.classes {
		c := p.classes[i]
		c.bucket = s.classes[i].bucket.become(c.bucket, t)
		c.owed = s.classes[i].owed
		s.classes[i] = c
	}
	s.strict, s.ready, s.waiting, s.turn, s.round, s.packets = p.strict, 0, 0, 0, 0, 0
	s.wheel.tick = t >> tickShift
	for i := range s.buckets {
		s.buckets[i].last = t
	}
	for i, to := range p.oldGroups {
		if to != 0 {
			b := &s.buckets[uint32(s.leaves)+to]
			*b = old.buckets[1+old.leaves+i].become(*b, t)
		}
	}
	gone := s.known
	for i, to := range p.oldLeaves {
		if to == 0 && !old.waits(i) {
			continue
		}
		if to == 0 {
			gone++
			to = uint32(gone)
			s.keys[to-1] = old.keys[i]
		} else {
			s.buckets[to] = old.buckets[1+i].become(s.buckets[to], t)
		}
		for class := range uint8(Classes) {
			s.adopt(queueID(class, to-1), &old, queueID(class, uint32(i)))
		}
	}
	s.used = gone
	s.most, s.held = p.most, max(p.most, s.packets)
	s.generation++
	old.close()
	return nil
}

// become is the bucket that takes another's place: a new limit is no new burst.
func (b *bucket) become(next bucket, now int64) bucket {
	next.last = now
	if b.rate != 0 && next.rate != 0 {
		b.refill(now)
		next.tokens = min(next.limit, b.tokens)
	}
	return next
}

// waits reports whether a leaf has packets in any class.
func (t *tables) waits(leaf int) bool {
	for class := range uint8(Classes) {
		if t.ents[queueID(class, uint32(leaf))].bytes != 0 {
			return true
		}
	}
	return false
}

// adopt takes over a queue with its packets, its counters and its debt.
func (s *Scheduler) adopt(id uint32, old *tables, from uint32) {
	e, o := &s.ents[id], &old.ents[from]
	e.sentPackets, e.sentBytes, e.capable = o.sentPackets, o.sentBytes, o.capable
	e.credit = min(o.credit, int32(e.quantum))
	s.rare[id] = old.rare[from]
	if o.bytes == 0 {
		return
	}
	packets := 0
	old.each(from, func(word uint64) {
		s.push(id, e, word)
		packets++
	})
	e.bytes = o.bytes
	s.added(&s.classes[id%Classes], id, e, 0, packets)
}

// each tells of all packets of a queue, in order.
func (t *tables) each(id uint32, tell func(word uint64)) {
	e := &t.ents[id]
	for i := range e.count {
		tell(t.rings[id][(e.head+i)&ringMask])
	}
	at := e.chain
	for left := e.chained; left > 0; at = t.pool.link[at] {
		n := min(left, blockSlots)
		for _, word := range t.pool.blocks[at][:n] {
			tell(word)
		}
		left -= n
	}
}

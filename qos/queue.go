package qos

import "github.com/sluicenet/sluice/packet"

const (
	ringSlots  = 8 // of a cache line
	ringMask   = ringSlots - 1
	blockSlots = 8
)

// ring holds the oldest packets of a queue, block some of those that do not fit there: a chain of blocks is moved to the
// ring one by one, so that sending looks at the ring alone.
type (
	ring  [ringSlots]uint64
	block [blockSlots]uint64
)

// pool is the blocks of all chains. Block 0 is not used.
type pool struct {
	blocks []block
	link   []uint32 // next block of a chain, or of the free ones; 0 is none
	free   uint32   // first free one that was used before
	fresh  uint32   // first that never was
}

// poolBlocks is how many blocks always suffice for so many packets: whole ones, one that is partly filled for each queue
// that can have a chain, and block 0.
func poolBlocks(packets, queues int) int { return 1 + packets/blockSlots + min(packets, queues) }

func (p *pool) alloc() uint32 {
	at := p.free
	if at == 0 {
		at = p.fresh
		p.fresh++
	} else {
		p.free = p.link[at]
	}
	p.link[at] = 0
	return at
}

// release makes a block free, and returns the next one of its chain.
func (p *pool) release(at uint32) (next uint32) {
	next = p.link[at]
	p.link[at] = p.free
	p.free = at
	return next
}

// push appends a packet to a queue.
func (s *Scheduler) push(id uint32, e *entity, word uint64) {
	if e.count < ringSlots && e.chained == 0 {
		s.rings[id][(e.head+e.count)&ringMask] = word
		e.count++
		return
	}
	p := &s.pool
	if e.chained%blockSlots == 0 {
		at := p.alloc()
		if e.chained == 0 {
			e.chain = at
		} else {
			p.link[e.chainEnd] = at
		}
		e.chainEnd = at
	}
	p.blocks[e.chainEnd][e.chained%blockSlots] = word
	e.chained++
}

// unchain moves the first block of a chain to the empty ring.
func (s *Scheduler) unchain(id uint32, e *entity) {
	p := &s.pool
	at := e.chain
	n := min(e.chained, blockSlots)
	s.rings[id] = ring(p.blocks[at])
	e.head, e.count = 0, uint8(n)
	e.chained -= n
	e.chain = p.release(at)
}

// Enqueue accepts packets for one leaf in one class, in order: the first accepted ones of pkts. The rest does not fit.
func (s *Scheduler) Enqueue(class uint8, leaf uint32, pkts []*packet.Packet) (accepted int) {
	id := queueID(class, leaf)
	e := &s.ents[id]
	c := &s.classes[class%Classes]
	was := e.bytes
	for _, p := range pkts {
		length := min(WireBytes(p), lengthMask)
		if e.bytes != 0 && e.bytes+length > c.queueBytes || s.crowded(e, accepted) {
			break
		}
		s.push(id, e, pack(p, length))
		e.bytes += length
		accepted++
	}
	if accepted < len(pkts) {
		s.refuse(id, pkts[accepted:])
	}
	if accepted != 0 {
		s.added(c, id, e, was, accepted)
	}
	return accepted
}

// Touch loads what Enqueue will need of a leaf in a class. The number says nothing: loads of many leaves, one after the other,
// are under way at the same time.
func (s *Scheduler) Touch(class uint8, leaf uint32) uint64 {
	id := queueID(class, leaf)
	return s.rings[id][0] + uint64(s.ents[id].bytes)
}

// crowded reports whether a queue may take no more of the room that all share, more packets of which were taken just now:
// a long queue may hold as much as is free, so that however many are long, short ones find room (Choudhury and Hahne,
// Dynamic Queue Length Thresholds).
func (s *Scheduler) crowded(e *entity, more int) bool { return int(e.chained) >= s.most-s.packets-more }

// added counts what was appended to a queue that held was bytes before.
func (s *Scheduler) added(c *class, id uint32, e *entity, was uint32, packets int) {
	s.packets += packets
	c.bytes += uint64(e.bytes - was)
	if was == 0 {
		s.begins(c, id, e)
	}
}

// begins lets a queue take part that was empty.
func (s *Scheduler) begins(c *class, id uint32, e *entity) {
	c.active++
	if e.state == idle { // Remove may have emptied it in its place
		s.insert(id, e)
	}
}

func (s *Scheduler) refuse(id uint32, pkts []*packet.Packet) {
	r := &s.rare[id]
	for _, p := range pkts {
		r.refusedPackets++
		r.refusedBytes += uint64(WireBytes(p))
	}
}

// Queue names a leaf in a class for EnqueueEach.
type Queue uint32

// QueueOf is the queue of a leaf in a class.
func QueueOf(class uint8, leaf uint32) Queue { return Queue(queueID(class, leaf)) }

// EnqueueEach is Enqueue for packets of many queues: the i-th goes to the queue to[i]. Those that do not fit are left in
// pkts[:refused], in order. A burst of them is cheaper than one after the other, since queues are fetched together.
func (s *Scheduler) EnqueueEach(to []Queue, pkts []*packet.Packet) (refused int) {
	to = to[:len(pkts)]
	s.fetch(to)
	for i, p := range pkts {
		id := uint32(to[i])
		e := &s.ents[id]
		c := &s.classes[id%Classes]
		length := min(WireBytes(p), lengthMask)
		was := e.bytes
		if was != 0 && was+length > c.queueBytes || s.crowded(e, 0) {
			s.refuse(id, pkts[i:i+1])
			pkts[refused] = p
			refused++
			continue
		}
		if word := pack(p, length); e.count < ringSlots && e.chained == 0 {
			s.rings[id][(e.head+e.count)&ringMask] = word
			e.count++
		} else {
			s.push(id, e, word)
		}
		s.packets++
		e.bytes = was + length
		c.bytes += uint64(length)
		if was == 0 {
			s.begins(c, id, e)
		}
	}
	return refused
}

package qos

import "math/bits"

// entity is what a node divides its turn among: a leaf's queue in one class, or a group in one class. One cache line.
//
// Service is by surplus round robin: in each round an entity earns its quantum, it sends while its credit is positive,
// and what it sends too much is owed. An entity in debt is put aside until the round in which it has paid, so rounds in
// which nobody could send cost nothing, whatever the weights. Nobody saves up more than a quantum.
type entity struct {
	credit      int32  // 1/256 byte
	quantum     uint32 // 1/256 byte
	round       uint32 // up to which credit was earned
	parent      uint32 // node in which it stands
	node        uint32 // a group's own node; 0 for a queue
	bytes       uint32 // waiting here
	chain       uint32 // first block of what does not fit in the ring
	chainEnd    uint32
	chained     uint32 // packets there
	head        uint8  // of the ring
	count       uint8  // in the ring
	state       uint8
	limited     bool // its owner has a maximum
	sentPackets uint64
	sentBytes   uint64
	capable     uint64 // packets whose transport understands marks
}

const (
	creditShift = 8
	idle        = 0 // nothing to send
	ready       = 1 // in its node
	throttled   = 2 // waits for its owner's bucket
)

const (
	nearRounds = 64
	farWindows = 64
	farRounds  = nearRounds * (farWindows - 2) // who must wait longer is looked at once more on the way
)

// node holds those that can send, by round: the next 64 in lists of their own, later ones in lists of 64 rounds each.
type node struct {
	near  uint64 // bit r%64: somebody is in round r
	far   uint64 // bit r/64%64
	round uint32
	owner uint32 // entity of the group; the class for those below a class
	lists [nearRounds]list
	later [farWindows]uint32
}

type list struct{ head, tail uint32 }

// earn adds what was earned up to a round, and reports whether the entity may send.
func (e *entity) earn(round uint32) bool {
	if d := round - e.round; d != 0 {
		e.credit = int32(min(int64(e.quantum), int64(e.credit)+int64(d)*int64(e.quantum)))
		e.round = round
	}
	return e.credit > 0
}

// wait is the number of rounds until an entity that has earned up to now may send.
func (e *entity) wait() uint32 {
	if e.credit > 0 {
		return 0
	}
	return uint32(-e.credit)/e.quantum + 1
}

// place puts an entity into the round from which it may send, last in it.
func (s *Scheduler) place(nd *node, id uint32, e *entity) {
	k := e.wait()
	if k >= nearRounds {
		window := (nd.round + min(k, farRounds)) / nearRounds % farWindows
		s.next[id] = nd.later[window]
		nd.later[window] = id
		nd.far |= 1 << window
		return
	}
	at := (nd.round + k) % nearRounds
	l := &nd.lists[at]
	s.next[id] = 0
	if nd.near>>at&1 == 0 {
		nd.near |= 1 << at
		*l = list{id, id}
		return
	}
	s.next[l.tail] = id
	l.tail = id
}

// insert makes an entity ready, and its group if that had nothing to send.
func (s *Scheduler) insert(id uint32, e *entity) {
	for {
		nd := &s.nodes[e.parent]
		was := nd.near | nd.far
		e.state = ready
		e.earn(nd.round)
		s.place(nd, id, e)
		if was != 0 {
			return
		}
		if e.parent < Classes {
			s.wakeClass(nd.owner)
			return
		}
		id = nd.owner
		if e = &s.ents[id]; e.state != idle {
			return
		}
	}
}

// pop takes the first entity out of the current round.
func (s *Scheduler) pop(nd *node, id uint32) {
	at := nd.round % nearRounds
	if nd.lists[at].head = s.next[id]; s.next[id] == 0 {
		nd.near &^= 1 << at
	}
}

// seek moves on to the next round in which somebody may send, and reports whether there is one.
func (s *Scheduler) seek(nd *node) bool {
	for nd.near|nd.far != 0 {
		at := nd.round % nearRounds
		d := uint32(nearRounds)
		if nd.near != 0 {
			d = uint32(bits.TrailingZeros64(bits.RotateLeft64(nd.near, -int(at))))
		}
		if d < nearRounds-at {
			nd.round += d
			return true
		}
		window := nd.round/nearRounds + 1
		if nd.near == 0 {
			window += uint32(bits.TrailingZeros64(bits.RotateLeft64(nd.far, -int(window%farWindows))))
		}
		nd.round = window * nearRounds
		s.unfold(nd, window%farWindows)
	}
	return false
}

// unfold puts those of a later window, which has come, into their rounds.
func (s *Scheduler) unfold(nd *node, window uint32) {
	if nd.far>>window&1 == 0 {
		return
	}
	nd.far &^= 1 << window
	id := nd.later[window]
	nd.later[window] = 0
	for id != 0 {
		next := s.next[id]
		e := &s.ents[id]
		e.earn(nd.round)
		s.place(nd, id, e)
		id = next
	}
}

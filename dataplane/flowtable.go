package dataplane

import (
	"math/bits"

	"github.com/sluicenet/sluice/packet"
)

// flowKey is a key that a flow table can hold.
type flowKey[K any] interface {
	*K
	Hash(seed uint64) uint64
}

// flow is one known flow: 64 bytes, one cache line, with the 32-byte key; 96 with the wide one. action 0 marks a free
// slot.
type flow[K comparable] struct {
	key     K
	packets uint64
	bytes   uint64
	action  uint32 // index into the queue's actionTable
	seen    uint32 // tick of the last packet
	epoch   uint32 // sum of the two cells when it was decided
	srcCell uint16
	dstCell uint16
}

const (
	maxProbes       = 8       // slots a key may stand in
	minFlowSlots    = 64      // of a new table
	roomyFlowSlots  = 1 << 17 // up to which a table grows at an eighth full
	migrateBatch    = 64      // slots moved per burst while a table grows, and per round of timers
	insertMigrate   = 8       // slots moved per insert: the old half is empty before the new one is full
	newFlowGrace    = 2       // ticks for which a flow of one packet may not be evicted
	packetGrace     = 60      // ticks, a second, for each packet of a flow that had more
	maxGracePackets = 60
)

// flowTable is an exact-match table of one receive queue: open addressing, at most maxProbes slots per key, a seeded
// hash. It starts small and doubles up to its bound while packets flow: the old half is moved over in small steps, so
// that no burst waits for a rehash. It is used by one worker at a time and moves with its queue.
type flowTable[K comparable, P flowKey[K]] struct {
	slots   []flow[K] // mask+1+maxProbes slots, so that probing never wraps
	homes   []uint8   // by a key's first place: the bits of the places, from there on, where keys of this first place stand
	mask    uint64
	seed    uint64
	count   int
	limit   int // power of two: the most slots, tail not counted
	old     []flow[K]
	oldHome []uint8
	oldMask uint64
	oldNext int // first slot of old that was not moved yet
	sweepAt int
	stats   FlowStats
}

// FlowStats counts what a flow table did since it was made.
type FlowStats struct {
	Hits, Misses, Inserted, Evictions, Expired, Refused uint64
}

func newFlowTable[K comparable, P flowKey[K]](limit int, seed uint64) (*flowTable[K, P], error) {
	t := &flowTable[K, P]{seed: seed, limit: limit}
	n := min(minFlowSlots, limit)
	var err error
	t.slots, t.homes, err = newFlowSlots[K](n)
	if err != nil {
		return nil, err
	}
	t.mask = uint64(n - 1)
	return t, nil
}

func newFlowSlots[K comparable](n int) (slots []flow[K], homes []uint8, err error) {
	if slots, err = offHeap[flow[K]](n + maxProbes); err != nil {
		return nil, nil, err
	}
	if homes, err = offHeap[uint8](n); err != nil {
		freeOffHeap(slots)
		return nil, nil, err
	}
	return slots, homes, nil
}

func (t *flowTable[K, P]) free() {
	freeOffHeap(t.slots)
	freeOffHeap(t.homes)
	t.slots, t.homes = nil, nil
	t.freeOld()
}

func (t *flowTable[K, P]) freeOld() {
	freeOffHeap(t.old)
	freeOffHeap(t.oldHome)
	t.old, t.oldHome = nil, nil
}

// lookup finds a flow, nil when it is unknown. The pointer is good until the next insert, migrate or sweep. It looks only
// at places where keys of the same first place stand: in a flood nearly all keys are unknown, and eight places of a large
// table are eight cache misses.
func (t *flowTable[K, P]) lookup(k *K, hash uint64) *flow[K] {
	at := hash & t.mask
	for home := t.homes[at]; home != 0; home &= home - 1 {
		if f := &t.slots[at+uint64(bits.TrailingZeros8(home))]; f.key == *k && f.action != 0 {
			return f
		}
	}
	if t.old != nil {
		return t.lookupOld(k, hash)
	}
	return nil
}

// unknown tells at a glance of most unknown keys that they are.
func (t *flowTable[K, P]) unknown(hash uint64) bool { return t.old == nil && t.homes[hash&t.mask] == 0 }

func (t *flowTable[K, P]) lookupOld(k *K, hash uint64) *flow[K] {
	at := hash & t.oldMask
	for home := t.oldHome[at]; home != 0; home &= home - 1 {
		if f := &t.old[at+uint64(bits.TrailingZeros8(home))]; f.key == *k && f.action != 0 {
			return f
		}
	}
	return nil
}

// insert gives a slot for a key that lookup did not find, with the key filled in and all else zero but action, which
// the caller sets. It returns nil when every slot of the key is held by a busy flow and the table may not grow: known
// flows are not pushed out by new ones. release is called with the action of a flow that was evicted.
func (t *flowTable[K, P]) insert(k *K, hash uint64, now uint32, release func(action uint32)) *flow[K] {
	if t.old == nil && t.crowded() {
		t.grow()
	}
	t.migrate(insertMigrate, now, release)
	f := t.place(hash, now, release)
	if f == nil && t.old == nil && t.grow() { // busy flows crowd one place; spread them
		f = t.place(hash, now, release)
	}
	if f == nil {
		t.stats.Refused++
		return nil
	}
	*f = flow[K]{key: *k, seen: now}
	t.count++
	t.stats.Inserted++
	return f
}

// crowded asks for more places: small tables from an eighth full on, so that nearly every flow stands in its first
// place, and large ones from a quarter on. An empty place costs no cache line.
func (t *flowTable[K, P]) crowded() bool {
	n := len(t.slots) - maxProbes
	if n > roomyFlowSlots {
		return t.count*4 > n
	}
	return t.count*8 > n
}

// touchElsewhere starts the cache lines of flows that do not stand in their first places on their way, all at once.
func (t *flowTable[K, P]) touchElsewhere(hashes *[packet.RxBurst]uint64, set uint64) (sum uint64) {
	for ; set != 0; set &= set - 1 {
		at := hashes[bits.TrailingZeros64(set)] & t.mask
		sum += t.slots[at+uint64(bits.TrailingZeros8(t.homes[at]&^1|1<<(maxProbes-1)))].packets
	}
	return sum
}

func (t *flowTable[K, P]) place(hash uint64, now uint32, release func(uint32)) *flow[K] {
	at := hash & t.mask
	probe := t.slots[at : at+maxProbes]
	victim, oldest := -1, uint32(0)
	for i := range probe {
		f := &probe[i]
		if f.action == 0 {
			t.homes[at] |= 1 << i
			return f
		}
		if age := now - f.seen; age >= f.grace() && age >= oldest {
			victim, oldest = i, age
		}
	}
	if victim < 0 {
		return nil
	}
	t.stats.Evictions++
	t.drop(at+uint64(victim), release)
	t.homes[at] |= 1 << victim
	return &probe[victim]
}

// grace is for how many ticks without packets a flow may not be evicted: about a second for each packet that it had, up
// to a minute. So new flows take their places from each other, and not from known ones.
func (f *flow[K]) grace() uint32 {
	if f.packets <= 1 {
		return newFlowGrace
	}
	return uint32(min(f.packets, maxGracePackets)) * packetGrace
}

func (t *flowTable[K, P]) drop(at uint64, release func(uint32)) {
	f := &t.slots[at]
	home := P(&f.key).Hash(t.seed) & t.mask
	t.homes[home] &^= 1 << (at - home)
	release(f.action)
	*f = flow[K]{} // its key, too: whoever looks at the first place looks at the key first
	t.count--
}

// remove forgets a flow that lookup found, in either half.
func (t *flowTable[K, P]) remove(f *flow[K], hash uint64, release func(uint32)) {
	at := hash & t.mask
	for i := range uint64(maxProbes) {
		if &t.slots[at+i] == f {
			t.drop(at+i, release)
			return
		}
	}
	release(f.action)
	f.action = 0
	t.count--
}

// grow doubles the table, unless it stands at its bound or memory is short: then flows compete for what there is.
func (t *flowTable[K, P]) grow() bool {
	n := int(t.mask+1) * 2
	if n > t.limit {
		return false
	}
	slots, homes, err := newFlowSlots[K](n)
	if err != nil {
		return false
	}
	t.old, t.oldHome, t.oldMask, t.oldNext = t.slots, t.homes, t.mask, 0
	t.slots, t.homes, t.mask, t.sweepAt = slots, homes, uint64(n-1), 0
	return true
}

// migrate moves up to n slots of the old half over; it is free when none is left.
func (t *flowTable[K, P]) migrate(n int, now uint32, release func(uint32)) {
	if t.old == nil {
		return
	}
	end := min(t.oldNext+n, len(t.old))
	for ; t.oldNext < end; t.oldNext++ {
		f := &t.old[t.oldNext]
		if f.action == 0 {
			continue
		}
		if to := t.place(P(&f.key).Hash(t.seed), now, release); to != nil {
			*to = *f
		} else {
			release(f.action)
			t.count--
		}
		f.action = 0
	}
	if t.oldNext == len(t.old) {
		t.freeOld()
	}
}

// sweep looks at n slots, the next ones each time, and drops the flows that saw no packet for idle ticks. visit is
// called for the ones that stay.
func (t *flowTable[K, P]) sweep(n int, now, idle uint32, release func(uint32), visit func(*flow[K])) {
	if t.old != nil {
		return // migrate touches them all anyway
	}
	for range min(n, len(t.slots)) {
		if t.sweepAt >= len(t.slots) {
			t.sweepAt = 0
		}
		at := t.sweepAt
		f := &t.slots[at]
		t.sweepAt++
		if f.action == 0 {
			continue
		}
		if now-f.seen >= idle {
			t.stats.Expired++
			t.drop(uint64(at), release)
		} else if visit != nil {
			visit(f)
		}
	}
}

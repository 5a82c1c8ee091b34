package dataplane

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
	maxProbes      = 8       // slots a key may stand in
	minFlowSlots   = 64      // of a new table
	roomyFlowSlots = 1 << 16 // up to which a table grows at a quarter full
	migrateBatch   = 64      // slots moved per loop iteration while a table grows
	insertMigrate  = 8       // slots moved per insert: the old half is empty before the new one is full
	newFlowGrace   = 2       // ticks for which a flow of one packet may not be evicted
	busyFlowGrace  = 64      // ticks for which a flow of more packets may not be evicted
)

// flowTable is an exact-match table of one receive queue: open addressing, at most maxProbes slots per key, a seeded
// hash. It starts small and doubles up to its bound while packets flow: the old half is moved over in small steps, so
// that no burst waits for a rehash. It is used by one worker at a time and moves with its queue.
type flowTable[K comparable, P flowKey[K]] struct {
	slots   []flow[K] // mask+1+maxProbes slots, so that probing never wraps
	mask    uint64
	seed    uint64
	count   int
	limit   int // power of two: the most slots, tail not counted
	old     []flow[K]
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
	slots, err := offHeap[flow[K]](n + maxProbes)
	if err != nil {
		return nil, err
	}
	t.slots, t.mask = slots, uint64(n-1)
	return t, nil
}

func (t *flowTable[K, P]) free() {
	freeOffHeap(t.slots)
	freeOffHeap(t.old)
	t.slots, t.old = nil, nil
}

// lookup finds a flow, nil when it is unknown. The pointer is good until the next insert, migrate or sweep.
func (t *flowTable[K, P]) lookup(k *K, hash uint64) *flow[K] {
	at := hash & t.mask
	probe := t.slots[at : at+maxProbes]
	for i := range probe {
		if f := &probe[i]; f.action != 0 && f.key == *k {
			return f
		}
	}
	if t.old != nil {
		return t.lookupOld(k, hash)
	}
	return nil
}

func (t *flowTable[K, P]) lookupOld(k *K, hash uint64) *flow[K] {
	at := hash & t.oldMask
	for i := at; i < at+maxProbes; i++ {
		if f := &t.old[i]; f.action != 0 && f.key == *k {
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

// crowded asks for more places: from half full on, and small tables from a quarter on, so that nearly every flow stands
// in its first place. An empty place costs no cache line.
func (t *flowTable[K, P]) crowded() bool {
	n := len(t.slots) - maxProbes
	if n <= roomyFlowSlots {
		return t.count*4 > n
	}
	return t.count*2 > n
}

func (t *flowTable[K, P]) place(hash uint64, now uint32, release func(uint32)) *flow[K] {
	at := hash & t.mask
	probe := t.slots[at : at+maxProbes]
	var victim *flow[K]
	var oldest uint32
	for i := range probe {
		f := &probe[i]
		if f.action == 0 {
			return f
		}
		age := now - f.seen
		grace := uint32(busyFlowGrace)
		if f.packets <= 1 {
			grace = newFlowGrace
		}
		if age >= grace && age >= oldest {
			victim, oldest = f, age
		}
	}
	if victim != nil {
		t.stats.Evictions++
		t.drop(victim, release)
	}
	return victim
}

func (t *flowTable[K, P]) drop(f *flow[K], release func(uint32)) {
	release(f.action)
	*f = flow[K]{} // its key, too: worker.lookupBurst looks at the key first
	t.count--
}

// grow doubles the table, unless it stands at its bound or memory is short: then flows compete for what there is.
func (t *flowTable[K, P]) grow() bool {
	n := int(t.mask+1) * 2
	if n > t.limit {
		return false
	}
	slots, err := offHeap[flow[K]](n + maxProbes)
	if err != nil {
		return false
	}
	t.old, t.oldMask, t.oldNext = t.slots, t.mask, 0
	t.slots, t.mask, t.sweepAt = slots, uint64(n-1), 0
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
			t.drop(f, release)
		}
		f.action = 0
	}
	if t.oldNext == len(t.old) {
		freeOffHeap(t.old)
		t.old = nil
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
		f := &t.slots[t.sweepAt]
		t.sweepAt++
		if f.action == 0 {
			continue
		}
		if now-f.seen >= idle {
			t.stats.Expired++
			t.drop(f, release)
		} else if visit != nil {
			visit(f)
		}
	}
}

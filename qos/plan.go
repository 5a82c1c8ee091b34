package qos

import "errors"

// Defaults of what a configuration leaves open.
const (
	defaultPackets    = 1 << 16
	defaultQueueBytes = 256 << 10
	linkBurstRate     = 2000 // bursts a second: what a worker that was away for half a millisecond may make up for
	minLinkBurst      = 128 << 10
	burstRate         = 1000     // bursts a second of other limits
	minBurst          = 64 << 10 // some of the longest frames: while others have their turn, no tokens are lost
)

// tables are what a scheduler keeps of its configuration's size, without Go pointers and outside of the Go heap.
// Entities are numbered by owner and class: 1 and on are the leaves, then leaves that are gone, then groups. 0 is none.
type tables struct {
	leaves  int // with places for those that are gone
	known   int // of the configuration
	used    int // of the configuration, and gone ones that had packets
	ents    []entity
	next    []uint32 // lists of nodes, beside the entities so that a list is walked without fetching them
	rings   []ring   // of leaves
	rare    []rareStats
	nodes   []node   // classes, then groups by class
	buckets []bucket // by owner
	pool    pool
	wheel   wheel
	memory  arena
	keys    []uint64 // of leaves
	groups  []uint64 // keys
}

// rareStats are counters that known packets do not touch.
type rareStats struct{ refusedPackets, refusedBytes, marked uint64 }

func queueID(class uint8, leaf uint32) uint32 { return (leaf+1)*Classes + uint32(class%Classes) }

func (t *tables) groupID(class uint8, group int) uint32 {
	return uint32(1+t.leaves+group)*Classes + uint32(class)
}

func groupNode(class uint8, group int) uint32 { return uint32(1+group)*Classes + uint32(class) }

// alloc maps all tables at once: hosts may have a scheduler for each of thousands of vports.
func (t *tables) alloc(packets, groups int) (err error) {
	owners, leaves := 1+t.leaves+groups, 1+t.leaves
	slots := fewWheelSlots
	if owners > fewOwners {
		slots = wheelSlots
	}
	blocks := poolBlocks(packets, t.leaves*Classes)
	t.memory, err = newArena(room[entity](owners*Classes) + room[uint32](owners*Classes) + room[ring](leaves*Classes) + room[rareStats](leaves*Classes) +
		room[node]((1+groups)*Classes) + room[bucket](owners) + room[block](blocks) + room[uint32](blocks) + room[uint32](slots))
	if err != nil {
		return err
	}
	m := &t.memory
	t.ents, t.next = carve[entity](m, owners*Classes), carve[uint32](m, owners*Classes)
	t.rings, t.rare = carve[ring](m, leaves*Classes), carve[rareStats](m, leaves*Classes)
	t.nodes, t.buckets = carve[node](m, (1+groups)*Classes), carve[bucket](m, owners)
	t.pool = pool{blocks: carve[block](m, blocks), link: carve[uint32](m, blocks), fresh: 1}
	t.wheel = wheel{slots: carve[uint32](m, slots), mask: uint32(slots - 1)}
	return nil
}

func (t *tables) close() {
	t.memory.close()
	*t = tables{}
}

// Plan is a configuration made ready for a scheduler.
type Plan struct {
	tables
	link       bucket
	classes    [Classes]class
	strict     uint8
	most       int // packets
	generation uint64
	oldLeaves  []uint32 // where the scheduler's leaves go, plus one; 0 is none
	oldGroups  []uint32
}

// Close gives a plan's memory back that is not installed.
func (p *Plan) Close() { p.close() }

// newPlan has room for spare leaves besides those of the configuration, and for held packets that may wait already.
func newPlan(c *Config, held, spare int) (*Plan, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p := &Plan{most: c.Packets}
	if p.most == 0 {
		p.most = defaultPackets
	}
	p.leaves, p.known, p.used = len(c.Leaves)+spare, len(c.Leaves), len(c.Leaves)
	if err := p.alloc(max(p.most, held), len(c.Groups)); err != nil {
		p.close()
		return nil, err
	}
	p.link = newBucket(c.RateBytesPerSec, orElse(c.BurstBytes, max(minLinkBurst, c.RateBytesPerSec/linkBurstRate)))
	p.link.start = 0
	p.fillClasses(c)
	p.fillGroups(c)
	p.fillLeaves(c)
	x := newShares(c)
	for class, sure := range c.sureRates() {
		p.divide(x, uint8(class), sure)
	}
	return p, nil
}

func orElse(value, otherwise uint64) uint64 {
	if value == 0 {
		return min(otherwise, maxBurstBytes)
	}
	return value
}

func limit(maximum, burst uint64) bucket {
	return newBucket(maximum, orElse(burst, max(minBurst, maximum/burstRate)))
}

func (p *Plan) fillClasses(c *Config) {
	quanta := c.classQuanta()
	for i := range c.Classes {
		from, k := &c.Classes[i], &p.classes[i]
		*k = class{bucket: limit(from.MaxBytesPerSec, from.BurstBytes), quantum: quanta[i], credit: quanta[i],
			queueBytes: from.QueueBytes, mark: from.MarkBytes, full: max(from.MarkFullBytes, from.MarkBytes)}
		if k.queueBytes == 0 {
			k.queueBytes = defaultQueueBytes
		}
		if from.Strict {
			p.strict |= 1 << i
		}
		p.nodes[i].owner = uint32(i)
	}
}

func (p *Plan) fillGroups(c *Config) {
	p.groups = make([]uint64, len(c.Groups))
	for i := range c.Groups {
		g := &c.Groups[i]
		p.groups[i] = g.Key
		p.buckets[1+p.leaves+i] = limit(g.MaxBytesPerSec, g.BurstBytes)
		for class := range uint8(Classes) {
			id, node := p.groupID(class, i), groupNode(class, i)
			p.nodes[node].owner = id
			p.ents[id] = entity{parent: parentNode(class, g.Parent), node: node, limited: g.MaxBytesPerSec != 0}
		}
	}
}

func parentNode(class uint8, group int32) uint32 {
	if group == NoGroup {
		return uint32(class)
	}
	return groupNode(class, int(group))
}

func (p *Plan) fillLeaves(c *Config) {
	p.keys = make([]uint64, p.leaves)
	for i := range p.leaves {
		l := &Leaf{Group: NoGroup}
		if i < p.known {
			l = &c.Leaves[i]
		}
		p.keys[i] = l.Key
		p.buckets[1+i] = limit(l.MaxBytesPerSec, l.BurstBytes)
		for class := range uint8(Classes) {
			p.ents[queueID(class, uint32(i))] = entity{parent: parentNode(class, l.Group), limited: l.MaxBytesPerSec != 0}
		}
	}
}

// New makes a scheduler with empty queues. It fails where Config contradicts itself; Close gives its memory back.
func New(c *Config) (*Scheduler, error) {
	p, err := newPlan(c, 0, 0)
	if err != nil {
		return nil, err
	}
	return &Scheduler{tables: p.tables, link: p.link, classes: p.classes, strict: p.strict, most: p.most, held: p.most}, nil
}

// Close gives the memory back. Packets that still wait must have been taken before, see Flush.
func (s *Scheduler) Close() { s.close() }

// Compile checks a configuration and allocates all it needs. Any goroutine may do so while the owner uses the scheduler, but
// not while it installs another plan.
func (s *Scheduler) Compile(c *Config) (*Plan, error) {
	leaves := make(map[uint64]uint32, len(c.Leaves))
	for i := range c.Leaves {
		leaves[c.Leaves[i].Key] = uint32(i) + 1
	}
	old, spare := make([]uint32, s.used), 0
	for i, key := range s.keys[:s.used] {
		if old[i] = leaves[key]; old[i] == 0 { // one that was gone and comes back takes up its packets, for the sake of order
			spare++
		}
	}
	p, err := newPlan(c, s.held, spare)
	if err != nil {
		return nil, err
	}
	p.oldLeaves, p.generation = old, s.generation
	groups := make(map[uint64]uint32, len(c.Groups))
	for i := range c.Groups {
		groups[c.Groups[i].Key] = uint32(i) + 1
	}
	p.oldGroups = make([]uint32, len(s.groups))
	for i, key := range s.groups {
		p.oldGroups[i] = groups[key]
	}
	return p, nil
}

// ErrStale says that another plan was installed meanwhile.
var ErrStale = errors.New("install: the plan was made for a configuration that is gone: compile it again")

package dataplane

import (
	"fmt"
	"slices"

	"github.com/sluicenet/sluice/policy"
	"github.com/sluicenet/sluice/qos"
)

// The control side of schedulers: which outputs have one, who owns it, how it comes, changes and goes while packets flow.
//
// It comes after flows have learned their classes, and each worker begins to hand over between two iterations, when what it
// sent before has been accepted by the device. It goes (shape_end.go) before flows forget their classes, while all workers
// stand still and the owner sends what waits. So no packet overtakes another of its flow.

// What schedulers hold at most, packets: the pool has buffers for it.
const (
	QueuedPerUplink = 8192 // at least, and so many more for each
	QueuedPerLeaf   = 32   // leaf.
	QueuedPerVport  = 256  // towards a VM whose inbound rate is limited
	LaneSize        = laneSize
)

// QueuedFor is how many packets the scheduler of an uplink with so many leaves holds at most.
func QueuedFor(leaves int) int { return max(QueuedPerUplink, leaves*QueuedPerLeaf) }

// shape is a scheduler that is wanted.
type shape struct {
	port uint32
	conf *policy.SchedulerQoS
	sum  *qos.Config
}

// shapes lists the schedulers that a snapshot asks for, of ports that are there.
func (s *Switch) shapes(snap *policy.Snapshot) (all []shape) {
	if snap.QoS == nil {
		return nil
	}
	for i := range snap.QoS.Schedulers {
		u := &snap.QoS.Schedulers[i]
		if port, ok := s.ports[u.Port]; ok {
			all = append(all, shape{u.Port, u, schedulerConfig(u, &port)})
		}
	}
	return all
}

// schedulerConfig says in the scheduler's words what policy wants of a port. A sender with destination classes becomes a
// group of its leaves, which keep their numbers.
func schedulerConfig(u *policy.SchedulerQoS, port *PortSpec) *qos.Config {
	c := &qos.Config{RateBytesPerSec: u.RateBytesPerSec, BurstBytes: u.BurstBytes, Packets: QueuedPerVport}
	if port.Uplink {
		c.Packets = QueuedFor(len(u.Leaves))
		if c.RateBytesPerSec == 0 {
			c.RateBytesPerSec = port.LinkBytesPerSec
		}
	}
	for i := range u.Classes {
		k := &u.Classes[i]
		c.Classes[i] = qos.Class{Strict: k.Strict, Weight: k.Weight, MaxBytesPerSec: k.MaxBytesPerSec, QueueBytes: k.QueueBytes,
			MarkBytes: k.MarkBytes, MarkFullBytes: k.MarkFullBytes}
	}
	for i := range u.Groups {
		g := &u.Groups[i]
		c.Groups = append(c.Groups, qos.Group{Key: groupKey(g.Key), Parent: qos.NoGroup, MinBytesPerSec: g.MinBytesPerSec,
			MaxBytesPerSec: g.MaxBytesPerSec, BurstBytes: g.BurstBytes, Weight: g.Weight})
	}
	family := map[int32]int32{} // leaf with destinations: its group
	for i := range u.Leaves {
		if parent := u.Leaves[i].Parent; parent >= 0 && family[parent] == 0 {
			l := &u.Leaves[parent]
			c.Groups = append(c.Groups, qos.Group{Key: familyKey(l.Key), Parent: l.Group, MinBytesPerSec: l.MinBytesPerSec,
				MaxBytesPerSec: l.MaxBytesPerSec, BurstBytes: l.BurstBytes, Weight: l.Weight})
			family[parent] = int32(len(c.Groups)) // counted from 1
		}
	}
	for i := range u.Leaves {
		l := &u.Leaves[i]
		leaf := qos.Leaf{Key: l.Key, Group: l.Group, MinBytesPerSec: l.MinBytesPerSec, MaxBytesPerSec: l.MaxBytesPerSec,
			BurstBytes: l.BurstBytes, Weight: l.Weight}
		if g := family[int32(i)]; g != 0 {
			leaf = qos.Leaf{Key: l.Key, Group: g - 1} // the group has the rates
		} else if l.Parent >= 0 {
			leaf.Group = family[l.Parent] - 1
		}
		c.Leaves = append(c.Leaves, leaf)
	}
	return c
}

// Keys of groups: those of policy, and those that stand for a vport with destinations.
func groupKey(k uint64) uint64  { return k << 1 }
func familyKey(k uint64) uint64 { return k<<1 | 1 }

// shaping is a step from the schedulers that run to those that are wanted, with all memory that it needs.
type shaping struct {
	close  []*egress
	open   []*egress
	change []reshape
	lanes  *laneTable // with those that are open; nil when none is opened
}

type reshape struct {
	e    *egress
	to   shape
	plan *qos.Plan
}

// planShaping prepares a step. Nothing has changed when it fails.
func (s *Switch) planShaping(snap *policy.Snapshot) (*shaping, error) {
	wanted := s.shapes(snap)
	p := &shaping{}
	for _, e := range s.egresses {
		if !slices.ContainsFunc(wanted, func(w shape) bool { return w.port == e.port }) {
			p.close = append(p.close, e)
		}
	}
	owned := s.owned(p.close)
	err := error(nil)
	for _, w := range wanted {
		i := slices.IndexFunc(s.egresses, func(e *egress) bool { return e.port == w.port })
		if i < 0 {
			var e *egress
			if e, err = newEgress(w, s.workers[fewest(owned)]); err == nil {
				p.open = append(p.open, e)
				owned[e.owner.id]++
			}
		} else if e := s.egresses[i]; !e.shown.Load().conf.Equal(w.conf) {
			var plan *qos.Plan
			if plan, err = e.sched.Compile(w.sum); err == nil {
				p.change = append(p.change, reshape{e, w, plan})
			}
		}
		if err != nil {
			p.abandon()
			return nil, fmt.Errorf("quality of service of port %s: %w", s.ports[w.port].Name, err)
		}
	}
	if len(p.open) > 0 {
		if p.lanes, err = s.planLanes(); err != nil {
			p.abandon()
			return nil, fmt.Errorf("let workers hand packets over: %w", err)
		}
	}
	return p, nil
}

// abandon gives back the memory of a step that is not taken.
func (p *shaping) abandon() {
	for _, e := range p.open {
		e.sched.Close()
	}
	for _, c := range p.change {
		c.plan.Close()
	}
}

// owned counts the schedulers of each worker without those that go.
func (s *Switch) owned(gone []*egress) []int {
	counts := make([]int, len(s.workers))
	for i, w := range s.workers {
		if w.health.failed.Load() {
			counts[i] = 1 << 20 // only where there is no other
		}
	}
	for _, e := range s.egresses {
		counts[e.owner.id]++
	}
	for _, e := range gone {
		counts[e.owner.id]--
	}
	return counts
}

// fewest is the first place of the smallest count.
func fewest(counts []int) int { return slices.Index(counts, slices.Min(counts)) }

func newEgress(w shape, owner *worker) (*egress, error) {
	sched, err := qos.New(w.sum)
	if err != nil {
		return nil, err
	}
	e := &egress{port: w.port, sched: sched, owner: owner}
	e.set(w)
	return e, nil
}

func (e *egress) set(w shape) {
	e.conf = w.conf
	for i := range e.marks {
		e.marks[i] = w.conf.Classes[i].MarkBytes
	}
	e.shown.Store(&w)
}

// begin lets the workers use new schedulers, and changes others. Flows know their classes already.
func (s *Switch) begin(p *shaping) {
	for _, c := range p.change {
		c.e.owner.do(func() {
			if err := c.e.sched.Install(c.e.owner.now, c.plan); err == nil { // no other plan was installed since it was made
				c.e.set(c.to)
			}
			c.e.next = 0
		})
	}
	if len(p.open) == 0 {
		return
	}
	s.joinWorkers(p.lanes)
	for _, w := range s.workers { // owners before anybody hands over
		w.do(func() {
			for _, e := range p.open {
				if e.owner == w {
					w.egress.byPort[e.port], w.egress.owned = e, append(w.egress.owned, e)
				}
			}
		})
	}
	for _, w := range s.workers {
		w.do(func() {
			for _, e := range p.open {
				w.egress.byPort[e.port] = e
			}
		})
	}
	s.listEgresses(append(slices.Clone(s.egresses), p.open...))
}

// laneTable holds a lane from each worker to each other one. Lanes stay as long as any output has a scheduler.
type laneTable struct {
	lanes [][]*lane // by writer, reader
	fresh []*lane   // that no worker has yet
}

// planLanes makes the lanes that are missing.
func (s *Switch) planLanes() (*laneTable, error) {
	n := len(s.workers)
	t := &laneTable{lanes: make([][]*lane, n)}
	for from, w := range s.workers {
		t.lanes[from] = make([]*lane, n)
		if w.egress != nil {
			copy(t.lanes[from], w.egress.to)
		}
		for to, reader := range s.workers {
			if to == from || t.lanes[from][to] != nil {
				continue
			}
			l, err := s.newLane(reader)
			if err != nil {
				for _, l := range t.fresh {
					l.free()
				}
				return nil, err
			}
			t.lanes[from][to] = l
			t.fresh = append(t.fresh, l)
		}
	}
	return t, nil
}

// joinWorkers gives each worker its lanes.
func (s *Switch) joinWorkers(t *laneTable) {
	s.lanes = append(s.lanes, t.fresh...)
	lanes, n := t.lanes, len(s.workers)
	for id, w := range s.workers {
		d := &diversion{to: lanes[id], from: make([]*lane, n)}
		for from := range n {
			d.from[from] = lanes[from][id]
		}
		w.do(func() {
			if w.egress != nil {
				d.byPort, d.owned, d.waiting = w.egress.byPort, w.egress.owned, w.egress.waiting
			} else {
				d.byPort = make([]*egress, s.cfg.MaxPorts)
			}
			w.egress = d
		})
	}
}

// partWorkers takes the diversions and lanes away once no output has a scheduler.
func (s *Switch) partWorkers() {
	if len(s.egresses) > 0 || len(s.workers) == 0 || s.workers[0].egress == nil {
		return
	}
	for _, w := range s.workers {
		w.do(func() { w.egress = nil })
	}
	for _, l := range s.lanes {
		l.free()
	}
	s.lanes = nil
}

func (s *Switch) listEgresses(list []*egress) {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	s.egresses = list
}

package shares

import (
	"math"
	"slices"
	"time"

	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/policy"
	"github.com/sluicenet/sluice/qos"
)

// stepNs is the step of the ideal.
const stepNs = 1_000_000

// ideal is what an ideal fluid would have brought, with queues as deep as the switch's.
type ideal struct {
	streams [][]float64 // bytes by window
	coarse  [][]float64 // by queue and time, as the recorder has it
	total   []float64   // by queue
}

// schedulerConfig says in the words of the ideal what policy wants of an output. A sender with destination classes is a
// group of its leaves.
func schedulerConfig(u *policy.SchedulerQoS, packets int) *qos.Config {
	c := &qos.Config{RateBytesPerSec: u.RateBytesPerSec, BurstBytes: u.BurstBytes, Packets: packets}
	for i := range u.Classes {
		k := &u.Classes[i]
		c.Classes[i] = qos.Class{Strict: k.Strict, Weight: k.Weight, MaxBytesPerSec: k.MaxBytesPerSec, QueueBytes: k.QueueBytes}
	}
	for _, g := range u.Groups {
		c.Groups = append(c.Groups, qos.Group{Parent: qos.NoGroup, MinBytesPerSec: g.MinBytesPerSec, MaxBytesPerSec: g.MaxBytesPerSec, Weight: g.Weight})
	}
	family := map[int32]int32{}
	for _, l := range u.Leaves {
		if l.Parent < 0 {
			continue
		}
		if _, known := family[l.Parent]; !known {
			p := &u.Leaves[l.Parent]
			family[l.Parent] = int32(len(c.Groups))
			c.Groups = append(c.Groups, qos.Group{Parent: p.Group, MinBytesPerSec: p.MinBytesPerSec, MaxBytesPerSec: p.MaxBytesPerSec, Weight: p.Weight})
		}
	}
	for i, l := range u.Leaves {
		leaf := qos.Leaf{Group: l.Group, MinBytesPerSec: l.MinBytesPerSec, MaxBytesPerSec: l.MaxBytesPerSec, Weight: l.Weight}
		if g, parent := family[int32(i)]; parent {
			leaf = qos.Leaf{Group: g} // the group has the rates
		} else if l.Parent >= 0 {
			leaf.Group = family[l.Parent]
		}
		c.Leaves = append(c.Leaves, leaf)
	}
	return c
}

func (b *bench) fluidConfig() *qos.Config {
	packets := dataplane.QueuedPerVport
	if !b.Profile.Target {
		packets = dataplane.QueuedFor(len(b.conf.Leaves))
	}
	return schedulerConfig(b.conf, packets)
}

// setShares finds what each source gets when all are always busy: the unit of rates.
func (b *bench) setShares() {
	c, t := b.fluidConfig(), b.poller.t
	offered := make([][qos.Classes]float64, len(c.Leaves))
	members := make([]map[int]bool, len(b.queues)) // VMs that share a queue
	for i := range t.sources {
		s := &t.sources[i]
		q := b.queues[s.queue]
		offered[q.leaf][q.class] = math.Inf(1)
		if members[s.queue] == nil {
			members[s.queue] = map[int]bool{}
		}
		members[s.queue][s.vport] = true
	}
	rates := qos.Fluid(c, offered)
	for i := range t.sources {
		s := &t.sources[i]
		q := b.queues[s.queue]
		s.share = rates[q.leaf][q.class] / float64(len(members[s.queue]))
	}
}

// fluid is the state of the ideal.
type fluid struct {
	c       *qos.Config
	queues  []fluidQueue
	offered [][qos.Classes]float64
	solved  [][qos.Classes]float64
}

// fluidQueue is one queue of it.
type fluidQueue struct {
	place
	sources []int
	rates   []float64 // of sources, bytes a second; infinite: always busy
	part    []float64 // of the packets that are of a source
	sum     float64   // of the rates
	backlog float64
	frame   float64 // bytes of the largest
}

func (b *bench) newFluid() *fluid {
	f := &fluid{c: b.fluidConfig(), queues: make([]fluidQueue, len(b.queues))}
	for i, at := range b.queues {
		f.queues[i].place = at
	}
	for i := range b.poller.t.sources {
		s := &b.poller.t.sources[i]
		q := &f.queues[s.queue]
		q.sources, q.rates, q.part = append(q.sources, i), append(q.rates, 0), append(q.part, 0)
		q.frame = max(q.frame, s.wire)
	}
	return f
}

// ideal lets the fluid run as the streams did, until the end of the measurement.
func (b *bench) ideal(length int64) *ideal {
	t, f := b.poller.t, b.newFluid()
	slots := func(of int64) int { return int((length + of - 1) / of) }
	out := &ideal{streams: make([][]float64, len(b.streams)), coarse: make([][]float64, len(b.queues)), total: make([]float64, len(b.queues))}
	for i := range out.streams {
		out.streams[i] = make([]float64, slots(windowNs))
	}
	for i := range out.coarse {
		out.coarse[i] = make([]float64, slots(coarseNs))
	}
	for now := -rollFor; now < length; now += stepNs {
		for i := range f.queues {
			q := &f.queues[i]
			for k, id := range q.sources {
				q.rates[k] = b.rateAt(&t.sources[id], time.Duration(now))
			}
		}
		f.step(float64(min(stepNs, length-now))/1e9, func(queue, source int, bytes float64) {
			if now < 0 {
				return
			}
			out.streams[t.sources[source].stream][now/windowNs] += bytes
			out.coarse[queue][now/coarseNs] += bytes
			out.total[queue] += bytes
		})
	}
	return out
}

// rateAt is what a source offers at a time.
func (b *bench) rateAt(s *source, at time.Duration) float64 {
	st := &b.streams[s.stream]
	if s.window != nil {
		return math.Inf(1)
	}
	rate := st.Rate
	for _, c := range st.Changes {
		if c.At <= at {
			rate = c.Rate
		}
	}
	return s.bytesPerSec(rate)
}

// step serves all queues for a time.
func (f *fluid) step(dt float64, served func(queue, source int, bytes float64)) {
	offered := make([][qos.Classes]float64, len(f.c.Leaves))
	long := 0
	for i := range f.queues {
		q := &f.queues[i]
		q.divide()
		use := q.sum + q.backlog/dt
		if use > float64(f.c.RateBytesPerSec) {
			use = math.Inf(1) // it does not come to its end
		}
		if offered[q.leaf][q.class] = use; q.backlog > 0 {
			long++
		}
	}
	if !slices.Equal(offered, f.offered) {
		f.offered, f.solved = offered, qos.Fluid(f.c, offered)
	}
	for i := range f.queues {
		q := &f.queues[i]
		rate := f.solved[q.leaf][q.class]
		for k, id := range q.sources {
			served(i, id, rate*dt*q.part[k])
		}
		if math.IsInf(q.sum, 1) {
			continue
		}
		// A long queue holds as many packets as are free at most.
		room := min(float64(f.c.Classes[q.class].QueueBytes), float64(f.c.Packets)/float64(long+1)*q.frame)
		if q.backlog = min(room, q.backlog+(q.sum-rate)*dt); q.backlog < 1 {
			q.backlog = 0
		}
	}
}

// divide finds whose packets the queue holds: by what is offered now, or was, where nothing is.
func (q *fluidQueue) divide() {
	q.sum = 0
	for _, rate := range q.rates {
		q.sum += rate
	}
	if q.sum == 0 {
		return
	}
	for k, rate := range q.rates {
		switch {
		case math.IsInf(rate, 1):
			q.part[k] = 1 / float64(len(q.rates))
		case math.IsInf(q.sum, 1):
			q.part[k] = 0
		default:
			q.part[k] = rate / q.sum
		}
	}
}

// Tolerance of a window of 100 ms: this part of the ideal, or a quantum and two frames, whichever is more, and what the
// buckets of maximums hold.
const (
	tolerance   = 0.01
	mostQuantum = 16 << 10
	twoFrames   = 2 * 1584
	leastBurst  = 64 << 10
	burstTimeMs = 1
)

// within reports that what a queue brought in a window is close enough to the ideal.
func (b *bench) within(q place, measured, want float64) bool {
	class, leaf := &b.conf.Classes[q.class], &b.conf.Leaves[q.leaf]
	most := float64(mostQuantum + twoFrames)
	if rate := class.MaxBytesPerSec; rate > 0 {
		most += max(leastBurst, float64(rate)*burstTimeMs/1000)
	}
	if leaf.MaxBytesPerSec > 0 {
		most += float64(leaf.BurstBytes)
	}
	return math.Abs(measured-want) <= max(tolerance*want, most)
}

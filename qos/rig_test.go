package qos

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

const (
	gbit = 1_000_000_000 / 8
	mbit = 1_000_000 / 8
	us   = int64(1000)
	ms   = 1000 * us
	sec  = 1000 * ms
)

// source offers packets to one queue: as many as it takes to keep it busy, or at a rate.
type source struct {
	class  uint8
	leaf   uint32
	rate   float64 // wire bytes a second; 0 keeps depth bytes waiting
	depth  uint32
	frame  func() uint32 // PktLen
	off    bool
	credit float64
	seq    uint32
}

// rig drives a scheduler by a clock of its own: sources before it, a sink behind it that takes what comes.
type rig struct {
	t       fataler
	s       *Scheduler
	cfg     *Config
	now     int64
	step    int64 // between two turns of the owner
	mem     []packet.Packet
	free    []*packet.Packet
	sources []*source
	sent    [][Classes]uint64 // bytes, by leaf
	packets uint64
	refused uint64
	given   uint64
	seen    map[Queue]uint32 // sequence numbers
	onSent  func(p *packet.Packet, o Origin)
	out     []*packet.Packet
	from    []Origin
}

func fixed(bytes uint32) func() uint32 { return func() uint32 { return bytes } }

func mixed(r *rand.Rand) func() uint32 {
	sizes := []uint32{60, 60, 60, 590, 1514}
	return func() uint32 { return sizes[r.IntN(len(sizes))] }
}

// fataler is a test or a property.
type fataler interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newRig(t testing.TB, c *Config, packets int) *rig {
	s, err := New(c)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return newRigOf(t, s, c, make([]packet.Packet, packets))
}

func newRigOf(t fataler, s *Scheduler, c *Config, packets []packet.Packet) *rig {
	r := &rig{t: t, s: s, cfg: c, step: 10 * us, mem: packets, free: make([]*packet.Packet, 0, len(packets)), sent: make([][Classes]uint64, len(c.Leaves)),
		seen: map[Queue]uint32{}, out: make([]*packet.Packet, 64), from: make([]Origin, 64)}
	for i := range r.mem {
		r.free = append(r.free, &r.mem[i])
	}
	return r
}

// saturate keeps one queue busy.
func (r *rig) saturate(class uint8, leaf uint32, frame func() uint32) *source {
	s := &source{class: class, leaf: leaf, depth: 50_000, frame: frame}
	r.sources = append(r.sources, s)
	return s
}

// offer sends to one queue at a rate.
func (r *rig) offer(class uint8, leaf uint32, rate float64, frame func() uint32) *source {
	s := &source{class: class, leaf: leaf, rate: rate, frame: frame}
	r.sources = append(r.sources, s)
	return s
}

func (r *rig) give(s *source, frame uint32) bool {
	if len(r.free) == 0 {
		r.t.Fatal("the rig has no packets left")
	}
	p := r.free[len(r.free)-1]
	p.PktLen, p.RSSHash, p.HashHigh = frame, s.seq, uint32(QueueOf(s.class, s.leaf))
	p.TxOffload = uint64(r.now)
	one := [1]*packet.Packet{p}
	if r.s.Enqueue(s.class, s.leaf, one[:]) == 0 {
		r.refused++
		return false
	}
	s.seq++
	r.given++
	r.free = r.free[:len(r.free)-1]
	return true
}

func (r *rig) feed() {
	for _, s := range r.sources {
		switch {
		case s.off:
		case s.rate == 0:
			e := &r.s.ents[queueID(s.class, s.leaf)]
			for e.bytes < s.depth && r.give(s, s.frame()) {
				continue
			}
		default:
			s.credit += s.rate * float64(r.step) / 1e9
			for s.credit > 0 {
				frame := s.frame()
				s.credit -= float64(WireLen(frame))
				r.give(s, frame)
			}
		}
	}
}

// drain takes all that may leave now, and makes sure that each queue is in order.
func (r *rig) drain() (bytes uint64) {
	for {
		n := r.s.Dequeue(r.now, r.out, r.from)
		for i, p := range r.out[:n] {
			o := r.from[i]
			q := Queue(p.HashHigh)
			if q != QueueOf(o.Class, o.Leaf) || o.Bytes != WireBytes(p) || p.RSSHash != r.seen[q] {
				r.t.Fatalf("packet %d of queue %d, %d bytes, came as %+v; packet %d was next", p.RSSHash, q, WireBytes(p), o, r.seen[q])
			}
			r.seen[q]++
			if int(o.Leaf) < len(r.sent) {
				r.sent[o.Leaf][o.Class] += uint64(o.Bytes)
			}
			bytes += uint64(o.Bytes)
			r.packets++
			if r.onSent != nil {
				r.onSent(p, o)
			}
			r.free = append(r.free, p)
		}
		if n < len(r.out) {
			return bytes
		}
	}
}

// run lets the rig work for some time.
func (r *rig) run(length int64) (bytes uint64) {
	for end := r.now + length; r.now < end; r.now += r.step {
		r.feed()
		bytes += r.drain()
	}
	return bytes
}

// reset starts counting anew.
func (r *rig) reset() {
	clear(r.sent)
	r.packets, r.refused = 0, 0
}

func (r *rig) class(class uint8) (bytes uint64) {
	for i := range r.sent {
		bytes += r.sent[i][class]
	}
	return bytes
}

func (r *rig) leaf(leaf uint32) (bytes uint64) {
	for _, b := range r.sent[leaf] {
		bytes += b
	}
	return bytes
}

// near fails unless got is within a part of want, or within some bytes.
func near(t testing.TB, want float64, got uint64, part, bytes float64, format string, args ...any) {
	t.Helper()
	if d := float64(got) - want; max(d, -d) > max(want*part, bytes) {
		args = append(args, got, want, 100*d/want, d)
		t.Errorf(format+": %d bytes instead of %.0f: %+.3f %%, %+.0f bytes", args...)
	}
}

func leaves(n int) []Leaf {
	l := make([]Leaf, n)
	for i := range l {
		l[i] = Leaf{Key: uint64(i) + 1, Group: NoGroup}
	}
	return l
}

// oneClass leaves one class for ETS.
func oneClass(c *Config, class int) *Config {
	for i := range c.Classes {
		c.Classes[i].Strict = i != class
	}
	return c
}

// reconfigure is Compile and Install.
func (s *Scheduler) reconfigure(now int64, c *Config) error {
	p, err := s.Compile(c)
	if err != nil {
		return err
	}
	return s.Install(now, p)
}

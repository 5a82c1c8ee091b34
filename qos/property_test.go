package qos

import (
	"flag"
	"fmt"
	"math"
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicenet/sluice/packet"
)

// TestMain lets property tests run thousands of cases, the same ones each time; -rapid.seed=0 draws others.
func TestMain(m *testing.M) {
	checks := "2000"
	if raceDetector {
		checks = "100"
	}
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.seed": "1"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	os.Exit(m.Run())
}

// drawn is a random configuration with the class in which each leaf sends besides strict ones.
type drawn struct {
	*Config
	home []uint8
}

func draw(t *rapid.T) drawn {
	c := &Config{RateBytesPerSec: rapid.SampledFrom([]uint64{50 * mbit, gbit, 10 * gbit}).Draw(t, "rate"), Packets: 1 << 17}

	ets := []uint8{}
	for i := range c.Classes {
		k := &c.Classes[i]
		k.QueueBytes = 100_000
		k.Strict = rapid.IntRange(0, 3).Draw(t, "strict") == 0
		k.Weight = rapid.Uint32Range(1, 100).Draw(t, "class weight")
		if rapid.IntRange(0, 4).Draw(t, "class limited") == 0 {
			k.MaxBytesPerSec = c.RateBytesPerSec * uint64(rapid.IntRange(2, 90).Draw(t, "class max")) / 100
		}
		if !k.Strict {
			ets = append(ets, uint8(i))
		}
	}
	if len(ets) == 0 {
		c.Classes[0].Strict, ets = false, []uint8{0}
	}
	home := func() uint8 { return rapid.SampledFrom(ets).Draw(t, "home") }
	d := drawn{Config: c}
	var groupHome []uint8
	left := c.RateBytesPerSec
	promise := func(members int) uint64 {
		rate := left / uint64(members) * uint64(rapid.IntRange(1, 90).Draw(t, "min")) / 100
		if rate < minBytesPerSec {
			return 0
		}
		left -= rate
		return rate
	}
	maximum := func(least uint64) uint64 {
		return max(least, c.RateBytesPerSec*uint64(rapid.IntRange(1, 300).Draw(t, "max"))/1000, mbit)
	}
	groups, n := rapid.IntRange(0, 4).Draw(t, "groups"), rapid.IntRange(1, 30).Draw(t, "leaves")
	for i := range groups {
		g := Group{Key: uint64(i), Parent: int32(rapid.IntRange(-1, i-1).Draw(t, "parent")), Weight: rapid.Uint32Range(1, 50).Draw(t, "group weight")}
		groupHome = append(groupHome, home())
		if g.Parent == NoGroup && rapid.Bool().Draw(t, "group promised") {
			g.MinBytesPerSec = promise(groups + n)
		}
		if g.Parent != NoGroup {
			groupHome[i] = groupHome[g.Parent]
		}
		if rapid.IntRange(0, 2).Draw(t, "group limited") == 0 {
			g.MaxBytesPerSec = maximum(2 * g.MinBytesPerSec)
		}
		c.Groups = append(c.Groups, g)
	}
	for i := range n {
		l := Leaf{Key: uint64(i), Group: int32(rapid.IntRange(-1, groups-1).Draw(t, "group")), Weight: rapid.Uint32Range(1, 200).Draw(t, "weight")}
		class := home()
		if l.Group != NoGroup {
			class = groupHome[l.Group]
		} else if rapid.IntRange(0, 2).Draw(t, "promised") == 0 {
			l.MinBytesPerSec = promise(groups + n)
		}
		if rapid.IntRange(0, 2).Draw(t, "limited") == 0 {
			l.MaxBytesPerSec = maximum(l.MinBytesPerSec)
		}
		c.Leaves = append(c.Leaves, l)
		d.home = append(d.home, class)
	}
	return d
}

// load draws who sends how much, and returns it for the model. Strict classes are not kept busy: nothing else would be
// seen.
func (d drawn) load(t *rapid.T, r *rig) (offered [][Classes]float64, longest uint32) {
	offered = make([][Classes]float64, len(d.Leaves))
	frame := func() uint32 {
		n := rapid.SampledFrom([]uint32{60, 61, 300, 590, 1000, 1514, 1514, 4000, 9000}).Draw(t, "frame")
		longest = max(longest, WireLen(n))
		return n
	}
	for i := range d.Leaves {
		rate := float64(d.RateBytesPerSec) / float64(len(d.Leaves)) * float64(rapid.IntRange(5, 300).Draw(t, "offered")) / 100
		switch rapid.IntRange(0, 3).Draw(t, "source") {
		case 0:
			r.offer(d.home[i], uint32(i), rate, fixed(frame()))
			offered[i][d.home[i]] = rate
		case 1, 2:
			r.saturate(d.home[i], uint32(i), fixed(frame())).depth = 60_000
			offered[i][d.home[i]] = math.Inf(1)
		}
		strict := uint8(rapid.IntRange(0, Classes-1).Draw(t, "class"))
		if d.Classes[strict].MaxBytesPerSec != 0 && d.limited(i) {
			continue // while the class may not send, others use what the leaf's maximum allows: the model knows no such turns
		}
		if d.Classes[strict].Strict && rapid.Bool().Draw(t, "sends strictly") {
			r.offer(strict, uint32(i), rate/5, fixed(frame()))
			offered[i][strict] = rate / 5
		}
	}
	return offered, longest
}

// limited reports whether a leaf or a group that it is in has a maximum.
func (d drawn) limited(leaf int) bool {
	l := &d.Leaves[leaf]
	limited := l.MaxBytesPerSec != 0
	for g := l.Group; g != NoGroup; g = d.Groups[g].Parent {
		limited = limited || d.Groups[g].MaxBytesPerSec != 0
	}
	return limited
}

// tolerance is what a queue may be off in a window: a quantum at each level, two frames, and what buckets hold.
func (d drawn) tolerance(r *rig, class uint8, leaf int, longest uint32) float64 {
	s := r.s
	most := float64(4*longest) + float64(s.classes[class].quantum>>creditShift)
	for at := queueID(class, uint32(leaf)); ; {
		e := &s.ents[at]
		most += float64(e.quantum>>creditShift) + 2*float64(longest)
		if e.limited {
			most += float64(s.buckets[at/Classes].limit >> tokenShift)
		}
		if e.parent < Classes {
			break
		}
		at = s.nodes[e.parent].owner
	}
	if b := s.classes[class].bucket; b.rate != 0 {
		most += float64(b.limit >> tokenShift)
	}
	return most
}

// describe is a configuration with what each queue is offered and should get, for a test that failed.
func (d drawn) describe(offered, want [][Classes]float64) string {
	out := fmt.Sprintf("rate %d, classes %+v, groups %+v\n", d.RateBytesPerSec, d.Classes, d.Groups)
	for i, l := range d.Leaves {
		out += fmt.Sprintf("leaf %d %+v", i, l)
		for class := range Classes {
			if o := offered[i][class]; o != 0 {
				out += fmt.Sprintf(", class %d: %.0f of %.0f", class, want[i][class], o)
			}
		}
		out += "\n"
	}
	return out
}

// propertyPackets are used again by one case after the other.
var propertyPackets = make([]packet.Packet, 1<<16)

// bursts is what all buckets hold together: when some are full at one end of the window and empty at the other, all others
// have so much more or less to share.
func (d drawn) bursts(r *rig) (sum float64) {
	for i := range r.s.buckets {
		sum += float64(r.s.buckets[i].limit >> tokenShift)
	}
	for i := range r.s.classes {
		sum += float64(r.s.classes[i].bucket.limit >> tokenShift)
	}
	return sum
}

func TestSharesAreThoseOfTheFluidModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		s, err := New(d.Config)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r := newRigOf(t, s, d.Config, propertyPackets)
		for i := range s.buckets { // else the first window would be of bursts
			s.buckets[i].tokens = 0
		}
		for i := range s.classes {
			s.classes[i].bucket.tokens = 0
		}
		offered, longest := d.load(t, r)
		want := Fluid(d.Config, offered)
		window := int64(6000 * fullFrame * float64(sec) / float64(d.RateBytesPerSec))
		r.step = max(us, window/3000)
		r.run(window)
		r.reset()
		start := r.now
		bytes := r.run(window)
		length := float64(r.now-start) / 1e9
		var total float64
		bursts := d.bursts(r)
		faults := ""
		for i := range d.Leaves {
			for class := range uint8(Classes) {
				w := want[i][class] * length
				most := d.tolerance(r, class, i, longest) + bursts*w/(float64(d.RateBytesPerSec)*length)
				total += w
				if off := math.Abs(float64(r.sent[i][class]) - w); off > max(0.01*w, most) {
					faults += fmt.Sprintf("leaf %d in class %d: %d bytes instead of %.0f (%+.2f %%), tolerance %.0f\n", i, class, r.sent[i][class], w,
						100*(float64(r.sent[i][class])/w-1), most)
				}
			}
		}
		if faults != "" {
			t.Fatalf("%s%s", faults, d.describe(offered, want))
		}
		if full := float64(d.RateBytesPerSec) * length; total > 0.999*full && float64(bytes) < 0.99*full {
			t.Errorf("the link is idle: %d bytes instead of %.0f", bytes, full)
		}
	})
}

package vmq

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// TestMain lets property tests run the same cases each time; -rapid.seed=0 draws others.
func TestMain(m *testing.M) {
	checks := "300"
	if raceDetector {
		checks = "40"
	}
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.seed": "1"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	os.Exit(m.Run())
}

func drawLimits(t *rapid.T) Limits {
	l := quick()
	l.Upper = float64(rapid.IntRange(50, 100).Draw(t, "upper")) / 100
	l.Lower = 0
	if !rapid.Bool().Draw(t, "all workers") {
		l.Lower = float64(rapid.IntRange(10, int(l.Upper*100)-10).Draw(t, "lower")) / 100
	}
	l.MinGain = float64(rapid.IntRange(5, 50).Draw(t, "gain")) / 1000
	l.MaxMoves = rapid.IntRange(1, 20).Draw(t, "moves")
	l.Residence = time.Duration(rapid.IntRange(1, 20).Draw(t, "residence")) * l.Interval
	l.Calm = time.Duration(rapid.IntRange(0, 20).Draw(t, "calm")) * l.Interval
	l.Smoothing = time.Duration(rapid.IntRange(0, 3000).Draw(t, "smoothing")) * time.Millisecond
	return l
}

// load is heavy-tailed: most queues are quiet, few are busy.
func load(t *rapid.T) float64 {
	v := rapid.Float64Range(0.01, 1).Draw(t, "load")
	return v * v * v
}

func drawHost(t *rapid.T) *host {
	h := newHost(t, rapid.IntRange(1, 12).Draw(t, "workers"), drawLimits(t))
	nodes := rapid.IntRange(1, 2).Draw(t, "nodes")
	for i := range h.workers {
		h.workers[i].Node = i % nodes
	}
	h.blind = rapid.Bool().Draw(t, "blind")
	for range rapid.IntRange(1, 60).Draw(t, "queues") {
		q := h.queue(rapid.IntRange(-1, len(h.workers)-1).Draw(t, "worker"), load(t))
		q.Node = rapid.IntRange(-1, nodes-1).Draw(t, "node")
		q.Pinned = rapid.IntRange(0, 9).Draw(t, "pinned") == 0
	}
	if rapid.Bool().Draw(t, "uplink") {
		u := Uplink{Port: 1, Mode: Mode(rapid.IntRange(0, 2).Draw(t, "mode"))}
		for n := range rapid.IntRange(0, len(h.queues)).Draw(t, "own") {
			u.Own = append(u.Own, uint16(n))
		}
		h.uplinks = []Uplink{u}
		for i := range rapid.IntRange(0, 20).Draw(t, "vports") {
			h.vports = append(h.vports, VportLoad{Vport: uint32(i), Uplink: 1, Busy: load(t), Queue: NoQueue})
		}
	}
	return h
}

// checkRound holds one round's decisions against what is promised.
func checkRound(t *rapid.T, h *host, s Sample, all []Decision) {
	l := h.limits
	moved := map[QueueKey]bool{}
	moves, changes := 0, 0
	for _, d := range all {
		if d.Reason == "" {
			t.Fatalf("no reason: %+v", d)
		}
		switch d.Kind {
		case MoveQueue:
			q := h.find(d.Queue)
			switch {
			case moved[d.Queue]:
				t.Fatalf("%v is moved twice in a round", d.Queue)
			case q.Worker != d.From:
				t.Fatalf("%v is moved from %d, but is at %d", d.Queue, d.From, q.Worker)
			case d.To == d.From || s.Workers[d.To].State != Running:
				t.Fatalf("%v goes to %d: %+v", d.Queue, d.To, s.Workers[d.To])
			}
			if moved[d.Queue] = true; d.Cause != WorkerGone && d.Cause != Unpolled {
				if q.Pinned || s.Workers[d.From].State == Stalled {
					t.Fatalf("%v must not move: %s", d.Queue, d.Reason)
				}
				moves++
			}
		case Steer, Unsteer:
			changes++
		}
	}
	if moves > l.MaxMoves || changes > l.MaxMoves {
		t.Fatalf("%d moves and %d changes of owners in a round, at most %d are allowed", moves, changes, l.MaxMoves)
	}
}

// checkGain follows a round's moves on loads as the balancer sees them: the busier of two workers is relieved, and the
// busiest of those between which moves go by the least gain; nobody becomes the new maximum, and nobody is filled beyond the
// lower threshold to empty another.
func checkGain(t *rapid.T, h *host, s Sample, all []Decision) {
	p := newPlan(h.b, s)
	for _, q := range p.queues {
		q.state.place.open = false
	}
	p.place()
	const rounding = 1e-9
	peak := func() (worst float64) {
		for _, w := range p.workers {
			worst = max(worst, w.load)
		}
		return worst
	}
	beforeHome := 0.0
	for i, d := range all {
		if d.Kind != MoveQueue {
			continue
		}
		q := p.queues[slices.IndexFunc(p.queues, func(q *queue) bool { return q.QueueKey == d.Queue })]
		from, to := q.at, p.byID[d.To]
		worst, before := peak(), 0.0
		if i == 0 || all[i-1].Cause != Remote {
			beforeHome = worst
		}
		if from != nil {
			before = max(from.load, to.load)
			from.load -= p.cost(q, from)
			from.queues = slices.DeleteFunc(from.queues, func(o *queue) bool { return o == q })
		}
		to.take(q, p)
		least := h.limits.MinGain
		switch d.Cause {
		case Imbalance:
			if i > 0 && all[i-1].Cause == Imbalance && all[i-1].From == d.From || i+1 < len(all) && all[i+1].Cause == Imbalance && all[i+1].From == d.From {
				least /= smallest // several in a row
			}
			fallthrough
		case Overload:
			if after := max(from.load, to.load); before-after < least-rounding || to.load > worst+rounding {
				t.Fatalf("gains too little: from %.3f to %.3f: %s", before, after, d.Reason)
			}
		case Coalesce:
			if to.load > h.limits.Lower+rounding {
				t.Fatalf("fills %d to %.3f: %s", d.To, to.load, d.Reason)
			}
		case Remote: // several may change places
			if last := i+1 == len(all) || all[i+1].Cause != Remote; last && peak() > beforeHome+rounding {
				t.Fatalf("a new maximum, %.3f instead of %.3f: %s", peak(), beforeHome, d.Reason)
			}
		}
	}
}

// checkPlaces makes sure that every queue has exactly one worker that lives.
func checkPlaces(t *rapid.T, h *host) {
	for _, q := range h.queues {
		i := slices.IndexFunc(h.workers, func(w WorkerLoad) bool { return w.ID == q.Worker })
		if i < 0 || h.workers[i].State == Gone {
			if !slices.ContainsFunc(h.workers, func(w WorkerLoad) bool { return w.State == Running }) {
				continue
			}
			t.Fatalf("%v is at worker %d, which does not live", q.QueueKey, q.Worker)
		}
	}
}

func TestEveryRoundKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHost(t)
		for range 60 {
			for _, q := range h.queues {
				if rapid.IntRange(0, 9).Draw(t, "changes") == 0 {
					q.want = load(t)
				}
			}
			if rapid.IntRange(0, 19).Draw(t, "accident") == 0 {
				h.workers[rapid.IntRange(0, len(h.workers)-1).Draw(t, "who")].State = State(rapid.IntRange(0, 2).Draw(t, "state"))
			}
			s := h.sample()
			all := h.b.Decide(s)
			checkRound(t, h, s, all)
			if len(h.vports) == 0 { // who gets a queue brings load with it
				checkGain(t, h, s, all)
			}
			h.carryOut(all)
			h.at += h.step
			checkPlaces(t, h)
		}
	})
}

// Under constant load the decisions end, and unless demand was hidden, what was found is no worse than what was there.
func TestConstantLoadComesToRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHost(t)
		h.run(time.Second)
		before := slices.Max(h.loads())
		rounds := 400 + len(h.queues)*int(h.limits.Residence/h.limits.Interval)
		h.run(time.Duration(rounds) * h.limits.Interval)
		for range 200 {
			for _, d := range h.round() {
				if d.Kind != Refused {
					t.Fatalf("after %d rounds of constant load, loads %.3v: %s", rounds, h.loads(), d.Reason)
				}
			}
		}
		if after := slices.Max(h.loads()); before < saturated && after > max(before, h.limits.Lower)+1e-9 {
			t.Fatalf("the busiest worker had %.3f, and now has %.3f", before, after)
		}
	})
}

func TestEqualSamplesMakeEqualDecisions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHost(t)
		twin, err := New(h.limits)
		assert.NoError(t, err)
		for range 20 {
			s := h.sample()
			again := s
			again.Queues, again.Workers, again.Vports = slices.Clone(s.Queues), slices.Clone(s.Workers), slices.Clone(s.Vports)
			slices.Reverse(again.Queues)
			slices.Reverse(again.Workers)
			slices.Reverse(again.Vports)
			all := h.b.Decide(s)
			if other := twin.Decide(again); fmt.Sprint(all) != fmt.Sprint(other) {
				t.Fatalf("%v and %v", all, other)
			}
			h.carryOut(all)
			h.at += h.step
		}
	})
}

// Samples may hold anything: a worker's counters that jump, queues that nobody knows, time that stands still.
func TestOddSamplesAreSurvived(t *testing.T) {
	odd := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, 1, -1, 1e300}))
	rapid.Check(t, func(t *rapid.T) {
		b, err := New(drawLimits(t))
		assert.NoError(t, err)
		for range 30 {
			s := Sample{At: time.Duration(rapid.Int64Range(-1e9, 1e12).Draw(t, "at"))}
			for range rapid.IntRange(0, 4).Draw(t, "workers") {
				s.Workers = append(s.Workers, WorkerLoad{ID: rapid.IntRange(-1, 4).Draw(t, "id"), Node: rapid.IntRange(-1, 1).Draw(t, "node"), Busy: odd.Draw(t, "busy"), State: State(rapid.IntRange(0, 2).Draw(t, "state"))})
			}
			for range rapid.IntRange(0, 6).Draw(t, "queues") {
				s.Queues = append(s.Queues, QueueLoad{QueueKey: QueueKey{uint32(rapid.IntRange(0, 1).Draw(t, "port")), uint16(rapid.IntRange(0, 3).Draw(t, "queue"))}, Worker: rapid.IntRange(-1, 5).Draw(t, "at worker"),
					Busy: odd.Draw(t, "busy"), PacketsPerSec: odd.Draw(t, "packets"), LostPerSec: odd.Draw(t, "lost"), Burst: odd.Draw(t, "burst"), Full: odd.Draw(t, "full"), Divisible: true,
					Handed: rapid.SliceOfN(rapid.IntRange(0, 4), 0, 3).Draw(t, "handed")})
			}
			s.Uplinks = []Uplink{{Port: 0, Own: []uint16{1, 2, 2, 9}}, {Port: 1, Mode: Mode(rapid.IntRange(0, 3).Draw(t, "mode"))}}
			for range rapid.IntRange(0, 4).Draw(t, "vports") {
				s.Vports = append(s.Vports, VportLoad{Vport: uint32(rapid.IntRange(0, 3).Draw(t, "vport")), Uplink: uint32(rapid.IntRange(0, 2).Draw(t, "uplink")), Busy: odd.Draw(t, "busy"), Queue: rapid.IntRange(-3, 4).Draw(t, "owns")})
			}
			for _, d := range b.Decide(s) {
				if d.Kind == MoveQueue && !slices.ContainsFunc(s.Workers, func(w WorkerLoad) bool { return w.ID == d.To && w.State == Running }) {
					t.Fatalf("%+v", d)
				}
			}
		}
	})
}

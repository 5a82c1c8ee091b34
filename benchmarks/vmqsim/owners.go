package vmqsim

import (
	"context"
	"slices"
	"time"

	"github.com/sluicenet/sluice/dataplane/vmq"
)

// OwnersScenario is the load of an uplink whose queues belong to VMs.
type OwnersScenario struct {
	Scenario
	Shared int `json:"shared"` // queues for everybody
	Own    int `json:"own"`    // queues that a VM may own
}

// Owners says which VMs got a queue of their own when they became busy.
type Owners struct {
	Mode     string  `json:"mode"`
	Episodes int     `json:"episodes"`        // in which a VM was busy for at least three seconds
	Served   int     `json:"served"`          // in which it owned a queue, or got one
	Had      int     `json:"had"`             // of these, it owned one already
	P50      float64 `json:"p50Seconds"`      // until it got one
	P99      float64 `json:"p99Seconds"`      //
	Most     float64 `json:"mostSeconds"`     //
	FreeMost float64 `json:"freeMostSeconds"` // where one was free
	OwnTime  float64 `json:"ownTime"`         // share of busy VMs' time in which they owned one
	Changes  float64 `json:"changesPerMinute"`
}

// OwnersOutcome is the comparison of modes.
type OwnersOutcome struct {
	Scenario OwnersScenario `json:"scenario"`
	Modes    []Owners       `json:"modes"`
}

const (
	busyFrom = 0.1 // of a worker: twice what is worth a queue
	busyFor  = 3 * time.Second
)

// PublishedOwners is the load of the published comparison: a queue for one VM in thirty, and fewer busy ones than queues.
func PublishedOwners() OwnersScenario {
	return OwnersScenario{Scenario{Name: "owners", Says: "one uplink, VMs that burst", Cores: 32, Nodes: 1, VMs: 2000, Time: 30 * time.Minute, Mean: 0.25, Tail: 1.6, Most: 0.6, Bursts: 0.6,
		Noise: 0.05, Seed: 7}, 8, 64}
}

// episode is a time in which a VM is busy.
type episode struct {
	begin time.Duration
	got   time.Duration // since begin; negative: not yet
	had   bool
	free  bool // a queue was free when it began
	busy  bool
}

// ownerHost is a host with one uplink: queues that all share, then those that VMs may own.
type ownerHost struct {
	*Host
	s      OwnersScenario
	owner  []int // queue of each VM, or vmq.NoQueue
	used   int   // queues that are owned
	demand []float64
	vms    []float64
}

// RunOwners plays the scenario with dynamic and with static owners.
func RunOwners(ctx context.Context, s OwnersScenario) (*OwnersOutcome, error) {
	out := &OwnersOutcome{Scenario: s}
	for name, mode := range map[string]vmq.Mode{"dynamic": vmq.Dynamic, "static": vmq.Static} {
		o, err := runOwners(ctx, s, mode)
		if err != nil {
			return nil, err
		}
		o.Mode = name
		out.Modes = append(out.Modes, *o)
	}
	slices.SortFunc(out.Modes, func(x, y Owners) int { return len(y.Mode) - len(x.Mode) })
	return out, nil
}

func runOwners(ctx context.Context, s OwnersScenario, mode vmq.Mode) (*Owners, error) {
	load := NewLoad(s.Scenario)
	h := &ownerHost{s: s, owner: make([]int, s.VMs), demand: make([]float64, s.Shared+s.Own)}
	h.Host = newHost(s.Scenario, &Load{Demand: h.demand, Node: make([]int, len(h.demand))})
	for i := range h.owner {
		h.owner[i] = vmq.NoQueue
	}
	who, err := newOurs(vmq.DefaultLimits())
	if err != nil {
		return nil, err
	}
	who.start(h.Host)
	u := vmq.Uplink{Port: 0, Mode: mode}
	for q := range h.demand {
		who.sample.Queues[q].QueueKey = vmq.QueueKey{Port: 0, Queue: uint16(q)}
		if q >= s.Shared {
			u.Own = append(u.Own, uint16(q))
		}
	}
	who.sample.Uplinks = []vmq.Uplink{u}
	who.sample.Vports = make([]vmq.VportLoad, s.VMs)
	t := &tally{episodes: make([]episode, s.VMs)}
	for at := time.Duration(0); at < s.Time; at += Step {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		load.Next(at)
		h.vms = load.Demand
		h.receive()
		t.see(h, at)
		t.changes += h.steer(who, at)
	}
	return t.result(s.Time), nil
}

// receive puts what VMs receive into the queues by which it comes.
func (h *ownerHost) receive() {
	clear(h.demand)
	h.used = 0
	for i, v := range h.vms {
		q := h.owner[i]
		if q == vmq.NoQueue {
			q = i % h.s.Shared
		} else {
			h.used++
		}
		h.demand[q] += v
	}
	h.Serve(h.demand)
}

// steer lets the balancer decide, and carries out what it says at once.
func (h *ownerHost) steer(who *ours, at time.Duration) (changes int) {
	who.sample.At = at
	for w := range who.sample.Workers {
		who.sample.Workers[w].Busy = h.Busy[w]
	}
	for q := range h.demand {
		who.sample.Queues[q].Worker, who.sample.Queues[q].Busy = h.At[q], h.Served[q]
	}
	for i := range who.sample.Vports {
		q := h.owner[i]
		if q == vmq.NoQueue {
			q = i % h.s.Shared
		}
		share := 1.0
		if h.demand[q] > 0 { // of what was asked for, as much was served as of the queue
			share = min(h.Served[q]/h.demand[q], 1)
		}
		who.sample.Vports[i] = vmq.VportLoad{Vport: uint32(i), Busy: h.vms[i] * share, Queue: h.owner[i]}
	}
	for _, d := range who.b.Decide(who.sample) {
		switch d.Kind {
		case vmq.MoveQueue:
			h.Move(int(d.Queue.Queue), d.To)
		case vmq.Steer:
			h.owner[d.Vport] = int(d.Queue.Queue)
			changes++
		case vmq.Unsteer:
			h.owner[d.Vport] = vmq.NoQueue
		}
	}
	return changes
}

// tally follows the episodes.
type tally struct {
	episodes     []episode
	done         []episode
	busy, owning int // VM steps
	changes      int
}

func (t *tally) see(h *ownerHost, at time.Duration) {
	for i, v := range h.vms {
		e := &t.episodes[i]
		owns := h.owner[i] != vmq.NoQueue
		switch busy := v >= busyFrom; {
		case busy && !e.busy:
			*e = episode{begin: at, got: -1, had: owns, free: h.used < h.s.Own, busy: true}
		case !busy && e.busy:
			if e.busy = false; at-e.begin >= busyFor {
				t.done = append(t.done, *e)
			}
		}
		if e.busy {
			t.busy++
			if owns {
				t.owning++
				if e.got < 0 {
					e.got = at - e.begin
				}
			}
		}
	}
}

func (t *tally) result(time time.Duration) *Owners {
	o := &Owners{Episodes: len(t.done), OwnTime: float64(t.owning) / float64(max(t.busy, 1)), Changes: float64(t.changes) / time.Minutes()}
	var waits []float64
	for _, e := range t.done {
		if e.got < 0 {
			continue
		}
		if o.Served++; e.had {
			o.Had++
			continue
		}
		waits = append(waits, e.got.Seconds())
		if e.free {
			o.FreeMost = max(o.FreeMost, e.got.Seconds())
		}
	}
	if slices.Sort(waits); len(waits) > 0 {
		o.P50, o.P99, o.Most = waits[len(waits)/2], waits[len(waits)*99/100], waits[len(waits)-1]
	}
	return o
}

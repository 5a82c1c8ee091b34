package sequence

import (
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"time"
)

// Totals are what all pollers of a Net have seen since Start.
type Totals struct {
	Made       uint64 `json:"made"`
	Arrived    uint64 `json:"arrived"`    // at their port, each once
	Lost       int64  `json:"lost"`       // missing in front of others; what is under way does not count, see Stop
	Reordered  uint64 `json:"reordered"`  // arrived behind a later one
	Duplicated uint64 `json:"duplicated"` // arrived twice
	Corrupted  uint64 `json:"corrupted"`  // arrived, but a header or the payload is not what it must be
	Misrouted  uint64 `json:"misrouted"`  // left by another port than theirs
	Foreign    uint64 `json:"foreign"`    // packets at a sequence port that are no numbered ones, and no ARP of an uplink
	// LongestTurn is the longest time between two polls of one worker.
	LongestTurn time.Duration `json:"longestTurnNs"`
}

// OK reports that not one packet of what was made is missing or was changed. It holds once Stop has returned.
func (t *Totals) OK() bool {
	return t.Made == t.Arrived && t.Lost == 0 && t.Reordered == 0 && t.Duplicated == 0 && t.Corrupted == 0 && t.Misrouted == 0
}

// String says it in one line.
func (t *Totals) String() string {
	return fmt.Sprintf("%d made, %d arrived, %d lost, %d reordered, %d duplicated, %d corrupted, %d misrouted, %d foreign, longest turn %s",
		t.Made, t.Arrived, t.Lost, t.Reordered, t.Duplicated, t.Corrupted, t.Misrouted, t.Foreign, t.LongestTurn.Round(time.Microsecond))
}

// Totals sums up all pollers. Any goroutine may call it at any time; while packets run, the figures of one poller are of
// one moment, those of several of neighbouring ones.
func (n *Net) Totals() (t Totals) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pollers {
		t.add(p.published())
	}
	return t
}

func (t *Totals) add(o Totals) {
	t.Made += o.Made
	t.Arrived += o.Arrived
	t.Lost += o.Lost
	t.Reordered += o.Reordered
	t.Duplicated += o.Duplicated
	t.Corrupted += o.Corrupted
	t.Misrouted += o.Misrouted
	t.Foreign += o.Foreign
	t.LongestTurn = max(t.LongestTurn, o.LongestTurn)
}

// Incident is one thing that should not have happened.
type Incident struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	Stream string    `json:"stream,omitempty"`
	Detail string    `json:"detail"`
}

// String says it in one line.
func (i Incident) String() string {
	return fmt.Sprintf("%s %s %s: %s", i.At.Format("15:04:05.000"), i.What, i.Stream, i.Detail)
}

const (
	maxIncidents = 32
	dumpBytes    = 96
)

// note keeps an incident. It is the only place that allocates, and is reached only when something is wrong.
func (n *Net) note(what string, s *stream, detail string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.incidents) == maxIncidents {
		n.unlisted++
		return
	}
	i := Incident{At: time.Now(), What: what, Detail: detail}
	if s != nil {
		i.Stream = s.Name
	}
	n.incidents = append(n.incidents, i)
}

func dump(data []byte) string {
	return fmt.Sprintf("%d bytes: %s", len(data), hex.EncodeToString(data[:min(len(data), dumpBytes)]))
}

// Incidents lists what went wrong since Start, the first ones, and how many more there were.
func (n *Net) Incidents() (list []Incident, more int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append(list, n.incidents...), n.unlisted
}

// publish lets others see the poller's totals.
func (p *Poller) publish() {
	s, t := &p.shared, &p.now
	store := func(at *atomic.Uint64, v uint64) {
		if at.Load() != v { // a store costs more than a look
			at.Store(v)
		}
	}
	store(&s.made, t.Made)
	store(&s.arrived, t.Arrived)
	store(&s.reordered, t.Reordered)
	store(&s.duplicated, t.Duplicated)
	store(&s.corrupted, t.Corrupted)
	store(&s.misrouted, t.Misrouted)
	store(&s.foreign, t.Foreign)
	if s.lost.Load() != t.Lost {
		s.lost.Store(t.Lost)
	}
	if s.longest.Load() != int64(t.LongestTurn) {
		s.longest.Store(int64(t.LongestTurn))
	}
}

func (p *Poller) published() Totals {
	s := &p.shared
	return Totals{Made: s.made.Load(), Arrived: s.arrived.Load(), Lost: s.lost.Load(), Reordered: s.reordered.Load(),
		Duplicated: s.duplicated.Load(), Corrupted: s.corrupted.Load(), Misrouted: s.misrouted.Load(), Foreign: s.foreign.Load(),
		LongestTurn: time.Duration(s.longest.Load())}
}

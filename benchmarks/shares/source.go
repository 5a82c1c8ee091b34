package shares

import (
	"container/heap"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"

	"github.com/sluicenet/sluice/benchmarks/profile"
)

// source is one flow: what a VM sends of a stream.
type source struct {
	stream int    // of the run
	vport  int    // number of the VM
	queue  int    // number of the queue of the scheduler that its packets wait in
	frame  []byte // its last trailer bytes are overwritten
	ref    uint32 // of the VM's receive queue
	wire   float64
	share  float64 // bytes a second that it gets when all are busy

	interval float64 // between two frames, ns; 0: off
	next     float64
	queued   bool // it is in the calendar
	seq      uint32
	expected uint32 // by the sink
	known    bool   // one frame has arrived: the switch knows flow and next hop

	window *window // of a controlled stream
}

// window is a sender that heeds congestion.
type window struct {
	dctcp     bool
	rtt       int64
	size      float64 // frames that may be on their way
	threshold float64 // below which it doubles each round trip
	flight    int
	alpha     float64 // DCTCP's estimate of the share of marked packets
	acked     int     // since roundEnd was set
	marked    int
	roundEnd  uint32 // number of the first packet of the next round
	recover   uint32 // losses and marks before it have been answered
	expected  uint32 // number of the next acknowledgement
	heard     int64  // time of the last one
}

// What senders begin with (RFC 6928, RFC 8257, RFC 6298).
const (
	firstWindow   = 10
	smallest      = 1
	dctcpGain     = 1.0 / 16
	quietRoundsMs = 10 // after which a sender takes all for lost; far above a round trip here, as in data centres
)

// jitter is how much the time between two frames of a paced source differs, as a part of it.
const jitter = 0.2

// Kinds of events.
const (
	send   uint8 = iota // a frame of a paced source
	ack                 // of a controlled one
	alarm               // it has heard nothing for long
	change              // of a stream's rate
)

// event is what happens to a source at a time, or, of kind change, to a stream.
type event struct {
	at     float64
	kind   uint8
	marked bool
	which  int32
	seq    uint32
	number uint64 // of two at the same time the earlier noted comes first
}

// calendar is a heap of events.
type calendar []event

func (c calendar) Len() int { return len(c) }
func (c calendar) Less(i, j int) bool {
	return c[i].at < c[j].at || c[i].at == c[j].at && c[i].number < c[j].number
}
func (c calendar) Swap(i, j int) { c[i], c[j] = c[j], c[i] }

// Push implements heap.Interface.
func (c *calendar) Push(x any) { *c = append(*c, x.(event)) }

// Pop implements heap.Interface.
func (c *calendar) Pop() any {
	old := *c
	e := old[len(old)-1]
	*c = old[:len(old)-1]
	return e
}

// arrival is a frame that a VM sent.
type arrival struct {
	source int32
	at     int64
}

// traffic makes what all VMs send.
type traffic struct {
	sources []source
	queues  int       // of the scheduler that take part
	streams [][]int32 // sources by stream of the run
	changes [][]profile.RateChange
	cal     calendar
	ready   []arrival // sent, not received by the switch yet
	at      int       // in ready
	noted   uint64    // events
	random  *rand.Rand
}

func (t *traffic) push(e event) {
	t.noted++
	e.number = t.noted
	heap.Push(&t.cal, e)
}

// begin starts all sources at a time.
func (t *traffic) begin(now int64, streams []profile.Stream) {
	t.cal, t.ready, t.at = t.cal[:0], t.ready[:0], 0
	for i := range streams {
		for _, id := range t.streams[i] {
			s := &t.sources[id]
			s.seq, s.expected = 0, 0
			if s.window != nil {
				s.window.begin(&streams[i], now)
				// Nobody begins in the very same moment.
				t.push(event{at: float64(now) + t.random.Float64()*float64(s.window.rtt), kind: alarm, which: id})
				continue
			}
			t.setRate(id, streams[i].Rate, float64(now))
		}
		for n, c := range streams[i].Changes {
			t.push(event{at: float64(now+rollFor) + float64(c.At), kind: change, which: int32(i), seq: uint32(n)})
		}
	}
}

// end stops all of them.
func (t *traffic) end() { t.cal, t.ready, t.at = t.cal[:0], t.ready[:0], 0 }

// bytesPerSec is a rate of a source.
func (s *source) bytesPerSec(r profile.StreamRate) float64 {
	switch {
	case r.Off():
		return 0
	case r.Times > 0:
		return r.Times * s.share
	case r.PPS > 0:
		return r.PPS * s.wire
	}
	return r.BPS / 8
}

func (t *traffic) setRate(id int32, r profile.StreamRate, now float64) {
	s := &t.sources[id]
	rate := s.bytesPerSec(r)
	if rate == 0 {
		s.interval = 0
		return
	}
	s.interval = s.wire / rate * 1e9
	if !s.queued {
		s.next, s.queued = now+t.random.Float64()*s.interval, true // sources are not in step
		t.push(event{at: s.next, kind: send, which: id})
	}
}

// until lets happen what is due, as long as the switch has room for more.
func (t *traffic) until(now int64, room int) {
	for len(t.ready)-t.at < room && len(t.cal) > 0 && t.cal[0].at <= float64(now) {
		e := heap.Pop(&t.cal).(event)
		s := &t.sources[e.which]
		switch e.kind {
		case send:
			if s.queued = s.interval > 0; s.queued {
				t.ready = append(t.ready, arrival{e.which, int64(e.at)})
				// Evenly in the mean: sources in step would always meet the same room in a full queue.
				s.next += s.interval * (1 - jitter/2 + jitter*t.random.Float64())
				t.push(event{at: s.next, kind: send, which: e.which})
			}
		case change:
			c := t.changes[e.which][e.seq]
			for _, id := range t.streams[e.which] {
				t.setRate(id, c.Rate, e.at)
			}
		case ack:
			s.window.acknowledge(e.seq, e.marked, int64(e.at), s.seq)
			t.fill(e.which, int64(e.at))
		case alarm:
			if s.window.silent(int64(e.at)) {
				s.window.restart(s.seq)
				s.window.heard = int64(e.at)
				t.fill(e.which, int64(e.at))
			}
			t.push(event{at: e.at + quietRoundsMs*float64(time.Millisecond), kind: alarm, which: e.which})
		}
	}
}

// fill sends what the window of a source lets it.
func (t *traffic) fill(id int32, now int64) {
	w := t.sources[id].window
	for float64(w.flight) < math.Max(smallest, math.Floor(w.size)) {
		w.flight++
		t.ready = append(t.ready, arrival{id, now})
	}
}

// take gives the next frame that was sent.
func (t *traffic) take() (a arrival, ok bool) {
	if t.at == len(t.ready) {
		t.ready, t.at = t.ready[:0], 0
		return a, false
	}
	a = t.ready[t.at]
	t.at++
	return a, true
}

func (w *window) begin(s *profile.Stream, now int64) {
	*w = window{dctcp: s.Control == profile.ControlDCTCP, rtt: int64(s.RTT), size: firstWindow, threshold: math.Inf(1), alpha: 1,
		heard: now - int64(quietRoundsMs*time.Millisecond)}
}

// silent reports that nothing was heard for long.
func (w *window) silent(now int64) bool { return now-w.heard >= int64(quietRoundsMs*time.Millisecond) }

// restart takes all that is on its way for lost, unless this is the beginning.
func (w *window) restart(next uint32) {
	if next > 0 {
		w.threshold, w.size = math.Max(w.size/2, 2), smallest
	}
	w.flight, w.expected, w.recover = 0, next, next
}

// acknowledge tells the sender that a packet has arrived; those between it and the one before are lost, as no packet
// overtakes another. next is the number of the next packet that is sent.
func (w *window) acknowledge(seq uint32, marked bool, now int64, next uint32) {
	w.heard = now
	if seq < w.expected {
		return // taken for lost already
	}
	lost := int(seq - w.expected)
	w.expected = seq + 1
	w.flight = max(0, w.flight-lost-1)
	w.acked++
	if marked {
		w.marked++
	}
	switch {
	case lost > 0 && seq >= w.recover:
		w.reduce(0.5, next)
	case marked && !w.dctcp && seq >= w.recover:
		w.reduce(0.5, next)
	case marked && w.dctcp && seq >= w.recover:
		w.reduce(1-w.alpha/2, next)
	case seq < w.recover:
	case w.size < w.threshold:
		w.size++
	default:
		w.size += 1 / w.size
	}
	if seq >= w.roundEnd {
		w.alpha += dctcpGain * (float64(w.marked)/float64(w.acked) - w.alpha)
		w.acked, w.marked, w.roundEnd = 0, 0, next
	}
}

// reduce answers congestion, once for all packets that are on their way.
func (w *window) reduce(factor float64, next uint32) {
	w.size = math.Max(w.size*factor, smallest)
	w.threshold, w.recover = math.Max(w.size, 2), next
}

// The end of a frame says whose it is.
const (
	trailer  = profile.StampBytes // source, number, time of sending
	nobodys  = math.MaxUint32
	greeting = math.MaxUint32 // number of frames before the start
)

func (s *source) stamp(data []byte, id, seq uint32, at int64) {
	copy(data, s.frame)
	end := data[len(data)-trailer:]
	binary.BigEndian.PutUint32(end, id^stampKey)
	binary.BigEndian.PutUint32(end[4:], seq)
	binary.BigEndian.PutUint64(end[8:], uint64(at))
}

// stampKey tells stamped frames from others, whose end is no such number.
const stampKey = 0x5a5a0000

// stampOf reads what stamp wrote; nobodys when it is no such frame.
func stampOf(data []byte, sources int) (id, seq uint32, at int64) {
	if len(data) < trailer {
		return nobodys, 0, 0
	}
	end := data[len(data)-trailer:]
	if id = binary.BigEndian.Uint32(end) ^ stampKey; id >= uint32(sources) {
		return nobodys, 0, 0
	}
	return id, binary.BigEndian.Uint32(end[4:]), int64(binary.BigEndian.Uint64(end[8:]))
}

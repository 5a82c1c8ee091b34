package shares

import (
	"github.com/HdrHistogram/hdrhistogram-go"
)

// Times of what is recorded, ns.
const (
	windowNs  = 10_000_000  // of series
	coarseNs  = 100_000_000 // of errors
	depthNs   = 1_000_000   // between two looks at the queues
	longestNs = 60_000_000_000
	mostBytes = 1 << 36
)

// recorder notes what becomes of the packets of one run.
type recorder struct {
	origin, end int64
	streams     []streamRecord
	coarse      [][]uint32 // bytes by queue and time
	total       []uint64   // bytes by queue
	waiting     int64      // wire bytes in the switch
	depth       *hdrhistogram.Histogram
	peaks       []uint64 // of waiting, by window
	nextLook    int64
	reordered   uint64
}

type streamRecord struct {
	offeredBytes          uint64
	arrived, arrivedBytes uint64
	dropped               uint64
	marked                uint64
	bytes                 []uint64 // by window
	delay                 *hdrhistogram.Histogram
	waiting               int64
	depth                 *hdrhistogram.Histogram
}

func newRecorder(origin, length int64, streams, queues int) *recorder {
	slots := func(of int64) int { return int((length + of - 1) / of) }
	r := &recorder{origin: origin, end: origin + length, streams: make([]streamRecord, streams), coarse: make([][]uint32, queues),
		total: make([]uint64, queues), depth: hdrhistogram.New(1, mostBytes, 2), peaks: make([]uint64, slots(windowNs)), nextLook: origin + depthNs}
	for i := range r.streams {
		r.streams[i] = streamRecord{bytes: make([]uint64, slots(windowNs)),
			delay: hdrhistogram.New(1, longestNs, 3), depth: hdrhistogram.New(1, mostBytes, 2)}
	}
	for i := range r.coarse {
		r.coarse[i] = make([]uint32, slots(coarseNs))
	}
	return r
}

// record notes a value, as the longest that there can be if it is longer.
func record(h *hdrhistogram.Histogram, v int64) {
	_ = h.RecordValue(min(max(v, h.LowestTrackableValue()), h.HighestTrackableValue())) // within the bounds it cannot fail
}

// counts reports that a time is part of the run.
func (r *recorder) counts(at int64) bool { return at >= r.origin && at < r.end }

// offer notes a frame that the switch gets.
func (r *recorder) offer(s *source, wire uint32, now int64) {
	st := &r.streams[s.stream]
	if r.counts(now) {
		st.offeredBytes += uint64(wire)
	}
	st.waiting += int64(wire)
	r.waiting += int64(wire)
}

// drop notes one that it dropped.
func (r *recorder) drop(s *source, wire uint32, now int64) {
	st := &r.streams[s.stream]
	st.waiting -= int64(wire)
	r.waiting -= int64(wire)
	if r.counts(now) {
		st.dropped++
	}
}

// arrive notes one that has left the link at a time; wire is what it took of it, in what it was when it came.
func (r *recorder) arrive(s *source, in, wire uint32, sent, at int64, marked bool) {
	st := &r.streams[s.stream]
	st.waiting -= int64(in)
	r.waiting -= int64(in)
	if !r.counts(at) {
		return
	}
	st.arrived++
	st.arrivedBytes += uint64(wire)
	st.bytes[(at-r.origin)/windowNs] += uint64(wire)
	r.coarse[s.queue][(at-r.origin)/coarseNs] += wire
	r.total[s.queue] += uint64(wire)
	record(st.delay, at-sent)
	if marked {
		st.marked++
	}
}

// look samples the queues.
func (r *recorder) look(now int64) {
	if now < r.nextLook || !r.counts(now) {
		return
	}
	r.nextLook += depthNs
	record(r.depth, r.waiting)
	peak := &r.peaks[(now-r.origin)/windowNs]
	*peak = max(*peak, uint64(max(r.waiting, 0)))
	for i := range r.streams {
		record(r.streams[i].depth, r.streams[i].waiting)
	}
}

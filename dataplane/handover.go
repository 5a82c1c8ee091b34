package dataplane

import (
	"sync/atomic"

	"github.com/sluicenet/sluice/packet"
)

// Workers hand packets for an output with a scheduler to the worker that owns it. Each pair of workers has a lane of its
// own, a bounded ring with one writer and one reader: neither waits for the other, and a writer that loses its core in the
// middle keeps nobody else's packets back, as it would in a ring for all. The packets of one flow come in by one queue,
// hence by one worker and one lane, so that they keep their order.

// laneSize is how many packets wait in a lane: what a writer hands over while the reader is off its core for 100 µs.
const laneSize = 1024

// handed is a row of packets in a lane: all came in by one port and go out by one queue of one.
type handed struct {
	in, out uint32
	queue   uint16
	count   uint16
}

// lane counts in rows and packets that were ever put in or taken out; places are these numbers modulo laneSize. A row never
// wraps around, and holds a packet at least, so that rows need no bound of their own.
type lane struct {
	reader *worker
	rows   []handed         // off the heap
	pkts   []*packet.Packet // likewise

	// the writer's
	rowsIn uint32
	pktsIn uint32
	seen   uint32 // taken, when last asked
	_      [64]byte
	ready  atomic.Uint32 // rows to be read: rowsIn, once per iteration
	_      [60]byte
	taken  atomic.Uint32 // packets that were read
	_      [60]byte

	// the reader's
	rowsOut uint32
	pktsOut uint32
}

func newLane(reader *worker) (*lane, error) {
	rows, err := offHeap[handed](laneSize)
	if err != nil {
		return nil, err
	}
	pkts, err := offHeap[*packet.Packet](laneSize)
	if err != nil {
		freeOffHeap(rows)
		return nil, err
	}
	return &lane{reader: reader, rows: rows, pkts: pkts}, nil
}

func (l *lane) free() {
	freeOffHeap(l.rows)
	freeOffHeap(l.pkts)
	l.rows, l.pkts = nil, nil
}

// put takes packets as far as there is room, the first ones, and tells how many. The reader sees them after show.
func (l *lane) put(in, out uint32, queue uint16, pkts []*packet.Packet) (taken int) {
	if laneSize-(l.pktsIn-l.seen) < uint32(len(pkts)) {
		l.seen = l.taken.Load()
	}
	pkts = pkts[:min(len(pkts), int(laneSize-(l.pktsIn-l.seen)))]
	for taken < len(pkts) {
		at := l.pktsIn % laneSize
		n := copy(l.pkts[at:], pkts[taken:])
		l.rows[l.rowsIn%laneSize] = handed{in, out, queue, uint16(n)}
		l.rowsIn++
		l.pktsIn += uint32(n)
		taken += n
	}
	return taken
}

// show lets the reader see what was put; false when it has seen all before.
func (l *lane) show() bool {
	if l.ready.Load() == l.rowsIn {
		return false
	}
	l.ready.Store(l.rowsIn)
	return true
}

// empty is for the reader.
func (l *lane) empty() bool { return l.ready.Load() == l.rowsOut }

// peek gives the next row and its packets, which stay valid until done.
func (l *lane) peek(ready uint32) (*handed, []*packet.Packet) {
	if l.rowsOut == ready {
		return nil, nil
	}
	row := &l.rows[l.rowsOut%laneSize]
	at := l.pktsOut % laneSize
	return row, l.pkts[at : at+uint32(row.count)]
}

// next passes on to the row after row.
func (l *lane) next(row *handed) {
	l.pktsOut += uint32(row.count)
	l.rowsOut++
}

// done gives the places of all rows passed back to the writer.
func (l *lane) done() {
	if l.taken.Load() != l.pktsOut {
		l.taken.Store(l.pktsOut)
	}
}

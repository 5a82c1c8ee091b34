package dataplane

import "github.com/sluicenet/sluice/packet"

// fastAction is what the loops of rows.go need of an action: one cache line, with the next hop's MAC in place.
type fastAction struct {
	row    uint64 // what packets that are handled together have in common; 0 when no loop serves the action
	peer   uint32 // what came out of NVGRE: the provider address that it must come from; all else: the next hop
	sum    uint32 // of the outer IPv4 header's words without length, TOS and checksum
	maxLen uint16
	delta  uint16
	header [outerLen]byte
	_      uint16
}

// Kinds of rows.
const (
	rowNone uint32 = iota
	rowForward
	rowDecap
	rowEncap
	rowRewriteOut
	rowRewriteIn
)

// Fields of a row.
const (
	rowQueueShift   = 14 // above the port: one row for each queue of an output
	rowKindShift    = 24 // above the queue, which has 10 bits
	rowChangesShift = 32 // neighbours.changes + 1 when header got the next hop's MAC; 0 when it never did, or has none
)

// maxPorts keeps the port of a row within its bits.
const maxPorts = 1 << rowQueueShift

func rowKind(row uint64) uint32 { return uint32(row) >> rowKindShift }

// longestFast keeps the sum of a header, a length and a TOS within what one fold of a checksum takes.
const longestFast = 0xff00 - outerLen

func makeFast(a *action) fastAction {
	f := fastAction{peer: a.nextHop, sum: a.sum, maxLen: min(a.maxLen, longestFast), delta: a.delta, header: a.header}
	if a.flags&flagDecap != 0 {
		f.peer = a.outerSrc
	}
	kind := rowNone
	switch a.flags & flagRewrites {
	case 0:
		kind = [...]uint32{actForward: rowForward, actEncap: rowEncap, actRewriteOut: rowRewriteOut, actRewriteIn: rowRewriteIn}[a.kind]
	case flagDecap:
		if a.kind == actForward {
			kind = rowDecap
		}
	}
	if kind != rowNone {
		f.row = uint64(kind<<rowKindShift | uint32(a.queue)<<rowQueueShift | a.out)
	}
	return f
}

// runFast executes a row of packets from a place in the burst on, and tells where it ended: there if nothing could be done.
func (w *worker) runFast(q *rxQueue, pkts []*packet.Packet, from int, unknown uint64) (end int) {
	actions := q.actions.fast
	f := &actions[w.known[from]]
	if f.row == 0 || !w.resolve(f) {
		return from
	}
	first := w.out.n
	r := row{pkts: pkts[:min(len(pkts), from+packet.MaxTx-first, packet.RxBurst)], actions: actions, known: &w.known, burst: &w.burst,
		tx: &w.io.Tx, sizes: &w.out.size, id: f.row, unknown: unknown, first: uint64(first), at: uint64(from)}
	switch rowKind(f.row) {
	case rowForward:
		r.forward()
	case rowDecap:
		r.decap()
	case rowEncap:
		r.encapsulate()
	default:
		r.rewrite()
	}
	if r.staged > 0 {
		w.out.n += int(r.staged)
		w.out.extend(q.port, uint32(f.row)&(1<<rowKindShift-1), first, r.bytes)
	}
	return int(r.at)
}

// resolve brings the next hop's MAC into an action, unless it is there and no MAC has changed since. It reports false when
// there is none. Packets wait only for a next hop without a MAC; getting one is a change, so every action for it comes by
// here before its packets leave, and those that wait go first. Other next hops' packets do not concern it: one that stays
// silent must not take the loops from all flows.
func (w *worker) resolve(f *fastAction) bool {
	if rowKind(f.row) < rowEncap {
		return true
	}
	changes := uint64(w.sw.neighbours.changes.Load() + 1) // never that of an action that has no MAC yet
	if f.row>>rowChangesShift == changes {
		return true
	}
	if rowKind(f.row) != rowRewriteIn { // whose header has the VM's MAC
		mac := w.sw.neighbours.entries[f.peer].mac.Load()
		if mac == 0 {
			return false
		}
		if len(w.held) > 0 {
			w.releaseHop(f.peer, mac)
		}
		setNextHop(&f.header, mac)
	}
	f.row = f.row&(1<<rowChangesShift-1) | changes<<rowChangesShift
	return true
}

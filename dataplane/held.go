package dataplane

import (
	"slices"
	"sync/atomic"

	"github.com/sluicenet/sluice/packet"
)

// heldPackets wait, complete but for the outer destination MAC, until a next hop answers ARP.
type heldPackets struct {
	hop    uint32 // index in neighbours
	uplink uint32
	n      int
	pkts   [heldPerNextHop]*packet.Packet
	in     [heldPerNextHop]uint32
	rx     [heldPerNextHop]uint16 // receive queue of in
	queue  [heldPerNextHop]uint16
}

// hold keeps a packet for a next hop whose MAC is not known, and asks for it.
func (w *worker) hold(q *rxQueue, a *action, p *packet.Packet) {
	in := q.port
	e := &w.sw.neighbours.entries[a.nextHop]
	ask := e.due(w.now)
	if !ask && e.dead(w.now) {
		w.discard(in, p, ReasonNextHopUnresolved)
		return
	}
	h := w.heldFor(a)
	if h == nil || h.n == heldPerNextHop {
		w.discard(in, p, ReasonNextHopPending)
	} else {
		h.pkts[h.n], h.in[h.n], h.rx[h.n], h.queue[h.n] = p, in, q.queue, a.queue
		h.n++
		w.ctr.of(in).queued++
	}
	if ask {
		w.askNeighbour(e)
	}
}

// heldFor finds where packets for a next hop wait. Of several places (giveHeld), it is the one that is sent last.
func (w *worker) heldFor(a *action) *heldPackets {
	for i := len(w.held) - 1; i >= 0; i-- {
		if w.held[i].hop == a.nextHop {
			return &w.held[i]
		}
	}
	if len(w.held) == cap(w.held) {
		return nil
	}
	w.held = append(w.held, heldPackets{hop: a.nextHop, uplink: a.out})
	return &w.held[len(w.held)-1]
}

// releaseHeld sends what waited for a next hop that is known now, asks again for those that are not, and gives up on
// those that stay silent.
func (w *worker) releaseHeld() {
	for i := range w.held {
		h := &w.held[i]
		e := &w.sw.neighbours.entries[h.hop]
		mac := e.mac.Load()
		if mac == 0 {
			if !e.dead(w.now) && e.due(w.now) {
				w.askNeighbour(e)
			}
			continue
		}
		if w.out.n+h.n > packet.MaxTx {
			break // the next iteration has room
		}
		w.release(h, mac)
	}
	w.dropHeld(ReasonNextHopUnresolved, func(h *heldPackets, _ uint32) bool { return w.sw.neighbours.entries[h.hop].dead(w.now) })
}

// releaseHop sends what waits for one next hop.
func (w *worker) releaseHop(hop uint32, mac uint64) {
	for i := range w.held {
		if h := &w.held[i]; h.hop == hop {
			w.release(h, mac)
		}
	}
}

func (w *worker) release(h *heldPackets, mac uint64) {
	for k, p := range h.pkts[:h.n] {
		setNextHop(p.NVGREFront(), mac)
		w.ctr.of(h.in[k]).queued--
		w.sendQueue(h.in[k], h.uplink, h.queue[k], p)
	}
	h.n = 0
}

// dropHeld gives up on the packets that gone is true of, by where they wait and the port that they came in by, and
// closes the gaps in the list.
func (w *worker) dropHeld(why Reason, gone func(h *heldPackets, in uint32) bool) {
	kept := w.held[:0]
	for i := range w.held {
		h := &w.held[i]
		n := 0
		for k := range h.n {
			p, in := h.pkts[k], h.in[k]
			if gone(h, in) {
				w.ctr.of(in).queued--
				w.discard(in, p, why)
				continue
			}
			h.pkts[n], h.in[n], h.rx[n], h.queue[n] = p, in, h.rx[k], h.queue[k]
			n++
		}
		if h.n = n; n > 0 {
			kept = append(kept, *h)
		}
	}
	w.held = kept
}

// takeHeld gives up the packets that came in by one receive queue, for the worker that gets the queue, which charges them as
// queued from then on.
func (w *worker) takeHeld(port uint32, queue uint16) (taken []heldPackets) {
	kept := w.held[:0]
	for i := range w.held {
		h := w.held[i]
		its, others := heldPackets{hop: h.hop, uplink: h.uplink}, heldPackets{hop: h.hop, uplink: h.uplink}
		for k := range h.n {
			to := &others
			if h.in[k] == port && h.rx[k] == queue {
				to = &its
				w.ctr.of(port).queued--
			}
			to.pkts[to.n], to.in[to.n], to.rx[to.n], to.queue[to.n] = h.pkts[k], h.in[k], h.rx[k], h.queue[k]
			to.n++
		}
		if its.n > 0 {
			taken = append(taken, its)
		}
		if others.n > 0 {
			kept = append(kept, others)
		}
	}
	w.held = kept
	return taken
}

// giveHeld takes over what takeHeld gave. It goes in front of what waits here for the same next hops, so that no packet of a
// flow that comes in later can overtake it. What there is no room for is dropped.
func (w *worker) giveHeld(given []heldPackets) {
	room := min(len(given), cap(w.held)-len(w.held))
	for i := range given[room:] {
		h := &given[room+i]
		for k := range h.n {
			w.discard(h.in[k], h.pkts[k], ReasonNextHopPending)
		}
	}
	w.held = slices.Insert(w.held, 0, given[:room]...)
	for i := range given[:room] {
		for _, in := range given[i].in[:given[i].n] {
			w.ctr.of(in).queued++
		}
	}
}

// refreshNeighbours confirms next hops whose address is old, by unicast, and forgets it when they do not answer.
func (w *worker) refreshNeighbours() {
	for i := range w.sw.neighbours.entries {
		e := &w.sw.neighbours.entries[i]
		if e.mac.Load() == 0 || w.now-e.confirmed.Load() < int64(neighbourAge) {
			continue
		}
		if e.tries.Load() >= arpTries && w.now-e.asked.Load() >= int64(arpRetry) {
			w.sw.neighbours.setMAC(e, 0)
			continue
		}
		if e.due(w.now) {
			w.askNeighbour(e)
		}
	}
}

// event tells control of a source address seen on a port.
type event struct {
	bridge uint32
	port   uint32
	at     int64
	mac    packet.MAC
}

// eventRing is a bounded ring from one worker to control. A full ring loses the event: the address is learned by a later
// packet, because frames to it are flooded until then.
type eventRing struct {
	slots [maxEvents]event
	head  atomic.Uint32 // next to read, control's
	tail  atomic.Uint32 // next to write, the worker's
	lost  atomic.Uint64
}

func (r *eventRing) put(e event) {
	tail := r.tail.Load()
	if tail-r.head.Load() == maxEvents {
		r.lost.Add(1)
		return
	}
	r.slots[tail%maxEvents] = e
	r.tail.Store(tail + 1)
}

func (r *eventRing) get() (event, bool) {
	head := r.head.Load()
	if head == r.tail.Load() {
		return event{}, false
	}
	e := r.slots[head%maxEvents]
	r.head.Store(head + 1)
	return e, true
}

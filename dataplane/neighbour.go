package dataplane

import (
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/packet"
)

const (
	maxNeighbours   = 8192 // next hops in the fabric; a power of two
	neighbourProbes = 64
	heldPerNextHop  = 8  // packets that wait for one next hop, per worker
	maxHeld         = 32 // next hops that packets wait for at once, per worker

	// HeldPerWorker is how many packets may wait at a worker for next hops: a user of the packet pool.
	HeldPerWorker = maxHeld * heldPerNextHop

	arpRetry     = time.Second      // between requests for one next hop
	arpTries     = 3                // requests without an answer before the next hop counts as dead
	arpHoldDown  = 2 * time.Second  // a dead next hop is not asked for again before
	neighbourAge = 30 * time.Second // after which an address is confirmed by a unicast request
)

// neighbours is the ARP cache of the fabric (RFC 826), shared by all workers without locks. An entry is claimed once by
// compare-and-swap and never given back: policy names the provider addresses, so their number is bounded, and the
// index may stay in actions for good. A next hop's MAC is read at every packet: when it changes no flow decides again.
type neighbours struct {
	entries [maxNeighbours]neighbour
	changes atomic.Uint32 // of MACs, counted after the change: what workers have copied is right while it stays
}

type neighbour struct {
	key       atomic.Uint64 // in use (1) | uplink (31) | IPv4 address (32)
	mac       atomic.Uint64 // in the low 48 bits; 0 while unknown
	confirmed atomic.Int64  // clock of the last ARP message that confirmed it, ns
	asked     atomic.Int64  // clock of the last request, ns
	tries     atomic.Uint32 // requests since the last answer
}

const neighbourUsed = 1 << 63

// index finds or claims the entry of a next hop; false when the table is full.
func (n *neighbours) index(uplink uint32, addr uint32) (uint32, bool) {
	key := neighbourUsed | uint64(uplink)<<32 | uint64(addr)
	at := uint32(mix(key, 5)) % maxNeighbours
	for range neighbourProbes {
		e := &n.entries[at]
		k := e.key.Load()
		if k == key || (k == 0 && (e.key.CompareAndSwap(0, key) || e.key.Load() == key)) {
			return at, true
		}
		at = (at + 1) % maxNeighbours
	}
	return 0, false
}

// find is index without claiming.
func (n *neighbours) find(uplink uint32, addr uint32) *neighbour {
	key := neighbourUsed | uint64(uplink)<<32 | uint64(addr)
	at := uint32(mix(key, 5)) % maxNeighbours
	for range neighbourProbes {
		e := &n.entries[at]
		switch e.key.Load() {
		case key:
			return e
		case 0:
			return nil
		}
		at = (at + 1) % maxNeighbours
	}
	return nil
}

// forget makes the next hops of an uplink unknown, once no worker has the uplink any more: what gets its index next may
// be in another fabric. The entries stay claimed.
func (n *neighbours) forget(uplink uint32) {
	for i := range n.entries {
		if e := &n.entries[i]; e.key.Load() != 0 && e.uplink() == uplink {
			n.setMAC(e, 0)
			e.confirmed.Store(0)
			e.asked.Store(0)
			e.tries.Store(0)
		}
	}
}

func (e *neighbour) uplink() uint32 { return uint32(e.key.Load()&^neighbourUsed>>32) & 0x7fffffff }
func (e *neighbour) addr() uint32   { return uint32(e.key.Load()) }

// setMAC changes a next hop's MAC, 0 for unknown.
func (n *neighbours) setMAC(e *neighbour, mac uint64) {
	if e.mac.Swap(mac) != mac {
		n.changes.Add(1)
	}
}

// confirm takes a MAC from an ARP message of the next hop.
func (n *neighbours) confirm(e *neighbour, m packet.MAC, now int64) {
	e.confirmed.Store(now)
	e.tries.Store(0)
	n.setMAC(e, m.Uint64())
}

// due reports whether a request should be sent now, and claims the right to send it: of several workers that want the
// same next hop one asks.
func (e *neighbour) due(now int64) bool {
	asked := e.asked.Load()
	wait := int64(arpRetry)
	if e.tries.Load() >= arpTries {
		wait = int64(arpHoldDown)
	}
	if asked != 0 && now-asked < wait {
		return false
	}
	if !e.asked.CompareAndSwap(asked, now) {
		return false
	}
	if e.tries.Load() >= arpTries {
		e.tries.Store(0)
	}
	e.tries.Add(1)
	return true
}

// dead reports that nobody answered the last requests.
func (e *neighbour) dead(now int64) bool {
	return e.mac.Load() == 0 && e.tries.Load() >= arpTries && now-e.asked.Load() >= int64(arpRetry)
}

// Neighbour is an entry of the fabric's ARP cache.
type Neighbour struct {
	Uplink uint32
	Addr   packet.Addr
	MAC    packet.MAC
	State  string        // reachable, stale (a confirmation is due), incomplete (asked, no answer yet), failed
	Age    time.Duration // since the last confirmation; 0 when there was none
}

func (n *neighbours) list(now int64) []Neighbour {
	var all []Neighbour
	for i := range n.entries {
		e := &n.entries[i]
		if e.key.Load() == 0 || e.asked.Load()|e.confirmed.Load() == 0 {
			continue // free, or nobody needed it since its uplink came
		}
		nb := Neighbour{Uplink: e.uplink(), Addr: packet.AddrFrom4(e.addr()), MAC: packet.MACFromUint64(e.mac.Load())}
		if c := e.confirmed.Load(); c != 0 {
			nb.Age = time.Duration(max(now-c, 0)) // a worker's clock may be ahead
		}
		nb.State = e.state(now)
		all = append(all, nb)
	}
	return all
}

func (e *neighbour) state(now int64) string {
	switch {
	case e.mac.Load() != 0 && now-e.confirmed.Load() <= int64(neighbourAge+arpRetry):
		return "reachable"
	case e.mac.Load() != 0:
		return "stale"
	case e.dead(now):
		return "failed"
	}
	return "incomplete"
}

package dataplane

import (
	"math/bits"
	"sync/atomic"

	"github.com/sluicenet/sluice/packet"
)

// numCells is the number of epoch cells, 256 KiB of counters: as many as the index has values. Two addresses that share a
// cell only make each other's flows decide again.
const numCells = 1 << 16

// epochs are the counters that make known flows decide again. A flow remembers the sum of two cells, that of its source
// and that of its target; both only grow, so the sum is unchanged only while both are.
//
// Order: control changes the policy first and bumps the cell then; a worker reads the policy first, then the cells, and
// afterwards makes sure that the policy is still the one it read (Switch.decide). Whatever the interleaving, no flow
// keeps a new cell value with an old decision.
type epochs struct {
	cells [numCells]atomic.Uint32
}

func (e *epochs) sum(src, dst uint16) uint32 {
	return e.cells[src].Load() + e.cells[dst].Load()
}

func (e *epochs) bump(cell uint16) { e.cells[cell].Add(1) }

func (e *epochs) bumpAll() {
	for i := range e.cells {
		e.cells[i].Add(1)
	}
}

func mixCell(a, b uint64) uint16 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xc2b2ae3d27d4eb4f)
	return uint16((hi ^ lo) >> 24)
}

// portCell is the cell of everything that a vport sends.
func portCell(port uint32) uint16 { return mixCell(1<<32|uint64(port), 1) }

// addrCell is the cell of a customer address in a routing domain.
func addrCell(rdid uint32, a packet.Addr) uint16 { return mixCell(2<<32|uint64(rdid), a.Hi*31+a.Lo) }

// paCell is the cell of a provider address that belongs to a VM.
func paCell(a packet.Addr) uint16 { return mixCell(5<<32, a.Hi*31+a.Lo) }

// macCell is the cell of an Ethernet address in a layer-2 domain: a VSID, or a bridge.
func macCell(domain uint32, bridge bool, m packet.MAC) uint16 {
	kind := uint64(3)
	if bridge {
		kind = 4
	}
	return mixCell(kind<<32|uint64(domain), m.Uint64())
}

package dataplane

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
)

// TestRowTwins holds the loops over rows and what they are made from in Go equal, on rows that end for all reasons.
func TestRowTwins(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	arenas := [2]*memport.Arena{memport.NewArena(packet.RxBurst, 256), memport.NewArena(packet.RxBurst, 256)}
	var staged, passed, ended [numRowLoops]int
	for round := range 20000 {
		loop := round % numRowLoops
		c := makeRowCase(r, loop)
		var rows [2]*row
		for i, arena := range arenas {
			rows[i] = c.row(arena)
		}
		runRow(rows[0], loop, false)
		runRow(rows[1], loop, true)
		require.Equal(t, rows[1].at, rows[0].at)
		require.Equal(t, rows[1].staged, rows[0].staged)
		require.Equal(t, rows[1].bytes, rows[0].bytes)
		require.True(t, *rows[1].sizes == *rows[0].sizes, "sizes of what is sent")
		for i, p := range rows[0].pkts {
			q := rows[1].pkts[i]
			if !bytes.Equal(q.Data(), p.Data()) || q.DataOff != p.DataOff || q.PktLen != p.PktLen || q.VLANTCI != p.VLANTCI {
				require.Equal(t, q.Data(), p.Data(), "loop %d, packet %d", loop, i)
				require.Equal(t, [...]any{q.DataOff, q.PktLen, q.VLANTCI}, [...]any{p.DataOff, p.PktLen, p.VLANTCI})
			}
		}
		for i := range rows[0].staged {
			require.True(t, place(rows[1], i) == place(rows[0], i), "packet %d of those sent", i)
		}
		for i, p := range rows[0].pkts {
			arenas[0].Put(p)
			arenas[1].Put(rows[1].pkts[i])
		}
		staged[loop] += int(rows[0].staged)
		passed[loop] += int(rows[0].at - c.at - rows[0].staged)
		if int(rows[0].at) < len(c.frames) {
			ended[loop]++
		}
	}
	for loop := range numRowLoops {
		require.Greater(t, staged[loop], 10000)
		require.Greater(t, passed[loop], 500)
		require.Greater(t, ended[loop], 500)
	}
}

// TestLookTwins holds the look into first places and what it is made from in Go equal.
func TestLookTwins(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	arena := memport.NewArena(packet.RxBurst, 256)
	var pkts []*packet.Packet
	for range packet.RxBurst {
		p := arena.Get(nil)
		p.Append(60 + r.IntN(100))
		pkts = append(pkts, p)
	}
	cells := new(epochs)
	table, err := newFlowTable[packet.Key, *packet.Key](1<<10, 1)
	require.NoError(t, err)
	defer table.free()
	found, elsewhere := 0, 0
	for range 5000 {
		burst := new(packet.Burst)
		l := firstLook{pkts: pkts[:1+r.IntN(len(pkts))], slots: table.slots, burst: burst, cells: cells, mask: table.mask,
			plain: r.Uint64() | r.Uint64(), tick: uint64(r.Uint32()), known: new([packet.RxBurst]uint32)}
		if r.IntN(2) == 0 {
			l.actions = make([]fastAction, 8)
			for i := range l.actions {
				l.actions[i].peer = r.Uint32N(2)
			}
		}
		for i := range l.pkts {
			burst.Key[i], burst.Hash[i], burst.Outer[i].Src = packet.Key{r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()}, r.Uint64(), r.Uint32N(2)
			f := &table.slots[burst.Hash[i]&table.mask]
			*f = flow[packet.Key]{key: burst.Key[i], action: r.Uint32N(8), packets: r.Uint64(), bytes: r.Uint64(), srcCell: uint16(r.Uint32()), dstCell: uint16(r.Uint32())}
			cells.bump(f.srcCell)
			f.epoch = cells.sum(f.srcCell, f.dstCell)
			switch r.IntN(16) {
			case 0:
				f.epoch++
			case 1:
				f.key[r.IntN(4)] ^= 1 << r.IntN(64)
			}
		}
		twin, before := l, slices.Clone(table.slots)
		twin.known = new([packet.RxBurst]uint32)
		*twin.known, *l.known = [packet.RxBurst]uint32{9}, [packet.RxBurst]uint32{9}
		l.look()
		after := slices.Clone(table.slots)
		copy(table.slots, before)
		twin.lookGo()
		require.Equal(t, table.slots, after)
		require.Equal(t, twin.elsewhere, l.elsewhere)
		require.Equal(t, twin.known, l.known)
		found += bits.OnesCount64(l.plain & (1<<len(l.pkts) - 1) &^ l.elsewhere)
		elsewhere += bits.OnesCount64(l.elsewhere)
	}
	require.Greater(t, found, 10000)
	require.Greater(t, elsewhere, 10000)
}

// place tells which packet of the burst was staged at a place.
func place(r *row, i uint64) int {
	for k, p := range r.pkts {
		if r.tx[r.first+i] == p {
			return k
		}
	}
	return -1
}

const numRowLoops = 4

func runRow(r *row, loop int, twin bool) {
	asm := [numRowLoops]func(*row){(*row).forward, (*row).decap, (*row).encapsulate, (*row).rewrite}
	inGo := [numRowLoops]func(*row){(*row).forwardGo, (*row).decapGo, (*row).encapsulateGo, (*row).rewriteGo}
	if twin {
		inGo[loop](r)
	} else {
		asm[loop](r)
	}
}

// rowCase is a burst and what is known of it.
type rowCase struct {
	frames  [][]byte
	offsets []uint16
	vlan    []uint16
	actions []fastAction
	burst   packet.Burst
	known   [packet.RxBurst]uint32
	unknown uint64
	first   uint64
	at      uint64
}

const rowOfCases = 77

func makeRowCase(r *rand.Rand, loop int) *rowCase {
	c := &rowCase{first: r.Uint64N(packet.MaxTx - packet.RxBurst), actions: make([]fastAction, 8)}
	for i := 1; i < len(c.actions); i++ {
		a := &c.actions[i]
		*a = fastAction{row: rowOfCases, sum: r.Uint32N(0xffff), maxLen: 1500, delta: uint16(r.Uint32())}
		for k := range a.header {
			a.header[k] = byte(r.Uint32())
		}
		switch r.IntN(12) {
		case 0:
			a.row++
		case 1:
			a.maxLen = 60
		case 2:
			a.delta = []uint16{0, 0xffff}[r.IntN(2)]
		}
	}
	n := 1 + r.IntN(packet.RxBurst)
	for i := range n {
		f := make([]byte, 54+r.IntN(30))
		for k := 0; k < len(f); k += 8 {
			var word [8]byte
			binary.NativeEndian.PutUint64(word[:], r.Uint64())
			copy(f[k:], word[:])
		}
		f[23] = []byte{packet.ProtoTCP, packet.ProtoUDP}[r.IntN(2)]
		if r.IntN(4) == 0 { // checksums that are special
			binary.BigEndian.PutUint16(f[[]int{24, 40, 50}[r.IntN(3)]:], []uint16{0, 0xffff, 1, c.actions[1].delta}[r.IntN(4)])
		}
		c.frames, c.vlan = append(c.frames, f), append(c.vlan, uint16(r.Uint32()))
		c.offsets = append(c.offsets, packet.Headroom)
		if loop == 2 && r.IntN(100) == 0 {
			c.offsets[i] = uint16(30 + r.IntN(20))
		}
		c.burst.Hash[i] = r.Uint64()
		c.burst.Outer[i].TOS = f[15]
		if r.IntN(40) == 0 {
			c.burst.Outer[i].TOS ^= byte(r.Uint32())
		}
		c.known[i] = 1 + r.Uint32N(3)
		if r.IntN(5) == 0 {
			c.known[i] = r.Uint32N(8)
		}
		if c.known[i] == 0 && r.IntN(8) != 0 {
			c.unknown |= 1 << i
		}
	}
	c.at = r.Uint64N(uint64(n))
	return c
}

// row makes a row of the case, of packets of its own.
func (c *rowCase) row(arena *memport.Arena) *row {
	r := &row{actions: c.actions, known: &c.known, burst: &c.burst, tx: new([packet.MaxTx]*packet.Packet), sizes: new([packet.MaxTx]uint32),
		id: rowOfCases, unknown: c.unknown, first: c.first, at: c.at}
	for i, f := range c.frames {
		p := arena.Get(nil)
		p.DataOff, p.VLANTCI = c.offsets[i], c.vlan[i]
		p.Append(len(f))
		copy(p.Data(), f)
		r.pkts = append(r.pkts, p)
	}
	return r
}

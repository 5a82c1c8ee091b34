package dataplane

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicenet/sluice/packet"
)

// TestFlowTableAgainstMap drives a table and a map with the same random steps.
func TestFlowTableAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, err := newFlowTable[packet.Key, *packet.Key](1<<10, rapid.Uint64().Draw(t, "seed"))
		require.NoError(t, err)
		defer table.free()
		model := map[packet.Key]uint32{}
		released := map[uint32]int{}
		inserted := map[uint32]int{}
		now := uint32(1)
		release := func(a uint32) {
			released[a]++
			for k, v := range model {
				if v == a {
					delete(model, k)
				}
			}
		}
		next := uint32(1)
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			k := packet.Key{uint64(rapid.IntRange(0, 600).Draw(t, "key")), 7, 7, 7}
			hash := k.Hash(table.seed)
			f := table.lookup(&k, hash)
			want, known := model[k]
			require.Equal(t, known, f != nil, "key %d", k[0])
			if known {
				require.Equal(t, want, f.action)
				f.seen = now
			} else if f := table.insert(&k, hash, now, release); f != nil {
				f.action = next
				model[k] = next
				inserted[next]++
				next++
			}
			switch rapid.IntRange(0, 9).Draw(t, "event") {
			case 0:
				now += uint32(rapid.IntRange(1, 100).Draw(t, "time"))
			case 1:
				table.migrate(migrateBatch, now, release)
			case 2:
				table.sweep(64, now, 200, release, nil)
			case 3:
				if f := table.lookup(&k, hash); f != nil {
					table.remove(f, hash, release)
				}
			}
			require.Equal(t, len(model), table.count)
		}
		for a, n := range released {
			require.Equal(t, 1, n, "action %d released once", a)
		}
	})
}

func TestFlowTableKeepsBusyFlows(t *testing.T) {
	table, err := newFlowTable[packet.Key, *packet.Key](256, 1)
	require.NoError(t, err)
	defer table.free()
	evicted := map[uint32]bool{}
	release := func(a uint32) { evicted[a] = true }
	insert := func(id uint64, packets uint64, now uint32) bool {
		k := packet.Key{id}
		f := table.insert(&k, k.Hash(table.seed), now, release)
		if f == nil {
			return false
		}
		f.action, f.packets = uint32(id), packets
		return true
	}
	busy := 0
	for id := uint64(1); id <= 100; id++ {
		if insert(id, 1000, 10) {
			busy++
		}
	}
	require.Equal(t, 100, busy)
	refused := 0
	for id := uint64(1000); id < 20000; id++ {
		if !insert(id, 1, 11) {
			refused++
		}
	}
	require.Positive(t, refused, "a flood of new flows is refused")
	for id := uint32(1); id <= 100; id++ {
		require.False(t, evicted[id], "busy flow %d was pushed out by a flood", id)
	}
	require.EqualValues(t, refused, table.stats.Refused)
}

// Known flows stay through seconds without packets, as many as they had packets, while new ones fill the table again and
// again; and are found among them.
func TestFullFlowTableKeepsKnownFlows(t *testing.T) {
	table, err := newFlowTable[packet.Key, *packet.Key](1<<12, 7)
	require.NoError(t, err)
	defer table.free()
	evicted := map[uint32]bool{}
	release := func(a uint32) { evicted[a] = true }
	insert := func(id, packets uint64, now uint32) bool {
		k := packet.Key{id}
		f := table.insert(&k, k.Hash(table.seed), now, release)
		if f != nil {
			f.action, f.packets = uint32(id), packets
		}
		return f != nil
	}
	const known, second = 500, uint32(60)
	for id := uint64(1); id <= known; id++ {
		require.True(t, insert(id, 2+id%100, 0))
	}
	next := uint64(known + 1)
	for now := uint32(1); now < 62*second; now += 3 {
		for range 500 {
			insert(next, 1, now)
			next++
		}
		for id := uint64(1); id <= known; id++ {
			k := packet.Key{id}
			f := table.lookup(&k, k.Hash(table.seed))
			require.Equal(t, evicted[uint32(id)], f == nil)
			if now < uint32(min(2+id%100, maxGracePackets))*packetGrace {
				require.NotNil(t, f, "flow %d of %d packets was evicted after %d ticks", id, 2+id%100, now)
			}
		}
	}
	require.Greater(t, table.stats.Evictions, uint64(100_000), "new flows took places from each other")
	require.LessOrEqual(t, table.count, len(table.slots))
}

func TestFlowTableGrowsToItsBound(t *testing.T) {
	table, err := newFlowTable[packet.Key, *packet.Key](1<<14, 3)
	require.NoError(t, err)
	defer table.free()
	require.Len(t, table.slots, minFlowSlots+maxProbes, "starts small")
	const flows = 1 << 13
	kept := 0
	for id := uint64(1); id <= flows; id++ {
		k := packet.Key{id}
		if f := table.insert(&k, k.Hash(table.seed), 1, func(uint32) {}); f != nil {
			f.action, f.packets = uint32(id), 2
		}
	}
	for id := uint64(1); id <= flows; id++ {
		k := packet.Key{id}
		if table.lookup(&k, k.Hash(table.seed)) != nil {
			kept++
		}
	}
	require.Equal(t, 1<<14, int(table.mask)+1)
	require.Greater(t, float64(kept), 0.99*flows, "half full, nearly every flow finds a place")
}

func TestActionTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, err := newActionTable(64)
		require.NoError(t, err)
		defer table.free()
		held := map[uint32]uint32{} // slot -> the out it stands for
		refs := map[uint32]int{}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			if len(held) > 0 && rapid.Bool().Draw(t, "release") {
				for slot := range held {
					table.release(slot)
					if refs[slot]--; refs[slot] == 0 {
						delete(refs, slot)
						delete(held, slot)
					}
					break
				}
				continue
			}
			out := rapid.Uint32Range(1, 100).Draw(t, "out")
			slot := table.intern(&action{kind: actForward, out: out})
			if slot == 0 {
				require.GreaterOrEqual(t, len(held), 63, "refused while there was room")
				continue
			}
			if was, ok := held[slot]; ok {
				require.Equal(t, was, out, "a slot in use was given to another action")
			}
			held[slot] = out
			refs[slot]++
			unused := 0
			for s := 1; s < table.used; s++ {
				if table.refs[s] == 0 && table.slots[s].kind != actFree {
					unused++
				}
			}
			require.Equal(t, unused, table.idle)
			for s, o := range held {
				require.Equal(t, o, table.slots[s].out)
			}
		}
	})
}

func TestReasonsHaveWords(t *testing.T) {
	names := map[string]Reason{}
	for _, r := range Reasons() {
		require.NotEqual(t, "unknown", r.String(), "reason %d has no name", r)
		require.NotEmpty(t, r.Explain(), r.String())
		require.NotContains(t, names, r.String())
		names[r.String()] = r
	}
}

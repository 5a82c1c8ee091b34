package packet_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluicenet/sluice/packet"
)

// TestHashesOfPortsInARowDoNotCrowd looks at the traffic that tests flow tables most often: under every seed nearly all of
// 512 flows of one host have a place of 4096 for themselves, 6 % expected, and none shares its place with many.
func TestHashesOfPortsInARowDoNotCrowd(t *testing.T) {
	const flows, places = 512, 4096
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		key := packet.Key{r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()}
		wide := packet.WideKey{key[0], key[1], key[2], key[3], r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()}
		seed, first := r.Uint64(), uint16(r.Uint32())
		used, wideUsed := map[uint64]int{}, map[uint64]int{}
		for i := range uint16(flows) {
			port := uint64(binary.LittleEndian.Uint16(binary.BigEndian.AppendUint16(nil, first+i)))
			key[2] = key[2]&^(0xffff<<32) | port<<32
			wide[2] = key[2]
			used[key.Hash(seed)%places]++
			wideUsed[wide.Hash(seed)%places]++
		}
		for _, u := range []map[uint64]int{used, wideUsed} {
			most := 0
			for _, n := range u {
				most = max(most, n)
			}
			assert.Greater(t, len(u), flows*4/5, "seed %#x", seed)
			assert.LessOrEqual(t, most, 8, "seed %#x", seed)
		}
	}
}

package dpdk

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSchedMovesAllPackets(t *testing.T) {
	const vports, each = 16, 8
	s, err := NewSched(vports, vports*each, 25_000_000_000, [SchedClasses - SchedStrict]uint8{4, 3, 2, 1})
	require.NoError(t, err)
	defer s.Close()
	pkts := s.Packets()
	require.Len(t, pkts, vports*each)
	for i, p := range pkts {
		assert.EqualValues(t, 60, p.PktLen)
		p.VLANTCIOuter, p.VLANTCI = uint16(i%vports), uint16(i/vports)
	}
	served := make([]uint64, vports*SchedClasses)
	moved, cycles := s.Run(SchedRun{Drained: true, Packets: vports * each, Served: served})
	assert.EqualValues(t, vports*each, moved)
	assert.Positive(t, cycles)
	for queue, n := range served {
		assert.EqualValues(t, 1, n, "queue %d", queue)
	}
	for i, p := range pkts {
		p.VLANTCI = uint16(SchedStrict + i%(SchedClasses-SchedStrict))
	}
	require.NoError(t, s.Fill())
	moved, _ = s.Run(SchedRun{Packets: 10_000, Served: served, Classes: []uint8{4, 5, 6, 7}})
	assert.GreaterOrEqual(t, moved, uint64(10_000))
	s.Empty()
	for _, p := range pkts {
		assert.EqualValues(t, 1, p.RefCnt, "a packet of the fill that is counted twice or freed")
	}
}

package dataplane

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

// Rows, spans and so all that is done by output are by queue of the output; devices do not notice.
func TestQueuesAreKeptApart(t *testing.T) {
	const port = maxPorts - 1
	rows := map[uint64]bool{}
	for class := range uint8(8) {
		for _, dest := range []uint8{0, 1, 127} {
			f := makeFast(&action{kind: actForward, out: port, queue: makeQueue(class, dest)})
			require.Equal(t, rowForward, rowKind(f.row))
			require.False(t, rows[f.row], "class %d, destination %d", class, dest)
			rows[f.row] = true

			var o txStage
			o.n = 3
			o.extend(1, uint32(f.row)&(1<<rowKindShift-1), 0, 300)
			s := o.span[0]
			require.Equal(t, span{in: 1, out: port, queue: uint16(class) | uint16(dest)<<queueDestShift, count: 3, bytes: 300}, s)
		}
	}
	o := &txStage{}
	io := &packet.IO{}
	require.NoError(t, o.init(maxPorts))
	defer o.free()
	for i, queue := range []uint16{1, 1, 2, 1} {
		o.n++
		o.extend(1, port|uint32(queue)<<rowQueueShift, i, 100)
	}
	require.Equal(t, 3, o.spans)
	o.arrange(io)
	require.EqualValues(t, 1, io.NumTxRuns, "one output, one run")
}

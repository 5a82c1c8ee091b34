package agent

import "fmt"

// indices gives out the port indices of the switch: the lowest free one, so that tables indexed by port stay short.
// An index is freed only once the switch has forgotten it (dataplane.Switch.RemovePort returned); until then no port
// may get it, since a worker could take the new port for the old one.
type indices struct {
	taken []bool
	max   int
}

func newIndices(max int) *indices { return &indices{max: max} }

// take gives out an index, or fails when all are in use.
func (x *indices) take() (uint32, error) {
	for i, t := range x.taken {
		if !t {
			x.taken[i] = true
			return uint32(i), nil
		}
	}
	if len(x.taken) == x.max {
		return 0, fmt.Errorf("the switch has no port left: all %d are in use; remove a vport first", x.max)
	}
	x.taken = append(x.taken, true)
	return uint32(len(x.taken) - 1), nil
}

// free makes an index available again.
func (x *indices) free(i uint32) { x.taken[i] = false }

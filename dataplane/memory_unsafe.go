package dataplane

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/packet"
)

const hugePage = 2 << 20

// offHeap allocates n zeroed elements outside the Go heap, so that the collector never scans them, and asks for huge
// pages when they fill one. T must not hold Go pointers. freeOffHeap gives the memory back.
func offHeap[T any](n int) ([]T, error) {
	var zero T
	size := n * int(unsafe.Sizeof(zero))
	mem, err := unix.Mmap(-1, 0, max(size, 1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for a table: %w (give the machine more memory, or lower dataplane.flowsPerQueue)", size, err)
	}
	if size >= hugePage {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // only speed is lost where the kernel has none
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(mem))), n), nil
}

func freeOffHeap[T any](s []T) {
	if cap(s) == 0 {
		return
	}
	var zero T
	size := max(cap(s)*int(unsafe.Sizeof(zero)), 1)
	_ = unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), size))
}

// cachedFlowSlots is up to which size a table stays in a second-level cache.
const cachedFlowSlots = 1 << 13

// distant is where the slots of a table begin that needs fetching; nil for a small one.
func (t *flowTable[K, P]) distant() unsafe.Pointer {
	if len(t.slots) <= cachedFlowSlots {
		return nil
	}
	return unsafe.Pointer(unsafe.SliceData(t.slots))
}

var _ = [1]struct{}{}[unsafe.Sizeof(flow[packet.Key]{})-packet.TablePlace]

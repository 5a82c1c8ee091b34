package shaped

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/sluicenet/sluice/packet"
)

const (
	room     = 256 // bytes of a packet's buffer, headroom included
	slot     = packet.Size + room
	hugePage = 2 << 20
)

// arena is the packets of a run, outside the Go heap as a pool's are.
type arena struct{ mem []byte }

func newArena(n int) (arena, []*packet.Packet, error) {
	size := (n*slot + hugePage - 1) &^ (hugePage - 1)
	mem, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return arena{}, nil, fmt.Errorf("map %d bytes for packets: %w (choose fewer vports, or less depth)", size, err)
	}
	_ = syscall.Madvise(mem, syscall.MADV_HUGEPAGE) // DPDK's pools are in huge pages too
	base := unsafe.Pointer(unsafe.SliceData(mem))
	pkts := make([]*packet.Packet, n)
	for i := range pkts {
		p := (*packet.Packet)(unsafe.Add(base, i*slot))
		*p = packet.Packet{BufAddr: unsafe.Add(unsafe.Pointer(p), packet.Size), BufLen: room, RefCnt: 1, NbSegs: 1, Pool: base}
		pkts[i] = p
	}
	return arena{mem}, pkts, nil
}

func (a *arena) close() error { return syscall.Munmap(a.mem) }

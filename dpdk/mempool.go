package dpdk

// #include <stdlib.h>
// #include <rte_mbuf.h>
// #include <rte_mempool.h>
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/sluicenet/sluice/packet"
)

// MempoolOptions of NewMempool.
type MempoolOptions struct {
	Name      string // unique in the process; "" is "mbuf"
	Count     int    // packets: the sum of what all users can hold at once
	Cache     int    // packets that each worker keeps for itself, at most 512; 0 is 256
	FrameSize int    // the largest frame that must fit, bytes, without FCS
}

// Mempool is a pool of packet buffers in DPDK's memory.
type Mempool struct {
	mu    sync.Mutex
	c     *C.struct_rte_mempool
	name  string
	count int
	room  int
}

const (
	defaultCache = 256
	maxCache     = C.RTE_MEMPOOL_CACHE_MAX_SIZE
)

// dataRoom is the size of a buffer, headroom included. af_packet wants room for a whole slot of its ring, of which the
// frame is a part, so the frame's share is that of a slot.
func dataRoom(frameSize int) int { return packet.Headroom + ringSlot(frameSize) }

// MempoolBytes is the memory that a pool of that many packets of that frame size takes, roughly (within a few percent).
func MempoolBytes(count, frameSize int) int {
	const perObject = packet.Size + 64 // mbuf, object header and padding
	return count*(perObject+dataRoom(frameSize)) + count*8
}

// NewMempool makes a pool. It fails with ErrNoMemory if Options.MemoryMB of Init was too small.
func NewMempool(o MempoolOptions) (*Mempool, error) {
	if o.Name == "" {
		o.Name = "mbuf"
	}
	if o.Cache == 0 {
		o.Cache = defaultCache
	}
	what := "mempool " + o.Name
	if err := running(what); err != nil {
		return nil, err
	}
	room := dataRoom(o.FrameSize)
	switch {
	case o.Count < 1 || o.FrameSize < 64 || room > 0xffff:
		return nil, fmt.Errorf("%s: %d packets of %d bytes: %w: want at least one, of 64 to %d bytes", what, o.Count, o.FrameSize, ErrInvalid, 0xf000)
	case o.Cache < 0 || o.Cache > maxCache || o.Cache*3/2 > o.Count:
		return nil, fmt.Errorf("%s: cache of %d packets: %w: want at most %d and two thirds of the pool", what, o.Cache, ErrInvalid, maxCache)
	}
	control.Lock()
	defer control.Unlock()
	runtime.LockOSThread() // for rteErrno
	defer runtime.UnlockOSThread()
	name := C.CString(o.Name)
	defer C.free(unsafe.Pointer(name))
	c := C.rte_pktmbuf_pool_create(name, C.uint(o.Count), C.uint(o.Cache), 0, C.uint16_t(room), C.SOCKET_ID_ANY)
	if c == nil {
		err := failure(what, rteErrno(), takeLog())
		return nil, fmt.Errorf("%w (about %d MiB for %d packets of %d bytes)", err, MempoolBytes(o.Count, o.FrameSize)>>20, o.Count, o.FrameSize)
	}
	return &Mempool{c: c, name: o.Name, count: o.Count, room: room}, nil
}

// Count is the number of packets in the pool, used or not.
func (m *Mempool) Count() int { return m.count }

// FrameSize is the largest frame that fits into one packet, bytes.
func (m *Mempool) FrameSize() int { return m.room - packet.Headroom }

// Available counts the packets that are not in use, those in the workers' caches included. It is slow.
func (m *Mempool) Available() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.c == nil {
		return 0
	}
	return int(C.rte_mempool_avail_count(m.c))
}

// Close gives the memory back. It refuses while packets are in use: a device or worker could still touch them.
func (m *Mempool) Close() error {
	if err := running("close mempool " + m.name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.c == nil {
		return nil
	}
	if used := m.count - int(C.rte_mempool_avail_count(m.c)); used != 0 {
		return fmt.Errorf("close mempool %s: %w by %d packets: close pollers and devices first", m.name, ErrBusy, used)
	}
	C.rte_mempool_free(m.c)
	m.c = nil
	return nil
}

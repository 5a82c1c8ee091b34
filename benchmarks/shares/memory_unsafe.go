package shares

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/packet"
)

// pool is a stock of packets outside the Go heap, as the switch wants them. Pages that nobody used take no memory.
type pool struct {
	mem  []byte
	io   []byte
	free []*packet.Packet
}

// bufBytes is the headroom, the largest frame of a profile, and what NVGRE and a tag add.
const bufBytes = packet.Headroom + 1600

func newPool(n int) (*pool, error) {
	const slot = (packet.Size + bufBytes + 63) &^ 63
	mem, err := mapMemory(n * slot)
	if err != nil {
		return nil, fmt.Errorf("memory for %d packets: %w", n, err)
	}
	io, err := mapMemory(int(unsafe.Sizeof(packet.IO{})))
	if err != nil {
		return nil, fmt.Errorf("memory for the worker's exchange area: %w", err)
	}
	p := &pool{mem: mem, io: io, free: make([]*packet.Packet, n)}
	for i := range p.free { // the first ones are taken first, again and again
		p.free[n-1-i] = (*packet.Packet)(unsafe.Pointer(&mem[i*slot]))
	}
	return p, nil
}

func mapMemory(size int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
}

// exchange is the area between worker and poller.
func (p *pool) exchange() *packet.IO { return (*packet.IO)(unsafe.Pointer(unsafe.SliceData(p.io))) }

// take gives a fresh packet, nil when there is none.
func (p *pool) take() *packet.Packet {
	n := len(p.free)
	if n == 0 {
		return nil
	}
	pkt := p.free[n-1]
	p.free = p.free[:n-1]
	buf := unsafe.Add(unsafe.Pointer(pkt), packet.Size)
	*pkt = packet.Packet{BufAddr: buf, BufIOVA: uint64(uintptr(buf)), BufLen: bufBytes, DataOff: packet.Headroom, RefCnt: 1, NbSegs: 1,
		Pool: unsafe.Pointer(unsafe.SliceData(p.mem))}
	return pkt
}

func (p *pool) put(pkt *packet.Packet) { p.free = append(p.free, pkt) }

func (p *pool) close() {
	if unix.Munmap(p.mem) != nil || unix.Munmap(p.io) != nil {
		panic("shares: cannot unmap packets that were mapped")
	}
}

package memport

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/sluicenet/sluice/packet"
)

// region is the mapped memory of an arena: slots of equal size, each a packet header and its buffer.
type region struct {
	mem  []byte
	base unsafe.Pointer
	slot uintptr // bytes per slot
	buf  int     // bytes of buffer per packet, headroom included
	n    int
}

func mapMemory(size int) []byte {
	mem, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(fmt.Sprintf("memport: cannot map %d bytes for packets: %v", size, err))
	}
	return mem
}

func newRegion(n, room int) region {
	buf := packet.Headroom + room
	if n < 1 || room < 0 || buf > 65535 {
		panic(fmt.Sprintf("memport: arena of %d packets with %d bytes of room: want n >= 1 and 0 <= room <= %d", n, room, 65535-packet.Headroom))
	}
	slot := (packet.Size + buf + 63) &^ 63
	mem := mapMemory(n * slot)
	return region{mem: mem, base: unsafe.Pointer(unsafe.SliceData(mem)), slot: uintptr(slot), buf: buf, n: n}
}

// at returns the packet of slot i.
func (r *region) at(i uint32) *packet.Packet {
	return (*packet.Packet)(unsafe.Add(r.base, uintptr(i)*r.slot))
}

// buffer returns the buffer that belongs to slot i, whatever its packet points to.
func (r *region) buffer(i uint32) unsafe.Pointer {
	return unsafe.Add(r.base, uintptr(i)*r.slot+packet.Size)
}

// index is the inverse of at; ok is false when p is no packet of the arena.
func (r *region) index(p *packet.Packet) (i uint32, ok bool) {
	off := uintptr(unsafe.Pointer(p)) - uintptr(r.base)
	return uint32(off / r.slot), p != nil && off < uintptr(r.n)*r.slot && off%r.slot == 0
}

// owner finds the slot whose buffer p uses: p's own, or, for an indirect packet, the one it is attached to.
func (r *region) owner(p *packet.Packet) (i uint32, ok bool) {
	off := uintptr(p.BufAddr) - uintptr(r.base) - packet.Size
	return uint32(off / r.slot), off < uintptr(r.n)*r.slot && off%r.slot == 0
}

// format writes every field of slot i as a pool does for a fresh packet.
func (r *region) format(i uint32) *packet.Packet {
	p := r.at(i)
	*p = packet.Packet{
		BufAddr: r.buffer(i), BufIOVA: uint64(uintptr(r.buffer(i))), BufLen: uint16(r.buf),
		DataOff: packet.Headroom, RefCnt: 1, NbSegs: 1, Pool: r.base,
	}
	return p
}

// attach makes p an indirect packet on the buffer of direct, as rte_pktmbuf_attach does.
func attach(p, direct *packet.Packet) {
	p.BufAddr, p.BufIOVA, p.BufLen = direct.BufAddr, direct.BufIOVA, direct.BufLen
	p.DataOff, p.DataLen, p.PktLen = direct.DataOff, direct.DataLen, direct.PktLen
	p.OlFlags |= packet.FlagIndirect
	direct.RefCnt++
}

func newIO() (*packet.IO, []byte) {
	mem := mapMemory(int(unsafe.Sizeof(packet.IO{})))
	return (*packet.IO)(unsafe.Pointer(unsafe.SliceData(mem))), mem
}

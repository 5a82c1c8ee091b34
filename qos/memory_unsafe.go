package qos

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/sluicenet/sluice/packet"
)

const hugePage = 2 << 20

// arena is one mapping outside the Go heap, so that the collector neither scans nor counts what is carved out of it.
type arena struct {
	mem  []byte
	used int
}

const cacheLine = 64

// room is what n elements take of an arena.
func room[T any](n int) int {
	var zero T
	return (n*int(unsafe.Sizeof(zero)) + cacheLine - 1) &^ (cacheLine - 1)
}

// newArena maps zeroed memory, and asks for huge pages when it fills one.
func newArena(size int) (arena, error) {
	mem, err := syscall.Mmap(-1, 0, max(size, 1), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return arena{}, fmt.Errorf("map %d bytes for queues: %w (give the machine more memory, or configure fewer vports)", size, err)
	}
	if size >= hugePage {
		_ = syscall.Madvise(mem, syscall.MADV_HUGEPAGE) // only speed is lost where the kernel has none
	}
	return arena{mem: mem}, nil
}

func (a *arena) close() {
	if a.mem != nil {
		_ = syscall.Munmap(a.mem)
	}
	*a = arena{}
}

// carve takes n elements out of an arena. T must not hold Go pointers.
func carve[T any](a *arena, n int) []T {
	at := a.mem[a.used : a.used+room[T](n)]
	a.used += len(at)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(at))), n)
}

// A waiting packet is one word: its address in the upper bits, without the three that alignment makes zero, and its length
// on the wire in the lower ones. So a queue is read without touching packets.
const (
	lengthBits = 19
	lengthMask = 1<<lengthBits - 1
	alignBits  = 3
)

func pack(p *packet.Packet, length uint32) uint64 {
	return uint64(uintptr(unsafe.Pointer(p)))>>alignBits<<lengthBits | uint64(length)
}

func address(word uint64) uint64 { return word >> lengthBits << alignBits }

// pointer is the packet of a word. Packets live outside the Go heap, so a number is as good as a pointer.
func pointer(word uint64) (p *packet.Packet) {
	*(*uint64)(unsafe.Pointer(&p)) = address(word)
	return p
}

// addresses views a caller's packets as numbers: what is stored there does not concern the collector, since packets live
// outside of its heap.
func addresses(pkts []*packet.Packet) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(pkts))), len(pkts))
}

// What makes an entity, a ring and a bucket one cache line each: another size does not compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(entity{})-64]
	_ = [1]struct{}{}[unsafe.Sizeof(ring{})-64]
	_ = [1]struct{}{}[unsafe.Sizeof(bucket{})-64]
	_ = [1]struct{}{}[unsafe.Alignof(packet.Packet{})-1<<alignBits]
)

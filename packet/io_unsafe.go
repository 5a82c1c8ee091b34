package packet

import "unsafe"

// SetTable names the table that the keys of the next packets will be looked up in, by the low bits of their hashes: mask + 1
// places of TablePlace bytes, outside the Go heap. As soon as a hash is known its place is on its way to the caches, while
// the packets behind it are parsed. A table that stays in the caches by itself is better left out: nil.
func (b *Burst) SetTable(table unsafe.Pointer, mask uint64) { b.table, b.mask = uintptr(table), mask }

// TablePlace is the size of a table's places, bytes: a cache line.
const TablePlace = 64

// PutTx stages p at place i of Tx. The place is written as a number: both it and the packet lie outside the Go heap, and
// the compiler would ask for each pointer whether a collection is running.
func (io *IO) PutTx(i uint, p *Packet) {
	*(*uintptr)(unsafe.Pointer(&io.Tx[i])) = uintptr(unsafe.Pointer(p))
}

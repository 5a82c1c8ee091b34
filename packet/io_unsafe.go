package packet

import "unsafe"

// SetTable names the table that the keys of the next packets will be looked up in, by the low bits of their hashes: mask + 1
// places of TablePlace bytes, outside the Go heap. As soon as a hash is known its place is on its way to the caches, while
// the packets behind it are parsed. A table that stays in the caches by itself is better left out: nil.
func (b *Burst) SetTable(table unsafe.Pointer, mask uint64) { b.table, b.mask = uintptr(table), mask }

// TablePlace is the size of a table's places, bytes: a cache line.
const TablePlace = 64

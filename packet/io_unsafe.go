package packet

import "unsafe"

// PutTx stages p at place i of Tx. The place is written as a number: both it and the packet lie outside the Go heap, and
// the compiler would ask for each pointer whether a collection is running.
func (io *IO) PutTx(i uint, p *Packet) {
	*(*uintptr)(unsafe.Pointer(&io.Tx[i])) = uintptr(unsafe.Pointer(p))
}

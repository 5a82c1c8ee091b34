package dataplane

import "unsafe"

// wordsOf is the memory of a struct that consists of uint64 only.
func wordsOf[T any](v *T) []uint64 {
	const word = unsafe.Sizeof(uint64(0))
	return unsafe.Slice((*uint64)(unsafe.Pointer(v)), unsafe.Sizeof(*v)/word)
}

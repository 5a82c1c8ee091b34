package dataplane

// pause tells the processor n times that this thread spins: the other one of the core gets its units, and power is saved.
//
//go:noescape
func pause(n uint32)

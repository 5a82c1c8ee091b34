package packet

// Cycles reads the time stamp counter, the clock of IO.TSC. It is here because a package with C can have no assembly of Go's,
// and only where a processor lets programs read one.
func Cycles() uint64

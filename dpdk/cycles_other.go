//go:build !amd64

package dpdk

// Cycles reads the time stamp counter, which costs a call of C.
func (p *Poller) Cycles() uint64 { return TSC() }

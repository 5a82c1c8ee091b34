package dpdk

import "github.com/sluicenet/sluice/packet"

// Cycles reads the time stamp counter.
func (p *Poller) Cycles() uint64 { return packet.Cycles() }

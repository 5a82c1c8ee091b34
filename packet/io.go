package packet

// Capacities of an IO. A poll delivers at most MaxRx packets; every received packet can become one packet to send
// plus copies (flooding), which are bounded by the spares.
const (
	MaxRx     = 256           // packets received by one poll
	RxBurst   = 64            // packets taken from a receive queue before it is the next one's turn
	MaxSpares = 128           // fresh packets at hand for replies and copies
	MaxTx     = 2 * MaxRx     // >= MaxRx + MaxSpares + packets that waited for a next hop
	MaxFree   = MaxTx + MaxRx // >= all that one iteration can drop
	MaxRxRuns = MaxRx         // a run holds at least one packet
	MaxTxRuns = MaxTx         // likewise
	Headroom  = 128           // bytes in front of a received frame: outer headers plus what a device prepends
)

// RxRun says that Rx[First:First+Count] came from the receive queue that was added to the poll list under Ref.
type RxRun struct {
	Ref   uint32
	First uint16
	Count uint16
}

// TxRun asks to send Tx[First:First+Count] to output Out; Sent is the poller's answer: how many, from the first on,
// the device accepted. The poller has freed the rest.
type TxRun struct {
	Out   uint32
	First uint16
	Count uint16
	Sent  uint16
	_     uint16
}

// IO is what a worker and its poller exchange in one call. It lives in the poller's memory, outside the Go heap, and
// is laid out for C as well: package dpdk asserts the offsets at compile time.
//
// In: RxBudget, Tx with TxRuns, Free. Out: TxRuns[].Sent, Rx with RxRuns, TSC, NumFree = 0. Spares is refilled to
// MaxSpares as far as the pool allows; the worker takes from its end. The worker sets NumTx and NumTxRuns to 0 once it
// has read Sent.
type IO struct {
	TSC       uint64 // time stamp counter after receiving, cycles
	RxBudget  uint32 // packets to receive at most, <= MaxRx; 0 only sends
	NumTxRuns uint32
	NumTx     uint32
	NumFree   uint32
	NumSpares uint32
	NumRxRuns uint32
	NumRx     uint32
	_         uint32
	TxRuns    [MaxTxRuns]TxRun
	RxRuns    [MaxRxRuns]RxRun
	Rx        [MaxRx]*Packet
	Tx        [MaxTx]*Packet
	Free      [MaxFree]*Packet
	Spares    [MaxSpares]*Packet
}

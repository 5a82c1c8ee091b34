package dataplane

import (
	"time"

	"github.com/sluicenet/sluice/packet"
)

// Poller is the seam between a worker and the devices below it: all input and output of one loop iteration is one call
// of Poll. Package dpdk implements it over ethdev and tap ports; tests implement it over memory.
//
// All methods but Wake are called from the worker's own thread, and the ones that change the poll list only while IO
// holds nothing to send and nothing received.
type Poller interface {
	// Start is called once, on the worker's locked and pinned thread, before anything else.
	Start() error
	// IO is the exchange area, the same for the poller's whole life.
	IO() *packet.IO
	// Poll sends IO.Tx as the runs say, frees IO.Free, refills IO.Spares and receives up to IO.RxBudget packets in runs of at
	// most packet.RxBurst, round by round over the queues, resuming with the queue after the last one served.
	Poll()
	// Cycles reads the clock that IO.TSC is read from, now. It may cost tens of cycles: it is for samples, not for every
	// packet.
	Cycles() uint64
	// Wait blocks until a receive queue that can end it has packets, Wake is called, or max has passed.
	Wait(max time.Duration)
	// Blind reports that a receive queue on the list cannot end a Wait.
	Blind() bool
	// Wake ends a Wait of another goroutine, or the next one.
	Wake()
	// AddRx puts a receive queue of a device onto the poll list. Its packets come back in runs marked ref.
	AddRx(device uint32, queue uint16, ref uint32) error
	// RemoveRx takes the queue of ref off the poll list.
	RemoveRx(ref uint32)
	// RestRx passes over the queue of ref from the next Poll on, or serves it again. What it holds stays where it is.
	RestRx(ref uint32, rest bool)
	// SetTx makes output out mean transmit queue queue of a device. shared says that other workers send to it too, so
	// that the call has to lock it.
	SetTx(out uint32, device uint32, queue uint16, shared bool) error
	// ClearTx forgets an output. Packets for an unknown output are freed and not counted as sent.
	ClearTx(out uint32)
	// Close frees what the poller holds, spares included. It is the last call, from the worker's thread.
	Close()
}

package dataplane

import (
	"math/bits"
	"slices"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// rxQueue is a receive queue on a worker's list, with the flows and actions that belong to it.
type rxQueue struct {
	ref        uint32
	port       uint32
	queue      uint16
	device     uint32
	scope      uint32
	uplink     bool
	flows      *flowTable[packet.Key, *packet.Key]
	wide       *flowTable[packet.WideKey, *packet.WideKey]
	actions    *actionTable
	release    func(uint32)
	icmp       rateLimit // of errors about what came in here
	slow       [numSlowKinds]account
	fullSince  uint64 // time stamp since which its bursts are full and hold known flows; 0 when not
	fullTurn   uint64 // the last such turn
	rests      bool   // it is not polled, see protect.go
	restKind   slowKind
	restEnd    uint64
	price      uint32 // of a packet beside those of other queues, cycles
	priced     struct{ cycles, packets uint64 }
	learned    int // events in the round of timers that ends at learnRound
	learnRound int64
	totals     QueueTotals
	shown      *published[stamped[QueueTotals]]

	snap  *policy.Snapshot // that mac and local were taken from
	mac   packet.MAC
	local packet.Fabric
}

func newRxQueue(s *Switch, spec PortSpec, queue int) (*rxQueue, error) {
	q := &rxQueue{port: spec.Index, queue: uint16(queue), device: spec.Device, uplink: spec.Uplink,
		scope: packet.PortScope(spec.Index), price: firstPrice,
		shown: newPublished[stamped[QueueTotals]](),
		icmp:  rateLimit{perSecond: icmpErrorsPerSecond, burst: icmpErrorBurst, tokens: icmpErrorBurst}}
	var err error
	if q.flows, err = newFlowTable[packet.Key, *packet.Key](s.cfg.MaxFlows, s.seed()); err != nil {
		return nil, err
	}
	if q.wide, err = newFlowTable[packet.WideKey, *packet.WideKey](s.cfg.MaxFlows/2, s.seed()); err != nil {
		q.free()
		return nil, err
	}
	if q.actions, err = newActionTable(maxActions); err != nil {
		q.free()
		return nil, err
	}
	q.release = q.actions.release
	return q, nil
}

// maxActions bounds the different fates of one queue's flows. Beyond it flows are decided packet by packet.
const maxActions = 1 << 17

func (q *rxQueue) free() {
	if q.flows != nil {
		q.flows.free()
	}
	if q.wide != nil {
		q.wide.free()
	}
	if q.actions != nil {
		q.actions.free()
	}
}

// refresh takes the addresses of an uplink from a new snapshot.
func (q *rxQueue) refresh(snap *policy.Snapshot) {
	q.snap = snap
	q.mac = snap.Port(q.port).MAC
	q.local.MAC = bits.ReverseBytes64(q.mac.Uint64()) >> 16
	q.local.PAs = q.local.PAs[:0]
	for i := range snap.PAs {
		if pa := &snap.PAs[i]; pa.Uplink == q.port && pa.Addr.Is4() {
			q.local.PAs = append(q.local.PAs, pa.Addr.V4())
		}
	}
}

func (q *rxQueue) ownsPA(addr uint32) bool { return slices.Contains(q.local.PAs, addr) }

// addQueue runs on the worker's thread.
func (w *worker) addQueue(q *rxQueue) error {
	q.ref = w.freeRef()
	if err := w.poller.AddRx(q.device, q.queue, q.ref); err != nil {
		return err
	}
	w.adopt(q)
	return nil
}

// adopt makes a queue that has a reference one of the worker's.
func (w *worker) adopt(q *rxQueue) {
	defer w.list(q) // also when its tables make this fail: the device is polled for it
	w.slow.welcome(q)
	q.publish(w.sw.sinceStart())
}

func (w *worker) list(q *rxQueue) {
	if int(q.ref) == len(w.queues) {
		w.queues = append(w.queues, nil)
	}
	w.queues[q.ref] = q
	w.listQueues()
}

// freeRef is a reference that no queue of the worker has.
func (w *worker) freeRef() uint32 {
	if i := slices.Index(w.queues, nil); i >= 0 {
		return uint32(i)
	}
	return uint32(len(w.queues))
}

// takeOff is the reverse of addQueue: nobody polls the queue then.
func (w *worker) takeOff(q *rxQueue) {
	w.poller.RemoveRx(q.ref)
	w.queues[q.ref] = nil
	w.slow.leave(q)
	w.spent.runs = 0 // its time may be no queue's once; nobody else may get its reference meanwhile
	w.listQueues()
}

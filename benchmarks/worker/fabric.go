package worker

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/benchmarks/jitter"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
)

// confirmEvery is well below the age at which the switch would ask for a next hop again.
const confirmEvery = 10 * time.Second

// ownShare is what the fabric may add to what a poll received.
const ownShare = 32

const never = ^uint64(0)

// fabric stands between a worker and its poller as the other end of the uplink's cable: nobody answers ARP behind a device
// that swallows everything. It also notes how long the worker's turns take. Between answers it costs a poll of 32 packets
// a few cycles: two flags, one comparison, one count.
type fabric struct {
	dataplane.Poller
	io           *packet.IO
	uplinkIndex  uint32 // of the switch's port, which is also its output
	uplinkDevice uint32
	refs         map[uint32]uint32 // receive queues, by device
	ref          uint32            // of the uplink's receive queue
	attached     bool              // ref is known
	hops         map[packet.Addr]packet.MAC
	answers      []packet.Addr // hops to be confirmed with the next poll that receives
	every        uint64        // cycles between unasked confirmations
	next         uint64        // time stamp of the next one; never before the switch has asked
	last         uint64        // time stamp of the previous turn
	loops        *jitter.LoopTimes

	watching  atomic.Bool // look for ARP requests in what the worker sends
	recording atomic.Bool // note the turns

	lessons atomic.Pointer[[]lesson] // to be given while watching
	taught  []lesson                 // what is left of them
}

// lesson is a frame that shall come in by a device that nobody sends by, so that the switch learns its sender.
type lesson struct {
	device uint32
	frame  []byte
}

func newFabric(inner dataplane.Poller, plan *traffic.Plan, uplinkDevice uint32, tscHz uint64) *fabric {
	f := &fabric{Poller: inner, uplinkIndex: plan.Index(traffic.Uplink), uplinkDevice: uplinkDevice, hops: traffic.NextHops(), refs: map[uint32]uint32{},
		every: uint64(confirmEvery.Seconds() * float64(tscHz)), next: never, loops: jitter.New()}
	f.watching.Store(true)
	return f
}

// Start implements dataplane.Poller.
func (f *fabric) Start() error {
	if err := f.Poller.Start(); err != nil {
		return err
	}
	f.io = f.Poller.IO()
	return nil
}

// AddRx implements dataplane.Poller: answers come by the uplink's queue.
func (f *fabric) AddRx(device uint32, queue uint16, ref uint32) error {
	f.refs[device] = ref
	if device == f.uplinkDevice {
		f.ref, f.attached = ref, true
	}
	return f.Poller.AddRx(device, queue, ref)
}

// Poll implements dataplane.Poller.
func (f *fabric) Poll() {
	watching := f.watching.Load()
	if f.attached && watching {
		f.watch()
	}
	budget := f.io.RxBudget
	if len(f.answers) > 0 || watching {
		f.io.RxBudget = min(budget, packet.MaxRx-ownShare) // many busy queues leave no room for answers
	}
	f.Poller.Poll()
	f.io.RxBudget = budget
	if watching && f.io.RxBudget > 0 {
		f.teach()
	}
	tsc := f.io.TSC
	if f.recording.Load() {
		f.loops.Record(tsc - f.last)
	}
	f.last = tsc
	if tsc >= f.next {
		f.confirm(tsc)
	}
	if len(f.answers) > 0 && f.io.RxBudget > 0 {
		f.answer()
	}
}

// watch notes which next hops the worker asks for.
func (f *fabric) watch() {
	for _, run := range f.io.TxRuns[:f.io.NumTxRuns] {
		if run.Out != f.uplinkIndex {
			continue
		}
		for _, p := range f.io.Tx[run.First : run.First+run.Count] {
			data := p.Data()
			if len(data) < 14 || binary.BigEndian.Uint16(data[12:]) != packet.EtherTypeARP {
				continue
			}
			if arp, ok := packet.CheckARP(data[14:]); ok && arp.Op() == packet.ARPRequest {
				f.answers = append(f.answers, packet.AddrFrom4(arp.TargetIP()))
				f.next = f.last + f.every
			}
		}
	}
}

// confirm tells the switch of all next hops before it would ask again.
func (f *fabric) confirm(tsc uint64) {
	f.next = tsc + f.every
	f.answers = f.answers[:0]
	for hop := range f.hops {
		f.answers = append(f.answers, hop)
	}
}

// answer puts replies in behind what the poll received.
func (f *fabric) answer() {
	for len(f.answers) > 0 && f.room() {
		hop := f.answers[len(f.answers)-1]
		f.answers = f.answers[:len(f.answers)-1]
		if mac, known := f.hops[hop]; known {
			encodeReply(f.receive(f.ref, arpFrame), mac, hop)
		}
	}
}

// teach puts lessons in, likewise.
func (f *fabric) teach() {
	if next := f.lessons.Swap(nil); next != nil {
		f.taught = *next
	}
	for len(f.taught) > 0 && f.room() {
		l := f.taught[0]
		f.taught = f.taught[1:]
		if ref, ok := f.refs[l.device]; ok {
			copy(f.receive(ref, len(l.frame)), l.frame)
		}
	}
}

// room reports whether one more packet can seem to be received.
func (f *fabric) room() bool {
	return f.io.NumSpares > 0 && f.io.NumRx < packet.MaxRx && f.io.NumRxRuns < packet.MaxRxRuns
}

// receive makes a packet seem received by a queue, and gives its bytes to be written.
func (f *fabric) receive(ref uint32, size int) []byte {
	io := f.io
	io.NumSpares--
	p := io.Spares[io.NumSpares]
	p.Reset(packet.Headroom)
	p.Append(size) // a fresh packet has room for it
	io.RxRuns[io.NumRxRuns] = packet.RxRun{Ref: ref, First: uint16(io.NumRx), Count: 1}
	io.NumRxRuns++
	io.Rx[io.NumRx] = p
	io.NumRx++
	return p.Data()
}

const arpFrame = 60

func encodeReply(data []byte, mac packet.MAC, hop packet.Addr) {
	clear(data)
	eth := packet.Ethernet(data)
	eth.SetDst(traffic.UplinkMAC)
	eth.SetSrc(mac)
	binary.BigEndian.PutUint16(data[12:], packet.EtherTypeARP)
	packet.EncodeARP(data[14:], packet.ARPReply, mac, hop.V4(), traffic.UplinkMAC, packet.AddrFromNetip(traffic.NearPA).V4())
}

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

const never = ^uint64(0)

// fabric stands between a worker and its poller as the other end of the uplink's cable: nobody answers ARP behind a device
// that swallows everything. It also notes how long the worker's turns take. Between answers it costs a poll of 32 packets
// a few cycles: two flags, one comparison, one count.
type fabric struct {
	dataplane.Poller
	io           *packet.IO
	uplinkIndex  uint32 // of the switch's port, which is also its output
	uplinkDevice uint32
	ref          uint32 // of the uplink's receive queue
	attached     bool   // ref is known
	hops         map[packet.Addr]packet.MAC
	answers      []packet.Addr // hops to be confirmed with the next poll that receives
	every        uint64        // cycles between unasked confirmations
	next         uint64        // time stamp of the next one; never before the switch has asked
	last         uint64        // time stamp of the previous turn
	loops        *jitter.LoopTimes

	watching  atomic.Bool // look for ARP requests in what the worker sends
	recording atomic.Bool // note the turns
}

func newFabric(inner dataplane.Poller, plan *traffic.Plan, uplinkDevice uint32, tscHz uint64) *fabric {
	f := &fabric{Poller: inner, uplinkIndex: plan.Index(traffic.Uplink), uplinkDevice: uplinkDevice, hops: traffic.NextHops(),
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
	if device == f.uplinkDevice {
		f.ref, f.attached = ref, true
	}
	return f.Poller.AddRx(device, queue, ref)
}

// Poll implements dataplane.Poller.
func (f *fabric) Poll() {
	if f.attached && f.watching.Load() {
		f.watch()
	}
	f.Poller.Poll()
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
	io := f.io
	for len(f.answers) > 0 && io.NumSpares > 0 && io.NumRx < packet.MaxRx && io.NumRxRuns < packet.MaxRxRuns {
		hop := f.answers[len(f.answers)-1]
		f.answers = f.answers[:len(f.answers)-1]
		mac, known := f.hops[hop]
		if !known {
			continue
		}
		io.NumSpares--
		p := io.Spares[io.NumSpares]
		p.Reset(packet.Headroom)
		p.Append(arpFrame) // a fresh packet has room for it
		encodeReply(p.Data(), mac, hop)
		io.RxRuns[io.NumRxRuns] = packet.RxRun{Ref: f.ref, First: uint16(io.NumRx), Count: 1}
		io.NumRxRuns++
		io.Rx[io.NumRx] = p
		io.NumRx++
	}
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

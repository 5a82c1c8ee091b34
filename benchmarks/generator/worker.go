package generator

import (
	"fmt"

	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
)

// maxBatch is how many frames one call of the poller sends: what it refills in one go.
const maxBatch = packet.MaxSpares / 2

// stalled is how long a turn of the loop takes, in seconds, only when somebody else had the core.
const stalled = 500e-6

// control marks frames that are no traffic: ARP, announcements.
const control = noStream - 1

// worker sends and receives. All of it belongs to its thread.
type worker struct {
	*templates
	plan    *traffic.Plan
	poller  dataplane.Poller
	devices []Device
	core    int
	hz      float64
	io      *packet.IO
	notes   []string
	replies []reply // to be sent with the next poll

	// Of the trial.
	trial
	counts  Counts
	pace    pace
	fresh   pace     // of frames that begin flows, where they come by time
	debt    float64  // of such frames, where they are a share
	stalled uint64   // cycles in turns of the loop that only somebody else can have made so long
	streams []order  // of what arrives
	next    []uint32 // sequence numbers of what is sent
	at      int      // template to send next
	repeat  int      // times that it was sent in a row
	newFlow uint32   // new flows so far, never reset: none comes twice
	ports   [2]uint16

	// Of the poll that is being made.
	stream [packet.MaxTx]uint32 // by the place in IO.Tx
	number [packet.MaxTx]uint32 // in its stream
	length [packet.MaxTx]uint16
}

type reply struct {
	out   uint16
	frame [arpFrame]byte
}

func newWorker(g *Generator, t *templates) *worker {
	return &worker{templates: t, plan: g.Plan, poller: g.Poller, devices: g.Devices, core: g.Core, hz: g.TSCHz,
		streams: make([]order, len(t.all)), next: make([]uint32, len(t.all))}
}

// enter puts the devices onto the poller and makes the generator known to the device under test.
func (w *worker) enter() error {
	if err := pin(w.core); err != nil {
		return err
	}
	if err := w.poller.Start(); err != nil {
		return fmt.Errorf("start the generator: %w", err)
	}
	w.io = w.poller.IO()
	for i, d := range w.devices {
		if err := w.poller.SetTx(uint32(i), d.Handle, 0, false); err != nil {
			return fmt.Errorf("send by %s: %w", d.Name, err)
		}
		if !d.Receive {
			continue
		}
		if err := w.poller.AddRx(d.Handle, 0, uint32(i)); err != nil {
			return fmt.Errorf("receive by %s: %w", d.Name, err)
		}
	}
	return w.introduce()
}

// drains is how many polls take what a full receive queue holds; a device to which others go on sending is never empty.
const drains = 1024

// leave hands everything back that a poll brought, and what still lies in the devices: a ring in memory that nobody emptied
// would keep its packets, and the pool could not be closed.
func (w *worker) leave() {
	if w.io == nil { // it never got so far
		return
	}
	w.io.RxBudget, w.io.NumTx, w.io.NumTxRuns = 0, 0, 0
	w.poller.Poll()
	for i, d := range w.devices {
		if !d.Receive {
			_ = w.poller.AddRx(d.Handle, 0, uint32(i)) // a device that cannot receive holds nothing
		}
	}
	for range drains {
		w.io.RxBudget = packet.MaxRx
		w.poller.Poll()
		n := w.io.NumRx
		w.io.NumFree = uint32(copy(w.io.Free[:], w.io.Rx[:n]))
		if n == 0 {
			break
		}
	}
	w.io.RxBudget = 0
	w.poller.Poll()
}

// run makes a trial.
func (w *worker) run(t trial) {
	w.begin(t)
	now := w.poller.Cycles()
	start, end, next, settled := now, now+t.length, now+t.every, uint64(0)
	w.pace = pace{perCycle: t.perCycle, start: now, burst: w.plan.Profile.Burst}
	w.fresh = pace{perCycle: float64(w.plan.Profile.NewFlowsPerSecond) / w.hz, start: now}
	sending := uint64(0) // cycles; 0 while it goes on
	stall := uint64(stalled * w.hz)
	for {
		n := 0
		switch {
		case sending == 0 && (now >= end || t.abort.Load()):
			sending, settled = max(1, now-start), now+t.settle
		case sending == 0:
			n = w.pace.due(now, maxBatch)
		}
		if sending != 0 && (now >= settled || w.counts.Received >= w.counts.Sent) {
			break
		}
		w.build(n)
		w.io.RxBudget = packet.MaxRx
		w.poller.Poll()
		if took := w.io.TSC - now; took > stall && sending == 0 {
			w.stalled += took
		}
		now = w.io.TSC
		w.account()
		w.receive(now)
		if now >= next {
			next = now + t.every
			w.report(report{counts: w.counts, cycles: now - start})
		}
	}
	w.counts.Skipped, w.counts.Blocked = w.pace.skipped, w.pace.blocked
	t.reports <- report{counts: w.counts, cycles: now - start, sending: sending, stalled: w.stalled, hist: w.hist, last: true}
	close(t.reports)
}

func (w *worker) begin(t trial) {
	w.trial = t
	w.counts = Counts{}
	w.at, w.repeat, w.debt, w.stalled = 0, 0, 0, 0
	clear(w.streams)
	clear(w.next)
}

// report hands out what there is, unless whoever reads is behind: then the next one covers both.
func (w *worker) report(r report) {
	r.counts.Skipped, r.counts.Blocked = w.pace.skipped, w.pace.blocked
	r.hist = w.hist
	select {
	case hist := <-w.spare:
		hist.Reset()
		w.hist = hist
		w.reports <- r // as many may be under way as there are histograms
	default:
	}
}

// build makes the frames that the next poll sends.
func (w *worker) build(n int) {
	io := w.io
	io.NumTx, io.NumTxRuns = 0, 0
	n = min(n, int(io.NumSpares))
	for len(w.replies) > 0 && io.NumSpares > uint32(n) {
		w.say(&w.replies[len(w.replies)-1])
		w.replies = w.replies[:len(w.replies)-1]
	}
	if n == 0 {
		return
	}
	begins := w.newFlows(n)
	s := stamp{mark: w.mark, time: w.poller.Cycles() & timeMask}
	for range begins {
		i := w.newFlowOf()
		data := w.take(i, noStream)
		setPorts(data, w.all[i].at, w.ports[0], w.ports[1])
		s.sequence, s.stream = w.newFlow, noStream
		s.put(data, w.all[i].at)
	}
	for range n - begins {
		i := w.at
		s.sequence, s.stream = w.next[i], uint32(i)
		w.number[w.io.NumTx] = w.next[i]
		w.next[i]++
		s.put(w.take(i, uint32(i)), w.all[i].at)
		if w.repeat++; w.repeat >= w.plan.Profile.Burst {
			w.repeat = 0
			if w.at++; w.at == len(w.all) {
				w.at = 0
			}
		}
	}
}

// newFlows says how many of the next n frames begin a flow.
func (w *worker) newFlows(n int) int {
	p := &w.plan.Profile
	switch {
	case p.NewFlowsPerSecond > 0:
		k := w.fresh.due(w.io.TSC, n)
		w.fresh.done += uint64(k)
		return k
	case p.NewFlowShare > 0:
		w.debt += float64(n) * p.NewFlowShare
		k := min(int(w.debt), n)
		w.debt -= float64(k)
		return k
	}
	return 0
}

// newFlowOf chooses a template, and ports that no flow between its addresses had: each template in turn, then other ports.
func (w *worker) newFlowOf() int {
	turn, i := int(w.newFlow)/len(w.bases), int(w.newFlow)%len(w.bases)
	if i == 0 {
		p := &w.plan.Profile
		f := w.plan.Flow((w.knownK + turn) * p.Tenants * p.VMs * p.Peers)
		w.ports = [2]uint16{f.SrcPort, f.DstPort}
	}
	w.newFlow++
	return w.bases[i]
}

// take makes a fresh packet frame i and puts it into the last run of its output.
func (w *worker) take(i int, stream uint32) []byte {
	io := w.io
	io.NumSpares--
	p := io.Spares[io.NumSpares]
	data := w.fill(p, i)
	w.put(p, uint32(w.all[i].out), stream)
	return data
}

func (w *worker) put(p *packet.Packet, out, stream uint32) {
	io := w.io
	w.stream[io.NumTx], w.length[io.NumTx] = stream, uint16(p.PktLen)
	io.Tx[io.NumTx] = p
	if r := io.NumTxRuns; r > 0 && io.TxRuns[r-1].Out == out {
		io.TxRuns[r-1].Count++
	} else {
		io.TxRuns[r] = packet.TxRun{Out: out, First: uint16(io.NumTx), Count: 1}
		io.NumTxRuns++
	}
	io.NumTx++
}

// account counts what devices took. The rest is freed, and its sequence numbers are given again.
func (w *worker) account() {
	io := w.io
	if io.NumTxRuns > 0 {
		w.pace.full = false
	}
	for i := range io.TxRuns[:io.NumTxRuns] {
		run := &io.TxRuns[i]
		w.pace.full = w.pace.full || run.Sent < run.Count
		for j := run.First; j < run.First+run.Sent; j++ {
			switch w.stream[j] {
			case control:
				continue
			case noStream:
				w.counts.NewSent++
			}
			w.counts.Sent++
			w.counts.SentBytes += uint64(w.length[j])
			w.pace.done++
		}
	}
	for i := int(io.NumTxRuns) - 1; i >= 0; i-- {
		w.takeBack(&io.TxRuns[i])
	}
}

// takeBack looks at what a device left of a run, the last one first: a number is given again unless a higher one of its
// stream has left, by a later run for which there was room again.
func (w *worker) takeBack(run *packet.TxRun) {
	for j := run.First + run.Count; j > run.First+run.Sent; {
		j--
		if s := w.stream[j]; s < control && w.next[s] == w.number[j]+1 {
			w.next[s]--
		}
		w.counts.Refused++
	}
}

// receive judges what arrived, and hands it back.
func (w *worker) receive(now uint64) {
	io := w.io
	for i := range io.RxRuns[:io.NumRxRuns] {
		run := &io.RxRuns[i]
		for j := run.First; j < run.First+run.Count; j++ {
			w.judge(io.Rx[j], uint16(run.Ref), now)
		}
	}
	io.NumFree = uint32(copy(io.Free[:], io.Rx[:io.NumRx]))
}

func (w *worker) judge(p *packet.Packet, device uint16, now uint64) {
	var s stamp
	c := &w.counts
	data := p.Data()
	switch s.read(data) {
	case foreign:
		c.Foreign++
		w.answer(data, device)
		return
	case damaged:
		c.Damaged++
		return
	case stamped:
	}
	switch {
	case s.mark != w.mark:
		c.Late++
		return
	case s.stream == noStream:
		c.NewReceived++
	case s.stream >= uint32(len(w.streams)):
		c.Damaged++
		return
	default:
		if !w.ordered(&s, device) {
			return
		}
	}
	c.Received++
	c.ReceivedSize += uint64(p.PktLen)
	w.hist.Record((now - s.time) & timeMask)
}

// ordered puts an arrival into its stream; false for a duplicate.
func (w *worker) ordered(s *stamp, device uint16) bool {
	c := &w.counts
	switch w.streams[s.stream].arrive(s.sequence) {
	case inOrder:
	case reordered:
		c.Reordered++
	case tooOld:
		c.Reordered++
		c.TooOld++
	case duplicate:
		c.Duplicates++
		return false
	}
	if sink := w.all[s.stream].sink; sink != anySink && sink != device {
		c.Astray++
	}
	return true
}

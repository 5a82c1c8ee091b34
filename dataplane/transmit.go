package dataplane

import "github.com/sluicenet/sluice/packet"

// txStage collects what one iteration sends, in the order it was decided, and arranges it by output for the poll: one
// run per output, each in the order it was staged, so that no flow is reordered.
type txStage struct {
	n     int
	mixed bool // more than one output
	pkts  [packet.MaxTx]*packet.Packet
	to    [packet.MaxTx]uint32
	from  [packet.MaxTx]uint32
	size  [packet.MaxTx]uint32
	in    [packet.MaxTx]uint32 // from and size in the order of IO.Tx, for settle
	len   [packet.MaxTx]uint32
	start []uint16 // by port: packets staged, then the next place in IO.Tx
	ports [packet.MaxTx]uint32
}

func (o *txStage) init(maxPorts int) (err error) {
	o.start, err = offHeap[uint16](maxPorts)
	return err
}

func (o *txStage) free() { freeOffHeap(o.start); o.start = nil }

// arrange is a counting sort by output.
func (o *txStage) arrange(io *packet.IO) {
	io.NumTx, io.NumTxRuns = uint32(o.n), 0
	if o.n == 0 {
		return
	}
	if !o.mixed {
		copy(io.Tx[:o.n], o.pkts[:o.n])
		copy(o.in[:o.n], o.from[:o.n])
		copy(o.len[:o.n], o.size[:o.n])
		io.TxRuns[0] = packet.TxRun{Out: o.to[0], Count: uint16(o.n)}
		io.NumTxRuns = 1
		return
	}
	outs := 0
	for _, port := range o.to[:o.n] {
		if o.start[port] == 0 {
			o.ports[outs] = port
			outs++
		}
		o.start[port]++
	}
	first := uint16(0)
	for i, port := range o.ports[:outs] {
		count := o.start[port]
		io.TxRuns[i] = packet.TxRun{Out: port, First: first, Count: count}
		o.start[port] = first
		first += count
	}
	io.NumTxRuns = uint32(outs)
	for i, port := range o.to[:o.n] {
		at := o.start[port]
		o.start[port]++
		io.Tx[at], o.in[at], o.len[at] = o.pkts[i], o.from[i], o.size[i]
	}
	for _, port := range o.ports[:outs] {
		o.start[port] = 0
	}
	o.mixed = false
}

// send stages a packet for an output; in is the port that it is charged to.
func (w *worker) send(in, out uint32, p *packet.Packet) {
	o := &w.out
	if o.n == packet.MaxTx {
		w.discard(in, p, ReasonTxBurstFull)
		return
	}
	if o.n > 0 && out != o.to[0] {
		o.mixed = true
	}
	o.pkts[o.n], o.to[o.n], o.from[o.n], o.size[o.n] = p, out, in, p.PktLen
	o.n++
}

// discard drops a packet and counts why.
func (w *worker) discard(in uint32, p *packet.Packet, r Reason) {
	w.ctr.drop(in, r)
	w.free(p)
}

// consume ends a packet that was for the switch itself.
func (w *worker) consume(in uint32, p *packet.Packet) {
	w.ctr.of(in).consumed++
	w.free(p)
}

// free gives a packet back with the next poll. The list has room for all that one iteration can drop.
func (w *worker) free(p *packet.Packet) {
	w.io.Free[w.io.NumFree] = p
	w.io.NumFree++
}

// spare takes a fresh packet, nil when the pool is dry.
func (w *worker) spare() *packet.Packet {
	if w.io.NumSpares == 0 {
		return nil
	}
	w.io.NumSpares--
	p := w.io.Spares[w.io.NumSpares]
	p.Reset(packet.Headroom)
	return p
}

// answerSpares are left alone by copies: flooding in one network must not keep ARP requests and answers from others.
const answerSpares = packet.MaxSpares / 4

// clone copies a packet, all segments, into a spare; nil when there is none or it does not fit.
func (w *worker) clone(p *packet.Packet) *packet.Packet {
	if w.io.NumSpares <= answerSpares {
		return nil
	}
	c := w.spare()
	if c == nil {
		return nil
	}
	if !c.Append(int(p.PktLen)) {
		w.free(c)
		return nil
	}
	at := c.Data()
	for s := p; s != nil; s = s.Next {
		at = at[copy(at, s.Data()):]
	}
	return c
}

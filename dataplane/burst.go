package dataplane

import (
	"encoding/binary"
	"math/bits"

	"github.com/sluicenet/sluice/packet"
)

// frameClass says how a received packet goes on after parsing.
type frameClass uint8

const (
	classDone      frameClass = iota // dropped or answered
	classFlow                        // by the flow table
	classPlain                       // likewise, before worker.complete
	classWide                        // by the flow table of IPv6
	classARP                         // by itself: what it says counts, not which flow it is
	classND                          // likewise
	classRewritten                   // for a provider address that is not the host's own: still to be parsed
)

// run takes up to packet.RxBurst packets of one queue through parse, look-up and action. Known flows are executed before
// new ones are decided, so that no action that a known flow refers to is reused meanwhile. No plain packet overtakes
// another of its flow by that: epochs only grow, so those found known come first. One that is not plain is looked up
// behind the plain ones of its burst; if its flow's policy changes just in between, one of them may overtake it.
func (w *worker) run(q *rxQueue, pkts []*packet.Packet) {
	if q == nil {
		for _, p := range pkts {
			w.free(p) // the queue went while its packets were on their way; RemovePort has flushed, so there are none
		}
		return
	}
	if snap := w.sw.snap.Load(); snap != q.snap {
		q.refresh(snap)
	}
	if q.flows.old != nil {
		q.flows.migrate(migrateBatch, w.tick, q.release)
	}
	q.totals.Bursts++
	q.totals.Packets += uint64(len(pkts))
	if len(pkts) == packet.RxBurst {
		q.totals.FullBursts++
	}
	b := w.ctr.of(q.port)
	b.rx += uint64(len(pkts)) // before any of them is dropped, in case that this worker fails in between
	plain, bytes := w.parseBurst(q, pkts)
	w.touch(q, len(pkts))
	if w.sample.on {
		w.sampleBurst(q, len(pkts))
	}
	b.rxBytes += bytes
	unknown := w.lookupBurst(q, pkts, plain)
	if w.sample.on {
		w.mark(q, StageLookup)
	}
	missed := w.listMissed(w.runKnown(q, pkts, plain, unknown), plain)
	if w.sample.on {
		w.mark(q, StageExecute)
	}
	w.runMissed(q, pkts, missed)
	if w.sample.on && len(missed) > 0 {
		w.mark(q, StageNewFlows)
	}
	if q.uplink {
		clear(w.burst.Outer[:len(pkts)])
	}
}

// parseBurst parses a burst and hashes its keys. It returns the set of plain packets, and the bytes of all.
func (w *worker) parseBurst(q *rxQueue, pkts []*packet.Packet) (plain uint64, bytes uint64) {
	all := ^uint64(0) >> (packet.RxBurst - len(pkts))
	w.burst.SetTable(q.flows.distant(), q.flows.mask)
	if q.uplink {
		return w.parseUplink(q, pkts, all)
	}
	w.burst.SetScope(q.scope)
	plain, bytes = w.burst.ParsePlain(pkts, all, q.flows.seed)
	for rest := all &^ plain; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		w.class[i] = w.classify(q, pkts[i], i, q.scope)
	}
	return plain, bytes
}

// parseUplink is parseBurst for what comes from the fabric.
func (w *worker) parseUplink(q *rxQueue, pkts []*packet.Packet, all uint64) (plain uint64, bytes uint64) {
	w.burst.SetScope(q.scope)
	inner, rewritten := uint64(0), uint64(0)
	if len(q.local.PAs) > 0 {
		inner, bytes = w.burst.DecapPlain(pkts, &q.local)
		plain, _ = w.burst.ParsePlain(pkts, inner, q.flows.seed)
	} else {
		for _, p := range pkts {
			bytes += uint64(p.PktLen)
		}
	}
	for rest := all &^ plain; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		if inner>>i&1 != 0 {
			w.class[i] = w.classify(q, pkts[i], i, uint32(w.burst.Scope[i]))
		} else if w.class[i] = w.classifyUplink(q, pkts[i], i); w.class[i] == classRewritten {
			rewritten |= 1 << i
		}
	}
	if rewritten != 0 {
		plain |= w.parseRewritten(q, pkts, rewritten)
	}
	return plain, bytes
}

// parseRewritten is parseBurst for frames between provider addresses of VMs.
func (w *worker) parseRewritten(q *rxQueue, pkts []*packet.Packet, among uint64) (plain uint64) {
	plain, _ = w.burst.ParsePlain(pkts, among, q.flows.seed)
	for rest := among &^ plain; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		w.class[i] = w.classify(q, pkts[i], i, q.scope)
	}
	return plain
}

// complete makes a plain packet like others, for what is not done by the loops of rows.go.
func (w *worker) complete(p *packet.Packet, i int) {
	w.class[i] = classFlow
	packet.PlainParsed(p, &w.burst.Key[i], &w.meta[i])
}

// touch brings the flows of a burst into the first-level cache, all at once, before the first is waited for; those of a
// large table are on their way since they were parsed.
func (w *worker) touch(q *rxQueue, n int) {
	slots, mask, sum := q.flows.slots, q.flows.mask, uint64(0)
	if len(slots) > cachedFlowSlots {
		return
	}
	for _, hash := range w.burst.Hash[:n] {
		sum += slots[hash&mask].bytes
	}
	w.touched = sum
}

// classify parses a frame of any kind and hashes its key.
func (w *worker) classify(q *rxQueue, p *packet.Packet, i int, scope uint32) frameClass {
	m := &w.meta[i]
	packet.Parse(p.Data(), int(p.PktLen), scope, m)
	if m.Err != packet.ParseOK {
		w.discard(q.port, p, reasonOf(m.Err))
		return classDone
	}
	switch m.Kind {
	case packet.L3ARP:
		return classARP
	case packet.L3IPv6:
		m.Wide(p.Data(), &w.wide[i])
		w.burst.Hash[i] = w.wide[i].Hash(q.wide.seed)
		if isND(m, p.Data()) {
			return classND
		}
		return classWide
	}
	w.burst.Hash[i] = m.Key.Hash(q.flows.seed)
	return classFlow
}

// lookupBurst finds the flows of the plain packets, counts the packets of those that are known and still valid, and
// notes their actions in w.known; the others are returned.
func (w *worker) lookupBurst(q *rxQueue, pkts []*packet.Packet, plain uint64) (unknown uint64) {
	t := q.flows
	look := firstLook{pkts: pkts[:min(len(pkts), packet.RxBurst)], slots: t.slots, burst: &w.burst, cells: &w.sw.epochs, known: &w.known,
		mask: t.mask, plain: plain, tick: uint64(w.tick)}
	if q.uplink {
		look.actions = q.actions.fast
	}
	look.look()
	elsewhere := look.elsewhere
	t.stats.Hits += uint64(bits.OnesCount64(plain &^ elsewhere))
	if elsewhere != 0 && len(t.slots) > roomyFlowSlots {
		w.touched += t.touchElsewhere(&w.burst.Hash, elsewhere)
	}
	for ; elsewhere != 0; elsewhere &= elsewhere - 1 {
		i := bits.TrailingZeros64(elsewhere)
		if t.unknown(w.burst.Hash[i]) {
			unknown |= 1 << i
			continue
		}
		if w.known[i], _ = hit(w, q, t, &w.burst.Key[i], i, pkts[i]); w.known[i] == 0 {
			unknown |= 1 << i
		}
	}
	return unknown
}

// runKnown executes the packets whose flow is known and still valid, in the order of the burst, and returns the set of the
// others. Those of unknown, the plain ones, interrupt no row: they are decided later in any case.
func (w *worker) runKnown(q *rxQueue, pkts []*packet.Packet, plain, unknown uint64) (missed uint64) {
	missed = unknown
	for i := 0; i < len(pkts); {
		p := pkts[i]
		if w.known[i] != 0 {
			end := w.runFast(q, pkts, i, unknown)
			if end == i {
				w.complete(p, i)
				w.execute(q, p, i, &q.actions.slots[w.known[i]])
				end++
			}
			i = end
			continue
		}
		if plain>>i&1 == 0 {
			if a, done := w.lookupOne(q, p, i); a != nil {
				w.execute(q, p, i, a)
			} else if !done {
				missed |= 1 << i
			}
		}
		i++
	}
	return missed
}

// listMissed lists a set of packets in w.miss, in the order of the burst.
func (w *worker) listMissed(missed, plain uint64) []uint8 {
	n := 0
	for ; missed != 0; missed &= missed - 1 {
		i := bits.TrailingZeros64(missed)
		if plain>>i&1 != 0 {
			w.class[i] = classPlain
		}
		w.miss[n] = uint8(i)
		n++
	}
	return w.miss[:n]
}

// lookupOne finds the action of a packet that is not plain, nil when it is to be decided; done says that it has come to
// its end already.
func (w *worker) lookupOne(q *rxQueue, p *packet.Packet, i int) (a *action, done bool) {
	switch w.class[i] {
	case classFlow:
		_, a = hit(w, q, q.flows, &w.meta[i].Key, i, p)
	case classWide:
		_, a = hit(w, q, q.wide, &w.wide[i], i, p)
	case classDone:
		return nil, true
	}
	return a, false
}

// hit finds the action of a known flow and counts the packet; 0 and nil when the flow is unknown, or must be decided again
// because its policy changed or, in NVGRE, because the outer source is another than the flow's.
func hit[K comparable, P flowKey[K]](w *worker, q *rxQueue, t *flowTable[K, P], k *K, i int, p *packet.Packet) (id uint32, a *action) {
	f := t.lookup(k, w.burst.Hash[i])
	if f == nil || f.epoch != w.sw.epochs.sum(f.srcCell, f.dstCell) {
		return 0, nil
	}
	a = &q.actions.slots[f.action]
	if a.spoofed(&w.burst.Outer[i]) {
		return 0, nil
	}
	f.packets++
	f.bytes += uint64(p.PktLen)
	f.seen = w.tick
	t.stats.Hits++
	return f.action, a
}

// runNew handles a packet that no valid flow knows.
func (w *worker) runNew(q *rxQueue, p *packet.Packet, i int) {
	switch w.class[i] {
	case classARP:
		w.handleARP(q, p, i)
	case classND:
		w.handleND(q, p, i)
	case classWide:
		decideFlow(w, q, q.wide, &w.wide[i], i, p)
	default:
		decideFlow(w, q, q.flows, &w.meta[i].Key, i, p)
	}
}

// decideFlow asks the layers, remembers their verdict and executes it. What is refused from the fabric is not remembered: a
// forged packet can neither displace the flow of the true sender nor fill the tables. Rules deny only what passed the guard.
func decideFlow[K comparable, P flowKey[K]](w *worker, q *rxQueue, t *flowTable[K, P], k *K, i int, p *packet.Packet) {
	if _, a := hit(w, q, t, k, i, p); a != nil { // decided by an earlier packet of this burst
		w.execute(q, p, i, a)
		return
	}
	t.stats.Misses++
	w.prepare(q, p, i)
	epoch, stable := w.sw.decide(&w.fresh)
	f := &w.fresh
	w.learn(q, f)
	known := t.lookup(k, w.burst.Hash[i])
	refused := f.act.kind == actDrop && (f.encapsulated || f.rewritten) && f.act.reason != ReasonACLDenyIn
	if stable && refused && known != nil && !q.actions.slots[known.action].spoofed(&w.burst.Outer[i]) {
		t.remove(known, w.burst.Hash[i], q.release) // or it would pass for a known flow that policy changed (isStale)
	}
	if stable && !refused && (known != nil || w.letsIn(i)) {
		if id := q.actions.intern(&f.act); id != 0 {
			if known == nil {
				known = t.insert(k, w.burst.Hash[i], w.tick, q.release)
			} else {
				q.release(known.action)
			}
			if known == nil {
				q.release(id)
			} else {
				known.action, known.epoch, known.srcCell, known.dstCell = id, epoch, f.srcCell, f.dstCell
				known.packets++
				known.bytes += uint64(p.PktLen)
				known.seen = w.tick
			}
		}
	}
	w.execute(q, p, i, &f.act)
}

// prepare fills in what the layers are told of a packet.
func (w *worker) prepare(q *rxQueue, p *packet.Packet, i int) {
	f, m := &w.fresh, &w.meta[i]
	*f = newFlow{now: w.now, in: q.port, meta: m, srcMAC: m.SrcMAC(), dstMAC: m.DstMAC()}
	ip := p.Data()[m.L3:]
	switch m.Kind {
	case packet.L3IPv4:
		f.src = packet.AddrFrom4(binary.BigEndian.Uint32(ip[12:]))
		f.dst = packet.AddrFrom4(binary.BigEndian.Uint32(ip[16:]))
		f.entropy = m.Key.Entropy()
	case packet.L3IPv6:
		f.src, f.dst = packet.AddrFrom16(ip[8:]), packet.AddrFrom16(ip[24:])
		f.entropy = w.wide[i].Entropy()
	default:
		f.entropy = m.Key.Entropy()
	}
	if o := &w.burst.Outer[i]; o.Src != 0 {
		f.encapsulated, f.vsid, f.outerSrc = true, o.VSID, packet.AddrFrom4(o.Src)
	}
}

// learn tells control of a source address that the forwarding database does not have on this port.
func (w *worker) learn(q *rxQueue, f *newFlow) {
	if f.act.flags&flagLearn == 0 {
		return
	}
	if port, ok := w.sw.fdb.lookup(f.act.vsid, f.srcMAC); ok && port == q.port {
		w.sw.fdb.touch(f.act.vsid, f.srcMAC, w.now)
		return
	}
	w.reportLearned(q, f.act.vsid, f.srcMAC)
}

func (w *worker) reportLearned(q *rxQueue, bridge uint32, src packet.MAC) {
	if q.learnRound != w.nextRun {
		q.learnRound, q.learned = w.nextRun, 0
	}
	if q.learned == maxLearned {
		w.events.lost.Add(1)
		return
	}
	q.learned++
	w.events.put(event{bridge: bridge, mac: src, port: q.port, at: w.now})
}

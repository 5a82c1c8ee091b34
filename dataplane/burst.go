package dataplane

import (
	"encoding/binary"

	"github.com/sluicenet/sluice/packet"
)

// frameClass says how a received packet goes on after parsing.
type frameClass uint8

const (
	classDone frameClass = iota // dropped or answered
	classFlow                   // by the flow table
	classWide                   // by the flow table of IPv6
	classARP                    // by itself: what it says counts, not which flow it is
	classND                     // likewise
)

// outerInfo is what decapsulation remembers of the outer header.
type outerInfo struct {
	src  uint32 // provider address of the sender; 0 when the packet did not come in NVGRE
	vsid uint32
	tos  uint8
}

// run takes up to packet.RxBurst packets of one queue through parse, look-up and action. Known flows are executed before
// new ones are decided: a burst holds packets of one flow either all as known or all as new, so that none overtakes
// another, and no action that a known flow refers to is reused meanwhile.
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
	q.totals.Bursts++
	q.totals.Packets += uint64(len(pkts))
	bytes := w.classifyBurst(q, pkts)
	w.touch(q, len(pkts))
	if w.sample.on {
		w.sampleBurst(q, len(pkts))
	}
	b := w.ctr.of(q.port)
	b.rx += uint64(len(pkts))
	b.rxBytes += bytes
	missed := w.runKnown(q, pkts)
	if w.sample.on {
		w.mark(q, StageExecute)
	}
	w.runMissed(q, pkts, w.miss[:missed])
	if w.sample.on && missed > 0 {
		w.mark(q, StageNewFlows)
	}
	if q.uplink {
		clear(w.outer[:len(pkts)])
	}
}

// classifyBurst parses a burst and hashes its keys.
func (w *worker) classifyBurst(q *rxQueue, pkts []*packet.Packet) (bytes uint64) {
	class, meta, hashes := w.class[:len(pkts)], w.meta[:len(pkts)], w.hash[:len(pkts)]
	if q.uplink {
		for i, p := range pkts {
			bytes += uint64(p.PktLen)
			class[i] = w.classifyUplink(q, p, i)
		}
		return bytes
	}
	seed := q.flows.seed
	for i, p := range pkts {
		bytes += uint64(p.PktLen)
		if p.NbSegs == 1 {
			if hash, ok := packet.ParsePlain(p.Data(), q.scope, seed, &meta[i]); ok {
				hashes[i], class[i] = hash, classFlow
				continue
			}
		}
		class[i] = w.classify(q, p, i, q.scope)
	}
	return bytes
}

// touch starts the cache lines of a burst's flows on their way, all at once, before the first is waited for.
func (w *worker) touch(q *rxQueue, n int) {
	slots, mask, sum := q.flows.slots, q.flows.mask, uint64(0)
	for _, hash := range w.hash[:n] {
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
		w.hash[i] = w.wide[i].Hash(q.wide.seed)
		if isND(m, p.Data()) {
			return classND
		}
		return classWide
	}
	w.hash[i] = m.Key.Hash(q.flows.seed)
	return classFlow
}

// runKnown executes the packets whose flow is known and still valid, and lists the others in w.miss. Most are to be
// encapsulated or rewritten and nothing else: they wait for loops of their own.
func (w *worker) runKnown(q *rxQueue, pkts []*packet.Packet) (missed int) {
	t, cells, hits, plain, moved := q.flows, &w.sw.epochs, uint64(0), 0, 0
	class, meta, hashes := w.class[:len(pkts)], w.meta[:len(pkts)], w.hash[:len(pkts)]
	for i, p := range pkts {
		var a *action
		switch class[i] {
		case classFlow:
			k, at := &meta[i].Key, hashes[i]&t.mask
			f := &t.slots[at]
			if f.key != *k {
				f = &t.slots[at+1]
			}
			if f.key != *k || f.action == 0 || f.epoch != cells.sum(f.srcCell, f.dstCell) {
				a = hit(w, q, t, k, i, p)
				break
			}
			a = &q.actions.slots[f.action]
			if a.flags&flagDecap != 0 && a.outerSrc != w.outer[i].src {
				a = nil
				break
			}
			f.packets++
			f.bytes += uint64(p.PktLen)
			f.seen = w.tick
			hits++
		case classWide:
			a = hit(w, q, q.wide, &w.wide[i], i, p)
		case classDone:
			continue
		}
		switch {
		case a == nil:
			w.miss[missed] = uint8(i)
			missed++
		case a.kind == actEncap && a.flags&flagRewrites == 0:
			it := &w.plain[plain] // field by field, as in packet.ParsePlain
			it.p, it.a, it.tos, it.flowID, it.i = p, a, meta[i].TOS, uint8(hashes[i]>>56), uint8(i)
			plain++
		case a.kind == actForward && a.flags&(flagRewrites&^flagDecap) == 0 && p.PktLen <= uint32(a.maxLen) &&
			(a.flags&flagDecap == 0 || w.outer[i].tos&packet.ECNMask == meta[i].TOS&packet.ECNMask):
			w.send(q.port, a.out, p) // not a byte changes
		case a.kind >= actRewriteOut && a.flags&flagRewrites == 0 && a.kind <= actRewriteIn:
			it := &w.moved[moved]
			it.p, it.a, it.i = p, a, uint8(i)
			moved++
		default:
			w.execute(q, p, i, a)
		}
	}
	t.stats.Hits += hits
	if w.sample.on {
		w.mark(q, StageLookup)
	}
	if plain > 0 {
		w.encapsulateBurst(q, w.plain[:plain])
	}
	if moved > 0 {
		w.rewriteBurst(q, w.moved[:moved])
	}
	return missed
}

// hit finds the action of a known flow and counts the packet; nil when the flow is unknown, or must be decided again
// because its policy changed or, in NVGRE, because the outer source is another than the flow's.
func hit[K comparable, P flowKey[K]](w *worker, q *rxQueue, t *flowTable[K, P], k *K, i int, p *packet.Packet) *action {
	f := t.lookup(k, w.hash[i])
	if f == nil || f.epoch != w.sw.epochs.sum(f.srcCell, f.dstCell) {
		return nil
	}
	a := &q.actions.slots[f.action]
	if a.flags&flagDecap != 0 && a.outerSrc != w.outer[i].src {
		return nil
	}
	f.packets++
	f.bytes += uint64(p.PktLen)
	f.seen = w.tick
	t.stats.Hits++
	return a
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
	if a := hit(w, q, t, k, i, p); a != nil { // decided by an earlier packet of this burst
		w.execute(q, p, i, a)
		return
	}
	t.stats.Misses++
	w.prepare(q, p, i)
	epoch, stable := w.sw.decide(&w.fresh)
	f := &w.fresh
	w.learn(q, f)
	known := t.lookup(k, w.hash[i])
	refused := f.act.kind == actDrop && (f.encapsulated || f.rewritten) && f.act.reason != ReasonACLDenyIn
	if stable && !refused {
		if id := q.actions.intern(&f.act); id != 0 {
			if known == nil {
				known = t.insert(k, w.hash[i], w.tick, q.release)
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
	if o := &w.outer[i]; o.src != 0 {
		f.encapsulated, f.vsid, f.outerSrc = true, o.vsid, packet.AddrFrom4(o.src)
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
	if q.learnRound != w.nextRun {
		q.learnRound, q.learned = w.nextRun, 0
	}
	if q.learned == maxLearned {
		w.events.lost.Add(1)
		return
	}
	q.learned++
	w.events.put(event{bridge: f.act.vsid, mac: f.srcMAC, port: q.port, at: w.now})
}

package cli

import (
	"fmt"
	"strconv"
	"strings"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

// QoS is the quality of service of all outputs that have it. Rates and bytes are those on the wire: each frame with
// preamble, check sequence and gap.
type QoS struct {
	WindowSeconds float64     `json:"windowSeconds"` // 0: one sample, no rates
	Outputs       []QoSOutput `json:"outputs"`
}

// QoSOutput is an uplink, or a vport with a limit of what its VM gets.
type QoSOutput struct {
	Port          string     `json:"port"`
	Kind          string     `json:"kind"` // uplink, vport
	Worker        uint32     `json:"worker"`
	BitsPerSec    uint64     `json:"bitsPerSec"` // of the link, or the VM's maximum; 0: not known
	QueuedPackets uint64     `json:"queuedPackets"`
	Error         string     `json:"error,omitempty"`
	ByDevice      bool       `json:"byDevice,omitempty"`  // the uplink's device divides the link: only classes are known
	Bypassing     []string   `json:"bypassing,omitempty"` // what of the NIC sends past the switch
	Classes       []QoSClass `json:"classes"`
	Groups        []QoSGroup `json:"groups"`
	Leaves        []QoSLeaf  `json:"vports"`
}

// QoSClass is a traffic class, with all its queues together.
type QoSClass struct {
	TC            uint32  `json:"tc"`
	Name          string  `json:"name"`
	Strict        bool    `json:"strict"`
	SharePercent  uint32  `json:"sharePercent,omitempty"` // of what strict classes leave
	MaxBitsPerSec uint64  `json:"maxBitsPerSec,omitempty"`
	MarkBytes     uint32  `json:"markBytes,omitempty"`
	MarkFullBytes uint32  `json:"markFullBytes,omitempty"`
	QueueBytes    uint32  `json:"queueBytes,omitempty"`
	Share         float64 `json:"share"` // of what the output sent in the window, 0 to 1
	QoSCounts
}

// QoSGroup is a set of vports with rates of its own.
type QoSGroup struct {
	Name          string `json:"name"`
	MinBitsPerSec uint64 `json:"minBitsPerSec,omitempty"`
	MaxBitsPerSec uint64 `json:"maxBitsPerSec,omitempty"`
	BurstBytes    uint64 `json:"burstBytes,omitempty"`
	Weight        uint32 `json:"weight,omitempty"`
	QoSCounts
}

// QoSLeaf is what a vport sends, or sends to one of its destination classes.
type QoSLeaf struct {
	Vport         string     `json:"vport,omitempty"` // absent: the default flow, of all without a share of their own
	Destination   string     `json:"destination,omitempty"`
	Group         string     `json:"group,omitempty"`
	MinBitsPerSec uint64     `json:"minBitsPerSec,omitempty"`
	MaxBitsPerSec uint64     `json:"maxBitsPerSec,omitempty"`
	BurstBytes    uint64     `json:"burstBytes,omitempty"`
	Weight        uint32     `json:"weight,omitempty"`
	Queues        []QoSQueue `json:"queues"` // those that ever had a packet
	QoSCounts

	all *QoSCounts // with those of the vport's destinations, where it has some; nil without
}

// QoSQueue is what a leaf has in one traffic class.
type QoSQueue struct {
	TC uint32 `json:"tc"`
	QoSCounts
}

// QoSCounts is what waits and what was done. What cannot be told is absent.
type QoSCounts struct {
	QueuedPackets  uint64   `json:"queuedPackets"`
	QueuedBytes    uint64   `json:"queuedBytes"`
	SentPackets    uint64   `json:"sentPackets"`
	SentBytes      uint64   `json:"sentBytes"`
	DroppedPackets uint64   `json:"droppedPackets"`
	DroppedBytes   uint64   `json:"droppedBytes"`
	ECTPackets     uint64   `json:"ectPackets"`
	MarkedPackets  uint64   `json:"markedPackets"`
	BitsPerSec     *float64 `json:"bitsPerSec,omitempty"`
	PacketsPerSec  *float64 `json:"packetsPerSec,omitempty"`
	DropsPerSec    *float64 `json:"dropsPerSec,omitempty"`
	ECTPerSec      *float64 `json:"ectPerSec,omitempty"`
	MarksPerSec    *float64 `json:"marksPerSec,omitempty"`
}

// NewQoS shows the second of two samples, with rates since the first (nil: without).
func NewQoS(before, now *sluicev1.ListSchedulersResponse) *QoS {
	v := &QoS{WindowSeconds: newWindow(before.GetSampledNs(), now.GetSampledNs()).seconds, Outputs: []QoSOutput{}}
	was := map[string]*sluicev1.Scheduler{}
	for _, m := range before.GetSchedulers() {
		was[m.GetPort()] = m
	}
	for _, m := range now.GetSchedulers() {
		v.Outputs = append(v.Outputs, newQoSOutput(was[m.GetPort()], m))
	}
	return v
}

const byteBits = 8

func newQoSOutput(before, now *sluicev1.Scheduler) QoSOutput {
	o := QoSOutput{Port: now.GetPort(), Kind: now.GetPortKind(), Worker: now.GetWorker(), BitsPerSec: now.GetRateBytesPerSec() * byteBits,
		QueuedPackets: now.GetWaitingPackets(), Error: now.GetError(),
		ByDevice: now.GetByDevice(), Bypassing: now.GetBypassing(), Classes: []QoSClass{}, Groups: []QoSGroup{}, Leaves: []QoSLeaf{}}
	w := newWindow(before.GetSampledNs(), now.GetSampledNs())
	classes, groups, vports, first := map[uint32]*qosSum{}, map[string]*qosSum{}, map[string]*qosSum{}, map[string]int{}
	was := map[[2]string]*sluicev1.SchedulerLeaf{}
	for _, l := range before.GetLeaves() {
		was[[2]string{l.GetVport(), l.GetDestination()}] = l
	}
	var all qosSum
	for _, l := range now.GetLeaves() {
		leaf := QoSLeaf{Vport: l.GetVport(), Destination: l.GetDestination(), Group: l.GetGroup(), MinBitsPerSec: l.GetMinBytesPerSec() * byteBits,
			MaxBitsPerSec: l.GetMaxBytesPerSec() * byteBits, BurstBytes: l.GetBurstBytes(), Weight: l.GetWeight(), Queues: []QoSQueue{}}
		old := map[uint32]*sluicev1.SchedulerQueue{}
		for _, q := range was[[2]string{l.GetVport(), l.GetDestination()}].GetQueues() {
			old[q.GetTc()] = q
		}
		var sum qosSum
		for _, q := range l.GetQueues() {
			b := old[q.GetTc()]
			if b.GetSentPackets() > q.GetSentPackets() || b.GetDroppedPackets() > q.GetDroppedPackets() {
				b = nil // the queue began anew
			}
			one := qosSum{}
			for _, s := range []*qosSum{&one, &sum, &all, at(classes, q.GetTc()), at(groups, l.GetGroup())} {
				s.add(b, q)
			}
			leaf.Queues = append(leaf.Queues, QoSQueue{q.GetTc(), one.counts(w)})
		}
		leaf.QoSCounts = sum.counts(w)
		o.Leaves = append(o.Leaves, leaf)
		if leaf.Vport == "" {
			continue
		}
		whole := at(vports, leaf.Vport)
		whole.before.plus(&sum.before)
		whole.now.plus(&sum.now)
		if leaf.Destination == "" {
			first[leaf.Vport] = len(o.Leaves) - 1
		} else if i, ok := first[leaf.Vport]; ok {
			c := whole.counts(w)
			o.Leaves[i].all = &c
		}
	}
	for _, c := range now.GetClasses() {
		sum := at(classes, c.GetTc())
		class := QoSClass{TC: c.GetTc(), Name: c.GetName(), Strict: c.GetStrict(), SharePercent: c.GetSharePercent(),
			MaxBitsPerSec: c.GetMaxBytesPerSec() * byteBits, MarkBytes: c.GetMarkBytes(), MarkFullBytes: c.GetMarkFullBytes(),
			QueueBytes: c.GetQueueBytes(), QoSCounts: sum.counts(w)}
		if total := all.now.SentBytes - all.before.SentBytes; total > 0 {
			class.Share = float64(sum.now.SentBytes-sum.before.SentBytes) / float64(total)
		}
		o.Classes = append(o.Classes, class)
	}
	for _, g := range now.GetGroups() {
		o.Groups = append(o.Groups, QoSGroup{g.GetName(), g.GetMinBytesPerSec() * byteBits, g.GetMaxBytesPerSec() * byteBits, g.GetBurstBytes(),
			g.GetWeight(), at(groups, g.GetName()).counts(w)})
	}
	return o
}

func at[K comparable](m map[K]*qosSum, k K) *qosSum {
	if m[k] == nil {
		m[k] = &qosSum{}
	}
	return m[k]
}

// qosSum is several queues, in two samples.
type qosSum struct{ before, now QoSCounts }

func (s *qosSum) add(before, now *sluicev1.SchedulerQueue) {
	s.before.add(before)
	s.now.add(now)
}

func (c *QoSCounts) add(q *sluicev1.SchedulerQueue) {
	c.QueuedPackets += q.GetWaitingPackets()
	c.QueuedBytes += q.GetWaitingBytes()
	c.SentPackets += q.GetSentPackets()
	c.SentBytes += q.GetSentBytes()
	c.DroppedPackets += q.GetDroppedPackets()
	c.DroppedBytes += q.GetDroppedBytes()
	c.ECTPackets += q.GetEctPackets()
	c.MarkedPackets += q.GetMarkedPackets()
}

func (c *QoSCounts) plus(d *QoSCounts) {
	c.QueuedPackets += d.QueuedPackets
	c.QueuedBytes += d.QueuedBytes
	c.SentPackets += d.SentPackets
	c.SentBytes += d.SentBytes
	c.DroppedPackets += d.DroppedPackets
	c.DroppedBytes += d.DroppedBytes
	c.ECTPackets += d.ECTPackets
	c.MarkedPackets += d.MarkedPackets
}

func (s *qosSum) counts(w window) QoSCounts {
	c := s.now
	if c.BitsPerSec = w.rate(s.before.SentBytes, c.SentBytes); c.BitsPerSec != nil {
		*c.BitsPerSec *= byteBits
	}
	c.PacketsPerSec = w.rate(s.before.SentPackets, c.SentPackets)
	c.DropsPerSec = w.rate(s.before.DroppedPackets, c.DroppedPackets)
	c.ECTPerSec = w.rate(s.before.ECTPackets, c.ECTPackets)
	c.MarksPerSec = w.rate(s.before.MarkedPackets, c.MarkedPackets)
	return c
}

// Draw shows each output: its classes, groups, and vports.
func (v *QoS) Draw(s *Screen) {
	if len(v.Outputs) == 0 {
		s.Line("no quality of service")
		return
	}
	for i := range v.Outputs {
		s.Gap()
		v.Outputs[i].draw(s, v.WindowSeconds > 0)
	}
}

func (o *QoSOutput) draw(s *Screen, windowed bool) {
	if o.ByDevice {
		s.Line("%s %s: the device divides the link evenly among %d classes, and counts nothing by class", o.Kind, o.Port, len(o.Classes))
	} else {
		o.drawScheduler(s, windowed)
	}
	if len(o.Bypassing) > 0 {
		s.Line("%s", s.Paint(Doubtful, "not in these numbers, and shaped by the NIC alone (its own DCB): what "+strings.Join(o.Bypassing, " and ")+" may send"))
	}
}

func (o *QoSOutput) drawScheduler(s *Screen, windowed bool) {
	towards := ""
	if o.Kind == "vport" {
		towards = " (inbound)"
	}
	s.Line("%s %s%s: %s, worker %d, %s queued; rates on the wire", o.Kind, o.Port, towards, bits(o.BitsPerSec, "rate of the device"), o.Worker,
		plural(int(o.QueuedPackets), "packet"))
	if o.Error != "" {
		s.Line("%s", s.Paint(Bad, o.Error))
		return
	}
	measured := qosHeader(windowed)
	partial := o.Kind == "uplink" && len(o.Leaves) > 0 && o.Leaves[0].Vport != "" // one vport was asked for: others are not in the sums
	var rows [][]string
	for i := range o.Classes {
		c := &o.Classes[i]
		rows = append(rows, append([]string{strconv.Itoa(int(c.TC)), c.Name, c.configured(), bits(c.MaxBitsPerSec, "-"), c.marking(), share(c.Share)},
			c.cells(s, windowed)...))
	}
	if o.Kind != "vport" && !partial {
		s.Table(append([]string{">TC", "CLASS", "SHARE", ">MAX", ">ECN FROM", ">MEASURED"}, measured...), rows)
	}
	if len(o.Groups) > 0 && !partial {
		s.Gap()
		rows = rows[:0]
		for i := range o.Groups {
			g := &o.Groups[i]
			rows = append(rows, append([]string{g.Name, bits(g.MinBitsPerSec, weight(g.Weight)), bits(g.MaxBitsPerSec, "-")}, g.cells(s, windowed)...))
		}
		s.Table(append([]string{"GROUP", ">MIN", ">MAX"}, measured...), rows)
	}
	s.Gap()
	rows = rows[:0]
	for i := range o.Leaves {
		rows = append(rows, o.Leaves[i].rows(s, windowed, len(o.Classes) > 1 && o.Kind != "vport", o.Kind == "vport")...)
	}
	s.Table(append([]string{"VPORT", "TO", "GROUP", ">MIN", ">MAX", ">TC"}, measured...), rows)
}

// rows shows a leaf, and its queues where there may be more than one.
func (l *QoSLeaf) rows(s *Screen, windowed, classes, inbound bool) [][]string {
	name, minimum, to := firstOf(l.Vport, "(others)"), bits(l.MinBitsPerSec, weight(l.Weight)), firstOf(l.Destination, "-")
	switch {
	case inbound: // one queue for all senders: nothing is divided
		name, minimum, to = "(all)", "-", "-"
	case l.Vport == "":
		to = "-"
	case l.Destination != "": // the vport's share is divided by what is sent, not by a weight that somebody gave
		minimum = "-"
	}
	if l.all != nil {
		whole := [][]string{append([]string{name, "(all)", firstOf(l.Group, "-"), minimum, bits(l.MaxBitsPerSec, "-"), ""}, l.all.cells(s, windowed)...)}
		rest := *l
		rest.all, rest.MinBitsPerSec, rest.MaxBitsPerSec, rest.Destination = nil, 0, 0, "(elsewhere)"
		return append(whole, rest.rows(s, windowed, classes, inbound)...)
	}
	rows := [][]string{append([]string{name, to, firstOf(l.Group, "-"), minimum, bits(l.MaxBitsPerSec, "-"), ""}, l.cells(s, windowed)...)}
	if !classes || len(l.Queues) == 0 {
		return rows
	}
	if len(l.Queues) == 1 {
		rows[0][5] = strconv.Itoa(int(l.Queues[0].TC))
		return rows
	}
	for i := range l.Queues {
		q := &l.Queues[i]
		rows = append(rows, append([]string{"", "", "", "", "", strconv.Itoa(int(q.TC))}, q.cells(s, windowed)...))
	}
	return rows
}

func (c *QoSClass) configured() string {
	if c.Strict {
		return "strict"
	}
	return fmt.Sprintf("%d%%", c.SharePercent)
}

func (c *QoSClass) marking() string {
	switch {
	case c.MarkBytes == 0:
		return "-"
	case c.MarkFullBytes > c.MarkBytes:
		return short(float64(c.MarkBytes)) + "B–" + short(float64(c.MarkFullBytes)) + "B"
	}
	return short(float64(c.MarkBytes)) + "B"
}

func qosHeader(windowed bool) []string {
	if windowed {
		return []string{">RATE", ">PKT/S", ">QUEUED", ">BYTES", ">ECT/S", ">MARKS/S", ">DROPS/S", ">DROPPED"}
	}
	return []string{">SENT", ">PACKETS", ">QUEUED", ">BYTES", ">ECT", ">MARKED", ">DROPPED"}
}

func (c *QoSCounts) cells(s *Screen, windowed bool) []string {
	dropped := count(c.DroppedPackets)
	if c.DroppedPackets > 0 {
		dropped = s.Paint(Doubtful, dropped)
	}
	queued, bytes := count(c.QueuedPackets), short(float64(c.QueuedBytes))+"B"
	if !windowed {
		return []string{short(float64(c.SentBytes)) + "B", count(c.SentPackets), queued, bytes, count(c.ECTPackets), count(c.MarkedPackets), dropped}
	}
	return []string{optional(c.BitsPerSec, func(v float64) string { return short(v) + "bit/s" }), optional(c.PacketsPerSec, short), queued, bytes,
		optional(c.ECTPerSec, short), optional(c.MarksPerSec, short), optional(c.DropsPerSec, short), dropped}
}

// bits writes a rate, or what stands for none.
func bits(perSec uint64, none string) string {
	if perSec == 0 {
		return none
	}
	return short(float64(perSec)) + "bit/s"
}

func weight(w uint32) string { return "weight " + strconv.Itoa(int(max(w, 1))) }

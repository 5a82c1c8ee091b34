package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

// QueueMap is which worker polls which receive queue, and their loads within a window.
type QueueMap struct {
	WindowSeconds float64       `json:"windowSeconds"` // 0: one sample, no rates
	Workers       []QueueWorker `json:"workers"`
	Queues        []QueueLoad   `json:"queues"`
}

// QueueWorker is a worker with its load.
type QueueWorker struct {
	ID            uint32   `json:"id"`
	Core          int32    `json:"core"` // -1: not pinned
	Node          int32    `json:"node"` // NUMA node; -1: unknown
	State         string   `json:"state"`
	Queues        int      `json:"queues"`
	BusyShare     *float64 `json:"busyShare,omitempty"` // 0 to 1
	PacketsPerSec *float64 `json:"packetsPerSec,omitempty"`
}

// QueueLoad is a receive queue with its load.
type QueueLoad struct {
	Port            string   `json:"port"`
	Kind            string   `json:"kind"` // uplink, vport
	Queue           uint32   `json:"queue"`
	Worker          uint32   `json:"worker"`
	Core            int32    `json:"core"`
	Node            int32    `json:"node"` // of the device
	Mode            string   `json:"mode"`
	Vports          []string `json:"vports"` // whose packets it brings; none: of several
	HandedTo        []uint32 `json:"handedTo"`
	BusyShare       *float64 `json:"busyShare,omitempty"` // of its worker's time
	PacketsPerSec   *float64 `json:"packetsPerSec,omitempty"`
	PacketsPerBurst *float64 `json:"packetsPerBurst,omitempty"`
	Moves           uint64   `json:"moves"`
}

// NewQueueMap shows the second of two samples, with rates since the first (nil: without).
func NewQueueMap(before, now *sluicev1.ListQueuesResponse) *QueueMap {
	v := &QueueMap{WindowSeconds: newWindow(before.GetSampledNs(), now.GetSampledNs()).seconds, Workers: []QueueWorker{}, Queues: []QueueLoad{}}
	was := map[uint32]*sluicev1.QueueWorker{}
	for _, w := range before.GetWorkers() {
		was[w.GetId()] = w
	}
	cores, cycles := map[uint32]int32{}, map[uint32]*float64{}
	for _, w := range now.GetWorkers() {
		old := was[w.GetId()]
		window := newWindow(old.GetSampledNs(), w.GetSampledNs())
		busy, idle := window.rate(old.GetBusyCycles(), w.GetBusyCycles()), window.rate(old.GetIdleCycles(), w.GetIdleCycles())
		if busy != nil && idle != nil {
			all := *busy + *idle
			cycles[w.GetId()] = &all
		}
		cores[w.GetId()] = w.GetCore()
		v.Workers = append(v.Workers, QueueWorker{ID: w.GetId(), Core: w.GetCore(), Node: w.GetNode(), State: w.GetState(),
			BusyShare: busyShare(busy, idle), PacketsPerSec: window.rate(old.GetPackets(), w.GetPackets())})
	}
	old := map[string]*sluicev1.Queue{}
	for _, q := range before.GetQueues() {
		old[queueName(q.GetPort(), q.GetQueue())] = q
	}
	for _, q := range now.GetQueues() {
		load := newQueueLoad(old[queueName(q.GetPort(), q.GetQueue())], q, cycles[q.GetWorker()])
		load.Core = cores[q.GetWorker()]
		v.Queues = append(v.Queues, load)
		for i := range v.Workers {
			if v.Workers[i].ID == q.GetWorker() {
				v.Workers[i].Queues++
			}
		}
	}
	return v
}

func queueName(port string, queue uint32) string { return port + "/" + strconv.Itoa(int(queue)) }

// newQueueLoad compares two samples of a queue; cycles is what its worker had in a second.
func newQueueLoad(before, now *sluicev1.Queue, cycles *float64) QueueLoad {
	w := newWindow(before.GetSampledNs(), now.GetSampledNs())
	q := QueueLoad{Port: now.GetPort(), Kind: now.GetPortKind(), Queue: now.GetQueue(), Worker: now.GetWorker(), Node: now.GetNode(), Mode: now.GetMode(),
		Vports: append([]string{}, now.GetVports()...), HandedTo: append([]uint32{}, now.GetHandedTo()...), Moves: now.GetMoves(),
		PacketsPerSec: w.rate(before.GetPackets(), now.GetPackets())}
	q.BusyShare = quotient(w.rate(before.GetBusyCycles(), now.GetBusyCycles()), cycles)
	q.PacketsPerBurst = quotient(q.PacketsPerSec, w.rate(before.GetBursts(), now.GetBursts()))
	return q
}

// Draw shows the workers, then the queues.
func (v *QueueMap) Draw(s *Screen) {
	rows := make([][]string, 0, len(v.Workers))
	for i := range v.Workers {
		w := &v.Workers[i]
		state := w.State
		if state != "running" {
			state = s.Paint(Bad, state)
		}
		rows = append(rows, []string{strconv.Itoa(int(w.ID)), coreText(w.Core), orNone(w.Node), state, strconv.Itoa(w.Queues),
			optional(w.BusyShare, share), optional(w.PacketsPerSec, short)})
	}
	s.Table([]string{">WORKER", ">CORE", ">NODE", "STATE", ">QUEUES", ">BUSY", ">PKT/S"}, rows)
	if len(v.Queues) == 0 {
		return
	}
	s.Gap()
	rows = rows[:0]
	for i := range v.Queues {
		q := &v.Queues[i]
		worker := strconv.Itoa(int(q.Worker))
		for _, other := range q.HandedTo {
			if other != q.Worker {
				worker += "+" + strconv.Itoa(int(other))
			}
		}
		whose := "(shared)"
		if len(q.Vports) > 0 {
			whose = strings.Join(q.Vports, " ")
		}
		rows = append(rows, []string{queueName(q.Port, q.Queue), worker, coreText(q.Core), q.Mode, whose, optional(q.BusyShare, share),
			optional(q.PacketsPerSec, short), optional(q.PacketsPerBurst, decimal), count(q.Moves)})
	}
	s.Table([]string{"QUEUE", ">WORKER", ">CORE", "MODE", "VPORTS", ">LOAD", ">PKT/S", ">PKT/BURST", ">MOVES"}, rows)
}

func coreText(core int32) string {
	if core < 0 {
		return "any"
	}
	return strconv.Itoa(int(core))
}

func orNone(n int32) string {
	if n < 0 {
		return "-"
	}
	return strconv.Itoa(int(n))
}

// QueueHistory is what was decided for receive queues, the latest first.
type QueueHistory struct {
	Events    []QueueEvent `json:"events"`
	Forgotten uint64       `json:"forgotten"` // older ones, which are remembered no more
}

// QueueEvent is one decision. Gains are shares of a worker's time, 0 to 1.
type QueueEvent struct {
	Number       uint64    `json:"number"`
	At           time.Time `json:"at"`
	Kind         string    `json:"kind"`
	Cause        string    `json:"cause"`
	Reason       string    `json:"reason"`
	Port         string    `json:"port"`
	Queue        uint32    `json:"queue"`
	From         *int32    `json:"from,omitempty"` // worker of a move; absent: nobody polled it
	To           *int32    `json:"to,omitempty"`
	Vport        string    `json:"vport,omitempty"`
	Workers      []uint32  `json:"workers,omitempty"`
	Error        string    `json:"error,omitempty"`
	TookSeconds  float64   `json:"tookSeconds"`
	ExpectedGain float64   `json:"expectedGain"`
	MeasuredGain *float64  `json:"measuredGain,omitempty"` // in the second after it, with all else that happened then
	PacketsRatio *float64  `json:"packetsRatio,omitempty"` // packets per second of the workers concerned, after by before
}

// NewQueueHistory translates the daemon's answer.
func NewQueueHistory(m *sluicev1.ListMovesResponse) *QueueHistory {
	v := &QueueHistory{Events: []QueueEvent{}, Forgotten: m.GetForgotten()}
	for _, e := range m.GetEvents() {
		v.Events = append(v.Events, QueueEvent{
			Number: e.GetNumber(), At: time.Unix(0, int64(e.GetAtUnixNs())).UTC(), Kind: e.GetKind(), Cause: e.GetCause(), Reason: e.GetReason(),
			Port: e.GetPort(), Queue: e.GetQueue(), From: worker(e.GetFrom()), To: worker(e.GetTo()), Vport: e.GetVport(), Workers: e.GetWorkers(),
			Error: e.GetError(), TookSeconds: nanoseconds(e.GetTookNs()).Seconds(), ExpectedGain: e.GetExpectedGain(),
			MeasuredGain: e.MeasuredGain, PacketsRatio: e.PacketsRatio,
		})
	}
	return v
}

func worker(id int32) *int32 {
	if id < 0 {
		return nil
	}
	return &id
}

// Draw shows the events.
func (v *QueueHistory) Draw(s *Screen) {
	if len(v.Events) == 0 {
		s.Line("nothing was decided for receive queues")
		return
	}
	rows := make([][]string, 0, len(v.Events))
	for i := range v.Events {
		e := &v.Events[i]
		reason := e.Reason
		if e.Error != "" {
			reason += "; " + s.Paint(Bad, "not done: "+e.Error)
		}
		rows = append(rows, []string{e.At.Local().Format("15:04:05.000"), queueName(e.Port, e.Queue), e.what(), e.Cause, signed(e.ExpectedGain),
			optional(e.MeasuredGain, signed), optional(e.PacketsRatio, ratio), reason})
	}
	s.Table([]string{"TIME", "QUEUE", "WHAT", "CAUSE", ">EXPECTED", ">MEASURED", ">PACKETS", "REASON"}, rows)
	if v.Forgotten > 0 {
		s.Line("%s remembered no more", plural(int(v.Forgotten), "older event"))
	}
}

// what says it in a few words.
func (e *QueueEvent) what() string {
	number := func(w *int32) string {
		if w == nil {
			return "-"
		}
		return strconv.Itoa(int(*w))
	}
	switch {
	case e.Kind == "move":
		return "worker " + number(e.From) + " to " + number(e.To)
	case e.Vport != "":
		return e.Kind + " " + e.Vport
	case len(e.Workers) > 0:
		return e.Kind + " " + strings.Trim(fmt.Sprint(e.Workers), "[]")
	}
	return e.Kind
}

// signed writes a gain in points of a worker's time.
func signed(v float64) string { return fmt.Sprintf("%+.1f%%", 100*v) }

func ratio(v float64) string { return fmt.Sprintf("x%.2f", v) }

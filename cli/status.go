package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

// Status is the daemon at a glance.
type Status struct {
	Host             string     `json:"host"`
	Version          string     `json:"version"`
	PID              uint32     `json:"pid"`
	UptimeSeconds    float64    `json:"uptimeSeconds"`
	Ready            bool       `json:"ready"`
	NotReadyReason   string     `json:"notReadyReason,omitempty"`
	Revision         uint64     `json:"revision"`
	ConfigFile       string     `json:"configFile"`
	ConfigHash       string     `json:"configHash"`
	AppliedAt        *time.Time `json:"appliedAt,omitempty"`
	LastApplyError   string     `json:"lastApplyError,omitempty"`
	LastApplyErrorAt *time.Time `json:"lastApplyErrorAt,omitempty"`
	Uplinks          uint32     `json:"uplinks"`
	Vports           uint32     `json:"vports"`
	WindowSeconds    float64    `json:"windowSeconds"` // 0: one sample, no rates
	Cores            string     `json:"cores"`         // of workers and control, and why
	Workers          []Worker   `json:"workers"`
}

// Worker is one of the daemon's. Its rates are over the window, absent without one.
type Worker struct {
	ID            uint32        `json:"id"`
	Core          int32         `json:"core"` // -1: not pinned
	State         string        `json:"state"`
	Doing         string        `json:"doing,omitempty"`  // of one that stalls
	Faults        uint64        `json:"faults,omitempty"` // times it failed
	LastFault     string        `json:"lastFault,omitempty"`
	BusyShare     *float64      `json:"busyShare,omitempty"` // 0 to 1
	PacketsPerSec *float64      `json:"packetsPerSec,omitempty"`
	Packets       uint64        `json:"packets"`
	Iterations    uint64        `json:"iterations"`
	Flows         uint64        `json:"flows"`
	Queues        []WorkerQueue `json:"queues"`
}

// WorkerQueue is a receive queue that a worker polls.
type WorkerQueue struct {
	Port  string `json:"port"`
	Queue uint32 `json:"queue"`
	Flows uint64 `json:"flows"`
}

// NewStatus shows the second of two samples, with rates since the first (nil: without).
func NewStatus(before, now *sluicev1.GetStatusResponse) *Status {
	w := newWindow(before.GetSampledNs(), now.GetSampledNs())
	st := &Status{
		Host: now.GetHost(), Version: now.GetVersion(), PID: now.GetPid(), UptimeSeconds: nanoseconds(now.GetUptimeNs()).Seconds(),
		Ready: now.GetReady(), NotReadyReason: now.GetNotReadyReason(), Revision: now.GetRevision(),
		ConfigFile: now.GetConfigFile(), ConfigHash: now.GetConfigHash(), AppliedAt: wallClock(now.GetAppliedUnixNs()),
		LastApplyError: now.GetLastApplyError(), LastApplyErrorAt: wallClock(now.GetLastApplyErrorUnixNs()),
		Uplinks: now.GetUplinks(), Vports: now.GetVports(), WindowSeconds: w.seconds, Cores: now.GetCores(), Workers: []Worker{},
	}
	was := map[uint32]*sluicev1.Worker{}
	for _, wk := range before.GetWorkers() {
		was[wk.GetId()] = wk
	}
	for _, wk := range now.GetWorkers() {
		st.Workers = append(st.Workers, newWorker(was[wk.GetId()], wk))
	}
	return st
}

func newWorker(before, now *sluicev1.Worker) Worker {
	v := Worker{ID: now.GetId(), Core: now.GetCore(), State: now.GetState(), Packets: now.GetPackets(),
		Doing: now.GetDoing(), Faults: now.GetFaults(), LastFault: now.GetLastFault(), Iterations: now.GetIterations(), Flows: now.GetFlows(), Queues: []WorkerQueue{}}
	if before != nil {
		w := newWindow(before.GetSampledNs(), now.GetSampledNs())
		v.PacketsPerSec = w.rate(before.GetPackets(), now.GetPackets())
		v.BusyShare = busyShare(w.rate(before.GetBusyCycles(), now.GetBusyCycles()), w.rate(before.GetIdleCycles(), now.GetIdleCycles()))
	}
	for _, q := range now.GetQueues() {
		v.Queues = append(v.Queues, WorkerQueue{Port: q.GetPort(), Queue: q.GetQueue(), Flows: q.GetFlows()})
	}
	return v
}

// busyShare is the part of the cycles that were spent on packets.
func busyShare(busy, idle *float64) *float64 {
	if busy == nil || idle == nil || *busy+*idle == 0 {
		return nil
	}
	s := *busy / (*busy + *idle)
	return &s
}

// shortHash is as much of a hash as people compare.
const shortHash = 12

// Draw shows the daemon, then its workers.
func (st *Status) Draw(s *Screen) {
	ready := s.Paint(Good, "ready")
	if !st.Ready {
		ready = s.Paint(Bad, "not ready") + ": " + firstOf(st.NotReadyReason, "no reason given")
	}
	hash := st.ConfigHash
	if len(hash) > shortHash {
		hash = hash[:shortHash]
	}
	config := ""
	if st.Revision > 0 {
		config = fmt.Sprintf("%s (revision %d, %s)", firstOf(st.ConfigFile, "unnamed"), st.Revision, hash)
	}
	s.Pairs(
		[2]string{"host", st.Host},
		[2]string{"state", ready},
		[2]string{"daemon", fmt.Sprintf("%s, pid %d, up %s", firstOf(st.Version, "unknown version"), st.PID, span(time.Duration(st.UptimeSeconds*float64(time.Second))))},
		[2]string{"config", config},
		[2]string{"applied", clock(st.AppliedAt)},
		[2]string{"last error", s.Paint(Bad, st.lastError())},
		[2]string{"cores", st.Cores},
		[2]string{"ports", fmt.Sprintf("%s, %s", plural(int(st.Uplinks), "uplink"), plural(int(st.Vports), "vport"))},
	)
	if len(st.Workers) == 0 {
		return
	}
	s.Gap()
	rows := make([][]string, 0, len(st.Workers))
	for _, w := range st.Workers {
		core := "any"
		if w.Core >= 0 {
			core = strconv.Itoa(int(w.Core))
		}
		var queues []string
		for _, q := range w.Queues {
			queues = append(queues, fmt.Sprintf("%s/%d", q.Port, q.Queue))
		}
		rows = append(rows, []string{strconv.Itoa(int(w.ID)), core, w.State, optional(w.BusyShare, share), optional(w.PacketsPerSec, short),
			count(w.Flows), count(w.Packets), count(w.Iterations), strings.Join(queues, " ")})
	}
	s.Table([]string{">WORKER", ">CORE", "STATE", ">BUSY", ">PKT/S", ">FLOWS", ">PACKETS", ">ITERATIONS", "QUEUES"}, rows)
	for _, w := range st.Workers {
		if w.Doing != "" {
			s.Line("%s: it comes to no end with %s", s.Paint(Bad, fmt.Sprintf("worker %d stalls", w.ID)), w.Doing)
		}
		if w.Faults > 0 {
			s.Line("%s, the last time by: %s", s.Paint(Bad, fmt.Sprintf("worker %d failed %s", w.ID, plural(int(w.Faults), "time"))), w.LastFault)
		}
	}
}

func (st *Status) lastError() string {
	if st.LastApplyErrorAt == nil || st.LastApplyError == "" {
		return st.LastApplyError
	}
	return clock(st.LastApplyErrorAt) + ": " + st.LastApplyError
}

func clock(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

// optional writes a value that may be absent.
func optional(v *float64, write func(float64) string) string {
	if v == nil {
		return "-"
	}
	return write(*v)
}

func firstOf(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

package dataplane

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
)

// doing is a note of what a worker is at, for whoever asks why it comes to no end, or what it had in hand when it failed.
// The worker writes it with plain stores, a cycle or two each; it lies off the heap, and others read a word at a time.
type doing struct {
	stage uint64 // in the low byte; then the run in hand, of IO.RxRuns
	queue uint64 // of that run: port, and in the low half-word the receive queue
}

// What a worker can be at.
const (
	doingOther = iota
	doingPoll
	doingKnown
	doingNew
	doingQoS
	doingTimers
	doingCommand
	doingSleep
	doingNothing
	numDoings
)

var doingTexts = [numDoings]string{
	doingOther:   "its accounts, or packets that wait for next hops",
	doingPoll:    "sending to its devices and receiving from them",
	doingKnown:   "a burst",
	doingNew:     "new flows, ARP or neighbour discovery",
	doingQoS:     "the schedulers of outputs",
	doingTimers:  "its timers: idle flows, next hops, reports",
	doingCommand: "a change of ports, policy or queues",
	doingSleep:   "sleep",
	doingNothing: "no packets since it failed",
}

const doingRunShift = 8

func (d *doing) note(stage uint64) { d.stage = stage }

func (d *doing) noteRun(run int, q *rxQueue) {
	if q != nil {
		d.queue = uint64(q.port)<<16 | uint64(q.queue)
	}
	d.stage = doingKnown | uint64(run)<<doingRunShift
}

// enter changes what is done with the run in hand.
func (d *doing) enter(stage uint64) { d.stage = d.stage&^(1<<doingRunShift-1) | stage }

func (d *doing) read() (stage uint64, run int, port uint32, queue uint16) {
	word, of := atomic.LoadUint64(&d.stage), atomic.LoadUint64(&d.queue)
	return word & (1<<doingRunShift - 1), int(word >> doingRunShift), uint32(of >> 16), uint16(of)
}

// tell says it in words.
func (s *Switch) tell(d *doing) string {
	stage, _, port, queue := d.read()
	text := doingTexts[min(stage, doingNothing)]
	if stage != doingKnown && stage != doingNew {
		return text
	}
	s.readMu.RLock()
	defer s.readMu.RUnlock()
	name := s.ports[port].Name
	if name == "" {
		name = fmt.Sprint("with index ", port)
	}
	return fmt.Sprintf("%s of queue %d of port %s", text, queue, name)
}

// threadState is what the kernel says of a thread of this process: whether it runs, waits for a core, or for what.
func threadState(thread int32) string {
	dir := fmt.Sprintf("/proc/self/task/%d/", thread)
	stat, err := os.ReadFile(dir + "stat")
	_, rest, ok := strings.Cut(string(stat), ") ")
	if err != nil || !ok || rest == "" {
		return fmt.Sprintf("thread %d", thread)
	}
	text := fmt.Sprintf("thread %d in state %c", thread, rest[0])
	if where, err := os.ReadFile(dir + "wchan"); err == nil && len(where) > 1 {
		text += ", waiting in " + string(where)
	}
	if call, err := os.ReadFile(dir + "syscall"); err == nil {
		if call, _, _ := strings.Cut(strings.TrimSpace(string(call)), " "); call != "running" && call != "" {
			text += ", system call " + call
		}
	}
	return text
}

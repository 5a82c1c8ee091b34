// Package vmq decides which worker polls which receive queue, which vports own a hardware queue, and when a queue that is
// too much for one worker is divided by software. It is pure: load samples and limits go in, decisions with their reasons
// come out, and time is an argument. The daemon runs it, and so does a simulator;
// the daemon gives it neither vports nor queues to divide, so that it moves whole queues only.
//
//	Sample ──► Decide ──► []Decision ──► who carries them out ──► the next Sample shows what came of it
//
// A Balancer is told nothing but samples: a decision that could not be carried out shows in the next one, and is tried
// again later.
package vmq

import "time"

// QueueKey names a receive queue: the port, and the queue's number on its device.
type QueueKey struct {
	Port  uint32
	Queue uint16
}

// NoWorker is the worker of a queue that nobody polls.
const NoWorker = -1

// NoQueue is the queue of a vport that owns none.
const NoQueue = -1

// Mode says how much may be decided for the queues of an uplink. The zero Mode is Dynamic.
type Mode uint8

// Modes of an uplink.
const (
	Dynamic Mode = iota // queues move between workers, and belong to the busiest vports
	Static              // vports get a queue while there are free ones, and keep it; queues stay at their workers
	Off                 // no vport owns a queue; queues stay at their workers
)

// State is how a worker is.
type State uint8

// States of workers.
const (
	Running State = iota
	Stalled       // it has not told anything for too long: its queues stay, and it gets no more
	Gone          // it ended by a panic, or is being removed: its queues go to others at once
)

// Sample is the load since the last sample.
type Sample struct {
	At      time.Duration // since any moment that stays the same; never runs back
	Workers []WorkerLoad
	Queues  []QueueLoad
	Uplinks []Uplink
	Vports  []VportLoad
}

// WorkerLoad is one worker. Loads are shares of its time, 0 to 1.
type WorkerLoad struct {
	ID    int
	Node  int // NUMA node of its core; negative: unknown
	State State
	Busy  float64 // of its time in iterations that brought packets
}

// QueueLoad is one receive queue, of an uplink or of a vport.
type QueueLoad struct {
	QueueKey
	Name          string  // for reasons; empty: its numbers
	Worker        int     // that polls it, or NoWorker
	Node          int     // NUMA node of its device; negative: unknown
	Busy          float64 // share of its worker's time that its packets took
	PacketsPerSec float64 // fetched
	LostPerSec    float64 // what the device dropped because nobody fetched it in time; 0 where it does not tell
	Burst         float64 // mean packets a poll that brought some; 0: unknown
	Full          float64 // share of the polls that brought a whole burst, 0 to 1: more was waiting; 0 where unknown
	ReceiveCycles float64 // cycles a packet for receiving and parsing, which hand-over cannot share; 0: unknown
	Handed        []int   // workers that share its packets by hand-over now, the polling one included; nil: hand-over is off
	Divisible     bool    // hand-over is possible: the dataplane can divide this queue
	Pinned        bool    // stays where it is unless its worker is gone (mode static or off, or the operator's wish)
}

// Uplink is what vports may own on an uplink.
type Uplink struct {
	Port uint32
	Mode Mode
	Own  []uint16 // queues of the device that a vport may own, busy or not; empty: it cannot steer
}

// VportLoad is what an uplink brought for one vport, in its own queue or in a shared one.
type VportLoad struct {
	Vport         uint32 // index of the vport's port
	Name          string // for reasons; empty: its number
	Uplink        uint32 // port of the uplink
	Busy          float64
	PacketsPerSec float64
	Queue         int // of the uplink, which it owns, or NoQueue
}

// Kind is what a decision does.
type Kind uint8

// Kinds of decisions, in the order in which one interval's decisions are to be carried out.
const (
	MoveQueue   Kind = iota // Queue goes from worker From (or NoWorker) to worker To
	Unsteer                 // Vport gives back Queue; its packets come by a shared queue
	Steer                   // Vport gets Queue of its own
	HandOverOff             // Queue is not divided any more
	HandOverOn              // Queue's packets are divided among Workers; the first polls it, and keeps the share Keep
	Refused                 // nothing is done, though something is wrong: Reason says what, and why nothing helps
)

// Cause is why something is decided, in one word.
type Cause uint8

// Causes of decisions.
const (
	Unpolled   Cause = iota // nobody polled the queue
	WorkerGone              // who polled it, or had a part of it, is gone
	Overload                // a worker is above the upper threshold
	Imbalance               // workers in use are not equally busy
	Remote                  // the queue's device is on another NUMA node than its worker
	Coalesce                // fewer workers are enough
	Busy                    // a vport is worth a queue of its own
	ByMode                  // the uplink's mode says so
	Saturation              // a single queue is too much for its worker
	Enough                  // one worker is enough for a divided queue
)

var causes = [...]string{"unpolled", "worker-gone", "overload", "imbalance", "remote-node", "coalesce", "busy-vport", "mode", "saturation", "one-is-enough"}

func (c Cause) String() string { return causes[c] }

var kinds = [...]string{"move", "unsteer", "steer", "hand-over-off", "hand-over-on", "refused"}

func (k Kind) String() string { return kinds[k] }

// Decision is one thing to do, and why.
type Decision struct {
	Kind     Kind
	Queue    QueueKey
	From, To int     // of MoveQueue
	Vport    uint32  // of Steer and Unsteer
	Workers  []int   // of HandOverOn
	Keep     float64 // of HandOverOn: the share of packets that the first worker keeps, 0 to 1
	Gain     float64 // by how much the busiest worker concerned is expected to be relieved, as share of a worker
	Cause    Cause
	Reason   string // one line for people, with numbers
}

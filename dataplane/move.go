package dataplane

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// A receive queue moves from one worker to another with its flow tables, actions and accounts, so that no flow is decided
// anew, and so that no packet is lost or overtakes another of its flow:
//
//	old worker          flushes, takes the queue off its list, and lets go
//	owners of outputs   take in what the old worker handed over before, in the course of their iterations
//	new worker          puts the queue onto its list and polls it
//
// The workers pass it on by themselves: no thread of the control side stands between them, and the device keeps what comes
// in meanwhile, for about an iteration of each. What waits for next hops goes along. If the new worker does not take it, the
// old one gets it back.

// Errors of MoveQueue.
var (
	ErrNoQueue = errors.New("no such receive queue")
	ErrHangs   = errors.New("the worker does not answer")
	ErrFailed  = errors.New("the worker has failed and has yet to come back: choose another one, or wait for a few seconds")
)

// movePatience is how long a move waits for each worker that takes part.
const movePatience = 500 * time.Millisecond

// How far a move has come.
const (
	moveAsked  = iota // the old worker has the queue
	moveOnWay         // nobody has it
	moveTaken         // a worker takes it: the new one, or the old one again
	moveCalled        // off, before it began
)

// move is a receive queue on its way. Whoever changes state is the one that does what comes next.
type move struct {
	q        *rxQueue
	from, to *worker
	state    atomic.Int32
	done     chan error // nil: the new worker has it

	// what the old worker leaves
	tsc   uint64
	held  []heldPackets
	marks []laneMark
}

// laneMark is how far the reader of a lane has to come.
type laneMark struct {
	lane *lane
	upTo uint32 // packets ever put in
}

func (m *laneMark) passed() bool { return int32(m.lane.taken.Load()-m.upTo) >= 0 }

// MoveQueue lets a worker poll a receive queue that another one polled until now, and returns once it does. Nothing is lost,
// reordered or decided anew by that. When it fails, the queue is where it was. A worker that hangs, the old one, the new
// one, or one that has yet to take in what was handed over, makes it fail after a second or two.
func (s *Switch) MoveQueue(port uint32, queue uint16, worker int) error {
	if err := s.lockSoon(); err != nil {
		return fmt.Errorf("move queue %d of port %d to worker %d: %w", queue, port, worker, err)
	}
	defer s.mu.Unlock()
	from, q, err := s.findQueue(port, queue)
	if err == nil && (worker < 0 || worker >= len(s.workers)) {
		err = fmt.Errorf("%w with this number: there are workers 0 to %d", ErrNoWorker, len(s.workers)-1)
	}
	if err == nil && s.workers[worker].health.failed.Load() {
		err = ErrFailed
	}
	if err == nil && from.id != worker {
		err = s.move(&move{q: q, from: from, to: s.workers[worker], done: make(chan error, 1)})
	}
	if err != nil {
		name := s.ports[port].Name
		if name == "" {
			name = fmt.Sprint("with index ", port)
		}
		return fmt.Errorf("move queue %d of port %s to worker %d: %w", queue, name, worker, err)
	}
	return nil
}

// lockSoon locks the control side, unless that waits for a worker that hangs.
func (s *Switch) lockSoon() error {
	for end := time.Now().Add(s.patience); !s.mu.TryLock(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("another change of the switch is not done yet: try again, and if it stays so, look for a worker that hangs (sluice status)")
		}
	}
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	return nil
}

func (s *Switch) findQueue(port uint32, queue uint16) (*worker, *rxQueue, error) {
	for _, w := range s.workers {
		for _, q := range *w.listed.Load() {
			if q.port == port && q.queue == queue {
				return w, q, nil
			}
		}
	}
	if spec, ok := s.ports[port]; !ok {
		return nil, nil, ErrNoPort
	} else if int(queue) >= spec.RxQueues {
		return nil, nil, fmt.Errorf("%w: the port has %d", ErrNoQueue, spec.RxQueues)
	}
	return nil, nil, fmt.Errorf("%w on any worker's list: one that hangs is to take it back", ErrNoQueue)
}

// move sees a move through, or off.
func (s *Switch) move(m *move) error {
	s.moving.Store(m)
	s.moves.Add(1)
	defer func() {
		s.moving.Store(nil)
		s.moves.Add(1)
	}()
	if !m.from.post(m.release) {
		return ErrClosed
	}
	select {
	case err := <-m.done:
		return err
	case <-time.After(s.patience):
	}
	switch {
	case m.state.CompareAndSwap(moveAsked, moveCalled):
		return fmt.Errorf("worker %d, which polls it, hangs: %w; it stays there", m.from.id, ErrHangs)
	case m.state.CompareAndSwap(moveOnWay, moveTaken):
		m.giveBack(fmt.Errorf("%s: %w; worker %d polls it on", m.waitedFor(), ErrHangs, m.from.id))
	}
	select {
	case err := <-m.done:
		return err
	case <-time.After(s.patience):
		return fmt.Errorf("%w: it is polled once worker %d or worker %d goes on", ErrHangs, m.from.id, m.to.id)
	}
}

// waitedFor says what kept the new worker from taking the queue.
func (m *move) waitedFor() string {
	for i := range m.marks {
		if mark := &m.marks[i]; !mark.passed() {
			return fmt.Sprintf("worker %d, which has a scheduler, does not take in what worker %d handed over", mark.lane.reader.id, m.from.id)
		}
	}
	return fmt.Sprintf("worker %d, which is to poll it, hangs", m.to.id)
}

// release runs on the old worker's thread, when all that came in by the queue is sent, handed over, or held.
func (m *move) release() {
	if !m.state.CompareAndSwap(moveAsked, moveOnWay) {
		return
	}
	w := m.from
	defer func() { m.releaseBroke(recover()) }()
	w.takeOff(m.q)
	m.held = w.takeHeld(m.q.port, m.q.queue)
	m.tsc = w.tsc
	if w.egress != nil {
		for _, l := range w.egress.to {
			if l != nil {
				m.marks = append(m.marks, laneMark{l, l.pktsIn})
			}
		}
	}
	w.ctr.publish()
	if !m.to.post(m.take) && m.state.CompareAndSwap(moveOnWay, moveTaken) {
		m.restore(ErrClosed)
	}
}

// take runs on the new worker's thread, once per iteration until those that the old one handed packets to have taken them
// in: what this worker hands over from now on comes behind them.
func (m *move) take() {
	w := m.to
	if m.state.Load() != moveOnWay {
		return
	}
	for i := range m.marks {
		if m.marks[i].passed() {
			continue
		}
		if !w.post(m.take) && m.state.CompareAndSwap(moveOnWay, moveTaken) {
			m.giveBack(ErrClosed)
		}
		return
	}
	if !m.state.CompareAndSwap(moveOnWay, moveTaken) {
		return
	}
	defer func() { m.takeBroke(recover()) }()
	if err := m.settle(w); err != nil {
		m.giveBack(fmt.Errorf("worker %d cannot poll it: %w; worker %d polls it on", w.id, err, m.from.id))
		return
	}
	m.done <- nil
}

// settle makes the queue one of a worker's.
func (m *move) settle(w *worker) error {
	if w.tsc < m.tsc {
		w.catchUp(m.tsc)
	}
	if err := w.addQueue(m.q); err != nil {
		return err
	}
	m.leaveHeld(w)
	w.ctr.publish()
	return nil
}

// leaveHeld gives a worker what waits for next hops, once.
func (m *move) leaveHeld(w *worker) {
	held := m.held
	m.held = nil
	w.giveHeld(held)
}

// catchUp lets the clock of this worker be no earlier than that of a flow table that it takes over, whose flows would seem
// very old otherwise.
func (w *worker) catchUp(tsc uint64) {
	w.flush()
	w.doing.note(doingCommand)
	if w.tsc < tsc { // the time stamp counter once jumped back, and the other one noticed at another time
		w.skew += tsc - w.tsc
		w.readClock()
	}
	w.tick = uint32(w.now >> tickShift)
}

func (m *move) giveBack(why error) {
	if !m.from.post(func() { m.restore(why) }) {
		m.done <- why
	}
}

// restore runs on the old worker's thread. A device that cannot be polled here any more either is kept on the list, so that
// it goes with its port.
func (m *move) restore(why error) {
	w := m.from
	defer func() { m.restoreBroke(recover()) }()
	if w.stop {
		m.q.free()
		m.leaveHeld(w)
		w.dropHeld(ReasonPortGone, func(*heldPackets, uint32) bool { return true })
	} else if err := m.settle(w); err != nil {
		w.adopt(m.q)
		m.leaveHeld(w)
		why = fmt.Errorf("%w; nor can worker %d any more: %w (remove the port and add it again)", why, w.id, err)
	}
	m.done <- why
}

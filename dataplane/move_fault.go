package dataplane

import "slices"

// A worker may fail in the middle of a move. Whatever it was at, one worker has the queue when the caller hears of it: two that
// poll it, or none, would be worse than the fault. The worker that fails gives up what it has a moment later (fail), the queue
// too, and with new tables if they are to blame. Each of the following gets what recover returned; nil: nothing happened.

// releaseBroke lets the old worker keep the queue, or take it again.
func (m *move) releaseBroke(v any) {
	if v == nil {
		return
	}
	if m.state.CompareAndSwap(moveOnWay, moveTaken) { // else somebody else gives it back
		if slices.Contains(m.from.queues, m.q) {
			m.done <- ErrFailed
		} else {
			m.giveBack(ErrFailed)
		}
	}
	panic(v)
}

// takeBroke leaves the queue with the new worker, once that has it, or gives it back.
func (m *move) takeBroke(v any) {
	if v == nil {
		return
	}
	if w := m.to; slices.Contains(w.queues, m.q) {
		w.survive(func() { m.leaveHeld(w) })
		m.done <- nil
	} else {
		m.giveBack(ErrFailed)
	}
	panic(v)
}

// restoreBroke leaves the queue with the old worker, on its list at least, from where others take it over.
func (m *move) restoreBroke(v any) {
	if v == nil {
		return
	}
	w := m.from
	if !w.stop {
		if !slices.Contains(w.queues, m.q) {
			m.q.ref = w.freeRef()
			w.list(m.q)
		}
		w.survive(func() { m.leaveHeld(w) })
	}
	m.done <- ErrFailed
	panic(v)
}

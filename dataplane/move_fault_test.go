package dataplane

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// listPoller fails when its list is to change, so many times.
type listPoller struct {
	Poller
	adds, removes atomic.Int32
}

func (p *listPoller) AddRx(device uint32, queue uint16, ref uint32) error {
	if p.adds.Load() > 0 {
		p.adds.Add(-1)
		panic("no more queues for me")
	}
	return p.Poller.AddRx(device, queue, ref)
}

func (p *listPoller) RemoveRx(ref uint32) {
	if p.removes.Load() > 0 {
		p.removes.Add(-1)
		panic("it is mine")
	}
	p.Poller.RemoveRx(ref)
}

// A worker fails at whatever step of a move: the queue is on one list when the caller hears of it, and
// others take over what the failed worker has.
func TestWorkerFailsInAMove(t *testing.T) {
	for name, fail := range map[string]func(from, to *listPoller){
		"letting go":      func(from, _ *listPoller) { from.removes.Store(1) },
		"taking":          func(_, to *listPoller) { to.adds.Store(1) },
		"taking it again": func(from, to *listPoller) { from.adds.Store(1); to.adds.Store(1) },
	} {
		t.Run(name, func(t *testing.T) {
			r := bareRig(t)
			r.sw.patience = patience
			from, to := &listPoller{Poller: r.net.Poller()}, &listPoller{Poller: r.net.Poller()}
			for _, p := range []Poller{from, to, r.net.Poller()} {
				r.addWorker(p)
			}
			r.setUp(rigPolicy, 3)
			r.resolve()
			r.move("red-vm1", 0)
			fail(from, to)
			require.ErrorIs(t, r.sw.MoveQueue(r.index.byName["red-vm1"], 0, 1), ErrFailed)
			require.GreaterOrEqual(t, r.workerOf("red-vm1"), 0)
			require.True(t, r.net.WaitFor(patience, func() bool { return r.state(0).Faults+r.state(1).Faults > 0 }))
			for worker := range 2 {
				require.True(t, r.net.WaitFor(patience, func() bool { return r.state(worker).State == WorkerRuns }))
			}
			r.sw.mu.Lock()   // until others have taken over
			r.sw.mu.Unlock() //nolint:staticcheck // nothing is to be done while it is locked
			r.idle()
			r.devs["up0"].Sent()
			require.Len(t, r.send("red-vm1", numbered(1))["up0"], 1)
			r.move("red-vm1", 2)
			require.Len(t, r.send("red-vm1", numbered(2))["up0"], 1)
			r.balanced()
		})
	}
}

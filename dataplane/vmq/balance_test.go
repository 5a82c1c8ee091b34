package vmq

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Two workers, four queues, skewed load that saturates one of them: balanced within a second.
func TestSkewedLoadIsBalancedWithinASecond(t *testing.T) {
	for name, blind := range map[string]bool{"bursts tell that more waits": false, "nothing tells": true} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, 2, quick())
			h.blind = blind
			for i := range 4 {
				h.queue(i%2, 0.02)
			}
			h.run(20 * time.Second)
			require.Equal(t, 1, h.used(), "at rest one worker is enough")
			for _, q := range h.queues {
				q.want = 0.45
			}
			all := h.run(time.Second)
			assert.InDeltaSlice(t, []float64{0.9, 0.9}, h.loads(), 0.001)
			for _, d := range all {
				assert.Equal(t, Overload, d.Cause, d.Reason)
			}
			assert.Zero(t, count(h.run(time.Minute), MoveQueue), "and stays so")
		})
	}
}

func TestQuietWorkersAreEmptiedAndLoadSpreadsAgain(t *testing.T) {
	h := newHost(t, 4, quick())
	for i := range 8 {
		h.queue(i%4, 0.03)
	}
	h.run(2 * time.Second)
	assert.Equal(t, 1, h.used(), "after start nobody waits")
	for round := range 3 {
		for _, q := range h.queues {
			q.want = 0.3
		}
		h.run(3 * time.Second)
		assert.LessOrEqual(t, slices.Max(h.loads()), 0.8, "round %d", round)
		assert.Empty(t, h.run(30*time.Second))
		for _, q := range h.queues {
			q.want = 0.05
		}
		few := h.run(h.limits.Calm / 2)
		assert.Zero(t, count(few, MoveQueue), "a short rest empties nobody: %v", few)
		h.run(2 * h.limits.Calm)
		assert.Equal(t, 1, h.used(), "round %d", round)
	}
}

func TestLowerOfZeroUsesAllWorkers(t *testing.T) {
	l := quick()
	l.Lower = 0
	h := newHost(t, 4, l)
	for range 8 {
		h.queue(0, 0.1)
	}
	h.run(3 * time.Second)
	assert.InDeltaSlice(t, []float64{0.2, 0.2, 0.2, 0.2}, h.loads(), 0.001)
}

func TestQueuesOfAWorkerThatIsGoneGoToOthersAtOnce(t *testing.T) {
	h := newHost(t, 3, quick())
	for i := range 6 {
		h.queue(i%3, 0.3).Pinned = i < 3
	}
	h.run(2 * time.Second)
	h.workers[1].State = Gone
	h.at -= h.step - time.Millisecond // between two rounds
	all := h.b.Decide(h.sample())
	require.Len(t, all, 2, "pinned or not, whatever the interval and the limits")
	for _, d := range all {
		assert.Equal(t, WorkerGone, d.Cause)
		assert.Equal(t, 1, d.From)
		assert.NotEqual(t, 1, d.To)
	}
	assert.Regexp(t, `^queue [14] of port 1 \(30 %\): worker 1, which polled it, is gone; worker [02] has the most room, and is at 90 % with it$`, all[0].Reason)
	h.carryOut(all)
	assert.InDeltaSlice(t, []float64{0.9, 0, 0.9}, h.loads(), 0.001)
}

func TestQueuesOfAStalledWorkerStay(t *testing.T) {
	h := newHost(t, 2, quick())
	for i := range 6 {
		h.queue(i%2, 0.3)
	}
	h.run(time.Second)
	h.workers[0].State = Stalled
	assert.Zero(t, count(h.run(time.Minute), MoveQueue), "neither from it nor to it")
	h.workers[0].State = Running
	h.queues[0].want = 0.35
	h.run(time.Minute)
}

func TestNobodyRuns(t *testing.T) {
	h := newHost(t, 1, quick())
	h.queue(0, 0.3)
	h.workers[0].State = Gone
	all := h.run(30 * time.Second)
	require.Len(t, all, 1, "told once, not every interval")
	assert.Equal(t, Refused, all[0].Kind)
	assert.Contains(t, all[0].Reason, "no worker runs that could take it")
}

func TestQueuesPreferTheNodeOfTheirDevice(t *testing.T) {
	h := newHost(t, 4, quick())
	for i := range h.workers {
		h.workers[i].Node = i / 2
	}
	for i := range 8 {
		h.queue(0, 0.28).Node = i % 2
	}
	h.run(time.Minute)
	for _, q := range h.queues {
		assert.Equal(t, q.Node, h.workers[q.Worker].Node, "%v", q.QueueKey)
	}
	assert.LessOrEqual(t, slices.Max(h.loads()), 0.8)
}

func TestAQueueThatStaysBehindIsTriedAgainLaterAndLater(t *testing.T) {
	h := newHost(t, 2, quick())
	for range 3 {
		h.queue(0, 0.4)
	}
	var tried []time.Duration
	h.refuse = func(d Decision) bool {
		if d.Kind == MoveQueue {
			tried = append(tried, h.at)
		}
		return true
	}
	h.run(2 * time.Minute)
	assert.Greater(t, len(tried), 3)
	assert.Less(t, len(tried), 40, "three queues, every 5, 10, 20, 40, 80 s")
}

func TestReasonsCanBeRead(t *testing.T) {
	h := newHost(t, 2, quick())
	for i := range 3 {
		h.queue(0, 0.3).Name = []string{"up0/0", "up0/1", "red-vm1"}[i]
	}
	all := h.round()
	require.Len(t, all, 1)
	assert.Equal(t, "worker 0 is at 90 %, above 80 %: queue up0/0 (30 %) goes to worker 1, which is at 0 %; then they are at 60 % and 30 %", all[0].Reason)
	assert.InDelta(t, 0.3, all[0].Gain, 1e-9)
}

func TestAWorkerAboveTheThresholdThatKeepsItsQueuesSaysWhy(t *testing.T) {
	h := newHost(t, 2, quick())
	h.queue(0, 0.9)
	all := h.run(30 * time.Second)
	require.Len(t, all, 1)
	assert.Equal(t, Refused, all[0].Kind)
	assert.Equal(t, "worker 0 is at 90 %, above 80 %, and keeps its queues: no move would relieve it by 2.0 %: queue 0 of port 1 alone takes 90 %, and the least loaded other, worker 1, is at 0 %", all[0].Reason)
}

func TestFilterBelievesTwoSamplesNotOne(t *testing.T) {
	var f filter
	add := func(v float64) { f.add(v, 250*time.Millisecond, 2*time.Second) }
	for range 10 {
		add(0.1)
	}
	add(0.9)
	assert.Less(t, f.level, 0.25, "one may be a burst")
	add(0.1)
	add(0.1)
	assert.Less(t, f.level, 0.25)
	add(0.7)
	add(0.8)
	assert.InDelta(t, 0.7, f.level, 1e-9, "two tell of a change")
	for i := range 100 {
		add(0.7 + 0.1*float64(i%2*2-1))
	}
	assert.InDelta(t, 0.7, f.level, 0.02, "noise is averaged")
}

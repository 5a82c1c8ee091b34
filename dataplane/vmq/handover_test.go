package vmq

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// saturating is a host of two workers with one queue that is too much for the first.
func saturating(t *testing.T, burst float64) (*host, *wish) {
	h := newHost(t, 2, quick())
	q := h.queue(0, 1.7)
	q.Divisible, q.Burst = true, burst
	q.PacketsPerSec = testHz / 100 // 100 cycles a packet
	q.ReceiveCycles = 30
	return h, q
}

func TestAQueueThatSaturatesItsWorkerIsDivided(t *testing.T) {
	h, q := saturating(t, 32)
	all := h.run(3 * time.Second)
	require.Equal(t, 1, count(all, HandOverOn), "%v", all)
	d := all[len(all)-1]
	assert.Equal(t, []int{0, 1}, d.Workers)
	assert.InDelta(t, 0.37, d.Keep, 0.05)
	assert.Regexp(t, `^worker 0 has no time for more of queue 0 of port 1 \(100 % of its time, 2.6e\+07 packets/s\): 6. % of its packets go to worker 1; a packet takes 100 cycles, 30 of them where it is received; handing it over in bursts of 20.* costs 1. more, and 2 workers carry 1.6.* times as much as one$`, d.Reason)
	assert.Equal(t, []int{0, 1}, q.Handed)
	assert.Zero(t, count(h.run(time.Minute), HandOverOff))
}

func TestHandOverThatDoesNotPayIsRefusedWithNumbers(t *testing.T) {
	h, _ := saturating(t, 1)
	all := h.run(30 * time.Second)
	require.Zero(t, count(all, HandOverOn))
	var why string
	for _, d := range all {
		assert.Equal(t, Refused, d.Kind)
		if d.Cause == Saturation {
			why = d.Reason
		}
	}
	assert.Contains(t, why, "and its packets are not handed to others: a packet takes 100 cycles, 30 of them where it is received; handing it over in bursts of 1 costs 231 more, so that 2 workers would carry 0.")
	assert.Contains(t, why, "times what one carries, and at least 1.10 times is asked for")
	assert.LessOrEqual(t, len(all), 2, "told once")

	// All of the cost where it is received: nothing to hand over.
	h, q := saturating(t, 32)
	q.ReceiveCycles = 95
	assert.Zero(t, count(h.run(30*time.Second), HandOverOn))

	h, q = saturating(t, 32)
	h.queue(1, 0.75).Pinned = true
	all = h.run(30 * time.Second)
	assert.Zero(t, count(all, HandOverOn))
	assert.Contains(t, all[len(all)-1].Reason, "no other worker is below 70 %")
	assert.Empty(t, q.Handed)
}

func TestOnlyAQueueThatCanBeDividedIs(t *testing.T) {
	h, q := saturating(t, 32)
	q.Divisible = false
	assert.Zero(t, count(h.run(30*time.Second), HandOverOn))
}

func TestQueuesAreMovedBeforeOneIsDivided(t *testing.T) {
	h, q := saturating(t, 32)
	q.want = 0.7
	h.queue(0, 0.5)
	all := h.run(10 * time.Second)
	assert.Zero(t, count(all, HandOverOn))
	assert.Positive(t, count(all, MoveQueue))
}

func TestHandOverEndsWhenOneWorkerIsEnough(t *testing.T) {
	h, q := saturating(t, 32)
	h.run(3 * time.Second)
	require.NotEmpty(t, q.Handed)
	q.want, q.PacketsPerSec = 0.2, testHz/100*0.4
	all := h.run(h.limits.Calm + h.limits.Residence)
	require.Equal(t, 1, count(all, HandOverOff), "%v", all)
	assert.Contains(t, all[0].Reason, "take 40 % of one worker")
	assert.Empty(t, q.Handed)
}

func TestHandOverEndsAtOnceWhenAHelperIsGone(t *testing.T) {
	h, q := saturating(t, 32)
	h.run(3 * time.Second)
	require.NotEmpty(t, q.Handed)
	h.workers[1].State = Gone
	all := h.round()
	require.NotEmpty(t, all)
	assert.Equal(t, HandOverOff, all[0].Kind)
	assert.Equal(t, "queue 0 of port 1 is not divided any more: worker 1, which had a part of it, is gone", all[0].Reason)
}

func TestHandOverCycles(t *testing.T) {
	l := quick()
	assert.InDelta(t, 231, l.HandOverCycles(1), 1e-9)
	assert.InDelta(t, 231, l.HandOverCycles(0.5), 1e-9)
	assert.InDelta(t, 33, l.HandOverCycles(8), 1e-9)
	assert.InDelta(t, 14, l.HandOverCycles(32), 1e-9)
	assert.InDelta(t, 14, l.HandOverCycles(64), 1e-9)
	assert.Greater(t, l.HandOverCycles(2), 100.0)
	assert.Less(t, l.HandOverCycles(2), 150.0)
}

package vmq

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// steering is a host with an uplink of port 9, whose queue 0 is shared, and whose queues 1 to own belong to vports.
func steering(t *testing.T, mode Mode, own, vports int) *host {
	h := newHost(t, 4, quick())
	u := Uplink{Port: 9, Mode: mode}
	for n := range own + 1 {
		q := h.queue(0, 0)
		q.QueueKey = QueueKey{9, uint16(n)}
		if n > 0 {
			u.Own = append(u.Own, uint16(n))
		}
	}
	h.uplinks = []Uplink{u}
	for i := range vports {
		h.vports = append(h.vports, VportLoad{Vport: uint32(100 + i), Uplink: 9, Queue: NoQueue})
	}
	return h
}

// busy sets what a vport receives, and puts it into the queue that it comes by.
func (h *host) busy(i int, load float64) {
	h.vports[i].Busy = load
	h.bring()
}

func (h *host) bring() {
	for _, q := range h.queues {
		if q.Port == 9 {
			q.want = 0
		}
	}
	for _, v := range h.vports {
		h.find(QueueKey{9, uint16(max(v.Queue, 0))}).want += v.Busy
	}
}

// until runs until a vport owns a queue, and says how long that took.
func (h *host) until(t *testing.T, i int) time.Duration {
	begin := h.at
	for h.vports[i].Queue == NoQueue {
		h.round()
		h.bring()
		require.Less(t, h.at-begin, time.Minute, "vport %d gets no queue", i)
	}
	return h.at - begin
}

func TestAVportThatBecomesBusyGetsAFreeQueueWithinASecond(t *testing.T) {
	h := steering(t, Dynamic, 2, 6)
	h.run(20 * time.Second)
	h.busy(3, 0.3)
	assert.LessOrEqual(t, h.until(t, 3), time.Second)
	steer := h.told[len(h.told)-1]
	assert.Equal(t, Steer, steer.Kind)
	assert.Equal(t, uint32(103), steer.Vport)
	assert.Equal(t, "vport 103 is at 30 % of a worker, at least 5.0 %: it gets queue 1, which is free; worker 0 polls it, at 30 % so far", steer.Reason)
	assert.Empty(t, h.run(time.Minute))
}

func TestABusierVportTakesTheQueueOfTheQuietestOwner(t *testing.T) {
	h := steering(t, Dynamic, 2, 6)
	h.busy(0, 0.3)
	h.busy(1, 0.2)
	h.until(t, 0)
	h.until(t, 1)
	h.busy(2, 0.25)
	all := h.run(time.Minute)
	assert.Zero(t, count(all, Steer), "0.25 is not twice as busy as 0.2: %v", all)
	h.busy(2, 0.45)
	assert.LessOrEqual(t, h.until(t, 2), 2*time.Second)
	assert.Equal(t, NoQueue, h.vports[1].Queue, "the quietest one lost it")
	require.GreaterOrEqual(t, len(h.told), 2)
	var kinds []Kind
	for _, d := range h.told {
		if d.Kind != MoveQueue {
			kinds = append(kinds, d.Kind)
		}
	}
	assert.Equal(t, []Kind{Unsteer, Steer}, kinds, "in the order of carrying out")
	assert.Zero(t, count(h.run(time.Minute), Steer), "and it stays")
}

func TestAnOwnerThatBecameQuietLosesItsQueueAtOnce(t *testing.T) {
	h := steering(t, Dynamic, 1, 3)
	h.busy(0, 0.3)
	h.until(t, 0)
	h.run(time.Second)
	h.busy(0, 0.001)
	h.busy(1, 0.1)
	assert.LessOrEqual(t, h.until(t, 1), 2*time.Second)
}

// Vports of the same load do not take queues from each other, whatever the noise.
func TestQueuesDoNotGoBackAndForth(t *testing.T) {
	h := steering(t, Dynamic, 2, 6)
	changes := 0
	for round := range 2400 { // ten minutes
		for i := range h.vports {
			h.vports[i].Busy = 0.2 + 0.08*float64((round*7+i*5)%11-5)/5
		}
		h.bring()
		changes += count(h.round(), Steer)
	}
	assert.LessOrEqual(t, changes, 2+4)
}

func TestStaticGivesQueuesInOrderAndKeepsThem(t *testing.T) {
	h := steering(t, Static, 2, 6)
	h.run(time.Second)
	h.busy(5, 0.6)
	all := h.run(time.Minute)
	assert.Equal(t, []int{1, 2, NoQueue, NoQueue, NoQueue, NoQueue}, owners(h))
	assert.Empty(t, all)
}

func TestOffTakesAllQueuesBack(t *testing.T) {
	h := steering(t, Dynamic, 2, 6)
	h.busy(0, 0.3)
	h.until(t, 0)
	h.uplinks[0].Mode = Off
	all := h.run(h.limits.Residence + time.Second)
	require.NotEmpty(t, all)
	assert.Equal(t, "vport 100 gives back queue 1: VMQ is off on this uplink", all[0].Reason)
	assert.Equal(t, NoQueue, h.vports[0].Queue)
	h.busy(1, 0.9)
	for _, d := range h.run(time.Minute) {
		assert.Equal(t, Refused, d.Kind, d.Reason)
	}
}

func owners(h *host) (all []int) {
	for _, v := range h.vports {
		all = append(all, v.Queue)
	}
	return all
}

// A queue that its new owner saturates together with others is polled by a worker with room, or gets one.
func TestTheWorkerOfANewQueueIsRelievedBeforeItComes(t *testing.T) {
	h := steering(t, Dynamic, 1, 2)
	h.find(QueueKey{9, 0}).Pinned = true
	h.busy(0, 0.9)
	h.until(t, 0)
	h.run(time.Second)
	assert.NotEqual(t, 0, h.find(QueueKey{9, 1}).Worker)
}

func TestASteeringRuleThatIsRefusedIsTriedAgainLaterAndLater(t *testing.T) {
	h := steering(t, Dynamic, 1, 2)
	tried := 0
	h.refuse = func(d Decision) bool {
		if d.Kind == Steer {
			tried++
		}
		return d.Kind == Steer
	}
	h.busy(0, 0.3)
	h.run(4 * time.Minute)
	assert.GreaterOrEqual(t, tried, 4)
	assert.LessOrEqual(t, tried, 7, "after 5, 10, 20, 40, 80, 80 s")
}

// Who lost a queue because it was quiet need not wait when it is busy again.
func TestAVportThatLostItsQueueAMomentAgoMayTakeItBack(t *testing.T) {
	h := steering(t, Dynamic, 1, 3)
	h.busy(0, 0.3)
	h.until(t, 0)
	h.busy(0, 0.001)
	h.busy(1, 0.1)
	h.until(t, 1)
	h.busy(1, 0.001)
	h.busy(0, 0.3)
	assert.LessOrEqual(t, h.until(t, 0), 2*time.Second)
}

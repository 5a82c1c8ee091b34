package dataplane

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

// tickingPoller has a time stamp counter that moves with every reading of it, and by nothing else.
type tickingPoller struct {
	Poller
	now   uint64
	reads int
	poll  uint64   // by which it moves with every poll
	steps []uint64 // and with every reading besides its cost, in turn
}

const (
	pollTicks = 1000
	readTicks = 7 // cost of a reading as calibrated
)

func (p *tickingPoller) Poll() {
	p.Poller.Poll()
	p.now += p.poll
	p.IO().TSC = p.now
}

func (p *tickingPoller) Cycles() uint64 {
	p.now += readTicks
	if len(p.steps) > 0 {
		p.now += p.steps[p.reads%len(p.steps)]
	}
	p.reads++
	return p.now
}

// tickingRig has one worker, one of whose iterations out of so many is sampled.
func tickingRig(t *testing.T, every int) (*rig, *tickingPoller) {
	r := bareRig(t)
	r.sw.cfg.SampleEvery = every
	p := &tickingPoller{Poller: r.net.Poller(), now: 1e9, poll: pollTicks}
	r.addWorker(p)
	r.set(func() { r.sw.workers[0].sample.beside = 0 }) // time goes on in readings alone
	r.setUp(rigPolicy, 1)
	r.discardSent()
	return r, p
}

// Packets of each iteration. Time does not depend on them, so there are few.
const (
	turnOfVM     = 4
	turnOfFabric = 2
	turnPackets  = turnOfVM + turnOfFabric
)

// feedTurns makes a port's queue a source that gives the same frames in each iteration.
func (r *rig) feedTurns(port string, turn ...[]byte) {
	next := 0
	r.devs[port].SetSource(0, func(p *packet.Packet) bool {
		if next == len(turn) {
			next = 0
			return false
		}
		f := turn[next]
		next++
		return p.Append(len(f)) && copy(p.Data(), f) == len(f)
	})
}

// iterate runs n iterations of the only worker, with traffic of a VM and of the fabric, and then one that only sends.
// each is called behind every poll.
func (r *rig) iterate(n int, each func(w *worker)) {
	w := r.sw.workers[0]
	vm := append(udpFlows(turnOfVM-1), frames.ARPRequest(redVM1, "10.0.0.5", "10.0.0.7"))
	fabric := frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 1, frames.Ping(redFar, redVM1, "10.0.0.7", "10.0.0.5", 1, 1))
	w.do(func() {
		r.feedTurns("red-vm1", vm...)
		r.feedTurns("up0", slices.Repeat([][]byte{fabric}, turnOfFabric)...)
		for range n {
			w.poll()
			if each != nil {
				each(w)
			}
			w.receive()
		}
		r.devs["red-vm1"].SetSource(0, nil)
		r.devs["up0"].SetSource(0, nil)
		w.flush()
		if each != nil {
			each(w)
		}
	})
}

// set changes what the worker's poller does, between two iterations.
func (r *rig) set(f func()) { r.sw.workers[0].do(f) }

// samplingReads is how often the time stamp counter was read for samples: at the begin and the end of each iteration, at
// the ends of each burst's stages, and at that of new flows, which each burst of the VM has: its ARP request.
func (r *rig) samplingReads(w *WorkerStatus) uint64 {
	n := 2 * w.Sample.Samples
	for _, q := range w.Queues {
		n += 3 * q.Sample.Samples
		if q.Port == r.index.byName["red-vm1"] {
			n += q.Sample.Samples
		}
	}
	return n
}

func TestStagesSumUpToTheWhole(t *testing.T) {
	r, p := tickingRig(t, 3)
	r.set(func() { p.steps = []uint64{11, 130, 0, 47, 5, 210, 3} })
	whole, reads, opened, weight, weights := uint64(0), uint64(0), uint64(0), uint64(0), uint64(0)
	r.iterate(3000, func(w *worker) {
		if opened != 0 {
			whole += weight * (w.io.TSC - opened)
			reads += weight * w.sample.reads
			weights += weight
			opened = 0
		}
		if w.sample.wait == 1 { // receive opens a sample
			opened, weight = w.io.TSC, w.sample.weight
		}
	})
	w := r.workers()[0]
	sum := readTicks * reads
	for _, cycles := range w.Sample.Cycles {
		sum += cycles
	}
	require.Equal(t, whole, sum, "nothing is left out and nothing counted twice")
	require.InDelta(t, 1000, w.Sample.Samples, 60)
	require.InDelta(t, 3000*turnPackets, w.Sample.Packets, 5*turnPackets, "samples stand for all packets")
	require.Zero(t, w.Sample.Cycles[StageStalled])

	ofQueues, packets := [NumStages]uint64{}, uint64(0)
	for _, q := range w.Queues {
		packets += q.Sample.Packets
		for s, cycles := range q.Sample.Cycles {
			ofQueues[s] += cycles
		}
		if q.Port == r.index.byName["red-vm1"] || q.Port == r.index.byName["up0"] {
			for _, s := range []Stage{StageParse, StageLookup, StageExecute} {
				require.Positive(t, q.Sample.Cycles[s], s)
			}
			decides := q.Port == r.index.byName["red-vm1"] // its ARP requests
			require.Equal(t, decides, q.Sample.Cycles[StageNewFlows] > 0)
			turn := map[bool]uint64{true: turnOfVM, false: turnOfFabric}[decides]
			require.EqualValues(t, 3000*turn, q.Packets)
			require.EqualValues(t, 3000, q.Bursts)
			require.InDelta(t, 1000, q.Sample.Samples, 60)
			require.Equal(t, weights*turn, q.Sample.Packets)
		}
	}
	require.Equal(t, w.Sample.Packets, packets)
	require.Positive(t, w.Sample.Cycles[StageOther])
	for _, s := range Stages() {
		if !s.OfQueue() {
			require.Zero(t, ofQueues[s], s)
			continue
		}
		require.Equal(t, w.Sample.Cycles[s], ofQueues[s], s)
	}
}

// What schedulers cost is a stage of its own, not the poll's.
func TestSchedulersAreAStage(t *testing.T) {
	r, p := tickingRig(t, 1)
	r.iterate(10, nil)
	require.Zero(t, r.workers()[0].Sample.Cycles[StageQoS], "without any it costs nothing")
	r.scheduled("up0", 100e9)
	before := r.workers()[0].Sample
	const step = 100
	r.set(func() { p.steps = []uint64{step} })
	r.iterate(10, nil)
	after := r.workers()[0].Sample
	samples := after.Samples - before.Samples
	require.Positive(t, samples)
	require.Equal(t, samples*step, after.Cycles[StageQoS]-before.Cycles[StageQoS])
	require.Equal(t, samples*pollTicks, after.Cycles[StagePoll]-before.Cycles[StagePoll])
}

func TestStalledStage(t *testing.T) {
	r, p := tickingRig(t, 1)
	r.iterate(10, nil)
	before := r.workers()[0].Sample
	r.set(func() { p.steps = []uint64{2_000_000} }) // 2 ms of the memory ports' clock, between any two stages
	r.iterate(1, nil)
	after := r.workers()[0].Sample
	require.GreaterOrEqual(t, after.Cycles[StageStalled]-before.Cycles[StageStalled], uint64(5*2_000_000))
	require.Equal(t, before.Cycles[StageParse], after.Cycles[StageParse], "the stage itself does not look dear")
	require.Equal(t, before.Cycles[StageLookup], after.Cycles[StageLookup])
}

func TestSamplingCanBeOff(t *testing.T) {
	r, _ := tickingRig(t, -1)
	r.iterate(500, nil)
	w := r.workers()[0]
	require.EqualValues(t, 500*turnPackets, w.Queues[0].Packets+w.Queues[1].Packets)
	require.Zero(t, w.Sample)
	require.Zero(t, w.Queues[0].Sample)
}

func TestPhaseOfSamplesVaries(t *testing.T) {
	var s stageSampler
	const every, n = 64, 100_000
	s.init(every, 1e9, 1)
	sum, seen := uint64(0), map[uint64]bool{}
	for range n {
		s.pause()
		sum += s.wait
		seen[s.wait] = true
	}
	require.InDelta(t, every, float64(sum)/n, 1)
	require.Len(t, seen, every)
	for wait := range seen {
		require.True(t, wait > every/2 && wait <= every/2+every, wait)
	}
}

// TestReadingsTakeTheirShare: samples are as frequent as their cost allows, in short iterations and in long ones.
func TestReadingsTakeTheirShare(t *testing.T) {
	for length, iterations := range map[uint64]int{pollTicks / 2: 40_000, pollTicks * 3: 12_000, pollTicks * 5: 8_000} {
		r, p := tickingRig(t, 0)
		r.set(func() { p.poll = length })
		r.iterate(iterations/10, nil) // it finds out
		before := r.workers()[0]
		r.iterate(iterations, nil)
		w := r.workers()[0]
		share := float64(readTicks*(r.samplingReads(&w)-r.samplingReads(&before))) / float64(uint64(iterations)*length)
		require.Greater(t, w.Sample.Samples, uint64(100), length)
		require.InDelta(t, 1.0/sampleShare, share, 0.4/sampleShare, length)
	}
	r, p := tickingRig(t, 0)
	r.set(func() { p.poll = 1 }) // no sample could be worth it
	r.iterate(40_000, nil)
	require.InDelta(t, 40_000/maxSampleEvery, r.workers()[0].Sample.Samples, 30)
}

// TestEstimatesHoldWhenTheLoadChanges: slow iterations are sampled more often, and must not weigh more.
func TestEstimatesHoldWhenTheLoadChanges(t *testing.T) {
	r, p := tickingRig(t, 0)
	whole, packets := uint64(0), uint64(0)
	for range 12 {
		for _, load := range []struct{ poll, iterations uint64 }{{pollTicks / 2, 5000}, {pollTicks * 50, 400}} {
			r.set(func() { p.poll = load.poll })
			r.iterate(int(load.iterations), nil)
			whole += load.poll * load.iterations
			packets += load.iterations * turnPackets
		}
	}
	w := r.workers()[0].Sample
	require.InEpsilon(t, whole, w.Cycles[StagePoll], 0.12)
	require.InEpsilon(t, packets, w.Packets, 0.12)
}

// TestNapsAreIdle: a worker that sleeps until a packet comes is not busy.
func TestNapsAreIdle(t *testing.T) {
	r, p := tickingRig(t, -1)
	r.iterate(1, nil)
	w := r.sw.workers[0]
	w.do(func() {
		before, going := w.totals, w.spent
		w.spent = interval{}
		for _, received := range []uint32{0, 1, 0, 0} {
			p.now += 50 // what the iteration takes
			w.tsc = p.now
			w.account(received, false)
			if received == 0 {
				p.now += 10_000 // the nap that follows
			}
		}
		require.EqualValues(t, 50, w.totals.BusyCycles-before.BusyCycles)
		require.EqualValues(t, 20_100, w.totals.IdleCycles-before.IdleCycles)
		require.EqualValues(t, 1, w.totals.BusyIterations-before.BusyIterations)
		w.spent = going
	})
}

func TestPublishedCopyIsWhole(t *testing.T) {
	p := newPublished[stamped[QueueTotals]]()
	var v stamped[QueueTotals]
	require.Len(t, p.words, len(wordsOf(&v)))
	require.Equal(t, len(wordsOf(&v)), 1+4+3+6+2+int(NumStages), "a word for each number")
	var group sync.WaitGroup
	var stop atomic.Bool
	group.Go(func() {
		for n := uint64(1); !stop.Load(); n++ {
			for i := range wordsOf(&v) {
				wordsOf(&v)[i] = n
			}
			p.store(&v)
		}
	})
	for range 20_000 {
		got := p.load()
		for _, word := range wordsOf(&got) {
			if word != got.at {
				require.Equal(t, got.at, word)
			}
		}
	}
	stop.Store(true)
	group.Wait()
}

// stuckPoller hangs in Poll while it is closed off.
type stuckPoller struct {
	Poller
	gate sync.RWMutex
}

func (p *stuckPoller) Poll() {
	p.gate.RLock()
	defer p.gate.RUnlock()
	p.Poller.Poll()
}

func TestStuckWorkerHangsNoReader(t *testing.T) {
	r := bareRig(t)
	p := &stuckPoller{Poller: r.net.Poller()}
	r.addWorker(p)
	r.addWorker(r.net.Poller())
	r.setUp(rigPolicy, 2)
	r.send("red-vm1", frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1))
	before := r.workers()
	p.gate.Lock()
	added := make(chan error, 1)
	dev := r.net.Device(1, 1)
	go func() {
		added <- r.sw.AddPort(PortSpec{Index: 100, Name: "late", Device: dev.Handle(), RxQueues: 1, TxQueues: 1})
	}()
	require.Never(t, func() bool { return len(added) > 0 }, 50*time.Millisecond, time.Millisecond, "the control side waits for the worker")

	read := make(chan []WorkerStatus, 1)
	go func() {
		r.sw.PortCounters(0)
		r.sw.Neighbours()
		r.sw.Learned()
		read <- r.sw.Workers()
	}()
	select {
	case now := <-read:
		require.Len(t, now, 2)
		require.Eventually(t, func() bool { return r.sw.Workers()[0].Age > 40*time.Millisecond }, patience, time.Millisecond, "it shows that the worker tells nothing any more")
		require.Equal(t, before[0].Packets, now[0].Packets)
		require.Len(t, now[0].Queues, len(before[0].Queues))
		require.Eventually(t, func() bool { return r.sw.Workers()[1].Age < 40*time.Millisecond }, patience, time.Millisecond, "the other one goes on")
	case <-time.After(patience):
		require.Fail(t, "readers wait for a worker that hangs")
	}
	p.gate.Unlock()
	require.NoError(t, <-added)
	require.NoError(t, r.sw.RemovePort(100))
	require.NoError(t, dev.Close())
	require.Eventually(t, func() bool { return r.sw.Workers()[0].Age < 40*time.Millisecond }, patience, time.Millisecond)
	r.balanced()
}

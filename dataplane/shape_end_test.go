package dataplane

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memport"
)

// logLines are what is logged, line by line.
type logLines chan string

func (l logLines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// hungRig has three workers, the last of which hangs while it lacks the token of its poller. Queue 0 of up0 and red-vm1 are
// the first worker's, red-vm2 the second one's.
func hungRig(t *testing.T) (*rig, *hungPoller, logLines) {
	r := bareRig(t)
	lines := make(logLines, 100)
	r.sw.cfg.Log = slog.New(slog.NewTextHandler(lines, nil))
	p := &hungPoller{Poller: r.net.Poller(), stuck: make(chan struct{}, 1)}
	p.stuck <- struct{}{}
	t.Cleanup(func() { // ahead of the rig's
		select {
		case p.stuck <- struct{}{}:
		default:
		}
	})
	r.addWorker(r.net.Poller())
	r.addWorker(r.net.Poller())
	r.addWorker(p)
	r.setUp(rigPolicy, 3)
	r.resolve()
	return r, p, lines
}

// While a scheduler goes, a worker that hangs keeps no other one from forwarding.
func TestHungWorkerStopsNoOther(t *testing.T) {
	for name, end := range map[string]func(*rig) error{
		"policy": func(r *rig) error {
			snap := *r.snap
			snap.QoS = nil
			return r.sw.Publish(&snap)
		},
		"port": func(r *rig) error { return r.sw.RemovePort(r.index.byName["up0"]) },
	} {
		t.Run(name, func(t *testing.T) {
			r, p, lines := hungRig(t)
			r.scheduled("up0", 1_000_000)
			<-p.stuck
			ended := make(chan error, 1)
			go func() { ended <- end(r) }()
			if name == "policy" {
				select {
				case line := <-lines:
					require.Contains(t, line, "workers=[2]", "who does not stand still")
				case <-time.After(patience):
					require.Fail(t, "nothing is logged")
				}
			}
			ping := frames.Ping(redVM2, redVM1, "10.0.0.6", "10.0.0.5", 1, 1)
			for until := time.Now().Add(4 * standPatience); time.Now().Before(until); {
				r.inject("red-vm2", ping)
				r.wait("red-vm1", 1)
			}
			require.Empty(t, ended)
			p.stuck <- struct{}{}
			require.NoError(t, <-ended)
			require.Nil(t, r.sw.workers[1].egress, "nothing is left of it")
			if name == "policy" {
				r.balanced()
			}
		})
	}
}

// hangingSender hangs while it sends what is flushed.
type hangingSender struct {
	*memport.Poller
	armed chan struct{} // holds a token until it hangs
	goOn  chan struct{}
}

func (p *hangingSender) Poll() {
	if io := p.IO(); io.RxBudget == 0 && io.NumTx > 0 {
		select {
		case <-p.armed:
			<-p.goOn
		default:
		}
	}
	p.Poller.Poll()
}

// An owner that hangs while it sends what waits keeps the others only for so long.
func TestHungOwnerStopsNoOther(t *testing.T) {
	r := bareRig(t)
	p := &hangingSender{Poller: r.net.Poller(), armed: make(chan struct{}, 1), goOn: make(chan struct{})}
	t.Cleanup(func() { close(p.goOn) })
	r.addWorker(p)
	r.addWorker(r.net.Poller())
	r.setUp(rigPolicy, 2)
	r.resolve()
	r.scheduledBurst("up0", 1_000, 2_000)
	r.net.AdvanceTSC(time.Second)
	for i := range 100 {
		r.inject("red-vm2", toFarFrom(redVM2, "10.0.0.6", i))
	}
	r.idle()
	waits := int(r.queued())
	require.Positive(t, waits)
	r.devs["up0"].Sent()
	p.armed <- struct{}{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.scheduled("up0", 0)
	}()
	require.Eventually(t, func() bool { return len(p.armed) == 0 }, patience, time.Millisecond)
	r.inject("red-vm2", frames.Ping(redVM2, redVM1, "10.0.0.6", "10.0.0.5", 1, 1))
	r.wait("red-vm1", 1)
	p.goOn <- struct{}{}
	<-ended
	require.Len(t, r.devs["up0"].Sent(), waits)
	r.balanced()
}

// The schedulers of many ports go in one stop, and those of two owners at once.
func TestSchedulersOfManyOwnersGo(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	r.leaves(1_000)
	require.NotSame(t, r.sw.egresses[0].owner, r.sw.egresses[1].owner)
	r.net.AdvanceTSC(time.Second)
	for range 50 {
		r.inject("red-vm1", frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1))
		r.inject("red-vm1", toFar(1))
		r.inject("red-vm2", toFarFrom(redVM2, "10.0.0.6", 1))
	}
	r.idle()
	require.Positive(t, r.queued())
	r.scheduled("up0", 0)
	require.Zero(t, r.queued())
	require.Len(t, r.devs["red-vm2"].Sent(), 50)
	require.Len(t, r.devs["up0"].Sent(), 100)
	r.balanced()
}

// A limit of what a VM gets goes at its own pace: the device takes less at once than may wait for it.
func TestInboundLimitDrainsBeforeItGoes(t *testing.T) {
	r := newRig(t, 2)
	r.resolve()
	r.sw.drainTime = patience
	r.scheduledBurst("red-vm2", 32_000_000, 32_000)
	r.net.AdvanceTSC(time.Second)
	const sent, accepted = 150, drainedPackets + 16
	r.devs["red-vm2"].SetTxLimit(accepted)
	frame := frames.Build(frames.Ether(redVM1, redVM2), frames.IPv4("10.0.0.5", "10.0.0.6"), frames.UDP(7, 2),
		frames.Payload(1000-24-42))
	for range sent {
		r.inject("red-vm1", frame)
	}
	r.idle()
	require.Greater(t, int(r.queued()), accepted)
	snap := *r.snap
	snap.QoS = nil
	ended := make(chan error, 1)
	go func() { ended <- r.sw.Publish(&snap) }()
	for len(ended) == 0 {
		r.net.AdvanceTSC(100 * time.Microsecond) // three packets
		time.Sleep(time.Millisecond)
	}
	require.NoError(t, <-ended)
	require.Equal(t, sent, len(r.devs["red-vm2"].Sent()))
	r.balanced()
}

package agent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/dataplane/vmq"
	"github.com/sluicenet/sluice/internal/frames"
)

// standing says which worker polls each queue of vm5, by the workers' own accounts.
func standing(a *agent.Agent) string {
	at := map[uint16]int{}
	r := a.Running()
	for _, w := range a.Switch().Workers() {
		for _, q := range w.Queues {
			if r.PortName(q.Port) == "vm5" {
				at[q.Queue] = w.ID
			}
		}
	}
	return fmt.Sprint(at)
}

// withQueues gives vm5 four queues in a mode.
func withQueues(mode string) string {
	return strings.Replace(withVMs(5, 6), "{name: vm5,", "{name: vm5, queues: 4, vmq: {"+mode+"},", 1)
}

// TestConfiguredQueuesMoveWithoutStopping: a changed list of workers is applied while the queues bring packets.
func TestConfiguredQueuesMoveWithoutStopping(t *testing.T) {
	a, d := start(t, withQueues("mode: static, workers: [0, 0, 0, 0]"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { a.Balance(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	sent := 0
	ping := func() {
		for queue := range 4 {
			d.Port("vm5").Inject(queue, frames.Ping(vmMAC(5), vmMAC(6), vmAddr(5), vmAddr(6), 1, uint16(sent)))
			sent++
		}
	}
	for _, tc := range []struct{ mode, want string }{
		{"mode: static, workers: [0, 0, 0, 0]", "map[0:0 1:0 2:0 3:0]"},
		{"mode: static, workers: [1, 0, 1, 0]", "map[0:1 1:0 2:1 3:0]"},
		{"mode: off", "map[0:1 1:0 2:1 3:0]"},
		{"mode: static, workers: [1, 1, 1, 1]", "map[0:1 1:1 2:1 3:1]"},
	} {
		_, err := a.Apply(ctx, "host.yaml", []byte(withQueues(tc.mode)), false)
		require.NoError(t, err)
		require.Eventually(t, func() bool { ping(); return standing(a) == tc.want }, patience, 5*time.Millisecond, "%s: %s", tc.mode, standing(a))
	}
	got, err := d.Port("vm6").WaitSent(sent, patience)
	require.NoError(t, err)
	require.Len(t, got, sent, "all of them arrived")
	events, _ := a.Balancer().History()
	require.NotEmpty(t, events)
	assert.Equal(t, "vm5", events[0].Port)
	assert.Equal(t, vmq.ByMode, events[0].Cause)
	assert.Empty(t, events[0].Err)
	require.Equal(t, "off", func() string {
		_, err := a.Apply(ctx, "host.yaml", []byte(withQueues("mode: off")), false)
		require.NoError(t, err)
		_, ports := a.Ports()
		return a.Running().QueueMode(ports[1].Index)
	}())
}

func TestQueuesOfWorkersThatDoNotExistAreRefused(t *testing.T) {
	bad := withQueues("mode: static, workers: [0, 1, 2, 0]")
	a, _ := prepare(t, bad)
	err := a.Start(t.Context())
	require.ErrorIs(t, err, agent.ErrRefused)
	require.ErrorContains(t, err, "vport vm5: vmq.workers: worker 2 does not exist: there are 2, numbered from 0")
	b, _ := start(t, withQueues("mode: static"))
	_, err = b.Apply(t.Context(), "host.yaml", []byte(bad), true)
	require.ErrorIs(t, err, agent.ErrRefused, "also by a dry run")
}

// TestBalancingOutlivesAWorkerThatHangs: nothing waits for it for ever, and nobody else for the balancer.
func TestBalancingOutlivesAWorkerThatHangs(t *testing.T) {
	a, d := start(t, withQueues("mode: static, workers: [1, 1, 1, 1]"))
	release := d.Hang()
	defer release()
	done := make(chan struct{})
	go func() { a.Balancer().Step(t.Context(), time.Now()); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the balancer waits for a worker that hangs")
	}
	events, _ := a.Balancer().History()
	require.NotEmpty(t, events)
	for _, e := range events {
		assert.NotEmpty(t, e.Err)
	}
	r, ports := a.Ports() // answers meanwhile
	require.NotNil(t, r)
	require.Len(t, ports, 3)
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/agent/control"
	"github.com/sluicenet/sluice/api"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/cli"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memdriver"
	"github.com/sluicenet/sluice/policy"
)

// terminal is a pseudo-terminal of 80 columns and 9 lines; what is written to tty can be read from screen.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { screen.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { tty.Close() })
	require.NoError(t, unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 9, Col: 80}))
	return screen, tty
}

// TestTopGoesOnOnATerminal until it is interrupted, which is its good end, and overwrites its own picture.
func TestTopGoesOnOnATerminal(t *testing.T) {
	screen, tty := terminal(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	socket := serve(t, &daemon{asked: func(n uint64) {
		if n == 4 { // three windows have been shown or are about to be
			cancel()
		}
	}})
	var errs bytes.Buffer
	a := newApp(strings.NewReader(""), tty, &errs)
	require.Equal(t, 0, a.run(ctx, []string{"top", "--interval", "1ms", "--socket", socket}), errs.String())
	require.Empty(t, errs.String())
	buf := make([]byte, 64<<10)
	n, err := screen.Read(buf)
	require.NoError(t, err)
	out := string(buf[:n])
	require.GreaterOrEqual(t, strings.Count(out, "\x1b[H"), 2, "each window in the place of the last")
	require.NotContains(t, out, "\x1b[2J", "clearing the screen would flicker")
	for picture := range strings.SplitSeq(strings.TrimPrefix(out, "\x1b[?7l\x1b[H"), "\x1b[H") {
		require.LessOrEqual(t, strings.Count(picture, "\n"), 9, picture)
	}
	require.Contains(t, out, "more; make the window taller")
}

// TestTopIsDocumented: the example in docs/DAEMON.md has the columns that a worker fills, and each stage is explained.
func TestTopIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/DAEMON.md")
	require.NoError(t, err)
	var worker, queue []*sluicev1.StageCycles
	for _, stage := range dataplane.Stages() {
		require.Contains(t, string(text), "\n| `"+stage.String()+"` | ")
		worker = append(worker, &sluicev1.StageCycles{Stage: stage.String()})
		if stage.OfQueue() {
			queue = append(queue, &sluicev1.StageCycles{Stage: stage.String()})
		}
	}
	var drawn bytes.Buffer
	require.NoError(t, (&cli.Printer{W: &drawn, Format: cli.FormatTable}).Print(cli.NewTop(nil, &sluicev1.GetStatusResponse{Workers: []*sluicev1.Worker{
		{Stages: &sluicev1.StageSample{Stages: worker}, Queues: []*sluicev1.WorkerQueue{{Stages: &sluicev1.StageSample{Stages: queue}}}}}})))
	for line := range strings.Lines(drawn.String()) {
		if header := strings.Fields(line); len(header) > 3 && (header[0] == "WORKER" || header[0] == "PORT") {
			words := regexp.QuoteMeta(strings.Join(header, " "))
			require.Regexp(t, "(?m)^"+strings.ReplaceAll(words, " ", " +")+"$", string(text))
		}
	}
}

// TestWorkerThatHangs asks a real daemon whose worker hangs in its poll.
func TestWorkerThatHangs(t *testing.T) {
	const config = `
host: {name: host-a}
daemon: {metrics: "off"}
uplinks:
  - {name: up0, device: {devargs: net_null0}, mtu: 1600, providerAddresses: [172.16.1.1/24]}
networks:
  - name: red
    subnets: [{name: web, vsid: 6001, prefix: 10.0.0.0/24}]
vports:
  - {name: vm1, device: {driver: tap}, mac: "00:15:5d:00:01:05", subnet: web, addresses: [10.0.0.5]}
  - {name: vm2, device: {driver: tap}, mac: "00:15:5d:00:01:06", subnet: web, addresses: [10.0.0.6]}
`
	c, err := policy.Parse("host.yaml", []byte(config))
	require.NoError(t, err)
	driver := memdriver.New(4096)
	ag, err := agent.New(agent.Options{Config: c, File: "host.yaml", YAML: []byte(config), Driver: driver, Cores: []int{-1}, Pool: agent.PoolFor(c, 1),
		KernelAddrs: func() (map[netip.Addr]string, error) { return nil, nil }})
	require.NoError(t, err)
	socket := filepath.Join(t.TempDir(), "s.sock")
	l, err := api.Listen(socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- api.Serve(ctx, l, control.New(ag, control.Build{Version: "v1"})) }()
	defer func() { cancel(); require.NoError(t, <-served); require.NoError(t, ag.Stop()) }()
	require.NoError(t, ag.Start(t.Context()))

	ping := frames.Ping("00:15:5d:00:01:05", "00:15:5d:00:01:06", "10.0.0.5", "10.0.0.6", 1, 1)
	var stop atomic.Bool
	ended := make(chan error, 1)
	go func() { // a VM that talks, slowly
		for !stop.Load() {
			driver.Port("vm1").Inject(0, ping)
			if _, err := driver.Port("vm2").WaitSent(1, 20*time.Second); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	var top cli.Top
	var got outcome
	for range 50 { // a busy machine may not let the VM talk in an interval
		got = sluice(t, socket, "top", "--interval", "200ms", "-o", "json")
		require.Equal(t, 0, got.code, got.err)
		require.NoError(t, json.Unmarshal([]byte(got.out), &top))
		require.NotNil(t, top.Workers[0].PacketsPerSec)
		if *top.Workers[0].PacketsPerSec > 0 && top.Workers[0].SilentSeconds < 1 {
			break
		}
	}
	require.Positive(t, *top.Workers[0].PacketsPerSec)
	require.Less(t, top.Workers[0].SilentSeconds, 1.0)
	require.Equal(t, "vm1", top.Queues[0].Port, "the busiest queue comes first")
	require.NotNil(t, top.Queues[0].HitShare)
	require.Positive(t, *top.Queues[0].HitShare)
	stop.Store(true)
	require.NoError(t, <-ended)

	release := driver.Hang()
	applied := make(chan error, 1)
	go func() { // it waits for the worker to let go of vm2
		without := strings.Replace(config, "  - {name: vm2", "#", 1)
		_, err := ag.Apply(context.Background(), "f", []byte(without), false)
		applied <- err
	}()
	time.Sleep(100 * time.Millisecond)
	for _, command := range []string{"status --interval 10ms", "top --once --interval 10ms", "vport list --interval 10ms", "uplink list --interval 10ms",
		"drops --interval 10ms", "neighbour list", "learned list"} {
		got := sluice(t, socket, append(strings.Fields(command), "--timeout", "10s")...)
		assert.Equal(t, 0, got.code, "%s: %s", command, got.err)
	}
	got = sluice(t, socket, "top", "--once", "--interval", "1100ms")
	assert.Regexp(t, `silent for [1-9]`, got.out)
	select {
	case err := <-applied:
		require.NoError(t, errors.Join(err, errors.New("the worker does not hang: the apply has ended")))
	default:
	}
	release()
	require.NoError(t, <-applied)
}

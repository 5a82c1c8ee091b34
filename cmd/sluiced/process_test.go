package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asDaemon in the environment makes the test binary be sluiced, so that tests run the real program in a process of its
// own and can kill it.
const asDaemon = "SLUICED_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		main()
	}
	os.Exit(m.Run())
}

// patience bounds every wait; it is reached only by a failure.
const patience = 60 * time.Second

// process is a running sluiced.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	log    *buffer
	states chan string // what it told systemd
	done   chan struct{}
}

// buffer is what the daemon wrote, readable while it runs.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// launch starts sluiced with the given arguments, and more environment. It is killed when the test ends.
func launch(t *testing.T, args []string, env ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	p := &process{t: t, log: &buffer{}, states: make(chan string, 1000), done: make(chan struct{})}
	systemd := filepath.Join(t.TempDir(), "n")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: systemd, Net: "unixgram"})
	require.NoError(t, err)
	go p.listen(l)
	p.cmd = exec.Command(exe, args...)
	p.cmd.Env = append(append(os.Environ(), asDaemon+"=1", "NOTIFY_SOCKET="+systemd), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		l.Close()
		if t.Failed() {
			t.Logf("sluiced wrote:\n%s", p.log)
		}
	})
	return p
}

func (p *process) listen(l *net.UnixConn) {
	b := make([]byte, 4096)
	for {
		n, err := l.Read(b)
		if err != nil {
			return
		}
		for line := range strings.Lines(string(b[:n])) {
			p.states <- strings.TrimSpace(line)
		}
	}
}

// await waits until the daemon has told systemd a state, and returns what it told before.
func (p *process) await(state string) (before []string) {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case s := <-p.states:
			if s == state {
				return before
			}
			before = append(before, s)
		case <-p.done:
			require.FailNowf(p.t, "sluiced ended", "while waiting for %s:\n%s", state, p.log)
		case <-timeout:
			require.FailNowf(p.t, "timeout", "no %s:\n%s", state, p.log)
		}
	}
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// wait waits for the end of the process and returns its exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		require.FailNowf(p.t, "sluiced does not end", "%s", p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// host is a configuration file with its own socket and metrics port.
type host struct {
	file, socket, metrics string
}

const network = `
networks:
  - name: red
    subnets:
      - {name: web, vsid: 6001, prefix: 10.0.0.0/24}
`

// newHost writes a configuration with an uplink that goes nowhere, and what rest adds.
func newHost(t *testing.T, rest string) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{file: filepath.Join(dir, "host.yaml"), socket: filepath.Join(dir, "s.sock"), metrics: freeAddress(t)}
	h.write(t, rest)
	return h
}

func (h *host) write(t *testing.T, rest string) {
	t.Helper()
	h.writeUplink(t, "", rest)
}

// writeUplink adds something to the uplink too.
func (h *host) writeUplink(t *testing.T, more, rest string) {
	t.Helper()
	text := fmt.Sprintf(`
host: {name: host-a}
daemon: {socket: %q, metrics: %q}
dataplane: {hugepages: "off"}
uplinks:
  - {name: up0, device: {devargs: "net_null0,no-rx=1"}, mtu: 1600, providerAddresses: [172.16.1.1/24]%s}
`, h.socket, h.metrics, more) + rest
	require.NoError(t, os.WriteFile(h.file, []byte(text), 0o600))
}

func (h *host) args(more ...string) []string { return append([]string{"--config", h.file}, more...) }

// freeAddress is an address that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// needRoot skips what only root can do.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: taps and namespaces are made")
	}
	if _, err := os.Stat("/dev/net/tun"); errors.Is(err, os.ErrNotExist) {
		t.Skip("needs /dev/net/tun")
	}
}

package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/api"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

// fabric is a wire from the daemon's namespace to another host.
//
//	                     namespace peer
//	sluiced ── near ──── far 172.16.1.2
type fabric struct {
	t               *testing.T
	peer, near, far string
}

func newFabric(t *testing.T) *fabric {
	t.Helper()
	needRoot(t)
	f := &fabric{t: t, peer: fmt.Sprintf("sluiced-peer-%d", os.Getpid()), near: fmt.Sprintf("slu%d-n", os.Getpid()%100000), far: "far"}
	f.ip("netns", "add", f.peer)
	t.Cleanup(func() {
		f.ip("link", "del", f.near) // the namespace would take it along later
		f.ip("netns", "del", f.peer)
	})
	f.make()
	return f
}

func (f *fabric) ip(args ...string) {
	f.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(f.t, err, "ip %v: %s", args, out)
}

func (f *fabric) make() {
	f.t.Helper()
	f.ip("link", "add", f.near, "mtu", "1500", "type", "veth", "peer", "name", f.far, "netns", f.peer)
	f.ip("-n", f.peer, "link", "set", f.far, "mtu", "1600", "up")
	f.ip("-n", f.peer, "addr", "add", "172.16.1.2/24", "dev", f.far)
}

func (f *fabric) pings(addr string) bool {
	return exec.Command("ip", "netns", "exec", f.peer, "ping", "-q", "-c", "2", "-i", "0.1", "-W", "2", addr).Run() == nil
}

// onto makes the host's uplink the near end of the wire.
func (f *fabric) onto(h *host) {
	f.t.Helper()
	text, err := os.ReadFile(h.file)
	require.NoError(f.t, err)
	device := "{driver: af_packet, interface: " + f.near + "}"
	require.NoError(f.t, os.WriteFile(h.file, []byte(strings.Replace(string(text), `{devargs: "net_null0,no-rx=1"}`, device, 1)), 0o600))
}

func uplink(t *testing.T, h *host) *sluicev1.Uplink {
	t.Helper()
	res, err := api.Dial(h.socket).ListUplinks(t.Context(), &sluicev1.ListUplinksRequest{})
	require.NoError(t, err)
	require.Len(t, res.GetUplinks(), 1)
	return res.GetUplinks()[0]
}

// The interface of an uplink is deleted and made again: the daemon says so meanwhile, and goes on by itself.
func TestUplinkMadeAnew(t *testing.T) {
	f := newFabric(t)
	h := newHost(t, network)
	f.onto(h)
	p := launch(t, h.args())
	p.await("READY=1")
	require.True(t, f.pings("172.16.1.1"))
	require.True(t, uplink(t, h).GetDevice().GetLinkUp())
	require.Equal(t, "af_packet", uplink(t, h).GetDevice().GetDriver())
	require.Contains(t, p.log.String(), "had MTU 1500 and now has the uplink's, 1600")

	f.ip("link", "del", f.near)
	s := status(t, h)
	require.False(t, s.GetReady())
	require.Contains(t, s.GetNotReadyReason(), "uplink up0: its interface was deleted")
	require.False(t, uplink(t, h).GetDevice().GetLinkUp())
	code, _ := get(t, "http://"+h.metrics+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	code, _ = get(t, "http://"+h.metrics+"/healthz")
	require.Equal(t, http.StatusOK, code, "a restart would not help")
	require.Eventually(t, func() bool { return strings.Contains(p.log.String(), "no such network interface") }, patience, 50*time.Millisecond)

	f.make()
	require.Eventually(t, func() bool { return status(t, h).GetReady() }, patience, 50*time.Millisecond)
	require.Eventually(t, func() bool { return strings.Contains(p.log.String(), "interfaces that were deleted are back") }, patience, 50*time.Millisecond)
	require.True(t, uplink(t, h).GetDevice().GetLinkUp())
	require.True(t, f.pings("172.16.1.1"))
	require.EqualValues(t, 1, status(t, h).GetRevision())
	p.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, p.wait(), p.log)
}

// A second daemon does not take the first one's interface; once that has ended, however, it does.
func TestUplinkOfAnotherDaemon(t *testing.T) {
	f := newFabric(t)
	first, second := newHost(t, network), newHost(t, network)
	f.onto(first)
	f.onto(second)
	p := launch(t, first.args())
	p.await("READY=1")
	require.True(t, f.pings("172.16.1.1"))
	q := launch(t, second.args())
	require.Equal(t, exitFailed, q.wait())
	require.Contains(t, q.log.String(), fmt.Sprintf("sluiced: uplink up0: interface %s: in use as the uplink of process %d (", f.near, p.cmd.Process.Pid))
	require.Contains(t, q.log.String(), "): stop that one first, or name another interface")
	require.True(t, f.pings("172.16.1.1"), "the first one goes on")
	p.kill()
	q = launch(t, second.args())
	q.await("READY=1")
	require.True(t, f.pings("172.16.1.1"))
	q.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, q.wait())
}

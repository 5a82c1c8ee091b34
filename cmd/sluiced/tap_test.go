package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/sluicenet/sluice/demo/netlab"
)

// A VM's interface through the life of the daemon, and traffic between two VMs of one host:
//
//	namespace vm1                                   namespace vm2
//	10.0.0.5 tap1 ── sluiced (its own namespace) ── tap2 10.0.0.6
func TestTaps(t *testing.T) {
	needRoot(t)
	lab, err := netlab.Open("sluiced-test-", filepath.Join(t.TempDir(), "lab"))
	require.NoError(t, err)
	defer func() { require.NoError(t, lab.Sweep()) }()
	vm1, err := lab.AddNamespace("vm1")
	require.NoError(t, err)
	vm2, err := lab.AddNamespace("vm2")
	require.NoError(t, err)
	vport := func(n int, ns *netlab.Namespace) string {
		return fmt.Sprintf("  - {name: vm%d, device: {driver: tap, interface: tap%d, namespace: %s}, mac: \"00:15:5d:00:01:0%d\", subnet: web, addresses: [10.0.0.%d]}\n",
			n, n, ns.Name(), 4+n, 4+n)
	}
	both := network + "vports:\n" + vport(1, vm1) + vport(2, vm2)
	h := newHost(t, both)

	p := launch(t, h.args())
	p.await("READY=1")
	mac, err := vm1.MAC("tap1")
	require.NoError(t, err)
	require.Equal(t, net.HardwareAddr{0, 0x15, 0x5d, 0, 1, 5}, mac, "the interface has the VM's address")
	require.NoError(t, vm1.AddAddress("tap1", netip.MustParsePrefix("10.0.0.5/24")))
	require.NoError(t, vm2.AddAddress("tap2", netip.MustParsePrefix("10.0.0.6/24")))
	index := linkIndex(t, vm1, "tap1")
	ping := func() {
		t.Helper()
		r, err := vm1.Ping(t.Context(), netip.MustParseAddr("10.0.0.6"), netlab.PingOptions{})
		require.NoError(t, err)
		require.Positive(t, r.Received, "%s", p.log)
	}
	ping()

	p.kill()
	require.Equal(t, index, linkIndex(t, vm1, "tap1"), "a VM keeps its interface when the daemon is killed")
	p = launch(t, h.args())
	p.await("READY=1")
	require.Equal(t, index, linkIndex(t, vm1, "tap1"))
	ping()
	p.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, p.wait(), p.log)
	require.Equal(t, index, linkIndex(t, vm1, "tap1"), "and when it is stopped")

	p = launch(t, h.args())
	p.await("READY=1")
	ping()
	link, err := vm1.Links().LinkByName("tap1")
	require.NoError(t, err)
	require.NoError(t, vm1.Links().LinkDel(link))
	require.NoError(t, vm1.WaitLink("tap1", patience), "an interface that somebody deletes comes back")
	require.NotEqual(t, index, linkIndex(t, vm1, "tap1"))
	index = linkIndex(t, vm1, "tap1")
	require.NoError(t, vm1.AddAddress("tap1", netip.MustParsePrefix("10.0.0.5/24")))
	ping()

	h.write(t, network+"vports:\n"+vport(1, vm1))
	p.signal(syscall.SIGHUP)
	p.await("RELOADING=1")
	p.await("READY=1")
	require.Equal(t, index, linkIndex(t, vm1, "tap1"))
	require.Zero(t, linkIndex(t, vm2, "tap2"), "a removed vport's interface is deleted")
	p.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, p.wait(), p.log)
}

// A namespace that is deleted and made again under its name gets its interface again.
func TestNamespaceMadeAnew(t *testing.T) {
	needRoot(t)
	ns := fmt.Sprintf("sluiced-anew-%d", os.Getpid())
	ip := func(args ...string) {
		t.Helper()
		out, err := exec.Command("ip", args...).CombinedOutput()
		require.NoError(t, err, "ip %v: %s", args, out)
	}
	ip("netns", "add", ns)
	t.Cleanup(func() { ip("netns", "del", ns) })
	h := newHost(t, network+"vports:\n  - {name: vm1, device: {driver: tap, interface: tap1, namespace: "+ns+
		"}, mac: \"00:15:5d:00:01:05\", subnet: web, addresses: [10.0.0.5]}\n")
	for range 2 { // the interface of the second daemon was there before
		p := launch(t, h.args())
		p.await("READY=1")
		ip("netns", "del", ns)
		require.Eventually(t, func() bool { return strings.Contains(p.log.String(), "no such network namespace") }, patience, 50*time.Millisecond)
		ip("netns", "add", ns)
		require.Eventually(t, func() bool {
			return exec.Command("ip", "-n", ns, "link", "show", "tap1").Run() == nil && strings.Contains(p.log.String(), "interfaces that were deleted are back")
		}, patience, 50*time.Millisecond)
		require.Contains(t, p.log.String(), "vport vm1")
		p.signal(syscall.SIGTERM)
		require.Equal(t, exitOK, p.wait(), p.log)
	}
}

// linkIndex is the number that the kernel gave an interface, 0 when there is none of that name.
func linkIndex(t *testing.T, n *netlab.Namespace, name string) int {
	t.Helper()
	link, err := n.Links().LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return 0
	}
	require.NoError(t, err)
	return link.Attrs().Index
}

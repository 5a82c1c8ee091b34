package e2e

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/demo/netlab"
)

// refuse runs sluiced with a configuration that it must refuse, by a command before it if given, and returns its words.
func (l *lab) refuse(ns *netlab.Namespace, yaml string, before ...string) string {
	l.t.Helper()
	d := &daemon{l: l, ns: ns, name: "refused"}
	d.writeConfig(yaml)
	argv := append(before, program("sluiced"), "--config", d.config())
	started := time.Now()
	p, err := ns.Start("sluiced-refused", argv...)
	require.NoError(l.t, err)
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		p.Kill()
		require.FailNow(l.t, "sluiced runs, but must refuse")
	}
	said := p.LogTail(100)
	require.NoError(l.t, os.Remove(p.Log))
	assert.Positive(l.t, netlab.ExitCode(p.Err()), "an orderly exit with an error: %v\n%s", p.Err(), said)
	l.t.Logf("after %s: %s", time.Since(started).Round(time.Millisecond), said)
	return said
}

// The daemon says what is wrong and what to do, and exits; it never half runs.
func TestRefusesToStart(t *testing.T) {
	l := newLab(t)
	host, vm, fabric := l.namespace("host-a"), l.namespace("vm-a"), l.namespace("fabric")
	l.wire(host, "eth1", fabric, "to-a", 1600)
	good := ovsPeerConfig
	replace := func(old, better string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, better, 1)
	}
	asNobody := []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
	require.NoError(t, os.Mkdir(l.Path("open"), 0o777))
	require.NoError(t, os.Chmod(l.Path("open"), 0o777)) // whatever the umask
	tests := []struct {
		what, yaml string
		before     []string
		says       []string
	}{
		{"missing uplink interface", replace("interface: eth1", "interface: eth9"), nil, []string{"up0", "eth9"}},
		{"missing namespace", replace("${ns}vm-a", "${ns}vm-z"), nil, []string{"vm-a", "vm-z"}},
		{"missing PCI device", replace("{driver: af_packet, interface: eth1}", `{pci: "0000:ff:1f.7"}`), nil, []string{"0000:ff:1f.7"}},
		{"no permission for the socket", good, asNobody, []string{"root"}},
		{"no permission for the devices", replace("${socket}", l.Path("open/x.sock")), asNobody, []string{"root"}},
		{"bad configuration", replace("vsid: 6001", "vsid: 100"), nil, []string{"refused.yaml", "100"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			l := &lab{Lab: l.Lab, t: t, ctx: l.ctx}
			said := l.refuse(host, tt.yaml, tt.before...)
			for _, word := range tt.says {
				assert.Contains(t, said, word)
			}
			_, err := os.Stat(l.Path("refused.sock"))
			assert.ErrorIs(t, err, os.ErrNotExist, "no socket is left")
		})
	}

	t.Run("socket in use by another program", func(t *testing.T) {
		l := &lab{Lab: l.Lab, t: t, ctx: l.ctx}
		other, err := net.Listen("unix", l.Path("taken.sock"))
		require.NoError(t, err)
		defer other.Close()
		said := l.refuse(host, replace("${socket}", l.Path("taken.sock")))
		assert.Contains(t, said, "taken.sock")
	})

	t.Run("after all that it still starts", func(t *testing.T) {
		l := &lab{Lab: l.Lab, t: t, ctx: l.ctx}
		d := l.sluiced(host, "a", good)
		l.configureVM(vm, "eth0", "10.0.0.5/24", "")
		l.requirePing(vm, "10.0.0.1", netlab.PingOptions{})

		// A second one for the same socket is refused; one that wants the same devices too; the first does not notice.
		assert.Contains(t, l.refuse(host, replace("${socket}", d.socket())), d.socket())
		quiet := replace(`"${socket}"`, `"${socket}", metrics: "off"`)
		said := l.refuse(host, quiet)
		assert.Contains(t, said, "eth1")
		assert.Contains(t, said, fmt.Sprint("process ", d.PID()), "who has it")
		l.requirePing(vm, "10.0.0.1", netlab.PingOptions{})
		require.NoError(t, d.Stop(5*time.Second), "a clean stop on SIGTERM")
		_, err := os.Stat(d.socket())
		assert.ErrorIs(t, err, os.ErrNotExist)
	})
}

// A daemon killed and started again finds its VMs' interfaces as they were, and traffic goes on.
func TestKilledAndStartedAgain(t *testing.T) {
	p := newPair(t)
	red1 := p.vms["red-1"]
	p.requirePing(red1, "10.0.0.7", netlab.PingOptions{})
	link, err := red1.Links().LinkByName("eth0")
	require.NoError(t, err)

	for _, how := range []string{"killed", "killed", "stopped"} {
		pings := make(chan netlab.PingResult, 1)
		go func() {
			answer, err := red1.Ping(p.ctx, addr("10.0.0.7"), netlab.PingOptions{Count: 60, Interval: 100 * time.Millisecond})
			assert.NoError(t, err)
			pings <- answer
		}()
		time.Sleep(500 * time.Millisecond)
		if how == "killed" {
			p.a.Kill()
		} else {
			require.NoError(t, p.a.Stop(5*time.Second))
		}
		p.a.start()
		answer := <-pings
		assert.Positive(t, answer.Received, "%s: traffic comes back by itself", how)
		t.Logf("%s and started again: %d of %d answers, one every 100 ms", how, answer.Received, answer.Sent)
		p.requirePing(red1, "10.0.0.7", netlab.PingOptions{})
		again, err := red1.Links().LinkByName("eth0")
		require.NoError(t, err)
		assert.Equal(t, link.Attrs().Index, again.Attrs().Index, "the VM's interface is the same one")
		assert.Equal(t, link.Attrs().HardwareAddr, again.Attrs().HardwareAddr)
		p.a.requireBalanced()
	}
	p.requireIperf(red1, p.vms["red-2"], "10.0.0.7", netlab.IperfOptions{Duration: time.Second})

	// SIGTERM while traffic runs: a clean stop within seconds.
	require.NoError(t, p.a.Signal(syscall.SIGTERM))
	select {
	case <-p.a.Done():
		assert.NoError(t, p.a.Err(), p.a.LogTail(20))
	case <-time.After(10 * time.Second):
		require.FailNow(t, "it does not stop")
	}
	p.a.start()
}

// On a fabric of 1,500 bytes TCP finds its size by itself: the switch answers what does not fit.
//
//	red-1 (MTU 1500) ─ host-a ── fabric, MTU 1500 ── host-b ─ red-2 (MTU 1500)
func TestNarrowFabricIsNoBlackHole(t *testing.T) {
	p := newPairOn(t, 1500)
	p.enableIPv6()
	red1, red2 := p.vms["red-1"], p.vms["red-2"]
	const fits = 1500 - 42 // NVGRE takes 20 (outer IPv4) + 8 (GRE) + 14 (inner Ethernet)
	p.requirePing(red1, "10.0.0.7", netlab.PingOptions{Size: fits - 28, DF: true})
	for target, says := range map[string]string{
		"10.0.0.7":      fmt.Sprintf("Frag needed and DF set (mtu = %d)", fits),
		"2001:db8:1::7": fmt.Sprintf("Packet too big: mtu=%d", fits),
	} {
		out, err := red1.Run(p.ctx, "ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", fmt.Sprint(1500-48), target)
		require.Error(t, err)
		assert.Contains(t, string(out), says)
	}

	for _, target := range []string{"10.0.0.7", "2001:db8:1::7"} {
		for _, reverse := range []bool{false, true} {
			for _, vm := range []*netlab.Namespace{red1, red2} { // what they know about the path, and tell by their MSS
				p.run(vm, "ip", "route", "flush", "cache")
				p.run(vm, "ip", "-6", "route", "flush", "cache")
			}
			rate := p.requireIperf(red1, red2, target, netlab.IperfOptions{Duration: time.Second, Reverse: reverse})
			assert.Greater(t, rate.BitsPerSecond, 1e6, "TCP is not black-holed")
		}
	}
	assert.NotZero(t, p.a.drops()["red-1"]["too-big"])
	assert.NotZero(t, p.b.drops()["red-2"]["too-big"])
	p.a.requireBalanced()
	p.b.requireBalanced()
}

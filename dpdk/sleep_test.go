package dpdk

import (
	"encoding/binary"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/packet"
)

// vethPair makes a pair and returns the names of its ends; deleting one that a test deleted already is no failure.
func vethPair(t testing.TB) (near, far string) {
	t.Helper()
	needTaps(t)
	near, far = unique("veth"), unique("veth")
	ip(t, "link", "add", near, "type", "veth", "peer", "name", far)
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", near).Run() })
	ip(t, "link", "set", far, "up")
	return near, far
}

// udpFrame is of a flow for each n.
func udpFrame(n byte) []byte {
	f := frame(60, 0)
	binary.BigEndian.PutUint16(f[12:], 0x0800)
	copy(f[14:], []byte{0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2, 4, n, 5, 5, 0, 26, 0, 0})
	return f
}

// drained polls until there is nothing more.
func drained(p *Poller) (packets uint32) {
	io := p.IO()
	for io.NumRx = 1; io.NumRx > 0; {
		io.RxBudget = packet.MaxRx
		p.Poll()
		packets += io.NumRx
		freeRx(p)
	}
	flush(p)
	return packets
}

// Each of the rings wakes the worker that polls it, and not the one that polls the other.
func TestAFPacketWakes(t *testing.T) {
	near, far := vethPair(t)
	pool := newPool(t, 4096, 1518)
	up := newUplink(t, pool, unique("net_af_packet")+",iface="+near, 2)
	from := newUplink(t, pool, unique("net_af_packet")+",iface="+far, 1)
	sender := newPoller(t, pool)
	require.NoError(t, sender.SetTx(0, from.Handle(), 0, false))
	flush(sender)
	var polls [2]*Poller
	for q := range polls {
		polls[q] = newPoller(t, pool)
		require.NoError(t, polls[q].AddRx(up.Handle(), uint16(q), 5))
		require.False(t, polls[q].Blind())
	}
	seen := [2]bool{}
	for n := byte(0); seen != [2]bool{true, true}; n++ {
		require.Less(t, n, byte(255), "flows are spread over both rings")
		f := udpFrame(n)
		send(t, sender, 0, f)
		flush(sender)
		fds := []unix.PollFd{polls[0].fds[fdSockets], polls[1].fds[fdSockets]}
		_, err := unix.Poll(fds, 10_000)
		require.NoError(t, err)
		for q, p := range polls {
			if fds[q].Revents != 0 {
				p.Wait(10 * time.Second)
				assert.NotZero(t, drained(p), "ring %d was named, so it holds packets", q)
				seen[q] = true
			}
		}
	}
	for _, p := range polls {
		p.RemoveRx(5)
		require.Len(t, p.fds, fdSockets)
	}
}

// An interface that goes down, and one that vanishes, lets workers sleep on.
func TestAFPacketDownSleeps(t *testing.T) {
	near, _ := vethPair(t)
	pool := newPool(t, 1024, 1518)
	up := newUplink(t, pool, unique("net_af_packet")+",iface="+near, 1)
	p := newPoller(t, pool)
	require.NoError(t, p.AddRx(up.Handle(), 0, 0))
	sleeps := func() {
		const limit = 5 * time.Millisecond
		require.Eventually(t, func() bool {
			drained(p)
			start := time.Now()
			p.Wait(limit)
			return time.Since(start) >= limit
		}, 10*time.Second, time.Microsecond)
	}
	sleeps()
	ip(t, "link", "set", near, "down")
	sleeps()
	require.False(t, p.Blind(), "the error was taken")
	ip(t, "link", "del", near)
	sleeps()
}

// A socket that reports an error for ever is given up.
func TestSocketGivenUp(t *testing.T) {
	p := newPoller(t, newPool(t, 256, 64))
	var pair [2]int
	require.NoError(t, unix.Pipe(pair[:]))
	unix.Close(pair[0])
	defer unix.Close(pair[1])
	require.NoError(t, p.wakeBy(3, waker{by: wakeSocket, socket: pair[1]}))
	require.False(t, p.Blind())
	for range tolerated {
		p.Wait(10 * time.Second)
	}
	require.True(t, p.Blind())
	require.Len(t, p.fds, fdSockets)
	p.forget(3)
	require.False(t, p.Blind())
}

// net_tap stands for drivers with interrupts of receive queues. It does not tell what a queue holds.
func TestInterruptWakes(t *testing.T) {
	needTaps(t)
	pool := newPool(t, 8192, 1518)
	name := unique("dtap")
	for _, wanted := range []bool{true, false} {
		o := UplinkOptions{Name: "up0", Devargs: unique("net_tap") + ",iface=" + name, Pool: pool, Interrupts: wanted}
		up, err := OpenUplink(o)
		require.NoError(t, err)
		p := newPoller(t, pool)
		require.NoError(t, p.AddRx(up.Handle(), 0, 2))
		require.Equal(t, wanted, p.armed == 1)
		require.True(t, p.Blind())
		ip(t, "link", "set", name, "up")
		for n := uint32(0); wanted && n == 0; n = drained(p) {
			ip(t, "link", "set", name, "down")
			ip(t, "link", "set", name, "up") // and the kernel announces itself
			p.Wait(time.Minute)
		}
		p.RemoveRx(2)
		require.Zero(t, p.armed)
		require.False(t, p.Blind())
		require.NoError(t, up.Close())
	}
}

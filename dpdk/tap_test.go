package dpdk

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

var testMAC = packet.MAC{0, 0x15, 0x5d, 1, 2, 3}

// ns: vm 1 --tap--+ poller +--tap-- ns: vm 2
func TestTapPair(t *testing.T) {
	needTaps(t)
	for _, queues := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d queues", queues), func(t *testing.T) {
			pool := newPool(t, 4096, 1518)
			a, b := newVM(t, pool, 1, queues, 1500), newVM(t, pool, 2, queues, 1400)
			require.True(t, a.tap.Created())
			require.Equal(t, queues, a.tap.RxQueues())
			require.Equal(t, queues, a.tap.TxQueues())
			require.Equal(t, packet.MAC{0, 0x15, 0x5d, 0, 0, 1}, a.tap.MAC())
			require.Equal(t, 1400, b.tap.MTU())
			link := ip(t, "-n", b.ns, "link", "show", "eth0")
			require.Contains(t, link, "00:15:5d:00:00:02")
			require.Contains(t, link, "mtu 1400")
			up, _ := a.tap.Link()
			require.True(t, up)

			wire(t, pool, a.tap, b.tap)
			a.ping(t, b.addr)
			b.ping(t, a.addr, "-s", "1300")
			// TCP: the guests' stacks segment and checksum themselves, for nothing was offered to them.
			data := bytes.Repeat([]byte("a virtual switch carries frames "), 1<<16)
			require.True(t, bytes.Equal(data, transfer(t, a, b, data)), "data came through changed")
			s, err := a.tap.Stats()
			require.NoError(t, err)
			require.Zero(t, s.RxErrors+s.TxErrors+s.RxNoMbuf)
			require.Greater(t, s.RxPackets, uint64(len(data)/1400))
			require.Greater(t, s.RxBytes, uint64(len(data)))
			require.NotZero(t, s.TxPackets)

			ip(t, "-n", a.ns, "link", "set", "eth0", "down")
			up, _ = a.tap.Link()
			require.False(t, up, "the VM set its interface down")
		})
	}
}

func TestTapReattach(t *testing.T) {
	needTaps(t)
	for _, queues := range []int{1, 2} {
		pool := newPool(t, 1024, 1518)
		ns := newNamespace(t)
		o := TapOptions{Name: "web", Interface: "eth0", Namespace: ns, MAC: testMAC, Persist: true, Queues: queues, Pool: pool}
		d, err := OpenTap(o)
		require.NoError(t, err)
		require.True(t, d.Created())
		ip(t, "-n", ns, "addr", "add", "10.1.2.3/24", "dev", "eth0")
		require.NoError(t, d.Close())
		require.NoError(t, d.Close(), "closing twice does nothing")
		up, _ := d.Link()
		require.False(t, up)
		_, err = d.Stats()
		require.ErrorIs(t, err, ErrNoDevice)

		o.MTU, o.MAC = 1300, packet.MAC{0, 0x15, 0x5d, 9, 9, 9}
		d, err = OpenTap(o)
		require.NoError(t, err)
		require.False(t, d.Created())
		link := ip(t, "-n", ns, "addr", "show", "eth0")
		require.Contains(t, link, "10.1.2.3/24", "the VM's own configuration stays")
		require.Contains(t, link, "mtu 1300")
		require.Contains(t, link, "00:15:5d:09:09:09")
		require.NoError(t, d.Remove())
		require.Error(t, exec.Command("ip", "-n", ns, "link", "show", "eth0").Run(), "removed")

		o.Persist = false
		d, err = OpenTap(o)
		require.NoError(t, err)
		require.NoError(t, d.Close())
		require.Error(t, exec.Command("ip", "-n", ns, "link", "show", "eth0").Run(), "not persistent")
	}
}

func TestTapMovesIntoNamespace(t *testing.T) {
	needTaps(t)
	pool := newPool(t, 1024, 1518)
	ns := newNamespace(t)
	o := TapOptions{Name: "mover", MAC: testMAC, Persist: true, Pool: pool}
	d, err := OpenTap(o)
	require.NoError(t, err)
	require.Contains(t, ip(t, "link", "show", "mover"), "00:15:5d:01:02:03")
	require.NoError(t, d.Close())
	o.Namespace = "/run/netns/" + ns
	d = newTap(t, o)
	require.False(t, d.Created())
	require.Contains(t, ip(t, "-n", ns, "link", "show", "mover"), "00:15:5d:01:02:03")
	require.Error(t, exec.Command("ip", "link", "show", "mover").Run())
}

func TestTapReconfigure(t *testing.T) {
	needTaps(t)
	pool := newPool(t, 1024, 1518)
	d := newTap(t, TapOptions{Name: unique("tap"), MAC: testMAC, Pool: pool})
	mac := packet.MAC{0, 0x15, 0x5d, 7, 7, 7}
	require.NoError(t, d.Reconfigure(mac, 1280))
	require.Equal(t, mac, d.MAC())
	require.Equal(t, 1280, d.MTU())
	link := ip(t, "link", "show", d.Name())
	require.Contains(t, link, mac.String())
	require.Contains(t, link, "mtu 1280")
	require.ErrorIs(t, d.Reconfigure(mac, 40000), ErrInvalid)
	require.ErrorIs(t, d.Reconfigure(packet.Broadcast, 1280), ErrInvalid)
	require.Equal(t, 1280, d.MTU())
}

func TestTapMistakes(t *testing.T) {
	needTaps(t)
	pool := newPool(t, 1024, 1518)
	ns := newNamespace(t)
	ip(t, "-n", ns, "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
	taken := newTap(t, TapOptions{Name: "taken", Namespace: ns, MAC: testMAC, Pool: pool})
	newTap(t, TapOptions{Name: "takenmq", Namespace: ns, MAC: testMAC, Queues: 2, Pool: pool})
	ip(t, "-n", ns, "tuntap", "add", "idle", "mode", "tap", "multi_queue")
	ip(t, "-n", ns, "tuntap", "add", "layer3", "mode", "tun")
	for _, c := range []struct {
		name string
		o    TapOptions
		is   error
		says string
	}{
		{"busy", TapOptions{Name: "taken", Namespace: ns, MAC: testMAC}, ErrBusy, "interface taken in network namespace " + ns + ": in use by another process"},
		{"busy, several queues", TapOptions{Name: "takenmq", Namespace: ns, MAC: testMAC, Queues: 2}, ErrBusy, "in use by another process"},
		{"other number of queues", TapOptions{Name: "idle", Namespace: ns, MAC: testMAC}, ErrUnsupported, "ip link del idle"},
		{"no tap", TapOptions{Name: "veth0", Namespace: ns, MAC: testMAC}, ErrBusy, "it exists and is no tap but a veth"},
		{"tun", TapOptions{Name: "layer3", Namespace: ns, MAC: testMAC}, ErrBusy, "it exists and is no tap"},
		{"no namespace", TapOptions{Name: "x", Namespace: "nowhere", MAC: testMAC}, ErrNoNamespace, "ip netns add nowhere"},
		{"not a namespace", TapOptions{Name: "x", Namespace: "/dev/null", MAC: testMAC}, nil, "enter the network namespace"},
		{"long name", TapOptions{Name: "sixteen-letters-", MAC: testMAC}, ErrInvalid, "want 1 to 15 characters"},
		{"bad name", TapOptions{Name: "a/b", MAC: testMAC}, ErrInvalid, "want 1 to 15 characters"},
		{"no name", TapOptions{MAC: testMAC}, ErrInvalid, "interface name"},
		{"no MAC", TapOptions{Name: "x"}, ErrInvalid, "MAC 00:00:00:00:00:00"},
		{"group MAC", TapOptions{Name: "x", MAC: packet.Broadcast}, ErrInvalid, "address of one station"},
		{"MTU", TapOptions{Name: "x", MAC: testMAC, MTU: 9000}, ErrInvalid, "MTU 9000"},
		{"queues", TapOptions{Name: "x", MAC: testMAC, Queues: 1000}, ErrInvalid, "at most 256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Pool = pool
			d, err := OpenTap(c.o)
			require.Nil(t, d)
			require.ErrorContains(t, err, c.says)
			require.True(t, strings.HasPrefix(err.Error(), "vport "+c.o.Name), err)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		})
	}
	require.NotContains(t, ip(t, "link"), " x:", "nothing remains of a failure")
	up, _ := taken.Link()
	require.True(t, up)
}

// A guest may raise its MTU: what does not fit a packet is counted and dropped, and the rest goes on.
func TestTapFrameTooLong(t *testing.T) {
	needTaps(t)
	pool := newPool(t, 2048, 1518)
	a, b := newVM(t, pool, 1, 1, 1500), newVM(t, pool, 2, 1, 1500)
	wire(t, pool, a.tap, b.tap)
	a.ping(t, b.addr)
	ip(t, "-n", a.ns, "link", "set", "eth0", "mtu", "9000")
	require.Error(t, exec.Command("ip", "netns", "exec", a.ns, "ping", "-q", "-c", "3", "-i", "0.02", "-W", "0.2", "-s", "4000", b.addr).Run())
	s, err := a.tap.Stats()
	require.NoError(t, err)
	require.EqualValues(t, 3, s.RxErrors)
	a.ping(t, b.addr)
}

// The guest deletes its interface, or sets it down, while packets run.
func TestTapVanishes(t *testing.T) {
	needTaps(t)
	pool := newPool(t, 2048, 1518)
	v := newVM(t, pool, 1, 1, 1500)
	p := newPoller(t, pool)
	require.NoError(t, p.AddRx(v.tap.Handle(), 0, 0))
	require.NoError(t, p.SetTx(0, v.tap.Handle(), 0, false))
	flush(p)
	require.EqualValues(t, 2, func() uint16 { r := send(t, p, 0, frame(60, 'x'), frame(1514, 'y')); flush(p); return r.Sent }())
	ip(t, "-n", v.ns, "link", "set", "eth0", "down")
	require.Zero(t, func() uint16 { r := send(t, p, 0, frame(60, 'x')); flush(p); return r.Sent }(), "nobody is there to take it")
	ip(t, "-n", v.ns, "link", "del", "eth0")
	io := p.IO()
	for range 5 {
		io.RxBudget = packet.MaxRx
		p.Poll()
		freeRx(p)
	}
	require.Zero(t, func() uint16 { r := send(t, p, 0, frame(60, 'x')); flush(p); return r.Sent }())
	up, _ := v.tap.Link()
	require.False(t, up)
	require.True(t, v.tap.Gone())
	s, err := v.tap.Stats()
	require.NoError(t, err)
	require.EqualValues(t, 2, s.TxErrors)
	require.EqualValues(t, 2, s.TxPackets)
	start := time.Now()
	p.Wait(20 * time.Millisecond)
	require.GreaterOrEqual(t, time.Since(start), 20*time.Millisecond, "a dead interface must not keep the worker awake")
	p.RemoveRx(0)
	p.ClearTx(0)
	require.NoError(t, v.tap.Remove())
}

// A namespace that is deleted and made again under its name is another one: the tap in the old one is of no use.
func TestTapNamespaceMadeAnew(t *testing.T) {
	needTaps(t)
	pool := newPool(t, 1024, 1518)
	for _, found := range []bool{false, true} {
		ns := newNamespace(t)
		o := TapOptions{Name: "web", Interface: "eth0", Namespace: ns, MAC: testMAC, Persist: true, Pool: pool}
		if found { // as after a restart
			d, err := OpenTap(o)
			require.NoError(t, err)
			require.NoError(t, d.Close())
		}
		old := newTap(t, o)
		require.False(t, old.Gone())
		ip(t, "netns", "del", ns)
		require.True(t, old.Gone(), "deleted")
		_, err := OpenTap(o)
		require.ErrorIs(t, err, ErrNoNamespace)
		ip(t, "netns", "add", ns)
		require.True(t, old.Gone(), "made again")
		up, _ := old.Link()
		require.False(t, up)
		d := newTap(t, o)
		require.True(t, d.Created())
		require.False(t, d.Gone())
		require.Contains(t, ip(t, "-n", ns, "link", "show", "eth0"), testMAC.String())
		require.NoError(t, old.Remove())
		require.False(t, d.Gone(), "the old one took nothing along")
		require.Contains(t, ip(t, "-n", ns, "link", "show", "eth0"), testMAC.String())
	}
}

// Frames of several segments, and frames whose packet is shared, are written whole.
func TestTapSegments(t *testing.T) {
	needTaps(t)
	pool := newPool(t, 1024, 1518)
	out := newVM(t, pool, 2, 1, 1500)
	p := newPoller(t, pool)
	require.NoError(t, p.SetTx(0, out.tap.Handle(), 0, true))
	flush(p)
	io := p.IO()
	whole := frame(300, 's')
	run := send(t, p, 0, whole[:100], whole[100:110], whole[110:])
	head := io.Tx[0]
	head.Next, head.NbSegs, head.PktLen = io.Tx[1], 3, 300
	io.Tx[1].Next = io.Tx[2]
	run.Count = 1
	flush(p)
	require.EqualValues(t, 1, run.Sent)
	s, err := out.tap.Stats()
	require.NoError(t, err)
	require.EqualValues(t, 300, s.TxBytes)
	require.Contains(t, ip(t, "-n", out.ns, "-s", "link", "show", "eth0"), "300 ")
}

func TestWaitSeesTap(t *testing.T) {
	needTaps(t)
	pool := newPool(t, 1024, 1518)
	v := newVM(t, pool, 1, 1, 1500)
	p := newPoller(t, pool)
	require.NoError(t, p.AddRx(v.tap.Handle(), 0, 9))
	io := p.IO()
	for io.NumRx == 0 { // what the kernel sends by itself when the interface comes up, or this
		go func() { _ = exec.Command("ip", "netns", "exec", v.ns, "ping", "-c", "1", "-W", "1", "10.77.0.9").Run() }()
		p.Wait(10 * time.Second)
		io.RxBudget = packet.MaxRx
		p.Poll()
		require.NotZero(t, io.NumRx, "the wait ended by a frame")
	}
	require.EqualValues(t, 9, io.RxRuns[0].Ref)
	freeRx(p)
	flush(p)
}

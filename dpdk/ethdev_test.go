package dpdk

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

// writePcap writes frames as a capture file and returns its path.
func writePcap(t testing.TB, frames ...[]byte) string {
	t.Helper()
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint32(b, 65535)
	b = binary.LittleEndian.AppendUint32(b, 1)
	for _, f := range frames {
		b = append(b, make([]byte, 8)...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	path := filepath.Join(t.TempDir(), "in.pcap")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

func TestPcapInAndOut(t *testing.T) {
	pool := newPool(t, 1024, 1518)
	in := writePcap(t, frame(60, 'a'), frame(1000, 'b'), frame(1514, 'c'))
	out := filepath.Join(t.TempDir(), "out.pcap")
	d, err := OpenUplink(UplinkOptions{Name: "up", Devargs: unique("net_pcap") + ",rx_pcap=" + in + ",tx_pcap=" + out, Pool: pool})
	require.NoError(t, err)
	p := newPoller(t, pool)
	require.NoError(t, p.AddRx(d.Handle(), 0, 0))
	require.NoError(t, p.SetTx(0, d.Handle(), 0, false))
	io := p.IO()
	io.RxBudget = packet.MaxRx
	p.Poll()
	require.EqualValues(t, 3, io.NumRx)
	forward(io, func(uint32) uint32 { return 0 })
	flush(p)
	p.RemoveRx(0)
	p.ClearTx(0)
	require.NoError(t, d.Close())
	want, err := os.ReadFile(in)
	require.NoError(t, err)
	got, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	require.Equal(t, want[24+16:24+16+60], got[24+16:24+16+60])
}

func TestUplinkProperties(t *testing.T) {
	pool := newPool(t, 1024, 1622)
	d, err := OpenUplink(UplinkOptions{Name: "up", Devargs: unique("net_null"), RxQueues: 2, TxQueues: 3, MTU: 1600, Promiscuous: true, Pool: pool})
	require.NoError(t, err)
	defer d.Close()
	require.Equal(t, "up", d.Name())
	require.NotZero(t, d.Handle())
	require.False(t, d.MAC().IsZero())
	require.Equal(t, 1600, d.MTU())
	require.Equal(t, 2, d.RxQueues())
	require.Equal(t, 3, d.TxQueues())
	require.Empty(t, d.Notes())
	require.False(t, d.Created())
	up, speed := d.Link()
	require.True(t, up)
	require.EqualValues(t, 10000, speed)
	require.NoError(t, d.Reconfigure(d.MAC(), d.MTU()))
	require.ErrorIs(t, d.Reconfigure(d.MAC(), 1500), ErrUnsupported)

	few, err := OpenUplink(UplinkOptions{Name: "few", Devargs: unique("net_pcap") + ",rx_pcap=" + writePcap(t, frame(60, 'x')), RxQueues: 4, TxQueues: 4, Pool: pool})
	require.NoError(t, err)
	defer few.Close()
	require.Equal(t, 1, few.RxQueues())
	require.Contains(t, few.Notes(), "uplink few: 4 receive queues wanted, the device has 1")
	require.Equal(t, 1500, few.MTU())
	require.Greater(t, few.Handle(), d.Handle())
}

func TestUplinkMistakes(t *testing.T) {
	pool := newPool(t, 1024, 1518)
	taken := unique("net_null")
	newUplink(t, pool, taken, 1)
	for _, c := range []struct {
		name string
		o    UplinkOptions
		is   error
		says string
	}{
		{"missing interface", UplinkOptions{Devargs: "net_af_packet9,iface=nowhere0"}, ErrNoInterface, "interface nowhere0: no such network interface in this network namespace: `ip link`"},
		{"no interface", UplinkOptions{Devargs: "net_af_packet9"}, ErrInvalid, "device net_af_packet9: not valid: it lacks iface=INTERFACE"},
		{"PCI while running", UplinkOptions{Devargs: "0000:ff:1f.7"}, ErrUnsupported, "restart it"},
		{"unknown driver", UplinkOptions{Devargs: "net_flux0"}, ErrInvalid, "open device net_flux0"},
		{"not an address", UplinkOptions{Devargs: "03:00.0"}, ErrInvalid, "03:00.0"},
		{"empty", UplinkOptions{}, ErrInvalid, ""},
		{"no such file", UplinkOptions{Devargs: "net_pcap9,rx_pcap=/nowhere.pcap"}, nil, "/nowhere.pcap"},
		{"busy", UplinkOptions{Devargs: taken}, ErrBusy, "in use by another uplink"},
		{"MTU beyond the pool", UplinkOptions{Devargs: "net_null99", MTU: 9000}, ErrInvalid, "MTU 9000"},
		{"not Ethernet", UplinkOptions{Devargs: "crypto_null0"}, ErrInvalid, "not an Ethernet device"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Name, c.o.Pool = "up0", pool
			d, err := OpenUplink(c.o)
			require.Nil(t, d)
			require.Error(t, err)
			t.Log(err)
			require.ErrorContains(t, err, "uplink up0: ")
			require.ErrorContains(t, err, c.says)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		})
	}
}

// ns: vm 1 --tap--+ poller +--veth (af_packet) ---- veth-- ns: host
func TestAFPacketOnVeth(t *testing.T) {
	needTaps(t)
	for _, mtu := range []int{1500, 1600, 9000} {
		pool := newPool(t, 2048, mtu+l2Overhead)
		host := newNamespace(t)
		near, far := unique("veth"), unique("veth")
		ip(t, "link", "add", near, "mtu", "1400", "type", "veth", "peer", "name", far, "netns", host)
		t.Cleanup(func() { ip(t, "link", "del", near) })
		ip(t, "-n", host, "link", "set", far, "mtu", "9000", "up")
		ip(t, "-n", host, "addr", "add", "10.77.0.2/24", "dev", far)

		up, err := OpenUplink(UplinkOptions{Name: "up0", Devargs: unique("net_af_packet") + ",iface=" + near, RxQueues: 2, TxQueues: 1, MTU: mtu, Promiscuous: true, Pool: pool})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, up.Close()) })
		require.Equal(t, mtu, up.MTU())
		require.Contains(t, up.Notes(), fmt.Sprintf("uplink up0: the kernel's interface %s had MTU 1400 and now has the uplink's, %d", near, mtu))
		require.Equal(t, 2, up.RxQueues())
		require.Contains(t, ip(t, "link", "show", near), up.MAC().String())
		linked, speed := up.Link()
		require.True(t, linked)
		require.EqualValues(t, 10000, speed)
		_, err = OpenUplink(UplinkOptions{Name: "up1", Devargs: unique("net_af_packet") + ",iface=" + near, MTU: mtu, Pool: pool})
		require.ErrorIs(t, err, ErrBusy, "two uplinks on one interface would take each other's frames")

		a := newVM(t, pool, 1, 1, mtu)
		wire(t, pool, a.tap, up)
		a.ping(t, "10.77.0.2")
		a.ping(t, "10.77.0.2", "-M", "do", "-s", strconv.Itoa(mtu-28))
		s, err := up.Stats()
		require.NoError(t, err)
		require.GreaterOrEqual(t, s.RxPackets, uint64(6))
		require.Zero(t, s.TxErrors)

		ip(t, "-n", host, "link", "set", far, "down")
		linked, speed = up.Link()
		require.False(t, linked, "no carrier")
		require.EqualValues(t, 10000, speed, "what it can have")
	}
}

// What the receive ring had no room for is counted, exactly.
func TestAFPacketMissed(t *testing.T) {
	needTaps(t)
	pool := newPool(t, 1024, 1518)
	near, far := unique("veth"), unique("veth")
	ip(t, "link", "add", near, "type", "veth", "peer", "name", far)
	t.Cleanup(func() { ip(t, "link", "del", near) })
	up, err := OpenUplink(UplinkOptions{Name: "up0", Devargs: unique("net_af_packet") + ",framecnt=64,iface=" + near, Pool: pool})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, up.Close()) })
	other := newUplink(t, pool, unique("net_af_packet")+",iface="+far, 1)
	p := newPoller(t, pool)
	require.NoError(t, p.AddRx(up.Handle(), 0, 0))
	require.NoError(t, p.SetTx(0, other.Handle(), 0, false))
	flush(p)
	io := p.IO()
	drain := func() {
		for io.NumRx = 1; io.NumRx > 0; {
			io.RxBudget = packet.MaxRx
			p.Poll()
			freeRx(p)
		}
	}
	const sent = 500
	for range sent {
		send(t, p, 0, frame(60, 'm'))
		flush(p)
	}
	require.Eventually(t, func() bool {
		s, err := up.Stats()
		require.NoError(t, err)
		return s.RxMissed >= sent-64
	}, 5*time.Second, 10*time.Millisecond)
	first, err := up.Stats()
	require.NoError(t, err)
	drain()
	s, err := up.Stats()
	require.NoError(t, err)
	require.GreaterOrEqual(t, s.RxMissed, first.RxMissed, "reading forgets nothing")
	require.GreaterOrEqual(t, s.RxPackets, uint64(64))
	require.GreaterOrEqual(t, s.RxPackets+s.RxMissed, uint64(sent), "nothing vanishes uncounted")
	require.Less(t, s.RxPackets+s.RxMissed, uint64(sent+64), "sent, and what little the kernel announces by itself")
	o, err := other.Stats()
	require.NoError(t, err)
	require.Zero(t, o.RxMissed, "of another uplink")
}

// The interface goes down while packets are sent, and comes back: the worker is not held up, and traffic resumes.
func TestAFPacketLinkDown(t *testing.T) {
	needTaps(t)
	pool := newPool(t, 2048, 1518)
	near, far := unique("veth"), unique("veth")
	host := newNamespace(t)
	ip(t, "link", "add", near, "type", "veth", "peer", "name", far, "netns", host)
	ip(t, "-n", host, "link", "set", far, "up")
	up, err := OpenUplink(UplinkOptions{Name: "up0", Devargs: unique("net_af_packet") + ",iface=" + near, Pool: pool})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, up.Close()) })
	require.Equal(t, 1500, up.MTU(), "that of the interface")
	p := newPoller(t, pool)
	require.NoError(t, p.SetTx(0, up.Handle(), 0, true))
	flush(p)
	burst := func() int {
		for range 8 {
			send(t, p, 0, frame(60, 'd'), frame(60, 'd'), frame(60, 'd'), frame(60, 'd'))
		}
		runs := p.IO().TxRuns[:p.IO().NumTxRuns]
		flush(p)
		flush(p)
		sent := 0
		for _, r := range runs {
			sent += int(r.Sent)
		}
		return sent
	}
	require.Equal(t, 32, burst())
	ip(t, "link", "set", near, "down")
	sent := 0
	for range 64 { // as much as the ring holds
		sent += burst()
	}
	require.LessOrEqual(t, sent, 2048)
	ip(t, "link", "set", near, "up")
	require.Eventually(t, func() bool { return burst() == 32 }, 5*time.Second, 20*time.Millisecond)

	ip(t, "link", "del", near)
	burst()
	linked, _ := up.Link()
	require.False(t, linked)
}

// ns: vm 1 --tap--+ poller +--veth (af_packet) ---- veth-- ns: host
//
// The wire is torn down and made again under its names: the uplink is opened again before the old one is closed.
func TestAFPacketInterfaceMadeAnew(t *testing.T) {
	needTaps(t)
	pool := newPool(t, 2048, 1518)
	near, far := unique("veth"), unique("veth")
	host := newNamespace(t)
	makeWire := func() {
		ip(t, "link", "add", near, "type", "veth", "peer", "name", far, "netns", host)
		ip(t, "-n", host, "link", "set", far, "up")
		ip(t, "-n", host, "addr", "add", "10.77.0.2/24", "dev", far)
	}
	makeWire()
	o := UplinkOptions{Name: "up0", Devargs: unique("net_af_packet") + ",iface=" + near, Promiscuous: true, Pool: pool}
	old, err := OpenUplink(o)
	require.NoError(t, err)
	require.False(t, old.Gone())
	for range 3 {
		ip(t, "link", "del", near)
		require.True(t, old.Gone())
		_, err = OpenUplink(o)
		require.ErrorIs(t, err, ErrNoInterface)
		makeWire()
		require.True(t, old.Gone(), "the new interface is another one")
		linked, _ := old.Link()
		require.False(t, linked)
		up, err := OpenUplink(o)
		require.NoError(t, err)
		require.False(t, up.Gone())
		require.NoError(t, old.Close())
		linked, _ = up.Link()
		require.True(t, linked)
		old = up
	}
	t.Cleanup(func() { require.NoError(t, old.Close()) })
	a := newVM(t, pool, 1, 1, 1500)
	wire(t, pool, a.tap, old)
	a.ping(t, "10.77.0.2")
	ip(t, "link", "set", near, "netns", a.ns)
	require.True(t, old.Gone(), "moved away")
}

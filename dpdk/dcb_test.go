package dpdk

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

// No virtual device has DCB: what they answer is what a device without it answers.
func TestDCBRefused(t *testing.T) {
	pool := newPool(t, 2048, 1518)
	wanted := DCBOptions{Classes: 8, PFC: 1 << 3, Shares: true}
	devices := map[string]string{
		"null": unique("net_null"),
		"ring": unique("net_ring"),
		"pcap": unique("net_pcap") + ",rx_pcap=" + writePcap(t, frame(60, 'x')),
	}
	if os.Geteuid() == 0 {
		near, far := unique("veth"), unique("veth")
		ip(t, "link", "add", near, "type", "veth", "peer", "name", far)
		t.Cleanup(func() { ip(t, "link", "del", near) })
		devices["af_packet"] = unique("net_af_packet") + ",iface=" + near
	} else {
		t.Log("af_packet is left out: it needs root")
	}
	for name, devargs := range devices {
		t.Run(name, func(t *testing.T) {
			o := UplinkOptions{Name: "up0", Devargs: devargs, Pool: pool, DCB: wanted}
			d, err := OpenUplink(o)
			require.NoError(t, err, "software takes over")
			b := d.DCB()
			require.ErrorIs(t, b.Err, ErrUnsupported)
			require.ErrorIs(t, b.Refused, ErrUnsupported)
			require.ErrorContains(t, b.Refused, "its driver has no DCB")
			b.Err, b.Refused = nil, nil
			require.Zero(t, b)
			require.NoError(t, d.Close())

			o.DCB.Required = true
			_, err = OpenUplink(o)
			require.ErrorIs(t, err, ErrUnsupported)
			require.ErrorContains(t, err, "uplink up0: hardware is required, and refuses: device ")

			o.DCB = DCBOptions{}
			d, err = OpenUplink(o)
			require.NoError(t, err, "nothing of the device was left open")
			require.NoError(t, d.DCB().Refused, "nothing was asked for")
			require.NoError(t, d.Close())
		})
	}
}

func TestDCBDiffers(t *testing.T) {
	good := func() dcbTold {
		told := dcbTold{classes: 4, tcOf: [8]uint8{0, 1, 2, 3, 3, 3, 3, 3}, share: [8]uint8{25, 25, 25, 25}}
		for tc := range 4 {
			told.rx[tc], told.tx[tc] = queueRange{tc, 1}, queueRange{tc, 1}
		}
		return told
	}
	for name, tc := range map[string]struct {
		change func(*dcbTold)
		even   bool
		says   string
	}{
		"as told":            {func(*dcbTold) {}, true, ""},
		"rounded":            {func(d *dcbTold) { d.share[2] = 26 }, true, ""},
		"other number":       {func(d *dcbTold) { d.classes = 8 }, false, "it runs with 8"},
		"other map":          {func(d *dcbTold) { d.tcOf[7] = 0 }, false, "it puts priority 7 into class 0 instead of 3"},
		"wide spread queues": {func(d *dcbTold) { d.rx[1] = queueRange{16, 16} }, false, "it receives class 1 by queues that nobody polls"},
		"no queue":           {func(d *dcbTold) { d.tx[3].count = 0 }, false, "it sends class 3 by queues that it was not given"},
		"queue beyond":       {func(d *dcbTold) { d.tx[3].first = 96 }, false, "it sends class 3 by queues that it was not given"},
		"uneven":             {func(d *dcbTold) { d.share[0] = 40 }, true, "its classes have from 25% to 40% of the link instead of even shares"},
		"uneven, unused":     {func(d *dcbTold) { d.share[0] = 40 }, false, ""},
		"silent on shares":   {func(d *dcbTold) { d.share = [8]uint8{} }, true, "its classes have from 0% to 0% of the link instead of even shares"},
	} {
		t.Run(name, func(t *testing.T) {
			told := good()
			tc.change(&told)
			require.Equal(t, tc.says, told.differs(4, tc.even))
		})
	}
}

// tagged is a frame with the priority in a tag of VLAN 0.
func tagged(priority uint16) []byte {
	f := frame(64, byte('0'+priority))
	binary.BigEndian.PutUint16(f[12:], 0x8100)
	binary.BigEndian.PutUint16(f[14:], priority<<13)
	return f
}

// Frames leave by the queue of their class, each queue here a file. What a full queue does not take is counted by the
// device, and keeps nothing else back.
func TestDCBQueues(t *testing.T) {
	pool := newPool(t, 4096, 1518)
	dir := t.TempDir()
	devargs := unique("net_pcap")
	for q := range 4 {
		devargs += fmt.Sprintf(",tx_pcap=%s/%d.pcap", dir, q)
	}
	d, err := OpenUplink(UplinkOptions{Name: "up", Devargs: devargs, RxQueues: 4, TxQueues: 4, Pool: pool})
	require.NoError(t, err)
	require.NoError(t, d.port.(*ethdev).useClasses(4, [8]int{3, 2, 1, 0}))
	require.Equal(t, 1, d.TxQueues(), "workers do not choose among them")
	p := newPoller(t, pool)
	require.NoError(t, p.SetTx(0, d.Handle(), 0, true))
	flush(p)
	run := send(t, p, 0, frame(60, 'n'), tagged(1), tagged(1), tagged(2), tagged(7), tagged(0), tagged(3))
	flush(p)
	require.EqualValues(t, 7, run.Sent)
	p.ClearTx(0)
	require.NoError(t, d.Close())
	for q, want := range []string{"73", "2", "11", "n0"} {
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.pcap", q)))
		require.NoError(t, err)
		text := ""
		for at := 24; at < len(got); at += 16 + int(binary.LittleEndian.Uint32(got[at+8:])) {
			text += string(got[at+16+40])
		}
		require.Equal(t, want, text, "queue %d", q)
	}

	full, err := OpenUplink(UplinkOptions{Name: "full", Devargs: unique("net_ring"), Pool: pool})
	require.NoError(t, err)
	require.NoError(t, full.port.(*ethdev).useClasses(8, [8]int{}))
	require.NoError(t, p.SetTx(0, full.Handle(), 0, true))
	flush(p)
	const sent, room = 1100, 1023
	for range sent {
		run = send(t, p, 0, tagged(4))
		flush(p)
		require.EqualValues(t, 1, run.Sent)
	}
	s, err := full.Stats()
	require.NoError(t, err)
	require.EqualValues(t, room, s.TxPackets)
	require.GreaterOrEqual(t, s.TxErrors, uint64(sent-room))
	p.ClearTx(0)
	require.NoError(t, p.AddRx(full.Handle(), 0, 0))
	for p.IO().RxBudget = packet.MaxRx; ; {
		p.Poll()
		if p.IO().NumRx == 0 {
			break
		}
		freeRx(p)
	}
	p.RemoveRx(0)
	require.NoError(t, full.Close())
}

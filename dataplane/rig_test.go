package dataplane

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// A host of two tenants with the same addresses, and a bridged side:
//
//	red-vm1  10.0.0.5 ┐                                 ┌ red-far 10.0.0.7   (red-web)
//	red-vm2  10.0.0.6 ┤ red-web 6001                    ├ red-db1 10.0.1.7   (red-db)
//	red-db0  10.0.1.5 ┤ red-db  6002  ── up0 ── fabric ─┤ blue-far 10.0.0.7  (blue-web), all at 172.16.1.2
//	blue-vm1 10.0.0.5 ┘ blue-web 7001  172.16.1.1       └ far-pa2 10.0.0.8, at 172.16.1.3 or 172.16.1.4
//	acc1, acc2: access ports of VLAN 100; thru: pass-through with trunk 100, 200; all on up0
const rigPolicy = `
host: {name: host-a}
dataplane: {slowPathShare: 100%}
uplinks:
  - {name: up0, device: {driver: af_packet, interface: eth0}, mtu: 1600, providerAddresses: [172.16.1.1/24], gateway: 172.16.1.254}
vports:
  - {name: red-vm1, device: {driver: tap}, mac: "00:15:5d:00:01:05", subnet: red-web, addresses: [10.0.0.5, "2001:db8:1::5"]}
  - {name: red-vm2, device: {driver: tap}, mac: "00:15:5d:00:01:06", subnet: red-web, addresses: [10.0.0.6, "2001:db8:1::6"]}
  - {name: red-db0, device: {driver: tap}, mac: "00:15:5d:00:02:05", subnet: red-db, addresses: [10.0.1.5], mtu: 1000}
  - {name: blue-vm1, device: {driver: tap}, mac: "00:15:5d:00:0b:05", subnet: blue-web, addresses: [10.0.0.5]}
  - {name: acc1, device: {driver: tap}, mac: "00:15:5d:00:0a:01", uplink: up0, vlan: 100}
  - {name: acc2, device: {driver: tap}, mac: "00:15:5d:00:0a:02", uplink: up0, vlan: 100}
  - {name: thru, device: {driver: tap}, mac: "00:15:5d:00:0a:03", uplink: up0, passThrough: true, trunk: [100, 200]}
networks:
  - name: red
    subnets:
      - {name: red-web, vsid: 6001, prefix: 10.0.0.0/24, prefix6: "2001:db8:1::/64"}
      - {name: red-db, vsid: 6002, prefix: 10.0.1.0/24}
    routes:
      - {prefix: 192.0.2.0/24, nextHop: 10.0.0.6}
  - name: blue
    subnets:
      - {name: blue-web, vsid: 7001, prefix: 10.0.0.0/24}
hosts:
  - {name: host-c, providerAddresses: [172.16.1.3, 172.16.1.4]}
records:
  - {subnet: red-web, ca: 10.0.0.7, mac: "00:15:5d:00:01:07", pa: 172.16.1.2}
  - {subnet: red-web, ca: "2001:db8:1::7", mac: "00:15:5d:00:01:07", pa: 172.16.1.2}
  - {subnet: red-web, ca: 10.0.0.8, mac: "00:15:5d:00:01:08", pa: 172.16.1.3}
  - {subnet: red-web, ca: 10.0.0.9, mac: "00:15:5d:00:01:09", pa: 10.99.0.9}
  - {subnet: red-db, ca: 10.0.1.7, mac: "00:15:5d:00:02:07", pa: 172.16.1.2}
  - {subnet: blue-web, ca: 10.0.0.7, mac: "00:15:5d:00:0b:07", pa: 172.16.1.2}
`

// Ethernet addresses of the rig.
const (
	uplinkMAC = "02:aa:00:00:00:01"
	hostBMAC  = "02:bb:00:00:00:02"
	hostBPA   = "172.16.1.2"
	hostAPA   = "172.16.1.1"
	routerMAC = "02:15:5d:00:00:01"
	redVM1    = "00:15:5d:00:01:05"
	redVM2    = "00:15:5d:00:01:06"
	redFar    = "00:15:5d:00:01:07"
	redDB0    = "00:15:5d:00:02:05"
	redDB1    = "00:15:5d:00:02:07"
	blueVM1   = "00:15:5d:00:0b:05"
	blueFar   = "00:15:5d:00:0b:07"
	acc1MAC   = "00:15:5d:00:0a:01"
	acc2MAC   = "00:15:5d:00:0a:02"
	thruMAC   = "00:15:5d:00:0a:03"
	broadcast = "ff:ff:ff:ff:ff:ff"
)

const patience = time.Minute

// rig is a switch on memory ports.
type rig struct {
	t     testing.TB
	sw    *Switch
	arena *memport.Arena
	net   *memport.Net
	devs  map[string]*memport.Device
	index portIndex
	mac   packet.MAC // of the uplink's device
	snap  *policy.Snapshot
}

// portIndex gives ports their index in the order of their names' appearance.
type portIndex struct {
	byName map[string]uint32
	mac    packet.MAC
}

func (p portIndex) Index(name string) (uint32, bool) { i, ok := p.byName[name]; return i, ok }
func (p portIndex) MAC(string) packet.MAC            { return p.mac }
func (p portIndex) MTU(string) int                   { return 1600 }

func newRig(t testing.TB, workers int) *rig { return newRigOf(t, workers, rigPolicy) }

func newRigOf(t testing.TB, workers int, yaml string) *rig {
	t.Helper()
	r := bareRig(t)
	for range workers {
		r.addWorker(r.net.Poller())
	}
	r.setUp(yaml, workers)
	return r
}

// bareRig has no workers and no ports.
func bareRig(t testing.TB) *rig {
	t.Helper()
	mac, err := packet.ParseMAC(uplinkMAC)
	require.NoError(t, err)
	r := &rig{t: t, arena: memport.NewArena(2048, 2048), devs: map[string]*memport.Device{},
		index: portIndex{byName: map[string]uint32{}, mac: mac}, mac: mac}
	r.net = memport.New(r.arena)
	r.sw, err = New(Config{TSCHz: memport.TSCHz, MaxFlows: 1 << 12, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	t.Cleanup(r.close)
	return r
}

func (r *rig) addWorker(p Poller) {
	r.t.Helper()
	_, err := r.sw.AddWorker(WorkerSpec{Core: -1, Poller: p, Idle: Idle{MaxSleep: time.Millisecond}})
	require.NoError(r.t, err)
}

// setUp adds the ports of a configuration, uplinks with one queue per worker, and publishes it.
func (r *rig) setUp(yaml string, workers int) {
	r.t.Helper()
	c := r.parse(yaml)
	for _, u := range c.Uplinks {
		r.addPort(u.Name, true, workers)
	}
	for _, v := range c.Vports {
		r.addPort(v.Name, false, 1)
	}
	r.publish(c)
}

func (r *rig) parse(yaml string) *policy.Config {
	r.t.Helper()
	c, err := policy.Parse("rig.yaml", []byte(yaml))
	require.NoError(r.t, err)
	return c
}

func (r *rig) addPort(name string, uplink bool, queues int) {
	r.t.Helper()
	dev := r.net.Device(queues, queues)
	index := uint32(len(r.index.byName))
	require.NoError(r.t, r.sw.AddPort(PortSpec{Index: index, Name: name, Uplink: uplink, Device: dev.Handle(), RxQueues: queues, TxQueues: queues}))
	r.devs[name], r.index.byName[name] = dev, index
}

func (r *rig) publish(c *policy.Config) {
	r.t.Helper()
	snap, err := policy.Compile(c, r.snap, r.index)
	require.NoError(r.t, err)
	r.snap = snap
	require.NoError(r.t, r.sw.Publish(snap))
}

// close ends the switch and finds lost packets.
func (r *rig) close() {
	r.sw.Close()
	for _, d := range r.devs {
		d.Sent()
		require.NoError(r.t, d.Close())
	}
	require.NoError(r.t, r.arena.ReleaseShared())
	require.Equal(r.t, r.arena.Size(), r.arena.Free(), "packets lost: %s", r.arena.Report())
}

// resolve lets host B answer the uplink's ARP request, so that packets for it are not held.
func (r *rig) resolve() {
	r.t.Helper()
	r.inject("red-vm1", frames.Ping(redVM1, redFar, "10.0.0.5", "10.0.0.7", 1, 1))
	sent := r.wait("up0", 1)
	frames.Equal(r.t, frames.Pad(frames.ARPRequest(uplinkMAC, hostAPA, hostBPA), 60), sent[0], "request for the next hop")
	r.inject("up0", frames.ARPReply(hostBMAC, hostBPA, uplinkMAC, hostAPA))
	require.Len(r.t, r.wait("up0", 1), 1, "the held packet leaves once the next hop is known")
}

func (r *rig) inject(port string, frame []byte, opts ...memport.Option) {
	r.t.Helper()
	require.Contains(r.t, r.devs, port)
	r.devs[port].Inject(0, frame, opts...)
}

func (r *rig) wait(port string, n int) [][]byte {
	r.t.Helper()
	sent, err := r.devs[port].WaitSent(n, patience)
	require.NoError(r.t, err)
	return sent
}

func (r *rig) idle() {
	r.t.Helper()
	require.NoError(r.t, r.net.WaitIdle(patience))
}

// send injects one frame and returns what each port was given for it.
func (r *rig) send(port string, frame []byte, opts ...memport.Option) map[string][][]byte {
	r.t.Helper()
	r.inject(port, frame, opts...)
	r.idle()
	out := map[string][][]byte{}
	for name, d := range r.devs {
		if sent := d.Sent(); len(sent) > 0 {
			out[name] = sent
		}
	}
	return out
}

func (r *rig) counters(port string) PortCounters {
	r.t.Helper()
	c, ok := r.sw.PortCounters(r.index.byName[port])
	require.True(r.t, ok)
	return c
}

// workers reports on all workers, up to this moment.
func (r *rig) workers() []WorkerStatus {
	r.sw.Quiesce()
	return r.sw.Workers()
}

// balanced asserts the accounting equation on every port.
func (r *rig) balanced() {
	r.t.Helper()
	r.idle()
	for name := range r.devs {
		c := r.counters(name)
		require.Equal(r.t, c.RxPackets+c.Created, c.Sent+c.Consumed+c.Dropped+c.Queued, "port %s: %+v", name, c)
		sum := uint64(0)
		for _, n := range c.Drops {
			sum += n
		}
		require.Equal(r.t, c.Dropped, sum, "port %s: drops by reason", name)
	}
}

// dropped asserts that a frame goes nowhere and is counted under exactly this reason.
func (r *rig) dropped(port string, frame []byte, want Reason, opts ...memport.Option) {
	r.t.Helper()
	before := r.counters(port)
	out := r.send(port, frame, opts...)
	after := r.counters(port)
	require.Empty(r.t, out, "nothing may leave: %s", frames.Dump(frame))
	require.Equal(r.t, before.Drops[want]+1, after.Drops[want], "want %s, counted %v\n%s", want, after.Drops, frames.Dump(frame))
	require.Equal(r.t, before.Dropped+1, after.Dropped)
}

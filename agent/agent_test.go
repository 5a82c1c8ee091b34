package agent_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memdriver"
	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// The host of these tests:
//
//	vm1 10.0.0.5 ─┐
//	vm2 10.0.0.6 ─┼─ subnet web, VSID 6001 ─ uplink up0 172.16.1.1/24 ─ … ─ 10.0.0.7 at 172.16.1.2
//	vmN 10.0.0.N ─┘
const base = `
host: {name: host-a}
daemon: {metrics: "off"}
uplinks:
  - {name: up0, device: {devargs: net_null0}, mtu: 1600, providerAddresses: [172.16.1.1/24]}
networks:
  - name: red
    subnets:
      - {name: web, vsid: 6001, prefix: 10.0.0.0/24}
records:
  - {subnet: web, ca: 10.0.0.7, mac: "00:15:5d:00:01:07", pa: 172.16.1.2}
vports:
`

// withVMs is the base with VMs, given by the last byte of their addresses.
func withVMs(numbers ...int) string {
	var b strings.Builder
	b.WriteString(base)
	for _, n := range numbers {
		fmt.Fprintf(&b, "  - {name: vm%d, device: {driver: tap}, mac: \"%s\", subnet: web, addresses: [%s]}\n", n, vmMAC(n), vmAddr(n))
	}
	return b.String()
}

func vmMAC(n int) string  { return fmt.Sprintf("00:15:5d:00:01:%02x", n) }
func vmAddr(n int) string { return fmt.Sprintf("10.0.0.%d", n) }

const patience = 20 * time.Second

// noKernelAddrs stands for a namespace in which the kernel has no address.
func noKernelAddrs() (map[netip.Addr]string, error) { return nil, nil }

// prepare makes an agent that has not started. It is stopped, and its driver checked for leaks, when the test ends.
func prepare(t *testing.T, yaml string, edit ...func(*agent.Options)) (*agent.Agent, *memdriver.Driver) {
	t.Helper()
	c, err := policy.Parse("host.yaml", []byte(yaml))
	require.NoError(t, err)
	d := memdriver.New(8192)
	o := agent.Options{
		Config: c, File: "host.yaml", YAML: []byte(yaml), Driver: d, Cores: []int{-1, -1}, Pool: agent.PoolFor(c, 2),
		KernelAddrs: noKernelAddrs,
	}
	for _, e := range edit {
		e(&o)
	}
	a, err := agent.New(o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, a.Stop())
		require.NoError(t, d.CheckClean())
		require.NoError(t, d.Close())
	})
	return a, d
}

func start(t *testing.T, yaml string, edit ...func(*agent.Options)) (*agent.Agent, *memdriver.Driver) {
	t.Helper()
	a, d := prepare(t, yaml, edit...)
	require.NoError(t, a.Start(t.Context()))
	return a, d
}

func names(r *agent.Running) (all []string) {
	for _, u := range r.Config.Uplinks {
		all = append(all, u.Name)
	}
	for _, v := range r.Config.Vports {
		all = append(all, v.Name)
	}
	return all
}

func TestStartOpensAllAndStopKeepsPersistentTaps(t *testing.T) {
	a, d := start(t, withVMs(5, 6))
	require.Equal(t, []string{"poller", "poller", "open up0", "open vm5", "open vm6"}, d.Deeds())
	require.NoError(t, a.Ready())
	r, ports := a.Ports()
	require.EqualValues(t, 1, r.Revision)
	require.Equal(t, "host.yaml", r.File)
	require.Len(t, ports, 3)
	for i, want := range []string{"up0", "vm5", "vm6"} {
		require.Equal(t, want, ports[i].Name)
		require.EqualValues(t, i, ports[i].Index)
		require.True(t, ports[i].LinkUp)
	}

	d.Port("vm5").Inject(0, frames.Ping(vmMAC(5), vmMAC(6), vmAddr(5), vmAddr(6), 1, 1))
	got, err := d.Port("vm6").WaitSent(1, patience)
	require.NoError(t, err)
	require.Len(t, got, 1)

	require.NoError(t, a.Stop())
	require.Equal(t, []string{"close up0", "close vm5", "close vm6"}, d.Deeds())
	require.Equal(t, []string{"vm5", "vm6"}, d.Interfaces(), "a VM keeps its interface while the daemon is away")
	require.ErrorIs(t, a.Ready(), agent.ErrStopped)
	require.NoError(t, a.Stop(), "stopping twice does nothing")
	_, err = a.Apply(t.Context(), "host.yaml", []byte(withVMs(5)), false)
	require.ErrorIs(t, err, agent.ErrStopped)
}

func TestStartThatFailsLeavesNothing(t *testing.T) {
	for _, deed := range []string{"poller", "open up0", "open vm5", "open vm6"} {
		t.Run(deed, func(t *testing.T) {
			a, d := prepare(t, withVMs(5, 6))
			d.Fail(deed, errors.New("it is broken"))
			require.ErrorContains(t, a.Start(t.Context()), "it is broken")
			require.NoError(t, d.CheckClean())
			require.Empty(t, d.Interfaces(), "interfaces that the failed start made are removed")
			require.ErrorIs(t, a.Ready(), agent.ErrStopped)
		})
	}
}

func TestApplyAddsAndRemoves(t *testing.T) {
	a, d := start(t, withVMs(5, 6))
	d.Deeds()
	res, err := a.Apply(t.Context(), "new.yaml", []byte(withVMs(6, 8)), false)
	require.NoError(t, err)
	require.NotEmpty(t, res.Changes)
	require.EqualValues(t, 2, res.Revision)
	require.Equal(t, []string{"open vm8", "remove vm5"}, d.Deeds(), "new devices first; vm6 is not touched")
	require.Equal(t, []string{"vm6", "vm8"}, d.Interfaces(), "the interface of a removed vport is deleted")
	r := a.Running()
	require.Equal(t, []string{"up0", "vm6", "vm8"}, names(r))
	require.Equal(t, "new.yaml", r.File)
	require.Equal(t, res.Hash, r.Hash)
	index, ok := r.Index("vm8")
	require.True(t, ok)
	require.EqualValues(t, 3, index, "vm5's index was still in use when vm8 got one")

	d.Port("vm8").Inject(0, frames.Ping(vmMAC(8), vmMAC(6), vmAddr(8), vmAddr(6), 1, 1))
	_, err = d.Port("vm6").WaitSent(1, patience)
	require.NoError(t, err)

	_, err = a.Apply(t.Context(), "new.yaml", []byte(withVMs(6, 8, 9)), false)
	require.NoError(t, err)
	index, _ = a.Running().Index("vm9")
	require.EqualValues(t, 1, index, "vm5's index is free again")
	require.NoError(t, a.LastAttempt().Err)

	before := a.Running()
	same, err := a.Apply(t.Context(), "again.yaml", []byte(withVMs(6, 8, 9)+"# the same\n"), false)
	require.NoError(t, err)
	require.Empty(t, same.Changes)
	require.Equal(t, before.Revision, same.Revision, "nothing changed")
	require.Equal(t, before.Revision, a.Running().Revision)
	require.Equal(t, before.Applied, a.Running().Applied)
	require.Equal(t, "again.yaml", a.Running().File, "what was given last is what is shown")
	require.Equal(t, same.Hash, a.Running().Hash)
}

func TestApplyChangesInPlace(t *testing.T) {
	a, d := start(t, withVMs(5, 6))
	d.Deeds()
	text := strings.Replace(withVMs(5, 6), `mac: "`+vmMAC(5), `mtu: 1400, mac: "00:15:5d:00:01:99`, 1)
	require.NotEqual(t, withVMs(5, 6), text)
	_, err := a.Apply(t.Context(), "host.yaml", []byte(text), false)
	require.NoError(t, err)
	require.Equal(t, []string{"reconfigure vm5"}, d.Deeds())
	_, ports := a.Ports()
	require.Equal(t, 1400, ports[1].MTU)
	require.Equal(t, "00:15:5d:00:01:99", ports[1].MAC.String())
	require.Equal(t, ports[1].MAC, a.Running().Snapshot.Port(1).MAC, "the switch knows the new address")

	text = strings.Replace(text, "device: {driver: tap}", "device: {driver: tap, interface: vm5b}", 1)
	_, err = a.Apply(t.Context(), "host.yaml", []byte(text), false)
	require.NoError(t, err)
	require.Equal(t, []string{"open vm5", "remove vm5"}, d.Deeds(), "another interface is another device")
	require.Equal(t, []string{"vm5b", "vm6"}, d.Interfaces())
	d.Port("vm5").Inject(0, frames.Ping("00:15:5d:00:01:99", vmMAC(6), vmAddr(5), vmAddr(6), 1, 1))
	_, err = d.Port("vm6").WaitSent(1, patience)
	require.NoError(t, err)
}

func TestRulesTouchNoDevice(t *testing.T) {
	a, d := start(t, withVMs(5, 6))
	d.Deeds()
	ping := frames.Ping(vmMAC(5), vmMAC(6), vmAddr(5), vmAddr(6), 1, 1)
	text := strings.Replace(withVMs(5, 6), `mac: "`+vmMAC(6), `acls: [{name: quiet, direction: in, action: deny}], mac: "`+vmMAC(6), 1)
	res, err := a.Apply(t.Context(), "host.yaml", []byte(text), false)
	require.NoError(t, err)
	require.Equal(t, "add acl quiet of vport vm6: direction in, action deny, protocol any", res.Changes[0].String())
	require.Empty(t, d.Deeds())
	d.Port("vm5").Inject(0, ping)
	require.Eventually(t, func() bool {
		c, _ := a.Switch().PortCounters(1)
		return c.Drops[dataplane.ReasonACLDenyIn] == 1
	}, patience, time.Millisecond)
	_, err = a.Apply(t.Context(), "host.yaml", []byte(withVMs(5, 6)), false)
	require.NoError(t, err)
	require.Empty(t, d.Deeds())
	d.Port("vm5").Inject(0, ping)
	_, err = d.Port("vm6").WaitSent(1, patience)
	require.NoError(t, err)
}

func TestApplyThatFailsChangesNothing(t *testing.T) {
	changed := strings.Replace(withVMs(5, 6, 8, 9), `mac: "`+vmMAC(5), `mtu: 1400, mac: "`+vmMAC(5), 1)
	for _, tc := range []struct {
		name, text, deed, err string
		is                    error
	}{
		{name: "no YAML", text: "uplinks: [", err: "host.yaml"},
		{name: "unknown key", text: strings.Replace(changed, "mtu: 1600", "mtuu: 1600", 1), err: "mtuu"},
		{name: "dangling reference", text: strings.ReplaceAll(changed, "subnet: web, addresses", "subnet: wob, addresses"), err: "wob"},
		{name: "first device does not open", text: changed, deed: "open vm8", err: "vport vm8: it is broken"},
		{name: "second device does not open", text: changed, deed: "open vm9", err: "vport vm9: it is broken"},
		{name: "device does not take its MTU", text: changed, deed: "reconfigure vm5", err: "vport vm5: set address"},
		{name: "workers", text: "dataplane: {workers: 1}\n" + changed, err: "this cannot change while sluiced runs: dataplane: workers auto -> 1", is: agent.ErrRefused},
		{
			name: "several that need a restart", is: agent.ErrRefused,
			text: "dataplane: {flowIdle: 5s}\n" + strings.Replace(changed, `metrics: "off"`, `metrics: "off", logLevel: debug`, 1),
			err:  "this cannot change while sluiced runs: daemon: logLevel info -> debug; dataplane: flowIdle 1m -> 5s",
		},
		{
			name: "interface in use", is: agent.ErrRefused,
			text: strings.Replace(strings.Replace(changed, "name: vm5,", "name: vm50,", 1), "driver: tap", "driver: tap, interface: vm5", 1),
			err:  "interface vm5 is still in use by vport vm5",
		},
		{name: "larger than the pool's packets", text: strings.Replace(changed, "mtu: 1400", "mtu: 9000", 1), err: "restart sluiced", is: agent.ErrRefused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, d := start(t, withVMs(5, 6))
			before := a.Running()
			if tc.deed != "" {
				d.Fail(tc.deed, errors.New("it is broken"))
			}
			_, err := a.Apply(t.Context(), "host.yaml", []byte(tc.text), false)
			require.ErrorContains(t, err, tc.err)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			require.Same(t, before, a.Running())
			require.Error(t, a.LastAttempt().Err)
			require.Equal(t, []string{"vm5", "vm6"}, d.Interfaces())
			_, ports := a.Ports()
			require.Equal(t, 1500, ports[1].MTU)
			d.Port("vm5").Inject(0, frames.Ping(vmMAC(5), vmMAC(6), vmAddr(5), vmAddr(6), 1, 1))
			_, err = d.Port("vm6").WaitSent(1, patience)
			require.NoError(t, err, "what ran goes on running")

			if tc.deed != "" {
				d.Fail(tc.deed, nil)
				_, err := a.Apply(t.Context(), "host.yaml", []byte(tc.text), false)
				require.NoError(t, err, "once the cause is mended the same file applies")
			}
		})
	}
}

func TestFailedApplyKeepsAnInterfaceThatWasThere(t *testing.T) {
	a, d := start(t, withVMs(5, 6, 8))
	_, err := a.Apply(t.Context(), "f", []byte(withVMs(5)), false)
	require.NoError(t, err)
	require.Equal(t, []string{"vm5"}, d.Interfaces())
	d.Fail("open vm8", errors.New("it is broken"))
	_, err = a.Apply(t.Context(), "f", []byte(withVMs(5, 6, 8)), false)
	require.ErrorContains(t, err, "it is broken")
	require.Equal(t, []string{"vm5"}, d.Interfaces(), "vm6, which this apply made, is gone again")
}

func TestDryRunTouchesNothing(t *testing.T) {
	a, d := start(t, withVMs(5, 6))
	d.Deeds()
	before := a.Running()
	res, err := a.Apply(t.Context(), "host.yaml", []byte(withVMs(6, 8)), true)
	require.NoError(t, err)
	require.NotEmpty(t, res.Changes)
	require.EqualValues(t, 1, res.Revision)
	_, err = a.Apply(t.Context(), "host.yaml", []byte("dataplane: {workers: 1}\n"+withVMs(6)), true)
	require.ErrorIs(t, err, agent.ErrRefused)
	require.Empty(t, d.Deeds())
	require.Same(t, before, a.Running())
	require.NoError(t, a.LastAttempt().Err, "a question is no attempt")
}

func TestProviderAddressThatTheKernelOwns(t *testing.T) {
	owned := map[netip.Addr]string{netip.MustParseAddr("172.16.1.1"): "eth1"}
	kernel := func(o *agent.Options) {
		o.KernelAddrs = func() (map[netip.Addr]string, error) { return owned, nil }
	}
	a, d := prepare(t, withVMs(5), kernel)
	err := a.Start(t.Context())
	require.ErrorIs(t, err, agent.ErrRefused)
	require.ErrorContains(t, err, "uplink up0: provider address 172.16.1.1 is also the kernel's, on interface eth1")
	require.ErrorContains(t, err, "ip address del 172.16.1.1/24 dev eth1")
	require.NotContains(t, d.Deeds(), "open up0")

	owned = nil
	a, _ = start(t, withVMs(5), kernel)
	owned = map[netip.Addr]string{netip.MustParseAddr("172.16.1.9"): "eth1"}
	_, err = a.Apply(t.Context(), "f", []byte(strings.Replace(withVMs(5), "172.16.1.1/24", "172.16.1.9/24", 1)), false)
	require.ErrorIs(t, err, agent.ErrRefused)
}

// stream sends numbered frames from one VM to another, as fast as the workers take them, and finds every loss,
// duplicate and change of order.
type stream struct {
	stop  atomic.Bool
	sent  atomic.Uint64
	next  uint64 // expected; guarded by the net's lock
	fault atomic.Pointer[string]
}

func startStream(d *memdriver.Driver, from, to int) *stream {
	s := &stream{}
	template := frames.Build(frames.Ether(vmMAC(from), vmMAC(to)), frames.IPv4(vmAddr(from), vmAddr(to)), frames.UDP(4000, 4001),
		frames.Payload(64))
	at := len(template) - 8
	d.Port(fmt.Sprintf("vm%d", to)).SetSink(func(_ uint16, p *packet.Packet) {
		n := binary.BigEndian.Uint64(p.Data()[at:])
		if n != s.next {
			text := fmt.Sprintf("frame %d arrived where %d was expected", n, s.next)
			s.fault.CompareAndSwap(nil, &text)
		}
		s.next = n + 1
	})
	d.Port(fmt.Sprintf("vm%d", from)).SetSource(0, func(p *packet.Packet) bool {
		if s.stop.Load() || !p.Append(len(template)) {
			return false
		}
		copy(p.Data(), template)
		binary.BigEndian.PutUint64(p.Data()[at:], s.sent.Add(1)-1)
		return true
	})
	return s
}

// finish ends the stream and reports whether every frame arrived, once and in order.
func (s *stream) finish(t *testing.T, net *memport.Net) {
	t.Helper()
	s.stop.Store(true)
	require.NoError(t, net.WaitIdle(patience))
	if f := s.fault.Load(); f != nil {
		require.Fail(t, *f)
	}
	require.Positive(t, s.sent.Load())
	require.Equal(t, s.sent.Load(), s.next, "frames sent and frames that arrived")
}

func TestApplyLosesNothingOnUntouchedPorts(t *testing.T) {
	a, d := start(t, withVMs(5, 6))
	s := startStream(d, 5, 6)
	require.True(t, d.Net().WaitFor(patience, func() bool { return s.sent.Load() > 1000 }))
	for i := range 10 {
		_, err := a.Apply(t.Context(), "f", []byte(withVMs(5, 6, 8, 9)), false)
		require.NoError(t, err)
		text := withVMs(5, 6, 9)
		if i%2 == 1 {
			text = strings.Replace(text, "172.16.1.2}", "172.16.1.3}", 1)
		}
		_, err = a.Apply(t.Context(), "f", []byte(text), false)
		require.NoError(t, err)
		d.Fail("open vm10", errors.New("it is broken"))
		_, err = a.Apply(t.Context(), "f", []byte(withVMs(5, 6, 10)), false)
		require.ErrorContains(t, err, "it is broken")
		before := s.sent.Load()
		require.True(t, d.Net().WaitFor(patience, func() bool { return s.sent.Load() > before+100 }), "traffic goes on")
	}
	s.finish(t, d.Net())
	_, ports := a.Ports()
	for _, p := range ports {
		k := p.Counters
		require.Equal(t, k.RxPackets+k.Created, k.Sent+k.Consumed+k.Dropped+k.Queued, p.Name)
	}
}

func TestConcurrentAppliesAreSerial(t *testing.T) {
	a, d := start(t, withVMs(5, 6))
	var wg sync.WaitGroup
	const clients, rounds = 4, 5
	var moved atomic.Int64 // applies that changed something: another client's came between, mostly
	for c := range clients {
		wg.Go(func() {
			for range rounds {
				r, err := a.Apply(t.Context(), "f", []byte(withVMs(5, 6, 10+c)), false)
				if err != nil {
					t.Errorf("client %d: %v", c, err)
				} else if len(r.Changes) > 0 {
					moved.Add(1)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range 50 {
				if r, ports := a.Ports(); r != nil && len(ports) != len(names(r)) {
					t.Errorf("%d ports of %v", len(ports), names(r))
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1+moved.Load(), a.Running().Revision)
	require.GreaterOrEqual(t, moved.Load(), int64(clients))
	require.Len(t, d.Interfaces(), 3)
}

func TestApplyWaitsOnlyAsLongAsItsCaller(t *testing.T) {
	a, d := start(t, withVMs(5))
	entered, leave := make(chan struct{}), make(chan struct{})
	d.Before(func(deed string) {
		if deed == "open vm6" {
			close(entered)
			<-leave
		}
	})
	done := make(chan error, 1)
	go func() {
		_, err := a.Apply(context.Background(), "f", []byte(withVMs(5, 6)), false)
		done <- err
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.Apply(ctx, "f", []byte(withVMs(5, 8)), false)
	require.ErrorIs(t, err, context.Canceled)
	close(leave)
	require.NoError(t, <-done)
	require.Equal(t, []string{"up0", "vm5", "vm6"}, names(a.Running()))
}

func TestStopWaitsForAnApply(t *testing.T) {
	a, d := start(t, withVMs(5))
	entered, leave := make(chan struct{}), make(chan struct{})
	d.Before(func(deed string) {
		if deed == "open vm6" {
			close(entered)
			<-leave
		}
	})
	applied, stopped := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := a.Apply(context.Background(), "f", []byte(withVMs(5, 6)), false)
		applied <- err
	}()
	<-entered
	go func() { stopped <- a.Stop() }()
	require.NoError(t, a.Ready(), "the apply still runs")
	close(leave)
	require.NoError(t, <-applied)
	require.NoError(t, <-stopped)
	require.NoError(t, d.CheckClean())
}

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/api"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/api/sluice/v1/sluicev1connect"
	"github.com/sluicenet/sluice/demo/netlab"
)

// lab is the network of one test.
type lab struct {
	*netlab.Lab
	t   *testing.T
	ctx context.Context
}

// slowVariable says that everything takes longer than on a machine of metal.
const slowVariable = "SLUICE_E2E_SLOW"

// patience stretches a limit inside an emulated machine, which on a busy one may be a hundred times slower than that.
func patience(limit time.Duration) time.Duration {
	if os.Getenv(slowVariable) != "" {
		return 6 * limit
	}
	return limit
}

// newLab takes the lab for the test, and has everything in it removed at the test's end.
func newLab(t *testing.T) *lab {
	t.Helper()
	inner, err := netlab.Open(labPrefix, labDir)
	require.NoError(t, err)
	require.NoError(t, errors.Join(inner.Sweep(), inner.Close()), "left by an earlier run")
	inner, err = netlab.Open(labPrefix, labDir)
	require.NoError(t, err)
	reaper, err := inner.StartReaper(os.Args[0])
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, reaper.Sweep())
		assert.NoError(t, inner.Close())
		left, err := netlab.Left(labPrefix, labDir)
		assert.NoError(t, err)
		assert.Empty(t, left, "the lab must be gone")
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience(2*time.Minute))
	t.Cleanup(cancel)
	return &lab{Lab: inner, t: t, ctx: ctx}
}

func (l *lab) namespace(name string) *netlab.Namespace {
	l.t.Helper()
	ns, err := l.AddNamespace(name)
	require.NoError(l.t, err)
	return ns
}

func (l *lab) wire(a *netlab.Namespace, nameA string, b *netlab.Namespace, nameB string, mtu int) {
	l.t.Helper()
	require.NoError(l.t, l.AddVeth(a, nameA, b, nameB, mtu))
}

// run runs a command that must succeed inside a namespace.
func (l *lab) run(ns *netlab.Namespace, argv ...string) string {
	l.t.Helper()
	out, err := ns.Run(l.ctx, argv...)
	require.NoError(l.t, err, string(out))
	return string(out)
}

// daemon is a sluiced of the test.
type daemon struct {
	*netlab.Process
	l      *lab
	ns     *netlab.Namespace
	name   string
	client sluicev1connect.SluiceServiceClient
}

func (d *daemon) socket() string { return d.l.Path(d.name + ".sock") }
func (d *daemon) config() string { return d.l.Path(d.name + ".yaml") }

// expand fills in a configuration's places: ${socket}, and ${ns} for the prefix of all namespaces.
func (d *daemon) expand(yaml string) string {
	return os.Expand(yaml, func(key string) string {
		switch key {
		case "socket":
			return d.socket()
		case "ns":
			return d.l.Prefix()
		}
		return "${" + key + "}"
	})
}

// sluiced starts a daemon inside a namespace and waits until it is ready. Its log is shown when the test fails.
func (l *lab) sluiced(ns *netlab.Namespace, name, yaml string) *daemon {
	l.t.Helper()
	d := &daemon{l: l, ns: ns, name: name}
	d.client = api.Dial(d.socket())
	d.writeConfig(yaml)
	d.start()
	l.t.Cleanup(func() {
		if l.t.Failed() {
			l.t.Logf("log of sluiced %s:\n%s", name, d.LogTail(40))
		}
	})
	return d
}

func (d *daemon) writeConfig(yaml string) {
	d.l.t.Helper()
	require.NoError(d.l.t, os.WriteFile(d.config(), []byte(d.expand(yaml)), 0o644))
}

// start starts the daemon's process, for the first time or again.
func (d *daemon) start() {
	d.l.t.Helper()
	p, err := d.ns.Start("sluiced-"+d.name, program("sluiced"), "--config", d.config())
	require.NoError(d.l.t, err)
	d.Process = p
	deadline := time.Now().Add(patience(20 * time.Second))
	for {
		status, err := d.client.GetStatus(d.l.ctx, &sluicev1.GetStatusRequest{})
		if err == nil && status.Ready {
			return
		}
		select {
		case <-p.Done():
			require.FailNow(d.l.t, "sluiced ended while starting", "%v\n%s", p.Err(), p.LogTail(40))
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			require.FailNow(d.l.t, "sluiced is not ready", "%v\n%s", err, p.LogTail(40))
		}
	}
}

// vport reads one vport.
func (d *daemon) vport(name string) *sluicev1.Vport {
	d.l.t.Helper()
	answer, err := d.client.ListVports(d.l.ctx, &sluicev1.ListVportsRequest{Name: name})
	require.NoError(d.l.t, err)
	require.Len(d.l.t, answer.Vports, 1)
	return answer.Vports[0]
}

// uplink reads one uplink.
func (d *daemon) uplink(name string) *sluicev1.Uplink {
	d.l.t.Helper()
	answer, err := d.client.ListUplinks(d.l.ctx, &sluicev1.ListUplinksRequest{Name: name})
	require.NoError(d.l.t, err)
	require.Len(d.l.t, answer.Uplinks, 1)
	return answer.Uplinks[0]
}

// counters reads the counters of all ports by name, once they have come to rest.
func (d *daemon) counters() map[string]*sluicev1.Counters {
	d.l.t.Helper()
	var before string
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		all := map[string]*sluicev1.Counters{}
		vports, err := d.client.ListVports(d.l.ctx, &sluicev1.ListVportsRequest{})
		require.NoError(d.l.t, err)
		uplinks, err := d.client.ListUplinks(d.l.ctx, &sluicev1.ListUplinksRequest{})
		require.NoError(d.l.t, err)
		for _, v := range vports.Vports {
			all[v.Name] = v.Counters
		}
		for _, u := range uplinks.Uplinks {
			all[u.Name] = u.Counters
		}
		now := fmt.Sprint(all)
		if now == before || time.Now().After(deadline) {
			return all
		}
		before = now
	}
}

// requireBalanced checks the accounting equation of every port, and that the drop reasons sum up to the drops.
func (d *daemon) requireBalanced() map[string]*sluicev1.Counters {
	d.l.t.Helper()
	all := d.counters()
	require.NotEmpty(d.l.t, all)
	for name, c := range all {
		var explained uint64
		for _, drop := range c.Drops {
			explained += drop.Packets
		}
		assert.Equal(d.l.t, c.RxPackets+c.Created, c.Sent+c.Consumed+c.Dropped+c.Queued,
			"received + created = sent + consumed + dropped + queued at %s of %s: %v", name, d.name, c)
		assert.Equal(d.l.t, c.Dropped, explained, "every drop has a reason at %s of %s", name, d.name)
	}
	return all
}

// drops reads, by `sluice drops`, what each port dropped for which reason.
func (d *daemon) drops() map[string]map[string]uint64 {
	d.l.t.Helper()
	out, err := d.cli("drops", "-o", "json", "--interval", "0")
	require.NoError(d.l.t, err, out)
	var answer struct {
		Drops []struct {
			Port, Reason string
			Packets      json.Number
		}
	}
	require.NoError(d.l.t, json.Unmarshal([]byte(out), &answer), out)
	all := map[string]map[string]uint64{}
	for _, drop := range answer.Drops {
		count, err := drop.Packets.Int64()
		require.NoError(d.l.t, err)
		if all[drop.Port] == nil {
			all[drop.Port] = map[string]uint64{}
		}
		all[drop.Port][drop.Reason] = uint64(count)
	}
	return all
}

// cli runs the sluice command against the daemon and returns what it printed.
func (d *daemon) cli(args ...string) (string, error) {
	return d.l.command(append([]string{program("sluice"), "--socket", d.socket()}, args...)...)
}

// command runs a command on the machine itself, in no namespace of the lab, and returns what it printed.
func (l *lab) command(argv ...string) (string, error) {
	cmd := exec.CommandContext(l.ctx, argv[0], argv[1:]...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		return stdout.String() + stderr.String(), err
	}
	return stdout.String(), nil
}

// apply makes the daemon take a configuration by `sluice apply`.
func (d *daemon) apply(yaml string) (string, error) {
	d.l.t.Helper()
	file := d.l.Path(d.name + "-next.yaml")
	require.NoError(d.l.t, os.WriteFile(file, []byte(d.expand(yaml)), 0o644))
	return d.cli("apply", file)
}

// configureVM does what the operating system of a VM would; gateway may be invalid.
func (l *lab) configureVM(ns *netlab.Namespace, link, address, gateway string) {
	l.t.Helper()
	require.NoError(l.t, ns.WaitLink(link, patience(5*time.Second)))
	require.NoError(l.t, ns.AddAddress(link, netip.MustParsePrefix(address)))
	require.NoError(l.t, ns.SetUp(link))
	if gateway != "" {
		require.NoError(l.t, ns.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr(gateway)))
	}
}

// requirePing pings and wants every answer.
func (l *lab) requirePing(from *netlab.Namespace, to string, o netlab.PingOptions) netlab.PingResult {
	l.t.Helper()
	if o.Limit == 0 && patience(1) > 1 {
		o.Limit = patience(5 * time.Second)
	}
	answer, err := from.Ping(l.ctx, netip.MustParseAddr(to), o)
	require.NoError(l.t, err)
	require.Equal(l.t, answer.Sent, answer.Received, "ping from %s to %s: %+v", from.Name(), to, answer)
	require.NotZero(l.t, answer.Received)
	require.Zero(l.t, answer.Duplicates)
	return answer
}

// requireSilence pings and wants no answer.
func (l *lab) requireSilence(from *netlab.Namespace, to string) {
	l.t.Helper()
	answer, err := from.Ping(l.ctx, netip.MustParseAddr(to), netlab.PingOptions{Count: 2, Limit: time.Second})
	require.NoError(l.t, err)
	require.Zero(l.t, answer.Received, "ping from %s to %s must not be answered", from.Name(), to)
}

// requireIperf measures and wants data to arrive.
func (l *lab) requireIperf(client, server *netlab.Namespace, to string, o netlab.IperfOptions) netlab.Rate {
	l.t.Helper()
	rate, err := netlab.Iperf(l.ctx, client, server, netip.MustParseAddr(to), o)
	require.NoError(l.t, err)
	require.Positive(l.t, rate.BitsPerSecond)
	return rate
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// dataplaneOf gives a host's worker a core of its own while there are enough.
func dataplaneOf(host string) string {
	cores := netlab.Cores()
	if len(cores) < 2 {
		return "workers: 1"
	}
	return fmt.Sprintf("workers: 1, cores: [%d]", cores[int(host[0]-'a')%len(cores)])
}

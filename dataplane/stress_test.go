package dataplane

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memport"
)

// stressPolicies are what a busy control side publishes one after the other: a VM that moves to another host, another
// MTU, a route that changes, rules for a virtual and a bridged vport, and two vports, one bridged and one virtual, that come and go.
func stressPolicies(r *rig) []string {
	without := strings.Replace(rigPolicy, "nextHop: 10.0.0.6", "nextHop: 10.0.0.7", 1)
	for _, line := range strings.SplitAfter(rigPolicy, "\n") {
		if strings.Contains(line, "name: acc2") || strings.Contains(line, "name: red-vm2") {
			without = strings.Replace(without, line, "", 1)
		}
	}
	return []string{
		rigPolicy,
		strings.ReplaceAll(rigPolicy, `mac: "00:15:5d:00:01:07", pa: 172.16.1.2`, `mac: "00:15:5d:00:01:07", pa: 172.16.1.3`),
		strings.Replace(rigPolicy, "mtu: 1000", "mtu: 1400", 1),
		strings.Replace(rigPolicy, "nextHop: 10.0.0.6", "nextHop: 10.0.0.7", 1),
		ruled(map[string]string{"red-vm1": denyAllIn, "thru": denyAllOut, "acc1": denySSH}),
		without, without,
	}
}

// scheduledPolicies are those with schedulers: of the uplink, and of vports, two of which come and go, with different owners.
func scheduledPolicies(r *rig) (all []string) {
	uplink := strings.NewReplacer("gateway: 172.16.1.254}", "gateway: 172.16.1.254, qos: {rate: 20Mbit, classes: [{tc: 0, name: rest, share: 70%}, {tc: 3, name: storage, share: 30%}]}}")
	vports := strings.NewReplacer(`addresses: [10.0.0.6, "2001:db8:1::6"]}`, `addresses: [10.0.0.6, "2001:db8:1::6"], qos: {inbound: {max: 2Mbit}}}`,
		`mac: "00:15:5d:00:0a:02", uplink: up0, vlan: 100}`, `mac: "00:15:5d:00:0a:02", uplink: up0, vlan: 100, qos: {inbound: {max: 5Mbit}}}`,
		`mac: "00:15:5d:00:01:05", subnet: red-web, addresses: [10.0.0.5, "2001:db8:1::5"]}`,
		`mac: "00:15:5d:00:01:05", subnet: red-web, addresses: [10.0.0.5, "2001:db8:1::5"], qos: {min: 1Mbit, inbound: {max: 2Mbit}}}`)
	for _, p := range stressPolicies(r) {
		all = append(all, uplink.Replace(p), vports.Replace(uplink.Replace(p)), vports.Replace(strings.ReplaceAll(uplink.Replace(p), "20Mbit", "1Gbit")))
	}
	return append(all, stressPolicies(r)...)
}

// TestStress changes policy and ports under traffic on two workers: nothing is lost, and every packet is accounted for.
func TestStress(t *testing.T) { stress(t, 2, 16, stressPolicies, func(*rig) {}) }

// TestStressOfOwners does so with schedulers that several workers own, which come, change and go while lanes between the
// workers fill.
func TestStressOfOwners(t *testing.T) {
	owners, waiting := map[int]bool{}, uint64(0)
	r := stress(t, 3, 40, scheduledPolicies, func(r *rig) {
		r.sw.readMu.RLock()
		for _, e := range r.sw.egresses {
			owners[e.owner.id] = true
		}
		r.sw.readMu.RUnlock()
		for _, name := range []string{"red-vm1", "blue-vm1", "acc1"} {
			c, _ := r.sw.PortCounters(r.index.byName[name])
			waiting += c.Queued
		}
	})
	require.Greater(t, len(owners), 1, "owners")
	require.Positive(t, waiting)
	r.publish(r.parse(rigPolicy))
	require.Zero(t, r.queued(), "what waited has left with the schedulers")
	r.balanced()
}

func stress(t *testing.T, workers, rounds int, of func(*rig) []string, look func(*rig)) *rig {
	r := newRig(t, workers)
	r.resolve()
	seeds := trafficSeeds()
	ports := []string{"up0", "red-vm1", "red-db0", "blue-vm1", "acc1", "thru"}
	stop := atomic.Bool{}
	devs := make([]*memport.Device, len(ports))
	for i, name := range ports {
		devs[i] = r.devs[name]
		devs[i].SetTxLimit(2) // some sends are rejected
	}
	var group sync.WaitGroup
	for n := range uint64(2) {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(n, 7))
			for !stop.Load() {
				dev := devs[rng.IntN(len(devs))]
				for range 8 {
					if r.arena.Free() > 600 {
						dev.Inject(rng.IntN(dev.RxQueues()), seeds[rng.IntN(len(seeds))])
					}
				}
				dev.Sent()
			}
		})
	}
	policies := of(r)
	rng := rand.New(rand.NewPCG(3, 3))
	for round := range rounds {
		c := r.parse(policies[rng.IntN(len(policies))])
		_, there := r.devs["acc2"]
		want := c.Vport("acc2") != nil
		if want && !there { // each under the index that the other one had
			r.index.byName["acc2"], r.index.byName["red-vm2"] = r.index.byName["red-vm2"], r.index.byName["acc2"]
			r.addAgain("acc2")
			r.addAgain("red-vm2")
		}
		r.publish(c)
		switch {
		case there && !want:
			r.remove("acc2")
			r.remove("red-vm2")
		case want:
			for range 50 {
				r.inject("acc2", untagged(acc2MAC, broadcast))
				r.inject("red-vm2", frames.Ping(redVM2, redVM1, "10.0.0.6", "10.0.0.5", 1, 1))
			}
			r.devs["acc2"].Sent()
			r.devs["red-vm2"].Sent()
		}
		look(r)
		for range 4 {
			r.sw.Workers()
			r.sw.Neighbours()
			r.sw.Learned()
			r.counters("up0")
		}
		if round%8 == 0 {
			r.net.AdvanceTSC(time.Second)
		}
		time.Sleep(time.Millisecond)
	}
	stop.Store(true)
	group.Wait()
	r.net.AdvanceTSC(time.Minute) // next hops that never answered are given up
	r.idle()
	for _, d := range r.devs {
		d.Sent()
	}
	r.balanced()
	require.Positive(t, r.counters("red-vm1").Drops[ReasonTxRejected]+r.counters("up0").Drops[ReasonTxRejected])
	frame := frames.Build(frames.Ether(redVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.5"), frames.UDP(1, 2), frames.Payload(10))
	require.Len(t, r.send("red-vm1", frame)["red-db0"], 1, "and the switch goes on")
	return r
}

// remove takes a port off the switch whose last published policy no longer mentions it.
func (r *rig) remove(name string) {
	r.t.Helper()
	require.NoError(r.t, r.sw.RemovePort(r.index.byName[name]))
	require.NoError(r.t, r.devs[name].Close())
	delete(r.devs, name)
}

// addAgain puts a removed port back under its old index.
func (r *rig) addAgain(name string) {
	r.t.Helper()
	dev := r.net.Device(1, 1)
	require.NoError(r.t, r.sw.AddPort(PortSpec{Index: r.index.byName[name], Name: name, Device: dev.Handle(), RxQueues: 1, TxQueues: 1}))
	r.devs[name] = dev
}

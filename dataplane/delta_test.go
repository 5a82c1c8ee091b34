package dataplane

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// variations of the rig's policy: each replaces one piece by another, as operators do.
var variations = [][]string{
	{"red-vm1, device: {driver: tap}, mac: \"00:15:5d:00:01:05\"", "red-vm1, device: {driver: tap}, mac: \"00:15:5d:00:01:55\""},
	{"addresses: [10.0.0.5, \"2001:db8:1::5\"]", "addresses: [10.0.0.5]", "addresses: [10.0.0.15, \"2001:db8:1::5\"]", "addresses: []"},
	{"addresses: [10.0.0.6, \"2001:db8:1::6\"]", "addresses: [10.0.0.6, 10.0.0.77]", "addresses: [\"2001:db8:1::6\"]", "addresses: [10.0.0.6, \"2001:db8:1::66\"], mtu: 1280"},
	{"mtu: 1000", "mtu: 1400"},
	{"mtu: 1600, providerAddresses: [172.16.1.1/24]", "mtu: 1500, providerAddresses: [172.16.1.1/24]", "mtu: 1600, providerAddresses: [172.16.1.1/24, 172.16.1.10/24]"},
	{"gateway: 172.16.1.254", "gateway: 172.16.1.253"},
	{"      - {prefix: 192.0.2.0/24, nextHop: 10.0.0.6}\n", "      - {prefix: 192.0.2.0/24, nextHop: 10.0.0.7}\n", "      - {prefix: 192.0.2.0/24, nextHop: 10.0.1.7}\n",
		"      - {prefix: 192.0.2.0/24, nextHop: 10.0.0.7, subnet: red-web}\n      - {prefix: 192.0.2.0/24, nextHop: 10.0.1.5, metric: 5}\n",
		"      - {prefix: 192.0.2.0/24, gateway: 172.16.1.9}\n", "      - {prefix: 192.0.0.0/16, nextHop: 10.0.0.77}\n"},
	{"  - {subnet: red-web, ca: 10.0.0.7, mac: \"00:15:5d:00:01:07\", pa: 172.16.1.2}\n  - {subnet: red-web, ca: \"2001:db8:1::7\", mac: \"00:15:5d:00:01:07\", pa: 172.16.1.2}\n",
		"  - {subnet: red-web, ca: 10.0.0.7, mac: \"00:15:5d:00:01:07\", pa: 172.16.1.3}\n",
		"  - {subnet: red-web, ca: 10.0.0.7, mac: \"00:15:5d:00:01:08\", pa: 172.16.1.3}\n",
		"  - {subnet: red-web, ca: \"2001:db8:1::7\", mac: \"00:15:5d:00:01:07\", pa: 172.16.1.4}\n", "",
		"  - {subnet: red-web, mac: \"00:15:5d:00:01:07\", pa: 172.16.1.2}\n"},
	{"  - {subnet: red-web, ca: 10.0.0.8, mac: \"00:15:5d:00:01:08\", pa: 172.16.1.3}\n", "", "  - {subnet: red-db, ca: 10.0.1.8, mac: \"00:15:5d:00:01:08\", pa: 172.16.1.3}\n"},
	{"providerAddresses: [172.16.1.3, 172.16.1.4]", "providerAddresses: [172.16.1.3, 172.16.1.5]"},
	{"{subnet: red-db, ca: 10.0.1.7, mac: \"00:15:5d:00:02:07\", pa: 172.16.1.2}", "{subnet: red-db, ca: 10.0.1.17, mac: \"00:15:5d:00:02:07\", pa: 172.16.1.2}"},
	{"{subnet: blue-web, ca: 10.0.0.7, mac: \"00:15:5d:00:0b:07\", pa: 172.16.1.2}", "{subnet: blue-web, ca: 10.0.0.7, mac: \"00:15:5d:00:0b:07\", pa: 172.16.1.6}", "{subnet: blue-web, ca: 10.0.0.5, mac: \"00:15:5d:00:0b:07\", pa: 172.16.1.6}"},
	{"  - {name: blue-vm1, device: {driver: tap}, mac: \"00:15:5d:00:0b:05\", subnet: blue-web, addresses: [10.0.0.5]}\n", "",
		"  - {name: blue-vm1, device: {driver: tap}, mac: \"00:15:5d:00:0b:05\", subnet: red-db, addresses: [10.0.1.9]}\n",
		"  - {name: blue-vm1, device: {driver: tap}, mac: \"00:15:5d:00:0b:05\", uplink: up0, vlan: 100}\n"},
	{"mac: \"00:15:5d:00:02:05\", subnet: red-db,", "mac: \"00:15:5d:00:02:05\", acls: [{name: a, direction: in, action: deny, remote: 10.0.0.6/32}], subnet: red-db,"},
	{"mac: \"00:15:5d:00:01:06\", subnet", "mac: \"00:15:5d:00:01:06\", acls: [{name: a, direction: both, action: deny, remote: 10.0.0.0/29}], subnet",
		"mac: \"00:15:5d:00:01:06\", acls: [{name: b, direction: out, action: deny, protocol: tcp, remotePort: 25}], subnet"},
	{"vsid: 6002", "vsid: 6003"},
	{"prefix: 10.0.1.0/24", "prefix: 10.0.1.0/25"},
	{", prefix6: \"2001:db8:1::/64\"", ", prefix6: \"2001:db8::/32\""},
	{"uplink: up0, vlan: 100}\n  - {name: acc2", "uplink: up0, vlan: 200}\n  - {name: acc2"},
	{"trunk: [100, 200]", "trunk: [200]"},
}

// vary makes a policy that parses; what a variation breaks is left out.
func vary(rng *rand.Rand, times int) *policy.Config {
	for {
		yaml := rigPolicy
		for range times {
			v := variations[rng.IntN(len(variations))]
			yaml = strings.Replace(yaml, v[0], v[rng.IntN(len(v))], 1)
		}
		if c, err := policy.Parse("rig.yaml", []byte(yaml)); err == nil {
			return c
		}
	}
}

// someFlow is a packet of any sender to any target, few of which make sense.
func (r *rig) someFlow(rng *rand.Rand) newFlow {
	macs := []string{redVM1, redVM2, redFar, redDB0, redDB1, blueVM1, blueFar, acc1MAC, routerMAC, "00:15:5d:00:01:08", "00:15:5d:00:01:55", wireMAC}
	cas := []string{"10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.15", "10.0.0.77", "10.0.1.5", "10.0.1.7", "10.0.1.8", "10.0.1.17", "10.0.1.9", "10.0.0.1", "192.0.2.9", "192.0.3.9",
		"2001:db8:1::5", "2001:db8:1::6", "2001:db8:1::66", "2001:db8:1::7", "fe80::5"}
	mac := func() packet.MAC {
		m, err := packet.ParseMAC(macs[rng.IntN(len(macs))])
		require.NoError(r.t, err)
		return m
	}
	f := newFlow{srcMAC: mac(), dstMAC: mac(), meta: &packet.Parsed{Kind: packet.L3None}, entropy: rng.Uint32()}
	if rng.IntN(8) != 0 {
		f.meta.Kind = packet.L3IPv4
		f.src, f.dst = addrOf(cas[rng.IntN(len(cas))]), addrOf(cas[rng.IntN(len(cas))])
		if !f.src.Is4() {
			f.meta.Kind = packet.L3IPv6
		}
	}
	f.in = uint32(rng.IntN(len(r.index.byName)))
	if f.in == r.index.byName["up0"] && rng.IntN(8) != 0 {
		f.encapsulated, f.vsid = true, []uint32{6001, 6002, 6003, 7001}[rng.IntN(4)]
		f.outerSrc = addrOf(fmt.Sprintf("172.16.1.%d", 2+rng.IntN(8)))
	}
	return f
}

// TestUntouchedFlowsAreDecidedAlike publishes policies one after the other. A flow whose epoch did not move keeps its
// old verdict: it must be the one that the new policy gives.
func TestUntouchedFlowsAreDecidedAlike(t *testing.T) {
	r := newRig(t, 1)
	rng := rand.New(rand.NewPCG(21, 22))
	kept, moved := 0, 0
	type decided struct {
		flow  newFlow
		epoch uint32
		act   action
		cells [2]uint16
	}
	now := vary(rng, 2)
	for range 60 {
		r.publish(now)
		var all []decided
		for range 3000 {
			f := r.someFlow(rng)
			question := f
			epoch, stable := r.sw.decide(&f)
			require.True(t, stable)
			all = append(all, decided{question, epoch, f.act, [2]uint16{f.srcCell, f.dstCell}})
		}
		now = vary(rng, 1+rng.IntN(3))
		r.publish(now)
		for _, d := range all {
			if r.sw.epochs.sum(d.cells[0], d.cells[1]) != d.epoch {
				moved++
				continue
			}
			kept++
			f := d.flow
			r.sw.decide(&f)
			require.Equal(t, d.act, f.act, "in %d, %s > %s, %s > %s, vsid %d from %s", f.in, f.srcMAC, f.dstMAC, f.src, f.dst, f.vsid, f.outerSrc)
		}
	}
	require.Greater(t, kept, 20000)
	require.Greater(t, moved, 2000)
	t.Logf("%d kept, %d moved", kept, moved)
}

func addrOf(s string) packet.Addr { return packet.AddrFromNetip(netip.MustParseAddr(s)) }

package policy

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDiff(t *testing.T) {
	tests := []struct {
		name  string
		edits edits
		want  []string
	}{
		{"nothing", nil, nil},
		{"comments and order of keys", edits{"{subnet: red-web, ca: 10.0.0.7, mac: 02:00:00:00:02:07, pa: 172.16.1.2}",
			"{ca: 10.0.0.7, subnet: red-web, pa: 172.16.1.2, mac: 02-00-00-00-02-07} # the gateway"}, nil},
		{"host and daemon", edits{"host: {name: host-a}", "host: {name: host-z}\ndaemon: {logLevel: debug, logFormat: json}"}, []string{
			"policy: modify host: name host-a -> host-z",
			"restart: modify daemon: logLevel info -> debug, logFormat text -> json (apply refuses it: restart the daemon with this file)"}},
		{"dataplane", edits{"host: {name: host-a}", "host: {name: host-a}\ndataplane: {workers: 2, cores: [1, 2], flowIdle: 2m}"}, []string{
			"restart: modify dataplane: workers auto -> 2, cores - -> 1 2, flowIdle 1m -> 2m (apply refuses it: restart the daemon with this file)"}},
		{"slow-path share needs no restart", edits{"host: {name: host-a}", "host: {name: host-a}\ndataplane: {slowPathShare: 6%}"}, []string{
			"policy: modify dataplane: slowPathShare 5% -> 6%"}},
		{"router MAC alone needs no restart", edits{"host: {name: host-a}", "host: {name: host-a}\ndataplane: {routerMAC: 02:00:00:00:00:aa}"}, []string{
			"policy: modify dataplane: routerMAC 02:15:5d:00:00:01 -> 02:00:00:00:00:aa"}},
		{"uplink's device", edits{"{driver: af_packet, interface: eth1}", "{driver: af_packet, interface: eth2}", `"0000:03:00.0"}`, `"0000:03:00.0"}, mtu: 1600, queues: 2`}, []string{
			"device: modify uplink up0: device af_packet eth1 -> af_packet eth2",
			"restart: modify uplink up1: queues 1 -> 2, mtu of the device -> 1600 (apply refuses it: restart the daemon with this file)"}},
		{"uplink's addresses", edits{"172.16.1.1/24], gateway: 172.16.1.254", "172.16.1.1/24, 172.16.3.1/24]"}, []string{
			"policy: modify uplink up0: providerAddresses 172.16.1.1/24 -> 172.16.1.1/24 172.16.3.1/24, gateway 172.16.1.254 -> -"}},
		{"vport's MTU and MAC", edits{"mac: 02:00:00:00:01:01, subnet: red-web", "mac: 02:00:00:00:01:0a, mtu: 1400, subnet: red-web"}, []string{
			"device: modify vport red-vm1: mac 02:00:00:00:01:01 -> 02:00:00:00:01:0a, mtu 1500 -> 1400"}},
		{"vport's network", edits{"subnet: red-web, addresses: [10.0.0.5]", "subnet: blue-web, addresses: [10.0.0.5, 10.0.0.6]"}, []string{
			"policy: modify vport red-vm1: subnet red-web -> blue-web, addresses 10.0.0.5 -> 10.0.0.5 10.0.0.6"}},
		{"vport's VLAN", edits{"vlan: 100", "passThrough: true, trunk: [100]"}, []string{
			"policy: modify vport printer: vlan 100 -> 0, passThrough false -> true, trunk - -> 100"}},
		{"vport comes and goes", edits{"name: printer", "name: plotter"}, []string{
			"device: add vport plotter: device tap plotter, persist, queues 1, vmq dynamic, mac 02:00:00:00:01:03, mtu 1500, uplink up0, vlan 100",
			"device: remove vport printer: device tap printer, persist, queues 1, vmq dynamic, mac 02:00:00:00:01:03, mtu 1500, uplink up0, vlan 100"}},
		{"network and subnets", edits{"name: blue\n", "name: green\n    rdid: 5\n", "vsid: 6002", "vsid: 6003", `, prefix6: "2001:db8:1::/64"`, ""}, []string{
			"policy: remove network blue: rdid 2197550541",
			"policy: add network green: rdid 5",
			"policy: modify subnet blue-web: network blue -> green",
			"policy: modify subnet red-db: vsid 6002 -> 6003",
			"policy: modify subnet red-web: prefix6 2001:db8:1::/64 -> -"}},
		{"routes", edits{"nextHop: 10.0.0.7}", "nextHop: 10.0.0.6}\n      - {prefix: 0.0.0.0/0, metric: 9, subnet: red-db, gateway: 172.16.1.9}"}, []string{
			"policy: modify route 0.0.0.0/0 of red: to next hop 10.0.0.7 -> next hop 10.0.0.6",
			"policy: add route 0.0.0.0/0 of red subnet red-db metric 9: to gateway 172.16.1.9"}},
		{"other hosts and records", edits{"[172.16.1.2, 172.16.2.2]", "[172.16.1.2]", "02:00:00:00:02:07, pa: 172.16.1.2", "02:00:00:00:02:07, pa: 172.16.1.3",
			"mac: 02:00:00:00:02:08", "mac: 02:00:00:00:02:09"}, []string{
			"policy: modify peer host-b: providerAddresses 172.16.1.2 172.16.2.2 -> 172.16.1.2",
			"policy: remove record 02:00:00:00:02:08 of red-web: mac 02:00:00:00:02:08, pa 172.16.2.2",
			"policy: add record 02:00:00:00:02:09 of red-web: mac 02:00:00:00:02:09, pa 172.16.2.2",
			"policy: modify record 10.0.0.7 of red-web: pa 172.16.1.2 -> 172.16.1.3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range Diff(parsed(t, good), parsed(t, spoil(t, tt.edits))) {
				got = append(got, c.Effect.String()+": "+c.String())
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestDiffWithNothing(t *testing.T) {
	c := parsed(t, good)
	all := Diff(nil, c)
	assert.Len(t, all, 2+4+2+3+1+1+2)
	for _, change := range all {
		assert.Equal(t, OpAdd, change.Op)
	}
	gone := Diff(c, nil)
	assert.Len(t, gone, len(all))
	for _, change := range gone {
		assert.Equal(t, OpRemove, change.Op)
	}
	assert.Empty(t, Diff(nil, nil))
}

package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// linked gives up0 of the good configuration qos.
func linked(qos string) edits {
	return edits{"gateway: 172.16.1.254}", "gateway: 172.16.1.254,\n     qos: {" + qos + "}}"}
}

const plainQoS = "rate: 10Gbit, classes: [{tc: 0, name: all, share: 100%}]"

// withVM gives red-vm1 qos, under a link of 10 Gbit/s.
func withVM(qos string) edits {
	return append(linked(plainQoS), "addresses: [10.0.0.5]}", "addresses: [10.0.0.5],\n     qos: {"+qos+"}}")
}

func TestQoSRefusals(t *testing.T) {
	refuse(t, []refusal{
		{"shares over 100 %", linked("rate: 10Gbit, classes: [{tc: 0, name: a, share: 60%}, {tc: 1, name: b, share: 45%}, {tc: 2, name: c, strict: true}]"), []string{
			"4: qos of uplink up0: the shares of the classes are 60% + 45% = 105%, more than the link (lower them until they are 100% or less)",
		}},
		{"classes", linked("rate: 10Gbit, classes: [{tc: 0, name: a}, {tc: 0, name: b, share: 5%, strict: true},\n{tc: 9, name: a, share: 0%},\n{name: d, strict: true, queue: 1000B, ecn: {from: 2KiB, full: 1KiB}}]"), []string{
			"4: class a: the class has no share of the link (add share: <percent>, or strict: true)",
			"4: class b: traffic class 0 is also that of class a (line 4) (give each its own)",
			"4: class b: the class is strict, and has a share (keep one of them)",
			`5: class a: tc is "9", out of its range (write a traffic class from 0 to 7)`,
			"5: class a: the name a is also that of class a (line 4) (give each its own name)",
			`5: class a: share is "0%", out of its range (write a share from 1% to 100%)`,
			"6: class d: tc is missing (say which traffic class it is, 0 to 7)",
			"6: class d: queue is 1000B, smaller than a frame of vport red-vm1: 1500 (mtu) + 14 (Ethernet) + 24 (preamble, FCS, gap) + 42 (NVGRE) = 1580 bytes (use 1580B or more)",
			"6: class d: ecn.from is 2KiB, deeper than the queue, which is 1000B (mark earlier, or use a deeper queue)",
			"6: class d: ecn.full is 1KiB, less than ecn.from, which is 2KiB (make it equal or larger)",
		}},
		{"class without an owner", append(linked("rate: 1Gbit, classes: [{tc: 1, name: a, share: 1%}]"), classified("  rules: [{name: r, match: {vport: red-vm1}, tc: 3}]\n  builtIn: [{name: nfs, tc: 4}]")...), []string{
			"4: qos of uplink up0: traffic class 0, in which packets are that no rule is about, has no owner: uplink up0 (line 4) has no class with tc 0 (add - {tc: 0, name: <name>, share: <percent>} to its classes, or use another tc)",
			"22: rule r: traffic class 3 has no owner: uplink up0 (line 4) has no class with tc 3 (add - {tc: 3, name: <name>, share: <percent>} to its classes, or use another tc)",
			"23: built-in nfs: traffic class 4 has no owner: uplink up0 (line 4) has no class with tc 4 (add - {tc: 4, name: <name>, share: <percent>} to its classes, or use another tc)",
		}},
		{"outer mark of a class without an owner", append(linked("rate: 1Gbit, classes: [{tc: 0, name: a, share: 1%}]"), classified("  outer: [{tc: 6, dscp: cs3}]")...), []string{
			"22: outer 1: traffic class 6 has no owner: uplink up0 (line 4) has no class with tc 6 (add - {tc: 6, name: <name>, share: <percent>} to its classes, or use another tc)",
		}},
		{"no classes", linked("rate: 10Gbit, classes: []"), []string{
			"4: qos of uplink up0: there is no class (list one, for example - {tc: 0, name: default, share: 100%})",
		}},
		{"minimum above maximum", withVM("min: 3Gbit, max: 2.5Gbit"), []string{
			"8: qos of vport red-vm1: min is 3Gbit, above max, which is 2.5Gbit (lower min, or raise max)",
		}},
		{"minimum above another's maximum", append(withVM("min: 3Gbit"), "- name: red\n", "- name: red\n    qos: {vports: {max: 2Gbit}}\n"), []string{
			"8: vport red-vm1: min is 3Gbit by qos of vport red-vm1 (line 8), above max, which is 2Gbit by qos of vports of network red (line 14) (give the vport a min and a max of its own)",
		}},
		{"rates beyond the link", append(withVM("max: 11Gbit, destinations: [{name: d, prefixes: [0.0.0.0/0], max: 10.5Gbit}]"), "share: 100%", "share: 100%, max: 20Gbit"), []string{
			"4: class all: max is 20Gbit, and the link of uplink up0 has 10Gbit (use at most the rate of the link)",
			"8: qos of vport red-vm1: max is 11Gbit, and the link of uplink up0 has 10Gbit (use at most the rate of the link)",
			"8: destination d: max is 10.5Gbit, and the link of uplink up0 has 10Gbit (use at most the rate of the link)",
		}},
		{"a host's rates beyond all links", append(linked("rate: 100Mbit, classes: [{tc: 0, name: all, share: 100%}]"), "172.16.2.1/24]", "172.16.2.1/24], qos: {rate: 1Gbit, classes: [{tc: 0, name: all, share: 100%}]}",
			"{name: host-a}", "{name: host-a, group: edge}", "hosts:\n", "hostGroups: [{name: edge, qos: {max: 1.1Gbit,\n  destinations: [{name: d, prefixes: [10.0.0.0/8], max: 1.05Gbit}]}}]\nhosts:\n"), []string{
			"21: qos of host group edge: max is 1.1Gbit, and the fastest link of those who get it, uplink up1, has 1Gbit (use at most the rate of the link)",
			"22: destination d: max is 1.05Gbit, and the fastest link of those who get it, uplink up1, has 1Gbit (use at most the rate of the link)",
		}},
		{"a network's rates beyond the link", append(linked("rate: 100Mbit, classes: [{tc: 0, name: all, share: 100%}]"), ", providerAddresses: [172.16.2.1/24]", "",
			"- name: red\n", "- name: red\n    qos: {vports: {max: 900Mbit}}\n"), []string{
			"13: qos of vports of network red: max is 900Mbit, and the fastest link of those who get it, uplink up0, has 100Mbit (use at most the rate of the link)",
		}},
		{"limits above others of the same vport", withVM("max: 1Gbit, destinations: [{name: d, prefixes: [0.0.0.0/0], max: 1.5Gbit}], inbound: {max: 10Mbit, storm: 20Mbit}"), []string{
			"8: destination d: max is 1.5Gbit, above the max of the vport, which is 1Gbit by qos of vport red-vm1 and holds for all destinations together (lower it, or leave it out)",
			"8: qos of vport red-vm1: inbound.storm is 20Mbit, above inbound.max, which is 10Mbit and holds for flooded frames too (lower inbound.storm, or leave it out)",
		}},
		{"bursts smaller than a frame", withVM("max: 1Gbit, burst: 1KiB, inbound: {max: 1Gbit, burst: 1537B}, destinations: [{name: d, prefixes: [10.0.0.0/8], max: 1Mbit, burst: 1579B}]"), []string{
			"8: qos of vport red-vm1: burst is 1KiB, smaller than a frame of vport red-vm1: 1500 (mtu) + 14 (Ethernet) + 24 (preamble, FCS, gap) + 42 (NVGRE) = 1580 bytes (use 1580B or more)",
			"8: qos of vport red-vm1: inbound.burst is 1537B, smaller than a frame of vport red-vm1: 1500 (mtu) + 14 (Ethernet) + 24 (preamble, FCS, gap) = 1538 bytes (use 1538B or more)",
			"8: destination d: burst is 1579B, smaller than a frame of vport red-vm1: 1500 (mtu) + 14 (Ethernet) + 24 (preamble, FCS, gap) + 42 (NVGRE) = 1580 bytes (use 1580B or more)",
		}},
		{"minimums exceed the link", append(withVM("min: 4Gbit"), "rate: 10Gbit", "rate: 10Gbit, default: {min: 1Gbit}",
			"addresses: [10.0.0.6]}", "addresses: [10.0.0.6], qos: {min: 2.5Gbit}}", "uplink: up0, vlan: 100}", "uplink: up0, vlan: 100, qos: {min: 3Gbit}}"), []string{
			"4: qos of uplink up0: the minimums on uplink up0 are 1Gbit (the default flow) + 4Gbit (red-vm1) + 2.5Gbit (red-vm2) + 3Gbit (printer) = 10.5Gbit, more than the link, which has 10Gbit (lower some of them, or use minWeight)",
		}},
		{"minimums exceed the group", append(withVM("min: 4Gbit"), "addresses: [10.0.0.6]}", "addresses: [10.0.0.6], qos: {min: 2Gbit}}",
			"- name: red\n", "- name: red\n    qos: {min: 5Gbit}\n"), []string{
			"14: qos of network red: the minimums of its vports on uplink up0 are 4Gbit (red-vm1) + 2Gbit (red-vm2) = 6Gbit, above its min, which is 5Gbit (lower them, or raise min)",
		}},
		{"minimums of a network's vports exceed the link", append(withVM("min: 8Gbit"), "addresses: [10.0.0.6]}", "addresses: [10.0.0.6], qos: {min: 3Gbit}}",
			"- name: red\n", "- name: red\n    qos: {minWeight: 5}\n"), []string{
			"4: qos of uplink up0: the minimums on uplink up0 are 11Gbit (network red: red-vm1, red-vm2) = 11Gbit, more than the link, which has 10Gbit (lower some of them, or use minWeight)",
		}},
		{"minimums exceed the group, whatever the link has", append(withVM("min: 4Gbit"), "- name: red\n", "- name: red\n    qos: {max: 3Gbit}\n", "rate: 10Gbit, ", ""), []string{
			"14: qos of network red: the minimums of its vports on uplink up0 are 4Gbit (red-vm1) = 4Gbit, above its max, which is 3Gbit (lower them, or raise max)",
		}},
		{"groups and others exceed the link", append(withVM("group: gold"), "uplink: up0, vlan: 100}", "uplink: up0, vlan: 100, qos: {min: 3Gbit}}",
			"hosts:\n", "qosGroups: [{name: gold, min: 8Gbit}]\nhosts:\n"), []string{
			"4: qos of uplink up0: the minimums on uplink up0 are 3Gbit (printer) + 8Gbit (group gold) = 11Gbit, more than the link, which has 10Gbit (lower some of them, or use minWeight)",
		}},
		{"units", withVM("min: 100, max: 1Gbps, burst: 64, inbound: {storm: 1bit}"), []string{
			`8: qos of vport red-vm1: min is "100", which has no unit (write for example 100Mbit)`,
			`8: qos of vport red-vm1: max is "1Gbps", not a rate (write a number and a unit: kbit, Mbit or Gbit (per second), for example 100Mbit)`,
			`8: qos of vport red-vm1: burst is "64", which has no unit (write for example 64KiB, or B for bytes)`,
			`8: qos of vport red-vm1: inbound.storm is 1bit, out of its range (use 1kbit to 1000Gbit)`,
		}},
		{"what does not belong together", append(withVM("min: 1Mbit, minWeight: 5, burst: 2KiB, inbound: {burst: 2KiB}, group: gould"), "hosts:\n", "qosGroups: [{name: gold, burst: 2KiB}, {name: gold}]\nhosts:\n", "host: {name: host-a}", "host: {name: host-a, group: edge}"), []string{
			"1: host: host group edge is not defined (define it under hostGroups)",
			"8: qos of vport red-vm1: the share has min and minWeight (keep one of them)",
			"8: qos of vport red-vm1: burst is that of max, and there is none (add max, or leave burst out)",
			"8: qos of vport red-vm1: inbound.burst is that of inbound.max, and there is none (add inbound.max, or leave it out)",
			"8: qos of vport red-vm1: qos group gould is not defined (did you mean gold?)",
			"22: qos group gold: burst is that of max, and there is none (add max, or leave burst out)",
			"22: qos group gold: the name gold is also that of qos group gold (line 22) (give each its own name)",
		}},
		{"keys of defaults", append(withVM("max: 1Gbit"), "hosts:\n", "qosGroups: [{name: gold, vports: {rate: 1Gbit}}]\nhosts:\n", "- name: red\n", "- name: red\n    qos: {vports: {rate: 1Gbit}}\n"), []string{
			`14: qos of vports of network red: unknown key "rate" (the keys are: minWeight, min, max, burst, destinations, inbound)`,
			`23: vports of qos group gold: unknown key "rate" (the keys are: minWeight, min, max, burst, destinations, inbound)`,
		}},
		{"destinations", withVM("destinations: [{name: a, prefixes: [10.0.0.0/8, 10.0.0.0/8], burst: 2KiB}, {name: a, prefixes: [10.0.0.1]}, {name: b}]"), []string{
			"8: destination a: 10.0.0.0/8 is also a prefix of destination a (line 8) (leave it to one of them)",
			"8: destination a: burst is that of max, and there is none (add max, or leave burst out)",
			"8: destination a: the name a is also that of destination a (line 8) (give each its own name)",
			`8: destination a: prefixes[0] is "10.0.0.1", without a prefix length (write 10.0.0.1/32 for this address alone)`,
			"8: destination b: prefixes is missing (list the addresses, for example prefixes: [0.0.0.0/0])",
		}},
		{"hardware", linked("hardware: maybe, rate: 1Gbit, classes: [{tc: 0, name: a, share: 10%, pfc: 1}]"), []string{
			`4: qos of uplink up0: hardware is "maybe" (use auto, off or required)`,
			`4: class a: pfc is "1", not true or false (write true or false, without quotes)`,
		}},
		{"hardware that cannot", linked("hardware: required,\nrate: 1Gbit, classes: [{tc: 0, name: a, share: 10%}]"), []string{
			"5: qos of uplink up0: the link has a rate, which a device cannot do, and hardware of uplink up0 (line 4) is required (leave it out, or use hardware: auto)",
		}},
		{"pfc without hardware", append(linked("hardware: off, classes: [{tc: 0, name: a, share: 10%},\n{tc: 3, name: b, share: 10%, pfc: true}]"), classified("  outer: [{tc: 3, pcp: 3}]")...), []string{
			"5: class b: the class has pfc, which only a device does, and hardware is off (leave one of them out)",
		}},
		{"pfc without priorities", append(linked("classes: [{tc: 0, name: a, share: 10%},\n{tc: 3, name: b, share: 10%, pfc: true}]"), classified("  outer: [{tc: 3, pcp: 4}]")...), []string{
			"5: class b: the class has pfc, which pauses a priority, and its packets do not bear one: classification.outer has no {tc: 3, pcp: 3} (add outer: [{tc: 3, pcp: 3}] to classification)",
		}},
		{"nobody to hold the share", edits{"uplink: up0, vlan: 100}", "uplink: up0, vlan: 100, qos: {max: 1Gbit}}"}, []string{
			"8: qos of vport printer: no uplink that the vport sends by has qos, so that nothing holds its share (add qos to the uplink, with its classes, or remove max here)",
		}},
	})
}

// speeds are ports whose devices tell the rates of their links.
type speeds struct {
	PortTable
	mbit map[string]uint32
}

func (s speeds) LinkMbit(name string) uint32 { return s.mbit[name] }

func TestRateOfTheDevice(t *testing.T) {
	text := spoil(t, append(linked("classes: [{tc: 0, name: all, share: 100%}]"), "uplink: up0, vlan: 100}", "uplink: up0, vlan: 100, qos: {min: 3Gbit}}"))
	c := parsed(t, text)
	s, err := Compile(c, nil, speeds{NumberPorts(c), map[string]uint32{"up0": 10000}})
	require.NoError(t, err)
	assert.EqualValues(t, 1_250_000_000, s.QoS.Scheduler(0).RateBytesPerSec)
	_, err = Compile(c, nil, speeds{NumberPorts(c), map[string]uint32{"up0": 1000}})
	var errs *Errors
	require.ErrorAs(t, err, &errs)
	assert.EqualError(t, err, "test.yaml:4: qos of uplink up0: the minimums on uplink up0 are 3Gbit (printer) = 3Gbit, more than the link, which has 1Gbit (lower some of them, or use minWeight)")
	_, err = Compile(c, nil, speeds{NumberPorts(c), nil})
	assert.EqualError(t, err, "test.yaml:4: qos of uplink up0: the device does not tell the rate of its link (add rate: <rate>, for example rate: 10Gbit)")
	s, err = Compile(c, nil, NumberPorts(c))
	require.NoError(t, err)
	assert.Zero(t, s.QoS.Scheduler(0).RateBytesPerSec)
}

// A default that no link has is refused too when only the devices tell their rates, and not while one of them tells none.
func TestDefaultsBeyondTheDevices(t *testing.T) {
	const q = "qos: {classes: [{tc: 0, name: all, share: 100%}]}"
	c := parsed(t, spoil(t, edits{"gateway: 172.16.1.254", "gateway: 172.16.1.254, " + q, "172.16.2.1/24]", "172.16.2.1/24], " + q,
		"{name: host-a}", "{name: host-a, group: edge}", "hosts:\n", "hostGroups: [{name: edge, qos: {max: 2Gbit}}]\nhosts:\n"}))
	_, err := Compile(c, nil, speeds{NumberPorts(c), map[string]uint32{"up0": 1000, "up1": 10_000}})
	require.NoError(t, err, "it is meant for up1")
	_, err = Compile(c, nil, speeds{NumberPorts(c), map[string]uint32{"up0": 1000, "up1": 1000}})
	assert.EqualError(t, err, "test.yaml:20: qos of host group edge: max is 2Gbit, and the fastest link of those who get it, uplink up0, has 1Gbit (use at most the rate of the link)")
	_, err = Compile(c, nil, speeds{NumberPorts(c), map[string]uint32{"up0": 1000}})
	require.ErrorContains(t, err, "the device does not tell the rate of its link")
	assert.NotContains(t, err.Error(), "edge")
}

// excusing are ports whose links may be slower than what was promised of them, and remember minimums.
type excusing struct {
	speeds
	excused []LinkProblem
}

func (e *excusing) Excuse(problems []LinkProblem) (refused []LinkProblem) {
	for _, p := range problems {
		switch p.Fault {
		case LinkMinimums:
			e.excused = append(e.excused, p)
		case LinkUnknown:
			refused = append(refused, p)
		}
	}
	return refused
}

// On a slower link minimums keep their proportions.
func TestMinimumsOfASlowLink(t *testing.T) {
	c := parsed(t, strings.NewReplacer("rate: 10Gbit, default", "default", "minWeight: 50, vports", "min: 2Gbit, vports", "{max: 500Mbit}", "{min: 500Mbit, max: 500Mbit}").Replace(wholeQoS))
	ports := &excusing{speeds: speeds{NumberPorts(c), map[string]uint32{"up0": 10_000}}}
	fast, err := Compile(c, nil, ports)
	require.NoError(t, err)
	require.Nil(t, ports.excused)
	ports.mbit["up0"] = 1000
	slow, err := Compile(c, fast, ports)
	require.NoError(t, err)
	require.Len(t, ports.excused, 1)
	assert.Equal(t, "up0", ports.excused[0].Uplink)
	assert.EqualValues(t, 3500*1_000_000/8, ports.excused[0].AskedBytesPerSec)
	assert.Contains(t, ports.excused[0].What, "the minimums on uplink up0 are 500Mbit (the default flow) + 1Gbit (network red) + 2Gbit (group gold) = 3.5Gbit, more than the link, which has 1Gbit")
	ports.mbit["up0"] = 0
	_, err = Compile(c, fast, ports)
	require.ErrorContains(t, err, "the device does not tell the rate of its link", "what is not excused")
	before, after := fast.QoS.Scheduler(0), slow.QoS.Scheduler(0)
	assert.EqualValues(t, 1000*1_000_000/8, after.RateBytesPerSec)
	sum := after.Leaves[0].MinBytesPerSec
	for i := range after.Groups {
		sum += after.Groups[i].MinBytesPerSec
		assert.InDelta(t, float64(before.Groups[i].MinBytesPerSec)/3.5, float64(after.Groups[i].MinBytesPerSec), 1)
	}
	for i := range after.Leaves {
		assert.InDelta(t, float64(before.Leaves[i].MinBytesPerSec)/3.5, float64(after.Leaves[i].MinBytesPerSec), 1)
	}
	assert.LessOrEqual(t, sum, after.RateBytesPerSec)
	d := Compare(fast, slow)
	assert.True(t, d.Empty(), "no flow is decided again")
	ports.mbit["up0"] = 10_000
	again, err := Compile(c, slow, ports)
	require.NoError(t, err)
	assert.True(t, fast.QoS.Equal(again.QoS))
}

// whole is a configuration with everything that shares can say.
const wholeQoS = `host: {name: a, group: edge}
uplinks:
  - {name: up0, device: {driver: af_packet, interface: eth1}, providerAddresses: [172.16.1.1/24], qos: {rate: 10Gbit, default: {min: 500Mbit}, classes: [
      {tc: 7, name: control, strict: true, max: 100Mbit, ecn: off}, {tc: 3, name: storage, share: 40%, queue: 1MiB, ecn: {from: 100kB, full: 300kB}}, {tc: 0, name: rest, share: 60%}]}}
  - {name: up1, device: {driver: af_packet, interface: eth2}, qos: {rate: 1Gbit, classes: [{tc: 0, name: all, share: 100%}, {tc: 3, name: other, strict: true}]}}
vports:
  - {name: own, device: {driver: tap}, mac: 02:00:00:00:01:01, subnet: red-web, addresses: [10.0.0.5], qos: {min: 200Mbit, max: 2Gbit, burst: 100KiB, inbound: {max: 1Gbit, storm: 10Mbit}}}
  - {name: member, device: {driver: tap}, mac: 02:00:00:00:01:02, subnet: red-web, addresses: [10.0.0.6], qos: {group: gold}}
  - {name: networked, device: {driver: tap}, mac: 02:00:00:00:01:03, subnet: red-web, addresses: [10.0.0.7], qos: {max: 3Gbit}}
  - {name: hosted, device: {driver: tap}, mac: 02:00:00:00:01:04, subnet: blue-web, addresses: [10.0.0.8]}
  - {name: bridged, device: {driver: tap}, mac: 02:00:00:00:01:05, uplink: up1, vlan: 100, qos: {minWeight: 300, destinations: [
      {name: inside, prefixes: [10.0.0.0/8, "2001:db8::/32"]}, {name: internet, prefixes: [0.0.0.0/0, "::/0"], max: 100Mbit}]}}
networks:
  - {name: red, qos: {min: 1Gbit, max: 4Gbit, vports: {minWeight: 30, max: 1Gbit}}, subnets: [{name: red-web, vsid: 6001, prefix: 10.0.0.0/24}]}
  - {name: blue, subnets: [{name: blue-web, vsid: 7001, prefix: 10.0.0.0/24}]}
qosGroups:
  - {name: gold, minWeight: 50, vports: {max: 500Mbit}}
hostGroups:
  - {name: core, qos: {max: 9Gbit}}
  - {name: edge, qos: {max: 700Mbit, burst: 32KiB, inbound: {max: 2Gbit}}}
classification:
  builtIn: [{name: iscsi, tc: 3}]
  rules: [{name: r, match: {vport: own}, trust: dscp}]
`

func TestCompileQoS(t *testing.T) {
	c := parsed(t, wholeQoS)
	s, err := Compile(c, nil, NumberPorts(c)) // up0 0, up1 1, own 2, member 3, networked 4, hosted 5, bridged 6
	require.NoError(t, err)
	const mbit = 1_000_000 / 8
	require.Len(t, s.QoS.Schedulers, 2+5)
	up0 := s.QoS.Scheduler(0)
	assert.EqualValues(t, 10_000*mbit, up0.RateBytesPerSec)
	assert.Equal(t, ClassQoS{Name: "control", Strict: true, MaxBytesPerSec: 100 * mbit, QueueBytes: 256 << 10}, up0.Classes[7])
	assert.Equal(t, ClassQoS{Name: "storage", Weight: 40, QueueBytes: 1 << 20, MarkBytes: 100_000, MarkFullBytes: 300_000}, up0.Classes[3])
	assert.Equal(t, ClassQoS{Name: "rest", Weight: 60, QueueBytes: 256 << 10, MarkBytes: 64 << 10, MarkFullBytes: 64 << 10}, up0.Classes[0])
	for tc, want := range []uint8{0, 0, 0, 3, 0, 0, 0, 7} {
		assert.Equal(t, want, up0.Class(uint8(tc)), "those without an owner go with the default")
	}
	assert.Equal(t, []GroupQoS{
		{Name: "red", Key: keyOf("network red"), MinBytesPerSec: 1000 * mbit, MaxBytesPerSec: 4000 * mbit, BurstBytes: 4000 * mbit / 200, Weight: 10},
		{Name: "gold", Key: keyOf("group gold"), Weight: 50},
	}, up0.Groups)
	want := []LeafQoS{
		{Name: "default", Port: NoIndex, Group: -1, Parent: -1, MinBytesPerSec: 500 * mbit, Weight: 10},
		{Key: keyOf("vport", "own"), Port: 2, Group: 0, Parent: -1, MinBytesPerSec: 200 * mbit, MaxBytesPerSec: 2000 * mbit, BurstBytes: 100 << 10, Weight: 10},
		{Key: keyOf("vport", "member"), Port: 3, Group: 1, Parent: -1, MaxBytesPerSec: 500 * mbit, BurstBytes: 500 * mbit / 200, Weight: 30},
		{Key: keyOf("vport", "networked"), Port: 4, Group: 0, Parent: -1, MaxBytesPerSec: 3000 * mbit, BurstBytes: 3000 * mbit / 200, Weight: 30},
		{Key: keyOf("vport", "hosted"), Port: 5, Group: -1, Parent: -1, MaxBytesPerSec: 700 * mbit, BurstBytes: 32 << 10, Weight: 10},
	}
	assert.Equal(t, want, up0.Leaves, "the bridged vport sends by another uplink")
	for in, leaf := range map[uint32]uint32{0: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 0, 99: 0, NoIndex: 0} {
		assert.Equal(t, leaf, up0.Leaf(in, 0), "of port %d", in)
		assert.Equal(t, leaf, up0.Leaf(in, 1), "a destination that it does not have")
	}

	uplinks, leaves, inbound := c.QoSSize()
	assert.Equal(t, []int{2, 8, 5}, []int{uplinks, leaves, inbound})

	up1 := s.QoS.Scheduler(1)
	require.Len(t, up1.Leaves, 4)
	assert.Equal(t, LeafQoS{Key: keyOf("vport", "bridged"), Port: 6, Group: -1, Parent: -1, MaxBytesPerSec: 700 * mbit, BurstBytes: 32 << 10, Weight: 300}, up1.Leaves[1])
	assert.Equal(t, LeafQoS{Name: "inside", Key: keyOf("vport", "bridged", "inside"), Port: 6, Dest: 1, Group: -1, Parent: 1, Weight: 10}, up1.Leaves[2])
	assert.Equal(t, LeafQoS{Name: "internet", Key: keyOf("vport", "bridged", "internet"), Port: 6, Dest: 2, Group: -1, Parent: 1,
		MaxBytesPerSec: 100 * mbit, BurstBytes: 64 << 10, Weight: 10}, up1.Leaves[3])
	assert.EqualValues(t, 3, up1.Leaf(6, 2))
	for to, dest := range map[string]uint8{"10.9.9.9": 1, "11.0.0.1": 2, "2001:db8::1": 1, "2001:db9::1": 2} {
		assert.Equal(t, dest, s.QoS.Dest(6, addr(to)), to)
		assert.Zero(t, s.QoS.Dest(2, addr(to)), "of another vport")
	}

	own := s.QoS.Scheduler(2)
	assert.EqualValues(t, 1000*mbit, own.RateBytesPerSec)
	assert.EqualValues(t, 1000*mbit/200, own.BurstBytes)
	assert.Len(t, own.Leaves, 1)
	assert.EqualValues(t, 2000*mbit, s.QoS.Scheduler(5).RateBytesPerSec, "the host group's")
	assert.Equal(t, []StormQoS{{Port: 2, BytesPerSec: 10 * mbit, BurstBytes: 64 << 10}}, s.QoS.Storms)
	assert.Nil(t, s.QoS.Scheduler(99))
	assert.Nil(t, (*QoS)(nil).Scheduler(0))
}

// Rates and weights touch no flow; what the flows' queues are taken from does.
func TestCompareQoS(t *testing.T) {
	base := compiled(t, nil, wholeQoS)
	change := func(old, new string) Delta {
		require.Equal(t, 1, strings.Count(wholeQoS, old), old)
		next := compiled(t, base, strings.Replace(wholeQoS, old, new, 1))
		require.NotSame(t, base.QoS, next.QoS)
		return Compare(base, next)
	}
	require.Same(t, base.QoS, compiled(t, base, wholeQoS).QoS)
	for _, e := range [][2]string{{"rate: 10Gbit", "rate: 20Gbit"}, {"minWeight: 300", "minWeight: 301"}, {"share: 40%", "share: 30%"}, {"storm: 10Mbit", "storm: 11Mbit"}, {"max: 100Mbit}]}}", "max: 101Mbit}]}}"}} {
		d := change(e[0], e[1])
		assert.True(t, d.Empty(), "%v", e)
	}
	assert.True(t, change("{tc: 7, name: control", "{tc: 6, name: control").All, "another class")
	d := change(", inbound: {max: 1Gbit, storm: 10Mbit}", ", inbound: {max: 2Gbit}")
	assert.True(t, d.Empty())
	d = change(", inbound: {max: 2Gbit}}}\nclass", "}}\nclass")
	assert.True(t, d.Empty(), "vports lose their scheduler")
	d = Compare(compiled(t, nil, good), compiled(t, nil, spoil(t, linked(plainQoS))))
	assert.True(t, d.Empty(), "an uplink with one queue for all")
	few := spoil(t, withVM("destinations: [{name: a, prefixes: [10.0.0.0/8]}]"))
	assert.True(t, Compare(compiled(t, nil, few), compiled(t, nil, spoil(t, withVM("max: 1Gbit")))).All, "no destinations any more")
	two := "rate: 10Gbit, classes: [{tc: 0, name: all, share: 50%}, {tc: 2, name: b, share: 50%}]"
	assert.True(t, Compare(compiled(t, nil, good), compiled(t, nil, spoil(t, linked(two)))).All, "an uplink with classes")
	assert.True(t, change("10.0.0.0/8, ", "").All, "destinations of a bridged vport")
	assert.True(t, Compare(base, compiled(t, base, good)).All)
}

func TestDiffQoS(t *testing.T) {
	before, got := parsed(t, wholeQoS), []string(nil)
	text := wholeQoS
	for _, e := range [][2]string{
		{"rate: 10Gbit, default: {min: 500Mbit}", "rate: 25Gbit"}, {"share: 40%, queue: 1MiB", "share: 35%"}, {"name: control, strict: true, max: 100Mbit", "name: mgmt, share: 5%"},
		{"qos: {group: gold}", "qos: {minWeight: 7}"}, {"{name: gold, minWeight: 50,", "{name: silver, max: 1Gbit,"},
		{"qos: {min: 1Gbit, max: 4Gbit", "qos: {max: 4Gbit"}, {"group: edge", "group: core"}, {"max: 9Gbit", "max: 8.5Gbit"},
	} {
		require.Equal(t, 1, strings.Count(text, e[0]), e[0])
		text = strings.Replace(text, e[0], e[1], 1)
	}
	after := parsed(t, text)
	for _, c := range Diff(before, after) {
		require.Equal(t, EffectPolicy, c.Effect)
		got = append(got, c.String())
	}
	assert.Equal(t, []string{
		"modify host: group edge -> core",
		"modify uplink up0: qos rate 10Gbit -> 25Gbit, default flow min 500Mbit -> minWeight 10",
		"remove class control of up0: tc 7, share strict, max 100Mbit, queue 256KiB, ecn off",
		"add class mgmt of up0: tc 7, share 5%, queue 256KiB, ecn off",
		"modify class storage of up0: share 40% -> 35%, queue 1MiB -> 256KiB",
		"remove qos group gold: share minWeight 50, vports max 500Mbit",
		"add qos group silver: share minWeight 10 max 1Gbit, vports max 500Mbit",
		"modify host group core: qos max 9Gbit -> max 8.5Gbit",
		"modify network red: qos min 1Gbit max 4Gbit -> max 4Gbit",
		"modify vport member: qos group gold -> minWeight 7",
	}, got)
	assert.Empty(t, Diff(after, after))
	assert.Contains(t, fmt.Sprint(Diff(nil, before)), "qos minWeight 300 destination inside (to 10.0.0.0/8 2001:db8::/32) destination internet (to 0.0.0.0/0 ::/0 max 100Mbit)")
}

func TestWarnOfShares(t *testing.T) {
	c := parsed(t, spoil(t, append(linked("classes: [{tc: 0, name: all, share: 100%}, {tc: 7, name: s, strict: true}]"), "uplink: up0, vlan: 100}", "uplink: up0, vlan: 100, qos: {min: 3Gbit}}")))
	var got []string
	for _, w := range c.Warnings() {
		got = append(got, w.String())
	}
	assert.Equal(t, []string{
		"test.yaml:4: qos of uplink up0: the rate of the link is left to the device, and a file that is applied is refused while it does not tell it, as some interfaces of the kernel do (add rate: <rate>, for example rate: 10Gbit)",
		"test.yaml:4: class s: the class is strict without a max, so it may take what vports have as their minimum (add max: <rate>)",
	}, got)
}

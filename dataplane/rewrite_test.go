package dataplane

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

// rewriteVM is a VM of the two hosts below.
type rewriteVM struct {
	name, host, subnet, mac string
	addresses               [][2]string // customer and provider address; of NVGRE the latter is the host's
}

// Two tenants whose subnets are rewritten, green and lime, and red with NVGRE; all with the same customer addresses:
//
//	green-vm1  10.0.0.5 (.31) ┐                                 ┌ green-far 10.0.0.7 (.41), 10.0.0.17 (.42)
//	green-db0  10.0.1.5 (.32) ┤                                 ├ green-db1 10.0.1.7 (.43)
//	lime-vm1   10.0.0.5 (.33) ┼ host-a ── up0 ─ up0 ── host-b   ┼ lime-far  10.0.0.7 (.44)
//	red-vm1    10.0.0.5       ┘ 172.16.1.1         172.16.1.2   └ red-far   10.0.0.7
//
// green-gw 10.0.0.9 on host-b is in a rewritten subnet, but reached by NVGRE; green-l2 has no address.
var rewriteVMs = []rewriteVM{
	{"green-vm1", "a", "green-web", "00:15:5d:00:08:05", [][2]string{{"10.0.0.5", "172.16.1.31"}}},
	{"green-db0", "a", "green-db", "00:15:5d:00:09:05", [][2]string{{"10.0.1.5", "172.16.1.32"}}},
	{"lime-vm1", "a", "lime-web", "00:15:5d:00:0c:05", [][2]string{{"10.0.0.5", "172.16.1.33"}}},
	{"red-vm1", "a", "red-web", redVM1, [][2]string{{"10.0.0.5", hostAPA}}},
	{"green-far", "b", "green-web", "00:15:5d:00:08:07", [][2]string{{"10.0.0.7", "172.16.1.41"}, {"10.0.0.17", "172.16.1.42"}}},
	{"green-db1", "b", "green-db", "00:15:5d:00:09:07", [][2]string{{"10.0.1.7", "172.16.1.43"}}},
	{"lime-far", "b", "lime-web", "00:15:5d:00:0c:07", [][2]string{{"10.0.0.7", "172.16.1.44"}}},
	{"red-far", "b", "red-web", redFar, [][2]string{{"10.0.0.7", hostBPA}}},
}

const (
	greenVM1 = "00:15:5d:00:08:05"
	greenDB0 = "00:15:5d:00:09:05"
	greenFar = "00:15:5d:00:08:07"
	greenDB1 = "00:15:5d:00:09:07"
	greenGW  = "00:15:5d:00:08:09"
	limeVM1  = "00:15:5d:00:0c:05"
	limeFar  = "00:15:5d:00:0c:07"

	greenVM1PA = "172.16.1.31"
	greenDB0PA = "172.16.1.32"
	limeVM1PA  = "172.16.1.33"
	greenFarPA = "172.16.1.41"
	greenDB1PA = "172.16.1.43"
	limeFarPA  = "172.16.1.44"
)

// rewritePolicy is the configuration of host "a" or "b".
func rewritePolicy(host string) string {
	var vports, records strings.Builder
	for _, v := range rewriteVMs {
		var cas, pas []string
		for _, a := range v.addresses {
			cas, pas = append(cas, a[0]), append(pas, a[1])
			if v.host != host {
				fmt.Fprintf(&records, "  - {subnet: %s, ca: %s, mac: %q, pa: %s}\n", v.subnet, a[0], v.mac, a[1])
			}
		}
		own := ""
		if v.subnet != "red-web" {
			own = ", providerAddresses: [" + strings.Join(pas, ", ") + "]"
		}
		if v.host == host {
			fmt.Fprintf(&vports, "  - {name: %s, device: {driver: tap}, mac: %q, subnet: %s, addresses: [%s]%s}\n",
				v.name, v.mac, v.subnet, strings.Join(cas, ", "), own)
		}
	}
	pa := map[string]string{"a": hostAPA, "b": hostBPA}[host]
	return fmt.Sprintf(`host: {name: host-%s}
dataplane: {slowPathShare: 100%%}
uplinks:
  - {name: up0, device: {driver: af_packet, interface: eth0}, mtu: 1500, providerAddresses: [%s/24]}
vports:
%snetworks:
  - name: green
    subnets:
      - {name: green-web, vsid: 8001, prefix: 10.0.0.0/24, method: rewrite}
      - {name: green-db, vsid: 8002, prefix: 10.0.1.0/24, method: rewrite}
    routes:
      - {prefix: 192.0.2.0/24, nextHop: 10.0.0.7}
      - {prefix: 198.51.100.0/24, nextHop: 10.0.1.5}
  - name: lime
    subnets:
      - {name: lime-web, vsid: 9001, prefix: 10.0.0.0/24, method: rewrite}
  - name: red
    subnets:
      - {name: red-web, vsid: 6001, prefix: 10.0.0.0/24}
records:
%s`, host, pa, vports.String(), records.String())
}

// onA has records that only host-a knows: of host-b, which answers as another PA, and of no VM in particular.
func onA() string {
	return strings.Replace(rewritePolicy("a"), "mtu: 1500", "mtu: 1600", 1) +
		"  - {subnet: green-web, ca: 10.0.0.9, mac: \"" + greenGW + "\", pa: 172.16.1.2, method: nvgre}\n" +
		"  - {subnet: green-web, mac: \"00:15:5d:00:08:0a\", pa: 172.16.1.2, method: nvgre}\n"
}

// know lets a next hop in the fabric answer at hostBMAC.
func (r *rig) know(frame []byte, port string, pas ...string) {
	r.t.Helper()
	r.send(port, frame)
	for _, pa := range pas {
		r.send("up0", frames.ARPReply(hostBMAC, pa, uplinkMAC, hostAPA))
	}
}

func newRewriteRig(t testing.TB) *rig {
	t.Helper()
	r := newRigOf(t, 1, onA())
	for target, pa := range map[string]string{"10.0.0.7": greenFarPA, "10.0.0.17": "172.16.1.42"} {
		r.know(greenUDP(1, target), "green-vm1", pa)
	}
	r.know(frames.Build(frames.Ether(greenVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.7"), frames.UDP(1, 2)), "green-vm1", greenDB1PA)
	return r
}

func greenUDP(port uint16, to string) []byte {
	return frames.Build(frames.Ether(greenVM1, greenFar), frames.IPv4("10.0.0.5", to), frames.UDP(port, 2), frames.Payload(30))
}

func TestRewriteOut(t *testing.T) {
	r := newRewriteRig(t)
	for name, tc := range map[string]struct{ sent, want []byte }{
		"switched": {
			frames.Build(frames.Ether(greenVM1, greenFar), frames.IPv4("10.0.0.5", "10.0.0.7", frames.TOS(0xb9), frames.ID(7)), frames.TCP(4000, 80), frames.Payload(100)),
			frames.Build(frames.Ether(uplinkMAC, hostBMAC), frames.IPv4(greenVM1PA, greenFarPA, frames.TOS(0xb9), frames.ID(7)), frames.TCP(4000, 80), frames.Payload(100))},
		"second address of a VM": {
			frames.Build(frames.Ether(greenVM1, greenFar), frames.IPv4("10.0.0.5", "10.0.0.17"), frames.UDP(4000, 80), frames.Payload(9)),
			frames.Build(frames.Ether(uplinkMAC, hostBMAC), frames.IPv4(greenVM1PA, "172.16.1.42"), frames.UDP(4000, 80), frames.Payload(9))},
		"routed": {
			frames.Build(frames.Ether(greenVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.7"), frames.UDP(4000, 80), frames.Payload(9)),
			frames.Build(frames.Ether(uplinkMAC, hostBMAC), frames.IPv4(greenVM1PA, greenDB1PA, frames.TTL(63)), frames.UDP(4000, 80), frames.Payload(9))},
		"priority tag": {
			frames.Build(frames.Ether(greenVM1, greenFar), frames.VLAN(0, 5), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.UDP(1, 2), frames.Payload(9)),
			frames.Build(frames.Ether(uplinkMAC, hostBMAC), frames.IPv4(greenVM1PA, greenFarPA), frames.UDP(1, 2), frames.Payload(9))},
	} {
		for range 2 { // a new flow, then a known one
			out := r.send("green-vm1", tc.sent)
			require.Len(t, out, 1, name)
			frames.EqualAll(t, [][]byte{tc.want}, out["up0"], name)
		}
	}
	nvgre := frames.Build(frames.Ether(greenVM1, greenGW), frames.IPv4("10.0.0.5", "10.0.0.9"), frames.UDP(1, 2), frames.Payload(9))
	r.know(nvgre, "green-vm1", hostBPA)
	tun := frames.Decap(t, r.send("green-vm1", nvgre)["up0"][0])
	require.EqualValues(t, 8001, tun.VSID, "a record's own method counts")
	require.Equal(t, hostBPA, tun.Dst.String())
	r.balanced()
}

func TestRewriteIn(t *testing.T) {
	r := newRewriteRig(t)
	for name, tc := range map[string]struct {
		port       string
		sent, want []byte
	}{
		"switched": {"green-vm1",
			frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(greenFarPA, greenVM1PA, frames.TTL(9)), frames.TCP(80, 4000), frames.Payload(100)),
			frames.Build(frames.Ether(greenFar, greenVM1), frames.IPv4("10.0.0.7", "10.0.0.5", frames.TTL(9)), frames.TCP(80, 4000), frames.Payload(100))},
		"routed by the other host": {"green-vm1",
			frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(greenDB1PA, greenVM1PA), frames.UDP(80, 4000), frames.Payload(9)),
			frames.Build(frames.Ether(routerMAC, greenVM1), frames.IPv4("10.0.1.7", "10.0.0.5"), frames.UDP(80, 4000), frames.Payload(9))},
		"priority tag": {"green-vm1",
			frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.VLAN(0, 5), frames.IPv4(greenFarPA, greenVM1PA), frames.UDP(80, 4000), frames.Payload(9)),
			frames.Build(frames.Ether(greenFar, greenVM1), frames.IPv4("10.0.0.7", "10.0.0.5"), frames.UDP(80, 4000), frames.Payload(9))},
		"lime at green's addresses": {"lime-vm1",
			frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(limeFarPA, limeVM1PA), frames.UDP(80, 4000), frames.Payload(9)),
			frames.Build(frames.Ether(limeFar, limeVM1), frames.IPv4("10.0.0.7", "10.0.0.5"), frames.UDP(80, 4000), frames.Payload(9))},
	} {
		for range 2 {
			out := r.send("up0", tc.sent)
			require.Len(t, out, 1, name)
			frames.EqualAll(t, [][]byte{tc.want}, out[tc.port], name)
		}
	}
	r.balanced()
}

func TestRewriteRefusesFromFabric(t *testing.T) {
	r := newRewriteRig(t)
	ip := func(from, to string, opts ...frames.IPOption) []byte {
		return frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(from, to, opts...), frames.UDP(1, 2), frames.Payload(20))
	}
	good := ip(greenFarPA, greenVM1PA)
	require.Len(t, r.send("up0", good)["green-vm1"], 1)
	for name, tc := range map[string]struct {
		frame []byte
		want  Reason
	}{
		"another tenant's VM":       {ip(limeFarPA, greenVM1PA), ReasonUnknownSender},
		"to another tenant's VM":    {ip(greenFarPA, limeVM1PA), ReasonUnknownSender},
		"a host":                    {ip(hostBPA, greenVM1PA), ReasonUnknownSender},
		"nobody":                    {ip("172.16.1.99", greenVM1PA), ReasonUnknownSender},
		"a VM of this host":         {ip(greenDB0PA, greenVM1PA), ReasonProviderSpoof},
		"the VM itself":             {ip(greenVM1PA, greenVM1PA), ReasonProviderSpoof},
		"for a VM elsewhere":        {ip(greenFarPA, greenDB1PA), ReasonNotForUs},
		"for nobody":                {ip(greenFarPA, "172.16.1.99"), ReasonNotForUs},
		"for a customer address":    {ip(greenFarPA, "10.0.0.5"), ReasonNotForUs},
		"AH":                        {frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(greenFarPA, greenVM1PA, frames.Proto(51)), frames.Payload(24)), ReasonRewriteAH},
		"header checksum":           {frames.Patch(good, 24, 1, 2), ReasonOuterChecksum},
		"header length":             {frames.FixIPv4(frames.Patch(good, 14, 0x44), 14), ReasonOuterHeader},
		"total length":              {frames.FixIPv4(frames.Patch(good, 16, 0xff, 0xff), 14), ReasonOuterHeader},
		"UDP length":                {frames.FixIPv4(frames.Patch(good, 38, 0xff, 0xff), 14), reasonOf(packet.ErrL4Length)},
		"as NVGRE of a rewritten":   {frames.NVGRE(hostBMAC, uplinkMAC, greenFarPA, hostAPA, 8001, 0, frames.Ping(greenFar, greenVM1, "10.0.0.7", "10.0.0.5", 1, 1)), ReasonProviderSpoof},
		"NVGRE to a VM's address":   {frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, greenVM1PA, 6001, 0, frames.Ping(redFar, redVM1, "10.0.0.7", "10.0.0.5", 1, 1)), ReasonUnknownSender},
		"not for the uplink":        {frames.Build(frames.Ether(hostBMAC, greenVM1), frames.IPv4(greenFarPA, greenVM1PA), frames.UDP(1, 2)), ReasonNotForUs},
		"tagged":                    {frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.VLAN(7, 0), frames.IPv4(greenFarPA, greenVM1PA), frames.UDP(1, 2)), ReasonNotForUs},
		"ICMP error of the fabric":  {frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4("172.16.1.254", greenVM1PA), frames.ICMP(3, 1, 0), frames.Bytes(good[14:])), ReasonUnknownSender},
		"ICMP error about no flow":  {frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(greenFarPA, greenVM1PA), frames.ICMP(3, 3, 0), frames.Bytes(ip("172.16.1.99", greenFarPA)[14:])), ReasonRewriteICMP},
		"redirect":                  {frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(greenFarPA, greenVM1PA), frames.ICMP(5, 1, 0x0a000009), frames.Bytes(ip(greenVM1PA, greenFarPA)[14:])), ReasonRewriteICMP},
		"ICMP error without header": {frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(greenFarPA, greenVM1PA), frames.ICMP(3, 3, 0), frames.Bytes(ip(greenVM1PA, greenFarPA)[14:33])), ReasonRewriteICMP},
	} {
		t.Run(name, func(t *testing.T) {
			old := r.t
			r.t = t
			defer func() { r.t = old }()
			r.dropped("up0", tc.frame, tc.want)
			r.dropped("up0", tc.frame, tc.want) // as a known flow as well
		})
	}
	require.Len(t, r.send("up0", good)["green-vm1"], 1)
	r.balanced()
}

func TestRewriteRefusesFromVM(t *testing.T) {
	r := newRewriteRig(t)
	ip := func(dst, from, to string, opts ...frames.IPOption) []byte {
		return frames.Build(frames.Ether(greenVM1, dst), frames.IPv4(from, to, opts...), frames.UDP(1, 2), frames.Payload(20))
	}
	options := func(o ...byte) []byte { // in place of a router alert
		f := ip(greenFar, "10.0.0.5", "10.0.0.7", frames.RouterAlert())
		return frames.FixIPv4(frames.Patch(f, 34, o...), 14)
	}
	lite := ip(greenFar, "10.0.0.5", "10.0.0.7", frames.Proto(136))
	lite = frames.FixIPv4(frames.Patch(lite[:14+20+7], 16, 0, 27), 14)
	for name, tc := range map[string]struct {
		port  string
		frame []byte
		want  Reason
	}{
		"not IP":                   {"green-vm1", frames.Build(frames.EtherOf(greenVM1, greenFar, frames.EtherTypeTest), frames.Payload(50)), ReasonRewriteNonIPv4},
		"IPv6":                     {"green-vm1", frames.Build(frames.Ether(greenVM1, greenFar), frames.IPv6("fe80::5", "fe80::7"), frames.UDP(1, 2)), ReasonRewriteNonIPv4},
		"ARP reply":                {"green-vm1", frames.ARPReply(greenVM1, "10.0.0.5", greenFar, "10.0.0.7"), ReasonRewriteNonIPv4},
		"AH":                       {"green-vm1", frames.Build(frames.Ether(greenVM1, greenFar), frames.IPv4("10.0.0.5", "10.0.0.7", frames.Proto(51)), frames.Payload(24)), ReasonRewriteAH},
		"through a VM":             {"green-vm1", ip(greenFar, "10.0.0.5", "192.0.2.9"), ReasonRewriteAddress},
		"routed through a VM":      {"green-vm1", ip(routerMAC, "10.0.0.5", "192.0.2.9"), ReasonRewriteAddress},
		"by a VM for others":       {"green-db0", frames.Build(frames.Ether(greenDB0, routerMAC), frames.IPv4("198.51.100.9", "10.0.0.7"), frames.UDP(1, 2)), ReasonRewriteAddress},
		"loose source route":       {"green-vm1", options(131, 3, 4, 0), ReasonRewriteOption},
		"strict source route":      {"green-vm1", options(1, 137, 3, 4), ReasonRewriteOption},
		"record route":             {"green-vm1", options(7, 3, 4, 0), ReasonRewriteOption},
		"timestamp":                {"green-vm1", options(68, 4, 5, 0), ReasonRewriteOption},
		"broken option":            {"green-vm1", options(148, 9, 0, 0), ReasonRewriteOption},
		"forged source":            {"green-vm1", ip(greenFar, "10.0.0.17", "10.0.0.7"), ReasonSourceAddrSpoof},
		"provider address":         {"green-vm1", ip(greenFar, greenVM1PA, "10.0.0.7"), ReasonSourceAddrSpoof},
		"lime's VM by its MAC":     {"green-vm1", ip(limeFar, "10.0.0.5", "10.0.0.7"), ReasonUnknownMAC},
		"lime has no 10.0.1":       {"lime-vm1", frames.Build(frames.Ether(limeVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.7"), frames.UDP(1, 2)), ReasonNoRoute},
		"error about another flow": {"green-vm1", frames.Build(frames.Ether(greenVM1, greenFar), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.ICMP(3, 3, 0), frames.Bytes(ip(greenFar, "10.0.0.7", "10.0.0.6")[14:])), ReasonRewriteICMP},
		"error about no IP":        {"green-vm1", frames.Build(frames.Ether(greenVM1, greenFar), frames.IPv4("10.0.0.5", "10.0.0.7"), frames.ICMP(11, 0, 0), frames.Payload(28)), ReasonRewriteICMP},
		"UDP-Lite cut off":         {"green-vm1", lite, reasonOf(packet.ErrTruncatedL4)},
		"broadcast":                {"green-vm1", ip(broadcast, "10.0.0.5", "10.0.0.255"), ReasonTenantBroadcast},
	} {
		t.Run(name, func(t *testing.T) {
			old := r.t
			r.t = t
			defer func() { r.t = old }()
			r.dropped(tc.port, tc.frame, tc.want)
			r.dropped(tc.port, tc.frame, tc.want)
		})
	}
	alert := ip(greenFar, "10.0.0.5", "10.0.0.7", frames.RouterAlert())
	require.Len(t, r.send("green-vm1", alert)["up0"], 1, "an option without addresses passes")
	r.balanced()
}

func TestRewriteARP(t *testing.T) {
	r := newRewriteRig(t)
	out := r.send("green-vm1", frames.ARPRequest(greenVM1, "10.0.0.5", "10.0.0.7"))
	frames.EqualAll(t, [][]byte{frames.ARPReply(greenFar, "10.0.0.7", greenVM1, "10.0.0.5")}, out["green-vm1"])
	out = r.send("green-vm1", frames.ARPProbe(greenVM1, "10.0.0.5", greenFar, "10.0.0.17"))
	require.Len(t, out, 1, "nothing but IP reaches the target: the switch confirms it")
	frames.EqualAll(t, [][]byte{frames.ARPReply(greenFar, "10.0.0.17", greenVM1, "10.0.0.5")}, out["green-vm1"])
	r.dropped("green-vm1", frames.ARPProbe(greenVM1, "10.0.0.5", greenFar, "10.0.0.99"), ReasonRewriteNonIPv4)

	for _, pa := range []string{greenVM1PA, greenDB0PA, limeVM1PA, hostAPA} {
		out = r.send("up0", frames.ARPRequest(hostBMAC, hostBPA, pa))
		frames.EqualAll(t, [][]byte{frames.ARPReply(uplinkMAC, pa, hostBMAC, hostBPA)}, out["up0"], "the uplink answers for its VMs")
	}
	require.Empty(t, r.send("up0", frames.ARPRequest(hostBMAC, hostBPA, greenFarPA)), "but not for those elsewhere")
	r.dropped("up0", frames.GratuitousARP(hostBMAC, greenVM1PA), ReasonAddressConflict)
	r.balanced()
}

func TestRewriteTooBig(t *testing.T) {
	r := newRewriteRig(t)
	udp := func(size int, opts ...frames.IPOption) []byte {
		return frames.Build(frames.Ether(greenVM1, greenFar), frames.IPv4("10.0.0.5", "10.0.0.7", opts...), frames.UDP(1, 2), frames.Payload(size-28))
	}
	require.Len(t, r.send("green-vm1", udp(1600, frames.DF()))["up0"], 1, "the packet does not grow")
	icmp := r.send("green-vm1", udp(1601, frames.DF()))["green-vm1"][0]
	require.EqualValues(t, 3, icmp[34])
	require.EqualValues(t, 4, icmp[35])
	require.EqualValues(t, 1600, int(icmp[40])<<8|int(icmp[41]), "all of the fabric's MTU")
	require.Contains(t, frames.Dump(icmp), "10.0.0.1", "from the gateway")
	r.dropped("green-vm1", udp(1601), ReasonTooBig)
	in := frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(greenFarPA, greenVM1PA, frames.DF()), frames.UDP(1, 2), frames.Payload(1501-28))
	r.dropped("up0", in, ReasonTooBig)
	expired := r.send("green-vm1", frames.Build(frames.Ether(greenVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.7", frames.TTL(1)), frames.UDP(1, 2)))
	require.Len(t, expired["green-vm1"], 1)
	require.EqualValues(t, 11, expired["green-vm1"][0][34])
	r.balanced()
}

func TestRewriteWaitsForNextHop(t *testing.T) {
	r := newRigOf(t, 1, onA())
	for i := range uint16(heldPerNextHop) {
		r.inject("green-vm1", greenUDP(i, "10.0.0.7"))
	}
	r.idle()
	frames.EqualAll(t, [][]byte{frames.Pad(frames.ARPRequest(uplinkMAC, hostAPA, greenFarPA), 60)}, r.devs["up0"].Sent(), "asked for the VM's own address")
	out := r.send("up0", frames.ARPReply(hostBMAC, greenFarPA, uplinkMAC, hostAPA))
	require.Len(t, out["up0"], heldPerNextHop)
	for i, f := range out["up0"] {
		frames.Equal(t, frames.Build(frames.Ether(uplinkMAC, hostBMAC), frames.IPv4(greenVM1PA, greenFarPA), frames.UDP(uint16(i), 2), frames.Payload(30)), f)
	}
	r.balanced()
}

// A subnet's method changes by one apply, in both directions, under known flows.
func TestMethodChanges(t *testing.T) {
	rewritten := onA()
	var nvgre strings.Builder
	for line := range strings.Lines(rewritten) {
		if strings.Contains(line, "name: green-web") {
			line = strings.Replace(line, ", method: rewrite", "", 1)
		}
		if strings.Contains(line, "green-web, ca: 10.0.0.7,") {
			line = strings.Replace(line, greenFarPA, hostBPA, 1)
		}
		if strings.Contains(line, "green-web, ca: 10.0.0.17,") {
			line = ""
		}
		nvgre.WriteString(line)
	}
	r := newRewriteRig(t)
	r.know(frames.Ping(redVM1, redFar, "10.0.0.5", "10.0.0.7", 1, 1), "red-vm1", hostBPA)
	plain := frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(greenFarPA, greenVM1PA), frames.UDP(2, 1), frames.Payload(30))
	inner := frames.Build(frames.Ether(greenFar, greenVM1), frames.IPv4("10.0.0.7", "10.0.0.5"), frames.UDP(2, 1), frames.Payload(30))
	tunnel := frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 8001, 0, inner)
	for range 2 {
		out := r.send("green-vm1", greenUDP(1, "10.0.0.7"))["up0"]
		require.EqualValues(t, packet.ProtoUDP, out[0][23])
		frames.EqualAll(t, [][]byte{inner}, r.send("up0", plain)["green-vm1"])
		r.dropped("up0", tunnel, ReasonProviderSpoof)

		r.publish(r.parse(nvgre.String()))
		frames.Equal(t, greenUDP(1, "10.0.0.7"), frames.Decap(t, r.send("green-vm1", greenUDP(1, "10.0.0.7"))["up0"][0]).Inner)
		frames.EqualAll(t, [][]byte{inner}, r.send("up0", tunnel)["green-vm1"])
		r.dropped("up0", plain, ReasonUnknownSender)
		r.publish(r.parse(rewritten))
	}
	r.balanced()
}

// A changed record reaches the known flows of its provider address, in both directions, and no others.
func TestChangedRewriteRecord(t *testing.T) {
	r := newRewriteRig(t)
	in := func(from string) []byte {
		return frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(from, greenVM1PA), frames.UDP(2, 1), frames.Payload(30))
	}
	require.Len(t, r.send("up0", in(greenDB1PA))["green-vm1"], 1)
	r.dropped("up0", in("172.16.1.60"), ReasonUnknownSender)
	other := frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(limeFarPA, limeVM1PA), frames.UDP(2, 1))
	r.send("up0", other)
	before := r.misses()
	r.publish(r.parse(strings.Replace(onA(), greenDB1PA, "172.16.1.60", 1)))
	r.send("up0", other)
	require.Equal(t, before, r.misses(), "an untouched flow does not decide again")
	r.dropped("up0", in(greenDB1PA), ReasonUnknownSender)
	require.Len(t, r.send("up0", in("172.16.1.60"))["green-vm1"], 1)
	r.send("green-vm1", frames.Build(frames.Ether(greenVM1, routerMAC), frames.IPv4("10.0.0.5", "10.0.1.7"), frames.UDP(1, 2)))
	out := r.send("up0", frames.ARPReply(hostBMAC, "172.16.1.60", uplinkMAC, hostAPA))
	require.Equal(t, []byte{172, 16, 1, 60}, out["up0"][0][30:34])
	r.balanced()
}

func TestRewriteNeedsWritableHeaders(t *testing.T) {
	r := newRewriteRig(t)
	r.refused("green-vm1", frames.Truncated(greenUDP(1, "10.0.0.7")))
	r.refused("up0", frames.Truncated(frames.Build(frames.Ether(hostBMAC, uplinkMAC), frames.IPv4(greenFarPA, greenVM1PA), frames.TCP(1, 2), frames.Payload(20))))
	r.balanced()
}

func TestExplainRewrite(t *testing.T) {
	r := newRewriteRig(t)
	addr := func(s string) packet.Addr {
		return packet.AddrFrom4(packet.ARP(frames.ARPRequest(redVM1, s, s)[14:]).SenderIP())
	}
	hop, err := r.sw.NextHop(8001, addr("10.0.0.5"), addr("10.0.1.7"))
	require.NoError(t, err)
	require.Equal(t, "rewrite", hop.Verdict)
	require.EqualValues(t, 8002, hop.VSID)
	require.Equal(t, greenDB1, hop.MAC.String())
	require.Equal(t, greenDB1PA, hop.PA.String())
	require.Equal(t, greenDB1PA, hop.NextHop.String())
	require.Equal(t, hostBMAC, hop.NextHopMAC.String())
	require.EqualValues(t, 1600, hop.MTU)
	require.Contains(t, strings.Join(hop.Steps, "\n"), "IP rewrite, from provider address 172.16.1.31 to 172.16.1.43")
	hop, err = r.sw.NextHop(8001, addr("10.0.0.5"), addr("10.0.0.9"))
	require.NoError(t, err)
	require.Equal(t, "nvgre", hop.Verdict)
}

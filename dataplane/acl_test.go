package dataplane

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

// ruled is the rig's policy with rules for ports, by their names.
func ruled(rules map[string]string) string {
	lines := strings.Split(rigPolicy, "\n")
	for port, text := range rules {
		for i, line := range lines {
			if strings.HasPrefix(line, "  - {name: "+port+",") {
				lines[i] = strings.TrimSuffix(line, "}") + ", acls: [" + text + "]}"
			}
		}
	}
	return strings.Join(lines, "\n")
}

const (
	vain4      = "10.200.%d.%d/32"
	vain6      = "2001:db9:%x:%x::/64"
	denyAllIn  = "{name: all, direction: in, action: deny}"
	denyAllOut = "{name: all, direction: out, action: deny}"
	denySSH    = "{name: ssh, direction: in, action: deny, protocol: tcp, localPort: 22}"
)

func tcpTo(src, dst, from, to string, sport, dport uint16) []byte {
	ip := frames.IPv4
	if strings.Contains(from, ":") {
		ip = frames.IPv6
	}
	return frames.Build(frames.Ether(src, dst), ip(from, to), frames.TCP(sport, dport), frames.Payload(10))
}

func vm1to2(sport, dport uint16) []byte {
	return tcpTo(redVM1, redVM2, "10.0.0.5", "10.0.0.6", sport, dport)
}

// fate sends a frame twice, as a new flow and as a known one, and reports the one reason why it was dropped, undecided
// when it was not.
func (r *rig) fate(port string, frame []byte) Reason {
	r.t.Helper()
	var fates [2]Reason
	for i := range fates {
		before := r.counters(port)
		out := r.send(port, frame)
		after := r.counters(port)
		require.Equal(r.t, after.Dropped > before.Dropped, len(out) == 0, "%v", after)
		for reason, n := range after.Drops {
			if n > before.Drops[reason] {
				fates[i] = reason
			}
		}
	}
	require.Equal(r.t, fates[0], fates[1], "a known flow fares as the new one")
	return fates[0]
}

func TestACLs(t *testing.T) {
	const pass = ReasonUndecided
	udp := func(opts ...frames.IPOption) []byte {
		return frames.Build(frames.Ether(redVM1, redVM2), frames.IPv4("10.0.0.5", "10.0.0.6", opts...), frames.UDP(1, 53), frames.Payload(40))
	}
	for name, tc := range map[string]struct {
		rules map[string]string
		port  string
		frame []byte
		want  Reason
	}{
		"no rules":                       {nil, "red-vm1", vm1to2(1, 22), pass},
		"in: the port":                   {map[string]string{"red-vm2": denySSH}, "red-vm1", vm1to2(1, 22), ReasonACLDenyIn},
		"in: another port":               {map[string]string{"red-vm2": denySSH}, "red-vm1", vm1to2(1, 23), pass},
		"in: the port at the other end":  {map[string]string{"red-vm2": denySSH}, "red-vm1", vm1to2(22, 1), pass},
		"in: does not concern out":       {map[string]string{"red-vm1": denyAllIn}, "red-vm1", vm1to2(1, 22), pass},
		"in: another protocol":           {map[string]string{"red-vm2": denySSH}, "red-vm1", udp(), pass},
		"in: from the wire":              {map[string]string{"red-vm1": denySSH}, "up0", fromFar(tcpTo(redFar, redVM1, "10.0.0.7", "10.0.0.5", 1, 22)), ReasonACLDenyIn},
		"in: routed":                     {map[string]string{"red-db0": denySSH}, "red-vm1", tcpTo(redVM1, routerMAC, "10.0.0.5", "10.0.1.5", 1, 22), ReasonACLDenyIn},
		"in: routed, by the router":      {map[string]string{"red-db0": "{name: r, direction: in, action: deny, remoteMAC: '" + routerMAC + "'}"}, "red-vm1", tcpTo(redVM1, routerMAC, "10.0.0.5", "10.0.1.5", 1, 22), ReasonACLDenyIn},
		"in: by a route's next hop":      {map[string]string{"red-vm2": denySSH}, "red-vm1", tcpTo(redVM1, routerMAC, "10.0.0.5", "192.0.2.9", 1, 22), ReasonACLDenyIn},
		"in: IPv6":                       {map[string]string{"red-vm2": denySSH}, "red-vm1", tcpTo(redVM1, redVM2, red5, red6, 1, 22), ReasonACLDenyIn},
		"out: all":                       {map[string]string{"red-vm1": denyAllOut}, "red-vm1", vm1to2(1, 22), ReasonACLDenyOut},
		"out: to another host":           {map[string]string{"red-vm1": denyAllOut}, "red-vm1", toFar(1), ReasonACLDenyOut},
		"out: to the gateway":            {map[string]string{"red-vm1": denyAllOut}, "red-vm1", frames.Ping(redVM1, routerMAC, "10.0.0.5", "10.0.0.1", 1, 1), ReasonACLDenyOut},
		"out: does not concern in":       {map[string]string{"red-vm2": denyAllOut}, "red-vm1", vm1to2(1, 22), pass},
		"out: remote port":               {map[string]string{"red-vm1": "{name: r, direction: out, action: deny, protocol: tcp, remotePort: 20-25}"}, "red-vm1", vm1to2(1, 22), ReasonACLDenyOut},
		"out: remote port, beyond":       {map[string]string{"red-vm1": "{name: r, direction: out, action: deny, protocol: tcp, remotePort: 20-25}"}, "red-vm1", vm1to2(22, 26), pass},
		"out: local prefix":              {map[string]string{"red-vm1": "{name: r, direction: out, action: deny, local: 10.0.0.5/32}"}, "red-vm1", vm1to2(1, 22), ReasonACLDenyOut},
		"out: remote prefix":             {map[string]string{"red-vm1": "{name: r, direction: out, action: deny, remote: 10.0.0.0/29}"}, "red-vm1", vm1to2(1, 22), ReasonACLDenyOut},
		"out: other prefix":              {map[string]string{"red-vm1": "{name: r, direction: out, action: deny, remote: 10.0.0.8/29}"}, "red-vm1", vm1to2(1, 22), pass},
		"out: IPv6 prefix":               {map[string]string{"red-vm1": "{name: r, direction: out, action: deny, remote: '2001:db8:1::/64'}"}, "red-vm1", tcpTo(redVM1, redVM2, red5, red6, 1, 22), ReasonACLDenyOut},
		"out: IPv6 for IPv4":             {map[string]string{"red-vm1": "{name: r, direction: out, action: deny, remote: '::/0'}"}, "red-vm1", vm1to2(1, 22), pass},
		"out: MAC":                       {map[string]string{"red-vm1": "{name: r, direction: out, action: deny, remoteMAC: '" + redVM2 + "'}"}, "red-vm1", vm1to2(1, 22), ReasonACLDenyOut},
		"the weight goes before":         {map[string]string{"red-vm2": denyAllIn + ", {name: ssh, direction: in, action: allow, weight: 1, protocol: tcp, localPort: 22}"}, "red-vm1", vm1to2(1, 22), pass},
		"of equal weights the first":     {map[string]string{"red-vm2": denyAllIn + ", {name: ssh, direction: in, action: allow, protocol: tcp, localPort: 22}"}, "red-vm1", vm1to2(1, 22), ReasonACLDenyIn},
		"both":                           {map[string]string{"red-vm2": "{name: r, direction: both, action: deny, protocol: udp}"}, "red-vm1", udp(), ReasonACLDenyIn},
		"fragment: denied with ports":    {map[string]string{"red-vm2": "{name: r, direction: in, action: deny, protocol: udp, localPort: 99}"}, "red-vm1", udp(frames.Frag(64, true)), ReasonACLDenyIn},
		"first fragment: the same":       {map[string]string{"red-vm2": "{name: r, direction: in, action: deny, protocol: udp, localPort: 99}"}, "red-vm1", udp(frames.Frag(0, true)), ReasonACLDenyIn},
		"fragment: not allowed by ports": {map[string]string{"red-vm2": "{name: r, direction: in, action: allow, weight: 1, protocol: udp, localPort: 53}, " + denyAllIn}, "red-vm1", udp(frames.Frag(0, true)), ReasonACLDenyIn},
		"fragment: allowed without":      {map[string]string{"red-vm2": "{name: r, direction: in, action: allow, weight: 1, protocol: udp}, " + denyAllIn}, "red-vm1", udp(frames.Frag(64, false)), pass},
		"not IP, by EtherType":           {map[string]string{"red-vm1": "{name: r, direction: out, action: deny, etherType: 0x88b5}"}, "red-vm1", frames.Build(frames.EtherOf(redVM1, redVM2, 0x88b5), frames.Payload(50)), ReasonACLDenyOut},
		"not IP, for a rule of IP":       {map[string]string{"red-vm1": "{name: r, direction: out, action: deny, protocol: tcp}"}, "red-vm1", frames.Build(frames.EtherOf(redVM1, redVM2, 0x88b5), frames.Payload(50)), pass},
		"not IP, for a rule of all":      {map[string]string{"red-vm1": denyAllOut}, "red-vm1", frames.Build(frames.EtherOf(redVM1, redVM2, 0x88b5), frames.Payload(50)), ReasonACLDenyOut},
		"LLC, for a rule of IP":          {map[string]string{"acc1": "{name: r, direction: out, action: deny, protocol: tcp}"}, "acc1", frames.Build(frames.EtherOf(acc1MAC, wireMAC, 46), frames.Payload(46)), ReasonACLDenyOut},
		"LLC, for a rule that allows IP": {map[string]string{"acc1": "{name: r, direction: out, action: allow, weight: 1, protocol: tcp}, " + denyAllOut}, "acc1", frames.Build(frames.EtherOf(acc1MAC, wireMAC, 46), frames.Payload(46)), ReasonACLDenyOut},
		"LLC, for an EtherType":          {map[string]string{"acc1": "{name: r, direction: out, action: deny, etherType: 0x88b5}"}, "acc1", frames.Build(frames.EtherOf(acc1MAC, wireMAC, 46), frames.Payload(46)), pass},
		"SCTP":                           {map[string]string{"red-vm2": "{name: r, direction: in, action: deny, protocol: sctp, localPort: 36412, remotePort: 5}"}, "red-vm1", sctp(5, 36412), ReasonACLDenyIn},
		"SCTP, another port":             {map[string]string{"red-vm2": "{name: r, direction: in, action: deny, protocol: sctp, localPort: 36412, remotePort: 5}"}, "red-vm1", sctp(36412, 5), pass},
		"ICMP":                           {map[string]string{"red-vm2": "{name: r, direction: in, action: deny, protocol: icmp}"}, "red-vm1", frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1), ReasonACLDenyIn},
		"by number":                      {map[string]string{"red-vm2": "{name: r, direction: in, action: deny, protocol: 47}"}, "red-vm1", frames.Build(frames.Ether(redVM1, redVM2), frames.IPv4("10.0.0.5", "10.0.0.6", frames.Proto(47)), frames.Payload(30)), ReasonACLDenyIn},
		"access port, out":               {map[string]string{"acc1": denyAllOut}, "acc1", untagged(acc1MAC, wireMAC), ReasonACLDenyOut},
		"pass-through port, out":         {map[string]string{"thru": "{name: r, direction: out, action: deny, protocol: udp, remotePort: 2}"}, "thru", taggedWith(200, thruMAC, wireMAC), ReasonACLDenyOut},
		"nested tag, for a rule of IP":   {map[string]string{"thru": "{name: r, direction: out, action: deny, protocol: udp, remotePort: 99}"}, "thru", nested(thruMAC, wireMAC), ReasonACLDenyOut},
		"nested tag, by EtherType": {map[string]string{"thru": "{name: r, direction: out, action: deny, protocol: udp}, {name: q, direction: out, action: allow, weight: 1, etherType: 0x8100}"},
			"thru", nested(thruMAC, wireMAC), pass},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRigOf(t, 1, ruled(tc.rules))
			r.resolve4(tc.rules)
			require.Equal(t, tc.want, r.fate(tc.port, tc.frame))
			r.balanced()
		})
	}
}

// resolve4 resolves the next hop unless rules forbid the ping that it takes.
func (r *rig) resolve4(rules map[string]string) {
	if rules["red-vm1"] == "" {
		r.resolve()
	}
}

func sctp(sport, dport uint16) []byte {
	header := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, sport), dport)
	return frames.Build(frames.Ether(redVM1, redVM2), frames.IPv4("10.0.0.5", "10.0.0.6", frames.Proto(packet.ProtoSCTP)), frames.Bytes(append(header, make([]byte, 40)...)))
}

// TestRulesAllocateNothing: neither new flows nor flooded frames leave work to the collector.
func TestRulesAllocateNothing(t *testing.T) {
	r := newRigOf(t, 1, ruled(map[string]string{"red-vm1": rulesInVain("out", vain4, 9), "red-vm2": denySSH, "acc2": denyAllIn, "thru": denySSH}))
	w := r.sw.workers[0]
	r.send("red-vm1", vm1to2(1, 22))
	for _, d := range r.devs {
		d.SetSink(func(uint16, *packet.Packet) {})
	}
	least := func(f func()) float64 { // it counts the whole process: what other goroutines allocate is not in every run
		allocs := testing.AllocsPerRun(50, f)
		for range 4 {
			allocs = min(allocs, testing.AllocsPerRun(50, f))
		}
		return allocs
	}
	var decided, flooded float64
	w.do(func() {
		decided = least(func() { w.sw.decide(&w.fresh) })
		r.feed("acc1", [][]byte{untagged(acc1MAC, broadcast)})
		flooded = least(func() {
			w.poll()
			w.receive()
		})
		r.devs["acc1"].SetSource(0, nil)
		w.flush()
	})
	require.Zero(t, decided)
	require.Zero(t, flooded)
	require.Greater(t, r.counters("acc1").Drops[ReasonACLDenyIn], uint64(100))
	r.balanced()
}

// nested has a second tag behind that of VLAN 200.
func nested(src, dst string) []byte {
	return frames.Build(frames.Ether(src, dst), frames.VLAN(200, 0), frames.VLAN(7, 0), frames.IPv4("192.168.1.1", "192.168.1.2"), frames.UDP(1, 2), frames.Payload(30))
}

func TestACLOfLearnedTarget(t *testing.T) {
	r := newRigOf(t, 1, ruled(map[string]string{"acc2": "{name: r, direction: in, action: deny, protocol: udp, remotePort: 1}", "thru": denyAllIn}))
	r.send("acc2", untagged(acc2MAC, broadcast))
	r.learned(acc2MAC, "acc2")
	require.Equal(t, ReasonACLDenyIn, r.fate("acc1", untagged(acc1MAC, acc2MAC)))
	require.Equal(t, ReasonACLDenyIn, r.fate("up0", taggedWith(100, wireMAC, acc2MAC)))
	r.balanced()
}

// TestACLOfFloodedFrames: each target's rules hold, and a frame that one of them refuses reaches the others.
func TestACLOfFloodedFrames(t *testing.T) {
	r := newRigOf(t, 1, ruled(map[string]string{"acc2": denyAllIn}))
	for n := range uint64(2) {
		out := r.send("acc1", untagged(acc1MAC, broadcast))
		require.Len(t, out, 2)
		require.Len(t, out["up0"], 1)
		require.Len(t, out["thru"], 1)
		require.Equal(t, n+1, r.counters("acc1").Drops[ReasonACLDenyIn])
	}
	r.balanced()

	r.publish(r.parse(ruled(map[string]string{"thru": denyAllIn}))) // the last one, which gets the frame itself
	out := r.send("acc1", untagged(acc1MAC, broadcast))
	require.Len(t, out, 2)
	require.Len(t, out["acc2"], 1)
	r.balanced()

	r.publish(r.parse(ruled(map[string]string{"acc1": denyAllIn, "acc2": denyAllIn, "thru": denyAllIn})))
	require.Equal(t, ReasonACLDenyIn, r.fate("up0", taggedWith(100, wireMAC, broadcast)))
	arp := frames.Build(frames.Ether(wireMAC, broadcast), frames.VLAN(100, 0), frames.ARP(1, wireMAC, "192.168.1.1", "00:00:00:00:00:00", "192.168.1.2"))
	require.Len(t, r.send("up0", arp), 3, "ARP is not subject to rules without its EtherType")
	r.balanced()
}

func TestACLOfNeighbourDiscovery(t *testing.T) {
	arp := frames.ARPRequest(redVM1, "10.0.0.5", "10.0.0.6")
	nd := solicit(redVM1, red5, "ff02::1:ff00:6", "33:33:ff:00:00:06", red6)
	r := newRigOf(t, 1, ruled(map[string]string{"red-vm1": denyAllOut, "red-vm2": denyAllIn}))
	require.Len(t, r.send("red-vm1", arp)["red-vm2"], 1)
	require.Len(t, r.send("red-vm1", nd)["red-vm2"], 1)
	require.Len(t, r.send("red-vm1", frames.ARPRequest(redVM1, "10.0.0.5", "10.0.0.7"))["red-vm1"], 1, "the switch answers")

	for _, etherTypes := range []struct{ direction, port string }{{"out", "red-vm1"}, {"in", "red-vm2"}} {
		rule := "{name: a, direction: " + etherTypes.direction + ", action: deny, etherType: 0x0806}, {name: n, direction: " + etherTypes.direction + ", action: deny, etherType: 0x86dd}"
		r.publish(r.parse(ruled(map[string]string{etherTypes.port: rule})))
		want := map[string]Reason{"out": ReasonACLDenyOut, "in": ReasonACLDenyIn}[etherTypes.direction]
		r.dropped("red-vm1", arp, want)
		r.dropped("red-vm1", nd, want)
		r.dropped("red-vm1", tcpTo(redVM1, redVM2, red5, red6, 1, 22), want)
		require.Len(t, r.send("red-vm1", vm1to2(1, 22))["red-vm2"], 1)
	}
	r.balanced()
}

func TestChangedACLHoldsForKnownFlowsAtOnce(t *testing.T) {
	fromWire := fromFar(tcpTo(redFar, redVM2, "10.0.0.7", "10.0.0.6", 1, 22))
	routed := tcpTo(redDB0, routerMAC, "10.0.1.5", "10.0.0.6", 1, 22)
	byRoute := tcpTo(redVM1, routerMAC, "10.0.0.5", "192.0.2.9", 1, 22)
	other := toFar(1)
	r := newRig(t, 1)
	r.resolve()
	r.send("acc2", untagged(acc2MAC, broadcast))
	r.learned(acc2MAC, "acc2")
	all := map[string][][]byte{"red-vm1": {vm1to2(1, 22), byRoute}, "up0": {fromWire}, "red-db0": {routed}, "acc1": {untagged(acc1MAC, acc2MAC)}}
	r.send("red-vm1", other)
	for _, rules := range []map[string]string{nil, {"red-vm2": denySSH, "acc2": denyAllIn}, nil} {
		r.publish(r.parse(ruled(rules)))
		want := ReasonUndecided
		if rules != nil {
			want = ReasonACLDenyIn
		}
		for port, flows := range all {
			for _, f := range flows {
				require.Equal(t, want, r.fate(port, f), "from %s: %s", port, frames.Dump(f))
			}
		}
	}
	for _, rules := range []string{denyAllOut, "", strings.Replace(denyAllOut, "deny", "allow", 1)} {
		r.publish(r.parse(ruled(map[string]string{"red-vm1": rules})))
		require.Equal(t, rules == denyAllOut, r.fate("red-vm1", vm1to2(1, 22)) == ReasonACLDenyOut)
		require.Equal(t, rules == denyAllOut, r.fate("red-vm1", other) == ReasonACLDenyOut)
	}
	r.balanced()
}

// TestACLTouchesItsFlowsOnly: other ports' flows do not decide again, and a denied flow from the wire is a known one too.
func TestACLTouchesItsFlowsOnly(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	wire := fromFar(tcpTo(redFar, redVM2, "10.0.0.7", "10.0.0.6", 1, 22))
	elsewhere := tcpTo(redDB0, routerMAC, "10.0.1.5", "10.0.0.5", 1, 22)
	for range 2 {
		r.send("up0", wire)
		r.send("red-db0", elsewhere)
	}
	r.publish(r.parse(strings.Replace(ruled(map[string]string{"red-vm2": denySSH}), "nextHop: 10.0.0.6", "nextHop: 10.0.0.7", 1)))
	r.send("red-db0", elsewhere) // the route changed with it
	r.publish(r.parse(strings.Replace(ruled(map[string]string{"red-vm2": denyAllIn}), "nextHop: 10.0.0.6", "nextHop: 10.0.0.7", 1)))
	before := r.misses()
	r.send("red-db0", elsewhere)
	require.Equal(t, before, r.misses())
	r.dropped("up0", wire, ReasonACLDenyIn)
	require.Equal(t, before+1, r.misses())
	r.dropped("up0", wire, ReasonACLDenyIn)
	require.Equal(t, before+1, r.misses(), "the verdict is the flow's")
	r.balanced()
}

func TestExplainACL(t *testing.T) {
	r := newRigOf(t, 1, ruled(map[string]string{"red-vm1": "{name: web, direction: out, action: allow, protocol: tcp, remotePort: 80}", "red-vm2": denySSH + ", " + denyAllIn}))
	at := 1 + strings.Count(rigPolicy[:strings.Index(rigPolicy, "name: red-vm2")], "\n")
	hop, err := r.sw.NextHop(6001, packet.AddrFrom4(0x0a000005), packet.AddrFrom4(0x0a000006))
	require.NoError(t, err)
	require.Equal(t, "drop", hop.Verdict)
	require.Equal(t, ReasonACLDenyIn, hop.Reason)
	require.Equal(t, []string{
		"sender 10.0.0.5 is on this host",
		fmt.Sprintf("out: acl web of vport red-vm1 (line %d) allows tcp, remote port 80", at-1),
		"out: no other rule of vport red-vm1 matches, so the rest is allowed",
		"switched inside subnet red-web to 10.0.0.6 (00:15:5d:00:01:06)",
		fmt.Sprintf("in: acl ssh of vport red-vm2 (line %d) denies tcp, local port 22", at),
		fmt.Sprintf("in: acl all of vport red-vm2 (line %d) denies the rest", at),
		"dropped: acl-deny-in (a rule of the target's vport denies the packet)",
	}, hop.Steps)
	hop, err = r.sw.NextHop(6001, packet.AddrFrom4(0x0a000007), packet.AddrFrom4(0x0a000005))
	require.NoError(t, err)
	require.Equal(t, "local", hop.Verdict)
	require.Contains(t, hop.Steps, "in: no other rule of vport red-vm1 matches, so it is allowed")
}

// rulesInVain match nothing that the tests send, and are looked at to the last.
func rulesInVain(direction, prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{name: r%d, direction: %s, action: deny, protocol: udp, remote: '"+prefix+"', remotePort: 1-1000},", i, direction, i>>8, i&255)
	}
	return strings.TrimSuffix(b.String(), ",")
}

// BenchmarkNewFlow is the cost of a flow's set-up: all layers, without its place in the table.
func BenchmarkNewFlow(b *testing.B) {
	for _, n := range []int{0, 1, 100, 1000} {
		for name, tc := range map[string]struct {
			prefix string
			frame  []byte
		}{
			"encap":  {vain4, toFar(1)},
			"switch": {vain4, dataFrame(redVM1, redVM2, "10.0.0.5", "10.0.0.6")},
			"route":  {vain4, dataFrame(redVM1, routerMAC, "10.0.0.5", "10.0.0.6")},
			"IPv6":   {vain6, udp6(redVM1, redVM2, red5, red6)},
		} {
			b.Run(name+"-"+strconv.Itoa(n), func(b *testing.B) {
				r := newRigOf(b, 1, ruled(map[string]string{"red-vm1": rulesInVain("out", tc.prefix, n), "red-vm2": rulesInVain("in", tc.prefix, n)}))
				r.send("red-vm1", tc.frame)
				w := r.sw.workers[0]
				w.do(func() { // the worker's last packet is the one above
					for b.Loop() {
						w.sw.decide(&w.fresh)
					}
				})
			})
		}
	}
}

// BenchmarkKnownFlow: what known flows cost does not depend on the number of rules.
func BenchmarkKnownFlow(b *testing.B) {
	for _, n := range []int{0, 1, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			r := newRigOf(b, 1, ruled(map[string]string{"red-vm1": rulesInVain("out", vain4, n)}))
			r.resolve()
			for _, d := range r.devs {
				d.SetSink(func(uint16, *packet.Packet) {})
			}
			w := r.sw.workers[0]
			w.do(func() {
				r.feed("red-vm1", udpFlows(256))
				for range 256/packet.RxBurst + 1 {
					w.poll()
					w.receive()
				}
				b.ResetTimer()
				for n := 0; n < b.N; n += packet.RxBurst {
					w.poll()
					w.receive()
				}
				b.StopTimer()
				r.devs["red-vm1"].SetSource(0, nil)
				w.flush()
			})
		})
	}
}

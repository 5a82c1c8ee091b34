package dataplane

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
)

const rigClasses = `
classification:
  default: {dscp: clear, pcp: clear}
  rules:
    - {name: trusted, match: {vport: red-vm2}, trust: dscp}
    - {name: guests, match: {vport: thru, pcp: 6}, trust: pcp}
    - {name: voice, match: {protocol: udp, remotePort: 5060}, tc: 5, dscp: ef, pcp: 5}
    - {name: marked, match: {dscp: af21}, tc: 2}
    - {name: db, match: {vsid: 6002}, tc: 4, dscp: cs4}
    - {name: blue, match: {network: blue}, tc: 1, dscp: cs1}
    - {name: lldp, match: {etherType: 0x88b5}, tc: 7, pcp: 7}
  builtIn:
    - {name: iscsi, tc: 3, dscp: af31, pcp: 3}
    - {name: smb-direct, tc: 3, pcp: 4}
    - {name: live-migration, tc: 6}
  outer:
    - {tc: 3, dscp: cs3}
    - {tc: 6, dscp: cs6, pcp: 6}
`

// priorityTagged puts a tag of VLAN 0 into a frame.
func priorityTagged(pcp uint8, frame []byte) []byte {
	tag := []byte{0x81, 0, pcp << 5, 0}
	return append(append(append([]byte(nil), frame[:12]...), tag...), frame[12:]...)
}

func tcpOf(src, dst any, from, to string, sport, dport uint16, opts ...frames.IPOption) []byte {
	return frames.Build(frames.Ether(src, dst), frames.IPv4(from, to, opts...), frames.TCP(sport, dport), frames.Payload(20))
}

func dscpTOS(dscp uint8) frames.IPOption { return frames.TOS(dscp << 2) }

// What classification sets is on the wire, for the packet that makes a flow known and for the next.
func TestMarksOutOfVirtualSubnets(t *testing.T) {
	r := newRigOf(t, 1, rigPolicy+rigClasses)
	r.resolve()
	far := func(sport, dport uint16, opts ...frames.IPOption) []byte {
		return tcpOf(redVM1, redFar, "10.0.0.5", "10.0.0.7", sport, dport, opts...)
	}
	udp := func(opts ...frames.IPOption) []byte {
		return frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7", opts...), frames.UDP(9, 5060), frames.Payload(20))
	}
	v6 := func(tos uint8) []byte {
		return frames.Build(frames.Ether(redVM1, redFar), frames.IPv6("2001:db8:1::5", "2001:db8:1::7", frames.TOS(tos)), frames.UDP(9, 5060), frames.Payload(20))
	}
	routed := func(tos uint8, ttl uint8, src, dst any) []byte {
		return frames.Build(frames.Ether(src, dst), frames.IPv4("10.0.0.5", "10.0.1.7", frames.TOS(tos), frames.TTL(ttl)), frames.TCP(3260, 1), frames.Payload(9))
	}
	for _, tt := range []struct {
		name        string
		port        string
		sent, inner []byte
		outerDSCP   uint8
		pcp         int // -1: no tag
	}{
		{"no rule: cleared", "red-vm1", far(1, 2, frames.TOS(46<<2|2)), far(1, 2, frames.TOS(2)), 0, -1},
		{"nothing to clear", "red-vm1", far(1, 3, frames.TOS(1)), far(1, 3, frames.TOS(1)), 0, -1},
		{"built-in, by the destination port", "red-vm1", far(1, 3260), far(1, 3260, dscpTOS(26)), 24, 3},
		{"built-in, by the source port", "red-vm1", far(860, 1), far(860, 1, dscpTOS(26)), 24, 3},
		{"marked already", "red-vm1", far(861, 3260, dscpTOS(26)), far(861, 3260, dscpTOS(26)), 24, 3},
		{"outer marks of the class alone", "red-vm1", far(1, 6600, dscpTOS(9)), far(1, 6600, dscpTOS(9)), 48, 6},
		{"own rule", "red-vm1", udp(), udp(dscpTOS(46)), 46, 5},
		{"IPv6", "red-vm1", v6(1), v6(46<<2 | 1), 46, 5},
		{"IPv6, cleared mark", "red-vm1", v6(12<<2 | 3), v6(46<<2 | 3), 46, 5},
		{"the guest's tag gets lost", "red-vm1", priorityTagged(6, udp()), udp(dscpTOS(46)), 46, 5},
		{"its DSCP is asked for, and kept", "red-vm1", far(1, 4, dscpTOS(18)), far(1, 4, dscpTOS(18)), 18, -1},
		{"trusted", "red-vm2", tcpOf(redVM2, redFar, "10.0.0.6", "10.0.0.7", 1, 1, dscpTOS(48)), tcpOf(redVM2, redFar, "10.0.0.6", "10.0.0.7", 1, 1, dscpTOS(48)), 48, 6},
		{"network", "blue-vm1", tcpOf(blueVM1, blueFar, "10.0.0.5", "10.0.0.7", 1, 1), tcpOf(blueVM1, blueFar, "10.0.0.5", "10.0.0.7", 1, 1, dscpTOS(8)), 8, -1},
		{"VSID", "red-db0", tcpOf(redDB0, redDB1, "10.0.1.5", "10.0.1.7", 1, 1), tcpOf(redDB0, redDB1, "10.0.1.5", "10.0.1.7", 1, 1, dscpTOS(32)), 32, -1},
		{"routed", "red-vm1", routed(0, 9, redVM1, routerMAC), routed(26<<2, 8, routerMAC, redDB1), 24, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				out := r.send(tt.port, tt.sent)["up0"]
				require.Len(t, out, 1)
				frame := out[0]
				if tt.pcp >= 0 {
					require.Equal(t, []byte{0x81, 0, uint8(tt.pcp) << 5, 0}, frame[12:16], "a tag of VLAN 0")
					frame = append(append([]byte(nil), frame[:12]...), frame[16:]...)
				}
				tun := frames.Decap(t, frame)
				frames.Equal(t, tt.inner, tun.Inner)
				require.Equal(t, tt.outerDSCP, frame[15]>>2, "DSCP of the outer header")
				require.Equal(t, innerTOS(tt.inner)&3, frame[15]&3, "ECN is copied")
			}
		})
	}
	r.balanced()
}

func TestMarksOfBridgedFrames(t *testing.T) {
	r := newRigOf(t, 1, rigPolicy+rigClasses)
	r.send("up0", taggedWith(100, wireMAC, broadcast)) // learned
	r.send("up0", taggedWith(200, wireMAC, broadcast))
	r.send("up0", untagged(wireMAC, broadcast))
	r.send("acc2", untagged(acc2MAC, broadcast))
	r.idle()
	typed := func(etherType uint16, src string, tci ...byte) []byte {
		b := append(mac6(wireMAC), mac6(src)...)
		if len(tci) > 0 {
			b = append(b, 0x81, 0, tci[0], tci[1])
		}
		return append(append(b, byte(etherType>>8), byte(etherType)), make([]byte, 50)...)
	}
	for _, tt := range []struct {
		name       string
		port       string
		sent, want []byte
	}{
		{"VLAN and priority of a class, not of IP", "acc1", typed(0x8915, acc1MAC), typed(0x8915, acc1MAC, 4<<5, 100)},
		{"own rule, not of IP", "acc1", typed(0x88b5, acc1MAC), typed(0x88b5, acc1MAC, 7<<5, 100)},
		{"priority of the guest is cleared", "acc1", typed(0x1234, acc1MAC, 6<<5, 0), typed(0x1234, acc1MAC, 0, 100)},
		{"tagged by the guest, cleared", "thru", typed(0x1234, thruMAC, 5<<5, 200), typed(0x1234, thruMAC, 0, 200)},
		{"tagged by the guest, set", "thru", typed(0x88b5, thruMAC, 5<<5|0x10, 200), typed(0x88b5, thruMAC, 7<<5|0x10, 200)},
		{"tagged by the guest, trusted", "thru", typed(0x1234, thruMAC, 6<<5, 200), typed(0x1234, thruMAC, 6<<5, 200)},
		{"untagged gets a tag of VLAN 0", "thru", typed(0x88b5, thruMAC), typed(0x88b5, thruMAC, 7<<5, 0)},
		{"untagged without a priority stays so", "thru", typed(0x1234, thruMAC), typed(0x1234, thruMAC)},
		{"IP in a VLAN", "acc1", tcpOf(acc1MAC, wireMAC, "192.168.1.1", "192.168.1.2", 1, 3260),
			frames.Build(frames.Ether(acc1MAC, wireMAC), frames.VLAN(100, 3), frames.IPv4("192.168.1.1", "192.168.1.2", dscpTOS(26)), frames.TCP(1, 3260), frames.Payload(20))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				frames.EqualAll(t, [][]byte{tt.want}, r.send(tt.port, tt.sent)["up0"])
			}
		})
	}
	t.Run("flooded", func(t *testing.T) {
		iscsi := func(dst any, tos uint8, tag ...frames.Layer) []byte {
			stack := append([]frames.Layer{frames.Ether(acc1MAC, dst)}, tag...)
			return frames.Build(append(stack, frames.IPv4("192.168.1.1", "192.168.1.9", frames.TOS(tos)), frames.TCP(1, 3260), frames.Payload(20))...)
		}
		out := r.send("acc1", iscsi(broadcast, 0))
		frames.EqualAll(t, [][]byte{iscsi(broadcast, 26<<2, frames.VLAN(100, 3))}, out["up0"])
		frames.EqualAll(t, [][]byte{iscsi(broadcast, 26<<2)}, out["acc2"])
		frames.EqualAll(t, [][]byte{iscsi(broadcast, 26<<2, frames.VLAN(100, 0))}, out["thru"], "priorities are for the uplink")
		frames.EqualAll(t, [][]byte{iscsi(acc2MAC, 26<<2)}, r.send("acc1", iscsi(acc2MAC, 0))["acc2"], "the DSCP is set between local vports too")
	})
	r.balanced()
}

func innerTOS(frame []byte) uint8 {
	if frame[12] == 0x86 {
		return frame[14]<<4 | frame[15]>>4
	}
	return frame[15]
}

func mac6(s string) []byte {
	m, err := packet.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m[:]
}

// What comes from the fabric keeps its marks, and without classification everything does.
func TestMarksThatStay(t *testing.T) {
	r := newRigOf(t, 1, rigPolicy+rigClasses)
	r.resolve()
	back := tcpOf(redFar, redVM1, "10.0.0.7", "10.0.0.5", 3260, 1, dscpTOS(12))
	frames.EqualAll(t, [][]byte{back}, r.send("up0", fromFar(back))["red-vm1"])
	sent := tcpOf(redVM1, redFar, "10.0.0.5", "10.0.0.7", 1, 3260, dscpTOS(12))
	require.EqualValues(t, 3<<5, r.send("red-vm1", sent)["up0"][0][14])
	r.publish(r.parse(rigPolicy))
	out := r.send("red-vm1", sent)["up0"]
	frames.Equal(t, sent, frames.Decap(t, out[0]).Inner, "the known flow decides again")
	require.EqualValues(t, 12, out[0][15]>>2)
	r.balanced()
}

// Fragments have no ports: all of a datagram are of one class.
func TestClassOfFragments(t *testing.T) {
	r := newRigOf(t, 1, rigPolicy+rigClasses)
	r.resolve()
	whole := frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7", dscpTOS(10)), frames.UDP(1, 5060), frames.Payload(900))
	for _, f := range frames.FragmentIPv4(whole, 400) {
		require.Zero(t, r.send("red-vm1", f)["up0"][0][15]>>2)
	}
	r.balanced()
}

func TestMarksInSegmentsAndWithoutHeadroom(t *testing.T) {
	r := newRigOf(t, 1, rigPolicy+rigClasses)
	r.resolve()
	sent := tcpOf(redVM1, redFar, "10.0.0.5", "10.0.0.7", 1, 3260)
	want := r.send("red-vm1", sent)["up0"]
	frames.EqualAll(t, want, r.send("red-vm1", sent, memport.Split(60))["up0"])
	frames.EqualAll(t, want, r.send("red-vm1", sent, memport.Headroom(outerLen+4))["up0"])
	r.dropped("red-vm1", sent, ReasonNoHeadroom, memport.Headroom(outerLen))
	r.dropped("red-vm1", vm1to2(1, 3260), ReasonNotWritable, memport.Shared())
	r.balanced()
}

// Packets that wait for a next hop leave with their marks.
func TestMarksOfHeldPackets(t *testing.T) {
	r := newRigOf(t, 1, rigPolicy+rigClasses)
	sent := tcpOf(redVM1, redFar, "10.0.0.5", "10.0.0.7", 1, 3260)
	r.send("red-vm1", sent)
	out := r.send("up0", frames.ARPReply(hostBMAC, hostBPA, uplinkMAC, hostAPA))["up0"]
	require.Len(t, out, 1)
	require.Equal(t, mac6(hostBMAC), out[0][:6])
	require.Equal(t, []byte{0x81, 0, 3 << 5, 0}, out[0][12:16])
	frames.Equal(t, tcpOf(redVM1, redFar, "10.0.0.5", "10.0.0.7", 1, 3260, dscpTOS(26)),
		frames.Decap(t, append(append([]byte(nil), out[0][:12]...), out[0][16:]...)).Inner)
	r.balanced()
}

func TestNextHopExplainsClasses(t *testing.T) {
	r := newRigOf(t, 1, rigPolicy+rigClasses)
	from, to := packet.AddrFrom4(0x0a000005), packet.AddrFrom4(0x0a000007)
	hop, err := r.sw.NextHop(6001, from, to)
	require.NoError(t, err)
	steps := strings.Join(hop.Steps, "\n")
	require.Contains(t, steps, "classification: rule voice (line ")
	require.Contains(t, steps, "puts udp, remote port 5060 into class 5, DSCP 46, priority 5")
	require.Contains(t, steps, "classification: built-in iscsi puts tcp, port 3260 into class 3, DSCP 26, priority 3")
	require.Contains(t, steps, "classification: no other rule matches, so the rest is of class 0, DSCP 0, priority 0")
	require.NotContains(t, steps, "trusted", "another vport's")
}

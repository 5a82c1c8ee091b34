package dataplane

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// queueOf is the output and the queue that the layers give a frame, as the action's row says it.
func (r *rig) queueOf(port string, frame []byte) (out uint32, class, dest uint8) {
	r.t.Helper()
	var m packet.Parsed
	packet.Parse(frame, len(frame), 0, &m)
	require.Equal(r.t, packet.ParseOK, m.Err)
	f := &newFlow{in: r.index.byName[port], meta: &m, srcMAC: m.SrcMAC(), dstMAC: m.DstMAC()}
	if m.Kind == packet.L3IPv4 {
		ip := packet.IPv4(frame[m.L3:])
		f.src, f.dst = packet.AddrFrom4(ip.Src()), packet.AddrFrom4(ip.Dst())
	}
	_, stable := r.sw.decide(f)
	require.True(r.t, stable)
	a := &f.act
	require.NotEqual(r.t, actDrop, a.kind)
	return a.out, uint8(a.queue) & queueClassMask, uint8(a.queue >> queueDestShift)
}

// Policy says in which queue of which output a flow is; outputs without a scheduler have one queue.
func TestQueuesByPolicy(t *testing.T) {
	yaml := strings.Replace(rigPolicy, "gateway: 172.16.1.254}", `gateway: 172.16.1.254, qos: {rate: 10Gbit, classes: [{tc: 0, name: rest, share: 50%}, {tc: 3, name: storage, share: 50%}]}}`, 1)
	yaml = strings.Replace(yaml, `addresses: [10.0.0.5, "2001:db8:1::5"]}`, `addresses: [10.0.0.5, "2001:db8:1::5"],
     qos: {destinations: [{name: inside, prefixes: [10.0.0.0/8]}, {name: one, prefixes: [10.0.0.7/32], max: 1Gbit}]}}`, 1)
	yaml = strings.Replace(yaml, "subnet: red-db, addresses: [10.0.1.5]", "qos: {inbound: {max: 1Gbit}}, subnet: red-db, addresses: [10.0.1.5]", 1)
	classes := "classification: {builtIn: [{name: iscsi, tc: 3}], rules: [{name: r, match: {vport: red-vm2}, trust: dscp}]}\n"
	r := newRigOf(t, 1, yaml+classes)
	up0, db0 := r.index.byName["up0"], r.index.byName["red-db0"]
	far := func(to, mac string, port uint16) []byte { return tcpOf(redVM1, mac, "10.0.0.5", to, 1, port) }
	for _, tt := range []struct {
		name        string
		port        string
		frame       []byte
		out         uint32
		class, dest uint8
	}{
		{"longest prefix", "red-vm1", far("10.0.0.7", redFar, 80), up0, 0, 2},
		{"another destination, another class", "red-vm1", far("10.0.0.8", "00:15:5d:00:01:08", 3260), up0, 3, 1},
		{"no destinations", "blue-vm1", tcpOf(blueVM1, blueFar, "10.0.0.5", "10.0.0.7", 1, 3260), up0, 3, 0},
		{"a class without an owner goes with the default", "red-vm2", tcpOf(redVM2, redFar, "10.0.0.6", "10.0.0.7", 1, 1, dscpTOS(46)), up0, 0, 0},
		{"local, without a scheduler", "red-vm1", vm1to2(1, 3260), r.index.byName["red-vm2"], 0, 0},
		{"towards a limited VM, one class", "red-vm1", tcpOf(redVM1, routerMAC, "10.0.0.5", "10.0.1.5", 1, 3260), db0, 0, 0},
		{"flooded: that of the uplink", "acc1", tcpOf(acc1MAC, broadcast, "192.168.1.1", "192.168.1.2", 1, 860), policy.BridgeID(up0, 100), 3, 0},
	} {
		out, class, dest := r.queueOf(tt.port, tt.frame)
		require.Equal(t, []any{tt.out, tt.class, tt.dest}, []any{out, class, dest}, tt.name)
	}
	r.publish(r.parse(rigPolicy + classes))
	_, class, dest := r.queueOf("red-vm1", far("10.0.0.7", redFar, 3260))
	require.Zero(t, class+dest, "without qos")
}

package policy

import (
	"hash/fnv"
	"time"

	"github.com/sluicenet/sluice/packet"
)

// Default is the value of a key that the file leaves out.
type Default struct {
	Key   string // as a path: "vports.mtu" is the mtu of each vport
	Value string // as one would write it in the file; empty when it is not a fixed one
	Note  string
}

// Defaults lists every key that has a default. It is the documentation of them, and a test compares it with what Parse
// fills in.
var Defaults = []Default{
	{"daemon.socket", "/run/sluice/sluiced.sock", "control socket"},
	{"daemon.metrics", "127.0.0.1:9464", "metrics endpoint, or off"},
	{"daemon.logLevel", "info", "debug, info, warn or error"},
	{"daemon.logFormat", "text", "text or json"},
	{"dataplane.workers", "auto", "one per core of dataplane.cores, else as many as suit the machine"},
	{"dataplane.cores", "", "chosen by the daemon"},
	{"dataplane.hugepages", "auto", "used when the kernel has some free"},
	{"dataplane.idle.mode", "adaptive", "workers without packets back off and sleep, or poll on (busy)"},
	{"dataplane.idle.spin", "50us", "polling after the last packet, before the first sleep"},
	{"dataplane.idle.maxSleep", "500us", "longest sleep while a device cannot wake the worker"},
	{"dataplane.flowIdle", "60s", "a flow without packets is forgotten after this"},
	{"dataplane.macAge", "300s", "a learned MAC is forgotten after this"},
	{"dataplane.flowsPerQueue", "1048576", "bound of each flow table, a power of two"},
	{"dataplane.slowPathShare", "5%", "of a worker for new flows and other slow work, while known flows wait"},
	{"dataplane.routerMAC", "02:15:5d:00:00:01", "of the subnets' gateways; the same on every host"},
	{"dataplane.vmq.upper", "80%", "a worker busier than this is relieved of receive queues"},
	{"dataplane.vmq.lower", "50%", "workers are emptied while those that stay remain below this; off: never"},
	{"dataplane.vmq.minGain", "2%", "of a worker; a move that relieves by less is not worth it"},
	{"dataplane.vmq.interval", "250ms", "between two rounds of decisions"},
	{"dataplane.vmq.moves", "8", "most in one interval"},
	{"dataplane.vmq.residence", "5s", "a queue that has moved stays for this long"},
	{"dataplane.vmq.calm", "10s", "for how long fewer workers must have been enough"},
	{"uplinks.queues", "1", "receive queues"},
	{"uplinks.vmq.mode", "dynamic", "dynamic, static or off: what is decided for its receive queues"},
	{"uplinks.vmq.workers", "", "where the queues began; with mode static only"},
	{"uplinks.mtu", "", "the device's own"},
	{"uplinks.qos.rate", "", "what the device says"},
	{"uplinks.qos.hardware", "auto", "auto, off or required: whether the device schedules by itself"},
	{"uplinks.qos.default.minWeight", "10", "of all vports together that have no share of their own, and of the host"},
	{"uplinks.qos.classes.strict", "false", "the class goes before those with a share"},
	{"uplinks.qos.classes.pfc", "false", "the device pauses the class's priority, and is paused"},
	{"uplinks.qos.classes.queue", "256KiB", "bound of each vport's queue"},
	{"uplinks.qos.classes.ecn.from", "64KiB", "depth from which packets are marked"},
	{"uplinks.qos.classes.ecn.full", "", "that of from: all are marked"},
	{"vports.device.interface", "", "the vport's name"},
	{"vports.device.persist", "true", "the VM keeps its interface while the daemon restarts"},
	{"vports.queues", "1", "queue pairs"},
	{"vports.vmq.mode", "dynamic", "as for uplinks.vmq"},
	{"vports.vmq.workers", "", "as for uplinks.vmq"},
	{"vports.mtu", "1500", "largest IP packet that the VM sends"},
	{"vports.acls.weight", "0", "the highest weight that matches decides"},
	{"vports.acls.protocol", "any", "tcp, udp, sctp, icmp, icmpv6, esp, a number or any"},
	{"aclLists.rules.weight", "0", "as for vports.acls"},
	{"aclLists.rules.protocol", "any", "as for vports.acls"},
	{"vports.qos.minWeight", "", "10 for a vport that has a max or destinations, or is in a group"},
	{"vports.qos.burst", "", "5 ms of max, at least 64KiB"},
	{"qosGroups.minWeight", "10", "of the group among its likes"},
	{"networks.qos.minWeight", "", "as for qosGroups, when the network has a max"},
	{"classification.default.tc", "0", "of packets that nothing else decides"},
	{"classification.default.dscp", "keep", "keep, clear, a number or a name"},
	{"classification.default.pcp", "keep", "keep, clear or a priority"},
	{"classification.rules.dscp", "keep", "as for classification.default"},
	{"classification.rules.pcp", "keep", "as for classification.default"},
	{"classification.rules.match.protocol", "any", "as for vports.acls"},
	{"classification.builtIn.dscp", "keep", "as for classification.default"},
	{"classification.builtIn.pcp", "keep", "as for classification.default"},
	{"networks.rdid", "", "derived from the network's name, the same on every host"},
	{"networks.subnets.method", "nvgre", "how packets cross the fabric"},
	{"records.method", "", "that of the subnet"},
	{"networks.routes.metric", "0", "of equal prefixes the lowest metric wins"},
}

const defaultVportMTU = 1500

var defaultRouterMAC = packet.MAC{0x02, 0x15, 0x5d, 0x00, 0x00, 0x01}

// setDefaults fills in what the file leaves out. What the file gives stays, also when it is wrong.
func (c *Config) setDefaults() {
	setDefault(&c.Daemon.source, "socket", &c.Daemon.Socket, "/run/sluice/sluiced.sock")
	setDefault(&c.Daemon.source, "metrics", &c.Daemon.Metrics, "127.0.0.1:9464")
	setDefault(&c.Daemon.source, "logLevel", &c.Daemon.LogLevel, "info")
	setDefault(&c.Daemon.source, "logFormat", &c.Daemon.LogFormat, "text")
	d := &c.Dataplane
	setDefault(&d.source, "hugepages", &d.Hugepages, "auto")
	setDefault(&d.Idle.source, "mode", &d.Idle.Mode, IdleAdaptive)
	setDefault(&d.Idle.source, "spin", &d.Idle.Spin, 50*time.Microsecond)
	setDefault(&d.Idle.source, "maxSleep", &d.Idle.MaxSleep, 500*time.Microsecond)
	setDefault(&d.source, "flowIdle", &d.FlowIdle, 60*time.Second)
	setDefault(&d.source, "macAge", &d.MACAge, 300*time.Second)
	setDefault(&d.source, "flowsPerQueue", &d.FlowsPerQueue, 1<<20)
	setDefault(&d.source, "slowPathShare", &d.SlowPathShare, 5)
	setDefault(&d.source, "routerMAC", &d.RouterMAC, defaultRouterMAC)
	d.VMQ.setDefaults(&d.source)
	for i := range c.Uplinks {
		setDefault(&c.Uplinks[i].source, "queues", &c.Uplinks[i].Queues, 1)
		setDefault(&c.Uplinks[i].QoS.source, "hardware", &c.Uplinks[i].QoS.Hardware, HardwareAuto)
		setVMQDefaults(&c.Uplinks[i].source, &c.Uplinks[i].VMQ)
		c.Uplinks[i].QoS.setDefaults()
	}
	for i := range c.Vports {
		v := &c.Vports[i]
		setDefault(&v.source, "device.interface", &v.Device.Interface, v.Name)
		setDefault(&v.source, "device.persist", &v.Device.Persist, true)
		setDefault(&v.source, "queues", &v.Queues, 1)
		setVMQDefaults(&v.source, &v.VMQ)
		setDefault(&v.source, "mtu", &v.MTU, defaultVportMTU)
		setACLDefaults(v.ACLs)
	}
	for i := range c.ACLLists {
		setACLDefaults(c.ACLLists[i].Rules)
	}
	for i := range c.Classification.Rules {
		m := &c.Classification.Rules[i].Match
		setDefault(&m.source, "protocol", &m.Protocol, ProtocolAny)
	}
	for i := range c.Networks {
		n := &c.Networks[i]
		setDefault(&n.source, "rdid", &n.RDID, derivedRDID(n.Name))
		for j := range n.Subnets {
			setDefault(&n.Subnets[j].source, "method", &n.Subnets[j].Method, MethodNVGRE)
		}
	}
}

// Defaults of classes.
const (
	defaultQueueBytes = 256 << 10
	defaultMarkBytes  = 64 << 10
	defaultMinWeight  = 10
)

func (q *LinkQoSConfig) setDefaults() {
	for i := range q.Classes {
		c := &q.Classes[i]
		setDefault(&c.source, "queue", &c.QueueBytes, defaultQueueBytes)
		setDefault(&c.source, "ecn", &c.MarkBytes, min(defaultMarkBytes, c.QueueBytes/2))
		if !c.has("ecn.full") {
			c.MarkFullBytes = c.MarkBytes
		}
	}
}

func setACLDefaults(rules []ACLConfig) {
	for i := range rules {
		setDefault(&rules[i].source, "protocol", &rules[i].Protocol, ProtocolAny)
	}
}

func setDefault[T any](s *source, key string, dst *T, value T) {
	if !s.has(key) {
		*dst = value
	}
}

// minDerivedRDID parts the routing domain ids that files give from those that are derived, so that the two never meet.
const minDerivedRDID = 1 << 31

// derivedRDID is the routing domain id of a network that gives none: from its name, so that all hosts agree.
func derivedRDID(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32() | minDerivedRDID
}

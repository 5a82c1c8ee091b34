// Package metrics exports what an agent knows to Prometheus. docs/METRICS.md lists every name.
package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/agent/balance"
	"github.com/sluicenet/sluice/agent/control"
	"github.com/sluicenet/sluice/dataplane"
)

// family is one exported name. All descriptions live in one list, so that the documentation can be held against it.
type family struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	name   string
	help   string
	labels []string
}

var families []*family

func define(kind prometheus.ValueType, name, help string, labels ...string) *family {
	f := &family{prometheus.NewDesc(name, help, labels, nil), kind, name, help, labels}
	families = append(families, f)
	return f
}

func counter(name, help string, labels ...string) *family {
	return define(prometheus.CounterValue, name, help, labels...)
}

func gauge(name, help string, labels ...string) *family {
	return define(prometheus.GaugeValue, name, help, labels...)
}

// Ports. received + created = sent + consumed + dropped + queued, charged to the port that a packet came in by.
var (
	portReceived      = counter("sluice_port_received_packets_total", "Packets that the port received.", "port", "kind")
	portReceivedBytes = counter("sluice_port_received_bytes_total", "Bytes that the port received.", "port", "kind")
	portCreated       = counter("sluice_port_created_packets_total", "Packets that the switch made because of a packet of this port: answers, copies, ARP requests.", "port", "kind")
	portSent          = counter("sluice_port_sent_packets_total", "Packets of this port that an output device accepted.", "port", "kind")
	portConsumed      = counter("sluice_port_consumed_packets_total", "Packets of this port that were for the switch itself.", "port", "kind")
	portDropped       = counter("sluice_port_dropped_packets_total", "Packets of this port that were not delivered, by reason.", "port", "kind", "reason")
	portQueued        = gauge("sluice_port_queued_packets", "Packets of this port that wait for a next hop, or for a scheduler, now.", "port", "kind")
	portDelivered     = counter("sluice_port_delivered_packets_total", "Packets that the port's device accepted, whoever sent them.", "port", "kind")
	portDeliveredB    = counter("sluice_port_delivered_bytes_total", "Bytes that the port's device accepted, whoever sent them.", "port", "kind")
)

// Devices: what the NIC or the tap counts itself.
var (
	deviceUp         = gauge("sluice_device_link_up", "1 when the device has a link.", "port", "kind")
	deviceSpeed      = gauge("sluice_device_link_speed_bytes_per_second", "Speed of the link; absent when the device does not know it.", "port", "kind")
	deviceReceived   = counter("sluice_device_received_packets_total", "Packets that the device received.", "port", "kind")
	deviceReceivedB  = counter("sluice_device_received_bytes_total", "Bytes that the device received.", "port", "kind")
	deviceMissed     = counter("sluice_device_missed_packets_total", "Packets that the device dropped because its receive queue was full.", "port", "kind")
	deviceRxErrors   = counter("sluice_device_receive_errors_total", "Packets that the device received damaged.", "port", "kind")
	deviceNoBuffers  = counter("sluice_device_no_buffer_packets_total", "Packets that were not received because the packet pool was empty.", "port", "kind")
	deviceSent       = counter("sluice_device_transmitted_packets_total", "Packets that the device sent.", "port", "kind")
	deviceSentB      = counter("sluice_device_transmitted_bytes_total", "Bytes that the device sent.", "port", "kind")
	deviceTxErrors   = counter("sluice_device_transmit_errors_total", "Packets that the device failed to send.", "port", "kind")
	deviceUnreadable = gauge("sluice_device_statistics_unavailable", "1 when the device's own counters cannot be read.", "port", "kind")
)

// Workers and their flow tables.
var (
	workerIterations = counter("sluice_worker_iterations_total", "Rounds of the worker's loop.", "worker", "core")
	workerBusyRounds = counter("sluice_worker_busy_iterations_total", "Rounds of the worker's loop that received something.", "worker", "core")
	workerAge        = gauge("sluice_worker_report_age_seconds", "Time since the worker told its numbers: 10 ms, unless it hangs.", "worker", "core")
	workerSamples    = counter("sluice_worker_sampled_iterations_total", "Rounds whose stages were measured.", "worker", "core")
	workerStage      = counter("sluice_worker_stage_cycles_total", "Cycles of the time stamp counter spent in a stage, estimated from the rounds that were measured.", "worker", "core", "stage")
	workerPackets    = counter("sluice_worker_packets_total", "Packets that the worker received.", "worker", "core")
	workerBusy       = counter("sluice_worker_busy_cycles_total", "Cycles of the time stamp counter spent in rounds that had packets.", "worker", "core")
	workerIdle       = counter("sluice_worker_idle_cycles_total", "Cycles of the time stamp counter spent in rounds without packets.", "worker", "core")
	workerFlows      = gauge("sluice_worker_flows", "Flows in the tables of the worker's queues.", "worker", "core")
	workerLost       = counter("sluice_worker_learn_events_lost_total", "Addresses that were not learned at once because the way to the control side was full.", "worker", "core")
	workerFaults     = counter("sluice_worker_faults_total", "Times that the worker failed by a mistake in sluiced, and others took its queues over.", "worker", "core")
	queuePackets     = counter("sluice_queue_packets_total", "Packets received by a queue.", "port", "queue", "worker")
	queueBursts      = counter("sluice_queue_bursts_total", "Bursts that they came in, of 64 packets at most.", "port", "queue", "worker")
	queueFlows       = gauge("sluice_queue_flows", "Flows in the tables of a receive queue.", "port", "queue", "worker")
	queueSlots       = gauge("sluice_queue_flow_slots", "Places in the tables of a receive queue as they stand; they grow.", "port", "queue", "worker")
	queueActions     = gauge("sluice_queue_actions", "Different fates of the flows of a receive queue.", "port", "queue", "worker")
	queueHits        = counter("sluice_queue_flow_hits_total", "Packets of known flows.", "port", "queue", "worker")
	queueMisses      = counter("sluice_queue_flow_misses_total", "Packets that had to be decided.", "port", "queue", "worker")
	queueInserted    = counter("sluice_queue_flows_inserted_total", "New flows that found a place in the tables.", "port", "queue", "worker")
	queueEvictions   = counter("sluice_queue_flow_evictions_total", "Flows that made place for others.", "port", "queue", "worker")
	queueExpired     = counter("sluice_queue_flows_expired_total", "Flows that were forgotten because they saw no packet.", "port", "queue", "worker")
	queueRefused     = counter("sluice_queue_flows_refused_total", "Flows that found no place; their packets are decided one by one.", "port", "queue", "worker")
	queueStage       = counter("sluice_queue_stage_cycles_total", "Cycles of the time stamp counter spent in a stage, estimated from the bursts that were measured.", "port", "queue", "worker", "stage")
)

// Dynamic VMQ. Shares are of a worker's time, between the last two samples of the balancer.
var (
	workerLoad  = gauge("sluice_worker_load_ratio", "Share of the worker's time that was busy, 0 to 1; absent when the worker has told nothing new.", "worker", "core")
	queueBusy   = counter("sluice_queue_busy_cycles_total", "Cycles of the time stamp counter that a queue's packets took.", "port", "queue", "worker")
	queueEvents = counter("sluice_queue_decisions_total", "Decisions for receive queues that were carried out, by what was done and why.", "kind", "cause")
	queueFailed = counter("sluice_queue_decisions_failed_total", "Decisions for receive queues that could not be carried out; the queue stayed as it was.", "kind", "cause")
)

// Schedulers of outputs with quality of service: queues that ever had a packet. Bytes are those on the wire. The vport is
// empty for the default flow, the destination for all that goes to no destination class.
var (
	qosRate     = gauge("sluice_qos_rate_bytes_per_second", "Rate of the output: of the link, or a VM's inbound maximum; absent when it is not known.", "port")
	qosSent     = counter("sluice_qos_sent_packets_total", "Packets that left a queue for the device.", "port", "tc", "vport", "destination")
	qosSentB    = counter("sluice_qos_sent_bytes_total", "Bytes on the wire that left a queue for the device.", "port", "tc", "vport", "destination")
	qosWaiting  = gauge("sluice_qos_queued_packets", "Packets that wait in a queue now.", "port", "tc", "vport", "destination")
	qosWaitingB = gauge("sluice_qos_queued_bytes", "Bytes on the wire that wait in a queue now.", "port", "tc", "vport", "destination")
	qosDropped  = counter("sluice_qos_dropped_packets_total", "Packets dropped because the queue was full.", "port", "tc", "vport", "destination")
	qosECT      = counter("sluice_qos_ect_packets_total", "Packets queued in a class that marks, whose transport understands marks (ECT).", "port", "tc", "vport", "destination")
	qosMarked   = counter("sluice_qos_marked_packets_total", "Packets marked with congestion experienced.", "port", "tc", "vport", "destination")
)

// The switch's knowledge, the configuration and the program.
var (
	neighbours  = gauge("sluice_neighbours", "Next hops in the fabric, by what ARP knows of them.", "uplink", "state")
	learned     = gauge("sluice_learned_macs", "Ethernet addresses learned on networks that are not virtualised.", "bridge")
	ports       = gauge("sluice_ports", "Ports of the switch.", "kind")
	ready       = gauge("sluice_ready", "1 when all uplinks are there and every worker makes progress.")
	revision    = gauge("sluice_config_revision", "Number of the running configuration; the one read at start is 1.")
	appliedAt   = gauge("sluice_config_applied_timestamp_seconds", "When the running configuration was applied, Unix time.")
	lastApply   = gauge("sluice_config_last_apply_success", "1 when the last configuration given was applied, 0 when it was refused.")
	lastApplyAt = gauge("sluice_config_last_apply_timestamp_seconds", "When the last configuration was given, Unix time.")
	buildInfo   = gauge("sluice_build_info", "1; the labels say which build runs.", "version", "commit", "go_version", "dpdk_version")
)

// Collector reads the agent at every scrape.
type Collector struct {
	agent *agent.Agent
	build control.Build
}

// NewRegistry makes a registry with the agent, the Go runtime and the process.
func NewRegistry(a *agent.Agent, b control.Build) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(&Collector{a, b}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range families {
		ch <- f.desc
	}
}

// out is one scrape under way.
type out chan<- prometheus.Metric

func (o out) put(f *family, v float64, labels ...string) {
	o <- prometheus.MustNewConstMetric(f.desc, f.kind, v, labels...)
}

func (o out) count(f *family, v uint64, labels ...string) { o.put(f, float64(v), labels...) }

func (o out) flag(f *family, v bool, labels ...string) {
	if v {
		o.put(f, 1, labels...)
	} else {
		o.put(f, 0, labels...)
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	o := out(ch)
	o.put(buildInfo, 1, c.build.Version, c.build.Commit, c.build.Go, c.build.DPDK)
	o.flag(ready, c.agent.Ready() == nil)
	if last := c.agent.LastAttempt(); last != nil {
		o.flag(lastApply, last.Err == nil)
		o.put(lastApplyAt, float64(last.At.UnixNano())/1e9)
	}
	r, all := c.agent.Ports()
	if r == nil {
		return
	}
	o.count(revision, r.Revision)
	o.put(appliedAt, float64(r.Applied.UnixNano())/1e9)
	kinds := map[string]int{"uplink": 0, "vport": 0}
	for i := range all {
		p := &all[i]
		kind := "vport"
		if p.Uplink != nil {
			kind = "uplink"
		}
		kinds[kind]++
		collectPort(o, p, kind)
		collectDevice(o, p, kind)
	}
	for kind, n := range kinds {
		o.put(ports, float64(n), kind)
	}
	collectWorkers(o, r, c.agent.Switch().Workers())
	collectBalancer(o, c.agent.Balancer())
	for _, st := range c.agent.Switch().Schedulers() {
		collectScheduler(o, r, &st)
	}
	c.collectKnowledge(o, r)
}

func collectPort(o out, p *agent.PortStatus, kind string) {
	k := &p.Counters
	o.count(portReceived, k.RxPackets, p.Name, kind)
	o.count(portReceivedBytes, k.RxBytes, p.Name, kind)
	o.count(portCreated, k.Created, p.Name, kind)
	o.count(portSent, k.Sent, p.Name, kind)
	o.count(portConsumed, k.Consumed, p.Name, kind)
	o.count(portQueued, k.Queued, p.Name, kind)
	o.count(portDelivered, k.TxPackets, p.Name, kind)
	o.count(portDeliveredB, k.TxBytes, p.Name, kind)
	for reason, n := range k.Drops {
		o.count(portDropped, n, p.Name, kind, reason.String())
	}
}

func collectDevice(o out, p *agent.PortStatus, kind string) {
	o.flag(deviceUp, p.LinkUp, p.Name, kind)
	if p.SpeedMbit > 0 {
		o.put(deviceSpeed, float64(p.SpeedMbit)*1e6/8, p.Name, kind)
	}
	o.flag(deviceUnreadable, p.StatsErr != nil, p.Name, kind)
	if p.StatsErr != nil {
		return
	}
	s := &p.Stats
	o.count(deviceReceived, s.RxPackets, p.Name, kind)
	o.count(deviceReceivedB, s.RxBytes, p.Name, kind)
	o.count(deviceMissed, s.RxMissed, p.Name, kind)
	o.count(deviceRxErrors, s.RxErrors, p.Name, kind)
	o.count(deviceNoBuffers, s.RxNoMbuf, p.Name, kind)
	o.count(deviceSent, s.TxPackets, p.Name, kind)
	o.count(deviceSentB, s.TxBytes, p.Name, kind)
	o.count(deviceTxErrors, s.TxErrors, p.Name, kind)
}

func collectWorkers(o out, r *agent.Running, workers []dataplane.WorkerStatus) {
	for i := range workers {
		w := &workers[i]
		id, core := strconv.Itoa(w.ID), strconv.Itoa(w.Core)
		o.count(workerIterations, w.Iterations, id, core)
		o.count(workerPackets, w.Packets, id, core)
		o.count(workerBusy, w.BusyCycles, id, core)
		o.count(workerIdle, w.IdleCycles, id, core)
		o.count(workerFlows, w.Flows, id, core)
		o.count(workerLost, w.LearnLost, id, core)
		o.count(workerFaults, w.Faults, id, core)
		o.count(workerBusyRounds, w.BusyIterations, id, core)
		o.put(workerAge, w.Age.Seconds(), id, core)
		o.count(workerSamples, w.Sample.Samples, id, core)
		for stage, cycles := range w.Sample.Cycles {
			o.count(workerStage, cycles, id, core, dataplane.Stage(stage).String())
		}
		for i := range w.Queues {
			if name := r.PortName(w.Queues[i].Port); name != "" {
				collectQueue(o, &w.Queues[i], name, strconv.Itoa(int(w.Queues[i].Queue)), id)
			}
		}
	}
}

func collectQueue(o out, q *dataplane.QueueStatus, port, queue, worker string) {
	labels := []string{port, queue, worker}
	o.count(queuePackets, q.Packets, labels...)
	o.count(queueBusy, q.BusyCycles, labels...)
	o.count(queueBursts, q.Bursts, labels...)
	o.count(queueFlows, q.Flows, labels...)
	o.count(queueSlots, q.Slots, labels...)
	o.count(queueActions, q.Actions, labels...)
	o.count(queueHits, q.Hits, labels...)
	o.count(queueMisses, q.Misses, labels...)
	o.count(queueInserted, q.Inserted, labels...)
	o.count(queueEvictions, q.Evictions, labels...)
	o.count(queueExpired, q.Expired, labels...)
	o.count(queueRefused, q.Refused, labels...)
	for _, stage := range dataplane.Stages() {
		if stage.OfQueue() {
			o.count(queueStage, q.Sample.Cycles[stage], port, queue, worker, stage.String())
		}
	}
}

func collectBalancer(o out, b *balance.Balancer) {
	for _, l := range b.Loads() {
		if l.Known {
			o.put(workerLoad, l.Busy, strconv.Itoa(l.Worker), strconv.Itoa(l.Core))
		}
	}
	for k, n := range b.Counts() {
		if k.Failed {
			o.count(queueFailed, n, k.Kind.String(), k.Cause.String())
		} else {
			o.count(queueEvents, n, k.Kind.String(), k.Cause.String())
		}
	}
}

func collectScheduler(o out, r *agent.Running, st *dataplane.SchedulerStatus) {
	name := r.PortName(st.Port)
	if name == "" || st.Err != nil {
		return
	}
	if st.BytesPerSec != 0 {
		o.count(qosRate, st.BytesPerSec, name)
	}
	for i := range st.Queues {
		q := &st.Queues[i]
		leaf := &st.Config.Leaves[q.Leaf]
		labels := []string{name, strconv.Itoa(int(q.Class)), r.PortName(leaf.Port), leaf.Name}
		o.count(qosSent, q.SentPackets, labels...)
		o.count(qosSentB, q.SentBytes, labels...)
		o.count(qosWaiting, q.Packets, labels...)
		o.count(qosWaitingB, q.Bytes, labels...)
		o.count(qosDropped, q.RefusedPackets, labels...)
		o.count(qosECT, q.Capable, labels...)
		o.count(qosMarked, q.Marked, labels...)
	}
}

func (c *Collector) collectKnowledge(o out, r *agent.Running) {
	type key struct{ a, b string }
	states := map[key]uint64{}
	for _, n := range c.agent.Switch().Neighbours() {
		states[key{r.PortName(n.Uplink), n.State}]++
	}
	for k, n := range states {
		o.count(neighbours, n, k.a, k.b)
	}
	bridges := map[string]uint64{}
	for _, l := range c.agent.Switch().Learned() {
		if name := r.BridgeName(l.Bridge); name != "" {
			bridges[name]++
		}
	}
	for name, n := range bridges {
		o.count(learned, n, name)
	}
}

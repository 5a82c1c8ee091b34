package report

import "github.com/sluicenet/sluice/benchmarks/flood"

// Group is a part of the bar with one reason.
type Group struct {
	Title string
	Why   string
	Aims  []Aim
}

// Places that the bar is about.
var (
	encap256   = place{256, usualACLs, []string{"nvgre-encap"}}
	encap10k   = place{10_000, usualACLs, []string{"nvgre-encap"}}
	encap100k  = place{100_000, usualACLs, []string{"nvgre-encap", "flows-100k"}}
	encap1m    = place{1_000_000, usualACLs, []string{"nvgre-encap", "flows-1m"}}
	decap256   = place{256, usualACLs, []string{"nvgre-decap"}}
	decap10k   = place{10_000, usualACLs, []string{"nvgre-decap"}}
	decap100k  = place{100_000, usualACLs, []string{"nvgre-decap"}}
	rewrite256 = place{256, usualACLs, []string{"iprewrite"}}
	bridge256  = place{256, 0, []string{"l2-64b"}}
	bridge100k = place{100_000, 0, []string{"l2-macs"}}
)

// Bounds of a ratio.
func times(atLeast float64) Bound { return Bound{Above: true, Value: atLeast, Digits: 1, Unit: " ×"} }
func noLess(than float64) Bound   { return Bound{Above: true, Value: than, Digits: 2, Unit: " ×"} }
func atMost(times float64) Bound  { return Bound{Value: times, Digits: 1, Unit: " ×"} }
func noMore(than float64) Bound   { return Bound{Value: than, Digits: 2, Unit: " ×"} }

func fasterThan(where place, what string, by float64) Aim {
	return Aim{what, times(by), ratio(where, ours, ovs, rate)}
}

func fasterThanBest(where place, what string, by float64) Aim {
	return Aim{what, times(by), ratioToBest(where)}
}

// Bar is what the switch has to reach. These targets are set by what was measured before it was written: what each
// contender costs for the same work on the same sort of machine. All of it is read from one result.
var Bar = []Group{
	{"Packet rate: sluice ÷ Open vSwitch-DPDK, default", `a switch of one's own must be worth changing to: a third of the price for the
same policy. With 10,000 flows Open vSwitch's exact-match cache, of 8,192, no longer holds them`, []Aim{
		fasterThan(encap256, "encapsulation, 256 flows", 2.8),
		fasterThan(encap10k, "encapsulation, 10,000 flows", 3.5),
		fasterThan(encap100k, "encapsulation, 100,000 flows", 3.0),
		fasterThan(decap256, "decapsulation, 256 flows", 3.0),
		fasterThan(decap10k, "decapsulation, 10,000 flows", 3.7),
		fasterThan(decap100k, "decapsulation, 100,000 flows", 2.7),
	}},
	{"Packet rate: sluice ÷ Open vSwitch-DPDK, best of three", `nobody should be able to say that a setting would have made the difference`, []Aim{
		fasterThanBest(encap256, "encapsulation, 256 flows", 2.5),
		fasterThanBest(encap10k, "encapsulation, 10,000 flows", 2.6),
		fasterThanBest(encap100k, "encapsulation, 100,000 flows", 1.8),
	}},
	{"Packet rate: sluice ÷ Open vSwitch-DPDK, a bridge that learns (NORMAL)", `to switch by learned addresses is the least that a switch does; each
pair of addresses is a flow of its own to Open vSwitch`, []Aim{
		fasterThan(bridge256, "256 pairs of addresses", 3),
		fasterThan(bridge100k, "100,000 pairs of addresses", 8),
	}},
	{"Cycles: sluice ÷ testpmd io", `testpmd io is what receiving and sending costs by itself: the rest is ours to answer for`, []Aim{
		{"encapsulation, 256 flows", atMost(2.3), ratio(encap256, ours, testpmdIO, cycles)},
		{"encapsulation, 256 flows, bare", atMost(1.9), ratio(encap256, bare, testpmdIO, cycles)},
	}},
	{"Cycles: sluice ÷ sluice", `more flows must cost no more than the memory that holds them, and one method of a subnet no more than the other`, []Aim{
		{"IP rewrite ÷ encapsulation, 256 flows", noMore(1), acrossPlaces(cyclesAt(rewrite256), cyclesAt(encap256))},
		{"encapsulation, 1,000,000 ÷ 10,000 flows, both without the source's cost", atMost(2.5),
			acrossPlaces(ownCyclesAt(encap1m), ownCyclesAt(encap10k))},
	}},
	{"Beside 100 MB/s of garbage", `the control side is Go: its collector must not be felt by packets. A loop in C on the same core shows what the
machine itself does to anybody`, []Aim{
		{"packet rate ÷ without garbage, encapsulation, 256 flows", noLess(0.97), ratio(encap256, churn, ours, rate)},
		{"p99.99 of a turn ÷ that of a loop in C", atMost(2), slowTurns},
		{"gaps over 1 ms ÷ those of a loop in C", atMost(2), gaps},
	}},
	{"New flows", `a new flow is the dearest packet there is, and anybody can send one: known flows must not pay for it`, []Aim{
		{"cycles of a packet that begins a flow, through all layers", Bound{Value: 3000}, flooded(func(r *flood.Result) []float64 { return r.NewFlowCycles }, 1)},
		{"known flows at half load lost, flood on another queue", Bound{Value: 1, Digits: 1, Unit: " %"}, floodLoss},
		{"packet rate ÷ that without flood, on one queue", noLess(0.8), flooded(func(r *flood.Result) []float64 { return r.MixedRate }, 1)},
		{"known flows evicted", Bound{}, evictions},
	}},
	{"Packet rate: two workers ÷ one", `workers share nothing: a second core should bring nearly a second core's worth`, []Aim{
		{"encapsulation, 256 flows", times(1.8), twice(encap256)},
		{"encapsulation, 10,000 flows", times(1.8), twice(encap10k)},
	}},
	{"Dynamic VMQ: packet rate after ÷ before", `a worker that cannot keep up while another idles loses packets that the machine could have forwarded`, []Aim{
		{"skewed load, 4 queues, 2 workers", times(1.7), balanced("vmq-skew")},
	}},
	{"TCP between two VMs: sluice ÷ Open vSwitch, the faster of its two", `what a user sees first is a transfer between two VMs`, []Aim{
		{"throughput", noLess(1), throughput},
	}},
	{"Quality of service, by its own clock", `a guaranteed share is a promise to a tenant, and nobody else's traffic may break it`, []Aim{
		{"qos-8class: the worst class off an ideal, %", Bound{Value: 0.2, Digits: 1, Unit: " %"}, worstError("qos-8class")},
		{"qos-8class: queues outside the tolerance", Bound{Unit: " %"}, outside("qos-8class")},
		{"qos-min-share: queues of 1,000 VMs outside the tolerance", Bound{Value: 0.1, Digits: 1, Unit: " %"}, outside("qos-min-share")},
		{"qos-noisy-neighbour: p99 delay of the others ÷ beside a quiet one", atMost(2), neighbour},
	}},
	{"Packet rate: our scheduler ÷ librte_sched", `DPDK's own scheduler is what one would take otherwise`, []Aim{
		{"1,000 vports, packets always wait", times(1.5), schedRatio(false)},
		{"1,000 vports, drained", times(3), schedRatio(true)},
	}},
	{"What a worker pays for quality of service", `shares are for every packet of a full link: they must cost less than the switching`, []Aim{
		{"cycles more, 1,000 vports wait in 8 classes, 32 packets of each in a row", Bound{Value: 60}, schedulerCost(costVports)},
		{"cycles more, 10,000 vports wait in 8 classes, 32 packets of each in a row", Bound{Value: 120}, schedulerCost(costMany)},
	}},
	{"Soak of ten minutes, a configuration a second", `changes are daily business: nobody else's packets may notice them`, []Aim{
		{"packets of untouched ports lost, reordered or altered", Bound{}, harmed},
	}},
}

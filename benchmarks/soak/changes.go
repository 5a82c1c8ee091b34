package soak

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// neighbour is everything of the configuration that the changes touch: a network, its ports and an uplink that no
// untouched stream uses.
type neighbour struct {
	vports  [churnPorts]churnPort
	uplink  bool // a second uplink
	rules   int  // of the list that the changing ports have
	rewrite bool // method of the changing subnet
	records int
	moved   bool // the records name another host
	extra   bool // one more network
	route   int  // 0: none, else the last byte of its next hop
	host    int  // provider addresses of another host
}

// churnPort is a vport that comes, goes and changes.
type churnPort struct {
	there bool
	mtu   int
	ca    int // variant of its address
	mac   int
}

const (
	churnPorts   = 4
	churnRecords = 40
)

// full is the neighbour with everything there: what the pool of packets is sized for.
func full() *neighbour {
	n := &neighbour{uplink: true, rules: 10, records: churnRecords, extra: true, route: 200, host: 2}
	for i := range n.vports {
		n.vports[i] = churnPort{there: true, mtu: 1500}
	}
	return n
}

// change is one kind of change.
type change struct {
	name string
	do   func(n *neighbour, r *rand.Rand)
}

// changes are all kinds. Each does change something, whatever the state.
var changes = []change{
	{"vport added or removed", func(n *neighbour, r *rand.Rand) { p := n.any(r); p.there = !p.there }},
	{"acl list", func(n *neighbour, r *rand.Rand) { n.rules = other(r, n.rules, 120) }},
	{"records", func(n *neighbour, r *rand.Rand) { n.records = other(r, n.records, churnRecords) }},
	{"method of a subnet", func(n *neighbour, _ *rand.Rand) { n.rewrite = !n.rewrite }},
	{"MTU of a vport", func(n *neighbour, r *rand.Rand) { p := n.any(r); p.there, p.mtu = true, 1200+other(r, p.mtu-1200, 300) }},
	{"uplink added or removed", func(n *neighbour, _ *rand.Rand) { n.uplink = !n.uplink }},
	{"address of a vport", func(n *neighbour, r *rand.Rand) { p := n.any(r); p.there, p.ca = true, other(r, p.ca, 3) }},
	{"records moved to another host", func(n *neighbour, _ *rand.Rand) { n.moved, n.records = !n.moved, max(n.records, 1) }},
	{"network added or removed", func(n *neighbour, _ *rand.Rand) { n.extra = !n.extra }},
	{"MAC of a vport", func(n *neighbour, r *rand.Rand) { p := n.any(r); p.there, p.mac = true, other(r, p.mac, 3) }},
	{"route", func(n *neighbour, r *rand.Rand) { n.route = other(r, n.route, 250) }},
	{"addresses of a host", func(n *neighbour, r *rand.Rand) { n.host = other(r, n.host, 3) }},
}

func (n *neighbour) any(r *rand.Rand) *churnPort { return &n.vports[r.IntN(churnPorts)] }

// other is a number from 0 to most that is not now.
func other(r *rand.Rand, now, most int) int {
	v := r.IntN(most)
	if v >= now {
		v++
	}
	return v
}

// step makes the step-th change, and now and then a second one with it: each kind has its turn.
func (n *neighbour) step(step int, r *rand.Rand) (kinds []string) {
	c := changes[step%len(changes)]
	c.do(n, r)
	kinds = append(kinds, c.name)
	if second := changes[r.IntN(len(changes))]; second.name != c.name && r.IntN(2) == 0 {
		second.do(n, r)
		kinds = append(kinds, second.name)
	}
	return kinds
}

// config writes the whole configuration: what stays, and the neighbour.
func (w *site) config(n *neighbour, namespace string) []byte {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("host: {name: soak}")
	p("dataplane: {idle: {maxSleep: 500us}}")
	p("uplinks:")
	qos := ""
	if w.rate != "" {
		qos = fmt.Sprintf(", qos: {rate: %s, classes: [{tc: 0, name: all, share: 100%%, queue: 4MiB}]}", w.rate)
	}
	p("  - {name: %s, device: {devargs: sequence}, queues: %d, mtu: %d, providerAddresses: [%s/%d]%s}", uplinkName, w.Queues, uplinkMTU, nearPA, fabric.Bits(), qos)
	if n.uplink {
		p("  - {name: up9, device: {devargs: \"net_null9,no-rx=1\"}, mtu: 1500, providerAddresses: [172.31.0.1/24]}")
	}
	w.vportsYAML(p, n, namespace)
	w.aclsYAML(p, n)
	w.networksYAML(p, n)
	w.recordsYAML(p, n)
	return []byte(b.String())
}

type printer func(format string, args ...any)

func (w *site) vportsYAML(p printer, n *neighbour, namespace string) {
	p("vports:")
	for i := range w.vms {
		v := &w.vms[i]
		own := ""
		if v.subnet == edge {
			own = fmt.Sprintf(", providerAddresses: [%s]", v.pa)
		}
		p("  - {name: %s, device: {driver: tap}, mac: %q, mtu: %d, subnet: %s, addresses: [%s]%s, aclList: still}",
			v.name, v.mac, w.MTU, subnetName(v.tenant, v.subnet), v.ca, own)
	}
	if namespace != "" {
		namespace = ", namespace: " + namespace
	}
	for i, v := range n.vports {
		if !v.there {
			continue
		}
		p("  - {name: ch%d, device: {driver: tap, interface: ch%d%s, persist: false}, mac: %q, mtu: %d, subnet: churn, addresses: [10.0.1.%d], providerAddresses: [172.16.200.%d], aclList: changing}",
			i, i, namespace, fmt.Sprintf("00:15:5d:fe:%02x:%02x", v.mac, i), v.mtu, 10*(i+1)+v.ca, 1+i)
	}
}

func (w *site) aclsYAML(p printer, n *neighbour) {
	list := func(name string, count int) {
		p("  - name: %s", name)
		p("    rules:")
		p("      - {name: all, direction: both, action: allow, weight: 1}")
		for i := range count {
			p("      - {name: no%d, direction: both, action: deny, weight: 10, protocol: udp, remote: 192.0.%d.%d/32, remotePort: 7}", i, i>>8, i&0xff)
		}
	}
	p("aclLists:")
	list("still", w.Rules)
	list("changing", n.rules)
}

func (w *site) networksYAML(p printer, n *neighbour) {
	p("networks:")
	for t := range w.Tenants {
		p("  - name: t%d", t+1)
		p("    subnets:")
		for sub := range subnets {
			method := "nvgre"
			if sub == edge {
				method = "rewrite"
			}
			p("      - {name: %s, vsid: %d, prefix: 10.%d.0.0/20, method: %s}", subnetName(t, sub), vsid(t, sub), sub, method)
		}
	}
	p("  - name: churn")
	p("    subnets:")
	p("      - {name: churn, vsid: 9001, prefix: 10.0.0.0/20, method: %s}", map[bool]string{false: "nvgre", true: "rewrite"}[n.rewrite])
	if n.route > 0 {
		p("    routes:")
		p("      - {prefix: 192.168.0.0/16, nextHop: 10.0.1.%d}", n.route)
	}
	if n.extra {
		p("  - name: extra")
		p("    subnets:")
		p("      - {name: extra, vsid: 9002, prefix: 10.0.0.0/16}")
	}
}

func (w *site) recordsYAML(p printer, n *neighbour) {
	if n.host > 0 {
		p("hosts:")
		p("  - {name: other, providerAddresses: [%s]}", strings.Join([]string{"172.16.201.1", "172.16.201.2", "172.16.201.3"}[:n.host], ", "))
	}
	p("records:")
	for i := range w.peers {
		v := &w.peers[i]
		p("  - {subnet: %s, ca: %s, mac: %q, pa: %s}", subnetName(v.tenant, v.subnet), v.ca, v.mac, v.pa)
	}
	for i := range n.records {
		pa := fmt.Sprintf("172.16.%d.%d", map[bool]int{false: 202, true: 203}[n.moved], 1+i)
		if !n.rewrite {
			pa = map[bool]string{false: "172.16.201.1", true: "172.16.1.2"}[n.moved] // also a host of untouched peers
		}
		p("  - {subnet: churn, ca: 10.0.8.%d, mac: %q, pa: %s}", 2+i, fmt.Sprintf("00:15:5d:fe:80:%02x", i), pa)
	}
}

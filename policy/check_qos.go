package policy

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// qos checks shares and limits.
func (k *checker) qos() {
	c := k.c
	groups := namespace{}
	for i := range c.QoSGroups {
		g := &c.QoSGroups[i]
		k.claim(groups, g, g.Name)
		k.share(g, &g.ShareConfig)
		k.vportShares(&g.Vports)
	}
	for i := range c.Networks {
		k.share(&c.Networks[i].QoS, &c.Networks[i].QoS.ShareConfig)
		k.vportShares(&c.Networks[i].QoS.Vports)
	}
	k.hostGroups()
	for i := range c.Vports {
		k.vportQoS(&c.Vports[i])
	}
	for i := range c.Uplinks {
		if u := &c.Uplinks[i]; u.has("qos") && !k.refused(u, "qos") {
			k.linkQoS(u)
		}
	}
	k.defaultsBeyond(func(u *UplinkConfig) uint64 { return u.QoS.BytesPerSec }, func(string) shortfall { return k.short })
}

func (k *checker) hostGroups() {
	groups, names := namespace{}, map[string]bool{}
	for i := range k.c.HostGroups {
		g := &k.c.HostGroups[i]
		k.claim(groups, g, g.Name)
		names[g.Name] = true
		k.vportShares(&g.QoS)
	}
	if name := k.c.Host.Group; name != "" && !names[name] && !k.unread("hostGroups") {
		k.problem(&k.c.Host, "group", "host group "+name+" is not defined", k.defined("hostGroups", name, maps.Keys(names)))
	}
}

// share checks a minimum and a maximum of one object.
func (k *checker) share(o described, s *ShareConfig) {
	src := o.from()
	if src.has("min") && src.has("minWeight") {
		k.problem(o, "minWeight", "the share has min and minWeight", "keep one of them")
	}
	if src.has("burst") && !src.has("max") {
		k.problem(o, "burst", "burst is that of max, and there is none", "add max, or leave burst out")
	}
	if s.MaxBytesPerSec > 0 && s.MinBytesPerSec > s.MaxBytesPerSec {
		k.problem(o, "min", fmt.Sprintf("min is %s, above max, which is %s", showRate(s.MinBytesPerSec), showRate(s.MaxBytesPerSec)),
			"lower min, or raise max")
	}
}

// vportShares checks what is said for vports.
func (k *checker) vportShares(q *VportQoSConfig) {
	k.share(q, &q.ShareConfig)
	in := &q.Inbound
	if q.has("inbound.burst") && !q.has("inbound.max") {
		k.problem(q, "inbound.burst", "inbound.burst is that of inbound.max, and there is none", "add inbound.max, or leave it out")
	}
	if in.MaxBytesPerSec > 0 && in.StormBytesPerSec > in.MaxBytesPerSec {
		k.problem(q, "inbound.storm", fmt.Sprintf("inbound.storm is %s, above inbound.max, which is %s and holds for flooded frames too",
			showRate(in.StormBytesPerSec), showRate(in.MaxBytesPerSec)), "lower inbound.storm, or leave it out")
	}
	if n := len(q.Destinations); n > MaxDestinations {
		k.problem(q, "destinations", fmt.Sprintf("%d destinations are listed; a vport has room for %d", n, MaxDestinations), "use fewer")
	}
	names, taken := namespace{}, map[netip.Prefix]holder{}
	for i := range q.Destinations {
		d := &q.Destinations[i]
		k.claim(names, d, d.Name)
		if d.has("burst") && !d.has("max") {
			k.problem(d, "burst", "burst is that of max, and there is none", "add max, or leave burst out")
		}
		if q.MaxBytesPerSec > 0 && d.MaxBytesPerSec > q.MaxBytesPerSec { // beside a max from elsewhere it may be meant for other vports
			k.problem(d, "max", fmt.Sprintf("max is %s, above the max of the vport, which is %s by %s and holds for all destinations together",
				showRate(d.MaxBytesPerSec), showRate(q.MaxBytesPerSec), q.label()), "lower it, or leave it out")
		}
		for j, p := range d.Prefixes {
			if !p.IsValid() {
				continue
			}
			if other, double := taken[p]; double {
				k.problem(d, fmt.Sprintf("prefixes[%d]", j), fmt.Sprintf("%s is also a prefix of %s", p, other), "leave it to one of them")
				continue
			}
			taken[p] = holderOf(d)
		}
	}
}

// vportQoS checks what holds for a vport, whoever says it.
func (k *checker) vportQoS(v *VportConfig) {
	q := &v.QoS
	k.vportShares(q)
	if q.Group != "" && k.c.QoSGroup(q.Group) == nil && !k.unread("qosGroups") {
		names := map[string]bool{}
		for i := range k.c.QoSGroups {
			names[k.c.QoSGroups[i].Name] = true
		}
		k.problem(q, "group", "qos group "+q.Group+" is not defined", k.defined("qosGroups", q.Group, maps.Keys(names)))
	}
	outbound := slices.DeleteFunc([]string{"min", "minWeight", "max", "burst", "destinations", "group"}, func(key string) bool { return !q.has(key) })
	if len(outbound) > 0 && !slices.ContainsFunc(k.c.Uplinks, func(u UplinkConfig) bool { return u.has("qos") && v.sendsBy(&u) }) && !q.partial {
		k.problem(q, "", "no uplink that the vport sends by has qos, so that nothing holds its share",
			"add qos to the uplink, with its classes, or remove "+strings.Join(outbound, ", ")+" here")
	}
	s := k.c.shareOf(v)
	if s.min != nil && s.max != nil && s.min != s.max && s.min.MinBytesPerSec > s.max.MaxBytesPerSec && s.max.MaxBytesPerSec > 0 {
		k.problem(v, "qos", fmt.Sprintf("min is %s by %s (line %d), above max, which is %s by %s (line %d)",
			showRate(s.min.MinBytesPerSec), s.min.label(), s.min.Line(), showRate(s.max.MaxBytesPerSec), s.max.label(), s.max.Line()),
			"give the vport a min and a max of its own")
	}
	k.bursts(v, &s)
}

// bursts refuses what could never let a frame of the vport pass.
func (k *checker) bursts(v *VportConfig, s *vportShare) {
	if v.MTU == 0 {
		return
	}
	frame, sum := v.frameBytes()
	small := func(o described, key string, burst uint64, frame uint64, sum string) {
		if burst > 0 && burst < frame && !k.refused(o, key) { // once for all vports that have it from there
			k.problem(o, key, fmt.Sprintf("%s is %s, smaller than a frame of vport %s: %s", key, showSize(burst), v.Name, sum),
				fmt.Sprintf("use %dB or more", frame))
		}
	}
	if s.max != nil {
		small(s.max, "burst", s.max.BurstBytes, frame, sum)
	}
	if s.group != nil {
		if g := k.c.QoSGroup(s.groupName); g != nil && s.group == &g.ShareConfig {
			small(g, "burst", s.group.BurstBytes, frame, sum)
		} else if _, n := k.c.Subnet(v.Subnet); n != nil {
			small(&n.QoS, "burst", s.group.BurstBytes, frame, sum)
		}
	}
	if s.dests != nil {
		for i := range s.dests.Destinations {
			small(&s.dests.Destinations[i], "burst", s.dests.Destinations[i].BurstBytes, frame, sum)
		}
	}
	if s.inbound != nil {
		in := uint64(v.MTU) + 14 + wireOverhead
		small(s.inbound, "inbound.burst", s.inbound.Inbound.BurstBytes, in,
			fmt.Sprintf("%d (mtu) + 14 (Ethernet) + %d (preamble, FCS, gap) = %d bytes", v.MTU, wireOverhead, in))
	}
	for i := range k.c.Uplinks {
		u := &k.c.Uplinks[i]
		if !v.sendsBy(u) {
			continue
		}
		for j := range u.QoS.Classes {
			small(&u.QoS.Classes[j], "queue", uint64(u.QoS.Classes[j].QueueBytes), frame, sum)
		}
	}
}

// linkQoS checks the classes of an uplink, and when its rate is known what is asked of it.
func (k *checker) linkQoS(u *UplinkConfig) {
	q := &u.QoS
	k.share(&q.Default, &q.Default.ShareConfig)
	if len(q.Classes) == 0 && q.has("classes") && !k.refused(q, "classes") {
		k.problem(q, "classes", "there is no class", "list one, for example - {tc: 0, name: default, share: 100%}")
		return
	}
	names, byTC := namespace{}, map[uint8]holder{}
	total, sum := 0, []string(nil)
	for i := range q.Classes {
		c := &q.Classes[i]
		k.claim(names, c, c.Name)
		if other, double := byTC[c.TC]; double && c.has("tc") && !k.refused(c, "tc") {
			k.problem(c, "tc", fmt.Sprintf("traffic class %d is also that of %s", c.TC, other), "give each its own")
		} else if !double {
			byTC[c.TC] = holderOf(c)
		}
		k.class(c)
		total += int(c.Share)
		if c.Share > 0 {
			sum = append(sum, percent(c.Share))
		}
	}
	if total > 100 {
		k.problem(q, "classes", fmt.Sprintf("the shares of the classes are %s = %d%%, more than the link", strings.Join(sum, " + "), total),
			"lower them until they are 100% or less")
	}
	k.owners(u, byTC)
	k.hardware(u)
	// Of a link that nobody knows yet only the sums of groups can be checked.
	k.admission(u, cmp.Or(q.BytesPerSec, math.MaxUint64), k.short)
}

func (k *checker) class(c *ClassConfig) {
	switch {
	case c.partial:
	case c.Strict && c.has("share"):
		k.problem(c, "share", "the class is strict, and has a share", "keep one of them")
	case !c.Strict && !c.has("share") && !k.refused(c, "strict"):
		k.problem(c, "", "the class has no share of the link", "add share: <percent>, or strict: true")
	}
	if c.has("ecn.from") && c.MarkBytes > c.QueueBytes && c.QueueBytes > 0 {
		k.problem(c, "ecn.from", fmt.Sprintf("ecn.from is %s, deeper than the queue, which is %s", showSize(uint64(c.MarkBytes)), showSize(uint64(c.QueueBytes))),
			"mark earlier, or use a deeper queue")
	}
	if c.has("ecn.full") && c.MarkFullBytes < c.MarkBytes && c.MarkFullBytes > 0 {
		k.problem(c, "ecn.full", fmt.Sprintf("ecn.full is %s, less than ecn.from, which is %s", showSize(uint64(c.MarkFullBytes)), showSize(uint64(c.MarkBytes))),
			"make it equal or larger")
	}
}

// owners refuses traffic classes that packets are put into and an uplink knows nothing of.
func (k *checker) owners(u *UplinkConfig, byTC map[uint8]holder) {
	if k.refused(&u.QoS, "classes") || slices.ContainsFunc(u.QoS.Classes, func(c ClassConfig) bool { return k.refused(&c, "tc") || !c.has("tc") }) {
		return
	}
	c := &k.c.Classification
	miss := func(o described, tc uint8, who string) {
		if _, owned := byTC[tc]; !owned {
			k.problem(o, "tc", fmt.Sprintf("traffic class %d%s has no owner: uplink %s (line %d) has no class with tc %d", tc, who, u.Name, u.QoS.Line(), tc),
				fmt.Sprintf("add - {tc: %d, name: <name>, share: <percent>} to its classes, or use another tc", tc))
		}
	}
	if c.Default.has("tc") {
		miss(&c.Default, c.Default.TC, "")
	} else {
		miss(&u.QoS, 0, ", in which packets are that no rule is about,")
	}
	for i := range c.Rules {
		if r := &c.Rules[i]; r.has("tc") && !k.refused(r, "tc") {
			miss(r, r.TC, "")
		}
	}
	for i := range c.BuiltIn {
		if b := &c.BuiltIn[i]; b.has("tc") && !k.refused(b, "tc") {
			miss(b, b.TC, "")
		}
	}
	for i := range c.Outer {
		if o := &c.Outer[i]; o.has("tc") && !k.refused(o, "tc") {
			miss(o, o.TC, "")
		}
	}
}

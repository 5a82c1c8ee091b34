package policy

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// LinkSpeed is what a PortIndex may know besides: the rate of an uplink's link by its device.
type LinkSpeed interface {
	// LinkMbit is in Mbit/s; 0 when the device does not tell.
	LinkMbit(name string) uint32
}

// SlowLinks is what a PortIndex may do besides: let links be slower than what was promised of them.
type SlowLinks interface {
	// Excuse takes what links cannot give, and returns that of it which is to be refused. Minimums of what is not are scaled
	// down to what the link has.
	Excuse([]LinkProblem) (refused []LinkProblem)
}

// DeviceClasses is what a PortIndex may know besides: uplinks whose devices divide the link themselves.
type DeviceClasses interface {
	// Divides reports that the device does what the file says for the classes of an uplink, so that no scheduler is needed.
	Divides(name string) bool
}

// qos compiles shares and limits, or finds that they are as in the previous snapshot.
func (k *compiler) qos(ports PortIndex) error {
	rate := func(u *UplinkConfig) uint64 {
		if s, ok := ports.(LinkSpeed); ok && u.QoS.BytesPerSec == 0 {
			return uint64(s.LinkMbit(u.Name)) * 1e6 / 8
		}
		return u.QoS.BytesPerSec
	}
	if s, ok := ports.(LinkSpeed); ok {
		problems := k.config.LinkProblems(s.LinkMbit)
		if slow, ok := ports.(SlowLinks); ok && len(problems) > 0 {
			problems = slow.Excuse(problems)
		}
		if len(problems) > 0 {
			return refusedLinks(problems)
		}
	}
	var schedulers []SchedulerQoS
	var storms []StormQoS
	for i := range k.config.Uplinks {
		if d, ok := ports.(DeviceClasses); ok && d.Divides(k.config.Uplinks[i].Name) {
			continue
		}
		if u := &k.config.Uplinks[i]; u.has("qos") {
			schedulers = append(schedulers, k.scheduler(u, rate(u)))
		}
	}
	for i := range k.config.Vports {
		v := &k.config.Vports[i]
		s := k.config.shareOf(v)
		if s.inbound != nil {
			schedulers = append(schedulers, inboundScheduler(k.index[v.Name], &s.inbound.Inbound))
		}
		if s.storm != nil {
			r := s.storm.Inbound.StormBytesPerSec
			storms = append(storms, StormQoS{Port: k.index[v.Name], BytesPerSec: r, BurstBytes: defaultBurst(r)})
		}
	}
	if len(schedulers) == 0 && len(storms) == 0 {
		return nil
	}
	q := NewQoS(schedulers, storms)
	if err := k.destinations(q); err != nil {
		return err
	}
	if k.prev != nil && k.prev.QoS != nil && q.Equal(k.prev.QoS) {
		q = k.prev.QoS
	}
	k.out.QoS = q
	return nil
}

// scheduler compiles what an uplink divides among those who send by it.
func (k *compiler) scheduler(u *UplinkConfig, rate uint64) SchedulerQoS {
	s := SchedulerQoS{Port: k.index[u.Name], RateBytesPerSec: rate, classOf: k.classesOf(u)}
	for i := range u.QoS.Classes {
		c := &u.QoS.Classes[i]
		s.Classes[c.TC%TrafficClasses] = ClassQoS{Name: c.Name, Strict: c.Strict, Weight: uint32(c.Share),
			MaxBytesPerSec: c.MaxBytesPerSec, MarkBytes: c.MarkBytes, MarkFullBytes: c.MarkFullBytes, QueueBytes: c.QueueBytes}
	}
	d := &u.QoS.Default
	s.Leaves = []LeafQoS{{Name: "default", Port: NoIndex, Group: -1, Parent: -1, MinBytesPerSec: d.MinBytesPerSec,
		Weight: cmp.Or(d.MinWeight, defaultMinWeight)}}
	groups := map[*ShareConfig]int32{}
	for i := range k.config.Vports {
		v := &k.config.Vports[i]
		share := k.config.shareOf(v)
		if !v.sendsBy(u) || !share.own() {
			continue
		}
		group := int32(-1)
		if share.group != nil {
			var known bool
			if group, known = groups[share.group]; !known {
				group = int32(len(s.Groups))
				groups[share.group] = group
				s.Groups = append(s.Groups, groupOf(&share))
			}
		}
		s.Leaves = append(s.Leaves, leavesOf(v, k.index[v.Name], &share, group, int32(len(s.Leaves)))...)
	}
	for i := range s.Groups { // a group guarantees what its members are guaranteed
		sum := uint64(0)
		for j := range s.Leaves {
			if l := &s.Leaves[j]; l.Group == int32(i) && l.Parent < 0 {
				sum += l.MinBytesPerSec
			}
		}
		s.Groups[i].MinBytesPerSec = max(s.Groups[i].MinBytesPerSec, sum)
	}
	s.scaleMinimums()
	return s
}

// leastMinimum is what a scaled minimum is worth stating, bytes per second: below it the weight counts.
const leastMinimum = minRate

// scaleMinimums makes the minimums fit the link, all by the same factor.
func (s *SchedulerQoS) scaleMinimums() {
	sum := uint64(0)
	for i := range s.Groups {
		sum += s.Groups[i].MinBytesPerSec
	}
	for i := range s.Leaves {
		if s.Leaves[i].Group < 0 {
			sum += s.Leaves[i].MinBytesPerSec
		}
	}
	if s.RateBytesPerSec == 0 || sum <= s.RateBytesPerSec {
		return
	}
	scale := func(minimum *uint64) {
		hi, lo := bits.Mul64(*minimum, s.RateBytesPerSec)
		if *minimum, _ = bits.Div64(hi, lo, sum); *minimum < leastMinimum { // the sum is larger than either factor
			*minimum = 0
		}
	}
	for i := range s.Groups {
		scale(&s.Groups[i].MinBytesPerSec)
	}
	for i := range s.Leaves {
		scale(&s.Leaves[i].MinBytesPerSec)
	}
}

// classesOf is the class of the link for each traffic class: those without an owner, which packets may still name by
// themselves where they are trusted, go with the default.
func (k *compiler) classesOf(u *UplinkConfig) (classOf [TrafficClasses]uint8) {
	fallback := k.config.Classification.Default.TC
	for tc := range classOf {
		classOf[tc] = fallback
	}
	for i := range u.QoS.Classes {
		tc := u.QoS.Classes[i].TC
		classOf[tc%TrafficClasses] = tc
	}
	return classOf
}

func groupOf(s *vportShare) GroupQoS {
	g := s.group
	return GroupQoS{Name: s.groupName, Key: keyOf(s.groupKey), MinBytesPerSec: g.MinBytesPerSec, MaxBytesPerSec: g.MaxBytesPerSec,
		BurstBytes: burstOf(g.MaxBytesPerSec, g.BurstBytes), Weight: cmp.Or(g.MinWeight, defaultMinWeight)}
}

// leavesOf are the queues of a vport: one for all that goes to none of its destinations, then one for each of these.
func leavesOf(v *VportConfig, port uint32, s *vportShare, group, first int32) []LeafQoS {
	leaf := LeafQoS{Key: keyOf("vport", v.Name), Port: port, Group: group, Parent: -1, Weight: defaultMinWeight}
	if s.min != nil {
		leaf.MinBytesPerSec, leaf.Weight = s.min.MinBytesPerSec, cmp.Or(s.min.MinWeight, defaultMinWeight)
	}
	if s.max != nil {
		leaf.MaxBytesPerSec, leaf.BurstBytes = s.max.MaxBytesPerSec, burstOf(s.max.MaxBytesPerSec, s.max.BurstBytes)
	}
	leaves := []LeafQoS{leaf}
	if s.dests == nil {
		return leaves
	}
	for i := range s.dests.Destinations {
		d := &s.dests.Destinations[i]
		leaves = append(leaves, LeafQoS{Name: d.Name, Key: keyOf("vport", v.Name, d.Name), Port: port, Dest: uint8(i + 1),
			Group: group, Parent: first, Weight: defaultMinWeight,
			MaxBytesPerSec: d.MaxBytesPerSec, BurstBytes: burstOf(d.MaxBytesPerSec, d.BurstBytes)})
	}
	return leaves
}

// inboundScheduler is that of a vport whose VM gets at most so much.
func inboundScheduler(port uint32, in *InboundConfig) SchedulerQoS {
	s := SchedulerQoS{Port: port, RateBytesPerSec: in.MaxBytesPerSec, BurstBytes: burstOf(in.MaxBytesPerSec, in.BurstBytes),
		Leaves: []LeafQoS{{Name: "default", Port: NoIndex, Group: -1, Parent: -1, Weight: 1}}}
	s.Classes[0] = ClassQoS{Name: "inbound", Weight: 100, QueueBytes: defaultQueueBytes,
		MarkBytes: defaultMarkBytes, MarkFullBytes: defaultMarkBytes}
	return s
}

// NewQoS completes schedulers and storm limits with their indices. Leaves of one sender stand together, that of destination
// 0 first.
func NewQoS(schedulers []SchedulerQoS, storms []StormQoS) *QoS {
	q := &QoS{Schedulers: schedulers, Storms: storms}
	slices.SortFunc(q.Schedulers, func(a, b SchedulerQoS) int { return cmp.Compare(a.Port, b.Port) })
	slices.SortFunc(q.Storms, func(a, b StormQoS) int { return cmp.Compare(a.Port, b.Port) })
	for i := range q.Schedulers {
		s := &q.Schedulers[i]
		q.schedulerOf = put(q.schedulerOf, s.Port, uint32(i+1))
		for j := range s.Leaves {
			if l := &s.Leaves[j]; l.Port != NoIndex && l.Dest == 0 {
				s.firstLeaf = put(s.firstLeaf, l.Port, uint32(j))
			}
		}
	}
	return q
}

// put sets an entry of a table that grows as needed.
func put[T any](table []T, at uint32, v T) []T {
	if n := int(at) + 1; n > len(table) {
		table = append(table, make([]T, n-len(table))...)
	}
	table[at] = v
	return table
}

// destinations lists the prefixes of each vport's destinations, the longest first.
func (k *compiler) destinations(q *QoS) error {
	for i := range k.config.Vports {
		v := &k.config.Vports[i]
		s := k.config.shareOf(v)
		if s.dests == nil {
			continue
		}
		if n := len(s.dests.Destinations); n > MaxDestinations {
			return fmt.Errorf("vport %s has %d destinations; there is room for %d", v.Name, n, MaxDestinations)
		}
		first := uint32(len(q.destinations))
		for j := range s.dests.Destinations {
			for _, p := range s.dests.Destinations[j].Prefixes {
				q.destinations = append(q.destinations, destination{PrefixFrom(p), uint8(j + 1)})
			}
		}
		slices.SortStableFunc(q.destinations[first:], func(a, b destination) int { return cmp.Compare(b.prefix.Bits, a.prefix.Bits) })
		q.destOf = put(q.destOf, k.index[v.Name], [2]uint32{first, uint32(len(q.destinations))})
	}
	return nil
}

package policy

import (
	"cmp"
	"fmt"
	"math/bits"
)

// Who says what a vport gets. A key comes from the first of these that has it: the vport itself, its group of vports, its
// VM network, the host's group.

// share is what a vport gets, each part with the object that says so.
type vportShare struct {
	min, max, inbound, storm, dests *VportQoSConfig // nil: nobody says
	group                           *ShareConfig    // of which the vport is a member; nil: none
	groupName                       string
	groupKey                        string
}

// shareOf finds what holds for a vport.
func (c *Config) shareOf(v *VportConfig) vportShare {
	var s vportShare
	levels := []*VportQoSConfig{&v.QoS}
	if g := c.QoSGroup(v.QoS.Group); g != nil && v.QoS.Group != "" {
		levels = append(levels, &g.Vports)
		s.group, s.groupName, s.groupKey = &g.ShareConfig, g.Name, "group "+g.Name
	}
	if _, n := c.Subnet(v.Subnet); n != nil && v.Subnet != "" {
		levels = append(levels, &n.QoS.Vports)
		if s.group == nil && n.QoS.shares() {
			s.group, s.groupName, s.groupKey = &n.QoS.ShareConfig, n.Name, "network "+n.Name
		}
	}
	if g := c.hostGroup(); g != nil {
		levels = append(levels, &g.QoS)
	}
	first := func(keys ...string) *VportQoSConfig {
		for _, l := range levels {
			for _, key := range keys {
				if l.has(key) {
					return l
				}
			}
		}
		return nil
	}
	s.min, s.max = first("min", "minWeight"), first("max")
	s.inbound, s.storm = first("inbound.max"), first("inbound.storm")
	s.dests = first("destinations")
	return s
}

// shares reports that a VM network has a minimum or a maximum that its vports share.
func (q *NetworkQoSConfig) shares() bool { return q.has("min") || q.has("minWeight") || q.has("max") }

// own reports that the vport has queues of its own.
func (s *vportShare) own() bool {
	return s.min != nil || s.max != nil || s.dests != nil && len(s.dests.Destinations) > 0 || s.group != nil
}

// sendsBy reports whether packets of a vport may leave by an uplink.
func (v *VportConfig) sendsBy(u *UplinkConfig) bool {
	if v.Subnet != "" {
		return len(u.ProviderAddresses) > 0
	}
	return v.Uplink == u.Name
}

// QoSSize bounds what schedulers hold: how many uplinks have one, the queues of a class that the largest of these has, and
// how many vports have a limit of what their VM gets.
func (c *Config) QoSSize() (uplinks, leaves, inbound int) {
	for i := range c.Uplinks {
		if c.Uplinks[i].has("qos") {
			uplinks++
		}
	}
	n := 1
	for i := range c.Vports {
		s := c.shareOf(&c.Vports[i])
		if s.inbound != nil {
			inbound++
		}
		if s.own() {
			n++
		}
		if s.dests != nil {
			n += len(s.dests.Destinations)
		}
	}
	if uplinks > 0 {
		leaves = n
	}
	return uplinks, leaves, inbound
}

// What a frame takes of the wire besides its bytes: preamble, FCS and gap (IEEE 802.3).
const wireOverhead = 24

// frameBytes is what the longest frame of a vport takes of an uplink's wire, and how that adds up.
func (v *VportConfig) frameBytes() (n uint64, sum string) {
	n = uint64(v.MTU) + 14 + wireOverhead
	sum = fmt.Sprintf("%d (mtu) + 14 (Ethernet) + %d (preamble, FCS, gap)", v.MTU, wireOverhead)
	switch {
	case v.Subnet != "":
		n, sum = n+Overhead, sum+fmt.Sprintf(" + %d (NVGRE)", Overhead)
	default:
		n, sum = n+4, sum+" + 4 (802.1Q)"
	}
	return n, fmt.Sprintf("%s = %d bytes", sum, n)
}

// defaultBurst is that of a maximum which does not say one: 5 ms of it, at least 64 KiB.
func defaultBurst(bytesPerSec uint64) uint64 { return max(bytesPerSec/200, 64<<10) }

// burstOf is the burst of a maximum; 0 without one.
func burstOf(maximum, burst uint64) uint64 {
	if maximum == 0 {
		return 0
	}
	return cmp.Or(burst, defaultBurst(maximum))
}

// keyOf names something in every snapshot alike, also after a restart. It is never 0.
func keyOf(words ...string) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, w := range words {
		for i := range len(w) {
			h = (h ^ uint64(w[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	hi, lo := bits.Mul64(h, 0x9e3779b97f4a7c15)
	return max((hi^lo)>>2, 1)
}

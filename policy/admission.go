package policy

import (
	"cmp"
	"fmt"
	"strings"
)

// What is asked of links, and whether they have it.

// LinkFault is how a link falls short.
type LinkFault int

// Faults of links.
const (
	LinkUnknown  LinkFault = iota + 1 // nobody knows its rate
	LinkMinimums                      // it is slower than the minimums together
	LinkMaximum                       // it is slower than a maximum, which means nothing then
)

// LinkProblem is a problem that comes and goes with the speed of an uplink's link.
type LinkProblem struct {
	Problem
	Uplink           string
	Fault            LinkFault
	AskedBytesPerSec uint64 // more than the link has; 0 when that is not known
}

// LinkProblems are those of uplinks that leave their rates to their devices, whose speeds mbit knows, Mbit/s; 0: not known.
func (c *Config) LinkProblems(mbit func(uplink string) uint32) []LinkProblem {
	var found []LinkProblem
	k := &checker{c: c, d: &decoder{file: c.File}} // what holds for any link was refused before
	rate := func(u *UplinkConfig) uint64 { return cmp.Or(u.QoS.BytesPerSec, uint64(mbit(u.Name))*1e6/8) }
	short := func(uplink string) shortfall {
		return func(fault LinkFault, asked uint64, o described, key, what, remedy string) {
			at := o.from().at(key)
			found = append(found, LinkProblem{
				Problem: Problem{File: c.File, Line: int(at.line), Column: int(at.column), Object: o.label(), What: what, Remedy: remedy},
				Uplink:  uplink, Fault: fault, AskedBytesPerSec: asked,
			})
		}
	}
	for i := range c.Uplinks {
		u := &c.Uplinks[i]
		if !u.has("qos") || u.QoS.BytesPerSec > 0 {
			continue
		}
		if link := rate(u); link > 0 {
			k.admission(u, link, short(u.Name))
			continue
		}
		short(u.Name)(LinkUnknown, 0, &u.QoS, "", "the device does not tell the rate of its link", "add rate: <rate>, for example rate: 10Gbit")
	}
	k.defaultsBeyond(rate, short)
	return found
}

// refusedLinks are problems of links as an error, in the order of their lines.
func refusedLinks(problems []LinkProblem) error {
	errs := &Errors{}
	for i := range problems {
		errs.Problems = append(errs.Problems, problems[i].Problem)
	}
	errs.Problems = sortProblems(errs.Problems)
	return errs
}

// shortfall is told what a link cannot give: what of it was asked for, and the words of a problem.
type shortfall func(fault LinkFault, askedBytesPerSec uint64, o described, key, what, remedy string)

// short refuses what a link cannot give.
func (k *checker) short(_ LinkFault, _ uint64, o described, key, what, remedy string) {
	k.problem(o, key, what, remedy)
}

// admission finds what a link of a rate cannot give, with the arithmetic, and refuses what a group cannot.
func (k *checker) admission(u *UplinkConfig, link uint64, short shortfall) {
	beyond := func(o described, key string, bytesPerSec uint64) {
		if bytesPerSec > link {
			short(LinkMaximum, bytesPerSec, o, key, fmt.Sprintf("%s is %s, and the link of uplink %s has %s", key, showRate(bytesPerSec), u.Name, showRate(link)),
				"use at most the rate of the link")
		}
	}
	for i := range u.QoS.Classes {
		beyond(&u.QoS.Classes[i], "max", u.QoS.Classes[i].MaxBytesPerSec)
	}
	a := admitted{link: link}
	a.add("the default flow", u.QoS.Default.MinBytesPerSec)
	groups := map[*ShareConfig]*admitted{}
	var order []*ShareConfig
	for i := range k.c.Vports {
		v := &k.c.Vports[i]
		if !v.sendsBy(u) {
			continue
		}
		s := k.c.shareOf(v)
		if s.max == &v.QoS {
			beyond(s.max, "max", s.max.MaxBytesPerSec)
		}
		if s.dests == &v.QoS {
			for j := range s.dests.Destinations {
				beyond(&s.dests.Destinations[j], "max", s.dests.Destinations[j].MaxBytesPerSec)
			}
		}
		minimum := uint64(0)
		if s.min != nil {
			minimum = s.min.MinBytesPerSec
		}
		if s.group == nil {
			a.add(v.Name, minimum)
			continue
		}
		g := groups[s.group]
		if g == nil {
			g = &admitted{owner: k.groupOwner(v, &s), name: s.groupKey}
			groups[s.group], order = g, append(order, s.group)
		}
		g.add(v.Name, minimum)
	}
	for _, share := range order {
		g := groups[share]
		beyond(g.owner, "max", share.MaxBytesPerSec)
		if bound, key := share.bound(); bound > 0 && g.sum > bound {
			k.problem(g.owner, key, fmt.Sprintf("the minimums of its vports on uplink %s are %s, above its %s, which is %s", u.Name, g, key, showRate(bound)),
				"lower them, or raise "+key)
		}
		if name := g.name; g.sum > share.MinBytesPerSec { // the sum of its vports
			a.add(name+": "+g.members(), g.sum)
		} else {
			a.add(name, share.MinBytesPerSec)
		}
	}
	if a.sum > link {
		short(LinkMinimums, a.sum, &u.QoS, "", fmt.Sprintf("the minimums on uplink %s are %s, more than the link, which has %s", u.Name, &a, showRate(link)),
			"lower some of them, or use minWeight")
	}
}

// bound is what the minimums of a group's members may be together, and the key that says so; 0 without one.
func (s *ShareConfig) bound() (bytesPerSec uint64, key string) {
	if s.MinBytesPerSec > 0 {
		return s.MinBytesPerSec, "min"
	}
	return s.MaxBytesPerSec, "max"
}

// groupOwner is the object that has the share of a vport's group.
func (k *checker) groupOwner(v *VportConfig, s *vportShare) described {
	if g := k.c.QoSGroup(s.groupName); g != nil && s.group == &g.ShareConfig {
		return g
	}
	_, n := k.c.Subnet(v.Subnet)
	return &n.QoS
}

// admitted adds up minimums.
type admitted struct {
	link  uint64
	owner described
	name  string
	sum   uint64
	names []string
	parts []string
	more  int
}

// maxParts bounds the terms of a sum in a message.
const maxParts = 8

func (a *admitted) add(name string, bytesPerSec uint64) {
	if bytesPerSec == 0 {
		return
	}
	a.sum += bytesPerSec
	if len(a.parts) == maxParts {
		a.more++
		return
	}
	a.names = append(a.names, name)
	a.parts = append(a.parts, showRate(bytesPerSec)+" ("+name+")")
}

// members are whose minimums were added.
func (a *admitted) members() string {
	s := strings.Join(a.names, ", ")
	if a.more > 0 {
		s += fmt.Sprintf(" and %d more", a.more)
	}
	return s
}

// String is the arithmetic.
func (a *admitted) String() string {
	s := strings.Join(a.parts, " + ")
	if a.more > 0 {
		s += fmt.Sprintf(" + %d more", a.more)
	}
	return s + " = " + showRate(a.sum)
}

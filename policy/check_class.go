package policy

import (
	"fmt"
	"maps"
	"slices"
)

// classification checks the rules of classification. Which classes an uplink has is checked with its qos.
func (k *checker) classification() {
	c := &k.c.Classification
	k.outcome(&c.Default, &c.Default.OutcomeConfig)
	names := namespace{}
	if n := len(c.Rules); n > maxRules {
		k.problem(c, "rules", fmt.Sprintf("rules has %d rules; there is room for %d", n, maxRules), "use prefixes and ranges of ports")
	}
	for i := range c.Rules {
		r := &c.Rules[i]
		k.claim(names, r, r.Name)
		k.outcome(r, &r.OutcomeConfig)
		if !r.has("tc") && !r.has("trust") && !r.partial {
			k.problem(r, "", "the rule says no traffic class", "add tc: <0-7>, or trust: dscp or trust: pcp")
		}
		k.match(&r.Match)
	}
	builtIn := namespace{}
	for i := range c.BuiltIn {
		k.claim(builtIn, &c.BuiltIn[i], c.BuiltIn[i].Name)
	}
	lines := map[uint8]int{}
	for i := range c.Outer {
		o := &c.Outer[i]
		if line := lines[o.TC]; line != 0 && o.has("tc") && !k.refused(o, "tc") {
			k.problem(o, "tc", fmt.Sprintf("traffic class %d is listed twice, first in line %d", o.TC, line), "keep one of them")
		} else if line == 0 {
			lines[o.TC] = o.Line()
		}
	}
}

// outcome checks what a rule decides.
func (k *checker) outcome(o described, d *OutcomeConfig) {
	src := o.from()
	if src.has("tc") && src.has("trust") {
		k.problem(o, "trust", "the rule says tc, and trust "+d.Trust, "keep one of them")
	}
	if d.Trust == TrustDSCP && d.DSCP.Set {
		k.problem(o, "dscp", "the rule trusts the DSCP, and sets it", "keep one of them; outer sets the DSCP of the header around packets")
	}
	if d.Trust == TrustPCP && d.PCP.Set {
		k.problem(o, "pcp", "the rule trusts the priority, and sets it", "keep one of them")
	}
}

// match checks which packets a rule is about.
func (k *checker) match(m *MatchConfig) {
	k.ruleFrames(m, &m.ACLConfig)
	k.rulePorts(m, &m.ACLConfig)
	k.ruleFamilies(m, &m.ACLConfig)
	if m.has("port") && (m.has("remotePort") || m.has("localPort")) {
		k.problem(m, "port", "the rule has port, which is that of either end, and a port of one end", "keep one of them")
	}
	if m.Vport != "" && k.c.Vport(m.Vport) == nil && !k.unread("vports") {
		names := map[string]bool{}
		for i := range k.c.Vports {
			names[k.c.Vports[i].Name] = true
		}
		k.problem(m, "vport", "vport "+m.Vport+" is not defined", k.defined("vports", m.Vport, maps.Keys(names)))
	}
	if m.Network != "" && !k.unread("networks") &&
		!slices.ContainsFunc(k.c.Networks, func(n NetworkConfig) bool { return n.Name == m.Network }) {
		names := map[string]bool{}
		for i := range k.c.Networks {
			names[k.c.Networks[i].Name] = true
		}
		k.problem(m, "network", "network "+m.Network+" is not defined", k.defined("networks", m.Network, maps.Keys(names)))
	}
}

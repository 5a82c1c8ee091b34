package policy

import (
	"fmt"
	"slices"
)

func aclListsOf(c *Config) []view {
	if c == nil {
		return nil
	}
	views := make([]view, len(c.ACLLists))
	for i := range c.ACLLists {
		views[i] = view{name: c.ACLLists[i].Name}
	}
	return views
}

// ruleLists are the rules of a configuration by whose they are.
func ruleLists(c *Config) (owners []string, rules map[string][]ACLConfig) {
	rules = map[string][]ACLConfig{}
	if c == nil {
		return nil, rules
	}
	add := func(owner string, list []ACLConfig) {
		if len(list) > 0 {
			owners, rules[owner] = append(owners, owner), list
		}
	}
	for i := range c.ACLLists {
		add("list "+c.ACLLists[i].Name, c.ACLLists[i].Rules)
	}
	for i := range c.Vports {
		add("vport "+c.Vports[i].Name, c.Vports[i].ACLs)
	}
	return owners, rules
}

// diffACLs compares rules by name, and the order of those with equal weights, in which they decide.
func diffACLs(now, wanted *Config) []Change {
	var out []Change
	owners, old := ruleLists(now)
	more, rules := ruleLists(wanted)
	for _, owner := range more {
		if old[owner] == nil {
			owners = append(owners, owner)
		}
	}
	for _, owner := range owners {
		out = append(out, diffObjects("acl", EffectPolicy, rulesOf(owner, old[owner]), rulesOf(owner, rules[owner]))...)
		if detail := reordered(old[owner], rules[owner]); detail != "" {
			out = append(out, Change{OpModify, "acl", "order of " + owner, detail, EffectPolicy})
		}
	}
	return out
}

func rulesOf(owner string, rules []ACLConfig) []view {
	views := make([]view, len(rules))
	for i := range rules {
		r := &rules[i]
		mac, frames := "", ""
		if !r.RemoteMAC.IsZero() {
			mac = r.RemoteMAC.String()
		}
		if r.EtherType != 0 {
			frames = fmt.Sprintf("0x%04x", r.EtherType)
		}
		views[i] = view{r.Name + " of " + owner, []property{
			prop("direction", r.Direction, EffectPolicy),
			prop("action", r.Action, EffectPolicy),
			prop("weight", r.Weight, EffectPolicy),
			prop("protocol", r.Protocol, EffectPolicy),
			prop("remote", PrefixFrom(r.Remote), EffectPolicy),
			prop("remoteMAC", mac, EffectPolicy),
			prop("local", PrefixFrom(r.Local), EffectPolicy),
			prop("remotePort", r.RemotePort, EffectPolicy),
			prop("localPort", r.LocalPort, EffectPolicy),
			prop("etherType", frames, EffectPolicy),
		}}
	}
	return views
}

// reordered says which rule of two lists has got before another, "" when those that kept their name and weight decide in
// the same order as before.
func reordered(now, wanted []ACLConfig) string {
	type key struct {
		name   string
		weight uint16
	}
	keys := func(rules []ACLConfig) (all []key, known map[key]bool) {
		known = map[key]bool{}
		for _, r := range byWeight(rules) {
			k := key{r.Name, r.Weight}
			all, known[k] = append(all, k), true
		}
		return all, known
	}
	before, was := keys(now)
	after, is := keys(wanted)
	before = slices.DeleteFunc(before, func(k key) bool { return !is[k] })
	after = slices.DeleteFunc(after, func(k key) bool { return !was[k] })
	for i := range after {
		if before[i] != after[i] {
			return after[i].name + " goes before " + before[i].name
		}
	}
	return ""
}

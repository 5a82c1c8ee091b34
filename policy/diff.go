package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Op says what happens to an object.
type Op string

// The values of Op.
const (
	OpAdd    Op = "add"
	OpModify Op = "modify"
	OpRemove Op = "remove"
)

// Effect says how far a change reaches. Of the changes to one object the farthest counts.
type Effect uint8

// The values of Effect.
const (
	EffectPolicy  Effect = iota // a new snapshot; no device is touched
	EffectDevice                // the device of this port is opened, closed, or opened again
	EffectRestart               // the daemon has to be restarted for it
)

func (e Effect) String() string {
	return [...]string{"policy", "device", "restart"}[e]
}

// Change is one difference between two configurations.
type Change struct {
	Op   Op
	Kind string // host, daemon, dataplane, uplink, vport, acl list, acl, network, subnet, route, peer, record,
	// classification, rule, built-in, outer, class, qos group, host group
	Name   string // "red-vm1"; of a record "10.0.0.7 of red-web", of a rule "ssh of vport red-vm1"; empty for sections that exist once
	Detail string // "mtu 1500 -> 1400, mac ..."; for what is added or removed, what it is
	Effect Effect
}

// String is one line for people.
func (c Change) String() string {
	s := string(c.Op) + " " + c.Kind
	if c.Name != "" {
		s += " " + c.Name
	}
	if c.Detail != "" {
		s += ": " + c.Detail
	}
	if c.Effect == EffectRestart {
		s += " (apply refuses it: restart the daemon with this file)"
	}
	return s
}

// kinds orders changes for display: from what carries others to what rests on them.
var kinds = []string{"host", "daemon", "dataplane", "uplink", "class", "qos group", "host group", "network", "subnet", "route", "peer", "acl list", "vport", "acl",
	"classification", "rule", "built-in", "outer", "record"}

// Diff lists what makes wanted of now, in the order of kinds, then by name. A nil configuration is one without anything.
func Diff(now, wanted *Config) []Change {
	var out []Change
	if now != nil && wanted != nil {
		out = append(out, diffSections(now, wanted)...)
	}
	out = append(out, diffObjects("uplink", EffectDevice, uplinksOf(now), uplinksOf(wanted))...)
	out = append(out, diffObjects("vport", EffectDevice, vportsOf(now), vportsOf(wanted))...)
	out = append(out, diffObjects("acl list", EffectPolicy, aclListsOf(now), aclListsOf(wanted))...)
	out = append(out, diffACLs(now, wanted)...)
	out = append(out, diffClassification(now, wanted)...)
	out = append(out, diffObjects("class", EffectPolicy, classesOf(now), classesOf(wanted))...)
	out = append(out, diffObjects("qos group", EffectPolicy, qosGroupsOf(now), qosGroupsOf(wanted))...)
	out = append(out, diffObjects("host group", EffectPolicy, hostGroupsOf(now), hostGroupsOf(wanted))...)
	out = append(out, diffObjects("network", EffectPolicy, networksOf(now), networksOf(wanted))...)
	out = append(out, diffObjects("subnet", EffectPolicy, subnetsOf(now), subnetsOf(wanted))...)
	out = append(out, diffObjects("route", EffectPolicy, routesOf(now), routesOf(wanted))...)
	out = append(out, diffObjects("peer", EffectPolicy, peersOf(now), peersOf(wanted))...)
	out = append(out, diffObjects("record", EffectPolicy, recordsOf(now), recordsOf(wanted))...)
	slices.SortStableFunc(out, func(a, b Change) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// property is one field of an object in words.
type property struct {
	key    string
	value  string
	effect Effect // of a change to it
}

// view is an object as Diff sees it. Two objects are the same when their properties are.
type view struct {
	name       string
	properties []property
}

func prop(key string, value any, effect Effect) property {
	return property{key, fmt.Sprint(value), effect}
}

// listed writes a list, "-" when it is empty.
func listed[T any](items []T) string {
	if len(items) == 0 {
		return "-"
	}
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = fmt.Sprint(item)
	}
	return strings.Join(words, " ")
}

// change compares two views of one object; ok is false when they agree.
func change(kind string, now, wanted view) (c Change, ok bool) {
	c = Change{Op: OpModify, Kind: kind, Name: wanted.name}
	var details []string
	for i, p := range wanted.properties {
		if old := now.properties[i]; old.value != p.value {
			details = append(details, fmt.Sprintf("%s %s -> %s", p.key, orDash(old.value), orDash(p.value)))
			c.Effect = max(c.Effect, p.effect)
		}
	}
	c.Detail = strings.Join(details, ", ")
	return c, len(details) > 0
}

func orDash(s string) string { return cmp.Or(s, "-") }

// summary says what an object is that comes or goes.
func summary(v view) string {
	var parts []string
	for _, p := range v.properties {
		switch p.value {
		case "", "-", "false", "0":
		case "true":
			parts = append(parts, p.key)
		default:
			parts = append(parts, p.key+" "+p.value)
		}
	}
	return strings.Join(parts, ", ")
}

// diffObjects compares two lists by name. effect is that of an object which comes or goes.
func diffObjects(kind string, effect Effect, now, wanted []view) []Change {
	var out []Change
	old := make(map[string]view, len(now))
	for _, v := range now {
		old[v.name] = v
	}
	for _, v := range wanted {
		was, known := old[v.name]
		delete(old, v.name)
		if !known {
			out = append(out, Change{OpAdd, kind, v.name, summary(v), effect})
		} else if c, differs := change(kind, was, v); differs {
			out = append(out, c)
		}
	}
	for _, v := range now {
		if _, gone := old[v.name]; gone {
			out = append(out, Change{OpRemove, kind, v.name, summary(v), effect})
		}
	}
	return out
}

func diffSections(now, wanted *Config) []Change {
	var out []Change
	for kind, views := range map[string][2]view{
		"host":      {hostView(now), hostView(wanted)},
		"daemon":    {daemonView(now), daemonView(wanted)},
		"dataplane": {dataplaneView(now), dataplaneView(wanted)},
	} {
		if c, differs := change(kind, views[0], views[1]); differs {
			out = append(out, c)
		}
	}
	return out
}

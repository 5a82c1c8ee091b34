package policy

import (
	"fmt"
	"maps"
	"net/netip"

	"github.com/sluicenet/sluice/packet"
)

// maxRules bounds a list: a new flow may have to pass all of it.
const maxRules = 1 << 14

func (k *checker) acls() {
	lists := namespace{}
	names := map[string]bool{}
	for i := range k.c.ACLLists {
		l := &k.c.ACLLists[i]
		k.claim(lists, l, l.Name)
		names[l.Name] = true
		k.rules(l, "rules", l.Rules)
	}
	for i := range k.c.Vports {
		v := &k.c.Vports[i]
		k.rules(v, "acls", v.ACLs)
		if v.has("acls") && v.has("aclList") {
			k.problem(v, "aclList", "the vport has acls and aclList", "keep one of them; a list may hold the rules of both")
		} else if v.ACLList != "" && !names[v.ACLList] && !k.unread("aclLists") {
			k.problem(v, "aclList", "acl list "+v.ACLList+" is not defined", k.defined("aclLists", v.ACLList, maps.Keys(names)))
		}
	}
}

// rules checks a list of rules, which is the value of a key of o.
func (k *checker) rules(o described, key string, rules []ACLConfig) {
	if n := len(rules); n > maxRules {
		k.problem(o, key, fmt.Sprintf("%s has %d rules; a list has room for %d", key, n, maxRules), "use prefixes and ranges of ports")
	}
	names := namespace{}
	for i := range rules {
		r := &rules[i]
		k.claim(names, r, r.Name)
		k.ruleFrames(r, r)
		k.rulePorts(r, r)
		k.ruleFamilies(r, r)
	}
}

// ruleFrames checks what of a frame the rule asks for.
func (k *checker) ruleFrames(o described, r *ACLConfig) {
	if r.has("remote") && r.has("remoteMAC") {
		k.problem(o, "remoteMAC", "the rule has remote and remoteMAC", "keep one of them")
	}
	if r.RemoteMAC.IsGroup() && r.Direction == DirectionIn {
		k.problem(o, "remoteMAC", "remoteMAC is "+r.RemoteMAC.String()+", a group address, from which nothing comes in",
			"use direction: out, or the address of a station")
	}
	if !r.has("etherType") {
		return
	}
	for _, key := range []string{"remote", "local", "port", "remotePort", "localPort", "dscp", "protocol"} {
		if r.has(key) && (key != "protocol" || r.Protocol != ProtocolAny) {
			k.problem(o, "etherType", "the rule has etherType and "+key,
				"leave etherType out: rules with "+key+" are about IP alone")
			return
		}
	}
}

// rulePorts refuses ports of what has none.
func (k *checker) rulePorts(o described, r *ACLConfig) {
	if k.refused(o, "protocol") {
		return
	}
	if n, ok := protocolNumber(r.Protocol); ok && HasPorts(n) {
		return
	}
	for _, key := range []string{"port", "remotePort", "localPort"} {
		if r.has(key) {
			k.problem(o, key, fmt.Sprintf("the rule has %s, and protocol %s", key, r.Protocol),
				"set protocol to tcp, udp or sctp, or leave the port out")
			return
		}
	}
}

// ruleFamilies refuses rules that no packet can match, since it is either IPv4 or IPv6.
func (k *checker) ruleFamilies(o described, r *ACLConfig) {
	if r.Remote.IsValid() && r.Local.IsValid() && r.Remote.Addr().Is4() != r.Local.Addr().Is4() {
		k.problem(o, "local", fmt.Sprintf("local %s and remote %s are not of the same IP version", r.Local, r.Remote),
			"make it two rules")
		return
	}
	proto, _ := protocolNumber(r.Protocol)
	for _, p := range []struct {
		key    string
		prefix netip.Prefix
	}{{"remote", r.Remote}, {"local", r.Local}} {
		switch {
		case !p.prefix.IsValid():
			continue
		case p.prefix.Addr().Is6() && proto == packet.ProtoICMP:
			k.problem(o, "protocol", "protocol icmp is of IPv4, and "+p.key+" "+p.prefix.String()+" is IPv6", "use icmpv6")
		case p.prefix.Addr().Is4() && proto == packet.ProtoICMPv6:
			k.problem(o, "protocol", "protocol icmpv6 is of IPv6, and "+p.key+" "+p.prefix.String()+" is IPv4", "use icmp")
		default:
			continue
		}
		return
	}
}

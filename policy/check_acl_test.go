package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rule spoils the good configuration with a rule of red-vm1.
func rule(text string) edits {
	return edits{"subnet: red-web, addresses: [10.0.0.5]}", "subnet: red-web, addresses: [10.0.0.5],\n     acls: [{name: r, direction: in, action: deny, " + text + "}]}"}
}

func TestACLRefusals(t *testing.T) {
	refuse(t, []refusal{
		{"nothing said", edits{"addresses: [10.0.0.5]}", "addresses: [10.0.0.5],\n     acls: [{}]}"}, []string{
			"7: acl 1: name is missing (name the rule)",
			"7: acl 1: direction is missing (say which way: in (towards the VM), out or both)",
			"7: acl 1: action is missing (say what to do: allow or deny)",
		}},
		{"unknown words", edits{"addresses: [10.0.0.5]}", "addresses: [10.0.0.5],\n     acls: [{name: r, direction: inn, action: drop, protocol: tpc, from: any}]}"}, []string{
			`7: acl r: direction is "inn" (use in, out or both)`,
			`7: acl r: action is "drop" (use allow or deny)`,
			`7: acl r: protocol is "tpc" (did you mean tcp? use tcp, udp, sctp, icmp, icmpv6, esp or any)`,
			`7: acl r: unknown key "from" (the keys are: name, direction, action, weight, protocol, remote, remoteMAC, local, remotePort, localPort, etherType)`,
		}},
		{"protocol number", rule("protocol: 256"), []string{
			`7: acl r: protocol is "256", out of its range (write a number from 0 to 255, or a name)`,
		}},
		{"weight", rule("weight: 65536"), []string{
			`7: acl r: weight is "65536", out of its range (write a whole number from 0 to 65535)`,
		}},
		{"address without length", rule("remote: 10.0.0.5"), []string{
			`7: acl r: remote is "10.0.0.5", without a prefix length (write 10.0.0.5/32 for this address alone)`,
		}},
		{"address inside a prefix", rule(`local: "2001:db8::5/64"`), []string{
			"7: acl r: local is 2001:db8::5/64, an address inside the prefix (write 2001:db8::/64)",
		}},
		{"two IP versions", rule(`remote: 10.0.0.0/8, local: "2001:db8::/64"`), []string{
			"7: acl r: local 2001:db8::/64 and remote 10.0.0.0/8 are not of the same IP version (make it two rules)",
		}},
		{"ICMP of the other version", rule(`protocol: icmp, remote: "2001:db8::/64"`), []string{
			"7: acl r: protocol icmp is of IPv4, and remote 2001:db8::/64 is IPv6 (use icmpv6)",
		}},
		{"ICMPv6 of the other version", rule(`protocol: 58, local: 10.0.0.0/8`), []string{
			"7: acl r: protocol icmpv6 is of IPv6, and local 10.0.0.0/8 is IPv4 (use icmp)",
		}},
		{"ports without a protocol", rule("localPort: 22"), []string{
			"7: acl r: the rule has localPort, and protocol any (set protocol to tcp, udp or sctp, or leave the port out)",
		}},
		{"ports of a protocol that has none", rule("protocol: esp, remotePort: 22, localPort: 1"), []string{
			"7: acl r: the rule has remotePort, and protocol esp (set protocol to tcp, udp or sctp, or leave the port out)",
		}},
		{"empty range", rule("protocol: tcp, localPort: 90-80"), []string{
			`7: acl r: localPort is "90-80", an empty range (write 80-90)`,
		}},
		{"no ports", rule("protocol: tcp, localPort: ssh, remotePort: 1-65536"), []string{
			`7: acl r: localPort is "ssh", not a port or a range of ports (write a port from 0 to 65535, or a range such as 8000-8099)`,
			`7: acl r: remotePort is "1-65536", not a port or a range of ports (write a port from 0 to 65535, or a range such as 8000-8099)`,
		}},
		{"octal port", rule("protocol: tcp, localPort: 022"), []string{
			`7: acl r: localPort is "022", not a port or a range of ports (write a port from 0 to 65535, or a range such as 8000-8099)`,
		}},
		{"remote in two ways", rule("remote: 10.0.0.0/8, remoteMAC: 02:00:00:00:00:01"), []string{
			"7: acl r: the rule has remote and remoteMAC (keep one of them)",
		}},
		{"MACs", rule("remoteMAC: 00:00:00:00:00:00"), []string{
			"7: acl r: remoteMAC is all zero, which no station may use (give the address of the other end, or leave the key out)",
		}},
		{"group sends nothing", rule("remoteMAC: ff:ff:ff:ff:ff:ff"), []string{
			"7: acl r: remoteMAC is ff:ff:ff:ff:ff:ff, a group address, from which nothing comes in (use direction: out, or the address of a station)",
		}},
		{"EtherType and IP", rule("etherType: 0x800, protocol: tcp"), []string{
			"7: acl r: the rule has etherType and protocol (leave etherType out: rules with protocol are about IP alone)",
		}},
		{"EtherType that is a length", rule("etherType: 0x5ff"), []string{
			`7: acl r: etherType is "0x5ff", out of its range (write a whole number from 1536 to 65535)`,
		}},
		{"the same name twice", edits{"addresses: [10.0.0.5]}", "addresses: [10.0.0.5], acls: [\n{name: r, direction: in, action: deny},\n{name: R, direction: in, action: deny},\n{name: r, direction: in, action: deny}]}"}, []string{
			"8: acl R: the name R differs only in upper and lower case from that of acl r (line 7) (give each its own name)",
			"9: acl r: the name r is also that of acl r (line 7) (give each its own name)",
		}},
		{"list and own rules", edits{"addresses: [10.0.0.5]}", "addresses: [10.0.0.5], acls: [], aclList: web}", "networks:", "aclLists:\n  - {name: web, rules: []}\nnetworks:"}, []string{
			"6: vport red-vm1: the vport has acls and aclList (keep one of them; a list may hold the rules of both)",
		}},
		{"list that is not there", edits{"addresses: [10.0.0.5]}", "addresses: [10.0.0.5], aclList: wep}", "networks:", "aclLists:\n  - {name: web, rules: []}\nnetworks:"}, []string{
			"6: vport red-vm1: acl list wep is not defined (did you mean web?)",
		}},
		{"lists misspelt", edits{"addresses: [10.0.0.5]}", "addresses: [10.0.0.5], aclList: web}", "networks:", "aclList:\n  - {name: web, rules: []}\nnetworks:"}, []string{
			`10: unknown key "aclList" (did you mean aclLists?)`,
		}},
		{"lists", edits{"networks:", "aclLists:\n  - {name: web, rules: []}\n  - {name: web, rules: [{name: a, direction: in, action: deny, localPort: 1}]}\n  - {name: x}\nnetworks:"}, []string{
			"12: acl list web: the name web is also that of acl list web (line 11) (give each its own name)",
			"12: acl a: the rule has localPort, and protocol any (set protocol to tcp, udp or sctp, or leave the port out)",
			"13: acl list x: rules is missing (list its rules)",
		}},
	})
}

func TestACLAccepted(t *testing.T) {
	c := parsed(t, spoil(t, rule(`weight: 65535, protocol: 6, remote: 0.0.0.0/0, local: 10.0.0.5/32, remotePort: 0-65535, localPort: 80},
       {name: arp, direction: both, action: allow, etherType: 0x0806}, {name: b, direction: out, action: deny, remoteMAC: "ff:ff:ff:ff:ff:ff"}, {name: n, direction: out, action: deny, protocol: 47`)))
	rules := c.Vports[0].ACLs
	require.Len(t, rules, 4)
	assert.Equal(t, "tcp", rules[0].Protocol, "a number that has a name")
	assert.Equal(t, PortRange{0, 65535, true}, rules[0].RemotePort)
	assert.Equal(t, PortRange{80, 80, true}, rules[0].LocalPort)
	assert.Equal(t, uint16(0x806), rules[1].EtherType)
	assert.Equal(t, ProtocolAny, rules[1].Protocol)
	assert.Equal(t, "47", rules[3].Protocol)
	assert.Equal(t, 7, rules[0].Line())
	assert.Equal(t, 8, rules[1].Line())
}

func TestACLListTooLong(t *testing.T) {
	var b strings.Builder
	b.WriteString("host: {name: a}\naclLists:\n  - name: long\n    rules:\n")
	for i := range maxRules + 1 {
		fmt.Fprintf(&b, "      - {name: r%d, direction: in, action: deny}\n", i)
	}
	_, err := Parse("bad.yaml", []byte(b.String()))
	assert.EqualError(t, err, "bad.yaml:5: acl list long: rules has 16385 rules; a list has room for 16384 (use prefixes and ranges of ports)")
}

func TestWarnOfUnusedACLList(t *testing.T) {
	c := parsed(t, spoil(t, edits{"networks:", "aclLists:\n  - {name: web, rules: []}\nnetworks:"}))
	require.Len(t, c.Warnings(), 1)
	assert.Equal(t, "test.yaml:11: acl list web: no vport has the list, so its rules concern nobody (add aclList: web to a vport, or remove the list)",
		c.Warnings()[0].String())
}

func TestDiffACLs(t *testing.T) {
	own := func(rules string) edits {
		return edits{"addresses: [10.0.0.5]}", "addresses: [10.0.0.5], acls: [" + rules + "]}"}
	}
	const (
		a = "{name: a, direction: in, action: deny, protocol: tcp, localPort: 22}"
		b = "{name: b, direction: in, action: allow, remote: 10.0.0.0/8}"
		c = "{name: c, direction: both, action: allow, weight: 9, remoteMAC: 02:00:00:00:00:01}"
	)
	for name, tt := range map[string]struct {
		now, wanted edits
		want        []string
	}{
		"added": {nil, own(a + "," + c), []string{
			"policy: add acl a of vport red-vm1: direction in, action deny, protocol tcp, localPort 22",
			"policy: add acl c of vport red-vm1: direction both, action allow, weight 9, protocol any, remoteMAC 02:00:00:00:00:01"}},
		"removed": {own(a + "," + b), own(b), []string{
			"policy: remove acl a of vport red-vm1: direction in, action deny, protocol tcp, localPort 22"}},
		"changed": {own(a), own(strings.Replace(a, "22", "22-23, weight: 5", 1)), []string{
			"policy: modify acl a of vport red-vm1: weight 0 -> 5, localPort 22 -> 22-23"}},
		"order of equal weights": {own(a + "," + b + "," + c), own(b + "," + a + "," + c), []string{
			"policy: modify acl order of vport red-vm1: b goes before a"}},
		"order that decides nothing": {own(a + "," + b + "," + c), own(c + "," + a + "," + b), nil},
		"to a list": {own(a), edits{"addresses: [10.0.0.5]}", "addresses: [10.0.0.5], aclList: web}", "networks:", "aclLists: [{name: web, rules: [" + a + "]}]\nnetworks:"}, []string{
			"policy: add acl list web",
			"policy: modify vport red-vm1: aclList - -> web",
			"policy: add acl a of list web: direction in, action deny, protocol tcp, localPort 22",
			"policy: remove acl a of vport red-vm1: direction in, action deny, protocol tcp, localPort 22"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range Diff(parsed(t, spoil(t, tt.now)), parsed(t, spoil(t, tt.wanted))) {
				got = append(got, c.Effect.String()+": "+c.String())
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

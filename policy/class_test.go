package policy

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

// classified adds a classification to the good configuration.
func classified(text string) edits {
	return edits{"hosts:\n", "classification:\n" + text + "\nhosts:\n"}
}

func TestClassificationRefusals(t *testing.T) {
	refuse(t, []refusal{
		{"unknown DSCP and priority", classified("  rules:\n    - {name: a, match: {dscp: 64}, tc: 8, dscp: efx, pcp: 8}\n    - {name: b, match: {pcp: 9, dscp: af44}, tc: 1, dscp: -1}"), []string{
			`22: rule a: dscp is "64", and a DSCP has six bits (write 0 to 63; as a TOS byte it would be four times as much)`,
			`22: rule a: tc is "8", out of its range (write a traffic class from 0 to 7)`,
			`22: rule a: dscp is "efx", not a DSCP (write a number from 0 to 63, or a name such as cs3, af31 or ef)`,
			`22: rule a: pcp is "8", out of its range (802.1Q has the priorities 0 to 7)`,
			`23: rule b: pcp is "9", out of its range (802.1Q has the priorities 0 to 7)`,
			`23: rule b: dscp is "af44", not a DSCP (did you mean af43? write a number from 0 to 63, or a name such as cs3, af31 or ef)`,
			`23: rule b: dscp is "-1", not a DSCP (write a number from 0 to 63, or a name such as cs3, af31 or ef)`,
		}},
		{"rules that say nothing", classified("  rules:\n    - {}\n    - {name: a, match: {port: 1}}\n    - {name: a, match: {vport: red-vm3, network: rad}, tc: 1, trust: pcp, pcp: 2}"), []string{
			"22: rule 1: name is missing (name the rule)",
			"22: rule 1: match is missing (say which packets, for example match: {protocol: tcp, port: 443})",
			"22: rule 1: the rule says no traffic class (add tc: <0-7>, or trust: dscp or trust: pcp)",
			"23: rule a: the rule says no traffic class (add tc: <0-7>, or trust: dscp or trust: pcp)",
			"23: rule a: the rule has port, and protocol any (set protocol to tcp, udp or sctp, or leave the port out)",
			"24: rule a: the name a is also that of rule a (line 23) (give each its own name)",
			"24: rule a: vport red-vm3 is not defined (did you mean red-vm2?)",
			"24: rule a: network rad is not defined (did you mean red?)",
			"24: rule a: the rule says tc, and trust pcp (keep one of them)",
			"24: rule a: the rule trusts the priority, and sets it (keep one of them)",
		}},
		{"matches that cannot be", classified("  rules:\n    - {name: a, match: {protocol: tcp, port: 1, localPort: 2}, tc: 0}\n    - {name: b, match: {etherType: 0x8915, dscp: ef}, tc: 0}\n    - {name: c, match: {remote: 10.0.0.0/8, local: \"2001:db8::/32\"}, tc: 0}\n    - {name: d, match: {vsid: 1}, tc: 0}"), []string{
			"22: rule a: the rule has port, which is that of either end, and a port of one end (keep one of them)",
			"23: rule b: the rule has etherType and dscp (leave etherType out: rules with dscp are about IP alone)",
			"24: rule c: local 2001:db8::/32 and remote 10.0.0.0/8 are not of the same IP version (make it two rules)",
			`25: rule d: vsid is "1", out of its range (write a whole number from 4096 to 16777214)`,
		}},
		{"built-in", classified("  builtIn:\n    - {name: isci, tc: 1}\n    - {name: nfs}\n    - {name: smb, tc: 1}\n    - {name: smb, tc: 2, trust: dscp}"), []string{
			"22: built-in 1: name is \"isci\" (did you mean iscsi? use iscsi, nfs, smb, smb-direct, nvme, fcoe, ceph, live-migration, cluster or ptp)",
			"23: built-in nfs: tc is missing (say in which traffic class it is, 0 to 7)",
			"25: built-in smb: the name smb is also that of built-in smb (line 24) (give each its own name)",
			`25: built-in smb: unknown key "trust" (the keys are: name, tc, dscp, pcp)`,
		}},
		{"outer and default", classified("  default: {trust: dscp, dscp: ef}\n  outer:\n    - {tc: 1, dscp: ef}\n    - {tc: 1, pcp: 1}\n    - {dscp: 1}"), []string{
			"21: classification: the rule trusts the DSCP, and sets it (keep one of them; outer sets the DSCP of the header around packets)",
			"24: outer 2: traffic class 1 is listed twice, first in line 23 (keep one of them)",
			"25: outer 3: tc is missing (say of which traffic class, 0 to 7)",
		}},
	})
}

// decide classifies a packet of red-vm1.
func decide(s *Snapshot, change func(*ClassPacket)) Verdict {
	p := ClassPacket{ACLPacket: ACLPacket{Class: FrameIPv4, Proto: packet.ProtoTCP, HasPorts: true, LocalPort: 1, RemotePort: 2}, In: 2, VSID: 6001}
	change(&p)
	return s.Classes.Decide(&p)
}

// Every port and type of every built-in class is recognised, whichever end has it.
func TestBuiltInClasses(t *testing.T) {
	for _, b := range BuiltIns {
		s := compiled(t, nil, spoil(t, classified("  builtIn: [{name: "+b.Name+", tc: 5, dscp: ef, pcp: 3}]")))
		want := Verdict{TC: 5, DSCP: Mark{46, true}, PCP: Mark{3, true}}
		n := 0
		for proto, list := range map[uint8][]PortRange{packet.ProtoTCP: b.TCP, packet.ProtoUDP: b.UDP} {
			for _, r := range list {
				for _, port := range []uint16{r.Low, r.High} {
					assert.Equal(t, want, decide(s, func(p *ClassPacket) { p.Proto, p.RemotePort = proto, port }), "%s %d", b.Name, port)
					assert.Equal(t, want, decide(s, func(p *ClassPacket) { p.Proto, p.LocalPort, p.Class = proto, port, FrameIPv6 }), "%s %d", b.Name, port)
					assert.Zero(t, decide(s, func(p *ClassPacket) { p.Proto, p.LocalPort, p.HasPorts = proto, port, false }), "fragments")
					n++
				}
			}
		}
		for _, e := range b.EtherTypes {
			assert.Equal(t, want, decide(s, func(p *ClassPacket) { p.Class, p.EtherType = FrameOther, e }), "%s 0x%04x", b.Name, e)
			n++
		}
		assert.Positive(t, n)
		assert.NotEmpty(t, b.Note)
		assert.Zero(t, decide(s, func(*ClassPacket) {}), "others are of class 0, and keep their marks")
	}
}

func TestOrderOfClassification(t *testing.T) {
	s := compiled(t, nil, spoil(t, classified(`  default: {tc: 1}
  rules:
    - {name: one, match: {vport: red-vm1, dscp: 10}, tc: 2}
    - {name: all, match: {vport: red-vm1, protocol: tcp, port: 80-90}, tc: 3, dscp: clear}
    - {name: tag, match: {pcp: 4}, trust: pcp}
    - {name: arp, match: {vport: red-vm2}, tc: 4}
  builtIn:
    - {name: smb, tc: 7}`)))
	for name, tt := range map[string]struct {
		change func(*ClassPacket)
		want   Verdict
	}{
		"none":             {func(*ClassPacket) {}, Verdict{TC: 1}},
		"first":            {func(p *ClassPacket) { p.DSCP, p.RemotePort = 10, 85 }, Verdict{TC: 2}},
		"second":           {func(p *ClassPacket) { p.RemotePort = 85 }, Verdict{TC: 3, DSCP: Mark{0, true}}},
		"of another vport": {func(p *ClassPacket) { p.RemotePort, p.In = 85, 9 }, Verdict{TC: 1}},
		"built-in":         {func(p *ClassPacket) { p.RemotePort = 445 }, Verdict{TC: 7}},
		"rules come first": {func(p *ClassPacket) { p.RemotePort, p.LocalPort = 445, 80 }, Verdict{TC: 3, DSCP: Mark{0, true}}},
		"trusted":          {func(p *ClassPacket) { p.PCP, p.Tagged = 4, true }, Verdict{TC: 4}},
		"priority 0":       {func(p *ClassPacket) { p.PCP = 4 }, Verdict{TC: 1}},
		"ARP":              {func(p *ClassPacket) { p.In, p.Class = 3, FrameARP }, Verdict{TC: 4}},
		"DSCP of no IP":    {func(p *ClassPacket) { p.DSCP, p.Class = 10, FrameOther }, Verdict{TC: 1}},
	} {
		assert.Equal(t, tt.want, decide(s, tt.change), name)
	}
	again := compiled(t, s, spoil(t, classified("  rules: []")))
	assert.True(t, Compare(s, again).All)
	assert.True(t, Compare(again, compiled(t, again, good)).All)
	same := compiled(t, again, spoil(t, classified("  rules: []")))
	assert.Same(t, again.Classes, same.Classes)
	assert.True(t, func() bool { d := Compare(again, same); return d.Empty() }())
}

func TestDiffClassification(t *testing.T) {
	before := parsed(t, spoil(t, classified("  rules:\n    - {name: a, match: {vport: red-vm1, dscp: ef}, tc: 1}\n    - {name: b, match: {protocol: tcp, port: 80}, trust: dscp}\n  builtIn: [{name: smb, tc: 1}]\n  outer: [{tc: 1, pcp: 2}]")))
	after := parsed(t, spoil(t, classified("  default: {dscp: clear}\n  rules:\n    - {name: b, match: {protocol: tcp, port: 80}, tc: 2, dscp: af11}\n    - {name: a, match: {vport: red-vm1, dscp: ef}, tc: 1}\n  builtIn: [{name: nfs, tc: 1}]\n  outer: [{tc: 1, pcp: 3}]")))
	var got []string
	for _, c := range Diff(before, after) {
		require.Equal(t, EffectPolicy, c.Effect)
		got = append(got, c.String())
	}
	assert.Equal(t, []string{
		"modify classification default: dscp keep -> clear",
		"modify rule b: tc by dscp -> 2, dscp keep -> af11",
		"modify rule order: b goes before a",
		"add built-in nfs: tc 1, dscp keep, pcp keep",
		"remove built-in smb: tc 1, dscp keep, pcp keep",
		"modify outer of class 1: pcp 2 -> 3",
	}, got)
	assert.Empty(t, Diff(after, after))
	assert.Equal(t, "add rule a: match vport red-vm1, dscp ef, tc 1, dscp keep, pcp keep", Diff(parsed(t, good), before)[1].String())
}

// The built-in classes in the documentation are those of the code.
func TestBuiltInClassesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/QOS.md")
	require.NoError(t, err)
	for _, b := range BuiltIns {
		types := make([]string, len(b.EtherTypes))
		for i, e := range b.EtherTypes {
			types[i] = shownType(e)
		}
		cell := func(words []string) string {
			if len(words) == 0 {
				return " |"
			}
			return " " + strings.Join(words, ", ") + " |"
		}
		words := func(list []PortRange) (words []string) {
			for _, r := range list {
				words = append(words, r.String())
			}
			return words
		}
		assert.Contains(t, string(text), "| `"+b.Name+"` | "+b.Note+" |"+cell(words(b.TCP))+cell(words(b.UDP))+cell(types)+"\n")
	}
}

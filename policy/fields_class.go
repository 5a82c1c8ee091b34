package policy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicenet/sluice/packet"
)

func classificationFields(c *ClassificationConfig) []field {
	return []field{
		{"default", section(&c.Default, outcomeFields(&c.Default.OutcomeConfig, "")), ""},
		{"rules", objects(&c.Rules, classRuleFields), ""},
		{"builtIn", objects(&c.BuiltIn, builtInFields), ""},
		{"outer", objects(&c.Outer, outerFields), ""},
	}
}

func classRuleFields(r *ClassRuleConfig) []field {
	match := func(v value) {
		r.Match.rule = r.label()
		section(&r.Match, matchFields(&r.Match))(v)
	}
	return append([]field{
		{"name", name(&r.Name), "name the rule"},
		{"match", match, "say which packets, for example match: {protocol: tcp, port: 443}"},
	}, outcomeFields(&r.OutcomeConfig, "")...)
}

func matchFields(m *MatchConfig) []field {
	return []field{
		{"vport", name(&m.Vport), ""},
		{"network", name(&m.Network), ""},
		{"vsid", number(&m.VSID, packet.MinVSID, packet.MaxVSID), ""},
		{"protocol", protocol(&m.Protocol), ""},
		{"remote", aclPrefix(&m.Remote), ""},
		{"local", aclPrefix(&m.Local), ""},
		{"port", portRange(&m.Port), ""},
		{"remotePort", portRange(&m.RemotePort), ""},
		{"localPort", portRange(&m.LocalPort), ""},
		{"etherType", etherType(&m.EtherType), ""},
		{"dscp", dscp(&m.DSCP), ""},
		{"pcp", priority(&m.PCP), ""},
	}
}

func builtInFields(b *BuiltInConfig) []field {
	return append([]field{{"name", choice(&b.Name, builtInNames()...), "say which: " + oneOf(builtInNames())}},
		outcomeFields(&b.OutcomeConfig, "say in which traffic class it is, 0 to 7")...)
}

func outcomeFields(o *OutcomeConfig, needTC string) []field {
	fields := []field{
		{"tc", trafficClass(&o.TC), needTC},
		{"dscp", mark(&o.DSCP, dscp), ""},
		{"pcp", mark(&o.PCP, priority), ""},
	}
	if needTC == "" {
		fields = append(fields, field{"trust", choice(&o.Trust, TrustDSCP, TrustPCP), ""})
	}
	return fields
}

func outerFields(o *OuterConfig) []field {
	return []field{
		{"tc", trafficClass(&o.TC), "say of which traffic class, 0 to 7"},
		{"dscp", mark(&o.DSCP, dscp), ""},
		{"pcp", mark(&o.PCP, priority), ""},
	}
}

// trafficClass reads the number of a traffic class.
func trafficClass(dst *uint8) reader {
	return func(v value) {
		n, _ := v.whole(0, TrafficClasses-1, "write a traffic class from 0 to 7")
		*dst = uint8(n)
	}
}

// mark reads what becomes of a mark: it is kept, cleared, or set to a value.
func mark(dst *Mark, set func(*Mark) reader) reader {
	return func(v value) {
		switch v.node.Value {
		case MarkKeep:
			*dst = Mark{}
		case MarkClear:
			*dst = Mark{Set: true}
		default:
			set(dst)(v)
		}
	}
}

// priority reads a priority of 802.1Q.
func priority(dst *Mark) reader {
	return func(v value) {
		if n, ok := v.whole(0, 7, "802.1Q has the priorities 0 to 7"); ok {
			*dst = Mark{uint8(n), true}
		}
	}
}

// maxDSCP is the largest differentiated services code point (RFC 2474, section 3).
const maxDSCP = 63

// dscp reads a differentiated services code point, by number or name.
func dscp(dst *Mark) reader {
	return func(v value) {
		s, ok := v.scalar("DSCP")
		if !ok {
			return
		}
		if n, err := strconv.ParseUint(s, 10, 64); err == nil {
			if n > maxDSCP {
				v.fail("is "+shown(s)+", and a DSCP has six bits", "write 0 to 63; as a TOS byte it would be four times as much")
				return
			}
			*dst = Mark{uint8(n), true}
			return
		}
		var known []string
		for _, n := range dscpNames {
			if n.name == strings.ToLower(s) {
				*dst = Mark{n.value, true}
				return
			}
			known = append(known, n.name)
		}
		remedy := "write a number from 0 to 63, or a name such as cs3, af31 or ef"
		if guess := closest(s, known); guess != "" {
			remedy = "did you mean " + guess + "? " + remedy
		}
		v.fail("is "+shown(s)+", not a DSCP", remedy)
	}
}

func shownNumber(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func shownType(t uint16) string { return fmt.Sprintf("0x%04x", t) }

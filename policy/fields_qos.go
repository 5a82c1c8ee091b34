package policy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxMinWeight = 1000
	minRate      = 1000 // bits per second
	maxRate      = 1e12
	maxSize      = 1 << 30
)

// owned notes whose section an object is, before it is read.
func owned(label *string, r reader) reader {
	return func(v value) {
		*label = v.owner.label()
		r(v)
	}
}

func linkQoSFields(q *LinkQoSConfig) []field {
	return []field{
		{"rate", rate(&q.BytesPerSec), ""},
		{"hardware", choice(&q.Hardware, HardwareAuto, HardwareOff, HardwareRequired), ""},
		{"default", owned(&q.Default.owner, section(&q.Default, minFields(&q.Default.ShareConfig))), ""},
		{"classes", objects(&q.Classes, classFields), "list the classes, for example - {tc: 0, name: default, share: 100%}"},
	}
}

func classFields(c *ClassConfig) []field {
	return []field{
		{"name", name(&c.Name), "name the class"},
		{"tc", trafficClass(&c.TC), "say which traffic class it is, 0 to 7"},
		{"strict", boolean(&c.Strict), ""},
		{"share", share(&c.Share), ""},
		{"max", rate(&c.MaxBytesPerSec), ""},
		{"queue", size(&c.QueueBytes), ""},
		{"ecn", ecn(c), ""},
		{"pfc", boolean(&c.PFC), ""},
	}
}

// ecn reads off, or the depths between which packets are marked.
func ecn(c *ClassConfig) reader {
	return func(v value) {
		if v.node.Kind == yaml.ScalarNode && (v.node.Value == "off" || v.node.Value == "false") {
			c.MarkBytes, c.MarkFullBytes = 0, 0
			return
		}
		c.MarkBytes = defaultMarkBytes
		group(field{"from", size(&c.MarkBytes), ""},
			field{"full", size(&c.MarkFullBytes), ""})(v)
	}
}

func minFields(s *ShareConfig) []field {
	return []field{
		{"minWeight", number(&s.MinWeight, 1, maxMinWeight), ""},
		{"min", rate(&s.MinBytesPerSec), ""},
	}
}

func shareFields(s *ShareConfig) []field {
	return append(minFields(s), field{"max", rate(&s.MaxBytesPerSec), ""}, field{"burst", size(&s.BurstBytes), ""})
}

// vportQoSFields are those of every vport of something.
func vportQoSFields(q *VportQoSConfig) []field {
	return append(shareFields(&q.ShareConfig), []field{
		{"destinations", objects(&q.Destinations, destinationFields), ""},
		{"inbound", group(
			field{"max", rate(&q.Inbound.MaxBytesPerSec), ""},
			field{"burst", size(&q.Inbound.BurstBytes), ""},
			field{"storm", rate(&q.Inbound.StormBytesPerSec), ""},
		), ""},
	}...)
}

// ownQoSFields are those of one vport.
func ownQoSFields(q *VportQoSConfig) []field {
	return append(vportQoSFields(q), field{"group", name(&q.Group), ""})
}

func destinationFields(d *DestinationConfig) []field {
	return []field{
		{"name", name(&d.Name), "name the destination"},
		{"prefixes", list(&d.Prefixes, func(p *netip.Prefix) reader { return aclPrefix(p) }), "list the addresses, for example prefixes: [0.0.0.0/0]"},
		{"max", rate(&d.MaxBytesPerSec), ""},
		{"burst", size(&d.BurstBytes), ""},
	}
}

func qosGroupFields(g *QoSGroupConfig) []field {
	return append(append([]field{{"name", name(&g.Name), "name the group"}}, shareFields(&g.ShareConfig)...),
		field{"vports", owned(&g.Vports.owner, section(&g.Vports, vportQoSFields(&g.Vports))), ""})
}

func networkQoSFields(q *NetworkQoSConfig) []field {
	return append(shareFields(&q.ShareConfig),
		field{"vports", owned(&q.Vports.owner, section(&q.Vports, vportQoSFields(&q.Vports))), ""})
}

func hostGroupFields(g *HostGroupConfig) []field {
	return []field{
		{"name", name(&g.Name), "name the group"},
		{"qos", owned(&g.QoS.owner, section(&g.QoS, vportQoSFields(&g.QoS))), "say what its hosts' vports get"},
	}
}

// rate reads bits per second with a unit into bytes per second.
func rate(dst *uint64) reader {
	return func(v value) {
		const remedy = "write a number and a unit: kbit, Mbit or Gbit (per second), for example 100Mbit"
		s, ok := v.scalar("rate")
		if !ok {
			return
		}
		bits, err := withUnits(s, append(rateUnits[:len(rateUnits):len(rateUnits)], unit{"bit", 1}))
		switch {
		case err != nil && isDigits(s):
			v.fail("is "+shown(s)+", which has no unit", "write for example "+clip(s)+"Mbit")
		case err != nil:
			v.fail("is "+shown(s)+", not a rate", remedy)
		case bits < minRate || bits > maxRate:
			v.fail("is "+s+", out of its range", "use 1kbit to 1000Gbit")
		default:
			*dst = uint64(bits / 8)
		}
	}
}

var sizeUnits = []unit{{"MiB", 1 << 20}, {"KiB", 1 << 10}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

// size reads a number of bytes with a unit.
func size[T uint32 | uint64](dst *T) reader {
	return func(v value) {
		s, ok := v.scalar("size")
		if !ok {
			return
		}
		n, err := withUnits(s, sizeUnits)
		switch {
		case err != nil && isDigits(s):
			v.fail("is "+shown(s)+", which has no unit", "write for example "+clip(s)+"KiB, or B for bytes")
		case err != nil:
			v.fail("is "+shown(s)+", not a size", "write a number and a unit: B, kB, KiB, MB or MiB, for example 64KiB")
		case n < 1 || n > maxSize:
			v.fail("is "+s+", out of its range", "use 1B to 1024MiB")
		default:
			*dst = T(n)
		}
	}
}

// withUnits reads a decimal number that ends in one of the units.
func withUnits(s string, units []unit) (float64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		if digits == "" || strings.Trim(digits, "0123456789.") != "" {
			return 0, strconv.ErrSyntax
		}
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			return 0, fmt.Errorf("read number: %w", err)
		}
		return n * u.size, nil
	}
	return 0, strconv.ErrSyntax
}

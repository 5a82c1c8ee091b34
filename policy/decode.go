package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/sluicenet/sluice/packet"
)

// A decoder turns YAML nodes into typed fields. What it cannot take it reports, and goes on with the next field, so
// that all problems of a file come at once. It follows the known keys only: how deep a file nests does not matter.
type decoder struct {
	file     string
	problems []Problem
	places   map[position]bool // of the problems
}

// maxProblems bounds what is reported: a wrong file as large as Parse takes could have millions.
const maxProblems = 1000

func (d *decoder) report(at position, object, what, remedy string) {
	if d.places == nil {
		d.places = map[position]bool{}
	}
	switch len(d.problems) {
	case maxProblems:
		return
	case maxProblems - 1:
		object, what, remedy = "", "too many problems: the rest is not shown", "mend these first"
	}
	d.places[at] = true
	d.problems = append(d.problems, Problem{File: d.file, Line: int(at.line), Column: int(at.column), Object: object,
		What: what, Remedy: remedy})
}

// full says that no further problem will be reported, so that there is no need to look for it.
func (d *decoder) full() bool { return len(d.problems) >= maxProblems }

func positionOf(n *yaml.Node) position {
	return position{line: int32(max(n.Line, 1)), column: int32(max(n.Column, 1))}
}

// value is a node to be read as the value of a field.
type value struct {
	d     *decoder
	owner described
	key   string // "mac", "device.interface"; "" for the value of a list item that is an object
	node  *yaml.Node
}

// fail reports that the value is not what the field takes.
func (v value) fail(what, remedy string) {
	v.d.report(positionOf(v.node), v.owner.label(), v.key+" "+what, remedy)
}

// reader reads one value.
type reader func(v value)

// field is a key that an object may have.
type field struct {
	key  string
	read reader
	need string // not empty: the key must be there, and this is what to add
}

// shown quotes text of the file, cut to what fits into a message.
func shown(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "..."
	}
	return strconv.Quote(s)
}

// kindOf says in words what a node is.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case n.ShortTag() == "!!null":
		return "empty"
	}
	return shown(n.Value)
}

// object reads a mapping into the fields of owner. A name field comes first in the table, so that problems of the others
// bear it.
func (d *decoder) object(owner described, n *yaml.Node, prefix string, fields []field) {
	values := d.pairs(owner, n, prefix, fields)
	src := owner.from()
	if prefix == "" {
		src.pos = positionOf(n)
	}
	src.fields = slices.Grow(src.fields, len(values))
	for i, f := range fields {
		if at := values[i]; at != nil {
			src.fields = append(src.fields, fieldPosition{prefix + f.key, positionOf(at)})
		}
	}
	for i, f := range fields {
		key := prefix + f.key
		switch at := values[i]; {
		case at == nil && f.need != "":
			d.report(positionOf(n), owner.label(), key+" is missing", f.need)
		case at == nil:
		case at.Kind == yaml.AliasNode:
			d.report(positionOf(at), owner.label(), key+" is a YAML alias, which is not taken here", "write the value out")
		case at.Kind == yaml.ScalarNode && at.ShortTag() == "!!null":
			d.report(positionOf(at), owner.label(), key+" has no value", "give one, or leave the key out")
		default:
			f.read(value{d, owner, key, at})
		}
	}
}

// pairs finds the value of each field in a mapping, nil where it has none, and reports the keys that are no field.
func (d *decoder) pairs(owner described, n *yaml.Node, prefix string, fields []field) []*yaml.Node {
	values := make([]*yaml.Node, len(fields))
	lines := make([]int, len(fields))
	var unknown []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		f := slices.IndexFunc(fields, func(f field) bool { return f.key == key.Value })
		switch {
		case key.Kind != yaml.ScalarNode || f < 0:
			unknown = append(unknown, key)
		case values[f] != nil:
			d.report(positionOf(key), peekLabel(owner, n), fmt.Sprintf("%s is given twice, first in line %d", prefix+key.Value, lines[f]),
				"keep one of them")
		default:
			values[f], lines[f] = n.Content[i+1], key.Line
		}
	}
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	for _, key := range unknown {
		if key.Kind != yaml.ScalarNode {
			d.report(positionOf(key), peekLabel(owner, n), "a key is "+kindOf(key)+", not a word", "the keys are: "+strings.Join(known, ", "))
			continue
		}
		remedy := "the keys are: " + strings.Join(known, ", ")
		if guess := closest(key.Value, known); guess != "" {
			remedy = "did you mean " + prefix + guess + "?"
		}
		d.report(positionOf(key), peekLabel(owner, n), "unknown key "+shown(prefix+key.Value), remedy)
	}
	return values
}

// peekLabel is owner's label with the name that the mapping gives, which has not been read yet.
func peekLabel(owner described, n *yaml.Node) string {
	label := owner.label()
	kind, number, ok := strings.Cut(label, " ")
	if !ok || number != strconv.Itoa(int(owner.from().number)) {
		return label
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := n.Content[i+1]; n.Content[i].Value == "name" && v.Kind == yaml.ScalarNode && nameProblem(v.Value) == "" {
			return kind + " " + v.Value
		}
	}
	return label
}

// section reads a mapping of an object of its own, such as daemon.
func section(owner described, fields []field) reader {
	return func(v value) {
		if v.node.Kind != yaml.MappingNode {
			v.fail("is "+kindOf(v.node)+", not a mapping", "write "+v.key+": {"+fields[0].key+": ...}")
			return
		}
		v.d.object(owner, v.node, "", fields)
	}
}

// group reads a mapping of further fields of the same object, such as device.
func group(fields ...field) reader {
	return func(v value) {
		if v.node.Kind != yaml.MappingNode {
			v.fail("is "+kindOf(v.node)+", not a mapping", "write "+v.key+": {"+fields[0].key+": ...}")
			return
		}
		v.d.object(v.owner, v.node, v.key+".", fields)
	}
}

// objects reads a list of mappings. fields makes the table for the i-th object of the list.
func objects[T any, P interface {
	*T
	described
}](dst *[]T, fields func(P) []field) reader {
	return func(v value) {
		if v.node.Kind != yaml.SequenceNode {
			v.fail("is "+kindOf(v.node)+", not a list", `put "- " before each entry`)
			return
		}
		*dst = make([]T, len(v.node.Content))
		for i, n := range v.node.Content {
			p := P(&(*dst)[i])
			p.from().number = int32(i + 1)
			p.from().pos = positionOf(n)
			if n.Kind != yaml.MappingNode {
				v.d.report(positionOf(n), p.label(), fmt.Sprintf("entry %d of %s is %s, not a mapping", i+1, v.key, kindOf(n)),
					"write {key: value, ...}")
				continue
			}
			v.d.object(p, n, "", fields(p))
		}
	}
}

// list reads a list of scalars.
func list[T any](dst *[]T, item func(*T) reader) reader {
	return func(v value) {
		if v.node.Kind != yaml.SequenceNode {
			v.fail("is "+kindOf(v.node)+", not a list", "write "+v.key+": ["+clip(v.node.Value)+"]")
			return
		}
		*dst = make([]T, len(v.node.Content))
		src := v.owner.from()
		for i, n := range v.node.Content {
			key := fmt.Sprintf("%s[%d]", v.key, i)
			src.fields = append(src.fields, fieldPosition{key, positionOf(n)})
			item(&(*dst)[i])(value{v.d, v.owner, key, n})
		}
	}
}

// clip repeats a value in a remedy, when it is short and plain enough for that.
func clip(s string) string {
	if len(s) > 40 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "..."
	}
	return s
}

// scalar is the text of a plain or quoted value; ok is false, and a problem reported, for anything else.
func (v value) scalar(want string) (s string, ok bool) {
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() == "!!null" {
		v.fail("is "+kindOf(v.node)+", not "+want, "write "+v.key+": <"+want+">")
		return "", false
	}
	if strings.ContainsFunc(v.node.Value, unicode.IsControl) {
		v.fail("holds a control character", "write it in one line of printable characters")
		return "", false
	}
	return v.node.Value, true
}

// text reads words: what YAML takes for a number or a truth value needs quotes.
func text(dst *string) reader {
	return func(v value) {
		s, ok := v.scalar("text")
		if !ok {
			return
		}
		if tag := v.node.ShortTag(); tag == "!!int" || tag == "!!float" || tag == "!!bool" {
			v.fail("is "+shown(s)+", which YAML does not take for text", "put it in quotes")
			return
		}
		if s == "" {
			v.fail("is empty", "give a value, or leave the key out")
			return
		}
		*dst = s
	}
}

// choice reads one of a few words.
func choice(dst *string, words ...string) reader {
	return func(v value) {
		s, ok := v.scalar("text")
		if ok && !slices.Contains(words, s) {
			remedy := "use " + oneOf(words)
			if guess := closest(s, words); guess != "" {
				remedy = "did you mean " + guess + "? " + remedy
			}
			v.fail("is "+shown(s), remedy)
			return
		}
		*dst = s
	}
}

// oneOf lists words for a remedy.
func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// number reads a whole number from low to high.
func number[T int | uint16 | uint32](dst *T, low, high uint64) reader {
	return func(v value) {
		s, ok := v.scalar("whole number")
		if !ok {
			return
		}
		remedy := fmt.Sprintf("write a whole number from %d to %d", low, high)
		if v.node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			v.fail("is text, not a number", "leave the quotes out")
			return
		}
		if len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9' {
			v.fail("is "+shown(s)+", which could be meant as octal", "leave the leading zeros out")
			return
		}
		n, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			v.fail("is "+shown(s)+", not a whole number in its range", remedy)
			return
		}
		if n < low || n > high {
			v.fail("is "+s+", out of its range", remedy)
			return
		}
		*dst = T(n)
	}
}

// boolean reads true or false.
func boolean(dst *bool) reader {
	return func(v value) {
		if s, ok := v.scalar("true or false"); ok {
			if v.node.ShortTag() != "!!bool" {
				v.fail("is "+shown(s)+", not true or false", "write true or false, without quotes")
				return
			}
			*dst = strings.EqualFold(s, "true")
		}
	}
}

// duration reads a time span with its unit.
func duration(dst *time.Duration, low, high time.Duration) reader {
	return func(v value) {
		s, ok := v.scalar("time with a unit")
		if !ok {
			return
		}
		d, err := time.ParseDuration(s)
		switch {
		case err != nil && isDigits(s):
			v.fail("is "+shown(s)+", which has no unit", "write for example "+clip(s)+"s; units are us, ms, s, m, h")
		case err != nil:
			v.fail("is "+shown(s)+", not a time", "write a number and a unit, for example 100us, 20ms, 60s, 5m")
		case d < low || d > high:
			v.fail("is "+s+", out of its range", fmt.Sprintf("use %s to %s", brief(low), brief(high)))
		default:
			*dst = d
		}
	}
}

func isDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
}

// brief writes a duration without its zero parts: 5m, not 5m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// hardwareAddr reads an Ethernet address that a station may have.
func hardwareAddr(dst *packet.MAC) reader {
	return func(v value) {
		s, ok := v.scalar("Ethernet address")
		if !ok {
			return
		}
		m, err := packet.ParseMAC(s)
		switch {
		case err != nil:
			v.fail("is "+shown(s)+", not an Ethernet address", "write six bytes, for example 00:15:5d:00:01:05")
		case m.IsZero():
			v.fail("is all zero, which no station may use", "use an address of the VM's own, for example 02:00:00:00:00:01")
		case m.IsGroup():
			v.fail("is "+m.String()+", a group address", fmt.Sprintf("make the first byte even, for example %02x", m[0]&^1))
		default:
			*dst = m
		}
	}
}

// address reads an IP address without a prefix length.
func address(dst *netip.Addr) reader {
	return func(v value) {
		s, ok := v.scalar("IP address")
		if !ok {
			return
		}
		a, err := netip.ParseAddr(s)
		switch {
		case err != nil && strings.Contains(s, "/"):
			v.fail("is "+shown(s)+", not an IP address", "leave the prefix length out")
		case err != nil:
			v.fail("is "+shown(s)+", not an IP address", "write for example 10.0.0.5 or 2001:db8::5")
		case a.Zone() != "":
			v.fail("is "+shown(s)+", with a zone", "leave out what follows the %")
		case a.Is4In6():
			v.fail("is "+shown(s)+", IPv4 in the form of IPv6", "write "+a.Unmap().String())
		case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a == broadcast4:
			v.fail("is "+a.String()+", which no host may have", "use a unicast address")
		default:
			*dst = a
		}
	}
}

var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// network reads an IP prefix; hostBits says whether it may carry the address of a host.
func network(dst *netip.Prefix, hostBits bool) reader {
	return func(v value) {
		s, ok := v.scalar("IP prefix")
		if !ok {
			return
		}
		p, err := netip.ParsePrefix(s)
		if a, errAddr := netip.ParseAddr(s); err != nil && errAddr == nil && a.Zone() == "" {
			v.fail("is "+shown(s)+", without a prefix length", fmt.Sprintf("write for example %s/%d", s, a.BitLen()*3/4))
			return
		}
		switch {
		case err != nil:
			v.fail("is "+shown(s)+", not an IP prefix", "write for example 10.0.0.0/24 or 2001:db8:1::/64")
		case p.Addr().Is4In6():
			v.fail("is "+shown(s)+", IPv4 in the form of IPv6", "write it as IPv4, for example 10.0.0.0/24")
		case !hostBits && p != p.Masked():
			v.fail("is "+s+", an address inside the prefix", "write "+p.Masked().String())
		default:
			*dst = p
		}
	}
}

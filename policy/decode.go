package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
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
	values, meant := d.pairs(owner, n, prefix, fields)
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
		case at == nil && f.need != "" && !meant[i]:
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

// pairs finds the value of each field in a mapping, nil where it has none, and reports the keys that are no field. meant
// says which fields these probably stand for.
func (d *decoder) pairs(owner described, n *yaml.Node, prefix string, fields []field) (values []*yaml.Node, meant []bool) {
	values, meant = make([]*yaml.Node, len(fields)), make([]bool, len(fields))
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
		owner.from().partial = true
		if key.Kind != yaml.ScalarNode {
			d.report(positionOf(key), peekLabel(owner, n), "a key is "+kindOf(key)+", not a word", "the keys are: "+strings.Join(known, ", "))
			continue
		}
		remedy := "the keys are: " + strings.Join(known, ", ")
		if guess := closest(key.Value, known); guess != "" {
			remedy = "did you mean " + prefix + guess + "?"
			meant[slices.Index(known, guess)] = true
		}
		d.report(positionOf(key), peekLabel(owner, n), "unknown key "+shown(prefix+key.Value), remedy)
	}
	return values, meant
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
			v.fail("is "+kindOf(v.node)+", not a list", "write "+v.key+": ["+cmp.Or(clip(v.node.Value), "...")+"]")
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

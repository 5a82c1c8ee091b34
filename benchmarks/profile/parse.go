package profile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluicenet/sluice/policy"
)

// Parse reads a profile. The error is a *policy.Errors with every problem that was found, in the order of their lines.
func Parse(file string, text []byte) (*Profile, error) {
	d := &decoder{file: file, profile: &Profile{}, lines: map[string]int{}}
	if root := d.document(text); root != nil {
		d.mapping(root)
		if len(d.problems) == 0 {
			d.check()
		}
	}
	if len(d.problems) > 0 {
		slices.SortStableFunc(d.problems, func(a, b policy.Problem) int { return cmp.Compare(a.Line, b.Line) })
		return nil, &policy.Errors{Problems: d.problems}
	}
	return d.profile, nil
}

type decoder struct {
	file     string
	profile  *Profile
	lines    map[string]int // of the keys
	problems []policy.Problem
}

func (d *decoder) report(line int, what, remedy string) {
	d.problems = append(d.problems, policy.Problem{File: d.file, Line: line, What: what, Remedy: remedy})
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

func (d *decoder) document(text []byte) *yaml.Node {
	const remedy = "a profile is one mapping; see benchmarks/profiles for examples"
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		d.report(1, "the file is empty", remedy)
		return nil
	} else if err != nil {
		line, what := 1, strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1])
			what = err.Error()[len(m[0]):]
		}
		d.report(line, "not valid YAML: "+what, "look at this line and those around it")
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		d.report(max(more.Line, 1), "more than one YAML document", "keep one profile per file")
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		d.report(root.Line, "not a mapping", remedy)
		return nil
	}
	return root
}

// fields are the keys of a profile. All but the optional ones are required, so that a profile says everything that a
// reader has to know.
func (d *decoder) fields() map[string]func(*yaml.Node) error {
	p := d.profile
	return map[string]func(*yaml.Node) error{
		"name":              text(&p.Name),
		"description":       text(&p.Description),
		"direction":         text((*string)(&p.Direction)),
		"frameBytes":        d.frameBytes,
		"fcs":               text((*string)(&p.FCS)),
		"flows":             number(&p.Flows),
		"tenants":           number(&p.Tenants),
		"vms":               number(&p.VMs),
		"peers":             number(&p.Peers),
		"macs":              number(&p.MACs),
		"acls":              number(&p.ACLs),
		"protocols":         d.protocols,
		"burst":             number(&p.Burst),
		"duration":          duration(&p.Duration),
		"load":              d.load,
		"rate":              d.rate,
		"search":            d.search,
		"newFlowShare":      percent(&p.NewFlowShare),
		"newFlowsPerSecond": number(&p.NewFlowsPerSecond),
	}
}

// optional says what holds when a key is left out.
var optional = map[string]string{
	"load": "none", "rate": "max", "search": "none", "newFlowShare": "0%", "newFlowsPerSecond": "0",
	"macs": "required with direction bridge, refused with others",
}

func (d *decoder) mapping(root *yaml.Node) {
	fields := d.fields()
	known := sortedKeys(fields)
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		read, ok := fields[key.Value]
		switch {
		case key.Value == "streams" && !ok:
			d.report(key.Line, "streams: "+ErrShares.Error(), "use sluice-pktgen shares --profile FILE")
		case key.Kind != yaml.ScalarNode || !ok:
			d.report(key.Line, fmt.Sprintf("unknown key %q", key.Value), "the keys are: "+strings.Join(known, ", "))
		case d.lines[key.Value] != 0:
			d.report(key.Line, fmt.Sprintf("%s is given twice, first in line %d", key.Value, d.lines[key.Value]), "keep one of them")
		default:
			d.lines[key.Value] = key.Line
			if err := read(value); err != nil {
				d.report(value.Line, key.Value+": "+err.Error(), "")
			}
		}
	}
	for _, key := range known {
		if _, may := optional[key]; d.lines[key] == 0 && !may {
			d.report(root.Line, key+" is missing", "add it: only rate, search and new flows have defaults")
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func text(dst *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" || strings.TrimSpace(n.Value) == "" {
			return errors.New("want text")
		}
		*dst = n.Value
		return nil
	}
}

func number(dst *int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil {
			return fmt.Errorf("%q is not a whole number", n.Value)
		}
		*dst = v
		return nil
	}
}

func duration(dst *time.Duration) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := time.ParseDuration(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil {
			return fmt.Errorf("%q is not a duration: write 2s or 500ms", n.Value)
		}
		*dst = v
		return nil
	}
}

// frameBytes reads a size, or {imix: simple}.
func (d *decoder) frameBytes(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "imix" {
		return text(&d.profile.IMIX)(n.Content[1])
	}
	if err := number(&d.profile.FrameBytes)(n); err != nil {
		return fmt.Errorf("%w: write a size, or {imix: simple}", err)
	}
	return nil
}

// protocols reads {udp: 70, tcp: 30}.
func (d *decoder) protocols(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return errors.New("want a mapping from protocol to weight: {udp: 70, tcp: 30}")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		s := Share{Protocol: n.Content[i].Value}
		if err := number(&s.Weight)(n.Content[i+1]); err != nil {
			return fmt.Errorf("%s: %w", s.Protocol, err)
		}
		if slices.ContainsFunc(d.profile.Protocols, func(o Share) bool { return o.Protocol == s.Protocol }) {
			return fmt.Errorf("%s is given twice", s.Protocol)
		}
		d.profile.Protocols = append(d.profile.Protocols, s)
	}
	return nil
}

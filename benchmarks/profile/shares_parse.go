package profile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluicenet/sluice/policy"
)

// ParseShares reads a profile of shares. The error is a *policy.Errors with every problem that was found, in the order of
// their lines; what the switch would refuse is refused with the lines of the profile.
func ParseShares(file string, text []byte) (*Shares, error) {
	d := &sharesDecoder{decoder: decoder{file: file}, s: &Shares{file: file}}
	if root := d.document(text); root != nil {
		d.s.root = root
		d.keys(root, "profile", d.s.fields(d))
		if len(d.problems) == 0 {
			d.check()
		}
		if len(d.problems) == 0 {
			d.problems = append(d.problems, d.s.configProblems()...)
		}
		if len(d.problems) == 0 {
			d.checkLink()
		}
	}
	if len(d.problems) > 0 {
		slices.SortStableFunc(d.problems, func(a, b policy.Problem) int { return cmp.Compare(a.Line, b.Line) })
		return nil, &policy.Errors{Problems: d.problems}
	}
	return d.s, nil
}

// sharesDecoder also knows where things stand.
type sharesDecoder struct {
	decoder
	s       *Shares
	variant []int // lines

	wireLine int
}

// key is one that a mapping may have.
type key struct {
	read     func(*yaml.Node) error
	required bool
}

// asInConfig is what a key of the switch's own configuration is read by: policy looks at it later.
func asInConfig(*yaml.Node) error { return nil }

func (s *Shares) fields(d *sharesDecoder) map[string]key {
	return map[string]key{
		"name":           {text(&s.Name), true},
		"description":    {text(&s.Description), true},
		"duration":       {duration(&s.Duration), true},
		"link":           {d.link, false},
		"uplink":         {asInConfig, false},
		"target":         {func(*yaml.Node) error { s.Target = true; return nil }, false},
		"classification": {asInConfig, false},
		"qosGroups":      {asInConfig, false},
		"vports":         {d.list("vports", d.vports), true},
		"streams":        {d.list("streams", d.stream), true},
		"variants":       {d.list("variants", d.readVariant), false},
	}
}

// list reads each item of a sequence of mappings.
func (d *sharesDecoder) list(name string, item func(*yaml.Node)) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
			return errors.New("want a list with at least one item")
		}
		for _, x := range n.Content {
			if x.Kind != yaml.MappingNode {
				d.report(x.Line, name+": an item is not a mapping", "write - {name: ..., ...}")
				continue
			}
			item(x)
		}
		return nil
	}
}

// keys reads a mapping.
func (d *sharesDecoder) keys(n *yaml.Node, what string, fields map[string]key) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		field, ok := fields[name.Value]
		switch {
		case name.Kind != yaml.ScalarNode || !ok:
			d.report(name.Line, fmt.Sprintf("%s: unknown key %q", what, name.Value), "the keys are: "+strings.Join(sortedKeys(fields), ", "))
		case seen[name.Value] != 0:
			d.report(name.Line, fmt.Sprintf("%s: %s is given twice, first in line %d", what, name.Value, seen[name.Value]), "keep one of them")
		default:
			seen[name.Value] = name.Line
			if err := field.read(value); err != nil {
				d.report(value.Line, what+": "+name.Value+": "+err.Error(), "")
			}
		}
	}
	for _, name := range sortedKeys(fields) {
		if fields[name].required && seen[name] == 0 {
			d.report(n.Line, what+": "+name+" is missing", "add it")
		}
	}
}

// link reads the speed of the wire.
func (d *sharesDecoder) link(n *yaml.Node) error {
	rate, err := ParseRate(n.Value)
	if err != nil || n.Kind != yaml.ScalarNode || rate.BPS == 0 {
		return fmt.Errorf("%q is no speed of a link: write 1Gbit", n.Value)
	}
	d.s.Wire, d.wireLine = rate, n.Line
	return nil
}

func (d *sharesDecoder) vports(n *yaml.Node) {
	v := VportSet{Count: 1, line: n.Line}
	d.keys(n, "vports", map[string]key{
		"name": {text(&v.Name), true}, "count": {number(&v.Count), false},
		"qos": {func(q *yaml.Node) error { v.qos = q; return nil }, false},
	})
	d.s.Vports = append(d.s.Vports, v)
}

func (d *sharesDecoder) stream(n *yaml.Node) {
	s := Stream{PCP: -1, Protocol: "udp", Port: defaultStreamPort, line: n.Line}
	d.keys(n, "stream", d.streamKeys(&s))
	d.s.Streams = append(d.s.Streams, s)
}

func (d *sharesDecoder) streamKeys(s *Stream) map[string]key {
	return map[string]key{
		"name": {text(&s.Name), true}, "vports": {text(&s.Vports), true}, "frameBytes": {number(&s.FrameBytes), true},
		"dscp": {dscp(&s.DSCP), false}, "pcp": {number(&s.PCP), false}, "protocol": {text(&s.Protocol), false}, "port": {number(&s.Port), false},
		"ecn": {boolean(&s.ECN), false}, "rate": {streamRate(&s.Rate), false}, "changes": {d.changes(s), false},
		"control": {text(&s.Control), false}, "rtt": {duration(&s.RTT), false},
	}
}

const defaultStreamPort = 5001

func (d *sharesDecoder) changes(s *Stream) func(*yaml.Node) error {
	return d.list("changes", func(n *yaml.Node) {
		var c RateChange
		d.keys(n, "changes", map[string]key{"at": {duration(&c.At), true}, "rate": {streamRate(&c.Rate), true}})
		s.Changes = append(s.Changes, c)
	})
}

func (d *sharesDecoder) readVariant(n *yaml.Node) {
	v := Variant{ECN: true}
	d.keys(n, "variants", map[string]key{"name": {text(&v.Name), true}, "without": {texts(&v.Without), false}, "ecn": {boolean(&v.ECN), false}})
	d.s.Variants = append(d.s.Variants, v)
	d.variant = append(d.variant, n.Line)
}

func boolean(dst *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(dst) != nil {
			return fmt.Errorf("%q is neither true nor false", n.Value)
		}
		return nil
	}
}

func texts(dst *[]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode || n.Decode(dst) != nil {
			return errors.New("want a list of names: [a, b]")
		}
		return nil
	}
}

// dscp reads a number or a name, as the configuration does.
func dscp(dst *int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, ok := policy.ParseDSCP(n.Value)
		if n.Kind != yaml.ScalarNode || !ok {
			return fmt.Errorf("%q is no DSCP: write 0 to 63, or a name such as cs3, af31 or ef", n.Value)
		}
		*dst = int(v)
		return nil
	}
}

// streamRate reads off, 2x, or an absolute rate.
func streamRate(dst *StreamRate) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		const forms = "write off, 2x for twice its share, 300Mbit or 50kpps"
		if n.Kind != yaml.ScalarNode || n.Value == "max" {
			return fmt.Errorf("%q is no rate of a stream: %s", n.Value, forms)
		}
		// YAML takes off for a boolean where it is not quoted, and so may a reader.
		if n.Value == "off" {
			*dst = StreamRate{}
			return nil
		}
		if times, ok := strings.CutSuffix(n.Value, "x"); ok {
			v, err := strconv.ParseFloat(times, 64)
			if err != nil || !(v > 0 && v <= maxTimes) {
				return fmt.Errorf("%q: choose more than 0x and at most %dx", n.Value, maxTimes)
			}
			*dst = StreamRate{Times: v}
			return nil
		}
		rate, err := ParseRate(n.Value)
		if err != nil {
			return fmt.Errorf("%q is no rate of a stream: %s", n.Value, forms)
		}
		*dst = StreamRate{Rate: rate}
		return nil
	}
}

// check finds what cannot be, but for what the switch itself refuses.
func (d *sharesDecoder) check() {
	s := d.s
	if !profileName.MatchString(s.Name) || len(s.Name) > maxNameBytes {
		d.report(d.s.root.Line, fmt.Sprintf("name: %q is no name", s.Name), fmt.Sprintf("use small letters, digits and dashes, at most %d", maxNameBytes))
	}
	if s.Duration < sharesShort || s.Duration > sharesLong {
		d.report(s.root.Line, fmt.Sprintf("duration: %s cannot be measured", s.Duration), fmt.Sprintf("choose %s to %s", sharesShort, sharesLong))
	}
	if s.Target == (s.child("uplink") != nil) {
		d.report(s.root.Line, "where the streams leave is not clear", "give either uplink, its qos as in a configuration, or target, the qos of the VM here that all is sent to")
	}
	d.checkVports()
	names := map[string]bool{}
	for i := range s.Streams {
		d.checkStream(&s.Streams[i], names)
	}
	if len(s.Streams) > maxStreams {
		d.report(s.Streams[maxStreams].line, fmt.Sprintf("%d streams", len(s.Streams)), fmt.Sprintf("use at most %d: each may have many vports", maxStreams))
	}
	d.checkVariants()
}

// checkLink compares the rate of the uplink with the wire's.
func (d *sharesDecoder) checkLink() {
	switch s := d.s; {
	case s.Wire.Max():
		s.Wire = s.Link
	case s.Target:
		d.report(d.wireLine, "link: what a VM gets passes no wire", "leave it out: target.inbound.max is the limit")
	case s.Wire.BPS < s.Link.BPS:
		d.report(d.wireLine, fmt.Sprintf("link: %s is less than the rate of the uplink, which is %s", s.Wire, s.Link), "use the rate of the uplink or more")
	}
}

func (d *sharesDecoder) checkVports() {
	sum, names := 0, map[string]bool{uplinkName: true, targetName: true}
	for i := range d.s.Vports {
		v := &d.s.Vports[i]
		switch sum += v.Count; {
		case !profileName.MatchString(v.Name):
			d.report(v.line, fmt.Sprintf("vports: %q is no name", v.Name), "use small letters, digits and dashes")
		case names[v.Name]:
			d.report(v.line, fmt.Sprintf("vports: the name %s is taken", v.Name), "choose another")
		case v.Count < 1 || sum > MaxVports:
			d.report(v.line, fmt.Sprintf("vports %s: count is %d", v.Name, v.Count), fmt.Sprintf("choose at least 1, and at most %d in all", MaxVports))
		}
		names[v.Name] = true
	}
}

func (d *sharesDecoder) checkStream(s *Stream, names map[string]bool) {
	bad := func(what, remedy string, args ...any) {
		d.report(s.line, "stream "+s.Name+": "+what, fmt.Sprintf(remedy, args...))
	}
	least, most := max(minWire-FCSBytes, s.HeaderBytes()), maxWire-FCSBytes
	switch {
	case names[s.Name]:
		bad("the name is taken", "choose another")
	case !profileName.MatchString(s.Name):
		bad(fmt.Sprintf("%q is no name", s.Name), "use small letters, digits and dashes")
	}
	names[s.Name] = true
	if d.s.Set(s.Vports) == nil {
		bad(fmt.Sprintf("there are no vports %q", s.Vports), "name a set of vports")
	}
	if s.FrameBytes < least || s.FrameBytes > most {
		bad(fmt.Sprintf("frames of %d bytes cannot be", s.FrameBytes), "choose %d to %d, without FCS: headers and a stamp of %d bytes have to fit", least, most, StampBytes)
	}
	if s.PCP < -1 || s.PCP > 7 {
		bad(fmt.Sprintf("pcp %d", s.PCP), "choose 0 to 7, or leave it out for frames without a tag")
	}
	if !slices.Contains(protocols, s.Protocol) || s.Port < 1 || s.Port > 65535 {
		bad(fmt.Sprintf("protocol %q, port %d", s.Protocol, s.Port), "choose udp or tcp, and a port from 1 to 65535")
	}
	d.checkPace(s, bad)
}

// checkPace looks at a stream's rate, or what it has instead.
func (d *sharesDecoder) checkPace(s *Stream, bad func(what, remedy string, args ...any)) {
	switch controlled := s.Control != ""; {
	case controlled && s.Control != ControlReno && s.Control != ControlDCTCP:
		bad(fmt.Sprintf("there is no control %q", s.Control), "choose %s or %s", ControlReno, ControlDCTCP)
	case controlled && (s.RTT < shortestRTT || s.RTT > longestRTT):
		bad(fmt.Sprintf("rtt is %s", s.RTT), "a controlled stream has one, %s to %s", shortestRTT, longestRTT)
	case controlled && (!s.Rate.Off() || len(s.Changes) > 0):
		bad("it has control, and a rate", "keep one of them: a controlled stream sends what its window lets it")
	case controlled && s.Control == ControlDCTCP && !s.ECN:
		bad("DCTCP goes by marks, and its packets do not ask for them", "add ecn: true")
	case !controlled && s.RTT != 0:
		bad("rtt is for control", "add control: %s, or leave rtt out", ControlReno)
	case !controlled && s.Rate.Off() && len(s.Changes) == 0:
		bad("it never sends", "add rate: 2x, or control: %s", ControlReno)
	}
	last := time.Duration(0)
	for _, c := range s.Changes {
		if c.At <= last || c.At >= d.s.Duration {
			bad(fmt.Sprintf("a change at %s", c.At), "name times in their order, after the start and before the end at %s", d.s.Duration)
		}
		last = c.At
	}
}

func (d *sharesDecoder) checkVariants() {
	s := d.s
	names := map[string]bool{}
	for i, v := range s.Variants {
		bad := func(what, remedy string) { d.report(d.variant[i], "variant "+v.Name+": "+what, remedy) }
		if names[v.Name] || !profileName.MatchString(v.Name) {
			bad("the name is taken, or none", "use small letters, digits and dashes, each name once")
		}
		names[v.Name] = true
		for _, name := range v.Without {
			if s.Stream(name) == nil {
				bad(fmt.Sprintf("there is no stream %q to leave out", name), "name streams of this profile")
			}
		}
		if len(v.Without) >= len(s.Streams) {
			bad("no stream is left", "keep one")
		}
	}
	switch {
	case len(s.Variants) > maxVariants:
		d.report(d.variant[maxVariants], fmt.Sprintf("%d variants", len(s.Variants)), fmt.Sprintf("use at most %d", maxVariants))
	case len(s.Variants) == 0:
		s.Variants = []Variant{{Name: "all", ECN: true}}
	}
}

// child is the value of a key of the profile, nil without one.
func (s *Shares) child(name string) *yaml.Node {
	for i := 0; i+1 < len(s.root.Content); i += 2 {
		if s.root.Content[i].Value == name {
			return s.root.Content[i+1]
		}
	}
	return nil
}

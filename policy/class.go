package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicenet/sluice/packet"
)

// BuiltIn is a class of traffic that the switch knows by itself: a frame whose source or destination port is one of the
// ports, or whose EtherType is one of the types.
type BuiltIn struct {
	Name       string
	Note       string
	TCP, UDP   []PortRange
	EtherTypes []uint16
}

func port(low, high uint16) PortRange { return PortRange{low, high, true} }

// BuiltIns are all of them, in the order of their documentation.
var BuiltIns = []BuiltIn{
	{Name: "iscsi", Note: "iSCSI", TCP: []PortRange{port(860, 860), port(3260, 3260)}},
	{Name: "nfs", Note: "NFS", TCP: []PortRange{port(2049, 2049)}, UDP: []PortRange{port(2049, 2049)}},
	{Name: "smb", Note: "SMB", TCP: []PortRange{port(445, 445)}},
	{Name: "smb-direct", Note: "SMB Direct by iWARP (5445), RoCE v2 (4791) and RoCE v1", TCP: []PortRange{port(5445, 5445)},
		UDP: []PortRange{port(4791, 4791)}, EtherTypes: []uint16{0x8915}},
	{Name: "nvme", Note: "NVMe over TCP, and its discovery", TCP: []PortRange{port(4420, 4420), port(8009, 8009)}},
	{Name: "fcoe", Note: "Fibre Channel over Ethernet, and FIP", EtherTypes: []uint16{0x8906, 0x8914}},
	{Name: "ceph", Note: "Ceph: monitors, then OSDs", TCP: []PortRange{port(3300, 3300), port(6789, 6789), port(6800, 7300)}},
	{Name: "live-migration", Note: "live migration of VMs", TCP: []PortRange{port(6600, 6600)}},
	{Name: "cluster", Note: "heartbeats of failover clusters", TCP: []PortRange{port(3343, 3343)}, UDP: []PortRange{port(3343, 3343), port(5404, 5405)}},
	{Name: "ptp", Note: "precision time", UDP: []PortRange{port(319, 320)}, EtherTypes: []uint16{0x88f7}},
}

func builtIn(name string) *BuiltIn {
	i := slices.IndexFunc(BuiltIns, func(b BuiltIn) bool { return b.Name == name })
	if i < 0 {
		return nil
	}
	return &BuiltIns[i]
}

// Mark is what becomes of a DSCP or a priority: the zero Mark leaves it as it is.
type Mark struct {
	Value uint8
	Set   bool
}

// Verdict is what classification says of a packet.
type Verdict struct {
	TC   uint8 // traffic class
	DSCP Mark  // of the packet itself
	PCP  Mark  // of the frame's 802.1Q tag, when it leaves by an uplink
}

// What a rule takes the traffic class from, besides a fixed one.
const (
	trustNone uint8 = iota
	trustDSCP
	trustPCP
)

// classDecision is the outcome of a rule.
type classDecision struct {
	Verdict
	trust uint8
}

// ClassPacket is what classification looks at.
type ClassPacket struct {
	ACLPacket        // as the sender sees it: it is local
	In        uint32 // port index of the sender
	VSID      uint32 // of the sender's subnet; 0 without one
	RDID      uint32 // of its VM network; 0 without one
	DSCP      uint8  // of IP packets
	PCP       uint8  // of frames with a tag
	Tagged    bool
}

func (p *ClassPacket) isIP() bool { return p.Class&(FrameIPv4|FrameIPv6|FrameNeighbour) != 0 }

// What a classification rule asks for besides what rules of vports can.
const (
	asksEitherPort = 1 << iota
	asksDSCP
	asksPCP
	asksVport
	asksVSID
	asksNetwork
)

// classRule is a rule as new flows are compared with it, without pointers.
type classRule struct {
	frame   ACLRule
	either  ports // of source or destination
	vport   uint32
	vsid    uint32
	rdid    uint32
	dscp    uint8
	pcp     uint8
	asks    uint8
	outcome classDecision
}

// Classification says in which traffic class packets of vports are, and how they are marked. It is immutable once it is
// part of a Snapshot.
type Classification struct {
	rules    []classRule // in the order of decision: those of the file, then the built-in ones
	origins  []origin    // of rules
	fallback classDecision
	outer    [TrafficClasses]OuterMarks
}

// OuterMarks are what the header around packets of a class gets.
type OuterMarks struct{ DSCP, PCP Mark }

// Outer are the marks of the header that packets of a class get around them.
func (c *Classification) Outer(tc uint8) OuterMarks {
	if c == nil {
		return OuterMarks{}
	}
	return c.outer[tc%TrafficClasses]
}

// DefaultTC is the traffic class of packets that no rule matches.
func (c *Classification) DefaultTC() uint8 {
	if c == nil {
		return 0
	}
	return c.fallback.TC
}

// Decide finds the traffic class and the marks of a packet. Without a classification all packets are of class 0.
func (c *Classification) Decide(p *ClassPacket) Verdict {
	if c == nil {
		return Verdict{}
	}
	d := &c.fallback
	for i := range c.rules {
		if c.rules[i].matches(p) {
			d = &c.rules[i].outcome
			break
		}
	}
	return d.verdict(p)
}

// verdict takes the traffic class from the packet where the rule trusts it.
func (d *classDecision) verdict(p *ClassPacket) Verdict {
	v := d.Verdict
	switch {
	case d.trust == trustDSCP && p.isIP():
		v.TC = p.DSCP >> 3 // class selector (RFC 2474, section 4.2.2)
	case d.trust == trustPCP && p.Tagged:
		v.TC = p.PCP
	}
	return v
}

func (r *classRule) matches(p *ClassPacket) bool {
	return r.frame.reaches(&p.ACLPacket) && (r.frame.asks == 0 || r.frame.agrees(&p.ACLPacket)) && (r.asks == 0 || r.agrees(p))
}

func (r *classRule) agrees(p *ClassPacket) bool {
	switch {
	case r.asks&asksEitherPort != 0 && !(p.HasPorts && (r.either.hold(p.LocalPort) || r.either.hold(p.RemotePort))),
		r.asks&asksDSCP != 0 && !(p.isIP() && r.dscp == p.DSCP),
		r.asks&asksPCP != 0 && !(p.Tagged && r.pcp == p.PCP),
		r.asks&asksVport != 0 && r.vport != p.In,
		r.asks&asksVSID != 0 && r.vsid != p.VSID,
		r.asks&asksNetwork != 0 && r.rdid != p.RDID:
		return false
	}
	return true
}

// same reports that two classifications decide alike. Names and lines take no part.
func (c *Classification) same(o *Classification) bool {
	if c == nil || o == nil {
		return c == o
	}
	return c == o || c.fallback == o.fallback && c.outer == o.outer && slices.Equal(c.rules, o.rules)
}

// Describe lists the rules that may decide a packet of which protocol and ports are not known.
func (c *Classification) Describe(p *ClassPacket) (steps []string) {
	if c == nil {
		return nil
	}
	for i := range c.rules {
		r := &c.rules[i]
		if !r.frame.reaches(&p.ACLPacket) || r.asks&^asksEitherPort != 0 && !r.without(asksEitherPort).agrees(p) {
			continue
		}
		if r.frame.asks&asksEtherType != 0 {
			continue
		}
		step := fmt.Sprintf("classification: %s puts %s into class %s", c.origins[i], r.transport(), r.outcome.describe(p))
		steps = append(steps, step)
		if r.frame.asks&asksProto == 0 {
			return steps
		}
	}
	rest := "it"
	if len(steps) > 0 {
		rest = "the rest"
	}
	return append(steps, fmt.Sprintf("classification: no other rule matches, so %s is of class %s", rest, c.fallback.describe(p)))
}

func (r *classRule) without(asks uint8) *classRule {
	c := *r
	c.asks &^= asks
	return &c
}

// transport says which protocol and ports the rule asks for.
func (r *classRule) transport() string {
	if r.frame.asks&asksProto == 0 {
		return "it"
	}
	s := r.frame.Transport()
	if r.asks&asksEitherPort != 0 {
		s += ", port " + r.either.String()
	}
	return s
}

func (d *classDecision) describe(p *ClassPacket) string {
	v := d.verdict(p)
	s := fmt.Sprint(v.TC)
	if v.DSCP.Set {
		s += fmt.Sprintf(", DSCP %d", v.DSCP.Value)
	}
	if v.PCP.Set {
		s += fmt.Sprintf(", priority %d", v.PCP.Value)
	}
	return s
}

func (o origin) String() string {
	if o.line > 0 {
		return fmt.Sprintf("rule %s (line %d)", o.name, o.line)
	}
	return "built-in " + o.name
}

// classification compiles the rules, or finds that those of the previous snapshot say the same.
func (k *compiler) classification() error {
	in := &k.config.Classification
	if !k.config.has("classification") {
		return nil
	}
	c := &Classification{fallback: in.Default.decision()}
	for i := range in.Rules {
		r, err := k.classRule(&in.Rules[i])
		if err != nil {
			return err
		}
		c.add(r, origin{in.Rules[i].Name, in.Rules[i].pos.line})
	}
	for i := range in.BuiltIn {
		c.addBuiltIn(&in.BuiltIn[i])
	}
	for i := range in.Outer {
		o := &in.Outer[i]
		c.outer[o.TC%TrafficClasses] = OuterMarks{o.DSCP, o.PCP}
	}
	if k.prev != nil && k.prev.Classes != nil && c.same(k.prev.Classes) && slices.Equal(c.origins, k.prev.Classes.origins) {
		c = k.prev.Classes
	}
	k.out.Classes = c
	return nil
}

func (c *Classification) add(r classRule, o origin) {
	c.rules, c.origins = append(c.rules, r), append(c.origins, o)
}

func (c *Classification) addBuiltIn(b *BuiltInConfig) {
	known := builtIn(b.Name)
	if known == nil {
		return
	}
	add := func(acl ACLConfig, either PortRange) {
		r := compileFrame(&acl, either)
		r.outcome = b.decision()
		c.add(r, origin{name: b.Name})
	}
	for _, p := range known.TCP {
		add(ACLConfig{Protocol: protocolName(packet.ProtoTCP)}, p)
	}
	for _, p := range known.UDP {
		add(ACLConfig{Protocol: protocolName(packet.ProtoUDP)}, p)
	}
	for _, t := range known.EtherTypes {
		add(ACLConfig{EtherType: t}, PortRange{})
	}
}

// compileFrame compiles what of a frame itself a rule asks for.
func compileFrame(acl *ACLConfig, either PortRange) classRule {
	acl.Action = ActionAllow
	r := classRule{frame: acl.compile(), vport: NoIndex}
	if acl.EtherType == 0 && !acl.asksIP() {
		r.frame.classes = ^FrameClass(0) // whoever sends it, ARP and neighbour discovery included
	}
	if either.Set {
		r.either, r.asks = ports{either.Low, either.High - either.Low}, asksEitherPort
	}
	return r
}

func (k *compiler) classRule(c *ClassRuleConfig) (classRule, error) {
	m := &c.Match
	acl := m.ACLConfig
	r := compileFrame(&acl, m.Port)
	r.outcome = c.decision()
	if m.DSCP.Set {
		r.dscp, r.asks = m.DSCP.Value, r.asks|asksDSCP
	}
	if m.PCP.Set {
		r.pcp, r.asks = m.PCP.Value, r.asks|asksPCP
	}
	if m.VSID != 0 {
		r.vsid, r.asks = m.VSID, r.asks|asksVSID
	}
	if m.Vport != "" {
		index, ok := k.index[m.Vport]
		if !ok {
			return r, fmt.Errorf("%s: vport %s is not defined", c.label(), m.Vport)
		}
		r.vport, r.asks = index, r.asks|asksVport
	}
	if m.Network != "" {
		i := slices.IndexFunc(k.config.Networks, func(n NetworkConfig) bool { return n.Name == m.Network })
		if i < 0 {
			return r, fmt.Errorf("%s: network %s is not defined", c.label(), m.Network)
		}
		r.rdid, r.asks = k.config.Networks[i].RDID, r.asks|asksNetwork
	}
	return r, nil
}

// decision is the outcome as the data path takes it.
func (o *OutcomeConfig) decision() classDecision {
	d := classDecision{Verdict: Verdict{TC: o.TC, DSCP: o.DSCP, PCP: o.PCP}}
	switch o.Trust {
	case TrustDSCP:
		d.trust = trustDSCP
	case TrustPCP:
		d.trust = trustPCP
	}
	return d
}

// dscpNames are the per-hop behaviours with a name, in the order of their documentation.
var dscpNames = []struct {
	name  string
	value uint8
}{
	{"cs0", 0}, {"le", 1}, {"cs1", 8}, {"af11", 10}, {"af12", 12}, {"af13", 14}, {"cs2", 16}, {"af21", 18}, {"af22", 20}, {"af23", 22},
	{"cs3", 24}, {"af31", 26}, {"af32", 28}, {"af33", 30}, {"cs4", 32}, {"af41", 34}, {"af42", 36}, {"af43", 38}, {"cs5", 40},
	{"va", 44}, {"ef", 46}, {"cs6", 48}, {"cs7", 56},
}

// ParseDSCP reads a DSCP as one would write it in the file: its number, or its name.
func ParseDSCP(text string) (v uint8, ok bool) {
	for _, n := range dscpNames {
		if n.name == strings.ToLower(text) {
			return n.value, true
		}
	}
	number, err := strconv.ParseUint(text, 10, 8)
	return uint8(number), err == nil && number <= packet.MaxDSCP
}

// dscpName writes a DSCP as one would in the file.
func dscpName(v uint8) string {
	for _, n := range dscpNames {
		if n.value == v {
			return n.name
		}
	}
	return fmt.Sprint(v)
}

// show writes a mark as one would in the file.
func (m Mark) show(name func(uint8) string) string {
	switch {
	case !m.Set:
		return MarkKeep
	case m.Value == 0:
		return MarkClear
	}
	return name(m.Value)
}

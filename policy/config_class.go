package policy

import "strings"

// ClassificationConfig says in which traffic class packets of vports are, and how they are marked. The first rule that
// matches decides, then the built-in class, then Default.
type ClassificationConfig struct {
	source
	Default DefaultClassConfig
	Rules   []ClassRuleConfig
	BuiltIn []BuiltInConfig
	Outer   []OuterConfig
}

// OutcomeConfig is what a rule decides.
type OutcomeConfig struct {
	TC    uint8
	Trust string // TrustDSCP, TrustPCP: the traffic class is taken from the packet; empty: it is TC
	DSCP  Mark
	PCP   Mark
}

// What a rule may take the traffic class from.
const (
	TrustDSCP = "dscp"
	TrustPCP  = "pcp"
)

// What a rule may do with a mark besides setting it.
const (
	MarkKeep  = "keep"
	MarkClear = "clear"
)

// DefaultClassConfig is about packets that no rule matches.
type DefaultClassConfig struct {
	source
	OutcomeConfig
}

// ClassRuleConfig is a rule of the file.
type ClassRuleConfig struct {
	source
	Name  string
	Match MatchConfig
	OutcomeConfig
}

// MatchConfig says which packets a rule is about. What it does not ask for may be anything.
type MatchConfig struct {
	ACLConfig           // of it Protocol, Remote, Local, RemotePort, LocalPort and EtherType
	Port      PortRange // of either end
	DSCP      Mark      // Set: only packets with this one
	PCP       Mark      // Set: only frames whose tag has this one
	VSID      uint32    // of the sender's subnet; 0: any
	Vport     string
	Network   string

	rule string // label of the rule
}

// BuiltInConfig gives a built-in class a traffic class.
type BuiltInConfig struct {
	source
	Name string
	OutcomeConfig
}

// OuterConfig says what the header around packets of a traffic class gets.
type OuterConfig struct {
	source
	TC   uint8
	DSCP Mark
	PCP  Mark
}

func (c *ClassificationConfig) label() string { return "classification" }
func (c *DefaultClassConfig) label() string   { return "classification" }
func (c *ClassRuleConfig) label() string      { return c.named("rule", c.Name) }
func (c *BuiltInConfig) label() string        { return c.named("built-in", c.Name) }
func (c *OuterConfig) label() string          { return c.named("outer", "") }
func (m *MatchConfig) label() string          { return m.rule }

// tc writes what decides the traffic class.
func (o *OutcomeConfig) tc() string {
	if o.Trust != "" {
		return "by " + o.Trust
	}
	return string('0' + rune(o.TC))
}

// builtInNames are the names of the built-in classes.
func builtInNames() []string {
	names := make([]string, len(BuiltIns))
	for i := range BuiltIns {
		names[i] = BuiltIns[i].Name
	}
	return names
}

// String writes what a rule asks for: "protocol tcp, remotePort 80".
func (m *MatchConfig) String() string {
	var parts []string
	add := func(key, value string) {
		if value != "" && value != "-" && value != ProtocolAny {
			parts = append(parts, key+" "+value)
		}
	}
	add("vport", m.Vport)
	add("network", m.Network)
	if m.VSID != 0 {
		add("vsid", shownNumber(m.VSID))
	}
	add("protocol", m.Protocol)
	add("remote", PrefixFrom(m.Remote).String())
	add("local", PrefixFrom(m.Local).String())
	add("port", m.Port.String())
	add("remotePort", m.RemotePort.String())
	add("localPort", m.LocalPort.String())
	if m.EtherType != 0 {
		add("etherType", shownType(m.EtherType))
	}
	if m.DSCP.Set {
		add("dscp", dscpName(m.DSCP.Value))
	}
	if m.PCP.Set {
		add("pcp", shownNumber(uint32(m.PCP.Value)))
	}
	return strings.Join(parts, ", ")
}

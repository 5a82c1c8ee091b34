package traffic

import (
	"fmt"
	"net/netip"

	"github.com/sluicenet/sluice/benchmarks/profile"
)

// Rule is a rule of the VMs' ports. It is about packets to the remote end, or with Decap about packets to the VM.
type Rule struct {
	Name     string
	Protocol string       // any, tcp, udp, icmp
	Remote   netip.Prefix // not valid: any address
	Low      uint16       // destination ports, both included; 0: any
	High     uint16
	Allow    bool
}

// ruleKinds is how many forms of rules take turns.
const ruleKinds = 5

// Rules are the rules of every VM's port: denials of addresses, protocols and ports as a real list has them, none of which
// the profile's traffic matches, and at the end one that allows the rest. Ranges of ports are such that they are one mask
// of OpenFlow: a rule there is one rule here.
func (p *Plan) Rules() (rules []Rule) {
	if p.Profile.ACLs == 0 {
		return nil
	}
	for i := range p.Profile.ACLs - 1 {
		rule := denial(i%ruleKinds, i/ruleKinds)
		rule.Name = fmt.Sprintf("deny-%d", i+1)
		rules = append(rules, rule)
	}
	return append(rules, Rule{Name: "rest", Protocol: "any", Allow: true})
}

// denial is the n-th rule of a kind. The traffic has addresses in 10.0.0.0/18, and TCP and UDP to the ports from 5001 to
// 8000.
func denial(kind, n int) Rule {
	four := func(a, b, c, d, bits int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(a), byte(b), byte(c), byte(d)}), bits)
	}
	switch kind {
	case 0: // a service that nobody may reach: SSH, SMTP and so on
		port := uint16(1 + n)
		if n >= 1000 {
			port = uint16(9000 + n - 1000)
		}
		return Rule{Protocol: "tcp", Low: port, High: port}
	case 1: // a network of somebody else
		return Rule{Protocol: "any", Remote: four(10, 1+n>>8, n&255, 0, 24)}
	case 2: // a range of ports
		low := uint16(16384 + 8*n)
		return Rule{Protocol: "udp", Low: low, High: low + 7}
	case 3: // a service of some hosts
		return Rule{Protocol: "tcp", Remote: four(10, 128+n>>4&127, n&15<<4, 0, 20), Low: uint16(443 + n>>11), High: uint16(443 + n>>11)}
	default: // a protocol to hosts of the same subnet
		return Rule{Protocol: "icmp", Remote: four(10, 0, 64+n>>4, n&15<<4, 28)}
	}
}

type aclListYAML struct {
	Name  string     `yaml:"name"`
	Rules []ruleYAML `yaml:"rules"`
}

type ruleYAML struct {
	Name       string `yaml:"name"`
	Direction  string `yaml:"direction"`
	Action     string `yaml:"action"`
	Weight     int    `yaml:"weight,omitempty"`
	Protocol   string `yaml:"protocol,omitempty"`
	Remote     string `yaml:"remote,omitempty"`
	RemotePort string `yaml:"remotePort,omitempty"`
	LocalPort  string `yaml:"localPort,omitempty"`
}

const (
	aclListName = "tenants"
	denyWeight  = 10
)

// aclLists is the list that every VM's port has.
func (p *Plan) aclLists() []aclListYAML {
	list := aclListYAML{Name: aclListName}
	for _, r := range p.Rules() {
		y := ruleYAML{Name: r.Name, Direction: "out", Action: "deny", Weight: denyWeight, Protocol: r.Protocol}
		ports := &y.RemotePort
		if p.Profile.Direction == profile.Decap {
			y.Direction, ports = "in", &y.LocalPort
		}
		if r.Allow {
			y.Action, y.Weight = "allow", 0
		}
		if r.Remote.IsValid() {
			y.Remote = r.Remote.String()
		}
		if r.Low > 0 {
			*ports = fmt.Sprintf("%d-%d", r.Low, r.High)
		}
		list.Rules = append(list.Rules, y)
	}
	if len(list.Rules) == 0 {
		return nil
	}
	return []aclListYAML{list}
}

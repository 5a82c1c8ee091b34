package profile

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// Where everything is: VMs here in one virtual subnet, and one VM that all is sent to, on the other host or here.
var (
	SharesNearPA = netip.MustParseAddr("172.16.1.1")
	SharesFarPA  = netip.MustParseAddr("172.16.1.2")
	sharesFarCA  = netip.MustParseAddr("10.1.0.2")
	sharesFarMAC = packet.MAC{0x00, 0x15, 0x5d, 0x01, 0x00, 0x02}
)

const (
	uplinkName  = "up0"
	targetName  = "target"
	subnetName  = "web"
	sharesMTU   = 1600
	sharesDscp  = "{default: {trust: dscp}}" // without a classification of its own
	vportsPerCA = 250                        // addresses that end neither with 0 nor with 255
)

// VM is where a vport's traffic comes from, or goes to.
type VM struct {
	Name string
	MAC  packet.MAC
	CA   netip.Addr
}

// VM is the n-th VM of all sets, counted from 0.
func (s *Shares) VM(n int) VM {
	vm := VM{MAC: packet.MAC{0x00, 0x15, 0x5d, 0x00, byte(n >> 8), byte(n)},
		CA: netip.AddrFrom4([4]byte{10, 0, byte(1 + n/vportsPerCA), byte(2 + n%vportsPerCA)})}
	for i := range s.Vports {
		if v := &s.Vports[i]; n < v.Count {
			vm.Name = v.VportName(n)
			return vm
		} else {
			n -= v.Count
		}
	}
	return vm
}

// First is the number of the first VM of a set among those of all.
func (s *Shares) First(set string) (n int) {
	for i := range s.Vports {
		if s.Vports[i].Name == set {
			return n
		}
		n += s.Vports[i].Count
	}
	return n
}

// Receiver is the VM that all is sent to.
func (s *Shares) Receiver() VM { return VM{Name: targetName, MAC: sharesFarMAC, CA: sharesFarCA} }

// Out is the name of the port that all leaves by.
func (s *Shares) Out() string {
	if s.Target {
		return targetName
	}
	return uplinkName
}

// written is a configuration, with the line of the profile that each of its lines came from.
type written struct {
	text  strings.Builder
	lines []int
}

func (w *written) add(from int, format string, args ...any) {
	fmt.Fprintf(&w.text, format+"\n", args...)
	w.lines = append(w.lines, from)
}

// oneLine reports that all of a node stands on one line of the profile.
func oneLine(n *yaml.Node, line int) bool {
	return n.Line == line && !slices.ContainsFunc(n.Content, func(x *yaml.Node) bool { return !oneLine(x, line) })
}

// node writes a part of the profile below a key, one line for each of its own.
func (w *written) node(indent, key string, n *yaml.Node) {
	switch {
	case n.Kind == yaml.MappingNode && len(n.Content) > 0 && !oneLine(n, n.Line):
		w.add(n.Line, "%s%s", indent, key)
		for i := 0; i+1 < len(n.Content); i += 2 {
			w.node(indent+"  ", n.Content[i].Value+":", n.Content[i+1])
		}
	case n.Kind == yaml.SequenceNode && len(n.Content) > 0 && n.Content[0].Kind != yaml.ScalarNode && !oneLine(n, n.Line):
		w.add(n.Line, "%s%s", indent, key)
		for _, item := range n.Content {
			w.node(indent+"  ", "-", item)
		}
	default:
		flat := *n
		flat.Style |= yaml.FlowStyle
		text, err := yaml.Marshal(&flat)
		if err != nil {
			text = []byte("~") // an alias to nothing: policy refuses it by its key
		}
		w.add(n.Line, "%s%s %s", indent, key, strings.TrimSpace(string(text)))
	}
}

// Config writes the configuration of a host that carries the profile, as a user would. device is the uplink's.
func (s *Shares) Config(device map[string]string) ([]byte, error) {
	w, err := s.write(device)
	if err != nil {
		return nil, err
	}
	return []byte(w.text.String()), nil
}

func (s *Shares) write(device map[string]string) (*written, error) {
	flow, err := yaml.Marshal(flowOf(device))
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	w, top := &written{}, s.root.Line
	w.add(top, "host: {name: near}")
	w.add(top, "uplinks:")
	w.add(top, "  - name: %s", uplinkName)
	w.add(top, "    device: %s", strings.TrimSpace(string(flow)))
	w.add(top, "    mtu: %d", sharesMTU)
	w.add(top, "    providerAddresses: [%s/24]", SharesNearPA)
	if n := s.child("uplink"); n != nil {
		w.node("    ", "qos:", n)
	}
	w.add(top, "vports:")
	n := 0
	for i := range s.Vports {
		set := &s.Vports[i]
		for range set.Count {
			w.vport(set.line, s.VM(n), set.qos)
			n++
		}
	}
	if t := s.child("target"); t != nil {
		w.vport(t.Line, s.Receiver(), t)
	}
	w.add(top, "networks:")
	w.add(top, "  - {name: tenant, subnets: [{name: %s, vsid: 5001, prefix: 10.0.0.0/8}]}", subnetName)
	if !s.Target {
		w.add(top, "records:")
		w.add(top, "  - {subnet: %s, ca: %s, mac: %q, pa: %s}", subnetName, sharesFarCA, sharesFarMAC, SharesFarPA)
	}
	if g := s.child("qosGroups"); g != nil {
		w.node("", "qosGroups:", g)
	}
	if c := s.child("classification"); c != nil {
		w.node("", "classification:", c)
	} else {
		w.add(top, "classification: %s", sharesDscp)
	}
	return w, nil
}

// flowOf is a mapping on one line.
func flowOf(m map[string]string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, k := range sortedKeys(m) {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: k}, &yaml.Node{Kind: yaml.ScalarNode, Value: m[k]})
	}
	return n
}

func (w *written) vport(line int, vm VM, qos *yaml.Node) {
	w.add(line, "  - name: %s", vm.Name)
	w.add(line, "    device: {driver: %s}", policy.DriverTap)
	w.add(line, "    mac: %q", vm.MAC)
	w.add(line, "    subnet: %s", subnetName)
	w.add(line, "    addresses: [%s]", vm.CA)
	if qos != nil {
		w.node("    ", "qos:", qos)
	}
}

// Host is the configuration as the switch reads it.
func (s *Shares) Host() (*policy.Config, error) {
	text, err := s.Config(fabricDevice)
	if err != nil {
		return nil, err
	}
	return policy.Parse("generated from profile "+s.Name, text)
}

var fabricDevice = map[string]string{"driver": policy.DriverAFPacket, "interface": "fabric"}

var lineInText = regexp.MustCompile(`\(line (\d+)\)`)

// configProblems are what the switch refuses, with the lines of the profile; what holds for all vports of a set is said
// once. Of a profile that is refused for nothing it also gives the link's rate.
func (s *Shares) configProblems() (problems []policy.Problem) {
	w, err := s.write(fabricDevice)
	if err != nil {
		return []policy.Problem{{File: s.file, Line: s.root.Line, What: err.Error()}}
	}
	line := func(generated int) int {
		if generated < 1 || generated > len(w.lines) {
			return s.root.Line
		}
		return w.lines[generated-1]
	}
	c, err := policy.Parse(s.file, []byte(w.text.String()))
	refused, ok := err.(*policy.Errors)
	switch {
	case err == nil:
		return s.takeLink(c)
	case !ok:
		return []policy.Problem{{File: s.file, Line: s.root.Line, What: err.Error()}}
	}
	seen := map[string]bool{}
	for _, p := range refused.Problems {
		p.Line, p.Column = line(p.Line), 0
		p.What = lineInText.ReplaceAllStringFunc(p.What, func(text string) string {
			n, _ := strconv.Atoi(lineInText.FindStringSubmatch(text)[1])
			return fmt.Sprintf("(line %d)", line(n))
		})
		if key := s.withoutNumbers(p.String()); !seen[key] {
			seen[key] = true
			problems = append(problems, p)
		}
	}
	return problems
}

// withoutNumbers makes texts about vports of one set equal.
func (s *Shares) withoutNumbers(text string) string {
	for i := range s.Vports {
		name := regexp.MustCompile(`\b` + regexp.QuoteMeta(s.Vports[i].Name) + `-\d+\b`)
		text = name.ReplaceAllString(text, s.Vports[i].Name)
	}
	return text
}

// takeLink finds the rate that the streams share.
func (s *Shares) takeLink(c *policy.Config) []policy.Problem {
	bytes, what := c.Uplinks[0].QoS.BytesPerSec, "uplink: rate"
	if i := slices.IndexFunc(c.Vports, func(v policy.VportConfig) bool { return v.Name == targetName }); i >= 0 {
		bytes, what = c.Vports[i].QoS.Inbound.MaxBytesPerSec, "target: inbound.max"
	}
	if bytes == 0 {
		return []policy.Problem{{File: s.file, Line: s.root.Line, What: what + " is missing", Remedy: "say how much the streams share, for example 1Gbit"}}
	}
	s.Link = Rate{BPS: 8 * float64(bytes)}
	return nil
}

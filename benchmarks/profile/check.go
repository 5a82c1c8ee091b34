package profile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sluicenet/sluice/benchmarks/result"
)

var profileName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// protocols are those that flows may have. Their headers, with Ethernet's and IPv4's, fit the smallest frame.
var protocols = []string{"udp", "tcp"}

// check finds values that are impossible, alone or together. All keys are there.
func (d *decoder) check() {
	p := d.profile
	if !profileName.MatchString(p.Name) || len(p.Name) > maxNameBytes {
		d.at("name", fmt.Sprintf("%q is no name", p.Name), "use small letters, digits and dashes, at most %d", maxNameBytes)
	}
	switch p.Direction {
	case Encap, Decap, Rewrite, Local, Bridge:
	default:
		d.at("direction", fmt.Sprintf("there is no direction %q", p.Direction), "it is %s, %s, %s, %s or %s", Encap, Decap, Rewrite, Local, Bridge)
	}
	if what, remedy := p.flowsProblem(); what != "" {
		d.at("flows", what, "%s", remedy)
	}
	if p.Tenants < 1 || p.VMs < 1 || p.ports() > MaxPorts {
		d.at("vms", fmt.Sprintf("%d tenants with %d VMs each", p.Tenants, p.VMs),
			"at least one of each, and at most %d VMs here in all (with direction local and bridge the peers count too)", MaxPorts)
	}
	if p.Peers < 1 || p.Peers > maxPeers {
		d.at("peers", fmt.Sprintf("%d peers", p.Peers), "choose 1 to %d", maxPeers)
	}
	if p.ACLs < 0 || p.ACLs > MaxACLs {
		d.at("acls", fmt.Sprintf("%d rules", p.ACLs), "choose 0 to %d", MaxACLs)
	}
	d.checkMACs()
	d.checkProtocols()
	d.checkLoad()
	if d.checkFrames() {
		d.checkNewFlows()
	}
	if p.Duration < minDuration || p.Duration > maxDuration {
		d.at("duration", fmt.Sprintf("%s cannot be measured", p.Duration), "choose %s to %s", minDuration, maxDuration)
	}
}

// checkMACs sees to it that only bridges have a number of addresses.
func (d *decoder) checkMACs() {
	switch p := d.profile; {
	case p.Direction == Bridge && d.lines["macs"] == 0:
		d.at("direction", "a bridge learns addresses", "add macs: how many are behind each port, 1 to %d", MaxMACs)
	case p.Direction == Bridge && (p.MACs < 1 || p.MACs > MaxMACs):
		d.at("macs", fmt.Sprintf("%d addresses behind each port", p.MACs), "choose 1 to %d", MaxMACs)
	case p.Direction != Bridge && d.lines["macs"] != 0:
		d.at("macs", "a VM has one address", "remove it, or choose direction bridge")
	}
}

func (d *decoder) checkNewFlows() {
	p := d.profile
	if p.NewFlowShare > 0 && p.NewFlowsPerSecond > 0 {
		d.at("newFlowsPerSecond", "newFlowShare is given too", "keep one of them")
	}
	switch {
	case p.NewFlowsPerSecond < 0:
		d.at("newFlowsPerSecond", fmt.Sprintf("%d are no flows", p.NewFlowsPerSecond), "choose 0 or more")
	case p.NewFlowsPerSecond > 0 && p.Rate.Max():
		d.at("newFlowsPerSecond", "the rate of all frames is not given", "add rate, or write newFlowShare instead")
	case p.NewFlowsPerSecond > 0 && p.NewShare() > maxNewFlowShare:
		d.at("newFlowsPerSecond", fmt.Sprintf("%d is an impossible rate: a new flow is a frame at least, and there are %.0f a second",
			p.NewFlowsPerSecond, p.Rate.PacketsPerSecond(p.MeanBytes())), "choose fewer, or a higher rate")
	}
	if p.NewFlowShare < 0 || p.NewFlowShare > maxNewFlowShare {
		d.at("newFlowShare", fmt.Sprintf("%g %% of the frames", 100*p.NewFlowShare), "choose 0%% to %g%%", 100*maxNewFlowShare)
	}
}

// maxNewFlowShare leaves known flows in the traffic.
const maxNewFlowShare = 0.99

func (d *decoder) checkProtocols() {
	if len(d.profile.Protocols) == 0 {
		d.at("protocols", "no protocol", "write {udp: 100}")
	}
	for _, s := range d.profile.Protocols {
		switch {
		case !slices.Contains(protocols, s.Protocol):
			d.at("protocols", fmt.Sprintf("unknown protocol %q", s.Protocol), "there are udp and tcp")
		case s.Weight < 1 || s.Weight > 1000:
			d.at("protocols", fmt.Sprintf("weight %d of %s", s.Weight, s.Protocol), "choose 1 to 1000")
		}
	}
}

// ports counts the VMs here, each of which has a device: with Local and Bridge the peers are here too.
func (p *Profile) ports() int {
	if p.Direction.Stays() {
		return p.Tenants * (p.VMs + p.Peers)
	}
	return p.Tenants * p.VMs
}

func (p *Profile) flowsProblem() (what, remedy string) {
	switch {
	case p.Flows < 1:
		return fmt.Sprintf("%d flows send nothing", p.Flows), "choose at least 1"
	case p.Flows > MaxFlows:
		return fmt.Sprintf("%d flows", p.Flows), fmt.Sprintf("choose at most %d", MaxFlows)
	case p.Burst < 1 || p.Burst > maxBurst:
		return fmt.Sprintf("bursts of %d frames", p.Burst), fmt.Sprintf("choose 1 to %d", maxBurst)
	case p.Flows*p.Burst > MaxFrames:
		return fmt.Sprintf("%d flows in bursts of %d are %d frames", p.Flows, p.Burst, p.Flows*p.Burst),
			fmt.Sprintf("the replay holds %d: choose fewer flows or shorter bursts", MaxFrames)
	case p.Flows < p.Tenants*p.VMs:
		return fmt.Sprintf("%d flows for %d VMs", p.Flows, p.Tenants*p.VMs), "choose at least one flow per VM, else some send nothing"
	}
	return "", ""
}

// at reports a problem of a key.
func (d *decoder) at(key, what, remedy string, args ...any) {
	d.report(d.lines[key], key+": "+what, fmt.Sprintf(remedy, args...))
}

// String says the profile in one line.
func (p *Profile) String() string {
	mix := make([]string, len(p.Protocols))
	for i, s := range p.Protocols {
		mix[i] = fmt.Sprintf("%s %d", s.Protocol, s.Weight)
	}
	text := fmt.Sprintf("%s: %s, %s, %s with %s and %s each, %s, bursts of %d, %s",
		p.Name, p.FrameText(), result.Count(p.Flows, "flow"), result.Count(p.Tenants, "tenant"), result.Count(p.VMs, "VM"), result.Count(p.Peers, "peer"), strings.Join(mix, " : "), p.Burst, p.Duration.Round(time.Millisecond))
	if p.MACs > 0 {
		text += fmt.Sprintf(", %s behind each port", result.Count(p.MACs, "MAC"))
	}
	if p.ACLs > 0 {
		text += fmt.Sprintf(", %s for each VM", result.Count(p.ACLs, "rule"))
	}
	switch {
	case p.NewFlowShare > 0:
		text += fmt.Sprintf(", %g %% of the frames of new flows", 100*p.NewFlowShare)
	case p.NewFlowsPerSecond > 0:
		text += fmt.Sprintf(", %d new flows per second", p.NewFlowsPerSecond)
	}
	if !p.Rate.Max() {
		text += ", at " + p.Rate.String()
	}
	return text
}

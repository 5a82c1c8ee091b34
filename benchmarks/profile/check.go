package profile

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

var profileName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// headerBytes are what a frame of a protocol needs: Ethernet, IPv4 and its own header.
var headerBytes = map[string]int{"udp": 14 + 20 + 8, "tcp": 14 + 20 + 20}

// check finds values that are impossible, alone or together. All keys are there.
func (d *decoder) check() {
	p := d.profile
	if !profileName.MatchString(p.Name) || len(p.Name) > maxNameBytes {
		d.at("name", fmt.Sprintf("%q is no name", p.Name), "use small letters, digits and dashes, at most %d", maxNameBytes)
	}
	switch p.Direction {
	case Encap, Decap, Local:
	default:
		d.at("direction", fmt.Sprintf("there is no direction %q", p.Direction), "it is %s, %s or %s", Encap, Decap, Local)
	}
	if p.FrameBytes < minFrame || p.FrameBytes > maxFrame {
		d.at("frameBytes", fmt.Sprintf("%d bytes are no Ethernet frame", p.FrameBytes), "choose %d to %d; the FCS is not counted", minFrame, maxFrame)
	}
	if what, remedy := p.flowsProblem(); what != "" {
		d.at("flows", what, "%s", remedy)
	}
	if p.Tenants < 1 || p.VMs < 1 || p.ports() > MaxPorts {
		d.at("vms", fmt.Sprintf("%d tenants with %d VMs each", p.Tenants, p.VMs),
			"at least one of each, and at most %d VMs here in all (with direction local the peers count too)", MaxPorts)
	}
	if p.Peers < 1 || p.Peers > maxPeers {
		d.at("peers", fmt.Sprintf("%d peers", p.Peers), "choose 1 to %d", maxPeers)
	}
	d.checkProtocols()
	if p.Duration < minDuration || p.Duration > maxDuration {
		d.at("duration", fmt.Sprintf("%s cannot be measured", p.Duration), "choose %s to %s", minDuration, maxDuration)
	}
}

func (d *decoder) checkProtocols() {
	if len(d.profile.Protocols) == 0 {
		d.at("protocols", "no protocol", "write {udp: 100}")
	}
	for _, s := range d.profile.Protocols {
		switch need, known := headerBytes[s.Protocol]; {
		case !known:
			d.at("protocols", fmt.Sprintf("unknown protocol %q", s.Protocol), "there are udp and tcp")
		case s.Weight < 1 || s.Weight > 1000:
			d.at("protocols", fmt.Sprintf("weight %d of %s", s.Weight, s.Protocol), "choose 1 to 1000")
		case need > d.profile.FrameBytes:
			d.at("frameBytes", fmt.Sprintf("the headers of %s take %d bytes", s.Protocol, need), "make the frames larger")
		}
	}
}

// ports counts the VMs here, each of which has a device: with Local the peers are here too.
func (p *Profile) ports() int {
	if p.Direction == Local {
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
	return fmt.Sprintf("%s: %d-byte frames without FCS, %d flows, %d tenants with %d VMs and %d peers each, %s, bursts of %d, %s",
		p.Name, p.FrameBytes, p.Flows, p.Tenants, p.VMs, p.Peers, strings.Join(mix, " : "), p.Burst, p.Duration.Round(time.Millisecond))
}

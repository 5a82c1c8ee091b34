// Package profile reads traffic profiles: YAML files that say what a benchmark sends. They are read strictly, so that a
// mistyped profile fails before anything starts rather than measuring something else.
package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sluicenet/sluice/benchmarks"
)

// Direction says what the switch does with the traffic.
type Direction string

// Directions.
const (
	Encap   Direction = "encap"   // frames of VMs here go into NVGRE
	Decap   Direction = "decap"   // frames for VMs here come in NVGRE
	Rewrite Direction = "rewrite" // frames of VMs here leave with provider addresses instead of their own
	Local   Direction = "local"   // frames between VMs of a virtual subnet here
	Bridge  Direction = "bridge"  // frames between ports of a VLAN here, whose addresses are learned
)

// Stays reports that the traffic never leaves this host: the peers have ports here.
func (d Direction) Stays() bool { return d == Local || d == Bridge }

// Profile describes traffic. VMs here are of this host; their peers are on another one, except with Local and Bridge.
type Profile struct {
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Direction   Direction     `json:"direction"`
	FrameBytes  int           `json:"frameBytes"` // of a VM's frame from its Ethernet header on, as FCS says, without encapsulation; 0 with IMIX
	IMIX        string        `json:"imix,omitempty"`
	FCS         FCS           `json:"fcs,omitempty"`
	Flows       int           `json:"flows"`
	Tenants     int           `json:"tenants"`        // each with one virtual subnet, all with the same customer addresses; with Bridge a VLAN
	VMs         int           `json:"vms"`            // of each tenant here, each with a port of its own
	Peers       int           `json:"peers"`          // of each tenant
	MACs        int           `json:"macs,omitempty"` // Bridge: addresses behind each port
	ACLs        int           `json:"acls,omitempty"` // rules of every VM's port
	Protocols   []Share       `json:"protocols"`
	Burst       int           `json:"burst"`    // frames of one flow in a row
	Duration    time.Duration `json:"duration"` // measured in every round, after the warm-up, ns

	// Optional keys.
	Load              []Phase `json:"load,omitempty"`              // what comes by each VM's queue, where queues are balanced; none by default
	Rate              Rate    `json:"rate,omitzero"`               // how fast a generator sends; as fast as it can by default
	Search            *Search `json:"search,omitempty"`            // for rates that a switch sustains; none by default
	NewFlowShare      float64 `json:"newFlowShare,omitempty"`      // of the frames that begin a flow nobody has seen, 0 to 1
	NewFlowsPerSecond int     `json:"newFlowsPerSecond,omitempty"` // instead of it, beside the frames of known flows
}

// Share is the weight of a transport protocol among the flows.
type Share struct {
	Protocol string `json:"protocol"` // udp, tcp
	Weight   int    `json:"weight"`
}

// Bounds of a profile.
const (
	minWire      = 64 // on a wire, FCS included
	maxWire      = 1518
	MaxFlows     = 1 << 20
	MaxFrames    = 1 << 20 // flows times burst: frames of a replay
	MaxPorts     = 28      // of VMs with a device; Debian's DPDK has 32 in all
	MaxMACs      = 4096    // behind a port: what the switch learns of one
	MaxACLs      = 15000
	maxPeers     = 4096
	maxBurst     = 256
	minDuration  = 100 * time.Millisecond
	maxDuration  = time.Hour
	maxNameBytes = 40
)

// Encapsulation is what NVGRE adds to a frame, bytes: Ethernet, IPv4, GRE with a key (RFC 7637, section 3.2).
const Encapsulation = 14 + 20 + 8

// Received and Sent are the sizes of a VM's frame, given without FCS, as the switch gets it and as it sends it on.
func (p *Profile) Received(frame int) int {
	if p.Direction == Decap {
		return frame + Encapsulation
	}
	return frame
}

// Sent is the counterpart of Received.
func (p *Profile) Sent(frame int) int {
	if p.Direction == Encap {
		return frame + Encapsulation
	}
	return frame
}

// NewShare is the share of the frames that begin a new flow, in a replay, which knows no time: at the profile's rate.
func (p *Profile) NewShare() float64 {
	if p.NewFlowsPerSecond > 0 {
		return float64(p.NewFlowsPerSecond) / p.Rate.PacketsPerSecond(p.MeanBytes())
	}
	return p.NewFlowShare
}

// WithFlows is the profile with another number of flows.
func (p Profile) WithFlows(flows int) (Profile, error) {
	if flows == 0 || flows == p.Flows {
		return p, nil
	}
	p.Flows = flows
	if what, remedy := p.flowsProblem(); what != "" {
		return p, fmt.Errorf("profile %s: %s (%s)", p.Name, what, remedy)
	}
	return p, nil
}

// Names lists the profiles that come with the program, but for those of shares.
func Names() []string { return namesIn("profiles/") }

func namesIn(folder string) []string {
	files, err := fs.Glob(benchmarks.Profiles, folder+"*.yaml")
	if err != nil {
		panic(err) // only for a bad pattern
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(path.Base(f), ".yaml")
	}
	return names
}

// Load reads a profile by its name, or any file by its path: a word with a slash or ending in .yaml.
func Load(nameOrPath string) (*Profile, error) {
	if isPath(nameOrPath) {
		text, err := os.ReadFile(nameOrPath)
		if err != nil {
			return nil, fmt.Errorf("read profile: %w", err)
		}
		return Parse(nameOrPath, text)
	}
	if slices.Contains(SharesNames(), nameOrPath) {
		return nil, fmt.Errorf("profile %s: %w (use sluice-pktgen shares --profile %s)", nameOrPath, ErrShares, nameOrPath)
	}
	if !slices.Contains(Names(), nameOrPath) {
		return nil, fmt.Errorf("profile %q: %w: there are %s; or give the path of a file", nameOrPath, errUnknown, strings.Join(Names(), ", "))
	}
	file := "profiles/" + nameOrPath + ".yaml"
	text, err := benchmarks.Profiles.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return Parse("benchmarks/"+file, text)
}

// ErrShares is of a profile whose streams compete for shares, which another command can show.
var ErrShares = errors.New("its streams compete for shares of a link")

var errUnknown = errors.New("no such profile")

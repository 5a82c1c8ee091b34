// Package profile reads traffic profiles: YAML files that say what a benchmark sends. They are read strictly, so that a
// mistyped profile fails before anything starts rather than measuring something else.
package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sluicenet/sluice/benchmarks"
)

// Direction says what the switch does with the traffic.
type Direction string

// Directions.
const (
	Encap Direction = "encap" // frames of VMs here go into NVGRE
	Decap Direction = "decap" // frames for VMs here come in NVGRE
	Local Direction = "local" // frames between VMs here
)

// Profile describes traffic. VMs here are of this host; their peers are on another one, except with Local.
type Profile struct {
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Direction   Direction     `json:"direction"`
	FrameBytes  int           `json:"frameBytes"` // of a VM's frame from its Ethernet header on, without FCS and encapsulation
	Flows       int           `json:"flows"`
	Tenants     int           `json:"tenants"` // each with one virtual subnet, all with the same customer addresses
	VMs         int           `json:"vms"`     // of each tenant here, each with a port of its own
	Peers       int           `json:"peers"`   // of each tenant
	Protocols   []Share       `json:"protocols"`
	Burst       int           `json:"burst"`    // frames of one flow in a row
	Duration    time.Duration `json:"duration"` // measured in every round, after the warm-up, ns
}

// Share is the weight of a transport protocol among the flows.
type Share struct {
	Protocol string `json:"protocol"` // udp, tcp
	Weight   int    `json:"weight"`
}

// Bounds of a profile.
const (
	minFrame     = 64
	maxFrame     = 1514
	MaxFlows     = 1 << 20
	MaxFrames    = 1 << 20 // flows times burst: frames of a replay
	MaxPorts     = 28      // of VMs with a device; Debian's DPDK has 32 in all
	maxPeers     = 4096
	maxBurst     = 256
	minDuration  = 100 * time.Millisecond
	maxDuration  = time.Hour
	maxNameBytes = 40
)

// Encapsulation is what NVGRE adds to a frame, bytes: Ethernet, IPv4, GRE with a key (RFC 7637, section 3.2).
const Encapsulation = 14 + 20 + 8

// SourceBytes is the size of the frames that the switch receives.
func (p *Profile) SourceBytes() int {
	if p.Direction == Decap {
		return p.FrameBytes + Encapsulation
	}
	return p.FrameBytes
}

// SinkBytes is the size of the frames that the switch sends.
func (p *Profile) SinkBytes() int {
	if p.Direction == Encap {
		return p.FrameBytes + Encapsulation
	}
	return p.FrameBytes
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

// Names lists the profiles that come with the program.
func Names() []string {
	files, err := fs.Glob(benchmarks.Profiles, "profiles/*.yaml")
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
	if strings.ContainsRune(nameOrPath, filepath.Separator) || strings.HasSuffix(nameOrPath, ".yaml") {
		text, err := os.ReadFile(nameOrPath)
		if err != nil {
			return nil, fmt.Errorf("read profile: %w", err)
		}
		return Parse(nameOrPath, text)
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

var errUnknown = errors.New("no such profile")

package profile

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluicenet/sluice/benchmarks"
	"github.com/sluicenet/sluice/packet"
)

// Shares is a profile of quality of service: what the switch is told of shares, and streams of several VMs that compete
// under it, beginning, stopping and changing as time goes on.
type Shares struct {
	Name        string
	Description string
	Duration    time.Duration
	Link        Rate // of what all streams leave by: the uplink, or the inbound limit of the target
	Wire        Rate // speed of the link itself, where the uplink's rate is less
	Vports      []VportSet
	Streams     []Stream
	Variants    []Variant // at least one: the same under other conditions
	Target      bool      // all is sent to one VM here, not out of the uplink

	root *yaml.Node
	file string
}

// VportSet are VMs here that are told the same.
type VportSet struct {
	Name  string
	Count int

	qos  *yaml.Node
	line int
}

// Stream is what each VM of a set sends: one flow each.
type Stream struct {
	Name       string
	Vports     string // a set
	DSCP       int    // 0 to 63
	PCP        int    // 0 to 7 in a tag of VLAN 0; -1: no tag
	Protocol   string // udp, tcp
	Port       int    // of the far end
	FrameBytes int    // without FCS
	ECN        bool   // its packets say that they understand marks

	Rate    StreamRate   // of each VM at the start
	Changes []RateChange // in the order of time

	Control string        // instead of a rate: ControlReno, ControlDCTCP
	RTT     time.Duration // of controlled streams, without what waits in the switch

	line int
}

// StampBytes are the last bytes of each frame, which say whose it is and when it was sent.
const StampBytes = 16

// TransportBytes is the size of the transport header.
func (s *Stream) TransportBytes() int {
	if s.Protocol == "tcp" {
		return 20
	}
	return 8
}

// HeaderBytes is what a frame has at least: Ethernet, a tag, IPv4, the transport header, and the stamp.
func (s *Stream) HeaderBytes() int {
	size := packet.EthernetLen + packet.IPv4Len + s.TransportBytes() + StampBytes
	if s.PCP >= 0 {
		size += packet.VLANLen
	}
	return size
}

// What streams without a rate do about congestion.
const (
	ControlReno  = "reno"  // half of the window at a loss, or at a mark (RFC 5681, RFC 3168)
	ControlDCTCP = "dctcp" // by the share of packets that are marked (RFC 8257)
)

// StreamRate is the rate of a stream. The zero value is off.
type StreamRate struct {
	Rate          // absolute
	Times float64 // instead: of its share, which is what it would get were all streams always busy
}

// Off reports that nothing is sent.
func (r StreamRate) Off() bool { return r.Times == 0 && r.Max() }

// String is the rate as a profile has it.
func (r StreamRate) String() string {
	switch {
	case r.Off():
		return "off"
	case r.Times > 0:
		return fmt.Sprintf("%gx", r.Times)
	}
	return r.Rate.String()
}

// RateChange gives a stream another rate.
type RateChange struct {
	At   time.Duration
	Rate StreamRate
}

// Variant is a run of its own, with something left out.
type Variant struct {
	Name    string
	Without []string // streams
	ECN     bool     // streams may say that they understand marks
}

// Bounds of a profile of shares.
const (
	MaxVports    = 4000
	maxStreams   = 64
	maxVariants  = 8
	maxTimes     = 100
	sharesShort  = 200 * time.Millisecond
	sharesLong   = time.Minute
	shortestRTT  = 10 * time.Microsecond
	longestRTT   = time.Second
	sharesFolder = "profiles/qos/"
)

// SharesNames lists the profiles of shares that come with the program.
func SharesNames() []string { return namesIn(sharesFolder) }

// LoadShares reads a profile of shares by its name, or any file by its path.
func LoadShares(nameOrPath string) (*Shares, error) {
	if isPath(nameOrPath) {
		text, err := os.ReadFile(nameOrPath)
		if err != nil {
			return nil, fmt.Errorf("read profile: %w", err)
		}
		return ParseShares(nameOrPath, text)
	}
	if !slices.Contains(SharesNames(), nameOrPath) {
		if slices.Contains(Names(), nameOrPath) {
			return nil, fmt.Errorf("profile %s has no shares (choose %s, or give the path of a file)", nameOrPath, strings.Join(SharesNames(), ", "))
		}
		return nil, fmt.Errorf("profile %q: %w: there are %s; or give the path of a file", nameOrPath, errUnknown, strings.Join(SharesNames(), ", "))
	}
	file := sharesFolder + nameOrPath + ".yaml"
	text, err := benchmarks.Profiles.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return ParseShares("benchmarks/"+file, text)
}

// IsShares reports that a name, or the path of a file, is that of a profile of shares.
func IsShares(nameOrPath string) bool {
	if !isPath(nameOrPath) {
		return slices.Contains(SharesNames(), nameOrPath)
	}
	text, err := os.ReadFile(nameOrPath)
	return err == nil && streamsKey.Match(text)
}

var streamsKey = regexp.MustCompile(`(?m)^streams:`)

func isPath(word string) bool {
	return strings.ContainsRune(word, filepath.Separator) || strings.HasSuffix(word, ".yaml")
}

// Stream finds a stream by its name, nil if there is none.
func (s *Shares) Stream(name string) *Stream {
	i := slices.IndexFunc(s.Streams, func(x Stream) bool { return x.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Streams[i]
}

// Set finds a set of vports by its name, nil if there is none.
func (s *Shares) Set(name string) *VportSet {
	i := slices.IndexFunc(s.Vports, func(x VportSet) bool { return x.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Vports[i]
}

// VportName is the name of the n-th VM of a set, counted from 0.
func (v *VportSet) VportName(n int) string {
	if v.Count == 1 {
		return v.Name
	}
	return fmt.Sprintf("%s-%d", v.Name, n+1)
}

// String says the profile in one line.
func (s *Shares) String() string {
	vports := 0
	for i := range s.Vports {
		vports += s.Vports[i].Count
	}
	names := make([]string, len(s.Streams))
	for i := range s.Streams {
		names[i] = s.Streams[i].Name
	}
	to := "an uplink"
	if s.Target {
		to = "one VM"
	}
	return fmt.Sprintf("%s: streams %s of %d vports to %s of %s, %s", s.Name, strings.Join(names, ", "), vports, to, s.Link, s.Duration)
}

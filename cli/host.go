package cli

import (
	"strconv"
	"strings"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/doctor"
	"github.com/sluicenet/sluice/nic"
)

// Examination is what the doctor found.
type Examination struct {
	Verdict  doctor.Severity  `json:"verdict"`
	Findings []doctor.Finding `json:"findings"`
}

// Draw shows one line per finding, with its remedy below.
func (e *Examination) Draw(s *Screen) {
	colors := map[doctor.Severity]Color{doctor.OK: Good, doctor.Warn: Doubtful, doctor.Fail: Bad}
	width, counts := 0, map[doctor.Severity]int{}
	for _, f := range e.Findings {
		width = max(width, len(f.Check))
		counts[f.Severity]++
	}
	for _, f := range e.Findings {
		mark := s.Paint(colors[f.Severity], string(f.Severity)) + strings.Repeat(" ", len(doctor.Warn)-len(f.Severity))
		s.Line("%s  %-*s  %s", mark, width, f.Check, f.What)
		if f.Remedy != "" {
			s.Line("%*s    %s", len(doctor.Warn)+width, "", s.Paint(Faint, "→ ")+f.Remedy)
		}
	}
	s.Gap()
	s.Line("%d ok, %s, %s", counts[doctor.OK], plural(counts[doctor.Warn], "warning"), plural(counts[doctor.Fail], "failure"))
}

// Cards is the list of the host's network cards.
type Cards struct {
	Cards []nic.Card `json:"cards"`
}

// Draw shows one line per card.
func (l *Cards) Draw(s *Screen) {
	if len(l.Cards) == 0 {
		s.Line("no PCI network cards")
		return
	}
	var rows [][]string
	for _, c := range l.Cards {
		owner := "kernel"
		switch {
		case c.DPDK:
			owner = s.Paint(Good, "DPDK")
		case c.Shared():
			owner = s.Paint(Good, "both")
		case c.Driver == "":
			owner = "nobody"
		}
		note := strings.Join(c.Protected, "; ")
		if c.Was != "" {
			note = "goes back to " + c.Was
		}
		rows = append(rows, []string{c.PCI, c.Name, firstOf(c.MAC, "-"), owner, firstOf(c.Driver, "-"), numberOrDash(c.NUMA), numberOrDash(c.IOMMUGroup), c.Model, note})
	}
	s.Table([]string{"PCI", "NAME", "MAC", "OWNER", "DRIVER", ">NUMA", ">IOMMU", "MODEL", "NOTE"}, rows)
}

// numberOrDash shows a node or group of a card.
func numberOrDash(n int) string {
	if n == nic.None {
		return "-"
	}
	return strconv.Itoa(n)
}

// Binding is what was done to a card, or with DryRun would be.
type Binding struct {
	*nic.Result
	DryRun bool `json:"dryRun"`
}

// Draw shows the commands of a dry run, else the outcome.
func (b *Binding) Draw(s *Screen) {
	owner := firstOf(b.Driver, "the driver that the kernel chooses")
	switch {
	case len(b.Steps) == 0:
		s.Line("%s (%s): nothing to do, %s has it", b.PCI, b.Name, owner)
	case b.DryRun:
		for _, step := range b.Steps {
			s.Line("%s", step)
		}
	default:
		s.Line("%s (%s): %s has it now", b.PCI, b.Name, firstOf(b.Driver, "no driver"))
	}
	for _, n := range b.Notes {
		s.Line("%s: %s", s.Paint(Doubtful, "note"), n)
	}
}

// Build says which program this or another is.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	DPDK    string `json:"dpdk,omitempty"`
}

// Versions are those of the command and of the daemon that it talks to.
type Versions struct {
	Client      Build  `json:"client"`
	Daemon      *Build `json:"daemon,omitempty"`
	DaemonError string `json:"daemonError,omitempty"`
}

// NewBuild shows the daemon's.
func NewBuild(r *sluicev1.GetVersionResponse) *Build {
	return &Build{Version: r.GetVersion(), Commit: r.GetCommit(), Go: r.GetGoVersion(), DPDK: r.GetDpdkVersion()}
}

func (b Build) String() string {
	s := b.Version
	if b.Commit != "" {
		s += " (" + b.Commit[:min(shortHash, len(b.Commit))] + ")"
	}
	s += ", " + b.Go
	if b.DPDK != "" {
		s += ", " + b.DPDK
	}
	return s
}

// Draw shows one line per program.
func (v *Versions) Draw(s *Screen) {
	daemon := v.DaemonError
	if v.Daemon != nil {
		daemon = v.Daemon.String()
	}
	s.Pairs([2]string{"sluice", v.Client.String()}, [2]string{"sluiced", daemon})
}

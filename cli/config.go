package cli

import (
	"fmt"
	"strings"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/policy"
)

// Problem is one finding about a configuration.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Object string `json:"object,omitempty"`
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"`
}

// NewProblems takes those of package policy.
func NewProblems(list []policy.Problem) []Problem {
	out := make([]Problem, 0, len(list))
	for _, p := range list {
		out = append(out, Problem{File: p.File, Line: p.Line, Column: p.Column, Object: p.Object, What: p.What, Remedy: p.Remedy})
	}
	return out
}

// NewRemoteProblems takes those of the daemon.
func NewRemoteProblems(list []*sluicev1.Problem) []Problem {
	out := make([]Problem, 0, len(list))
	for _, p := range list {
		out = append(out, Problem{File: p.GetFile(), Line: int(p.GetLine()), Column: int(p.GetColumn()), Object: p.GetObject(),
			What: p.GetWhat(), Remedy: p.GetRemedy()})
	}
	return out
}

// place is "file:line:column" as editors and compilers write it.
func (p Problem) place() string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d", p.Line)
		if p.Column > 0 {
			s += fmt.Sprintf(":%d", p.Column)
		}
	}
	return s
}

func (p Problem) draw(s *Screen, word string) {
	what := p.What
	if p.Object != "" {
		what = p.Object + ": " + what
	}
	if p.Remedy != "" {
		what += "; " + p.Remedy
	}
	s.Line("%s: %s: %s", p.place(), word, what)
}

func drawProblems(s *Screen, problems, warnings []Problem) {
	for _, p := range problems {
		p.draw(s, s.Paint(Bad, "error"))
	}
	for _, p := range warnings {
		p.draw(s, s.Paint(Doubtful, "warning"))
	}
}

// Check is the verdict on a configuration file.
type Check struct {
	File     string    `json:"file"`
	OK       bool      `json:"ok"`
	Problems []Problem `json:"problems"`
	Warnings []Problem `json:"warnings"`
	Contents string    `json:"contents,omitempty"` // what a good file describes, in words
}

// Draw shows one line per problem, then the sum.
func (c *Check) Draw(s *Screen) {
	drawProblems(s, c.Problems, c.Warnings)
	if !c.OK {
		s.Line("%s: %s, %s", c.File, s.Paint(Bad, plural(len(c.Problems), "problem")), plural(len(c.Warnings), "warning"))
		return
	}
	verdict := s.Paint(Good, "ok")
	if len(c.Warnings) > 0 {
		verdict += ", " + s.Paint(Doubtful, plural(len(c.Warnings), "warning"))
	}
	s.Line("%s: %s (%s)", c.File, verdict, c.Contents)
}

// Contents says in words what a configuration describes.
func Contents(c *policy.Config) string {
	subnets := 0
	for i := range c.Networks {
		subnets += len(c.Networks[i].Subnets)
	}
	return strings.Join([]string{"host " + c.Host.Name, plural(len(c.Uplinks), "uplink"), plural(len(c.Vports), "vport"),
		plural(len(c.Networks), "network"), plural(subnets, "subnet"), plural(len(c.Records), "record")}, ", ")
}

// Change is one step from the running configuration to the wanted one.
type Change struct {
	Op     string `json:"op"`
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Detail string `json:"detail,omitempty"`
}

// Plan is what a configuration file changes, or changed.
type Plan struct {
	File     string    `json:"file"`
	Applied  bool      `json:"applied"`
	Revision uint64    `json:"revision"` // that runs now
	Changes  []Change  `json:"changes"`
	Warnings []Problem `json:"warnings"`
}

// NewPlan shows the answer to Apply.
func NewPlan(file string, applied bool, r *sluicev1.ApplyResponse) *Plan {
	p := &Plan{File: file, Applied: applied, Revision: r.GetRevision(), Changes: []Change{}, Warnings: NewRemoteProblems(r.GetWarnings())}
	for _, c := range r.GetChanges() {
		p.Changes = append(p.Changes, Change{Op: c.GetOp(), Kind: c.GetKind(), Name: c.GetName(), Detail: c.GetDetail()})
	}
	return p
}

// signs are how people know the operations from diff.
var signs = map[string]struct {
	sign  string
	color Color
}{"add": {"+", Good}, "remove": {"-", Bad}, "modify": {"~", Doubtful}}

// Draw shows one line per change, then the sum.
func (p *Plan) Draw(s *Screen) {
	drawProblems(s, nil, p.Warnings)
	counts := map[string]int{}
	for _, c := range p.Changes {
		counts[c.Op]++
		line := signs[c.Op].sign + " " + c.Kind
		if c.Name != "" { // a section that exists once has none
			line += " " + c.Name
		}
		if c.Detail != "" {
			line += ": " + c.Detail
		}
		s.Line("%s", s.Paint(signs[c.Op].color, line))
	}
	sum := fmt.Sprintf("%d to add, %d to modify, %d to remove", counts["add"], counts["modify"], counts["remove"])
	if p.Applied {
		sum = fmt.Sprintf("%d added, %d modified, %d removed", counts["add"], counts["modify"], counts["remove"])
	}
	switch {
	case len(p.Changes) == 0:
		s.Line("%s: nothing to change, revision %d runs", p.File, p.Revision)
	case p.Applied:
		s.Line("%s: %s, revision %d runs", p.File, sum, p.Revision)
	default:
		s.Line("%s: %s; nothing was changed", p.File, sum)
	}
}

// Config is the configuration that runs.
type Config struct {
	File     string `json:"file"`
	Revision uint64 `json:"revision"`
	Hash     string `json:"hash"`
	YAML     string `json:"yaml"`
}

// NewConfig shows the answer to GetConfig.
func NewConfig(r *sluicev1.GetConfigResponse) *Config {
	return &Config{File: r.GetFile(), Revision: r.GetRevision(), Hash: r.GetConfigHash(), YAML: string(r.GetYaml())}
}

// Draw shows the text alone, so that it can go into a file.
func (c *Config) Draw(s *Screen) { s.Line("%s", strings.TrimSuffix(c.YAML, "\n")) }

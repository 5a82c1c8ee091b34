// Package doctor looks at the host the way sluiced will find it and says what is fit, what is doubtful and what will
// fail, each with the command that mends it. It reads sysfs and procfs and changes nothing.
package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sluicenet/sluice/nic"
	"github.com/sluicenet/sluice/policy"
)

// Severity ranks a finding.
type Severity string

// Severities, the best first. Fail means that sluiced, or a port of the configuration, will not work.
const (
	OK   Severity = "ok"
	Warn Severity = "warn"
	Fail Severity = "fail"
)

// Finding is one thing the doctor looked at.
type Finding struct {
	Check    string   `json:"check"` // "hugepages"
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	Remedy   string   `json:"remedy,omitempty"` // the command, or what to do where no command does it
}

// Host is what the doctor looks at.
type Host struct {
	Root      string                                    // holds sys, proc, dev, run, usr
	NICs      *nic.System                               // over the same root
	Addresses func() (map[string][]netip.Prefix, error) // of the kernel's interfaces, by name
	UID       int                                       // of the user who asks
	Daemon    AskDaemon
}

// Running is a sluiced that runs.
type Running struct {
	Description string
	PID         int
}

// AskDaemon asks the sluiced that runs, if any.
type AskDaemon func(context.Context) (Running, error)

// This returns the machine that the process runs on.
func This(daemon AskDaemon) *Host {
	cards := nic.Host()
	return &Host{Root: "/", NICs: cards, Addresses: cards.Addresses, UID: os.Geteuid(), Daemon: daemon}
}

// examination collects the findings of one run.
type examination struct {
	*Host
	config   *policy.Config // never nil; empty when none was given
	given    bool           // a configuration was given
	running  bool           // a daemon answers
	apart    bool           // it sees other interfaces and addresses than this process
	findings []Finding
}

// Examine runs all checks, against a configuration when there is one (config may be nil).
func (h *Host) Examine(ctx context.Context, config *policy.Config) ([]Finding, error) {
	x := &examination{Host: h, config: config, given: config != nil}
	if config == nil {
		x.config = &policy.Config{}
	}
	cards, err := h.NICs.List()
	if err != nil {
		return nil, err
	}
	addresses, err := h.Addresses()
	if err != nil {
		return nil, err
	}
	x.daemon(ctx)
	x.user()
	x.cpu()
	x.placement(cards)
	x.numa(cards)
	x.hugepages()
	x.libraries()
	x.iommu(cards)
	x.cards(cards)
	x.pciUplinks(cards)
	if !x.apart {
		x.kernelUplinks()
		x.providerAddresses(addresses)
	}
	x.tun()
	x.namespaces()
	return x.findings, nil
}

// Worst is the severity that decides, OK for no findings.
func Worst(findings []Finding) Severity {
	worst := OK
	for _, f := range findings {
		if f.Severity == Fail || f.Severity == Warn && worst == OK {
			worst = f.Severity
		}
	}
	return worst
}

func (x *examination) ok(check, format string, args ...any) {
	x.findings = append(x.findings, Finding{Check: check, Severity: OK, What: fmt.Sprintf(format, args...)})
}

func (x *examination) warn(check, remedy, format string, args ...any) {
	x.findings = append(x.findings, Finding{Check: check, Severity: Warn, What: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (x *examination) fail(check, remedy, format string, args ...any) {
	x.findings = append(x.findings, Finding{Check: check, Severity: Fail, What: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (x *examination) path(elem ...string) string {
	return filepath.Join(append([]string{x.Root}, elem...)...)
}

func (x *examination) exists(elem ...string) bool {
	_, err := os.Stat(x.path(elem...))
	return err == nil
}

// read returns a file's text, empty when it is absent or unreadable.
func (x *examination) read(elem ...string) string {
	b, err := os.ReadFile(x.path(elem...))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// number reads a file that holds one, 0 when there is none.
func (x *examination) number(elem ...string) int {
	n, err := strconv.Atoi(x.read(elem...))
	if err != nil {
		return 0
	}
	return n
}

// glob lists what matches a well-formed pattern, by last element.
func (x *examination) glob(elem ...string) []string {
	found, _ := filepath.Glob(x.path(elem...)) // the pattern is well-formed
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	return found
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

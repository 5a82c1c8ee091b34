package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Wire is what the capture of the fabric shows.
type Wire struct {
	Frames           int      `json:"frames"`
	NVGRE            int      `json:"nvgre"`
	Rewritten        int      `json:"rewritten"` // between provider addresses of one tenant's VMs
	ProviderARP      int      `json:"providerARP"`
	Strange          int      `json:"strange"`          // anything else
	TenantBroadcasts int      `json:"tenantBroadcasts"` // inner frames to a group address
	Complaints       int      `json:"complaints"`       // frames with an error in tshark's view
	VSIDs            []uint32 `json:"vsids"`
	FlowIDs          int      `json:"flowIDs"` // different ones
	Excerpt          []Frame  `json:"excerpt"`
	File             string   `json:"file,omitempty"` // pcapng; empty when not kept
}

// Frame is one NVGRE or rewritten frame as tshark decodes it; a rewritten one has no VSID, FlowID and inner addresses.
type Frame struct {
	Number   int    `json:"number"` // in the file
	From     string `json:"from"`   // provider addresses
	To       string `json:"to"`
	VSID     uint32 `json:"vsid"`
	FlowID   uint8  `json:"flowID"`
	InnerSrc string `json:"innerSource"`
	InnerDst string `json:"innerTarget"`
	Info     string `json:"info"`
}

// frame is a decoded frame with what the checks need.
type frame struct {
	Frame
	NVGRE     bool
	ARP       bool
	ARPTarget string
	InnerMAC  string   // target MAC of the inner frame
	Addresses []string // all IP addresses in the frame, outer and inner
	Complaint bool
}

// names reports whether an address appears anywhere in the frame.
func (f *frame) names(addr string) bool {
	return slices.Contains(f.Addresses, addr) || f.ARPTarget == addr
}

func (s *stage) captureFile() string { return s.lab.Path("wire.pcapng") }

// The fields that tshark is asked for. One that occurs at several depths of a frame comes as a comma-separated list,
// the outermost first.
var decodeFields = []string{
	"frame.number", "ip.src", "ip.dst", "eth.dst", "gre.key", "arp.opcode", "arp.dst.proto_ipv4",
	"_ws.expert.severity", "_ws.malformed", "_ws.col.Info",
}

// decode lets tshark read a capture, all checksums included.
func decode(ctx context.Context, file string) ([]frame, error) {
	argv := []string{"-n", "-r", file, "-T", "fields"}
	for _, protocol := range []string{"ip", "tcp", "udp"} {
		argv = append(argv, "-o", protocol+".check_checksum:TRUE")
	}
	for _, field := range decodeFields {
		argv = append(argv, "-e", field)
	}
	cmd := exec.CommandContext(ctx, "tshark", argv...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("tshark: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return parseFrames(string(out))
}

func parseFrames(out string) ([]frame, error) {
	var frames []frame
	for line := range strings.Lines(out) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(columns) < len(decodeFields) {
			return nil, fmt.Errorf("tshark: %d columns instead of %d in %q", len(columns), len(decodeFields), line)
		}
		f, err := parseFrame(columns)
		if err != nil {
			return nil, fmt.Errorf("tshark: %w in %q", err, line)
		}
		frames = append(frames, f)
	}
	return frames, nil
}

// Values of _ws.expert.severity: errors are bad checksums and broken packets; warnings and below are about the course of
// a connection, such as a retransmission.
const severityError = 0x800000

func parseFrame(columns []string) (frame, error) {
	number, err := strconv.Atoi(columns[0])
	if err != nil {
		return frame{}, err
	}
	src, dst, mac := strings.Split(columns[1], ","), strings.Split(columns[2], ","), strings.Split(columns[3], ",")
	f := frame{ARP: columns[5] != "" && columns[4] == "", ARPTarget: columns[6], Addresses: slices.Concat(src, dst)}
	f.Number, f.From, f.To, f.Info = number, src[0], dst[0], columns[9]
	f.Complaint = columns[8] != ""
	for severity := range strings.SplitSeq(columns[7], ",") {
		if n, err := strconv.Atoi(severity); err == nil && n >= severityError {
			f.Complaint = true
		}
	}
	if columns[4] == "" {
		return f, nil
	}
	key, err := strconv.ParseUint(columns[4], 0, 32)
	if err != nil {
		return frame{}, err
	}
	f.NVGRE, f.VSID, f.FlowID = true, uint32(key>>8), uint8(key) // RFC 7637 section 3.2
	if len(mac) > 1 {
		f.InnerMAC = mac[1]
	}
	if len(src) > 1 && len(dst) > 1 {
		f.InnerSrc, f.InnerDst = src[1], dst[1]
	}
	return f, nil
}

// summarise sorts the frames of a capture into what belongs on the fabric and what does not.
func summarise(frames []frame, p *plan) Wire {
	w := Wire{Frames: len(frames)}
	providers, owners, shown := map[string]bool{}, p.owners(), map[string]bool{}
	for i := range p.hosts {
		providers[p.hosts[i].PA.Addr().String()] = true
	}
	vsids, flowIDs := map[uint32]bool{}, map[uint8]bool{}
	for i := range frames {
		f := &frames[i]
		switch {
		case f.NVGRE && providers[f.From] && providers[f.To]:
			w.NVGRE++
			if !vsids[f.VSID] {
				w.Excerpt = append(w.Excerpt, f.Frame)
			}
			vsids[f.VSID], flowIDs[f.FlowID] = true, true
		case f.rewritten(owners):
			w.Rewritten++
			if pair := f.From + " " + f.To; !shown[pair] && !shown[f.To+" "+f.From] {
				w.Excerpt = append(w.Excerpt, f.Frame)
				shown[pair] = true
			}
		case f.ARP && (providers[f.ARPTarget] || owners[f.ARPTarget] != ""):
			w.ProviderARP++
		default:
			w.Strange++
		}
		if f.NVGRE && isGroup(f.InnerMAC) {
			w.TenantBroadcasts++
		}
		if f.Complaint {
			w.Complaints++
		}
	}
	for vsid := range vsids {
		w.VSIDs = append(w.VSIDs, vsid)
	}
	slices.Sort(w.VSIDs)
	w.FlowIDs = len(flowIDs)
	return w
}

// isGroup reports whether a MAC is a broadcast or multicast address: the lowest bit of its first byte.
func isGroup(mac string) bool {
	if len(mac) < 2 {
		return false
	}
	first, err := strconv.ParseUint(mac[:2], 16, 8)
	return err == nil && first&1 == 1
}

// owners are the tenants whose VMs have provider addresses of their own, by these.
func (p *plan) owners() map[string]string {
	owners := map[string]string{}
	for _, v := range p.vms {
		if v.PA.IsValid() {
			owners[v.PA.String()] = v.Tenant
		}
	}
	return owners
}

// rewritten reports a plain IP packet between two VMs of one tenant.
func (f *frame) rewritten(owners map[string]string) bool {
	return !f.NVGRE && !f.ARP && owners[f.From] != "" && owners[f.From] == owners[f.To]
}

// owns reports whether a VSID is one of the tenant's.
func (p *plan) owns(tenant string, vsid uint32) bool {
	return slices.ContainsFunc(p.vms, func(v *vm) bool { return v.Tenant == tenant && v.VSID == vsid })
}

// DefaultCapture is the usual file for the capture of the wire; each demo writes it anew.
func DefaultCapture() string { return filepath.Join(os.TempDir(), "sluice-demo.pcapng") }

// keepCapture copies the capture to where the user wants it, and makes it that user's also under sudo. The copy is
// renamed into place: in a folder that everybody may write to, a link planted under the name is replaced, not followed.
func (s *stage) keepCapture(r *Report) error {
	if s.opts.Capture == "" {
		return nil
	}
	path, err := filepath.Abs(s.opts.Capture)
	if err == nil {
		err = copyInto(path, s.captureFile())
	}
	if err != nil {
		return fmt.Errorf("keep the capture: %w: name another file with --capture", err)
	}
	r.Wire.File = path
	return nil
}

func copyInto(path, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, out.Close())
		if err != nil {
			os.Remove(out.Name())
		}
	}()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	uid, errUID := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, errGID := strconv.Atoi(os.Getenv("SUDO_GID"))
	if errUID == nil && errGID == nil {
		if err := out.Chown(uid, gid); err != nil {
			return err
		}
	}
	if err := out.Chmod(0o644); err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}

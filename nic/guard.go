package nic

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// guard says for each of the kernel's interfaces why its card is not to be taken: it carries the default route or the
// session, or belongs to a bridge or team. What an interface carries, those below it (of a bond, a VLAN) carry too.
func (s *System) guard() (map[string][]string, error) {
	reasons := map[string][]string{}
	routes, err := s.routes()
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		if r.prefix.Bits() == 0 {
			s.mark(reasons, r.iface, "it carries the default route", "")
		}
	}
	if err := s.markSession(reasons, routes); err != nil {
		return nil, err
	}
	masters, _ := filepath.Glob(s.path("sys/class/net/*/master")) // the pattern is well-formed
	for _, m := range masters {
		s.mark(reasons, filepath.Base(filepath.Dir(m)), "it belongs to "+linkBase(m), "")
	}
	return reasons, nil
}

// mark gives an interface a reason, and those below it the same with the way it gets there. Interfaces are stacked
// without cycles, the kernel sees to that.
func (s *System) mark(reasons map[string][]string, iface, why, via string) {
	text := why
	if via != "" {
		text = fmt.Sprintf("%s (through %s)", why, via)
	}
	if slices.Contains(reasons[iface], text) {
		return
	}
	reasons[iface] = append(reasons[iface], text)
	below, _ := filepath.Glob(s.path("sys/class/net", iface, "lower_*")) // the pattern is well-formed
	for _, l := range below {
		s.mark(reasons, strings.TrimPrefix(filepath.Base(l), "lower_"), why, iface)
	}
}

// markSession protects the interface that owns the session's local address and the one that leads to the other end.
func (s *System) markSession(reasons map[string][]string, routes []route) error {
	client, server, ok := s.session()
	if !ok {
		return nil
	}
	why := "it carries your session from " + client.String()
	addresses, err := s.Addresses()
	if err != nil {
		return fmt.Errorf("find the session's interface: %w", err)
	}
	for iface, prefixes := range addresses {
		if slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Addr().WithZone("") == server }) {
			s.mark(reasons, iface, why, "")
		}
	}
	best := route{}
	for _, r := range routes {
		if r.prefix.Contains(client) && (best.iface == "" || r.prefix.Bits() > best.prefix.Bits()) {
			best = r
		}
	}
	if best.iface != "" {
		s.mark(reasons, best.iface, why, "")
	}
	return nil
}

// session returns both ends of the SSH connection that this process hangs on. sudo takes the variable away, hence the
// search through the ancestors.
func (s *System) session() (client, server netip.Addr, ok bool) {
	if s.Session != "" {
		return parseSession(s.Session)
	}
	const deepest = 64 // ancestors
	pid := s.PID
	for range deepest {
		if pid <= 1 {
			break
		}
		environ, _ := os.ReadFile(s.path("proc", strconv.Itoa(pid), "environ")) // unreadable: of another user
		for _, v := range bytes.Split(environ, []byte{0}) {
			if value, found := bytes.CutPrefix(v, []byte("SSH_CONNECTION=")); found {
				return parseSession(string(value))
			}
		}
		pid = s.parent(pid)
	}
	return client, server, false
}

// parent reads the parent out of "pid (name) state ppid ..."; the name may hold anything.
func (s *System) parent(pid int) int {
	stat := read(s.path("proc", strconv.Itoa(pid), "stat"))
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1]) // 0 ends the search
	return ppid
}

// parseSession takes "client-address port server-address port".
func parseSession(value string) (client, server netip.Addr, ok bool) {
	f := strings.Fields(value)
	if len(f) != 4 {
		return client, server, false
	}
	client, err1 := netip.ParseAddr(f[0])
	server, err2 := netip.ParseAddr(f[2])
	return client.Unmap().WithZone(""), server.Unmap().WithZone(""), err1 == nil && err2 == nil
}

type route struct {
	iface  string
	prefix netip.Prefix
}

// routes reads the main routing tables. A kernel without IPv6 has no second one.
func (s *System) routes() ([]route, error) {
	v4, err := s.table("proc/net/route", parseRoute4)
	if err != nil {
		return nil, err
	}
	v6, err := s.table("proc/net/ipv6_route", parseRoute6)
	return append(v4, v6...), err
}

func (s *System) table(file string, parse func([]string) (route, bool)) ([]route, error) {
	f, err := os.Open(s.path(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	defer f.Close()
	var routes []route
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if r, ok := parse(strings.Fields(lines.Text())); ok {
			routes = append(routes, r)
		}
	}
	return routes, lines.Err()
}

// Flags of a route in /proc.
const (
	routeUp     = 0x1
	routeReject = 0x200
)

func live(flags string) bool {
	n, err := strconv.ParseUint(flags, 16, 32)
	return err == nil && n&routeUp != 0 && n&routeReject == 0
}

// parseRoute4 takes a line of /proc/net/route: addresses are hexadecimal in the byte order of the host.
func parseRoute4(f []string) (route, bool) {
	const fields = 8 // Iface Destination Gateway Flags RefCnt Use Metric Mask
	if len(f) < fields || !live(f[3]) {
		return route{}, false
	}
	dst, err1 := strconv.ParseUint(f[1], 16, 32)
	mask, err2 := strconv.ParseUint(f[7], 16, 32)
	if err1 != nil || err2 != nil {
		return route{}, false
	}
	var addr [4]byte
	binary.NativeEndian.PutUint32(addr[:], uint32(dst))
	ones := 0
	for m := mask; m != 0; m &= m - 1 {
		ones++
	}
	return route{f[0], netip.PrefixFrom(netip.AddrFrom4(addr), ones)}, true
}

// parseRoute6 takes a line of /proc/net/ipv6_route.
func parseRoute6(f []string) (route, bool) {
	const fields = 10 // destination length source length gateway metric refs use flags interface
	if len(f) < fields || !live(f[8]) || f[9] == "lo" {
		return route{}, false
	}
	raw, err1 := hex.DecodeString(f[0])
	bits, err2 := strconv.ParseUint(f[1], 16, 8)
	addr, ok := netip.AddrFromSlice(raw)
	if err1 != nil || err2 != nil || !ok {
		return route{}, false
	}
	return route{f[9], netip.PrefixFrom(addr, int(bits))}, true
}

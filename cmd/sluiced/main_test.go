package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/api"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func status(t *testing.T, h *host) *sluicev1.GetStatusResponse {
	t.Helper()
	s, err := api.Dial(h.socket).GetStatus(t.Context(), &sluicev1.GetStatusRequest{})
	require.NoError(t, err)
	return s
}

func TestLife(t *testing.T) {
	h := newHost(t, network)
	p := launch(t, h.args())
	p.await("READY=1")

	s := status(t, h)
	require.True(t, s.GetReady(), s.GetNotReadyReason())
	require.Equal(t, "host-a", s.GetHost())
	require.NotEmpty(t, s.GetWorkers())
	code, body := get(t, "http://"+h.metrics+"/readyz")
	require.Equal(t, http.StatusOK, code, body)
	_, body = get(t, "http://"+h.metrics+"/metrics")
	require.Contains(t, body, `sluice_port_received_packets_total{kind="uplink",port="up0"}`)
	require.Contains(t, body, `dpdk_version="DPDK`)

	h.write(t, network+"records: [{subnet: web, ca: 10.0.0.7, mac: \"00:15:5d:00:01:07\", pa: 172.16.1.2}]\n")
	p.signal(syscall.SIGHUP)
	p.await("RELOADING=1")
	before := p.await("READY=1")
	require.Regexp(t, `^MONOTONIC_USEC=\d+$`, before[0])
	require.EqualValues(t, 2, status(t, h).GetRevision())

	h.write(t, strings.Replace(network, "vsid: 6001", "vsid: 1", 1))
	p.signal(syscall.SIGHUP)
	p.await("RELOADING=1")
	p.await("READY=1")
	s = status(t, h)
	require.EqualValues(t, 2, s.GetRevision(), "a bad file changes nothing")
	require.Contains(t, s.GetLastApplyError(), "vsid")
	require.Contains(t, p.log.String(), "vsid")

	p.signal(syscall.SIGTERM)
	p.await("STOPPING=1")
	require.Equal(t, exitOK, p.wait(), p.log)
	require.NoFileExists(t, h.socket)
}

// Every thread but the workers' stays off the workers' cores.
func TestCores(t *testing.T) {
	allowed, err := allowedCores()
	require.NoError(t, err)
	if len(allowed) < 2 {
		t.Skip("needs two cores")
	}
	h := newHost(t, network)
	p := launch(t, h.args())
	p.await("READY=1")
	polling := map[string]bool{}
	for _, w := range status(t, h).GetWorkers() {
		polling[strconv.Itoa(int(w.GetCore()))] = true
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.cmd.Process.Pid))
	require.NoError(t, err)
	workers := 0
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread has ended
		}
		require.NoError(t, err)
		list := regexp.MustCompile(`Cpus_allowed_list:\s*(\S+)`).FindStringSubmatch(string(text))[1]
		if polling[list] {
			workers++
			continue
		}
		for core := range polling {
			require.NotRegexp(t, `(^|[,-])`+core+`($|[,-])`, list, task)
		}
	}
	require.Equal(t, len(polling), workers)
	p.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, p.wait())
}

// runtimeDir is the folder that DPDK makes for a daemon of root's.
func runtimeDir(p *process) string { return fmt.Sprintf("/var/run/dpdk/sluice-%d", p.cmd.Process.Pid) }

func TestKilledAndStartedAgain(t *testing.T) {
	h := newHost(t, network)
	var killed []string
	for range 2 {
		p := launch(t, h.args())
		p.await("READY=1")
		require.FileExists(t, h.socket)
		p.kill()
		require.FileExists(t, h.socket, "a killed daemon leaves its socket behind")
		killed = append(killed, runtimeDir(p))
	}
	p := launch(t, h.args())
	p.await("READY=1")
	for _, dir := range killed {
		require.NoDirExists(t, dir, "the next start puts away what a killed one left")
	}
	p.signal(syscall.SIGINT)
	require.Equal(t, exitOK, p.wait(), p.log)
	require.NoDirExists(t, runtimeDir(p))
}

func TestStartedTwice(t *testing.T) {
	h := newHost(t, network)
	p := launch(t, h.args())
	p.await("READY=1")
	second := launch(t, h.args("--metrics", "off"))
	require.Equal(t, exitRunning, second.wait())
	require.Regexp(t, `^sluiced: already running on .*s\.sock \(pid \d+\); stop that one first`, second.log.String())
	require.True(t, status(t, h).GetReady(), "the first one goes on")

	third := launch(t, h.args("--socket", filepath.Join(t.TempDir(), "t.sock")))
	require.Equal(t, exitFailed, third.wait())
	require.Contains(t, third.log.String(), "address already in use; choose another address with --metrics")
	p.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, p.wait())
}

func TestSocketOfAnotherProgram(t *testing.T) {
	h := newHost(t, network)
	l, err := net.Listen("unix", h.socket)
	require.NoError(t, err)
	defer l.Close()
	p := launch(t, h.args())
	require.Equal(t, exitRunning, p.wait())
	require.Contains(t, p.log.String(), "answers")
}

func TestWatchdog(t *testing.T) {
	h := newHost(t, network)
	p := launch(t, h.args(), "WATCHDOG_USEC=200000")
	p.await("READY=1")
	p.await("WATCHDOG=1")
	p.await("WATCHDOG=1")
	p.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, p.wait())
}

// run calls the program in this process, where it ends before it needs DPDK.
func TestErrorsThatAPersonCanActOn(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	good := file("good.yaml", "host: {name: a}\ndaemon: {socket: "+filepath.Join(dir, "s.sock")+", metrics: \"off\"}\n")
	bad := file("bad.yaml", "host: {name: a}\nuplinkz: []\ndaemon: {logLevel: loud}\n")
	small := file("small.yaml", `
host: {name: a}
uplinks: [{name: up0, device: {devargs: net_null0}, mtu: 1500, providerAddresses: [172.16.1.1/24]}]
networks: [{name: red, subnets: [{name: web, vsid: 6001, prefix: 10.0.0.0/24}]}]
vports: [{name: vm, device: {driver: tap}, mac: "00:15:5d:00:01:05", subnet: web, addresses: [10.0.0.5]}]
`)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plain"), nil, 0o600))
	for _, tc := range []struct {
		name  string
		args  []string
		code  int
		wants []string
	}{
		{"check", []string{"--config", good, "--check"}, exitOK, []string{"good.yaml: ok"}},
		{"check warns", []string{"--config", small, "--check"}, exitOK, []string{"warning: ", "1542", "small.yaml: ok"}},
		{"version", []string{"--version"}, exitOK, []string{"sluiced ", "DPDK 22.11"}},
		{"help", []string{"--help"}, exitOK, []string{"--config", "Exit codes"}},
		{"unknown flag", []string{"--confg", good}, exitConfig, []string{"unknown flag: --confg", "sluiced --help"}},
		{"argument", []string{good}, exitConfig, []string{"there are only flags"}},
		{"no file", []string{"--config", filepath.Join(dir, "none.yaml")}, exitConfig, []string{"none.yaml", "--config"}},
		{"all problems", []string{"--config", bad}, exitConfig, []string{"bad.yaml:2", "uplinkz", "bad.yaml:3", "loud", "2 problems"}},
		{"bad flag value", []string{"--config", good, "--log-level", "loud"}, exitConfig, []string{"--log-level", "loud"}},
		{"socket name is a file", []string{"--config", good, "--socket", filepath.Join(dir, "plain")}, exitFailed, []string{"a file that is no socket"}},
		{"socket folder cannot be made", []string{"--config", good, "--socket", filepath.Join(dir, "plain", "s.sock")}, exitFailed, []string{"not a directory", "--socket"}},
		{"metrics address", []string{"--config", good, "--metrics", "192.0.2.77:9464"}, exitFailed, []string{"192.0.2.77:9464", "choose another address with --metrics"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			signals := make(chan os.Signal)
			defer close(signals)
			require.Equal(t, tc.code, run(tc.args, &out, &out, signals), out.String())
			for _, want := range tc.wants {
				require.Contains(t, out.String(), want)
			}
		})
	}
}

func TestDeviceThatCannotBeHad(t *testing.T) {
	needRoot(t)
	for _, tc := range []struct{ name, uplink, rest, want string }{
		{"interface missing", `{driver: af_packet, interface: nosuch0}`, "", "nosuch0"},
		{"PCI device missing", `{pci: "0000:ff:1f.7"}`, "", "0000:ff:1f.7"},
		{"no such driver", `{devargs: net_nosuch0}`, "", "net_nosuch0"},
		{"namespace missing", `{devargs: "net_null0,no-rx=1"}`, `{driver: tap, namespace: no-such-ns}`, "no-such-ns"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHost(t, "")
			rest := network
			if tc.rest != "" {
				rest += "vports: [{name: vm, device: " + tc.rest + ", mac: \"00:15:5d:00:01:05\", subnet: web, addresses: [10.0.0.5]}]\n"
			}
			h.write(t, rest)
			text, err := os.ReadFile(h.file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(h.file, []byte(strings.Replace(string(text), `{devargs: "net_null0,no-rx=1"}`, tc.uplink, 1)), 0o600))
			p := launch(t, h.args())
			require.Equal(t, exitFailed, p.wait(), p.log)
			lines := strings.Split(strings.TrimSpace(p.log.String()), "\n")
			last := lines[len(lines)-1]
			require.True(t, strings.HasPrefix(last, "sluiced: "), last)
			require.Contains(t, last, tc.want)
			require.NoFileExists(t, h.socket)
		})
	}
}

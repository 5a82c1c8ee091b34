package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/peer"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

// asProgram makes the test binary be the program itself: it starts itself again, off the measured core and as contender.
const asProgram = "SLUICE_PKTGEN_IS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// here runs a command line that must not start anything, in this process.
func here(args ...string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	code = run(context.Background(), args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestBadInputStartsNothing(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("name: bad\nflow: 0\n"), 0o644))
	half, empty := filepath.Join(t.TempDir(), "half.json"), filepath.Join(t.TempDir(), "empty.json")
	require.NoError(t, os.WriteFile(half, []byte(`{"scenarios": [`), 0o644))
	require.NoError(t, os.WriteFile(empty, []byte(`{}`), 0o644))
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"folder in /proc":      {[]string{"scale", "--out", "/proc/none"}, exitFailed, "folder for the result: mkdir /proc/none"},
		"no command":           {[]string{"nonsense"}, exitUsage, `unknown command "nonsense"`},
		"no profile":           {[]string{"worker"}, exitUsage, `"profile" not set`},
		"unknown flag":         {[]string{"worker", "--speed", "1"}, exitUsage, "unknown flag: --speed"},
		"unknown profile":      {[]string{"worker", "--profile", "nonsense"}, exitFailed, "there are acl-10k"},
		"bad profile":          {[]string{"worker", "--profile", bad}, exitFailed, bad + `:2: unknown key "flow"`},
		"zero flows of worker": {[]string{"worker", "--profile", "nvgre-encap", "--flows", "0"}, exitUsage, "at least 1"},
		"too many flows":       {[]string{"worker", "--profile", "nvgre-encap", "--flows", "2000000"}, exitFailed, "choose at most 1048576"},
		"no such core":         {[]string{"worker", "--profile", "nvgre-encap", "--core", "4000"}, exitFailed, "core 4000: this machine has cores"},
		"no windows":           {[]string{"worker", "--profile", "nvgre-encap", "--core", "-1", "--windows", "0"}, exitFailed, "core -1"},
		"no rate":              {[]string{"worker", "--profile", "nvgre-encap", "--churn", "fast"}, exitUsage, `"fast" is no rate`},
		"shares by worker":     {[]string{"worker", "--profile", "qos-8class"}, exitFailed, "use sluice-pktgen shares --profile qos-8class"},
		"shares by run":        {[]string{"run", "--profile", "qos-8class", "--tx", "net_null0"}, exitFailed, "its streams compete for shares of a link (use sluice-pktgen shares --profile qos-8class)"},
		"no shares":            {[]string{"shares", "--profile", "nvgre-encap"}, exitFailed, "profile nvgre-encap has no shares (choose qos-8class"},
		"shares of nothing":    {[]string{"shares", "--profile", bad}, exitFailed, bad + `:1: profile: description is missing`},
		"shares on no core":    {[]string{"shares", "--core", "4000"}, exitFailed, "core 4000: this machine has cores"},
		"flows of shares":      {[]string{"config", "--profile", "qos-8class", "--flows", "3", "--uplink", "net_null0"}, exitFailed, "--flows: profile qos-8class has one flow for each VM of a stream"},
		"no time":              {[]string{"spin", "--seconds", "0"}, exitFailed, "choose a time above zero"},
		"long turns":           {[]string{"spin", "--turn", "1s"}, exitFailed, "turns of up to 1ms"},
		"no such spin core":    {[]string{"spin", "--core", "4000"}, exitFailed, "core 4000"},
		"areas too large":      {[]string{"memcpy", "--profile", "udp-1400b", "--area", "9999"}, exitFailed, "choose 0 to 4096"},
		"no windows to copy":   {[]string{"memcpy", "--profile", "udp-1400b", "--windows", "0"}, exitFailed, "choose at least one"},
		"no folder":            {[]string{"compare"}, exitUsage, `"out" not set`},
		"no scenario":          {[]string{"compare", "-d", "x", "--scenario", "nonsense"}, exitFailed, "no such profile"},
		"no number of flows":   {[]string{"compare", "-d", "x", "--scenario", "nvgre-encap:many"}, exitFailed, `"many" is no number of flows`},
		"zero flows":           {[]string{"compare", "-d", "x", "--scenario", "nvgre-encap:0"}, exitFailed, `"0" is no number of flows`},
		"no contender":         {[]string{"compare", "-d", "x", "--only", "vpp"}, exitFailed, `there is no contender "vpp": there are sluice, sluice-bare, sluice-churn, testpmd-io, testpmd-macswap, spin, memcpy, memcpy-ram, ovs-dpdk, ovs-dpdk-no-emc, ovs-dpdk-smc`},
		"no rounds":            {[]string{"compare", "-d", "x", "--rounds", "0"}, exitFailed, "choose at least one of each"},
		"no such port":         {[]string{"pcap", "--profile", "nvgre-encap", "-w", "-", "--port", "up0"}, exitFailed, `nothing comes in by port "up0": it has [t1-vm1]`},
		"no result":            {[]string{"report", "/does/not/exist"}, exitFailed, "read result"},
		"half a result":        {[]string{"report", half}, exitFailed, "half.json: unexpected EOF"},
		"another file":         {[]string{"report", "../../benchmarks/results/manifest.json"}, exitFailed, "manifest.json: json: unknown field"},
		"empty result":         {[]string{"report", empty, "-w", "x"}, exitFailed, "nobody moved a packet"},
		"no samples":           {[]string{"report", empty, "-f", "benchfmt"}, exitFailed, "the result has no samples"},
		"unknown format":       {[]string{"report", empty, "-f", "pdf"}, exitFailed, `there is no format "pdf": there are page, svg, png, benchfmt`},
		"a profile is checked": {[]string{"profiles", bad, "nvgre-encap"}, exitFailed, "bad.yaml:2"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, err := here(tc.args...)
			assert.Equal(t, tc.code, code)
			assert.Contains(t, err, tc.want)
		})
	}
	assert.NoFileExists(t, "x")
}

func TestPcapAndProfiles(t *testing.T) {
	code, out, _ := here("profiles")
	require.Equal(t, exitOK, code)
	assert.Contains(t, out, "nvgre-decap: 64-byte frames without FCS")
	file := filepath.Join(t.TempDir(), "f.pcap")
	code, _, _ = here("pcap", "--profile", "nvgre-encap", "--flows", "20", "-w", file)
	require.Equal(t, exitOK, code)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Len(t, text, 24+20*(16+64), "a header, and a header with each frame")
	code, out, _ = here("pcap", "--profile", "nvgre-encap", "--flows", "20", "-w", "-", "--port", "t1-vm1")
	require.Equal(t, exitOK, code)
	assert.Equal(t, string(text), out)
}

func TestByteRate(t *testing.T) {
	for text, want := range map[string]int64{"100MB": 1e8, "1KiB/s": 1024, "7": 7, "2.5GB": 2.5e9, "3B": 3} {
		var r byteRate
		require.NoError(t, r.Set(text))
		assert.EqualValues(t, want, r, text)
	}
	for _, text := range []string{"", "MB", "1XB", "-1MB", "1TB", "1000GB", "1MMB"} {
		var r byteRate
		assert.Error(t, r.Set(text), text)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for hugepages and DPDK")
	}
}

func needMemory(t *testing.T, mb int) {
	t.Helper()
	text, err := os.ReadFile("/proc/meminfo")
	require.NoError(t, err)
	kb := 0
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "MemAvailable: %d", &kb) // other lines leave it as it is
	}
	if kb>>10 < mb {
		t.Skipf("needs %d MiB of free memory for hugepages, there are %d", mb, kb>>10)
	}
}

// leftovers are what a run must not leave behind.
func leftovers(t *testing.T) []string {
	all := []string{}
	for _, pattern := range []string{"/var/run/dpdk/sluice-bench-*", "/var/run/dpdk/sluice-pktgen-*", os.TempDir() + "/sluice-bench-*", os.TempDir() + "/sluice-pktgen-*"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range found {
			if !alive(name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// alive reports whether the process that a directory is named after still runs: another's, which is no leftover.
func alive(name string) bool {
	pid, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	return err == nil && syscall.Kill(pid, 0) == nil
}

func TestWorkerAndSpin(t *testing.T) {
	needRoot(t)
	before := leftovers(t)
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"encap": {"worker", "--profile", "nvgre-encap", "--churn", "10MB", "--cpuprofile", filepath.Join(dir, "cpu")},
		"decap": {"worker", "--profile", "nvgre-decap"},
		"local": {"worker", "--profile", "l2-64b"},
		"spin":  {"spin"},
	} {
		file := filepath.Join(dir, name+".json")
		cmd := program(append(args, "--core", "0", "--seconds", "0.1", "--json", file)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
		r, err := compare.ReadJSON(file)
		require.NoError(t, err)
		assert.Empty(t, r.Partial)
		sample := r.Scenarios[0].Rounds[0].Samples[0]
		assert.Positive(t, sample.Jitter.Turns)
		assert.Greater(t, r.TSCHz, 1e8)
		if name != "spin" {
			assert.Greater(t, sample.CyclesPerPacket, 10.0, "no packet costs less")
			assert.Less(t, measure.Median(measure.Values(sample.Windows, func(w measure.Window) float64 { return w.Blur })), 0.5)
		}
	}
	assert.FileExists(t, filepath.Join(dir, "cpu"))
	assert.Subset(t, before, leftovers(t))
}

func TestCompare(t *testing.T) {
	r, dir := compareOnce(t, "nvgre-encap,nvgre-decap,l2-64b,iprewrite,nvgre-imix,udp-1400b", "sluice,sluice-churn,testpmd-io,testpmd-macswap,spin,memcpy")
	require.Len(t, r.Scenarios, 6)
	for i, takers := range []int{5, 3, 3, 3, 3, 4} {
		assert.Len(t, r.Scenarios[i].Contenders(), takers-len(r.Missing), "garbage and noise in the first, copies in the last")
	}
	code, page, _ := here("report", filepath.Join(dir, compare.ResultFile))
	require.Equal(t, exitOK, code)
	assert.Contains(t, page, "| decapsulation, 64 bytes, 256 flows |")
}

// Open vSwitch wants a gigabyte of hugepages, which a machine that has run for long may no longer have in one piece.
func TestCompareWithOpenVSwitch(t *testing.T) {
	r, _ := compareOnce(t, "nvgre-encap,nvgre-decap,iprewrite,l2-64b,l2-subnet", "ovs-dpdk,ovs-dpdk-smc")
	require.Len(t, r.Scenarios, 5)
	for i, takers := range []int{2, 2, 1, 1, 1} {
		assert.Len(t, r.Scenarios[i].Contenders(), max(0, takers-len(r.Missing)), "its caches are compared behind tunnels")
	}
}

// compareOnce runs one round, and finds everything on the machine as it was afterwards.
func compareOnce(t *testing.T, scenarios, only string) (*compare.Result, string) {
	needRoot(t)
	needMemory(t, 2*peer.OpenVSwitchMemoryMB(&traffic.Plan{}))
	before := leftovers(t)
	dir := t.TempDir()
	out, err := program("compare", "-d", dir, "--rounds", "1", "--seconds", "0.2", "--warmup", "10ms", "--core", "0",
		"--scenario", scenarios, "--only", only).CombinedOutput()
	if err != nil && strings.Contains(string(out), "Not enough memory available") {
		t.Skipf("a peer found too few hugepages:\n%s", out)
	}
	require.NoError(t, err, string(out))
	r, err := compare.ReadJSON(filepath.Join(dir, compare.ResultFile))
	require.NoError(t, err)
	for name, why := range r.Missing {
		t.Logf("%s did not take part: %s", name, why)
	}
	if strings.Contains(r.Partial, "Not enough memory available") {
		t.Skipf("a peer found too few hugepages: %s", r.Partial)
	}
	assert.Empty(t, r.Partial, string(out))
	assert.Subset(t, before, leftovers(t))
	return r, dir
}

// A person who has seen enough keeps what there is, and the machine is as it was.
func TestInterruptedCompareKeepsWhatItHas(t *testing.T) {
	needRoot(t)
	needMemory(t, 2*peer.OpenVSwitchMemoryMB(&traffic.Plan{}))
	before := leftovers(t)
	dir := t.TempDir()
	cmd := program("compare", "-d", dir, "--core", "0", "--seconds", "0.2", "--only", "sluice", "--rounds", "1000", "--warmup", "10ms")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	result := filepath.Join(dir, compare.ResultFile)
	require.Eventually(t, func() bool { _, err := os.Stat(result); return err == nil }, time.Minute, 50*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.Error(t, cmd.Wait())
	assert.Equal(t, exitFailed, cmd.ProcessState.ExitCode(), out.String())
	r, err := compare.ReadJSON(result)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(r.Partial, "interrupted in round "), r.Partial)
	assert.NotEmpty(t, r.Scenarios[0].Samples("sluice"))
	assert.Contains(t, out.String(), "PARTIAL: interrupted in round")
	assert.Contains(t, out.String(), "sluice-pktgen: interrupted\n")
	assert.Subset(t, before, leftovers(t))
}

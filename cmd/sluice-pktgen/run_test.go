package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/generator"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/policy"
)

func TestRunRefusesBadInput(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	text, err := os.ReadFile("../../benchmarks/profiles/nvgre-encap.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(bad, bytes.Replace(text, []byte("flows: 256"), []byte("flows: 0\nspeed: 3"), 1), 0o644))
	for name, tc := range map[string]struct {
		args string
		code int
		want string
	}{
		"no device":        {"--profile nvgre-encap", exitUsage, `"tx" not set`},
		"unknown key":      {"--profile " + bad + " --tx net_null0", exitFailed, `unknown key "speed"`},
		"zero flows":       {"--profile nvgre-encap --flows 0 --tx net_null0", exitUsage, "at least 1"},
		"negative flows":   {"--profile nvgre-encap --flows -1 --tx net_null0", exitUsage, "at least 1"},
		"no rate":          {"--profile nvgre-encap --tx net_null0 --rate fast", exitFailed, `"fast" is no rate`},
		"impossible rate":  {"--profile nvgre-encap --tx net_null0 --rate 9Gpps", exitFailed, "is an impossible rate"},
		"rate of nothing":  {"--profile nvgre-encap --tx net_null0 --rate 0pps", exitFailed, "sends nothing"},
		"no such port":     {"--profile nvgre-encap --tx t9-vm1=net_null0", exitFailed, `no port "t9-vm1" for it, or it is given twice: it has t1-vm1`},
		"port twice":       {"--profile nvgre-encap --tx t1-vm1=net_null0 --tx t1-vm1=net_null1", exitFailed, "given twice"},
		"two for the rest": {"--profile nvgre-encap --tx net_null0 --tx net_null1", exitFailed, "net_null0 stands for all ports already"},
		"empty device":     {"--profile nvgre-encap --tx t1-vm1=", exitFailed, "names no device"},
		"odd device":       {"--profile nvgre-encap --tx bogus", exitFailed, `--tx bogus: device "bogus": not valid: want a PCI address, or a driver`},
		"odd address":      {"--profile nvgre-encap --tx t1-vm1=3:0.0", exitFailed, `--tx t1-vm1=3:0.0: PCI device "3:0.0": not valid`},
		"search blindly":   {"--profile nvgre-encap --tx net_null0 --search", exitFailed, "a search needs a device to receive by"},
		"odd loss":         {"--profile nvgre-encap --tx net_null0 --rx net_null0 --search --loss 100", exitFailed, "loss of 100 %"},
		"odd resolution":   {"--profile nvgre-encap --tx net_null0 --rx net_null0 --search --resolution 0", exitFailed, "resolution 0"},
		"no time":          {"--profile nvgre-encap --tx net_null0 --duration 0s", exitFailed, "choose times above zero"},
		"odd output":       {"--profile nvgre-encap --tx net_null0 -o yaml", exitFailed, "there are table and json"},
		"odd hugepages":    {"--profile nvgre-encap --tx net_null0 --hugepages some", exitFailed, "there are auto, on and off"},
		"no such core":     {"--profile nvgre-encap --tx net_null0 --core 4000", exitFailed, "core 4000: this machine has cores"},
		"unknown flag":     {"--profile nvgre-encap --tx net_null0 --speed 3", exitUsage, "unknown flag"},
		"sender without":   {"--profile nvgre-imix --tx", exitUsage, "flag needs an argument"},
		"unknown profile":  {"--profile fast --tx net_null0", exitFailed, "there are acl-10k"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, err := here(append([]string{"run"}, strings.Fields(tc.args)...)...)
			assert.Equal(t, tc.code, code, err)
			assert.Contains(t, err, tc.want)
		})
	}
}

func TestAssign(t *testing.T) {
	plan := traffic.New(profile.Profile{Direction: profile.Encap, Tenants: 1, VMs: 3, Peers: 1, Flows: 3})
	a, err := assign(plan, []string{"t1-vm2=net_memif0,id=3", "net_null0,copy=1"}, []string{"up0=net_memif0"})
	require.NoError(t, err)
	require.Equal(t, []string{"net_memif0,id=3", "net_null0,copy=1"}, a.devargs)
	require.Equal(t, []generator.Device{
		{Name: "net_memif0", Receive: true, Sources: []string{"t1-vm2"}, Sinks: []string{"up0"}},
		{Name: "net_null0", Sources: []string{"t1-vm1", "t1-vm3"}},
	}, a.devices)
	_, err = assign(plan, []string{"t1-vm2=net_memif0"}, nil)
	require.ErrorContains(t, err, "port t1-vm1 of the profile sends, and has no device")
}

// The configuration of every profile is one that sluiced takes.
func TestConfig(t *testing.T) {
	for _, name := range profile.Names() {
		for device, want := range map[string]string{"net_af_packet0,iface=far": "interface: far", "0000:03:00.0": "0000:03:00.0", "net_memif0,id=1": "net_memif0,id=1"} {
			code, out, stderr := here("config", "--profile", name, "--uplink", device)
			require.Equal(t, exitOK, code, stderr)
			require.Contains(t, out, want)
			_, err := policy.Parse(name, []byte(out))
			require.NoError(t, err)
		}
	}
	for args, want := range map[string]string{
		"--profile fast --uplink net_null0":             "there are acl-10k",
		"--profile nvgre-encap --uplink bogus":          `--uplink: device "bogus": not valid: want a PCI address, or a driver`,
		"--profile nvgre-encap --uplink net_af_packet0": "--uplink: device net_af_packet0: not valid: it lacks iface=INTERFACE",
		"--profile nvgre-encap --uplink 03:00.0":        `--uplink: PCI device "03:00.0": not valid: want an address as in 0000:03:00.0`,
	} {
		code, out, err := here(append([]string{"config"}, strings.Fields(args)...)...)
		require.Equal(t, exitFailed, code)
		require.Empty(t, out)
		require.Contains(t, err, want)
	}
}

// remains are leftovers of this program; peers of others may be starting and ending meanwhile.
func remains(t *testing.T) []string {
	return slices.DeleteFunc(leftovers(t), func(name string) bool { return !strings.Contains(name, "sluice-pktgen-") })
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(t, err, "ip %v: %s", args, out)
}

// emptyNamespace is one that goes with the test.
func emptyNamespace(t *testing.T) (name string) {
	t.Helper()
	name = fmt.Sprintf("pktgen-test-%d", os.Getpid())
	ip(t, "netns", "add", name)
	t.Cleanup(func() { ip(t, "netns", "del", name) })
	return name
}

// wire is a veth pair in a namespace of its own.
func wire(t *testing.T, mtu string) (namespace string) {
	t.Helper()
	namespace = emptyNamespace(t)
	ip(t, "-n", namespace, "link", "add", "near", "mtu", mtu, "type", "veth", "peer", "name", "far", "mtu", mtu)
	return namespace
}

// generate runs the program in a namespace, or here when it is "".
func generate(t *testing.T, namespace string, args ...string) (doc generator.Document, stderr string, err error) {
	t.Helper()
	args = append([]string{"run", "--core", "0", "--hugepages", "off", "-o", "json"}, args...)
	cmd := program(args...)
	if namespace != "" {
		self, err := os.Executable()
		require.NoError(t, err)
		inside := exec.Command("ip", append([]string{"netns", "exec", namespace, self}, args...)...)
		inside.Env = cmd.Env
		cmd = inside
	}
	var stdout, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &errs
	err = cmd.Run()
	if stdout.Len() > 0 {
		require.NoError(t, json.Unmarshal(stdout.Bytes(), &doc), stdout.String())
	}
	return doc, errs.String(), err
}

// Frames go by every kind of port that this machine has, and not one is lost, late or double.
func TestRunOverPorts(t *testing.T) {
	needRoot(t)
	before := remains(t)
	namespace := wire(t, "1600")
	socket := func(name string) string { return filepath.Join(t.TempDir(), name) }
	memif, vhost, user := socket("memif"), socket("vhost"), socket("user")
	const fast = "--rate 20kpps --duration 300ms --warmup 50ms --settle 5s"
	for name, args := range map[string]string{
		"ring":        "--profile nvgre-decap --tx net_ring0 --rx net_ring0",
		"memif":       "--profile l2-64b --tx net_memif0,role=server,socket-abstract=no,socket=" + memif + " --rx net_memif1,role=client,socket-abstract=no,socket=" + memif,
		"vhost":       "--profile nvgre-imix --tx net_vhost0,iface=" + vhost + " --rx net_virtio_user0,path=" + vhost,
		"virtio-user": "--profile iprewrite --tx net_virtio_user0,path=" + user + " --rx net_vhost0,iface=" + user,
		"veth":        "--profile nvgre-imix --tx net_af_packet0,iface=near --rx net_af_packet1,iface=far",
	} {
		t.Run(name, func(t *testing.T) {
			ns := ""
			if name == "veth" {
				ns = namespace
			}
			doc, stderr, err := generate(t, ns, strings.Fields(args+" "+fast)...)
			require.NoError(t, err, stderr)
			r := doc.Result
			assert.Positive(t, r.Sent)
			assert.Equal(t, r.Sent, r.Received, "%+v", r)
			assert.Zero(t, r.Lost+r.Reordered+r.Duplicates+r.Damaged)
			assert.EqualValues(t, r.Received, r.Latency.Frames)
			assert.Greater(t, doc.Manifest.TSCHz, 1e8)
			assert.NotEmpty(t, doc.Manifest.Versions["DPDK"])
		})
	}
	assert.Subset(t, before, remains(t))
}

// A ring that nobody empties is full at once: the run says so, and gives everything back.
func TestFullRing(t *testing.T) {
	needRoot(t)
	before := remains(t)
	doc, stderr, err := generate(t, "", strings.Fields("--profile nvgre-encap --tx net_ring0 --duration 100ms --warmup 50ms")...)
	require.NoError(t, err, stderr)
	require.Contains(t, doc.Warnings, "net_ring0 gives back what it is sent, and nobody receives: it is full after 1,023 frames: add --rx net_ring0")
	assert.Subset(t, before, remains(t))
}

func TestRunTellsWhatIsMissing(t *testing.T) {
	needRoot(t)
	namespace := wire(t, "1500")
	for name, tc := range map[string]struct{ args, want string }{
		"no interface": {"--profile nvgre-encap --tx net_af_packet0,iface=nowhere", "interface nowhere: no such network interface in this network namespace: `ip link` lists"},
		"no peer":      {"--profile nvgre-encap --wait 50ms --tx net_memif0,role=server,socket-abstract=no,socket=" + filepath.Join(t.TempDir(), "m"), "device net_memif0: its link is down after 50ms"},
		"no server":    {"--profile nvgre-encap --tx net_memif0,role=client,socket-abstract=no,socket=" + filepath.Join(t.TempDir(), "m"), "start the other end first"},
		"no NIC":       {"--profile nvgre-encap --tx 0000:fe:1f.7", "0000:fe:1f.7"},
		"no driver":    {"--profile nvgre-encap --tx net_nonsense0", "--tx net_nonsense0: open device net_nonsense0"},
		"small MTU":    {"--profile nvgre-imix --tx net_null0,no-rx=1 --rx net_af_packet0,iface=far", "`ip link set far mtu 1542`"},
	} {
		t.Run(name, func(t *testing.T) {
			doc, stderr, err := generate(t, namespace, strings.Fields(tc.args)...)
			require.Error(t, err)
			assert.Contains(t, stderr, tc.want)
			assert.Nil(t, doc.Result, "nothing was sent")
		})
	}
}

// A search ends, with the bounds of both goals, or as close as its trials went.
func TestRunSearches(t *testing.T) {
	needRoot(t)
	doc, stderr, err := generate(t, "", strings.Fields("--profile nvgre-encap --tx net_ring0 --rx net_ring0 --rate 30kpps --search --trial 30ms --trials 1 --max-trials 20 --warmup 10ms")...)
	if err != nil {
		require.Contains(t, stderr, "not as close as asked for")
		require.NotEmpty(t, doc.Partial)
	}
	require.NotNil(t, doc.Search)
	require.Len(t, doc.Search.Bounds, 2)
	assert.Equal(t, "NDR", doc.Search.Bounds[0].Name)
	assert.Equal(t, "PDR 0.5 %", doc.Search.Bounds[1].Name)
	assert.NotEmpty(t, doc.Search.Trials)
	assert.Positive(t, doc.Search.Trials[0].Sent)
}

func TestInterruptedRunKeepsWhatItHas(t *testing.T) {
	needRoot(t)
	before := remains(t)
	cmd := program(strings.Fields("run --core 0 --hugepages off --profile nvgre-encap --tx net_ring0 --rx net_ring0 --rate 5kpps --duration 1h -o json")...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout = &stdout
	pipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 200) // the first line of progress
	n, err := pipe.Read(line)
	require.NoError(t, err)
	assert.Contains(t, string(line[:n]), "received")
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_, err = stderr.ReadFrom(pipe)
	require.NoError(t, err)
	var exit *exec.ExitError
	require.True(t, errors.As(cmd.Wait(), &exit))
	assert.Equal(t, exitFailed, exit.ExitCode())
	var doc generator.Document
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &doc))
	assert.Equal(t, "interrupted", doc.Partial)
	assert.True(t, doc.Result.Partial)
	assert.Positive(t, doc.Result.Sent)
	assert.Equal(t, doc.Result.Sent, doc.Result.Received)
	assert.Less(t, doc.Result.Seconds, time.Hour.Seconds())
	assert.Contains(t, stderr.String(), "sluice-pktgen: interrupted")
	assert.Subset(t, before, remains(t))
}

var testedBlock = regexp.MustCompile("(?s)<!-- tested -->\n```sh\n(.*?)```")

// What docs/PKTGEN.md shows is run as it stands, in a namespace.
func TestDocumentedCommands(t *testing.T) {
	needRoot(t)
	if runtime.NumCPU() < 2 {
		t.Skip("the page is about machines with two cores")
	}
	namespace := emptyNamespace(t)
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sluice-pktgen"), []byte("#!/bin/sh\n"+asProgram+"=1 exec "+self+` "$@"`+"\n"), 0o755))
	page, err := os.ReadFile("../../docs/PKTGEN.md")
	require.NoError(t, err)
	blocks := testedBlock.FindAllStringSubmatch(string(page), -1)
	require.Len(t, blocks, 2)
	for _, block := range blocks {
		text := strings.ReplaceAll(block[1], "/tmp/", dir+"/")
		cmd := exec.Command("ip", "netns", "exec", namespace, "bash", "-euc", text)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", block[1], out)
		assert.Contains(t, string(out), "received")
	}
}

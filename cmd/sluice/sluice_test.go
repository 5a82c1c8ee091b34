package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sluicenet/sluice/doctor"
	"github.com/sluicenet/sluice/internal/fakesys"
	"github.com/sluicenet/sluice/nic"
)

// file writes a configuration and returns its path.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "host.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

const (
	good    = "host: {name: host-a}\n"
	changed = "host: {name: host-b}\n"
	bad     = "host: {name: host-a}\nuplinks:\n  - {name: up0, colour: red}\n"
)

// host replaces the machine by a fake with two cards, of which eno1 carries the default route.
func host(t *testing.T) func(*app) {
	f := fakesys.New(t)
	f.Driver("vfio-pci")
	f.AddNIC(fakesys.NIC{PCI: "0000:03:00.1", Driver: "ixgbe", Interface: "enp3s0f1", MAC: "a0:36:9f:00:00:02", Group: "13"})
	f.AddNIC(fakesys.NIC{PCI: "0000:05:00.0", Driver: "igb", Interface: "eno1", MAC: "a0:36:9f:00:00:03", Group: "14"})
	f.File("proc/net/route", "eno1\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
	f.File("dev/net/tun", "")
	f.File("sys/devices/system/cpu/online", "0-3\n")
	f.File("usr/lib/librte_eal.so.23", "")
	f.File("usr/lib/dpdk/pmds-23.0/librte_net_ixgbe.so", "")
	none := func() (map[string][]netip.Prefix, error) { return map[string][]netip.Prefix{}, nil }
	cards := &nic.System{Root: f.Root, StateDir: f.Path("run/sluice/nic"), Addresses: none, PID: 1, Write: f.Write}
	return func(a *app) {
		a.cards = cards
		a.examiner = func(daemon doctor.AskDaemon) *doctor.Host {
			return &doctor.Host{Root: f.Root, NICs: cards, Addresses: none, Daemon: daemon}
		}
	}
}

// TestEveryCommandInEveryForm checks each command's table for what it must say, its JSON for one value, and that YAML
// holds the same as JSON.
func TestEveryCommandInEveryForm(t *testing.T) {
	goodFile, changedFile, badFile := file(t, good), file(t, changed), file(t, bad)
	machine := host(t) // nothing here changes it
	tests := map[string]struct {
		args []string
		code int
		says []string // of the table
		json string   // key of the document, dots between levels
		want any
	}{
		"check":         {[]string{"check", goodFile}, 0, []string{": ok (host host-a, 0 uplinks, 0 vports"}, "ok", true},
		"check bad":     {[]string{"check", badFile}, 1, []string{badFile + ":3:", "error: uplink up0:", "colour", "problem"}, "ok", false},
		"diff":          {[]string{"diff", changedFile}, 0, []string{"+ vport red-vm3: tap red-vm3", "~ vport red-vm1: mtu 1500 -> 1400", "- record 10.0.0.9 of red-web", "1 to add, 1 to modify, 1 to remove; nothing was changed", changedFile + ":4: warning: uplink up0: MTU 1500 is too small; set it to 1542"}, "applied", false},
		"diff none":     {[]string{"diff", goodFile}, 0, []string{"nothing to change, revision 3 runs"}, "revision", 3.0},
		"diff bad":      {[]string{"diff", badFile}, 1, []string{badFile + ":3: error: uplink up0:"}, "ok", false},
		"apply":         {[]string{"apply", changedFile}, 0, []string{"1 added, 1 modified, 1 removed, revision 4 runs"}, "applied", true},
		"apply bad":     {[]string{"apply", badFile}, 1, []string{badFile + ":3: error: uplink up0:"}, "ok", false},
		"config show":   {[]string{"config", "show"}, 0, []string{"host: {name: host-a}\n"}, "revision", 3.0},
		"status":        {[]string{"status", "--interval", "1ms"}, 0, []string{"state       ready", "v1.2.3, pid 4711, up 2h1m", "/etc/sluice/host.yaml (revision 3, 9f86d081884c)", "uplink up1: no such interface", "75.0%", "1.2M", "red-vm1/0 up0/0", "any"}, "workers.0.busyShare", 0.75},
		"status once":   {[]string{"status", "--interval", "0"}, 0, []string{"     -"}, "windowSeconds", 0.0},
		"top":           {[]string{"top", "--interval", "1ms"}, 0, []string{"host-a: 2 workers, 2 receive queues, over 1s", "silent for 2s", "75.0", "38.5"}, "workers.0.stages.execute", 38.5},
		"top, a queue":  {[]string{"top", "--once", "--interval", "1ms"}, 0, []string{"PORT", "87.5%", "8k"}, "queues.1.newFlowsPerSec", 900.0},
		"vport list":    {[]string{"vport", "list", "--interval", "1ms"}, 0, []string{"red/red-web (VSID 6001)", "up0 VLAN 100", "1k", "1M", "2k", "down"}, "vports.1.rates.rxBitsPerSec", 1e6},
		"vport totals":  {[]string{"vport", "list", "--interval", "0"}, 0, []string{"RX PACKETS", "1,000", "125,000"}, "vports.1.counters.rxPackets", nil},
		"vport show":    {[]string{"vport", "show", "red-vm1", "--interval", "1ms"}, 0, []string{"interface  red-vm1 in namespace red-vm1", "2,000 received + 10 created = 1,980 sent + 10 consumed + 20 dropped + 0 queued", "adds up", "source-spoof", "no counts of the device itself: a tap counts nothing"}, "vsid", 6001.0},
		"uplink list":   {[]string{"uplink", "list", "--interval", "1ms"}, 0, []string{"172.16.1.1/24", "0000:03:00.0", "10Gbit/s"}, "uplinks.0.rates.droppedPerSec", 10.0},
		"uplink show":   {[]string{"uplink", "show", "up0", "--interval", "1ms"}, 0, []string{"gateway    172.16.1.254", "link       up, 10Gbit/s", "dcb        device up0: its driver has no DCB", "pfc        none in the device", "scheduled  in software: the class is strict", "2 missed"}, "device.speedMbitPerSec", 10000.0},
		"record list":   {[]string{"record", "list"}, 0, []string{"vport red-vm1", "host 172.16.1.2", "l2-only"}, "records.1.pa", "172.16.1.2"},
		"records of":    {[]string{"record", "list", "--subnet", "red-db"}, 0, []string{"6002"}, "records.0.subnet", "red-db"},
		"record none":   {[]string{"record", "list", "--ca", "10.9.9.9"}, 0, []string{"no records"}, "records", []any{}},
		"neighbours":    {[]string{"neighbour", "list"}, 0, []string{"reachable", "12s", "incomplete"}, "neighbours.0.ageSeconds", 12.0},
		"learned":       {[]string{"learned", "list"}, 0, []string{"up0 vlan 100", "1m30s"}, "learned.0.port", "legacy"},
		"nexthop":       {[]string{"nexthop", "--vsid", "6001", "--from", "10.0.0.5", "--to", "10.0.0.7"}, 0, []string{" 1. 10.0.0.7 is in subnet red-web", "verdict           nvgre", "172.16.1.2 at 02:00:00:00:00:02"}, "uplink", "up0"},
		"nexthop drop":  {[]string{"nexthop", "--subnet", "red-web", "--from", "10.0.0.5", "--to", "10.9.9.9"}, 1, []string{"verdict  drop", "no-route: No subnet or route"}, "reason", "no-route"},
		"nexthop group": {[]string{"nexthop", "--subnet", "red-web", "--from", "10.0.0.5", "--to", "224.0.0.251"}, 1, []string{"verdict  drop", "tenant-broadcast: broadcast and multicast"}, "reason", "tenant-broadcast"},
		"qos": {[]string{"qos", "show", "--interval", "1ms"}, 0, []string{"uplink up0: 10Gbit/s, worker 1, 12 packets queued", "storage", "30%", "strict", "100kB–300kB", "77.5%", "24Mbit/s", "(others)", "(all)", "(elsewhere)", "internet", "100Mbit/s", "vport red-vm1 (inbound): 500Mbit/s", "does not answer",
			"not in these numbers, and shaped by the NIC alone (its own DCB): what 2 virtual functions may send", "uplink up1: the device divides the link evenly among 2 classes"}, "outputs.0.vports.1.queues.0.marksPerSec", 40.0},
		"queue map":     {[]string{"queue", "map", "--interval", "1ms"}, 0, []string{"90.0%", "85.0%", "1.5M", "30.0", "(shared)", "0+1", "red-vm1/0", "static", "stalled"}, "queues.1.busyShare", 0.85},
		"queue history": {[]string{"queue", "history"}, 0, []string{"worker 0 to 1", "overload", "+40.0%", "+38.0%", "x1.25", "not done: the worker does not answer", "refused", "7 older events"}, "events.2.measuredGain", 0.38},
		"queue limit":   {[]string{"queue", "history", "up0", "--limit", "1"}, 0, []string{"refused", "saturation"}, "events.0.number", 3.0},
		"qos of a port": {[]string{"qos", "show", "up0", "--interval", "0"}, 0, []string{"ECT", "MARKED", "18.5kB"}, "outputs.0.queuedPackets", 12.0},
		"drops":         {[]string{"drops", "--interval", "1ms"}, 0, []string{"uplink up0", "2,000,000", "unknown-vsid", "The sender used"}, "drops.1.perSec", 10.0},
		"drops by port": {[]string{"drops", "--by", "port", "--interval", "1ms"}, 0, []string{"2,000,010", "vport red-vm1"}, "drops.0.perSec", 5.0},
		"drops by why":  {[]string{"drops", "--by", "reason", "--interval", "1ms"}, 0, []string{"source-spoof", "30"}, "drops.1.perSec", 15.0},
		"version":       {[]string{"version"}, 0, []string{"sluice   devel", "sluiced  v1.2.3 (0123456789ab), go1.26.0, DPDK 22.11.4"}, "daemon.dpdk", "DPDK 22.11.4"},
		"doctor":        {[]string{"doctor"}, 0, []string{"ok    daemon", "sluiced v1.2.3 (pid 4711) runs revision 3 of /etc/sluice/host.yaml", "failures"}, "findings.0.severity", "ok"},
		"doctor file":   {[]string{"doctor", file(t, good+"uplinks: [{name: up0, device: {driver: af_packet, interface: none0}, providerAddresses: [10.1.1.1/24]}]\n")}, 1, []string{"fail  uplink up0", "interface none0 does not exist", "→ ip -brief link"}, "verdict", "fail"},
		"doctor bad":    {[]string{"doctor", badFile}, 1, []string{badFile + ":3:"}, "ok", false},
		"nic list":      {[]string{"nic", "list"}, 0, []string{"0000:05:00.0  eno1", "it carries the default route"}, "cards.1.driver", "igb"},
		"nic dry run":   {[]string{"nic", "bind", "enp3s0f1", "--dry-run"}, 0, []string{"echo vfio-pci > "}, "dryRun", true},
		"nic unbind":    {[]string{"nic", "unbind", "enp3s0f1"}, 0, []string{"nothing to do, ixgbe has it"}, "driver", "ixgbe"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := &daemon{}
			socket := serve(t, d)
			run := func(form string) outcome {
				d.answers = 0
				return sluiceWith(t, machine, append(tt.args, "--socket", socket, "-o", form)...)
			}
			table := run("table")
			assert.Equal(t, tt.code, table.code, table.err)
			assert.Empty(t, table.err)
			assert.NotContains(t, table.out, "\x1b", "no colours in a pipe")
			for _, want := range tt.says {
				assert.Contains(t, table.out, want)
			}
			asJSON, asYAML := run("json"), run("yaml")
			assert.Equal(t, []int{tt.code, tt.code}, []int{asJSON.code, asYAML.code})
			var fromJSON, fromYAML any
			require.NoError(t, json.Unmarshal([]byte(asJSON.out), &fromJSON), asJSON.out)
			require.NoError(t, yaml.Unmarshal([]byte(asYAML.out), &fromYAML), asYAML.out)
			if tt.want != nil {
				assert.Equal(t, tt.want, dig(t, fromJSON, tt.json))
			}
			if name != "nic dry run" { // its steps name the temporary folder
				assert.Equal(t, normal(t, fromJSON), normal(t, fromYAML))
			}
		})
	}
}

// dig follows a path of keys and list positions through a decoded document.
func dig(t *testing.T, doc any, path string) any {
	t.Helper()
	for key := range strings.SplitSeq(path, ".") {
		switch d := doc.(type) {
		case map[string]any:
			require.Contains(t, d, key)
			doc = d[key]
		case []any:
			i := int(key[0] - '0')
			require.Less(t, i, len(d), path)
			doc = d[i]
		default:
			require.Fail(t, "no such place", path)
		}
	}
	return doc
}

// normal makes numbers of both decoders the same kind.
func normal(t *testing.T, doc any) string {
	t.Helper()
	b, err := json.Marshal(doc)
	require.NoError(t, err)
	return string(b)
}

func TestExitCodes(t *testing.T) {
	socket := serve(t, &daemon{})
	unready := serve(t, &daemon{notReady: "uplink up0 is down"})
	none := filepath.Join(t.TempDir(), "none.sock")
	machine := host(t) // nothing here changes it
	tests := map[string]struct {
		args []string
		code int
		says string
	}{
		"help":                   {[]string{"--socket", none}, 0, ""},
		"help of a group":        {[]string{"help", "vport"}, 0, ""},
		"group alone":            {[]string{"vport"}, 2, "sluice: sluice vport does nothing by itself; add list or show\n"},
		"group alone, the help":  {[]string{"config"}, 2, "Available Commands:\n  show "},
		"group of one":           {[]string{"learned"}, 2, "sluice learned does nothing by itself; add list"},
		"completion alone":       {[]string{"completion"}, 2, "add bash or fish"},
		"no such shell":          {[]string{"completion", "tcsh"}, 2, `sluice completion has no command "tcsh"`},
		"no such shell, help":    {[]string{"completion", "tcsh"}, 2, "Available Commands:\n  bash "},
		"no such shell either":   {[]string{"completion", "nosuch"}, 2, `sluice completion has no command "nosuch"`},
		"help of nothing":        {[]string{"help", "nosuch"}, 2, `sluice: sluice has no command "nosuch"` + "\n"},
		"help of less":           {[]string{"help", "vport", "nosuch"}, 2, `sluice vport has no command "nosuch"`},
		"help of a subcommand":   {[]string{"help", "completion", "bash"}, 0, ""},
		"negative VSID":          {[]string{"nexthop", "--vsid", "-3", "--from", "10.0.0.1", "--to", "10.0.0.2"}, 2, "sluice: --vsid wants a number from 4096 to 16777214, not \"-3\"\n"},
		"reserved VSID":          {[]string{"nexthop", "--vsid", "4095", "--from", "10.0.0.1", "--to", "10.0.0.2"}, 2, "--vsid wants a number"},
		"empty VSID":             {[]string{"nexthop", "--vsid", "", "--from", "10.0.0.1", "--to", "10.0.0.2"}, 2, "--vsid wants a number"},
		"two families":           {[]string{"nexthop", "--vsid", "6001", "--from", "10.0.0.1", "--to", "2001:db8::1"}, 2, "give two of one family"},
		"version without daemon": {[]string{"version", "--socket", none}, 0, ""},
		"not ready":              {[]string{"status", "--interval", "0", "--socket", unready}, 1, ""},
		"no such vport":          {[]string{"vport", "show", "nope", "--socket", socket}, 1, "sluice: no vport nope on this host; see sluice vport list\n"},
		"no such file":           {[]string{"check", "/none.yaml"}, 1, "sluice: configuration: open /none.yaml: no such file or directory; name a file"},
		"diff --exit-code":       {[]string{"diff", "--exit-code", file(t, changed), "--socket", socket}, 1, ""},
		"diff --exit-code, same": {[]string{"diff", "--exit-code", file(t, good), "--socket", socket}, 0, ""},
		"protected card":         {[]string{"nic", "bind", "eno1"}, 1, "sluice: network card 0000:05:00.0 (eno1): it carries the default route; choose another card"},
		"no such card":           {[]string{"nic", "unbind", "eth7"}, 1, "network card eth7: there is no such PCI address"},
		"unknown command":        {[]string{"statu"}, 2, `sluice: sluice has no command "statu"; is it status?; see sluice --help` + "\n"},
		"unknown subcommand":     {[]string{"vport", "lst"}, 2, `sluice vport has no command "lst"; is it list?; see sluice vport --help`},
		"unknown flag":           {[]string{"status", "--nope"}, 2, "unknown flag: --nope; see sluice status --help"},
		"missing argument":       {[]string{"check"}, 2, "accepts 1 arg(s), received 0; see sluice check --help"},
		"missing flag":           {[]string{"nexthop", "--vsid", "6001", "--from", "10.0.0.1"}, 2, `required flag(s) "to" not set`},
		"no subnet":              {[]string{"nexthop", "--from", "10.0.0.1", "--to", "10.0.0.2"}, 2, "[vsid subnet]"},
		"two subnets":            {[]string{"nexthop", "--vsid", "6001", "--subnet", "x", "--from", "10.0.0.1", "--to", "10.0.0.2"}, 2, "[vsid subnet]"},
		"bad output":             {[]string{"status", "-o", "xml"}, 2, `output "xml": there is no such form; use table, json or yaml`},
		"bad interval":           {[]string{"status", "--interval", "soon"}, 2, "invalid argument"},
		"no time for an answer":  {[]string{"status", "--timeout", "0"}, 2, "timeout 0: no daemon answers in no time"},
		"no address":             {[]string{"nexthop", "--vsid", "6001", "--from", "10.0.0.1", "--to", "vm"}, 2, `--to "vm": this is no IP address`},
		"negative interval":      {[]string{"status", "--interval", "-1s"}, 2, `interval "-1s": this is no length of time`},
		"top without interval":   {[]string{"top", "--interval", "0", "--socket", socket}, 2, "top needs an interval above 0"},
		"watch without interval": {[]string{"drops", "--watch", "--interval", "0", "--socket", socket}, 2, "--watch needs an interval above 0"},
		"bad grouping":           {[]string{"drops", "--by", "colour", "--socket", socket}, 2, `--by "colour": rows can be merged by port or by reason`},
		"demo kept and ended":    {[]string{"demo", "--keep", "--down"}, 2, "[down keep]"},
	}
	for _, command := range []string{"status", "top", "diff FILE", "apply FILE", "config show", "vport list", "vport show x", "uplink list", "uplink show x",
		"record list", "neighbour list", "learned list", "drops", "qos show", "queue map", "queue history", "nexthop --vsid 6001 --from 10.0.0.1 --to 10.0.0.2"} {
		args := append(strings.Fields(strings.Replace(command, "FILE", file(t, good), 1)), "--socket", none)
		tests["unreachable: "+command] = struct {
			args []string
			code int
			says string
		}{args, 3, "sluice: sluiced cannot be reached at " + none + ": the socket does not exist; start the daemon"}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := sluiceWith(t, machine, tt.args...)
			assert.Equal(t, tt.code, got.code, got)
			assert.Contains(t, got.err, tt.says)
			if tt.says == "" {
				assert.Empty(t, got.err)
			}
		})
	}
}

func TestBindThroughTheCommandLine(t *testing.T) {
	change := host(t)
	got := sluiceWith(t, change, "nic", "bind", "enp3s0f1")
	assert.Equal(t, outcome{0, "0000:03:00.1 (enp3s0f1): vfio-pci has it now\n", ""}, got)
	got = sluiceWith(t, change, "nic", "list")
	assert.Contains(t, got.out, "goes back to ixgbe")
	got = sluiceWith(t, change, "nic", "unbind", "a0:36:9f:00:00:02")
	assert.Equal(t, outcome{0, "0000:03:00.1 (enp3s0f1): ixgbe has it now\n", ""}, got)
}

func TestSettingsFromTheEnvironment(t *testing.T) {
	socket := serve(t, &daemon{})
	t.Setenv("SLUICE_SOCKET", socket)
	t.Setenv("SLUICE_OUTPUT", "json")
	t.Setenv("SLUICE_INTERVAL", "0")
	t.Setenv("OUTPUT", "xml") // somebody else's
	got := sluiceWith(t, nil, "status")
	assert.Equal(t, 0, got.code, got.err)
	var doc struct{ WindowSeconds float64 }
	require.NoError(t, json.Unmarshal([]byte(got.out), &doc))
	assert.Zero(t, doc.WindowSeconds)

	got = sluiceWith(t, nil, "status", "-o", "table") // a flag wins
	assert.Contains(t, got.out, "host-a")
	t.Setenv("SLUICE_INTERVAL", "soon")
	got = sluiceWith(t, nil, "status")
	assert.Equal(t, 2, got.code)
	assert.Contains(t, got.err, `interval "soon": this is no length of time; write it like 500ms, 1s or 2m`)
	t.Setenv("SLUICE_OUTPUT", "xml")
	assert.Equal(t, 2, sluiceWith(t, nil, "check", file(t, good)).code)
}

// TestDoctorAsksTheDaemonOfTheFile unless it is told another one.
func TestDoctorAsksTheDaemonOfTheFile(t *testing.T) {
	machine, theFiles := host(t), serve(t, &daemon{})
	other := filepath.Join(t.TempDir(), "other.sock")
	config := file(t, good+"daemon: {socket: "+theFiles+"}\n")
	assert.Contains(t, sluiceWith(t, machine, "doctor", config).out, "sluiced v1.2.3 (pid 4711) runs")
	assert.Contains(t, sluiceWith(t, machine, "doctor", config, "--socket", other).out, "sluiced does not run: "+other)
	t.Setenv("SLUICE_SOCKET", other)
	assert.Contains(t, sluiceWith(t, machine, "doctor", config).out, "sluiced does not run: "+other)
}

func TestSilentDaemon(t *testing.T) {
	block := make(chan struct{})
	defer close(block)
	socket := serve(t, &daemon{asked: func(uint64) { <-block }})
	got := sluice(t, socket, "status", "--timeout", "20ms")
	assert.Equal(t, 3, got.code)
	assert.Contains(t, got.err, "it did not answer in time")
	block <- struct{}{} // the daemon can end
}

func TestWatchGoesOnUntilInterrupted(t *testing.T) {
	for _, form := range []string{"table", "json", "yaml"} {
		t.Run(form, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			socket := serve(t, &daemon{asked: func(n uint64) {
				if n == 4 { // three windows have been shown or are about to be
					cancel()
				}
			}})
			var out, errs bytes.Buffer
			code := newApp(strings.NewReader(""), &out, &errs).run(ctx, []string{"drops", "--watch", "--interval", "1ms", "--socket", socket, "-o", form})
			assert.Equal(t, 0, code)
			assert.Empty(t, errs.String())
			assert.GreaterOrEqual(t, strings.Count(out.String(), "unknown-vsid"), 2)
			if form == "json" {
				dec := json.NewDecoder(&out)
				for dec.More() {
					var doc struct{ WindowSeconds float64 }
					require.NoError(t, dec.Decode(&doc))
					assert.Equal(t, 1.0, doc.WindowSeconds, "each window follows the last")
				}
			}
		})
	}
}

func TestApplySendsTheFile(t *testing.T) {
	d := &daemon{}
	socket := serve(t, d)
	path := file(t, changed)
	t.Chdir(filepath.Dir(path))
	got := sluice(t, socket, "apply", "host.yaml")
	assert.Equal(t, 0, got.code, got.err)
	assert.Contains(t, got.out, "host.yaml:4: warning", "problems name the file as the user did")
	assert.NotContains(t, got.out, path)
	assert.Equal(t, path, d.applied.GetFile(), "the daemon gets the whole path")
	assert.Equal(t, changed, string(d.applied.GetYaml()))
	assert.False(t, d.applied.GetDryRun())

	got = sluice(t, socket, "diff", "host.yaml")
	assert.Equal(t, 0, got.code, got.err)
	assert.True(t, d.applied.GetDryRun())

	got = sluiceWith(t, func(a *app) { a.in = strings.NewReader(bad) }, "--socket", socket, "apply", "-")
	assert.Equal(t, 1, got.code)
	assert.Contains(t, got.out, "standard input:3: error: uplink up0:")
}

func TestCompletion(t *testing.T) {
	socket, machine := serve(t, &daemon{}), host(t)
	for _, shell := range []string{"bash", "zsh", "fish"} {
		got := sluice(t, socket, "completion", shell)
		assert.Equal(t, 0, got.code)
		assert.Contains(t, got.out, "sluice")
	}
	for args, want := range map[string][]string{
		"vport show ":    {"legacy", "red-vm1"},
		"uplink show ":   {"up0"},
		"qos show ":      {"up0", "up1", "red-vm1"},
		"nic bind ":      {"eno1", "enp3s0f1"},
		"status -o ":     {"table", "json", "yaml"},
		"vport show x ":  nil,
		"vport list --i": {"--interval"},
	} {
		words := strings.Split(args, " ")
		got := sluiceWith(t, machine, append([]string{"__complete", "--socket", socket}, words...)...)
		var names []string
		for line := range strings.Lines(got.out) {
			if name, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); name != "" && !strings.HasPrefix(name, ":") {
				names = append(names, name)
			}
		}
		assert.ElementsMatch(t, want, names, args)
	}
}

// TestEveryCommandIsExplained walks all commands: each has its one line, and those that do something examples that name
// the command and flags that exist.
func TestEveryCommandIsExplained(t *testing.T) {
	root := newApp(nil, &bytes.Buffer{}, &bytes.Buffer{}).root()
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		assert.NotEmpty(t, c.Short, c.CommandPath())
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.HasSubCommands() {
			return
		}
		require.NotEmpty(t, c.Example, c.CommandPath())
		for line := range strings.Lines(c.Example) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "sudo ")
			assert.True(t, strings.HasPrefix(line, c.CommandPath()), line)
			for _, word := range strings.Fields(line) {
				if name, isFlag := strings.CutPrefix(word, "--"); isFlag {
					name, _, _ = strings.Cut(name, "=")
					assert.True(t, c.Flags().Lookup(name) != nil || c.InheritedFlags().Lookup(name) != nil, line)
				}
			}
		}
	}
	walk(root)
}

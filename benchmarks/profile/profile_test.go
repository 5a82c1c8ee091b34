package profile

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryProfileLoads(t *testing.T) {
	files, err := filepath.Glob("../profiles/*.*")
	require.NoError(t, err)
	require.Len(t, Names(), len(files), "the folder holds profiles only")
	for _, name := range Names() {
		p, err := Load(name)
		require.NoError(t, err)
		assert.Equal(t, name, p.Name, "a profile is called as its file")
		byPath, err := Load("../profiles/" + name + ".yaml")
		require.NoError(t, err)
		assert.Equal(t, p, byPath)
	}
	assert.Subset(t, Names(), []string{"l2-64b", "l2-imix", "nvgre-encap", "nvgre-decap", "nvgre-imix", "acl-10k", "flows-100k",
		"flows-1m", "newflow-flood", "udp-1400b", "iprewrite", "soak"})
}

const good = `name: test
description: what it is for
direction: encap
frameBytes: 64
fcs: excluded
flows: 256
tenants: 2
vms: 3
peers: 4
acls: 10
protocols: {udp: 70, tcp: 30}
burst: 8
duration: 500ms
`

func TestParse(t *testing.T) {
	p, err := Parse("test.yaml", []byte(good))
	require.NoError(t, err)
	assert.Equal(t, &Profile{Name: "test", Description: "what it is for", Direction: Encap, FrameBytes: 64, FCS: FCSExcluded, Flows: 256,
		Tenants: 2, VMs: 3, Peers: 4, ACLs: 10, Protocols: []Share{{"udp", 70}, {"tcp", 30}}, Burst: 8, Duration: 500 * time.Millisecond}, p)
	one := *p
	one.Tenants, one.VMs, one.Peers, one.ACLs = 1, 1, 1, 1
	assert.Contains(t, one.String(), "1 tenant with 1 VM and 1 peer each")
	assert.Contains(t, one.String(), "1 rule for each VM")
	assert.Equal(t, "test: 64-byte frames without FCS, 256 flows, 2 tenants with 3 VMs and 4 peers each, udp 70 : tcp 30, bursts of 8, 500ms, 10 rules for each VM", p.String())
	assert.Equal(t, []int{64, 106}, []int{p.Received(64), p.Sent(64)})
	p.Direction = Decap
	assert.Equal(t, []int{106, 64}, []int{p.Received(64), p.Sent(64)})
}

func TestOptionalKeys(t *testing.T) {
	text := strings.Replace(good, "frameBytes: 64\nfcs: excluded", "frameBytes: {imix: simple}\nfcs: included", 1) +
		"rate: 10Gbit\nsearch: {lossPercent: [0, 0.5], resolution: 1%, trial: 2s}\nnewFlowsPerSecond: 1000000\n"
	p, err := Parse("test.yaml", []byte(text))
	require.NoError(t, err)
	assert.Equal(t, Rate{BPS: 10e9}, p.Rate)
	assert.Equal(t, &Search{LossPercent: []float64{0, 0.5}, Resolution: 0.01, Trial: 2 * time.Second}, p.Search)
	assert.Equal(t, []Size{{60, 7}, {590, 4}, {1514, 1}}, p.Sizes(), "devices of DPDK have no FCS")
	assert.Equal(t, 1514, p.MaxBytes())
	assert.InDelta(t, (60*7+590*4+1514)/12.0, p.MeanBytes(), 1e-9)
	assert.InDelta(t, 1e6/(10e9/8/(p.MeanBytes()+24)), p.NewShare(), 1e-9)
	assert.Contains(t, p.String(), "simple IMIX of 64, 594, 1518-byte frames (7 : 4 : 1) with FCS")
	assert.Contains(t, p.String(), "1000000 new flows per second, at 10Gbit")

	p, err = Parse("test.yaml", []byte(good+"search: {lossPercent: [0]}\n"))
	require.NoError(t, err)
	assert.Equal(t, &Search{LossPercent: []float64{0}, Resolution: 0.005, Trial: time.Second}, p.Search, "documented defaults")
	assert.True(t, p.Rate.Max())
	assert.True(t, math.IsInf(p.Rate.PacketsPerSecond(60), 1))
	assert.Zero(t, p.NewShare())
}

func TestRates(t *testing.T) {
	for text, want := range map[string]Rate{"max": {}, "2.5Mpps": {PPS: 2.5e6}, "10Gbit": {BPS: 10e9}, "7pps": {PPS: 7}, "64kbit": {BPS: 64e3}} {
		r, err := ParseRate(text)
		require.NoError(t, err)
		assert.Equal(t, want, r)
		assert.Equal(t, text, r.String())
	}
	tenGbit, err := ParseRate("10Gbit")
	require.NoError(t, err)
	assert.InDelta(t, 14.88e6, tenGbit.PacketsPerSecond(60), 1e4, "64 bytes with FCS on a wire of 10 Gbit/s")
	assert.Equal(t, 84, WireBytes(60))
	for _, text := range []string{"", "fast", "10", "10Gbps", "Mpps", "-1Mpps", "0bit", "2Tbit", "900Gbit", "2Gpps", "NaNpps", "1MMpps"} {
		_, err := ParseRate(text)
		require.Error(t, err, text)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		old, new string // what is replaced in the good profile
		want     string // in the error
	}{
		"empty":                 {good, "", "test.yaml:1: the file is empty"},
		"no mapping":            {good, "- a\n", "test.yaml:1: not a mapping"},
		"no YAML":               {"flows: 256", "flows: [256", "not valid YAML"},
		"two documents":         {"name: test", "name: test\n---\nname: other", "more than one YAML document"},
		"unknown key":           {"flows: 256", "flow: 256", `test.yaml:6: unknown key "flow" (the keys are: acls, burst, `},
		"missing key":           {"flows: 256\n", "", "test.yaml:1: flows is missing"},
		"a key twice":           {"flows: 256", "flows: 256\nflows: 12", "test.yaml:7: flows is given twice, first in line 6"},
		"no number":             {"flows: 256", "flows: many", `test.yaml:6: flows: "many" is not a whole number`},
		"fraction":              {"flows: 256", "flows: 1.5", "is not a whole number"},
		"zero flows":            {"flows: 256", "flows: 0", "test.yaml:6: flows: 0 flows send nothing (choose at least 1)"},
		"too many flows":        {"flows: 256", "flows: 2000000", "choose at most 1048576"},
		"too many frames":       {"flows: 256", "flows: 1000000", "are 8000000 frames"},
		"fewer flows than VMs":  {"flows: 256", "flows: 5", "5 flows for 6 VMs"},
		"no burst":              {"burst: 8", "burst: 0", "bursts of 0 frames"},
		"small frame":           {"frameBytes: 64", "frameBytes: 59", "test.yaml:4: frameBytes: 59 bytes are no Ethernet frame"},
		"large frame":           {"frameBytes: 64", "frameBytes: 9000", "choose 60 to 1514 with FCS excluded"},
		"direction":             {"direction: encap", "direction: up", `test.yaml:3: direction: there is no direction "up" (it is encap, decap, rewrite, local or bridge)`},
		"unknown protocol":      {"udp: 70", "sctp: 70", `unknown protocol "sctp"`},
		"protocol twice":        {"tcp: 30", "udp: 30", "udp is given twice"},
		"no protocol":           {"{udp: 70, tcp: 30}", "{}", "protocols: no protocol"},
		"protocols as a list":   {"{udp: 70, tcp: 30}", "[udp]", "want a mapping"},
		"weight":                {"tcp: 30", "tcp: 0", "weight 0 of tcp"},
		"no tenant":             {"tenants: 2", "tenants: 0", "0 tenants with 3 VMs"},
		"too many ports":        {"vms: 3", "vms: 15", "at most 28 VMs here"},
		"many local peers":      {"direction: encap", "direction: local", ""},
		"too many local peers":  {"direction: encap\nframeBytes: 64\nfcs: excluded\nflows: 256\ntenants: 2\nvms: 3\npeers: 4", "direction: local\nframeBytes: 64\nfcs: excluded\nflows: 256\ntenants: 2\nvms: 3\npeers: 12", "2 tenants with 3 VMs each"},
		"no peers":              {"peers: 4", "peers: 0", "0 peers"},
		"no duration":           {"duration: 500ms", "duration: 500", `"500" is not a duration`},
		"impossible duration":   {"duration: 500ms", "duration: 1ms", "1ms cannot be measured"},
		"bad name":              {"name: test", "name: My Test", `"My Test" is no name`},
		"value missing":         {"description: what it is for", "description:", "description: want text"},
		"small with FCS":        {"frameBytes: 64\nfcs: excluded", "frameBytes: 63\nfcs: included", "choose 64 to 1518 with FCS included"},
		"FCS perhaps":           {"fcs: excluded", "fcs: perhaps", "it is included or excluded"},
		"no such IMIX":          {"frameBytes: 64", "frameBytes: {imix: odd}", `there is no IMIX "odd"`},
		"IMIX without FCS":      {"frameBytes: 64", "frameBytes: {imix: simple}", "the sizes of an IMIX count the FCS"},
		"a mapping of sizes":    {"frameBytes: 64", "frameBytes: {size: 64}", "write a size, or {imix: simple}"},
		"too many rules":        {"acls: 10", "acls: 15001", "choose 0 to 15000"},
		"a bridge without MACs": {"direction: encap", "direction: bridge", "add macs: how many are behind each port"},
		"a bridge of none":      {"direction: encap", "direction: bridge\nmacs: 0", "0 addresses behind each port"},
		"MACs without a bridge": {"burst: 8", "burst: 8\nmacs: 4", "a VM has one address"},
		"impossible rate":       {"burst: 8", "burst: 8\nrate: 2Tbit", `rate: "2Tbit" is an impossible rate`},
		"faster than devices":   {"burst: 8", "burst: 8\nrate: 900Gbit", "is an impossible rate"},
		"rate of nothing":       {"burst: 8", "burst: 8\nrate: 0pps", "sends nothing"},
		"rates":                 {"burst: 8", "burst: 8\nrate: [max]", "want one rate"},
		"search for nothing":    {"burst: 8", "burst: 8\nsearch: {}", "lossPercent is missing"},
		"search by a word":      {"burst: 8", "burst: 8\nsearch: ndr", "want a mapping"},
		"search key":            {"burst: 8", "burst: 8\nsearch: {loss: [0]}", `unknown key "loss"`},
		"search loss":           {"burst: 8", "burst: 8\nsearch: {lossPercent: [100]}", "a loss of 100 %"},
		"search resolution":     {"burst: 8", "burst: 8\nsearch: {lossPercent: [0], resolution: 50%}", "choose 0.01% to 20%"},
		"search trial":          {"burst: 8", "burst: 8\nsearch: {lossPercent: [0], trial: 1h}", "choose 10ms to 10m"},
		"new flows twice":       {"burst: 8", "burst: 8\nrate: 1Mpps\nnewFlowShare: 1%\nnewFlowsPerSecond: 10", "newFlowShare is given too"},
		"new flows at any rate": {"burst: 8", "burst: 8\nnewFlowsPerSecond: 10", "the rate of all frames is not given"},
		"too many new flows":    {"burst: 8", "burst: 8\nrate: 1Mpps\nnewFlowsPerSecond: 2000000", "2000000 is an impossible rate"},
		"less than no flows":    {"burst: 8", "burst: 8\nnewFlowsPerSecond: -1", "-1 are no flows"},
		"only new flows":        {"burst: 8", "burst: 8\nnewFlowShare: 100%", "choose 0% to 99%"},
		"no share":              {"burst: 8", "burst: 8\nnewFlowShare: 0.5", "is no share"},
		"several at once":       {"flows: 256\ntenants: 2", "flows: 0\ntenants: 0", "0 tenants"},
		"several at once, both": {"flows: 256\ntenants: 2", "flows: 0\ntenants: 0", "0 flows"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, good, tc.old)
			p, err := Parse("test.yaml", []byte(strings.Replace(good, tc.old, tc.new, 1)))
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.Nil(t, p)
		})
	}
}

func TestWithFlows(t *testing.T) {
	p, err := Load("nvgre-encap")
	require.NoError(t, err)
	more, err := p.WithFlows(10000)
	require.NoError(t, err)
	assert.Equal(t, 10000, more.Flows)
	assert.Equal(t, 256, p.Flows)
	same, err := p.WithFlows(0)
	require.NoError(t, err)
	assert.Equal(t, *p, same)
	_, err = p.WithFlows(-1)
	require.ErrorContains(t, err, "profile nvgre-encap: -1 flows send nothing")
}

func TestLoadRefuses(t *testing.T) {
	_, err := Load("nonsense")
	require.ErrorContains(t, err, "there are acl-10k, flows-100k")
	_, err = Load("/does/not/exist.yaml")
	require.ErrorIs(t, err, os.ErrNotExist)
}

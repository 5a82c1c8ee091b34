package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryProfileLoads(t *testing.T) {
	files, err := filepath.Glob("../profiles/*")
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
	assert.Subset(t, Names(), []string{"l2-64b", "nvgre-encap", "nvgre-decap", "udp-1400b"})
}

const good = `name: test
description: what it is for
direction: encap
frameBytes: 64
flows: 256
tenants: 2
vms: 3
peers: 4
protocols: {udp: 70, tcp: 30}
burst: 8
duration: 500ms
`

func TestParse(t *testing.T) {
	p, err := Parse("test.yaml", []byte(good))
	require.NoError(t, err)
	assert.Equal(t, &Profile{Name: "test", Description: "what it is for", Direction: Encap, FrameBytes: 64, Flows: 256, Tenants: 2,
		VMs: 3, Peers: 4, Protocols: []Share{{"udp", 70}, {"tcp", 30}}, Burst: 8, Duration: 500 * time.Millisecond}, p)
	assert.Equal(t, "test: 64-byte frames without FCS, 256 flows, 2 tenants with 3 VMs and 4 peers each, udp 70 : tcp 30, bursts of 8, 500ms", p.String())
	assert.Equal(t, []int{64, 106}, []int{p.SourceBytes(), p.SinkBytes()})
	p.Direction = Decap
	assert.Equal(t, []int{106, 64}, []int{p.SourceBytes(), p.SinkBytes()})
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
		"unknown key":           {"flows: 256", "flow: 256", `test.yaml:5: unknown key "flow" (the keys are: burst, `},
		"missing key":           {"flows: 256\n", "", "test.yaml:1: flows is missing"},
		"a key twice":           {"flows: 256", "flows: 256\nflows: 12", "test.yaml:6: flows is given twice, first in line 5"},
		"no number":             {"flows: 256", "flows: many", `test.yaml:5: flows: "many" is not a whole number`},
		"fraction":              {"flows: 256", "flows: 1.5", "is not a whole number"},
		"zero flows":            {"flows: 256", "flows: 0", "test.yaml:5: flows: 0 flows send nothing (choose at least 1)"},
		"too many flows":        {"flows: 256", "flows: 2000000", "choose at most 1048576"},
		"too many frames":       {"flows: 256", "flows: 1000000", "are 8000000 frames"},
		"fewer flows than VMs":  {"flows: 256", "flows: 5", "5 flows for 6 VMs"},
		"no burst":              {"burst: 8", "burst: 0", "bursts of 0 frames"},
		"small frame":           {"frameBytes: 64", "frameBytes: 60", "test.yaml:4: frameBytes: 60 bytes are no Ethernet frame"},
		"large frame":           {"frameBytes: 64", "frameBytes: 9000", "choose 64 to 1514"},
		"direction":             {"direction: encap", "direction: up", `test.yaml:3: direction: there is no direction "up" (it is encap, decap or local)`},
		"unknown protocol":      {"udp: 70", "sctp: 70", `unknown protocol "sctp"`},
		"protocol twice":        {"tcp: 30", "udp: 30", "udp is given twice"},
		"no protocol":           {"{udp: 70, tcp: 30}", "{}", "protocols: no protocol"},
		"protocols as a list":   {"{udp: 70, tcp: 30}", "[udp]", "want a mapping"},
		"weight":                {"tcp: 30", "tcp: 0", "weight 0 of tcp"},
		"no tenant":             {"tenants: 2", "tenants: 0", "0 tenants with 3 VMs"},
		"too many ports":        {"vms: 3", "vms: 15", "at most 28 VMs here"},
		"many local peers":      {"direction: encap", "direction: local", ""},
		"too many local peers":  {"direction: encap\nframeBytes: 64\nflows: 256\ntenants: 2\nvms: 3\npeers: 4", "direction: local\nframeBytes: 64\nflows: 256\ntenants: 2\nvms: 3\npeers: 12", "2 tenants with 3 VMs each"},
		"no peers":              {"peers: 4", "peers: 0", "0 peers"},
		"no duration":           {"duration: 500ms", "duration: 500", `"500" is not a duration`},
		"impossible duration":   {"duration: 500ms", "duration: 1ms", "1ms cannot be measured"},
		"bad name":              {"name: test", "name: My Test", `"My Test" is no name`},
		"value missing":         {"description: what it is for", "description:", "description: want text"},
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
	require.ErrorContains(t, err, "there are l2-64b, nvgre-decap")
	_, err = Load("/does/not/exist.yaml")
	require.ErrorIs(t, err, os.ErrNotExist)
}

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/demo/netlab"
)

// Ports that a change does not touch lose nothing while it is applied.
func TestApplyDisturbsNothingElse(t *testing.T) {
	p := newPair(t)
	blue3 := p.namespace("blue-3")
	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{})
	p.requirePing(p.vms["red-1"], "10.0.0.1", netlab.PingOptions{})

	base := pairConfig("a")
	const vport = `  - {name: blue-3, device: {driver: tap, interface: eth0, namespace: "${ns}blue-3"}, mac: 00:15:5d:02:00:08, mtu: 1500, subnet: blue-web, addresses: [10.0.0.8]}` + "\n"
	without := func(yaml, name string) string {
		var kept []string
		for line := range strings.Lines(yaml) {
			if !strings.Contains(line, "{name: "+name+",") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}
	added := strings.Replace(base, "vports:\n", "vports:\n"+vport, 1)
	removed := without(added, "red-3")
	record := strings.Replace(removed, "records:\n", "records:\n  - {subnet: red-web, ca: 10.0.0.99, mac: 00:15:5d:01:00:63, pa: 172.16.1.2}\n", 1)
	moved := strings.Replace(record, "ca: 10.0.0.99, mac: 00:15:5d:01:00:63, pa: 172.16.1.2", "ca: 10.0.0.99, mac: 00:15:5d:01:00:63, pa: 172.16.1.3", 1)
	subnet := strings.Replace(moved, "  - name: blue\n    subnets:\n", "  - name: blue\n    subnets:\n      - {name: blue-new, vsid: 7003, prefix: 10.0.2.0/24}\n", 1)

	type outcome struct {
		answer netlab.PingResult
		err    error
	}
	pings := make(chan outcome, 1)
	go func() {
		answer, err := p.vms["red-1"].Ping(p.ctx, addr("10.0.0.7"), netlab.PingOptions{Count: 500, Interval: 10 * time.Millisecond, Limit: 40 * time.Second})
		pings <- outcome{answer, err}
	}()
	for _, step := range []struct{ what, yaml string }{
		{"add a vport", added}, {"remove another", removed}, {"add a record", record}, {"move it", moved}, {"add a subnet", subnet},
		{"all back", base}, {"and forth", subnet},
	} {
		out, err := p.a.apply(step.yaml)
		require.NoError(t, err, "%s: %s", step.what, out)
		time.Sleep(100 * time.Millisecond)
	}
	got := <-pings
	require.NoError(t, got.err)
	assert.Equal(t, netlab.PingResult{Sent: 500, Received: 500, TTL: 64}, netlab.PingResult{
		Sent: got.answer.Sent, Received: got.answer.Received, Duplicates: got.answer.Duplicates, TTL: got.answer.TTL}, "no answer may be missing")

	// What was added works.
	p.configureVM(blue3, "eth0", "10.0.0.8/24", "10.0.0.1")
	p.requirePing(blue3, "10.0.0.5", netlab.PingOptions{})
	_, err := p.a.client.ListVports(p.ctx, &sluicev1.ListVportsRequest{Name: "red-3"})
	assert.Error(t, err, "red-3 was removed")
	p.a.requireBalanced()
}

// A bad file changes nothing, and says what is wrong where.
func TestBadApplyChangesNothing(t *testing.T) {
	p := newPair(t)
	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{})
	before, err := p.a.client.GetConfig(p.ctx, &sluicev1.GetConfigRequest{})
	require.NoError(t, err)

	base := pairConfig("a")
	replace := func(old, better string) string {
		require.Contains(t, base, old)
		return strings.Replace(base, old, better, 1)
	}
	tests := []struct {
		what, yaml string
		says       []string
	}{
		{"unknown key", replace("mtu: 1500", "mut: 1500"), []string{"mut", "a-next.yaml:7:"}},
		{"duplicate vport", replace("name: red-3", "name: red-1"), []string{"red-1"}},
		{"reserved VSID", replace("vsid: 7002", "vsid: 4095"), []string{"4095"}},
		{"address outside the subnet", replace("addresses: [10.0.1.5,", "addresses: [10.0.9.5,"), []string{"10.0.9.5"}},
		{"address of the gateway", replace("addresses: [10.0.1.5,", "addresses: [10.0.1.1,"), []string{"10.0.1.1"}},
		{"dangling reference", replace("subnet: red-db, addresses", "subnet: red-nowhere, addresses"), []string{"red-nowhere"}},
		{"overlapping prefixes", replace("vsid: 6002, prefix: 10.0.1.0/24", "vsid: 6002, prefix: 10.0.0.0/23"), []string{"red-db"}},
		{"not YAML", "vports: [", []string{"a-next.yaml:1:", "YAML"}},
		{"a device that cannot be had", replace(`namespace: "${ns}red-3"`, `namespace: "${ns}nowhere"`), []string{"red-3", "nowhere"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			out, err := p.a.apply(tt.yaml)
			require.Error(t, err, "it must be refused: %s", out)
			for _, word := range tt.says {
				assert.Contains(t, out, word)
			}
			after, err := p.a.client.GetConfig(p.ctx, &sluicev1.GetConfigRequest{})
			require.NoError(t, err)
			assert.Equal(t, before.Revision, after.Revision)
			assert.Equal(t, before.ConfigHash, after.ConfigHash)
		})
	}
	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{})
	p.requirePing(p.vms["red-3"], "10.0.1.9", netlab.PingOptions{})
	p.a.requireBalanced()
}

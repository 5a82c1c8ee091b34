package report

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTables(t *testing.T) {
	r := resultOf(
		scenario(t, "udp-1400b", 256, samples{ours: {280, 140}, ovs: {700, 700}, memcpy: {70, 70}, memcpyRAM: {350, 350}}),
		scenario(t, "nvgre-encap", 10_000, samples{ours: {80, 90}, ovs: {270, 270}, noEMC: {240, 240}, smc: {180, 0}, testpmdIO: {20, 30}}),
	)
	var out bytes.Buffer
	costs(&out, r)
	rateTable(&out, r)
	byteTable(&out, r)
	scenarioTable(&out, r)
	for _, want := range []string{
		"| traffic | sluice | Open vSwitch, default | Open vSwitch, best of its configurations | testpmd io |\n",
		"| encapsulation, 64 bytes, 10,000 flows | 85.0 (80.0 to 90.0) | 270.0 (270.0 to 270.0) | SMC: 180.0, 1 of 2 rounds | 25.0 (20.0 to 30.0) |\n",
		"| 3.19 (3.00 to 3.38) | 2.25, 1 of 2 rounds | 3.50 (3.00 to 4.00) | 60.0 (60.0 to 60.0) |\n",
		"| encapsulation, 1400 bytes, 256 flows | 7.50 (5.00 to 10.00) | 2.00 (2.00 to 2.00) | – | 20.00 (20.00 to 20.00) | 4.00 (4.00 to 4.00) |\n",
		"| encapsulation, 64 bytes, 10,000 flows | nvgre-encap: 64-byte frames of a VM put into NVGRE, to sixteen VMs on another host | 100 | UDP 50 : TCP 50 | – | – | – |\n",
	} {
		assert.Contains(t, out.String(), want)
	}
	out.Reset()
	byteTable(&out, resultOf(scenario(t, "udp-1400b", 256, samples{ours: {280}})))
	assert.Empty(t, out.String(), "nothing to hold the bytes against")
}

// make bench-compare, with results as go test prints them.
func TestBenchCompare(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		return file
	}
	line := func(ns string) string { return "BenchmarkX-2 1000 " + ns + " ns/op\n" }
	old := write("old.txt", "partial: interrupted\n"+line("10")+line("11")+line("12")+line("13")+line("14"))
	fast := write("new.txt", line("5")+line("5.5")+line("6")+line("6.5")+line("7"))
	for name, tc := range map[string]struct {
		old, new string
		fails    bool
		want     string
	}{
		"two results": {old, fast, false, "-50.00% (p=0.008 n=5)"},
		"partial":     {old, fast, false, "old.txt is not complete: interrupted"},
		"no old one":  {"", fast, true, "usage: make bench-compare OLD=a NEW=b"},
		"not there":   {filepath.Join(dir, "gone"), fast, true, "gone: run make bench or make bench-peers first"},
		"not results": {write("poem.txt", "Two roads\n"), fast, true, "there are no benchmarks in " + dir + "/poem.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command("../../.ci/bench-compare", tc.old, tc.new).CombinedOutput()
			assert.Equal(t, tc.fails, err != nil, string(out))
			assert.Contains(t, string(out), tc.want)
		})
	}
}

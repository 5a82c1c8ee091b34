package report

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/vmqsim"
)

// The page and its pictures are what the command makes of the result beside them.
func TestVMQPageIsCurrent(t *testing.T) {
	const file = "benchmarks/results/vmq-sim.json"
	r, err := vmqsim.Read(filepath.Join("../..", file))
	require.NoError(t, err)
	files, err := VMQPage(r, file, "VMQ-SIMULATION.md")
	require.NoError(t, err)
	require.Len(t, files, 3)
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join("../../docs", name))
		require.NoError(t, err)
		if line, ok := firstDifference(string(want), string(have)); !ok {
			t.Errorf("docs/%s: run make vmq-sim, or bin/sluice-pktgen vmq-sim --from %s -w docs/VMQ-SIMULATION.md; it differs from\n%s", name, file, line)
		}
	}
	var out bytes.Buffer
	require.NoError(t, PrintVMQ(&out, r))
	assert.Contains(t, out.String(), "bursts: half of the load")
}

func TestVMQShares(t *testing.T) {
	for v, want := range map[float64]string{0: "0 %", 0.00001: "< 0.01 %", 0.0042: "0.42 %", 0.042: "4.2 %", 0.42: "42 %", 1.2: "120 %"} {
		assert.Equal(t, want, vmqShare(v))
	}
}

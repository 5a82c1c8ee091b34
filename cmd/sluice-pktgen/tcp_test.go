package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/tcp"
)

func TestTCPRunsThroughBothSwitches(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("iperf3"); err != nil {
		t.Skip("needs iperf3")
	}
	const sluiced = "../../bin/sluiced"
	if _, err := os.Stat(sluiced); err != nil {
		t.Skip("needs bin/sluiced: make build")
	}
	dir := t.TempDir()
	out, err := program("tcp", "--sluiced", sluiced, "--rounds", "1", "--duration", "1s", "--out", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	r, err := tcp.ReadJSON(filepath.Join(dir, tcp.FileName))
	require.NoError(t, err)
	assert.False(t, r.Partial)
	require.Len(t, r.Samples, 3-len(r.Missing), "%s", out)
	for _, s := range r.Samples {
		assert.Greater(t, s.BitsPerSecond, 1e6, "%s", out)
		assert.Positive(t, s.Cores())
	}
	left, err := filepath.Glob("/run/netns/" + tcp.Prefix + "*")
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestTCPRefuses(t *testing.T) {
	code, _, err := here("tcp", "--rounds", "0")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, err, "at least one round")
}

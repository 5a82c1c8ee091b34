package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/tcp"
	"github.com/sluicenet/sluice/demo/netlab"
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

// Whoever has no patience, and a machine out of memory, leave nothing behind either.
func TestKilledTCPLeavesNothing(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("iperf3"); err != nil {
		t.Skip("needs iperf3")
	}
	if _, err := os.Stat("../../bin/sluiced"); err != nil {
		t.Skip("needs bin/sluiced: make build")
	}
	cmd := program("tcp", "--sluiced", "../../bin/sluiced", "--rounds", "100")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	require.NoError(t, cmd.Start())
	records := filepath.Join(tcp.Dir(), "pids", "*")
	assert.Eventually(t, func() bool { some, _ := filepath.Glob(records); return len(some) > 0 }, time.Minute, 10*time.Millisecond, "no daemon started")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	assert.Eventually(t, func() bool {
		left, err := netlab.Left(tcp.Prefix, tcp.Dir())
		return err == nil && len(left) == 0
	}, time.Minute, 20*time.Millisecond, "%s", &said)
}

func TestTCPRefuses(t *testing.T) {
	code, _, err := here("tcp", "--rounds", "0")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, err, "at least one round")
}

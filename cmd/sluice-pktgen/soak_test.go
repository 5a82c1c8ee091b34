package main

import (
	"bytes"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/soak"
)

// Taps, null devices and everything else of the configuration change ten times a second, and nothing is lost.
func TestSoakLosesNothing(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	out, err := program("soak", "--profile", "soak", "--duration", "3s", "--every", "100ms", "--out", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	r, err := soak.ReadJSON(filepath.Join(dir, soak.FileName))
	require.NoError(t, err)
	require.NoError(t, r.Err())
	assert.False(t, r.Partial)
	assert.Greater(t, r.Applies, 3, "%s", out)
	assert.Greater(t, r.Totals.Made, uint64(100_000))
	assert.NotEmpty(t, r.Manifest.Kernel)
	left, err := filepath.Glob("/run/netns/" + soakLab + "*")
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestInterruptedSoakKeepsWhatItSaw(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	cmd := program("soak", "--profile", "soak", "--duration", "1h", "--out", dir)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	require.NoError(t, cmd.Start())
	time.AfterFunc(3*time.Second, func() { _ = cmd.Process.Signal(syscall.SIGINT) })
	require.Error(t, cmd.Wait())
	assert.Equal(t, exitFailed, cmd.ProcessState.ExitCode(), "%s", &said)
	r, err := soak.ReadJSON(filepath.Join(dir, soak.FileName))
	require.NoError(t, err, "%s", &said)
	assert.True(t, r.Partial)
	assert.True(t, r.Totals.OK(), "%s", &r.Totals)
	assert.Contains(t, said.String(), "PARTIAL: interrupted")
}

func TestSoakRefuses(t *testing.T) {
	code, _, err := here("soak", "--profile", "nonsense")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, err, "no such profile")
	needRoot(t)
	for want, args := range map[string][]string{
		"core 999":         {"--cores", "999"},
		"times above zero": {"--duration", "0s"},
	} {
		out, err := program(append([]string{"soak"}, args...)...).CombinedOutput()
		require.Error(t, err)
		assert.Contains(t, string(out), want)
	}
}

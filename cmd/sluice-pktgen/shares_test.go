package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/shares"
	"github.com/sluicenet/sluice/policy"
)

// shortShares writes the profile of a name with less time.
func shortShares(t *testing.T, name, from, to string) string {
	text, err := os.ReadFile("../../benchmarks/profiles/qos/" + name + ".yaml")
	require.NoError(t, err)
	require.Contains(t, string(text), from)
	file := filepath.Join(t.TempDir(), name+".yaml")
	require.NoError(t, os.WriteFile(file, bytes.Replace(text, []byte(from), []byte(to), 1), 0o644))
	return file
}

func TestSharesKeepsItsFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	code, out, stderr := here("shares", "--profile", shortShares(t, "qos-incast", "duration: 2s", "duration: 200ms"), "-o", dir)
	require.Equal(t, exitOK, code, stderr)
	assert.Contains(t, out, "drop-tail, 200ms")
	assert.Contains(t, stderr, "qos-incast: reno-marks")
	for _, ending := range []string{".json", ".csv", ".svg", ".png"} {
		assert.FileExists(t, filepath.Join(dir, "qos-incast"+ending))
	}
	r, err := shares.ReadJSON(filepath.Join(dir, "qos-incast.json"))
	require.NoError(t, err)
	assert.Len(t, r.Variants, 3)
	assert.NotEmpty(t, r.Manifest.CPU)
}

func TestInterruptedSharesAreMarked(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dir := t.TempDir()
	var out bytes.Buffer
	stderr := &whenWritten{text: "qos-incast: drop-tail", then: cancel}
	code := run(ctx, []string{"shares", "--profile", shortShares(t, "qos-incast", "duration: 2s", "duration: 1s"), "-o", dir}, &out, stderr)
	assert.Equal(t, exitFailed, code)
	assert.True(t, strings.HasPrefix(out.String(), "PARTIAL: interrupted in variant drop-tail, 3 of 3\n"), out.String())
	r, err := shares.ReadJSON(filepath.Join(dir, "qos-incast.json"))
	require.NoError(t, err)
	assert.Equal(t, "interrupted in variant drop-tail, 3 of 3", r.Partial)
	require.GreaterOrEqual(t, len(r.Variants), 2)
	picture, err := os.ReadFile(filepath.Join(dir, "qos-incast.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(picture), "INCOMPLETE")
}

// whenWritten does something once a text was written to it.
type whenWritten struct {
	text string
	then func()
}

func (w *whenWritten) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.text)) {
		w.then()
	}
	return len(p), nil
}

// What config writes for a qos profile is what the daemon reads.
func TestConfigOfShares(t *testing.T) {
	for _, name := range profile.SharesNames() {
		code, out, stderr := here("config", "--profile", name, "--uplink", "net_af_packet0,iface=near")
		require.Equal(t, exitOK, code, stderr)
		assert.Contains(t, out, "{driver: af_packet, interface: near}")
		_, err := policy.Parse("written.yaml", []byte(out))
		require.NoError(t, err)
	}
	code, out, _ := here("profiles", "qos-incast")
	assert.Equal(t, exitOK, code)
	assert.True(t, strings.HasPrefix(out, "qos-incast: streams dctcp, reno of 32 vports to one VM of 1Gbit, 2s\n    32 VMs send"), out)
}

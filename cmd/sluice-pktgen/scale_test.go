package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/scale"
)

func TestScaleMeasuresOneAndTwoWorkers(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	out, err := program("scale", "--flows", "100,300", "--rounds", "1", "--retries", "0", "--seconds", "0.2", "--out", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	r, err := scale.ReadJSON(filepath.Join(dir, scale.FileName))
	require.NoError(t, err)
	assert.False(t, r.Partial)
	require.Len(t, r.Scenarios, 2)
	for _, s := range r.Scenarios {
		require.Len(t, s.Rounds, 1)
		assert.Positive(t, s.Ratio.Median, "%s", out)
	}
}

func TestScaleRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"it takes VMs as sources": {"--profile", "nvgre-decap"},
		"at least two cores":      {"--cores", "1"},
		"time above zero":         {"--seconds", "0"},
		"choose at most":          {"--flows", "2000000"},
		"core 999":                {"--cores", "0,999"},
		"no such profile":         {"--profile", "nonsense"},
	} {
		code, _, err := here(append([]string{"scale"}, args...)...)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, err, want)
	}
}

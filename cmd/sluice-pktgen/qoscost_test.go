package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/shaped"
)

func TestQoSCostRefusesWhatCannotBe(t *testing.T) {
	for _, args := range [][]string{{"--vports", "0"}, {"--vports", "20000"}, {"--depth", "100"}, {"--rounds", "0"}, {"--packets", "10"}, {"--rows", "8,65"}, {"--rows", "0"}} {
		var out, errs bytes.Buffer
		assert.Equal(t, exitFailed, run(t.Context(), append([]string{"qos-cost"}, args...), &out, &errs), "%v", args)
		assert.Contains(t, errs.String(), "choose", "%v", args)
	}
}

func TestQoSCost(t *testing.T) {
	var out, errs bytes.Buffer
	file := filepath.Join(t.TempDir(), "cost.json")
	args := []string{"qos-cost", "--vports", "20,50", "--rows", "32,4", "--packets", "10000", "--rounds", "2", "--core", "0", "--json", file}
	require.Equal(t, 0, run(t.Context(), args, &out, &errs), errs.String())
	assert.Contains(t, out.String(), "more than off")
	r, err := shaped.ReadJSON(file)
	require.NoError(t, err)
	require.Len(t, r.Cells, 2*2*len(shaped.Modes))
	for _, c := range r.Cells {
		assert.Len(t, c.Worker, 2)
	}
	assert.Contains(t, r.Markdown(), "| 50 | 32 | backlog |")
	assert.Contains(t, r.Markdown(), "| 50 | 4 | backlog |")
}

package main

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/vmqsim"
)

func TestVMQSim(t *testing.T) {
	var out, errs bytes.Buffer
	file := filepath.Join(t.TempDir(), "result.json")
	code := run(context.Background(), []string{"vmq-sim", "--scenario", "small", "--time", "3m", "--json", file}, &out, &errs)
	require.Equal(t, exitOK, code, errs.String())
	assert.Contains(t, out.String(), "small: a host of eight cores; 8 cores, 60 VMs, 3m0s")
	r, err := vmqsim.Read(file)
	require.NoError(t, err)
	assert.Len(t, r.Outcomes, 1)

	for want, args := range map[string][]string{
		`there is no scenario "large": see sluice-pktgen vmq-sim --help`:                     {"--scenario", "large"},
		"simulated time of 1s: choose":                                                       {"--time", "1s"},
		"shows all scenarios of a result that lies in the repository: give --json or --from": {"--from", file, "-w", filepath.Join(t.TempDir(), "page.md")},
		"read simulation": {"--from", file + ".none"},
	} {
		errs.Reset()
		assert.Equal(t, exitFailed, run(context.Background(), append([]string{"vmq-sim"}, args...), &out, &errs), args)
		assert.Contains(t, errs.String(), want)
	}
}

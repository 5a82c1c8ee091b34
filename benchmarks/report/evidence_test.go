package report

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/sequence"
	"github.com/sluicenet/sluice/benchmarks/soak"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, compare.ResultFile)
	require.NoError(t, result(t).WriteJSON(file))
	e, err := Read(file)
	require.NoError(t, err)
	assert.Nil(t, e.Soak)

	beside := filepath.Join(dir, soak.FileName)
	require.NoError(t, os.WriteFile(beside, []byte(`{"tookNs": 1000000000}`), 0o644))
	e, err = Read(file)
	require.NoError(t, err)
	assert.Equal(t, time.Second, e.Soak.Took)
	for text, want := range map[string]string{`{"took`: "soak.json", `{}`: "there is no soak in it"} {
		require.NoError(t, os.WriteFile(beside, []byte(text), 0o644))
		_, err = Read(file)
		require.ErrorContains(t, err, want, "a page without it would say that it was not measured")
	}
}

func TestSoak(t *testing.T) {
	s := &soak.Result{Workers: 1, Planned: 10 * time.Minute, Took: 10 * time.Minute, Every: time.Second, Applies: 600, Changes: 1234, PacketsPerSecond: 2.5e6,
		ApplyP50: 1500 * time.Microsecond, ApplyMax: 20 * time.Millisecond, Shape: soak.Shape{Tenants: 3, Flows: 12000},
		Totals: sequence.Totals{Made: 1_500_000_000, Arrived: 1_500_000_000}}
	e := &Evidence{Compare: result(t), Soak: s}
	none := Bound{}
	assert.Equal(t, Met, none.Judge(harmed(e)))
	assert.Equal(t, "of 1,500,000,000, while 600 configurations were applied", harmed(e).Note)
	var out bytes.Buffer
	soakSection(&out, e)
	for _, want := range []string{"(2.5 Mpps) for 10m0s", "12,000 streams of 3 tenants", "1,500,000,000 made", "0 lost, 0 reordered", "1.5ms by the median"} {
		assert.Contains(t, out.String(), want)
	}
	assert.NotContains(t, out.String(), "not complete")
	s.Totals.Lost, s.Totals.Reordered = 2, 1
	assert.Equal(t, Missed, none.Judge(harmed(e)))
	s.Partial, s.Took = true, time.Minute
	assert.Equal(t, NotMeasured, none.Judge(harmed(e)), "a short one proves nothing")
	out.Reset()
	soakSection(&out, e)
	assert.Contains(t, out.String(), "**This soak is not complete: it ended after 1m0s of 10m0s.**")
}

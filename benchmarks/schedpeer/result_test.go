package schedpeer

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/result"
)

func TestPrint(t *testing.T) {
	r := &Result{Vports: 1000, Depth: 32, Partial: "interrupted", Standing: Rounds{[]float64{60, 62}, []float64{90, 93}}, Drained: Rounds{[]float64{61}, []float64{178}},
		ClassError: Rounds{[]float64{0.001}, []float64{0.02}}, StandingRatio: []float64{1.5, 1.5}, DrainedRatio: []float64{2.92}}
	var out bytes.Buffer
	r.Print(&out)
	for _, want := range []string{"PARTIAL: interrupted\n1000 vports, 8 classes, packets of 64 bytes; medians of 1 round,", "61.0 (60.0 to 62.0)", "2.92 (2.92 to 2.92)", "worst class off its share, %"} {
		assert.Contains(t, out.String(), want)
	}
	file := filepath.Join(t.TempDir(), FileName)
	require.NoError(t, result.WriteJSON(file, r))
	back, err := ReadJSON(file)
	require.NoError(t, err)
	assert.Equal(t, r.Standing, back.Standing)
}

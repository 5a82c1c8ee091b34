package tcp

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/demo/netlab"
)

func TestParseCPU(t *testing.T) {
	c, err := parseCPU([]byte("4711 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 75 0 0 20 0 1"))
	require.NoError(t, err)
	assert.Equal(t, cpu{2.5, 0.75}, c)
	for _, bad := range []string{"", "1 (x) S 1", "1 (x) S 1 2 3 4 5 6 7 8 9 10 a 75 0", "1 (x) S 1 2 3 4 5 6 7 8 9 10 1 b 0"} {
		_, err := parseCPU([]byte(bad))
		assert.Error(t, err, bad)
	}
}

func TestSummary(t *testing.T) {
	sample := func(name string, round int, gbit, user float64) Sample {
		return Sample{Contender: name, Round: round, BitsPerSecond: gbit * 1e9, Seconds: 2, UserSeconds: user, SystemSeconds: 1, Retransmits: round}
	}
	r := Result{Partial: true, Missing: map[string]string{"x": "not there"}, Samples: []Sample{
		sample(SluiceName, 1, 2, 1), sample(OpenVSwitchName, 1, 1, 1),
		sample(OpenVSwitchName, 2, 1, 2), sample(SluiceName, 2, 2, 2), sample(OpenVSwitchXDPName, 2, 2, 2),
		sample(SluiceName, 3, 4, 1), // its counterpart is missing: interrupted
	}}
	r.summarise()
	require.Len(t, r.Summary, 3)
	assert.Equal(t, measure.Spread{Median: 2e9, Min: 2e9, Max: 4e9, N: 3}, r.Summary[0].BitsPerSecond)
	assert.Equal(t, measure.Spread{Median: 1, Min: 1, Max: 1.5, N: 3}, r.Summary[0].Cores)
	assert.Equal(t, &measure.Spread{Median: 1.5, Min: 1, Max: 2, N: 2}, r.Ratio)
	assert.Equal(t, &measure.Spread{Median: 0.75, Min: 0.5, Max: 1, N: 2}, r.CPURatio)
	text := r.String()
	for _, want := range []string{"x takes no part: not there", "PARTIAL: interrupted, or failed", "2.00 Gbit/s", "ours by the faster Open vSwitch's: 1.50 (1.00 to 2.00)"} {
		assert.Contains(t, text, want)
	}
	file := filepath.Join(t.TempDir(), FileName)
	require.NoError(t, r.WriteJSON(file))
	again, err := ReadJSON(file)
	require.NoError(t, err)
	assert.Equal(t, r.Summary, again.Summary)

	empty := Result{}
	empty.summarise()
	assert.Nil(t, empty.Ratio)
}

func TestRunRefuses(t *testing.T) {
	_, err := Run(context.Background(), Spec{Rounds: 0, Duration: time.Second})
	require.ErrorContains(t, err, "at least one round")
	_, err = Run(context.Background(), Spec{Rounds: 1, Duration: time.Millisecond})
	require.ErrorContains(t, err, "of a second")
	if os.Geteuid() != 0 {
		_, err = Run(context.Background(), Spec{Rounds: 1, Duration: time.Second})
		require.ErrorContains(t, err, "root")
	}
	assert.ErrorContains(t, (&sluice{program: "/nonexistent"}).available(), "make build")
}

// What an earlier run kept, or left when its reaper was killed too, is gone before the next one begins.
func TestSweepRemovesWhatIsLeft(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
	l, err := netlab.Open(Prefix, Dir())
	require.NoError(t, err)
	_, err = l.AddNamespace("host-a")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(l.Path("host-a.yaml"), nil, 0o600))
	require.NoError(t, l.Close())
	require.NoError(t, sweep())
	left, err := netlab.Left(Prefix, Dir())
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestNothingToMeasure(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, which is asked for first")
	}
	t.Setenv("PATH", "")
	r, err := Run(context.Background(), Spec{Sluiced: "/nonexistent", Rounds: 1, Duration: time.Second})
	require.EqualError(t, err, "nothing to measure: nobody can take part")
	assert.Len(t, r.Missing, 3)
	assert.Contains(t, r.String(), OpenVSwitchName+" takes no part: ")
}

package compare

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/jitter"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

// contender plays by a script.
type contender struct {
	name    string
	missing error
	run     func(ctx context.Context, job Job) (measure.Sample, error)
}

func (c *contender) Name() string     { return c.name }
func (c *contender) Available() error { return c.missing }
func (c *contender) Run(ctx context.Context, job Job) (measure.Sample, error) {
	return c.run(ctx, job)
}

func steady(name string, cycles uint64, order *[]string) *contender {
	return &contender{name: name, run: func(_ context.Context, job Job) (s measure.Sample, _ error) {
		*order = append(*order, name)
		s.Set([]measure.Window{{Packets: 1000, Cycles: cycles * 1000, Seconds: job.Window.Seconds()}})
		return s, nil
	}}
}

func options(t *testing.T, progress *bytes.Buffer, contenders ...Contender) (Options, *Result, *int) {
	p, err := profile.Load("nvgre-encap")
	require.NoError(t, err)
	kept := new(int)
	return Options{Plans: []*traffic.Plan{traffic.New(*p)}, Contenders: contenders, Rounds: 3, Job: Job{Windows: 4}, Dir: t.TempDir(),
		Progress: progress, Keep: func(*Result) error { *kept++; return nil },
		Busy: func() func() *measure.Busy { return func() *measure.Busy { return &measure.Busy{Load1: 0.5} } },
	}, NewResult(machine.Manifest{CPU: "a CPU"}), kept
}

func TestContendersTakeTurns(t *testing.T) {
	var order []string
	var progress bytes.Buffer
	gone := &contender{name: "gone", missing: errors.New("it is not installed")}
	o, result, kept := options(t, &progress, steady("a", 100, &order), gone, steady("b", 300, &order))
	require.NoError(t, Run(context.Background(), o, result))
	assert.Equal(t, []string{"a", "b", "b", "a", "a", "b"}, order, "each round begins with another one")
	assert.Equal(t, 7, *kept)
	assert.Empty(t, result.Partial)
	assert.Equal(t, map[string]string{"gone": "it is not installed"}, result.Missing)
	assert.Contains(t, progress.String(), "gone does not take part: it is not installed")
	require.Len(t, result.Scenarios, 1)
	s := result.Scenarios[0]
	assert.Equal(t, []string{"a", "b"}, s.Contenders())
	assert.Len(t, s.Samples("a"), 3)
	assert.InDelta(t, 300, s.Samples("b")[2].CyclesPerPacket, 1e-9)
}

func TestJobsAreComplete(t *testing.T) {
	var progress bytes.Buffer
	var dirs []string
	c := &contender{name: "a", run: func(_ context.Context, job Job) (s measure.Sample, _ error) {
		assert.FileExists(t, job.Files["t1-vm1"])
		assert.DirExists(t, job.Dir)
		assert.Equal(t, 250*time.Millisecond, job.Window)
		dirs = append(dirs, job.Dir)
		s.Jitter = &jitter.Summary{}
		return s, nil
	}}
	o, result, _ := options(t, &progress, c)
	o.Seconds = 1
	require.NoError(t, Run(context.Background(), o, result))
	require.Len(t, dirs, 3)
	assert.NotEqual(t, dirs[0], dirs[1])
}

func TestFailureLeavesTheRest(t *testing.T) {
	var order []string
	var progress bytes.Buffer
	broken := &contender{name: "broken", run: func(context.Context, Job) (s measure.Sample, _ error) {
		return s, errors.New("it does not start")
	}}
	o, result, _ := options(t, &progress, broken, steady("b", 300, &order))
	require.NoError(t, Run(context.Background(), o, result))
	assert.Len(t, order, 3)
	assert.Equal(t, "broken failed in round 3 of nvgre-encap: it does not start", result.Partial)
	assert.Equal(t, []string{"b"}, result.Scenarios[0].Contenders())
	assert.Len(t, result.Scenarios[0].Rounds[0].Failures, 1)
}

func TestInterruptKeepsWhatIsThere(t *testing.T) {
	var order []string
	var progress bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	stops := &contender{name: "b", run: func(ctx context.Context, _ Job) (s measure.Sample, _ error) {
		cancel()
		s.Set([]measure.Window{{Packets: 1, Cycles: 7, Seconds: 1}})
		return s, ctx.Err()
	}}
	o, result, kept := options(t, &progress, steady("a", 100, &order), stops)
	require.ErrorIs(t, Run(ctx, o, result), context.Canceled)
	assert.Equal(t, "interrupted in round 1 of nvgre-encap with 256 flows, at b", result.Partial)
	assert.Equal(t, 2, *kept)
	assert.Len(t, result.Scenarios[0].Samples("b"), 1, "its complete windows are kept")
}

func TestDisturbedSamplesAreTakenAgain(t *testing.T) {
	var progress bytes.Buffer
	waits := []float64{0.5, 0.3, 0.01, 0.4, 0.1, 0.2}
	c := &contender{name: "a", run: func(context.Context, Job) (s measure.Sample, _ error) {
		s.Waited = waits[0]
		waits = waits[1:]
		s.Set([]measure.Window{{Packets: 1, Cycles: 7, Seconds: 1}})
		return s, nil
	}}
	o, result, _ := options(t, &progress, c)
	o.Rounds, o.Retries = 2, 2
	require.NoError(t, Run(context.Background(), o, result))
	assert.Empty(t, waits)
	samples := result.Scenarios[0].Samples("a")
	assert.InDelta(t, 0.01, samples[1].Waited, 1e-9)
	first := samples[1]
	assert.False(t, first.Disturbed())
	assert.InDelta(t, 0.1, samples[2].Waited, 1e-9, "the best of what could be had")
	assert.Contains(t, progress.String(), "DISTURBED: others had the core for 50 % of the time\n    again in")
	assert.Contains(t, progress.String(), "others had the core for 20 %", "also of the last try")
}

func TestRetriesEnd(t *testing.T) {
	var progress bytes.Buffer
	taken := 0
	c := &contender{name: "a", run: func(context.Context, Job) (s measure.Sample, _ error) {
		taken++
		s.Waited = 0.5
		s.Set([]measure.Window{{Packets: 1, Cycles: 7, Seconds: 1}})
		return s, nil
	}}
	o, result, _ := options(t, &progress, c)
	o.Rounds, o.Retries = 80, 3
	require.NoError(t, Run(context.Background(), o, result))
	assert.Equal(t, 80+10, taken, "an eighth of the samples may be taken again")
}

// picky takes part where it makes sense.
type picky struct {
	*contender
	flows int
}

func (p *picky) Takes(pr *profile.Profile) bool { return pr.Flows == p.flows }

func TestContendersSkipScenarios(t *testing.T) {
	var order []string
	var progress bytes.Buffer
	o, result, _ := options(t, &progress, steady("a", 100, &order), &picky{steady("b", 300, &order), 10000})
	many, err := o.Plans[0].Profile.WithFlows(10000)
	require.NoError(t, err)
	o.Plans = append(o.Plans, traffic.New(many))
	require.NoError(t, Run(context.Background(), o, result))
	assert.Equal(t, []string{"a"}, result.Scenarios[0].Contenders())
	assert.Equal(t, []string{"a", "b"}, result.Scenarios[1].Contenders())
	assert.Empty(t, result.Missing, "it is there")
}

func TestEveryFileOfAPartialResultSaysSo(t *testing.T) {
	var order []string
	var progress bytes.Buffer
	o, result, _ := options(t, &progress, steady("a", 100, &order))
	require.NoError(t, Run(context.Background(), o, result))
	result.Partial = "interrupted, in round 2"
	dir := t.TempDir()
	require.NoError(t, result.WriteAll(dir))
	for file, want := range map[string]string{
		ResultFile: `"partial": "interrupted, in round 2"`, ManifestFile: `"partial": "interrupted, in round 2"`, TableFile: `,0,"interrupted, in round 2"`,
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		assert.Contains(t, string(text), want, file)
	}
}

func TestNobodyToCompare(t *testing.T) {
	var progress bytes.Buffer
	o, result, _ := options(t, &progress, &contender{name: "gone", missing: errors.New("no")})
	require.Error(t, Run(context.Background(), o, result))
}

func TestFiles(t *testing.T) {
	var order []string
	var progress bytes.Buffer
	o, result, _ := options(t, &progress, steady("a", 100, &order))
	require.NoError(t, Run(context.Background(), o, result))
	result.Scenarios[0].Rounds[0].Samples[0].Jitter = &jitter.Summary{P50Ns: 12.5}
	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, result.WriteAll(dir))
	again, err := ReadJSON(filepath.Join(dir, ResultFile))
	require.NoError(t, err)
	assert.Equal(t, result.Scenarios, again.Scenarios)
	assert.Equal(t, "a CPU", again.CPU)
	table, err := os.ReadFile(filepath.Join(dir, TableFile))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	require.Len(t, lines, 4)
	assert.Equal(t, strings.Join(csvHeader, ","), lines[0])
	assert.Equal(t, "nvgre-encap,encap,64,256,1,a,100,100,0.004,12.5,0,0,0,0,0,0.5,0,", lines[1])
	assert.Equal(t, "nvgre-encap,encap,64,256,2,a,100,100,0.004,,,,,,0,0.5,0,", lines[2])
	conditions, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	require.NoError(t, err)
	assert.NotContains(t, string(conditions), "partial")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 3, "nothing half-written stays")

	bad := filepath.Join(dir, "bad.json")
	require.NoError(t, os.WriteFile(bad, []byte(`{"other": 1}`), 0o644))
	_, err = ReadJSON(bad)
	require.ErrorContains(t, err, "bad.json")
	_, err = ReadJSON(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

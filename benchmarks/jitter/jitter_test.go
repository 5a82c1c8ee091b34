package jitter

import (
	"math/rand/v2"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRecordCountsAsTheLibraryDoes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	ours, theirs := New(), hdrhistogram.New(1, Longest, 2)
	for range 100_000 {
		v := rnd.Uint64() >> (25 + rnd.IntN(39))
		ours.Record(v)
		require.NoError(t, theirs.RecordValue(int64(v)))
	}
	require.Equal(t, theirs.Export().Counts, ours.Counts)
	ours.Reset()
	require.Equal(t, New(), ours)
	ours.Record(1 << 63) // longer than anything that is measured: kept, in the last bucket
	require.EqualValues(t, 1, ours.Counts[len(ours.Counts)-1])
}

func TestSummary(t *testing.T) {
	const hz = 1e9
	l := New()
	for range 99_990 {
		l.Record(1000) // 1 µs
	}
	for range 8 {
		l.Record(100_000)
	}
	l.Record(2_000_000) // 2 ms
	l.Record(5_000_000)
	s := l.Summary(hz).WithCollections(3)
	assert.EqualValues(t, 100_000, s.Turns)
	assert.InEpsilon(t, 1000, s.P50Ns, 0.01)
	assert.InEpsilon(t, 1000, s.P99Ns, 0.01)
	assert.InEpsilon(t, 1000, s.P9999Ns, 0.01)
	assert.InEpsilon(t, 5e6, s.MaxNs, 0.01)
	assert.EqualValues(t, 2, s.Gaps)
	seconds := 0.09999 + 0.0008 + 0.007
	assert.InEpsilon(t, seconds, s.Seconds, 0.01)
	assert.InEpsilon(t, 0.0078/seconds, s.LostShare, 0.01)
	assert.InEpsilon(t, 2/seconds*60, s.GapsPerMinute, 0.01)
	assert.InEpsilon(t, 3/seconds*60, s.CollectionsPerMin, 0.01)
	assert.Zero(t, New().Summary(hz).WithCollections(0))
}

func BenchmarkRecord(b *testing.B) {
	l := New()
	for i := range b.N {
		l.Record(uint64(2000 + i&1023))
	}
}

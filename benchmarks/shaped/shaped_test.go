package shaped

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var epoch = time.Now()

func nanoseconds() uint64 { return uint64(time.Since(epoch)) }

func spec(mode Mode, vports, depth, row int) Spec {
	return Spec{Vports: vports, Depth: depth, Row: row, Mode: mode, Core: -1, Clock: nanoseconds, Packets: 10_000,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func TestEveryModeRuns(t *testing.T) {
	for _, mode := range Modes {
		b, err := New(t.Context(), spec(mode, 100, 2, 4))
		require.NoError(t, err, mode)
		for range 2 {
			cost, err := b.Run(t.Context())
			require.NoError(t, err, mode)
			assert.Positive(t, cost.Worker)
			assert.Positive(t, cost.Poll)
			if b.queued() {
				assert.InDelta(t, 2, cost.Waiting, 1, mode)
			}
		}
		require.NoError(t, b.Close())
	}
}

// Queues that do not keep what they are sent are given up, and those that fill slowly are not.
func TestFillGivesUp(t *testing.T) {
	const queues = fillMost / 16
	held, sent := uint64(0), 0
	for _, tt := range []struct {
		what     string
		keeps    uint64
		every    int
		attempts int
		err      error
	}{{"all", 10 * queues, 1, 10, nil}, {"slowly", 10 * queues, 16, 10 * 16, nil}, {"half", 5 * queues, 1, 5 + 16, ErrLost}, {"none", 0, 1, 16, ErrLost}} {
		held, sent = 0, 0
		err := fill(10*queues, queues, func() uint64 { return held }, func(packets uint64) error {
			if sent++; sent%tt.every == 0 {
				held = min(held+packets, tt.keeps)
			}
			return nil
		})
		require.ErrorIs(t, err, tt.err, tt.what)
		assert.Equal(t, tt.attempts, sent, tt.what)
	}
	refused := errors.New("no")
	assert.ErrorIs(t, fill(1, 1, func() uint64 { return 0 }, func(uint64) error { return refused }), refused)
}

// BenchmarkWorker reports nanoseconds of the worker for each packet, outside of the poll.
func BenchmarkWorker(b *testing.B) {
	for _, vports := range []int{1000, 10_000} {
		for _, row := range []int{1, 8, 32} {
			for _, mode := range Modes {
				b.Run(fmt.Sprintf("vports=%d/row=%d/%s", vports, row, mode), func(b *testing.B) {
					s := spec(mode, vports, maxDepth, row)
					s.Packets = uint64(max(b.N, 1000))
					bench, err := New(b.Context(), s)
					require.NoError(b, err)
					b.ResetTimer()
					cost, err := bench.Run(b.Context())
					b.StopTimer()
					require.NoError(b, err)
					b.ReportMetric(cost.Worker, "worker-ns/packet")
					b.ReportMetric(cost.Poll, "poll-ns/packet")
					b.ReportMetric(cost.Waiting, "waiting")
					require.NoError(b, bench.Close())
				})
			}
		}
	}
}

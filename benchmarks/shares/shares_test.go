package shares

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/result"
)

const small = `name: small
description: two classes and a strict one
duration: 600ms
link: 1100Mbit
uplink:
  rate: 1Gbit
  classes:
    - {tc: 7, name: control, strict: true, max: 100Mbit}
    - {tc: 1, name: much, share: 75%}
    - {tc: 0, name: little, share: 25%}
vports:
  - {name: vm, count: 2, qos: {min: 200Mbit}}
  - {name: other, qos: {min: 400Mbit}}
streams:
  - {name: control, vports: other, dscp: cs7, frameBytes: 200, rate: 2x}
  - {name: much, vports: vm, dscp: cs1, frameBytes: 1000, rate: 2x, changes: [{at: 300ms, rate: off}]}
  - {name: little, vports: other, frameBytes: 1400, rate: 5x}
`

func parse(t *testing.T, text string) *profile.Shares {
	p, err := profile.ParseShares("test.yaml", []byte(text))
	require.NoError(t, err)
	return p
}

func TestSharesAreKept(t *testing.T) {
	p := parse(t, small)
	r, err := Run(t.Context(), Spec{Profile: p, Core: -1})
	require.NoError(t, err)
	require.Empty(t, r.Partial)
	require.Len(t, r.Variants, 1)
	v := &r.Variants[0]
	assert.Equal(t, 600*time.Millisecond, v.Took)
	assert.Zero(t, v.Reordered)
	assert.Zero(t, v.Missing)
	assert.Zero(t, v.Outside)
	assert.Equal(t, 4*4, v.Windows, "0.3 to 0.5 s belong to the change")
	assert.Positive(t, v.Drops["queue-full"])
	assert.InDelta(t, 1, v.LinkShare, 0.002)
	want := map[string]float64{"control": 100, "much": 675 / 2, "little": (225 + 900) / 2} // Mbit/s in the mean
	for i := range v.Streams {
		s := &v.Streams[i]
		assert.InDelta(t, 0, s.Error(), 0.01, s.Name)
		assert.InEpsilon(t, want[s.Name], v.Mbit(s.Measured), 0.05, "%s, with what waited at the change", s.Name)
		assert.Len(t, s.Series, 60)
	}
	assert.Equal(t, "strict, max 100Mbit, min 400Mbit", v.Streams[0].Configured)
	assert.Equal(t, "share 75%, min 200Mbit", v.Streams[1].Configured)
	assert.Zero(t, v.Streams[1].Series[59])

	again, err := Run(t.Context(), Spec{Profile: p, Core: -1})
	require.NoError(t, err)
	assert.Equal(t, v.Streams, again.Variants[0].Streams, "the clock is the run's own: a run is the same whatever the machine does")

	file := filepath.Join(t.TempDir(), FileName(r.Profile))
	require.NoError(t, result.WriteJSON(file, r))
	back, err := ReadJSON(file)
	require.NoError(t, err)
	assert.Equal(t, v.Streams[0].Series, back.Variants[0].Streams[0].Series)

	var out bytes.Buffer
	r.Print(&out)
	assert.Contains(t, out.String(), "small: two classes and a strict one\n")
	assert.Contains(t, out.String(), "0 reordered, 0 missing; dropped: ")
	rows := strings.Split(strings.TrimSpace(string(r.CSV())), "\n")
	assert.Len(t, rows, 1+3*60)
	assert.Equal(t, "variant,stream,ms,measuredMbit,idealMbit", rows[0])
	assert.True(t, strings.HasPrefix(rows[1], "all,control,0,100."), rows[1])
}

// A stream may be told by its tag, or by its ports, and be sent as TCP.
func TestClassesByTagAndPort(t *testing.T) {
	text := strings.NewReplacer("dscp: cs1, ", "pcp: 1, protocol: tcp, port: 3260, ", "streams:", "classification:\n  rules: [{name: tags, match: {vport: vm-2}, trust: pcp}]\n  builtIn: [{name: iscsi, tc: 1}]\nstreams:").Replace(small)
	text = strings.Replace(text, "dscp: cs7, ", "", 1)
	r, err := Run(t.Context(), Spec{Profile: parse(t, text), Core: -1})
	require.NoError(t, err)
	v := &r.Variants[0]
	assert.Equal(t, "share 25%, min 400Mbit", v.Streams[0].Configured, "nothing puts it into the class of control")
	assert.Equal(t, "share 75%, min 200Mbit", v.Streams[1].Configured)
	assert.InDelta(t, 0, v.Streams[1].Error(), 0.01)
}

func TestInterruptedRunKeepsWhatThereIs(t *testing.T) {
	text := strings.Replace(small, "streams:", "variants: [{name: first}, {name: second}, {name: third}]\nstreams:", 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := Run(ctx, Spec{Profile: parse(t, text), Core: -1, Progress: func(variant string) {
		if variant == "second" {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.NotEmpty(t, r.Variants)
	assert.Equal(t, "first", r.Variants[0].Name)
	assert.Equal(t, "interrupted in variant second, 2 of 3", r.Partial)
	var out bytes.Buffer
	r.Print(&out)
	assert.True(t, strings.HasPrefix(out.String(), "PARTIAL: interrupted in variant second, 2 of 3\n"), out.String())
}

// What was measured of a variant until then is kept, and compared with as much of the ideal.
func TestInterruptedVariant(t *testing.T) {
	p := parse(t, strings.Replace(small, "duration: 600ms", "duration: 1m", 1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := &bench{Spec: &Spec{Profile: p, Core: -1}, variant: &p.Variants[0], streams: p.Streams}
	require.NoError(t, b.prepare())
	defer func() { b.poller.pool.close() }()
	require.NoError(t, b.start())
	defer func() { b.sw.Close() }()
	require.NoError(t, b.introduce(ctx))
	b.poller.stopAt = int64(300 * time.Millisecond)
	b.poller.onStop = cancel
	v, err := b.measure(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.GreaterOrEqual(t, v.Took, 300*time.Millisecond)
	assert.Less(t, v.Took, time.Minute)
	assert.Zero(t, v.Missing)
	for i := range v.Streams {
		assert.InDelta(t, 0, v.Streams[i].Error(), 0.02, v.Streams[i].Name)
	}
}

// A phase that ends just when another is asked for does not take that wish away: an interrupted run would wait for ever.
func TestPhaseThatEndsKeepsTheNextWish(t *testing.T) {
	p := &poller{phase: running, reached: make(chan uint32, 4)}
	p.ask.Store(emptying)
	p.leave()
	assert.Equal(t, running, <-p.reached)
	assert.Equal(t, emptying, p.ask.Load())
	p.phase = emptying
	p.leave()
	assert.Equal(t, emptying, <-p.reached)
	assert.Equal(t, resting, p.ask.Load(), "nothing else is asked for")
}

func TestTooMuchIsRefused(t *testing.T) {
	text := strings.NewReplacer("1Gbit", "100Gbit", "1100Mbit", "200Gbit", "frameBytes: 1000, rate: 2x", "frameBytes: 60, rate: 100x").Replace(small)
	r, err := Run(t.Context(), Spec{Profile: parse(t, text), Core: -1})
	require.ErrorIs(t, err, ErrSlow)
	assert.ErrorContains(t, err, "million packets a second (use larger frames, or lower rates)")
	assert.Contains(t, r.Partial, "variant all: ")
}

// Senders that heed marks keep the queue short at the same rate.
func TestMarksKeepTheQueueShort(t *testing.T) {
	p, err := profile.LoadShares("qos-incast")
	require.NoError(t, err)
	p.Duration = 500 * time.Millisecond
	r, err := Run(t.Context(), Spec{Profile: p, Core: -1})
	require.NoError(t, err)
	dctcp, reno, tail := &r.Variants[0], &r.Variants[1], &r.Variants[2]
	for _, v := range r.Variants {
		assert.InDelta(t, 1, v.LinkShare, 0.01, v.Name)
		assert.True(t, v.Controlled)
		assert.Zero(t, v.Reordered)
	}
	assert.Less(t, float64(dctcp.Depth.P99), 0.7*float64(tail.Depth.P99))
	assert.Less(t, float64(reno.Depth.P50), 0.5*float64(tail.Depth.P50))
	assert.Positive(t, dctcp.Streams[0].Marked)
	assert.Zero(t, tail.Streams[0].Marked)
	assert.Positive(t, tail.Streams[0].Dropped)
}

func TestWindow(t *testing.T) {
	w := &window{}
	w.begin(&profile.Stream{Control: profile.ControlReno, RTT: time.Millisecond}, 0)
	assert.True(t, w.silent(0))
	w.restart(0)
	assert.InDelta(t, firstWindow, w.size, 1e-9)
	w.flight = 20
	for seq := range uint32(10) {
		w.acknowledge(seq, false, 1, 20)
	}
	assert.InDelta(t, 20, w.size, 1e-9, "slow start")
	w.acknowledge(12, false, 1, 20) // 10 and 11 are lost
	assert.InDelta(t, 10, w.size, 1e-9)
	assert.Equal(t, 7, w.flight)
	w.acknowledge(14, true, 1, 22)
	assert.InDelta(t, 10, w.size, 1e-9, "once for all that was on its way")
	w.acknowledge(20, false, 1, 30)
	assert.InDelta(t, 5, w.size, 1e-9, "lost again")
	w.acknowledge(30, true, 1, 40)
	assert.InDelta(t, 2.5, w.size, 1e-9)
	w.restart(40)
	assert.InDelta(t, smallest, w.size, 1e-9)
	assert.Zero(t, w.flight)
	w.acknowledge(39, false, 1, 40)
	assert.EqualValues(t, 40, w.expected, "it was taken for lost")

	w.begin(&profile.Stream{Control: profile.ControlDCTCP, RTT: time.Millisecond}, 0)
	w.size, w.alpha, w.flight = 100, 0.5, 100
	w.acknowledge(0, true, 1, 100)
	assert.InDelta(t, 75, w.size, 1e-9, "by half the share that is marked")
	assert.InDelta(t, 0.5+dctcpGain*0.5, w.alpha, 1e-9)
}

func TestSeriesRefusesWords(t *testing.T) {
	var s Series
	require.NoError(t, s.UnmarshalText([]byte("1 2 3")))
	assert.Equal(t, Series{1, 2, 3}, s)
	assert.Error(t, s.UnmarshalText([]byte("1 two")))
	assert.NotErrorIs(t, s.UnmarshalText(nil), errors.ErrUnsupported)
}

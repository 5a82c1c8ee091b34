package memcpy

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func spec() Spec {
	start := time.Now()
	return Spec{Block: 1400, Stride: 2048, Sources: 16, Targets: 8, Core: -1, Windows: 3, Window: time.Millisecond,
		Clock: func() uint64 { return uint64(time.Since(start)) }}
}

func TestRunCopies(t *testing.T) {
	sample, err := Run(context.Background(), spec())
	require.NoError(t, err)
	require.Len(t, sample.Windows, 3)
	assert.Positive(t, sample.MPPS)
	assert.InDelta(t, sample.MPPS*1e6*1400, sample.Detail["bytesPerSecond"], 1)
}

func TestEveryBlockIsCopied(t *testing.T) {
	c := copier{from: make([]byte, 4*2048), to: make([]byte, 4*2048), stride: 2048, block: 1400}
	for i := range c.from {
		c.from[i] = byte(i/2048 + 1)
	}
	c.copy()
	for i := range 4 {
		assert.Equal(t, c.from[i*2048:i*2048+1400], c.to[i*2048:i*2048+1400])
		assert.Zero(t, c.to[i*2048+1400])
	}
}

func TestRunRefusesAndEnds(t *testing.T) {
	s := spec()
	s.Stride = 100
	_, err := Run(context.Background(), s)
	require.ErrorIs(t, err, errSpec)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = Run(ctx, spec())
	require.ErrorIs(t, err, context.Canceled)
}

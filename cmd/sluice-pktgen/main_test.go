package main

import (
	"bytes"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// timeout(1) sends its signal to the process, and again to its group: the second one must not end it.
func TestSignalsAtOnceAreOne(t *testing.T) {
	defer signal.Reset(syscall.SIGINT, syscall.SIGTERM)
	seen := make(chan os.Signal, 2)
	signal.Notify(seen, syscall.SIGINT)
	var said bytes.Buffer
	both := make(chan struct{})
	defer close(both)
	ctx := interruptible(&said, func() { <-both; select {} })
	require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGINT))
	<-seen
	<-ctx.Done()
	require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGINT))
	<-seen
	require.Error(t, ctx.Err())
	assert.Contains(t, said.String(), "a second Ctrl-C quits at once")
}

func TestReaperKnowsItsLabs(t *testing.T) {
	code, _, err := here("reap", "mine-")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, err, "no namespaces called mine-*")
	_, help, _ := here("--help")
	assert.NotContains(t, help, "reap")
}

func TestFloodRefuses(t *testing.T) {
	for _, share := range []string{"500", "0", "-1", "101"} {
		code, _, err := here("flood", "--share", share)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, err, "--share "+share+": choose 1 to 100\n")
	}
	code, _, err := here("flood", "--rounds", "0")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, err, "at least one round")
}

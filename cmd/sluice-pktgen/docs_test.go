package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var documentedCommand = regexp.MustCompile(`(?m)^[^#\n]*\bbin/sluice-pktgen ([^#\n|&;]*)`)

// Commands in the documents have flags that exist, and name profiles that exist.
func TestDocumentedCommandsExist(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	more, err := filepath.Glob("../../*.md")
	require.NoError(t, err)
	found := 0
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			for _, line := range documentedCommand.FindAllStringSubmatch(block[1], -1) {
				found++
				checkCommand(t, file, strings.Fields(line[1]))
			}
		}
	}
	assert.Positive(t, found)
}

func checkCommand(t *testing.T, file string, args []string) {
	root := (&app{out: io.Discard, err: io.Discard}).root()
	cmd, rest, err := root.Find(args)
	if !assert.NoError(t, err, "%s: %v", file, args) || !assert.NotSame(t, root, cmd, "%s: %v: no such command", file, args) {
		return
	}
	assert.NoError(t, cmd.ParseFlags(rest), "%s: %v", file, args)
	if f := cmd.Flags().Lookup("profile"); f != nil && f.Changed && !strings.ContainsAny(f.Value.String(), "/$") {
		names := []string{f.Value.String()}
		if list, err := cmd.Flags().GetStringSlice("profile"); err == nil {
			names = list
		}
		for _, name := range names {
			_, err := describeProfile(name)
			assert.NoError(t, err, "%s: %v", file, args)
		}
	}
}

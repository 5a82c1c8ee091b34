package policy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoadSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "host.yaml")
	require.NoError(t, os.WriteFile(file, []byte("host: {name: a}\ndaemon: {socket: /run/file.sock, logLevel: warn, metrics: off}\n"), 0o600))
	tests := []struct {
		name  string
		file  string
		env   map[string]string
		flags []string
		want  Settings
	}{
		{"defaults", "", nil, nil, Settings{"/run/sluice/sluiced.sock", "127.0.0.1:9464", "info", "text"}},
		{"file", file, nil, nil, Settings{"/run/file.sock", MetricsOff, "warn", "text"}},
		{"environment before file", file, map[string]string{"SLUICE_DAEMON_SOCKET": "/run/env.sock", "SLUICE_DAEMON_LOGLEVEL": "error", "SLUICE_DAEMON_LOGFORMAT": "json"},
			nil, Settings{"/run/env.sock", MetricsOff, "error", "json"}},
		{"flags before environment", file, map[string]string{"SLUICE_DAEMON_SOCKET": "/run/env.sock", "SLUICE_DAEMON_METRICS": ":9000"},
			[]string{"--socket=/run/flag.sock", "--log-level=debug"}, Settings{"/run/flag.sock", ":9000", "debug", "text"}},
		{"a flag that was not given says nothing", file, nil, []string{"--log-level=debug"}, Settings{"/run/file.sock", MetricsOff, "debug", "text"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			flags := pflag.NewFlagSet("sluiced", pflag.ContinueOnError)
			flags.String("socket", "/the/flag/default", "")
			flags.String("log-level", "info", "")
			require.NoError(t, flags.Parse(tt.flags))
			got, err := LoadSettings(tt.file, flags)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
	got, err := LoadSettings(file, nil)
	require.NoError(t, err)
	assert.Equal(t, "/run/file.sock", got.Socket)
}

func TestLoadSettingsRefuses(t *testing.T) {
	t.Run("bad environment", func(t *testing.T) {
		t.Setenv("SLUICE_DAEMON_LOGLEVEL", "loud")
		_, err := LoadSettings("", nil)
		assert.EqualError(t, err, `--log-level or SLUICE_DAEMON_LOGLEVEL is "loud" (use debug, info, warn or error)`)
	})
	t.Run("relative socket", func(t *testing.T) {
		t.Setenv("SLUICE_DAEMON_SOCKET", "sluiced.sock")
		_, err := LoadSettings("", nil)
		assert.EqualError(t, err, `--socket or SLUICE_DAEMON_SOCKET is "sluiced.sock", not an absolute path (write for example /run/sluice/sluiced.sock)`)
	})
	t.Run("no file", func(t *testing.T) {
		_, err := LoadSettings(filepath.Join(t.TempDir(), "none.yaml"), nil)
		assert.ErrorIs(t, err, os.ErrNotExist)
	})
	t.Run("bad file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "bad.yaml")
		require.NoError(t, os.WriteFile(file, []byte("host: {name: a}\ndaemon: {sokcet: /x}\n"), 0o600))
		_, err := LoadSettings(file, nil)
		assert.EqualError(t, err, file+`:2: daemon: unknown key "sokcet" (did you mean socket?)`)
	})
}

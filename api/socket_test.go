package api

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// staleSocket leaves what a killed daemon leaves: a socket file that nobody listens on.
func staleSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	require.FileExists(t, path)
}

func TestListenReplacesAStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "sluiced.sock") // the folder does not exist yet
	l, err := Listen(path)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	assert.NoFileExists(t, path, "a clean end leaves nothing")

	staleSocket(t, path)
	l, err = Listen(path)
	require.NoError(t, err, "a killed daemon's socket is replaced")
	defer l.Close()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o660), info.Mode().Perm())
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, left, 1, "no staging or lock file stays")
}

func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(plain, nil, 0o644))
	living := filepath.Join(dir, "living.sock")
	l, err := Listen(living)
	require.NoError(t, err)
	defer l.Close()

	tests := map[string]struct{ path, says, remedy string }{
		"a living daemon":  {living, "sluiced is already running (socket " + living + " answers)", "stop it first"},
		"a file":           {plain, "no socket", "remove it"},
		"a long path":      {filepath.Join(dir, strings.Repeat("x", 108)), "at most", "shorter"},
		"a file as folder": {filepath.Join(plain, "s.sock"), "make its folder", "choose a folder"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Listen(tt.path)
			require.Error(t, err)
			assert.ErrorContains(t, err, tt.path)
			assert.ErrorContains(t, err, tt.says)
			assert.ErrorContains(t, err, tt.remedy)
		})
	}
	_, err = Listen(living)
	assert.ErrorIs(t, err, ErrAlreadyRunning)
}

func TestListenStartedTwiceAtOnce(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "s.sock")
		staleSocket(t, path)
		var wg sync.WaitGroup
		won := make(chan net.Listener, 2)
		for range 2 {
			wg.Go(func() {
				if l, err := Listen(path); err == nil {
					won <- l
				} else {
					assert.ErrorIs(t, err, ErrAlreadyRunning)
				}
			})
		}
		wg.Wait()
		close(won)
		require.Len(t, won, 1)
		assert.NoError(t, (<-won).Close())
	}
}

func TestCloseLeavesASuccessorsSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	first, err := Listen(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path)) // someone tidies up under a running daemon and starts a second
	second, err := Listen(path)
	require.NoError(t, err)
	require.NoError(t, first.Close())
	assert.FileExists(t, path)
	require.NoError(t, second.Close())
	assert.NoFileExists(t, path)
}

func TestUnreachableSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale.sock")
	staleSocket(t, stale)
	plain := filepath.Join(dir, "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o644))

	tests := map[string]struct{ path, says, remedy string }{
		"absent": {filepath.Join(dir, "none.sock"), "does not exist", "start the daemon"},
		"stale":  {stale, "ended without cleaning up", "start it again"},
		"file":   {plain, "it is not a socket", "name the daemon's socket"},
		"folder": {dir, "it is not a socket", "name the daemon's socket"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Dial(tt.path).GetVersion(context.Background(), nil)
			var down *UnreachableError
			require.ErrorAs(t, err, &down)
			assert.Equal(t, tt.path, down.Socket)
			assert.ErrorContains(t, err, tt.says)
			assert.ErrorContains(t, err, tt.remedy)
		})
	}
}

// TestPermissionDenied connects as another user: the thread gives up root's right to open everything.
func TestPermissionDenied(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a socket that it is then not permitted to open")
	}
	dir, err := os.MkdirTemp("", "sluice-api")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, "s.sock")
	l, err := Listen(path)
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, os.Chmod(path, 0o600)) // the thread below keeps root's groups

	dialed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := syscall.Setfsuid(65534); err != nil {
			dialed <- err
			return
		}
		_, err := net.Dial("unix", path)
		dialed <- err
	}()
	err = unreachable(path, <-dialed)
	assert.ErrorContains(t, err, "permission denied: it is open to user root and group")
	assert.ErrorContains(t, err, "mode 0600")
	assert.ErrorContains(t, err, "run the command as root (sudo)")
	assert.NotContains(t, err.Error(), "usermod", "group root is not to be joined")
}

// TestGroupToJoin suggests only a group that exists and that the socket is open to.
func TestGroupToJoin(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another group")
	}
	const daemonGroup, nobodysGroup = 1, 4_000_123
	path := filepath.Join(t.TempDir(), "s.sock")
	staleSocket(t, path)
	for _, tt := range []struct {
		gid  int
		mode os.FileMode
		want string
	}{
		{0, 0o660, ""},
		{daemonGroup, 0o660, groupName(daemonGroup)},
		{daemonGroup, 0o600, ""},
		{nobodysGroup, 0o660, ""},
	} {
		require.NoError(t, os.Chown(path, 0, tt.gid))
		require.NoError(t, os.Chmod(path, tt.mode))
		assert.Equal(t, tt.want, socketGroup(path), tt)
	}
	assert.Contains(t, remedyForDenied("sluice"), "usermod -aG sluice")
	assert.NotContains(t, remedyForDenied(""), "group")
}

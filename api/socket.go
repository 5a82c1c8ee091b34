// Package api is the way between the daemon and its front ends: the generated Connect service in sluice/v1, and here the
// unix socket that it is served on. A client gets errors that say who may talk to the daemon and what to do.
package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// DefaultSocket is where sluiced listens unless its configuration says otherwise.
const DefaultSocket = "/run/sluice/sluiced.sock"

// Group owns the socket when the system has a group of this name: its members may use the command line without being
// root.
const Group = "sluice"

// maxSocketPath is what fits into the kernel's sockaddr_un with its closing zero byte.
const maxSocketPath = 107

// staging is the suffix of the name under which a socket is prepared before it appears with its final mode and owner.
const staging = ".new"

const probeTimeout = 2 * time.Second

// ErrAlreadyRunning is what Listen fails with when a daemon answers at the socket.
var ErrAlreadyRunning = errors.New("sluiced is already running")

// Listen opens the control socket with mode 0660. A socket file that nobody listens on any more, left by a daemon that
// was killed, is replaced; a living one is left alone and gives ErrAlreadyRunning. Closing the listener removes the file.
func Listen(socket string) (net.Listener, error) {
	if n := len(socket) + len(staging); n > maxSocketPath {
		return nil, fmt.Errorf("socket %s: the path is %d bytes long, the kernel takes at most %d; choose a shorter one",
			socket, len(socket), maxSocketPath-len(staging))
	}
	dir := filepath.Dir(socket)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("socket %s: make its folder: %w; choose a folder that sluiced may write to, or run it as root", socket, err)
	}
	unlock, err := lockFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("socket %s: lock its folder: %w", socket, err)
	}
	defer unlock()
	if err := probe(socket); err != nil {
		return nil, err
	}
	return listen(socket)
}

// lockFolder makes two daemons that start at the same moment take turns at probing and replacing the socket. The lock
// is of the folder, so that no file is left behind, and the kernel drops it with the process.
func lockFolder(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// probe finds out whether the path may be (re)used: absent or a stale socket.
func probe(socket string) error {
	info, err := os.Lstat(socket)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("socket %s: %w", socket, err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("socket %s: a file that is no socket has this name; remove it or choose another path", socket)
	}
	conn, err := net.DialTimeout("unix", socket, probeTimeout)
	switch {
	case err == nil:
		_ = conn.Close()
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("socket %s: it exists and may not be opened by this user: %w; run sluiced as root or choose another path", socket, err)
	case isTimeout(err): // a full backlog: somebody listens but is busy
	default:
		return fmt.Errorf("socket %s: find out who listens there: %w", socket, err)
	}
	return fmt.Errorf("%w (socket %s answers); stop it first, or give this one another socket", ErrAlreadyRunning, socket)
}

// listen binds under a staging name and renames, so that nobody can connect before mode and owner are right.
func listen(socket string) (net.Listener, error) {
	tmp := socket + staging
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("socket %s: remove a left-over %s: %w", socket, tmp, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w; run sluiced as root or choose a folder it may write to", socket, err)
	}
	l.SetUnlinkOnClose(false)
	if err := publish(tmp, socket); err != nil {
		_ = l.Close()
		_ = os.Remove(tmp)
		return nil, fmt.Errorf("socket %s: %w", socket, err)
	}
	own, err := os.Lstat(socket)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("socket %s: %w", socket, err)
	}
	return &listener{UnixListener: l, path: socket, own: own}, nil
}

func publish(tmp, socket string) error {
	if gid, ok := groupID(Group); ok && os.Geteuid() == 0 {
		if err := os.Chown(tmp, -1, gid); err != nil {
			return err
		}
	}
	if err := os.Chmod(tmp, 0o660); err != nil {
		return err
	}
	return os.Rename(tmp, socket)
}

func groupID(name string) (int, bool) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, false
	}
	id, err := strconv.Atoi(g.Gid)
	return id, err == nil
}

// listener removes its socket file on Close, unless another one has taken the name meanwhile.
type listener struct {
	*net.UnixListener
	path string
	own  fs.FileInfo
}

func (l *listener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.own) {
		_ = os.Remove(l.path)
	}
	return l.UnixListener.Close()
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout() || errors.Is(err, syscall.EAGAIN)
}

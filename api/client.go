package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"connectrpc.com/connect"

	"github.com/sluicenet/sluice/api/sluice/v1/sluicev1connect"
)

// UnreachableError says that no daemon could be asked, why, and what to do about it.
type UnreachableError struct {
	Socket string
	What   string
	Remedy string
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("sluiced cannot be reached at %s: %s; %s", e.Socket, e.What, e.Remedy)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Dial returns a client of the daemon at a unix socket. It connects with the first call; calls fail with an
// *UnreachableError when there is nobody to ask.
func Dial(socket string) sluicev1connect.SluiceServiceClient {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
			if err != nil {
				return nil, unreachable(socket, err)
			}
			return conn, nil
		},
		DisableCompression: true,
	}
	explain := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			resp, err := next(ctx, req)
			return resp, explainCall(ctx, socket, err)
		}
	})
	// The host name is never resolved; it only has to make a valid URL.
	return sluicev1connect.NewSluiceServiceClient(&http.Client{Transport: transport}, "http://sluiced",
		connect.WithInterceptors(explain))
}

// explainCall turns failures of the transport into an UnreachableError and leaves the daemon's own answers alone.
func explainCall(ctx context.Context, socket string, err error) error {
	var down *UnreachableError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &down):
		return down
	case connect.CodeOf(err) == connect.CodeDeadlineExceeded: // whoever noticed first, we or the daemon
		return &UnreachableError{Socket: socket, Err: err,
			What:   "it did not answer in time",
			Remedy: "look at its log (journalctl -u sluiced), or wait longer with --timeout"}
	case connect.IsWireError(err):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case connect.CodeOf(err) == connect.CodeUnavailable:
		return &UnreachableError{Socket: socket, Err: err,
			What:   "the connection broke during the call",
			Remedy: "the daemon ended or restarted: look at its log (journalctl -u sluiced) and try again"}
	}
	return err
}

func unreachable(socket string, err error) error {
	e := &UnreachableError{Socket: socket, Err: err}
	info, statErr := os.Stat(socket)
	switch {
	case statErr == nil && info.Mode()&fs.ModeSocket == 0: // the kernel refuses connections to it as to a stale socket
		e.What = "it is not a socket"
		e.Remedy = "name the daemon's socket with --socket or SLUICE_SOCKET"
	case errors.Is(err, fs.ErrNotExist):
		e.What = "the socket does not exist"
		e.Remedy = "start the daemon (systemctl start sluiced), or name its socket with --socket or SLUICE_SOCKET"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.What = "nobody listens on the socket: the daemon was ended without cleaning up"
		e.Remedy = "start it again (systemctl start sluiced); it replaces the left-over socket itself"
	case errors.Is(err, fs.ErrPermission):
		e.What = "permission denied: " + whoMay(socket)
		e.Remedy = remedyForDenied(socketGroup(socket))
	case errors.Is(err, syscall.ENOTSOCK), errors.Is(err, syscall.EPROTOTYPE):
		e.What = "this is no stream socket"
		e.Remedy = "name the daemon's socket with --socket or SLUICE_SOCKET"
	case isTimeout(err):
		e.What = "its queue of callers is full or the time is up"
		e.Remedy = "look at the daemon's log (journalctl -u sluiced) and try again"
	default:
		e.What = err.Error()
		e.Remedy = "name the daemon's socket with --socket or SLUICE_SOCKET"
	}
	return e
}

// whoMay names the user and group that the socket is open to.
func whoMay(socket string) string {
	uid, gid, mode, ok := owner(socket)
	if !ok {
		return "its folder is closed to this user"
	}
	name := strconv.Itoa(uid)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return fmt.Sprintf("it is open to user %s and group %s (mode %04o)", name, groupName(gid), mode.Perm())
}

// remedyForDenied says how to get at a socket; group is the one to join, empty when there is none.
func remedyForDenied(group string) string {
	if group == "" {
		return "run the command as root (sudo)"
	}
	return fmt.Sprintf("run the command as root (sudo), or join the group: sudo usermod -aG %s %s, then log in again", group, userName())
}

// socketGroup is the group whose members may use the socket, unless that is root's; empty without one.
func socketGroup(socket string) string {
	const groupMayUse = 0o060
	_, gid, mode, ok := owner(socket)
	switch {
	case !ok: // the folder hides it: the daemon gives its socket to this group when there is one
		if _, exists := groupID(Group); exists {
			return Group
		}
		return ""
	case gid == 0 || mode.Perm()&groupMayUse != groupMayUse:
		return ""
	}
	if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
		return g.Name
	}
	return ""
}

func owner(path string) (uid, gid int, mode fs.FileMode, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, 0, 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, 0, false
	}
	return int(st.Uid), int(st.Gid), info.Mode(), true
}

func groupName(gid int) string {
	id := strconv.Itoa(gid)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "USER"
}

package dpdk

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func namespacePath(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return filepath.Join("/run/netns", name)
}

// namespaceID tells namespaces apart, whatever names lead to them, while they live.
type namespaceID struct{ dev, ino uint64 }

func identify(fd int) (namespaceID, error) {
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return namespaceID{}, err
	}
	return namespaceID{s.Dev, s.Ino}, nil
}

// leadsTo reports whether the name still leads to the namespace that had this identity.
func (id namespaceID) leadsTo(name string) bool {
	var s unix.Stat_t
	err := unix.Stat(namespacePath(name), &s)
	return err == nil && id == namespaceID{s.Dev, s.Ino}
}

// openNamespace opens a network namespace by its name under /run/netns or by a path. The caller closes it.
func openNamespace(name string) (fd int, err error) {
	path := namespacePath(name)
	fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, syscall.ENOENT):
		return -1, fmt.Errorf("network namespace %s: %w (%s): `ip netns add %s` makes it, `ip netns` lists them", name, ErrNoNamespace, path, name)
	case err != nil:
		return -1, fmt.Errorf("network namespace %s: open %s: %w", name, path, err)
	}
	return fd, nil
}

// inNamespace runs f on a thread that is in the network namespace. The thread goes back afterwards; if it cannot, it is
// thrown away: a goroutine that ends while locked takes its thread along.
func inNamespace(fd int, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("open the thread's network namespace: %w", err)
			return
		}
		defer unix.Close(home)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			if errors.Is(err, syscall.EPERM) {
				err = fmt.Errorf("%w: run as root, or with CAP_SYS_ADMIN", ErrPermission)
			}
			done <- fmt.Errorf("enter the network namespace: %w", err)
			return
		}
		err = f()
		if unix.Setns(home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

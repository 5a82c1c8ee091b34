package netlab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// termGrace is how long processes get to end by themselves after SIGTERM: sluiced needs some hundred milliseconds.
const termGrace = 3 * time.Second

// Sweep removes what a lab of this prefix and run directory left behind: every process recorded there or living in one
// of the namespaces, the namespaces with all their interfaces, and the directory. Nothing left is no error. The caller
// holds the lab, or knows that nobody does.
func Sweep(prefix, dir string) error {
	names, err := namespacesWith(prefix)
	if err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	endProcesses(func() []int { return labProcesses(names, dir) })
	var errs []error
	for _, name := range names {
		if err := deleteNamespace(filepath.Join(namespaceDir, name)); err != nil {
			errs = append(errs, fmt.Errorf("delete namespace %s: %w", name, err))
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		errs = append(errs, fmt.Errorf("remove run directory: %w", err))
	}
	return errors.Join(errs...)
}

// Left lists the namespaces and the run directory that exist for a prefix: what Sweep would remove.
func Left(prefix, dir string) ([]string, error) {
	names, err := namespacesWith(prefix)
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	for i := range names {
		names[i] = filepath.Join(namespaceDir, names[i])
	}
	if _, err := os.Stat(dir); err == nil {
		names = append(names, dir)
	}
	return names, nil
}

func deleteNamespace(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) { // a file that no namespace was mounted on yet
		return err
	}
	return os.Remove(path)
}

// endProcesses asks by SIGTERM, then insists by SIGKILL, until list is empty. list is asked again and again, because a
// process may start others while it ends.
func endProcesses(list func() []int) {
	signal := func(s syscall.Signal) {
		for _, pid := range list() {
			syscall.Kill(pid, s)
		}
	}
	signal(syscall.SIGTERM)
	for start := time.Now(); len(list()) > 0; time.Sleep(20 * time.Millisecond) {
		switch passed := time.Since(start); {
		case passed > 2*termGrace: // stuck in the kernel: nothing more can be done
			return
		case passed > termGrace:
			signal(syscall.SIGKILL)
		}
	}
}

// labProcesses lists the live processes of a lab: recorded ones, and any whose network namespace is one of names.
func labProcesses(names []string, dir string) []int {
	// A namespace is known by device and inode: a file that nothing was mounted on yet lies on another device.
	inside := map[[2]uint64]bool{}
	for _, name := range names {
		inside[fileID(filepath.Join(namespaceDir, name))] = true
	}
	delete(inside, [2]uint64{})
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		started, alive, err := processStat(pid)
		if err != nil || !alive {
			continue
		}
		if inside[fileID(fmt.Sprintf("/proc/%d/ns/net", pid))] || recorded(dir, pid, started) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// fileID is device and inode of a file; zero when it cannot be seen, as of a process that just ended.
func fileID(path string) [2]uint64 {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return [2]uint64{}
	}
	return [2]uint64{st.Dev, st.Ino}
}

func recorded(dir string, pid int, started string) bool {
	data, err := os.ReadFile(filepath.Join(dir, "pids", strconv.Itoa(pid)))
	return err == nil && strings.TrimSpace(string(data)) == started
}

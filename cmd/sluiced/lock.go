package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockSocket makes this process the only sluiced on a control socket, for as long as the file stays open. The kernel
// gives the lock back however the process ends, so a daemon that was killed never stands in its successor's way.
func lockSocket(socket string) (*os.File, error) {
	dir := filepath.Dir(socket)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("directory of the control socket: %w; start sluiced as root, or give --socket a place that you may write to", err)
	}
	name := socket + ".lock"
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock file: %w; start sluiced as root, or give --socket a place that you may write to", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		who := "pid unknown"
		if b, _ := io.ReadAll(io.LimitReader(f, 20)); len(b) > 0 {
			who = "pid " + strings.TrimSpace(string(b))
		}
		f.Close()
		return nil, fmt.Errorf("%w on %s (%s); stop that one first, or give this one another --socket", errRunning, socket, who)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w; the directory of --socket must be on a local file system", name, err)
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("write %s: %w; free some space there", name, err)
	}
	return f, nil
}

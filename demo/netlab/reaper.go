package netlab

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// Reaper is a process that outlives its maker, however that ends, and then sweeps the lab. It holds the lab's lock until
// it is done, so that nobody builds a new lab into the old one's ruins.
//
//	maker ── pipe ──► reaper: reads "keep" -> exits; reads end of file -> Sweep
type Reaper struct {
	cmd  *exec.Cmd
	pipe *os.File
}

const keepWord = "keep"

// StartReaper starts argv as the lab's reaper. argv is a program that calls RunReaper with the lab's prefix and run
// directory, normally our own binary with a hidden argument.
func (l *Lab) StartReaper(argv ...string) (*Reaper, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start reaper: %w", err)
	}
	defer read.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stderr = read, os.Stderr
	cmd.ExtraFiles = []*os.File{l.lock}
	// A session of its own: neither Ctrl-C nor the end of the terminal reach it, nor a kill of our process group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("start reaper: %w", err)
	}
	return &Reaper{cmd: cmd, pipe: write}, nil
}

// Sweep makes the reaper do its work now, and waits for it.
func (r *Reaper) Sweep() error {
	r.pipe.Close()
	if err := r.cmd.Wait(); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}

// Keep sends the reaper home: the lab stays as it is after our end.
func (r *Reaper) Keep() error {
	_, err := io.WriteString(r.pipe, keepWord)
	r.pipe.Close()
	if waitErr := r.cmd.Wait(); err == nil {
		err = waitErr
	}
	if err != nil {
		return fmt.Errorf("keep the lab: %w", err)
	}
	return nil
}

// RunReaper is the reaper's whole life: it waits for its maker's word or end on stdin.
func RunReaper(prefix, dir string, stdin io.Reader) error {
	// Nothing but the maker's end may end it; SIGPIPE, since standard error may be a terminal that is gone.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	word, _ := io.ReadAll(stdin)
	if string(word) == keepWord {
		return nil
	}
	return Sweep(prefix, dir)
}

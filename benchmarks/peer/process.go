// Package peer runs what the switch is compared with, each as processes of its own that are gone when its turn is over.
package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a program that runs beside us until it is stopped. If this process dies, however that happens, so does it.
type process struct {
	name  string
	log   string // file with what it prints
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{}
	err   error
}

// options of a process.
type options struct {
	env        []string
	ownNetwork bool // a network namespace that ends with the process
}

// start starts argv with a log in dir.
func start(name, dir string, o options, argv ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env = append(append(os.Environ(), "LC_ALL=C"), o.env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A process group of its own: Ctrl-C reaches us alone, and we end the others in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if o.ownNetwork {
		p.cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNET
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil { // some programs end when nobody can talk to them
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process, by force if it takes too long. The signal is sent once: programs of ours take a second one for
// impatience.
func (p *process) stop() {
	select {
	case <-p.done:
		p.stdin.Close()
		return
	default:
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopGrace):
		p.cmd.Process.Kill()
		<-p.done
	}
	p.stdin.Close()
}

const stopGrace = 10 * time.Second

// ended is an error that says with what words the process ended by itself.
func (p *process) ended() error {
	return fmt.Errorf("%s ended by itself (%w); it said:\n%s", p.name, errors.Join(p.err, errEnded), p.tail(8))
}

var errEnded = errors.New("too early")

// tail is the end of what the process printed.
func (p *process) tail(lines int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return "    " + strings.Join(all[max(0, len(all)-lines):], "\n    ")
}

// until waits for ready, which is asked again and again, while all of the processes run.
func until(ctx context.Context, what string, patience time.Duration, ready func() (bool, error), all ...*process) error {
	deadline := time.Now().Add(patience)
	for {
		ok, err := ready()
		switch {
		case ok:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		for _, p := range all {
			select {
			case <-p.done:
				return p.ended()
			default:
			}
		}
		if time.Now().After(deadline) {
			late := fmt.Errorf("%s: not within %s", what, patience)
			for _, p := range all {
				late = fmt.Errorf("%w\n%s said:\n%s", late, p.name, p.tail(8))
			}
			return errors.Join(late, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tool runs a short program and returns what it printed. Words on standard error are a failure too when strict: some
// tools complain there and report success.
func tool(ctx context.Context, strict bool, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	said := strings.TrimSpace(stderr.String())
	if err == nil && strict && said != "" {
		err = errComplained
	}
	if err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, said)
	}
	return stdout.String(), nil
}

var errComplained = errors.New("it complained")

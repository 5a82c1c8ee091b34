package netlab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a command that runs inside a namespace, with its output in a log file of the run directory.
type Process struct {
	Name string
	Log  string // path of the log: standard output and standard error

	cmd    *exec.Cmd
	begin  int64 // where in the log this process's words begin
	record string
	done   chan struct{}
	err    error
}

// Start runs argv inside the namespace, in a session of its own, so that a Ctrl-C at our terminal does not reach it: it
// ends by Stop or Sweep. name names the log, to which a later process of the same name appends.
func (n *Namespace) Start(name string, argv ...string) (*Process, error) {
	p := &Process{Name: name, Log: n.lab.Path(name + ".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	defer log.Close()
	if p.begin, err = log.Seek(0, io.SeekEnd); err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	p.cmd = command(context.Background(), argv)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := n.Do(p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s in %s: %w", argv[0], n.name, err)
	}
	if p.record, err = recordProcess(n.lab.dir, p.cmd.Process.Pid); err != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		os.Remove(p.record)
		close(p.done)
	}()
	return p, nil
}

// PID is the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the process ended: nil after exit code 0. Only after Done.
func (p *Process) Err() error { return p.err }

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Stop asks the process to end by SIGTERM, insists by SIGKILL after grace, and returns how it ended.
func (p *Process) Stop(grace time.Duration) error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		p.cmd.Process.Kill()
		<-p.done
	}
	return p.err
}

// Kill ends the process by SIGKILL, as a crash would.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// LogTail returns the last lines that the process has logged.
func (p *Process) LogTail(lines int) string {
	data, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	data = data[min(p.begin, int64(len(data))):]
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}

// Run runs argv inside the namespace and returns its standard output, also when it fails; the error bears what it wrote
// to standard error. It is killed when ctx ends.
func (n *Namespace) Run(ctx context.Context, argv ...string) ([]byte, error) {
	cmd := command(ctx, argv)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := n.Do(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("%s in %s: %w", strings.Join(argv, " "), n.name, err)
		if said := strings.TrimSpace(stderr.String()); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
	}
	return stdout.Bytes(), err
}

// ExitCode finds the exit code in an error of Run or Err: 0 for nil, -1 when the process did not exit by itself.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

func command(ctx context.Context, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = time.Second // a grandchild that keeps our pipe open must not hold us up
	return cmd
}

// recordProcess notes a process for Sweep. The start time tells it from a later process with the same id.
func recordProcess(dir string, pid int) (string, error) {
	started, _, err := processStat(pid)
	if err != nil {
		return "", fmt.Errorf("record process %d: %w", pid, err)
	}
	record := filepath.Join(dir, "pids", strconv.Itoa(pid))
	if err := os.MkdirAll(filepath.Dir(record), 0o755); err != nil {
		return "", fmt.Errorf("record process %d: %w", pid, err)
	}
	return record, os.WriteFile(record, []byte(started), 0o644)
}

// processStat reads a process's start time in clock ticks since boot, and whether it is still more than a zombie.
func processStat(pid int) (started string, alive bool, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false, err
	}
	// "pid (comm) state ppid ...": comm may hold blanks and brackets, so count from the last bracket (proc(5)).
	_, after, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')'):], []byte(") "))
	fields := strings.Fields(string(after))
	if !ok || len(fields) < 20 {
		return "", false, fmt.Errorf("process %d: unreadable stat", pid)
	}
	return fields[19], fields[0] != "Z" && fields[0] != "X", nil
}

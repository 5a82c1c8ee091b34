package vmlab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options of a machine.
type Options struct {
	CPUs      int      // 0 is 2
	MemoryMiB int      // 0 is 1,024
	Devices   []string // more arguments for QEMU
	Kernel    []string // more words of the kernel's command line
}

// Machine is a guest that runs.
type Machine struct {
	share string
	qmp   *monitor
	ended chan struct{}
	err   error // of QEMU; once ended is closed
	stop  context.CancelFunc
	ctx   context.Context
}

// Result is what the script of a machine left.
type Result struct {
	Code   int    // of the script's exit
	Output string // standard output and standard error
}

// Start boots a machine that runs a script for bash, as root. It is killed when ctx ends, and with the caller's process.
// Close must be called in any case.
func (k *Kit) Start(ctx context.Context, o Options, script string) (*Machine, error) {
	sweep()
	share, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", sharePrefix, os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("start machine: %w", err)
	}
	m := &Machine{share: share, ended: make(chan struct{})}
	m.ctx, m.stop = context.WithCancel(ctx)
	if err := k.boot(m, o, script); err != nil {
		m.stop()
		os.RemoveAll(share)
		return nil, fmt.Errorf("start machine: %w", err)
	}
	return m, nil
}

// sharePrefix begins the names of shares; the id of the process that made it follows.
const sharePrefix = "sluice-lab-"

// sweep removes shares of processes that were killed before they could. Their machines ended with them.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), sharePrefix+"*")) // the pattern is well-formed
	for _, share := range left {
		id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(share), sharePrefix), "-")
		if pid, err := strconv.Atoi(id); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			os.RemoveAll(share)
		}
	}
}

func (k *Kit) boot(m *Machine, o Options, script string) error {
	boot := strings.ReplaceAll(bootScript, "MODULES", filepath.Dir(k.modules))
	for name, text := range map[string]string{"boot": boot, "script": script} {
		if err := os.WriteFile(m.Path(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := k.buildInitrd(m.Path("initrd")); err != nil {
		return err
	}
	started := make(chan error, 1)
	go m.run(exec.CommandContext(m.ctx, k.qemu, k.arguments(m, o)...), started)
	if err := <-started; err != nil {
		return err
	}
	var err error
	if m.qmp, err = dialMonitor(m.ctx, m.Path("qmp"), m.ended); err != nil {
		m.stop()
		<-m.ended
		return errors.Join(err, m.err)
	}
	return nil
}

// run has a thread of its own, because the kernel kills QEMU when the thread that started it ends.
func (m *Machine) run(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	err := cmd.Start()
	started <- err
	if err == nil {
		if m.err = cmd.Wait(); m.err != nil {
			m.err = fmt.Errorf("QEMU: %w: %s", m.err, strings.TrimSpace(said.String()))
		}
	}
	close(m.ended)
}

func (k *Kit) arguments(m *Machine, o Options) []string {
	if o.CPUs == 0 {
		o.CPUs = 2
	}
	if o.MemoryMiB == 0 {
		o.MemoryMiB = 1024
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", board, "-cpu", cpu, "-smp", strconv.Itoa(o.CPUs), "-m", strconv.Itoa(o.MemoryMiB),
		"-kernel", k.kernel, "-initrd", m.Path("initrd"),
		"-append", strings.Join(append([]string{"console=ttyS0 quiet panic=-1 mitigations=off"}, o.Kernel...), " "),
		"-serial", "file:" + m.Path("console"),
		"-qmp", "unix:" + m.Path("qmp") + ",server=on,wait=off",
		// Files of several file systems of the build machine must not get the same number.
		"-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
		"-virtfs", "local,path=" + m.share + ",mount_tag=lab,security_model=none",
	}
	if k.accel == "tcg" {
		args = append(args, "-accel", "tcg,thread=multi")
	} else {
		args = append(args, "-accel", k.accel)
	}
	return append(args, o.Devices...)
}

// Path is a file of the share, which the guest has in /lab.
func (m *Machine) Path(name string) string { return filepath.Join(m.share, name) }

// Wait waits until the machine has switched itself off. The error tells how it broke down instead, with the last lines of
// its console.
func (m *Machine) Wait() (Result, error) {
	<-m.ended
	output, _ := os.ReadFile(m.Path("output")) // there is none when it never came so far
	r := Result{Output: string(output)}
	text, err := os.ReadFile(m.Path("result"))
	if err == nil {
		r.Code, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if err == nil {
		return r, nil
	}
	if cause := m.ctx.Err(); cause != nil {
		err = cause
	} else if m.err != nil {
		err = m.err
	}
	console, _ := os.ReadFile(m.Path("console"))
	return r, fmt.Errorf("the machine broke down: %w; the script said:\n%s\nthe console:\n%s", err, tail(r.Output, 30), tail(string(console), 80))
}

// WaitFile waits until the guest has made a file in its /lab.
func (m *Machine) WaitFile(name string) error {
	for {
		if _, err := os.Stat(m.Path(name)); err == nil {
			return nil
		}
		select {
		case <-m.ended:
			return fmt.Errorf("the machine ended before it wrote %s", name)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Do runs a command of QEMU's, with arguments that can be JSON.
func (m *Machine) Do(command string, arguments any) error {
	return m.qmp.do(command, arguments)
}

// Close kills the machine if it still runs, and removes what it left.
func (m *Machine) Close() error {
	m.stop()
	<-m.ended
	m.qmp.close()
	if err := os.RemoveAll(m.share); err != nil {
		return fmt.Errorf("remove machine: %w", err)
	}
	return nil
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/demo/netlab"
)

// demoRun is a `sluice demo` under way.
type demoRun struct {
	t      *testing.T
	cmd    *exec.Cmd
	said   chan string // what comes on standard error: the progress
	stdout bytes.Buffer
	dir    string      // its working directory
	began  atomic.Bool // it has the machine's only lab: it may be swept
}

// needNoDemo ends a test before it touches anything when somebody else's demo is there: there is only one per machine.
func needNoDemo(t *testing.T) {
	t.Helper()
	left, err := netlab.Left("sluice-demo-", "/run/sluice-demo")
	require.NoError(t, err)
	if len(left) > 0 {
		t.Fatal("a demo is on this machine that this test did not start, and it is left alone: " +
			"end it with Ctrl-C in its terminal, or when it was left with --keep: sluice demo --down")
	}
}

func startDemo(t *testing.T, args ...string) *demoRun {
	t.Helper()
	d := &demoRun{t: t, said: make(chan string, 1000), dir: t.TempDir()}
	d.cmd = exec.Command(program("sluice"), append([]string{"demo", "--sluiced", program("sluiced"), "--capture", "wire.pcapng"}, args...)...)
	d.cmd.Dir, d.cmd.Stdout = d.dir, &d.stdout
	stderr, err := d.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, d.cmd.Start())
	go func() {
		defer close(d.said)
		for buf := make([]byte, 4096); ; {
			n, err := stderr.Read(buf)
			if n > 0 {
				if strings.Contains(string(buf[:n]), "build two hosts") { // the first step, behind the lock, written at once
					d.began.Store(true)
				}
				d.said <- string(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		d.cmd.Process.Kill()
		for range d.said { // it says whether it began before it ends
		}
		if !d.began.Load() {
			return // what is there is another's
		}
		if t.Failed() {
			_ = exec.Command(program("sluice"), "demo", "--down").Run() // for the tests behind us
		}
		waitNothingLeft(t)
	})
	return d
}

// until reads the progress up to a word.
func (d *demoRun) until(word string) {
	d.t.Helper()
	limit := time.After(60 * time.Second)
	said := ""
	for {
		select {
		case more, ok := <-d.said:
			require.True(d.t, ok, "the demo ended before it said %q: %v", word, said)
			if said += more; strings.Contains(said, word) {
				return
			}
		case <-limit:
			require.FailNow(d.t, "the demo is stuck", said)
		}
	}
}

// wait waits for the end and returns the exit code and the rest of standard error.
func (d *demoRun) wait() (int, string) {
	d.t.Helper()
	said := ""
	for more := range d.said {
		said += more
	}
	return netlab.ExitCode(d.cmd.Wait()), said
}

// demoLeft lists what a demo has left on the machine: namespaces, its directory, processes of its own.
func demoLeft(t *testing.T) []string {
	t.Helper()
	left, err := netlab.Left("sluice-demo-", "/run/sluice-demo")
	require.NoError(t, err)
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		exe, _ := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		command, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		said := strings.ReplaceAll(string(command), "\x00", " ")
		if exe == program("sluiced") || exe == program("sluice") || strings.Contains(said, "/run/sluice-demo") {
			left = append(left, e.Name()+" "+said)
		}
	}
	return left
}

func waitNothingLeft(t *testing.T) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if left = demoLeft(t); len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			assert.Empty(t, left, "the demo must leave nothing behind")
			return
		}
	}
}

func TestDemo(t *testing.T) {
	needNoDemo(t)
	d := startDemo(t, "-o", "json")
	code, said := d.wait()
	require.Zero(t, code, "%s\n%s", said, d.stdout.String())
	assert.Empty(t, demoLeft(t), "nothing is left when it has ended")
	var report struct {
		Passed bool
		Checks []struct {
			What    string
			Answers []struct{ Passed bool }
		}
		Wire     struct{ NVGRE, Rewritten, Strange, TenantBroadcasts, Complaints int }
		Counters []struct{ Holds bool }
		Seconds  float64
	}
	require.NoError(t, json.Unmarshal(d.stdout.Bytes(), &report), d.stdout.String())
	assert.True(t, report.Passed)
	assert.Len(t, report.Counters, 11, "two uplinks and nine VMs")
	assert.Positive(t, report.Wire.NVGRE)
	assert.Positive(t, report.Wire.Rewritten)
	t.Logf("%.0f seconds", report.Seconds)
	_, err := os.Stat(filepath.Join(d.dir, "wire.pcapng"))
	assert.NoError(t, err, "the capture is kept")
}

// However a demo is ended, it leaves nothing, and the next one works.
func TestDemoInterrupted(t *testing.T) {
	needNoDemo(t)
	for _, step := range []string{"build two", "start sluiced", "check reach", "measure TCP"} {
		t.Run("Ctrl-C at "+step, func(t *testing.T) {
			d := startDemo(t)
			d.until(step)
			require.NoError(t, d.cmd.Process.Signal(os.Interrupt))
			code, said := d.wait()
			assert.Equal(t, 1, code)
			assert.Contains(t, said, "interrupted")
			assert.Empty(t, demoLeft(t), "nothing is left when it has ended")
		})
		t.Run("kill -9 at "+step, func(t *testing.T) {
			d := startDemo(t)
			d.until(step)
			require.NoError(t, d.cmd.Process.Signal(syscall.SIGKILL))
			d.wait()
			waitNothingLeft(t)
		})
	}
}

// When even the reaper is killed, the next demo clears away what it finds.
func TestDemoAndReaperKilled(t *testing.T) {
	needNoDemo(t)
	d := startDemo(t)
	d.until("check reach")
	for _, left := range demoLeft(t) {
		pid, command, _ := strings.Cut(left, " ")
		if strings.Contains(command, "--reap") {
			number, err := strconv.Atoi(pid)
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(number, syscall.SIGKILL))
		}
	}
	require.NoError(t, d.cmd.Process.Kill())
	d.wait()
	assert.NotEmpty(t, demoLeft(t))

	d = startDemo(t)
	d.until("measure TCP")
	require.NoError(t, d.cmd.Process.Signal(os.Interrupt))
	d.wait()
	assert.Empty(t, demoLeft(t))
}

func TestDemoAlone(t *testing.T) {
	needNoDemo(t)
	d := startDemo(t, "--keep")
	d.until("start sluiced")
	code, said := startDemo(t).wait()
	assert.NotZero(t, code)
	assert.Contains(t, said, "another demo is running")
	code, said = d.wait()
	require.Zero(t, code, said)
	guide := d.stdout.String()
	assert.Contains(t, guide, "sluice demo --down")

	// Every command that the guide gives works, from where the user stands.
	path := "PATH=" + binDir + ":" + os.Getenv("PATH")
	for _, line := range strings.Split(guide, "\n") {
		command := strings.TrimSpace(line)
		if !strings.HasPrefix(line, "  ") || strings.Contains(command, "--down") {
			continue
		}
		command = strings.Replace(command, " ping ", " ping -c 1 ", 1)
		command = strings.Replace(command, " tshark ", " tshark -a duration:1 ", 1)
		cmd := exec.Command("sh", "-c", command)
		cmd.Env = append(os.Environ(), path)
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s\n%s", command, out)
	}
	code, said = startDemo(t).wait()
	assert.NotZero(t, code, "a kept demo is in the way")
	assert.Contains(t, said, "--down")

	out, err := exec.Command(program("sluice"), "demo", "--down").CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Empty(t, demoLeft(t))
}

func TestDemoSaysWhatIsMissing(t *testing.T) {
	needNoDemo(t)
	run := func(env []string, argv ...string) string {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		assert.Error(t, err)
		return string(out)
	}
	assert.Contains(t, run(os.Environ(), "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program("sluice"), "demo"), "sudo")
	assert.Contains(t, run([]string{"PATH=" + t.TempDir()}, program("sluice"), "demo"), "make deps")
	assert.Contains(t, run(os.Environ(), program("sluice"), "demo", "--sluiced", "/nowhere/sluiced"), "/nowhere/sluiced")
	assert.Empty(t, demoLeft(t))
}

package netlab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testPrefix = "sluice-netlab-test-"

// TestMain is also the reaper and the crashing maker of the tests below: they run this binary with an environment
// variable that says which.
func TestMain(m *testing.M) {
	switch dir := os.Getenv("NETLAB_TEST_DIR"); os.Getenv("NETLAB_TEST_ROLE") {
	case "reaper":
		if err := RunReaper(testPrefix, dir, os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "maker":
		if err := makeAndHang(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// makeAndHang builds a lab with a reaper and a process, says so, and waits to be killed.
func makeAndHang(dir string) error {
	lab, err := Open(testPrefix, dir)
	if err != nil {
		return err
	}
	os.Setenv("NETLAB_TEST_ROLE", "reaper")
	if _, err := lab.StartReaper(os.Args[0]); err != nil {
		return err
	}
	n, err := lab.AddNamespace("crash")
	if err != nil {
		return err
	}
	if _, err := n.Start("sleep", "sleep", "300"); err != nil {
		return err
	}
	fmt.Println("ready")
	select {}
}

func openLab(t *testing.T) *Lab {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not root: network namespaces cannot be made")
	}
	dir := filepath.Join(t.TempDir(), "run")
	lab, err := Open(testPrefix, dir)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, lab.Sweep())
		assert.NoError(t, lab.Close())
		left, err := Left(testPrefix, dir)
		assert.NoError(t, err)
		assert.Empty(t, left)
	})
	return lab
}

// a ── veth ── bridge ── veth ── b
func TestBridgeJoinsNamespaces(t *testing.T) {
	lab := openLab(t)
	a, err := lab.AddNamespace("a")
	require.NoError(t, err)
	b, err := lab.AddNamespace("b")
	require.NoError(t, err)
	fabric, err := lab.AddNamespace("fabric")
	require.NoError(t, err)
	require.NoError(t, lab.AddVeth(a, "eth0", fabric, "to-a", 1600))
	require.NoError(t, lab.AddVeth(b, "eth0", fabric, "to-b", 1600))
	require.NoError(t, fabric.AddBridge("br0", 1600, "to-a", "to-b"))
	require.NoError(t, a.AddAddress("eth0", netip.MustParsePrefix("10.9.0.1/24")))
	require.NoError(t, b.AddAddress("eth0", netip.MustParsePrefix("10.9.0.2/24")))
	require.NoError(t, a.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("10.9.0.2")))

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := a.Run(ctx, "ping", "-c", "1", "-W", "2", "10.9.0.2")
	require.NoError(t, err, string(out))
	want, err := b.MAC("eth0")
	require.NoError(t, err)
	got, err := a.Neighbour(netip.MustParseAddr("10.9.0.2"))
	require.NoError(t, err)
	assert.Equal(t, want, got)

	_, err = a.Run(ctx, "sh", "-c", "echo why >&2; exit 3")
	assert.Equal(t, 3, ExitCode(err))
	assert.ErrorContains(t, err, "why")
}

func TestStopAndLog(t *testing.T) {
	lab := openLab(t)
	n, err := lab.AddNamespace("a")
	require.NoError(t, err)
	p, err := n.Start("stubborn", "sh", "-c", `trap "" TERM; echo up; while :; do sleep 0.05; done`)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.LogTail(1) == "up" }, 5*time.Second, 10*time.Millisecond)
	assert.Error(t, p.Stop(50*time.Millisecond), "killed, since it ignores SIGTERM")
	entries, err := os.ReadDir(lab.Path("pids"))
	require.NoError(t, err)
	assert.Empty(t, entries, "an ended process needs no record")
}

func TestOneHolder(t *testing.T) {
	lab := openLab(t)
	_, err := Open(testPrefix, lab.Dir())
	assert.ErrorIs(t, err, ErrBusy)
}

func TestSweepEndsProcessesInside(t *testing.T) {
	lab := openLab(t)
	n, err := lab.AddNamespace("a")
	require.NoError(t, err)
	p, err := n.Start("sleep", "sleep", "300")
	require.NoError(t, err)
	stranger := exec.Command("sleep", "300")
	require.NoError(t, stranger.Start())
	defer func() { stranger.Process.Kill(); stranger.Wait() }()

	require.NoError(t, lab.Sweep())
	<-p.Done()
	assert.Error(t, p.Err())
	_, alive, err := processStat(stranger.Process.Pid)
	require.NoError(t, err)
	assert.True(t, alive, "a process outside the lab is left alone")
}

func TestReaperSweepsAfterKill(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root: network namespaces cannot be made")
	}
	dir := filepath.Join(t.TempDir(), "run")
	maker := exec.Command(os.Args[0])
	maker.Env = append(os.Environ(), "NETLAB_TEST_ROLE=maker", "NETLAB_TEST_DIR="+dir)
	maker.Stderr = os.Stderr
	out, err := maker.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, maker.Start())
	line := make([]byte, 6)
	_, err = out.Read(line)
	require.NoError(t, err)
	names, err := namespacesWith(testPrefix)
	require.NoError(t, err)
	require.Len(t, names, 1)
	inside := labProcesses(names, dir)
	require.Len(t, inside, 1)

	require.NoError(t, maker.Process.Kill())
	maker.Wait()
	assert.Eventually(t, func() bool {
		left, err := Left(testPrefix, dir)
		return err == nil && len(left) == 0
	}, 15*time.Second, 20*time.Millisecond)
	_, alive, err := processStat(inside[0])
	assert.True(t, err != nil || !alive)
}

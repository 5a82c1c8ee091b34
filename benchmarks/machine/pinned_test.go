package machine

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const spins = "SLUICE_TEST_SPINS"

// TestMain makes the test binary one with a thread that keeps a core, when it is asked to.
func TestMain(m *testing.M) {
	if core, err := strconv.Atoi(os.Getenv(spins)); err == nil {
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(core)
		for unix.SchedSetaffinity(0, &set) == nil {
			runtime.Gosched() // until it is killed
		}
	}
	os.Exit(m.Run())
}

func TestWatchCoreNamesWhoSpinsThere(t *testing.T) {
	var set unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &set))
	core := 0
	for !set.IsSet(core) {
		core++
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), spins+"="+strconv.Itoa(core))
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	ours := func(n Neighbour) bool { return n.Process == cmd.Process.Pid }
	require.Eventually(t, func() bool {
		stop := WatchCore(core)
		time.Sleep(50 * time.Millisecond)
		return slices.ContainsFunc(stop(), ours)
	}, 20*time.Second, time.Millisecond)
	assert.False(t, slices.ContainsFunc(WatchCore(core+1)(), ours), "that is another core")
}

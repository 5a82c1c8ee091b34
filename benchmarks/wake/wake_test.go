package wake

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/policy"
)

func TestConfigurations(t *testing.T) {
	for _, d := range Devices {
		for _, mode := range Modes {
			c, err := policy.Parse("host.yaml", []byte(configuration("/run/s.sock", 1, d, mode, "vm")))
			require.NoError(t, err)
			assert.Equal(t, mode, c.Dataplane.Idle.Mode)
		}
	}
}

// A thread that is pinned to a core is found, and its time goes on only while it runs.
func TestThreadTimes(t *testing.T) {
	var set unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &set))
	core := 0
	for !set.IsSet(core) {
		core++
	}
	pinned, stop, done := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		var one unix.CPUSet
		one.Set(core)
		pinned <- unix.SchedSetaffinity(0, &one)
		for spins := 0; ; spins++ {
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	require.NoError(t, <-pinned)
	tid, err := threadOn(os.Getpid(), core)
	require.NoError(t, err)
	first, all, err := times(os.Getpid(), tid)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		later, laterAll, err := times(os.Getpid(), tid)
		return err == nil && later > first && laterAll > all
	}, 30*time.Second, time.Millisecond)
	close(stop)
	<-done
}

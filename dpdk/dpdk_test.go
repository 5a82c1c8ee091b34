package dpdk

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/packet"
)

// TestMain starts DPDK once: it cannot be started twice in a process. SLUICE_TEST_HUGEPAGES=on runs everything on
// hugepages. As root the tests live in a network namespace of their own, which vanishes with the process.
func TestMain(m *testing.M) {
	if args := os.Getenv("SLUICE_TEST_EAL_ARGS"); args != "" {
		_, err := Init(Options{Hugepages: HugepagesOff, ExtraArgs: strings.Fields(args)})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Geteuid() == 0 && os.Getenv("SLUICE_TEST_NETNS") == "" {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err == nil {
			err = syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), "SLUICE_TEST_NETNS=1"))
			fmt.Fprintln(os.Stderr, "run the tests in a network namespace:", err)
			os.Exit(1)
		}
	}
	if name := os.Getenv(claimHelper); name != "" {
		claimElsewhere(name)
		os.Exit(1)
	}
	mode := Hugepages(os.Getenv("SLUICE_TEST_HUGEPAGES"))
	if mode == "" {
		mode = HugepagesOff
	}
	memory, err := Init(Options{Hugepages: mode, MemoryMB: 128, FilePrefix: "sluicetest"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if memory.Note != "" {
		fmt.Fprintln(os.Stderr, memory.Note)
	}
	code := m.Run()
	if err := Cleanup(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var serial atomic.Int32

// unique gives names that no other test of this process has.
func unique(prefix string) string { return fmt.Sprintf("%s%d", prefix, serial.Add(1)) }

// newPool makes a pool that must be full again when the test ends.
func newPool(t testing.TB, count, frame int) *Mempool {
	t.Helper()
	pool, err := NewMempool(MempoolOptions{Name: unique("pool"), Count: count, Cache: 64, FrameSize: frame})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Equal(t, pool.Count(), pool.Available(), "packets leaked")
		require.NoError(t, pool.Close())
	})
	return pool
}

func newUplink(t testing.TB, pool *Mempool, devargs string, queues int) *Device {
	t.Helper()
	d, err := OpenUplink(UplinkOptions{Name: "up", Devargs: devargs, RxQueues: queues, TxQueues: queues, Pool: pool})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// newPoller starts a poller on the test's own thread, which it locks.
func newPoller(t testing.TB, pool *Mempool) *Poller {
	t.Helper()
	p, err := NewPoller(pool)
	require.NoError(t, err)
	runtime.LockOSThread()
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		p.Close()
		runtime.UnlockOSThread()
	})
	return p
}

// send queues copies of a frame, made of spares, for one output.
func send(t testing.TB, p *Poller, out uint32, frames ...[]byte) *packet.TxRun {
	t.Helper()
	io := p.IO()
	run := &io.TxRuns[io.NumTxRuns]
	*run = packet.TxRun{Out: out, First: uint16(io.NumTx)}
	for _, f := range frames {
		require.NotZero(t, io.NumSpares)
		io.NumSpares--
		m := io.Spares[io.NumSpares]
		require.True(t, m.Append(len(f)))
		copy(m.Data(), f)
		io.Tx[io.NumTx] = m
		io.NumTx++
		run.Count++
	}
	io.NumTxRuns++
	return run
}

// flush polls once to send only.
func flush(p *Poller) {
	io := p.IO()
	io.RxBudget = 0
	p.Poll()
	io.NumTx, io.NumTxRuns = 0, 0
}

// freeRx hands everything received back.
func freeRx(p *Poller) {
	io := p.IO()
	io.NumFree = uint32(copy(io.Free[:], io.Rx[:io.NumRx]))
}

// forward turns what was received into packets to send: the packets of ref go to output next(ref).
func forward(io *packet.IO, next func(ref uint32) uint32) {
	io.NumTxRuns, io.NumTx = 0, 0
	for i := range io.RxRuns[:io.NumRxRuns] {
		rx := &io.RxRuns[i]
		io.TxRuns[i] = packet.TxRun{Out: next(rx.Ref), First: rx.First, Count: rx.Count}
	}
	copy(io.Tx[:], io.Rx[:io.NumRx])
	io.NumTx, io.NumTxRuns = io.NumRx, io.NumRxRuns
}

// frame is an Ethernet frame of n bytes with a recognisable payload.
func frame(n int, tag byte) []byte {
	f := make([]byte, n)
	copy(f, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5})
	for i := 14; i < n; i++ {
		f[i] = tag
	}
	return f
}

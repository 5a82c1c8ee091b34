package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/vmlab"
)

// Tests of this package that need another kernel, or a PCI NIC, run inside an emulated machine: the same binary, with the
// same programs, which the guest finds under the same paths.
//
//	go test: TestMachine... ── QEMU ── Debian's kernel ── this binary: the test itself

// kitOf is what machines are made of; without it the test skips.
func kitOf(t *testing.T) *vmlab.Kit {
	t.Helper()
	kit, err := vmlab.Find()
	if errors.Is(err, vmlab.ErrNoKit) {
		t.Skip(err)
	}
	require.NoError(t, err)
	return kit
}

// machine boots a guest for a script. It is gone at the end of the test, or after limit.
func machine(t *testing.T, kit *vmlab.Kit, limit time.Duration, o vmlab.Options, script string) *vmlab.Machine {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	m, err := kit.Start(ctx, o, script)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, m.Close())
		assert.NoDirExists(t, filepath.Dir(m.Path("script")), "what the machine left")
	})
	return m
}

// scriptOf prepares the guest, and runs one test of this binary there.
func scriptOf(t *testing.T, prepare, test string) string {
	t.Helper()
	here, err := os.Getwd()
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	return fmt.Sprintf("set -e\nmodprobe tun\n%s\ncd '%s'\nexport %s=yes SLUICE_BIN='%s'\n'%s' -test.v -test.count=1 -test.run '^%s$'\n",
		prepare, here, slowVariable, binDir, self, test)
}

// requirePassed waits for the machine, and shows what the test inside it said. Where everything else takes the processor an
// emulated machine hardly gets on: that says nothing of the test.
func requirePassed(t *testing.T, m *vmlab.Machine, test string) {
	t.Helper()
	begin := time.Now()
	r, err := m.Wait()
	if errors.Is(err, context.DeadlineExceeded) {
		t.Skipf("this machine is too busy: after %.0f s the emulated one had not finished: %v", time.Since(begin).Seconds(), err)
	}
	require.NoError(t, err)
	t.Logf("after %.0f s the guest said:\n%s", time.Since(begin).Seconds(), r.Output)
	require.Zero(t, r.Code)
	if strings.Contains(r.Output, "--- SKIP: "+test) {
		t.Skip("the guest skipped it")
	}
	require.Contains(t, r.Output, "--- PASS: "+test)
}

// Each end of a machine is told apart, and leaves nothing behind.
func TestMachineTellsHowItEnded(t *testing.T) {
	kit := kitOf(t)
	t.Logf("accelerator: %s", kit.Accelerator())
	m := machine(t, kit, 5*time.Minute, vmlab.Options{CPUs: 1, MemoryMiB: 512}, "uname -r\ntouch ready\nuntil [ -e go ]; do sleep 0.1; done\nexit 3")
	require.NoError(t, m.WaitFile("ready"))
	require.ErrorContains(t, m.Do("set_link", map[string]any{"name": "none", "up": false}), "ask QEMU for set_link")
	require.NoError(t, os.WriteFile(m.Path("go"), nil, 0o644))
	r, err := m.Wait()
	require.NoError(t, err)
	assert.Equal(t, 3, r.Code)
	assert.Contains(t, r.Output, "-amd64")

	m = machine(t, kit, 5*time.Minute, vmlab.Options{CPUs: 1, MemoryMiB: 512}, "echo here\necho c >/proc/sysrq-trigger")
	r, err = m.Wait()
	require.ErrorContains(t, err, "the machine broke down")
	assert.ErrorContains(t, err, "Kernel panic")
	assert.Equal(t, "here\n", r.Output)

	m = machine(t, kit, 4*time.Second, vmlab.Options{CPUs: 1, MemoryMiB: 512}, "sleep 600")
	_, err = m.Wait()
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// DCTCP is a module of few kernels that run tests, but of the guest's.
func TestMachineDCTCP(t *testing.T) {
	const test = "TestDCTCPKeepsTheQueueShort"
	m := machine(t, kitOf(t), 4*time.Minute, vmlab.Options{MemoryMiB: 1536},
		scriptOf(t, `modprobe tcp_dctcp; sysctl -qw net.ipv4.tcp_allowed_congestion_control="reno cubic dctcp"`, test))
	requirePassed(t, m, test)
}

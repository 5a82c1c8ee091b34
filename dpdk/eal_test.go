package dpdk

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestInitOnlyOnce(t *testing.T) {
	_, err := Init(Options{})
	require.ErrorIs(t, err, ErrAlreadyInitialised)
	require.NotZero(t, TSCHz())
	require.Contains(t, Version(), "DPDK 22.11")
}

// rte_eal_init pins its thread; no thread of Go's may be left with it.
func TestAffinityRestored(t *testing.T) {
	var process unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(os.Getpid(), &process))
	tasks, err := filepath.Glob("/proc/self/task/*")
	require.NoError(t, err)
	for _, task := range tasks {
		name, _ := os.ReadFile(task + "/comm")
		if strings.HasPrefix(string(name), "eal-") {
			continue
		}
		status, err := os.ReadFile(task + "/status")
		if err != nil {
			continue // ended meanwhile
		}
		var now unix.CPUSet
		tid := 0
		for line := range strings.Lines(string(status)) {
			if v, ok := strings.CutPrefix(line, "Pid:"); ok {
				for _, c := range strings.TrimSpace(v) {
					tid = tid*10 + int(c-'0')
				}
			}
		}
		if unix.SchedGetaffinity(tid, &now) == nil {
			require.Equal(t, process.Count(), now.Count(), "thread %s", name)
		}
	}
}

// What EAL objects to comes with the line that it logged.
func TestInitFailureSaysWhy(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "SLUICE_TEST_EAL_ARGS=--vdev=net_flux0")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "start DPDK (EAL --no-telemetry")
	require.Contains(t, string(out), "net_flux0")
	require.Contains(t, string(out), "DPDK says: ")
}

func TestChooseMemory(t *testing.T) {
	root := t.TempDir()
	set := func(dir, free string) {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(root, dir, "free_hugepages"), []byte(free+"\n"), 0o600))
	}
	none := t.TempDir()
	set("hugepages-2048kB", "100")
	for _, c := range []struct {
		mode       Hugepages
		needMB     int
		root       string
		huge       bool
		note, fail string
	}{
		{HugepagesAuto, 200, root, true, "", ""},
		{"", 200, root, true, "", ""},
		{HugepagesAuto, 201, root, false, "200 MiB are free, 201 MiB are needed; `echo 101 > ", ""},
		{HugepagesAuto, 64, none, false, "0 MiB are free", ""},
		{HugepagesOn, 200, root, true, "", ""},
		{HugepagesOn, 512, root, false, "", "nr_hugepages` as root"},
		{HugepagesOff, 64, root, false, "", ""},
		{"perhaps", 64, root, false, "", "want auto, on or off"},
	} {
		m, err := chooseMemory(Options{Hugepages: c.mode, MemoryMB: c.needMB}, c.root)
		if c.fail != "" {
			require.ErrorContains(t, err, c.fail)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.huge, m.Hugepages, c)
		require.Contains(t, m.Note, c.note)
		require.Equal(t, c.note == "", m.Note == "")
	}
	set("hugepages-1048576kB", "2")
	require.Equal(t, 200+2048, freeHugepagesMB(root))
	_, err := chooseMemory(Options{Hugepages: HugepagesOn, MemoryMB: 512}, none)
	require.ErrorIs(t, err, ErrNoHugepages)
}

func TestEALArgs(t *testing.T) {
	args, err := ealArgs(Options{MemoryMB: 64, MainCore: 1, ExtraArgs: []string{"-v"}}, true)
	require.NoError(t, err)
	require.Equal(t, "sluice --no-telemetry --file-prefix=sluice --log-level=warning -l 1 -m 64 --in-memory --no-pci --iova-mode=va -v", strings.Join(args, " "))
	args, err = ealArgs(Options{MemoryMB: 64, MainCore: 1, PCI: []string{"0000:03:00.0", "0000:03:00.1"}, FilePrefix: "x", LogLevel: "debug"}, false)
	require.NoError(t, err)
	require.Equal(t, "sluice --no-telemetry --file-prefix=x --log-level=debug -l 1 -m 64 --no-huge --no-shconf -a 0000:03:00.0 -a 0000:03:00.1", strings.Join(args, " "))
}

func TestCheckPCI(t *testing.T) {
	root := filepath.Join(t.TempDir(), "bus/pci/devices")
	device := func(address, driver string, files ...string) {
		dir := filepath.Join(root, address)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		if driver != "" {
			require.NoError(t, os.Symlink("../../../bus/pci/drivers/"+driver, filepath.Join(dir, "driver")))
		}
		for _, f := range files {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, f), 0o700))
		}
	}
	device("0000:01:00.0", "vfio-pci", "iommu_group")
	device("0000:01:00.1", "vfio-pci")
	device("0000:02:00.0", "igb", "net/eth1")
	device("0000:02:00.1", "")
	device("0000:03:00.0", "mlx5_core", "net/eth2")
	device("0000:04:00.a", "")
	for _, c := range []struct {
		address, says string
		is            error
	}{
		{"0000:01:00.0", "", nil},
		{"0000:03:00.0", "", nil},
		{"0000:01:00.1", "intel_iommu=on or amd_iommu=on", ErrIOMMU},
		{"0000:02:00.0", "igb has it, as interface eth1", ErrKernelDriver},
		{"0000:02:00.1", "it has no driver", ErrKernelDriver},
		{"0000:09:00.0", "no such device on this machine", ErrNoDevice},
		{"01:00.0", "want an address as in 0000:03:00.0", ErrInvalid},
		{"../../x", "want an address", ErrInvalid},
		{"0000:04:00.a", "want an address", ErrInvalid},
	} {
		err := checkPCI(root, c.address)
		if c.is == nil {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, c.is)
		require.ErrorContains(t, err, "PCI device")
		require.ErrorContains(t, err, c.says)
	}
	mode := filepath.Join(root, "../../../module/vfio/parameters")
	require.NoError(t, os.MkdirAll(mode, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(mode, "enable_unsafe_noiommu_mode"), []byte("Y\n"), 0o600))
	require.NoError(t, checkPCI(root, "0000:01:00.1"))

	_, err := Init(Options{PCI: []string{"0000:ff:1f.7"}})
	require.ErrorIs(t, err, ErrAlreadyInitialised)
}

func TestFailureNamesCauseAndRemedy(t *testing.T) {
	for _, c := range []struct {
		code error
		log  string
		is   error
		says string
	}{
		{syscall.EBUSY, "", ErrBusy, "stop the other process"},
		{errFailed, "a\nVFIO: VFIO group is not viable! Not all devices in IOMMU group bound to VFIO or unbound\n", ErrIOMMU, "IOMMU group"},
		{errFailed, "EAL: Cannot open /dev/vfio/vfio: Permission denied\n", ErrIOMMU, "modprobe vfio-pci"},
		{syscall.EPERM, "", ErrPermission, "run as root"},
		{syscall.ENOMEM, "", ErrNoMemory, "more hugepages or memory"},
		{errFailed, "", errFailed, "DPDK refused"},
	} {
		err := failure("open x", c.code, c.log)
		require.ErrorIs(t, err, c.is)
		require.ErrorContains(t, err, c.says)
		require.ErrorContains(t, err, "open x: ")
	}
	require.Equal(t, "b; c; d", lastLines("a\nb\n\n  c \nd\n", 3))
	require.Equal(t, "", lastLines("\n", 3))
	require.NoError(t, errno(0))
	require.True(t, errors.Is(errno(-2), syscall.ENOENT))
}

func TestMempoolMistakes(t *testing.T) {
	for _, c := range []struct {
		o    MempoolOptions
		is   error
		says string
	}{
		{MempoolOptions{Count: 0, FrameSize: 1518}, ErrInvalid, "at least one"},
		{MempoolOptions{Count: 1024, FrameSize: 10}, ErrInvalid, "of 64 to"},
		{MempoolOptions{Count: 1024, FrameSize: 65000}, ErrInvalid, "of 64 to"},
		{MempoolOptions{Count: 100, FrameSize: 1518, Cache: 256}, ErrInvalid, "two thirds"},
		{MempoolOptions{Count: 1 << 20, FrameSize: 9000}, ErrNoMemory, "mempool mbuf: "},
	} {
		_, err := NewMempool(c.o)
		require.ErrorIs(t, err, c.is)
		require.ErrorContains(t, err, c.says)
	}
	pool := newPool(t, 1000, 9000)
	require.Equal(t, 1000, pool.Count())
	require.Equal(t, 1000, pool.Available())
	require.GreaterOrEqual(t, pool.FrameSize(), 9000)
	require.Greater(t, MempoolBytes(1000, 9000), 9_000_000)
	p := newPoller(t, pool)
	flush(p)
	require.ErrorIs(t, pool.Close(), ErrBusy, "a poller has spares of it")
}

func TestRingSlot(t *testing.T) {
	for _, c := range []struct{ mtu, slot, block int }{{1500, 2048, 0}, {1600, 2048, 0}, {1930, 2048, 0}, {1931, 3072, 12288}, {4000, 5120, 20480}, {9000, 9216, 36864}, {9600, 10240, 20480}} {
		d := parseDevargs("net_af_packet0,iface=eth0")
		require.NoError(t, d.afPacket(2, c.mtu))
		want := "net_af_packet0,iface=eth0,qpairs=2,framecnt=2048"
		if c.block > 0 {
			require.Zero(t, c.block%4096)
			require.Zero(t, c.block%c.slot)
			want += ",framesz=" + strconv.Itoa(c.slot) + ",blocksz=" + strconv.Itoa(c.block)
		}
		require.Equal(t, want, d.String())
		require.Equal(t, c.slot, ringSlot(c.mtu+l2Overhead))
	}
	d := parseDevargs("net_af_packet0,iface=eth0,framesz=2048,qpairs=3")
	require.NoError(t, d.afPacket(1, 1500))
	require.Equal(t, "net_af_packet0,iface=eth0,framesz=2048,qpairs=3", d.String(), "the user's own values stay")
	require.ErrorIs(t, d.afPacket(1, 9000), ErrInvalid)
	require.Equal(t, "eth0", d.get("iface"))
	require.True(t, d.onKernel())
	require.False(t, parseDevargs("net_null0,iface=eth0").onKernel())
}

package machine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pool is a folder that looks like the kernel's account, without the kernel: free pages do not follow.
func pool(t *testing.T, total, free int) string {
	dir := t.TempDir()
	set(t, dir, "nr_hugepages", total)
	set(t, dir, "free_hugepages", free)
	return dir
}

func set(t *testing.T, dir, name string, n int) {
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(strconv.Itoa(n)+"\n"), 0o644))
}

func get(t *testing.T, dir, name string) int {
	text, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	return n
}

func TestHugepagesAreAddedAndGivenBack(t *testing.T) {
	dir := pool(t, 100, 40)
	h, err := reserve(dir, 300) // 150 pages, of which 40 are free
	require.NoError(t, err)
	assert.Equal(t, 210, get(t, dir, "nr_hugepages"))
	assert.Contains(t, h.Note, "the kernel found 40 free pages of 2 MiB, 150 are needed", "the folder's free pages did not grow")
	set(t, dir, "nr_hugepages", 260) // somebody else added 50
	require.NoError(t, h.Release())
	assert.Equal(t, 150, get(t, dir, "nr_hugepages"), "only ours are given back")
	require.NoError(t, h.Release())
	assert.Equal(t, 150, get(t, dir, "nr_hugepages"))
}

func TestHugepagesThatAreThereStay(t *testing.T) {
	dir := pool(t, 200, 180)
	h, err := reserve(dir, 360)
	require.NoError(t, err)
	assert.Empty(t, h.Note)
	require.NoError(t, h.Release())
	assert.Equal(t, 200, get(t, dir, "nr_hugepages"))
}

func TestHugepagesThatCannotBeHad(t *testing.T) {
	h, err := reserve(filepath.Join(t.TempDir(), "none"), 2)
	require.NoError(t, err)
	assert.Contains(t, h.Note, "this kernel has none")
	require.NoError(t, h.Release())
	dir := pool(t, 0, 0)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "free_hugepages"), []byte("many"), 0o644))
	_, err = reserve(dir, 2)
	require.ErrorContains(t, err, "free_hugepages")
}

func TestCores(t *testing.T) {
	assert.True(t, inList("0-3,8", 8))
	assert.True(t, inList("0-3,8", 2))
	assert.False(t, inList("0-3,8", 5))
	assert.False(t, inList("", 0))
	require.NoError(t, CheckCore(0))
	require.ErrorContains(t, CheckCore(5000), "core 5000: this machine has cores 0")
	require.NoError(t, LeaveCore(-1), "no core to leave")
	assert.NotEqual(t, -1, ControlCore(0))
}

func TestLoad(t *testing.T) {
	stat := "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 4 5 6 7 8 100 200\ncpu1 10 20 30 40 50 60 70 80 100 200\nintr 1\n"
	assert.Equal(t, cpuTimes{total: 360, steal: 80}, parseTimes(stat, 1))
	assert.Equal(t, cpuTimes{}, parseTimes(stat, 7))
	b := Watch(0)()
	assert.GreaterOrEqual(t, b.Steal, 0.0)
	assert.Equal(t, Load1(), b.Load1)
}

func TestManifest(t *testing.T) {
	m := Describe(1)
	assert.NotEmpty(t, m.CPU)
	assert.NotEmpty(t, m.Kernel)
	assert.Positive(t, m.Cores)
	assert.Positive(t, m.MemoryMB)
	assert.NotEmpty(t, m.Revision)
	assert.NotEmpty(t, m.Versions["Go"])
	model, virtual := parseCPU("model name\t: Some CPU\nflags\t\t: fpu hypervisor\n")
	assert.Equal(t, "Some CPU", model)
	assert.True(t, virtual)
	assert.Equal(t, 1572864, parseMemory("MemTotal: 1 kB\nHugetlb:         1572864 kB\n", "Hugetlb:"))
	assert.Zero(t, parseMemory("", "Hugetlb:"))
	assert.GreaterOrEqual(t, HugepagesMB(), 0)
}

func TestWatchThread(t *testing.T) {
	share := WatchThread(os.Getpid())
	sum := 0
	for i := range 50_000_000 {
		sum += i
	}
	require.NotZero(t, sum)
	waited := share()
	assert.GreaterOrEqual(t, waited, 0.0)
	assert.Less(t, waited, 1.0)
	assert.NotEmpty(t, schedTimes(os.Getpid()))
	assert.Zero(t, WatchThread(1<<30)(), "no such process")
}

package vmlab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoadOrder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"modules.dep": "kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs/netfs.ko\n" +
			"kernel/net/9p/9pnet.ko:\nkernel/fs/netfs/netfs.ko:\n" +
			"kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio.ko\n",
		"modules.builtin": "kernel/drivers/virtio/virtio_pci.ko\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	order, err := loadOrder(dir, []string{"virtio_pci", "9p", "9pnet_virtio"})
	require.NoError(t, err)
	assert.Equal(t, []string{"kernel/fs/netfs/netfs.ko", "kernel/net/9p/9pnet.ko", "kernel/fs/9p/9p.ko",
		"kernel/drivers/virtio/virtio.ko", "kernel/net/9p/9pnet_virtio.ko"}, order, "what others need comes first, and once")

	_, err = loadOrder(dir, []string{"9pnet_rdma"})
	assert.EqualError(t, err, "the kernel has no module 9pnet_rdma")
	_, err = loadOrder(t.TempDir(), nil)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestArchive(t *testing.T) {
	a := &archive{}
	a.add("bin", modeDir|0o755, nil)
	a.add("init", modeFile|0o755, []byte("hello"))
	assert.Equal(t, strings.Join([]string{
		"070701", "00000001", "000041ed", "00000000", "00000000", "00000001", "00000000", "00000000",
		"00000000", "00000000", "00000000", "00000000", "00000004", "00000000", "bin\x00\x00\x00",
		"070701", "00000002", "000081ed", "00000000", "00000000", "00000001", "00000000", "00000005",
		"00000000", "00000000", "00000000", "00000000", "00000005", "00000000", "init\x00\x00", "hello\x00\x00\x00",
	}, ""), a.String())
}

// A process that was killed leaves its share to the next one.
func TestSweep(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dead, alive, strange := "4194999-1", "1-2", "x-3" // process ids end at 4,194,304
	for _, name := range []string{dead, alive, strange} {
		require.NoError(t, os.MkdirAll(filepath.Join(os.TempDir(), sharePrefix+name, "below"), 0o755))
	}
	sweep()
	assert.NoDirExists(t, filepath.Join(os.TempDir(), sharePrefix+dead))
	assert.DirExists(t, filepath.Join(os.TempDir(), sharePrefix+alive))
	assert.DirExists(t, filepath.Join(os.TempDir(), sharePrefix+strange))
}

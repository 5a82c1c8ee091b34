package dpdk

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRemoveStaleDirs(t *testing.T) {
	gone := exec.Command("true")
	require.NoError(t, gone.Run())
	dead, alive, own := strconv.Itoa(gone.Process.Pid), strconv.Itoa(os.Getppid()), strconv.Itoa(os.Getpid())
	root := t.TempDir()
	stays := []string{"sluice-" + own, "sluice-" + alive, "sluice-pktgen-" + dead, "other-" + dead, "sluice", "sluice-x", "sluice-0"}
	for _, name := range append(stays, "sluice-"+dead) {
		require.NoError(t, os.Mkdir(filepath.Join(root, name), 0o700))
	}
	names := func() (list []string) {
		entries, err := os.ReadDir(root)
		require.NoError(t, err)
		for _, e := range entries {
			list = append(list, e.Name())
		}
		return list
	}
	removeStaleDirs(filepath.Join(root, "sluice"))
	removeStaleDirs(filepath.Join(root, "sluice-"+alive))
	require.Len(t, names(), len(stays)+1, "a prefix without this process's id says nothing of others")
	file := filepath.Join(root, "sluice-"+dead, "config")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	removeStaleDirs(filepath.Join(root, "sluice-"+own))
	require.Len(t, names(), len(stays)+1, "something is in it")
	require.NoError(t, os.Remove(file))
	removeStaleDirs(filepath.Join(root, "sluice-"+own))
	require.ElementsMatch(t, stays, names())
}

package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNodes(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "devices/system/cpu/cpu3/node1"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "devices/system/cpu/cpu4"), 0o755))
	require.Equal(t, 1, nodeOfCore(root, 3))
	for _, core := range []int{-1, 4, 5} {
		require.Equal(t, unknownNode, nodeOfCore(root, core))
	}
	for address, text := range map[string]string{"0000:03:00.0": "1\n", "0000:04:00.0": "-1\n", "0000:05:00.0": "x"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, "bus/pci/devices", address), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, "bus/pci/devices", address, "numa_node"), []byte(text), 0o644))
	}
	require.Equal(t, 1, nodeOfPCI(root, "0000:03:00.0"))
	for _, address := range []string{"0000:04:00.0", "0000:05:00.0", "0000:06:00.0"} {
		require.Equal(t, unknownNode, nodeOfPCI(root, address))
	}
}

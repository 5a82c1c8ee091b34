package nic

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/fakesys"
)

const dev = "sys/bus/pci/devices/"

func TestBindAndBack(t *testing.T) {
	s, tree := server(t)
	for _, id := range []string{"enp3s0f1", "a0:36:9f:00:00:02", "03:00.1"} {
		tree.Written = nil
		r, err := s.Bind(id, Options{})
		require.NoError(t, err)
		assert.Equal(t, []string{
			dev + "0000:03:00.1/driver_override vfio-pci",
			dev + "0000:03:00.1/driver/unbind 0000:03:00.1",
			"sys/bus/pci/drivers_probe 0000:03:00.1",
		}, tree.Written)
		assert.Equal(t, "vfio-pci", r.Driver)
		assert.Contains(t, r.Notes[0], "0000:03:00.0 (ixgbe) shares IOMMU group 12")

		c, err := s.Find(id) // by the name and MAC of an interface that is gone
		require.NoError(t, err)
		assert.Equal(t, "enp3s0f1", c.Name)
		assert.Equal(t, "a0:36:9f:00:00:02", c.MAC)
		assert.Empty(t, c.Interfaces)
		assert.True(t, c.DPDK)
		assert.Equal(t, "ixgbe", c.Was)

		again, err := s.Bind(id, Options{})
		require.NoError(t, err)
		assert.Empty(t, again.Steps, "bound already")

		tree.Written = nil
		r, err = s.Unbind(id, Options{})
		require.NoError(t, err)
		assert.Equal(t, "ixgbe", r.Driver)
		assert.Equal(t, []string{
			dev + "0000:03:00.1/driver_override ixgbe",
			dev + "0000:03:00.1/driver/unbind 0000:03:00.1",
			"sys/bus/pci/drivers_probe 0000:03:00.1",
			dev + "0000:03:00.1/driver_override ",
		}, tree.Written)
		c, err = s.Find(id)
		require.NoError(t, err)
		assert.Equal(t, []string{"enp3s0f1"}, c.Interfaces)
		assert.Empty(t, c.Was)
		assert.NoFileExists(t, s.stateFile("0000:03:00.1"))

		again, err = s.Unbind(id, Options{})
		require.NoError(t, err)
		assert.Empty(t, again.Steps, "the kernel has it already")
	}
}

func TestBindRefuses(t *testing.T) {
	tests := map[string]struct {
		id    string
		o     Options
		setup func(*System, *fakesys.Tree)
		says  []string
	}{
		"default route through a bond": {id: "eno1", says: []string{"network card 0000:05:00.0 (eno1)", "it carries the default route (through bond0), and it belongs to bond0", "--force"}},
		"session": {id: "ens4", setup: func(s *System, _ *fakesys.Tree) { s.Session = "192.168.9.9 50000 192.168.7.1 22" },
			says: []string{"your session from 192.168.9.9", "--force"}},
		"interface in another namespace": {id: "03:00.0", setup: func(_ *System, f *fakesys.Tree) {
			f.Remove("sys/class/net/enp3s0f0")
			f.Remove(dev + "0000:03:00.0/net")
		}, says: []string{"0000:03:00.0 (enp3s0f0): its interface is not in this network namespace", "--force"}},
		"virtual functions": {id: "03:00.0", setup: func(_ *System, f *fakesys.Tree) { f.File(dev+"0000:03:00.0/sriov_numvfs", "4") },
			says: []string{"its 4 virtual functions would vanish"}},
		"no such driver":       {id: "03:00.0", o: Options{Driver: "ixgbe"}, says: []string{"driver ixgbe", "vfio-pci, uio_pci_generic, igb_uio"}},
		"driver not loaded":    {id: "03:00.0", o: Options{Driver: "uio_pci_generic"}, says: []string{"modprobe uio-pci-generic"}},
		"no IOMMU":             {id: "ens4", says: []string{"there is no IOMMU", "intel_iommu=on", "enable_unsafe_noiommu_mode"}},
		"no IOMMU, with force": {id: "ens4", o: Options{Force: true}, says: []string{"there is no IOMMU"}},
		"shared with the kernel": {id: "ml0", setup: func(_ *System, f *fakesys.Tree) {
			f.AddNIC(fakesys.NIC{PCI: "0000:81:00.0", Driver: "mlx5_core", Interface: "ml0", MAC: "0c:42:a1:00:00:01"})
		}, says: []string{"beside the kernel's driver mlx5_core", "nothing to bind"}},
		"no permission": {id: "03:00.0", setup: func(s *System, _ *fakesys.Tree) {
			s.Write = func(path, _ string) error { return &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission} }
		}, says: []string{"run the command as root"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, tree := server(t)
			if tt.setup != nil {
				tt.setup(s, tree)
			}
			_, err := s.Bind(tt.id, tt.o)
			require.Error(t, err)
			for _, want := range tt.says {
				assert.ErrorContains(t, err, want)
			}
			assert.Empty(t, tree.Written)
		})
	}
}

func TestBindByForceAndWithoutIOMMU(t *testing.T) {
	s, tree := server(t)
	r, err := s.Bind("eno1", Options{Force: true})
	require.NoError(t, err)
	assert.Equal(t, "vfio-pci", r.Driver)

	tree.File(strings.TrimPrefix(noIOMMUFile, "/"), "Y\n")
	r, err = s.Bind("ens4", Options{})
	require.NoError(t, err)
	assert.Equal(t, []string{
		"the kernel loses 192.168.7.1/16 with interface ens4", "the kernel loses 2001:db8::4/64 with interface ens4",
		"without an IOMMU nothing keeps the card from memory that is not its own",
	}, r.Notes)
}

func TestDryRunWritesNothing(t *testing.T) {
	s, tree := server(t)
	r, err := s.Bind("enp3s0f0", Options{DryRun: true})
	require.NoError(t, err)
	assert.Equal(t, "echo vfio-pci > "+tree.Path(dev, "0000:03:00.0/driver_override"), r.Steps[0])
	assert.Contains(t, r.Notes, "the kernel loses 172.16.1.1/24 with interface enp3s0f0")
	assert.Empty(t, tree.Written)
	assert.NoDirExists(t, s.StateDir)
}

func TestRefusedBindingIsUndone(t *testing.T) {
	s, tree := server(t)
	tree.Refuses = "vfio-pci"
	_, err := s.Bind("enp3s0f1", Options{})
	assert.ErrorContains(t, err, "network card 0000:03:00.1 (enp3s0f1): driver vfio-pci did not accept it; see dmesg")
	c, err := s.Find("enp3s0f1")
	require.NoError(t, err)
	assert.Equal(t, "ixgbe", c.Driver)
	assert.Equal(t, []string{"enp3s0f1"}, c.Interfaces)
	assert.NoFileExists(t, s.stateFile(c.PCI))
}

func TestMovingBetweenDPDKDriversKeepsTheKernels(t *testing.T) {
	s, tree := server(t)
	tree.Driver("uio_pci_generic")
	_, err := s.Bind("enp3s0f1", Options{Driver: "uio_pci_generic"})
	require.NoError(t, err)
	_, err = s.Bind("enp3s0f1", Options{})
	require.NoError(t, err)
	c, err := s.Find("enp3s0f1")
	require.NoError(t, err)
	assert.Equal(t, "ixgbe", c.Was)
}

func TestUnbindWithoutMemory(t *testing.T) {
	s, tree := server(t)
	_, err := s.Bind("enp3s0f1", Options{})
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(s.StateDir)) // as after dpdk-devbind.py bound it
	c, err := s.Find("enp3s0f1")
	require.NoError(t, err, "its name follows from its slot")
	assert.Empty(t, c.MAC)
	r, err := s.Unbind("enp3s0f1", Options{})
	require.NoError(t, err)
	assert.Equal(t, "ixgbe", r.Driver, "the kernel's own choice")

	_, err = s.Bind("enp3s0f1", Options{})
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(s.StateDir))
	tree.Refuses = "ixgbe"
	r, err = s.Unbind("enp3s0f1", Options{})
	require.NoError(t, err)
	assert.Empty(t, r.Driver)
	assert.Contains(t, r.Notes[0], "modprobe")
}

func TestUnbindRefuses(t *testing.T) {
	s, tree := server(t)
	_, err := s.Bind("enp3s0f1", Options{})
	require.NoError(t, err)
	tree.File("proc/4711/comm", "sluiced\n")
	tree.Link("proc/4711/fd/17", "/dev/vfio/12")
	_, err = s.Unbind("enp3s0f1", Options{})
	assert.ErrorContains(t, err, "process 4711 (sluiced) uses it; stop that first")
	_, err = s.Unbind("enp3s0f1", Options{Force: true, DryRun: true})
	require.NoError(t, err)

	require.NoError(t, os.RemoveAll(tree.Path("proc/4711")))
	require.NoError(t, os.RemoveAll(tree.Path("sys/bus/pci/drivers/ixgbe")))
	_, err = s.Unbind("enp3s0f1", Options{})
	assert.ErrorContains(t, err, "its driver ixgbe is not loaded; load it: modprobe ixgbe")
}

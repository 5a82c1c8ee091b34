package cores

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/fakesys"
)

// shape of a machine: sockets times physical cores times threads. Linux numbers first threads first, socket by socket, then the
// second threads in the same order.
type shape struct {
	sockets, perSocket, threads int
	isolated, nohz              string
	allowed                     []int
}

func (s shape) read(t *testing.T) *Machine {
	t.Helper()
	tree := fakesys.New(t)
	physical := s.sockets * s.perSocket
	tree.File("sys/devices/system/cpu/online", fmt.Sprintf("0-%d\n", physical*s.threads-1))
	tree.File("sys/devices/system/cpu/isolated", s.isolated+"\n")
	tree.File("sys/devices/system/cpu/nohz_full", s.nohz+"\n")
	name := "thread_siblings_list"
	if s.sockets > 1 {
		name = "core_cpus_list"
	}
	for c := range physical * s.threads {
		list := fmt.Sprint(c % physical)
		if s.threads == 2 {
			list = fmt.Sprintf("%d,%d", c%physical, c%physical+physical)
		}
		tree.File(fmt.Sprintf("sys/devices/system/cpu/cpu%d/topology/%s", c, name), list+"\n")
	}
	for n := range s.sockets {
		list := fmt.Sprintf("%d-%d", n*s.perSocket, (n+1)*s.perSocket-1)
		if s.threads == 2 {
			list += fmt.Sprintf(",%d-%d", physical+n*s.perSocket, physical+(n+1)*s.perSocket-1)
		}
		tree.File(fmt.Sprintf("sys/devices/system/node/node%d/cpulist", n), list+"\n")
	}
	return Read(tree.Root, s.allowed)
}

func plain(cores int) shape { return shape{sockets: 1, perSocket: cores, threads: 1} }

func TestChoose(t *testing.T) {
	server := shape{sockets: 2, perSocket: 8, threads: 2} // 0-7 and 16-23 are node 0
	with := func(s shape, isolated string) shape { s.isolated = isolated; return s }
	for _, tc := range []struct {
		name             string
		machine          shape
		wish             Wish
		workers, control string
		why, note        string
	}{
		{name: "one core serves both", machine: plain(1), workers: "0", control: "0",
			why: "1 worker on 0: chosen by sluiced, not isolated; control on 0", note: "control and workers share cores"},
		{name: "two cores: the last polls", machine: plain(2), workers: "1", control: "0"},
		{name: "half of four", machine: plain(4), workers: "2-3", control: "0-1"},
		{name: "odd number", machine: plain(3), workers: "2", control: "0-1"},
		{name: "bounded", machine: plain(32), workers: "24-31", control: "0-23"},
		{name: "number given", machine: plain(4), wish: Wish{Workers: 3}, workers: "1-3", control: "0",
			why: "3 workers on 1-3: as many as dataplane.workers says, not isolated; control on 0"},
		{name: "cores given", machine: plain(4), wish: Wish{Cores: []int{2, 0}}, workers: "2,0", control: "1,3",
			why: "2 workers on 0,2: named by dataplane.cores, not isolated; control on 1,3"},
		{name: "all cores poll", machine: plain(2), wish: Wish{Workers: 2}, workers: "0-1", control: "0-1", note: "share cores"},
		{name: "holes in the affinity", machine: shape{sockets: 1, perSocket: 10, threads: 1, allowed: []int{1, 5, 6, 9}},
			workers: "6,9", control: "1,5"},
		{name: "two sockets with threads, any node", machine: server, wish: Wish{Node: Unknown}, workers: "24-31", control: "0-7,16-23",
			why: "8 workers on 24-31: chosen by sluiced, not isolated, each a physical core of its own; control on 0-7,16-23"},
		{name: "the NIC's node", machine: server, wish: Wish{Workers: 4, Node: 0}, workers: "20-23", control: "0-3,8-19,24-31",
			why: "on the NIC's node 0"},
		{name: "more than the NIC's node has", machine: server, wish: Wish{Workers: 10, Node: 0}, workers: "16-23,30-31",
			note: "the NIC is on node 0, and cores 30-31 are not"},
		{name: "more than physical cores", machine: shape{sockets: 1, perSocket: 2, threads: 2}, wish: Wish{Workers: 3}, workers: "1-3", control: "0",
			note: "3 workers are on 2 physical cores"},
		{name: "two threads of one core", machine: shape{sockets: 1, perSocket: 1, threads: 2}, workers: "1", control: "0"},
		{name: "isolated cores", machine: with(plain(8), "2-5"), workers: "2-5", control: "0-1,6-7",
			why: "4 workers on 2-5: chosen by sluiced, isolated; control on 0-1,6-7"},
		{name: "isolated with threads: a worker for each physical core", machine: with(server, "4-5,20-21"), wish: Wish{Node: 0}, workers: "20-21",
			control: "0-3,6-19,22-31", why: "isolated, each a physical core of its own, on the NIC's node 0"},
		{name: "nohz_full alone", machine: shape{sockets: 1, perSocket: 4, threads: 1, nohz: "1-3"}, workers: "1-3", control: "0"},
		{name: "isolated first, then others", machine: with(plain(4), "1"), wish: Wish{Workers: 2}, workers: "1,3", control: "0,2", why: "1 isolated"},
		{name: "all isolated", machine: with(plain(4), "0-3"), workers: "1-3", control: "0", note: "control gets core 0 alone"},
		{name: "all isolated, some workers", machine: with(plain(4), "0-3"), wish: Wish{Workers: 1}, workers: "3", control: "0", note: "leave a core out of isolcpus"},
		{name: "the only core, isolated", machine: with(plain(1), "0"), workers: "0", control: "0", note: "share cores"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := tc.machine.read(t)
			if tc.wish.Node == 0 && tc.machine.sockets == 1 {
				tc.wish.Node = Unknown
			}
			p, err := m.Choose(tc.wish)
			require.NoError(t, err)
			assert.Equal(t, tc.workers, List(p.Workers))
			if tc.control != "" {
				assert.Equal(t, tc.control, List(p.Control))
			}
			assert.Contains(t, p.Why, tc.why)
			if tc.note == "" {
				assert.Empty(t, p.Notes)
			} else {
				require.Len(t, p.Notes, 1)
				assert.Contains(t, p.Notes[0], tc.note)
			}
		})
	}
}

func TestChooseRefuses(t *testing.T) {
	few := shape{sockets: 1, perSocket: 8, threads: 1, allowed: []int{0, 1, 4}}
	for _, tc := range []struct {
		name    string
		machine shape
		wish    Wish
		want    string
	}{
		{"too many", plain(2), Wish{Workers: 3}, "3 workers need a core each, and sluiced may use 2 (0-1); lower it"},
		{"no such core", plain(8), Wish{Cores: []int{8}}, "core 8 does not exist here, or is offline; this machine has 0-7"},
		{"not allowed", few, Wish{Cores: []int{2}}, "core 2 is not one that sluiced may use (0-1,4); name others"},
		{"twice", plain(2), Wish{Cores: []int{1, 1}}, "core 1 is named twice"},
		{"disagree", plain(2), Wish{Workers: 2, Cores: []int{1}}, "names 1 cores for 2 workers"},
		{"none", shape{sockets: 1, perSocket: 1, threads: 1, allowed: []int{}}, Wish{}, "no CPU core may be used"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := tc.machine.read(t).Choose(tc.wish)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// A machine that tells nothing is one of plain cores.
func TestBareMachine(t *testing.T) {
	m := Read(t.TempDir(), []int{0, 1})
	p, err := m.Choose(Wish{Node: Unknown})
	require.NoError(t, err)
	assert.Equal(t, "1 worker on 1: chosen by sluiced, not isolated; control on 0", p.Why)
	_, err = m.Choose(Wish{Cores: []int{7}})
	require.ErrorContains(t, err, "core 7 is not one that sluiced may use")
}

func TestDefaultAffinity(t *testing.T) {
	s := shape{sockets: 1, perSocket: 4, threads: 1, isolated: "2-3", allowed: []int{0, 1}}
	assert.True(t, s.read(t).Default(), "isolated cores are not part of it")
	s.allowed = []int{0}
	assert.False(t, s.read(t).Default(), "somebody narrowed it")
	s.allowed = []int{0, 1, 3}
	assert.True(t, s.read(t).Default())
}

func TestNodes(t *testing.T) {
	tree := fakesys.New(t)
	tree.File("sys/bus/pci/devices/0000:03:00.0/numa_node", "1\n")
	tree.File("sys/bus/pci/devices/0000:04:00.0/numa_node", "-1\n")
	tree.File("sys/class/net/eth1/device/numa_node", "0\n")
	assert.Equal(t, 1, PCINode(tree.Root, "0000:03:00.0"))
	assert.Equal(t, Unknown, PCINode(tree.Root, "0000:04:00.0"))
	assert.Equal(t, Unknown, PCINode(tree.Root, "0000:05:00.0"))
	assert.Equal(t, 0, InterfaceNode(tree.Root, "eth1"))
	assert.Equal(t, Unknown, InterfaceNode(tree.Root, "veth1"))
}

package policy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const samplesDir = "../configs"

// TestSamples keeps the samples what a reader may copy: taken without a problem or a warning.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(samplesDir, "*.yaml"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 4)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, err := Load(file)
			require.NoError(t, err)
			assert.Empty(t, c.Warnings())
			s, err := Compile(c, nil, NumberPorts(c))
			require.NoError(t, err)
			assert.Len(t, s.Ports, len(c.Uplinks)+len(c.Vports))
			assert.Empty(t, Diff(c, c))
		})
	}
}

func loadSample(t testing.TB, name string) *Config {
	c, err := Load(filepath.Join(samplesDir, name))
	require.NoError(t, err)
	return c
}

// TestLaptopPairAgrees: each host knows the VMs of the other one, and both the same networks.
func TestLaptopPairAgrees(t *testing.T) {
	a, b := loadSample(t, "laptop-a.yaml"), loadSample(t, "laptop-b.yaml")
	assert.Equal(t, subnetsOf(a), subnetsOf(b))
	assert.Equal(t, networksOf(a), networksOf(b))
	for _, pair := range [][2]*Config{{a, b}, {b, a}} {
		here, there := pair[0], pair[1]
		require.Len(t, here.Records, len(there.Vports))
		for i, r := range here.Records {
			v := there.Vports[i]
			assert.Equal(t, v.Subnet, r.Subnet)
			assert.Equal(t, v.Addresses[0], r.CA)
			assert.Equal(t, v.MAC, r.MAC)
			pa := there.Uplinks[0].ProviderAddresses[0].Addr()
			if len(v.ProviderAddresses) > 0 {
				pa = v.ProviderAddresses[0]
			}
			assert.Equal(t, pa, r.PA)
			assert.Equal(t, v.Name, v.Device.Namespace)
		}
	}
}

func TestSampleBridges(t *testing.T) {
	c := loadSample(t, "vlan-passthrough.yaml")
	ports := NumberPorts(c)
	s, err := Compile(c, nil, ports)
	require.NoError(t, err)
	index := func(name string) uint32 {
		i, ok := ports.Index(name)
		require.True(t, ok)
		return i
	}
	up0, lab := index("up0"), index("lab")
	assert.Equal(t, map[uint32]*Bridge{
		BridgeID(up0, 0):   {ID: BridgeID(up0, 0), Uplink: up0, VLAN: 0, Ports: []uint32{index("host0")}},
		BridgeID(up0, 100): {ID: BridgeID(up0, 100), Uplink: up0, VLAN: 100, Ports: []uint32{index("printer"), index("scanner"), index("host0")}},
		BridgeID(up0, 200): {ID: BridgeID(up0, 200), Uplink: up0, VLAN: 200, Ports: []uint32{index("host0")}},
		BridgeID(lab, 100): {ID: BridgeID(lab, 100), Uplink: lab, VLAN: 100, Ports: []uint32{index("camera")}},
	}, s.Bridges)
	assert.Equal(t, []uint16{100, 200}, s.Port(index("host0")).Trunk)
	assert.Equal(t, AttachVLAN, s.Port(index("printer")).Attach)
	assert.Equal(t, uint16(100), s.Port(index("camera")).VLAN)
}

// TestDocumentedSample reads the file as people edit it: with Windows line ends and a byte order mark.
func TestDocumentedSample(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(samplesDir, "laptop-a.yaml"))
	require.NoError(t, err)
	var dos []byte
	for _, b := range data {
		if b == '\n' {
			dos = append(dos, '\r')
		}
		dos = append(dos, b)
	}
	c, err := Parse("laptop-a.yaml", append([]byte("\ufeff"), dos...))
	require.NoError(t, err)
	assert.Empty(t, Diff(loadSample(t, "laptop-a.yaml"), c))
}

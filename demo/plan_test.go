package demo

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/configs"
	"github.com/sluicenet/sluice/policy"
)

func samplePlan(t *testing.T) *plan {
	t.Helper()
	p, err := makePlan(samples, configs.Files.ReadFile)
	require.NoError(t, err)
	return p
}

// The samples can show all that the demo promises.
func TestSamplesCastTheDemo(t *testing.T) {
	p := samplePlan(t)
	require.Len(t, p.hosts, 2)
	assert.NotEqual(t, p.hosts[0].PA, p.hosts[1].PA)
	assert.Equal(t, []string{"red", "blue", "green"}, p.tenants)
	casts, err := p.casting()
	require.NoError(t, err)
	for _, c := range casts {
		assert.Equal(t, 0, c.client.Host)
		assert.Equal(t, 1, c.near.Host)
		assert.Equal(t, c.client.Subnet, c.near.Subnet)
		assert.Equal(t, c.tenant, c.far.Tenant)
		assert.NotEqual(t, c.client.Subnet, c.far.Subnet)
		assert.True(t, p.shared(c.near))
		assert.True(t, c.client.Prefix.Contains(c.client.gateway()))
	}
	assert.Equal(t, casts[0].near.CA, casts[1].near.CA, "the same address in all tenants")
	require.NotNil(t, casts[0].foreign)
	assert.Equal(t, "blue", casts[0].foreign.Tenant)
}

func TestCastingNeedsTwoTenants(t *testing.T) {
	p := samplePlan(t)
	p.tenants = p.tenants[:1]
	_, err := p.casting()
	assert.ErrorContains(t, err, "two tenants")

	p = samplePlan(t)
	p.vms = p.of("red", 0)
	_, err = p.casting()
	assert.ErrorContains(t, err, "tenant red needs")
}

func TestAdaptChangesOnlyWhatItMust(t *testing.T) {
	for i, file := range samples {
		raw, err := configs.Files.ReadFile(file)
		require.NoError(t, err)
		for _, core := range []int{-1, 3} {
			out, err := adapt(raw, "/run/x.sock", core)
			require.NoError(t, err)
			before, err := policy.Parse(file, raw)
			require.NoError(t, err)
			after, err := policy.Parse(file, out)
			require.NoError(t, err, string(out))

			assert.Equal(t, "/run/x.sock", after.Daemon.Socket)
			assert.Equal(t, 1, after.Dataplane.Workers)
			if core >= 0 {
				assert.Equal(t, []int{core}, after.Dataplane.Cores)
			} else {
				assert.Empty(t, after.Dataplane.Cores)
			}
			require.Len(t, after.Vports, len(before.Vports))
			for j := range after.Vports {
				assert.Equal(t, prefix+before.Vports[j].Device.Namespace, after.Vports[j].Device.Namespace)
			}
			for _, change := range policy.Diff(before, after) {
				assert.Contains(t, []string{"vport", "daemon", "dataplane"}, change.Kind, "%d: %+v", i, change)
			}
			assert.Contains(t, string(out), "# ", "comments stay")
		}
	}
}

func TestCoreOfItsOwn(t *testing.T) {
	assert.Equal(t, -1, core(0, []int{0}))
	assert.Equal(t, -1, core(1, nil))
	assert.Equal(t, 0, core(0, []int{0, 1}))
	assert.Equal(t, 1, core(1, []int{0, 1}))
	assert.Equal(t, 7, core(1, []int{5, 7, 9}))
}

func TestPlanRefusesWhatItCannotBuild(t *testing.T) {
	read := func(from, to string) func(string) ([]byte, error) {
		return func(file string) ([]byte, error) {
			raw, err := configs.Files.ReadFile(file)
			return []byte(strings.ReplaceAll(string(raw), from, to)), err
		}
	}
	_, err := makePlan(samples, read("driver: af_packet, interface: eth-fabric", `pci: "0000:03:00.0"`))
	assert.ErrorContains(t, err, "kernel interface")
	_, err = makePlan(samples, read("vsid: 6001", "vsid: 1"))
	assert.ErrorContains(t, err, "sample configuration")
	_, err = makePlan([]string{"nowhere.yaml"}, configs.Files.ReadFile)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

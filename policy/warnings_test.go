package policy

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWarnings(t *testing.T) {
	tests := []struct {
		name  string
		edits edits
		want  []string
	}{
		{"fabric too small", edits{"interface: eth1}", "interface: eth1}, mtu: 1500"}, []string{
			"3: uplink up0: VMs of red-web send up to 1500 bytes; NVGRE adds 42; uplink up0 carries 1500 (set its mtu to 1542 or more, or the VMs' to 1458)"}},
		{"fabric just large enough", edits{"interface: eth1}", "interface: eth1}, mtu: 1542"}, nil},
		{"largest VM counts", edits{"interface: eth1}", "interface: eth1}, mtu: 1600", "addresses: [10.0.0.6]", "addresses: [10.0.0.6], mtu: 9000"}, []string{
			"3: uplink up0: VMs of red-web send up to 9000 bytes; NVGRE adds 42; uplink up0 carries 1600 (set its mtu to 9042 or more, or the VMs' to 1558)"}},
		{"uplink without provider address carries no NVGRE",
			edits{`pci: "0000:03:00.0"}, providerAddresses: [172.16.2.1/24]`, `pci: "0000:03:00.0"}, mtu: 1500`}, nil},
		{"provider addresses out of reach", edits{", gateway: 172.16.1.254", "", "[172.16.1.2, 172.16.2.2]", "[172.16.1.3]",
			"mac: 02:00:00:00:02:07, pa: 172.16.1.2", "mac: 02:00:00:00:02:07, pa: 172.17.1.2",
			"pa: 172.16.2.2", "pa: 172.17.1.2", "nextHop: 10.0.0.7", "gateway: 192.0.2.1"}, []string{
			"16: route 0.0.0.0/0: no uplink reaches provider address 192.0.2.1 (give an uplink a provider address in its prefix, or a gateway)",
			"23: record 10.0.0.7 of red-web: no uplink reaches provider address 172.17.1.2, which 2 entries use (give an uplink a provider address in its prefix, or a gateway)"}},
		{"another address of the host is in reach", edits{", gateway: 172.16.1.254", "", "[172.16.1.2, 172.16.2.2]", "[172.16.1.2, 172.17.2.2]",
			"pa: 172.16.2.2", "pa: 172.17.2.2"}, nil},
		{"next hop unknown", edits{"nextHop: 10.0.0.7", "nextHop: 10.0.0.99"}, []string{
			"16: route 0.0.0.0/0: no vport and no record has the next hop 10.0.0.99, so packets by this route are dropped (add a vport or a record with this address in subnet red-web)"}},
		{"route inside a subnet", edits{"{prefix: 0.0.0.0/0", "{prefix: 10.0.0.128/25"}, []string{
			"16: route 10.0.0.128/25: subnet red-web holds all of 10.0.0.128/25, so the route is never used (remove the route, or make its prefix one outside the subnets)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("", []byte(spoil(t, tt.edits)))
			require.NoError(t, err)
			var got []string
			for _, p := range c.Warnings() {
				got = append(got, p.String()[1:])
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestCheckMTU(t *testing.T) {
	c, err := Parse("good.yaml", []byte(good))
	require.NoError(t, err)
	assert.Empty(t, c.Warnings(), "the MTU of the device is not known from the file")
	require.Len(t, c.CheckMTU("up0", 1500), 1)
	assert.Equal(t, "set its mtu to 1542 or more, or the VMs' to 1458", c.CheckMTU("up0", 1500)[0].Remedy)
	assert.Empty(t, c.CheckMTU("up0", 1542))
	assert.Empty(t, c.CheckMTU("nothing", 1500))
}

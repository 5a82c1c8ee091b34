package control

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDriverOf(t *testing.T) {
	for _, tc := range []struct{ device, iface, driver string }{
		{"net_af_packet_eth-fabric", "eth-fabric", "af_packet"},
		{"net_af_xdp_eth1", "eth1", "af_xdp"},
		{"net_af_packet0", "eth1", "af_packet"},
		{"net_null12", "", "null"},
		{"net_pcap0", "eth0", "pcap"},
	} {
		require.Equal(t, tc.driver, driverOf(tc.device, tc.iface), tc.device)
	}
}

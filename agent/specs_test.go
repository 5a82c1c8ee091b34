package agent

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

func TestSpecsOf(t *testing.T) {
	c, err := policy.Parse("f", []byte(`
host: {name: a}
uplinks:
  - {name: up0, device: {driver: af_packet, interface: nosuch7}, queues: 2, mtu: 1600, providerAddresses: [172.16.1.1/24]}
  - {name: up1, device: {pci: "0000:03:00.0"}, mtu: 9000, providerAddresses: [172.16.2.1/24]}
  - {name: up2, device: {devargs: "net_null0,no-rx=1"}, mtu: 1600, providerAddresses: [172.16.3.1/24]}
  - {name: up3, device: {driver: af_xdp, interface: nosuch8}, providerAddresses: [172.16.4.1/24]}
networks: [{name: red, subnets: [{name: web, vsid: 6001, prefix: 10.0.0.0/24}]}]
vports:
  - name: vm
    device: {driver: tap, interface: tap0, namespace: /var/run/netns/ns1, persist: false}
    mac: "00:15:5d:00:01:05"
    queues: 4
    mtu: 1400
    subnet: web
    addresses: [10.0.0.5]
`))
	require.NoError(t, err)
	specs := specsOf(c, 3)
	require.Equal(t, []portSpec{
		{uplink: &UplinkSpec{Name: "up0", DevArgs: "net_af_packet_nosuch7,iface=nosuch7", RxQueues: 2, TxQueues: 3, MTU: 1600}},
		{uplink: &UplinkSpec{Name: "up1", PCI: "0000:03:00.0", RxQueues: 1, TxQueues: 3, MTU: 9000}},
		{uplink: &UplinkSpec{Name: "up2", DevArgs: "net_null0,no-rx=1", RxQueues: 1, TxQueues: 3, MTU: 1600}},
		{uplink: &UplinkSpec{Name: "up3", DevArgs: "net_af_xdp_nosuch8,iface=nosuch8", RxQueues: 1, TxQueues: 3}},
		{tap: &TapSpec{Name: "vm", Interface: "tap0", Namespace: "ns1", MAC: packet.MAC{0, 0x15, 0x5d, 0, 1, 5}, MTU: 1400, Queues: 4}},
	}, specs)

	now := poolFor(specs, waiting{}, 3, 0)
	require.GreaterOrEqual(t, now.FrameSize, 9000+frameOverhead)
	more := poolFor(specs, waiting{}, 3, spareVports)
	require.True(t, more.covers(now))
	require.False(t, now.covers(more), "room for vports to come")
	require.False(t, poolFor(specs[2:], waiting{}, 3, 5000).covers(now), "packets enough, but too small")
	require.Equal(t, more, PoolFor(c, 3))
	require.True(t, more.covers(poolFor(specs, waiting{leaves: spareVports, inbound: spareInbound}, 3, 0)), "quality of service can be turned on")
	require.False(t, more.covers(poolFor(specs, waiting{leaves: 1000}, 3, 0)))
	require.False(t, more.covers(poolFor(specs, waiting{inbound: 1000}, 3, 0)))
}

func TestNamespaceName(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "ns1": "ns1", "/run/netns/ns1": "ns1", "/var/run/netns/ns1": "ns1", "/proc/7/ns/net": "/proc/7/ns/net",
		"/run/netns/a/b": "/run/netns/a/b",
	} {
		require.Equal(t, want, namespaceName(in), in)
	}
}

func TestKernelAddrs(t *testing.T) {
	owned, err := kernelAddrs()
	require.NoError(t, err)
	if name, ok := owned[netip.MustParseAddr("127.0.0.1")]; ok { // the loopback interface may be down
		require.Equal(t, "lo", name)
	}
}

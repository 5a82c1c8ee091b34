package dataplane

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

func TestSourcesThatNobodyMayUse(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	for name, tc := range map[string]struct {
		port  string
		frame []byte
		want  Reason
	}{
		"unspecified, to a VM":          {"red-vm1", udp6(redVM1, redVM2, "::", red6), ReasonSourceAddrSpoof},
		"unspecified, to another host":  {"red-vm1", udp6(redVM1, redFar, "::", red7), ReasonSourceAddrSpoof},
		"unspecified, to the router":    {"red-vm1", udp6(redVM1, routerMAC, "::", red7), ReasonSourceAddrSpoof},
		"unspecified, broadcast":        {"red-vm1", udp6(redVM1, "33:33:00:00:00:01", "::", "ff02::1"), ReasonTenantBroadcast},
		"the router's link-local":       {"red-vm1", udp6(redVM1, redVM2, "fe80::1", red6), ReasonSourceAddrSpoof},
		"IPv4 in IPv6":                  {"red-vm1", udp6(redVM1, redVM2, "::ffff:10.0.0.5", "::ffff:10.0.0.6"), ReasonMartian},
		"to IPv4 in IPv6":               {"red-vm1", udp6(redVM1, routerMAC, red5, "::ffff:10.0.1.5"), ReasonMartian},
		"wire: unspecified":             {"up0", fromFar(udp6(redFar, redVM1, "::", red5)), ReasonUnknownSender},
		"wire: the router's link-local": {"up0", fromFar(udp6(redFar, redVM1, "fe80::1", red5)), ReasonUnknownSender},
		"wire: IPv4 in IPv6":            {"up0", fromFar(udp6(redFar, redVM1, "::ffff:10.0.0.7", red5)), ReasonMartian},
		"wire: as the router's address": {"up0", fromFar(advert(redFar, red7, redVM1, red5, "fe80::1")), ReasonNeighbourSpoof},
		"wire: discovery by the router": {"up0", fromFar(solicit(routerMAC, red7, red5, redVM1, red5)), ReasonNeighbourSpoof},
	} {
		t.Run(name, func(t *testing.T) {
			old := r.t
			r.t = t
			defer func() { r.t = old }()
			r.dropped(tc.port, tc.frame, tc.want)
			r.dropped(tc.port, tc.frame, tc.want)
		})
	}
	require.Len(t, r.send("red-vm1", udp6(redVM1, redVM2, "fe80::215:5dff:fe00:105", red6))["red-vm2"], 1, "a link-local address of its own")
	r.balanced()
}

// The router may send a packet back into the subnet that it came from, to a next hop for example.
func TestRoutedInsideItsSubnet(t *testing.T) {
	r := newRig(t, 1)
	for name, f := range map[string][]byte{
		"to a VM":       dataFrame(routerMAC, redVM1, "10.0.0.7", "10.0.0.5"),
		"to a next hop": dataFrame(routerMAC, redVM2, "10.0.0.7", "192.0.2.9"),
	} {
		out := r.send("up0", fromFar(f))
		require.Len(t, out, 1, name)
		for _, sent := range out {
			frames.EqualAll(t, [][]byte{f}, sent, name)
		}
	}
	r.balanced()
}

func TestProviderGatewayAnswers(t *testing.T) {
	r := newRigOf(t, 1, strings.Replace(rigPolicy, "{prefix: 192.0.2.0/24, nextHop: 10.0.0.6}", "{prefix: 0.0.0.0/0, gateway: 172.16.1.2}", 1))
	r.resolve()
	tun := frames.Decap(t, r.send("red-vm1", dataFrame(redVM1, routerMAC, "10.0.0.5", "192.0.2.9"))["up0"][0])
	require.EqualValues(t, 6001, tun.VSID)
	for _, mac := range []string{routerMAC, "02:99:00:00:00:01"} {
		back := dataFrame(mac, redVM1, "192.0.2.9", "10.0.0.5")
		frames.EqualAll(t, [][]byte{back}, r.send("up0", fromFar(back))["red-vm1"])
	}
	r.dropped("up0", fromFar(dataFrame(redFar, redVM1, "192.0.2.9", "10.0.0.5")), ReasonInnerSourceMAC)
	r.dropped("up0", fromFar(dataFrame(routerMAC, redVM1, "10.0.0.77", "10.0.0.5")), ReasonUnknownSender)
	elsewhere := frames.NVGRE(hostBMAC, uplinkMAC, "172.16.1.9", hostAPA, 6001, 1, dataFrame(routerMAC, redVM1, "192.0.2.9", "10.0.0.5"))
	r.dropped("up0", elsewhere, ReasonProviderSpoof)
	blue := frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 7001, 1, dataFrame(routerMAC, blueVM1, "192.0.2.9", "10.0.0.5"))
	r.dropped("up0", blue, ReasonUnknownSender)
	r.dropped("red-vm1", dataFrame(redVM1, redVM2, "192.0.2.9", "10.0.0.6"), ReasonSourceAddrSpoof)
	r.balanced()
}

// Two VMs lead to the same network, for one subnet each: both may send for what lies behind them, and nobody else.
func TestGatewaysOfDifferentSubnets(t *testing.T) {
	r := newRigOf(t, 1, strings.Replace(rigPolicy, "      - {prefix: 192.0.2.0/24, nextHop: 10.0.0.6}", `
      - {prefix: 192.0.2.0/24, nextHop: 10.0.0.6, subnet: red-db}
      - {prefix: 192.0.2.0/24, nextHop: 10.0.0.7, subnet: red-web}
      - {prefix: 192.0.2.0/24, nextHop: 10.0.0.8, metric: 10}`, 1))
	require.Len(t, r.send("red-db0", dataFrame(redDB0, routerMAC, "10.0.1.5", "192.0.2.9"))["red-vm2"], 1)
	require.Len(t, r.send("red-vm2", dataFrame(redVM2, routerMAC, "192.0.2.9", "10.0.1.5"))["red-db0"], 1, "the way back")
	require.Len(t, r.send("up0", fromFar(dataFrame(redFar, redVM1, "192.0.2.9", "10.0.0.5")))["red-vm1"], 1)
	spare := frames.NVGRE(hostBMAC, uplinkMAC, "172.16.1.4", hostAPA, 6001, 1, dataFrame("00:15:5d:00:01:08", redVM1, "192.0.2.9", "10.0.0.5"))
	require.Len(t, r.send("up0", spare)["red-vm1"], 1)
	r.dropped("up0", fromFar(dataFrame("00:15:5d:00:01:08", redVM1, "192.0.2.9", "10.0.0.5")), ReasonProviderSpoof)
	r.dropped("red-vm1", dataFrame(redVM1, redVM2, "192.0.2.9", "10.0.0.6"), ReasonSourceAddrSpoof)
	r.balanced()
}

func TestRouterRefusesMartians(t *testing.T) {
	r := newRigOf(t, 1, strings.Replace(rigPolicy, "{prefix: 192.0.2.0/24, nextHop: 10.0.0.6}",
		"{prefix: 0.0.0.0/0, nextHop: 10.0.0.6}\n      - {prefix: \"::/0\", nextHop: \"2001:db8:1::6\"}", 1))
	for _, to := range []string{"224.0.0.5", "255.255.255.255", "240.0.0.1", "127.0.0.1", "169.254.1.1", "0.0.0.0"} {
		r.dropped("red-vm1", dataFrame(redVM1, routerMAC, "10.0.0.5", to), ReasonMartian)
	}
	for _, to := range []string{"fe80::9", "ff02::1", "ff0e::1", "::1", "::"} {
		r.dropped("red-vm1", udp6(redVM1, routerMAC, red5, to), ReasonMartian)
	}
	r.dropped("red-vm1", udp6(redVM1, routerMAC, "fe80::5", "2001:db8:99::1"), ReasonMartian)
	for _, from := range []string{"224.0.0.5", "255.255.255.255", "127.0.0.1", "169.254.1.1", "0.0.0.0"} {
		r.dropped("red-vm2", dataFrame(redVM2, redVM1, from, "10.0.0.5"), ReasonSourceAddrSpoof)
	}
	require.Len(t, r.send("red-vm1", dataFrame(redVM1, routerMAC, "10.0.0.5", "8.8.8.8"))["red-vm2"], 1)
	require.Len(t, r.send("red-vm1", udp6(redVM1, routerMAC, red5, "2001:db8:99::1"))["red-vm2"], 1)
	require.Len(t, r.send("red-vm2", udp6(redVM2, redVM1, "2001:db8:99::1", red5))["red-vm1"], 1)
	r.balanced()
}

// Whoever can send to the provider address must not fill the tables that all tenants' flows are in.
func TestForgedPacketsLeaveNoFlows(t *testing.T) {
	r := newRig(t, 1)
	inner := dataFrame(redFar, redVM1, "10.0.0.7", "10.0.0.5")
	require.Len(t, r.send("up0", fromFar(inner))["red-vm1"], 1)
	for i := range 300 {
		forged := frames.Patch(inner, 34, byte(i>>8), byte(i)) // another source port
		r.inject("up0", frames.NVGRE(hostBMAC, uplinkMAC, packet.AddrFrom4(0xac110000+uint32(i)).Netip(), hostAPA, 6001, 1, forged))
	}
	r.idle()
	require.EqualValues(t, 300, r.counters("up0").Drops[ReasonProviderSpoof])
	up := r.workers()[0].Queues[0]
	require.EqualValues(t, 1, up.Flows)
	require.EqualValues(t, 1, up.Actions)
	r.balanced()
}

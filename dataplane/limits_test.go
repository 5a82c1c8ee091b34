package dataplane

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/policy"
)

// withMTU publishes the rig's policy with another MTU of a port, as a device without a configured one may have.
func (r *rig) withMTU(port string, mtu uint16) {
	next := *r.snap
	next.Ports = append([]policy.Port(nil), r.snap.Ports...)
	next.Ports[r.index.byName[port]].MTU = mtu
	require.NoError(r.t, r.sw.Publish(&next))
}

func TestExtremeMTU(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	local := frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1)
	for _, mtu := range []uint16{65535, 65530, 9702} {
		r.withMTU("up0", mtu)
		require.Len(t, r.send("acc1", untagged(acc1MAC, broadcast))["up0"], 1, "%d", mtu)
		require.Len(t, r.send("red-vm1", toFar(1))["up0"], 1, "%d", mtu)
		r.withMTU("red-vm2", mtu)
		require.Len(t, r.send("red-vm1", local)["red-vm2"], 1, "%d", mtu)
	}
	for _, mtu := range []uint16{0, 13, 27, 41} {
		r.withMTU("up0", mtu)
		r.dropped("red-vm1", toFar(1), ReasonTooBig)
	}
	r.balanced()
}

func TestManyProviderAddresses(t *testing.T) {
	var all []string
	for i := range 48 {
		all = append(all, fmt.Sprintf("172.16.1.%d/24", 100+i))
	}
	r := newRigOf(t, 1, strings.Replace(rigPolicy, "172.16.1.1/24", strings.Join(all, ", "), 1))
	inner := dataFrame(redFar, redVM1, "10.0.0.7", "10.0.0.5")
	for i := range all {
		pa := fmt.Sprintf("172.16.1.%d", 100+i)
		require.Len(t, r.send("up0", frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, pa, 6001, 1, inner))["red-vm1"], 1, pa)
		require.Len(t, r.send("up0", frames.ARPRequest(hostBMAC, hostBPA, pa))["up0"], 1, pa)
	}
	r.dropped("up0", frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, "172.16.1.99", 6001, 1, inner), ReasonNotForUs)
	r.balanced()
}

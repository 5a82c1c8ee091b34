package dataplane

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
)

// tenantOf says to whom a port belongs.
func tenantOf(port string) string {
	for _, t := range []string{"red", "blue", "up"} {
		if strings.HasPrefix(port, t) {
			return t
		}
	}
	return "bridged"
}

// tenantOnWire says to whom a frame belongs that the switch sent to the fabric.
func (r *rig) tenantOnWire(f []byte) string {
	if string(f[6:12]) != string(r.mac[:]) {
		return "bridged"
	}
	if binary.BigEndian.Uint16(f[12:]) == 0x0806 || f[23] == 1 {
		return "up" // the switch's own ARP and ping
	}
	switch vsid := frames.Decap(r.t, f).VSID; vsid {
	case 6001, 6002:
		return "red"
	case 7001:
		return "blue"
	}
	return "nobody"
}

// TestIsolationOfSpoiltFrames spoils bytes of sound frames and injects them wherever it likes: whatever comes out, it is
// the sender's network that it comes out in.
func TestIsolationOfSpoiltFrames(t *testing.T) {
	r := newRig(t, 1)
	r.resolve()
	rng := rand.New(rand.NewPCG(11, 12))
	seeds := append(trafficSeeds(), dataFrame(blueVM1, blueFar, "10.0.0.5", "10.0.0.7"), frames.ARPRequest(blueVM1, "10.0.0.5", "10.0.0.7"),
		dataFrame(redVM1, routerMAC, "10.0.0.5", "192.0.2.1"), dataFrame(redVM2, redVM1, "192.0.2.1", "10.0.0.5"), dataFrame(redDB0, routerMAC, "10.0.1.5", "10.0.0.7"),
		solicit(redVM1, red5, "ff02::1:ff00:7", "33:33:ff:00:00:07", red7), advert(redVM1, red5, redVM2, red6, red5), fromFar(advert(redFar, red7, redVM1, red5, red7)),
		frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 7001, 1, dataFrame(blueFar, blueVM1, "10.0.0.7", "10.0.0.5")))
	values := [][]byte{{0}, {1}, {0xff}, {0x81, 0}, {8, 0}, {8, 6}, {0x86, 0xdd}, {0x45}, {0x60}, {10, 0, 0, 5}, {10, 0, 0, 7}, {172, 16, 1, 1}, {172, 16, 1, 2},
		{0, 0x15, 0x5d, 0, 1, 5}, {0, 0x15, 0x5d, 0, 1, 6}, {0, 0x15, 0x5d, 0, 0x0b, 5}, {0, 0x15, 0x5d, 0, 0x0b, 7}, {2, 0x15, 0x5d, 0, 0, 1}, {2, 0xaa, 0, 0, 0, 1}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	ports := []string{"up0", "red-vm1", "red-vm2", "red-db0", "blue-vm1", "acc1", "acc2", "thru"}
	came := map[string]int{}
	for range 8000 {
		f := append([]byte(nil), seeds[rng.IntN(len(seeds))]...)
		for range rng.IntN(3) {
			at := []int{0, 6, 12, 14, 26, 30, 42, 48, 68, 72, rng.IntN(len(f))}[rng.IntN(11)]
			if at < len(f) {
				copy(f[at:], values[rng.IntN(len(values))])
			}
		}
		port := ports[rng.IntN(len(ports))]
		from := tenantOf(port)
		for to, sent := range r.send(port, f) {
			owner := tenantOf(to)
			for _, out := range sent {
				if to == "up0" {
					if owner = r.tenantOnWire(out); owner == "up" {
						continue
					}
				}
				came[owner]++
				if from == "up" {
					require.True(t, owner == "bridged" || f[23] == 47, "%s", frames.Dump(f))
					continue
				}
				require.Equal(t, from, owner, "%s\n%s", frames.Dump(f), frames.Dump(out))
			}
		}
	}
	for _, owner := range []string{"red", "blue", "bridged"} {
		require.Greater(t, came[owner], 20, owner)
	}
	r.balanced()
}

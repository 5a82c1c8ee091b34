package shaped

import (
	"fmt"
	"strings"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// The fabric: this host, and the one behind which all peers are.
var (
	uplinkMAC = packet.MAC{0x02, 0xaa, 0, 0, 0, 1}
	farMAC    = packet.MAC{0x02, 0xbb, 0, 0, 0, 2}
	peerMAC   = packet.MAC{0, 0x15, 0x5d, 0xff, 0, 1}
)

const (
	firstPort = 5000 // UDP port of class 0
	peerCA    = 10<<24 | 0xfffe
	nearPA    = 172<<24 | 16<<16 | 1<<8 | 1
	farPA     = nearPA + 1
)

func vmMAC(vport int) packet.MAC { return packet.MAC{0, 0x15, 0x5d, 1, byte(vport >> 8), byte(vport)} }

func vmCA(vport int) uint32 { return 10<<24 | uint32(vport+2) }

func ip(a uint32) string { return fmt.Sprintf("%d.%d.%d.%d", a>>24, a>>16&255, a>>8&255, a&255) }

func portName(i int) string {
	if i == 0 {
		return "up0"
	}
	return fmt.Sprintf("vm%d", i)
}

// index numbers the ports: the uplink is 0, vports follow.
type index struct{}

func (index) Index(name string) (i uint32, ok bool) {
	if name == "up0" {
		return 0, true
	}
	_, err := fmt.Sscanf(name, "vm%d", &i)
	return i, err == nil
}

func (index) MAC(string) packet.MAC { return uplinkMAC }
func (index) MTU(string) int        { return 1600 }

// config is the host's configuration, as a user would write it.
func (s *Spec) config() []byte {
	var t strings.Builder
	t.WriteString("host: {name: near}\nuplinks:\n  - name: up0\n    device: {driver: af_packet, interface: fabric}\n    mtu: 1600\n")
	fmt.Fprintf(&t, "    providerAddresses: [%s/24]\n", ip(nearPA))
	if s.Mode != Off {
		fmt.Fprintf(&t, "    qos:\n      rate: %s\n      classes:\n", rateText)
		for class := range policy.TrafficClasses {
			fmt.Fprintf(&t, "        - {tc: %d, name: class%d, share: %d%%}\n", class, class, 9+class)
		}
	}
	t.WriteString("vports:\n")
	for i := range s.Vports {
		qos := ""
		if s.Mode != Off {
			qos = ", qos: {minWeight: 10}"
		}
		if s.Mode == Limited {
			qos = ", qos: {minWeight: 10, max: 50Gbit}"
		}
		fmt.Fprintf(&t, "  - {name: %s, device: {driver: tap}, mac: %q, subnet: web, addresses: [%s]%s}\n", portName(i+1), vmMAC(i), ip(vmCA(i)), qos)
	}
	t.WriteString("networks:\n  - {name: red, subnets: [{name: web, vsid: 6001, prefix: 10.0.0.0/16}]}\nrecords:\n")
	fmt.Fprintf(&t, "  - {subnet: web, ca: %s, mac: %q, pa: %s}\n", ip(peerCA), peerMAC, ip(farPA))
	t.WriteString("classification:\n  rules:\n")
	for class := range policy.TrafficClasses {
		fmt.Fprintf(&t, "    - {name: class%d, match: {protocol: udp, port: %d}, tc: %d}\n", class, firstPort+class, class)
	}
	return []byte(t.String())
}

package packet

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const ethernetHead = "0202 0202 0202 0404 0404 0404"

func TestMarkCE(t *testing.T) {
	for name, c := range map[string]struct {
		tags string
		l3   int
	}{
		"untagged":    {"", 14},
		"tagged":      {"8100 2064", 18},
		"twice":       {"88a8 0064 8100 00c8", 22},
		"three times": {"88a8 0064 8100 00c8 8100 00c9", 0}, // deeper than anybody looks
	} {
		for ecn := range uint8(4) {
			ip4 := goldenIPv4(t)
			ip4.SetTOS(0xb8 | ecn)
			ip4.SetChecksum()
			p := newPacket(Headroom, append(unhex(t, ethernetHead+c.tags+"0800"), ip4...), 0)
			marked := ecn != ECNNotECT && c.l3 != 0
			require.Equal(t, marked, ECT(p), "IPv4 %s %02b", name, ecn)
			require.Equal(t, marked, MarkCE(p), "IPv4 %s %02b", name, ecn)
			if c.l3 != 0 {
				got := IPv4(p.Data()[c.l3:])
				assert.True(t, got.ChecksumOK())
				assert.EqualValues(t, 0xb8>>2, got.DSCP(), "DSCP stays")
				assert.Equal(t, marked, got.ECN() == ECNCE)
			}

			ip6 := IPv6(unhex(t, ipv6Golden))
			ip6.SetTrafficClass(0xb8 | ecn)
			p = newPacket(Headroom, append(unhex(t, ethernetHead+c.tags+"86dd"), ip6...), 0)
			require.Equal(t, marked, ECT(p), "IPv6 %s %02b", name, ecn)
			require.Equal(t, marked, MarkCE(p), "IPv6 %s %02b", name, ecn)
			if c.l3 != 0 {
				got := IPv6(p.Data()[c.l3:])
				assert.Equal(t, marked, got.ECN() == ECNCE)
				got.SetTrafficClass(ip6.TrafficClass())
				assert.Equal(t, ip6, got, "nothing else changes")
			}
		}
	}
}

// What cannot bear the mark is left as it is.
func TestMarkCELeavesOthersAlone(t *testing.T) {
	ect := goldenIPv4(t)
	ect.SetTOS(ECNECT0)
	frame := append(unhex(t, ethernetHead+"0800"), ect...)
	for name, f := range map[string][]byte{
		"empty":          {},
		"cut Ethernet":   frame[:13],
		"cut tag":        unhex(t, ethernetHead+"8100 00"),
		"cut IPv4":       frame[:14+19],
		"version":        append(unhex(t, ethernetHead+"86dd"), ect...),
		"ARP":            append(unhex(t, ethernetHead+"0806"), ect...),
		"cut IPv6":       append(unhex(t, ethernetHead+"86dd"), 0x60, 0x20, 0, 0),
		"IPv6 as IPv4":   append(unhex(t, ethernetHead+"0800"), unhex(t, ipv6Golden)...),
		"length instead": append(unhex(t, ethernetHead+"0040"), ect...),
	} {
		p := newPacket(Headroom, f, 0)
		before := append([]byte(nil), p.Data()...)
		assert.False(t, MarkCE(p), name)
		assert.Equal(t, before, append([]byte(nil), p.Data()...), name)
	}
	for name, share := range map[string]func(*Packet){
		"shared":   func(p *Packet) { p.RefCnt = 2 },
		"external": func(p *Packet) { p.OlFlags |= FlagExternal },
		"indirect": func(p *Packet) { p.OlFlags |= FlagIndirect },
	} {
		p := newPacket(Headroom, frame, 0)
		share(p)
		assert.False(t, MarkCE(p), name)
		assert.Equal(t, frame, p.Data(), name)
	}
}

package frames

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"
)

// GRE is the header of NVGRE (RFC 7637, section 3.2). The inner frame follows as Bytes.
func GRE(vsid uint32, flowID uint8) Layer {
	return &layers.GRE{KeyPresent: true, Protocol: layers.EthernetTypeTransparentEthernetBridging, Key: vsid<<8 | uint32(flowID)}
}

// NVGRE puts a frame into an NVGRE packet between two provider addresses, IPv4 or IPv6. DF is set with IPv4.
func NVGRE(srcMAC, dstMAC, srcPA, dstPA any, vsid uint32, flowID uint8, inner []byte) []byte {
	ip := IPv4
	opts := []IPOption{DF()}
	if addr(srcPA).Is6() {
		ip, opts = IPv6, nil
	}
	return Build(Ether(srcMAC, dstMAC), ip(srcPA, dstPA, opts...), GRE(vsid, flowID), Bytes(inner))
}

// Tunnel is what an NVGRE packet says.
type Tunnel struct {
	SrcMAC, DstMAC net.HardwareAddr
	Src, Dst       netip.Addr // provider addresses
	TTL, TOS       uint8
	DF             bool
	VSID           uint32
	FlowID         uint8
	Inner          []byte
}

// Decap reads an NVGRE packet and fails the test if it is none: the GRE flags must be exactly K, the protocol 0x6558,
// and the outer checksum right.
func Decap(t testing.TB, frame []byte) Tunnel {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	eth, _ := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	require.NotNil(t, eth, "no Ethernet header in %x", frame)
	out := Tunnel{SrcMAC: eth.SrcMAC, DstMAC: eth.DstMAC}
	var payload []byte
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		require.Zero(t, internetSum(ip.Contents, 0), "outer IPv4 checksum is wrong:\n%s", Dump(frame))
		out.Src, out.Dst = netip.AddrFrom4([4]byte(ip.SrcIP)), netip.AddrFrom4([4]byte(ip.DstIP))
		out.TTL, out.TOS, out.DF = ip.TTL, ip.TOS, ip.Flags&layers.IPv4DontFragment != 0
		payload = ip.Payload
	case *layers.IPv6:
		out.Src, out.Dst = netip.AddrFrom16([16]byte(ip.SrcIP)), netip.AddrFrom16([16]byte(ip.DstIP))
		out.TTL, out.TOS = ip.HopLimit, ip.TrafficClass
		payload = ip.Payload
	}
	require.GreaterOrEqual(t, len(payload), 8, "not an NVGRE packet:\n%s", Dump(frame))
	require.EqualValues(t, 0x2000, binary.BigEndian.Uint16(payload), "GRE flags and version:\n%s", Dump(frame))
	require.EqualValues(t, 0x6558, binary.BigEndian.Uint16(payload[2:]), "GRE protocol:\n%s", Dump(frame))
	key := binary.BigEndian.Uint32(payload[4:])
	out.VSID, out.FlowID, out.Inner = key>>8, uint8(key), payload[8:]
	return out
}

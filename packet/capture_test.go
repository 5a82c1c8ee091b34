package packet

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Captures of other people's stacks, in testdata:
//
//	linux.pcap            Linux beside a router with a 1,400-byte link behind it: ARP, echo, fragments, record route and
//	                      timestamp options, fragmentation needed, time exceeded, packet too big, neighbour discovery, TCP, UDP
//	openvswitch-gre.pcap  Open vSwitch 3.1, userspace datapath, type=gre: key; key and checksum; key and sequence
var captures = []string{"linux.pcap", "openvswitch-gre.pcap"}

func readCapture(t testing.TB, name string) [][]byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	r, err := pcapgo.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	var frames [][]byte
	for {
		b, _, err := r.ReadPacketData()
		if err != nil {
			require.NotEmpty(t, frames)
			return frames
		}
		frames = append(frames, b)
	}
}

// counts says which layers were compared, so that a test that compared nothing does not pass.
type counts map[gopacket.LayerType]int

// TestViewsAgreeWithGopacket reads every layer of every captured frame twice, and writes it again.
func TestViewsAgreeWithGopacket(t *testing.T) {
	seen := counts{}
	for _, name := range captures {
		for i, frame := range readCapture(t, name) {
			p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
			for n, l := range p.Layers() {
				if compareLayer(t, l, whole(p, n)) {
					seen[l.LayerType()]++
				}
				if t.Failed() {
					t.Fatalf("%s, frame %d, %v", name, i+1, l.LayerType())
				}
			}
			compareUpper(t, p, seen)
			if t.Failed() {
				t.Fatalf("%s, frame %d", name, i+1)
			}
		}
	}
	for _, want := range []gopacket.LayerType{layers.LayerTypeEthernet, layers.LayerTypeARP, layers.LayerTypeIPv4, layers.LayerTypeIPv6,
		layers.LayerTypeIPv6Fragment, layers.LayerTypeGRE, layers.LayerTypeTCP, layers.LayerTypeUDP, layers.LayerTypeICMPv4,
		layers.LayerTypeICMPv6, layers.LayerTypeICMPv6NeighborSolicitation, layers.LayerTypeICMPv6NeighborAdvertisement} {
		assert.NotZero(t, seen[want], "no %v in the captures", want)
	}
}

// whole returns header and payload of layer i. gopacket's own IPv6 layer leaves out hop-by-hop options.
func whole(p gopacket.Packet, i int) []byte {
	if i == 0 {
		return p.Data()
	}
	return p.Layers()[i-1].LayerPayload()
}

func compareLayer(t *testing.T, l gopacket.Layer, b []byte) bool {
	switch l := l.(type) {
	case *layers.Ethernet:
		e, ok := CheckEthernet(b)
		require.True(t, ok)
		assert.Equal(t, []any{l.DstMAC.String(), l.SrcMAC.String(), uint16(l.EthernetType)},
			[]any{e.Dst().String(), e.Src().String(), e.EtherType()})
		again := make([]byte, EthernetLen)
		EncodeEthernet(again, e.Dst(), e.Src(), e.EtherType())
		assert.Equal(t, l.Contents, again)
	case *layers.ARP:
		a, ok := CheckARP(b)
		require.True(t, ok)
		again := make([]byte, ARPLen)
		EncodeARP(again, a.Op(), MAC(l.SourceHwAddress), binary.BigEndian.Uint32(l.SourceProtAddress),
			MAC(l.DstHwAddress), binary.BigEndian.Uint32(l.DstProtAddress))
		assert.Equal(t, l.Contents, again)
		assert.Equal(t, l.Operation, a.Op())
	case *layers.IPv4:
		compareIPv4(t, l, b)
	case *layers.IPv6:
		compareIPv6(t, l, b)
	case *layers.IPv6Fragment:
		v := IPv6Fragment(l.Contents)
		assert.Equal(t, []any{uint8(l.NextHeader), int(l.FragmentOffset) * 8, l.MoreFragments, l.Identification},
			[]any{v.NextHeader(), v.Offset(), v.More(), v.ID()})
		again := make([]byte, IPv6FragmentLen)
		EncodeIPv6Fragment(again, v.NextHeader(), uint16(v.Offset()), v.More(), v.ID())
		assert.Equal(t, l.Contents, again)
	case *layers.GRE:
		compareGRE(t, l, b)
	default:
		return false
	}
	return true
}

func compareIPv4(t *testing.T, l *layers.IPv4, b []byte) {
	v, f := CheckIPv4(b)
	require.Equal(t, FaultNone, f)
	assert.True(t, v.ChecksumOK())
	got := v.Fields()
	frag := uint16(l.Flags)<<13 | l.FragOffset
	assert.Equal(t, IPv4Fields{TOS: l.TOS, TTL: l.TTL, Proto: uint8(l.Protocol), TotalLen: l.Length, ID: l.Id, Frag: frag,
		Src: binary.BigEndian.Uint32(l.SrcIP.To4()), Dst: binary.BigEndian.Uint32(l.DstIP.To4()), Options: l.Contents[20:]}, got)
	again := make([]byte, IPv4MaxLen)
	assert.Equal(t, l.Contents, again[:got.Encode(again)])
	assert.Equal(t, FaultNone, CheckOptions(v.Options()))
}

func compareIPv6(t *testing.T, l *layers.IPv6, b []byte) {
	v, f := CheckIPv6(b)
	require.Equal(t, FaultNone, f)
	got := v.Fields()
	assert.Equal(t, IPv6Fields{TrafficClass: l.TrafficClass, FlowLabel: l.FlowLabel, PayloadLen: l.Length, NextHeader: b[6],
		HopLimit: l.HopLimit, Src: AddrFrom16(l.SrcIP), Dst: AddrFrom16(l.DstIP)}, got)
	again := make([]byte, IPv6Len)
	got.Encode(again)
	assert.Equal(t, b[:IPv6Len], again)
}

func compareGRE(t *testing.T, l *layers.GRE, b []byte) {
	g, f := CheckGRE(b)
	require.Equal(t, FaultNone, f)
	got := g.Fields()
	assert.Equal(t, []any{l.ChecksumPresent, l.KeyPresent, l.SeqPresent, uint16(l.Protocol), l.Key, l.Seq},
		[]any{g.HasChecksum(), g.HasKey(), g.HasSequence(), got.Protocol, got.Key, got.Sequence})
	assert.True(t, g.ChecksumOK())
	again := append([]byte(nil), b...)
	n := got.Encode(again)
	if g.HasChecksum() {
		GRE(again).SetChecksum()
	}
	assert.Equal(t, l.Contents, again[:n])
	assert.Equal(t, b, again)

	nv, f := CheckNVGRE(b)
	assert.Equal(t, !l.ChecksumPresent && !l.SeqPresent, f == FaultNone)
	if f == FaultNone {
		assert.Equal(t, uint32(6001), nv.VSID())
		assert.Equal(t, l.Payload, nv.Inner())
	}
}

// compareUpper compares the layers whose checksum covers addresses of the IP layer in front of them.
func compareUpper(t *testing.T, p gopacket.Packet, seen counts) {
	var v4 IPv4
	var v6 IPv6
	for i, l := range p.Layers() {
		b := whole(p, i)
		switch l := l.(type) {
		case *layers.IPv4:
			v4, _ = CheckIPv4(b)
			v6 = nil
		case *layers.IPv6:
			v6, _ = CheckIPv6(b)
			v4 = nil
		case *layers.TCP:
			seen[l.LayerType()]++
			compareTCP(t, l, b, pseudo(v4, v6, ProtoTCP, len(b)))
		case *layers.UDP:
			seen[l.LayerType()]++
			compareUDP(t, l, b, pseudo(v4, v6, ProtoUDP, len(b)))
		case *layers.ICMPv4:
			seen[l.LayerType()]++
			compareICMP(t, l, b)
		case *layers.ICMPv6:
			seen[l.LayerType()]++
			compareICMPv6(t, l, v6, seen)
		}
	}
}

func pseudo(v4 IPv4, v6 IPv6, proto uint8, n int) uint32 {
	if v4 != nil {
		return PseudoSum4(v4.Src(), v4.Dst(), proto, uint16(n))
	}
	return PseudoSum6(v6.Src(), v6.Dst(), proto, uint32(n))
}

func compareTCP(t *testing.T, l *layers.TCP, b []byte, pseudo uint32) {
	v, f := CheckTCP(b)
	require.Equal(t, FaultNone, f)
	assert.True(t, v.ChecksumOK(pseudo))
	got := v.Fields()
	assert.Equal(t, []any{uint16(l.SrcPort), uint16(l.DstPort), l.Seq, l.Ack, l.Window, l.Urgent, l.SYN, l.FIN, l.ACK, l.PSH},
		[]any{got.SrcPort, got.DstPort, got.Seq, got.Ack, got.Window, got.Urgent,
			got.Flags&TCPSyn != 0, got.Flags&TCPFin != 0, got.Flags&TCPAck != 0, got.Flags&TCPPsh != 0})
	again := append([]byte(nil), b...)
	n := got.Encode(again)
	TCP(again).SetChecksum(pseudo)
	assert.Equal(t, b, again)
	assert.Equal(t, len(l.Contents), n)
	_, ok := v.MSS()
	assert.Equal(t, l.SYN, ok)
}

func compareUDP(t *testing.T, l *layers.UDP, b []byte, pseudo uint32) {
	v, f := CheckUDP(b)
	require.Equal(t, FaultNone, f)
	assert.True(t, v.ChecksumOK(pseudo))
	assert.Equal(t, []any{uint16(l.SrcPort), uint16(l.DstPort), l.Length, l.Checksum},
		[]any{v.SrcPort(), v.DstPort(), v.Length(), v.Checksum()})
	again := append([]byte(nil), b...)
	EncodeUDP(again, v.SrcPort(), v.DstPort(), v.Length())
	UDP(again).SetChecksum(pseudo)
	assert.Equal(t, b, again)
}

func compareICMP(t *testing.T, l *layers.ICMPv4, b []byte) {
	m, f := CheckICMP(b)
	require.Equal(t, FaultNone, f)
	assert.Equal(t, []any{l.TypeCode.Type(), l.TypeCode.Code(), l.Checksum, l.Id, l.Seq},
		[]any{m.Type(), m.Code(), m.Checksum(), m.ID(), m.Seq()})
	assert.True(t, m.ChecksumOK())
	again := make([]byte, len(b))
	switch {
	case !m.IsError():
		assert.Equal(t, len(b), EncodeICMPEcho(again, m.Type(), m.ID(), m.Seq(), m.Payload()))
	case m.Code() == ICMPFragNeeded && m.Type() == ICMPUnreachable:
		assert.Equal(t, uint16(1400), m.MTU())
		assert.Equal(t, len(b), EncodeICMPFragNeeded(again, m.MTU(), IPv4(m.Payload())))
	default:
		assert.Equal(t, len(b), EncodeICMPError(again, m.Type(), m.Code(), IPv4(m.Payload())))
	}
	assert.Equal(t, b, again)
}

func compareICMPv6(t *testing.T, l *layers.ICMPv6, ip IPv6, seen counts) {
	c, f := ip.Walk()
	require.Equal(t, FaultNone, f)
	assert.Equal(t, ProtoICMPv6, c.Proto)
	m, f := CheckICMPv6(ip[c.Upper:])
	require.Equal(t, FaultNone, f)
	assert.Equal(t, []any{l.TypeCode.Type(), l.TypeCode.Code(), l.Checksum}, []any{m.Type(), m.Code(), m.Checksum()})
	if c.Fragment != 0 {
		return
	}
	src, dst := ip.Src(), ip.Dst()
	assert.True(t, m.ChecksumOK(src, dst))
	again := make([]byte, len(m))
	var n int
	switch m.Type() {
	case ICMPv6Echo, ICMPv6EchoReply:
		n = EncodeICMPv6Echo(again, src, dst, m.Type(), m.ID(), m.Seq(), m.Payload())
	case ICMPv6PacketTooBig, ICMPv6TimeExceeded, ICMPv6Unreachable:
		n = EncodeICMPv6Error(again, src, dst, m.Type(), m.Code(), m.MTU(), IPv6(m.Payload()))
	case ICMPv6NeighborSolicit:
		s, f := CheckNeighborSolicit(ip, m)
		require.Equal(t, FaultNone, f)
		if mac, ok := s.SourceMAC(); ok {
			n = EncodeNeighborSolicit(again, src, dst, s.Target(), mac)
			seen[layers.LayerTypeICMPv6NeighborSolicitation]++
			break
		}
		return // with a nonce option (RFC 7527)
	case ICMPv6NeighborAdvert:
		a, f := CheckNeighborAdvert(ip, m)
		require.Equal(t, FaultNone, f)
		mac, _ := a.TargetMAC()
		n = EncodeNeighborAdvert(again, src, dst, a.Target(), a.Flags(), mac)
		seen[layers.LayerTypeICMPv6NeighborAdvertisement]++
	default:
		return
	}
	assert.Equal(t, len(m), n)
	assert.Equal(t, []byte(m), again)
}

// A router advertisement, which no capture holds, against gopacket alone.
func TestRouterAdvertAgreesWithGopacket(t *testing.T) {
	src, dst := addr(t, "fe80::1"), addr(t, "ff02::1")
	f := RouterAdvertFields{CurHopLimit: 64, Flags: RAFlagManaged, LifetimeSeconds: 1800, ReachableMillis: 3, RetransMillis: 4,
		SourceMAC: macB, MTU: 1458, Prefixes: []PrefixInfo{{Prefix: addr(t, "2001:db8:1::"), Bits: 64, OnLink: true, ValidSeconds: 60, PreferredSeconds: 30}}}
	b := make([]byte, f.Len())
	f.Encode(b, src, dst)
	p := gopacket.NewPacket(packet6(src, dst, 255, b), layers.LayerTypeIPv6, gopacket.Default)
	ra, ok := p.Layer(layers.LayerTypeICMPv6RouterAdvertisement).(*layers.ICMPv6RouterAdvertisement)
	require.True(t, ok)
	assert.Equal(t, []any{uint8(64), RAFlagManaged, uint16(1800), uint32(3), uint32(4)},
		[]any{ra.HopLimit, ra.Flags, ra.RouterLifetime, ra.ReachableTime, ra.RetransTimer})
	require.Len(t, ra.Options, 3)
	assert.Equal(t, layers.ICMPv6Option{Type: layers.ICMPv6OptSourceAddress, Data: macB[:]}, ra.Options[0])
	assert.Equal(t, layers.ICMPv6OptMTU, ra.Options[1].Type)
	assert.Equal(t, unhex(t, "0000 000005b2"), ra.Options[1].Data)
	assert.Equal(t, unhex(t, "4080 0000003c 0000001e 00000000 20010db8000100000000000000000000"), ra.Options[2].Data)
}

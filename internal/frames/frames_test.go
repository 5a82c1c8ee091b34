package frames

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	macA = "00:15:5d:00:01:05"
	macB = "00:15:5d:00:01:07"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	require.NoError(t, err)
	return b
}

// The bytes were worked out by hand from the RFCs, so that a fault of gopacket would show.
func TestGoldenBytes(t *testing.T) {
	cases := []struct {
		name string
		got  []byte
		want string
	}{
		{"ARP request", ARPRequest(macA, "10.0.0.5", "10.0.0.7"),
			`ffffffffffff 00155d000105 0806  0001 0800 06 04 0001 00155d000105 0a000005 000000000000 0a000007`},
		{"duplicate probe", DuplicateProbe(macA, "10.0.0.5"),
			`ffffffffffff 00155d000105 0806  0001 0800 06 04 0001 00155d000105 00000000 000000000000 0a000005`},
		{"802.1Q, IPv4, UDP", Build(Ether(macA, macB), VLAN(100, 5), IPv4("10.0.0.5", "10.0.0.7", DF(), ID(1), TOS(0xb8)), UDP(4000, 53), Bytes([]byte{1, 2})),
			`00155d000107 00155d000105 8100 a064 0800
			 45 b8 001e 0001 4000 40 11 260b 0a000005 0a000007  0fa0 0035 000a daf7 0102`},
		{"IPv6 fragment", Build(Ether(macA, macB), IPv6("2001:db8::5", "2001:db8::7"), Frag6(0x01020304, 2, true), Payload(8)),
			`00155d000107 00155d000105 86dd  60000000 0010 2c 40 20010db8000000000000000000000005 20010db8000000000000000000000007
			 3b 00 0011 01020304 0001020304050607`},
		{"NVGRE", NVGRE("02:00:00:00:00:01", "02:00:00:00:00:02", "172.16.1.1", "172.16.1.2", 6002, 0x2a, []byte{0xaa, 0xbb}),
			`020000000002 020000000001 0800  45 00 001e 0000 4000 40 2f e08d ac100101 ac100102
			 2000 6558 00177 22a aabb`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { Equal(t, unhex(t, c.want), c.got) })
	}
}

func TestDecapIsTheInverseOfNVGRE(t *testing.T) {
	inner := Ping(macA, macB, "10.0.0.5", "10.0.0.7", 1, 2)
	for _, pa := range [][2]string{{"172.16.1.1", "172.16.1.2"}, {"2001:db8::1", "2001:db8::2"}} {
		got := Decap(t, NVGRE("02:00:00:00:00:01", "02:00:00:00:00:02", pa[0], pa[1], 6001, 9, inner))
		assert.Equal(t, netip.MustParseAddr(pa[0]), got.Src)
		assert.Equal(t, netip.MustParseAddr(pa[1]), got.Dst)
		assert.EqualValues(t, 6001, got.VSID)
		assert.EqualValues(t, 9, got.FlowID)
		assert.EqualValues(t, 64, got.TTL)
		assert.Equal(t, got.Src.Is4(), got.DF)
		Equal(t, inner, got.Inner)
	}
}

func TestDumpJudgesChecksums(t *testing.T) {
	good := [][]byte{
		Build(Ether(macA, macB), IPv4("10.0.0.5", "10.0.0.7", RouterAlert()), TCP(1, 2, SYN(1460))),
		Build(Ether(macA, macB), IPv4("10.0.0.5", "10.0.0.7"), UDP(1, 2), Payload(3)),
		Ping(macA, macB, "10.0.0.5", "10.0.0.7", 1, 1),
		Ping(macA, macB, "2001:db8::5", "2001:db8::7", 1, 1),
		Build(Ether(macA, "33:33:ff:00:00:07"), IPv6("2001:db8::5", "ff02::1:ff00:7", TTL(255)), ICMPv6(135, 0), NeighbourSolicitation("2001:db8::7", macA)),
		Build(Ether(macB, macA), IPv6("2001:db8::7", "2001:db8::5", TTL(255)), ICMPv6(136, 0), NeighbourAdvertisement("2001:db8::7", macB)),
		Build(Ether(macA, macB), IPv6("2001:db8::5", "2001:db8::7", FlowLabel(7)), HopByHop(), Routing(), DestOpts(1), UDP(1, 2), Payload(9)),
	}
	for _, f := range good {
		d := Dump(f)
		assert.Contains(t, d, "checksum ok")
		assert.NotContains(t, d, "WRONG")
		assert.NotContains(t, d, "undecodable")
		if strings.Contains(d, "tcp ") || strings.Contains(d, "udp ") || strings.Contains(d, "icmp") {
			f[len(f)-1] ^= 0xff
			assert.Contains(t, Dump(f), "WRONG")
		}
	}
	assert.Contains(t, Dump(Pad(ARPRequest(macA, "10.0.0.5", "10.0.0.7"), 60)), "asks 000000000000 10.0.0.7")
	assert.Contains(t, Dump(Pad(good[1], 60)), "trailer 15 bytes")
	assert.Contains(t, Dump([]byte{1, 2, 3}), "undecodable")
	nested := Dump(NVGRE("02:00:00:00:00:01", "02:00:00:00:00:02", "172.16.1.1", "172.16.1.2", 6001, 9, good[1]))
	assert.Contains(t, nested, "gre  flags 0x2000 protocol 0x6558 vsid 6001 flow 9\n     eth  "+macA)
}

func TestVariantsDifferFromTheGoodFrame(t *testing.T) {
	plain := Build(Ether(macA, macB), IPv4("10.0.0.5", "10.0.0.7"), UDP(1, 2), Payload(40))
	tunnel := NVGRE("02:00:00:00:00:01", "02:00:00:00:00:02", "172.16.1.1", "172.16.1.2", 6001, 9, plain)
	all := map[string][]Variant{"plain": MalformedIPv4(plain, 14), "inner": MalformedIPv4(tunnel, 56), "nvgre": MalformedNVGRE(tunnel)}
	for group, variants := range all {
		names := map[string]bool{}
		for _, v := range variants {
			assert.NotEqual(t, plain, v.Frame, v.Name)
			assert.NotEqual(t, tunnel, v.Frame, v.Name)
			assert.False(t, names[v.Name], "%s: %q twice", group, v.Name)
			names[v.Name] = true
		}
	}
	for _, v := range MalformedIPv4(plain, 14) {
		if ihl := int(v.Frame[14]&0xf) * 4; ihl >= 20 && 14+ihl <= len(v.Frame) && v.Name != "header checksum wrong" && !strings.HasPrefix(v.Name, "IHL") {
			assert.Zero(t, internetSum(v.Frame[14:14+ihl], 0), "%s: only one thing is wrong", v.Name)
		}
	}
	assert.Len(t, Truncated(plain), len(plain))
}

func TestFragmentsJoinToTheWhole(t *testing.T) {
	whole := Build(Ether(macA, macB), IPv4("10.0.0.5", "10.0.0.7", ID(7)), UDP(1, 2), Payload(100))
	var joined []byte
	parts := FragmentIPv4(whole, 40)
	require.Len(t, parts, 3)
	for i, f := range parts {
		at := binary.BigEndian.Uint16(f[20:])
		assert.EqualValues(t, len(joined)/8, at&0x1fff)
		assert.Equal(t, i < 2, at&0x2000 != 0)
		assert.Contains(t, Dump(f), "checksum ok")
		joined = append(joined, f[34:]...)
	}
	assert.Equal(t, whole[34:], joined)
}

func TestWrongArgumentsPanic(t *testing.T) {
	assert.Panics(t, func() { Ether("nonsense", macA) })
	assert.Panics(t, func() { IPv4(5, "10.0.0.1") })
	assert.NotPanics(t, func() { IPv4(netip.MustParseAddr("10.0.0.1"), "10.0.0.2") })
}

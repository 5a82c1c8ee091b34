package e2e

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/demo/netlab"
)

// station sends raw frames by an interface, past the kernel's own stack.
type station struct {
	t       *testing.T
	fd      int
	ifindex int
}

func newStation(t *testing.T, ns *netlab.Namespace, link string) *station {
	t.Helper()
	s := &station{t: t, fd: -1}
	require.NoError(t, ns.Do(func() error {
		iface, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		s.ifindex = iface.Index
		s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // protocol 0: it receives nothing
		return err
	}))
	t.Cleanup(func() { unix.Close(s.fd) })
	return s
}

func (s *station) send(frames ...[]byte) {
	s.t.Helper()
	for _, f := range frames {
		require.NoError(s.t, unix.Sendto(s.fd, f, 0, &unix.SockaddrLinklayer{Ifindex: s.ifindex, Halen: 6}))
	}
}

// build puts layers into a frame, with lengths and checksums computed.
func build(t *testing.T, parts ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buffer := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...))
	return append([]byte(nil), buffer.Bytes()...)
}

func mac(s string) net.HardwareAddr {
	m, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}

func ip(s string) net.IP { return netip.MustParseAddr(s).AsSlice() }

func ethernet(src, dst string, kind layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: mac(src), DstMAC: mac(dst), EthernetType: kind}
}

// udpFrame is a plain UDP datagram in its frame.
func udpFrame(t *testing.T, srcMAC, dstMAC, src, dst string, payload int) []byte {
	t.Helper()
	network := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: ip(src), DstIP: ip(dst)}
	transport := &layers.UDP{SrcPort: 4000, DstPort: 4001}
	require.NoError(t, transport.SetNetworkLayerForChecksum(network))
	return build(t, ethernet(srcMAC, dstMAC, layers.EthernetTypeIPv4), network, transport, gopacket.Payload(make([]byte, payload)))
}

// nvgre is an outer packet between two hosts of the fabric, whose fields a test can spoil.
type nvgre struct {
	srcMAC, dstMAC string
	src, dst       string // provider addresses
	flags          uint16 // GRE flags and version; 0x2000 in good ones
	protocol       uint16 // 0x6558 in good ones
	vsid           uint32
	flowID         uint8
	inner          []byte
}

func (n nvgre) frame(t *testing.T) []byte {
	t.Helper()
	gre := make([]byte, 8)
	binary.BigEndian.PutUint16(gre[0:], n.flags)
	binary.BigEndian.PutUint16(gre[2:], n.protocol)
	binary.BigEndian.PutUint32(gre[4:], n.vsid<<8|uint32(n.flowID))
	network := &layers.IPv4{
		Version: 4, TTL: 64, Protocol: layers.IPProtocolGRE, Flags: layers.IPv4DontFragment, SrcIP: ip(n.src), DstIP: ip(n.dst),
	}
	return build(t, ethernet(n.srcMAC, n.dstMAC, layers.EthernetTypeIPv4), network, gopacket.Payload(append(gre, n.inner...)))
}

// captured reads a pcapng file.
func captured(t *testing.T, file string) []gopacket.Packet {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	reader, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	require.NoError(t, err)
	var packets []gopacket.Packet
	for {
		data, info, err := reader.ReadPacketData()
		if err == io.EOF {
			return packets
		}
		require.NoError(t, err)
		packet := gopacket.NewPacket(data, layers.LinkTypeEthernet, gopacket.Default)
		packet.Metadata().CaptureInfo = info
		packets = append(packets, packet)
	}
}

// outerInner finds the Ethernet headers of a frame: its own, and the one inside NVGRE, nil without one.
func outerInner(p gopacket.Packet) (outer, inner *layers.Ethernet) {
	for _, l := range p.Layers() {
		if e, ok := l.(*layers.Ethernet); ok {
			if outer == nil {
				outer = e
			} else if inner == nil {
				inner = e
			}
		}
	}
	return outer, inner
}

// key reads VSID and FlowID of an NVGRE frame (RFC 7637 section 3.2).
func key(p gopacket.Packet) (vsid uint32, flowID uint8, ok bool) {
	gre, ok := p.Layer(layers.LayerTypeGRE).(*layers.GRE)
	if !ok || !gre.KeyPresent || gre.Protocol != layers.EthernetTypeTransparentEthernetBridging {
		return 0, 0, false
	}
	return gre.Key >> 8, uint8(gre.Key), true
}

// requireClean lets tshark judge every frame that a filter selects, checksums included: no error, nothing malformed.
func requireClean(t *testing.T, file, filter string) {
	t.Helper()
	argv := []string{"-n", "-r", file, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"}
	count := func(filter string) []string {
		cmd := exec.Command("tshark", append(argv, "-Y", filter)...)
		out, err := cmd.Output()
		require.NoError(t, err)
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	require.NotEmpty(t, count(filter)[0], "no frame matches %s", filter)
	bad := count("(" + filter + `) && (_ws.malformed || _ws.expert.severity == "Error")`)
	require.Empty(t, strings.Join(bad, "\n"), "tshark complains")
}

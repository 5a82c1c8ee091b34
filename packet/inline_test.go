package packet

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inlined are functions that the worker calls per packet: a call costs more than what they do. When one drops out,
// split off its rare part.
var inlined = strings.Fields(`
	(*Packet).Data (*Packet).Headroom (*Packet).Tailroom (*Packet).Prepend (*Packet).TrimFront (*Packet).Append
	(*Packet).SetLen (*Packet).Writable (*Packet).Reset
	MAC.IsGroup MAC.IsZero MAC.Uint64 MACFromUint64
	AddrFrom4 AddrFrom16 Addr.Is4 Addr.IsZero Addr.V4 ValidVSID
	CheckEthernet Ethernet.Dst Ethernet.Src Ethernet.EtherType Ethernet.Payload Ethernet.SetDst Ethernet.SetSrc
	Ethernet.SetEtherType EncodeEthernet
	CheckVLAN VLAN.TCI VLAN.SetTCI VLAN.EtherType MakeTCI TCIVID TCIPCP TCIDEI ValidVID
	CheckARP ARP.Op ARP.SenderMAC ARP.SenderIP ARP.TargetMAC ARP.TargetIP ARP.IsGratuitous ARP.IsProbe EncodeARP
	CheckIPv4Header IPv4.HeaderLen IPv4.TOS IPv4.DSCP IPv4.ECN IPv4.TotalLen IPv4.ID IPv4.DontFragment IPv4.MoreFragments
	IPv4.FragOffset IPv4.IsFragment IPv4.TTL IPv4.Proto IPv4.HeaderChecksum IPv4.Src IPv4.Dst IPv4.Options IPv4.Payload
	IPv4.SetTOS IPv4.SetTotalLen IPv4.SetID IPv4.SetTTL IPv4.SetSrc IPv4.SetDst
	CheckIPv6Header CheckIPv6 IPv6.TrafficClass IPv6.DSCP IPv6.ECN IPv6.FlowLabel IPv6.PayloadLen IPv6.NextHeader
	IPv6.HopLimit IPv6.Src IPv6.Dst IPv6.Payload IPv6.SetTrafficClass IPv6.SetPayloadLen IPv6.SetSrc IPv6.SetDst
	IPv6.DecHopLimit IPv6Fragment.NextHeader IPv6Fragment.Offset IPv6Fragment.More IPv6Fragment.IsAtomic IPv6Fragment.ID
	GRE.Flags GRE.Protocol GRE.HeaderLen GRE.HasChecksum GRE.HasKey GRE.HasSequence GRE.Key GRE.Sequence GRE.Payload
	CheckNVGRE NVGRE.Key NVGRE.VSID NVGRE.FlowID NVGRE.Inner EncodeNVGRE
	CheckTCP TCP.SrcPort TCP.DstPort TCP.Seq TCP.Ack TCP.HeaderLen TCP.Flags TCP.Window TCP.Checksum TCP.Options TCP.Payload
	CheckUDP UDP.SrcPort UDP.DstPort UDP.Length UDP.Checksum UDP.Payload UDPChecksum EncodeUDP
	CheckICMP ICMP.Type ICMP.Code ICMP.Checksum ICMP.ID ICMP.Seq ICMP.MTU ICMP.Payload ICMP.IsError
	CheckICMPv6 ICMPv6.Type ICMPv6.Code ICMPv6.Checksum ICMPv6.ID ICMPv6.Seq ICMPv6.MTU ICMPv6.Payload ICMPv6.IsError
	NeighborSolicit.Target NeighborAdvert.Target NeighborAdvert.Flags
	IsMulticast6 IsLinkLocal6 IsUnspecified6 SolicitedNode MulticastMAC6
	MakeAddrPair IPv4.Addrs IPv4.SetAddrs ApplyDelta ApplyDeltaUDP
	UpdateChecksum16 UpdateChecksum32 FoldChecksum PseudoSum4
	ECNEncap ECNDecap SetECN4 SetECN6 NextOption
`)

func TestHotFunctionsInline(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command: the compiler cannot be asked what it inlines")
	}
	cmd := exec.Command(tool, "build", "-gcflags=-m", ".")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "go build: %s", out)
	can := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), ": can inline "); ok {
			can[name] = true
		}
	}
	require.NotEmpty(t, can, "go build -gcflags=-m printed no inlining decisions: %s", out)
	for _, name := range inlined {
		assert.True(t, can[name], "%s is not inlined any more", name)
	}
}

package packet

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What the worker does to bytes must not allocate, whatever escape analysis makes of a view.
func TestNoAllocations(t *testing.T) {
	p := newPacket(Headroom, unhex(t, untagged), 0)
	ip4, ip6, ns := goldenIPv4(t), IPv6(unhex(t, ipv6Golden)), IPv6(unhex(t, nsGolden))
	gre := unhex(t, "2000 6558 0017710a 3333 0000 0002")
	buf := make([]byte, 1500)
	for name, do := range map[string]func(){
		"push and pop": func() { PushVLAN(p, 1); PopVLAN(p) },
		"IPv4":         func() { v, _ := CheckIPv4(ip4); v.ChecksumOK(); v.SetTTL(9); v.DecTTL(); v.HasSourceRoute() },
		"IPv6":         func() { v, _ := CheckIPv6(ip6); _, _ = v.Walk(); v.SetTrafficClass(1) },
		"NVGRE":        func() { _, _ = CheckNVGRE(gre); EncodeNVGRE(buf, 6001, 1) },
		"header": func() {
			f := IPv4Fields{TTL: 64, Proto: ProtoGRE, TotalLen: 42, Src: 1, Dst: 2}
			f.Encode(buf)
		},
		"rewrite": func() {
			to := MakeAddrPair(3, 4)
			delta := ChecksumDelta(ip4.Addrs(), to)
			RewriteTransport(ip4.Payload(), ip4.Proto(), ip4.Addrs(), to, delta)
			ip4.SetAddrs(to, delta)
			ip4.NamesAddresses()
		},
		"ARP":       func() { EncodeARP(buf, ARPReply, macA, 1, macB, 2); _, _ = CheckARP(buf) },
		"ICMP":      func() { EncodeICMPFragNeeded(buf, 1458, ip4); MayAnswerIPv4(ip4) },
		"too big":   func() { EncodeICMPv6Error(buf, ip6.Src(), ip6.Dst(), ICMPv6PacketTooBig, 0, 1458, ip6) },
		"neighbour": func() { _, _ = CheckNeighborSolicit(ns, ns.Payload()) },
		"ECN":       func() { SetECN4(ip4, ECNCE); SetECN6(ip6, ECNCE); ECNDecap(ip4.TOS(), 1); MarkCE(p) },
	} {
		assert.Zero(t, testing.AllocsPerRun(100, do), name)
	}
}

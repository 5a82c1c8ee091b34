package packet

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// Fuzz targets. Each starts from the corpus in testdata/fuzz; those that take frames start from the captures as well.

func FuzzChecksum(f *testing.F) {
	f.Add([]byte{0x45, 0, 0, 1}, uint32(0), uint16(2), uint64(0xffff), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, sum uint32, at uint16, hi, lo uint64) {
		if got, want := Checksum(b, sum), plainChecksum(b, uint64(sum)); got != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
		cut := int(at) % (len(b) + 1) &^ 1
		if got, want := Checksum(b[cut:], Sum(b[:cut], sum)), plainChecksum(b, uint64(sum)); got != want {
			t.Fatalf("in two pieces %#x, want %#x", got, want)
		}
		if len(b)-cut < 17 || len(bytes.Trim(b[cut+16:], "\x00"))+len(bytes.Trim(b[:cut], "\x00")) == 0 {
			return // nothing but zeros may be left under the checksum: see UpdateChecksum16
		}
		before := Checksum(b, 0)
		from16, from32, from := binary.BigEndian.Uint16(b[cut:]), binary.BigEndian.Uint32(b[cut:]), AddrFrom16(b[cut:])
		to := Addr{hi, lo}
		binary.BigEndian.PutUint16(b[cut:], uint16(hi))
		if got, want := UpdateChecksum16(before, from16, uint16(hi)), Checksum(b, 0); got != want {
			t.Fatalf("16 bits: %#x, want %#x", got, want)
		}
		binary.BigEndian.PutUint32(b[cut:], uint32(hi))
		if got, want := UpdateChecksum32(before, from32, uint32(hi)), Checksum(b, 0); got != want {
			// from32 held the word before both changes
			t.Fatalf("32 bits: %#x, want %#x", got, want)
		}
		putAddr(b[cut:cut+16], to)
		if got, want := UpdateChecksum128(before, from, to), Checksum(b, 0); got != want {
			t.Fatalf("128 bits: %#x, want %#x", got, want)
		}
	})
}

func FuzzVLAN(f *testing.F) {
	addCaptures(f, func(b []byte) { f.Add(b, uint16(0xa064)) })
	f.Fuzz(func(t *testing.T, frame []byte, tci uint16) {
		if len(frame) > 60000 {
			return
		}
		p := newPacket(VLANLen, frame, 0)
		if PushVLAN(p, tci) != (len(frame) >= EthernetLen) {
			t.Fatal("push decided otherwise")
		}
		if len(frame) < EthernetLen {
			return
		}
		v, ok := CheckVLAN(p.Data())
		if !ok || v.TCI() != tci || v.EtherType() != Ethernet(frame).EtherType() || !bytes.Equal(v.Payload(), Ethernet(frame).Payload()) {
			t.Fatalf("pushed %x", p.Data())
		}
		if got, ok := PopVLAN(p); !ok || got != tci || !bytes.Equal(p.Data(), frame) {
			t.Fatalf("popped %x", p.Data())
		}
		if got, ok := PopVLAN(p); ok && (got != VLAN(frame).TCI() || len(p.Data()) != len(frame)-VLANLen) {
			t.Fatalf("popped its own tag %x", p.Data())
		}
	})
}

func FuzzARP(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := CheckARP(b)
		if !ok {
			return
		}
		again := make([]byte, ARPLen)
		EncodeARP(again, a.Op(), a.SenderMAC(), a.SenderIP(), a.TargetMAC(), a.TargetIP())
		if !bytes.Equal(again, b[:ARPLen]) {
			t.Fatalf("%x", again)
		}
		if a.IsProbe() && a.IsGratuitous() {
			t.Fatal("both kinds")
		}
	})
}

func FuzzIPv4(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		v, fault := CheckIPv4(b)
		if fault != FaultNone {
			return
		}
		if len(v) > len(b) || len(v.Options())+len(v.Payload())+IPv4Len != len(v) {
			t.Fatal("parts do not add up")
		}
		wrong := !v.ChecksumOK()
		if wrong != (plainChecksum(v[:v.HeaderLen()], 0) != 0) {
			t.Fatal("ChecksumOK")
		}
		v.HasSourceRoute()
		MayAnswerIPv4(v)
		fields := v.Fields()
		again := make([]byte, IPv4MaxLen)
		n := fields.Encode(again)
		again = again[:n]
		if wrong {
			v.SetChecksum()
		}
		if v.HeaderChecksum() == 0xffff { // the other zero, which no encoder writes
			v.SetChecksum()
		}
		if !bytes.Equal(again, v[:v.HeaderLen()]) {
			t.Fatalf("%x", again)
		}
		if v.DecTTL() && !v.ChecksumOK() {
			t.Fatal("DecTTL broke the checksum")
		}
		SetECN4(v, ^v.ECN())
		if !v.ChecksumOK() {
			t.Fatal("SetECN4 broke the checksum")
		}
	})
}

func FuzzIPv6Walk(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		v, fault := CheckIPv6(b)
		if fault != FaultNone {
			return
		}
		fields := v.Fields()
		again := make([]byte, IPv6Len)
		fields.Encode(again)
		if !bytes.Equal(again, v[:IPv6Len]) {
			t.Fatalf("%x", again)
		}
		MayAnswerIPv6(v, ICMPv6PacketTooBig, 0)
		c, fault := v.Walk()
		if fault != FaultNone {
			return
		}
		if c.Upper > len(v) || c.Upper-IPv6Len > MaxIPv6ExtensionLen || c.Upper%8 != 0 {
			t.Fatalf("%+v in %d bytes", c, len(v))
		}
		// Going from header to header, however long it takes, leads to the same place.
		proto, at := v.NextHeader(), IPv6Len
		for at < c.Upper {
			size := 8
			if proto != ProtoFragment {
				size *= int(v[at+1]) + 1
			} else if at != c.Fragment {
				t.Fatalf("fragment header at %d, want %d", at, c.Fragment)
			}
			proto, at = v[at], at+size
		}
		if at != c.Upper || proto != c.Proto {
			t.Fatalf("%d at %d, want %+v", proto, at, c)
		}
		if c.Fragment != 0 {
			h := IPv6Fragment(v[c.Fragment : c.Fragment+IPv6FragmentLen])
			EncodeIPv6Fragment(again, h.NextHeader(), uint16(h.Offset()), h.More(), h.ID())
			h[1], h[3] = 0, h[3]&^6 // reserved: sent as zero
			if !bytes.Equal(again[:8], h) {
				t.Fatalf("%x", again[:8])
			}
		}
	})
}

func FuzzGRE(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		n, nf := CheckNVGRE(b)
		g, fault := CheckGRE(b)
		if nf == FaultNone {
			if fault != FaultNone || g.HeaderLen() != NVGRELen || g.Key() != n.Key() || !bytes.Equal(g.Payload(), n.Inner()) {
				t.Fatal("NVGRE that is not GRE")
			}
			again := make([]byte, NVGRELen)
			EncodeNVGRE(again, n.VSID(), n.FlowID())
			if GRE(again).Key() != g.Key() {
				t.Fatalf("%x", again)
			}
		}
		if fault != FaultNone {
			if g != nil || nf != fault {
				t.Fatalf("%v, as NVGRE %v", fault, nf)
			}
			return
		}
		if nf == FaultNone != (g.Flags() == NVGREFlags && g.Protocol() == EtherTypeTEB) {
			t.Fatalf("NVGRE: %v", nf)
		}
		fields := g.Fields()
		again := append([]byte(nil), b...)
		if fields.Encode(again) != g.HeaderLen() || GRE(again).Fields() != fields {
			t.Fatalf("%x", again)
		}
		if g.HasChecksum() {
			GRE(again).SetChecksum()
			if !GRE(again).ChecksumOK() {
				t.Fatal("checksum")
			}
		}
	})
}

func FuzzTransport(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte, pseudo uint32) {
		if v, fault := CheckTCP(b); fault == FaultNone {
			fields := v.Fields()
			again := append([]byte(nil), b...)
			n := fields.Encode(again)
			copy(again[tcpChecksum:], b[tcpChecksum:tcpUrgent])
			if n != v.HeaderLen() || !bytes.Equal(again, b) {
				t.Fatalf("%x", again)
			}
			if _, ok := v.MSS(); ok && len(v.Options()) < 4 {
				t.Fatal("MSS of nothing")
			}
			TCP(again).SetChecksum(pseudo)
			if !TCP(again).ChecksumOK(pseudo) {
				t.Fatal("TCP checksum")
			}
		}
		if u, fault := CheckUDP(b); fault == FaultNone {
			again := make([]byte, len(u))
			copy(again[UDPLen:], u.Payload())
			EncodeUDP(again, u.SrcPort(), u.DstPort(), u.Length())
			if !bytes.Equal(again[:udpChecksum], u[:udpChecksum]) {
				t.Fatalf("%x", again)
			}
			UDP(again).SetChecksum(pseudo)
			if UDP(again).Checksum() == 0 || !UDP(again).ChecksumOK(pseudo) {
				t.Fatal("UDP checksum")
			}
		}
	})
}

func FuzzICMP(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		m, fault := CheckICMP(b)
		if fault != FaultNone {
			return
		}
		right := m.ChecksumOK()
		if m.TurnEcho() && (m.Type() != ICMPEchoReply || m.ChecksumOK() != right) {
			t.Fatal("TurnEcho")
		}
		again := make([]byte, len(b))
		if n := EncodeICMPEcho(again, m.Type(), m.ID(), m.Seq(), m.Payload()); n != len(b) || !ICMP(again).ChecksumOK() {
			t.Fatalf("%x", again)
		}
	})
}

func FuzzNeighbor(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte, valid bool) {
		ip, fault := CheckIPv6(b)
		if fault != FaultNone {
			return
		}
		m := ip.Payload()
		if valid && len(m) >= ICMPv6Len { // the fuzzer does not find checksums
			ip[ipv6Hops] = ndHops
			m[icmpCode] = 0
			ICMPv6(m).SetChecksum(ip.Src(), ip.Dst())
		}
		if s, fault := CheckNeighborSolicit(ip, m); fault == FaultNone {
			if IsMulticast6(s.Target()) {
				t.Fatal("solicitation for a group")
			}
			s.SourceMAC()
		}
		if a, fault := CheckNeighborAdvert(ip, m); fault == FaultNone {
			if IsMulticast6(a.Target()) {
				t.Fatal("advertisement of a group")
			}
			a.TargetMAC()
		}
		if r, fault := CheckRouterAdvert(ip, m); fault == FaultNone {
			r.SourceMAC()
			r.MTU()
			for rest := r.Options(); len(rest) > 0; {
				typ, data, next, f := NextNDOption(rest)
				if f != FaultNone || len(next) >= len(rest) {
					t.Fatal("options were checked")
				}
				if typ == NDOptPrefix {
					ParsePrefixInfo(data)
				}
				rest = next
			}
		}
	})
}

// addCaptures hands every captured frame to add.
func addCaptures(f *testing.F, add func([]byte)) {
	for _, name := range captures {
		for _, b := range readCapture(f, name) {
			add(b)
		}
	}
}

package soak

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/sluicenet/sluice/benchmarks/sequence"
	"github.com/sluicenet/sluice/packet"
)

// ways are what the switch does with packets: the flows take them by turns.
const ways = 8

const flowIDByte = 14 + 20 + 7 // of NVGRE: the sender's choice

// streams makes the flows with what must become of each packet, worked out here and not taken from the switch.
func (w *site) streams() ([]sequence.Stream, error) {
	all := make([]sequence.Stream, 0, w.Flows)
	for i := range w.Flows {
		f := w.flow(i)
		s, err := w.stream(i, f)
		if err != nil {
			return nil, fmt.Errorf("flow %d: %w", i, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// flow is one flow before it has bytes.
type flow struct {
	way      int
	tenant   int
	from, to *vm
	size     int
	udp      bool
	port     uint16
}

func (w *site) flow(i int) flow {
	way, t, n := i%ways, i/ways%w.Tenants, i/ways/w.Tenants
	f := flow{way: way, tenant: t, size: w.Sizes[(n+way)%len(w.Sizes)], udp: n%10 < w.UDPOf10, port: uint16(1024 + n%60_000)}
	switch way {
	case 0: // into NVGRE
		f.from, f.to = find(w.vms, t, web, n), find(w.peers, t, web, n)
	case 1: // out of NVGRE
		f.from, f.to = find(w.peers, t, web, n), find(w.vms, t, web, n)
	case 2: // routed, into NVGRE
		f.from, f.to = find(w.vms, t, web, n), find(w.peers, t, db, n)
	case 3: // routed by the other host
		f.from, f.to = find(w.peers, t, web, n), find(w.vms, t, db, n)
	case 4: // switched here
		f.from, f.to = find(w.vms, t, web, n), find(w.vms, t, web, n+1)
	case 5: // routed here
		f.from, f.to = find(w.vms, t, web, n), find(w.vms, t, db, n)
	case 6: // addresses rewritten
		f.from, f.to = find(w.vms, t, edge, n), find(w.peers, t, edge, n)
	case 7: // and back
		f.from, f.to = find(w.peers, t, edge, n), find(w.vms, t, edge, n)
	}
	return f
}

var wayNames = [ways]string{"encap", "decap", "route-encap", "decap-routed", "switch", "route", "rewrite-out", "rewrite-in"}

// stream builds what comes in and what must leave.
func (w *site) stream(i int, f flow) (s sequence.Stream, err error) {
	from, to := f.from, f.to
	s = sequence.Stream{Name: fmt.Sprintf("%d %s t%d %s>%s:%d", i, wayNames[f.way], f.tenant+1, from.ca, to.ca, f.port), In: from.name, Out: to.name}
	direct := frame{src: from.mac, dst: to.mac, from: from.ca, to: to.ca, ttl: 64}
	routed := frame{src: routerMAC, dst: to.mac, from: from.ca, to: to.ca, ttl: 63}
	toRouter := frame{src: from.mac, dst: routerMAC, from: from.ca, to: to.ca, ttl: 64}
	fabricSide := frame{src: hopMAC(from.pa), dst: uplinkMAC, from: from.pa, to: to.pa, ttl: 64}
	inside := outer{vsid: vsid(f.tenant, to.subnet), src: hopMAC(from.pa), dst: uplinkMAC, from: from.pa, to: to.pa}
	var in, out frame
	var around, got *outer
	switch f.way {
	case 0:
		in, out, around = direct, direct, &inside
	case 1:
		in, out, got = direct, direct, &inside
	case 2:
		in, out, around = toRouter, routed, &inside
	case 3:
		in, out, got = routed, routed, &inside
	case 4:
		in, out = direct, direct
	case 5:
		in, out = toRouter, routed
	case 6:
		in = direct
		out = frame{src: uplinkMAC, dst: hopMAC(to.pa), from: from.pa, to: to.pa, ttl: 64}
	case 7:
		in, out = fabricSide, direct
	}
	switch f.way {
	case 0, 2:
		inside.src, inside.dst = uplinkMAC, hopMAC(to.pa)
		s.Out, s.FreeByte = uplinkName, flowIDByte
	case 1, 3, 7:
		s.In = uplinkName
	case 6:
		s.Out = uplinkName
	}
	if s.In == uplinkName {
		s.Queue = i / ways % w.Queues
	}
	if s.Frame, err = in.build(f, got); err != nil {
		return s, err
	}
	s.Want, err = out.build(f, around)
	return s, err
}

// frame is a packet from Ethernet to IP, outer what NVGRE puts around it.
type frame struct {
	src, dst packet.MAC
	from, to netip.Addr
	ttl      uint8
}

type outer struct {
	vsid     uint32
	src, dst packet.MAC
	from, to netip.Addr
}

const (
	targetPort = 5001
	headers    = 14 + 20 + 20 // the longest that a flow has
)

func (h frame) build(f flow, around *outer) ([]byte, error) {
	ip := &layers.IPv4{Version: 4, TTL: h.ttl, Flags: layers.IPv4DontFragment, SrcIP: h.from.AsSlice(), DstIP: h.to.AsSlice()}
	var transport gopacket.SerializableLayer
	length := 20
	if f.udp {
		u := &layers.UDP{SrcPort: layers.UDPPort(f.port), DstPort: targetPort}
		if err := u.SetNetworkLayerForChecksum(ip); err != nil {
			return nil, err
		}
		ip.Protocol, transport, length = layers.IPProtocolUDP, u, 8
	} else {
		t := &layers.TCP{SrcPort: layers.TCPPort(f.port), DstPort: targetPort, ACK: true, Seq: 1, Ack: 1, Window: 65535}
		if err := t.SetNetworkLayerForChecksum(ip); err != nil {
			return nil, err
		}
		ip.Protocol, transport = layers.IPProtocolTCP, t
	}
	inner, err := serialize(ethernet(h.src, h.dst), ip, transport, payload(max(f.size-34-length, sequence.Trailer)))
	if err != nil || around == nil {
		return inner, err
	}
	gre := &layers.GRE{KeyPresent: true, Protocol: layers.EthernetTypeTransparentEthernetBridging, Key: around.vsid<<8 | uint32(f.port&0xff)}
	return serialize(ethernet(around.src, around.dst), &layers.IPv4{Version: 4, TTL: 64, Flags: layers.IPv4DontFragment,
		Protocol: layers.IPProtocolGRE, SrcIP: around.from.AsSlice(), DstIP: around.to.AsSlice()}, gre, gopacket.Payload(inner))
}

func ethernet(src, dst packet.MAC) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: net.HardwareAddr(src[:]), DstMAC: net.HardwareAddr(dst[:]), EthernetType: layers.EthernetTypeIPv4}
}

// payload ends with the number zero and its inverse, as the checksums are to hold for every number.
func payload(n int) gopacket.Payload {
	b := make(gopacket.Payload, n)
	for i := range b {
		b[i] = byte('a' + i%26)
	}
	clear(b[n-sequence.Trailer:])
	for i := n - sequence.Trailer/2; i < n; i++ {
		b[i] = 0xff
	}
	return b
}

func serialize(stack ...gopacket.SerializableLayer) ([]byte, error) {
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...); err != nil {
		return nil, fmt.Errorf("make frame: %w", err)
	}
	return buf.Bytes(), nil
}

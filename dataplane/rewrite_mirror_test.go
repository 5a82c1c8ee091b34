package dataplane

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
)

// rewriteTrip is a way between two VMs of the rewritten hosts: how the sender's frame is addressed, how it travels, and
// how it must arrive.
type rewriteTrip struct {
	from, to   string // ports
	src, dst   string // MACs as sent
	src2, dst2 string // MACs as delivered
	ca, ca2    string
	pa, pa2    string
	hops       uint8
}

var rewriteTrips = []rewriteTrip{
	{from: "green-vm1", to: "green-far", src: greenVM1, dst: greenFar, src2: greenVM1, dst2: greenFar, ca: "10.0.0.5", ca2: "10.0.0.7", pa: greenVM1PA, pa2: greenFarPA},
	{from: "green-vm1", to: "green-far", src: greenVM1, dst: greenFar, src2: greenVM1, dst2: greenFar, ca: "10.0.0.5", ca2: "10.0.0.17", pa: greenVM1PA, pa2: "172.16.1.42"},
	{from: "green-vm1", to: "green-db1", src: greenVM1, dst: routerMAC, src2: routerMAC, dst2: greenDB1, ca: "10.0.0.5", ca2: "10.0.1.7", pa: greenVM1PA, pa2: greenDB1PA, hops: 1},
	{from: "green-db0", to: "green-far", src: greenDB0, dst: routerMAC, src2: routerMAC, dst2: greenFar, ca: "10.0.1.5", ca2: "10.0.0.7", pa: greenDB0PA, pa2: greenFarPA, hops: 1},
	{from: "lime-vm1", to: "lime-far", src: limeVM1, dst: limeFar, src2: limeVM1, dst2: limeFar, ca: "10.0.0.5", ca2: "10.0.0.7", pa: limeVM1PA, pa2: limeFarPA},
}

// plainSum is the Internet checksum, word by word, so that the one under test does not judge itself.
func plainSum(b []byte, sum uint32) uint16 {
	for i, c := range b {
		sum += uint32(c) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// liteSum gives an IPv4 UDP-Lite frame its checksum over everything (RFC 3828, section 3.1).
func liteSum(f []byte) []byte {
	binary.BigEndian.PutUint16(f[40:], 0)
	pseudo := uint32(136) + uint32(len(f)-34)
	for at := 26; at < 34; at += 2 {
		pseudo += uint32(binary.BigEndian.Uint16(f[at:]))
	}
	binary.BigEndian.PutUint16(f[40:], plainSum(f[34:], pseudo))
	return f
}

// datagram is a random IPv4 packet, built for any pair of addresses with all checksums computed anew.
type datagram func(src, dst, from, to string, ttl uint8) []byte

func randomDatagram(rng *rand.Rand) (string, datagram) {
	payload := make([]byte, rng.IntN(1400))
	for i := range payload {
		payload[i] = byte(rng.Uint32())
	}
	if rng.IntN(8) == 0 {
		clear(payload)
	}
	a, b, tos, id := uint16(rng.Uint32()), uint16(rng.Uint32()), uint8(rng.Uint32()), uint16(rng.Uint32())
	more := []frames.IPOption{frames.TOS(tos), frames.ID(id)}
	if rng.IntN(2) == 0 {
		more = append(more, frames.DF())
	}
	of := func(opts []frames.IPOption, l ...frames.Layer) datagram {
		return func(src, dst, from, to string, ttl uint8) []byte {
			all := append([]frames.IPOption{frames.TTL(ttl)}, opts...)
			return frames.Build(append([]frames.Layer{frames.Ether(src, dst), frames.IPv4(from, to, all...)}, l...)...)
		}
	}
	raw := func(proto uint8) datagram {
		return of(append(more, frames.Proto(proto)), frames.Bytes(append(make([]byte, 12), payload...)))
	}
	switch rng.IntN(11) {
	case 0:
		return "TCP", of(more, frames.TCP(a, b), frames.Bytes(payload))
	case 1:
		return "TCP with IP options", of(append(more, frames.RouterAlert()), frames.TCP(a, b, frames.SYN(1460)), frames.Bytes(payload))
	case 2:
		return "UDP", of(more, frames.UDP(a, b), frames.Bytes(payload))
	case 3:
		udp := of(more, frames.UDP(a, b), frames.Bytes(payload))
		return "UDP without checksum", func(src, dst, from, to string, ttl uint8) []byte {
			return frames.Patch(udp(src, dst, from, to, ttl), 40, 0, 0)
		}
	case 4:
		return "ping", of(more, frames.Echo(a, b), frames.Bytes(payload))
	case 5:
		udp := of(append(more, frames.Proto(136)), frames.UDP(a, b), frames.Bytes(payload))
		return "UDP-Lite", func(src, dst, from, to string, ttl uint8) []byte { return liteSum(udp(src, dst, from, to, ttl)) }
	case 6:
		return "ESP", raw(50)
	case 7:
		return "SCTP", raw(132)
	case 8:
		return "GRE", raw(47)
	}
	return randomError(rng)
}

// randomError is an ICMP error, whose quote went the other way. It is never cut inside a checksum: half of one cannot be
// translated, and nobody looks at it.
func randomError(rng *rand.Rand) (string, datagram) {
	name, quoted := "ping", datagram(nil)
	for quoted == nil || strings.HasPrefix(name, "error") {
		name, quoted = randomDatagram(rng)
	}
	kinds := [][2]uint8{{3, 3}, {3, 4}, {4, 0}, {11, 0}, {12, 0}}
	kind, rest, keep, ttl := kinds[rng.IntN(len(kinds))], rng.Uint32(), 28+2*rng.IntN(274), uint8(rng.Uint32())
	return "error about " + name, func(src, dst, from, to string, hops uint8) []byte {
		quote := quoted(dst, src, to, from, ttl)[14:]
		return frames.Build(frames.Ether(src, dst), frames.IPv4(from, to, frames.TTL(hops)), frames.ICMP(kind[0], kind[1], rest),
			frames.Bytes(quote[:min(keep, len(quote))]))
	}
}

// newMirror makes host-a and host-b, each with the other's VMs as neighbours.
func newMirror(t *testing.T) (a, b *rig) {
	a, b = newRigOf(t, 1, rewritePolicy("a")), newRigOf(t, 1, rewritePolicy("b"))
	for i := range rewriteTrips {
		w := &rewriteTrips[i]
		a.know(frames.Build(frames.Ether(w.src, w.dst), frames.IPv4(w.ca, w.ca2), frames.UDP(1, 2)), w.from, w.pa2)
	}
	return a, b
}

// TestRewriteMirror sends random packets through rewrite and the mirror host: on the wire they must be what somebody
// would have built with the provider addresses, byte for byte, and arrive as they were sent but for the TTL.
func TestRewriteMirror(t *testing.T) {
	a, b := newMirror(t)
	rng := rand.New(rand.NewPCG(8, 15))
	seen := map[string]int{}
	for range 3000 {
		w := &rewriteTrips[rng.IntN(len(rewriteTrips))]
		name, build := randomDatagram(rng)
		ttl := uint8(2 + rng.IntN(254))
		sent := [][]byte{build(w.src, w.dst, w.ca, w.ca2, ttl)}
		wire := [][]byte{build(uplinkMAC, hostBMAC, w.pa, w.pa2, ttl-w.hops)}
		arrived := [][]byte{build(w.src2, w.dst2, w.ca, w.ca2, ttl-w.hops)}
		if sent[0][14] == 0x45 && sent[0][20]&0x40 == 0 && !strings.HasPrefix(name, "error") && rng.IntN(3) == 0 {
			name += " in fragments"
			size := 24 + 8*rng.IntN(60)
			sent, wire, arrived = frames.FragmentIPv4(sent[0], size), frames.FragmentIPv4(wire[0], size), frames.FragmentIPv4(arrived[0], size)
		}
		seen[name]++
		for i := range sent {
			out := a.send(w.from, sent[i])["up0"]
			require.Len(t, out, 1, "%s\n%s", name, frames.Dump(sent[i]))
			frames.Equal(t, wire[i], out[0], name)
			back := b.send("up0", frames.Patch(out[0], 0, a.mac[:]...))[w.to]
			require.Len(t, back, 1, "%s\n%s", name, frames.Dump(out[0]))
			frames.Equal(t, arrived[i], back[0], name)
		}
	}
	require.Greater(t, len(seen), 18, "%v", seen)
	a.balanced()
	b.balanced()
}

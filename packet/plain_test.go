package packet_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memport"
	"github.com/sluicenet/sluice/packet"
)

var arena = memport.NewArena(packet.RxBurst, 65407)

// parsePlain reads one frame the short way.
func parsePlain(frame []byte) (m packet.Parsed, hash uint64, ok bool) {
	p := arena.Get(frame)
	defer arena.Put(p)
	var b packet.Burst
	b.SetScope(packet.PortScope(3))
	plain, size := b.ParsePlain([]*packet.Packet{p}, 1, 5)
	if size != uint64(len(frame)) {
		panic("bytes")
	}
	if plain != 1 {
		return m, 0, false
	}
	packet.PlainParsed(p, &b.Key[0], &m)
	return m, b.Hash[0], true
}

// spoiled are all frames that differ from f in one byte, in the ways that matter to headers.
func spoiled(f []byte, upTo int) (all [][]byte) {
	for at := range upTo {
		for _, v := range []byte{0, 1, 0x45, 0x46, 0x81, 0xff, f[at] ^ 1, f[at] ^ 0x20, f[at] ^ 0x80} {
			all = append(all, frames.Patch(f, at, v))
		}
	}
	return all
}

func TestParsePlainAgreesWithParse(t *testing.T) {
	for _, f := range [][]byte{
		frames.Build(frames.Ether(macA, macB), v4(frames.TOS(0xb9), frames.DF()), frames.TCP(1, 2), frames.Payload(20)),
		frames.Pad(frames.Build(frames.Ether(macA, macB), v4(), frames.UDP(1, 2), frames.Payload(2)), 60),
	} {
		plain, hash, ok := parsePlain(f)
		require.True(t, ok)
		m := parse(f)
		require.Equal(t, m, plain)
		require.Equal(t, m.Key.Hash(5), hash)
		accepted := 0
		for _, g := range spoiled(f, 54) { // whatever byte is spoiled: the same reading, or none
			if plain, _, ok := parsePlain(g); ok {
				accepted++
				require.Equal(t, parse(g), plain, "%x", g)
			}
		}
		require.Greater(t, accepted, 100)
	}
}

func TestParsePlainLeavesOthers(t *testing.T) {
	good := frames.Build(frames.Ether(macA, macB), v4(), frames.TCP(1, 2))
	for name, f := range map[string][]byte{
		"short":    good[:53],
		"tag":      frames.Build(frames.Ether(macA, macB), frames.VLAN(7, 0), v4(), frames.TCP(1, 2)),
		"options":  frames.Build(frames.Ether(macA, macB), v4(frames.RouterAlert()), frames.TCP(1, 2)),
		"fragment": frames.Build(frames.Ether(macA, macB), v4(frames.Frag(0, true)), frames.TCP(1, 2)),
		"ICMP":     frames.Pad(frames.Ping(macA, macB, "10.0.0.1", "10.0.0.2", 1, 1), 64),
		"IPv6":     frames.Build(frames.Ether(macA, macB), frames.IPv6("2001:db8::1", "2001:db8::2"), frames.TCP(1, 2)),
		"ARP":      frames.Pad(frames.ARPRequest(macA, "10.0.0.1", "10.0.0.2"), 64),
	} {
		_, _, ok := parsePlain(f)
		require.False(t, ok, name)
	}
	shared := arena.Get(good)
	defer arena.Put(shared)
	var b packet.Burst
	for _, c := range []struct {
		name       string
		set, reset func()
	}{
		{"shared", func() { shared.RefCnt = 2 }, func() { shared.RefCnt = 1 }},
		{"segments", func() { shared.NbSegs = 2 }, func() { shared.NbSegs = 1 }},
		{"external", func() { shared.OlFlags = packet.FlagExternal }, func() { shared.OlFlags = 0 }},
		{"indirect", func() { shared.OlFlags = packet.FlagIndirect }, func() { shared.OlFlags = 0 }},
	} {
		c.set()
		plain, _ := b.ParsePlain([]*packet.Packet{shared}, 1, 5)
		require.Zero(t, plain, c.name)
		c.reset()
	}
	plain, size := b.ParsePlain([]*packet.Packet{shared}, 0, 5)
	require.Zero(t, plain|size, "it was not asked for")
}

const (
	hostA = "02:aa:00:00:00:01"
	hostB = "02:bb:00:00:00:02"
)

// decap takes NVGRE off one frame, nil when that is left to others.
func decap(t *testing.T, frame []byte) (inner []byte, outer packet.Outer) {
	p := arena.Get(frame)
	defer arena.Put(p)
	mac, err := packet.ParseMAC(hostA)
	require.NoError(t, err)
	local := packet.Fabric{MAC: binary.LittleEndian.Uint64(append(mac[:], 0, 0)), PAs: []uint32{0xac100101, 0xac100103}}
	var b packet.Burst
	ok, size := b.DecapPlain([]*packet.Packet{p}, &local)
	require.EqualValues(t, len(frame), size)
	if ok == 0 {
		require.Equal(t, frame, p.Data(), "left as it is")
		return nil, outer
	}
	require.EqualValues(t, packet.NVGREScope(b.Outer[0].VSID), b.Scope[0])
	return bytes.Clone(p.Data()), b.Outer[0]
}

func TestDecapPlain(t *testing.T) {
	in := frames.Build(frames.Ether(macA, macB), v4(), frames.UDP(1, 2), frames.Payload(20))
	good := frames.NVGRE(hostB, hostA, "172.16.1.2", "172.16.1.1", 6001, 9, in)
	want := packet.Outer{Src: 0xac100102, VSID: 6001, TOS: good[15]}
	inner, outer := decap(t, good)
	require.Equal(t, in, inner)
	require.Equal(t, want, outer)

	inner, outer = decap(t, frames.NVGRE(hostB, hostA, "172.16.1.2", "172.16.1.3", 6001, 9, in))
	require.Equal(t, in, inner, "another provider address of the host")
	require.Equal(t, want, outer)
	inner, _ = decap(t, frames.Pad(good, len(good)+7))
	require.Equal(t, in, inner, "padding of the link is cut off")

	for name, f := range map[string][]byte{
		"another host":   frames.NVGRE(hostB, hostB, "172.16.1.2", "172.16.1.1", 6001, 9, in),
		"another PA":     frames.NVGRE(hostB, hostA, "172.16.1.2", "172.16.1.9", 6001, 9, in),
		"reserved VSID":  frames.NVGRE(hostB, hostA, "172.16.1.2", "172.16.1.1", 4095, 9, in),
		"last VSID":      frames.NVGRE(hostB, hostA, "172.16.1.2", "172.16.1.1", 0xffffff, 9, in),
		"no source":      frames.NVGRE(hostB, hostA, "0.0.0.0", "172.16.1.1", 6001, 9, in),
		"longer than it": good[:len(good)-1],
	} {
		inner, _ = decap(t, f)
		require.Nil(t, inner, name)
	}
	for _, f := range spoiled(good, 38) { // whatever is spoiled: left alone, or without influence
		if inner, outer := decap(t, f); inner != nil {
			require.Equal(t, in, inner, "%x", f[:42])
			require.Equal(t, want, outer)
		}
	}
}

// TestDecapPlainChecksum compares with the checksum of RFC 1071 on random headers.
func TestDecapPlainChecksum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	in := frames.Build(frames.Ether(macA, macB), v4(), frames.UDP(1, 2), frames.Payload(20))
	for range 2000 {
		f := frames.NVGRE(hostB, hostA, "172.16.1.2", "172.16.1.1", 6001, 9, in)
		binary.BigEndian.PutUint16(f[18:], uint16(r.Uint32()))
		binary.BigEndian.PutUint32(f[26:], r.Uint32()|1)
		binary.BigEndian.PutUint16(f[24:], 0)
		sum := packet.Checksum(f[14:34], 0)
		for _, c := range []uint16{sum, sum + 1, sum ^ 0x100, ^sum} {
			binary.BigEndian.PutUint16(f[24:], c)
			inner, _ := decap(t, f)
			require.Equal(t, packet.Checksum(f[14:34], 0) == 0, inner != nil, "checksum %#x", c)
		}
	}
}

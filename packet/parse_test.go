package packet_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

const (
	macA = "00:15:5d:00:00:0a"
	macB = "00:15:5d:00:00:0b"
)

func parse(frame []byte) packet.Parsed { return parseScoped(frame, len(frame)) }

func parseScoped(frame []byte, size int) packet.Parsed {
	var m packet.Parsed
	packet.Parse(frame, size, packet.PortScope(3), &m)
	return m
}

func v4(opts ...frames.IPOption) frames.Layer { return frames.IPv4("10.0.0.1", "10.0.0.2", opts...) }

func TestParseOffsets(t *testing.T) {
	for name, tc := range map[string]struct {
		frame  []byte
		kind   packet.Layer3
		l3, l4 uint16
		proto  uint8
		tagged bool
		frag   bool
		err    packet.ParseError
	}{
		"TCP":              {frames.Build(frames.Ether(macA, macB), v4(), frames.TCP(1, 2)), packet.L3IPv4, 14, 34, 6, false, false, 0},
		"options":          {frames.Build(frames.Ether(macA, macB), v4(frames.RouterAlert()), frames.UDP(1, 2)), packet.L3IPv4, 14, 38, 17, false, false, 0},
		"tag":              {frames.Build(frames.Ether(macA, macB), frames.VLAN(7, 3), v4(), frames.UDP(1, 2)), packet.L3IPv4, 18, 38, 17, true, false, 0},
		"first fragment":   {frames.Build(frames.Ether(macA, macB), v4(frames.Frag(0, true)), frames.UDP(1, 2), frames.Payload(8)), packet.L3IPv4, 14, 34, 17, false, true, 0},
		"later fragment":   {frames.Build(frames.Ether(macA, macB), v4(frames.Frag(2, false), frames.Proto(17)), frames.Payload(8)), packet.L3IPv4, 14, 0, 17, false, true, 0},
		"IPv6":             {frames.Build(frames.Ether(macA, macB), frames.IPv6("2001:db8::1", "2001:db8::2"), frames.TCP(1, 2)), packet.L3IPv6, 14, 54, 6, false, false, 0},
		"IPv6 extensions":  {frames.Build(frames.Ether(macA, macB), frames.IPv6("2001:db8::1", "2001:db8::2"), frames.HopByHop(), frames.Routing(), frames.DestOpts(1), frames.UDP(1, 2)), packet.L3IPv6, 14, 54 + 8 + 8 + 16, 17, false, false, 0},
		"IPv6 fragment":    {frames.Build(frames.Ether(macA, macB), frames.IPv6("2001:db8::1", "2001:db8::2"), frames.Frag6(1, 2, true), frames.Payload(16)), packet.L3IPv6, 14, 0, 59, false, true, 0},
		"hop-by-hop twice": {frames.Build(frames.Ether(macA, macB), frames.IPv6("2001:db8::1", "2001:db8::2"), frames.HopByHop(), frames.HopByHop(), frames.UDP(1, 2)), packet.L3IPv6, 14, 0, 0, false, false, packet.ErrIPv6Chain},
		"ARP":              {frames.ARPRequest(macA, "10.0.0.1", "10.0.0.2"), packet.L3ARP, 14, 0, 0, false, false, 0},
		"other":            {frames.Build(frames.EtherOf(macA, macB, frames.EtherTypeTest), frames.Payload(10)), packet.L3None, 14, 0, 0, false, false, 0},
		"group source":     {frames.Build(frames.Ether("01:00:5e:00:00:01", macB), v4(), frames.UDP(1, 2)), 0, 0, 0, 0, false, false, packet.ErrSourceMAC},
		"zero source":      {frames.Build(frames.Ether("00:00:00:00:00:00", macB), v4(), frames.UDP(1, 2)), 0, 0, 0, 0, false, false, packet.ErrSourceMAC},
		"UDP length lies":  {frames.Patch(frames.Build(frames.Ether(macA, macB), v4(), frames.UDP(1, 2)), 38, 0, 9), packet.L3IPv4, 14, 34, 17, false, false, packet.ErrL4Length},
		"TCP offset lies":  {frames.Patch(frames.Build(frames.Ether(macA, macB), v4(), frames.TCP(1, 2)), 46, 0xf0), packet.L3IPv4, 14, 34, 6, false, false, packet.ErrL4Length},
	} {
		t.Run(name, func(t *testing.T) {
			m := parse(tc.frame)
			require.Equal(t, tc.err, m.Err)
			if tc.err != packet.ParseOK {
				return
			}
			require.Equal(t, tc.kind, m.Kind)
			require.Equal(t, tc.l3, m.L3)
			require.Equal(t, tc.l4, m.L4)
			if tc.proto != 59 {
				require.Equal(t, tc.proto, m.Proto)
			}
			require.Equal(t, tc.tagged, m.Tagged)
			require.Equal(t, tc.frag, m.Fragment)
			require.Equal(t, macA, m.SrcMAC().String())
		})
	}
}

func TestParsePaddingAndSegments(t *testing.T) {
	f := frames.Build(frames.Ether(macA, macB), v4(), frames.UDP(1, 2), frames.Payload(2))
	m := parse(frames.Pad(f, 60))
	require.Equal(t, packet.ParseOK, m.Err)
	require.EqualValues(t, len(f), m.Len, "padding is no part of the packet")

	whole := frames.Build(frames.Ether(macA, macB), v4(), frames.UDP(1, 2), frames.Payload(1000))
	want := parse(whole)
	for n := range len(whole) {
		var m packet.Parsed
		packet.Parse(whole[:n], len(whole), packet.PortScope(3), &m)
		if n < 42 {
			require.Equal(t, packet.ErrSegments, m.Err, "headers end at 42, segment at %d", n)
		} else {
			require.Equal(t, want, m)
		}
	}
}

// TestKeysTellFlowsApart changes one thing at a time: what makes another flow changes the key, what does not keeps it.
func TestKeysTellFlowsApart(t *testing.T) {
	base := func() []byte {
		return frames.Build(frames.Ether(macA, macB), v4(), frames.TCP(1, 2), frames.Payload(20))
	}
	ref := parse(base())
	different := map[string][]byte{
		"source MAC":      frames.Build(frames.Ether("00:15:5d:00:01:0a", macB), v4(), frames.TCP(1, 2), frames.Payload(20)),
		"source MAC end":  frames.Build(frames.Ether("00:15:5d:00:00:0c", macB), v4(), frames.TCP(1, 2), frames.Payload(20)),
		"destination MAC": frames.Build(frames.Ether(macA, "00:15:5d:00:00:0d"), v4(), frames.TCP(1, 2), frames.Payload(20)),
		"source":          frames.Build(frames.Ether(macA, macB), frames.IPv4("10.0.0.3", "10.0.0.2"), frames.TCP(1, 2), frames.Payload(20)),
		"destination":     frames.Build(frames.Ether(macA, macB), frames.IPv4("10.0.0.1", "10.0.0.3"), frames.TCP(1, 2), frames.Payload(20)),
		"source port":     frames.Build(frames.Ether(macA, macB), v4(), frames.TCP(3, 2), frames.Payload(20)),
		"target port":     frames.Build(frames.Ether(macA, macB), v4(), frames.TCP(1, 3), frames.Payload(20)),
		"protocol":        frames.Build(frames.Ether(macA, macB), v4(), frames.UDP(1, 2), frames.Payload(20)),
		"DSCP":            frames.Build(frames.Ether(macA, macB), v4(frames.TOS(0xb8)), frames.TCP(1, 2), frames.Payload(20)),
		"VLAN":            frames.Build(frames.Ether(macA, macB), frames.VLAN(7, 0), v4(), frames.TCP(1, 2), frames.Payload(20)),
		"fragment":        frames.Build(frames.Ether(macA, macB), v4(frames.Frag(0, true)), frames.TCP(1, 2), frames.Payload(20)),
	}
	for name, f := range different {
		m := parse(f)
		require.Equal(t, packet.ParseOK, m.Err, name)
		require.NotEqual(t, ref.Key, m.Key, name)
	}
	same := map[string][]byte{
		"TTL":     frames.Build(frames.Ether(macA, macB), v4(frames.TTL(3)), frames.TCP(1, 2), frames.Payload(20)),
		"ECN":     frames.Build(frames.Ether(macA, macB), v4(frames.TOS(3)), frames.TCP(1, 2), frames.Payload(20)),
		"id, DF":  frames.Build(frames.Ether(macA, macB), v4(frames.ID(77), frames.DF()), frames.TCP(1, 2), frames.Payload(20)),
		"payload": frames.Build(frames.Ether(macA, macB), v4(), frames.TCP(1, 2), frames.Payload(700)),
	}
	for name, f := range same {
		m := parse(f)
		require.Equal(t, ref.Key, m.Key, name)
	}
	var nv packet.Parsed
	packet.Parse(base(), len(base()), packet.NVGREScope(3), &nv)
	require.NotEqual(t, ref.Key, nv.Key, "port 3 is not VSID 3")
}

func TestEntropyIgnoresWhatPathsMustNotDependOn(t *testing.T) {
	a := parse(frames.Build(frames.Ether(macA, macB), v4(), frames.TCP(1, 2)))
	b := parse(frames.Build(frames.Ether(macA, macB), v4(frames.TOS(0xb8)), frames.TCP(1, 2)))
	require.Equal(t, a.Key.Entropy(), b.Key.Entropy(), "one path for all DSCPs of a connection")
	for shift := range 4 { // each byte is used for another choice
		values := map[byte]bool{}
		for port := range uint16(1000) {
			m := parse(frames.Build(frames.Ether(macA, macB), v4(), frames.TCP(port, 2)))
			values[byte(m.Key.Entropy()>>(8*shift))] = true
		}
		require.Greater(t, len(values), 240, "1000 flows use nearly all 256 FlowIDs")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(frames.Build(frames.Ether(macA, macB), v4(), frames.TCP(1, 2), frames.Payload(20)), 0)
	f.Add(frames.Build(frames.Ether(macA, macB), frames.VLAN(7, 3), v4(frames.RouterAlert()), frames.UDP(1, 2)), 10)
	f.Add(frames.Build(frames.Ether(macA, macB), frames.IPv6("2001:db8::1", "2001:db8::2"), frames.HopByHop(), frames.Frag6(1, 0, true), frames.UDP(1, 2), frames.Payload(9)), 0)
	f.Add(frames.ARPRequest(macA, "10.0.0.1", "10.0.0.2"), 0)
	f.Fuzz(func(t *testing.T, frame []byte, further int) {
		if further < 0 || further > 65000 || len(frame) > 65000 {
			return
		}
		m := parseScoped(frame, len(frame)+further)
		if plain, _, ok := parsePlain(frame); ok && further == 0 && plain != m {
			t.Fatalf("the short way read %+v, the long one %+v", plain, m)
		}
		if m.Err != packet.ParseOK {
			if m.Err == packet.ErrSegments && further == 0 {
				t.Fatal("split headers in a packet of one segment")
			}
			return
		}
		if int(m.L3) > len(frame) || int(m.L4) > len(frame) || int(m.Len) > len(frame)+further || (m.L4 != 0 && m.L4 < m.L3+20) {
			t.Fatalf("offsets outside the frame: %+v", m)
		}
		switch m.Kind {
		case packet.L3IPv4:
			if int(binary.BigEndian.Uint16(frame[m.L3+2:]))+int(m.L3) != int(m.Len) {
				t.Fatalf("length %d is not the header's", m.Len)
			}
		case packet.L3IPv6:
			var w packet.WideKey
			m.Wide(frame, &w)
			if w[0] != m.Key[0] {
				t.Fatal("wide key")
			}
		}
	})
}

package packet

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Parse is written for speed, the views for reading. These tests hold the two against each other: a frame that Parse
// refuses is refused by a view as well, and where both accept, they see the same fields at the same places.

func FuzzFrame(f *testing.F) {
	addCaptures(f, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) <= 0xffff {
			agree(t, b)
		}
	})
}

// Every captured frame, cut off at every byte, and with every byte of its first 100 turned around.
func TestParseAgreesWithViews(t *testing.T) {
	for _, name := range captures {
		for _, frame := range readCapture(t, name) {
			for n := range len(frame) + 1 {
				agree(t, frame[:n])
			}
			for i := range min(len(frame), 100) {
				for _, mask := range []byte{0xff, 0x01, 0x10, 0x80} {
					bad := append([]byte(nil), frame...)
					bad[i] ^= mask
					agree(t, bad)
				}
			}
		}
	}
}

func agree(t *testing.T, b []byte) {
	t.Helper()
	var p Parsed
	Parse(b, len(b), 0, &p)
	e, ok := CheckEthernet(b)
	require.Equal(t, !ok, p.Err == ErrTruncatedEth)
	if !ok {
		return
	}
	require.Equal(t, e.Src().IsGroup() || e.Src().IsZero(), p.Err == ErrSourceMAC)
	if p.Err == ErrSourceMAC {
		return
	}
	v, tagged := CheckVLAN(b)
	require.Equal(t, tagged, p.Tagged)
	require.Equal(t, !tagged && e.EtherType() == EtherTypeVLAN, p.Err == ErrTruncatedVLAN)
	if tagged {
		require.Equal(t, v.TCI(), p.TCI)
	}
	switch p.Kind {
	case L3ARP:
		_, ok := CheckARP(b[p.L3:])
		require.Equal(t, !ok, p.Err == ErrTruncatedARP)
	case L3IPv4:
		agreeIPv4(t, b, &p)
	case L3IPv6:
		agreeIPv6(t, b, &p)
	}
}

func agreeIPv4(t *testing.T, b []byte, p *Parsed) {
	v, f := CheckIPv4(b[p.L3:])
	want, refused := map[Fault]ParseError{FaultTruncated: ErrTruncatedIPv4, FaultVersion: ErrIPv4Version,
		FaultHeaderLength: ErrIPv4HeaderLen, FaultTotalLength: ErrIPv4TotalLen}[f]
	if refused {
		require.Equal(t, want, p.Err)
		return
	}
	require.NotContains(t, []ParseError{ErrTruncatedIPv4, ErrIPv4Version, ErrIPv4HeaderLen, ErrIPv4TotalLen}, p.Err)
	require.Equal(t, []any{v.Proto(), v.TOS(), v.IsFragment(), int(p.L3) + len(v)}, []any{p.Proto, p.TOS, p.Fragment, int(p.Len)})
	MayAnswerIPv4(v)
	if p.Err == ErrIPv4Fragment || v.FragOffset() != 0 {
		return
	}
	require.Equal(t, int(p.L3)+v.HeaderLen(), int(p.L4))
	agreeTransport(t, v.Payload(), p)
}

func agreeIPv6(t *testing.T, b []byte, p *Parsed) {
	v, f := CheckIPv6(b[p.L3:])
	want, refused := map[Fault]ParseError{FaultTruncated: ErrTruncatedIPv6, FaultVersion: ErrIPv6Version,
		FaultTotalLength: ErrIPv6PayloadLen}[f]
	if refused {
		require.Equal(t, want, p.Err)
		return
	}
	require.NotContains(t, []ParseError{ErrTruncatedIPv6, ErrIPv6Version, ErrIPv6PayloadLen}, p.Err)
	c, f := v.Walk()
	if p.Err == ErrIPv6Chain {
		require.NotEqual(t, FaultNone, f)
		return
	}
	if f != FaultNone {
		require.Equal(t, FaultChain, f, "Parse allows one header more in a fragment, but reads none that is not there")
		return
	}
	require.Equal(t, []any{v.TrafficClass(), c.Proto, int(p.L3) + len(v)}, []any{p.TOS, p.Proto, int(p.Len)})
	later := false
	if c.Fragment != 0 {
		h := IPv6Fragment(v[c.Fragment:])
		require.Equal(t, !h.IsAtomic(), p.Fragment)
		later = h.Offset() != 0
	}
	if later || c.Proto == ProtoNoNext {
		require.Zero(t, p.L4)
		return
	}
	require.Equal(t, int(p.L3)+c.Upper, int(p.L4))
	agreeTransport(t, v[c.Upper:], p)
}

func agreeTransport(t *testing.T, b []byte, p *Parsed) {
	if p.Fragment {
		return // its lengths are those of the whole datagram
	}
	var f Fault
	switch p.Proto {
	case ProtoTCP:
		_, f = CheckTCP(b)
	case ProtoUDP:
		_, f = CheckUDP(b)
	default:
		return
	}
	want := map[Fault]ParseError{FaultNone: ParseOK, FaultTruncated: ErrTruncatedL4,
		FaultHeaderLength: ErrL4Length, FaultTotalLength: ErrL4Length}
	require.Equal(t, want[f], p.Err)
}

package packet

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseMAC(t *testing.T) {
	for _, c := range []struct {
		in   string
		want MAC
		ok   bool
	}{
		{"00:15:5d:00:01:05", MAC{0, 0x15, 0x5d, 0, 1, 5}, true},
		{"00-15-5D-00-01-05", MAC{0, 0x15, 0x5d, 0, 1, 5}, true},
		{"0015.5d00.0105", MAC{0, 0x15, 0x5d, 0, 1, 5}, true},
		{"00:15:5d:00:01", MAC{}, false},
		{"00:15:5d:00:01:05:06:07", MAC{}, false}, // EUI-64
		{"00:15:5d:00:01:0g", MAC{}, false},
		{"", MAC{}, false},
	} {
		got, err := ParseMAC(c.in)
		assert.Equal(t, c.ok, err == nil, c.in)
		assert.Equal(t, c.want, got, c.in)
		if !c.ok {
			assert.ErrorContains(t, err, `"`+c.in+`" is not an Ethernet address`)
		}
	}
}

func TestMAC(t *testing.T) {
	m := MAC{0x02, 0x15, 0x5d, 0xfe, 0x01, 0x05}
	assert.Equal(t, "02:15:5d:fe:01:05", m.String())
	assert.Equal(t, uint64(0x02155dfe0105), m.Uint64())
	assert.Equal(t, m, MACFromUint64(m.Uint64()))
	assert.Equal(t, m, MACFromUint64(0xabcd<<48|m.Uint64()))
	assert.False(t, m.IsGroup())
	assert.True(t, MAC{0x01, 0x80, 0xc2}.IsGroup())
	assert.True(t, Broadcast.IsGroup())
	assert.True(t, MAC{}.IsZero())
	assert.False(t, m.IsZero())
}

func TestAddr(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Addr
		is4  bool
	}{
		{"10.0.0.1", Addr{0, 0xffff_0a00_0001}, true},
		{"0.0.0.0", Addr{0, 0xffff_0000_0000}, true},
		{"255.255.255.255", Addr{0, 0xffff_ffff_ffff}, true},
		{"2001:db8::1", Addr{0x2001_0db8_0000_0000, 1}, false},
		{"fe80::215:5dff:fe00:105", Addr{0xfe80 << 48, 0x0215_5dff_fe00_0105}, false},
		{"::1", Addr{0, 1}, false},
		{"64:ff9b::ffff:a00:1", Addr{0x0064_ff9b << 32, 0xffff_0a00_0001}, false},
	} {
		a := AddrFromNetip(netip.MustParseAddr(c.in))
		assert.Equal(t, c.want, a, c.in)
		assert.Equal(t, c.is4, a.Is4(), c.in)
		assert.Equal(t, c.in, a.String())
		assert.Equal(t, netip.MustParseAddr(c.in), a.Netip())
		assert.False(t, a.IsZero())
		b := a.Netip().As16()
		assert.Equal(t, a, AddrFrom16(b[:]))
		if c.is4 {
			assert.Equal(t, a, AddrFrom4(a.V4()))
		}
	}
}

func TestAddrNone(t *testing.T) {
	assert.Equal(t, Addr{}, AddrFromNetip(netip.Addr{}))
	assert.True(t, Addr{}.IsZero())
	assert.False(t, Addr{}.Is4())
	assert.Equal(t, netip.Addr{}, Addr{}.Netip())
	assert.Equal(t, "-", Addr{}.String())
}

func TestAddrDropsZoneAndMapping(t *testing.T) {
	assert.Equal(t, AddrFromNetip(netip.MustParseAddr("fe80::1")), AddrFromNetip(netip.MustParseAddr("fe80::1%eth0")))
	assert.Equal(t, AddrFrom4(0x0a000001), AddrFromNetip(netip.MustParseAddr("::ffff:10.0.0.1")))
}

func TestValidVSID(t *testing.T) {
	for v, want := range map[uint32]bool{
		0: false, 0xfff: false, MinVSID: true, 6001: true, MaxVSID: true, 0xffffff: false, 0x1000000: false,
	} {
		assert.Equal(t, want, ValidVSID(v), "%#x", v)
	}
}

// addr reads an address in tests.
func addr(t testing.TB, s string) Addr {
	t.Helper()
	a, err := netip.ParseAddr(s)
	require.NoError(t, err)
	return AddrFromNetip(a)
}

package packet

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEthernet(t *testing.T) {
	b := unhex(t, "0015 5d00 0107 0015 5d00 0105 0800 4500")
	e, ok := CheckEthernet(b)
	require.True(t, ok)
	assert.Equal(t, MAC{0, 0x15, 0x5d, 0, 1, 7}, e.Dst())
	assert.Equal(t, MAC{0, 0x15, 0x5d, 0, 1, 5}, e.Src())
	assert.Equal(t, uint16(EtherTypeIPv4), e.EtherType())
	assert.Equal(t, []byte{0x45, 0}, e.Payload())

	again := make([]byte, len(b))
	copy(again[EthernetLen:], e.Payload())
	EncodeEthernet(again, e.Dst(), e.Src(), e.EtherType())
	assert.Equal(t, b, again)
}

func TestEthernetTruncated(t *testing.T) {
	for n := range EthernetLen {
		_, ok := CheckEthernet(make([]byte, n))
		assert.False(t, ok, n)
	}
	e, ok := CheckEthernet(make([]byte, EthernetLen))
	assert.True(t, ok)
	assert.Empty(t, e.Payload())
}

func TestTCI(t *testing.T) {
	for _, c := range []struct {
		pcp  uint8
		dei  bool
		vid  uint16
		want uint16
	}{
		{0, false, 100, 0x0064},
		{5, false, 100, 0xa064},
		{7, true, 4095, 0xffff},
		{0, true, 0, 0x1000},
		{8 + 3, false, 0x1000 + 2, 0x6002}, // bits beyond the fields
	} {
		tci := MakeTCI(c.pcp, c.dei, c.vid)
		assert.Equal(t, c.want, tci)
		assert.Equal(t, c.pcp&7, TCIPCP(tci))
		assert.Equal(t, c.dei, TCIDEI(tci))
		assert.Equal(t, c.vid&0xfff, TCIVID(tci))
	}
	for vid, want := range map[uint16]bool{0: false, 1: true, 4094: true, 4095: false, 4096: false} {
		assert.Equal(t, want, ValidVID(vid), vid)
	}
}

const (
	untagged = "0015 5d00 0107 0015 5d00 0105 0800 4500 aabb"
	tagged   = "0015 5d00 0107 0015 5d00 0105 8100 a064 0800 4500 aabb"
)

func TestVLANGolden(t *testing.T) {
	v, ok := CheckVLAN(unhex(t, tagged))
	require.True(t, ok)
	assert.Equal(t, uint16(0xa064), v.TCI())
	assert.Equal(t, uint16(EtherTypeIPv4), v.EtherType())
	assert.Equal(t, unhex(t, "4500 aabb"), v.Payload())
	v.SetTCI(0x0065)
	assert.Equal(t, unhex(t, "0015 5d00 0107 0015 5d00 0105 8100 0065 0800 4500 aabb"), []byte(v))

	for n := range EthernetLen + VLANLen {
		_, ok = CheckVLAN(unhex(t, tagged)[:n])
		assert.False(t, ok, n)
	}
	_, ok = CheckVLAN(unhex(t, untagged))
	assert.False(t, ok)
	_, ok = CheckVLAN(unhex(t, "0015 5d00 0107 0015 5d00 0105 88a8 a064 0800 4500"))
	assert.False(t, ok, "a service tag is none")
}

func TestPushAndPopVLAN(t *testing.T) {
	p := newPacket(8, unhex(t, untagged), 0)
	require.True(t, PushVLAN(p, 0xa064))
	assert.Equal(t, unhex(t, tagged), p.Data())
	assert.Equal(t, uint32(22), p.PktLen)
	require.True(t, PushVLAN(p, 0x0001), "a second tag takes the rest of the headroom")
	assert.Zero(t, p.Headroom())

	tci, ok := PopVLAN(p)
	assert.True(t, ok)
	assert.Equal(t, uint16(0x0001), tci)
	assert.Equal(t, unhex(t, tagged), p.Data())
	tci, ok = PopVLAN(p)
	assert.True(t, ok)
	assert.Equal(t, uint16(0xa064), tci)
	assert.Equal(t, unhex(t, untagged), p.Data())
	assert.Equal(t, shape{8, 18, 18}, shapeOf(p))
}

func TestPushVLANRefused(t *testing.T) {
	for _, c := range []struct {
		name     string
		headroom int
		frame    string
		change   func(*Packet)
	}{
		{"no headroom", 3, untagged, func(*Packet) {}},
		{"shared", 8, untagged, func(p *Packet) { p.RefCnt = 2 }},
		{"indirect", 8, untagged, func(p *Packet) { p.OlFlags = FlagIndirect }},
		{"chain", 8, untagged, func(p *Packet) { p.NbSegs = 2 }},
		{"no header", 8, "0015 5d00 0107 0015 5d00 0105 08", func(*Packet) {}},
		{"empty", 8, "", func(*Packet) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPacket(c.headroom, unhex(t, c.frame), 0)
			c.change(p)
			before := shapeOf(p)
			assert.False(t, PushVLAN(p, 1))
			assert.Equal(t, before, shapeOf(p))
			assert.Equal(t, unhex(t, c.frame), p.Data())
		})
	}
}

func TestPopVLANRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		frame  string
		change func(*Packet)
	}{
		{"no tag", untagged, func(*Packet) {}},
		{"service tag", "0015 5d00 0107 0015 5d00 0105 88a8 a064 0800 4500", func(*Packet) {}},
		{"tag without a type behind it", "0015 5d00 0107 0015 5d00 0105 8100 a064 08", func(*Packet) {}},
		{"shared", tagged, func(p *Packet) { p.RefCnt = 2 }},
		{"external", tagged, func(p *Packet) { p.OlFlags = FlagExternal }},
		{"chain", tagged, func(p *Packet) { p.NbSegs = 2 }},
		{"empty", "", func(*Packet) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPacket(8, unhex(t, c.frame), 0)
			c.change(p)
			before := shapeOf(p)
			_, ok := PopVLAN(p)
			assert.False(t, ok)
			assert.Equal(t, before, shapeOf(p))
			assert.Equal(t, unhex(t, c.frame), p.Data())
		})
	}
}

package packet

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newPacket makes a packet of one segment in Go memory, with its own buffer.
func newPacket(headroom int, frame []byte, tailroom int) *Packet {
	// One byte more than the packet knows of: an empty frame at the end of its buffer must not point beyond the allocation.
	buf := make([]byte, headroom+len(frame)+tailroom+1)
	copy(buf[headroom:], frame)
	return &Packet{
		BufAddr: unsafe.Pointer(unsafe.SliceData(buf)), DataOff: uint16(headroom), RefCnt: 1, NbSegs: 1,
		PktLen: uint32(len(frame)), DataLen: uint16(len(frame)), BufLen: uint16(len(buf) - 1),
	}
}

func TestPacketLayoutIsThatOfMbuf(t *testing.T) {
	var p Packet
	for _, c := range []struct {
		field     string
		got, want uintptr
	}{
		{"buf_addr", unsafe.Offsetof(p.BufAddr), 0},
		{"buf_iova", unsafe.Offsetof(p.BufIOVA), 8},
		{"data_off", unsafe.Offsetof(p.DataOff), 16},
		{"refcnt", unsafe.Offsetof(p.RefCnt), 18},
		{"nb_segs", unsafe.Offsetof(p.NbSegs), 20},
		{"port", unsafe.Offsetof(p.Port), 22},
		{"ol_flags", unsafe.Offsetof(p.OlFlags), 24},
		{"packet_type", unsafe.Offsetof(p.PacketType), 32},
		{"pkt_len", unsafe.Offsetof(p.PktLen), 36},
		{"data_len", unsafe.Offsetof(p.DataLen), 40},
		{"vlan_tci", unsafe.Offsetof(p.VLANTCI), 42},
		{"hash.rss", unsafe.Offsetof(p.RSSHash), 44},
		{"hash.fdir.hi", unsafe.Offsetof(p.HashHigh), 48},
		{"vlan_tci_outer", unsafe.Offsetof(p.VLANTCIOuter), 52},
		{"buf_len", unsafe.Offsetof(p.BufLen), 54},
		{"pool", unsafe.Offsetof(p.Pool), 56},
		{"next", unsafe.Offsetof(p.Next), 64},
		{"tx_offload", unsafe.Offsetof(p.TxOffload), 72},
		{"shinfo", unsafe.Offsetof(p.ShInfo), 80},
		{"priv_size", unsafe.Offsetof(p.PrivSize), 88},
		{"timesync", unsafe.Offsetof(p.TimeSync), 90},
		{"dynfield1", unsafe.Offsetof(p.DynField), 92},
		{"sizeof", unsafe.Sizeof(p), Size},
	} {
		assert.Equal(t, c.want, c.got, c.field)
	}
}

func TestIOLayoutIsThatOfC(t *testing.T) {
	var io IO
	at := uintptr(0)
	next := func(field string, got, size uintptr) {
		assert.Equal(t, at, got, field)
		at += size
	}
	next("TSC", unsafe.Offsetof(io.TSC), 8)
	next("RxBudget", unsafe.Offsetof(io.RxBudget), 4)
	next("NumTxRuns", unsafe.Offsetof(io.NumTxRuns), 4)
	next("NumTx", unsafe.Offsetof(io.NumTx), 4)
	next("NumFree", unsafe.Offsetof(io.NumFree), 4)
	next("NumSpares", unsafe.Offsetof(io.NumSpares), 4)
	next("NumRxRuns", unsafe.Offsetof(io.NumRxRuns), 4)
	next("NumRx", unsafe.Offsetof(io.NumRx), 4)
	at += 4 // padding to 8
	next("TxRuns", unsafe.Offsetof(io.TxRuns), MaxTxRuns*12)
	next("RxRuns", unsafe.Offsetof(io.RxRuns), MaxRxRuns*8)
	next("Rx", unsafe.Offsetof(io.Rx), MaxRx*8)
	next("Tx", unsafe.Offsetof(io.Tx), MaxTx*8)
	next("Free", unsafe.Offsetof(io.Free), MaxFree*8)
	next("Spares", unsafe.Offsetof(io.Spares), MaxSpares*8)
	assert.Equal(t, at, unsafe.Sizeof(io))

	var tx TxRun
	assert.Equal(t, []uintptr{0, 4, 6, 8, 12}, []uintptr{unsafe.Offsetof(tx.Out), unsafe.Offsetof(tx.First),
		unsafe.Offsetof(tx.Count), unsafe.Offsetof(tx.Sent), unsafe.Sizeof(tx)})
	var rx RxRun
	assert.Equal(t, []uintptr{0, 4, 6, 8}, []uintptr{unsafe.Offsetof(rx.Ref), unsafe.Offsetof(rx.First),
		unsafe.Offsetof(rx.Count), unsafe.Sizeof(rx)})
}

// How the capacities of an IO relate is what makes its arrays never overflow.
func TestIOCapacities(t *testing.T) {
	assert.GreaterOrEqual(t, MaxTx, MaxRx+MaxSpares)
	assert.GreaterOrEqual(t, MaxFree, MaxTx)
	assert.GreaterOrEqual(t, MaxRxRuns, MaxRx)
	assert.GreaterOrEqual(t, MaxTxRuns, MaxTx)
	assert.Zero(t, MaxRx%RxBurst)
	assert.GreaterOrEqual(t, Headroom, EthernetLen+VLANLen+IPv6Len+NVGRELen)
}

// shape is what the methods that change a packet must keep consistent.
type shape struct {
	off, data uint16
	pkt       uint32
}

func shapeOf(p *Packet) shape { return shape{p.DataOff, p.DataLen, p.PktLen} }

func TestPacketResizing(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*Packet) bool
		segs uint16
		ok   bool
		want shape
	}{
		{"prepend", func(p *Packet) bool { return p.Prepend(4) }, 1, true, shape{4, 24, 24}},
		{"prepend all headroom", func(p *Packet) bool { return p.Prepend(8) }, 1, true, shape{0, 28, 28}},
		{"prepend beyond headroom", func(p *Packet) bool { return p.Prepend(9) }, 1, false, shape{8, 20, 20}},
		{"prepend negative", func(p *Packet) bool { return p.Prepend(-1) }, 1, false, shape{8, 20, 20}},
		{"prepend to a chain", func(p *Packet) bool { return p.Prepend(8) }, 2, true, shape{0, 28, 108}},
		{"trim", func(p *Packet) bool { return p.TrimFront(5) }, 1, true, shape{13, 15, 15}},
		{"trim all", func(p *Packet) bool { return p.TrimFront(20) }, 1, true, shape{28, 0, 0}},
		{"trim too much", func(p *Packet) bool { return p.TrimFront(21) }, 1, false, shape{8, 20, 20}},
		{"trim negative", func(p *Packet) bool { return p.TrimFront(-1) }, 1, false, shape{8, 20, 20}},
		{"trim first segment of a chain", func(p *Packet) bool { return p.TrimFront(20) }, 2, true, shape{28, 0, 80}},
		{"append", func(p *Packet) bool { return p.Append(12) }, 1, true, shape{8, 32, 32}},
		{"append beyond tailroom", func(p *Packet) bool { return p.Append(13) }, 1, false, shape{8, 20, 20}},
		{"append negative", func(p *Packet) bool { return p.Append(-1) }, 1, false, shape{8, 20, 20}},
		{"append to a chain", func(p *Packet) bool { return p.Append(1) }, 2, false, shape{8, 20, 100}},
		{"cut", func(p *Packet) bool { return p.SetLen(7) }, 1, true, shape{8, 7, 7}},
		{"cut to nothing", func(p *Packet) bool { return p.SetLen(0) }, 1, true, shape{8, 0, 0}},
		{"cut to the same", func(p *Packet) bool { return p.SetLen(20) }, 1, true, shape{8, 20, 20}},
		{"cut to more", func(p *Packet) bool { return p.SetLen(21) }, 1, false, shape{8, 20, 20}},
		{"cut negative", func(p *Packet) bool { return p.SetLen(-1) }, 1, false, shape{8, 20, 20}},
		{"cut a chain", func(p *Packet) bool { return p.SetLen(7) }, 2, false, shape{8, 20, 100}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPacket(8, make([]byte, 20), 12)
			p.NbSegs = c.segs
			p.PktLen += 80 * uint32(c.segs-1)
			assert.Equal(t, c.ok, c.do(p))
			assert.Equal(t, c.want, shapeOf(p))
			assert.Len(t, p.Data(), int(c.want.data))
		})
	}
}

func TestPacketRooms(t *testing.T) {
	p := newPacket(8, []byte("frame"), 3)
	assert.Equal(t, 8, p.Headroom())
	assert.Equal(t, 3, p.Tailroom())
	require.True(t, p.Prepend(2))
	require.True(t, p.Append(3))
	assert.Equal(t, 6, p.Headroom())
	assert.Equal(t, 0, p.Tailroom())
	assert.Equal(t, "\x00\x00frame\x00\x00\x00", string(p.Data()))
}

func TestPacketDataIsNotACopy(t *testing.T) {
	p := newPacket(4, []byte("abc"), 0)
	p.Data()[1] = 'X'
	assert.Equal(t, "aXc", string(p.Data()))
	assert.Equal(t, 3, cap(p.Data()), "a slice must not reach into the tailroom by append")
	assert.Empty(t, newPacket(0, nil, 0).Data())
}

func TestPacketWritable(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Packet)
		want   bool
	}{
		{"alone", func(*Packet) {}, true},
		{"shared", func(p *Packet) { p.RefCnt = 2 }, false},
		{"chain", func(p *Packet) { p.NbSegs = 2 }, false},
		{"indirect", func(p *Packet) { p.OlFlags = FlagIndirect }, false},
		{"external", func(p *Packet) { p.OlFlags = FlagExternal }, false},
		{"other flags", func(p *Packet) { p.OlFlags = ^(FlagIndirect | FlagExternal) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPacket(8, make([]byte, 20), 0)
			c.change(p)
			assert.Equal(t, c.want, p.Writable())
		})
	}
}

func TestPacketReset(t *testing.T) {
	p := newPacket(8, make([]byte, 20), 100)
	p.NbSegs, p.OlFlags, p.Next = 3, 7, p
	p.Reset(Headroom)
	assert.Equal(t, shape{Headroom, 0, 0}, shapeOf(p))
	assert.Equal(t, uint16(1), p.NbSegs)
	assert.Zero(t, p.OlFlags)
	assert.Nil(t, p.Next)
	assert.Zero(t, p.Tailroom())
	require.True(t, p.Prepend(EthernetLen))
	assert.Len(t, p.Data(), EthernetLen)
}

package memport

import (
	"fmt"

	"github.com/sluicenet/sluice/packet"
)

// options of one injected packet.
type options struct {
	splits   []int
	headroom int
	shared   bool
	indirect bool
	edit     func(*packet.Packet)
}

// Option makes an injected packet unlike the one that a NIC delivers into a fresh buffer.
type Option func(*options)

// Split starts a new segment at each of the given offsets of the frame, which must ascend.
func Split(offsets ...int) Option { return func(o *options) { o.splits = offsets } }

// Headroom leaves n bytes free in front of the frame instead of packet.Headroom.
func Headroom(n int) Option { return func(o *options) { o.headroom = n } }

// Shared makes the test a second owner of every segment: the reference count is 2 until Arena.ReleaseShared.
func Shared() Option { return func(o *options) { o.shared = true } }

// Indirect makes the packet a clone: its buffer belongs to another packet, which the test keeps until
// Arena.ReleaseShared. It goes with a frame of one segment only.
func Indirect() Option { return func(o *options) { o.indirect = true } }

// Edit changes the finished packet, offload flags for example.
func Edit(f func(*packet.Packet)) Option { return func(o *options) { o.edit = f } }

// build makes a packet of a frame. A frame longer than the room of one segment is spread over several.
func (a *Arena) build(frame []byte, s state, opts []Option) *packet.Packet {
	o := options{headroom: packet.Headroom}
	for _, opt := range opts {
		opt(&o)
	}
	head := a.segment(o.headroom, s)
	last, at := head, 0
	for _, cut := range o.splits {
		if cut < at || cut > len(frame) {
			panic(fmt.Sprintf("memport: cannot split a frame of %d bytes at %d after %d", len(frame), cut, at))
		}
		last = a.fill(head, last, frame[at:cut], s)
		last = a.link(head, last, s)
		at = cut
	}
	a.fill(head, last, frame[at:], s)
	if o.indirect {
		head = a.clone(head, s)
	}
	if o.shared {
		a.share(head)
	}
	if o.edit != nil {
		o.edit(head)
	}
	return head
}

func (a *Arena) segment(headroom int, s state) *packet.Packet {
	p := a.mem.format(a.mustTake(s))
	if headroom < 0 || headroom > int(p.BufLen) {
		panic(fmt.Sprintf("memport: a buffer of %d bytes cannot have %d bytes of headroom", p.BufLen, headroom))
	}
	p.Reset(headroom)
	return p
}

// link appends a segment to the chain of head.
func (a *Arena) link(head, last *packet.Packet, s state) *packet.Packet {
	last.Next = a.segment(packet.Headroom, s)
	head.NbSegs++
	return last.Next
}

// fill writes data behind the last segment's bytes, and into further segments when that one is full.
func (a *Arena) fill(head, last *packet.Packet, data []byte, s state) *packet.Packet {
	for {
		off := int(last.DataLen)
		n := min(len(data), last.Tailroom())
		last.DataLen += uint16(n)
		head.PktLen += uint32(n)
		copy(last.Data()[off:], data)
		if data = data[n:]; len(data) == 0 {
			return last
		}
		last = a.link(head, last, s)
	}
}

func (a *Arena) clone(direct *packet.Packet, s state) *packet.Packet {
	if direct.NbSegs != 1 {
		panic("memport: Indirect goes with a frame of one segment only")
	}
	p := a.segment(packet.Headroom, s)
	attach(p, direct)
	a.state[a.slotOf(direct)] = stateTest
	a.hold(direct)
	return p
}

func (a *Arena) share(p *packet.Packet) {
	for ; p != nil; p = p.Next {
		p.RefCnt++
		a.hold(p)
	}
}

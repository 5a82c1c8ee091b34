package memport

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"

	"github.com/sluicenet/sluice/packet"
)

// state says who has a packet.
type state uint8

const (
	stateFree   state = iota // in the arena
	stateWorker              // handed to a poller's IO: received, or a spare
	stateRx                  // waits in a receive queue
	stateSent                // sent by a worker, not read by the test yet
	stateTest                // handed to the test by Get, or a buffer that only the test still shares
	numStates
)

var stateNames = [numStates]string{"free", "with the worker", "in a receive queue", "sent", "with the test"}

// none ends a list of slots.
const none = ^uint32(0)

// poison overwrites the start of a freed frame, so that whoever still reads it sees nonsense and not an old frame. It is
// written at once: byte by byte, with a look at the packet for each, took the race detector half the time of most tests.
var poison = [64]byte(bytes.Repeat([]byte{0xdb}, 64))

// Arena is a bounded set of packets in memory outside the Go heap.
type Arena struct {
	mu    sync.Mutex
	mem   region
	state []state
	next  []uint32 // links packets into the lists of queues
	queue []uint16 // transmit queue of a sent packet
	free  []uint32 // stack
	held  []shared
	maps  [][]byte // IO areas of pollers
}

// shared is a buffer of which the test keeps a reference, with the bytes that it had when injected.
type shared struct {
	slot uint32
	off  uint16 // where want lay in the buffer
	want []byte
}

// NewArena maps n packets with packet.Headroom bytes of headroom and room bytes for the frame in each segment.
func NewArena(n, room int) *Arena {
	a := &Arena{mem: newRegion(n, room), state: make([]state, n), next: make([]uint32, n), queue: make([]uint16, n), free: make([]uint32, 0, n)}
	for i := n - 1; i >= 0; i-- {
		a.mem.format(uint32(i))
		a.free = append(a.free, uint32(i))
	}
	return a
}

// Close unmaps the arena. No packet, poller or device of it may be used afterwards.
func (a *Arena) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range append(a.maps, a.mem.mem) {
		if err := syscall.Munmap(m); err != nil {
			panic(fmt.Sprintf("memport: cannot unmap the arena: %v", err))
		}
	}
	a.maps, a.mem = nil, region{}
}

// Size is the number of packets in the arena.
func (a *Arena) Size() int { return len(a.state) }

// Free is the number of packets that nobody has.
func (a *Arena) Free() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.free)
}

// Report says who has how many packets, for the message of a failed leak test.
func (a *Arena) Report() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var count [numStates]int
	for _, s := range a.state {
		count[s]++
	}
	parts := make([]string, 0, numStates)
	for s, n := range count {
		parts = append(parts, fmt.Sprintf("%d %s", n, stateNames[s]))
	}
	return strings.Join(parts, ", ")
}

// Get takes a packet with the given frame for the test itself. Put gives it back.
func (a *Arena) Get(frame []byte, opts ...Option) *packet.Packet {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.build(frame, stateTest, opts)
}

// Put frees a packet with all its segments.
func (a *Arena) Put(p *packet.Packet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.put(p)
}

// ReleaseShared gives back the test's references to all packets made with Shared or Indirect. The error names the
// buffers whose bytes were changed meanwhile, which nobody may do while a buffer has two owners.
func (a *Arena) ReleaseShared() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, s := range a.held {
		p := a.mem.at(s.slot)
		then := *p
		then.DataOff, then.DataLen = s.off, uint16(len(s.want))
		if got := then.Data(); !bytes.Equal(got, s.want) {
			errs = append(errs, fmt.Errorf("packet %d was written to while it had two owners:\n got %x\nwant %x", s.slot, got, s.want))
		}
		if p.RefCnt--; p.RefCnt == 0 {
			a.release(s.slot)
		}
	}
	a.held = a.held[:0]
	return errors.Join(errs...)
}

// hold remembers that the test owns a reference to p's buffer.
func (a *Arena) hold(p *packet.Packet) {
	a.held = append(a.held, shared{a.slotOf(p), p.DataOff, append([]byte(nil), p.Data()...)})
}

// take removes a packet from the free list; ok is false when there is none.
func (a *Arena) take(s state) (slot uint32, ok bool) {
	if len(a.free) == 0 {
		return none, false
	}
	slot = a.free[len(a.free)-1]
	a.free = a.free[:len(a.free)-1]
	a.state[slot] = s
	return slot, true
}

func (a *Arena) mustTake(s state) uint32 {
	slot, ok := a.take(s)
	if !ok {
		panic(fmt.Sprintf("memport: all %d packets of the arena are in use: make it larger, or read what was sent", len(a.state)))
	}
	return slot
}

// slotOf finds a packet's slot.
func (a *Arena) slotOf(p *packet.Packet) uint32 {
	slot, ok := a.mem.index(p)
	if !ok {
		panic(fmt.Sprintf("memport: %p is no packet of this arena", p))
	}
	return slot
}

// put frees a chain. A packet that is free already, or in a queue, must not be freed.
func (a *Arena) put(p *packet.Packet) {
	for n := 0; p != nil; n++ {
		if n > len(a.state) {
			panic("memport: the segments of a packet form a loop")
		}
		slot := a.slotOf(p)
		p = p.Next
		a.putSegment(slot)
	}
}

func (a *Arena) putSegment(slot uint32) {
	p := a.mem.at(slot)
	if a.state[slot] == stateFree {
		panic(fmt.Sprintf("memport: packet %d is freed twice", slot))
	}
	if p.RefCnt == 0 {
		panic(fmt.Sprintf("memport: packet %d has no owner left and is freed", slot))
	}
	if p.RefCnt--; p.RefCnt > 0 {
		if a.isHeld(slot) && p.RefCnt == 1 {
			a.state[slot] = stateTest
		}
		return
	}
	if p.OlFlags&packet.FlagIndirect != 0 {
		direct, ok := a.mem.owner(p)
		if !ok {
			panic(fmt.Sprintf("memport: packet %d is indirect, but its buffer is no packet's of this arena", slot))
		}
		a.release(slot)
		a.putSegment(direct)
		return
	}
	a.release(slot)
}

// release returns a slot without owners to the free list.
func (a *Arena) release(slot uint32) {
	p := a.mem.format(slot)
	p.DataLen = min(uint16(len(poison)), p.BufLen-p.DataOff)
	copy(p.Data(), poison[:])
	p.DataLen = 0
	a.state[slot] = stateFree
	a.free = append(a.free, slot)
}

func (a *Arena) isHeld(slot uint32) bool {
	for i := range a.held {
		if a.held[i].slot == slot {
			return true
		}
	}
	return false
}

// own sets the state of a chain that passes from one owner to the next, and checks that it was with the former.
func (a *Arena) own(p *packet.Packet, from, to state, deed string) {
	for p != nil {
		slot := a.slotOf(p)
		if a.state[slot] != from {
			panic(fmt.Sprintf("memport: packet %d is %s, although it is %s", slot, deed, stateNames[a.state[slot]]))
		}
		a.state[slot] = to
		p = p.Next
	}
}

// verify checks that the lengths of a chain add up.
func (a *Arena) verify(p *packet.Packet) {
	slot := a.slotOf(p)
	segs, length := 0, 0
	for s := p; s != nil; s = s.Next {
		if segs++; segs > int(p.NbSegs) {
			break
		}
		if int(s.DataOff)+int(s.DataLen) > int(s.BufLen) {
			panic(fmt.Sprintf("memport: packet %d is sent with bytes %d to %d of a buffer of %d", slot, s.DataOff, int(s.DataOff)+int(s.DataLen), s.BufLen))
		}
		length += int(s.DataLen)
	}
	if segs != int(p.NbSegs) || length != int(p.PktLen) {
		panic(fmt.Sprintf("memport: packet %d is sent with NbSegs %d and PktLen %d, its segments say %d and %d", slot, p.NbSegs, p.PktLen, segs, length))
	}
}

// Bytes copies the frame of a packet, all segments.
func Bytes(p *packet.Packet) []byte { return appendBytes(make([]byte, 0, p.PktLen), p) }

func appendBytes(b []byte, p *packet.Packet) []byte {
	for ; p != nil; p = p.Next {
		b = append(b, p.Data()...)
	}
	return b
}

package sequence

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// Stream is a row of numbered packets that come in by one port and must leave by another, each as Want says.
type Stream struct {
	Name  string
	In    string
	Queue int // receive queue of In
	Out   string
	// Frame is what the switch receives. Its last Trailer bytes are overwritten by the number.
	Frame []byte
	// Want is what must leave, but for the number.
	Want []byte
	// FreeByte is the place in Want of a byte that the switch may choose, for each stream once: the FlowID of NVGRE. 0: none.
	FreeByte int
}

// Trailer is how many bytes at the end of a frame hold its number, and the number again, inverted: whatever it is, it adds
// the same to a checksum, so those in Frame and Want hold for all packets of the stream.
const Trailer = 16

// A number is made of the round (4 bits), the stream (20) and the sequence number (40).
const (
	seqBits    = 40
	seqMask    = 1<<seqBits - 1
	streamBits = 20
	maxStreams = 1 << streamBits
	roundMask  = 1<<(64-seqBits-streamBits) - 1
)

// stream is the state of one Stream. The fields of each side belong to the worker that has its queue; when another worker
// takes over, it is handed to it in an orderly way, and these go along.
type stream struct {
	Stream
	id      uint32
	out     *port
	arrived atomic.Uint64 // round in which a packet has arrived

	// the sending side
	sendRound uint64
	made      uint64

	// the checking side
	checkRound uint64
	next       uint64 // expected
	window     uint64 // bit i: next-1-i has arrived
	free       byte   // what the switch chose
	freeKnown  bool

	_ [64]byte // neighbours may belong to another worker
}

func (n *Net) addStream(id uint32, s Stream) error {
	in, out := n.byName[s.In], n.byName[s.Out]
	switch {
	case in == nil || out == nil:
		return fmt.Errorf("from %q to %q: want two sequence ports", s.In, s.Out)
	case s.Queue < 0 || s.Queue >= in.RxQueues:
		return fmt.Errorf("queue %d: port %s has %d", s.Queue, s.In, in.RxQueues)
	case len(s.Frame) < minFrame || len(s.Want) < minFrame:
		return fmt.Errorf("frames of %d bytes, and %d where it leaves: want at least %d: headers and number", len(s.Frame), len(s.Want), minFrame)
	case s.FreeByte < 0 || s.FreeByte >= len(s.Want)-Trailer:
		return fmt.Errorf("free byte %d: want one in front of the number", s.FreeByte)
	}
	s.Frame, s.Want = bytes.Clone(s.Frame), bytes.Clone(s.Want)
	n.streams[id] = stream{Stream: s, id: id, out: out}
	in.streams[s.Queue] = append(in.streams[s.Queue], &n.streams[id])
	return nil
}

const minFrame = 34 + Trailer // Ethernet and IPv4

// number fills a copy of Frame with the next number.
func (s *stream) number(data []byte, round uint64) {
	if s.sendRound != round {
		s.sendRound, s.made = round, 0
	}
	copy(data, s.Frame)
	v := round&roundMask<<(seqBits+streamBits) | uint64(s.id)<<seqBits | s.made&seqMask
	at := data[len(data)-Trailer:]
	binary.BigEndian.PutUint64(at, v)
	binary.BigEndian.PutUint64(at[8:], ^v)
	s.made++
}

// numberOf reads the number at the end of a frame; false when there is none, or it was damaged.
func numberOf(data []byte) (v uint64, ok bool) {
	if len(data) < Trailer {
		return 0, false
	}
	at := data[len(data)-Trailer:]
	v = binary.BigEndian.Uint64(at)
	return v, v^binary.BigEndian.Uint64(at[8:]) == ^uint64(0)
}

// same compares a frame with what is wanted.
func (s *stream) same(data []byte) bool {
	if len(data) != len(s.Want) {
		return false
	}
	end := len(data) - Trailer
	at := s.FreeByte
	if at == 0 {
		return bytes.Equal(data[:end], s.Want[:end])
	}
	if !s.freeKnown {
		s.free, s.freeKnown = data[at], true
	}
	return data[at] == s.free && bytes.Equal(data[:at], s.Want[:at]) && bytes.Equal(data[at+1:end], s.Want[at+1:end])
}

// verdict says how a packet came in its row.
type verdict uint8

const (
	inOrder verdict = iota
	afterGap
	late
	twice
)

// arrive takes a packet's sequence number; gap is how many are missing in front of it.
func (s *stream) arrive(seq, round uint64) (v verdict, gap uint64) {
	if s.checkRound != round {
		s.checkRound, s.next, s.window = round, 0, 0
	}
	switch {
	case seq == s.next:
		s.next++
		s.window = s.window<<1 | 1
		return inOrder, 0
	case seq > s.next:
		gap = seq - s.next
		s.next = seq + 1
		s.window = s.window<<(gap+1) | 1
		return afterGap, gap
	}
	back := s.next - 1 - seq
	if back < 64 {
		if s.window>>back&1 != 0 {
			return twice, 0
		}
		s.window |= 1 << back
	}
	return late, 0
}

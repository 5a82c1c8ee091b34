package dpdk

// #include "ethdev.h"
import "C"

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// waker is how a receive queue wakes a worker that sleeps.
type waker struct {
	by     wakeKind
	blind  bool // it may miss packets: somebody has to look, too
	socket int  // of wakeSocket
	port   C.uint16_t
	queue  C.uint16_t
}

type wakeKind uint8

const (
	wakeNever     wakeKind = iota
	wakeTap                // the poller's epoll instance of taps tells
	wakeSocket             // a descriptor that becomes readable
	wakeInterrupt          // of the NIC
)

// sleeper is what a poller sleeps on.
type sleeper struct {
	fds    []unix.PollFd // by place: taps, wake, interrupts, then a socket each
	refs   []uint32      // of the sockets, by place
	failed []int         // how often a socket reported an error in a row, likewise
	wakers map[uint32]waker
	blind  int // queues that cannot wake, or not for sure
	armed  int // queues with interrupts
}

// Places in sleeper.fds.
const (
	fdTaps = iota
	fdWake
	fdInterrupts
	fdSockets
)

func newSleeper(taps, wake int) sleeper {
	const none = -1 // poll(2) passes over it
	return sleeper{
		fds: []unix.PollFd{{Fd: int32(taps), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN},
			{Fd: none, Events: unix.POLLIN}},
		refs: make([]uint32, fdSockets), failed: make([]int, fdSockets), wakers: map[uint32]waker{},
	}
}

// wakeBy lets a receive queue that comes onto the poll list end a sleep.
func (s *sleeper) wakeBy(ref uint32, w waker) error {
	switch w.by {
	case wakeSocket:
		s.fds = append(s.fds, unix.PollFd{Fd: int32(w.socket), Events: unix.POLLIN})
		s.refs, s.failed = append(s.refs, ref), append(s.failed, 0)
	case wakeInterrupt:
		if err := s.interruptBy(w); err != nil {
			return err
		}
		s.armed++
	case wakeNever, wakeTap:
	}
	s.wakers[ref] = w
	if w.blind {
		s.blind++
	}
	return nil
}

func (s *sleeper) interruptBy(w waker) error {
	set := &s.fds[fdInterrupts]
	if set.Fd < 0 {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return fmt.Errorf("epoll for interrupts: %w", err)
		}
		set.Fd = int32(fd)
	}
	if err := errno(C.sluice_intr_add(w.port, w.queue, C.int(set.Fd))); err != nil {
		return fmt.Errorf("wait for its interrupt: %w", err)
	}
	return nil
}

// forget is for a receive queue that goes off the poll list.
func (s *sleeper) forget(ref uint32) {
	w, known := s.wakers[ref]
	if !known {
		return
	}
	delete(s.wakers, ref)
	if w.blind {
		s.blind--
	}
	switch w.by {
	case wakeSocket:
		for i := fdSockets; i < len(s.fds); i++ {
			if s.refs[i] == ref {
				s.drop(i)
				break
			}
		}
	case wakeInterrupt:
		C.sluice_intr_remove(w.port, w.queue, C.int(s.fds[fdInterrupts].Fd))
		s.armed--
	case wakeNever, wakeTap:
	}
}

// drop takes a socket out of what is slept on.
func (s *sleeper) drop(i int) {
	last := len(s.fds) - 1
	s.fds[i], s.refs[i], s.failed[i] = s.fds[last], s.refs[last], s.failed[last]
	s.fds, s.refs, s.failed = s.fds[:last], s.refs[:last], s.failed[:last]
}

func (s *sleeper) close() {
	if fd := s.fds[fdInterrupts].Fd; fd >= 0 {
		unix.Close(int(fd))
	}
}

// Blind reports that a queue on the poll list cannot end a Wait, or not for sure: its packets are found only by polling.
func (p *Poller) Blind() bool { return p.blind > 0 }

// Wait sleeps until a receive queue has packets, Wake is called, or limit has passed. While Blind reports true, limit bounds
// how long packets of some queues wait.
func (p *Poller) Wait(limit time.Duration) {
	if p.armed > 0 {
		defer C.sluice_intr_disarm(p.c)
		if !C.sluice_intr_arm(p.c) {
			return
		}
	}
	timeout := unix.NsecToTimespec(int64(max(0, limit)))
	n, err := unix.Ppoll(p.fds, &timeout, nil)
	if err != nil || n == 0 {
		return
	}
	if p.fds[fdWake].Revents != 0 {
		var count [8]byte
		_, _ = unix.Read(int(p.fds[fdWake].Fd), count[:]) // resets it; a lost race with another reset changes nothing
	}
	if p.fds[fdInterrupts].Revents != 0 {
		C.sluice_intr_clear(C.int(p.fds[fdInterrupts].Fd))
	}
	for i := len(p.fds) - 1; i >= fdSockets; i-- {
		p.checkSocket(i)
	}
}

// tolerated is how many errors in a row a socket may report before nobody waits for it any more.
const tolerated = 8

// checkSocket takes the error that a socket reports when its interface goes down. One that goes on reporting, which would
// end every sleep at once, is slept on no longer.
func (s *sleeper) checkSocket(i int) {
	if s.fds[i].Revents&^unix.POLLIN == 0 {
		s.failed[i] = 0
		return
	}
	_, _ = unix.GetsockoptInt(int(s.fds[i].Fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if s.failed[i]++; s.failed[i] < tolerated {
		return
	}
	s.wakers[s.refs[i]] = waker{blind: true}
	s.blind++
	s.drop(i)
}

// waker of a tap's queue: the poll list has its descriptor already.
func (t *tap) waker(uint16) waker { return waker{by: wakeTap} }

// findWakers learns how the queues of a device wake workers.
func (e *ethdev) findWakers() {
	if e.rings != nil {
		e.rings.match(e.id, e.rx)
		e.intr = false
	}
	for q := 0; e.intr && q < e.rx; q++ {
		e.intr = bool(C.sluice_ethdev_interrupts(e.id, C.uint16_t(q)))
	}
}

func (e *ethdev) waker(queue uint16) waker {
	switch {
	case e.intr:
		blind := !bool(C.sluice_ethdev_counts(e.id, C.uint16_t(queue)))
		return waker{by: wakeInterrupt, blind: blind, port: e.id, queue: C.uint16_t(queue)}
	case e.rings != nil && e.rings.queues != nil:
		return waker{by: wakeSocket, socket: e.rings.queues[queue]}
	}
	return waker{blind: true}
}

// match finds out which of the sockets belongs to which receive queue: the driver's structure of a queue begins with it. A
// driver whose structure does not would name other numbers than those found, and its queues stay without.
func (s *ringSockets) match(port C.uint16_t, queues int) {
	left := map[int]bool{}
	for _, fd := range s.fds {
		left[fd] = true
	}
	found := make([]int, queues)
	for q := range found {
		fd := int(C.sluice_ethdev_socket(port, C.uint16_t(q)))
		if !left[fd] {
			return
		}
		delete(left, fd)
		found[q] = fd
	}
	s.queues = found
}

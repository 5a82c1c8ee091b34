package dpdk

// #include <stdlib.h>
// #include "hsched.h"
// #cgo noescape sluice_sched_standing
// #cgo nocallback sluice_sched_standing
// #cgo noescape sluice_sched_drained
// #cgo nocallback sluice_sched_drained
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/sluicenet/sluice/packet"
)

// Classes of Sched: the first are strict, the others by weight.
const (
	SchedClasses = C.SLUICE_SCHED_CLASSES
	SchedStrict  = C.SLUICE_SCHED_STRICT
	SchedBurst   = C.SLUICE_SCHED_BURST
)

// Sched is DPDK's hierarchical scheduler with packets to measure it by: one subport, a pipe for each vport, four strict
// classes above four by weight. Nothing but benchmarks uses it.
type Sched struct {
	c      *C.struct_sluice_sched
	vports int
}

// NewSched makes one with so many vports and packets of 64 bytes, for a link of a rate that nothing reaches.
func NewSched(vports, packets int, bytesPerSec uint64, weights [SchedClasses - SchedStrict]uint8) (*Sched, error) {
	const what = "librte_sched"
	if err := running(what); err != nil {
		return nil, err
	}
	control.Lock()
	defer control.Unlock()
	s := &Sched{c: (*C.struct_sluice_sched)(C.calloc(1, C.sizeof_struct_sluice_sched)), vports: vports}
	if err := C.sluice_sched_new(s.c, C.uint32_t(vports), C.uint32_t(packets), C.uint64_t(bytesPerSec), (*C.uint8_t)(&weights[0])); err != 0 {
		C.free(unsafe.Pointer(s.c))
		return nil, failure(fmt.Sprintf("%s with %d vports and %d packets", what, vports, packets), syscall.Errno(-err), takeLog())
	}
	return s, nil
}

// Close gives the memory back; all packets must be out.
func (s *Sched) Close() {
	control.Lock()
	defer control.Unlock()
	C.sluice_sched_free(s.c)
	C.free(unsafe.Pointer(s.c))
}

// Packets are all its packets. VLANTCIOuter holds a packet's vport, VLANTCI its class. They may be looked at and used
// while none is inside.
func (s *Sched) Packets() []*packet.Packet {
	return unsafe.Slice((**packet.Packet)(unsafe.Pointer(s.c.pkts)), s.c.nb_pkts)
}

// SchedRun is one measurement: at least Packets go in and out, by bursts of SchedBurst.
type SchedRun struct {
	Drained bool     // a burst in, a burst out; else what comes out goes in again
	Classes []uint8  // that packets get in turn; a power of two of them, or none: each keeps its own
	Packets uint64   // to move
	Served  []uint64 // counts packets by vport and class, unless empty
}

// Fill puts all packets in.
func (s *Sched) Fill() error {
	if err := C.sluice_sched_fill(s.c); err != 0 {
		return failure("librte_sched: fill queues", syscall.Errno(-err), "")
	}
	return nil
}

// Empty takes all packets out.
func (s *Sched) Empty() { C.sluice_sched_empty(s.c) }

// Run measures, and returns what was moved in how many cycles of the time stamp counter.
func (s *Sched) Run(r SchedRun) (moved, cycles uint64) {
	c := C.struct_sluice_sched_run{packets: C.uint64_t(r.Packets), nb_classes: C.uint32_t(len(r.Classes))}
	free := func(p unsafe.Pointer) { C.free(p) }
	if len(r.Classes) > 0 {
		p := C.CBytes(r.Classes)
		defer free(p)
		c.classes = (*C.uint8_t)(p)
	}
	var served unsafe.Pointer
	if len(r.Served) > 0 {
		served = C.calloc(C.size_t(len(r.Served)), 8)
		defer free(served)
		c.served = (*C.uint64_t)(served)
	}
	if r.Drained {
		C.sluice_sched_drained(s.c, &c)
	} else {
		C.sluice_sched_standing(s.c, &c)
	}
	if served != nil {
		copy(r.Served, unsafe.Slice((*uint64)(served), len(r.Served)))
	}
	return uint64(c.moved), uint64(c.cycles)
}

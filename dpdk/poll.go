package dpdk

// #include "poll.h"
// #cgo noescape sluice_poll
// #cgo nocallback sluice_poll
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/packet"
)

// Poller is one worker's access to the devices: its exchange area, its poll list and its outputs, all in C memory.
// All methods but Wake belong to the worker's thread.
type Poller struct {
	addr C.uintptr_t // what Poll hands to C
	c    *C.struct_sluice_poller
	io   *packet.IO
	epfd int

	rx  map[uint32]*Device // by ref
	tx  map[uint32]*Device // by output
	reg bool               // the thread is registered with EAL
	sleeper
	wake struct {
		sync.Mutex // keeps Wake off a descriptor that Close has given back
		fd         int
	}
}

// NewPoller makes a poller whose packets come from the pool.
func NewPoller(pool *Mempool) (*Poller, error) {
	if err := running("new poller"); err != nil {
		return nil, err
	}
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("new poller: epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("new poller: eventfd: %w", err)
	}
	c := C.sluice_poller_create(pool.c, C.int(epfd))
	if c == nil {
		unix.Close(epfd)
		unix.Close(wake)
		return nil, fmt.Errorf("new poller: %w in DPDK's heap: raise the switch's memory", ErrNoMemory)
	}
	p := &Poller{
		addr: C.uintptr_t(uintptr(unsafe.Pointer(c))), c: c, io: (*packet.IO)(unsafe.Pointer(&c.io)), epfd: epfd,
		rx: map[uint32]*Device{}, tx: map[uint32]*Device{}, sleeper: newSleeper(epfd, wake),
	}
	p.wake.fd = wake
	return p, nil
}

// Start registers the calling thread with EAL, which gives it a cache in the mempool, and makes its sleeps exact.
func (p *Poller) Start() error {
	if C.rte_thread_register() != 0 {
		return failure("start worker: register its thread with DPDK", rteErrno(), "")
	}
	p.reg = true
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("start worker: set timer slack: %w", err)
	}
	return nil
}

// IO is the exchange area.
func (p *Poller) IO() *packet.IO { return p.io }

// Poll sends, frees, refills and receives, in one call of C.
func (p *Poller) Poll() { C.sluice_poll(p.addr) }

// Wake ends a Wait of the worker, or its next one. Any goroutine may call it, also after Close.
func (p *Poller) Wake() {
	p.wake.Lock()
	defer p.wake.Unlock()
	if p.wake.fd < 0 {
		return
	}
	one := [8]byte{1}
	_, _ = unix.Write(p.wake.fd, one[:]) // it can fail only by a full counter, which wakes as well
}

// AddRx puts a receive queue of a device onto the poll list.
func (p *Poller) AddRx(device uint32, queue uint16, ref uint32) error {
	if p.rx[ref] != nil {
		return fmt.Errorf("poll queue %d of device %d: reference %d: %w", queue, device, ref, ErrBusy)
	}
	d, err := use(device)
	if err != nil {
		return fmt.Errorf("poll queue %d: %w", queue, err)
	}
	if int(queue) >= d.RxQueues() {
		err = fmt.Errorf("%w: it has %d receive queues", ErrInvalid, d.RxQueues())
	} else {
		err = d.port.addRx(p.c, queue, ref)
	}
	if err == nil {
		if err = p.wakeBy(ref, d.port.waker(queue)); err != nil {
			C.sluice_poller_remove_rx(p.c, C.uint32_t(ref))
		}
	}
	if err != nil {
		d.done()
		if errors.Is(err, syscall.EEXIST) {
			err = fmt.Errorf("%w: it is on the list already", ErrBusy)
		}
		return fmt.Errorf("poll queue %d of device %s: %w", queue, d.name, err)
	}
	p.rx[ref] = d
	return nil
}

// RemoveRx takes the queue of ref off the poll list.
func (p *Poller) RemoveRx(ref uint32) {
	d := p.rx[ref]
	if d == nil {
		return
	}
	p.forget(ref)
	C.sluice_poller_remove_rx(p.c, C.uint32_t(ref))
	delete(p.rx, ref)
	d.done()
}

// RestRx passes over a receive queue, or serves it again.
func (p *Poller) RestRx(ref uint32, rest bool) {
	C.sluice_poller_rest_rx(p.c, C.uint32_t(ref), C.bool(rest))
}

// maxOutputs bounds the table of outputs, which is as long as the largest number in it.
const maxOutputs = 1 << 20

// SetTx makes output out mean a transmit queue of a device; shared queues are locked for each run.
func (p *Poller) SetTx(out uint32, device uint32, queue uint16, shared bool) error {
	if out >= maxOutputs {
		return fmt.Errorf("output %d: %w: want less than %d", out, ErrInvalid, maxOutputs)
	}
	d, err := use(device)
	if err != nil {
		return fmt.Errorf("output %d: %w", out, err)
	}
	if int(queue) >= d.TxQueues() {
		err = fmt.Errorf("queue %d: %w: it has %d transmit queues", queue, ErrInvalid, d.TxQueues())
	} else {
		err = errno(C.sluice_poller_set_tx(p.c, C.uint32_t(out), d.port.output(queue, shared)))
	}
	if err != nil {
		d.done()
		return fmt.Errorf("output %d to device %s: %w", out, d.name, err)
	}
	if old := p.tx[out]; old != nil {
		old.done()
	}
	p.tx[out] = d
	return nil
}

// ClearTx forgets an output.
func (p *Poller) ClearTx(out uint32) {
	d := p.tx[out]
	if d == nil {
		return
	}
	C.sluice_poller_set_tx(p.c, C.uint32_t(out), C.struct_sluice_out{}) // cannot fail: the entry exists
	delete(p.tx, out)
	d.done()
}

// Close frees the packets that the poller holds, spares included, and unregisters the thread.
func (p *Poller) Close() {
	if p.c == nil {
		return
	}
	for ref := range p.rx {
		p.RemoveRx(ref)
	}
	for out := range p.tx {
		p.ClearTx(out)
	}
	C.sluice_poller_destroy(p.c)
	p.c, p.io, p.addr = nil, nil, 0
	unix.Close(p.epfd)
	p.sleeper.close()
	p.wake.Lock()
	unix.Close(p.wake.fd)
	p.wake.fd = -1
	p.wake.Unlock()
	if p.reg {
		C.rte_thread_unregister()
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // back to the thread's default
	}
}

package dpdk

// #include "ethdev.h"
import "C"

import (
	"errors"
	"fmt"
	"syscall"
)

// DCBOptions ask for traffic classes of the device's own (IEEE 802.1Q). The class of a frame is the priority of its
// outermost tag; frames without a tag are of class 0.
type DCBOptions struct {
	Classes  int   // 4 or 8; 0: none
	PFC      uint8 // priorities with priority flow control, a bit for each
	Shares   bool  // the device divides the link among the classes, evenly
	Required bool  // opening fails where the device refuses; else it is opened without
}

// DCB is what a device can do of data center bridging, and what of it is in force.
type DCB struct {
	Classes int   // that its driver tells of
	Err     error // why it tells of none
	HasPFC  bool  // its driver has priority flow control

	Running int   // classes that it runs with; 0: all frames are alike to it
	Shares  bool  // and divides the link among, evenly
	PFC     uint8 // priorities that pause
	Refused error // why less is in force than was asked for
}

// dcbTold is what a driver tells of its classes.
type dcbTold struct {
	classes int
	tcOf    [8]uint8 // by priority
	share   [8]uint8 // percent
	rx, tx  [8]queueRange
}

type queueRange struct{ first, count int }

// askDCB asks the driver; what one without DCB returns is told as ErrUnsupported.
func (e *ethdev) askDCB() (told dcbTold, err error) {
	var info C.struct_rte_eth_dcb_info
	if err := errno(C.rte_eth_dev_get_dcb_info(e.id, &info)); errors.Is(err, syscall.ENOTSUP) {
		return told, fmt.Errorf("device %s: its driver has no DCB: %w", e.name, ErrUnsupported)
	} else if err != nil {
		return told, failure("ask device "+e.name+" for DCB", err, "")
	}
	told.classes = int(info.nb_tcs)
	for i := range told.tcOf {
		told.tcOf[i], told.share[i] = uint8(info.prio_tc[i]), uint8(info.tc_bws[i])
		rx, tx := info.tc_queue.tc_rxq[0][i], info.tc_queue.tc_txq[0][i]
		told.rx[i], told.tx[i] = queueRange{int(rx.base), int(rx.nb_queue)}, queueRange{int(tx.base), int(tx.nb_queue)}
	}
	return told, nil
}

// differs says where a device that runs is not what it was told to be; "" if nowhere. Its queues in each direction are as
// many as its classes: one more that nobody polls, or that was not set up, would lose the frames of a class.
func (t *dcbTold) differs(classes int, shares bool) string {
	if t.classes != classes {
		return fmt.Sprintf("it runs with %d", t.classes)
	}
	least, most := t.share[0], t.share[0]
	for i, tc := range t.tcOf {
		if want := classOf(classes, i); tc != want {
			return fmt.Sprintf("it puts priority %d into class %d instead of %d", i, tc, want)
		}
	}
	for tc := range classes {
		if rx := t.rx[tc]; rx.count == 0 || rx.first+rx.count > classes {
			return fmt.Sprintf("it receives class %d by queues that nobody polls", tc)
		}
		if tx := t.tx[tc]; tx.count == 0 || tx.first >= classes {
			return fmt.Sprintf("it sends class %d by queues that it was not given", tc)
		}
		least, most = min(least, t.share[tc]), max(most, t.share[tc])
	}
	if shares && (least == 0 || most > least+1) { // rounded
		return fmt.Sprintf("its classes have from %d%% to %d%% of the link instead of even shares", least, most)
	}
	return ""
}

// classOf is the class of a priority where there are so many classes.
func classOf(classes, priority int) uint8 { return uint8(min(priority, classes-1)) }

// useClasses makes the device send each frame by the queue of its class.
func (e *ethdev) useClasses(classes int, queue [8]int) error {
	d := C.sluice_dcb_create()
	if d == nil {
		return ErrNoMemory
	}
	for i := range queue {
		d.tc_of[i], d.queue[i] = C.uint8_t(classOf(classes, i)), C.uint16_t(queue[i])
	}
	d.locks, e.dcbTx = e.locks, d
	return nil
}

// startDCB starts the device with classes of its own. When it fails the device does not run.
func (e *ethdev) startDCB(o *UplinkOptions, conf *C.struct_sluice_ethdev_conf) (queue [8]int, err error) {
	if _, err := e.askDCB(); err != nil {
		return queue, err
	}
	try, what := *conf, fmt.Sprintf("device %s with %d classes of its own", e.name, o.DCB.Classes)
	try.classes = C.uint8_t(o.DCB.Classes)
	if err := errno(C.sluice_ethdev_start(e.id, &try)); err != nil {
		C.rte_eth_dev_stop(e.id)
		return queue, failure(what+": "+C.GoString(try.step), err, takeLog())
	}
	told, err := e.askDCB()
	if wrong := told.differs(o.DCB.Classes, o.DCB.Shares); err == nil && wrong != "" {
		err = fmt.Errorf("%s: %w: %s", what, ErrUnsupported, wrong)
	}
	if err == nil {
		if err = e.enablePFC(o.DCB.PFC); err != nil && o.DCB.Shares && !o.DCB.Required {
			e.bridging.Refused, err = err, nil // the classes are of use without
		}
	}
	if err != nil {
		C.rte_eth_dev_stop(e.id)
		e.bridging.PFC = 0
		return queue, err
	}
	*conf = try
	e.bridging.Running, e.bridging.Shares = o.DCB.Classes, o.DCB.Shares
	for tc := range queue {
		queue[tc] = told.tx[tc].first
	}
	return queue, nil
}

func (e *ethdev) enablePFC(priorities uint8) error {
	for p := range uint8(8) {
		if priorities>>p&1 == 0 {
			continue
		}
		if err := errno(C.sluice_pfc_enable(e.id, C.uint8_t(p))); err != nil {
			return failure(fmt.Sprintf("device %s: priority flow control for priority %d", e.name, p), err, takeLog())
		}
		e.bridging.PFC |= 1 << p
	}
	return nil
}

// probeDCB notes what the driver knows of DCB, beside what is in force.
func (e *ethdev) probeDCB() {
	b := &e.bridging
	told, err := e.askDCB()
	if b.Classes, b.Err = told.classes, err; err != nil {
		return // without classes there is nothing that could pause
	}
	b.HasPFC = b.PFC != 0 || C.sluice_pfc_known(e.id) != 0
	takeLog()
}

// dcbDropped are frames that the device's classes had no room for.
func (e *ethdev) dcbDropped() (sum uint64) {
	if e.dcbTx == nil {
		return 0
	}
	for _, n := range e.dcbTx.dropped {
		sum += uint64(n)
	}
	return sum
}

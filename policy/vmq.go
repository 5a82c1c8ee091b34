package policy

import (
	"fmt"
	"time"
)

// VMQConfig says how the receive queues of an uplink or a vport find their workers.
type VMQConfig struct {
	Mode    string // VMQDynamic, VMQStatic, VMQOff
	Workers []int  // of VMQStatic: the worker of each queue; empty: they stay where they began
}

// What is decided for receive queues while sluiced runs.
const (
	VMQDynamic = "dynamic" // queues move between workers
	VMQStatic  = "static"  // queues stay at their workers, or go to those that are named
	VMQOff     = "off"     // queues stay at their workers
)

var vmqModes = []string{VMQDynamic, VMQStatic, VMQOff}

// VMQLimits say when and how much is changed. Shares are percent of a worker's time.
type VMQLimits struct {
	Upper     uint8         // a worker busier than this is relieved
	Lower     uint8         // workers are emptied while those that stay remain below this; 0: never
	MinGain   uint8         // a move that relieves by less is not worth it
	Interval  time.Duration // between two rounds of decisions
	Moves     int           // most in one interval
	Residence time.Duration // what has changed stays so for this long
	Calm      time.Duration // for how long fewer workers must have been enough
}

// setVMQDefaults fills in a mode.
func setVMQDefaults(src *source, q *VMQConfig) { setDefault(src, "vmq.mode", &q.Mode, VMQDynamic) }

func (l *VMQLimits) setDefaults(src *source) {
	setDefault(src, "vmq.upper", &l.Upper, 80)
	setDefault(src, "vmq.lower", &l.Lower, 50)
	setDefault(src, "vmq.minGain", &l.MinGain, 2)
	setDefault(src, "vmq.interval", &l.Interval, 250*time.Millisecond)
	setDefault(src, "vmq.moves", &l.Moves, 8)
	setDefault(src, "vmq.residence", &l.Residence, 5*time.Second)
	setDefault(src, "vmq.calm", &l.Calm, 10*time.Second)
}

// WorkerCount is the number of workers that the configuration asks for; 0 when the daemon chooses it.
func (d *DataplaneConfig) WorkerCount() int {
	if len(d.Cores) > 0 {
		return len(d.Cores)
	}
	return d.Workers
}

// vmq checks modes and limits.
func (k *checker) vmq() {
	k.vmqLimits(&k.c.Dataplane)
	for i := range k.c.Uplinks {
		u := &k.c.Uplinks[i]
		k.vmqOf(u, &u.VMQ, u.Queues)
	}
	for i := range k.c.Vports {
		v := &k.c.Vports[i]
		k.vmqOf(v, &v.VMQ, v.Queues)
	}
}

// vmqApart is the least distance of the thresholds, and the largest gain that may be asked of a move, percent.
const vmqApart = 10

func (k *checker) vmqLimits(d *DataplaneConfig) {
	l, lower := &d.VMQ, "vmq.lower"
	if !d.has(lower) {
		lower = "vmq.upper"
	}
	switch refused := k.refused(d, "vmq.upper") || k.refused(d, "vmq.lower"); {
	case refused:
	case l.Upper < vmqApart:
		k.problem(d, "vmq.upper", "vmq.upper is "+percent(l.Upper)+": every worker would be too busy", "use "+percent(vmqApart)+" to 100%")
	case l.Lower >= l.Upper:
		k.problem(d, lower, fmt.Sprintf("vmq.lower is %s, not below vmq.upper, which is %s: workers would be emptied and relieved in turns",
			percent(l.Lower), percent(l.Upper)), "lower vmq.lower, or raise vmq.upper")
	case l.Lower > 0 && l.Upper-l.Lower < vmqApart:
		k.problem(d, lower, fmt.Sprintf("vmq.lower is %s, too near to vmq.upper, which is %s: what empties a worker would fill another",
			percent(l.Lower), percent(l.Upper)), "leave "+percent(vmqApart)+" between them")
	}
	if l.MinGain > vmqApart {
		k.problem(d, "vmq.minGain", "vmq.minGain is "+percent(l.MinGain)+": hardly a move would be worth it", "use 1% to "+percent(vmqApart))
	}
	if l.Residence < l.Interval && !k.refused(d, "vmq.residence") && !k.refused(d, "vmq.interval") {
		at := "vmq.residence"
		if !d.has(at) {
			at = "vmq.interval"
		}
		k.problem(d, at, fmt.Sprintf("vmq.residence is %s, shorter than vmq.interval, which is %s", brief(l.Residence), brief(l.Interval)),
			"raise vmq.residence, or lower vmq.interval")
	}
}

// vmqOf checks the mode of a port with so many queues, 0 when their number could not be read.
func (k *checker) vmqOf(o described, q *VMQConfig, queues int) {
	if !o.from().has("vmq.workers") {
		return
	}
	if q.Mode != VMQStatic && q.Mode != "" {
		k.problem(o, "vmq.workers", "vmq.workers says where queues stay, and in mode "+q.Mode+" nothing is said by hand",
			"add mode: static, or leave workers out")
		return
	}
	if n := len(q.Workers); queues > 0 && n != queues {
		k.problem(o, "vmq.workers", fmt.Sprintf("vmq.workers lists %d, and the port has queues: %d", n, queues),
			"list one worker for each queue")
	}
	workers := k.c.Dataplane.WorkerCount()
	for i, w := range q.Workers {
		if workers > 0 && w >= workers {
			k.problem(o, fmt.Sprintf("vmq.workers[%d]", i), fmt.Sprintf("worker %d does not exist: dataplane asks for %d", w, workers),
				fmt.Sprintf("use 0 to %d, or ask for more workers", workers-1))
		}
	}
}

// String is the mode in one line.
func (q *VMQConfig) String() string {
	if len(q.Workers) == 0 {
		return q.Mode
	}
	return q.Mode + " at workers " + listed(q.Workers)
}

// String is the limits in one line.
func (l *VMQLimits) String() string {
	lower := VMQOff
	if l.Lower > 0 {
		lower = percent(l.Lower)
	}
	return fmt.Sprintf("upper %s lower %s minGain %s interval %s moves %d residence %s calm %s", percent(l.Upper), lower, percent(l.MinGain),
		brief(l.Interval), l.Moves, brief(l.Residence), brief(l.Calm))
}

package dpdk

// #include <stdlib.h>
// #include <rte_eal.h>
// #include <rte_version.h>
// #include "eal.h"
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Hugepages says where the memory of packets comes from.
type Hugepages string

// The modes of Options.Hugepages.
const (
	HugepagesAuto Hugepages = "auto" // hugepages if enough are free, else ordinary memory with a note
	HugepagesOn   Hugepages = "on"   // hugepages or an error
	HugepagesOff  Hugepages = "off"  // ordinary memory
)

// Options of Init. The zero value works: hugepages if there are any, no PCI device.
type Options struct {
	Hugepages  Hugepages // "" is auto
	MemoryMB   int       // memory to take, MiB; 0 is 256. MempoolBytes helps to find it
	MainCore   int       // core of DPDK's own threads; 0 or a negative number: the first one this process may use
	PCI        []string  // addresses of the NICs to drive; no other is touched
	FilePrefix string    // tells several DPDK processes apart; "" is "sluice"
	LogLevel   string    // DPDK's: "warning" if empty; what it logs goes to Log and into errors
	ExtraArgs  []string  // appended to the EAL's command line
	Log        func(line string)
}

// Memory is what Init found.
type Memory struct {
	Hugepages bool
	Note      string // what the user should know, e.g. why there are no hugepages; "" if nothing
}

const defaultMemoryMB = 256

var eal struct {
	sync.Mutex
	started bool // rte_eal_init succeeded once
	running bool
	pci     bool
	log     func(string)
}

// Init starts DPDK's environment abstraction layer. It can succeed once in a process, also after Cleanup.
func Init(o Options) (Memory, error) {
	eal.Lock()
	defer eal.Unlock()
	if eal.started {
		return Memory{}, fmt.Errorf("start DPDK: %w", ErrAlreadyInitialised)
	}
	for _, address := range o.PCI {
		if err := checkPCI(sysfsPCI, address); err != nil {
			return Memory{}, err
		}
	}
	if o.MemoryMB <= 0 {
		o.MemoryMB = defaultMemoryMB
	}
	mem, err := chooseMemory(o, "/sys/kernel/mm/hugepages")
	if err != nil {
		return Memory{}, err
	}
	args, err := ealArgs(o, mem.Hugepages)
	if err != nil {
		return Memory{}, err
	}
	if C.sluice_log_capture() != 0 {
		return Memory{}, fmt.Errorf("start DPDK: open its log: %w", ErrNoMemory)
	}
	eal.log = o.Log
	if err := ealInit(args); err != nil {
		return Memory{}, failure("start DPDK (EAL "+strings.Join(args[1:], " ")+")", err, takeLog())
	}
	eal.started, eal.running, eal.pci = true, true, len(o.PCI) > 0
	takeLog()
	removeStaleDirs(runtimeDir())
	return mem, nil
}

// ealInit runs on a thread of its own choice: rte_eal_init pins its caller to the main core and makes it an EAL thread.
// The affinity is put back, else every thread that Go starts from this one would inherit the pin.
func ealInit(args []string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the thread's affinity: %w", err)
	}
	// Not freed: DPDK keeps pointers into its command line.
	argv := (**C.char)(C.calloc(C.size_t(len(args)+1), C.size_t(unsafe.Sizeof(uintptr(0)))))
	for i, a := range args {
		unsafe.Slice(argv, len(args))[i] = C.CString(a)
	}
	var err error
	if C.rte_eal_init(C.int(len(args)), argv) < 0 {
		err = rteErrno()
	}
	if e := unix.SchedSetaffinity(0, &before); e != nil && err == nil {
		err = fmt.Errorf("restore the thread's affinity: %w", e)
	}
	return err
}

func ealArgs(o Options, huge bool) ([]string, error) {
	core := o.MainCore
	if core <= 0 {
		var cpus unix.CPUSet
		if err := unix.SchedGetaffinity(0, &cpus); err != nil {
			return nil, fmt.Errorf("start DPDK: read the process's affinity: %w", err)
		}
		for core = 0; !cpus.IsSet(core); core++ {
		}
	}
	prefix, level := o.FilePrefix, o.LogLevel
	if prefix == "" {
		prefix = "sluice"
	}
	if level == "" {
		level = "warning"
	}
	args := []string{"sluice", "--no-telemetry", "--file-prefix=" + prefix, "--log-level=" + level,
		"-l", strconv.Itoa(core), "-m", strconv.Itoa(o.MemoryMB)}
	// Neither leaves files behind; --in-memory is refused together with --no-huge.
	if huge {
		args = append(args, "--in-memory")
	} else {
		args = append(args, "--no-huge", "--no-shconf")
	}
	if len(o.PCI) == 0 {
		// Nothing does DMA, so physical addresses, and the right to read them, are not needed.
		args = append(args, "--no-pci", "--iova-mode=va")
	}
	for _, address := range o.PCI {
		args = append(args, "-a", address)
	}
	return append(args, o.ExtraArgs...), nil
}

// chooseMemory decides between hugepages and ordinary memory by what is free now.
func chooseMemory(o Options, root string) (Memory, error) {
	switch o.Hugepages {
	case HugepagesOff:
		return Memory{}, nil
	case HugepagesOn, HugepagesAuto, "":
	default:
		return Memory{}, fmt.Errorf("start DPDK: hugepages %q: %w: want auto, on or off", o.Hugepages, ErrInvalid)
	}
	free := freeHugepagesMB(root)
	if free >= o.MemoryMB {
		return Memory{Hugepages: true}, nil
	}
	pages := (o.MemoryMB + 1) / 2
	remedy := fmt.Sprintf("`echo %d > %s/hugepages-2048kB/nr_hugepages` as root reserves them", pages, root)
	if o.Hugepages == HugepagesOn {
		return Memory{}, fmt.Errorf("start DPDK: %w: %d MiB are free, %d MiB are needed: %s; or set hugepages to auto",
			ErrNoHugepages, free, o.MemoryMB, remedy)
	}
	return Memory{Note: fmt.Sprintf("running without hugepages, which is slower: %d MiB are free, %d MiB are needed; %s before the start",
		free, o.MemoryMB, remedy)}, nil
}

// freeHugepagesMB sums what is free in pages of all sizes, MiB.
func freeHugepagesMB(root string) int {
	dirs, _ := filepath.Glob(filepath.Join(root, "hugepages-*kB"))
	kb := 0
	for _, dir := range dirs {
		size, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(dir), "hugepages-"), "kB"))
		if err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, "free_hugepages"))
		if err != nil {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err == nil {
			kb += n * size
		}
	}
	return kb / 1024
}

// Cleanup ends DPDK. Pollers, devices and mempools must be closed before; Init cannot be called again.
func Cleanup() error {
	eal.Lock()
	defer eal.Unlock()
	if !eal.running {
		return fmt.Errorf("stop DPDK: %w", ErrNotInitialised)
	}
	eal.running = false
	defer func(dir string) { _ = unix.Rmdir(dir) }(runtimeDir())
	if err := errno(C.rte_eal_cleanup()); err != nil {
		return failure("stop DPDK", err, takeLog())
	}
	return nil
}

// running reports an error unless DPDK is up.
func running(what string) error {
	eal.Lock()
	defer eal.Unlock()
	if !eal.running {
		return fmt.Errorf("%s: %w", what, ErrNotInitialised)
	}
	return nil
}

// Version names DPDK and its version.
func Version() string { return C.GoString(C.rte_version()) }

// TSCHz is the rate of the time stamp counter in IO.TSC, cycles per second; 0 before Init.
func TSCHz() uint64 { return uint64(C.sluice_tsc_hz()) }

// takeLog returns what DPDK logged since the last call and hands it on to Options.Log, line by line.
func takeLog() string {
	buf := make([]byte, 16384)
	n := C.sluice_log_take((*C.char)(unsafe.Pointer(&buf[0])), C.size_t(len(buf)))
	text := string(buf[:n])
	if eal.log != nil {
		for line := range strings.Lines(text) {
			eal.log(strings.TrimSpace(line))
		}
	}
	return text
}

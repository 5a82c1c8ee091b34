package dpdk

// #include "eal.h"
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// What can be wrong with the machine or the request. Every error of this package that a user can act on wraps one of
// these, names the object and says the remedy.
var (
	ErrNotInitialised     = errors.New("DPDK is not initialised")
	ErrAlreadyInitialised = errors.New("DPDK is initialised already, and can be only once in a process")
	ErrNoHugepages        = errors.New("not enough free hugepages")
	ErrNoMemory           = errors.New("not enough memory")
	ErrPermission         = errors.New("permission denied")
	ErrBusy               = errors.New("in use")
	ErrNoDevice           = errors.New("no such device")
	ErrNoInterface        = errors.New("no such network interface")
	ErrNoNamespace        = errors.New("no such network namespace")
	ErrKernelDriver       = errors.New("bound to a kernel driver")
	ErrIOMMU              = errors.New("IOMMU not usable")
	ErrInvalid            = errors.New("not valid")
	ErrUnsupported        = errors.New("not supported")
)

// errFailed stands for DPDK's bare -1; the log tells more.
var errFailed = errors.New("DPDK refused")

// errno makes an error of what DPDK returned: 0 or more is success, -1 a failure without a code, less a negative errno.
func errno(ret C.int) error {
	switch {
	case ret >= 0:
		return nil
	case ret == -1:
		return errFailed
	}
	return syscall.Errno(-ret)
}

// rteErrno is the code that functions of DPDK leave behind which return none. It belongs to the thread: the caller must
// have locked itself to one before it called them.
func rteErrno() error {
	if e := C.sluice_errno(); e > 0 && e < 256 {
		return syscall.Errno(e)
	}
	return errFailed
}

// classify finds the sentinel that fits a failure of DPDK: by what it logged, then by its code.
func classify(code error, log string) (remedy string, sentinel error) {
	for _, c := range []struct {
		text, remedy string
		sentinel     error
	}{
		{"is not viable", "bind every device of its IOMMU group to vfio-pci, or none (`dpdk-devbind.py --status` shows them)", ErrIOMMU},
		{"IOMMU not supported", "start the kernel with intel_iommu=on or amd_iommu=on", ErrIOMMU},
		{"VFIO group not", "bind the device to vfio-pci: `dpdk-devbind.py --bind=vfio-pci ADDRESS`", ErrIOMMU},
		{"Cannot open /dev/vfio", "load the driver (`modprobe vfio-pci`) and run as root", ErrIOMMU},
		{"Device or resource busy", "stop the other process that has it", ErrBusy},
		{"Permission denied", "run as root, or with CAP_NET_ADMIN, CAP_NET_RAW and CAP_IPC_LOCK", ErrPermission},
		{"Operation not permitted", "run as root, or with CAP_NET_ADMIN, CAP_NET_RAW and CAP_IPC_LOCK", ErrPermission},
		{"No such device", "`ip link` and `dpdk-devbind.py --status` list what is there", ErrNoDevice},
		{"failed to parse device", "check the name of the driver and its arguments", ErrInvalid},
		{"no driver", "check the name of the driver and its arguments", ErrInvalid},
		{"Cannot allocate memory", "give the switch more hugepages or memory", ErrNoMemory},
	} {
		if strings.Contains(log, c.text) {
			return c.remedy, c.sentinel
		}
	}
	switch {
	case errors.Is(code, syscall.EPERM), errors.Is(code, syscall.EACCES):
		return "run as root, or with CAP_NET_ADMIN, CAP_NET_RAW and CAP_IPC_LOCK", ErrPermission
	case errors.Is(code, syscall.EBUSY):
		return "stop the other process that has it", ErrBusy
	case errors.Is(code, syscall.EEXIST):
		return "give it another name, or close the device that has this one", ErrBusy
	case errors.Is(code, syscall.ENOMEM):
		return "give the switch more hugepages or memory", ErrNoMemory
	case errors.Is(code, syscall.ENODEV), errors.Is(code, syscall.ENOENT):
		return "`ip link` and `dpdk-devbind.py --status` list what is there", ErrNoDevice
	}
	return "", nil
}

// failure tells what DPDK refused: object and verb, the cause with DPDK's own log lines, the remedy if one is known.
func failure(what string, code error, log string) error {
	log = lastLines(log, 3)
	remedy, sentinel := classify(code, log)
	switch {
	case sentinel == nil && log == "":
		return fmt.Errorf("%s: %w", what, code)
	case sentinel == nil:
		return fmt.Errorf("%s: %w (DPDK says: %s)", what, code, log)
	case log == "":
		return fmt.Errorf("%s: %w: %s", what, sentinel, remedy)
	}
	return fmt.Errorf("%s: %w (DPDK says: %s): %s", what, sentinel, log, remedy)
}

// lastLines joins the last n non-empty lines by "; ".
func lastLines(s string, n int) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}

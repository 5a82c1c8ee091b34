package dpdk

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// One process at a time may have an interface of the kernel as its uplink. The kernel would not mind several: all of them
// would get every frame, or each a part. A claim is an abstract socket named after the interface's index: like the interface
// it belongs to the network namespace, it vanishes with the process, however that ends, and tells who has it.

// claimInterface makes this process the only one that has the interface as an uplink, until the claim is closed. The claim is
// nil, with a note, where a process of another user has the name: anybody may take it, and nobody else's wish counts here.
func claimInterface(name string, index int) (claim net.Listener, note string, err error) {
	address := &net.UnixAddr{Net: "unix", Name: fmt.Sprintf("@sluice-uplink-%d", index)}
	l, err := net.ListenUnix("unix", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return refusedClaim(name, address)
	}
	if err != nil {
		return nil, "", fmt.Errorf("interface %s: claim it: %w", name, err)
	}
	go func() { // whoever asks who this is gets the answer from the kernel
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l, "", nil
}

func refusedClaim(name string, address *net.UnixAddr) (claim net.Listener, note string, err error) {
	owner, known := claimOwner(address)
	if known && owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
		return nil, fmt.Sprintf("process %d of user %d claims the kernel's interface %s for itself, and is not heeded", owner.Pid, owner.Uid, name), nil
	}
	who := "another process"
	if known && owner.Pid != 0 { // one of another PID namespace has none here
		who = fmt.Sprintf("process %d", owner.Pid)
		if command, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", owner.Pid)); err == nil {
			who += " (" + strings.TrimSpace(string(command)) + ")"
		}
	}
	return nil, "", fmt.Errorf("interface %s: %w as the uplink of %s: stop that one first, or name another interface", name, ErrBusy, who)
}

// claimOwner asks the kernel who listens.
func claimOwner(address *net.UnixAddr) (owner *unix.Ucred, known bool) {
	c, err := net.DialUnix("unix", nil, address)
	if err != nil {
		return nil, false
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, false
	}
	if e := raw.Control(func(fd uintptr) { owner, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil || err != nil {
		return nil, false
	}
	return owner, true
}

// release lets others have the interface.
func (k *kernelInterface) release() {
	if k != nil && k.claim != nil {
		k.claim.Close()
		k.claim = nil
	}
}

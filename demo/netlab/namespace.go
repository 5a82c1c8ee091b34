package netlab

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Namespace is a network namespace: a host, a virtual machine or a piece of fabric.
type Namespace struct {
	lab   *Lab
	name  string // as under /run/netns, prefix included
	fd    netns.NsHandle
	links *netlink.Handle
}

// AddNamespace makes a namespace called prefix+name with its loopback up. IPv6 is off in it, since the kernel's own
// router solicitations and multicast reports would be uninvited guests in a capture; EnableIPv6 turns it on.
func (l *Lab) AddNamespace(name string) (*Namespace, error) {
	n := &Namespace{lab: l, name: l.prefix + name, fd: netns.None()}
	err := onFreshThread(func() error {
		fd, err := netns.NewNamed(n.name)
		if err != nil {
			return err
		}
		n.fd = fd
		return setIPv6(false)
	})
	if err == nil {
		n.links, err = netlink.NewHandleAt(n.fd)
	}
	if err == nil {
		err = n.SetUp("lo")
	}
	if err != nil {
		n.close()
		return nil, fmt.Errorf("add namespace %s: %w", n.name, err)
	}
	l.mu.Lock()
	l.namespaces = append(l.namespaces, n)
	l.mu.Unlock()
	return n, nil
}

// Name is the namespace's name for `ip netns exec`, prefix included.
func (n *Namespace) Name() string { return n.name }

// Links gives the whole netlink library inside the namespace.
func (n *Namespace) Links() *netlink.Handle { return n.links }

// Do runs f on a thread inside the namespace, in a goroutine of its own. Sockets that f opens stay in the namespace.
func (n *Namespace) Do(f func() error) error {
	return onFreshThread(func() error {
		if err := netns.Set(n.fd); err != nil {
			return fmt.Errorf("enter namespace %s: %w", n.name, err)
		}
		return f()
	})
}

// EnableIPv6 turns IPv6 on for all interfaces of the namespace, the later ones included.
func (n *Namespace) EnableIPv6() error {
	return n.Do(func() error { return setIPv6(true) })
}

func (n *Namespace) close() {
	if n.links != nil {
		n.links.Close()
		n.links = nil
	}
	if n.fd.IsOpen() {
		n.fd.Close()
	}
}

// onFreshThread runs f on a locked thread that goes back to its own namespace afterwards. When it cannot, the goroutine
// ends locked and Go ends the thread with it, so that no other goroutine ever finds itself in a foreign namespace.
func onFreshThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		own, err := netns.Get()
		if err != nil {
			result <- fmt.Errorf("get own namespace: %w", err)
			return
		}
		defer own.Close()
		err = f()
		if netns.Set(own) == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}

// setIPv6 acts on the namespace of the calling thread: /proc/sys/net shows each thread its own.
func setIPv6(on bool) error {
	value := "1"
	if on {
		value = "0"
	}
	for _, scope := range []string{"all", "default"} {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+scope+"/disable_ipv6", []byte(value), 0)
		if err != nil && !os.IsNotExist(err) { // a kernel without IPv6 has nothing to turn off
			return fmt.Errorf("switch IPv6: %w", err)
		}
	}
	return nil
}

// namespacesWith lists the named namespaces whose names start with prefix.
func namespacesWith(prefix string) ([]string, error) {
	entries, err := os.ReadDir(namespaceDir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

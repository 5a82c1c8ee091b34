package demo

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/sluicenet/sluice/demo/netlab"
)

// VMs of several tenants at one address look the same to ping. So each serves its own name by TCP, and whoever connects sees
// with whom it speaks.
const markerPort = 7007

// serveMarker answers every connection to the VM with name, until the listener is closed.
func serveMarker(in *netlab.Namespace, name string) (net.Listener, error) {
	var l net.Listener
	err := in.Do(func() (err error) {
		l, err = net.ListenTCP("tcp4", &net.TCPAddr{Port: markerPort})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("serve the name of %s: %w", name, err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, name) // who does not get it complains
			conn.Close()
		}
	}()
	return l, nil
}

// askMarker connects from inside a namespace and returns the name it is answered.
func askMarker(from *netlab.Namespace, to netip.Addr) (string, error) {
	var conn net.Conn
	err := from.Do(func() (err error) {
		// A literal address is dialled on the calling thread, which is the one inside the namespace.
		conn, err = net.DialTimeout("tcp4", netip.AddrPortFrom(to, markerPort).String(), 3*time.Second)
		return err
	})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return "", err
	}
	name, err := io.ReadAll(conn)
	return string(name), err
}

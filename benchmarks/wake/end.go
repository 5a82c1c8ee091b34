package wake

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/demo/netlab"
)

// The two stations.
const (
	vmMAC   = "02:00:00:00:00:05"
	wireMAC = "02:00:00:00:00:07"
)

const (
	etherType    = 0x88b5 // for local experiments (IEEE 802)
	frameLen     = 60
	lostAfterSec = 1
	timespecLen  = 16
)

// end is a packet socket in one of the namespaces.
type end struct {
	mac string
	fd  int
	on  bool
}

func (e *end) open(in *netlab.Namespace, link string) error {
	return in.Do(func() error {
		iface, err := net.InterfaceByName(link)
		if err != nil {
			return fmt.Errorf("interface %s: %w", link, err)
		}
		proto := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, etherType))
		if e.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(proto)); err != nil {
			return fmt.Errorf("packet socket: %w", err)
		}
		e.on = true
		if err := unix.Bind(e.fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: iface.Index}); err != nil {
			return fmt.Errorf("bind to %s: %w", link, err)
		}
		return errors.Join(unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.SetsockoptTimeval(e.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: lostAfterSec}))
	})
}

func (e *end) close() {
	if e.on {
		unix.Close(e.fd)
	}
}

func (e *end) send(to *end) error {
	frame := make([]byte, frameLen)
	for i, mac := range []string{to.mac, e.mac} {
		addr, err := net.ParseMAC(mac)
		if err != nil {
			return err
		}
		copy(frame[6*i:], addr)
	}
	binary.BigEndian.PutUint16(frame[12:], etherType)
	if _, err := unix.Write(e.fd, frame); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// receive waits for the next frame, and returns when the kernel got it; the zero time when none came.
func (e *end) receive() (at time.Time, err error) {
	var frame [frameLen]byte
	control := make([]byte, 128)
	for {
		_, n, _, from, err := unix.Recvmsg(e.fd, frame[:], control, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return time.Time{}, nil
		case err != nil:
			return time.Time{}, fmt.Errorf("receive: %w", err)
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue // our own
		}
		messages, err := unix.ParseSocketControlMessage(control[:n])
		if err != nil {
			return time.Time{}, fmt.Errorf("time stamp: %w", err)
		}
		for _, m := range messages {
			if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= timespecLen {
				sec, nsec := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
				return time.Unix(int64(sec), int64(nsec)), nil
			}
		}
		return time.Time{}, errors.New("the kernel gave a frame no time stamp")
	}
}

// drain takes what is there.
func (e *end) drain() {
	var frame [frameLen]byte
	for {
		if _, _, err := unix.Recvfrom(e.fd, frame[:], unix.MSG_DONTWAIT); err != nil {
			return
		}
	}
}

package dpdk

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ringSockets are the sockets of an af_packet device, whose driver does not report what the kernel could not put into
// its receive rings because they were full. They belong to the driver, which closes them with the device.
type ringSockets struct {
	fds    []int
	queues []int  // by receive queue; nil when it is not known which is whose
	missed uint64 // so far: the kernel forgets what it has told
}

// findRingSockets looks through the process's descriptors for packet sockets bound to the interface: the driver tells
// nobody which are its own, and one interface belongs to one uplink.
func findRingSockets(index int) (*ringSockets, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, fmt.Errorf("find the sockets of the driver: %w", err)
	}
	s := &ringSockets{}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || domain != unix.AF_PACKET {
			continue
		}
		name, err := unix.Getsockname(fd)
		if at, ok := name.(*unix.SockaddrLinklayer); err == nil && ok && at.Ifindex == index {
			s.fds = append(s.fds, fd)
		}
	}
	return s, nil
}

// read returns how many frames were missed since the device was opened.
func (s *ringSockets) read() (uint64, error) {
	for _, fd := range s.fds {
		stats, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err != nil {
			return 0, fmt.Errorf("drops of the receive ring: %w", err)
		}
		s.missed += uint64(stats.Drops)
	}
	return s.missed, nil
}

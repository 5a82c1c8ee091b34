package dpdk

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/packet"
)

// needTaps skips where taps and namespaces cannot be made.
func needTaps(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("taps and network namespaces need root")
	}
	if _, err := os.Stat(tunDevice); err != nil {
		t.Skip(err)
	}
}

// ip runs iproute2 and returns what it prints.
func ip(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(t, err, "ip %v: %s", args, out)
	return string(out)
}

// newNamespace makes a network namespace that is gone after the test.
func newNamespace(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("dpdktest%d-%s", os.Getpid(), unique("n"))
	ip(t, "netns", "add", name)
	t.Cleanup(func() { ip(t, "netns", "del", name) })
	ip(t, "-n", name, "link", "set", "lo", "up")
	return name
}

// in runs f inside a namespace.
func in(t testing.TB, namespace string, f func() error) error {
	t.Helper()
	fd, err := openNamespace(namespace)
	require.NoError(t, err)
	defer unix.Close(fd)
	return inNamespace(fd, f)
}

func newTap(t testing.TB, o TapOptions) *Device {
	t.Helper()
	d, err := OpenTap(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Remove()) })
	return d
}

// wire forwards between devices 0-1, 2-3, ... on a worker thread until the test ends.
func wire(t testing.TB, pool *Mempool, devices ...*Device) {
	t.Helper()
	p, err := NewPoller(pool)
	require.NoError(t, err)
	stop, started, done := make(chan struct{}), make(chan error, 1), make(chan struct{})
	go forwardLoop(p, devices, stop, started, done)
	require.NoError(t, <-started)
	t.Cleanup(func() {
		close(stop)
		p.Wake()
		<-done
	})
}

func forwardLoop(p *Poller, devices []*Device, stop chan struct{}, started chan error, done chan struct{}) {
	runtime.LockOSThread()
	defer close(done)
	defer p.Close()
	err := p.Start()
	ref := uint32(0)
	pair := map[uint32]uint32{}
	for i, d := range devices {
		err = errors.Join(err, p.SetTx(uint32(i), d.Handle(), 0, false))
		for q := range d.RxQueues() {
			err = errors.Join(err, p.AddRx(d.Handle(), uint16(q), ref))
			pair[ref] = uint32(i ^ 1)
			ref++
		}
	}
	started <- err
	if err != nil {
		return
	}
	io := p.IO()
	for {
		io.RxBudget = packet.MaxRx
		select {
		case <-stop:
			io.RxBudget = 0
			p.Poll()
			return
		default:
		}
		p.Poll()
		forward(io, func(ref uint32) uint32 { return pair[ref] })
		if io.NumRx == 0 {
			p.Wait(200 * time.Microsecond)
		}
	}
}

// vm is a namespace with a tap and an address in it.
type vm struct {
	ns, iface, addr string
	tap             *Device
}

func newVM(t testing.TB, pool *Mempool, n byte, queues, mtu int) vm {
	t.Helper()
	v := vm{ns: newNamespace(t), iface: "eth0", addr: fmt.Sprintf("10.77.0.%d", n)}
	v.tap = newTap(t, TapOptions{
		Name: "vm", Interface: v.iface, Namespace: v.ns, MAC: packet.MAC{0, 0x15, 0x5d, 0, 0, n}, MTU: mtu, Queues: queues, Pool: pool,
	})
	ip(t, "-n", v.ns, "addr", "add", v.addr+"/24", "dev", v.iface)
	return v
}

func (v vm) ping(t testing.TB, addr string, args ...string) {
	t.Helper()
	args = append([]string{"netns", "exec", v.ns, "ping", "-q", "-c", "3", "-i", "0.02", "-W", "3"}, args...)
	ip(t, append(args, addr)...)
}

// transfer sends data by TCP from one VM to another and returns what arrived.
func transfer(t testing.TB, from, to vm, data []byte) []byte {
	t.Helper()
	var listener net.Listener
	require.NoError(t, in(t, to.ns, func() (err error) {
		listener, err = net.Listen("tcp", to.addr+":0")
		return err
	}))
	defer listener.Close()
	var got []byte
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		got, _ = io.ReadAll(c)
	})
	require.NoError(t, in(t, from.ns, func() error {
		c, err := net.DialTimeout("tcp", listener.Addr().String(), 5*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(data)
		return err
	}))
	wg.Wait()
	return got
}

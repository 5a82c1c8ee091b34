package dataplane

import (
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

// feed makes a port's queue an endless source of one frame per flow.
func (r *rig) feed(port string, all [][]byte) {
	next := 0
	r.devs[port].SetSource(0, func(p *packet.Packet) bool {
		f := all[next%len(all)]
		next++
		return p.Append(len(f)) && copy(p.Data(), f) == len(f)
	})
}

func udpFlows(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = toFar(uint16(i))
	}
	return all
}

// TestNoAllocations runs whole loop iterations of a worker, on the test's own goroutine, with every kind of action.
func TestNoAllocations(t *testing.T) {
	for name, tc := range map[string]struct {
		port   string
		frames [][]byte
	}{
		"encapsulate": {"red-vm1", udpFlows(32)},
		"switch":      {"red-vm1", [][]byte{frames.Ping(redVM1, redVM2, "10.0.0.5", "10.0.0.6", 1, 1)}},
		"route":       {"red-vm1", [][]byte{frames.Ping(redVM1, routerMAC, "10.0.0.5", "10.0.1.5", 1, 1)}},
		"decapsulate": {"up0", [][]byte{frames.NVGRE(hostBMAC, uplinkMAC, hostBPA, hostAPA, 6001, 1, frames.Ping(redFar, redVM1, "10.0.0.7", "10.0.0.5", 1, 1))}},
		"flood":       {"acc1", [][]byte{untagged(acc1MAC, broadcast)}},
		"ARP":         {"red-vm1", [][]byte{frames.ARPRequest(redVM1, "10.0.0.5", "10.0.0.7")}},
		"ping":        {"red-vm1", [][]byte{frames.Ping(redVM1, routerMAC, "10.0.0.5", "10.0.0.1", 1, 1)}},
		"drop":        {"red-vm1", [][]byte{frames.Ping(redVM2, redVM1, "10.0.0.5", "10.0.0.6", 1, 1), {1, 2, 3}}},
		"IPv6":        {"red-vm1", [][]byte{frames.Build(frames.Ether(redVM1, redFar), frames.IPv6("2001:db8:1::5", "2001:db8:1::7"), frames.UDP(1, 2))}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			r.resolve()
			allocs := r.allocations(tc.port, tc.frames)
			require.Zero(t, allocs)
			rx := r.counters(tc.port).RxPackets
			require.Greater(t, rx, uint64(1000))
			r.balanced()
		})
	}
}

// pollerOf is the worker that polls a port's first queue.
func (r *rig) pollerOf(port string) *worker {
	for _, w := range r.sw.workers {
		for _, q := range *w.listed.Load() {
			if q.port == r.index.byName[port] {
				return w
			}
		}
	}
	r.t.Fatalf("nobody polls %s", port)
	return nil
}

// allocations counts those of a loop iteration of the worker that polls a port, on the worker's own thread.
func (r *rig) allocations(port string, all [][]byte) float64 {
	r.discardSent()
	done := make(chan struct{})
	allocs := -1.0
	w := r.pollerOf(port)
	go func() { // the worker's own thread runs the measurement, as a command between two iterations
		defer close(done)
		w.do(func() {
			r.feed(port, all)
			w.sample.fixed, w.sample.every, w.sample.wait = true, 1, 1 // every iteration is measured, and its timers publish
			iteration := func() {
				w.poll()
				w.receive()
				w.timers()
			}
			iteration()
			allocs = testing.AllocsPerRun(50, iteration)
			for range 4 { // it counts the whole process: what other goroutines allocate is not in every run
				allocs = min(allocs, testing.AllocsPerRun(50, iteration))
			}
			r.devs[port].SetSource(0, nil)
			w.flush()
		})
	}()
	<-done
	return allocs
}

func (r *rig) discardSent() {
	for _, d := range r.devs {
		d.SetSink(func(uint16, *packet.Packet) {})
	}
}

// hot lists the functions that the compiler must inline: a call costs the fast path some 2 ns each.
var hot = []string{"(*epochs).sum", "(*worker).free", "headWritable", "setNextHop", "mix", "(*counters).of"}

func TestHotFunctionsInline(t *testing.T) {
	out, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	require.NoError(t, err, string(out))
	for _, f := range hot {
		require.Regexp(t, regexp.MustCompile(`can inline `+regexp.QuoteMeta(f)+`\b`), string(out))
	}
}

// BenchmarkWorker measures whole iterations on memory ports, which cost more than a NIC's: compare runs, not devices.
func BenchmarkWorker(b *testing.B) {
	for _, flows := range []int{256, 2048} {
		b.Run("encap-"+strconv.Itoa(flows), func(b *testing.B) {
			r := newRig(b, 1)
			r.resolve()
			r.measure(b, "red-vm1", udpFlows(flows))
		})
	}
}

// measure runs b.N packets of the given frames, in turn, through the only worker.
func (r *rig) measure(b *testing.B, port string, all [][]byte) {
	r.discardSent()
	w := r.sw.workers[0]
	w.do(func() {
		r.feed(port, all)
		for range len(all)/packet.RxBurst + 1 {
			w.poll()
			w.receive()
		}
		for range 2 * len(all) / migrateBatch {
			w.timers() // a table that has just grown is as one that has been so for long
		}
		b.ResetTimer()
		for n := 0; n < b.N; n += packet.RxBurst {
			w.poll()
			w.receive()
		}
		b.StopTimer()
		r.devs[port].SetSource(0, nil)
		w.flush()
	})
}

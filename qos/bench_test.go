package qos

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/sluicenet/sluice/packet"
)

const benchBurst = 64

// benchScheduler has so many vports in eight classes, none of them limited.
func benchScheduler(b testing.TB, vports, packets int, change func(c *Config)) *Scheduler {
	c := &Config{Leaves: leaves(vports), Packets: packets}
	for i := range c.Classes {
		c.Classes[i].Weight = uint32(1 + i)
	}
	if change != nil {
		change(c)
	}
	s, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	return s
}

// benchPackets are frames of 64 bytes (60 without FCS), depth for each queue, in random order.
func benchPackets(vports, classes, depth int) []*packet.Packet {
	mem := make([]packet.Packet, vports*classes*depth)
	pkts := make([]*packet.Packet, len(mem))
	order := rand.New(rand.NewPCG(1, 2)).Perm(len(mem))
	for i := range mem {
		p := &mem[i]
		p.PktLen = 60
		p.HashHigh = uint32(QueueOf(uint8(i%Classes), uint32(i/classes%vports)))
		pkts[order[i]] = p
	}
	return pkts
}

func queuesOf(pkts []*packet.Packet, to []Queue) {
	for i, p := range pkts {
		to[i] = Queue(p.HashHigh)
	}
}

// benchLoads are backlogs: so many packets in each of a vport's queues, in all classes or in one.
var benchLoads = []struct {
	vports, classes, depth int
}{{100, 8, 4}, {1000, 8, 4}, {1000, 1, 32}, {10000, 8, 1}, {10000, 1, 4}}

// BenchmarkStanding takes packets out and puts them back into their queues, all of which always wait.
func BenchmarkStanding(b *testing.B) {
	for _, load := range benchLoads {
		for _, kind := range []string{"plain", "maximum", "groups"} {
			b.Run(fmt.Sprintf("vports=%d/classes=%d/depth=%d/%s", load.vports, load.classes, load.depth, kind), func(b *testing.B) {
				pkts := benchPackets(load.vports, load.classes, load.depth)
				s := benchScheduler(b, load.vports, 2*len(pkts), func(c *Config) { benchKind(c, kind) })
				var to [benchBurst]Queue
				for at := 0; at < len(pkts); at += benchBurst {
					n := min(benchBurst, len(pkts)-at)
					queuesOf(pkts[at:at+n], to[:n])
					if s.EnqueueEach(to[:n], pkts[at:at+n]) != 0 {
						b.Fatal("a packet was refused")
					}
				}
				out := make([]*packet.Packet, benchBurst)
				now := int64(0)
				quickly(b, func() (n int) {
					n = s.Dequeue(now, out, nil)
					queuesOf(out[:n], to[:n])
					s.EnqueueEach(to[:n], out[:n])
					now += us
					return n
				})
			})
		}
	}
}

// quickly repeats turn for b.N packets, and reports what a packet took in the quickest fifth of slices of 16,384 packets:
// other programs on the machine count for little there.
func quickly(b *testing.B, turn func() (packets int)) {
	const slice = 1 << 14
	per := make([]float64, 0, b.N/slice+2)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		start, n := time.Now(), 0
		for n < slice {
			n += turn()
		}
		per = append(per, float64(time.Since(start))/float64(n))
		done += n
	}
	sort.Float64s(per)
	b.ReportMetric(per[len(per)/5], "quick-ns/packet")
}

func benchKind(c *Config, kind string) {
	for i := range c.Leaves {
		switch kind {
		case "maximum":
			c.Leaves[i].MaxBytesPerSec = 100 * gbit
		case "groups":
			c.Leaves[i].Group = int32(i % 16)
		}
	}
	if kind == "groups" {
		for i := range 16 {
			c.Groups = append(c.Groups, Group{Key: uint64(i), Parent: NoGroup, MaxBytesPerSec: 100 * gbit})
		}
	}
}

// BenchmarkDrained puts a burst in, for queues at random, and takes it out again: nothing waits in between.
func BenchmarkDrained(b *testing.B) {
	for _, vports := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprintf("vports=%d", vports), func(b *testing.B) {
			pkts := benchPackets(vports, Classes, 1)
			s := benchScheduler(b, vports, 2*len(pkts), nil)
			var to [benchBurst]Queue
			out := make([]*packet.Packet, benchBurst)
			at := 0
			quickly(b, func() int {
				if at += benchBurst; at+benchBurst > len(pkts) {
					at = 0
				}
				queuesOf(pkts[at:at+benchBurst], to[:])
				s.EnqueueEach(to[:], pkts[at:at+benchBurst])
				if s.Dequeue(0, out, nil) != benchBurst {
					b.Fatal("packets are missing")
				}
				return benchBurst
			})
		})
	}
}

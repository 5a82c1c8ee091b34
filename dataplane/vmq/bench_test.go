package vmq

import "testing"

// One round of a host of 128 cores and 2,000 queues whose loads vary, as the daemon makes four of them a second.
func BenchmarkDecide(b *testing.B) {
	h := newHost(b, 128, quick())
	for i := range 2000 {
		h.queue(i%128, 0.5*128/2000*(0.5+float64(i%11)/10))
	}
	round := 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for i, q := range h.queues {
			if (i+round)%97 == 0 {
				q.want = 0.5 * 128 / 2000 * (0.5 + float64((i*7+round)%11)/10)
			}
		}
		round++
		s := h.sample()
		b.StartTimer()
		h.told = h.b.Decide(s)
		b.StopTimer()
		h.carryOut(h.told)
		h.at += h.step
		b.StartTimer()
	}
}

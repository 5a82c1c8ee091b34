package worker

import (
	"runtime/metrics"
	"sync"
	"time"
)

// node is garbage as a control plane makes it: small, with pointers.
type node struct {
	next *node
	_    [56]byte
}

const (
	nodeBytes  = 64
	churnTick  = 5 * time.Millisecond
	liveChains = 64 // ticks for which garbage stays reachable
)

// startChurn makes so many bytes of garbage per second until stop is called.
func startChurn(bytesPerSec int64) (stop func()) {
	if bytesPerSec <= 0 {
		return func() {}
	}
	quit := make(chan struct{})
	var gone sync.WaitGroup
	gone.Go(func() {
		ticker := time.NewTicker(churnTick)
		defer ticker.Stop()
		live := make([]*node, liveChains)
		last, rest := time.Now(), 0.0
		for i := 0; ; i++ {
			select {
			case <-quit:
				return
			case now := <-ticker.C:
				rest += now.Sub(last).Seconds() * float64(bytesPerSec) / nodeBytes
				last = now
			}
			var chain *node
			for ; rest >= 1; rest-- {
				chain = &node{next: chain}
			}
			live[i%len(live)] = chain
		}
	})
	return func() { close(quit); gone.Wait() }
}

// gcCycles counts collections without stopping anybody.
func gcCycles() uint64 {
	s := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

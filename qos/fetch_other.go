//go:build !amd64

package qos

// fetchOn would ask for the cache lines of the entities that follow id in a list; without a way to do so it costs nothing.
func (s *Scheduler) fetchOn(uint32, int) uint32 { return 0 }

// fetch reads the first bytes of queues, so that the cache misses of a burst overlap.
func (s *Scheduler) fetch(to []Queue) {
	var sum uint64
	for _, q := range to {
		sum += uint64(s.ents[q].head) + s.rings[q][0]
	}
	s.fetched = sum
}

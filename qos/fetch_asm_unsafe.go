//go:build amd64

package qos

import "unsafe"

// fetchList walks a node's list some steps on from id, asks for the cache lines of those it passes, and returns where it
// is: 0 at the end. Ids above last have no ring. The index of entity and ring is 64 bytes a step.
//
//go:noescape
func fetchList(next *uint32, ents *entity, rings *ring, last, id uint32, steps int) uint32

// fetchOn is fetchList for the lists of a scheduler.
func (s *Scheduler) fetchOn(id uint32, steps int) uint32 {
	return fetchList(unsafe.SliceData(s.next), unsafe.SliceData(s.ents), unsafe.SliceData(s.rings), uint32(len(s.rings)-1), id, steps)
}

// fetchEach asks for the cache lines of n > 0 queues.
//
//go:noescape
func fetchEach(to *Queue, n int, ents *entity, rings *ring)

func (s *Scheduler) fetch(to []Queue) {
	if len(to) > 0 {
		fetchEach(unsafe.SliceData(to), len(to), unsafe.SliceData(s.ents), unsafe.SliceData(s.rings))
	}
}

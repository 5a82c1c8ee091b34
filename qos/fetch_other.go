//go:build !amd64

package qos

// fetchOn would ask for the cache lines of the entities that follow id in a list; without a way to do so it costs nothing.
func (s *Scheduler) fetchOn(uint32, int) uint32 { return 0 }

// fetch would do so for the queues of a burst.
func (s *Scheduler) fetch([]Queue) {}

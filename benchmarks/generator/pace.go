package generator

// backlog is how many frames a sender that was held up may send at once to catch up: what a receive queue of a NIC holds
// without loss. The rest of what it missed is never sent, and counted.
const backlog = 256

// pace says how many frames are due.
type pace struct {
	perCycle float64 // frames; 0 is as fast as possible
	start    uint64  // time stamp counter
	done     uint64  // frames sent or given up
	burst    int     // frames that go together
	skipped  uint64  // given up
}

// due is how many frames, at most limit, to send now.
func (p *pace) due(now uint64, limit int) int {
	if p.perCycle == 0 {
		return limit
	}
	owed := int64(float64(now-p.start)*p.perCycle) - int64(p.done)
	if owed > int64(backlog+p.burst) {
		over := uint64(owed - backlog)
		p.skipped += over
		p.done += over
		owed = backlog
	}
	n := min(int(owed), limit)
	if p.burst > 1 {
		n -= n % min(p.burst, limit)
	}
	return max(n, 0)
}

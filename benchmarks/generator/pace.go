package generator

// backlog is how many frames a sender that was held up may send at once to catch up: what a receive queue of a NIC holds
// without loss. The rest of what it missed is never sent, and counted: as blocked when the device had no room for frames,
// which is the fault of whoever empties it, and as skipped when the sender itself was late.
const backlog = 256

// pace says how many frames are due.
type pace struct {
	perCycle float64 // frames; 0 is as fast as possible
	start    uint64  // time stamp counter
	done     uint64  // frames sent or given up
	burst    int     // frames that go together
	full     bool    // the device had no room for the last frames
	skipped  uint64  // given up
	blocked  uint64  // given up while the device was full
}

// due is how many frames, at most limit, to send now.
func (p *pace) due(now uint64, limit int) int {
	if p.perCycle == 0 {
		return limit
	}
	owed := int64(float64(now-p.start)*p.perCycle) - int64(p.done)
	if owed > int64(backlog+p.burst) {
		over := uint64(owed - backlog)
		if p.full {
			p.blocked += over
		} else {
			p.skipped += over
		}
		p.done += over
		owed = backlog
	}
	n := min(int(owed), limit)
	if p.burst > 1 {
		n -= n % min(p.burst, limit)
	}
	return max(n, 0)
}

package generator

// Counts are of one trial.
type Counts struct {
	Sent         uint64 `json:"sent"`         // frames that devices took
	SentBytes    uint64 `json:"sentBytes"`    // of them, without FCS
	Refused      uint64 `json:"refused"`      // offered to a device that had no room: not sent, and tried again
	Blocked      uint64 `json:"blocked"`      // given up because the device had no room for so long
	Skipped      uint64 `json:"skipped"`      // given up because something held the generator up, or it is not fast enough
	Received     uint64 `json:"received"`     // of this trial, each once
	ReceivedSize uint64 `json:"receivedSize"` // bytes of them, without FCS
	Reordered    uint64 `json:"reordered"`    // of those received: after a later one of the same flow (RFC 4737)
	TooOld       uint64 `json:"tooOld"`       // of those reordered: too late to be told from a duplicate
	Duplicates   uint64 `json:"duplicates"`   // more arrivals of the same frame
	Astray       uint64 `json:"astray"`       // of those received: at another port than the profile says
	NewSent      uint64 `json:"newSent"`      // of those sent: frames that begin a flow
	NewReceived  uint64 `json:"newReceived"`  // of those received
	Damaged      uint64 `json:"damaged"`      // with a stamp that does not add up
	Late         uint64 `json:"late"`         // of an earlier trial
	Foreign      uint64 `json:"foreign"`      // not the generator's
}

// Lost are the frames that were sent and have not arrived.
func (c *Counts) Lost() uint64 {
	if c.Received >= c.Sent {
		return 0
	}
	return c.Sent - c.Received
}

// LossRatio is the lost share of what was sent.
func (c *Counts) LossRatio() float64 { return ratio(c.Lost(), c.Sent) }

func ratio(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// minus is what happened since.
func (c Counts) minus(o Counts) Counts {
	return Counts{Sent: c.Sent - o.Sent, SentBytes: c.SentBytes - o.SentBytes,
		Refused: c.Refused - o.Refused, Blocked: c.Blocked - o.Blocked, Skipped: c.Skipped - o.Skipped,
		Received: c.Received - o.Received, ReceivedSize: c.ReceivedSize - o.ReceivedSize, Reordered: c.Reordered - o.Reordered,
		TooOld: c.TooOld - o.TooOld, Duplicates: c.Duplicates - o.Duplicates, Astray: c.Astray - o.Astray,
		NewSent: c.NewSent - o.NewSent, NewReceived: c.NewReceived - o.NewReceived,
		Damaged: c.Damaged - o.Damaged, Late: c.Late - o.Late, Foreign: c.Foreign - o.Foreign}
}

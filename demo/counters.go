package demo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

// Balance is the account of one port: received + created = sent + consumed + dropped + queued, exactly.
type Balance struct {
	Host     string `json:"host"`
	Port     string `json:"port"`
	Kind     string `json:"kind"` // "vport", "uplink"
	Received uint64 `json:"received"`
	Created  uint64 `json:"created"`
	Sent     uint64 `json:"sent"`
	Consumed uint64 `json:"consumed"`
	Dropped  uint64 `json:"dropped"`
	Queued   uint64 `json:"queued"`
	Holds    bool   `json:"holds"`
	Reasons  string `json:"reasons,omitempty"` // of the drops, "no-route 3, source-spoof 1"
}

func newBalance(host, port, kind string, c *sluicev1.Counters) Balance {
	b := Balance{
		Host: host, Port: port, Kind: kind, Received: c.GetRxPackets(), Created: c.GetCreated(), Sent: c.GetSent(),
		Consumed: c.GetConsumed(), Dropped: c.GetDropped(), Queued: c.GetQueued(),
	}
	drops := slices.Clone(c.GetDrops())
	slices.SortFunc(drops, func(a, b *sluicev1.DropCount) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Reason, b.Reason))
	})
	reasons := make([]string, len(drops))
	var explained uint64
	for i, d := range drops {
		reasons[i] = fmt.Sprintf("%s %d", d.Reason, d.Packets)
		explained += d.Packets
	}
	b.Reasons = strings.Join(reasons, ", ")
	b.Holds = b.Received+b.Created == b.Sent+b.Consumed+b.Dropped+b.Queued && explained == b.Dropped
	return b
}

// checkCounters reads all counters once they have come to rest, and leaves the verdict to the report.
func (s *stage) checkCounters(ctx context.Context, r *Report) error {
	deadline := time.Now().Add(settleLimit)
	for before := []Balance(nil); ; {
		now, err := s.readCounters(ctx)
		if err != nil {
			return err
		}
		if slices.Equal(before, now) || time.Now().After(deadline) {
			r.Counters = now
			return nil
		}
		before = now
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (s *stage) readCounters(ctx context.Context) ([]Balance, error) {
	var all []Balance
	for i, client := range s.clients {
		host := s.plan.hosts[i].Name
		uplinks, err := client.ListUplinks(ctx, &sluicev1.ListUplinksRequest{})
		if err != nil {
			return nil, fmt.Errorf("read counters of %s: %w", host, err)
		}
		vports, err := client.ListVports(ctx, &sluicev1.ListVportsRequest{})
		if err != nil {
			return nil, fmt.Errorf("read counters of %s: %w", host, err)
		}
		for _, u := range uplinks.Uplinks {
			all = append(all, newBalance(host, u.Name, "uplink", u.Counters))
		}
		for _, v := range vports.Vports {
			all = append(all, newBalance(host, v.Name, "vport", v.Counters))
		}
	}
	return all, nil
}

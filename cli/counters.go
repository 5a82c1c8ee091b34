package cli

import (
	"fmt"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

// Counters account for a port's packets: rxPackets + created = sent + consumed + dropped + queued.
type Counters struct {
	RxPackets uint64      `json:"rxPackets"`
	RxBytes   uint64      `json:"rxBytes"`
	Created   uint64      `json:"created"`
	Sent      uint64      `json:"sent"`
	Consumed  uint64      `json:"consumed"`
	Dropped   uint64      `json:"dropped"`
	Queued    uint64      `json:"queued"`
	TxPackets uint64      `json:"txPackets"`
	TxBytes   uint64      `json:"txBytes"`
	Drops     []DropCount `json:"drops"`
}

// DropCount is what was dropped for one reason.
type DropCount struct {
	Reason      string `json:"reason"`
	Explanation string `json:"explanation"`
	Packets     uint64 `json:"packets"`
}

// Rates are per second over a window.
type Rates struct {
	RxPacketsPerSec float64 `json:"rxPacketsPerSec"`
	RxBitsPerSec    float64 `json:"rxBitsPerSec"`
	TxPacketsPerSec float64 `json:"txPacketsPerSec"`
	TxBitsPerSec    float64 `json:"txBitsPerSec"`
	DroppedPerSec   float64 `json:"droppedPerSec"`
}

// DeviceStats are the device's own counts.
type DeviceStats struct {
	RxPackets   uint64 `json:"rxPackets"`
	RxBytes     uint64 `json:"rxBytes"`
	RxMissed    uint64 `json:"rxMissed"`
	RxErrors    uint64 `json:"rxErrors"`
	RxNoBuffers uint64 `json:"rxNoBuffers"`
	TxPackets   uint64 `json:"txPackets"`
	TxBytes     uint64 `json:"txBytes"`
	TxErrors    uint64 `json:"txErrors"`
}

// Device stands behind a port.
type Device struct {
	Driver          string       `json:"driver"`
	Address         string       `json:"address,omitempty"`
	Interface       string       `json:"interface,omitempty"`
	Namespace       string       `json:"namespace,omitempty"`
	RxQueues        uint32       `json:"rxQueues"`
	TxQueues        uint32       `json:"txQueues"`
	LinkUp          bool         `json:"linkUp"`
	SpeedMbitPerSec uint32       `json:"speedMbitPerSec,omitempty"`
	Stats           *DeviceStats `json:"stats,omitempty"`
	StatsError      string       `json:"statsError,omitempty"`
}

func newCounters(c *sluicev1.Counters) Counters {
	v := Counters{RxPackets: c.GetRxPackets(), RxBytes: c.GetRxBytes(), Created: c.GetCreated(), Sent: c.GetSent(),
		Consumed: c.GetConsumed(), Dropped: c.GetDropped(), Queued: c.GetQueued(), TxPackets: c.GetTxPackets(), TxBytes: c.GetTxBytes(),
		Drops: []DropCount{}}
	for _, d := range c.GetDrops() {
		v.Drops = append(v.Drops, DropCount{Reason: d.GetReason(), Explanation: d.GetExplanation(), Packets: d.GetPackets()})
	}
	return v
}

const bitsPerByte = 8

// newRates compares two samples of a port, nil when there are not two.
func newRates(w window, before, now *sluicev1.Counters) *Rates {
	if before == nil {
		return nil
	}
	var out [5]float64
	for i, pair := range [5][2]uint64{
		{before.GetRxPackets(), now.GetRxPackets()}, {before.GetRxBytes(), now.GetRxBytes()},
		{before.GetTxPackets(), now.GetTxPackets()}, {before.GetTxBytes(), now.GetTxBytes()},
		{before.GetDropped(), now.GetDropped()},
	} {
		r := w.rate(pair[0], pair[1])
		if r == nil {
			return nil
		}
		out[i] = *r
	}
	return &Rates{RxPacketsPerSec: out[0], RxBitsPerSec: out[1] * bitsPerByte, TxPacketsPerSec: out[2], TxBitsPerSec: out[3] * bitsPerByte, DroppedPerSec: out[4]}
}

func newDevice(d *sluicev1.Device) Device {
	v := Device{Driver: d.GetDriver(), Address: d.GetAddress(), Interface: d.GetInterface(), Namespace: d.GetNamespace(),
		RxQueues: d.GetRxQueues(), TxQueues: d.GetTxQueues(), LinkUp: d.GetLinkUp(), SpeedMbitPerSec: d.GetSpeedMbitPerSec(),
		StatsError: d.GetStatsError()}
	if s := d.GetStats(); s != nil {
		v.Stats = &DeviceStats{RxPackets: s.GetRxPackets(), RxBytes: s.GetRxBytes(), RxMissed: s.GetRxMissed(), RxErrors: s.GetRxErrors(),
			RxNoBuffers: s.GetRxNoBuffers(), TxPackets: s.GetTxPackets(), TxBytes: s.GetTxBytes(), TxErrors: s.GetTxErrors()}
	}
	return v
}

// rateHeader and rateCells are the columns of a list of ports that show its traffic: rates with a window, totals without.
func rateHeader(windowed bool) []string {
	if windowed {
		return []string{">RX PKT/S", ">RX BIT/S", ">TX PKT/S", ">TX BIT/S", ">DROPS/S"}
	}
	return []string{">RX PACKETS", ">RX BYTES", ">TX PACKETS", ">TX BYTES", ">DROPPED"}
}

func rateCells(s *Screen, windowed bool, r *Rates, c Counters) []string {
	switch {
	case !windowed:
		return []string{count(c.RxPackets), count(c.RxBytes), count(c.TxPackets), count(c.TxBytes), s.Paint(dropColor(float64(c.Dropped)), count(c.Dropped))}
	case r == nil:
		return []string{"-", "-", "-", "-", "-"}
	}
	return []string{short(r.RxPacketsPerSec), short(r.RxBitsPerSec), short(r.TxPacketsPerSec), short(r.TxBitsPerSec),
		s.Paint(dropColor(r.DroppedPerSec), short(r.DroppedPerSec))}
}

func dropColor(n float64) Color {
	if n > 0 {
		return Doubtful
	}
	return Plain
}

func link(s *Screen, d Device) string {
	if !d.LinkUp {
		return s.Paint(Bad, "down")
	}
	return s.Paint(Good, "up")
}

// speed is empty when the device does not know it.
func (d Device) speed() string {
	if d.SpeedMbitPerSec == 0 {
		return ""
	}
	const mega = 1e6
	return short(float64(d.SpeedMbitPerSec)*mega) + "bit/s"
}

func (d Device) pairs(s *Screen) [][2]string {
	where := d.Interface
	if d.Namespace != "" {
		where += " in namespace " + d.Namespace
	}
	state := link(s, d)
	if sp := d.speed(); sp != "" {
		state += ", " + sp
	}
	return [][2]string{
		{"driver", d.Driver}, {"device", d.Address}, {"interface", where}, {"link", state},
		{"queues", fmt.Sprintf("%d receive, %d transmit", d.RxQueues, d.TxQueues)},
	}
}

// drawTraffic shows rates, the accounting with its sum, and what was dropped and why.
func drawTraffic(s *Screen, c Counters, r *Rates, d Device) {
	s.Gap()
	header := []string{"", ">PACKETS", ">BYTES"}
	rows := [][]string{{"rx", count(c.RxPackets), count(c.RxBytes)}, {"tx", count(c.TxPackets), count(c.TxBytes)}}
	if r != nil {
		header = append(header, ">PKT/S", ">BIT/S")
		rows[0] = append(rows[0], short(r.RxPacketsPerSec), short(r.RxBitsPerSec))
		rows[1] = append(rows[1], short(r.TxPacketsPerSec), short(r.TxBitsPerSec))
	}
	s.Table(header, rows)
	s.Gap()
	s.Line("%s received + %s created = %s sent + %s consumed + %s dropped + %s queued: %s", count(c.RxPackets), count(c.Created),
		count(c.Sent), count(c.Consumed), count(c.Dropped), count(c.Queued), c.verdict(s))
	if len(c.Drops) > 0 {
		s.Gap()
		var rows [][]string
		for _, drop := range c.Drops {
			rows = append(rows, []string{drop.Reason, count(drop.Packets), drop.Explanation})
		}
		s.Table([]string{"DROPPED FOR", ">PACKETS", "WHICH MEANS"}, rows)
	}
	s.Gap()
	if d.Stats == nil {
		s.Line("no counts of the device itself: %s", firstOf(d.StatsError, "it has none"))
		return
	}
	s.Line("the device itself: rx %s packets, %s missed, %s errors, %s without buffer; tx %s packets, %s errors", count(d.Stats.RxPackets),
		count(d.Stats.RxMissed), count(d.Stats.RxErrors), count(d.Stats.RxNoBuffers), count(d.Stats.TxPackets), count(d.Stats.TxErrors))
}

// verdict says whether the accounting adds up. While packets flow the sides are read at different moments.
func (c Counters) verdict(s *Screen) string {
	in, out := c.RxPackets+c.Created, c.Sent+c.Consumed+c.Dropped+c.Queued
	switch {
	case in == out:
		return s.Paint(Good, "adds up")
	case in > out:
		return s.Paint(Doubtful, count(in-out)+" more came in") + " (exact when no packets flow)"
	}
	return s.Paint(Doubtful, count(out-in)+" more went out") + " (exact when no packets flow)"
}

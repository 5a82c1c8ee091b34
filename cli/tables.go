package cli

import (
	"cmp"
	"slices"
	"strconv"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/policy"
)

// Record says where a customer address lives.
type Record struct {
	Network string `json:"network"`
	Subnet  string `json:"subnet"`
	VSID    uint32 `json:"vsid"`
	CA      string `json:"ca,omitempty"`
	MAC     string `json:"mac"`
	PA      string `json:"pa,omitempty"`
	Vport   string `json:"vport,omitempty"`
	Type    string `json:"type"`
	Method  string `json:"method"`
}

// Records is a list of them.
type Records struct {
	Records []Record `json:"records"`
}

// NewRecords shows the daemon's lookup records.
func NewRecords(r *sluicev1.ListRecordsResponse) *Records {
	list := &Records{Records: []Record{}}
	for _, rec := range r.GetRecords() {
		list.Records = append(list.Records, Record{Network: rec.GetNetwork(), Subnet: rec.GetSubnet(), VSID: rec.GetVsid(), CA: rec.GetCa(),
			MAC: rec.GetMac(), PA: rec.GetPa(), Vport: rec.GetVport(), Type: rec.GetType(), Method: rec.GetMethod()})
	}
	return list
}

// Draw shows one line per record.
func (l *Records) Draw(s *Screen) {
	if len(l.Records) == 0 {
		s.Line("no records")
		return
	}
	var rows [][]string
	for _, r := range l.Records {
		where := "host " + r.PA
		switch rewritten := r.Method == policy.MethodRewrite; {
		case r.Vport != "" && rewritten:
			where = "vport " + r.Vport + " as " + r.PA
		case r.Vport != "":
			where = "vport " + r.Vport
		case rewritten:
			where = "as " + r.PA
		}
		rows = append(rows, []string{r.Network, r.Subnet, strconv.Itoa(int(r.VSID)), firstOf(r.CA, "-"), r.MAC, where, r.Type, r.Method})
	}
	s.Table([]string{"NETWORK", "SUBNET", ">VSID", "CA", "MAC", "WHERE", "TYPE", "METHOD"}, rows)
}

// Neighbour is a fabric neighbour as ARP knows it.
type Neighbour struct {
	Uplink     string  `json:"uplink"`
	Address    string  `json:"address"`
	MAC        string  `json:"mac,omitempty"`
	State      string  `json:"state"`
	AgeSeconds float64 `json:"ageSeconds"`
}

// Neighbours is a list of them.
type Neighbours struct {
	Neighbours []Neighbour `json:"neighbours"`
}

// NewNeighbours shows the fabric's neighbours.
func NewNeighbours(r *sluicev1.ListNeighboursResponse) *Neighbours {
	list := &Neighbours{Neighbours: []Neighbour{}}
	for _, n := range r.GetNeighbours() {
		list.Neighbours = append(list.Neighbours, Neighbour{Uplink: n.GetUplink(), Address: n.GetAddress(), MAC: n.GetMac(), State: n.GetState(),
			AgeSeconds: nanoseconds(n.GetAgeNs()).Seconds()})
	}
	return list
}

// Draw shows one line per neighbour.
func (l *Neighbours) Draw(s *Screen) {
	if len(l.Neighbours) == 0 {
		s.Line("no neighbours: nothing was sent to the fabric yet")
		return
	}
	var rows [][]string
	for _, n := range l.Neighbours {
		rows = append(rows, []string{n.Uplink, n.Address, firstOf(n.MAC, "-"), n.State, span(seconds(n.AgeSeconds))})
	}
	s.Table([]string{"UPLINK", "ADDRESS", "MAC", "STATE", ">AGE"}, rows)
}

// LearnedMAC was seen as a source on a network that is not virtualised.
type LearnedMAC struct {
	Bridge     string  `json:"bridge"`
	MAC        string  `json:"mac"`
	Port       string  `json:"port"`
	AgeSeconds float64 `json:"ageSeconds"`
}

// Learned is a list of them.
type Learned struct {
	Learned []LearnedMAC `json:"learned"`
}

// NewLearned shows what the switch learned.
func NewLearned(r *sluicev1.ListLearnedResponse) *Learned {
	list := &Learned{Learned: []LearnedMAC{}}
	for _, m := range r.GetLearned() {
		list.Learned = append(list.Learned, LearnedMAC{Bridge: m.GetBridge(), MAC: m.GetMac(), Port: m.GetPort(), AgeSeconds: nanoseconds(m.GetAgeNs()).Seconds()})
	}
	return list
}

// Draw shows one line per address.
func (l *Learned) Draw(s *Screen) {
	if len(l.Learned) == 0 {
		s.Line("nothing learned: only VLAN and pass-through ports learn")
		return
	}
	var rows [][]string
	for _, m := range l.Learned {
		rows = append(rows, []string{m.Bridge, m.MAC, m.Port, span(seconds(m.AgeSeconds))})
	}
	s.Table([]string{"BRIDGE", "MAC", "PORT", ">AGE"}, rows)
}

// Drop is what a port's packets were dropped for. Grouped by port it has no reason, by reason no port.
type Drop struct {
	Port        string   `json:"port,omitempty"`
	PortKind    string   `json:"portKind,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	Explanation string   `json:"explanation,omitempty"`
	Packets     uint64   `json:"packets"`
	PerSec      *float64 `json:"perSec,omitempty"`
}

// Drops is a list of them.
type Drops struct {
	WindowSeconds float64 `json:"windowSeconds"` // 0: one sample, no rates
	Drops         []Drop  `json:"drops"`
}

// Grouping merges the rows of a list of drops.
type Grouping string

// Groupings, as the flag --by names them.
const (
	ByBoth   Grouping = ""
	ByPort   Grouping = "port"
	ByReason Grouping = "reason"
)

// NewDrops shows the second of two samples, with rates since the first (nil: without), the most dropped first.
func NewDrops(before, now *sluicev1.ListDropsResponse, by Grouping) *Drops {
	w := newWindow(before.GetSampledNs(), now.GetSampledNs())
	was := map[Drop]uint64{}
	for _, d := range before.GetDrops() {
		was[dropKey(d, by)] += d.GetPackets()
	}
	sum := map[Drop]uint64{}
	var order []Drop
	for _, d := range now.GetDrops() {
		k := dropKey(d, by)
		if _, seen := sum[k]; !seen {
			order = append(order, k)
		}
		sum[k] += d.GetPackets()
	}
	list := &Drops{WindowSeconds: w.seconds, Drops: []Drop{}}
	for _, k := range order {
		d := k
		d.Packets, d.PerSec = sum[k], w.rate(was[k], sum[k])
		list.Drops = append(list.Drops, d)
	}
	slices.SortStableFunc(list.Drops, func(a, b Drop) int { return cmp.Compare(b.Packets, a.Packets) })
	return list
}

func dropKey(d *sluicev1.Drop, by Grouping) Drop {
	var k Drop
	if by != ByReason {
		k.Port, k.PortKind = d.GetPort(), d.GetPortKind()
	}
	if by != ByPort {
		k.Reason, k.Explanation = d.GetReason(), d.GetExplanation()
	}
	return k
}

// Draw shows one line per port and reason.
func (l *Drops) Draw(s *Screen) {
	if len(l.Drops) == 0 {
		s.Line("nothing dropped")
		return
	}
	byPort, byReason := l.Drops[0].Reason == "", l.Drops[0].Port == ""
	var header []string
	if !byReason {
		header = append(header, "PORT")
	}
	if !byPort {
		header = append(header, "REASON")
	}
	header = append(header, ">PACKETS", ">PER SECOND")
	if !byPort {
		header = append(header, "WHICH MEANS")
	}
	var rows [][]string
	for _, d := range l.Drops {
		var row []string
		if !byReason {
			row = append(row, d.PortKind+" "+d.Port)
		}
		if !byPort {
			row = append(row, d.Reason)
		}
		rate := optional(d.PerSec, short)
		if d.PerSec != nil && *d.PerSec > 0 {
			rate = s.Paint(Doubtful, rate)
		}
		row = append(row, count(d.Packets), rate)
		if !byPort {
			row = append(row, d.Explanation)
		}
		rows = append(rows, row)
	}
	s.Table(header, rows)
}

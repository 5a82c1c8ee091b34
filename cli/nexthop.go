package cli

import (
	"fmt"
	"net/netip"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

// What the switches do with broadcast and multicast of a VM, whatever the policy: the sender makes a group's Ethernet
// address of it, which the question by customer addresses cannot say.
const (
	reasonBroadcast = "tenant-broadcast"
	broadcastMeans  = "broadcast and multicast of a virtual subnet are not carried, apart from ARP and neighbour discovery"
)

// verdictDrop is the API's word for a packet that goes nowhere.
const verdictDrop = "drop"

// NextHop says what the switch would do with a packet between two customer addresses.
type NextHop struct {
	From        string   `json:"from"`
	To          string   `json:"to"`
	Verdict     string   `json:"verdict"`
	Reason      string   `json:"reason,omitempty"`
	Explanation string   `json:"explanation,omitempty"`
	Vport       string   `json:"vport,omitempty"`
	Uplink      string   `json:"uplink,omitempty"`
	PA          string   `json:"pa,omitempty"`
	NextHop     string   `json:"nextHop,omitempty"`
	NextHopMAC  string   `json:"nextHopMAC,omitempty"`
	VSID        uint32   `json:"vsid,omitempty"`
	MAC         string   `json:"mac,omitempty"`
	Steps       []string `json:"steps"`
}

// NewNextHop shows the answer to a question.
func NewNextHop(q *sluicev1.NextHopRequest, r *sluicev1.NextHopResponse) *NextHop {
	if to, err := netip.ParseAddr(q.GetTarget()); err == nil && toGroup(to) {
		return &NextHop{From: q.GetSource(), To: q.GetTarget(), Verdict: verdictDrop, Reason: reasonBroadcast, Explanation: broadcastMeans,
			Steps: []string{q.GetTarget() + " is no address of a VM: a packet to it bears the Ethernet address of a group"}}
	}
	return &NextHop{From: q.GetSource(), To: q.GetTarget(), Verdict: r.GetVerdict(), Reason: r.GetReason(), Explanation: r.GetReasonExplanation(),
		Vport: r.GetVport(), Uplink: r.GetUplink(), PA: r.GetPa(), NextHop: r.GetNextHop(), NextHopMAC: r.GetNextHopMac(),
		VSID: r.GetVsid(), MAC: r.GetMac(), Steps: notNil(r.GetSteps())}
}

// toGroup reports whether an address is one of many receivers. Those of a subnet's broadcast cannot be told without its
// prefix.
func toGroup(a netip.Addr) bool {
	return a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// Dropped reports whether the packet would not arrive.
func (n *NextHop) Dropped() bool { return n.Verdict == verdictDrop }

// Draw shows the steps, then where they lead.
func (n *NextHop) Draw(s *Screen) {
	for i, step := range n.Steps {
		s.Line("%2d. %s", i+1, step)
	}
	s.Gap()
	vsid := ""
	if n.VSID != 0 {
		vsid = fmt.Sprint(n.VSID)
	}
	color, mac := Good, n.MAC
	if n.Dropped() {
		color, mac = Bad, ""
	}
	reason := n.Reason
	if n.Explanation != "" {
		reason += ": " + n.Explanation
	}
	hop := n.NextHop
	if hop != "" {
		hop += " at " + firstOf(n.NextHopMAC, "a MAC not known yet")
	}
	s.Pairs([2]string{"verdict", s.Paint(color, n.Verdict)}, [2]string{"reason", reason}, [2]string{"vport", n.Vport}, [2]string{"uplink", n.Uplink},
		[2]string{"provider address", n.PA}, [2]string{"next hop", hop}, [2]string{"VSID", vsid}, [2]string{"inner MAC", mac})
}

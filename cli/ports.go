package cli

import (
	"fmt"
	"strconv"
	"strings"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

// Vport is a VM's port. Rx is what the switch received from the VM, tx what it delivered to it.
type Vport struct {
	Name       string   `json:"name"`
	Index      uint32   `json:"index"`
	MAC        string   `json:"mac"`
	MTU        uint32   `json:"mtu"`
	Attachment string   `json:"attachment"`
	Network    string   `json:"network,omitempty"`
	Subnet     string   `json:"subnet,omitempty"`
	VSID       uint32   `json:"vsid,omitempty"`
	VLAN       uint32   `json:"vlan,omitempty"`
	Trunk      []uint32 `json:"trunk,omitempty"`
	Uplink     string   `json:"uplink,omitempty"`
	Addresses  []string `json:"addresses"`
	Device     Device   `json:"device"`
	Counters   Counters `json:"counters"`
	Rates      *Rates   `json:"rates,omitempty"`
}

// Vports is a list of them.
type Vports struct {
	WindowSeconds float64 `json:"windowSeconds"` // 0: one sample, no rates
	Vports        []Vport `json:"vports"`
}

// NewVports shows the second of two samples, with rates since the first (nil: without).
func NewVports(before, now *sluicev1.ListVportsResponse) *Vports {
	w := newWindow(before.GetSampledNs(), now.GetSampledNs())
	was := map[string]*sluicev1.Counters{}
	for _, p := range before.GetVports() {
		was[p.GetName()] = p.GetCounters()
	}
	list := &Vports{WindowSeconds: w.seconds, Vports: []Vport{}}
	for _, p := range now.GetVports() {
		list.Vports = append(list.Vports, Vport{
			Name: p.GetName(), Index: p.GetIndex(), MAC: p.GetMac(), MTU: p.GetMtu(), Attachment: p.GetAttachment(),
			Network: p.GetNetwork(), Subnet: p.GetSubnet(), VSID: p.GetVsid(), VLAN: p.GetVlan(), Trunk: p.GetTrunk(), Uplink: p.GetUplink(),
			Addresses: notNil(p.GetAddresses()), Device: newDevice(p.GetDevice()), Counters: newCounters(p.GetCounters()),
			Rates: newRates(w, was[p.GetName()], p.GetCounters()),
		})
	}
	return list
}

// attached says in words what the port belongs to.
func (p *Vport) attached() string {
	switch {
	case p.Subnet != "":
		return fmt.Sprintf("%s/%s (VSID %d)", p.Network, p.Subnet, p.VSID)
	case p.VLAN != 0:
		return fmt.Sprintf("%s VLAN %d", p.Uplink, p.VLAN)
	case len(p.Trunk) > 0:
		vlans := make([]string, len(p.Trunk))
		for i, v := range p.Trunk {
			vlans[i] = strconv.Itoa(int(v))
		}
		return fmt.Sprintf("%s pass-through, VLANs %s", p.Uplink, strings.Join(vlans, ","))
	}
	return strings.TrimSpace(p.Uplink + " " + p.Attachment)
}

// Draw shows one line per port.
func (l *Vports) Draw(s *Screen) {
	if len(l.Vports) == 0 {
		s.Line("no vports")
		return
	}
	windowed := l.WindowSeconds > 0
	var rows [][]string
	for i := range l.Vports {
		p := &l.Vports[i]
		rows = append(rows, append([]string{p.Name, p.attached(), strings.Join(p.Addresses, " "), p.MAC, link(s, p.Device)},
			rateCells(s, windowed, p.Rates, p.Counters)...))
	}
	s.Table(append([]string{"VPORT", "NETWORK", "ADDRESSES", "MAC", "LINK"}, rateHeader(windowed)...), rows)
}

// Draw shows everything about one port.
func (p *Vport) Draw(s *Screen) {
	pairs := [][2]string{{"vport", p.Name}, {"network", p.attached()}, {"addresses", strings.Join(p.Addresses, " ")}, {"mac", p.MAC},
		{"mtu", strconv.Itoa(int(p.MTU))}}
	s.Pairs(append(pairs, p.Device.pairs(s)...)...)
	drawTraffic(s, p.Counters, p.Rates, p.Device)
}

// Uplink is a physical port.
type Uplink struct {
	Name              string   `json:"name"`
	Index             uint32   `json:"index"`
	MAC               string   `json:"mac"`
	MTU               uint32   `json:"mtu"`
	ProviderAddresses []string `json:"providerAddresses"`
	Gateway           string   `json:"gateway,omitempty"`
	Device            Device   `json:"device"`
	DCB               DCB      `json:"dcb"`
	Counters          Counters `json:"counters"`
	Rates             *Rates   `json:"rates,omitempty"`
}

// DCB is what an uplink's device can do of data center bridging by itself, and what of it is in force.
type DCB struct {
	Classes           uint32   `json:"classes"`          // that its driver tells of
	Reason            string   `json:"reason,omitempty"` // why there are none
	HasPFC            bool     `json:"hasPFC"`           // its driver has priority flow control
	Running           uint32   `json:"running"`          // classes that it runs with
	Divides           bool     `json:"divides"`          // it divides the link among these
	PausingPriorities []uint32 `json:"pausingPriorities"`
	Refused           string   `json:"refused,omitempty"`  // why less is in force than was asked for
	Software          string   `json:"software,omitempty"` // why classes are scheduled in software
}

func newDCB(m *sluicev1.DCB) DCB {
	return DCB{Classes: m.GetClasses(), Reason: m.GetReason(), HasPFC: m.GetHasPfc(), Running: m.GetRunning(), Divides: m.GetDivides(),
		PausingPriorities: notNil(m.GetPausingPriorities()), Refused: m.GetRefused(), Software: m.GetSoftware()}
}

// pairs say what the device can do, who schedules, and what pauses.
func (d DCB) pairs() [][2]string {
	can, pfc := firstOf(d.Reason, "none in the device"), "none in the device"
	if d.Reason == "" && d.Classes > 0 {
		can = fmt.Sprintf("%d classes in the device, which are not used", d.Classes)
	}
	if d.Running > 0 {
		can = fmt.Sprintf("%d classes in the device, each for its priority", d.Running)
	}
	if d.HasPFC {
		pfc = "possible, and off"
	}
	if len(d.PausingPriorities) > 0 {
		pfc = "priorities"
		for _, p := range d.PausingPriorities {
			pfc += fmt.Sprintf(" %d", p)
		}
	}
	pairs := [][2]string{{"dcb", can}, {"pfc", pfc}}
	switch {
	case d.Divides:
		pairs = append(pairs, [2]string{"scheduled", "by the device"})
	case d.Software != "":
		pairs = append(pairs, [2]string{"scheduled", "in software: " + d.Software})
	}
	if d.Refused != "" && d.Refused != d.Reason && d.Refused != d.Software {
		pairs = append(pairs, [2]string{"refused", d.Refused})
	}
	return pairs
}

// Uplinks is a list of them.
type Uplinks struct {
	WindowSeconds float64  `json:"windowSeconds"` // 0: one sample, no rates
	Uplinks       []Uplink `json:"uplinks"`
}

// NewUplinks shows the second of two samples, with rates since the first (nil: without).
func NewUplinks(before, now *sluicev1.ListUplinksResponse) *Uplinks {
	w := newWindow(before.GetSampledNs(), now.GetSampledNs())
	was := map[string]*sluicev1.Counters{}
	for _, p := range before.GetUplinks() {
		was[p.GetName()] = p.GetCounters()
	}
	list := &Uplinks{WindowSeconds: w.seconds, Uplinks: []Uplink{}}
	for _, p := range now.GetUplinks() {
		list.Uplinks = append(list.Uplinks, Uplink{
			Name: p.GetName(), Index: p.GetIndex(), MAC: p.GetMac(), MTU: p.GetMtu(), ProviderAddresses: notNil(p.GetProviderAddresses()),
			Gateway: p.GetGateway(), Device: newDevice(p.GetDevice()), DCB: newDCB(p.GetDcb()), Counters: newCounters(p.GetCounters()),
			Rates: newRates(w, was[p.GetName()], p.GetCounters()),
		})
	}
	return list
}

// Draw shows one line per port.
func (l *Uplinks) Draw(s *Screen) {
	if len(l.Uplinks) == 0 {
		s.Line("no uplinks")
		return
	}
	windowed := l.WindowSeconds > 0
	var rows [][]string
	for i := range l.Uplinks {
		p := &l.Uplinks[i]
		rows = append(rows, append([]string{p.Name, strings.Join(p.ProviderAddresses, " "), p.Device.name(), p.MAC,
			strconv.Itoa(int(p.MTU)), link(s, p.Device), firstOf(p.Device.speed(), "-")}, rateCells(s, windowed, p.Rates, p.Counters)...))
	}
	s.Table(append([]string{"UPLINK", "PROVIDER ADDRESSES", "DEVICE", "MAC", ">MTU", "LINK", ">SPEED"}, rateHeader(windowed)...), rows)
}

// Draw shows everything about one port.
func (p *Uplink) Draw(s *Screen) {
	pairs := [][2]string{{"uplink", p.Name}, {"addresses", strings.Join(p.ProviderAddresses, " ")}, {"gateway", p.Gateway}, {"mac", p.MAC},
		{"mtu", strconv.Itoa(int(p.MTU))}}
	pairs = append(append(pairs, p.Device.pairs(s)...), p.DCB.pairs()...)
	s.Pairs(pairs...)
	drawTraffic(s, p.Counters, p.Rates, p.Device)
}

// name is the shortest that tells a device apart.
func (d Device) name() string {
	if d.Interface != "" {
		return d.Interface
	}
	return firstOf(d.Address, d.Driver)
}

// notNil makes an absent list an empty one, so that programs find a list in JSON.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

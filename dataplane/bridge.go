package dataplane

import (
	"slices"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// forwardBridged switches the frames of ports that are not virtualised by learned addresses, inside one VLAN of one
// uplink.
func forwardBridged(s *Switch, f *newFlow) bool {
	vlan, reason := bridgedVLAN(f.port, f.meta)
	if reason != ReasonUndecided {
		return f.drop(reason)
	}
	uplink := f.port.Uplink
	switch {
	case f.port.Kind == policy.PortUplink:
		uplink = f.in
	case f.srcMAC == f.snap.Port(uplink).MAC:
		return f.drop(ReasonSourceMACSpoof)
	case vlan == 0 && ownedHere(f.snap, f.src): // it could speak as this host to all others; VLANs have addresses of their own
		return f.drop(ReasonSourceAddrSpoof)
	}
	if f.dstMAC == f.snap.Port(uplink).MAC {
		return f.drop(ReasonNotForUs) // no vport has it: it would be flooded
	}
	br := f.snap.Bridges[policy.BridgeID(uplink, vlan)]
	if br == nil {
		if vlan != 0 {
			return f.drop(ReasonVLANNotAllowed)
		}
		return f.drop(ReasonNotForUs)
	}
	f.act.flags |= flagLearn
	f.act.tag, f.act.vsid = vlan, br.ID
	f.srcCell = macCell(br.ID, true, f.srcMAC)
	f.dstCell = macCell(br.ID, true, f.dstMAC)
	port, known := s.fdb.lookup(br.ID, f.dstMAC)
	if f.dstMAC.IsGroup() || !known || !(port == uplink || slices.Contains(br.Ports, port)) {
		if f.note != nil {
			f.notef("flooded in VLAN %d", vlan)
		}
		f.act.kind, f.act.out = actFlood, br.ID
		return true
	}
	if port == f.in {
		return f.drop(ReasonHairpin)
	}
	if f.note != nil {
		f.notef("switched in VLAN %d by its learned address", vlan)
	}
	f.act.kind, f.act.out = actForward, port
	f.act.flags |= tagFlags(f.snap.Port(port), vlan, f.meta.VID() != 0)
	f.act.maxLen = bridgedMax(f.snap.Port(port))
	return false
}

// bridgedMax leaves room for a tag: the MTU counts the IP packet alone.
func bridgedMax(out *policy.Port) uint16 { return addMTU(out.MTU, 14+4) }

// bridgedVLAN finds the VLAN that a frame belongs to by the port that it came from.
func bridgedVLAN(port *policy.Port, m *packet.Parsed) (uint16, Reason) {
	vid := m.VID()
	hidden := vid == 0 && m.Tagged && m.Nested // receivers skip a priority tag, and find the VLAN behind it
	if port.Kind == policy.PortUplink && !hidden {
		return vid, ReasonUndecided
	}
	switch {
	case port.Attach == policy.AttachVLAN:
		if vid != 0 || hidden {
			return 0, ReasonVLANTag
		}
		return port.VLAN, ReasonUndecided
	case hidden:
		return 0, ReasonVLANNotAllowed
	case port.Attach == policy.AttachPassThrough:
		if vid == 0 || slices.Contains(port.Trunk, vid) {
			return vid, ReasonUndecided
		}
		return 0, ReasonVLANNotAllowed
	}
	return 0, ReasonPortGone
}

// tagFlags says how a frame of a VLAN has to change on its way out of a port: access ports are untagged, all others
// carry the tag. Priority tags stay as they are where no VLAN is involved.
func tagFlags(out *policy.Port, vlan uint16, tagged bool) uint16 {
	access := out.Kind == policy.PortVport && out.Attach == policy.AttachVLAN
	switch {
	case vlan == 0:
		return 0
	case access && tagged:
		return flagStripTag
	case !access && !tagged:
		return flagPushTag
	}
	return 0
}

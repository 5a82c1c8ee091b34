package agent

import (
	"fmt"
	"slices"

	"github.com/sluicenet/sluice/policy"
)

// Who schedules an uplink: its device or a scheduler.

// hardwareDifference says what of that which is asked for now a running device could only be opened with; "" if nothing.
// What it does not divide itself a scheduler divides.
func (s *UplinkSpec) hardwareDifference(d DCB) string {
	h := s.Hardware
	switch {
	case d.Running > 0 && (h.PFC != d.PFC || h.Divides && !d.Divides || h.Classes > 0 && h.Classes != d.Running):
		return "another use of the classes of its device"
	case d.Running == 0 && d.Err == nil && h.Required && h.Classes > 0:
		return "hardware: required"
	}
	return ""
}

// hardwareRefusal says that a running device does not have what is required; nil if it may have.
func (s *UplinkSpec) hardwareRefusal(d DCB) error {
	if s.Hardware.Required && s.Hardware.Classes > 0 && d.Running == 0 && d.Err != nil {
		return fmt.Errorf("uplink %s: hardware is required, and refuses: %w", s.Name, d.Err)
	}
	return nil
}

// asOpened is what ports need buffers for: devices that run have as many classes as they were opened with.
func asOpened(specs []portSpec, running map[string]*port) []portSpec {
	specs = slices.Clone(specs)
	for i, s := range specs {
		if r := running[s.name()]; r != nil && s.uplink != nil {
			u := *s.uplink
			u.Hardware.Classes = r.dcb().Running
			specs[i].uplink = &u
		}
	}
	return specs
}

// Divides reports that an uplink's device divides the link as the configuration says.
func (r *Running) Divides(name string) bool { return r.divides[name] }

// software says why the classes of an uplink are scheduled in software; "" where they are not, or it has none.
func (r *Running) software(p *port) string {
	u := r.Config.Uplink(p.name)
	if u == nil || !u.Scheduled() || r.Divides(u.Name) {
		return ""
	}
	if _, why := r.Config.Hardware(u); why != "" {
		return why
	}
	return p.device.DCB().refusal()
}

// refusal says in words why a device does not divide its link.
func (d DCB) refusal() string {
	switch {
	case d.Refused != nil:
		return d.Refused.Error()
	case d.Err != nil:
		return d.Err.Error()
	}
	return "it was opened without, which a restart of sluiced changes"
}

// tellScheduling logs who divides the uplinks that have shares from now on, and which of their classes do not pause.
func (a *Agent) tellScheduling(now, next *Running) {
	for i := range next.Config.Uplinks {
		u := &next.Config.Uplinks[i]
		p := next.byName[u.Name]
		if !u.Scheduled() {
			continue
		}
		why := next.software(p)
		want, _ := next.Config.Hardware(u)
		if now.Config != nil {
			was := now.Config.Uplink(u.Name)
			if before := now.byName[u.Name]; was != nil && before != nil && was.Scheduled() && now.software(before) == why && asked(now.Config, was) == want {
				continue
			}
		}
		d := p.device.DCB()
		if why == "" {
			a.log.Info("classes are scheduled by the device", "uplink", u.Name, "classes", d.Running)
		} else {
			a.log.Info("classes are scheduled in software", "uplink", u.Name, "because", why)
		}
		if missing := want.PFC &^ d.PFC; missing != 0 {
			a.log.Warn("no priority flow control: the device refuses, and frames of these priorities may be lost", "uplink", u.Name,
				"priorities", Priorities(missing), "because", d.refusal())
		}
	}
}

func asked(c *policy.Config, u *policy.UplinkConfig) policy.HardwareQoS {
	h, _ := c.Hardware(u)
	return h
}

// Priorities lists those of a set.
func Priorities(set uint8) (list []int) {
	for p := range 8 {
		if set>>p&1 != 0 {
			list = append(list, p)
		}
	}
	return list
}

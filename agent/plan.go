package agent

import (
	"fmt"
	"strings"
)

// portSpec is what one port of the configuration wants of the system: an uplink or a tap, not both.
type portSpec struct {
	uplink *UplinkSpec
	tap    *TapSpec
}

func (s portSpec) name() string {
	if s.uplink != nil {
		return s.uplink.Name
	}
	return s.tap.Name
}

// object names the port in messages.
func (s portSpec) object() string {
	if s.uplink != nil {
		return "uplink " + s.uplink.Name
	}
	return "vport " + s.tap.Name
}

// thing names what of the system the port takes for itself: no two ports can have it at one time.
func (s portSpec) thing() string {
	switch {
	case s.uplink == nil && s.tap.Namespace != "":
		return "interface " + s.tap.Interface + " in namespace " + s.tap.Namespace
	case s.uplink == nil:
		return "interface " + s.tap.Interface
	case s.uplink.PCI != "":
		return "PCI device " + s.uplink.PCI
	}
	device, _, _ := strings.Cut(s.uplink.DevArgs, ",")
	return "device " + device
}

// difference says in words why the running port cannot become s in place; "" if it can, or is s already. A NIC would have
// to be stopped for another MTU or number of queues, and a tap made anew for another number.
func (s portSpec) difference(running portSpec, dcb DCB) string {
	switch {
	case s.uplink != nil && s.uplink.DevArgs != running.uplink.DevArgs:
		return fmt.Sprintf("device arguments from %s to %s", running.uplink.DevArgs, s.uplink.DevArgs)
	case s.uplink != nil && s.uplink.RxQueues != running.uplink.RxQueues:
		return fmt.Sprintf("queues from %d to %d", running.uplink.RxQueues, s.uplink.RxQueues)
	case s.uplink != nil && s.uplink.MTU != running.uplink.MTU:
		return fmt.Sprintf("MTU from %d to %d", running.uplink.MTU, s.uplink.MTU)
	case s.uplink != nil && s.uplink.Hardware != running.uplink.Hardware:
		return s.uplink.hardwareDifference(dcb)
	case s.tap != nil && s.tap.Queues != running.tap.Queues:
		return fmt.Sprintf("queues from %d to %d", running.tap.Queues, s.tap.Queues)
	case s.tap != nil && s.tap.Persist != running.tap.Persist:
		return fmt.Sprintf("persist from %t to %t", running.tap.Persist, s.tap.Persist)
	}
	return ""
}

// sameSpec reports whether nothing has to be done to make running into s.
func (s portSpec) sameSpec(running portSpec) bool {
	if s.uplink != nil && running.uplink != nil {
		return *s.uplink == *running.uplink
	}
	return s.tap != nil && running.tap != nil && *s.tap == *running.tap
}

// plan is what it takes to get from the running ports to the wanted ones. Ports that it does not name are not touched.
type plan struct {
	open   []portSpec // new ports, and new devices of ports that change theirs
	change []change   // vports that stay and get another address or MTU, uplinks whose device cannot do what is asked either way
	close  []*port    // ports that go, and old devices of ports that change theirs
}

type change struct {
	port *port
	spec portSpec
}

// makePlan compares the running ports, by name, with the wanted ones. A port whose interface was deleted behind our back
// is opened anew; with heal only the one of that name is, and others in that state stay as they are. It fails, with what to
// do instead, on a step that could not be undone: a device that would have to be closed before its successor can be opened.
func makePlan(running map[string]*port, order []*port, wanted []portSpec, heal string) (plan, error) {
	var p plan
	owner := make(map[string]*port, len(order))
	for _, r := range order {
		owner[r.spec.thing()] = r
	}
	stays := make(map[*port]bool, len(order))
	for _, w := range wanted {
		r := running[w.name()]
		if r != nil && (r.spec.uplink != nil) == (w.uplink != nil) && r.spec.thing() == w.thing() {
			if heal != "" && heal != w.name() {
				stays[r] = true
				continue
			}
			if r.gone() {
				p.open = append(p.open, w)
				continue
			}
			if w.uplink != nil {
				if err := w.uplink.hardwareRefusal(r.dcb()); err != nil {
					return plan{}, err
				}
			}
			if d := w.difference(r.spec, r.dcb()); d != "" {
				return plan{}, fmt.Errorf("%s: %s takes a restart of sluiced; everything else of this file can be applied now by leaving it as it is",
					w.object(), d)
			}
			stays[r] = true
			if !w.sameSpec(r.spec) {
				p.change = append(p.change, change{r, w})
			}
			continue
		}
		if o := owner[w.thing()]; o != nil {
			return plan{}, fmt.Errorf("%s: %s is still in use by %s; apply a configuration without that one first, then this",
				w.object(), w.thing(), o.spec.object())
		}
		p.open = append(p.open, w)
	}
	for _, r := range order {
		if !stays[r] {
			p.close = append(p.close, r)
		}
	}
	return p, nil
}

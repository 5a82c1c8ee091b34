package policy

import (
	"fmt"
	"slices"
)

// How the device of an uplink takes part in quality of service.
const (
	HardwareAuto     = "auto"     // where it can do all that the file says, and for pfc
	HardwareOff      = "off"      // not at all
	HardwareRequired = "required" // it does all, or the configuration is refused
)

// HardwareQoS is what the device of an uplink is asked for.
type HardwareQoS struct {
	Classes  int   // that it runs with: 4 or 8; 0: none
	PFC      uint8 // priorities that pause, a bit for each
	Divides  bool  // it divides the link among the classes; else a scheduler does
	Required bool  // what it refuses is refused
}

// Hardware is what the device of an uplink is asked for, and why it is not asked to divide the link.
func (c *Config) Hardware(u *UplinkConfig) (h HardwareQoS, why string) {
	if !u.has("qos") {
		return h, ""
	}
	if u.QoS.Hardware == HardwareOff {
		return h, "hardware is off"
	}
	h.Required = u.QoS.Hardware == HardwareRequired
	for i := range u.QoS.Classes {
		if k := &u.QoS.Classes[i]; k.PFC {
			h.PFC |= 1 << (k.TC % TrafficClasses)
		}
	}
	_, _, why = c.onlySoftware(u)
	h.Divides = why == ""
	if h.Divides || h.PFC != 0 {
		h.Classes = u.QoS.deviceClasses()
	}
	return h, why
}

// deviceClasses is how many classes a device has to have: DPDK gives it 4 or 8.
func (q *LinkQoSConfig) deviceClasses() int {
	if slices.ContainsFunc(q.Classes, func(k ClassConfig) bool { return k.TC >= TrafficClasses/2 }) {
		return TrafficClasses
	}
	return TrafficClasses / 2
}

// onlySoftware finds what of an uplink's qos no device does by DPDK, which gives devices a number of classes and the
// priorities that they are for, but no shares, rates or queues: these are even, of the whole link, and of all senders.
func (c *Config) onlySoftware(u *UplinkConfig) (o described, key, why string) {
	q := &u.QoS
	if q.BytesPerSec > 0 {
		return q, "rate", "the link has a rate"
	}
	if d := &q.Default; d.has("min") || d.has("minWeight") {
		return d, "", "the default flow has a share"
	}
	if want := q.deviceClasses(); len(q.Classes) != want {
		return q, "classes", fmt.Sprintf("a device has 4 classes (tc 0 to 3) or 8 (tc 0 to 7), and these are %d", len(q.Classes))
	}
	for i := range q.Classes {
		k := &q.Classes[i]
		switch {
		case k.Strict:
			return k, "strict", "the class is strict"
		case k.Share != q.Classes[0].Share:
			return k, "share", fmt.Sprintf("the class has %s, and class %s has %s", percent(k.Share), q.Classes[0].Name, percent(q.Classes[0].Share))
		case k.MaxBytesPerSec > 0:
			return k, "max", "the class has a max"
		case k.has("queue"):
			return k, "queue", "the class has a queue of its own size"
		case k.MarkBytes > 0:
			return k, "ecn", "the class marks congestion (ecn, which is on unless it is off)"
		}
		if !c.bearsPriority(k.TC) {
			return k, "tc", fmt.Sprintf("its packets do not bear its priority: classification.outer has no {tc: %d, pcp: %d}", k.TC, k.TC)
		}
	}
	for i := range c.Vports {
		v := &c.Vports[i]
		if s := c.shareOf(v); v.sendsBy(u) && s.own() {
			return v, "qos", "a vport has a share or a limit of its own"
		} else if v.Uplink == u.Name {
			return v, "uplink", "the frames of a bridged vport bear priorities of their own"
		}
	}
	return nil, "", ""
}

// bearsPriority reports that what leaves in NVGRE, or rewritten, bears the priority of its class.
func (c *Config) bearsPriority(tc uint8) bool {
	return slices.ContainsFunc(c.Classification.Outer, func(o OuterConfig) bool { return o.TC == tc && o.PCP.Set && o.PCP.Value == tc })
}

// hardware checks what the device of an uplink is asked for.
func (k *checker) hardware(u *UplinkConfig) {
	q := &u.QoS
	if k.refused(q, "hardware") || k.refused(q, "classes") {
		return
	}
	for i := range q.Classes {
		c := &q.Classes[i]
		switch {
		case !c.PFC || c.partial:
		case q.Hardware == HardwareOff:
			k.problem(c, "pfc", "the class has pfc, which only a device does, and hardware is off", "leave one of them out")
		case len(u.ProviderAddresses) > 0 && !k.c.bearsPriority(c.TC) && !k.unread("classification"):
			k.problem(c, "pfc", fmt.Sprintf("the class has pfc, which pauses a priority, and its packets do not bear one: classification.outer has no {tc: %d, pcp: %d}", c.TC, c.TC),
				fmt.Sprintf("add outer: [{tc: %d, pcp: %d}] to classification", c.TC, c.TC))
		}
	}
	if q.Hardware != HardwareRequired || q.partial {
		return
	}
	if o, key, why := k.c.onlySoftware(u); why != "" {
		k.problem(o, key, fmt.Sprintf("%s, which a device cannot do, and hardware of uplink %s (line %d) is required", why, u.Name, q.Line()),
			"leave it out, or use hardware: auto")
	}
}

package policy

import (
	"cmp"
	"fmt"
	"strings"
)

// words collects "key value" of what is given.
type words []string

func (w *words) add(key, value string) {
	if value != "" {
		*w = append(*w, key+" "+value)
	}
}

func (w *words) rate(key string, bytesPerSec uint64) {
	if bytesPerSec > 0 {
		w.add(key, showRate(bytesPerSec))
	}
}

func (w *words) size(key string, bytes uint64) {
	if bytes > 0 {
		w.add(key, showSize(bytes))
	}
}

func (w words) String() string { return cmp.Or(strings.Join(w, " "), "-") }

func (s *ShareConfig) words() (w words) {
	if s.MinWeight > 0 {
		w.add("minWeight", fmt.Sprint(s.MinWeight))
	}
	w.rate("min", s.MinBytesPerSec)
	w.rate("max", s.MaxBytesPerSec)
	w.size("burst", s.BurstBytes)
	return w
}

// String is what is said for vports, in one line.
func (q *VportQoSConfig) String() string {
	w := q.words()
	w.add("group", q.Group)
	for i := range q.Destinations {
		d := &q.Destinations[i]
		var of words
		of.add("to", listed(d.Prefixes))
		of.rate("max", d.MaxBytesPerSec)
		of.size("burst", d.BurstBytes)
		w.add("destination", d.Name+" ("+of.String()+")")
	}
	w.rate("inbound max", q.Inbound.MaxBytesPerSec)
	w.size("inbound burst", q.Inbound.BurstBytes)
	w.rate("storm", q.Inbound.StormBytesPerSec)
	return w.String()
}

// rateWords is the rate of an uplink with qos.
func (u *UplinkConfig) rateWords() string {
	switch {
	case !u.has("qos"):
		return ""
	case u.QoS.BytesPerSec == 0:
		return "of the device"
	}
	return showRate(u.QoS.BytesPerSec)
}

// hardwareWords is how the device of an uplink with qos is used.
func (u *UplinkConfig) hardwareWords() string {
	if !u.has("qos") {
		return ""
	}
	return u.QoS.Hardware
}

// defaultFlowWords is the share of an uplink's default flow.
func (u *UplinkConfig) defaultFlowWords() string {
	if !u.has("qos") {
		return ""
	}
	d := u.QoS.Default.ShareConfig
	if d.MinBytesPerSec == 0 {
		d.MinWeight = cmp.Or(d.MinWeight, defaultMinWeight)
	}
	return d.words().String()
}

func classesOf(c *Config) (views []view) {
	if c == nil {
		return nil
	}
	for i := range c.Uplinks {
		u := &c.Uplinks[i]
		for j := range u.QoS.Classes {
			k := &u.QoS.Classes[j]
			share, maximum, ecn := "strict", "", "off"
			if !k.Strict {
				share = percent(k.Share)
			}
			if k.MaxBytesPerSec > 0 {
				maximum = showRate(k.MaxBytesPerSec)
			}
			if k.MarkBytes > 0 {
				ecn = "from " + showSize(uint64(k.MarkBytes)) + " to " + showSize(uint64(k.MarkFullBytes))
			}
			pfc := ""
			if k.PFC {
				pfc = "on"
			}
			views = append(views, view{k.Name + " of " + u.Name, []property{
				prop("tc", fmt.Sprint(k.TC), EffectPolicy),
				prop("share", share, EffectPolicy),
				prop("max", maximum, EffectPolicy),
				prop("queue", showSize(uint64(k.QueueBytes)), EffectPolicy),
				prop("ecn", ecn, EffectPolicy),
				prop("pfc", pfc, EffectPolicy),
			}})
		}
	}
	return views
}

func qosGroupsOf(c *Config) (views []view) {
	if c == nil {
		return nil
	}
	for i := range c.QoSGroups {
		g := &c.QoSGroups[i]
		s := g.ShareConfig
		if s.MinBytesPerSec == 0 {
			s.MinWeight = cmp.Or(s.MinWeight, defaultMinWeight)
		}
		views = append(views, view{g.Name, []property{prop("share", s.words(), EffectPolicy), prop("vports", &g.Vports, EffectPolicy)}})
	}
	return views
}

func hostGroupsOf(c *Config) (views []view) {
	if c == nil {
		return nil
	}
	for i := range c.HostGroups {
		views = append(views, view{c.HostGroups[i].Name, []property{prop("qos", &c.HostGroups[i].QoS, EffectPolicy)}})
	}
	return views
}

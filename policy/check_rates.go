package policy

import "fmt"

// defaultsBeyond refuses limits of groups, networks and hosts which no link of the vports that get them has. One that some
// link has is not: it is meant for that.
func (k *checker) defaultsBeyond(rate func(u *UplinkConfig) uint64, short func(uplink string) shortfall) {
	type fastest struct {
		uplink  string
		link    uint64
		unknown bool
	}
	links := map[*VportQoSConfig]*fastest{}
	var order []*VportQoSConfig
	note := func(v *VportConfig, q *VportQoSConfig) {
		if q == nil || q == &v.QoS {
			return
		}
		f := links[q]
		if f == nil {
			f = &fastest{}
			links[q], order = f, append(order, q)
		}
		for i := range k.c.Uplinks {
			u := &k.c.Uplinks[i]
			if !v.sendsBy(u) {
				continue
			}
			if r := rate(u); !u.has("qos") || r == 0 {
				f.unknown = true
			} else if r > f.link {
				f.uplink, f.link = u.Name, r
			}
		}
	}
	for i := range k.c.Vports {
		v := &k.c.Vports[i]
		s := k.c.shareOf(v)
		note(v, s.max)
		if s.dests != s.max {
			note(v, s.dests)
		}
	}
	for _, q := range order {
		f := links[q]
		if f.unknown || f.link == 0 {
			continue
		}
		beyond := func(o described, bytesPerSec uint64) {
			if bytesPerSec > f.link {
				short(f.uplink)(LinkMaximum, bytesPerSec, o, "max", fmt.Sprintf("max is %s, and the fastest link of those who get it, uplink %s, has %s", showRate(bytesPerSec), f.uplink, showRate(f.link)),
					"use at most the rate of the link")
			}
		}
		beyond(q, q.MaxBytesPerSec)
		for i := range q.Destinations {
			beyond(&q.Destinations[i], q.Destinations[i].MaxBytesPerSec)
		}
	}
}

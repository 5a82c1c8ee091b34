package policy

import (
	"strconv"
)

// What Diff compares of each object, and how far a change to it reaches. A configuration that is nil has no objects.

func hostView(c *Config) view {
	return view{properties: []property{prop("name", c.Host.Name, EffectPolicy), prop("group", c.Host.Group, EffectPolicy)}}
}

func daemonView(c *Config) view {
	d := &c.Daemon
	return view{properties: []property{
		prop("socket", d.Socket, EffectRestart),
		prop("metrics", d.Metrics, EffectRestart),
		prop("logLevel", d.LogLevel, EffectRestart),
		prop("logFormat", d.LogFormat, EffectRestart),
	}}
}

func dataplaneView(c *Config) view {
	d := &c.Dataplane
	workers := "auto"
	if d.Workers > 0 {
		workers = strconv.Itoa(d.Workers)
	}
	return view{properties: []property{
		prop("workers", workers, EffectRestart),
		prop("cores", listed(d.Cores), EffectRestart),
		prop("hugepages", d.Hugepages, EffectRestart),
		prop("idle mode", d.Idle.Mode, EffectRestart),
		prop("idle spin", brief(d.Idle.Spin), EffectRestart),
		prop("idle maxSleep", brief(d.Idle.MaxSleep), EffectRestart),
		prop("flowIdle", brief(d.FlowIdle), EffectRestart),
		prop("macAge", brief(d.MACAge), EffectRestart),
		prop("flowsPerQueue", d.FlowsPerQueue, EffectRestart),
		prop("slowPathShare", percent(d.SlowPathShare), EffectPolicy), // part of the snapshot, as the next
		prop("routerMAC", d.RouterMAC, EffectPolicy),
		prop("vmq", &d.VMQ, EffectPolicy), // of the agent's balancer, as modes of ports are
	}}
}

func uplinksOf(c *Config) []view {
	if c == nil {
		return nil
	}
	views := make([]view, len(c.Uplinks))
	for i := range c.Uplinks {
		u := &c.Uplinks[i]
		mtu, gateway := "of the device", ""
		if u.MTU != 0 {
			mtu = strconv.Itoa(u.MTU)
		}
		if u.Gateway.IsValid() {
			gateway = u.Gateway.String()
		}
		views[i] = view{u.Name, []property{
			prop("device", u.Device, EffectDevice),
			prop("queues", u.Queues, EffectRestart),
			prop("vmq", &u.VMQ, EffectPolicy),
			prop("mtu", mtu, EffectRestart),
			prop("providerAddresses", listed(u.ProviderAddresses), EffectPolicy),
			prop("gateway", gateway, EffectPolicy),
			prop("qos rate", u.rateWords(), EffectPolicy),
			prop("qos hardware", u.hardwareWords(), EffectPolicy),
			prop("default flow", u.defaultFlowWords(), EffectPolicy),
		}}
	}
	return views
}

func vportsOf(c *Config) []view {
	if c == nil {
		return nil
	}
	views := make([]view, len(c.Vports))
	for i := range c.Vports {
		v := &c.Vports[i]
		views[i] = view{v.Name, []property{
			prop("device", v.Device, EffectDevice),
			prop("persist", v.Device.Persist, EffectRestart),
			prop("queues", v.Queues, EffectRestart),
			prop("vmq", &v.VMQ, EffectPolicy),
			prop("mac", v.MAC, EffectDevice),
			prop("mtu", v.MTU, EffectDevice),
			prop("subnet", v.Subnet, EffectPolicy),
			prop("addresses", listed(v.Addresses), EffectPolicy),
			prop("providerAddresses", listed(v.ProviderAddresses), EffectPolicy),
			prop("uplink", v.Uplink, EffectPolicy),
			prop("vlan", v.VLAN, EffectPolicy),
			prop("passThrough", v.PassThrough, EffectPolicy),
			prop("trunk", listed(v.Trunk), EffectPolicy),
			prop("aclList", v.ACLList, EffectPolicy),
			prop("qos", &v.QoS, EffectPolicy),
		}}
	}
	return views
}

func networksOf(c *Config) []view {
	if c == nil {
		return nil
	}
	views := make([]view, len(c.Networks))
	for i := range c.Networks {
		views[i] = view{c.Networks[i].Name, []property{prop("rdid", c.Networks[i].RDID, EffectPolicy),
			prop("qos", c.Networks[i].QoS.words(), EffectPolicy), prop("qos of its vports", &c.Networks[i].QoS.Vports, EffectPolicy)}}
	}
	return views
}

func subnetsOf(c *Config) []view {
	if c == nil {
		return nil
	}
	var views []view
	for i := range c.Networks {
		n := &c.Networks[i]
		for j := range n.Subnets {
			s := &n.Subnets[j]
			views = append(views, view{s.Name, []property{
				prop("network", n.Name, EffectPolicy),
				prop("vsid", s.VSID, EffectPolicy),
				prop("prefix", PrefixFrom(s.Prefix), EffectPolicy),
				prop("prefix6", PrefixFrom(s.Prefix6), EffectPolicy),
				prop("method", s.Method, EffectPolicy),
			}})
		}
	}
	return views
}

// routesOf names a route by all that tells it from others, so a changed metric is one route less and one more.
func routesOf(c *Config) []view {
	if c == nil {
		return nil
	}
	var views []view
	for i := range c.Networks {
		n := &c.Networks[i]
		for j := range n.Routes {
			r := &n.Routes[j]
			name := r.Prefix.String() + " of " + n.Name
			if r.Subnet != "" {
				name += " subnet " + r.Subnet
			}
			if r.Metric != 0 {
				name += " metric " + strconv.FormatUint(uint64(r.Metric), 10)
			}
			to := "next hop " + r.NextHop.String()
			if r.Gateway.IsValid() {
				to = "gateway " + r.Gateway.String()
			}
			views = append(views, view{name, []property{prop("to", to, EffectPolicy)}})
		}
	}
	return views
}

func peersOf(c *Config) []view {
	if c == nil {
		return nil
	}
	views := make([]view, len(c.Hosts))
	for i := range c.Hosts {
		views[i] = view{c.Hosts[i].Name, []property{
			prop("providerAddresses", listed(c.Hosts[i].ProviderAddresses), EffectPolicy)}}
	}
	return views
}

func recordsOf(c *Config) []view {
	if c == nil {
		return nil
	}
	views := make([]view, len(c.Records))
	for i := range c.Records {
		r := &c.Records[i]
		name := r.MAC.String()
		if r.CA.IsValid() {
			name = r.CA.String()
		}
		views[i] = view{name + " of " + r.Subnet,
			[]property{prop("mac", r.MAC, EffectPolicy), prop("pa", r.PA, EffectPolicy), prop("method", r.Method, EffectPolicy)}}
	}
	return views
}

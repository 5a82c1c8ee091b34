package peer

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

const (
	underlay = "br-phy"
	overlay  = "br-int"
	uplinkNo = 1    // OpenFlow port of the uplink on the underlay bridge
	tunnelNo = 1000 // of the tunnel on the overlay bridge; of the uplink there where addresses are rewritten
)

// ovsBridge is one bridge: what creates it, its rules, and what adds its ports.
type ovsBridge struct {
	name          string
	create, ports []string // arguments of ovs-vsctl
	flows         []string
}

// ovsPlan is how Open vSwitch forwards a plan's traffic.
type ovsPlan struct {
	bridges  []ovsBridge
	commands [][]string // of ovs-appctl, when the ports are there
}

// tunnels reports whether the underlay is a bridge of its own, with a provider address.
func (p *ovsPlan) tunnels() bool { return p.bridges[0].name == underlay }

// planOVS carries the policy that our switch has, in three tables of the overlay bridge: who may send what, the rules of
// the VM's port, and where packets go.
func planOVS(plan *traffic.Plan, w wiring) ovsPlan {
	br := ovsBridge{name: overlay, create: bridge(overlay)}
	for i, vm := range plan.VMs() {
		if i > 0 {
			br.ports = append(br.ports, "--")
		}
		br.ports = append(br.ports, dpdkPort(overlay, vm.Name, i+1, w)...)
		if plan.Profile.Direction.Stays() { // each tenant has its VLAN; the ports are access ports of it
			br.ports = append(br.ports, "--", "set", "port", vm.Name, "tag="+strconv.Itoa(traffic.VLAN(vm.Tenant)))
		}
	}
	br.flows = append(append(guards(plan), rules(plan)...), forwards(plan)...)
	switch plan.Profile.Direction {
	case profile.Local, profile.Bridge:
		br.create = append(br.create, "other_config:mac-table-size="+strconv.Itoa(macTable), "other_config:mac-aging-time=3600")
		return ovsPlan{bridges: []ovsBridge{br}, commands: addresses(plan)}
	case profile.Rewrite:
		br.ports = append(append(br.ports, "--"), dpdkPort(overlay, traffic.Uplink, tunnelNo, w)...)
		br.ports = append(br.ports, "mtu_request="+strconv.Itoa(traffic.UplinkMTU))
		return ovsPlan{bridges: []ovsBridge{br}}
	}
	br.create = append(br.create, "--", "add-port", overlay, "gre0", "--", "set", "interface", "gre0", "type=gre", "ofport_request="+strconv.Itoa(tunnelNo),
		"options:local_ip="+traffic.NearPA.String(), "options:remote_ip=flow", "options:key=flow")
	phy := ovsBridge{name: underlay,
		create: append(bridge(underlay), "other_config:hwaddr="+traffic.UplinkMAC.String()),
		flows:  []string{fmt.Sprintf("in_port=LOCAL,actions=output:%d", uplinkNo), fmt.Sprintf("in_port=%d,actions=LOCAL", uplinkNo)},
		ports:  append(dpdkPort(underlay, traffic.Uplink, uplinkNo, w), "mtu_request="+strconv.Itoa(traffic.UplinkMTU)),
	}
	return ovsPlan{bridges: []ovsBridge{phy, br}}
}

// macTable has room for all addresses of a profile; Open vSwitch keeps 8192 by default.
const macTable = 1 << 18

func bridge(name string) []string {
	return []string{"add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "fail-mode=secure"}
}

// guards let pass who may send what: from a VM's port its MAC with its address, out of the tunnel the senders that live
// behind the outer source, in their subnet. The register holds the subnet from here on. A bridge guards nobody.
func guards(plan *traffic.Plan) (flows []string) {
	if plan.Profile.Direction == profile.Bridge {
		return []string{"table=0,actions=resubmit(,1)"}
	}
	pass := func(match string, t *traffic.Tenant, from traffic.VM) {
		flows = append(flows, fmt.Sprintf("table=0,priority=10,%s,dl_src=%s,ip,nw_src=%s,actions=set_field:%d->reg0,resubmit(,1)",
			match, from.MAC, from.CA, t.VSID))
	}
	for i := range plan.Tenants {
		t := &plan.Tenants[i]
		if plan.Profile.Direction == profile.Decap {
			for _, from := range t.Peers {
				pass(fmt.Sprintf("in_port=%d,tun_id=%#x/0xffffff00,tun_src=%s", tunnelNo, t.VSID<<8, traffic.FarPA), t, from)
			}
			continue
		}
		for _, from := range t.VMs {
			pass(fmt.Sprintf("in_port=%d", number(plan, from)), t, from)
		}
	}
	return flows
}

// number is the OpenFlow port of a VM here, 0 for others.
func number(plan *traffic.Plan, vm traffic.VM) int {
	for i, other := range plan.VMs() {
		if other.Name == vm.Name {
			return i + 1
		}
	}
	return 0
}

// rules are the list of the VMs' ports; with Decap of the target's, else of the sender's. A range of ports is one mask.
func rules(plan *traffic.Plan) (flows []string) {
	remote := "nw_dst"
	if plan.Profile.Direction == profile.Decap {
		remote = "nw_src"
	}
	for _, r := range plan.Rules() {
		if r.Allow {
			continue // what is allowed goes on below
		}
		match := []string{"table=1", "priority=10", "ip"}
		if r.Protocol != "any" {
			match[2] = r.Protocol
		}
		if r.Remote.IsValid() {
			match = append(match, remote+"="+r.Remote.String())
		}
		if r.Low > 0 {
			match = append(match, fmt.Sprintf("tp_dst=%#x/%#x", r.Low, uint16(0xffff)<<bits.Len16(r.High-r.Low)))
		}
		flows = append(flows, strings.Join(match, ",")+",actions=drop")
	}
	return append(flows, "table=1,priority=1,actions=resubmit(,2)")
}

// forwards send to where the target lives.
func forwards(plan *traffic.Plan) (flows []string) {
	if plan.Profile.Direction.Stays() {
		return []string{"table=2,actions=NORMAL"}
	}
	to := func(t *traffic.Tenant, target traffic.VM, match, actions string, args ...any) {
		flows = append(flows, fmt.Sprintf("table=2,reg0=%d,dl_dst=%s%s,actions=%s", t.VSID, target.MAC, match, fmt.Sprintf(actions, args...)))
	}
	for i := range plan.Tenants {
		t := &plan.Tenants[i]
		switch plan.Profile.Direction {
		case profile.Encap:
			for _, peer := range t.Peers {
				to(t, peer, "", "set_field:%#x->tun_id,set_field:%s->tun_dst,output:%d", t.VSID<<8, traffic.FarPA, tunnelNo)
			}
		case profile.Decap:
			for _, vm := range t.VMs {
				to(t, vm, "", "output:%d", number(plan, vm))
			}
		case profile.Rewrite:
			for _, vm := range t.VMs {
				for _, peer := range t.Peers {
					to(t, peer, fmt.Sprintf(",ip,in_port=%d,nw_src=%s,nw_dst=%s", number(plan, vm), vm.CA, peer.CA),
						"set_field:%s->eth_src,set_field:%s->eth_dst,set_field:%s->ip_src,set_field:%s->ip_dst,output:%d",
						traffic.UplinkMAC, traffic.FarHostMAC, vm.PA, peer.PA, tunnelNo)
				}
			}
		}
	}
	return flows
}

// addresses are what a bridge has learned.
func addresses(plan *traffic.Plan) (commands [][]string) {
	stations := plan.Stations()
	if plan.Profile.Direction == profile.Local {
		stations = plan.VMs()
	}
	for _, s := range stations {
		commands = append(commands, []string{"fdb/add", overlay, s.Name, strconv.Itoa(traffic.VLAN(s.Tenant)), s.MAC.String()})
	}
	return commands
}

func dpdkPort(bridge, name string, number int, w wiring) []string {
	args := []string{"add-port", bridge, name, "--", "set", "interface", name, "type=dpdk", "ofport_request=" + strconv.Itoa(number),
		"options:dpdk-devargs=\"" + w.devargs[name] + "\""}
	if n := w.frames[name]; n > ovsBuffers {
		// A port with memory of its own gets buffers for the queues that it asks for, also for those that its device lacks.
		args = append(args, "options:n_rxq="+strconv.Itoa(n/ovsRing+1), "options:n_rxq_desc="+strconv.Itoa(ovsRing))
	}
	return args
}

// probe is a packet that Open vSwitch is asked about, in the words of ofproto/trace: of the first flow of the plan, but
// with another port or sender.
func probe(plan *traffic.Plan, dstPort uint16, sender netip.Addr) string {
	f := plan.Flow(0)
	in := "in_port=" + strconv.Itoa(number(plan, f.From))
	if plan.Profile.Direction == profile.Decap {
		in = fmt.Sprintf("in_port=%d,tun_id=%#x,tun_src=%s,tun_dst=%s", tunnelNo, f.VSID<<8, traffic.FarPA, traffic.NearPA)
	}
	return fmt.Sprintf("%s,tcp,dl_src=%s,dl_dst=%s,nw_src=%s,nw_dst=%s,nw_ttl=64,tp_src=%d,tp_dst=%d", in, f.From.MAC, f.To.MAC,
		sender, f.To.CA, f.SrcPort, dstPort)
}

// forged is an address that the sender of the first flow does not have.
func forged(plan *traffic.Plan) netip.Addr { return plan.Flow(0).From.CA.Next() }

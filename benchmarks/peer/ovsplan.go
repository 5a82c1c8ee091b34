package peer

import (
	"fmt"
	"strconv"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

const (
	underlay = "br-phy"
	overlay  = "br-int"
	uplinkNo = 1    // OpenFlow port of the uplink on the underlay bridge
	tunnelNo = 1000 // of the tunnel on the overlay bridge
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

func planOVS(plan *traffic.Plan, w wiring) ovsPlan {
	if plan.Profile.Direction.Stays() {
		return planLocal(plan, w)
	}
	phy := ovsBridge{name: underlay,
		create: []string{"add-br", underlay, "--", "set", "bridge", underlay, "datapath_type=netdev", "fail-mode=secure",
			"other_config:hwaddr=" + traffic.UplinkMAC.String()},
		flows: []string{fmt.Sprintf("in_port=LOCAL,actions=output:%d", uplinkNo), fmt.Sprintf("in_port=%d,actions=LOCAL", uplinkNo)},
		ports: append(dpdkPort(underlay, traffic.Uplink, uplinkNo, w), "mtu_request="+strconv.Itoa(traffic.UplinkMTU)),
	}
	tunnel := ovsBridge{name: overlay,
		create: []string{"add-br", overlay, "--", "set", "bridge", overlay, "datapath_type=netdev", "fail-mode=secure",
			"--", "add-port", overlay, "gre0", "--", "set", "interface", "gre0", "type=gre", "ofport_request=" + strconv.Itoa(tunnelNo),
			"options:local_ip=" + traffic.NearPA.String(), "options:remote_ip=" + traffic.FarPA.String(), "options:key=flow"},
	}
	number := 0
	for _, tenant := range plan.Tenants {
		for _, vm := range tenant.VMs {
			number++
			if number > 1 {
				tunnel.ports = append(tunnel.ports, "--")
			}
			tunnel.ports = append(tunnel.ports, dpdkPort(overlay, vm.Name, number, w)...)
			if plan.Profile.Direction == profile.Encap {
				tunnel.flows = append(tunnel.flows, fmt.Sprintf("in_port=%d,actions=set_field:%#x->tun_id,output:%d", number, tenant.VSID<<8, tunnelNo))
				continue
			}
			match := fmt.Sprintf("in_port=%d,tun_id=%#x/0xffffff00", tunnelNo, tenant.VSID<<8)
			if len(tenant.VMs) > 1 {
				match += ",dl_dst=" + vm.MAC.String()
			}
			tunnel.flows = append(tunnel.flows, fmt.Sprintf("%s,actions=output:%d", match, number))
		}
	}
	return ovsPlan{bridges: []ovsBridge{phy, tunnel}}
}

// planLocal is a bridge with NORMAL forwarding that has learned every address.
func planLocal(plan *traffic.Plan, w wiring) ovsPlan {
	br := ovsBridge{name: overlay,
		create: []string{"add-br", overlay, "--", "set", "bridge", overlay, "datapath_type=netdev", "fail-mode=secure"},
		flows:  []string{"actions=NORMAL"},
	}
	var p ovsPlan
	for i, vm := range plan.VMs() {
		if i > 0 {
			br.ports = append(br.ports, "--")
		}
		br.ports = append(br.ports, dpdkPort(overlay, vm.Name, i+1, w)...)
		// Each tenant has its VLAN; the ports are access ports of it.
		br.ports = append(br.ports, "--", "set", "port", vm.Name, "tag="+strconv.Itoa(vm.Tenant+1))
		p.commands = append(p.commands, []string{"fdb/add", overlay, vm.Name, strconv.Itoa(vm.Tenant + 1), vm.MAC.String()})
	}
	p.bridges = []ovsBridge{br}
	return p
}

func dpdkPort(bridge, name string, number int, w wiring) []string {
	return []string{"add-port", bridge, name, "--", "set", "interface", name, "type=dpdk", "ofport_request=" + strconv.Itoa(number),
		"options:dpdk-devargs=\"" + w.devargs[name] + "\""}
}

package agent

import (
	"fmt"
	"net"
	"strings"

	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/policy"
)

// maxPorts bounds the ports of the switch.
const maxPorts = 4096

// specsOf lists the ports that a configuration asks for: uplinks first, since vports are of no use without them.
func specsOf(c *policy.Config, workers int) []portSpec {
	specs := make([]portSpec, 0, len(c.Uplinks)+len(c.Vports))
	for i := range c.Uplinks {
		u := &c.Uplinks[i]
		hardware, _ := c.Hardware(u)
		specs = append(specs, portSpec{uplink: &UplinkSpec{
			Name: u.Name, DevArgs: devArgs(u.Device), PCI: u.Device.PCI, RxQueues: u.Queues, TxQueues: workers, MTU: uplinkMTU(u),
			Hardware: hardware,
		}})
	}
	for i := range c.Vports {
		v := &c.Vports[i]
		specs = append(specs, portSpec{tap: &TapSpec{
			Name: v.Name, Interface: v.Device.Interface, Namespace: namespaceName(v.Device.Namespace), MAC: v.MAC, MTU: v.MTU,
			Queues: v.Queues, Persist: v.Device.Persist,
		}})
	}
	return specs
}

// devArgs writes an uplink's device the way DPDK takes it; "" for a PCI device. DPDK knows a virtual device by a name
// that must be the only one of the process, so the kernel's interface is part of it.
func devArgs(d policy.UplinkDevice) string {
	switch d.Driver {
	case policy.DriverAFPacket:
		return fmt.Sprintf("net_af_packet_%s,iface=%s", d.Interface, d.Interface)
	case policy.DriverAFXDP:
		return fmt.Sprintf("net_af_xdp_%s,iface=%s", d.Interface, d.Interface)
	}
	return d.DevArgs
}

// uplinkMTU is the configured MTU, else the one of the kernel's interface; 0 leaves it to the device.
func uplinkMTU(u *policy.UplinkConfig) int {
	if u.MTU != 0 || u.Device.Interface == "" {
		return u.MTU
	}
	i, err := net.InterfaceByName(u.Device.Interface)
	if err != nil {
		return 0 // opening the device will say what is wrong with it
	}
	return i.MTU
}

// namespaceName is the short name of a namespace where it has one, so that two spellings are one namespace.
func namespaceName(ns string) string {
	for _, dir := range []string{"/run/netns/", "/var/run/netns/"} {
		if name, ok := strings.CutPrefix(ns, dir); ok && !strings.Contains(name, "/") {
			return name
		}
	}
	return ns
}

// restartNeeded refuses what only takes effect when the daemon starts. Ports are left to the plan, which knows more.
func restartNeeded(changes []policy.Change) error {
	var late []string
	for _, c := range changes {
		if c.Effect == policy.EffectRestart && c.Kind != "uplink" && c.Kind != "vport" {
			late = append(late, c.Kind+": "+c.Detail)
		}
	}
	if len(late) == 0 {
		return nil
	}
	return fmt.Errorf("%w: this cannot change while sluiced runs: %s; restart it with this file, or leave it as it is",
		ErrRefused, strings.Join(late, "; "))
}

func switchConfig(o Options) dataplane.Config {
	d := &o.Config.Dataplane
	return dataplane.Config{
		MaxPorts: maxPorts, MaxFlows: d.FlowsPerQueue, FlowIdle: d.FlowIdle, MACAge: d.MACAge, TSCHz: o.Driver.TSCHz(), Log: o.Log,
	}
}

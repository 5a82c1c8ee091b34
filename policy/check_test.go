package policy

import "testing"

func TestDevices(t *testing.T) {
	refuse(t, []refusal{
		{"two uplinks on one PCI address", edits{"{driver: af_packet, interface: eth1}", "{pci: 03:00.0}"}, []string{
			"4: uplink up1: PCI device 0000:03:00.0 is also the device of uplink up0 (line 3) (give each port a device of its own)",
		}},
		{"bad PCI address", edits{`"0000:03:00.0"`, `"03:00"`}, []string{
			`4: uplink up1: device.pci is "03:00", not a PCI address (write domain:bus:device.function in quotes, for example "0000:03:00.0")`,
		}},
		{"two uplinks on one interface", edits{`{pci: "0000:03:00.0"}`, "{driver: af_xdp, interface: eth1}"}, []string{
			"4: uplink up1: interface eth1 is also the device of uplink up0 (line 3) (give each port a device of its own)",
		}},
		{"two uplinks on one interface by devargs", edits{`{pci: "0000:03:00.0"}`, `{devargs: "net_pcap0,iface=eth1"}`}, []string{
			"4: uplink up1: interface eth1 is also the device of uplink up0 (line 3) (give each port a device of its own)",
		}},
		{"two uplinks on one virtual device", edits{`{pci: "0000:03:00.0"}`, `{devargs: "net_null0"}`, "{driver: af_packet, interface: eth1}", `{devargs: "net_null0,size=64"}`}, []string{
			"4: uplink up1: virtual device net_null0 is also the device of uplink up0 (line 3) (give each port a device of its own)",
		}},
		{"two vports on one interface", edits{"name: red-vm2, device: {driver: tap}", "name: red-vm2, device: {driver: tap, interface: red-vm1}"}, []string{
			"7: vport red-vm2: interface red-vm1 is also the device of vport red-vm1 (line 6) (give each port a device of its own)",
		}},
		{"two vports on one interface of a namespace", edits{"name: red-vm1, device: {driver: tap}", "name: red-vm1, device: {driver: tap, interface: eth0, namespace: n}", "name: red-vm2, device: {driver: tap}", "name: red-vm2, device: {driver: tap, interface: eth0, namespace: n}"}, []string{
			"7: vport red-vm2: interface eth0 in namespace n is also the device of vport red-vm1 (line 6) (give each port a device of its own)",
		}},
		{"vport on the interface of an uplink", edits{"name: red-vm2, device: {driver: tap}", "name: red-vm2, device: {driver: tap, interface: eth1}"}, []string{
			"7: vport red-vm2: interface eth1 is also the device of uplink up0 (line 3) (give each port a device of its own)",
		}},
		{"long interface", edits{"name: red-vm2, device: {driver: tap}", "name: red-vm2, device: {driver: tap, interface: interface-of-red-2}"}, []string{
			`7: vport red-vm2: device.interface is "interface-of-red-2", which is longer than the 15 bytes that the kernel takes for an interface name (shorten it)`,
		}},
		{"long name without interface", edits{"name: red-vm2", "name: red-virtualmachine2"}, []string{
			"7: vport red-virtualmachine2: the interface would have the vport's name, which is longer than the 15 bytes that the kernel takes for an interface name (set device.interface, or use another name)",
		}},
		{"interface with a slash", edits{"name: red-vm2, device: {driver: tap}", "name: red-vm2, device: {driver: tap, interface: a/b, namespace: a/b}"}, []string{
			`7: vport red-vm2: device.interface is "a/b", which holds a character that an interface name cannot have (leave out / : % , and blanks)`,
			`7: vport red-vm2: device.namespace is "a/b", neither a name nor an absolute path (write the name that ip netns shows, or a path such as /proc/1234/ns/net)`,
		}},
		{"uplink device without a way", edits{`{pci: "0000:03:00.0"}`, "{}"}, []string{
			`4: uplink up1: device does not say what it is (use pci: "0000:03:00.0", or driver: af_packet with interface: eth1, or devargs)`,
		}},
		{"uplink device with two ways", edits{`{pci: "0000:03:00.0"}`, `{pci: "0000:03:00.0", devargs: net_null0}`}, []string{
			"4: uplink up1: device says in several ways what it is: pci, devargs (keep one of them)",
		}},
		{"interface without driver", edits{"{driver: af_packet, interface: eth1}", "{interface: eth1}"}, []string{
			"3: uplink up0: device has an interface, but no driver (add driver: af_packet)",
		}},
		{"driver without interface", edits{"{driver: af_packet, interface: eth1}", "{driver: af_packet}"}, []string{
			"3: uplink up0: device has a driver, but no interface (add interface: <name of the kernel's interface>)",
		}},
		{"interface with PCI", edits{`{pci: "0000:03:00.0"}`, `{pci: "0000:03:00.0", interface: eth2}`}, []string{
			"4: uplink up1: device.interface goes with driver, not with pci (leave it out)",
		}},
		{"other drivers", edits{"name: red-vm1, device: {driver: tap}", "name: red-vm1, device: {driver: vhost-user}", "name: red-vm2, device: {driver: tap}", "name: red-vm2, device: {driver: tun}", "driver: af_packet,", "driver: afpacket,"}, []string{
			`3: uplink up0: device.driver is "afpacket" (did you mean af_packet? use af_packet or af_xdp)`,
			"6: vport red-vm1: device.driver vhost-user is not offered by this version (use tap)",
			`7: vport red-vm2: device.driver is "tun" (use tap)`,
		}},
		{"ranges", edits{"uplink: up0, vlan: 100", "uplink: up0, vlan: 4095, mtu: 100, queues: 0"}, []string{
			`8: vport printer: vlan is "4095", out of its range (write a whole number from 1 to 4094)`,
			`8: vport printer: mtu is "100", out of its range (write a whole number from 576 to 9702)`,
			`8: vport printer: queues is "0", out of its range (write a whole number from 1 to 64)`,
		}},
		{"jumbo", edits{"interface: eth1}", "interface: eth1}, mtu: 65535"}, []string{
			`3: uplink up0: mtu is "65535", out of its range (write a whole number from 576 to 9702)`,
		}},
	})
}

func TestNames(t *testing.T) {
	refuse(t, []refusal{
		{"uplink and vport", edits{"name: printer", "name: up0"}, []string{
			"8: vport up0: the name up0 is also that of uplink up0 (line 3) (give each its own name)",
		}},
		{"two vports", edits{"name: red-vm2", "name: red-vm1"}, []string{
			"7: vport red-vm1: the name red-vm1 is also that of vport red-vm1 (line 6) (give each its own name)",
		}},
		{"only the case differs", edits{"name: red-vm2", "name: RED-vm1"}, []string{
			"7: vport RED-vm1: the name RED-vm1 differs only in upper and lower case from that of vport red-vm1 (line 6) (give each its own name)",
		}},
		{"two subnets", edits{"name: red-db", "name: red-web"}, []string{
			"14: subnet red-web: the name red-web is also that of subnet red-web (line 13) (give each its own name)",
		}},
		{"subnets of two networks", edits{"name: blue-web", "name: red-web"}, []string{
			"19: subnet red-web: the name red-web is also that of subnet red-web (line 13) (give each its own name)",
		}},
		{"two networks", edits{"name: blue\n", "name: red\n"}, []string{
			"17: network red: the name red is also that of network red (line 11) (give each its own name)",
		}},
		{"host is this one", edits{"name: host-b", "name: host-a"}, []string{
			"21: host host-a: the name host-a is also that of this host (line 1) (give each its own name)",
		}},
	})
}

func TestAttachment(t *testing.T) {
	refuse(t, []refusal{
		{"subnet and VLAN", edits{"subnet: red-web, addresses: [10.0.0.5]", "subnet: red-web, addresses: [10.0.0.5], uplink: up0, vlan: 5"}, []string{
			"6: vport red-vm1: the vport has a subnet, and also uplink and vlan: a port uses virtualisation or VLANs, never both (keep subnet, or uplink and vlan)",
		}},
		{"subnet and pass-through", edits{"subnet: red-web, addresses: [10.0.0.5]", "subnet: red-web, passThrough: true"}, []string{
			"6: vport red-vm1: the vport has a subnet, and also passThrough: a port uses virtualisation or VLANs, never both (keep subnet, or passThrough)",
		}},
		{"none", edits{", uplink: up0, vlan: 100", ""}, []string{
			"8: vport printer: the vport belongs to no network (add subnet: <name>, or uplink: <name> with vlan: <1-4094> or passThrough: true)",
		}},
		{"uplink only", edits{"uplink: up0, vlan: 100", "uplink: up0"}, []string{
			"8: vport printer: the vport has an uplink, but neither vlan nor passThrough (add vlan: <1-4094> or passThrough: true)",
		}},
		{"VLAN without uplink", edits{"uplink: up0, vlan: 100", "vlan: 100"}, []string{
			"8: vport printer: the vport has vlan, but no uplink (add uplink: <name>)",
		}},
		{"VLAN and pass-through", edits{"uplink: up0, vlan: 100", "uplink: up0, vlan: 100, passThrough: true"}, []string{
			"8: vport printer: the vport has vlan and passThrough (keep vlan for an access port; a pass-through port lists its VLANs in trunk)",
		}},
		{"trunk without pass-through", edits{"passThrough: true, ", ""}, []string{
			"9: vport host0: the vport has a trunk, but not passThrough (add passThrough: true)",
		}},
		{"trunk twice and out of range", edits{"[200, 300]", "[200, 200, 4095, 0]"}, []string{
			"9: vport host0: VLAN 200 is listed twice (leave one out)",
			`9: vport host0: trunk[2] is "4095", out of its range (write a whole number from 1 to 4094)`,
			`9: vport host0: trunk[3] is "0", out of its range (write a whole number from 1 to 4094)`,
		}},
		{"addresses without subnet", edits{"uplink: up0, vlan: 100", "uplink: up0, vlan: 100, addresses: [10.0.0.9]"}, []string{
			"8: vport printer: addresses are of a subnet, and the vport has none (leave them out: the network behind the uplink gives addresses)",
		}},
		{"dangling subnet", edits{"subnet: red-web, addresses: [10.0.0.5]", "subnet: red-wep, addresses: [10.0.0.5]"}, []string{
			"6: vport red-vm1: subnet red-wep is not defined (did you mean red-web?)",
		}},
		{"dangling uplink", edits{"uplink: up0, vlan: 100", "uplink: fabric, vlan: 100"}, []string{
			"8: vport printer: uplink fabric is not defined (define it under uplinks, or use up0 or up1)",
		}},
		{"same MAC in a VLAN", edits{"mac: 02:00:00:00:01:04, uplink: up0, passThrough: true, trunk: [200, 300]", "mac: 02:00:00:00:01:03, uplink: up0, passThrough: true, trunk: [100]"}, []string{
			"9: vport host0: mac is also that of vport printer (line 8) in the same VLAN (give each VM its own)",
		}},
		{"MTU too small for IPv6", edits{"subnet: red-web, addresses: [10.0.0.5]", "subnet: red-web, addresses: [10.0.0.5], mtu: 1200"}, []string{
			"6: vport red-vm1: mtu is 1200, and subnet red-web has IPv6, which needs 1280 (set it to 1280 or more)",
		}},
	})
}

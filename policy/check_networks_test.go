package policy

import "testing"

func TestCustomerAddresses(t *testing.T) {
	refuse(t, []refusal{
		{"outside", edits{"[10.0.0.5]", "[10.0.1.5]"}, []string{
			"6: vport red-vm1: 10.0.1.5 is outside subnet red-web (use an address inside 10.0.0.0/24 or 2001:db8:1::/64)",
		}},
		{"outside both", edits{"[10.0.0.5]", `["2001:db8:2::5"]`}, []string{
			"6: vport red-vm1: 2001:db8:2::5 is outside subnet red-web (use an address inside 10.0.0.0/24 or 2001:db8:1::/64)",
		}},
		{"IPv4 gateway", edits{"[10.0.0.5]", "[10.0.0.1]"}, []string{
			"6: vport red-vm1: 10.0.0.1 is the gateway of subnet red-web (use 10.0.0.2 to 10.0.0.254)",
		}},
		{"IPv6 gateway", edits{"[10.0.0.5]", `["2001:db8:1::1", "fe80::1"]`}, []string{
			"6: vport red-vm1: 2001:db8:1::1 is the gateway of subnet red-web (use 2001:db8:1::2 to 2001:db8:1:0:ffff:ffff:ffff:ffff)",
			"6: vport red-vm1: fe80::1 is the gateway of every subnet with IPv6 (use an address inside 10.0.0.0/24 or 2001:db8:1::/64)",
		}},
		{"network and broadcast", edits{"[10.0.0.5]", `[10.0.0.0, 10.0.0.255, "2001:db8:1::"]`}, []string{
			"6: vport red-vm1: 10.0.0.0 is the network address of subnet red-web (use 10.0.0.2 to 10.0.0.254)",
			"6: vport red-vm1: 10.0.0.255 is the broadcast address of subnet red-web (use 10.0.0.2 to 10.0.0.254)",
			"6: vport red-vm1: 2001:db8:1:: is the router anycast address of subnet red-web (use 2001:db8:1::2 to 2001:db8:1:0:ffff:ffff:ffff:ffff)",
		}},
		{"duplicate of a vport", edits{"[10.0.0.6]", "[10.0.0.5]"}, []string{
			"7: vport red-vm2: 10.0.0.5 is also the address of vport red-vm1 (line 6) in subnet red-web (give each VM its own)",
		}},
		{"duplicate in one vport", edits{"[10.0.0.6]", "[10.0.0.6, 10.0.0.6]"}, []string{
			"7: vport red-vm2: 10.0.0.6 is also the address of vport red-vm2 (line 7) in subnet red-web (give each VM its own)",
		}},
		{"record collides with a vport", edits{"ca: 10.0.0.7, mac: 02:00:00:00:02:07", "ca: 10.0.0.5, mac: 02:00:00:00:01:01"}, []string{
			"23: record 10.0.0.5 of red-web: 10.0.0.5 is also the address of vport red-vm1 (line 6) in subnet red-web (give each VM its own)",
			"23: record 10.0.0.5 of red-web: mac 02:00:00:00:01:01 is also that of vport red-vm1 (line 6) in subnet red-web (give each VM its own)",
		}},
		{"record outside", edits{"ca: 10.0.0.7", "ca: 10.0.9.7"}, []string{
			"23: record 10.0.9.7 of red-web: 10.0.9.7 is outside subnet red-web (use an address inside 10.0.0.0/24 or 2001:db8:1::/64)",
		}},
		{"not addresses", edits{"[10.0.0.5]", `[10.0.0.5/24, "fe80::1%eth0", "::ffff:10.0.0.5", 10.0.0.256, 224.0.0.1]`}, []string{
			`6: vport red-vm1: addresses[0] is "10.0.0.5/24", not an IP address (leave the prefix length out)`,
			`6: vport red-vm1: addresses[1] is "fe80::1%eth0", with a zone (leave out what follows the %)`,
			`6: vport red-vm1: addresses[2] is "::ffff:10.0.0.5", IPv4 in the form of IPv6 (write 10.0.0.5)`,
			`6: vport red-vm1: addresses[3] is "10.0.0.256", not an IP address (write for example 10.0.0.5 or 2001:db8::5)`,
			"6: vport red-vm1: addresses[4] is 224.0.0.1, which no host may have (use a unicast address)",
		}},
		{"duplicate MAC", edits{"mac: 02:00:00:00:01:02", "mac: 02:00:00:00:01:01"}, []string{
			"7: vport red-vm2: mac 02:00:00:00:01:01 is also that of vport red-vm1 (line 6) in subnet red-web (give each VM its own)",
		}},
		{"bad MACs", edits{"mac: 02:00:00:00:01:01", "mac: 03:00:00:00:01:01", "mac: 02:00:00:00:01:02", "mac: 00:00:00:00:00:00", "mac: 02:00:00:00:01:03", "mac: 02:00:00:00:01"}, []string{
			"6: vport red-vm1: mac is 03:00:00:00:01:01, a group address (make the first byte even, for example 02)",
			"7: vport red-vm2: mac is all zero, which no station may use (use an address of the VM's own, for example 02:00:00:00:00:01)",
			`8: vport printer: mac is "02:00:00:00:01", not an Ethernet address (write six bytes, for example 00:15:5d:00:01:05)`,
		}},
		{"MAC of the router", edits{"mac: 02:00:00:00:01:01", "mac: 02:15:5d:00:00:01", "mac: 02:00:00:00:02:08", "mac: 02:15:5d:00:00:01"}, []string{
			"6: vport red-vm1: mac is that of the router (02:15:5d:00:00:01) (use another one, or another dataplane.routerMAC)",
			"24: record 02:15:5d:00:00:01 of red-web: mac is that of the router (02:15:5d:00:00:01) (use another one, or another dataplane.routerMAC)",
			"24: record 02:15:5d:00:00:01 of red-web: mac 02:15:5d:00:00:01 is also that of vport red-vm1 (line 6) in subnet red-web (give each VM its own)",
		}},
	})
}

func TestNetworks(t *testing.T) {
	refuse(t, []refusal{
		{"reserved VSID", edits{"vsid: 6001", "vsid: 100", "vsid: 7001", "vsid: 16777215"}, []string{
			"13: subnet red-web: vsid 100 is reserved (RFC 7637: 0 to 4095 and 16777215) (use a free one from 4096 to 16777214, for example 4096)",
			"19: subnet blue-web: vsid 16777215 is reserved (RFC 7637: 0 to 4095 and 16777215) (use a free one from 4096 to 16777214, for example 16777214)",
		}},
		{"VSID 0", edits{"vsid: 6002", "vsid: 0"}, []string{
			"14: subnet red-db: vsid 0 means not virtualised, and no subnet can have it (use a free one from 4096 to 16777214, for example 4096; for a port outside virtual subnets use uplink and passThrough)",
		}},
		{"VSID too large", edits{"vsid: 6002", "vsid: 16777216"}, []string{
			`14: subnet red-db: vsid is "16777216", out of its range (use a free one from 4096 to 16777214)`,
		}},
		{"duplicate VSID", edits{"vsid: 6002", "vsid: 6001", "vsid: 7001", "vsid: 6001"}, []string{
			"14: subnet red-db: vsid 6001 is also that of subnet red-web (line 13) (use a free one from 4096 to 16777214, for example 6002)",
			"19: subnet blue-web: vsid 6001 is also that of subnet red-web (line 13) (use a free one from 4096 to 16777214, for example 6002)",
		}},
		{"overlap", edits{"10.0.1.0/24", "10.0.0.128/25"}, []string{
			"14: subnet red-db: prefix 10.0.0.128/25 overlaps 10.0.0.0/24 of subnet red-web (line 13) in network red (use disjoint prefixes inside a network; those of different networks may overlap)",
		}},
		{"overlap of IPv6", edits{"prefix: 10.0.1.0/24", `prefix: 10.0.1.0/24, prefix6: "2001:db8::/32"`}, []string{
			"14: subnet red-db: prefix6 2001:db8::/32 overlaps 2001:db8:1::/64 of subnet red-web (line 13) in network red (use disjoint prefixes inside a network; those of different networks may overlap)",
		}},
		{"same prefix", edits{"10.0.1.0/24", "10.0.0.0/24"}, []string{
			"14: subnet red-db: prefix 10.0.0.0/24 overlaps 10.0.0.0/24 of subnet red-web (line 13) in network red (use disjoint prefixes inside a network; those of different networks may overlap)",
		}},
		{"host bits", edits{"10.0.1.0/24", "10.0.1.5/24"}, []string{
			"14: subnet red-db: prefix is 10.0.1.5/24, an address inside the prefix (write 10.0.1.0/24)",
		}},
		{"no length", edits{"10.0.1.0/24", "10.0.1.0"}, []string{
			`14: subnet red-db: prefix is "10.0.1.0", without a prefix length (write for example 10.0.1.0/24)`,
		}},
		{"not a prefix", edits{"10.0.1.0/24", "10.0.1.0/33"}, []string{
			`14: subnet red-db: prefix is "10.0.1.0/33", not an IP prefix (write for example 10.0.0.0/24 or 2001:db8:1::/64)`,
		}},
		{"no prefix", edits{", prefix: 10.0.1.0/24", ""}, []string{
			"14: subnet red-db: the subnet has no prefix (add prefix: 10.0.0.0/24, prefix6: 2001:db8:1::/64 or both)",
		}},
		{"wrong version", edits{"prefix: 10.0.1.0/24", `prefix: "2001:db8:2::/64"`}, []string{
			"14: subnet red-db: prefix 2001:db8:2::/64 is IPv6 (write it as prefix6)",
		}},
		{"wrong version 6", edits{"prefix: 10.0.1.0/24", "prefix6: 10.0.1.0/24"}, []string{
			"14: subnet red-db: prefix6 10.0.1.0/24 is IPv4 (write it as prefix)",
		}},
		{"length", edits{"10.0.1.0/24", "10.0.1.0/31"}, []string{
			"14: subnet red-db: prefix 10.0.1.0/31 has a length of 31 (use /8 to /30)",
		}},
		{"no unicast", edits{"10.0.1.0/24", "224.0.1.0/24"}, []string{
			"14: subnet red-db: prefix 224.0.1.0/24 holds no addresses for VMs (use a unicast prefix, for example 10.0.0.0/24 or 2001:db8:1::/64)",
		}},
		{"method", edits{"prefix: 10.0.1.0/24", "prefix: 10.0.1.0/24, method: vxlan"}, []string{
			`14: subnet red-db: method is "vxlan" (use nvgre or rewrite)`,
		}},
		{"RDID twice", edits{"name: red\n", "name: red\n    rdid: 5\n", "name: blue\n", "name: blue\n    rdid: 5\n"}, []string{
			"19: network blue: rdid 5 is also that of network red (line 11) (give each network its own)",
		}},
		{"RDID out of range", edits{"name: red\n", "name: red\n    rdid: 4294967295\n"}, []string{
			`12: network red: rdid is "4294967295", out of its range (write a whole number from 1 to 2147483647)`,
		}},
	})
}

func TestRoutes(t *testing.T) {
	refuse(t, []refusal{
		{"next hop outside", edits{"nextHop: 10.0.0.7", "nextHop: 10.9.0.7"}, []string{
			"16: route 0.0.0.0/0: next hop 10.9.0.7 is in no subnet of network red (name a VM of the network, or use gateway for a provider address)",
		}},
		{"next hop is the gateway", edits{"nextHop: 10.0.0.7", "nextHop: 10.0.0.1"}, []string{
			"16: route 0.0.0.0/0: next hop 10.0.0.1 is the gateway of subnet red-web (name a VM of the network)",
		}},
		{"next hop of the wrong version", edits{"nextHop: 10.0.0.7", `nextHop: "2001:db8:1::7"`}, []string{
			"16: route 0.0.0.0/0: next hop 2001:db8:1::7 is not of the same IP version as 0.0.0.0/0 (use one of the same version)",
		}},
		{"no next hop", edits{", nextHop: 10.0.0.7", ""}, []string{
			"16: route 0.0.0.0/0: the route leads nowhere (add nextHop: <customer address> or gateway: <provider address>)",
		}},
		{"next hop and gateway", edits{"nextHop: 10.0.0.7", "nextHop: 10.0.0.7, gateway: 172.16.1.9"}, []string{
			"16: route 0.0.0.0/0: the route has a nextHop and a gateway (keep nextHop for a VM of the network, or gateway for a provider address)",
		}},
		{"own gateway", edits{"nextHop: 10.0.0.7", "gateway: 172.16.1.1"}, []string{
			"16: route 0.0.0.0/0: provider address 172.16.1.1 is this host's own, of uplink up0 (line 3) (name the address of the other host; a VM of this host is a vport)",
		}},
		{"subnet of another network", edits{"nextHop: 10.0.0.7", "nextHop: 10.0.0.7, subnet: blue-web"}, []string{
			"16: route 0.0.0.0/0: subnet blue-web is not one of network red (name a subnet of the network, or leave it out)",
		}},
		{"twice", edits{"nextHop: 10.0.0.7}", "nextHop: 10.0.0.7}\n      - {prefix: 0.0.0.0/0, nextHop: 10.0.0.6}"}, []string{
			"17: route 0.0.0.0/0: the same prefix and metric as route 0.0.0.0/0 (line 16) (of equal routes only the first is used: leave one out, or give it another metric)",
		}},
		{"metric", edits{"nextHop: 10.0.0.7", "nextHop: 10.0.0.7, metric: 4294967296"}, []string{
			`16: route 0.0.0.0/0: metric is "4294967296", out of its range (write a whole number from 0 to 4294967295)`,
		}},
	})
}

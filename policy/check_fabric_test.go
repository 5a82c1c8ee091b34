package policy

import "testing"

func TestFabric(t *testing.T) {
	refuse(t, []refusal{
		{"network address", edits{"172.16.1.1/24", "172.16.1.0/24", "172.16.2.1/24", "172.16.2.255/24"}, []string{
			"3: uplink up0: providerAddresses[0] is 172.16.1.0/24, which is the network address of its prefix (use 172.16.1.1 to 172.16.1.254)",
			"4: uplink up1: providerAddresses[0] is 172.16.2.255/24, which is the broadcast address of its prefix (use 172.16.2.1 to 172.16.2.254)",
		}},
		{"no length", edits{"172.16.1.1/24", "172.16.1.1"}, []string{
			`3: uplink up0: providerAddresses[0] is "172.16.1.1", without a prefix length (write for example 172.16.1.1/24)`,
		}},
		{"IPv6", edits{"172.16.1.1/24", `"2001:db8::1/64"`, "pa: 172.16.2.2", `pa: "2001:db8::2"`}, []string{
			"3: uplink up0: providerAddresses[0] is 2001:db8::1/64: IPv6 provider addresses are not offered by this version (use an IPv4 address)",
			"24: record 02:00:00:00:02:08 of red-web: pa is 2001:db8::2: IPv6 provider addresses are not offered by this version (use an IPv4 address)",
		}},
		{"duplicate", edits{"172.16.2.1/24", "172.16.1.1/24"}, []string{
			"4: uplink up1: provider address 172.16.1.1 is also that of uplink up0 (line 3) (give each uplink its own)",
		}},
		{"short prefix", edits{"172.16.2.1/24", "172.16.2.1/0"}, []string{
			"4: uplink up1: providerAddresses[0] is 172.16.2.1/0, a prefix of 0 bits (give the length of the fabric's prefix, 8 to 32)",
		}},
		{"gateway outside", edits{"172.16.1.254", "172.16.3.254"}, []string{
			"3: uplink up0: gateway 172.16.3.254 is in no prefix of the uplink's providerAddresses (give a router that the uplink reaches directly, or add a provider address in its prefix)",
		}},
		{"gateway is our own", edits{"172.16.1.254", "172.16.1.1"}, []string{
			"3: uplink up0: gateway 172.16.1.1 is the uplink's own provider address (give the address of the fabric's router)",
		}},
		{"gateway is the broadcast address", edits{"172.16.1.254", "172.16.1.255"}, []string{
			"3: uplink up0: gateway 172.16.1.255 is the broadcast address of 172.16.1.0/24 (use 172.16.1.1 to 172.16.1.254)",
		}},
		{"record on our own address", edits{"pa: 172.16.2.2", "pa: 172.16.2.1"}, []string{
			"24: record 02:00:00:00:02:08 of red-web: provider address 172.16.2.1 is this host's own, of uplink up1 (line 4) (name the address of the other host; a VM of this host is a vport)",
		}},
		{"record on the broadcast address", edits{"pa: 172.16.2.2", "pa: 172.16.2.255"}, []string{
			"24: record 02:00:00:00:02:08 of red-web: provider address 172.16.2.255 is the broadcast address of 172.16.2.0/24 (use 172.16.2.1 to 172.16.2.254)",
		}},
		{"host with our own address", edits{"[172.16.1.2, 172.16.2.2]", "[172.16.1.2, 172.16.2.1]"}, []string{
			"21: host host-b: provider address 172.16.2.1 is this host's own, of uplink up1 (line 4) (name the address of the other host; a VM of this host is a vport)",
		}},
		{"host without address", edits{"[172.16.1.2, 172.16.2.2]", "[]"}, []string{
			"21: host host-b: the host has no provider address (list its addresses, or leave the host out)",
		}},
		{"two hosts with one address", edits{"172.16.2.2]}", "172.16.2.2]}\n  - {name: host-c, providerAddresses: [172.16.2.2]}"}, []string{
			"22: host host-c: provider address 172.16.2.2 is also that of host host-b (line 21) (an address belongs to one host: leave one out)",
		}},
		{"no address to send from", edits{", providerAddresses: [172.16.1.1/24], gateway: 172.16.1.254", "", ", providerAddresses: [172.16.2.1/24]", ""}, []string{
			"23: record 10.0.0.7 of red-web: 2 VMs of other hosts in records, but no uplink has a provider address to send from (add providerAddresses: [172.16.1.1/24] to an uplink)",
		}},
	})
}

func TestRecords(t *testing.T) {
	refuse(t, []refusal{
		{"dangling subnet", edits{"- {subnet: red-web, mac", "- {subnet: red-wbe, mac"}, []string{
			"24: record 02:00:00:00:02:08 of red-wbe: subnet red-wbe is not defined (did you mean red-web?)",
		}},
		{"MAC of a vport", edits{"mac: 02:00:00:00:02:08", "mac: 02:00:00:00:01:01"}, []string{
			"24: record 02:00:00:00:01:01 of red-web: mac 02:00:00:00:01:01 is also that of vport red-vm1 (line 6) in subnet red-web (give each VM its own)",
		}},
		{"MAC of a VM on another host", edits{"mac: 02:00:00:00:02:08, pa: 172.16.2.2", "mac: 02:00:00:00:02:07, pa: 172.16.2.3"}, []string{
			"24: record 02:00:00:00:02:07 of red-web: mac 02:00:00:00:02:07 is also that of record 10.0.0.7 of red-web (line 23) in subnet red-web (give each VM its own)",
		}},
		{"the same twice", edits{"pa: 172.16.2.2}", "pa: 172.16.2.2}\n  - {subnet: red-web, mac: 02:00:00:00:02:08, pa: 172.16.1.2}"}, []string{
			"25: record 02:00:00:00:02:08 of red-web: the same as record 02:00:00:00:02:08 of red-web (line 24) (leave one out)",
		}},
		{"address twice", edits{"pa: 172.16.2.2}", "pa: 172.16.2.2}\n  - {subnet: red-web, ca: 10.0.0.7, mac: 02:00:00:00:02:09, pa: 172.16.1.2}"}, []string{
			"25: record 10.0.0.7 of red-web: 10.0.0.7 is also the address of record 10.0.0.7 of red-web (line 23) in subnet red-web (give each VM its own)",
		}},
	})
}

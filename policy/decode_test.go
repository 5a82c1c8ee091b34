package policy

import "testing"

// TestKeysAndTypes: what is not in the form that a key takes is refused, and never taken for something else.
func TestKeysAndTypes(t *testing.T) {
	refuse(t, []refusal{
		{"unknown key", edits{"passThrough: true", "passthru: true"}, []string{
			`9: vport host0: unknown key "passthru" (the keys are: name, device, mac, queues, vmq, mtu, subnet, addresses, providerAddresses, uplink, vlan, passThrough, trunk, acls, aclList, qos)`,
		}},
		{"unknown key with a guess", edits{"vlan: 100", "vlna: 100"}, []string{
			`8: vport printer: unknown key "vlna" (did you mean vlan?)`,
		}},
		{"key in another case", edits{"passThrough: true", "passthrough: true"}, []string{
			`9: vport host0: unknown key "passthrough" (did you mean passThrough?)`,
		}},
		{"unknown section", edits{"hosts:", "host5:"}, []string{
			`20: unknown key "host5" (did you mean hosts?)`,
		}},
		{"unknown key in device", edits{"{driver: af_packet, interface: eth1}", "{driver: af_packet, interfce: eth1}"}, []string{
			`3: uplink up0: unknown key "device.interfce" (did you mean device.interface?)`,
		}},
		{"duplicate key", edits{"vlan: 100", "vlan: 100, vlan: 101"}, []string{
			"8: vport printer: vlan is given twice, first in line 8 (keep one of them)",
		}},
		{"duplicate section", edits{"hosts:\n", "uplinks: []\nhosts:\n"}, []string{
			"20: uplinks is given twice, first in line 2 (keep one of them)",
		}},
		{"list for a mapping", edits{"host: {name: host-a}", "host: [host-a]"}, []string{
			"1: host is a list, not a mapping (write host: {name: ...})",
		}},
		{"mapping for a list", edits{"trunk: [200, 300]", "trunk: {a: 200}"}, []string{
			"9: vport host0: trunk is a mapping, not a list (write trunk: [...])",
		}},
		{"one value for a list", edits{"addresses: [10.0.0.5]", "addresses: 10.0.0.5"}, []string{
			`6: vport red-vm1: addresses is "10.0.0.5", not a list (write addresses: [10.0.0.5])`,
		}},
		{"entry is no mapping", edits{"  - {subnet: red-web, mac: 02:00:00:00:02:08, pa: 172.16.2.2}", "  - 172.16.2.2"}, []string{
			`24: record 2: entry 2 of records is "172.16.2.2", not a mapping (write {key: value, ...})`,
		}},
		{"list for text", edits{"subnet: red-web, addresses: [10.0.0.5]", "subnet: [red-web], addresses: [10.0.0.5]"}, []string{
			"6: vport red-vm1: subnet is a list, not text (write subnet: <text>)",
		}},
		{"number for text", edits{"name: red-vm1,", "name: 1,"}, []string{
			`6: vport 1: name is "1", which YAML does not take for text (put it in quotes)`,
		}},
		{"text for a number", edits{"vlan: 100", "vlan: hundred"}, []string{
			`8: vport printer: vlan is "hundred", not a whole number (write a whole number from 1 to 4094)`,
		}},
		{"quoted number", edits{"vlan: 100", `vlan: "100"`}, []string{
			"8: vport printer: vlan is text, not a number (leave the quotes out)",
		}},
		{"octal number", edits{"vlan: 100", "vlan: 0100"}, []string{
			`8: vport printer: vlan is "0100", which could be meant as octal (leave the leading zeros out)`,
		}},
		{"negative number", edits{"vlan: 100", "vlan: -1"}, []string{
			`8: vport printer: vlan is "-1", out of its range (write a whole number from 1 to 4094)`,
		}},
		{"huge number", edits{"vlan: 100", "vlan: 99999999999999999999999999"}, []string{
			`8: vport printer: vlan is "99999999999999999999999999", out of its range (write a whole number from 1 to 4094)`,
		}},
		{"fraction", edits{"vlan: 100", "vlan: 1.5"}, []string{
			`8: vport printer: vlan is "1.5", not a whole number (write a whole number from 1 to 4094)`,
		}},
		{"text for true or false", edits{"passThrough: true", "passThrough: yes"}, []string{
			`9: vport host0: passThrough is "yes", not true or false (write true or false, without quotes)`,
		}},
		{"no value", edits{"vlan: 100", "vlan: ~"}, []string{
			"8: vport printer: vlan has no value (give one, or leave the key out)",
		}},
		{"alias", edits{"name: host-a", "name: &a host-a", "vlan: 100", "vlan: *a"}, []string{
			"8: vport printer: vlan is a YAML alias, which is not taken here (write the value out)",
		}},
		{"merge key", edits{"host: {name: host-a}", "host: &h {name: host-a}", "uplink: up0, vlan: 100", "<<: *h"}, []string{
			`8: vport printer: unknown key "<<" (the keys are: name, device, mac, queues, vmq, mtu, subnet, addresses, providerAddresses, uplink, vlan, passThrough, trunk, acls, aclList, qos)`,
		}},
		{"key that is a list", edits{"vlan: 100", "[vlan]: 100"}, []string{
			"8: vport printer: a key is a list, not a word (the keys are: name, device, mac, queues, vmq, mtu, subnet, addresses, providerAddresses, uplink, vlan, passThrough, trunk, acls, aclList, qos)",
		}},
		{"control character", edits{"name: red-vm1,", "name: \"red\\0vm1\","}, []string{
			"6: vport 1: name holds a control character (write it in one line of printable characters)",
		}},
		{"name with a blank", edits{"name: red-vm1,", `name: "red vm1",`}, []string{
			`6: vport 1: name is "red vm1" (a name may hold letters, digits, '-', '_' and '.', and begins with a letter or digit)`,
		}},
		{"missing keys", edits{"mac: 02:00:00:00:01:01, ", "", "vsid: 6002, ", "", ", pa: 172.16.2.2", ""}, []string{
			"6: vport red-vm1: mac is missing (give the address of the VM, for example mac: 02:00:00:00:00:01)",
			"14: subnet red-db: vsid is missing (give it an id of its own, 4096 to 16777214)",
			"24: record 02:00:00:00:02:08 of red-web: pa is missing (give the provider address of the VM's host)",
		}},
		{"misspelt keys that must be there", edits{"mac: 02:00:00:00:01:01", "Mac: 02:00:00:00:01:01", "prefix: 10.0.1.0/24", "prefx: 10.0.1.0/24", "nextHop: 10.0.0.7", "nexthop: 10.0.0.7"}, []string{
			`6: vport red-vm1: unknown key "Mac" (did you mean mac?)`,
			`14: subnet red-db: unknown key "prefx" (did you mean prefix?)`,
			`16: route 1: unknown key "nexthop" (did you mean nextHop?)`,
		}},
		{"several problems in the order of their lines", edits{"pa: 172.16.2.2", "pa: 172.16.2", "vlan: 100", "vlan: 5000", "interface: eth1", "interfce: eth1", "10.0.1.0/24", "10.0.1.0"}, []string{
			`3: uplink up0: unknown key "device.interfce" (did you mean device.interface?)`,
			`8: vport printer: vlan is "5000", out of its range (write a whole number from 1 to 4094)`,
			`14: subnet red-db: prefix is "10.0.1.0", without a prefix length (write for example 10.0.1.0/24)`,
			`24: record 02:00:00:00:02:08 of red-web: pa is "172.16.2", not an IP address (write for example 10.0.0.5 or 2001:db8::5)`,
		}},
		{"missing name", edits{"name: printer, ", ""}, []string{
			"8: vport 3: name is missing (name the vport)",
		}},
		{"missing host", edits{"host: {name: host-a}\n", "dataplane: {}\n"}, []string{
			"1: host is missing (add host: {name: <name of this host>})",
		}},
	})
}

func TestDaemonSection(t *testing.T) {
	refuse(t, []refusal{
		{"socket", edits{"host: {name: host-a}", "host: {name: host-a}\ndaemon: {socket: sluiced.sock, metrics: 9464, logLevel: warning, logFormat: xml}"}, []string{
			`2: daemon: socket is "sluiced.sock", not an absolute path (write for example /run/sluice/sluiced.sock)`,
			`2: daemon: metrics is "9464", which YAML does not take for text (put it in quotes)`,
			`2: daemon: logLevel is "warning" (use debug, info, warn or error)`,
			`2: daemon: logFormat is "xml" (use text or json)`,
		}},
		{"socket too long", edits{"host: {name: host-a}", "host: {name: host-a}\ndaemon: {socket: /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}"}, []string{
			"2: daemon: socket has 121 bytes; a socket's path has at most 107 (use a shorter path)",
		}},
		{"metrics", edits{"host: {name: host-a}", "host: {name: host-a}\ndaemon: {metrics: \"localhost:99999\"}"}, []string{
			`2: daemon: metrics has the port "99999", not a number from 1 to 65535 (write host:port, for example 127.0.0.1:9464, or off)`,
		}},
		{"shares", edits{"host: {name: host-a}", "host: {name: host-a}\ndataplane: {slowPathShare: 20}"}, []string{
			`2: dataplane: slowPathShare is "20", which has no unit (write for example 20%)`}},
		{"shares out of range", edits{"host: {name: host-a}", "host: {name: host-a}\ndataplane: {slowPathShare: 0%}"}, []string{
			`2: dataplane: slowPathShare is "0%", out of its range (write a share from 1% to 100%)`}},
		{"shares beyond all", edits{"host: {name: host-a}", "host: {name: host-a}\ndataplane: {slowPathShare: 1000%}"}, []string{
			`2: dataplane: slowPathShare is "1000%", out of its range (write a share from 1% to 100%)`}},
		{"no shares", edits{"host: {name: host-a}", "host: {name: host-a}\ndataplane: {slowPathShare: a fifth}"}, []string{
			`2: dataplane: slowPathShare is "a fifth", not a share (write a whole number and a percent sign, for example 10%)`}},
		{"durations", edits{"host: {name: host-a}", "host: {name: host-a}\ndataplane: {idle: {spin: 100}, flowIdle: 60 seconds, macAge: 1s}"}, []string{
			`2: dataplane.idle: spin is "100", which has no unit (write for example 100ms; units are us, ms, s, m, h)`,
			`2: dataplane: flowIdle is "60 seconds", not a time (write a number and a unit, for example 100us, 20ms, 60s, 5m)`,
			"2: dataplane: macAge is 1s, out of its range (use 10s to 24h)",
		}},
		{"sizes", edits{"host: {name: host-a}", "host: {name: host-a}\ndataplane: {flowsPerQueue: 1000000, hugepages: yes, workers: many}"}, []string{
			"2: dataplane: flowsPerQueue is 1000000, not a power of two (use 524288 or 1048576)",
			`2: dataplane: hugepages is "yes" (use auto, on or off)`,
			`2: dataplane: workers is "many", not a whole number (write a whole number from 1 to 256)`,
		}},
		{"size out of range", edits{"host: {name: host-a}", "host: {name: host-a}\ndataplane: {flowsPerQueue: 1000Mi, workers: 0}"}, []string{
			`2: dataplane: flowsPerQueue is "1000Mi", not a whole number (write a whole number from 1024 to 67108864)`,
			`2: dataplane: workers is "0", out of its range (write a whole number from 1 to 256)`,
		}},
		{"cores", edits{"host: {name: host-a}", "host: {name: host-a}\ndataplane: {workers: 3, cores: [1, 1]}"}, []string{
			"2: dataplane: workers is 3, but cores lists 2 (list one core per worker, or leave workers out)",
			"2: dataplane: core 1 is listed twice (give each worker a core of its own)",
		}},
		{"router MAC", edits{"host: {name: host-a}", "host: {name: host-a}\ndataplane: {routerMAC: 01:00:5e:00:00:01}"}, []string{
			"2: dataplane: routerMAC is 01:00:5e:00:00:01, a group address (make the first byte even, for example 00)",
		}},
	})
}

package policy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rewritten is a configuration without a problem whose subnet red-web is rewritten. The tables here spoil it.
const rewritten = `host: {name: host-a}
uplinks:
  - {name: up0, device: {driver: af_packet, interface: eth1}, mtu: 1500, providerAddresses: [172.16.1.1/24], gateway: 172.16.1.254}
  - {name: up1, device: {driver: af_packet, interface: eth2}, mtu: 1600, providerAddresses: [172.16.2.1/24]}
vports:
  - {name: red-vm1, device: {driver: tap}, mac: 02:00:00:00:01:01, subnet: red-web, addresses: [10.0.0.5, 10.0.0.6], providerAddresses: [172.16.1.31, 172.16.2.32]}
  - {name: red-vm2, device: {driver: tap}, mac: 02:00:00:00:01:02, subnet: red-web}
  - {name: red-vm3, device: {driver: tap}, mac: 02:00:00:00:01:03, subnet: red-db, addresses: [10.0.1.5, "2001:db8:1::5"]}
  - {name: red-vm4, device: {driver: tap}, mac: 02:00:00:00:01:04, subnet: red-db, addresses: ["2001:db8:1::6", 10.0.1.6], providerAddresses: [172.16.1.33], mtu: 1400}
networks:
  - name: red
    subnets:
      - {name: red-web, vsid: 6001, prefix: 10.0.0.0/24, method: rewrite}
      - {name: red-db, vsid: 6002, prefix: 10.0.1.0/24, prefix6: "2001:db8:1::/64"}
    routes:
      - {prefix: 0.0.0.0/0, gateway: 172.16.1.90}
hosts:
  - {name: host-b, providerAddresses: [172.16.1.2, 172.16.2.2]}
records:
  - {subnet: red-web, ca: 10.0.0.7, mac: 02:00:00:00:02:07, pa: 172.16.1.41}
  - {subnet: red-web, ca: 10.0.0.8, mac: 02:00:00:00:02:07, pa: 172.16.1.42}
  - {subnet: red-web, mac: 02:00:00:00:02:09, pa: 172.16.1.2, method: nvgre}
  - {subnet: red-db, ca: 10.0.1.7, mac: 02:00:00:00:03:07, pa: 172.16.1.43, method: rewrite}
  - {subnet: red-db, ca: "2001:db8:1::7", mac: 02:00:00:00:03:07, pa: 172.16.1.3}
`

func TestRewriteRefusals(t *testing.T) {
	for _, tt := range []refusal{
		{"nothing spoilt", nil, nil},
		{"IPv6", edits{"prefix: 10.0.0.0/24, method", `prefix: 10.0.0.0/24, prefix6: "2001:db8:2::/64", method`}, []string{
			"13: subnet red-web: method rewrite carries IPv4 only, and the subnet has prefix6 (leave prefix6 out, or use nvgre)"}},
		{"no method", edits{"method: rewrite}\n      - ", "method: nat}\n      - ", ", 172.16.2.32]", "]"}, []string{
			"6: vport red-vm1: 1 provider address for 2 IPv4 addresses (give one for each IPv4 entry of addresses, in the same order)",
			`13: subnet red-web: method is "nat" (use nvgre or rewrite)`}},
		{"no provider addresses", edits{", providerAddresses: [172.16.1.31, 172.16.2.32]", ""}, []string{
			"6: vport red-vm1: subnet red-web is one of method rewrite, and the vport has no providerAddresses (add providerAddresses with 2 free addresses in 172.16.1.0/24 or 172.16.2.0/24)"}},
		{"too many", edits{"[172.16.1.31, 172.16.2.32]", "[172.16.1.31, 172.16.2.32, 172.16.1.33]", "providerAddresses: [172.16.1.33]", "providerAddresses: [172.16.1.34]"}, []string{
			"6: vport red-vm1: 3 provider addresses for 2 IPv4 addresses (give one for each IPv4 entry of addresses, in the same order)"}},
		{"for no address", edits{"mac: 02:00:00:00:01:02,", "mac: 02:00:00:00:01:02, providerAddresses: [172.16.1.50],"}, []string{
			"7: vport red-vm2: 1 provider address for 0 IPv4 addresses (give one for each IPv4 entry of addresses, in the same order)"}},
		{"an empty list", edits{"[172.16.1.33], mtu", "[], mtu"}, []string{
			"9: vport red-vm4: 0 provider addresses for 1 IPv4 address (give one for each IPv4 entry of addresses, in the same order)"}},
		{"for IPv6", edits{"[172.16.1.33], mtu", "[172.16.1.33, 172.16.1.34], mtu"}, []string{
			"9: vport red-vm4: 2 provider addresses for 1 IPv4 address (give one for each IPv4 entry of addresses, in the same order)"}},
		{"IPv6 in the fabric", edits{"172.16.1.31", "fd00::1"}, []string{
			"6: vport red-vm1: providerAddresses[0] is fd00::1: IPv6 provider addresses are not offered by this version (use an IPv4 address)"}},
		{"with a prefix length", edits{"[172.16.1.33]", "[172.16.1.33/24]"}, []string{
			`9: vport red-vm4: providerAddresses[0] is "172.16.1.33/24", not an IP address (leave the prefix length out)`}},
		{"outside the fabric", edits{"172.16.1.31", "172.16.3.31"}, []string{
			"6: vport red-vm1: provider address 172.16.3.31 is in no prefix of an uplink's providerAddresses: the fabric would not find it here (use a free address in 172.16.1.0/24 or 172.16.2.0/24)"}},
		{"the uplink's own", edits{"172.16.1.31", "172.16.1.1"}, []string{
			"6: vport red-vm1: provider address 172.16.1.1 is that of uplink up0 (line 3) itself (give the VM one of its own)"}},
		{"the gateway", edits{"172.16.1.31", "172.16.1.254"}, []string{
			"6: vport red-vm1: provider address 172.16.1.254 is the gateway of uplink up0 (line 3) (give the VM one of its own)"}},
		{"an edge", edits{"172.16.1.31", "172.16.1.255"}, []string{
			"6: vport red-vm1: provider address 172.16.1.255 is the broadcast address of 172.16.1.0/24 (give the VM one of its own)"}},
		{"a host's", edits{"172.16.1.31", "172.16.1.2"}, []string{
			"6: vport red-vm1: provider address 172.16.1.2 is that of host host-b (line 18) (give the VM one of its own)"}},
		{"an unlisted host's", edits{"172.16.1.31", "172.16.1.3"}, []string{
			"6: vport red-vm1: provider address 172.16.1.3 is the host's in record 2001:db8:1::7 of red-db (line 24) (give the VM one of its own)"}},
		{"a provider gateway's", edits{"172.16.1.41", "172.16.1.90"}, []string{
			"20: record 10.0.0.7 of red-web: provider address 172.16.1.90 is the host's in route 0.0.0.0/0 (line 16) (give the VM one of its own)"}},
		{"twice at a VM", edits{"172.16.2.32", "172.16.1.31"}, []string{
			"6: vport red-vm1: provider address 172.16.1.31 is given twice (give the VM one of its own)"}},
		{"another vport's", edits{"[172.16.1.33]", "[172.16.1.31]"}, []string{
			"9: vport red-vm4: provider address 172.16.1.31 is also that of vport red-vm1 (line 6) (give the VM one of its own)"}},
		{"another record's", edits{"172.16.1.42", "172.16.1.41"}, []string{
			"21: record 10.0.0.8 of red-web: provider address 172.16.1.41 is also that of record 10.0.0.7 of red-web (line 20) (give the VM one of its own)"}},
		{"a vport's in a record", edits{"172.16.1.42", "172.16.1.31"}, []string{
			"21: record 10.0.0.8 of red-web: provider address 172.16.1.31 is also that of vport red-vm1 (line 6) (give the VM one of its own)"}},
		{"record without address", edits{"pa: 172.16.1.2, method: nvgre", "pa: 172.16.1.44"}, []string{
			"22: record 02:00:00:00:02:09 of red-web: rewrite replaces customer addresses, and the record has none (add ca, or method: nvgre with the provider address of the VM's host)"}},
		{"record of IPv6", edits{"pa: 172.16.1.3}", "pa: 172.16.1.44, method: rewrite}"}, []string{
			"24: record 2001:db8:1::7 of red-db: 2001:db8:1::7 is IPv6, and rewrite carries IPv4 only (use method: nvgre with the provider address of the VM's host)"}},
		{"record of this host", edits{"172.16.1.42", "172.16.1.1"}, []string{
			"21: record 10.0.0.8 of red-web: provider address 172.16.1.1 is this host's own, of uplink up0 (line 3) (name the address of the other host; a VM of this host is a vport)"}},
		{"bridged vport", edits{"subnet: red-db, addresses: [\"2001:db8:1::6\", 10.0.1.6]", "uplink: up0, vlan: 7"}, []string{
			"9: vport red-vm4: providerAddresses stand for addresses in a subnet, and the vport has none (leave them out)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := rewritten
			for i := 0; i < len(tt.edits); i += 2 {
				require.Equal(t, 1, strings.Count(text, tt.edits[i]), tt.edits[i])
				text = strings.Replace(text, tt.edits[i], tt.edits[i+1], 1)
			}
			_, err := Parse("bad.yaml", []byte(text))
			var got []string
			if err != nil {
				for line := range strings.Lines(err.Error()) {
					got = append(got, strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "bad.yaml:"))
				}
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestRewriteWarnings(t *testing.T) {
	assert.Empty(t, parsed(t, rewritten).CheckMTU("up0", 1542))
	c := parsed(t, strings.Replace(rewritten, "addresses: [10.0.1.5, \"2001:db8:1::5\"]", "addresses: [10.0.1.5], mtu: 1400", 1))
	assert.Empty(t, c.Warnings(), "rewritten packets need the VMs' own MTU and no more, and red-db fits with NVGRE's 42 bytes")
	small := c.CheckMTU("up0", 1442)
	require.Len(t, small, 1)
	assert.Equal(t, "VMs of red-web send up to 1500 bytes; uplink up0 carries 1442", small[0].What)
	assert.Equal(t, "set its mtu to 1500 or more, or the VMs' to 1442", small[0].Remedy)
	assert.Zero(t, c.OverheadOf(c.Vport("red-vm1")))
	assert.Equal(t, Overhead, c.OverheadOf(c.Vport("red-vm3")))
}

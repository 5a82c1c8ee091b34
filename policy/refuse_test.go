package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// good is a configuration without a problem, which the tables of this package spoil. Its line numbers are in them.
const good = `host: {name: host-a}
uplinks:
  - {name: up0, device: {driver: af_packet, interface: eth1}, providerAddresses: [172.16.1.1/24], gateway: 172.16.1.254}
  - {name: up1, device: {pci: "0000:03:00.0"}, providerAddresses: [172.16.2.1/24]}
vports:
  - {name: red-vm1, device: {driver: tap}, mac: 02:00:00:00:01:01, subnet: red-web, addresses: [10.0.0.5]}
  - {name: red-vm2, device: {driver: tap}, mac: 02:00:00:00:01:02, subnet: red-web, addresses: [10.0.0.6]}
  - {name: printer, device: {driver: tap}, mac: 02:00:00:00:01:03, uplink: up0, vlan: 100}
  - {name: host0, device: {driver: tap}, mac: 02:00:00:00:01:04, uplink: up0, passThrough: true, trunk: [200, 300]}
networks:
  - name: red
    subnets:
      - {name: red-web, vsid: 6001, prefix: 10.0.0.0/24, prefix6: "2001:db8:1::/64"}
      - {name: red-db, vsid: 6002, prefix: 10.0.1.0/24}
    routes:
      - {prefix: 0.0.0.0/0, nextHop: 10.0.0.7}
  - name: blue
    subnets:
      - {name: blue-web, vsid: 7001, prefix: 10.0.0.0/24}
hosts:
  - {name: host-b, providerAddresses: [172.16.1.2, 172.16.2.2]}
records:
  - {subnet: red-web, ca: 10.0.0.7, mac: 02:00:00:00:02:07, pa: 172.16.1.2}
  - {subnet: red-web, mac: 02:00:00:00:02:08, pa: 172.16.2.2}
`

func TestGood(t *testing.T) {
	c, err := Parse("good.yaml", []byte(good))
	require.NoError(t, err)
	assert.Empty(t, c.Warnings())
}

// edits are pairs of what stands once in good and what to put in its place.
type edits []string

// refusal is a spoilt configuration and the problems that Parse finds, as they print without the file's name.
type refusal struct {
	name  string
	edits edits
	want  []string
}

func spoil(t *testing.T, e edits) string {
	text := good
	for i := 0; i < len(e); i += 2 {
		require.Equal(t, 1, strings.Count(text, e[i]), "%s must stand once in the good configuration", e[i])
		text = strings.Replace(text, e[i], e[i+1], 1)
	}
	return text
}

func refuse(t *testing.T, cases []refusal) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("bad.yaml", []byte(spoil(t, tt.edits)))
			var errs *Errors
			require.ErrorAs(t, err, &errs)
			var got []string
			for _, p := range errs.Problems {
				assert.Equal(t, "bad.yaml", p.File)
				assert.NotEmpty(t, p.What)
				assert.NotEmpty(t, p.Remedy)
				assert.Positive(t, p.Column)
				got = append(got, strings.TrimPrefix(p.String(), "bad.yaml:"))
			}
			assert.Equal(t, tt.want, got)
			assert.Equal(t, "bad.yaml:"+strings.Join(tt.want, "\nbad.yaml:"), err.Error())
		})
	}
}

// TestOneMistakeOneProblem: what could not be read is reported once, and not again by all that rests on it.
func TestOneMistakeOneProblem(t *testing.T) {
	refuse(t, []refusal{
		{"networks misspelt", edits{"networks:", "networcks:"}, []string{
			`10: unknown key "networcks" (did you mean networks?)`,
		}},
		{"uplinks misspelt", edits{"uplinks:", "uplink:"}, []string{
			`2: unknown key "uplink" (did you mean uplinks?)`,
		}},
		{"prefix", edits{`6001, prefix: 10.0.0.0/24`, `6001, prefix: 10.0.0.0/33`}, []string{
			`13: subnet red-web: prefix is "10.0.0.0/33", not an IP prefix (write for example 10.0.0.0/24 or 2001:db8:1::/64)`,
		}},
		{"provider address", edits{"172.16.1.1/24", "172.16.1.1/240"}, []string{
			`3: uplink up0: providerAddresses[0] is "172.16.1.1/240", not an IP prefix (write for example 10.0.0.0/24 or 2001:db8:1::/64)`,
		}},
		{"device", edits{"name: red-vm1, device: {driver: tap}", "name: red-vm1, device: tap"}, []string{
			`6: vport red-vm1: device is "tap", not a mapping (write device: {driver: ...})`,
		}},
		{"records", edits{"  - {subnet: red-web, ca: 10.0.0.7", "    {subnet: red-web, ca: 10.0.0.7", "  - {subnet: red-web, mac: 02:00:00:00:02:08, pa: 172.16.2.2}\n", ""}, []string{
			`23: records is a mapping, not a list (put "- " before each entry)`,
		}},
		{"name", edits{"- name: red\n", "- name: -red\n"}, []string{
			`11: network 1: name is "-red" (a name may hold letters, digits, '-', '_' and '.', and begins with a letter or digit)`,
		}},
	})
}

func TestTooManyUplinks(t *testing.T) {
	var b strings.Builder
	b.WriteString("host: {name: a}\nuplinks:\n")
	for i := range maxUplinks + 2 {
		fmt.Fprintf(&b, "  - {name: up%d, device: {devargs: net_null%d}}\n", i, i)
	}
	_, err := Parse("bad.yaml", []byte(b.String()))
	assert.EqualError(t, err, "bad.yaml:35: uplink up32: 34 uplinks are configured; the switch has room for 32 (remove some)")
}

// TestRemediesForNames: a wrong reference tells what there is, as long as that helps.
func TestRemediesForNames(t *testing.T) {
	subnets := func(n int) string {
		var b strings.Builder
		b.WriteString("host: {name: a}\nvports:\n  - {name: v, device: {driver: tap}, mac: 02:00:00:00:00:01, subnet: nowhere}\nnetworks:\n  - name: n\n    subnets:\n")
		for i := range n {
			fmt.Fprintf(&b, "      - {name: s%d, vsid: %d, prefix: 10.0.%d.0/24}\n", i, 5000+i, i)
		}
		return strings.TrimSuffix(b.String(), "    subnets:\n")
	}
	for n, remedy := range map[int]string{
		0: "define it under subnets", 1: "define it under subnets, or use s0", 3: "define it under subnets, or use s0, s1 or s2",
		9: "define it under subnets, or use one of the 9 there",
	} {
		_, err := Parse("bad.yaml", []byte(subnets(n)))
		assert.EqualError(t, err, "bad.yaml:3: vport v: subnet nowhere is not defined ("+remedy+")")
	}
}

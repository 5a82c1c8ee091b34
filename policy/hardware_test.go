package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fourEven is what a device can do by itself, with PFC for one class.
const fourEven = `host: {name: a, group: edge}
uplinks:
  - {name: up0, device: {pci: "0000:03:00.0"}, providerAddresses: [172.16.1.1/24], qos: {classes: [
      {tc: 0, name: a, share: 25%, ecn: off}, {tc: 1, name: b, share: 25%, ecn: off}, {tc: 2, name: c, share: 25%, ecn: off}, {tc: 3, name: d, share: 25%, ecn: off, pfc: true}]}}
  - {name: up1, device: {driver: af_packet, interface: eth2}}
vports:
  - {name: vm, device: {driver: tap}, mac: 02:00:00:00:01:01, subnet: web, addresses: [10.0.0.5]}
  - {name: bridged, device: {driver: tap}, mac: 02:00:00:00:01:02, uplink: up1, vlan: 100}
networks:
  - {name: red, subnets: [{name: web, vsid: 6001, prefix: 10.0.0.0/24}]}
hostGroups:
  - {name: edge, qos: {inbound: {max: 1Gbit}}}
classification:
  outer: [{tc: 0, pcp: 0}, {tc: 1, pcp: 1}, {tc: 2, pcp: 2}, {tc: 3, pcp: 3}]
`

// Who schedules, as far as the file says.
func TestHardware(t *testing.T) {
	pausing := HardwareQoS{Classes: 4, PFC: 1 << 3}
	for _, tc := range []struct {
		name string
		edit []string
		want HardwareQoS
		why  string
	}{
		{"all that a device can", nil, HardwareQoS{Classes: 4, PFC: 1 << 3, Divides: true}, ""},
		{"without pfc", []string{", pfc: true", ""}, HardwareQoS{Classes: 4, Divides: true}, ""},
		{"required", []string{"qos: {classes", "qos: {hardware: required, classes"}, HardwareQoS{Classes: 4, PFC: 1 << 3, Divides: true, Required: true}, ""},
		{"off", []string{"qos: {classes", "qos: {hardware: off, classes", ", pfc: true", ""}, HardwareQoS{}, "hardware is off"},
		{"a rate", []string{"qos: {classes", "qos: {rate: 10Gbit, classes"}, pausing, "the link has a rate"},
		{"a default flow", []string{"qos: {classes", "qos: {default: {minWeight: 5}, classes"}, pausing, "the default flow has a share"},
		{"strict", []string{"name: b, share: 25%", "name: b, strict: true"}, pausing, "the class is strict"},
		{"uneven", []string{"name: b, share: 25%", "name: b, share: 24%"}, pausing, "the class has 24%, and class a has 25%"},
		{"even, less than all", []string{"share: 25%", "share: 20%"}, HardwareQoS{Classes: 4, PFC: 1 << 3, Divides: true}, ""},
		{"a maximum", []string{"name: b, share: 25%", "name: b, share: 25%, max: 1Gbit"}, pausing, "the class has a max"},
		{"a queue", []string{"name: b, share: 25%", "name: b, share: 25%, queue: 1MiB"}, pausing, "the class has a queue of its own size"},
		{"marks", []string{"name: c, share: 25%, ecn: off", "name: c, share: 25%"}, pausing, "the class marks congestion (ecn, which is on unless it is off)"},
		{"no priorities", []string{"{tc: 1, pcp: 1}, ", ""}, pausing, "its packets do not bear its priority: classification.outer has no {tc: 1, pcp: 1}"},
		{"other priorities", []string{"{tc: 1, pcp: 1}", "{tc: 1, pcp: 2}"}, pausing, "its packets do not bear its priority: classification.outer has no {tc: 1, pcp: 1}"},
		{"three classes", []string{"{tc: 2, name: c, share: 25%, ecn: off}, ", "", "{tc: 2, pcp: 2}, ", ""}, pausing, "a device has 4 classes (tc 0 to 3) or 8 (tc 0 to 7), and these are 3"},
		{"a class beyond", []string{"{tc: 2, name: c", "{tc: 6, name: c", "{tc: 2, pcp: 2}", "{tc: 6, pcp: 6}"}, HardwareQoS{Classes: 8, PFC: 1 << 3}, "a device has 4 classes (tc 0 to 3) or 8 (tc 0 to 7), and these are 4"},
		{"a vport's share", []string{"addresses: [10.0.0.5]", "addresses: [10.0.0.5], qos: {max: 1Gbit}"}, pausing, "a vport has a share or a limit of its own"},
		{"a network's share", []string{"name: red,", "name: red, qos: {min: 1Gbit},"}, pausing, "a vport has a share or a limit of its own"},
		{"a bridged vport", []string{"uplink: up1", "uplink: up0"}, pausing, "the frames of a bridged vport bear priorities of their own"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.NewReplacer(tc.edit...).Replace(fourEven)
			c := parsed(t, text)
			h, why := c.Hardware(&c.Uplinks[0])
			assert.Equal(t, tc.want, h)
			assert.Equal(t, tc.why, why)
			if why == "" || tc.want == (HardwareQoS{}) {
				return
			}
			_, err := Parse("test.yaml", []byte(strings.Replace(text, "qos: {", "qos: {hardware: required, ", 1)))
			require.ErrorContains(t, err, fmt.Sprintf("%s, which a device cannot do, and hardware of uplink up0 (line 3) is required", why))
		})
	}
	plain := parsed(t, fourEven)
	h, why := plain.Hardware(&plain.Uplinks[1])
	assert.Empty(t, why)
	assert.Zero(t, h, "an uplink without qos")

	eight := fourEven
	for tc := 4; tc < 8; tc++ {
		eight = strings.Replace(eight, "ecn: off, pfc: true}", fmt.Sprintf("ecn: off, pfc: true}, {tc: %d, name: n%d, share: 12%%, ecn: off}", tc, tc), 1)
		eight = strings.Replace(eight, "{tc: 3, pcp: 3}", fmt.Sprintf("{tc: 3, pcp: 3}, {tc: %d, pcp: %d}", tc, tc), 1)
	}
	c := parsed(t, strings.ReplaceAll(eight, "share: 25%", "share: 12%"))
	h, why = c.Hardware(&c.Uplinks[0])
	assert.Empty(t, why)
	assert.Equal(t, HardwareQoS{Classes: 8, PFC: 1 << 3, Divides: true}, h)
}

// dividing are ports of which some devices divide the link.
type dividing struct {
	PortTable
	uplink string
}

func (d dividing) Divides(name string) bool { return name == d.uplink }

func TestCompileWithoutScheduler(t *testing.T) {
	c := parsed(t, fourEven)
	s, err := Compile(c, nil, dividing{NumberPorts(c), "up0"})
	require.NoError(t, err)
	assert.Nil(t, s.QoS.Scheduler(0))
	assert.NotNil(t, s.QoS.Scheduler(2), "limits towards VMs stay")
	s, err = Compile(c, nil, dividing{NumberPorts(c), "up1"})
	require.NoError(t, err)
	assert.NotNil(t, s.QoS.Scheduler(0))
}

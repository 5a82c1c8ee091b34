package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDefaults: spelling a documented default out changes nothing.
func TestDefaults(t *testing.T) {
	bare := `host: {name: a}
daemon: {}
dataplane: {vmq: {}, idle: {}}
uplinks:
  - {name: up0, vmq: {}, device: {driver: af_packet, interface: eth1}, providerAddresses: [172.16.1.1/24], qos: {default: {}, classes: [{tc: 0, name: all, share: 1%, ecn: {}}]}}
vports:
  - {name: vm1, vmq: {}, mac: 02:00:00:00:00:01, subnet: web, device: {driver: tap}, acls: [{name: own, direction: in, action: deny}]}
qosGroups: [{name: gold}]
aclLists:
  - {name: shared, rules: [{name: common, direction: in, action: deny}]}
classification:
  default: {}
  rules: [{name: cls, trust: pcp, match: {vsid: 6001}}]
  builtIn: [{name: nfs, tc: 0}]
networks:
  - name: red
    routes:
      - {prefix: 0.0.0.0/0, gateway: 172.16.1.9}
    subnets:
      - {name: web, vsid: 6001, prefix: 10.0.0.0/24}
`
	// Where a key goes, by what stands before it.
	places := map[string]string{
		"daemon": "daemon: {", "dataplane": "dataplane: {", "dataplane.vmq": "dataplane: {vmq: {", "dataplane.idle": "idle: {", "uplinks.vmq": "name: up0, vmq: {", "vports.vmq": "name: vm1, vmq: {",
		"uplinks": "name: up0, ", "vports": "name: vm1, ",
		"vports.device": "driver: tap", "networks.subnets": "name: web, ", "networks.routes": "prefix: 0.0.0.0/0, ",
		"uplinks.qos": "qos: {", "uplinks.qos.default": "qos: {default: {", "uplinks.qos.classes": "name: all, ", "uplinks.qos.classes.ecn": "ecn: {", "qosGroups": "name: gold, ",
		"classification.default": "classification:\n  default: {", "classification.rules": "name: cls, ", "classification.rules.match": "match: {", "classification.builtIn": "name: nfs, ",
		"vports.acls": "name: own, ", "aclLists.rules": "name: common, ",
	}
	c, err := Parse("bare.yaml", []byte(bare))
	require.NoError(t, err)
	for _, d := range Defaults {
		if d.Value == "" {
			continue
		}
		t.Run(d.Key, func(t *testing.T) {
			i := strings.LastIndex(d.Key, ".")
			before, there := places[d.Key[:i]]
			require.True(t, there, "no place for %s", d.Key)
			insert := before + d.Key[i+1:] + ": " + d.Value + ", "
			if before == "driver: tap" {
				insert = before + ", " + d.Key[i+1:] + ": " + d.Value
			}
			text := strings.Replace(bare, before, insert, 1)
			spelt, err := Parse("spelt.yaml", []byte(text))
			require.NoError(t, err)
			assert.Empty(t, Diff(c, spelt))
		})
	}
	assert.Equal(t, "vm1", c.Vports[0].Device.Interface)
	assert.Zero(t, c.Uplinks[0].MTU)
	assert.Empty(t, c.Dataplane.Cores)
	assert.Equal(t, derivedRDID("red"), c.Networks[0].RDID)
}

// TestDefaultsAreComplete: each key that the file may lack either has a documented default or means nothing when absent.
func TestDefaultsAreComplete(t *testing.T) {
	without := []string{ // absent is a value of its own
		"uplinks.providerAddresses", "uplinks.gateway", "vports.device.namespace", "vports.subnet", "vports.addresses",
		"vports.uplink", "vports.vlan", "vports.passThrough", "vports.trunk", "vports.acls", "vports.aclList", "networks.subnets", "networks.routes",
		"networks.subnets.prefix", "networks.subnets.prefix6", "networks.routes.nextHop", "networks.routes.gateway",
		"networks.routes.subnet", "records.ca", "uplinks.device.pci", "uplinks.device.driver", "uplinks.device.interface",
		"uplinks.device.devargs", "vports.providerAddresses",
		"classification.default.trust", "classification.rules.tc", "classification.rules.trust", "classification.outer.dscp", "classification.outer.pcp",
		"uplinks.qos", "uplinks.qos.default", "uplinks.qos.default.min", "uplinks.qos.classes.share", "uplinks.qos.classes.max", "uplinks.qos.classes.ecn",
		"dataplane.idle", "dataplane.vmq", "uplinks.vmq", "vports.vmq", "vports.qos", "networks.qos", "qosGroups.burst", "networks.qos.burst", "qosGroups.vports",
		"classification.default", "classification.rules", "classification.builtIn", "classification.outer",
	}
	for _, list := range []string{"vports.acls.", "aclLists.rules."} {
		for _, key := range []string{"remote", "remoteMAC", "local", "remotePort", "localPort", "etherType"} {
			without = append(without, list+key)
		}
	}
	for _, key := range []string{"vport", "network", "vsid", "remote", "local", "port", "remotePort", "localPort", "etherType", "dscp", "pcp"} {
		without = append(without, "classification.rules.match."+key)
	}
	for _, list := range []string{"vports.qos.", "qosGroups.", "networks.qos."} {
		for _, key := range []string{"min", "max", "destinations", "inbound", "group", "vports"} {
			without = append(without, list+key)
		}
	}
	documented := map[string]bool{}
	for _, d := range Defaults {
		assert.False(t, documented[d.Key], "%s is listed twice", d.Key)
		documented[d.Key] = true
	}
	tables := map[string][]field{
		"daemon": daemonFields(&DaemonConfig{}), "dataplane": dataplaneFields(&DataplaneConfig{}), "dataplane.idle": idleFields(&IdleConfig{}),
		"uplinks": uplinkFields(&UplinkConfig{}), "vports": vportFields(&VportConfig{}),
		"networks": networkFields(&NetworkConfig{}), "networks.subnets": subnetFields(&SubnetConfig{}),
		"vports.acls": aclFields(&ACLConfig{}), "classification": classificationFields(&ClassificationConfig{}),
		"classification.default": outcomeFields(&OutcomeConfig{}, ""), "classification.rules": classRuleFields(&ClassRuleConfig{}),
		"classification.rules.match": matchFields(&MatchConfig{}), "classification.builtIn": builtInFields(&BuiltInConfig{}),
		"uplinks.qos": linkQoSFields(&LinkQoSConfig{}), "uplinks.qos.default": minFields(&ShareConfig{}), "uplinks.qos.classes": classFields(&ClassConfig{}),
		"vports.qos": ownQoSFields(&VportQoSConfig{}), "qosGroups": qosGroupFields(&QoSGroupConfig{}), "networks.qos": networkQoSFields(&NetworkQoSConfig{}),
		"dataplane.vmq": vmqLimitFields(&VMQLimits{}), "uplinks.vmq": vmqFields(&VMQConfig{}), "vports.vmq": vmqFields(&VMQConfig{}),
		"classification.outer": outerFields(&OuterConfig{}),
		"aclLists":             aclListFields(&ACLListConfig{}), "aclLists.rules": aclFields(&ACLConfig{}), "networks.routes": routeFields(&RouteConfig{}), "hosts": peerFields(&PeerConfig{}), "records": recordFields(&RecordConfig{}),
	}
	known := map[string]bool{"vports.device.interface": true, "vports.device.persist": true, "uplinks.qos.classes.ecn.from": true, "uplinks.qos.classes.ecn.full": true}
	for section, fields := range tables {
		for _, f := range fields {
			key := section + "." + f.key
			known[key] = true
			if f.need == "" {
				assert.True(t, documented[key] != slices.Contains(without, key), "%s needs a line in Defaults, or in this test", key)
			}
		}
	}
	for key := range documented {
		assert.True(t, known[key], "%s is no key", key)
	}
}

func TestDerivedRDIDs(t *testing.T) {
	assert.Equal(t, derivedRDID("red"), derivedRDID("red"))
	assert.NotEqual(t, derivedRDID("red"), derivedRDID("blue"))
	assert.GreaterOrEqual(t, derivedRDID("red"), uint32(minDerivedRDID), "never one that a file can give")

	// Two names whose ids collide, found by trying: the file has to give one of them.
	ids := map[uint32]string{}
	for i := 0; ; i++ {
		name := fmt.Sprintf("net%d", i)
		other, double := ids[derivedRDID(name)]
		if !double {
			ids[derivedRDID(name)] = name
			continue
		}
		text := fmt.Sprintf("host: {name: a}\nnetworks:\n  - {name: %s}\n  - {name: %s}\n", other, name)
		_, err := Parse("bad.yaml", []byte(text))
		assert.EqualError(t, err, fmt.Sprintf("bad.yaml:4: network %s: the routing domain id %d, derived from the name, is also that of network %s (line 3) (set rdid to a number below 2147483648, the same on every host)",
			name, derivedRDID(name), other))
		_, err = Parse("good.yaml", []byte(strings.Replace(text, "{name: "+name, "{rdid: 7, name: "+name, 1)))
		assert.NoError(t, err)
		return
	}
}

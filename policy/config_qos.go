package policy

import (
	"net/netip"
	"strconv"
	"strings"
)

// LinkQoSConfig is the scheduler of an uplink.
type LinkQoSConfig struct {
	source
	owner       string
	BytesPerSec uint64 // of the link, on the wire; 0: that of the device
	Hardware    string // HardwareAuto, HardwareOff or HardwareRequired
	Default     DefaultFlowConfig
	Classes     []ClassConfig
}

// DefaultFlowConfig is the share of all vports together that have none of their own, and of the host itself.
type DefaultFlowConfig struct {
	source
	owner string
	ShareConfig
}

// ClassConfig is a traffic class of an uplink. It is either Strict or has a Share.
type ClassConfig struct {
	source
	Name           string
	TC             uint8
	Strict         bool
	Share          uint8 // percent of what strict classes leave
	MaxBytesPerSec uint64
	QueueBytes     uint32 // bound of each vport's queue
	MarkBytes      uint32 // depth at which packets are marked (ECN); 0: off
	MarkFullBytes  uint32 // depth at which all are
	PFC            bool   // the device pauses the class, and is paused (IEEE 802.1Qbb)
}

// ShareConfig is a minimum, by weight or in bytes per second, and a maximum.
type ShareConfig struct {
	MinWeight      uint32
	MinBytesPerSec uint64
	MaxBytesPerSec uint64
	BurstBytes     uint64 // of the maximum
}

// VportQoSConfig is what a vport gets, or, as a default, each vport of a group, VM network or host.
type VportQoSConfig struct {
	source
	owner string
	ShareConfig
	Group        string // of the vport itself only
	Destinations []DestinationConfig
	Inbound      InboundConfig
}

// DestinationConfig limits what a vport sends to some prefixes. Of several the longest prefix counts.
type DestinationConfig struct {
	source
	Name           string
	Prefixes       []netip.Prefix
	MaxBytesPerSec uint64
	BurstBytes     uint64
}

// InboundConfig limits what a VM gets.
type InboundConfig struct {
	MaxBytesPerSec   uint64
	BurstBytes       uint64
	StormBytesPerSec uint64 // of flooded frames
}

// QoSGroupConfig is a set of vports that share a minimum and a maximum.
type QoSGroupConfig struct {
	source
	Name string
	ShareConfig
	Vports VportQoSConfig // each of them
}

// NetworkQoSConfig is what the vports of a VM network share.
type NetworkQoSConfig struct {
	source
	owner string
	ShareConfig
	Vports VportQoSConfig
}

// HostGroupConfig is what vports of the hosts of a group get that nothing else says.
type HostGroupConfig struct {
	source
	Name string
	QoS  VportQoSConfig
}

func (c *LinkQoSConfig) label() string     { return "qos of " + c.owner }
func (c *DefaultFlowConfig) label() string { return "default flow of " + c.owner }
func (c *ClassConfig) label() string       { return c.named("class", c.Name) }
func (c *DestinationConfig) label() string { return c.named("destination", c.Name) }
func (c *QoSGroupConfig) label() string    { return c.named("qos group", c.Name) }
func (c *NetworkQoSConfig) label() string  { return "qos of " + c.owner }
func (c *HostGroupConfig) label() string   { return c.named("host group", c.Name) }

func (c *VportQoSConfig) label() string {
	if of, ok := strings.CutPrefix(c.owner, "qos of "); ok { // a network
		return "qos of vports of " + of
	}
	if strings.HasPrefix(c.owner, "qos group") {
		return "vports of " + c.owner
	}
	return "qos of " + c.owner
}

// Scheduled reports that what leaves by the uplink has shares.
func (u *UplinkConfig) Scheduled() bool { return u.has("qos") }

// QoSGroup finds a group by name, nil without one.
func (c *Config) QoSGroup(name string) *QoSGroupConfig {
	for i := range c.QoSGroups {
		if c.QoSGroups[i].Name == name {
			return &c.QoSGroups[i]
		}
	}
	return nil
}

// hostGroup is that of the host, nil without one.
func (c *Config) hostGroup() *HostGroupConfig {
	for i := range c.HostGroups {
		if c.HostGroups[i].Name == c.Host.Group && c.Host.Group != "" {
			return &c.HostGroups[i]
		}
	}
	return nil
}

// showRate writes a rate as one would in the file: "2.5Gbit".
func showRate(bytesPerSec uint64) string {
	return showUnits(float64(bytesPerSec)*8, rateUnits, "bit")
}

// showSize writes a number of bytes as one would in the file: "64KiB".
func showSize(bytes uint64) string {
	for _, u := range []struct {
		name string
		size uint64
	}{{"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if bytes >= u.size && bytes%u.size == 0 {
			return strconv.FormatUint(bytes/u.size, 10) + u.name
		}
	}
	return strconv.FormatUint(bytes, 10) + "B"
}

// unit is a prefix of a unit, the largest first in a table of them.
type unit struct {
	name string
	size float64
}

var rateUnits = []unit{{"Gbit", 1e9}, {"Mbit", 1e6}, {"kbit", 1e3}}

func showUnits(v float64, units []unit, plain string) string {
	for _, u := range units {
		if v >= u.size {
			return strconv.FormatFloat(v/u.size, 'f', -1, 64) + u.name
		}
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + plain
}

package agent

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func tapSpec(name string, edit ...func(*TapSpec)) portSpec {
	s := TapSpec{Name: name, Interface: name, Namespace: name, MTU: 1500, Queues: 1, Persist: true}
	for _, e := range edit {
		e(&s)
	}
	return portSpec{tap: &s}
}

func uplinkSpec(name, devargs string, edit ...func(*UplinkSpec)) portSpec {
	s := UplinkSpec{Name: name, DevArgs: devargs, RxQueues: 1, TxQueues: 1, MTU: 1600}
	for _, e := range edit {
		e(&s)
	}
	return portSpec{uplink: &s}
}

func TestMakePlan(t *testing.T) {
	up := uplinkSpec("up0", "net_af_packet0,iface=eth1")
	a, b := tapSpec("a"), tapSpec("b")
	for _, tc := range []struct {
		name                string
		running, wanted     []portSpec
		open, change, close []string
		err                 string
	}{
		{name: "start", wanted: []portSpec{up, a, b}, open: []string{"up0", "a", "b"}},
		{name: "nothing to do", running: []portSpec{up, a}, wanted: []portSpec{a, up}},
		{name: "add and remove", running: []portSpec{up, a}, wanted: []portSpec{up, b}, open: []string{"b"}, close: []string{"a"}},
		{
			name: "address and MTU change in place", running: []portSpec{up, a, b},
			wanted: []portSpec{up, tapSpec("a", func(s *TapSpec) { s.MAC[5] = 7 }), tapSpec("b", func(s *TapSpec) { s.MTU = 9000 })},
			change: []string{"a", "b"},
		},
		{
			name: "uplink's MTU", running: []portSpec{up},
			wanted: []portSpec{uplinkSpec("up0", "net_af_packet0,iface=eth1", func(s *UplinkSpec) { s.MTU = 9000 })},
			err:    "uplink up0: MTU from 1600 to 9000 takes a restart",
		},
		{
			name: "another interface is another device", running: []portSpec{a},
			wanted: []portSpec{tapSpec("a", func(s *TapSpec) { s.Interface = "a1" })},
			open:   []string{"a"}, close: []string{"a"},
		},
		{
			name: "a vport becomes an uplink", running: []portSpec{tapSpec("x")}, wanted: []portSpec{uplinkSpec("x", "net_null0")},
			open: []string{"x"}, close: []string{"x"},
		},
		{
			name: "queues", running: []portSpec{a}, wanted: []portSpec{tapSpec("a", func(s *TapSpec) { s.Queues = 2 })},
			err: "vport a: queues from 1 to 2 takes a restart",
		},
		{
			name: "persist", running: []portSpec{a}, wanted: []portSpec{tapSpec("a", func(s *TapSpec) { s.Persist = false })},
			err: "vport a: persist from true to false takes a restart",
		},
		{
			name: "device arguments", running: []portSpec{up}, wanted: []portSpec{uplinkSpec("up0", "net_af_packet0,iface=eth2")},
			err: "uplink up0: device arguments from net_af_packet0,iface=eth1 to net_af_packet0,iface=eth2 takes a restart",
		},
		{
			name: "uplink queues", running: []portSpec{up},
			wanted: []portSpec{uplinkSpec("up0", "net_af_packet0,iface=eth1", func(s *UplinkSpec) { s.RxQueues = 2 })},
			err:    "uplink up0: queues from 1 to 2 takes a restart",
		},
		{
			name: "renamed on the same interface", running: []portSpec{a},
			wanted: []portSpec{tapSpec("b", func(s *TapSpec) { s.Interface, s.Namespace = "a", "a" })},
			err:    "vport b: interface a in namespace a is still in use by vport a",
		},
		{
			name:    "uplink renamed on the same PCI device",
			running: []portSpec{uplinkSpec("up0", "", func(s *UplinkSpec) { s.PCI = "0000:03:00.0" })},
			wanted:  []portSpec{uplinkSpec("up1", "", func(s *UplinkSpec) { s.PCI = "0000:03:00.0" })},
			err:     "uplink up1: PCI device 0000:03:00.0 is still in use by uplink up0",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			running, order := map[string]*port{}, []*port(nil)
			for _, s := range tc.running {
				p := &port{spec: s}
				running[s.name()], order = p, append(order, p)
			}
			got, err := makePlan(running, order, tc.wanted, "")
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			var open, changed, closed []string
			for _, s := range got.open {
				open = append(open, s.name())
			}
			for _, c := range got.change {
				changed = append(changed, c.spec.name())
			}
			for _, p := range got.close {
				closed = append(closed, p.spec.name())
			}
			require.Equal(t, tc.open, open, "open")
			require.Equal(t, tc.change, changed, "change")
			require.Equal(t, tc.close, closed, "close")
		})
	}
}

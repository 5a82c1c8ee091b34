package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryProfileOfSharesLoads(t *testing.T) {
	files, err := filepath.Glob("../profiles/qos/*")
	require.NoError(t, err)
	require.Len(t, SharesNames(), len(files), "the folder holds profiles only")
	for _, name := range SharesNames() {
		s, err := LoadShares(name)
		require.NoError(t, err)
		assert.Equal(t, name, s.Name, "a profile is called as its file")
		assert.True(t, IsShares(name) && IsShares("../profiles/qos/"+name+".yaml"))
		c, err := s.Host()
		require.NoError(t, err)
		assert.NotEmpty(t, c.Vports)
		_, err = Load(name)
		require.ErrorIs(t, err, ErrShares)
		assert.ErrorContains(t, err, "use sluice-pktgen shares --profile "+name)
		_, err = Load("../profiles/qos/" + name + ".yaml")
		assert.ErrorContains(t, err, "streams: its streams compete for shares of a link (use sluice-pktgen shares --profile FILE)")
	}
	assert.Equal(t, []string{"qos-8class", "qos-incast", "qos-min-share", "qos-noisy-neighbour"}, SharesNames())
	assert.False(t, IsShares("nvgre-encap"))
	_, err = LoadShares("nvgre-encap")
	assert.ErrorContains(t, err, "profile nvgre-encap has no shares (choose qos-8class, ")
	_, err = LoadShares("nothing")
	require.ErrorIs(t, err, errUnknown)
	_, err = LoadShares("./nothing.yaml")
	require.ErrorIs(t, err, os.ErrNotExist)
}

const goodShares = `name: test
description: what it is for
duration: 1s
link: 1Gbit
uplink:
  rate: 900Mbit
  classes: [{tc: 0, name: rest, share: 60%}, {tc: 3, name: storage, share: 40%}]
vports:
  - {name: vm, count: 3, qos: {min: 10Mbit}}
  - {name: other}
streams:
  - {name: a, vports: vm, frameBytes: 1000, rate: 2x, changes: [{at: 100ms, rate: off}, {at: 200ms, rate: 3Mbit}]}
  - {name: b, vports: other, frameBytes: 60, rate: 10kpps, dscp: af31, pcp: 3}
variants:
  - {name: both}
  - {name: alone, without: [b], ecn: false}
`

func TestParseShares(t *testing.T) {
	s, err := ParseShares("test.yaml", []byte(strings.Replace(goodShares, "frameBytes: 60", "frameBytes: 64", 1)))
	require.NoError(t, err)
	assert.Equal(t, Rate{BPS: 900e6}, s.Link)
	assert.Equal(t, Rate{BPS: 1e9}, s.Wire)
	assert.Equal(t, []RateChange{{100 * time.Millisecond, StreamRate{}}, {200 * time.Millisecond, StreamRate{Rate: Rate{BPS: 3e6}}}}, s.Streams[0].Changes)
	assert.Equal(t, 26, s.Streams[1].DSCP)
	assert.Equal(t, []int{-1, 3}, []int{s.Streams[0].PCP, s.Streams[1].PCP})
	assert.Equal(t, []Variant{{Name: "both", ECN: true}, {Name: "alone", Without: []string{"b"}}}, s.Variants)
	assert.Equal(t, []string{"vm-1", "vm-3", "other"}, []string{s.VM(0).Name, s.VM(2).Name, s.VM(3).Name})
	assert.Equal(t, 3, s.First("other"))
	assert.Equal(t, "test: streams a, b of 4 vports to an uplink of 900Mbit, 1s", s.String())
	text, err := s.Config(map[string]string{"driver": "af_packet", "interface": "eth9"})
	require.NoError(t, err)
	for _, want := range []string{"{driver: af_packet, interface: eth9}", "rate: 900Mbit", "name: vm-2", "qos: {min: 10Mbit}", "classification: {default: {trust: dscp}}"} {
		assert.Contains(t, string(text), want)
	}
}

func TestSharesRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		edits []string
		want  []string
	}{
		"no room for a stamp": {nil, []string{
			"test.yaml:13: stream b: frames of 60 bytes cannot be (choose 62 to 1514, without FCS: headers and a stamp of 16 bytes have to fit)"}},
		"what the switch refuses, with the lines of the profile": {[]string{"frameBytes: 60", "frameBytes: 64", "share: 60%", "share: 70%", "min: 10Mbit", "min: 400Mbit, max: 100Mbit"}, []string{
			"test.yaml:6: qos of uplink up0: the minimums on uplink up0 are 400Mbit (vm-1) + 400Mbit (vm-2) + 400Mbit (vm-3) = 1.2Gbit, more than the link, which has 900Mbit (lower some of them, or use minWeight)",
			"test.yaml:7: qos of uplink up0: the shares of the classes are 70% + 40% = 110%, more than the link (lower them until they are 100% or less)",
			"test.yaml:9: qos of vport vm-1: min is 400Mbit, above max, which is 100Mbit (lower min, or raise max)"}},
		"the same class twice": {[]string{"frameBytes: 60", "frameBytes: 64", "tc: 3", "tc: 0"}, []string{"also that of class rest (line 7)"}},
		"unknown keys, and missing ones": {[]string{"rate: 10kpps", "speed: 10kpps", "duration: 1s\n", ""}, []string{
			"test.yaml:1: profile: duration is missing (add it)", `stream: unknown key "speed" (the keys are: changes, control, dscp`}},
		"a key twice":            {[]string{"link: 1Gbit", "link: 1Gbit\nlink: 2Gbit"}, []string{"test.yaml:5: profile: link is given twice, first in line 4 (keep one of them)"}},
		"rates":                  {[]string{"rate: 10kpps", "rate: max", "rate: 2x", "rate: 500x"}, []string{`stream: rate: "500x": choose more than 0x and at most 100x`, `stream: rate: "max" is no rate of a stream: write off, 2x for twice its share, 300Mbit or 50kpps`}},
		"changes out of order":   {[]string{"at: 200ms", "at: 100ms"}, []string{"stream a: a change at 100ms (name times in their order, after the start and before the end at 1s)"}},
		"a stream of nobody":     {[]string{"vports: other", "vports: others"}, []string{`stream b: there are no vports "others" (name a set of vports)`}},
		"names":                  {[]string{"name: other", "name: vm", "name: b, ", "name: a, "}, []string{"vports: the name vm is taken", "stream a: the name is taken (choose another)"}},
		"too many VMs":           {[]string{"count: 3", "count: 4001"}, []string{"test.yaml:9: vports vm: count is 4001 (choose at least 1, and at most 4000 in all)"}},
		"no DSCP":                {[]string{"dscp: af31", "dscp: 64"}, []string{`stream: dscp: "64" is no DSCP: write 0 to 63, or a name such as cs3, af31 or ef`}},
		"DCTCP without marks":    {[]string{"rate: 10kpps", "control: dctcp, rtt: 1ms"}, []string{"stream b: DCTCP goes by marks, and its packets do not ask for them (add ecn: true)"}},
		"control without a time": {[]string{"rate: 10kpps", "control: reno"}, []string{"stream b: rtt is 0s (a controlled stream has one, 10µs to 1s)"}},
		"a variant of nothing":   {[]string{"without: [b]", "without: [c]"}, []string{`test.yaml:16: variant alone: there is no stream "c" to leave out (name streams of this profile)`}},
		"a link below the rate":  {[]string{"frameBytes: 60", "frameBytes: 64", "link: 1Gbit", "link: 800Mbit"}, []string{"test.yaml:4: link: 800Mbit is less than the rate of the uplink, which is 900Mbit (use the rate of the uplink or more)"}},
		"no rate":                {[]string{"frameBytes: 60", "frameBytes: 64", "  rate: 900Mbit\n", "", ", qos: {min: 10Mbit}", ""}, []string{"test.yaml:1: uplink: rate is missing (say how much the streams share, for example 1Gbit)"}},
		"neither way out":        {[]string{"uplink:\n  rate: 900Mbit\n  classes: [{tc: 0, name: rest, share: 60%}, {tc: 3, name: storage, share: 40%}]\n", ""}, []string{"where the streams leave is not clear (give either uplink"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := goodShares
			for i := 0; i+1 < len(c.edits); i += 2 {
				require.Contains(t, text, c.edits[i])
				text = strings.Replace(text, c.edits[i], c.edits[i+1], 1)
			}
			_, err := ParseShares("test.yaml", []byte(text))
			require.Error(t, err)
			for _, want := range c.want {
				assert.Contains(t, err.Error(), want)
			}
			assert.NotContains(t, err.Error(), "vm-2: ", "what holds for a set is said once")
		})
	}
}

// Whatever a file holds, it is read or refused with its lines, and what is read can be written for the switch.
func FuzzParseShares(f *testing.F) {
	f.Add([]byte(goodShares))
	f.Add([]byte(strings.Replace(goodShares, "{name: rest, ", "&a {name: rest, ", 1)))
	f.Add([]byte("uplink: *a\nstreams: [*b]\nvports: ~\n"))
	f.Add([]byte("uplink: {rate: 1Gbit, classes: &c [{tc: 0, name: a, share: 5%}]}\nqosGroups: *c\ntarget: [1]\n"))
	for _, name := range SharesNames() {
		if name == "qos-min-share" {
			continue // a thousand VMs take their time
		}
		text, err := os.ReadFile("../profiles/qos/" + name + ".yaml")
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseShares("fuzz.yaml", text)
		if err != nil {
			return
		}
		if _, err := s.Host(); err != nil {
			t.Fatal(err)
		}
	})
}

package agent_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/agent"
)

// byDevice is the base with a scheduler that goes by the link of its device.
func byDevice(classes string) string {
	return strings.Replace(withVMs(5, 6), "providerAddresses: [172.16.1.1/24]}", "providerAddresses: [172.16.1.1/24], qos: {"+classes+"}}", 1)
}

const oneClass = "classes: [{tc: 0, name: all, share: 100%}]"

// rateOf is the rate of the only scheduler that runs, Mbit/s.
func rateOf(t *testing.T, a *agent.Agent) uint64 {
	t.Helper()
	list := a.Switch().Schedulers()
	require.Len(t, list, 1)
	require.NoError(t, list[0].Err)
	return list[0].BytesPerSec * 8 / 1_000_000
}

func TestSchedulerFollowsTheLink(t *testing.T) {
	var log bytes.Buffer
	a, d := start(t, byDevice(oneClass), logTo(&log))
	require.EqualValues(t, 10_000, rateOf(t, a))
	before := a.Running()
	follow := func(up bool, mbit uint32) uint64 {
		t.Helper()
		d.SetLink("up0", up, mbit)
		require.NoError(t, a.FollowLinks(t.Context()))
		return rateOf(t, a)
	}
	require.EqualValues(t, 10_000, follow(true, 10_000))
	require.Same(t, before, a.Running(), "nothing was to be done")
	require.EqualValues(t, 1000, follow(true, 1000))
	require.Contains(t, log.String(), `msg="the link has another speed, and its scheduler follows" uplink=up0 before=10000Mbit now=1000Mbit`)
	require.NotContains(t, log.String(), "WARN")
	require.Equal(t, before.Revision, a.Running().Revision)
	require.Equal(t, before.Applied, a.Running().Applied)
	require.EqualValues(t, 1000, follow(false, 10_000), "without a link it stays")
	require.EqualValues(t, 1000, follow(true, 0), "and with one of a speed that nobody knows")
	_, err := a.Apply(t.Context(), "f", []byte(strings.Replace(byDevice(oneClass), "name: all", "name: every", 1)), false)
	require.NoError(t, err)
	require.EqualValues(t, 1000, rateOf(t, a), "a new configuration knows the speed too")
	require.EqualValues(t, 25_000, follow(true, 25_000))
	d.Deeds()
	require.EqualValues(t, 10_000, follow(true, 10_000))
	require.Empty(t, d.Deeds(), "no device is touched")

	log.Reset()
	_, err = a.Apply(t.Context(), "f", []byte(byDevice("rate: 5Gbit, "+oneClass)), false)
	require.NoError(t, err)
	require.EqualValues(t, 5000, follow(true, 1000), "a rate of the file is what counts")
	require.NotContains(t, log.String(), "another speed")
}

func TestMinimumsBeyondTheLink(t *testing.T) {
	var log bytes.Buffer
	text := strings.ReplaceAll(byDevice("default: {min: 1Gbit}, "+oneClass), "subnet: web, addresses", "qos: {min: 2Gbit}, subnet: web, addresses")
	a, d := start(t, text, logTo(&log))
	d.SetLink("up0", true, 1000)
	require.NoError(t, a.FollowLinks(t.Context()))
	require.EqualValues(t, 1000, rateOf(t, a))
	require.Contains(t, log.String(), `level=WARN msg="a link is slower than what was promised of it: all its minimums are scaled down" file=host.yaml line=5`)
	require.Contains(t, log.String(), `problem="the minimums on uplink up0 are 1Gbit (the default flow) + 2Gbit (vm5) + 2Gbit (vm6) = 5Gbit, more than the link, which has 1Gbit"`)
	leaves := a.Running().Snapshot.QoS.Scheduler(0).Leaves
	const mbit = 1_000_000 / 8
	require.EqualValues(t, []uint64{200 * mbit, 400 * mbit, 400 * mbit}, []uint64{leaves[0].MinBytesPerSec, leaves[1].MinBytesPerSec, leaves[2].MinBytesPerSec})

	log.Reset()
	require.NoError(t, a.FollowLinks(t.Context()))
	require.Empty(t, log.String(), "said once")
	d.Delete("vm5")
	_, err := a.Heal(t.Context())
	require.NoError(t, err, "what runs can be mended on a slow link")
	require.NotContains(t, log.String(), "WARN")
	res, err := a.Apply(t.Context(), "f", []byte(strings.Replace(text, "name: all", "name: every", 1)), false)
	require.NoError(t, err, "what has nothing to do with it can be changed")
	require.Len(t, res.Warnings, 3)
	require.Contains(t, res.Warnings[1].What, "= 5Gbit, more than the link, which has 1Gbit")
	_, err = a.Apply(t.Context(), "f", []byte(strings.Replace(text, "min: 1Gbit", "min: 2Gbit", 1)), false)
	require.ErrorContains(t, err, "= 6Gbit, more than the link, which has 1Gbit", "but what is new has to fit")
	_, err = a.Apply(t.Context(), "f", []byte(text), false)
	require.NoError(t, err)

	d.SetLink("up0", true, 10_000)
	require.NoError(t, a.FollowLinks(t.Context()))
	require.EqualValues(t, 1000*mbit, a.Running().Snapshot.QoS.Scheduler(0).Leaves[0].MinBytesPerSec)
}

// A maximum above the link is no promise: nothing is scaled down for it.
func TestMaximumsBeyondTheLink(t *testing.T) {
	var log bytes.Buffer
	text := strings.Replace(byDevice(oneClass), "subnet: web, addresses", "qos: {max: 2Gbit}, subnet: web, addresses", 1)
	a, d := start(t, text, logTo(&log))
	d.SetLink("up0", true, 1000)
	require.NoError(t, a.FollowLinks(t.Context()))
	require.Contains(t, log.String(), `level=WARN msg="a link is slower than a limit of what leaves by it: the limit means nothing until the link is faster"`)
	require.Contains(t, log.String(), `problem="max is 2Gbit, and the link of uplink up0 has 1Gbit"`)
	require.NotContains(t, log.String(), "scaled down")
	_, err := a.Apply(t.Context(), "f", []byte(strings.Replace(text, "max: 2Gbit", "max: 3Gbit", 1)), false)
	require.ErrorContains(t, err, "max is 3Gbit, and the link of uplink up0 has 1Gbit")
	_, err = a.Apply(t.Context(), "f", []byte(strings.Replace(text, "max: 2Gbit", "max: 1500Mbit", 1)), false)
	require.NoError(t, err)
}

// VMs of a host that boots beside a bad cable can talk to each other.
func TestStartOnASlowLink(t *testing.T) {
	var log bytes.Buffer
	text := strings.ReplaceAll(byDevice(oneClass), "subnet: web, addresses", "qos: {min: 2Gbit}, subnet: web, addresses")
	a, d := prepare(t, text, logTo(&log))
	d.SetLink("up0", true, 1000)
	require.NoError(t, a.Start(t.Context()))
	require.EqualValues(t, 1000, rateOf(t, a))
	require.Contains(t, log.String(), "all its minimums are scaled down")
	require.Contains(t, log.String(), "2Gbit (vm5) + 2Gbit (vm6) = 4Gbit, more than the link, which has 1Gbit")
	_, err := a.Apply(t.Context(), "f", []byte(strings.Replace(text, "name: all", "name: every", 1)), false)
	require.NoError(t, err)
}

func TestStartWithoutASpeed(t *testing.T) {
	for _, up := range []bool{false, true} {
		var log bytes.Buffer
		text := strings.ReplaceAll(byDevice(oneClass), "subnet: web, addresses", "qos: {min: 6Gbit}, subnet: web, addresses")
		a, d := prepare(t, text, logTo(&log))
		d.SetLink("up0", up, 0)
		require.NoError(t, a.Start(t.Context()))
		require.EqualValues(t, 10_000, rateOf(t, a))
		require.Contains(t, log.String(), `level=WARN msg="the device does not tell the rate of its link: until it does, its scheduler goes by one that is assumed" uplink=up0 assumed=10000Mbit`)
		require.Contains(t, log.String(), "= 12Gbit, more than the link, which has 10Gbit")
		log.Reset()
		require.NoError(t, a.FollowLinks(t.Context()))
		_, err := a.Apply(t.Context(), "f", []byte(strings.Replace(text, "name: all", "name: every", 1)), false)
		require.NoError(t, err)
		require.EqualValues(t, 10_000, rateOf(t, a))
		require.NotContains(t, log.String(), "does not tell", "said once")
		require.NotContains(t, log.String(), "scaled down", "likewise")
		d.SetLink("up0", true, 1000)
		require.NoError(t, a.FollowLinks(t.Context()))
		require.EqualValues(t, 1000, rateOf(t, a))
	}

	a, d := prepare(t, withVMs(5))
	d.SetLink("up0", true, 0)
	require.NoError(t, a.Start(t.Context()))
	_, err := a.Apply(t.Context(), "f", []byte(byDevice(oneClass)), false)
	require.ErrorContains(t, err, "the device does not tell the rate of its link (add rate: <rate>", "nothing is assumed of what is new")
}

// An uplink that is back has the speed that it had, also while its carrier is down.
func TestHealedUplinkKeepsItsSpeed(t *testing.T) {
	a, d := start(t, byDevice(oneClass))
	d.SetLink("up0", true, 1000)
	require.NoError(t, a.FollowLinks(t.Context()))
	d.SetLink("up0", false, 0)
	d.Delete("up0")
	healed, err := a.Heal(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"uplink up0"}, healed)
	require.EqualValues(t, 1000, rateOf(t, a))
}

// Monitor follows by itself.
func TestMonitorFollowsLinks(t *testing.T) {
	a, d := start(t, byDevice(oneClass))
	go a.Monitor(t.Context())
	d.SetLink("up0", true, 1000)
	require.Eventually(t, func() bool { return rateOf(t, a) == 1000 }, patience, 50*1e6)
}

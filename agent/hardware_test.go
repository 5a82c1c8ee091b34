package agent_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/agent"
)

// even is the base with four classes that a device can have, but for what edits change.
func even(qos string, edits ...string) string {
	text := strings.Replace(withVMs(5, 6), "providerAddresses: [172.16.1.1/24]}", "providerAddresses: [172.16.1.1/24],\n     qos: {"+qos+
		"classes: [{tc: 0, name: a, share: 25%, ecn: off}, {tc: 1, name: b, share: 25%, ecn: off}, {tc: 2, name: c, share: 25%, ecn: off}, {tc: 3, name: d, share: 25%, ecn: off}]}}", 1) +
		"classification: {outer: [{tc: 0, pcp: 0}, {tc: 1, pcp: 1}, {tc: 2, pcp: 2}, {tc: 3, pcp: 3}]}\n"
	return strings.NewReplacer(edits...).Replace(text)
}

func logTo(b *bytes.Buffer) func(*agent.Options) {
	return func(o *agent.Options) { o.Log = slog.New(slog.NewTextHandler(b, nil)) }
}

func uplink(t *testing.T, a *agent.Agent) agent.PortStatus {
	t.Helper()
	_, ports := a.Ports()
	require.Equal(t, "up0", ports[0].Name)
	return ports[0]
}

func TestDeviceWithClassesSchedules(t *testing.T) {
	var log bytes.Buffer
	a, d := prepare(t, even("", "name: d, share", "name: d, pfc: true, share"), logTo(&log))
	d.GiveClasses(8)
	require.NoError(t, a.Start(t.Context()))
	up := uplink(t, a)
	require.Equal(t, agent.DCB{Classes: 8, HasPFC: true, Running: 4, Divides: true, PFC: 1 << 3}, up.DCB)
	require.Empty(t, up.Software)
	require.Nil(t, a.Running().Snapshot.QoS, "no scheduler")
	require.Contains(t, log.String(), `msg="classes are scheduled by the device" uplink=up0 classes=4`)
	require.NotContains(t, log.String(), "WARN")

	_, err := a.Apply(t.Context(), "f", []byte(even("default: {min: 1Mbit}, ", "name: d, share", "name: d, pfc: true, share")), false)
	require.NoError(t, err, "a scheduler takes over, in front of the device's classes")
	require.Equal(t, "the default flow has a share", uplink(t, a).Software)
	require.NotNil(t, a.Running().Snapshot.QoS)
	_, err = a.Apply(t.Context(), "f", []byte(even("")), false)
	require.ErrorIs(t, err, agent.ErrRefused)
	require.ErrorContains(t, err, "uplink up0: another use of the classes of its device takes a restart of sluiced")
	_, err = a.Apply(t.Context(), "f", []byte(even("", "name: d, share", "name: d, pfc: true, share")), false)
	require.NoError(t, err, "and goes again")
	require.Nil(t, a.Running().Snapshot.QoS)
}

func TestDeviceWithoutClasses(t *testing.T) {
	var log bytes.Buffer
	a, _ := start(t, even("", "name: d, share", "name: d, pfc: true, share"), logTo(&log))
	require.Equal(t, "the device has no DCB: unsupported operation", uplink(t, a).Software)
	require.NotNil(t, a.Running().Snapshot.QoS.Scheduler(0))
	require.Contains(t, log.String(), `msg="classes are scheduled in software" uplink=up0 because="the device has no DCB: unsupported operation"`)
	require.Contains(t, log.String(), `msg="no priority flow control: the device refuses, and frames of these priorities may be lost" uplink=up0 priorities=[3]`)
	log.Reset()

	before := a.Running()
	_, err := a.Apply(t.Context(), "f", []byte(even("hardware: required, ")), false)
	require.ErrorIs(t, err, agent.ErrRefused)
	require.ErrorContains(t, err, "uplink up0: hardware is required, and refuses: the device has no DCB")
	require.Same(t, before, a.Running())
	require.NotContains(t, log.String(), "scheduled in software")

	_, err = a.Apply(t.Context(), "f", []byte(even("", "25%, ecn: off}]", "20%, ecn: off}]")), false)
	require.NoError(t, err, "nothing of the device has to change")
	require.Equal(t, "the class has 20%, and class a has 25%", uplink(t, a).Software)
	require.Contains(t, log.String(), `because="the class has 20%, and class a has 25%"`)
	log.Reset()
	_, err = a.Apply(t.Context(), "f", []byte(even("", "25%, ecn: off}]", "10%, ecn: off}]", "name: b, share: 25%", "name: b, share: 30%")), false)
	require.NoError(t, err)
	_, err = a.Apply(t.Context(), "f", []byte(even("hardware: off, ")), false)
	require.NoError(t, err)
	require.Equal(t, "hardware is off", uplink(t, a).Software)
	_, err = a.Apply(t.Context(), "f", []byte(withVMs(5, 6)), false)
	require.NoError(t, err)
	require.Empty(t, uplink(t, a).Software)
}

func TestHardwareRequiredAtStart(t *testing.T) {
	a, d := prepare(t, even("hardware: required, "))
	require.ErrorContains(t, a.Start(t.Context()), "uplink up0: hardware is required, and refuses: the device has no DCB")
	require.NoError(t, d.CheckClean())

	a, d = prepare(t, even("hardware: required, "))
	d.GiveClasses(8)
	require.NoError(t, a.Start(t.Context()))
	require.True(t, uplink(t, a).DCB.Divides)
}

// What runs may be asked about while the next configuration is on its way; it answers for itself, not for the next.
func TestDividesWhileItChanges(t *testing.T) {
	a, d := prepare(t, even(""))
	d.GiveClasses(8)
	require.NoError(t, a.Start(t.Context()))
	first, done := a.Running(), make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			for _, text := range []string{even("default: {min: 1Mbit}, "), even("")} {
				_, err := a.Apply(t.Context(), "f", []byte(text), false)
				assert.NoError(t, err)
			}
		}
	}()
	for asked := 0; ; asked++ {
		require.True(t, first.Divides("up0"))
		require.Equal(t, "up0", first.PortName(0))
		select {
		case <-done:
			require.NotZero(t, asked)
			return
		default:
		}
	}
}

// A device that could have classes and was opened without goes on in software.
func TestClassesTakeARestart(t *testing.T) {
	a, d := prepare(t, withVMs(5, 6))
	d.GiveClasses(8)
	require.NoError(t, a.Start(t.Context()))
	_, err := a.Apply(t.Context(), "f", []byte(even("")), false)
	require.NoError(t, err)
	require.Equal(t, "it was opened without, which a restart of sluiced changes", uplink(t, a).Software)
	_, err = a.Apply(t.Context(), "f", []byte(even("hardware: required, ")), false)
	require.ErrorContains(t, err, "uplink up0: hardware: required takes a restart of sluiced")
}

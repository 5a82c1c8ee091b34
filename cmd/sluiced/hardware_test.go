package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/api"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

// evenly is what a device with four classes could do by itself; that of these tests has none.
const evenly = `, qos: {classes: [
    {tc: 0, name: a, share: 25%, ecn: off}, {tc: 1, name: b, share: 25%, ecn: off}, {tc: 2, name: c, share: 25%, ecn: off}, {tc: 3, name: d, share: 25%, ecn: off, pfc: true}]}`

const priorities = "classification: {outer: [{tc: 0, pcp: 0}, {tc: 1, pcp: 1}, {tc: 2, pcp: 2}, {tc: 3, pcp: 3}]}\n"

// The device refuses: software schedules, and says so; where hardware is required, everything stays as it is.
func TestHardwareRefused(t *testing.T) {
	h := newHost(t, "")
	h.writeUplink(t, evenly, network+priorities)
	p := launch(t, h.args())
	p.await("READY=1")
	require.Contains(t, p.log.String(), `"classes are scheduled in software" uplink=up0 because="device net_null0: its driver has no DCB: not supported"`)
	require.Contains(t, p.log.String(), `"no priority flow control: the device refuses, and frames of these priorities may be lost" uplink=up0 priorities=[3]`)
	dcb := uplink(t, h).GetDcb()
	require.Equal(t, "device net_null0: its driver has no DCB: not supported", dcb.GetReason())
	require.Equal(t, dcb.GetReason(), dcb.GetSoftware())
	require.Zero(t, dcb.GetRunning())
	schedulers := func() int {
		res, err := api.Dial(h.socket).ListSchedulers(t.Context(), &sluicev1.ListSchedulersRequest{})
		require.NoError(t, err)
		return len(res.GetSchedulers())
	}
	require.Equal(t, 1, schedulers())

	required := strings.Replace(evenly, "qos: {", "qos: {hardware: required, ", 1)
	h.writeUplink(t, required, network+priorities)
	p.signal(syscall.SIGHUP)
	p.await("RELOADING=1")
	p.await("READY=1")
	s := status(t, h)
	require.EqualValues(t, 1, s.GetRevision())
	require.Contains(t, s.GetLastApplyError(), "uplink up0: hardware is required, and refuses: device net_null0: its driver has no DCB")
	require.Equal(t, 1, schedulers(), "what ran runs on")
	p.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, p.wait())

	p = launch(t, h.args())
	require.Equal(t, exitFailed, p.wait())
	require.Contains(t, p.log.String(), "sluiced: uplink up0: hardware is required, and refuses: device net_null0: its driver has no DCB: not supported")
	require.NoFileExists(t, h.socket)
}

package agent_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
)

func TestInterfaceDeletedBehindOurBack(t *testing.T) {
	a, d := start(t, withVMs(5, 6))
	n, err := a.Heal(t.Context())
	require.NoError(t, err)
	require.Empty(t, n)
	d.Deeds()
	d.Delete("vm5")
	d.Fail("open vm5", errors.New("no namespace"))
	_, err = a.Heal(t.Context())
	require.ErrorContains(t, err, "no namespace")
	d.Fail("open vm5", nil)
	n, err = a.Heal(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"vport vm5"}, n)
	require.Equal(t, []string{"open vm5", "open vm5", "remove vm5"}, d.Deeds())
	require.Equal(t, []string{"vm5", "vm6"}, d.Interfaces())
	require.EqualValues(t, 1, a.Running().Revision)
	d.Port("vm5").Inject(0, frames.Ping(vmMAC(5), vmMAC(6), vmAddr(5), vmAddr(6), 1, 1))
	_, err = d.Port("vm6").WaitSent(1, patience)
	require.NoError(t, err)

	d.Delete("vm6")
	res, err := a.Apply(t.Context(), "f", []byte(withVMs(5, 6)), false)
	require.NoError(t, err)
	require.Len(t, res.Changes, 1, "the same file has something to do")
	require.Equal(t, []string{"vm5", "vm6"}, d.Interfaces())
}

func TestOneLostInterfaceDoesNotKeepAnotherAway(t *testing.T) {
	a, d := start(t, withVMs(5, 6))
	d.Delete("vm5")
	d.Delete("vm6")
	d.Fail("open vm5", errors.New("no namespace"))
	healed, err := a.Heal(t.Context())
	require.ErrorContains(t, err, "no namespace")
	require.Equal(t, []string{"vport vm6"}, healed)
	require.Equal(t, []string{"vm6"}, d.Interfaces())
	d.Fail("open vm5", nil)
	healed, err = a.Heal(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"vport vm5"}, healed)
	d.Port("vm5").Inject(0, frames.Ping(vmMAC(5), vmMAC(6), vmAddr(5), vmAddr(6), 1, 1))
	_, err = d.Port("vm6").WaitSent(1, patience)
	require.NoError(t, err)
}

func TestUplinkLostAndBack(t *testing.T) {
	a, d := start(t, withVMs(5, 6))
	d.Deeds()
	d.Delete("up0")
	require.ErrorContains(t, a.Ready(), "uplink up0: its interface was deleted")
	require.NoError(t, a.Alive(), "a restart would not help")
	d.Fail("open up0", errors.New("no such network interface"))
	_, err := a.Heal(t.Context())
	require.ErrorContains(t, err, "uplink up0: no such network interface")
	require.Error(t, a.Ready())
	_, err = a.Apply(t.Context(), "f", []byte(withVMs(5, 6)), false)
	require.ErrorContains(t, err, "no such network interface")

	d.Fail("open up0", nil)
	healed, err := a.Heal(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"uplink up0"}, healed)
	require.NoError(t, a.Ready())
	require.EqualValues(t, 1, a.Running().Revision)
	require.Equal(t, []string{"open up0", "open up0", "open up0", "remove up0"}, d.Deeds())
	d.Port("vm5").Inject(0, frames.Ping(vmMAC(5), vmMAC(7), vmAddr(5), vmAddr(7), 1, 1))
	_, err = d.Port("up0").WaitSent(1, patience)
	require.NoError(t, err, "the switch asks for the next hop on the new uplink")
}

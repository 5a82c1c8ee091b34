package dpdk

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const claimHelper = "SLUICE_TEST_CLAIM"

// claimElsewhere is another process, which claims an interface as somebody else would, until it is killed.
func claimElsewhere(name string) {
	l, err := net.Listen("unix", name)
	fmt.Println("claimed", err)
	for err == nil {
		_, err = l.Accept()
	}
}

func TestClaims(t *testing.T) {
	const index = 1 << 30 // of no interface
	claim, note, err := claimInterface("eth9", index)
	require.NoError(t, err)
	require.Empty(t, note)
	for range 5 {
		_, _, err = claimInterface("eth9", index)
		require.ErrorIs(t, err, ErrBusy)
		require.ErrorContains(t, err, fmt.Sprintf("interface eth9: in use as the uplink of process %d (", os.Getpid()))
	}
	other, _, err := claimInterface("eth8", index+1)
	require.NoError(t, err)
	require.NoError(t, other.Close())
	require.NoError(t, claim.Close())
	claim, _, err = claimInterface("eth9", index)
	require.NoError(t, err, "free again")
	require.NoError(t, claim.Close())

	if os.Geteuid() != 0 {
		t.Log("claims of other users are left out: they take root")
		return
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=@sluice-uplink-%d", claimHelper, index))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	said, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "claimed <nil>\n", said)
	claim, note, err = claimInterface("eth9", index)
	require.NoError(t, err, "anybody could keep the switch from starting")
	require.Nil(t, claim)
	require.Equal(t, fmt.Sprintf("process %d of user 65534 claims the kernel's interface eth9 for itself, and is not heeded", cmd.Process.Pid), note)
}

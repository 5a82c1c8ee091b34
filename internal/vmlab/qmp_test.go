package vmlab

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMonitor(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "qmp")
	server, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer server.Close()
	asked := make(chan string, 8)
	greeting := `{"QMP": {"version": {}, "capabilities": []}}`
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintln(conn, greeting)
		in := bufio.NewScanner(conn)
		for _, answer := range []string{
			`{"return": {}}`,
			`{"event": "NIC_RX_FILTER_CHANGED"}` + "\n" + `{"return": {}}`,
			`{"error": {"class": "GenericError", "desc": "Device 'none' not found"}}`,
		} {
			if !in.Scan() {
				return
			}
			asked <- in.Text()
			fmt.Fprintln(conn, answer)
		}
	}()
	q, err := dialMonitor(context.Background(), socket, nil)
	require.NoError(t, err)
	defer q.close()
	require.NoError(t, q.do("set_link", map[string]any{"name": "igb0", "up": false}), "events are passed over")
	assert.EqualError(t, q.do("set_link", map[string]any{"name": "none"}), "ask QEMU for set_link: Device 'none' not found")
	assert.ErrorContains(t, q.do("stop", nil), "ask QEMU for stop", "it is gone")
	assert.Equal(t, `{"execute":"qmp_capabilities"}`, <-asked)
	assert.Equal(t, `{"execute":"set_link","arguments":{"name":"igb0","up":false}}`, <-asked)

	ended := make(chan struct{})
	close(ended)
	_, err = dialMonitor(context.Background(), filepath.Join(t.TempDir(), "none"), ended)
	assert.EqualError(t, err, "QEMU ended at once")
}

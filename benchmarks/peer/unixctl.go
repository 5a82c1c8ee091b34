package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// control is a connection to the control socket of a daemon of Open vSwitch: what ovs-appctl talks to, without a process
// for each of thousands of commands. The protocol is JSON-RPC 1.0 (ovs-appctl(8), lib/unixctl.c).
type control struct {
	conn net.Conn
	in   *json.Decoder
	id   int
}

const controlPatience = 30 * time.Second

func dialControl(ctx context.Context, path string) (*control, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("talk to ovs-vswitchd: %w", err)
	}
	return &control{conn: conn, in: json.NewDecoder(conn)}, nil
}

func (c *control) close() { c.conn.Close() }

// call runs one command and gives what it would print.
func (c *control) call(command string, args ...string) (string, error) {
	if args == nil {
		args = []string{}
	}
	c.id++
	text, err := json.Marshal(map[string]any{"method": command, "params": args, "id": c.id})
	if err != nil {
		return "", fmt.Errorf("ask ovs-vswitchd: %w", err)
	}
	var answer struct {
		ID            int
		Result, Error *string
	}
	if err = c.conn.SetDeadline(time.Now().Add(controlPatience)); err == nil {
		_, err = c.conn.Write(text)
	}
	if err == nil {
		err = c.in.Decode(&answer)
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: talk to ovs-vswitchd: %w", command, err)
	case answer.Error != nil:
		return "", fmt.Errorf("%s %v: ovs-vswitchd says: %s", command, args, *answer.Error)
	case answer.Result == nil:
		return "", fmt.Errorf("%s: %w", command, errNoAnswer)
	}
	return *answer.Result, nil
}

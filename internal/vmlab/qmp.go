package vmlab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// monitor speaks QEMU's machine protocol (QMP): JSON objects, a greeting first, and events between the answers.
type monitor struct {
	mu   sync.Mutex
	conn net.Conn
	in   *json.Decoder
}

// monitorLimit is how long QEMU may take for an answer, emulated on a busy machine.
const monitorLimit = 30 * time.Second

func dialMonitor(ctx context.Context, socket string, ended <-chan struct{}) (*monitor, error) {
	ctx, cancel := context.WithTimeout(ctx, monitorLimit)
	defer cancel()
	for {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			q := &monitor{conn: conn, in: json.NewDecoder(conn)}
			if err := q.do("qmp_capabilities", nil); err != nil {
				conn.Close()
				return nil, err
			}
			return q, nil
		}
		select {
		case <-ended:
			return nil, errors.New("QEMU ended at once")
		case <-ctx.Done():
			return nil, fmt.Errorf("QEMU does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (q *monitor) do(command string, arguments any) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.conn.SetDeadline(time.Now().Add(monitorLimit)); err != nil {
		return fmt.Errorf("ask QEMU for %s: %w", command, err)
	}
	request := struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments}
	if err := json.NewEncoder(q.conn).Encode(request); err != nil {
		return fmt.Errorf("ask QEMU for %s: %w", command, err)
	}
	for {
		var answer struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := q.in.Decode(&answer); err != nil {
			return fmt.Errorf("ask QEMU for %s: %w", command, err)
		}
		if answer.Error != nil {
			return fmt.Errorf("ask QEMU for %s: %s", command, answer.Error.Desc)
		}
		if answer.Return != nil {
			return nil
		}
	}
}

func (q *monitor) close() {
	if q != nil {
		q.conn.Close()
	}
}

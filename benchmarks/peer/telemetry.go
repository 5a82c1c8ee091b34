package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// telemetry asks a running DPDK program for the counters of its ports (DPDK Programmer's Guide, Telemetry Library). All
// peers are read the same way, with no command line of theirs in between.
type telemetry struct {
	conn *net.UnixConn
	buf  []byte
}

// runtimeDir is where DPDK keeps the sockets of the program with a file prefix, for root.
func runtimeDir(prefix string) string { return filepath.Join("/var/run/dpdk", prefix) }

const telemetryTimeout = 2 * time.Second

func dialTelemetry(prefix string) (*telemetry, error) {
	return dialTelemetryAt(filepath.Join(runtimeDir(prefix), "dpdk_telemetry.v2"))
}

func dialTelemetryAt(socket string) (*telemetry, error) {
	conn, err := net.DialTimeout("unixpacket", socket, telemetryTimeout)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	t := &telemetry{conn: conn.(*net.UnixConn), buf: make([]byte, 1<<16)}
	var hello struct {
		Version string `json:"version"`
		Max     int    `json:"max_output_len"`
	}
	if err := t.receive(&hello); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

func (t *telemetry) close() { t.conn.Close() }

func (t *telemetry) receive(answer any) error {
	if err := t.conn.SetReadDeadline(time.Now().Add(telemetryTimeout)); err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	n, err := t.conn.Read(t.buf)
	if err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	if err := json.Unmarshal(t.buf[:n], answer); err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	return nil
}

// ask sends a command, with its parameter behind a comma, and decodes what the answer holds under the command's name.
func (t *telemetry) ask(command, parameter string, answer any) error {
	line := command
	if parameter != "" {
		line += "," + parameter
	}
	if _, err := t.conn.Write([]byte(line)); err != nil {
		return fmt.Errorf("telemetry %s: %w", line, err)
	}
	var named map[string]json.RawMessage
	if err := t.receive(&named); err != nil {
		return err
	}
	body, ok := named[command]
	if !ok || string(body) == "null" {
		return fmt.Errorf("telemetry %s: %w", line, errNoAnswer)
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("telemetry %s: %w", line, err)
	}
	return nil
}

var errNoAnswer = errors.New("no answer")

// ports finds the numbers of the ports by the names of their devices.
func (t *telemetry) ports() (map[string]int, error) {
	var numbers []int
	if err := t.ask("/ethdev/list", "", &numbers); err != nil {
		return nil, err
	}
	byName := map[string]int{}
	for _, n := range numbers {
		var info struct {
			Name string `json:"name"`
		}
		if err := t.ask("/ethdev/info", strconv.Itoa(n), &info); err != nil {
			return nil, err
		}
		byName[info.Name] = n
	}
	return byName, nil
}

// portStats are counters of a port since it was started.
type portStats struct {
	Received uint64 `json:"ipackets"`
	Sent     uint64 `json:"opackets"`
}

func (t *telemetry) stats(port int) (s portStats, err error) {
	return s, t.ask("/ethdev/stats", strconv.Itoa(port), &s)
}

// sum adds up a counter of the named devices.
func (t *telemetry) sum(ports map[string]int, names []string, counter func(portStats) uint64) (sum uint64, err error) {
	for _, name := range names {
		n, ok := ports[name]
		if !ok {
			return 0, fmt.Errorf("telemetry: there is no device %s", name)
		}
		s, err := t.stats(n)
		if err != nil {
			return 0, err
		}
		sum += counter(s)
	}
	return sum, nil
}

func received(s portStats) uint64 { return s.Received }
func sent(s portStats) uint64     { return s.Sent }

// forget removes what a DPDK program leaves behind.
func forget(prefix string) { os.RemoveAll(runtimeDir(prefix)) }

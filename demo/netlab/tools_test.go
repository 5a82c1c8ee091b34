package netlab

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParsePing(t *testing.T) {
	tests := []struct {
		name string
		out  string
		want PingResult
		fail bool
	}{
		{"all answered", `PING 10.0.1.9 (10.0.1.9) 56(84) bytes of data.
64 bytes from 10.0.1.9: icmp_seq=1 ttl=63 time=0.682 ms
64 bytes from 10.0.1.9: icmp_seq=2 ttl=63 time=0.043 ms

--- 10.0.1.9 ping statistics ---
2 packets transmitted, 2 received, 0% packet loss, time 201ms
rtt min/avg/max/mdev = 0.043/0.362/0.682/0.319 ms
`, PingResult{Sent: 2, Received: 2, TTL: 63, AverageMillis: 0.362}, false},
		{"unreachable", `PING 10.0.0.66 (10.0.0.66) 56(84) bytes of data.
From 10.0.0.5 icmp_seq=1 Destination Host Unreachable

--- 10.0.0.66 ping statistics ---
3 packets transmitted, 0 received, +1 errors, 100% packet loss, time 408ms
`, PingResult{Sent: 3}, false},
		{"duplicates", `64 bytes from 10.0.0.7: icmp_seq=1 ttl=64 time=0.4 ms
64 bytes from 10.0.0.7: icmp_seq=1 ttl=64 time=0.5 ms (DUP!)
1 packets transmitted, 1 received, +1 duplicates, 0% packet loss, time 0ms
rtt min/avg/max/mdev = 0.400/0.450/0.500/0.050 ms
`, PingResult{Sent: 1, Received: 1, Duplicates: 1, TTL: 64, AverageMillis: 0.45}, false},
		{"no ping at all", "ping: unknown option\n", PingResult{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parsePing([]byte(tt.out))
			if tt.fail {
				assert.Error(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestParseIperf(t *testing.T) {
	tests := []struct {
		name, out string
		want      Rate
		fail      string
	}{
		{"TCP", `{"end": {"sum_sent": {"bits_per_second": 3e9, "retransmits": 14}, "sum_received": {"bits_per_second": 2.9e9}}}`,
			Rate{BitsPerSecond: 2.9e9, Retransmits: 14}, ""},
		{"UDP", `{"end": {"sum": {"bits_per_second": 1e8, "lost_percent": 0.5}, "sum_sent": {"bits_per_second": 1e8},
			"sum_received": {"bits_per_second": 9.95e7}}}`, Rate{BitsPerSecond: 9.95e7, LossPercent: 0.5}, ""},
		{"refused", `{"end": {}, "error": "unable to connect to server: Connection refused"}`, Rate{}, "Connection refused"},
		{"cut off", `{"end": {`, Rate{}, "unreadable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseIperf([]byte(tt.out))
			if tt.fail != "" {
				assert.ErrorContains(t, err, tt.fail)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestCores(t *testing.T) {
	assert.Len(t, Cores(), runtime.NumCPU())
}

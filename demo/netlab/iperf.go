package netlab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// IperfOptions say what to measure. The zero value is TCP for two seconds.
type IperfOptions struct {
	Duration time.Duration
	UDP      bool   // in datagrams of 1,400 bytes
	Rate     string // "100M": send no faster; empty: as fast as TCP goes, or iperf3's default of 1 Mbit/s for UDP
	Reverse  bool   // the server sends
	Control  string // congestion control of TCP: "cubic"; empty: the sender's default
	Streams  int    // connections at once; 0 is 1
}

// Rate is what iperf3 measured at the receiver.
type Rate struct {
	BitsPerSecond float64
	Retransmits   int     // TCP
	LossPercent   float64 // UDP
}

// Iperf runs an iperf3 server in one namespace and a client in another, which reaches it at the address to.
func Iperf(ctx context.Context, client, server *Namespace, to netip.Addr, o IperfOptions) (Rate, error) {
	if o.Duration == 0 {
		o.Duration = 2 * time.Second
	}
	// The server serves one client and ends.
	daemon, err := server.Start("iperf3-"+server.name, "iperf3", "-s", "-1", "--forceflush")
	if err != nil {
		return Rate{}, err
	}
	defer daemon.Kill() // when it has not ended by itself
	if err := daemon.WaitLog(ctx, "Server listening", 30*time.Second); err != nil {
		return Rate{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Duration+time.Minute)
	defer cancel()
	argv := []string{"iperf3", "-c", to.String(), "-J", "-t", strconv.FormatFloat(o.Duration.Seconds(), 'f', 1, 64),
		"--connect-timeout", "15000"}
	if o.UDP {
		argv = append(argv, "-u", "-l", "1400")
	}
	if o.Rate != "" {
		argv = append(argv, "-b", o.Rate)
	}
	if o.Control != "" {
		argv = append(argv, "-C", o.Control)
	}
	if o.Streams > 1 {
		argv = append(argv, "-P", strconv.Itoa(o.Streams))
	}
	if o.Reverse {
		argv = append(argv, "-R")
	}
	out, err := client.Run(ctx, argv...)
	if err != nil && len(out) == 0 {
		return Rate{}, err
	}
	return parseIperf(out) // it explains a failure better than the exit code
}

// parseIperf reads the output of iperf3 -J, of either protocol.
func parseIperf(out []byte) (Rate, error) {
	var doc struct {
		Error string `json:"error"`
		End   struct {
			Sum struct {
				LostPercent float64 `json:"lost_percent"`
			} `json:"sum"`
			SumSent struct {
				Retransmits int `json:"retransmits"`
			} `json:"sum_sent"`
			SumReceived struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return Rate{}, fmt.Errorf("iperf3: unreadable output: %w", err)
	}
	if doc.Error != "" {
		return Rate{}, fmt.Errorf("iperf3: %s", doc.Error)
	}
	return Rate{
		BitsPerSecond: doc.End.SumReceived.BitsPerSecond,
		Retransmits:   doc.End.SumSent.Retransmits,
		LossPercent:   doc.End.Sum.LostPercent,
	}, nil
}

// WaitLog waits until a process has logged word.
func (p *Process) WaitLog(ctx context.Context, word string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		said := p.LogTail(50)
		if strings.Contains(said, word) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %q did not appear in its log within %s:\n%s", p.Name, word, limit, said)
		case <-p.Done():
			return fmt.Errorf("%s ended too early (%v):\n%s", p.Name, p.Err(), p.LogTail(15))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

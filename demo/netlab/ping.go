package netlab

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"time"
)

// PingOptions say how to ping. The zero value asks three times, 200 ms apart, and waits two seconds at most, which
// outlasts what a first packet needs for ARP.
type PingOptions struct {
	Count    int
	Interval time.Duration
	Limit    time.Duration // of the whole command
	Size     int           // payload bytes, without the ICMP header; 0: 56
	DF       bool          // forbid fragmentation, here and on the way
}

// PingResult is what ping counted.
type PingResult struct {
	Sent, Received int
	Duplicates     int
	TTL            int     // of the last answer
	AverageMillis  float64 // round trip
}

// Ping asks an address from inside the namespace. No answer at all is a result, not an error.
func (n *Namespace) Ping(ctx context.Context, to netip.Addr, o PingOptions) (PingResult, error) {
	if o.Count == 0 {
		o.Count = 3
	}
	if o.Interval == 0 {
		o.Interval = 200 * time.Millisecond
	}
	if o.Limit == 0 {
		o.Limit = time.Duration(o.Count)*o.Interval + 2*time.Second
	}
	seconds := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
	argv := []string{"ping", "-n", "-c", strconv.Itoa(o.Count), "-i", seconds(o.Interval), "-W", "1", "-w",
		strconv.Itoa(int((o.Limit + time.Second - 1) / time.Second))}
	if o.Size != 0 {
		argv = append(argv, "-s", strconv.Itoa(o.Size))
	}
	if o.DF {
		argv = append(argv, "-M", "do")
	}
	out, err := n.Run(ctx, append(argv, to.String())...)
	if err != nil && ExitCode(err) != 1 { // 1: no or too few answers (ping(8))
		return PingResult{}, err
	}
	return parsePing(out)
}

var (
	pingTotals     = regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`)
	pingDuplicates = regexp.MustCompile(`\+(\d+) duplicates`)
	pingTTL        = regexp.MustCompile(`icmp_seq=\d+ ttl=(\d+) time=`)
	pingRTT        = regexp.MustCompile(`rtt min/avg/max/mdev = [\d.]+/([\d.]+)/`)
)

// parsePing reads the output of iputils' ping.
func parsePing(out []byte) (PingResult, error) {
	var r PingResult
	totals := pingTotals.FindSubmatch(out)
	if totals == nil {
		return r, fmt.Errorf("ping: no totals in its output: %q", out)
	}
	number := func(digits []byte) int {
		n, _ := strconv.Atoi(string(digits)) // digits, by the expressions above
		return n
	}
	r.Sent, r.Received = number(totals[1]), number(totals[2])
	if duplicates := pingDuplicates.FindSubmatch(out); duplicates != nil {
		r.Duplicates = number(duplicates[1])
	}
	if ttls := pingTTL.FindAllSubmatch(out, -1); ttls != nil {
		r.TTL = number(ttls[len(ttls)-1][1])
	}
	if rtt := pingRTT.FindSubmatch(out); rtt != nil {
		r.AverageMillis, _ = strconv.ParseFloat(string(rtt[1]), 64)
	}
	return r, nil
}

package report

import (
	"fmt"
	"io"
	"time"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/tcp"
)

// exactly is a figure that was counted, not sampled.
func exactly(v float64, note string) Figure {
	return Figure{measure.Spread{Median: v, Min: v, Max: v, N: 1}, note, true}
}

// soakLength is how long a soak has to be to count.
const soakLength = 10 * time.Minute

// harmed counts packets of untouched streams that were lost, reordered or altered in a soak.
func harmed(e *Evidence) Figure {
	s := e.Soak
	switch {
	case s == nil:
		return Figure{}
	case s.Partial || s.Took.Round(time.Second) < soakLength:
		return Figure{Note: fmt.Sprintf("the soak ended after %s", s.Took.Round(time.Second))}
	}
	t := &s.Totals
	wrong := float64(t.Lost) + float64(t.Reordered+t.Duplicated+t.Corrupted+t.Misrouted+t.Foreign)
	return exactly(wrong, fmt.Sprintf("of %s, while %s configurations were applied", thousands(int(t.Made)), thousands(s.Applies)))
}

// soakSection says what a soak saw.
func soakSection(w io.Writer, e *Evidence) {
	s := e.Soak
	if s == nil {
		return
	}
	fmt.Fprint(w, "## Soak\n\n")
	if s.Partial {
		fmt.Fprintf(w, "**This soak is not complete: it ended after %s of %s.**\n\n", s.Took.Round(time.Second), s.Planned)
	}
	t := &s.Totals
	fmt.Fprintf(w, `A whole agent with %s at full load (%.1f Mpps) for %s, while another configuration was applied every %s: %s of
them, with %s changes to ports, networks, rules, records, routes and addresses; an apply took %s by the median, %s at
most. %s streams of %d tenants were not touched; their packets are numbered, made and checked inside the workers: %s made,
%s arrived; %d lost, %d reordered, %d duplicated, %d altered, %d sent to another port. The longest time between two polls of
a worker was %s. %s

`, workers(s.Workers), s.PacketsPerSecond/1e6, s.Took.Round(time.Second), s.Every, thousands(s.Applies), thousands(s.Changes),
		s.ApplyP50.Round(time.Millisecond/10), s.ApplyMax.Round(time.Millisecond/10), thousands(s.Shape.Flows), s.Shape.Tenants,
		thousands(int(t.Made)), thousands(int(t.Arrived)), t.Lost, t.Reordered, t.Duplicated, t.Corrupted, t.Misrouted,
		t.LongestTurn.Round(time.Microsecond), when(e, &s.Manifest))
}

func workers(n int) string {
	if n == 1 {
		return "one worker"
	}
	return fmt.Sprintf("%d workers", n)
}

// when says when and of what a result was made that is not the comparison's, and on what if that was another machine.
func when(e *Evidence, m *machine.Manifest) string {
	text := fmt.Sprintf("Measured %s, source %.12s", m.Time.Format("2006-01-02 15:04 UTC"), m.Revision)
	if m.Modified {
		text += " with changes that were not committed"
	}
	if c := e.Compare; m.CPU != c.CPU || m.Cores != c.Cores || m.Kernel != c.Kernel {
		text += fmt.Sprintf(", **on another machine**: %s, %d cores, kernel %s", m.CPU, m.Cores, m.Kernel)
	}
	return text + "."
}

// throughput compares TCP between two VMs with Open vSwitch's, round by round.
func throughput(e *Evidence) Figure {
	if e.TCP == nil || e.TCP.Ratio == nil {
		return Figure{}
	}
	return Figure{Spread: *e.TCP.Ratio}
}

// spreadIn is a spread in another unit.
func spreadIn(s measure.Spread, unit float64) measure.Spread {
	return measure.Spread{Median: s.Median / unit, Min: s.Min / unit, Max: s.Max / unit, N: s.N}
}

// tcpSection says how fast TCP is between two VMs, and what that takes.
func tcpSection(w io.Writer, e *Evidence) {
	r := e.TCP
	if r == nil {
		return
	}
	fmt.Fprintf(w, `## TCP between two VMs

iperf3 between two VMs with taps on two hosts, all in network namespaces of this machine, a veth pair between the hosts. Open
vSwitch runs its userspace datapath, without DPDK, with its own taps (ports of type internal) and an uplink of one of two
sorts. %d rounds of %s by turns; the processor time is that of all processes of the switch on both hosts. %s

`, r.Rounds, r.Duration, when(e, &r.Manifest))
	if r.Partial {
		fmt.Fprint(w, "**These figures are not complete: the run ended before its time.**\n\n")
	}
	for _, name := range sortedKeys(r.Missing) {
		fmt.Fprintf(w, "%s did not take part: %s.\n\n", name, r.Missing[name])
	}
	rows := [][]string{{"switch", "Gbit/s", "cores", "processor time, ms per Gbit", "retransmits in a round"}}
	names := map[string]string{tcp.SluiceName: "sluice", tcp.OpenVSwitchName: "Open vSwitch, userspace datapath",
		tcp.OpenVSwitchXDPName: "the same, its uplink by AF_XDP"}
	for _, s := range r.Summary {
		rows = append(rows, []string{names[s.Contender], span(spreadIn(s.BitsPerSecond, 1e9), 2), span(s.Cores, 2),
			span(spreadIn(s.CPUPerGbit, 1e-3), 0), span(s.Retransmits, 0)})
	}
	table(w, rows)
	if r.Ratio != nil && r.CPURatio != nil {
		fmt.Fprintf(w, "Inside the rounds, our throughput is %s times that of the faster Open vSwitch, and our processor time per bit %s times its.\n\n",
			span(*r.Ratio, 2), span(*r.CPURatio, 2))
	}
}

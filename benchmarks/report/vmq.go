package report

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluicenet/sluice/benchmarks/vmqsim"
)

// What the simulation is to show.
const (
	vmqRatio     = 1.1 // busiest core by the bound
	vmqAboveBy   = 10  // time above the threshold: Open vSwitch's by ours
	vmqFreeSecs  = 1.0 // until a busy VM owns a queue, where one is free
	vmqTakenSecs = 2.0 // where one must be taken
)

// PrintVMQ writes a table of a simulation for a terminal.
func PrintVMQ(out io.Writer, r *vmqsim.Result) error {
	for _, o := range r.Outcomes {
		s := &o.Scenario
		fmt.Fprintf(out, "%s: %s; %d cores, %d VMs, %v\n", s.Name, s.Says, s.Cores, s.VMs, s.Time)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "\tbusiest core\t÷ bound\ttime any > 95 %\tcores' time > 95 %\tlost\tcores\tmoves/min\tmost\t")
		for i := range o.Totals {
			t := &o.Totals[i]
			fmt.Fprintf(w, "%s\t%s\t%.2f\t%s\t%s\t%s\t%.1f\t%.0f\t%d\t\n", t.Contender, vmqShare(t.MaxLoad), t.Ratio, vmqShare(t.AboveTime), vmqShare(t.AboveCores), vmqShare(t.Lost), t.Cores, t.Moves, t.MostMoves)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	if r.Owners != nil {
		for _, m := range r.Owners.Modes {
			fmt.Fprintf(out, "owners, %s: %d of %d busy VMs got a queue, half within %.2f s, 99 %% within %.2f s, all within %.2f s\n", m.Mode, m.Served, m.Episodes, m.P50, m.P99, m.Most)
		}
	}
	return nil
}

// vmqShare writes a share with as many digits as tell something.
func vmqShare(v float64) string {
	switch p := v * 100; {
	case p == 0:
		return "0 %"
	case p < 0.01:
		return "< 0.01 %"
	case p < 1:
		return fmt.Sprintf("%.2f %%", p)
	case p < 10:
		return fmt.Sprintf("%.1f %%", p)
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

// VMQPage gives docs/VMQ-SIMULATION.md and its pictures by their names. source names the file of the result.
func VMQPage(r *vmqsim.Result, source, name string) (map[string][]byte, error) {
	files := map[string][]byte{}
	var pictures []string
	for _, o := range r.Outcomes {
		if len(o.BoundSeries) == 0 {
			continue
		}
		svg, err := vmqChart(o).SVG()
		if err != nil {
			return nil, err
		}
		picture := "img/vmq-simulation-" + o.Scenario.Name + ".svg"
		files[picture] = svg
		pictures = append(pictures, fmt.Sprintf("![Scenario %s: load of the busiest core and cores in use, over time](%s)\n", o.Scenario.Name, picture))
	}
	var b bytes.Buffer
	writeVMQ(&b, r, source, pictures)
	files[name] = b.Bytes()
	return files, nil
}

func writeVMQ(b *bytes.Buffer, r *vmqsim.Result, source string, pictures []string) {
	fmt.Fprintf(b, `# Balancing many cores: a simulation

The balancer that moves receive queues between workers ([ARCHITECTURE.md](ARCHITECTURE.md#balancing-workers)) is driven here
with loads that no test machine can make: up to 128 cores and 2,000 VMs. It is the very code of the daemon with its default
limits; queues that VMs own are decided here only, the daemon moves queues and steers nothing yet. This page is made of [%s](../%s) by the command that also makes the result:

`+"```sh\nbin/sluice-pktgen vmq-sim --json %s -w docs/VMQ-SIMULATION.md    # some minutes\n```"+`

`, base(source), source, source)
	writeVMQVerdict(b, r)
	for _, p := range pictures {
		fmt.Fprintf(b, "%s\n", p)
	}
	writeVMQTables(b, r)
	writeVMQOwners(b, r)
	b.WriteString(vmqModel)
}

func base(file string) string { return file[strings.LastIndexByte(file, '/')+1:] }

// vmqSums are what the aims are judged by.
type vmqSums struct {
	ratio, theirs, ours, theirCores, ourCores float64
	most                                      int
	missedRatio, missedAbove                  []string
}

func sumVMQ(r *vmqsim.Result) (s vmqSums) {
	n := float64(len(r.Outcomes))
	for _, o := range r.Outcomes {
		us, them := o.Of(vmqsim.Sluice), o.Of(vmqsim.OVS)
		s.ratio += us.Ratio / n
		s.ours, s.theirs = s.ours+us.AboveTime/n, s.theirs+them.AboveTime/n
		s.ourCores, s.theirCores = s.ourCores+us.AboveCores/n, s.theirCores+them.AboveCores/n
		s.most = max(s.most, us.MostMoves)
		if us.Ratio > vmqRatio {
			s.missedRatio = append(s.missedRatio, fmt.Sprintf("%s (%.2f; a solver that is 250 ms late: %.2f)", o.Scenario.Name, us.Ratio, o.Late/o.Bound))
		}
		if us.AboveTime*vmqAboveBy > them.AboveTime {
			s.missedAbove = append(s.missedAbove, fmt.Sprintf("%s (any core: 1/%.1f; cores' time: 1/%.0f)", o.Scenario.Name, them.AboveTime/us.AboveTime, them.AboveCores/us.AboveCores))
		}
	}
	return s
}

func verdict(met bool) string {
	if met {
		return string(Met)
	}
	return string(Missed)
}

func fraction(theirs, ours float64) string {
	if ours == 0 {
		return "never"
	}
	return fmt.Sprintf("1/%.0f", math.Floor(theirs/ours))
}

func writeVMQVerdict(b *bytes.Buffer, r *vmqsim.Result) {
	s := sumVMQ(r)
	perMinute := r.Limits.MaxMoves * int(time.Minute/r.Limits.Interval)
	fmt.Fprintf(b, "| aim | seen, on average over the scenarios | met | not in |\n|---|---|---|---|\n")
	fmt.Fprintf(b, "| busiest core within 10 %% of the offline optimum | %.3f times its lower bound, for the cores in use | %s | %s |\n", s.ratio, verdict(s.ratio <= vmqRatio), missing(s.missedRatio))
	fmt.Fprintf(b, "| time in which any core is asked for more than 95 %%: at most 1/10 of Open vSwitch's | %s of %s: %s | %s | %s |\n", vmqShare(s.ours), vmqShare(s.theirs), fraction(s.theirs, s.ours),
		verdict(s.ours*vmqAboveBy <= s.theirs), missing(s.missedAbove))
	fmt.Fprintf(b, "| the same, of the time of all cores | %s of %s: %s | %s | |\n", vmqShare(s.ourCores), vmqShare(s.theirCores), fraction(s.theirCores, s.ourCores), verdict(s.ourCores*vmqAboveBy <= s.theirCores))
	fmt.Fprintf(b, "| moves in a minute are bounded, at %s | most in any minute of any scenario: %s | %s | |\n", thousands(perMinute), thousands(s.most), verdict(s.most <= perMinute))
	if o := r.Owners; o != nil {
		m := o.Modes[0]
		fmt.Fprintf(b, "| a VM that becomes busy owns a queue within 1 s if one is free, within 2 s if one must be taken | at most %.2f s and %.2f s after it began | %s | |\n", m.FreeMost, m.Most,
			verdict(m.FreeMost <= vmqFreeSecs && m.Most <= vmqTakenSecs && m.Served == m.Episodes))
	}
	b.WriteString(`
The optimum itself is not known; it lies between the bound and "longest queue first", which stand above each table and hardly
differ. Where the greatest queue makes the bound, the busiest core is to poll little besides that queue; where the mean does,
all cores are to be equally busy, which is harder. Where bursts begin faster than anybody can answer, the busiest core is one
on which a burst has just begun: the last column says what a solver reaches that knows all loads of 250 ms ago and assigns all
queues anew, eight times a second. The balancer comes near it with some moves for each burst. Moves away from workers that are
gone are not counted; there are none here.

`)
}

func minutes(d time.Duration) string { return fmt.Sprintf("%.0f minutes", d.Minutes()) }

func missing(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, "; ")
}

func writeVMQTables(b *bytes.Buffer, r *vmqsim.Result) {
	for _, o := range r.Outcomes {
		s := &o.Scenario
		fmt.Fprintf(b, "## %s\n\n%s%s: %d cores on %d NUMA nodes, %s VMs, %d receive queues of uplinks, %s; the mean core has %s to do, a queue at most %s.\n", strings.ToUpper(s.Name[:1])+s.Name[1:],
			strings.ToUpper(s.Says[:1]), s.Says[1:], s.Cores, s.Nodes, thousands(s.VMs), s.Uplinks, minutes(s.Time), vmqShare(s.Mean), vmqShare(s.Most))
		fmt.Fprintf(b, "Bound of the busiest core on all cores: %s on average; it is the mean load in %s of the time, and one or two queues otherwise. Longest queue first, in every step: %s; with loads of 250 ms ago: %s.\n\n",
			vmqShare(o.Bound), vmqShare(o.ByMean), vmqShare(o.LPT), vmqShare(o.Late))
		b.WriteString("| | busiest core | ÷ bound for its cores | time any core > 95 % | cores' time > 95 % | work lost | cores in use | moves a minute | most in a minute |\n|---|---|---|---|---|---|---|---|---|\n")
		for i := range o.Totals {
			t := &o.Totals[i]
			fmt.Fprintf(b, "| %s | %s | %.3f | %s | %s | %s | %.1f | %.0f | %d |\n", t.Contender, vmqShare(t.MaxLoad), t.Ratio, vmqShare(t.AboveTime), vmqShare(t.AboveCores), vmqShare(t.Lost), t.Cores, t.Moves, t.MostMoves)
		}
		b.WriteByte('\n')
	}
}

func writeVMQOwners(b *bytes.Buffer, r *vmqsim.Result) {
	if r.Owners == nil {
		return
	}
	s := &r.Owners.Scenario
	fmt.Fprintf(b, "## Owners\n\nOne uplink with %d queues for everybody and %d that VMs may own, %s VMs, %s. A VM is busy from a tenth of a core on, for three seconds or more.\n\n", s.Shared, s.Own, thousands(s.VMs), minutes(s.Time))
	b.WriteString("| mode | busy VMs | owned a queue or got one | had one already | half within | 99 % within | all within | where one was free | busy VMs' time with own queue | changes a minute |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, m := range r.Owners.Modes {
		within := func(v float64) string {
			if m.Served == m.Had {
				return "-"
			}
			return fmt.Sprintf("%.2f s", v)
		}
		fmt.Fprintf(b, "| %s | %d | %d | %d | %s | %s | %s | %s | %s | %.0f |\n", m.Mode, m.Episodes, m.Served, m.Had, within(m.P50), within(m.P99), within(m.Most), within(m.FreeMost), vmqShare(m.OwnTime), m.Changes)
	}
	b.WriteByte('\n')
}

// vmqChart has the load of the busiest core, and the cores in use.
func vmqChart(o *vmqsim.Outcome) *SharesChart {
	s := &o.Scenario
	c := &SharesChart{title: fmt.Sprintf("%d cores, %d VMs: scenario %s", s.Cores, s.VMs, s.Name), subtitle: s.Says + "\nEach point is the mean of " + fmt.Sprintf("%.3g", o.SeriesStep) + " s."}
	over := func(name string, fill color.RGBA, values []float64, scale float64, pale bool) line {
		l := overTime(series{name, fill}, int64(o.SeriesStep*1e9), values, scale)
		l.pale = pale
		return l
	}
	bound, open, tuned, ours := streamColours[7], streamColours[1], streamColours[4], streamColours[0]
	load := panel{title: "asked of the busiest core, %", lines: []line{
		over("least possible (pale)", bound, o.BoundSeries, 100, true), over(vmqsim.OVS, open, o.Of(vmqsim.OVS).LoadSeries, 100, false),
		over(vmqsim.OVSTuned, tuned, o.Of(vmqsim.OVSTuned).LoadSeries, 100, false), over(vmqsim.Sluice, ours, o.Of(vmqsim.Sluice).LoadSeries, 100, false),
	}}
	cores := panel{title: "cores in use; pale: all loads together, in cores", lines: []line{
		over("", bound, o.NeedSeries, 1, true), over("", open, o.Of(vmqsim.OVS).CoresSeries, 1, false), over("", ours, o.Of(vmqsim.Sluice).CoresSeries, 1, false),
	}}
	for _, p := range []*panel{&load, &cores} {
		p.seconds = float64(len(o.BoundSeries)) * o.SeriesStep
		for i := range p.lines {
			p.most = max(p.most, highest(p.lines[i].y))
		}
	}
	for _, l := range load.lines {
		c.legend = append(c.legend, l.series)
	}
	c.panels = []panel{load, cores}
	return c
}

const vmqModel = `## What is simulated, and what is not

- **Loads.** A VM's load is heavy-tailed (Pareto), and follows a day where there is one; part of it comes in bursts whose
  lengths and heights are heavy-tailed too; each queue's load varies by 5 % from step to step. What a VM receives, 35 % of
  what it sends, comes by one of the uplinks' queues. A step is 125 ms. Figures are counted after two minutes.
- **Workers** poll their queues in turn: who asks for little gets it, the others share alike what is left, and the rest is
  lost. A queue costs a fifth more on a worker of another NUMA node than its device's. Bursts within a step, caches and the
  time that a move takes are not simulated, and nobody's moves cost anything.
- **The balancer** is told only what was served, as devices do that tell neither what was lost nor what waits; its decisions
  are carried out at once. "All cores" has the lower threshold at 0, so that no core rests.
- **static**: queues to cores in turn, as they appear.
- **Open vSwitch**: the rules of its documentation (PMD threads, "PMD Automatic Load Balance", release 3.1): a core above 95 %
  at every check of 10 s for a minute, then a dry run of the assignment "cycles" with the loads of the last minute, within each
  NUMA node, carried out if the variance of loads becomes smaller by 25 %, at most once a minute. "Tuned" has the
  documentation's example of a lower threshold, 70 %, and the assignment "group". Both start with an assignment by the loads of
  the first minute. These are the rules played by our simulator, not its program.
- **Bound**: the busiest core has at least the mean load, at least the greatest queue, and at least the two queues that must
  meet because there are more of them than cores, whatever the assignment, with all queues on their own NUMA node and moves for
  nothing. The best offline assignment lies between it and "longest queue first" (LPT), whose busiest core is given too. Where a
  contender uses fewer cores, its bound is that of the cores it uses.
- Random numbers come from a seed: the command makes the same page again. Tests play a small scenario and compare it with
  what stands in the result, so that a change of the balancer cannot go by unseen.
`

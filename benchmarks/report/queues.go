package report

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"strconv"

	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/benchmarks/vmq"
	"github.com/sluicenet/sluice/policy"
)

// NewQueuesChart lays out what a profile's modes forwarded over time, beside what was offered.
func NewQueuesChart(s *vmq.Scenario) (*SharesChart, error) {
	if len(s.Runs) == 0 {
		return nil, errors.New("draw queues: nothing was measured in this result")
	}
	c := &SharesChart{title: s.Profile.Name + ": packets forwarded over time", subtitle: fmt.Sprintf("%s.\n%s, %s. Broad and pale: what was offered. The mode is applied after %s.",
		s.Profile.Description, result.Count(len(s.Profile.Load[0].VMs), "receive queue"), result.Count(s.Workers, "worker"), s.Lead)}
	p := panel{title: "Mpps"}
	for i, run := range s.Runs {
		look := series{fmt.Sprintf("%s (%s, %.0f %% of what was offered)", run.Mode, result.Count(run.MoveCount(), "move"), 100*run.Share()), colourOf(i)}
		l := line{series: look}
		offered := line{series: series{"offered", color.RGBA{0x88, 0x88, 0x88, 0xff}}, pale: true}
		for _, point := range run.Points {
			l.x, l.y = append(l.x, point.At), append(l.y, point.MPPS)
			offered.x, offered.y = append(offered.x, point.At), append(offered.y, point.OfferedMPPS)
			p.seconds = max(p.seconds, point.At)
		}
		if i == 0 {
			p.lines = append(p.lines, offered)
		}
		p.most = max(p.most, highest(l.y), highest(offered.y))
		p.lines = append(p.lines, l)
		c.legend = append(c.legend, look)
	}
	c.panels = append(c.panels, p)
	return c, nil
}

// balanced is what mode dynamic has brought under the first load of a profile.
func balanced(name string) func(*Evidence) Figure {
	return func(e *Evidence) Figure {
		if e.Queues == nil {
			return Figure{}
		}
		for _, s := range e.Queues.Scenarios {
			if r := s.Of(policy.VMQDynamic); s.Profile.Name == name && r != nil && len(r.Phases) > 1 {
				return Figure{Spread: measure.SpreadOf([]float64{r.Ratio()})}
			}
		}
		return Figure{}
	}
}

// queuesPictures are the pictures of all profiles, by name.
func queuesPictures(r *vmq.Result) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, s := range r.Scenarios {
		chart, err := NewQueuesChart(s)
		if err != nil {
			return nil, err
		}
		png, pngErr := chart.PNG()
		svg, svgErr := chart.SVG()
		if err := errors.Join(pngErr, svgErr); err != nil {
			return nil, err
		}
		files[s.Profile.Name+".png"], files[s.Profile.Name+".svg"] = png, svg
	}
	return files, nil
}

// queuesSection says what the modes of dynamic VMQ make of loads that change.
func queuesSection(w io.Writer, e *Evidence) {
	r := e.Queues
	if r == nil {
		return
	}
	fmt.Fprintf(w, `## Dynamic VMQ

A whole agent with a worker on each of %d cores; receive queues bring packets at rates of their own, in parts of what one worker
forwards, into rings of 1,024 (`+"`sluice-pktgen vmq`"+`, [VMQ.md](VMQ.md)). Before: with the queues where they began. After: the last third
of each phase of the load. Mode static is put by hand for the first phase. What a ring had no room for is not forwarded; of
what was fetched, lost and reordered are counted. %s

`, len(r.Cores), when(e, &r.Manifest))
	if r.Partial {
		fmt.Fprint(w, "**These figures are not complete: the run ended before its time.**\n\n")
	}
	for _, s := range r.Scenarios {
		fmt.Fprintf(w, "### %s\n\n%s. One worker forwards %.2f Mpps of it.\n\n![%s: packets forwarded over time, by mode](img/%s.png)\n\n", s.Profile.Name,
			capital(s.Profile.Description), s.CapacityMPPS, s.Profile.Name, s.Profile.Name)
		rows := [][]string{{"mode", "before, Mpps", "after, Mpps, by phase", "reached after, s", "after ÷ before", "of what was offered", "moves", "lost", "reordered"}}
		for _, run := range s.Runs {
			before, after, settled := "-", "", ""
			for i, p := range run.Phases {
				if i == 0 {
					before = strconv.FormatFloat(p.MPPS, 'f', 2, 64)
					continue
				}
				after += fmt.Sprintf(" %.2f", p.SteadyMPPS)
				settled += fmt.Sprintf(" %.2f", max(p.Settled, 0))
			}
			rows = append(rows, []string{run.Mode, before, after, settled, fmt.Sprintf("%.2f", run.Ratio()), fmt.Sprintf("%.1f %%", 100*run.Share()),
				strconv.Itoa(run.MoveCount()), strconv.FormatInt(run.Totals.Lost, 10), strconv.FormatUint(run.Totals.Reordered, 10)})
		}
		table(w, rows)
	}
}

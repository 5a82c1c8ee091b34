package shares

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/result"
)

// Result is what one run of a profile found.
type Result struct {
	Manifest        machine.Manifest `json:"manifest"`
	Profile         string           `json:"profile"`
	Description     string           `json:"description"`
	Link            string           `json:"link"` // its rate
	LinkBytesPerSec float64          `json:"linkBytesPerSec"`
	Planned         time.Duration    `json:"plannedNs"`
	WindowNs        int64            `json:"windowNs"` // of series
	Partial         string           `json:"partial,omitempty"`
	Variants        []Variant        `json:"variants"`
}

// Variant is one run.
type Variant struct {
	Name       string            `json:"name"`
	Took       time.Duration     `json:"tookNs"` // by the clock of the run
	Streams    []Stream          `json:"streams"`
	Depth      Percentiles       `json:"depthBytes"`   // of all queues together, looked at every millisecond
	Peaks      Series            `json:"depthPeaks"`   // of it, bytes, by window
	Reordered  uint64            `json:"reordered"`    // packets that arrived behind a later one of their flow
	Missing    int64             `json:"missing"`      // packets that neither arrived nor were dropped
	Windows    int               `json:"windows100ms"` // of 100 ms, of all queues, that no change of a rate came before by less than 200 ms
	Outside    int               `json:"outside"`      // of these, how many are further from the ideal than a scheduler may be
	AtChanges  int               `json:"outsideAtChanges"`
	LinkShare  float64           `json:"linkShare"` // of what the link can carry that it did carry
	Drops      map[string]uint64 `json:"drops,omitempty"`
	Controlled bool              `json:"controlled,omitempty"` // its streams heed congestion: the ideal is of senders that are always busy
}

// Stream is what became of one.
type Stream struct {
	Name       string      `json:"name"`
	Vports     int         `json:"vports"`
	Configured string      `json:"configured"` // share of its class, and of its vports
	Offered    float64     `json:"offeredBytes"`
	Ideal      float64     `json:"idealBytes"`
	Measured   float64     `json:"measuredBytes"`
	WorstQueue float64     `json:"worstQueueError"` // of any queue that its packets wait in, over the whole run, as a part of its ideal
	WorstBytes float64     `json:"worstWindowBytes"`
	Packets    uint64      `json:"packets"` // that arrived
	Dropped    uint64      `json:"dropped"`
	Marked     uint64      `json:"marked"`
	Delay      Percentiles `json:"delayNs"`    // from the VM to the end of the link
	Depth      Percentiles `json:"depthBytes"` // of its packets in the switch
	Series     Series      `json:"bytes"`      // by window
	Fluid      Series      `json:"fluidBytes"` // likewise, of the ideal
}

// Error is how far what was measured is from the ideal, as a part of it.
func (s *Stream) Error() float64 {
	if s.Ideal == 0 {
		return 0
	}
	return s.Measured/s.Ideal - 1
}

// Percent is an error as a text.
func Percent(part float64) string {
	if math.Abs(part) < 0.00005 {
		return "0.00 %"
	}
	return fmt.Sprintf("%+.2f %%", 100*part)
}

// Percentiles of many values.
type Percentiles struct {
	P50  int64 `json:"p50"`
	P99  int64 `json:"p99"`
	P999 int64 `json:"p999"`
	Max  int64 `json:"max"`
}

func percentilesOf(h *hdrhistogram.Histogram) Percentiles {
	return Percentiles{h.ValueAtQuantile(50), h.ValueAtQuantile(99), h.ValueAtQuantile(99.9), h.Max()}
}

// Series are values in the order of time; in a file they are one text.
type Series []float64

// MarshalText implements encoding.TextMarshaler.
func (s Series) MarshalText() ([]byte, error) {
	var text []byte
	for i, v := range s {
		if i > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendFloat(text, math.Round(v), 'f', -1, 64)
	}
	return text, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Series) UnmarshalText(text []byte) error {
	*s = nil
	for _, word := range strings.Fields(string(text)) {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return fmt.Errorf("read series: %w", err)
		}
		*s = append(*s, v)
	}
	return nil
}

// FileName is how the result of a profile is called in a folder of results.
func FileName(profile string) string { return profile + ".json" }

// ReadJSON reads what WriteJSON wrote.
func ReadJSON(file string) (*Result, error) { return result.ReadJSON[Result](file) }

// result sums a run up.
func (b *bench) result(drops map[string]uint64) *Variant {
	r := b.poller.rec
	length := r.end - r.origin
	v := &Variant{Name: b.variant.Name, Took: time.Duration(length), Depth: percentilesOf(r.depth), Reordered: r.reordered, Drops: drops, Missing: r.packetsMissing(b)}
	if length <= 0 {
		return v
	}
	fluid := b.ideal(length)
	windows := int((length + windowNs - 1) / windowNs)
	v.Peaks = make(Series, windows)
	for i := range v.Peaks {
		v.Peaks[i] = float64(r.peaks[i])
	}
	sum := 0.0
	for i := range b.streams {
		st := b.streamResult(i, fluid, windows)
		sum += st.Measured
		v.Streams = append(v.Streams, st)
		v.Controlled = v.Controlled || b.streams[i].Control != ""
	}
	v.LinkShare = sum / (b.Profile.Link.BPS / 8 * float64(length) / 1e9)
	for queue, at := range b.queues {
		for w := range int(length / coarseNs) {
			outside, settled := !b.within(at, float64(r.coarse[queue][w]), fluid.coarse[queue][w]), b.settled(w)
			switch {
			case outside && settled:
				v.Outside++
			case outside:
				v.AtChanges++
			}
			if settled {
				v.Windows++
			}
		}
	}
	return v
}

// settles is the time after a change of a rate in which queues become empty or full.
const settles = 200 * time.Millisecond

// settled reports that no rate changes within a window of 100 ms, or shortly before it.
func (b *bench) settled(window int) bool {
	from := time.Duration(window) * coarseNs
	for i := range b.streams {
		for _, c := range b.streams[i].Changes {
			if c.At > from-settles && c.At < from+coarseNs {
				return false
			}
		}
	}
	return true
}

// packetsMissing counts those of which nothing is known at the end.
func (r *recorder) packetsMissing(b *bench) (n int64) {
	for i := range r.streams {
		n += r.streams[i].waiting
	}
	return n
}

func (b *bench) streamResult(i int, fluid *ideal, windows int) Stream {
	r, st := &b.poller.rec.streams[i], &b.streams[i]
	ids := b.poller.t.streams[i]
	out := Stream{Name: st.Name, Vports: len(ids), Configured: b.configured(ids[0]), Offered: float64(r.offeredBytes), Measured: float64(r.arrivedBytes),
		Packets: r.arrived, Dropped: r.dropped, Marked: r.marked, Delay: percentilesOf(r.delay), Depth: percentilesOf(r.depth),
		Series: make(Series, windows), Fluid: fluid.streams[i]}
	for w := range out.Series {
		out.Series[w] = float64(r.bytes[w])
	}
	for _, v := range out.Fluid {
		out.Ideal += v
	}
	for _, id := range ids {
		queue := b.poller.t.sources[id].queue
		if want := fluid.total[queue]; want > 0 {
			out.WorstQueue = max(out.WorstQueue, math.Abs(float64(b.poller.rec.total[queue])/want-1))
		}
	}
	const per = coarseNs / windowNs
	for at := 0; at+per <= windows; at += per {
		got, want := 0.0, 0.0
		for w := at; w < at+per; w++ {
			got, want = got+out.Series[w], want+out.Fluid[w]
		}
		out.WorstBytes = max(out.WorstBytes, math.Abs(got-want))
	}
	return out
}

// configured says what a source's queue was given.
func (b *bench) configured(id int32) string {
	q := b.queues[b.poller.t.sources[id].queue]
	class, leaf := &b.conf.Classes[q.class], &b.conf.Leaves[q.leaf]
	rate := func(bytesPerSec uint64) string { return profile.Rate{BPS: 8 * float64(bytesPerSec)}.String() }
	var parts []string
	one := 0
	for i := range b.conf.Classes {
		if c := &b.conf.Classes[i]; c.Strict || c.Weight > 0 {
			one++
		}
	}
	switch {
	case class.Strict:
		parts = append(parts, "strict")
	case one > 1:
		parts = append(parts, fmt.Sprintf("share %d%%", class.Weight))
	}
	if class.MaxBytesPerSec > 0 {
		parts = append(parts, "max "+rate(class.MaxBytesPerSec))
	}
	switch {
	case b.Profile.Target:
		parts = append(parts, "inbound max "+rate(b.conf.RateBytesPerSec))
	case leaf.MinBytesPerSec > 0:
		parts = append(parts, "min "+rate(leaf.MinBytesPerSec))
	case q.leaf > 0:
		parts = append(parts, fmt.Sprintf("minWeight %d", leaf.Weight))
	}
	if q.leaf == 0 && !b.Profile.Target && (leaf.MinBytesPerSec > 0 || len(b.conf.Leaves) > 1) {
		parts = append(parts, "default flow")
	}
	if leaf.MaxBytesPerSec > 0 {
		parts = append(parts, "max "+rate(leaf.MaxBytesPerSec))
	}
	return strings.Join(parts, ", ")
}

// Print writes it for a person.
func (r *Result) Print(w io.Writer) {
	if r.Partial != "" {
		fmt.Fprintf(w, "PARTIAL: %s\n", r.Partial)
	}
	fmt.Fprintf(w, "%s: %s\n", r.Profile, r.Description)
	for i := range r.Variants {
		v := &r.Variants[i]
		fmt.Fprintln(w)
		result.PrintTable(w, v.table)
		v.notes(w)
	}
}

// table writes a line for each stream.
func (v *Variant) table(w io.Writer) {
	fmt.Fprintf(w, "%s, %s\tconfigured, each VM\tVMs\toffered\tideal\tmeasured\terror\tworst queue\tworst 100 ms\tdelay p50\tp99\tdropped\tmarked\n", v.Name, v.Took.Round(time.Millisecond))
	for i := range v.Streams {
		s := &v.Streams[i]
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%.2f %%\t%s\t%s\t%s\t%d\t%d\n", s.Name, s.Configured, s.Vports, v.mbit(s.Offered), v.mbit(s.Ideal), v.mbit(s.Measured),
			Percent(s.Error()), 100*s.WorstQueue, kilobytes(s.WorstBytes), since(s.Delay.P50), since(s.Delay.P99), s.Dropped, s.Marked)
	}
}

// notes says what concerns all streams.
func (v *Variant) notes(w io.Writer) {
	fmt.Fprintf(w, "%.2f %% of the link used; %s of 100 ms of a queue, %d outside the tolerance, and %d just after a change; queues: p50 %s, p99 %s, max %s; %d reordered, %d missing",
		100*v.LinkShare, result.Count(v.Windows, "window"), v.Outside, v.AtChanges, kilobytes(float64(v.Depth.P50)), kilobytes(float64(v.Depth.P99)), kilobytes(float64(v.Depth.Max)), v.Reordered, v.Missing)
	reasons := make([]string, 0, len(v.Drops))
	for reason, n := range v.Drops {
		reasons = append(reasons, fmt.Sprintf("%d %s", n, reason))
	}
	slices.Sort(reasons)
	if len(reasons) > 0 {
		fmt.Fprintf(w, "; dropped: %s", strings.Join(reasons, ", "))
	}
	fmt.Fprintln(w)
}

// mbit is a number of bytes in the time of the run as a rate.
func (v *Variant) mbit(bytes float64) string {
	return fmt.Sprintf("%.1f Mbit/s", v.Mbit(bytes))
}

// Mbit is a number of bytes in the time of the run as a rate, Mbit/s.
func (v *Variant) Mbit(bytes float64) float64 {
	return 8 * bytes / max(v.Took.Seconds(), 1e-9) / 1e6
}

func kilobytes(bytes float64) string { return fmt.Sprintf("%.1f kB", bytes/1000) }

func since(ns int64) string { return time.Duration(ns).Round(time.Microsecond).String() }

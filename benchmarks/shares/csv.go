package shares

import (
	"bytes"
	"encoding/csv"
	"fmt"
)

// CSV is every window of every stream, for other programs.
func (r *Result) CSV() []byte {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	line := func(cells ...string) { _ = w.Write(cells) } // memory takes it; Flush below would tell
	line("variant", "stream", "ms", "measuredMbit", "idealMbit")
	mbit := func(bytes float64) string { return fmt.Sprintf("%.3f", 8*bytes/(float64(r.WindowNs)/1e9)/1e6) }
	for i := range r.Variants {
		v := &r.Variants[i]
		for j := range v.Streams {
			s := &v.Streams[j]
			for at := range s.Series {
				line(v.Name, s.Name, fmt.Sprint(int64(at)*r.WindowNs/1e6), mbit(s.Series[at]), mbit(s.Fluid[at]))
			}
		}
	}
	w.Flush()
	return out.Bytes()
}

package report

import (
	"bytes"
	"fmt"
	"io"

	"github.com/sluicenet/sluice/benchmarks/generator"
	"github.com/sluicenet/sluice/benchmarks/result"
)

// Results of sluice-pktgen run -o json in a folder of results: with latency, and of a search for rates.
const (
	latencyFile = "latency.json"
	ratesFile   = "ndr.json"
)

func readDocument(file string) (*generator.Document, error) {
	return result.ReadJSON[generator.Document](file)
}

// documentSection shows what the generator saw on real ports, in its own words.
func documentSection(w io.Writer, e *Evidence, title string, d *generator.Document) {
	if d == nil {
		return
	}
	fmt.Fprintf(w, "## %s\n\n", title)
	if d.Partial != "" {
		fmt.Fprintf(w, "**These figures are not complete: %s.**\n\n", d.Partial)
	}
	var text bytes.Buffer
	d.Print(&text)
	fmt.Fprintf(w, "What `sluice-pktgen run` saw, see `docs/PKTGEN.md`. %s\n\n```\n%s```\n\n", when(e, &d.Manifest), text.Bytes())
}

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/sluicenet/sluice/benchmarks/generator"
)

// Results of sluice-pktgen run -o json in a folder of results: with latency, and of a search for rates.
const (
	latencyFile = "latency.json"
	ratesFile   = "ndr.json"
)

func readDocument(file string) (*generator.Document, error) {
	return readJSON[generator.Document](file)
}

// readJSON reads a result of a kind that has no reader of its own.
func readJSON[T any](file string) (*T, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	r := new(T)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read result %s: %w", file, err)
	}
	return r, nil
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

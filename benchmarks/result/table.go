package result

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"
)

// PrintTable aligns what fill writes, cells behind tabs, for a terminal. No line ends in blanks.
func PrintTable(w io.Writer, fill func(io.Writer)) {
	var text bytes.Buffer
	t := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	fill(t)
	t.Flush()
	for line := range bytes.Lines(text.Bytes()) {
		fmt.Fprintf(w, "%s\n", bytes.TrimRight(line, " \n"))
	}
}

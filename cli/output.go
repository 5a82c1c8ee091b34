// Package cli turns answers of the daemon and findings about the host into what the sluice command prints: tables for
// people, JSON and YAML for programs. JSON and YAML hold the same fields; their names are part of the interface.
package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
)

// Format is a form of output.
type Format string

// Formats, as the flag --output names them.
const (
	FormatTable Format = "table"
	FormatJSON  Format = "json"
	FormatYAML  Format = "yaml"
)

// ParseFormat checks the value of --output.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case FormatTable, FormatJSON, FormatYAML:
		return f, nil
	}
	return "", Usage(fmt.Errorf("output %q: there is no such form; use table, json or yaml", s))
}

// View is something to print. Its exported fields are what JSON and YAML show.
type View interface {
	// Draw writes the form for people.
	Draw(s *Screen)
}

// Printer writes views in one format.
type Printer struct {
	W      io.Writer
	Format Format
	Color  bool
}

// ColorFits reports whether w is a terminal whose user did not ask for plain text (https://no-color.org).
func ColorFits(w io.Writer) bool {
	return IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// IsTerminal reports whether a person reads w.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Print writes one view. In JSON it is one indented document, in YAML one with its start marker, so that both can follow
// each other in a stream.
func (p *Printer) Print(v View) error {
	if p.Format == FormatTable {
		s := &Screen{color: p.Color}
		v.Draw(s)
		_, err := p.W.Write(s.buf.Bytes())
		return err
	}
	doc, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	if p.Format == FormatYAML {
		return printYAML(p.W, doc)
	}
	_, err = p.W.Write(append(doc, '\n'))
	return err
}

// Control sequences of a terminal (ECMA-48; DEC private mode 7 is line wrap).
const (
	toTop       = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
	wrapOff     = "\x1b[?7l"
	wrapOn      = "\x1b[?7h"
	spareHeight = 1 // the line that the cursor ends in
)

// Refresh shows a view in place of the last one on a terminal of height lines, in one write, so that nothing flickers:
// each line is overwritten, only what is left of the old picture is cleared. What does not fit is cut, with a note.
func (p *Printer) Refresh(v View, height int) error {
	s := &Screen{color: p.Color}
	v.Draw(s)
	lines := strings.Split(strings.TrimSuffix(s.buf.String(), "\n"), "\n")
	if room := height - spareHeight; len(lines) > room && room > 0 {
		lines[room-1] = s.Paint(Faint, plural(len(lines)-room+1, "line")+" more; make the window taller, or use -o json")
		lines = lines[:room]
	}
	_, err := io.WriteString(p.W, wrapOff+toTop+strings.Join(lines, clearLine+"\n")+clearLine+"\n"+clearBelow+wrapOn)
	return err
}

// Height is the number of lines of the terminal that w is; 0 when it is none.
func Height(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	_, height, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return height
}

// printYAML writes a JSON document, which is YAML already, in block style with its order of keys.
func printYAML(w io.Writer, doc []byte) error {
	var n yaml.Node
	if err := yaml.Unmarshal(doc, &n); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	blockStyle(&n)
	if _, err := io.WriteString(w, "---\n"); err != nil {
		return err
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&n); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return e.Close()
}

// ambiguous is what readers of YAML 1.1 take for something else than a string unless it is quoted: 10:15:50:00:03:01 for
// a number to base 60, on for true.
var ambiguous = regexp.MustCompile(`(?i)^[0-9.]+:|^(y|n|yes|no|on|off)$`)

func blockStyle(n *yaml.Node) {
	if len(n.Content) > 0 || n.Kind == yaml.ScalarNode && !ambiguous.MatchString(n.Value) {
		n.Style = 0 // an empty list stays [] and an empty map {}
	}
	for _, c := range n.Content {
		blockStyle(c)
	}
}

// Screen takes the form for people: lines, pairs and tables.
type Screen struct {
	buf   bytes.Buffer
	color bool
}

// Color is a meaning, not a hue.
type Color int

// What a word can mean.
const (
	Plain Color = iota
	Good
	Doubtful
	Bad
	Faint
)

var hues = map[Color]text.Color{Good: text.FgGreen, Doubtful: text.FgYellow, Bad: text.FgRed, Faint: text.Faint}

// Paint marks a word where colours fit.
func (s *Screen) Paint(c Color, word string) string {
	if !s.color || c == Plain || word == "" {
		return word
	}
	return hues[c].EscapeSeq() + word + text.Reset.EscapeSeq()
}

// Line writes one line.
func (s *Screen) Line(format string, args ...any) { fmt.Fprintf(&s.buf, format+"\n", args...) }

// Gap leaves a line free, unless nothing stands above it.
func (s *Screen) Gap() {
	if s.buf.Len() > 0 {
		s.buf.WriteByte('\n')
	}
}

// Pairs writes "name  value" lines in two columns; pairs without a value are left out, values of several lines stay in
// their column.
func (s *Screen) Pairs(pairs ...[2]string) {
	width := 0
	for _, p := range pairs {
		if p[1] != "" {
			width = max(width, len(p[0]))
		}
	}
	for _, p := range pairs {
		if p[1] != "" {
			s.Line("%-*s  %s", width, p[0], strings.ReplaceAll(p[1], "\n", "\n"+strings.Repeat(" ", width+2)))
		}
	}
}

// Table writes rows below a header; columns whose header starts with ">" stand to the right, as numbers do.
func (s *Screen) Table(header []string, rows [][]string) {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.Options{}
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	var configs []table.ColumnConfig
	head := table.Row{}
	for i, h := range header {
		if name, right := strings.CutPrefix(h, ">"); right {
			configs = append(configs, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
			h = name
		}
		head = append(head, s.Paint(Faint, h))
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(head)
	for _, r := range rows {
		row := table.Row{}
		for _, cell := range r {
			row = append(row, cell)
		}
		t.AppendRow(row)
	}
	s.buf.WriteString(t.Render() + "\n")
}

// Note is an outcome in words.
type Note struct {
	Text string `json:"text"`
}

// Draw shows the words.
func (n *Note) Draw(s *Screen) { s.Line("%s", n.Text) }

// Data prints a value that draws its own form for people elsewhere.
type Data struct{ Value any }

// MarshalJSON shows the value alone.
func (d *Data) MarshalJSON() ([]byte, error) { return json.Marshal(d.Value) }

// Draw shows the value as Go prints it.
func (d *Data) Draw(s *Screen) { s.Line("%+v", d.Value) }

package demo

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// WriteTable prints the report for people: who is where, what was asked and answered, the counters, and a look at the
// wire. Colours only for a terminal whose user has not asked for none (NO_COLOR).
func (r *Report) WriteTable(w io.Writer) {
	p := painter(isTerminal(w) && os.Getenv("NO_COLOR") == "")
	fmt.Fprintf(w, "\n%s\n", r.places(p))
	fmt.Fprintf(w, "%s\n", r.answers(p))
	fmt.Fprintf(w, "%s\n", r.balances(p))
	fmt.Fprintf(w, "%s\n", r.excerpt())
	fmt.Fprintln(w, r.verdict(p))
}

// painter colours text, or leaves it.
type painter bool

func (p painter) paint(color text.Color, s string) string {
	if !p {
		return s
	}
	return text.Colors{color}.Sprint(s)
}

func (p painter) mark(good bool) string {
	if good {
		return p.paint(text.FgGreen, "✓")
	}
	return p.paint(text.FgRed, "✗")
}

// answer marks an answer: well, doubtful or failed.
func (p painter) answer(c Cell) string {
	if c.Passed && c.Note != "" {
		return p.paint(text.FgYellow, "!")
	}
	return p.mark(c.Passed)
}

func newTable(title string) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleRounded)
	t.Style().Format = table.FormatOptions{}
	t.Style().Options.SeparateRows = false
	t.SetTitle(title)
	return t
}

func (r *Report) places(p painter) string {
	t := newTable("Two hosts, one fabric, the same addresses for all")
	head := table.Row{"host"}
	for _, tenant := range r.Tenants {
		head = append(head, p.tenant(tenant))
	}
	t.AppendHeader(head)
	for i, h := range r.Hosts {
		row := table.Row{h.Name + "\n" + h.ProviderAddress}
		for _, tenant := range r.Tenants {
			var lines []string
			for _, v := range h.VMs {
				if v.Tenant == tenant {
					travels := fmt.Sprintf("VSID %d", v.VSID)
					if v.ProviderAddress != "" {
						travels = "as " + v.ProviderAddress
					}
					lines = append(lines, fmt.Sprintf("%-10s %-11s %s", v.Address, v.Name, travels))
				}
			}
			row = append(row, strings.Join(lines, "\n"))
		}
		if i > 0 {
			t.AppendSeparator()
		}
		t.AppendRow(row)
	}
	return t.Render()
}

// tenant paints a tenant's name in its own colour when it is one.
func (p painter) tenant(name string) string {
	switch name {
	case "red":
		return p.paint(text.FgHiRed, name)
	case "blue":
		return p.paint(text.FgHiBlue, name)
	case "green":
		return p.paint(text.FgHiGreen, name)
	}
	return name
}

func (r *Report) answers(p painter) string {
	t := newTable("What was tried")
	head := table.Row{""}
	for _, tenant := range r.Tenants {
		head = append(head, p.tenant(tenant))
	}
	t.AppendHeader(head)
	width := min(34, 81/max(len(r.Tenants), 1)) // of an answer: no line is longer than a wide terminal
	for i := range r.Checks {
		c := &r.Checks[i]
		row := table.Row{c.What}
		for _, cell := range c.Answers {
			row = append(row, p.answer(cell)+" "+text.WrapSoft(cell.Text, width))
		}
		// One answer for all tenants spreads over their columns.
		for len(c.Answers) == 1 && len(row) <= len(r.Tenants) {
			row = append(row, row[1])
		}
		t.AppendRow(row, table.RowConfig{AutoMerge: len(c.Answers) == 1, AutoMergeAlign: text.AlignLeft})
	}
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 1, WidthMax: 30}})
	return t.Render()
}

func (r *Report) balances(p painter) string {
	t := newTable("Counters: received + created = sent + consumed + dropped + queued")
	t.AppendHeader(table.Row{"host", "port", "received", "created", "sent", "consumed", "dropped", "queued", "", "dropped because"})
	for i := range r.Counters {
		b := &r.Counters[i]
		if i > 0 && b.Host != r.Counters[i-1].Host {
			t.AppendSeparator()
		}
		t.AppendRow(table.Row{b.Host, b.Port, b.Received, b.Created, b.Sent, b.Consumed, b.Dropped, b.Queued, p.mark(b.Holds), b.Reasons})
	}
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 10, WidthMax: 40}})
	return t.Render()
}

func (r *Report) excerpt() string {
	t := newTable(fmt.Sprintf("On the wire: %d frames, %d of them NVGRE with %d FlowIDs, %d rewritten, %d ARP for provider addresses",
		r.Wire.Frames, r.Wire.NVGRE, r.Wire.FlowIDs, r.Wire.Rewritten, r.Wire.ProviderARP))
	t.AppendHeader(table.Row{"frame", "provider addresses", "VSID", "FlowID", "inner or rewritten packet, as tshark reads it"})
	for _, f := range r.Wire.Excerpt {
		inner := text.Snip(strings.Join(strings.Fields(f.Info), " "), 34, "…")
		if f.InnerSrc != "" {
			inner = f.InnerSrc + " → " + f.InnerDst + "  " + inner
		}
		vsid, flowID := fmt.Sprint(f.VSID), fmt.Sprintf("0x%02x", f.FlowID)
		if f.VSID == 0 {
			vsid, flowID = "none", "" // rewritten
		}
		t.AppendRow(table.Row{f.Number, f.From + " → " + f.To, vsid, flowID, inner})
	}
	return t.Render()
}

func (r *Report) verdict(p painter) string {
	var b strings.Builder
	if r.Wire.File != "" {
		fmt.Fprintf(&b, "Capture of the wire: %s (look at it with: wireshark, or tshark -V -r)\n", r.Wire.File)
	}
	for _, note := range r.notes() {
		fmt.Fprintf(&b, "%s\n", text.WrapSoft(note, 120))
	}
	word := "All of it holds"
	if !r.Passed {
		word = "Not all of it holds"
	}
	fmt.Fprintf(&b, "%s %s. %.0f seconds.", p.mark(r.Passed), word, r.Seconds)
	if r.Kept {
		b.WriteString(r.guide())
	}
	return b.String()
}

// notes are those of all answers, each once.
func (r *Report) notes() []string {
	var notes []string
	for i := range r.Checks {
		for _, a := range r.Checks[i].Answers {
			if a.Note != "" && !slices.Contains(notes, a.Note) {
				notes = append(notes, a.Note)
			}
		}
	}
	return notes
}

// guide tells how to look around in a demo that keeps running.
func (r *Report) guide() string {
	var client, near *VMInfo
	for i := range r.Hosts[0].VMs {
		for j := range r.Hosts[1].VMs {
			a, b := &r.Hosts[0].VMs[i], &r.Hosts[1].VMs[j]
			if client == nil && a.VSID == b.VSID {
				client, near = a, b
			}
		}
	}
	var b strings.Builder
	b.WriteString("\n\nThe demo keeps running. Look around, as root:\n")
	for _, h := range r.Hosts {
		fmt.Fprintf(&b, "  %s --socket %s status\n", r.command, h.Socket)
	}
	fmt.Fprintf(&b, "  %s --socket %s drops\n", r.command, r.Hosts[0].Socket)
	if client != nil {
		fmt.Fprintf(&b, "  %s --socket %s nexthop --vsid %d --from %s --to %s\n", r.command, r.Hosts[0].Socket, client.VSID, client.Address, near.Address)
		fmt.Fprintf(&b, "  ip netns exec %s ping %s\n", client.Namespace, near.Address)
	}
	fmt.Fprintf(&b, "  ip netns exec %sfabric tshark -i %s\n", prefix, r.Hosts[0].Name)
	fmt.Fprintf(&b, "Logs and configurations: %s\n", runDir)
	fmt.Fprintf(&b, "End it, with every process inside its namespaces:\n  %s demo --down", r.command)
	return b.String()
}

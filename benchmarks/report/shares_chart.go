package report

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"image/png"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/sluicenet/sluice/benchmarks/shares"
)

// SharesChart is a picture of what streams got over time, beside the ideal: a panel for each variant. Of streams that heed
// congestion it is of what waited in the queue, all variants in one panel.
type SharesChart struct {
	title, subtitle string
	legend          []series
	panels          []panel
}

// panel is one pair of axes.
type panel struct {
	title   string // with the unit
	seconds float64
	most    float64
	lines   []line
}

// line is a value over time. A pale one is the ideal, and lies behind the others.
type line struct {
	series
	x, y []float64
	pale bool
}

const (
	panelHeight = 170 * vg.Length(1)
	panelHead   = vg.Length(18)
	mostSeries  = 1e6
)

// streamColours are of Okabe and Ito's palette, the lightest one made darker.
var streamColours = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x8c, 0x7a, 0x00, 0xff}, {0x60, 0x60, 0x60, 0xff},
}

func colourOf(i int) color.RGBA { return streamColours[i%len(streamColours)] }

// NewSharesChart lays out the picture of a result.
func NewSharesChart(r *shares.Result) (*SharesChart, error) {
	c := &SharesChart{title: r.Profile + ": rates over time", subtitle: r.Description + "\nWindows of 10 ms. Broad and pale: the ideal fluid."}
	if r.Partial != "" {
		c.title = "INCOMPLETE: " + c.title
	}
	controlled := false
	for i := range r.Variants {
		controlled = controlled || r.Variants[i].Controlled
	}
	if controlled {
		c.depths(r)
	} else {
		c.rates(r)
	}
	if len(c.panels) == 0 {
		return nil, errors.New("draw shares: nothing was measured in this result")
	}
	return c, nil
}

// rates has the streams of each variant.
func (c *SharesChart) rates(r *shares.Result) {
	known := map[string]series{}
	most := 0.0
	for i := range r.Variants {
		v := &r.Variants[i]
		p := panel{title: "Mbit/s", seconds: v.Took.Seconds()}
		if len(r.Variants) > 1 {
			p.title = "Mbit/s, " + v.Name
		}
		for j := range v.Streams {
			s := &v.Streams[j]
			look, ok := known[s.Name]
			if !ok {
				look = series{s.Name, colourOf(len(known))}
				known[s.Name] = look
				c.legend = append(c.legend, look)
			}
			scale := 8 / (float64(r.WindowNs) / 1e9) / 1e6
			measured, ideal := overTime(look, r.WindowNs, s.Series, scale), overTime(look, r.WindowNs, s.Fluid, scale)
			ideal.pale = true
			p.lines = append(p.lines, ideal, measured)
			most = max(most, highest(measured.y), highest(ideal.y))
		}
		if p.seconds > 0 {
			c.panels = append(c.panels, p)
		}
	}
	for i := range c.panels {
		c.panels[i].most = most
	}
}

// depths has what waited, a line for each variant.
func (c *SharesChart) depths(r *shares.Result) {
	c.title = r.Profile + ": what waits in the queue over time"
	c.subtitle = r.Description + "\nThe deepest of every 10 ms."
	if r.Partial != "" {
		c.title = "INCOMPLETE: " + c.title
	}
	p := panel{title: "kB"}
	for i := range r.Variants {
		v := &r.Variants[i]
		look := series{fmt.Sprintf("%s (p99 %.0f kB, %.1f %% of the rate)", v.Name, float64(v.Depth.P99)/1000, 100*v.LinkShare), colourOf(i)}
		l := overTime(look, r.WindowNs, v.Peaks, 1e-3)
		c.legend = append(c.legend, look)
		p.lines = append(p.lines, l)
		p.seconds, p.most = max(p.seconds, v.Took.Seconds()), max(p.most, highest(l.y))
	}
	if p.seconds > 0 {
		c.panels = append(c.panels, p)
	}
}

func highest(values []float64) (most float64) {
	for _, v := range values {
		most = max(most, v)
	}
	return most
}

// overTime places the values of windows in the middle of each.
func overTime(look series, windowNs int64, values []float64, scale float64) line {
	l := line{series: look}
	for i, v := range values {
		l.x = append(l.x, (float64(i)+0.5)*float64(windowNs)/1e9)
		l.y = append(l.y, v*scale)
	}
	return l
}

// SVG draws the picture as a vector graphic.
func (c *SharesChart) SVG() ([]byte, error) {
	canvas := vgsvg.New(chartWidth, c.height())
	c.draw(draw.New(canvas))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("draw shares: %w", err)
	}
	return withFonts(out.Bytes()), nil
}

// PNG draws it as an image.
func (c *SharesChart) PNG() ([]byte, error) {
	canvas := vgimg.NewWith(vgimg.UseWH(chartWidth, c.height()), vgimg.UseDPI(pngDPI))
	c.draw(draw.New(canvas))
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, canvas.Image()); err != nil {
		return nil, fmt.Errorf("draw shares: %w", err)
	}
	return out.Bytes(), nil
}

// legendRows breaks the legend into rows that fit.
func (c *SharesChart) legendRows() (rows [][]series) {
	width := vg.Length(mostSeries)
	for _, s := range c.legend {
		w := legendBox + 4 + style(plainText, text.XLeft, text.YTop).Width(s.name) + 14
		if width+w > chartWidth-2*margin {
			rows, width = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], s)
		width += w
	}
	return rows
}

const legendBox = vg.Length(8)

func (c *SharesChart) head() vg.Length {
	return titleText + 5 + 2*smallText + 8 + vg.Length(len(c.legendRows()))*lineHeight
}

func (c *SharesChart) height() vg.Length {
	return c.head() + vg.Length(len(c.panels))*(panelHeight+panelHead) + 2*margin
}

// draw puts title and legend above the panels.
func (c *SharesChart) draw(canvas draw.Canvas) {
	canvas.SetColor(color.White)
	canvas.Fill(canvas.Rectangle.Path())
	in := draw.Crop(canvas, margin, -margin, margin, -margin)
	at := vg.Point{X: in.Min.X, Y: in.Max.Y}
	in.FillText(style(titleText, text.XLeft, text.YTop), at, c.title)
	at.Y -= titleText + 5
	in.FillText(style(smallText, text.XLeft, text.YTop), at, c.subtitle)
	at.Y -= 2*smallText + 8
	for _, row := range c.legendRows() {
		at.X = in.Min.X
		for _, s := range row {
			in.FillPolygon(s.fill, rectangle(at.X, at.X+legendBox, at.Y-legendBox-2, at.Y-2))
			sty := style(plainText, text.XLeft, text.YTop)
			in.FillText(sty, vg.Point{X: at.X + legendBox + 4, Y: at.Y}, s.name)
			at.X += legendBox + 4 + sty.Width(s.name) + 14
		}
		at.Y -= lineHeight
	}
	top := in.Max.Y - c.head()
	for i := range c.panels {
		p := &c.panels[i]
		in.FillText(style(plainText, text.XLeft, text.YTop), vg.Point{X: in.Min.X, Y: top}, p.title)
		top -= panelHead
		part := draw.Canvas{Canvas: in.Canvas, Rectangle: vg.Rectangle{Min: vg.Point{X: in.Min.X, Y: top - panelHeight}, Max: vg.Point{X: in.Max.X, Y: top}}}
		p.plot().Draw(part)
		top -= panelHeight
	}
}

// plot has time to the right and the unit upwards.
func (p *panel) plot() *plot.Plot {
	g := plot.New()
	g.BackgroundColor = nil
	g.X.Min, g.X.Max, g.Y.Min, g.Y.Max = 0, p.seconds, 0, 1.05*p.most
	g.X.Tick.Label, g.Y.Tick.Label = style(smallText, text.XCenter, text.YTop), style(smallText, text.XRight, text.YCenter)
	g.X.Tick.Marker, g.Y.Tick.Marker = plot.TickerFunc(roundSeconds), plot.TickerFunc(roundNumbers)
	g.X.Padding, g.Y.Padding = 0, 0
	g.Add(p)
	return g
}

// roundNumbers are at most eight of them.
func roundNumbers(_, to float64) (ticks []plot.Tick) {
	step := 0.1
	for _, s := range []float64{0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000} {
		if to/step > 8 {
			step = s
		}
	}
	for i := 0; float64(i)*step <= to*(1+1e-9); i++ {
		ticks = append(ticks, plot.Tick{Value: float64(i) * step, Label: fmt.Sprintf("%.4g", float64(i)*step)})
	}
	return ticks
}

func roundSeconds(from, to float64) []plot.Tick {
	ticks := roundNumbers(from, to)
	for i := range ticks {
		ticks[i].Label += " s"
	}
	return ticks
}

// Plot implements plot.Plotter.
func (p *panel) Plot(canvas draw.Canvas, g *plot.Plot) {
	x, y := g.Transforms(&canvas)
	for _, tick := range g.Y.Tick.Marker.Ticks(g.Y.Min, g.Y.Max) {
		if tick.Value > 0 {
			canvas.StrokeLine2(draw.LineStyle{Color: pale, Width: 0.5}, canvas.Min.X, y(tick.Value), canvas.Max.X, y(tick.Value))
		}
	}
	for _, behind := range []bool{true, false} {
		for i := range p.lines {
			l := &p.lines[i]
			if l.pale != behind {
				continue
			}
			points := make([]vg.Point, len(l.x))
			for k := range l.x {
				points[k] = vg.Point{X: x(l.x[k]), Y: y(l.y[k])}
			}
			look := draw.LineStyle{Color: l.fill, Width: 0.9}
			if l.pale {
				look = draw.LineStyle{Color: paler(l.fill), Width: 4}
			}
			canvas.StrokeLines(look, points)
		}
	}
}

// paler is a colour with much white in it.
func paler(c color.Color) color.Color {
	r, g, b, _ := c.RGBA()
	white := func(v uint32) uint8 { return uint8((v>>8 + 3*0xff) / 4) }
	return color.RGBA{white(r), white(g), white(b), 0xff}
}

// SharesPictures are the picture of a result by the names of their files.
func SharesPictures(r *shares.Result) (map[string][]byte, error) {
	c, err := NewSharesChart(r)
	if err != nil {
		return nil, err
	}
	svg, svgErr := c.SVG()
	png, pngErr := c.PNG()
	return map[string][]byte{r.Profile + ".svg": svg, r.Profile + ".png": png}, errors.Join(svgErr, pngErr)
}

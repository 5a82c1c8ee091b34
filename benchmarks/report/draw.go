package report

import (
	"bytes"
	"fmt"
	"image/color"
	"image/png"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Sizes of the chart.
const (
	chartWidth = 640 * vg.Length(1)
	barHeight  = vg.Length(12)
	gapRows    = 0.8 // between groups, in bars
	smallText  = 8
	plainText  = 9
	titleText  = 12
	lineHeight = vg.Length(14)
	headHeight = titleText + 3*lineHeight // title, two lines below it, legend
	margin     = vg.Length(10)
	textLift   = vg.Length(1) // digits have no descenders: centred they would look too low
	labelGap   = vg.Length(4) // between a bar and its label
	pngDPI     = 144          // twice a screen's, so that it stays sharp on a good one
)

var (
	ink  = color.RGBA{0x22, 0x22, 0x22, 0xff}
	pale = color.RGBA{0xdd, 0xdd, 0xdd, 0xff}
)

// SVG draws the chart as a vector graphic.
func (c *Chart) SVG() ([]byte, error) {
	canvas := vgsvg.New(chartWidth, c.height())
	c.draw(draw.New(canvas))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("draw chart: %w", err)
	}
	return withFonts(out.Bytes()), nil
}

// withFonts names fonts for those who have no Liberation Sans: the letters of Arial are as wide.
func withFonts(svg []byte) []byte {
	return bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
}

// PNG draws the chart as an image.
func (c *Chart) PNG() ([]byte, error) {
	canvas := vgimg.NewWith(vgimg.UseWH(chartWidth, c.height()), vgimg.UseDPI(pngDPI))
	c.draw(draw.New(canvas))
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, canvas.Image()); err != nil {
		return nil, fmt.Errorf("draw chart: %w", err)
	}
	return out.Bytes(), nil
}

// rows is the height of the plot in bars.
func (c *Chart) rows() float64 {
	n := gapRows
	for _, g := range c.groups {
		n += float64(len(g.bars)) + gapRows
	}
	return n
}

func (c *Chart) height() vg.Length {
	const axis = 2 * lineHeight
	return vg.Length(c.rows())*barHeight + headHeight + axis + 2*margin
}

// draw puts title and legend above the plot.
func (c *Chart) draw(canvas draw.Canvas) {
	canvas.SetColor(color.White)
	canvas.Fill(canvas.Rectangle.Path())
	in := draw.Crop(canvas, margin, -margin, margin, -margin)
	at := vg.Point{X: in.Min.X, Y: in.Max.Y}
	in.FillText(style(titleText, text.XLeft, text.YTop), at, c.title)
	at.Y -= titleText + 5
	in.FillText(style(smallText, text.XLeft, text.YTop), at, c.subtitle)
	at.Y -= 2*smallText + 8
	for _, s := range c.legend {
		const box = vg.Length(8)
		in.FillPolygon(s.fill, rectangle(at.X, at.X+box, at.Y-box-2, at.Y-2))
		sty := style(plainText, text.XLeft, text.YTop)
		in.FillText(sty, vg.Point{X: at.X + box + 4, Y: at.Y}, s.name)
		at.X += box + 4 + sty.Width(s.name) + 14
	}
	c.plot().Draw(draw.Crop(in, 0, 0, 0, -headHeight))
}

func style(size vg.Length, x text.XAlignment, y text.YAlignment) draw.TextStyle {
	return draw.TextStyle{Color: ink, Font: font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size), XAlign: x, YAlign: y, Handler: plot.DefaultTextHandler}
}

func rectangle(x0, x1, y0, y1 vg.Length) []vg.Point {
	return []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}}
}

// plot has cycles to the right and one unit of height for each bar, the first at the top.
func (c *Chart) plot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Min, p.X.Max = 0, c.axisEnd()
	p.Y.Min, p.Y.Max = 0, c.rows()
	p.X.Label.Text = "cycles per packet"
	p.X.Label.TextStyle = style(plainText, text.XCenter, text.YTop)
	p.X.Tick.Marker = plot.TickerFunc(hundreds)
	p.X.Tick.Label = style(smallText, text.XCenter, text.YTop)
	p.X.Padding, p.Y.Padding = 0, 0
	p.Y.Tick.Label = style(plainText, text.XRight, text.YCenter)
	p.Y.Tick.Length = 0
	var names []plot.Tick
	y := c.rows() - gapRows
	for _, g := range c.groups {
		height := float64(len(g.bars))
		names = append(names, plot.Tick{Value: y - height/2, Label: g.name})
		y -= height + gapRows
	}
	p.Y.Tick.Marker = plot.ConstantTicks(names)
	p.Add(c)
	return p
}

// axisEnd is how far the axis goes, so that every label has room behind its bar.
func (c *Chart) axisEnd() float64 {
	names := vg.Length(0)
	for _, g := range c.groups {
		names = max(names, style(plainText, text.XRight, text.YCenter).Width(g.name))
	}
	width := chartWidth - 2*margin - names - labelGap
	end := c.limit
	for _, g := range c.groups {
		for _, b := range g.bars {
			left := width - style(smallText, text.XLeft, text.YCenter).Width(b.label) - 2*labelGap
			end = max(end, min(max(b.cycles.Median, b.cycles.Max), c.limit)*float64(width/left))
		}
	}
	return end
}

// hundreds are round numbers of cycles, at most ten of them.
func hundreds(_, to float64) (ticks []plot.Tick) {
	step := 20.0
	for _, s := range []float64{50, 100, 200, 500, 1000, 2000, 5000} {
		if to/step > 10 {
			step = s
		}
	}
	for v := 0.0; v <= to; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%.0f", v)})
	}
	return ticks
}

// Plot implements plot.Plotter.
func (c *Chart) Plot(canvas draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&canvas)
	for _, tick := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if tick.Value > 0 {
			canvas.StrokeLine2(draw.LineStyle{Color: pale, Width: 0.5}, x(tick.Value), canvas.Min.Y, x(tick.Value), canvas.Max.Y)
		}
	}
	top := c.rows() - gapRows
	for _, g := range c.groups {
		for _, b := range g.bars {
			c.bar(canvas, b, x, y(top-0.94), y(top-0.06))
			top--
		}
		top -= gapRows
	}
}

// bar draws one bar with its whisker, and its label behind them.
func (c *Chart) bar(canvas draw.Canvas, b bar, x func(float64) vg.Length, low, high vg.Length) {
	middle := (low + high) / 2
	end := min(b.cycles.Median, c.limit)
	canvas.FillPolygon(b.fill, rectangle(x(0), x(end), low, high))
	line := draw.LineStyle{Color: ink, Width: 0.8}
	room := x(end)
	switch {
	case b.cycles.Median > c.limit: // torn off, so that nobody takes its length for its price
		for _, at := range []vg.Length{12, 8} {
			canvas.FillPolygon(color.White, []vg.Point{{X: x(end) - at, Y: low}, {X: x(end) - at + 2, Y: low}, {X: x(end) - at + 5, Y: high}, {X: x(end) - at + 3, Y: high}})
		}
	case b.cycles.N > 1:
		far := min(b.cycles.Max, c.limit)
		canvas.StrokeLine2(line, x(b.cycles.Min), middle, x(far), middle)
		for _, v := range []float64{b.cycles.Min, far} {
			canvas.StrokeLine2(line, x(v), middle-2, x(v), middle+2)
		}
		room = x(far)
	}
	canvas.FillText(style(smallText, text.XLeft, text.YCenter), vg.Point{X: room + labelGap, Y: middle + textLift}, b.label)
}

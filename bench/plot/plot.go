// Package plot writes comparison charts as SVG: rows of panels with horizontal bars, each bar labelled with
// its series and value, with a whisker for its uncertainty and dots for the measurements behind it.
//
// It is not a general plotting library: one kind of chart, linear scales from zero, fixed width. Main types:
// Chart, Row, Panel, Bar. Write is pure; values may be shared between goroutines that only read.
package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Chart is a whole picture.
type Chart struct {
	Title    string
	Subtitle string
	Footer   string
	Series   []string // names; the first is drawn in the strong colour
	Rows     []Row
}

// Row is a titled line of panels side by side.
type Row struct {
	Title  string
	Panels []Panel
}

// Panel is a set of bars on one scale that starts at zero.
type Panel struct {
	Title string // what is shown, with its unit
	Bars  []Bar
}

// Bar is one value. Negative, infinite and NaN values are drawn as zero.
type Bar struct {
	Series int       // index into Chart.Series
	Value  float64   // length of the bar
	Error  float64   // half the length of the whisker; 0: none
	Points []float64 // single measurements
}

const (
	width     = 960.0
	margin    = 24.0
	gap       = 40.0
	barHeight = 18.0
	barStep   = 26.0
	labelRoom = 92.0 // left of the bars: series names
	valueRoom = 84.0 // right of the scale: values
	rowHead   = 54.0 // row title and panel titles
	charWidth = 7.0  // of the 12 px font, roughly, to cut names
)

// colours of the series: distinguishable with the common kinds of colour blindness, and by lightness.
var colours = []string{"#1b5fa8", "#e08a1e", "#7a7f87", "#3f9b6c", "#a8487d", "#6c5cc0"}

// Write draws c as one SVG document.
func Write(w io.Writer, c Chart) error {
	d := &drawing{}
	y := margin + 20
	d.text(margin, y, 20, "600", "start", "#1a1d21", c.Title)
	if c.Subtitle != "" {
		y += 22
		d.text(margin, y, 12, "400", "start", "#4a5058", c.Subtitle)
	}
	y += 14
	for _, row := range c.Rows {
		y = d.row(row, y, c.Series)
	}
	if c.Footer != "" {
		y += 22
		d.text(margin, y, 11, "400", "start", "#4a5058", c.Footer)
	}
	height := y + margin
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%s" viewBox="0 0 %g %s" `+
		`font-family="system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif">`+"\n"+
		`<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n", width, num(height), width, num(height))
	for _, b := range [][]byte{[]byte(head), d.b.Bytes(), []byte("</svg>\n")} {
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("write svg: %w", err)
		}
	}
	return nil
}

type drawing struct{ b bytes.Buffer }

// row draws one row from y on and returns where it ends.
func (d *drawing) row(r Row, y float64, series []string) float64 {
	d.line(margin, y+6, width-margin, y+6, "#d5d9de", 1)
	d.text(margin, y+28, 14, "600", "start", "#1a1d21", r.Title)
	n := float64(max(len(r.Panels), 1))
	panelWidth := (width - 2*margin - gap*(n-1)) / n
	bottom := y + rowHead
	for i, p := range r.Panels {
		x := margin + float64(i)*(panelWidth+gap)
		bottom = max(bottom, d.panel(p, x, y+rowHead-8, panelWidth, series))
	}
	return bottom + 4
}

// panel draws p with its title's baseline at y and returns where it ends.
func (d *drawing) panel(p Panel, x, y, w float64, series []string) float64 {
	d.text(x+labelRoom, y, 11, "400", "start", "#4a5058", p.Title)
	y += 8
	top := 0.0
	for _, b := range p.Bars {
		top = max(top, finite(b.Value)+finite(b.Error))
		for _, v := range b.Points {
			top = max(top, finite(v))
		}
	}
	if top == 0 {
		top = 1
	}
	x0, scale := x+labelRoom, (w-labelRoom-valueRoom)/top
	height := float64(len(p.Bars)) * barStep
	d.line(x0, y, x0, y+height, "#9aa1aa", 1)
	for _, b := range p.Bars {
		d.bar(b, x0, y, scale, name(series, b.Series))
		d.text(x+w, y+barStep/2+4, 12, "600", "end", "#1a1d21", Format(b.Value))
		y += barStep
	}
	return y + 6
}

func (d *drawing) bar(b Bar, x0, y, scale float64, label string) {
	mid := y + barStep/2
	d.text(x0-8, mid+4, 12, "400", "end", "#1a1d21", label)
	v := finite(b.Value)
	fmt.Fprintf(&d.b, `<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>`+"\n",
		num(x0), num(mid-barHeight/2), num(v*scale), num(barHeight), colours[max(b.Series, 0)%len(colours)])
	if e := finite(b.Error); e > 0 {
		lo, hi := x0+max(v-e, 0)*scale, x0+(v+e)*scale
		d.line(lo, mid, hi, mid, "#1a1d21", 1.5)
		d.line(lo, mid-5, lo, mid+5, "#1a1d21", 1.5)
		d.line(hi, mid-5, hi, mid+5, "#1a1d21", 1.5)
	}
	for _, p := range b.Points {
		fmt.Fprintf(&d.b, `<circle cx="%s" cy="%s" r="2.5" fill="#ffffff" stroke="#1a1d21"/>`+"\n", num(x0+finite(p)*scale), num(mid))
	}
}

func (d *drawing) line(x1, y1, x2, y2 float64, stroke string, w float64) {
	fmt.Fprintf(&d.b, `<line x1="%s" y1="%s" x2="%s" y2="%s" stroke="%s" stroke-width="%s"/>`+"\n",
		num(x1), num(y1), num(x2), num(y2), stroke, num(w))
}

func (d *drawing) text(x, y, size float64, weight, anchor, fill, s string) {
	fmt.Fprintf(&d.b, `<text x="%s" y="%s" font-size="%s" font-weight="%s" text-anchor="%s" fill="%s">`,
		num(x), num(y), num(size), weight, anchor, fill)
	_ = xml.EscapeText(&d.b, []byte(s)) // a bytes.Buffer does not fail
	d.b.WriteString("</text>\n")
}

// name returns the series' name, cut to the room there is.
func name(series []string, i int) string {
	if i < 0 || i >= len(series) {
		return ""
	}
	r := []rune(series[i])
	if most := int((labelRoom - 8) / charWidth); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return series[i]
}

func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return 0
	}
	return v
}

func num(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }

// Format prints a value with three significant digits, or all digits before the point, in groups of three.
func Format(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "-"
	}
	if math.Abs(v) < 999.5 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

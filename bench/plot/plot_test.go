package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

type element struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Text    string     `xml:",chardata"`
	Inner   []element  `xml:",any"`
}

func (e *element) num(t *testing.T, name string) float64 {
	t.Helper()
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			v, err := strconv.ParseFloat(a.Value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("%s has no %s", e.XMLName.Local, name)
	return 0
}

func render(t *testing.T, c Chart) element {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, c); err != nil {
		t.Fatal(err)
	}
	var e element
	if err := xml.Unmarshal(b.Bytes(), &e); err != nil {
		t.Fatalf("not XML: %v\n%s", err, b.String())
	}
	return e
}

func sample() Chart {
	return Chart{
		Title: "T <&>", Subtitle: "sub", Footer: "foot", Series: []string{"first", "a name far too long for its room"},
		Rows: []Row{{Title: "row", Panels: []Panel{
			{Title: "left", Bars: []Bar{{Series: 0, Value: 50}, {Series: 1, Value: 100, Error: 20, Points: []float64{90, 120}}}},
			{Title: "right", Bars: []Bar{{Value: math.NaN()}, {Series: 9, Value: -3, Error: math.Inf(1)}}},
		}}},
	}
}

func TestBarsAreToScaleAndInside(t *testing.T) {
	svg := render(t, sample())
	var bars []float64
	for _, e := range svg.Inner[1:] {
		switch e.XMLName.Local {
		case "rect":
			bars = append(bars, e.num(t, "width"))
			if right := e.num(t, "x") + e.num(t, "width"); right > width {
				t.Errorf("a bar ends at %g", right)
			}
		case "circle":
			if x := e.num(t, "cx"); x < 0 || x > width {
				t.Errorf("a dot at %g", x)
			}
		case "text":
			if y := e.num(t, "y"); y > svg.num(t, "height") {
				t.Errorf("%q at %g is below the picture", e.Text, y)
			}
		}
	}
	if len(bars) != 4 || math.Abs(bars[1]-2*bars[0]) > .02 || bars[2] != 0 || bars[3] != 0 {
		t.Errorf("bars %v", bars)
	}
}

func TestTextIsEscapedAndCut(t *testing.T) {
	svg := render(t, sample())
	var all strings.Builder
	for _, e := range svg.Inner {
		all.WriteString(e.Text + "\n")
	}
	for _, want := range []string{"T <&>", "sub", "foot", "row", "left", "first", "a name far …", "100"} {
		if !strings.Contains(all.String(), want+"\n") {
			t.Errorf("no %q in\n%s", want, all.String())
		}
	}
}

func TestEmptyChart(t *testing.T) {
	render(t, Chart{})
	render(t, Chart{Rows: []Row{{}, {Panels: []Panel{{}}}}})
}

func TestFormat(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1.2345: "1.23", 999.4: "999", 999.7: "1,000", 1234567: "1,234,567", -4321: "-4,321", .00012: "0.00012", math.Inf(1): "-",
	} {
		if got := Format(v); got != want {
			t.Errorf("%g: %q, want %q", v, got, want)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWriteError(t *testing.T) {
	if err := Write(fullDisk{}, sample()); !errors.Is(err, io.ErrShortWrite) {
		t.Error(err)
	}
}

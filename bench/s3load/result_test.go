package s3load

import (
	"bytes"
	"encoding/xml"
	"math"
	"os"
	"testing"
	"time"

	"github.com/weftstore/weft/bench/plot"
)

func TestParseStat(t *testing.T) {
	// A command name may hold spaces and parentheses.
	line := "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 7 8 20 0 5 0 1 2 3"
	if d, err := parseStat([]byte(line)); err != nil || d != 3*time.Second {
		t.Errorf("%v, %v", d, err)
	}
	for _, bad := range []string{"", "1 (x) S 1", "1 (x) S 1 1 1 1 1 1 1 1 1 1 x 1 1 1"} {
		if d, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: %v", bad, d)
		}
	}
	if _, err := cpuTime([]int{os.Getpid()}); err != nil {
		t.Error(err)
	}
	if peakRSS([]int{os.Getpid()}) < 1<<20 {
		t.Error("own peak memory is below a MiB")
	}
	if _, err := cpuTime([]int{1 << 30}); err == nil {
		t.Error("cpu time of a process that is not there")
	}
}

func TestRatiosAreFormedWithinRounds(t *testing.T) {
	c := CaseResult{Op: OpGet, Endpoints: []EndpointResult{
		{Name: "a", Rounds: []Round{{OpsPerSec: 100}, {OpsPerSec: 10}, {OpsPerSec: 400}}},
		{Name: "b", Rounds: []Round{{OpsPerSec: 50}, {OpsPerSec: 5}, {OpsPerSec: 100}}},
	}}
	c.summarise()
	if len(c.Ratios) != 1 {
		t.Fatalf("%+v", c.Ratios)
	}
	if r := c.Ratios[0]; r.Against != "b" || r.Metric != "throughput" || r.Median != 2 || r.Min != 2 || r.Max != 4 {
		t.Errorf("%+v", r)
	}
	if m := c.Endpoints[0].Median.OpsPerSec; m != 100 {
		t.Errorf("median %g", m)
	}
}

func TestMeanCI(t *testing.T) {
	mean, half := meanCI([]float64{1, 2, 3})
	if mean != 2 || math.Abs(half-4.303/math.Sqrt(3)) > 1e-9 { // standard deviation 1, 2 degrees of freedom
		t.Errorf("%g ± %g", mean, half)
	}
	if mean, half := meanCI([]float64{7}); mean != 7 || half != 0 {
		t.Errorf("%g ± %g for one value", mean, half)
	}
	if mean, half := meanCI(nil); mean != 0 || half != 0 {
		t.Errorf("%g ± %g for none", mean, half)
	}
}

func TestNewRound(t *testing.T) {
	s := stat{ops: 1000, bytes: 1 << 30, keys: 5000}
	r := newRound(&s, usage{elapsed: 2 * time.Second, server: 500 * time.Millisecond})
	if r.OpsPerSec != 500 || r.MiBPerSec != 512 || r.CPUPerOpUs != 500 || r.CPUPerGiB != .5 || r.KeysPerSec != 2500 || r.KeysPerCPU != 10000 {
		t.Errorf("%+v", r)
	}
}

func TestChartHasARowPerCase(t *testing.T) {
	d := Document{}
	for _, op := range Ops() {
		c := CaseResult{Name: string(op), Op: op, Size: 1 << 20, RangeSize: 4096, Endpoints: []EndpointResult{
			{Name: "a", Rounds: []Round{{OpsPerSec: 1, MiBPerSec: 2, KeysPerSec: 3, ServerCPU: 1, CPUPerOpUs: 5}}}, {Name: "b"},
		}}
		c.summarise()
		d.Cases = append(d.Cases, c)
	}
	ch := d.Chart()
	if len(ch.Rows) != len(Ops()) || len(ch.Series) != 2 || len(ch.Rows[0].Panels) != 2 || ch.Rows[0].Panels[0].Bars[0].Value != 2 {
		t.Errorf("%+v", ch)
	}
	var b bytes.Buffer
	if err := plot.Write(&b, ch); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(b.Bytes(), new(struct{})); err != nil {
		t.Error(err)
	}
}

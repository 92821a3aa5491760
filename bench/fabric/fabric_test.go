package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const writeBW = `# ib_write_bw -R
---------------------------------------------------------------------------------------
 local address: LID 0000 QPN 0x0012 PSN 0x5e2eb2
---------------------------------------------------------------------------------------
 #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]   MsgRate[Mpps]
 1048576    256              33.30              30.43  		   0.000030
---------------------------------------------------------------------------------------
`

const sendLat = `# ib_send_lat -R
 #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   99% percentile[usec]
 64      2000          35.33          354.28       42.31    	       48.41       	20.57  		154.62
`

func TestParse(t *testing.T) {
	column := func(n int) func([]byte) (float64, error) {
		return func(raw []byte) (float64, error) { return perftestColumn(raw, n) }
	}
	for _, c := range []struct {
		name  string
		parse func([]byte) (float64, error)
		raw   string
		want  float64 // 0: an error
	}{
		{"ib_write_bw", column(3), writeBW, 30.43},
		{"ib_send_lat", column(4), sendLat, 42.31},
		{"too few columns", column(9), writeBW, 0},
		{"no result", column(3), "# ib_write_bw\n Unable to init the socket connection\n", 0},
		{"cut off", column(3), "#\n #bytes #iterations", 0},
		{"iperf3", iperfRate, "# iperf3\n" + `{"end":{"sum_sent":{"bits_per_second":1},"sum_received":{"bits_per_second":838860800}}}`, 100},
		{"iperf3 fails", iperfRate, "# iperf3\n" + `{"end":{},"error":"unable to connect"}`, 0},
		{"bench", benchRate, "# weft\n" + `{"results":[{"mib_per_second":12.5,"mismatches":0}]}`, 12.5},
		{"bench with wrong bytes", benchRate, "# weft\n" + `{"results":[{"mib_per_second":12.5,"mismatches":1}]}`, 0},
		{"bench without results", benchRate, "# weft\n" + `{"results":[]}`, 0},
		{"ping", pingMedian, "# weft\n" + `[{"sizes":[{"p50_ns":98500}]}]`, 98.5},
		{"no ping", pingMedian, "# weft\n[]", 0},
	} {
		got, err := c.parse([]byte(c.raw))
		if math.Abs(got-c.want) > 1e-9 || (err != nil) != (c.want == 0) {
			t.Errorf("%s: %g, %v; want %g", c.name, got, err, c.want)
		}
	}
}

// fixed measures these values in turn and notes the order of runs.
func fixed(name string, order *[]string, values ...float64) side {
	return side{name: name, measure: func(context.Context) (float64, []byte, error) {
		*order = append(*order, name)
		v := values[0]
		values = values[1:]
		return v, []byte(name + " says so"), nil
	}}
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	var order []string
	good := &comparison{name: "good", unit: "MiB/s", bar: 0.85, least: true,
		ours: fixed("a", &order, 90, 10, 80, 100), theirs: fixed("b", &order, 100, 100, 100, 100)}
	slow := &comparison{name: "slow", unit: "us", bar: 2.5, ours: fixed("c", &order, 300, 260, 100, 255), theirs: fixed("d", &order, 100, 100, 100, 100)}
	for round := range 4 {
		for _, c := range []*comparison{good, slow} {
			if err := c.turn(t.Context(), &lab{out: dir}, round); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := strings.Join(order, ""); got != "badcabcdbadcabcd" {
		t.Errorf("order %s", got)
	}
	var out bytes.Buffer
	met, err := report([]*comparison{good, slow}, dir, &out)
	if err != nil || met {
		t.Errorf("met %v, %v", met, err)
	}
	if !good.met() || slow.met() || !strings.Contains(out.String(), ">= 0.85 met: a / b") || !strings.Contains(out.String(), "<= 2.50 missed: c / d") {
		t.Errorf("good %v, slow %v:\n%s", good.met(), slow.met(), &out)
	}
	for _, name := range []string{"summary.txt", "summary.json", "good-1-a.txt", "slow-4-d.txt"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || len(b) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	failing := &comparison{name: "failing", theirs: fixed("e", &order, 0), ours: side{measure: func(context.Context) (float64, []byte, error) {
		return 1, nil, errors.New("no")
	}}}
	if err := failing.turn(t.Context(), &lab{out: dir}, 0); err == nil {
		t.Error("nothing was measured and it passes")
	}
}

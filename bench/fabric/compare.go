package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// side is one of the two that are compared.
type side struct {
	name    string
	measure func(ctx context.Context) (value float64, raw []byte, err error)
	needs   string // what must run before: a key of lab.starters, or ""
}

// comparison has a bar for ours / theirs.
type comparison struct {
	name, unit   string
	ours, theirs side
	bar          float64
	least        bool // the ratio must be at least bar, else at most

	got []pair
}

// pair is a round.
type pair struct {
	Ours   float64 `json:"ours"`
	Theirs float64 `json:"theirs"`
}

func (p pair) ratio() float64 { return p.Ours / p.Theirs }

// turn runs both sides, in an order that alternates by round, and keeps what they printed.
func (c *comparison) turn(ctx context.Context, l *lab, round int) error {
	var p pair
	runs := []struct {
		side  *side
		value *float64
	}{{&c.theirs, &p.Theirs}, {&c.ours, &p.Ours}}
	if round%2 == 1 {
		slices.Reverse(runs)
	}
	for _, r := range runs {
		value, raw, err := r.side.measure(ctx)
		name := fmt.Sprintf("%s-%d-%s.txt", c.name, round+1, r.side.name)
		if werr := os.WriteFile(filepath.Join(l.out, name), raw, 0o640); werr != nil {
			return werr
		}
		if err == nil && value <= 0 {
			err = fmt.Errorf("measured %g", value)
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w\n%s", c.name, r.side.name, err, raw)
		}
		*r.value = value
	}
	c.got = append(c.got, p)
	fmt.Fprintf(os.Stderr, "%-12s round %d: %s %.1f, %s %.1f %s: %.2f\n", c.name, round+1, c.ours.name, p.Ours, c.theirs.name, p.Theirs, c.unit, p.ratio())
	return nil
}

// met says whether the median ratio keeps the bar.
func (c *comparison) met() bool {
	m := median(c.got, pair.ratio)
	return (c.least && m >= c.bar) || (!c.least && m <= c.bar)
}

// median of a figure of the rounds; of an even number the mean of the two in the middle.
func median[T any](s []T, of func(T) float64) float64 {
	v := make([]float64, len(s))
	for i := range s {
		v[i] = of(s[i])
	}
	slices.Sort(v)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// report writes the summary as text and JSON and says whether every bar was met.
func report(list []*comparison, dir string, out io.Writer) (bool, error) {
	type row struct {
		Name   string  `json:"name"`
		Unit   string  `json:"unit"`
		Ours   string  `json:"ours"`
		Theirs string  `json:"theirs"`
		Median float64 `json:"median_ratio"`
		Bar    float64 `json:"bar"`
		Met    bool    `json:"met"`
		Rounds []pair  `json:"rounds"`
	}
	f, err := os.Create(filepath.Join(dir, "summary.txt"))
	if err != nil {
		return false, err
	}
	defer f.Close()
	w := io.MultiWriter(f, out)
	all := true
	var rows []row
	fmt.Fprintf(w, "%-12s%10s%10s  %-6s%8s%8s%8s  %-10s\n", "", "ours", "theirs", "unit", "median", "least", "most", "bar")
	for _, c := range list {
		byRatio := func(a, b pair) int { return cmp.Compare(a.ratio(), b.ratio()) }
		least, most := slices.MinFunc(c.got, byRatio).ratio(), slices.MaxFunc(c.got, byRatio).ratio()
		r := row{c.name, c.unit, c.ours.name, c.theirs.name, median(c.got, pair.ratio), c.bar, c.met(), c.got}
		sign, verdict := "<=", "missed"
		if c.least {
			sign = ">="
		}
		if r.Met {
			verdict = "met"
		}
		fmt.Fprintf(w, "%-12s%10.1f%10.1f  %-6s%8.2f%8.2f%8.2f  %s %.2f %s: %s / %s\n", c.name,
			median(c.got, func(p pair) float64 { return p.Ours }), median(c.got, func(p pair) float64 { return p.Theirs }),
			c.unit, r.Median, least, most, sign, c.bar, verdict, c.ours.name, c.theirs.name)
		rows = append(rows, r)
		all = all && r.Met
	}
	b, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return false, err
	}
	return all, os.WriteFile(filepath.Join(dir, "summary.json"), append(b, '\n'), 0o640)
}

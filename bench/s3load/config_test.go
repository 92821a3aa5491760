package s3load

import (
	"strings"
	"testing"
)

func validConfig() Config {
	c := DefaultConfig()
	c.Ops = Ops()
	c.Sizes = []int64{1 << 20}
	c.Endpoints = []Endpoint{{Name: "a", URL: "http://localhost:9000", AccessKey: "k", SecretKey: "s"}}
	return c
}

func TestValidate(t *testing.T) {
	c := validConfig()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		want  string
		spoil func(*Config)
	}{
		{"no endpoint", func(c *Config) { c.Endpoints = nil }},
		{"endpoint name", func(c *Config) { c.Endpoints[0].Name = "a b" }},
		{"twice", func(c *Config) { c.Endpoints = append(c.Endpoints, c.Endpoints[0]) }},
		{"is not http", func(c *Config) { c.Endpoints[0].URL = "localhost:9000" }},
		{"is not http", func(c *Config) { c.Endpoints[0].URL = "http://h/path" }},
		{"secret key", func(c *Config) { c.Endpoints[0].SecretKey = "" }},
		{"pid -1", func(c *Config) { c.Endpoints[0].PIDs = []int{-1} }},
		{"no operation", func(c *Config) { c.Ops = nil }},
		{"unknown operation", func(c *Config) { c.Ops = []Op{"gets"} }},
		{"bucket name", func(c *Config) { c.Bucket = "Up" }},
		{"no region", func(c *Config) { c.Region = "" }},
		{"no object size", func(c *Config) { c.Sizes = nil }},
		{"object size -1", func(c *Config) { c.Sizes = []int64{-1} }},
		{"range size", func(c *Config) { c.RangeSize = 2 << 20 }},
		{"part size", func(c *Config) { c.PartSize = 0 }},
		{"more than 10000 parts", func(c *Config) { c.PartSize = 100 }},
		{"5 GiB in one PUT", func(c *Config) { c.Sizes = []int64{6 << 30} }},
		{"concurrency", func(c *Config) { c.Concurrency = 0 }},
		{"duration", func(c *Config) { c.Duration = 0 }},
		{"warm-up", func(c *Config) { c.Warmup = -1 }},
		{"rounds", func(c *Config) { c.Rounds = 0 }},
		{"objects", func(c *Config) { c.Objects = 0 }},
		{"keys", func(c *Config) { c.Keys = 0 }},
		{"elsewhere", func(c *Config) { c.Elsewhere = -1 }},
		{"page size", func(c *Config) { c.PageSize = 1001 }},
		{"mix", func(c *Config) { c.Mix = Mix{} }},
		{"verify", func(c *Config) { c.Verify = -1 }},
		{"timeout", func(c *Config) { c.Timeout = 0 }},
	} {
		c := validConfig()
		x.spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%v, want %q", err, x.want)
		}
	}
	c = validConfig()
	c.Region, c.Rounds = "", 0
	if err := c.Validate(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("%v: want both problems", err)
	}
}

func TestSizes(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "4096": 4096, "4KiB": 4096, "1MiB": 1 << 20, "3 GiB": 3 << 30, "2TiB": 2 << 40} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%q: %d, %v", s, got, err)
		}
		if got, err := ParseSize(FormatSize(want)); err != nil || got != want {
			t.Errorf("%d does not survive formatting: %d, %v", want, got, err)
		}
	}
	for _, s := range []string{"", "KiB", "-1", "1MB", "1.5GiB", "9999999999TiB", "99999999999999999999"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("%q: %d", s, got)
		}
	}
}

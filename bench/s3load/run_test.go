package s3load

// Fault model of the runs against the fake server: a read answers other bytes, fewer bytes than the object
// has (announced so, or cut off), the bytes of another object, the whole object for a range, an error
// status; a listing loses, repeats or swaps keys. Each must be counted, and wrong content must fail the run.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func testConfig(t *testing.T, f *fakeS3) Config {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	cfg := DefaultConfig()
	cfg.Endpoints = []Endpoint{{Name: "fake", URL: srv.URL, AccessKey: "AK", SecretKey: "SK", PIDs: []int{os.Getpid()}}}
	cfg.Sizes = []int64{10000}
	cfg.RangeSize = 100
	cfg.PartSize = 4096
	cfg.Duration, cfg.Warmup = 20*time.Millisecond, 0
	cfg.Rounds, cfg.Concurrency, cfg.Objects, cfg.Keys, cfg.PageSize = 1, 2, 5, 23, 10
	cfg.Verify, cfg.Sync = 1, false
	return cfg
}

func TestRunEveryOperation(t *testing.T) {
	f := newFakeS3()
	cfg := testConfig(t, f)
	cfg.Ops = Ops()
	cfg.Rounds = 2
	cfg.Elsewhere = 7
	other := cfg.Endpoints[0]
	other.Name = "again"
	second := httptest.NewServer(newFakeS3())
	defer second.Close()
	other.URL = second.URL
	cfg.Endpoints = append(cfg.Endpoints, other)
	doc, err := Run(t.Context(), cfg, Events{})
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Cases) != len(Ops()) {
		t.Fatalf("%d cases, want %d", len(doc.Cases), len(Ops()))
	}
	for _, c := range doc.Cases {
		for _, e := range c.Endpoints {
			m := e.Median
			if len(e.Rounds) != 2 || m.Ops == 0 || m.Errors != 0 || m.P50Us <= 0 || m.P99Us < m.P50Us || m.TTFBP50Us <= 0 || m.PeakRSS == 0 {
				t.Errorf("%s, %s: %+v", c.Name, e.Name, m)
			}
			if m.Checked == 0 && c.Op != OpHead && c.Op != OpDelete {
				t.Errorf("%s, %s: nothing was compared", c.Name, e.Name)
			}
			if e.Server != "fake" {
				t.Errorf("%s: server %q", c.Name, e.Server)
			}
		}
		if len(c.Ratios) == 0 {
			t.Errorf("%s: no ratios", c.Name)
		}
	}
	if f.bucket || len(f.objects) != 0 || len(f.uploads) != 0 {
		t.Errorf("left behind: bucket %v, %d objects, %d uploads", f.bucket, len(f.objects), len(f.uploads))
	}
	if _, err := json.Marshal(doc); err != nil {
		t.Error(err)
	}
	var text bytes.Buffer
	if err := doc.WriteText(&text); err != nil || !strings.Contains(text.String(), "fake / again, throughput") {
		t.Errorf("text: %v\n%s", err, text.String())
	}
}

func TestKeepAndForeignObjects(t *testing.T) {
	f := newFakeS3()
	f.bucket = true
	f.objects["precious"] = []byte("x")
	cfg := testConfig(t, f)
	cfg.Ops, cfg.Keep = []Op{OpGet, OpPut}, true
	if _, err := Run(t.Context(), cfg, Events{}); err != nil {
		t.Fatal(err)
	}
	if len(f.objects) != 1+cfg.Objects {
		t.Errorf("%d objects kept, want the prepared %d and the foreign one", len(f.objects), cfg.Objects)
	}
	cfg.Keep = false
	if _, err := Run(t.Context(), cfg, Events{}); err != nil {
		t.Fatal(err)
	}
	if !f.bucket || len(f.objects) != 1 {
		t.Errorf("bucket %v, %d objects: want the foreign bucket and object untouched", f.bucket, len(f.objects))
	}
}

func TestLargeObjectsArePreparedInParts(t *testing.T) {
	f := newFakeS3()
	cfg := testConfig(t, f)
	cfg.Ops, cfg.Sizes, cfg.PartSize, cfg.Objects = []Op{OpRange}, []int64{MaxSinglePut + 1}, 32<<20, 1
	doc, err := Run(t.Context(), cfg, Events{})
	if err != nil || doc.Cases[0].Endpoints[0].Median.Checked == 0 {
		t.Fatalf("%v", err)
	}
}

func TestFaultsAreDetected(t *testing.T) {
	flip := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i] ^= 1
		return b
	}
	send := func(status int, change func([]byte) []byte) func(http.ResponseWriter, *http.Request, []byte) bool {
		return func(w http.ResponseWriter, _ *http.Request, b []byte) bool {
			w.WriteHeader(status)
			_, _ = w.Write(change(b))
			return true
		}
	}
	cut := func(w http.ResponseWriter, _ *http.Request, b []byte) bool {
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b[:len(b)-1])
		panic(http.ErrAbortHandler)
	}
	keys := func(change func(keys []string) []string) func(http.ResponseWriter, *http.Request, []byte) bool {
		return func(w http.ResponseWriter, _ *http.Request, b []byte) bool {
			parts := strings.Split(string(b), "<Contents>")
			_, _ = w.Write([]byte(strings.Join(change(parts), "<Contents>")))
			return true
		}
	}
	for _, c := range []struct {
		name  string
		op    Op
		fault func(http.ResponseWriter, *http.Request, []byte) bool
		wrong bool
	}{
		{"flipped bit at the start", OpGet, send(200, func(b []byte) []byte { return flip(b, 0) }), true},
		{"flipped bit at the end", OpGet, send(200, func(b []byte) []byte { return flip(b, len(b)-1) }), true},
		{"flipped bit in a range", OpRange, send(206, func(b []byte) []byte { return flip(b, 50) }), true},
		{"short", OpGet, send(200, func(b []byte) []byte { return b[:len(b)-1] }), true},
		{"empty", OpGet, send(200, func([]byte) []byte { return nil }), true},
		{"long", OpGet, send(200, func(b []byte) []byte { return append(b, 0) }), true},
		{"blocks swapped", OpGet, send(200, func(b []byte) []byte {
			return bytes.Join([][]byte{b[4096:8192], b[:4096], b[8192:]}, nil)
		}), true},
		{"range ignored", OpRange, send(200, func(b []byte) []byte { return b }), true},
		{"cut off", OpGet, cut, false},
		{"error status", OpGet, send(503, func([]byte) []byte { return []byte("<Code>SlowDown</Code>") }), false},
		{"read back of a put", OpPut, send(200, func(b []byte) []byte { return flip(b, 9) }), true},
		{"read back of an upload", OpMultipart, send(200, func(b []byte) []byte { return flip(b, 5000) }), true},
		{"listing loses a key", OpList, keys(func(p []string) []string { return append(p[:1:1], p[2:]...) }), true},
		{"listing swaps keys", OpList, keys(func(p []string) []string { p[1], p[2] = p[2], p[1]; return p }), true},
		{"listing repeats a key", OpList, keys(func(p []string) []string { p[2] = p[1]; return p }), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeS3()
			f.fault = c.fault
			cfg := testConfig(t, f)
			cfg.Ops = []Op{c.op}
			doc, err := Run(t.Context(), cfg, Events{})
			m := doc.Cases[0].Endpoints[0].Median
			if err == nil && c.wrong || errors.Is(err, ErrWrongBytes) != c.wrong {
				t.Errorf("error %v, want wrong bytes: %v", err, c.wrong)
			}
			if m.Errors == 0 || (m.Wrong > 0) != c.wrong || len(m.FirstErrors) == 0 {
				t.Errorf("%d errors, %d wrong, %q", m.Errors, m.Wrong, m.FirstErrors)
			}
		})
	}
}

func TestUnreachableEndpointAndCancel(t *testing.T) {
	f := newFakeS3()
	cfg := testConfig(t, f)
	cfg.Ops = []Op{OpGet}
	gone := cfg
	srv := httptest.NewServer(f)
	gone.Endpoints = []Endpoint{{Name: "gone", URL: srv.URL, AccessKey: "AK", SecretKey: "SK"}}
	srv.Close()
	if _, err := Run(t.Context(), gone, Events{}); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("error %v, want one that names the endpoint", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cfg.Duration = time.Hour
	f.fault = func(http.ResponseWriter, *http.Request, []byte) bool { cancel(); return false }
	if _, err := Run(ctx, cfg, Events{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want cancelled", err)
	}
	if f.bucket {
		t.Error("a cancelled run left its bucket")
	}
	cfg.Endpoints[0].AccessKey = "other"
	if _, err := Run(t.Context(), cfg, Events{}); statusOf(err) != 403 {
		t.Errorf("error %v, want status 403", err)
	}
}

package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/mem"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/store"
)

// fakeStore answers with status or err and counts how often.
type fakeStore struct {
	status store.Status
	err    error
	asked  int
}

func (f *fakeStore) Status(context.Context) (*store.Status, error) {
	f.asked++
	return &f.status, f.err
}

func (f *fakeStore) Health() []store.TargetHealth {
	return []store.TargetHealth{{ID: 1, Name: "/data/\xff", Usable: true, ReadTime: time.Millisecond}}
}

// fakeWire has queue pairs.
type fakeWire struct{}

func (fakeWire) Name() string { return "verbs" }

func (fakeWire) Stats() rdma.Stats {
	return rdma.Stats{Connections: 6, QueuePairs: map[string]int64{"RTS": 5, "ERR": 1}}
}

// rig is a set with every part.
type rig struct {
	*Set
	store   *fakeStore
	targets []node.TargetStatus
	failing error
	access  func(s3api.Access)
	events  store.Events
	clock   time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{Set: New("v0.0.0-test"), store: &fakeStore{}, clock: time.Unix(1000, 0)}
	r.now = func() time.Time { return r.clock }
	r.targets = []node.TargetStatus{
		{ID: node.TargetUUID{1}, Dir: "/data/1", State: node.Online, Reads: 7, ReadBytes: 4096},
		{ID: node.TargetUUID{2}, Dir: "/data/2", State: node.Failing, IOErrors: 3},
	}
	fabric := mem.New()
	pool, err := rdma.NewPool(fabric, 1<<20, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		fabric.Close()
	})
	r.Fabric(func() []rdma.Counted { return []rdma.Counted{fabric, fabric, fakeWire{}} })
	r.Pool("bulk", pool)
	r.Targets(func(context.Context) ([]node.TargetStatus, error) {
		return append(r.targets, r.targets...), r.failing
	})
	r.events = r.StoreEvents(store.Events{})
	r.Store(r.store)
	r.access = r.Access(nil)
	r.Audit(func() int64 { return 0 })
	r.BucketLogs(func() int64 { return 0 })
	r.Metadata(func() []MetadataCluster { return []MetadataCluster{{Name: "home"}, {Name: "scratch"}} })
	return r
}

// scrape reads /metrics as Prometheus would.
func (r *rig) scrape(t *testing.T) (map[string]*dto.MetricFamily, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	r.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	text := rec.Body.String()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families, text
}

// value is that of the only series that has all these labels.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	found, v := 0, 0.0
	for _, m := range families[name].GetMetric() {
		has := map[string]string{}
		for _, l := range m.GetLabel() {
			has[l.GetName()] = l.GetValue()
		}
		match := true
		for i := 0; i < len(labels); i += 2 {
			match = match && has[labels[i]] == labels[i+1]
		}
		if match {
			found++
			v = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	if found != 1 {
		t.Errorf("%s%q: %d series", name, labels, found)
	}
	return v
}

func want(t *testing.T, families map[string]*dto.MetricFamily, v float64, name string, labels ...string) {
	t.Helper()
	if got := value(t, families, name, labels...); got != v {
		t.Errorf("%s%q is %v, want %v", name, labels, got, v)
	}
}

func TestScrape(t *testing.T) {
	r := newRig(t)
	r.store.status = store.Status{DamagedSets: 4, LastSnapshot: time.Unix(1500, 0)}
	r.access(s3api.Access{Operation: "GetObject", Status: 206, Sent: 100, Duration: time.Millisecond})
	r.access(s3api.Access{Operation: "GetObject", Status: 404})
	r.access(s3api.Access{Operation: "PutObject", Received: 55})
	r.events.DegradedWrite(2)
	r.events.DegradedRead(true)
	r.events.Damaged(metadata.SetID{}, 0b101)
	r.events.TargetError("x", "read", nil)
	r.events.TargetError("x", "never heard of", nil)
	f, _ := r.scrape(t)
	want(t, f, 1<<20, "weft_fabric_registered_bytes", "transport", "mem")
	want(t, f, 6, "weft_fabric_connections", "transport", "verbs")
	want(t, f, 5, "weft_fabric_queue_pairs", "transport", "verbs", "state", "RTS")
	want(t, f, 1, "weft_fabric_queue_pairs", "transport", "verbs", "state", "ERR")
	want(t, f, 16, "weft_pool_blocks", "pool", "bulk")
	want(t, f, 4096, "weft_target_read_bytes_total", "dir", "/data/1")
	want(t, f, 0, "weft_target_online", "dir", "/data/2")
	want(t, f, 1, "weft_target_state", "dir", "/data/2", "state", "failing")
	want(t, f, 1, "weft_collector_up", "collector", "targets")
	want(t, f, 4, "weft_store_damaged_sets")
	want(t, f, 1500, "weft_store_last_snapshot_timestamp_seconds")
	want(t, f, 0.001, "weft_store_target_read_seconds", "id", "1")
	want(t, f, 1, "weft_s3_requests_total", "operation", "GetObject", "status", "2xx")
	want(t, f, 1, "weft_s3_requests_total", "operation", "GetObject", "status", "4xx")
	want(t, f, 1, "weft_s3_requests_total", "operation", "PutObject", "status", "none")
	want(t, f, 100, "weft_s3_sent_bytes_total", "operation", "GetObject")
	want(t, f, 2, "weft_s3_request_duration_seconds", "operation", "GetObject")
	want(t, f, 2, "weft_store_degraded_write_shards_total")
	want(t, f, 1, "weft_store_degraded_reads_total", "hedged", "true")
	want(t, f, 2, "weft_store_damaged_shards_total")
	want(t, f, 1, "weft_store_target_errors_total", "op", "other")
}

// TestPartFails: a part that does not answer is missing, and the rest is there.
func TestPartFails(t *testing.T) {
	r := newRig(t)
	r.failing, r.store.err = errors.New("away"), errors.New("away")
	f, _ := r.scrape(t)
	want(t, f, 0, "weft_collector_up", "collector", "targets")
	want(t, f, 0, "weft_collector_up", "collector", "store")
	want(t, f, 16, "weft_pool_blocks")
	if f["weft_target_online"] != nil || f["weft_store_damaged_sets"] != nil {
		t.Error("values of a part that did not answer")
	}
}

// TestStoreAskedSeldom: scrapes do not walk the queues each time.
func TestStoreAskedSeldom(t *testing.T) {
	r := newRig(t)
	for range 5 {
		r.scrape(t)
	}
	if r.store.asked != 1 {
		t.Errorf("asked %d times", r.store.asked)
	}
	r.clock = r.clock.Add(StatusEvery)
	if r.scrape(t); r.store.asked != 2 {
		t.Errorf("asked %d times after StatusEvery", r.store.asked)
	}
}

// TestBounded: whatever clients send, the series stay the same and hold none of it.
func TestBounded(t *testing.T) {
	r := newRig(t)
	series := func() int {
		n := 0
		f, text := r.scrape(t)
		for name, family := range f {
			if strings.HasPrefix(name, "weft_") {
				n += len(family.GetMetric())
			}
		}
		if strings.Contains(text, "private") {
			t.Error("what a client sent is in the scrape")
		}
		return n
	}
	before := series()
	for i := range 1000 {
		name := "private" + strings.Repeat("x", i)
		r.access(s3api.Access{
			RequestID: name, Operation: name, Method: name, Remote: name, AccessKey: name, Bucket: name, Key: name,
			Status: i, Code: name, Sent: -1, Received: -1, Err: errors.New(name),
		})
		r.events.TargetError(name, name, errors.New(name))
	}
	for _, route := range s3api.Routes() {
		r.access(s3api.Access{Operation: route.Operation, Status: 200})
	}
	if after := series(); after != before {
		t.Errorf("%d series became %d", before, after)
	}
	if before > 1000 {
		t.Errorf("%d series for two targets", before)
	}
}

// TestLint: names and help follow Prometheus' conventions.
func TestLint(t *testing.T) {
	_, text := newRig(t).scrape(t)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "weft_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	bad, _ := promlint.New(strings.NewReader("# TYPE weft_bad counter\nweft_bad 1\n")).Lint()
	if len(bad) == 0 {
		t.Error("the linter finds nothing wrong with a counter without _total")
	}
}

// TestEveryStat: each field of what the transports and pools count is shown by
// exactly one metric. It sets one field after the other and looks what moves.
func TestEveryStat(t *testing.T) {
	everyField(t, fabricFields)
	everyField(t, poolFields)
}

func everyField[T any](t *testing.T, fields []field[T]) {
	t.Helper()
	var v T
	s := reflect.ValueOf(&v).Elem()
	for i := range s.NumField() {
		name := s.Type().Name() + "." + s.Type().Field(i).Name
		switch f := s.Field(i); f.Kind() {
		case reflect.Int, reflect.Int64:
			f.SetInt(12345)
		case reflect.Uint64:
			f.SetUint(12345)
		default:
			continue // composed ones have tests of their own
		}
		shown := 0
		for _, f := range fields {
			if f.value(&v) == 12345 {
				shown++
			}
		}
		if shown != 1 {
			t.Errorf("%s is in %d metrics, want 1", name, shown)
		}
		s.Field(i).SetZero()
	}
}

func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New("v").ServeOn(ctx, l, slog.New(slog.DiscardHandler)) }()
	for path, status := range map[string]int{"/metrics": 200, "/": 404, "/debug/pprof/": 404} {
		res, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, status)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("after the end: %v", err)
	}
	if err := New("v").Serve(t.Context(), "127.0.0.1:notaport", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("an address that is none was served")
	}
}

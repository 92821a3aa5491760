package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/boltkv"
	"github.com/weftstore/weft/metadata/memkv"
)

func TestRules(t *testing.T) {
	for name, want := range map[string]bool{"s3:ObjectCreated:*": true, "s3:ObjectRemoved:Delete": true, "s3:*": false, "ObjectCreated:*": false,
		"s3:ObjectCreated:Rename": false, "s3:LifecycleExpiration:*": true, "": false} {
		if KnownEvent(name) != want {
			t.Errorf("%q known: %v", name, !want)
		}
	}
	r := Rule{Events: []string{"s3:ObjectCreated:*"}, Prefix: "ab", Suffix: "bc"}
	for key, want := range map[string]bool{"abbc": true, "abc": true, "ab": false, "bc": false, "abxbc": true, "xabbc": false} {
		if r.wants("ObjectCreated:Put", key) != want {
			t.Errorf("%q wanted: %v", key, !want)
		}
	}
	if r.wants("ObjectRemoved:Delete", "abbc") {
		t.Error("an event of another family is wanted")
	}
}

// bed is a bucket that tells of everything to one destination.
type bed struct {
	t  *testing.T
	db *metadata.DB
	n  *Notifier
}

func newBed(t *testing.T, kv metadata.KV, s Sender) *bed {
	db, err := metadata.New(kv, metadata.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, db: db, n: New(db, map[string]Sender{"d": s}, slog.New(slog.DiscardHandler))}
	db.SetOutbox(b.n.Outbox)
	cfg := Config{Rules: []Rule{{ID: "all", Kind: "Queue", ARN: ARN("d"), Events: []string{"s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"}, Prefix: "k"}}}
	if _, err := db.MakeBucket(t.Context(), metadata.Bucket{Name: "b", Configs: map[string]string{ConfigName: cfg.Encode()}}); err != nil && !errors.Is(err, metadata.ErrBucketExists) {
		t.Fatal(err)
	}
	return b
}

func (b *bed) put(key string, size int64) error {
	ctx := metadata.WithOrigin(context.Background(), &Origin{Operation: "PutObject", RequestID: "R", SourceIP: "10.0.0.1", Principal: "P", Region: "us-east-1"})
	_, err := b.db.Put(ctx, "b", &metadata.Version{Key: key, ID: b.db.NewVersionID(), Size: size}, metadata.Condition{})
	return err
}

func (b *bed) mustPut(key string, size int64) {
	b.t.Helper()
	if err := b.put(key, size); err != nil {
		b.t.Fatal(err)
	}
}

// run delivers until n events arrived, as got tells of.
func (b *bed) run(got <-chan string, n int) []string {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.n.Run(ctx) }()
	defer func() { cancel(); <-done }()
	list := make([]string, 0, n)
	deadline := time.After(time.Minute)
	for len(list) < n {
		select {
		case e := <-got:
			list = append(list, e)
		case <-deadline:
			b.t.Fatalf("%d of %d events came: %v", len(list), n, list)
		}
	}
	for left := 1; left > 0; runtime.Gosched() { // the last answer is on its way
		var err error
		if left, err = b.db.CountNotes(b.t.Context(), "d", 10); err != nil {
			b.t.Fatal(err)
		}
	}
	return list
}

// brief is an event as the tests compare it.
func brief(data []byte) string {
	var m message
	if err := json.Unmarshal(data, &m); err != nil || len(m.Records) != 1 {
		return fmt.Sprintf("%v: %s", err, data)
	}
	r := m.Records[0]
	size := int64(-1)
	if r.S3.Object.Size != nil {
		size = *r.S3.Object.Size
	}
	return fmt.Sprintf("%s %s/%s %d", r.EventName, r.S3.Bucket.Name, r.S3.Object.Key, size)
}

type hook struct {
	*httptest.Server
	got  chan string
	mu   sync.Mutex
	fail int // answers 503 so many times
}

func newHook(t *testing.T) *hook {
	h := &hook{got: make(chan string, 10_000)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.fail > 0 {
			h.fail--
			w.WriteHeader(503)
			return
		}
		h.got <- brief(data)
	}))
	t.Cleanup(h.Close)
	return h
}

func open(t *testing.T, address string) Sender {
	t.Helper()
	s, err := Open(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func want(t *testing.T, got []string, list ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(list, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(list, "\n"))
	}
}

// TestWebhook: every kind of change, in order, though the destination fails in between,
// and nothing of changes that were refused or that no rule is about.
func TestWebhook(t *testing.T) {
	h := newHook(t)
	b := newBed(t, memkv.New(), open(t, h.URL))
	ctx := t.Context()
	b.mustPut("k 1", 5)
	b.mustPut("other", 5)
	v, _, err := b.db.Get(ctx, "b", "k 1", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.SetAttr(ctx, "b", "k 1", "", v.ID, "acl", "x"); err != nil { // no event is about it
		t.Fatal(err)
	}
	if _, err := b.db.Put(ctx, "b", &metadata.Version{Key: "k 1", ID: b.db.NewVersionID()}, metadata.Condition{IfNoneMatch: []string{"*"}}); !errors.Is(err, metadata.ErrPrecondition) {
		t.Fatal(err)
	}
	if _, err := b.db.SetTags(ctx, "b", "k 1", "", metadata.VersionID{}, map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	h.fail = 2
	if _, err := b.db.Delete(ctx, "b", "k 1", "", metadata.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.Delete(ctx, "b", "k is not there", "", metadata.Condition{}); err != nil {
		t.Fatal(err)
	}
	if err := b.db.SetVersioning(ctx, "b", metadata.VersioningEnabled); err != nil {
		t.Fatal(err)
	}
	b.mustPut("k2", 7)
	if _, err := b.db.DeleteMany(ctx, "b", []metadata.DeleteItem{{Key: "k2"}}); err != nil {
		t.Fatal(err)
	}
	want(t, b.run(h.got, 5), "ObjectCreated:Put b/k+1 5", "ObjectTagging:Put b/k+1 -1", "ObjectRemoved:Delete b/k+1 -1", "ObjectCreated:Put b/k2 7",
		"ObjectRemoved:DeleteMarkerCreated b/k2 -1")
	if n, err := b.db.CountNotes(ctx, "d", 10); n != 0 || err != nil {
		t.Errorf("%d events are left, %v", n, err)
	}
}

// TestWebhookMoved: an event is told only when its document arrived, which it does not with
// the GET that follows some redirects.
func TestWebhookMoved(t *testing.T) {
	for status, told := range map[int]bool{301: false, 302: false, 303: false, 307: true, 308: true} {
		documents := 0
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/there", status)
			} else if r.Method == http.MethodPost {
				documents++
			}
		}))
		n, err := open(t, h.URL).Send(t.Context(), []Event{{Data: []byte("{}")}})
		if h.Close(); (n == 1) != told || (err == nil) != told || (documents == 1) != told {
			t.Errorf("%d: %d events told, %d arrived, %v", status, n, documents, err)
		}
	}
}

// TestAwayIsToldOnce: the log has a line when a destination goes and one when it is back.
func TestAwayIsToldOnce(t *testing.T) {
	h := newHook(t)
	h.fail = 3
	b := newBed(t, memkv.New(), open(t, h.URL))
	var log bytes.Buffer
	b.n.log = slog.New(slog.NewTextHandler(&log, nil))
	b.mustPut("k1", 1)
	b.run(h.got, 1)
	if s := log.String(); strings.Count(s, "\n") != 2 || strings.Count(s, "are not delivered") != 1 || strings.Count(s, "delivered again") != 1 {
		t.Errorf("logged\n%s", s)
	}
}

// TestQueueIsBounded: fault model: the destination is away for good. Changes that it wants
// to hear of are refused when its queue is full, others are not; what was accepted is told.
func TestQueueIsBounded(t *testing.T) {
	h := newHook(t)
	b := newBed(t, memkv.New(), open(t, h.URL))
	b.mustPut("k1", 1)
	b.n.dests["d"].waiting.Store(MaxQueue)
	if err := b.put("k2", 1); !errors.Is(err, metadata.ErrOutboxFull) {
		t.Errorf("a full queue: %v", err)
	}
	if _, _, err := b.db.Get(t.Context(), "b", "k2", ""); !errors.Is(err, metadata.ErrNoSuchKey) {
		t.Errorf("the change was made all the same: %v", err)
	}
	b.mustPut("other", 1)
	b.n.dests["d"].waiting.Store(0)
	want(t, b.run(h.got, 1), "ObjectCreated:Put b/k1 1")
}

func TestNATS(t *testing.T) {
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	defer srv.Shutdown()
	if !srv.ReadyForConnections(30 * time.Second) {
		t.Fatal("nats-server does not start")
	}
	conn, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"stream"}}); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"events", "stream?jetstream=true"} {
		got := make(chan string, 100)
		sub, err := conn.Subscribe(strings.TrimSuffix(subject, "?jetstream=true"), func(m *nats.Msg) { got <- brief(m.Data) })
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		b := newBed(t, memkv.New(), open(t, srv.ClientURL()+"/"+subject))
		b.mustPut("k1", 1)
		b.mustPut("k2", 2)
		b.mustPut("k1", 3)
		want(t, b.run(got, 3), "ObjectCreated:Put b/k1 1", "ObjectCreated:Put b/k2 2", "ObjectCreated:Put b/k1 3")
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
	st, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if n := st.CachedInfo().State.Msgs; n != 3 {
		t.Errorf("the stream keeps %d events", n)
	}
}

func TestKafka(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(4, "events"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := newBed(t, memkv.New(), open(t, "kafka://"+strings.Join(c.ListenAddrs(), ",")+"/events"))
	const rounds = 20
	for i := range rounds {
		for k := range 5 {
			b.mustPut(fmt.Sprint("k", k), int64(i))
		}
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("events"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	got := make(chan string, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got <- string(r.Key) + " " + brief(r.Value) })
		}
	}()
	next := map[string]int{}
	for _, e := range b.run(got, 5*rounds) {
		key, rest, _ := strings.Cut(e, " ")
		if want := fmt.Sprintf("ObjectCreated:Put %s %d", key, next[key]); rest != want {
			t.Fatalf("got %q, want %q: the order of a key is lost", rest, want)
		}
		next[key]++
	}
}

const crashEnv = "WEFT_NOTIFY_CRASH"

// TestCrash: fault model: the process is killed at any moment while it puts and delivers.
// Every put that it told of is delivered at last, at least once, and each key's in order.
func TestCrash(t *testing.T) {
	if dir := os.Getenv(crashEnv); dir != "" {
		crashing(t, dir)
		return
	}
	h := newHook(t)
	dir := t.TempDir()
	seen := map[string]int{} // highest number of a key that arrived
	acked := map[string]int{}
	take := func(e string) {
		var key string
		var n int
		if _, err := fmt.Sscanf(e, "ObjectCreated:Put b/%s %d", &key, &n); err != nil {
			t.Fatalf("%q: %v", e, err)
		}
		if n > seen[key]+1 {
			t.Fatalf("%s: %d came after %d: one is lost or out of order", key, n, seen[key])
		}
		seen[key] = max(seen[key], n)
	}
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
		cmd.Env = append(os.Environ(), crashEnv+"="+dir, "WEFT_NOTIFY_HOOK="+h.URL, fmt.Sprint("WEFT_NOTIFY_ROUND=", round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 50 + 37*round {
			var key string
			var n int
			if _, err := fmt.Fscanf(out, "put %s %d\n", &key, &n); err != nil {
				t.Fatal(err)
			}
			acked[key] = n
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(out)
		_ = cmd.Wait() // killed
		for line := range strings.Lines(string(rest)) {
			var key string
			var n int
			if _, err := fmt.Sscanf(line, "put %s %d\n", &key, &n); err == nil && strings.HasSuffix(line, "\n") {
				acked[key] = n
			}
		}
		for len(h.got) > 0 {
			take(<-h.got)
		}
	}
	kv, err := boltkv.Open(dir + "/db")
	if err != nil {
		t.Fatal(err)
	}
	defer kv.Close()
	b := newBed(t, kv, open(t, h.URL))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.n.Run(ctx) }()
	deadline := time.After(time.Minute)
	for missing := true; missing; {
		missing = false
		for key, n := range acked {
			missing = missing || seen[key] < n
		}
		if missing {
			select {
			case e := <-h.got:
				take(e)
			case <-deadline:
				t.Fatalf("acknowledged %v, told %v", acked, seen)
			}
		}
	}
	cancel()
	<-done
}

// crashing puts and delivers until it is killed. The size of an object is the number of its put.
func crashing(t *testing.T, dir string) {
	kv, err := boltkv.Open(dir + "/db")
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t, kv, open(t, os.Getenv("WEFT_NOTIFY_HOOK")))
	go b.n.Run(context.Background())
	for i := 0; ; i++ {
		key := fmt.Sprint("k", i%3)
		n := int64(1)
		if v, _, err := b.db.Get(t.Context(), "b", key, ""); err == nil {
			n = v.Size + 1
		}
		b.mustPut(key, n)
		fmt.Printf("put %s %d\n", key, n)
	}
}

func TestOpen(t *testing.T) {
	for _, bad := range []string{"", "host/path", "ftp://host/x", "nats://host:4222", "kafka://host:9092/", "http://"} {
		if s, err := Open(bad); err == nil {
			s.Close()
			t.Errorf("%q opens", bad)
		}
	}
	s := open(t, "http://user:secret@127.0.0.1:1/hook")
	if _, err := s.Send(t.Context(), []Event{{Data: []byte("x")}}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a host that does not listen: %v", err)
	}
}

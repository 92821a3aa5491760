package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftstore/weft/s3api"
)

var quiet = slog.New(slog.DiscardHandler)

func keysOf(t *testing.T, data []byte) (keys []string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		var l line
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return keys
		} else if err != nil {
			t.Fatal(err, string(data))
		}
		keys = append(keys, l.Key)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := ToFile(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				l.Access(s3api.Access{Key: "k\n\"<", Status: 200})
			}
		})
	}
	wg.Wait()
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || len(keysOf(t, data)) != 4000 || bytes.Count(data, []byte("\n")) != 4000 || l.Lost() != 0 {
		t.Errorf("%d lines, %d lost, %v", bytes.Count(data, []byte("\n")), l.Lost(), err)
	}
	l.Access(s3api.Access{})
	if l.Lost() != 1 {
		t.Error("a line after the end was not counted")
	}
}

// TestMoved: a file that was moved away is made anew.
func TestMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := &file{path: path}
	write := func(s string) {
		t.Helper()
		if _, err := f.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	l, err := ToFile(path, quiet) // as at the start
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := f.reopen(); err != nil {
		t.Fatal(err)
	}
	write("1")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write("2")
	write("3")
	old, _ := os.ReadFile(path + ".1")
	data, _ := os.ReadFile(path)
	if string(old) != "12" || string(data) != "3" {
		t.Errorf("%q, %q", old, data)
	}
	f.Close()
}

// TestWebhook: lines arrive in order and once each though the receiver fails at times, and
// a restart sends what was left.
func TestWebhook(t *testing.T) {
	var mu sync.Mutex
	var got []byte
	up, calls := false, 0
	arrived := make(chan struct{}, 1000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if calls++; !up || r.Header.Get("Authorization") != "Bearer token" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		got = append(got, body...)
		arrived <- struct{}{}
	}))
	defer srv.Close()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hook := Webhook{URL: srv.URL, TokenFile: token, Spool: filepath.Join(dir, "spool")}
	l, err := ToWebhook(hook, quiet)
	if err != nil {
		t.Fatal(err)
	}
	l.Access(s3api.Access{Key: "first", Status: 200})
	l.Close() // the receiver is not there
	mu.Lock()
	up = true
	if len(got) != 0 {
		t.Errorf("%s", got)
	}
	mu.Unlock()
	if l, err = ToWebhook(hook, quiet); err != nil {
		t.Fatal(err)
	}
	<-arrived
	l.Access(s3api.Access{Key: "second", Status: 200})
	<-arrived
	l.Close()
	mu.Lock()
	defer mu.Unlock()
	if keys := strings.Join(keysOf(t, got), " "); keys != "first second" {
		t.Errorf("%q", keys)
	}
	if left, _ := os.ReadDir(hook.Spool); len(left) != 0 {
		t.Errorf("%d segments are left", len(left))
	}
}

// TestWebhookAfterKill: what a process that was killed had written is posted by the next one, and
// half a line is not.
func TestWebhookAfterKill(t *testing.T) {
	var got []byte
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, body...)
	}))
	hook := Webhook{URL: srv.URL, Spool: t.TempDir()}
	for name, text := range map[string]string{"0000000000000003.open": `{"key":"whole"}` + "\n" + `{"key":"ha`, "0000000000000007.open": `{"ke`} {
		if err := os.WriteFile(filepath.Join(hook.Spool, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := ToWebhook(hook, quiet)
	if err != nil {
		t.Fatal(err)
	}
	l.Access(s3api.Access{Key: "next", Status: 200})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if left, _ := os.ReadDir(hook.Spool); len(left) == 0 {
			break
		}
	}
	l.Close()
	srv.Close()
	if keys := strings.Join(keysOf(t, got), " "); keys != "whole next" {
		t.Errorf("%q", keys)
	}
}

// TestWebhookSecrets: the log does not tell what is secret in the receiver's address.
func TestWebhookSecrets(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	address := strings.Replace(server.URL, "://", "://user:password@", 1) + "/?token=secret"
	s := &spool{hook: Webhook{URL: address, Spool: t.TempDir(), Client: server.Client()}, limit: 1 << 20, wake: make(chan struct{}, 1)}
	if _, err := s.Write([]byte("{}\n")); err != nil {
		t.Fatal(err)
	}
	if err := s.seal(); err != nil {
		t.Fatal(err)
	}
	for _, why := range []string{"refused", "away"} {
		_, err := s.sendOldest(t.Context())
		if err == nil || strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", why, err)
		}
		server.Close()
	}
}

// TestSpoolFull: what does not fit on the disk is refused, and there is room again later.
func TestSpoolFull(t *testing.T) {
	s := &spool{hook: Webhook{Spool: t.TempDir()}, limit: 3 << 20, wake: make(chan struct{}, 1)}
	b := bytes.Repeat([]byte("x"), 64<<10)
	n := 0
	for ; n < 1000; n++ {
		if _, err := s.Write(b); err != nil {
			if !errors.Is(err, errSpoolFull) {
				t.Fatal(err)
			}
			break
		}
	}
	if n < 40 || n > 60 {
		t.Errorf("%d writes of 64 KiB into 3 MiB", n)
	}
	names, _, _ := s.segments()
	for _, name := range names {
		if err := os.Remove(filepath.Join(s.hook.Spool, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(b); err != nil {
		t.Error(err)
	}
	if err := s.seal(); err != nil {
		t.Fatal(err)
	}
}

// Fault model: the disk is full. Lines wait for room, and those that find none until the end are counted.
func TestFullDisk(t *testing.T) {
	for _, room := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.Symlink("/dev/full", path); err != nil {
			t.Fatal(err)
		}
		l, err := ToFile(path, quiet)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			l.Access(s3api.Access{Key: "k", Status: 200})
		}
		if room {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		l.Close()
		if !room {
			if l.Lost() != 3 {
				t.Errorf("3 lines found no room, and %d are lost", l.Lost())
			}
			continue
		}
		if data, err := os.ReadFile(path); err != nil || len(keysOf(t, data)) != 3 || l.Lost() != 0 {
			t.Errorf("there was room again: %q, %d lost, %v", data, l.Lost(), err)
		}
	}
}

// Fault model: the disk is full while a segment is written.
func TestSpoolOnFullDisk(t *testing.T) {
	s := &spool{hook: Webhook{Spool: t.TempDir()}, limit: 1 << 20, wake: make(chan struct{}, 1)}
	name := s.hook.Spool + "/0000000000000001"
	if err := os.Symlink("/dev/full", name+".open"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Write([]byte("{}\n")); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(); err == nil {
			t.Fatal("written to a full disk")
		}
	}
	if err := os.Remove(name + ".open"); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.f, err = os.Create(name + ".open"); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(name + ".jsonl"); err != nil || string(data) != "{}\n{}\n{}\n" {
		t.Errorf("%q, %v", data, err)
	}
}

// TestWebhookKeys: a receiver that takes no key twice takes what comes after a restart.
func TestWebhookKeys(t *testing.T) {
	arrived := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r.Header.Get("Idempotency-Key") }))
	defer srv.Close()
	hook := Webhook{URL: srv.URL, Spool: t.TempDir()}
	seen := map[string]bool{}
	for range 2 {
		l, err := ToWebhook(hook, quiet)
		if err != nil {
			t.Fatal(err)
		}
		l.Access(s3api.Access{Key: "k", Status: 200})
		if key := <-arrived; seen[key] {
			t.Errorf("%q comes again with other lines", key)
		} else {
			seen[key] = true
		}
		l.Close()
	}
}

// TestSegmentBytes: no segment is longer than receivers take, such as nginx, which takes 1 MiB unless it is told
// otherwise: it would be refused for ever, and all behind it wait.
func TestSegmentBytes(t *testing.T) {
	s := &spool{hook: Webhook{Spool: t.TempDir()}, limit: 8 << 20, wake: make(chan struct{}, 1)}
	b := append(bytes.Repeat([]byte("x"), 999), '\n')
	for range 3 * SegmentBytes / len(b) {
		if _, err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.seal(); err != nil {
		t.Fatal(err)
	}
	names, _, err := s.segments()
	if err != nil || len(names) < 3 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(s.hook.Spool, name)); err != nil || info.Size() > SegmentBytes {
			t.Errorf("%s has %d bytes, %v", name, info.Size(), err)
		}
	}
}

// writes counts lines.
type writes struct{ n int }

func (w *writes) Write([]byte) (int, error) { w.n++; return 1, nil }
func (*writes) Flush() error                { return nil }
func (*writes) Close() (int, error)         { return 0, nil }

// TestAccessAtTheEnd: a line that comes while the log is closed is written or counted.
func TestAccessAtTheEnd(t *testing.T) {
	for range 500 {
		w := new(writes)
		l := newLog(w, quiet)
		var all sync.WaitGroup
		begin := make(chan struct{})
		for range 8 {
			all.Go(func() {
				<-begin
				for range 5 {
					l.Access(s3api.Access{})
				}
			})
		}
		close(begin)
		l.Close()
		all.Wait()
		if n := int64(w.n) + l.Lost(); n != 40 {
			t.Fatalf("%d lines are accounted for, not 40", n)
		}
	}
}

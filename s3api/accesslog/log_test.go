package accesslog

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var at = time.Date(2026, 11, 3, 23, 5, 6, 0, time.UTC)

func record() *Record {
	return &Record{Owner: "0123", Bucket: "src", Time: at, RemoteIP: "192.0.2.3", Requester: "arn:aws:iam::111111111111:user/alice",
		RequestID: "3E57427F3EXAMPLE", Operation: "REST.GET.OBJECT", Key: "a b/\"ü\n", Method: "GET", Path: "/src/a%20b", Query: "versionId=1",
		Proto: "HTTP/1.1", Status: 200, Sent: 113, ObjectSize: -1, Total: 7 * time.Millisecond, Turnaround: 3 * time.Millisecond, UserAgent: "S3\" 200 \nConsole/0.4",
		HostID: "host", Signature: "SigV4", Auth: "AuthHeader", Host: "s3.test"}
}

func TestLine(t *testing.T) {
	const want = `0123 src [03/Nov/2026:23:05:06 +0000] 192.0.2.3 arn:aws:iam::111111111111:user/alice 3E57427F3EXAMPLE REST.GET.OBJECT ` +
		`a%20b/%22%C3%BC%0A "GET /src/a%20b?versionId=1 HTTP/1.1" 200 - 113 - 7 3 "-" "S3%22 200 %0AConsole/0.4" - host SigV4 - AuthHeader s3.test - - -` + "\n"
	if got := string(record().appendLine(nil)); got != want {
		t.Errorf("got\n%s want\n%s", got, want)
	}
}

// TestRedact: neither a presigned URL nor what SDKs move into one gives a secret away.
func TestRedact(t *testing.T) {
	const in = "a=b&X-Amz-Credential=AKIA&X-Amz-Signature=SECRET&x-amz-security-token=SECRET&Signature=SECRET&X-Amz-Date=1&" +
		"x-amz-server-side-encryption-customer-key=SECRET&%58-Amz-Signature=SECRET&%zz=SECRET&uploads"
	got := redact(in)
	if strings.Contains(got, "SECRET") || !strings.Contains(got, "X-Amz-Credential=AKIA") || !strings.HasSuffix(got, "&uploads") || !strings.HasPrefix(got, "a=b&") {
		t.Error(got)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("key", "agent", "q=1&X-Amz-Signature=s")
	f.Fuzz(func(t *testing.T, key, agent, query string) {
		r := record()
		r.Key, r.UserAgent, r.Query = key, agent, query
		line := r.appendLine(nil)
		// A reader splits at blanks, outside of brackets and quotes.
		fields := regexp.MustCompile(`\[[^\]]*\]|"[^"]*"|[^ \n]+`).FindAllString(string(line), -1)
		if len(fields) != 26 || bytes.Count(line, []byte("\n")) != 1 {
			t.Errorf("%d fields: %q", len(fields), line)
		}
	})
}

// target keeps what is delivered, or fails.
type target struct {
	mu      sync.Mutex
	objects []*Object
	err     error
}

func (p *target) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *target) got() []*Object {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.objects)
}

func (p *target) put(_ context.Context, o *Object) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	p.objects = append(p.objects, o)
	return nil
}

func newLog(p *target) *Log {
	return New(Options{Region: "r1", Every: time.Minute, Put: p.put, Now: func() time.Time { return at.Add(2 * time.Hour) }, Logger: slog.New(slog.DiscardHandler)})
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Target: "t", Prefix: "p/"}, `^p/2026-11-04-01-05-06-[0-9a-f]{16}$`},
		{Config{Target: "t", Prefix: "p/", Partitioned: true}, `^p/111111111111/r1/src/2026/11/04/2026-11-04-01-05-06-[0-9a-f]{16}$`},
		{Config{Target: "t", Partitioned: true, EventTime: true}, `^111111111111/r1/src/2026/11/03/2026-11-03-00-00-00-[0-9a-f]{16}$`},
	} {
		p := &target{}
		l := newLog(p)
		for range 2 {
			l.Add(Source{Account: "111111111111", Bucket: "src", Config: c.config}, record())
		}
		l.Flush(t.Context())
		if len(p.got()) != 1 || !regexp.MustCompile(c.want).MatchString(p.got()[0].Key) || bytes.Count(p.got()[0].Body, []byte("\n")) != 2 {
			t.Errorf("%+v: %+v", c.config, p.got())
		}
	}
}

// TestDelivery: after an interval, when there is enough, again after a failure, and
// never more waits than may.
func TestDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := &target{}
		l := newLog(p)
		done := make(chan struct{})
		go func() { defer close(done); l.Run(ctx) }()
		s := Source{Account: "1", Bucket: "src", Config: Config{Target: "t"}}
		l.Add(s, record())
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if len(p.got()) != 0 {
			t.Error("delivered before its time")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(p.got()) != 1 {
			t.Errorf("%d objects after an interval", len(p.got()))
		}
		long := record()
		long.UserAgent = strings.Repeat("x", 8<<10)
		line := len(long.appendLine(nil))
		for range MaxObject/line + 1 {
			l.Add(s, long)
		}
		synctest.Wait()
		if len(p.got()) != 2 {
			t.Errorf("%d objects when there is enough for one", len(p.got()))
		}
		p.fail(errors.New("away"))
		for range 2 * MaxWaiting / line {
			l.Add(s, long)
		}
		l.Flush(ctx)
		if l.waiting > MaxWaiting/2 || l.waiting < MaxWaiting/2-line {
			t.Errorf("%d bytes wait, of %d that may", l.waiting, MaxWaiting/2)
		}
		p.fail(nil)
		l.Flush(ctx)
		if len(p.got()) != 3 || len(p.got()[2].Body) > MaxWaiting/2 || l.waiting != 0 {
			t.Errorf("%d objects when the target is back, %d bytes wait", len(p.got()), l.waiting)
		}
		lost := l.Lost()
		if want := int64(2*MaxWaiting/line - MaxWaiting/2/line); lost < want-1 || lost > want+1 {
			t.Errorf("%d lines are counted as lost, want %d", lost, want)
		}
		p.fail(ErrRefused)
		l.Add(s, record())
		l.Flush(ctx)
		if n := l.Lost() - lost; n != 1 {
			t.Errorf("%d lines are counted as refused, of 1", n)
		}
		if l.waiting != 0 || len(l.batches) != 0 {
			t.Error("what is refused waits for ever")
		}
		cancel()
		<-done
	})
}

// TestBrokenTarget: a target that fails for ever does not cost those of others their lines.
func TestBrokenTarget(t *testing.T) {
	got := 0
	l := New(Options{Every: time.Minute, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Put: func(_ context.Context, o *Object) error {
		if o.Target == "broken" {
			return errors.New("quota exceeded")
		}
		got += bytes.Count(o.Body, []byte("\n"))
		return nil
	}})
	long := record()
	long.UserAgent = strings.Repeat("x", 8<<10)
	for range 3 {
		for range MaxWaiting >> 13 {
			l.Add(Source{Bucket: "src", Config: Config{Target: "broken"}}, long)
		}
		l.Flush(t.Context())
	}
	for range 100 {
		l.Add(Source{Bucket: "src", Config: Config{Target: "good"}}, long)
	}
	l.Flush(t.Context())
	if got != 100 {
		t.Errorf("%d lines of 100 were delivered", got)
	}
}

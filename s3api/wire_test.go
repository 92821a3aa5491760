package s3api

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/store"
)

// These tests speak to NewServer byte by byte. The client may send anything, stop
// at any byte, or read slowly. Demanded: S3's error or a closed connection, never
// a stored object and never a clean end of a cut body.

// serveTCP starts the server on a real socket and returns its address.
func serveTCP(t *testing.T, e *env) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := NewServer(e.h)
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	return l.Addr().String()
}

type answer struct {
	status int
	code   string
	header http.Header
	body   string
	closes bool  // the server said Connection: close
	err    error // of reading the body
}

// ask sends raw bytes, closes its side if told so, and reads one response.
func ask(t *testing.T, conn net.Conn, raw string, closeWrite bool) answer {
	t.Helper()
	go func() {
		_, _ = io.WriteString(conn, raw)
		if c, ok := conn.(*net.TCPConn); ok && closeWrite {
			_ = c.CloseWrite()
		}
	}()
	return readAnswer(bufio.NewReader(conn))
}

func readAnswer(br *bufio.Reader) answer {
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	var doc struct{ Code string }
	_ = xml.Unmarshal(b, &doc)
	return answer{res.StatusCode, doc.Code, res.Header, string(b), res.Close, err}
}

func dialTCP(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

const head = " HTTP/1.1\r\nHost: localhost\r\nAuthorization: x\r\n"

func TestBadWire(t *testing.T) {
	const unsigned = "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nX-Amz-Decoded-Content-Length: "
	const trailer = "X-Amz-Trailer: x-amz-checksum-crc32\r\n"
	for _, c := range []struct {
		name, raw string
		status    int
		code      string
		half      bool // close the sending side
	}{
		{"truncated", "PUT /bucket/k" + head + "Content-Length: 10\r\n\r\nhello", 400, "IncompleteBody", true},
		{"no length", "PUT /bucket/k" + head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 411, "MissingContentLength", false},
		{"huge", "PUT /bucket/k" + head + "Content-Length: 5368709121\r\n\r\n", 400, "EntityTooLarge", false},
		{"framing", "PUT /bucket/k" + head + unsigned + "5\r\n" + trailer + "Content-Length: 20\r\n\r\nthis is not chunked!", 400, "IncompleteBody", false},
		{"short chunk", "PUT /bucket/k" + head + unsigned + "9\r\n" + trailer + "Content-Length: 15\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 400, "IncompleteBody", false},
		{"no decoded length", "PUT /bucket/k" + head + "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n" + trailer + "Content-Length: 2\r\n\r\n0\r", 411, "MissingContentLength", false},
		{"two lengths", "PUT /bucket/k" + head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400, "", false},
		{"bad length", "PUT /bucket/k" + head + "Content-Length: -5\r\n\r\nhello", 400, "", false},
		{"bad escape", "PUT /bucket/%zz" + head + "Content-Length: 5\r\n\r\nhello", 400, "", false},
		{"bad query escape", "PUT /bucket/k?a=%zz" + head + "Content-Length: 5\r\n\r\nhello", 400, "InvalidURI", false},
		{"no path", "PUT *" + head + "Content-Length: 5\r\n\r\nhello", 400, "InvalidURI", false},
		{"options", "OPTIONS *" + head + "\r\n", 400, "InvalidURI", false},
		{"big header", "PUT /bucket/k" + head + "X-Big: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", 431, "", false},
		{"bad header", "PUT /bucket/k" + head + "X Y: z\r\n\r\n", 400, "", false},
		{"NUL key", "PUT /bucket/a%00b" + head + "Content-Length: 5\r\n\r\nhello", 400, "InvalidArgument", false},
		{"long key", "PUT /bucket/" + strings.Repeat("k", 1025) + head + "Content-Length: 5\r\n\r\nhello", 400, "KeyTooLongError", false},
		{"no bucket", "PUT /absent/k" + head + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 404, "NoSuchBucket", false},
		{"nobody", "PUT /bucket/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", 403, "AccessDenied", false},
		{"bad XML", "POST /bucket?delete" + head + "X-Amz-Checksum-Crc32: AAAAAA==\r\nContent-Length: 1\r\n\r\n<", 400, "BadDigest", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t)
			e.ok("PUT", "/bucket", "")
			a := ask(t, dialTCP(t, serveTCP(t, e)), c.raw, c.half)
			if a.status != c.status || a.code != c.code {
				t.Errorf("status %d code %q (%v), want %d %q\n%s", a.status, a.code, a.err, c.status, c.code, a.body)
			}
			if n := e.objects.puts.Load(); n != 0 {
				t.Errorf("%d objects were stored", n)
			}
		})
	}
}

func TestExpectContinue(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	conn := dialTCP(t, serveTCP(t, e))
	br := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, "PUT /bucket/k"+head+"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if a := readAnswer(br); a.status != 100 {
		t.Fatalf("got %d, want 100", a.status)
	}
	_, _ = io.WriteString(conn, "hello")
	if a := readAnswer(br); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
}

// A stream that fails in the middle must not look complete to the client, whether
// the object is small enough to sit in net/http's buffer or not.
func TestFailureAfterHeader(t *testing.T) {
	for _, size := range []int{1000, 1 << 20} {
		e := newEnv(t)
		e.ok("PUT", "/bucket", "")
		e.ok("PUT", "/bucket/k", strings.Repeat("x", size))
		e.objects.failAfter = int64(size) / 2
		a := ask(t, dialTCP(t, serveTCP(t, e)), "GET /bucket/k"+head+"\r\n", false)
		if a.err == nil {
			t.Errorf("size %d: a cut body ended cleanly: status %d, %d bytes", size, a.status, len(a.body))
		}
	}
}

func TestFailureBeforeHeader(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/k", "x")
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{store.ErrBusy, 503, "SlowDown"},
		{store.ErrUnavailable, 503, "ServiceUnavailable"},
		{fmt.Errorf("get object: %w", metadata.ErrUnavailable), 503, "ServiceUnavailable"},
		{metadata.ErrUnknown, 503, "ServiceUnavailable"},
		{metadata.ErrFenced, 503, "ServiceUnavailable"},
		{store.ErrDamaged, 500, "InternalError"},
		{store.ErrFull, 507, "InsufficientStorage"},
		{errors.New("unknown"), 500, "InternalError"},
	} {
		e.objects.failRead, e.objects.failPut = c.err, c.err
		for _, method := range []string{"GET", "PUT"} {
			w := e.want(c.status, c.code, method, "/bucket/k", "")
			wantHeaders(t, w, "ETag: ")
			if c.status == 503 {
				wantHeaders(t, w, "Retry-After: 1")
			}
			e.objects.failRead = c.err
		}
	}
	// The parts were collected between Open and Read, as the object was replaced: the next
	// try finds what is there now, and SDKs make one after a 503 only.
	e.objects.failRead, e.objects.failPut = fmt.Errorf("read parts: %w", metadata.ErrStale), nil
	e.want(503, "ServiceUnavailable", "GET", "/bucket/k", "")
	e.want(503, "ServiceUnavailable", "PUT", "/bucket/k2", "", copySourceHeader+": /bucket/k")
}

// pipeListener hands out connections of net.Pipe, whose deadlines obey synctest's
// clock.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

// inBubble runs fn with a server whose clock is synctest's.
func inBubble(t *testing.T, fn func(t *testing.T, e *env, l *pipeListener), edit ...func(*Config)) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, edit...)
		e.ok("PUT", "/bucket", "")
		l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		srv := NewServer(e.h)
		go func() { _ = srv.Serve(l) }()
		fn(t, e, l)
		srv.Close()
		time.Sleep(time.Minute) // in the bubble: until every goroutine has noticed
	})
}

func TestSlowBody(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env, l *pipeListener) {
		start := time.Now()
		conn := l.dial()
		defer conn.Close()
		a := ask(t, conn, "PUT /bucket/k"+head+"Content-Length: 10\r\n\r\nhello", false)
		if a.status != 400 || a.code != "RequestTimeout" || !a.closes {
			t.Errorf("got %d %q, closes %v (%v)", a.status, a.code, a.closes, a.err)
		}
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("took %v", d)
		}
		if e.objects.puts.Load() != 0 {
			t.Error("stored")
		}
	})
}

// TestDrippingBody: bytes come all the time, but fewer than a window demands.
func TestDrippingBody(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env, l *pipeListener) {
		start := time.Now()
		conn := l.dial()
		defer conn.Close()
		go func() {
			_, err := io.WriteString(conn, "PUT /bucket/k"+head+"Content-Length: 1000000\r\n\r\n")
			for err == nil {
				_, err = io.WriteString(conn, "x")
				time.Sleep(time.Second)
			}
		}()
		a := readAnswer(bufio.NewReader(conn))
		if a.status != 400 || a.code != "RequestTimeout" || time.Since(start) > time.Minute {
			t.Errorf("got %d %q after %v", a.status, a.code, time.Since(start))
		}
	})
}

// TestSlowButSteady: a window's demand is met each time, so nothing is cut.
func TestSlowButSteady(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env, l *pipeListener) {
		conn := l.dial()
		defer conn.Close()
		go func() {
			_, err := io.WriteString(conn, "PUT /bucket/k"+head+"Content-Length: 1048576\r\n\r\n")
			for range 16 {
				if err == nil {
					_, err = io.WriteString(conn, strings.Repeat("x", 64<<10))
					time.Sleep(20 * time.Second)
				}
			}
		}()
		if a := readAnswer(bufio.NewReader(conn)); a.status != 200 {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
}

func TestSlowHeader(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env, l *pipeListener) {
		start := time.Now()
		conn := l.dial()
		defer conn.Close()
		go func() { _, _ = io.WriteString(conn, "PUT /bucket/k HTTP/1.1\r\nHost: l") }()
		_, _ = io.Copy(io.Discard, conn)
		if d := time.Since(start); d != 15*time.Second {
			t.Errorf("a half header kept its connection for %v", d)
		}
	})
}

func TestSlowReader(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env, l *pipeListener) {
		e.ok("PUT", "/bucket/k", strings.Repeat("x", 1<<20))
		conn := l.dial()
		defer conn.Close()
		go func() { _, _ = io.WriteString(conn, "GET /bucket/k"+head+"\r\n") }()
		br := bufio.NewReaderSize(conn, 16)
		_, _ = br.ReadByte()
		time.Sleep(time.Hour) // the client reads nothing more
		n, err := io.Copy(io.Discard, br)
		if n >= 1<<20 || err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("read %d bytes after an hour of silence, %v", n, err)
		}
	})
}

// slowObjects takes its time after the body's end.
type slowObjects struct {
	*fakeObjects
	took time.Duration
}

func (s *slowObjects) Put(ctx context.Context, r *store.PutRequest) (*store.PutResult, error) {
	res, err := s.fakeObjects.Put(ctx, r)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(s.took):
	}
	return res, err
}

// TestSlowStore: the deadline for the body must not cancel what follows it, nor
// the request after it on the same connection.
func TestSlowStore(t *testing.T) {
	var slow *slowObjects
	inBubble(t, func(t *testing.T, e *env, l *pipeListener) {
		slow.fakeObjects.db = e.db
		conn := l.dial()
		defer conn.Close()
		br := bufio.NewReader(conn)
		for range 3 {
			go func() {
				_, _ = io.WriteString(conn, "PUT /bucket/k"+head+"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
			}()
			if a := readAnswer(br); a.status != 100 {
				t.Fatalf("got %d, want 100", a.status)
			}
			go func() { _, _ = io.WriteString(conn, "hello") }()
			if a := readAnswer(br); a.status != 200 {
				t.Fatalf("got %d %s %v", a.status, a.body, a.err)
			}
			time.Sleep(100 * time.Second) // idle, beyond every window
		}
	}, func(c *Config) {
		slow = &slowObjects{c.Objects.(*fakeObjects), 10 * time.Minute}
		c.Objects = slow
	})
}

func TestTooManyRequests(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env, l *pipeListener) {
		blocked := l.dial()
		defer blocked.Close()
		_, _ = io.WriteString(blocked, "PUT /bucket/k"+head+"Content-Length: 10\r\n\r\nhello")
		synctest.Wait()
		conn := l.dial()
		defer conn.Close()
		a := ask(t, conn, "GET /bucket"+head+"\r\n", false)
		if a.status != 503 || a.code != "SlowDown" || a.header.Get("Retry-After") == "" {
			t.Errorf("got %d %q", a.status, a.code)
		}
		go func() { _, _ = io.Copy(io.Discard, blocked) }()
		_, _ = io.WriteString(blocked, "world")
		synctest.Wait()
		if a := ask(t, conn, "GET /bucket"+head+"\r\n", false); a.status != 200 {
			t.Errorf("afterwards %d %q", a.status, a.code)
		}
	}, func(c *Config) { c.Limits.Requests = 1 })
}

// TestUnreadBody: a client that announces a body and never sends it gets its answer, and
// keeps neither the request nor the connection.
func TestUnreadBody(t *testing.T) {
	for _, target := range []string{"/bucket/k", "/bucket?list-type=2", "/healthz/live"} {
		inBubble(t, func(t *testing.T, e *env, l *pipeListener) {
			e.ok("PUT", "/bucket/k", strings.Repeat("x", 1<<20))
			start := time.Now()
			conn := l.dial()
			defer conn.Close()
			_ = conn.SetDeadline(start.Add(time.Hour))
			a := ask(t, conn, "GET "+target+head+"Content-Length: 10\r\n\r\n", false)
			if a.status != 200 || a.err != nil || time.Since(start) > 30*time.Second {
				t.Errorf("%s: status %d, %v, after %v", target, a.status, a.err, time.Since(start))
			}
			if n := len(e.h.slots); n != 0 {
				t.Errorf("%s: %d requests are at work", target, n)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil || time.Since(start) > time.Minute {
				t.Errorf("%s: the connection was kept for %v: %v", target, time.Since(start), err)
			}
		})
	}
}

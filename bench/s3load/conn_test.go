package s3load

// Fault model of the connection: the server closes an idle connection, closes in the middle of a head, a body or
// a chunk, sends the answer in single bytes, answers before it has read the request's body, never answers.

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// script serves one connection per entry: a request is read and the text is sent, byte by byte when slow is
// set; then the connection is closed unless the text was the last of its connection's list.
func script(t *testing.T, conns ...[]string) *worker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for _, answers := range conns {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			br := bufio.NewReader(nc)
			for _, text := range answers {
				req, err := http.ReadRequest(br)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, req.Body)
				for i := range len(text) { // single writes: every state of the parser is met
					_, _ = nc.Write([]byte{text[i]})
				}
			}
			nc.Close()
		}
	}()
	cfg := DefaultConfig()
	cfg.Timeout = 5 * time.Second
	tgt, err := newTarget(&cfg, Endpoint{Name: "x", URL: "http://" + l.Addr().String(), AccessKey: "a", SecretKey: "s"}, newContent())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorker(t.Context(), tgt, 0, 1)
	t.Cleanup(w.close)
	return w
}

func (w *worker) fetch() (string, answer, error) {
	w.prepareRequest("GET", "")
	w.xml = w.xml[:0]
	a, err := w.do(w.ctx, &w.req, &w.xml)
	return string(w.xml), a, err
}

func TestConnAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, c := range []struct {
		name, answer, body string
		err                error
	}{
		{"length", ok + "Content-Length: 5\r\n\r\nhello", "hello", nil},
		{"empty", ok + "Content-Length: 0\r\n\r\n", "", nil},
		{"chunked", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: v\r\n\r\n", "hello", nil},
		{"until close", ok + "\r\nhello", "hello", nil},
		{"informational first", "HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello", "hello", nil},
		{"cut body", ok + "Content-Length: 6\r\n\r\nhello", "hello", errShort},
		{"cut chunk", ok + "Transfer-Encoding: chunked\r\n\r\n9\r\nhello", "hello", errShort},
		{"no last chunk", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello", errShort},
		{"bad chunk", ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "", errChunk},
		{"chunk without end", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n", "he", errChunk},
		{"endless chunk line", ok + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1", 2*maxLine), "", errChunk},
		{"cut head", ok + "Content-Len", "", io.EOF},
		{"nonsense", "SSH-2.0-x\r\n\r\n", "", errHead},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := script(t, []string{c.answer})
			body, a, err := w.fetch()
			if !errors.Is(err, c.err) || body != c.body {
				t.Fatalf("%q, %v; want %q, %v", body, err, c.body, c.err)
			}
			if err == nil && (a.status != 200 || a.ttfb <= 0 || a.total < a.ttfb) {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestConnErrorStatusKeepsConnection(t *testing.T) {
	w := script(t, []string{"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"})
	_, _, err := w.fetch()
	if s := new(StatusError); !errors.As(err, &s) || s.Status != 404 || s.Body != "abc" {
		t.Fatal(err)
	}
	if body, _, err := w.fetch(); err != nil || body != "x" || w.dials != 1 {
		t.Errorf("%q, %v, %d connections", body, err, w.dials)
	}
}

func TestConnRetriesOnlyDroppedIdleConnections(t *testing.T) {
	const one = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
	w := script(t, []string{one}, []string{one, "HTTP/1.1 2"}, []string{one})
	for i := range 2 { // the second finds the connection closed
		if body, _, err := w.fetch(); err != nil || body != "x" {
			t.Fatalf("request %d: %q, %v", i, body, err)
		}
	}
	if w.dials != 2 {
		t.Errorf("%d connections, want 2", w.dials)
	}
	if _, _, err := w.fetch(); !errors.Is(err, io.EOF) {
		t.Errorf("%v: an answer that had begun must not be asked for again", err)
	}
}

func TestConnNewConnectionIsNotRetried(t *testing.T) {
	w := script(t, []string{""}, []string{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"})
	if _, _, err := w.fetch(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestConnHonoursClose(t *testing.T) {
	const last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"
	w := script(t, []string{last}, []string{last})
	for range 2 {
		if body, _, err := w.fetch(); err != nil || body != "x" {
			t.Fatalf("%q, %v", body, err)
		}
	}
	if w.dials != 2 {
		t.Errorf("%d connections, want 2", w.dials)
	}
}

func TestConnEarlyAnswerToALargeBody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = nc.Read(make([]byte, 1000))
		_, _ = io.WriteString(nc, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
		_ = nc.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, nc)
		nc.Close()
	}()
	cfg := DefaultConfig()
	tgt, err := newTarget(&cfg, Endpoint{Name: "x", URL: "http://" + l.Addr().String(), AccessKey: "a", SecretKey: "s"}, newContent())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorker(t.Context(), tgt, 0, 1)
	defer w.close()
	w.key = []byte("k")
	if _, err := w.put(1 << 20); statusOf(err) != 403 {
		t.Error(err)
	}
}

func TestConnTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := DefaultConfig()
	cfg.Timeout = 20 * time.Millisecond
	tgt, err := newTarget(&cfg, Endpoint{Name: "x", URL: "http://" + l.Addr().String(), AccessKey: "a", SecretKey: "s"}, newContent())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorker(t.Context(), tgt, 0, 1)
	defer w.close()
	var timeout net.Error
	if _, _, err := w.fetch(); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Error(err)
	}
}

package s3api

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// countedWrites is a listener that counts the writes of its connections.
type countedWrites struct {
	net.Listener
	writes atomic.Int64
}

type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (l *countedWrites) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, &l.writes}, err
}

func (c countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// joinEnv is a server over loopback whose writes are countedWrites.
func joinEnv(t *testing.T) (e *env, url string, l *countedWrites) {
	t.Helper()
	e = newEnv(t)
	e.ok(http.MethodPut, "/bucket", "")
	inner, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = &countedWrites{Listener: inner}
	s := NewServer(e.h)
	go func() { _ = s.Serve(Listen(l)) }()
	t.Cleanup(func() { _ = s.Close() })
	return e, "http://" + inner.Addr().String(), l
}

func (e *env) fetch(url string, closing bool) []byte {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	r.Header.Set("Authorization", "x")
	r.Close = closing
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		e.t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return got
}

// TestJoinedWrites: objects of every size around those of net/http's buffer and of what is
// joined come as they are, over connections that stay and that end, and small ones by one write.
func TestJoinedWrites(t *testing.T) {
	e, url, l := joinEnv(t)
	all := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(all) // never fails
	sizes := []int{1, 100, joinMost - 1, joinMost, joinMost + 1, 20000, 1 << 20}
	for n := 3000; n < 4200; n += 1 + n%3 { // with its head one of them is 4096
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		path := "/bucket/" + strconv.Itoa(n)
		e.ok(http.MethodPut, path, string(all[:n]))
		for _, closing := range []bool{false, false, true} {
			before := l.writes.Load()
			if got := e.fetch(url+path, closing); !bytes.Equal(got, all[:n]) {
				t.Fatalf("%d bytes of %d, or wrong ones", len(got), n)
			}
			if w := l.writes.Load() - before; n < 7000 && w != 1 {
				t.Errorf("%d bytes took %d writes", n, w)
			}
		}
	}
}

// TestHeldWrite: what is kept goes out when the connection becomes idle or is closed, and a
// close does not wait for a write under way.
func TestHeldWrite(t *testing.T) {
	ours, theirs := net.Pipe()
	c := &conn{Conn: ours}
	arm := func() {
		c.join = true
		if n, err := c.Write([]byte("kept")); n != 4 || err != nil || string(c.held) != "kept" {
			t.Fatalf("%d, %v; %q is held", n, err, c.held)
		}
	}
	read := func() string {
		b := make([]byte, 64)
		n, _ := theirs.Read(b)
		return string(b[:n])
	}
	got := make(chan string)
	arm()
	go func() { got <- read() }()
	c.release()
	if s := <-got; s != "kept" || c.held != nil {
		t.Errorf("idle: %q", s)
	}
	arm()
	go func() { got <- read() }()
	if n, err := c.Write([]byte(" and more")); n != 9 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if s := <-got; s != "kept and more" {
		t.Errorf("joined: %q", s)
	}
	wrote := make(chan error)
	go func() { // nobody reads
		_, err := c.Write(make([]byte, joinMost+1))
		wrote <- err
	}()
	time.Sleep(10 * time.Millisecond)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-wrote; err == nil {
		t.Error("a write to a closed connection")
	}
}

package tcp

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// stranger is a script that does not prove that it has the secret. It gets the
// connection and a hello that would be right.
type stranger struct {
	name   string
	play   func(c net.Conn, h *hello)
	status byte // of the hello or verdict that it is answered with; helloOK for a hello that is welcome
	failed bool // an authentication failure is counted
}

// proof is one under a secret, of a caller that has said sent and heard got.
func proof(secret []byte, label string, sent, got []byte) []byte {
	return wire.Proof(secret, proofSize, label, sent, got, nil)
}

// greet says hello and hears the answer.
func greet(c net.Conn, h *hello) (sent, got []byte) {
	sent, got = h.encode(), make([]byte, helloSize)
	_, _ = c.Write(sent)
	_, _ = io.ReadFull(c, got)
	return sent, got
}

func write(what string) func(net.Conn, *hello) {
	return func(c net.Conn, _ *hello) { _, _ = io.WriteString(c, what) }
}

func strangers() []stranger {
	garbage := make([]byte, 4096)
	_, _ = rand.Read(garbage)
	return []stranger{
		{name: "silence", play: func(net.Conn, *hello) {}},
		{name: "garbage", play: write(string(garbage))},
		{name: "a browser", play: write("GET / HTTP/1.1\r\nHost: weft.example:7400\r\nAccept: */*\r\n\r\n")},
		{name: "TLS at once", play: write("\x16\x03\x01\x40\x00" + string(garbage))},
		{name: "half a hello", play: func(c net.Conn, h *hello) { _, _ = c.Write(h.encode()[:20]) }},
		{name: "another version", status: helloVersion, play: func(c net.Conn, h *hello) {
			p := h.encode()
			p[3] = '9'
			_, _ = c.Write(p)
		}},
		{name: "hello with unknown flags", play: func(c net.Conn, h *hello) {
			p := h.encode()
			p[5] |= 0x80
			_, _ = c.Write(p)
		}},
		{name: "a caller that refuses", play: func(c net.Conn, h *hello) { _, _ = c.Write((&hello{tls: h.tls, status: helloProof}).encode()) }},
		{name: "no proof", play: func(c net.Conn, h *hello) { greet(c, h) }},
		{name: "half a proof", play: func(c net.Conn, h *hello) {
			sent, got := greet(c, h)
			_, _ = c.Write(proof(goodSecret, labelCaller, sent, got)[:proofSize-1])
		}},
		{name: "another secret", failed: true, status: helloProof, play: func(c net.Conn, h *hello) {
			sent, got := greet(c, h)
			_, _ = c.Write(proof(otherSecret, labelCaller, sent, got))
		}},
		{name: "the answerer's proof", failed: true, status: helloProof, play: func(c net.Conn, h *hello) {
			sent, got := greet(c, h)
			_, _ = c.Write(proof(goodSecret, labelAnswerer, sent, got))
		}},
		{name: "an old proof", failed: true, status: helloProof, play: func(c net.Conn, h *hello) {
			sent, got := greet(c, h)
			old := bytes.Clone(got)
			old[helloSize-1]++ // the nonce of another connection
			_, _ = c.Write(proof(goodSecret, labelCaller, sent, old))
		}},
		{name: "garbage for a proof", failed: true, status: helloProof, play: func(c net.Conn, h *hello) {
			greet(c, h)
			_, _ = c.Write(garbage)
		}},
		{name: "a trickle", play: trickle},
	}
}

// trickle sends a hello so slowly that each byte comes in time and the whole does not.
func trickle(c net.Conn, h *hello) {
	tick := time.NewTicker(shakeTime / 8)
	defer tick.Stop()
	for _, b := range h.encode() {
		<-tick.C
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
	}
}

// TestStrangers: whoever does not have the secret is hung up on in bounded time, and
// told why where it speaks the protocol; no lane is made for it.
func TestStrangers(t *testing.T) {
	for _, s := range strangers() {
		t.Run(s.name, func(t *testing.T) {
			plainAndTLS(t, func(t *testing.T, secure bool) {
				a := newAnswerer(t, rdma.Options{TLS: secure})
				before := a.n.cfg.Counters.AuthFailures.Load()
				c := a.connect(t)
				start := time.Now()
				s.play(c, &hello{tls: secure, slots: 32, session: 9})
				_ = c.SetReadDeadline(start.Add(patience))
				p, err := io.ReadAll(c)
				var late net.Error
				if errors.As(err, &late) && late.Timeout() {
					t.Fatal("nobody hangs up")
				}
				if took := time.Since(start); took > shakeTime+5*time.Second {
					t.Errorf("it was hung up on after %s", took)
				}
				switch {
				case s.status == helloVersion && (len(p) != helloSize || p[4] != s.status),
					s.status == helloProof && err == nil && (len(p) != 1 || p[0] != s.status):
					t.Errorf("answered % x, want status %d", p, s.status)
				case s.status == helloOK && len(p) > 0:
					t.Errorf("answered % x", p)
				}
				if got := a.n.cfg.Counters.AuthFailures.Load() - before; got != map[bool]uint64{true: 1}[s.failed] {
					t.Errorf("%d authentication failures", got)
				}
				if len(a.taken) > 0 {
					t.Error("a lane was made")
				}
			})
		})
	}
}

// TestTLSStrangers: the second proof is bound to the session of TLS, so that one who
// has got past the first, as one in the middle may, cannot go on.
func TestTLSStrangers(t *testing.T) {
	for name, after := range map[string]func(c net.Conn){
		"garbage":                  func(c net.Conn) { _, _ = c.Write(bytes.Repeat([]byte{0x17}, 500)) },
		"a record of 64 KiB":       func(c net.Conn) { _, _ = c.Write([]byte("\x16\x03\x01\xff\xff12345")) },
		"silence":                  func(net.Conn) {},
		"messages without any TLS": func(c net.Conn) { _, _ = c.Write(bytesOf(head{Header: wire.Header{Kind: wire.Ping}}, nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAnswerer(t, rdma.Options{TLS: true})
			c := a.connect(t)
			sent, got := greet(c, &hello{tls: true, slots: 32, session: 9})
			_, _ = c.Write(proof(goodSecret, labelCaller, sent, got))
			verdict := make([]byte, 1+proofSize)
			if _, err := io.ReadFull(c, verdict); err != nil || verdict[0] != helloOK {
				t.Fatalf("verdict %d, %v", verdict[0], err)
			}
			after(c)
			_ = c.SetReadDeadline(time.Now().Add(patience))
			_, err := io.Copy(io.Discard, c)
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				t.Error("nobody hangs up")
			}
			if len(a.taken) > 0 {
				t.Error("a lane was made")
			}
		})
	}
}

// TestManInTheMiddle: one who ends two sessions of TLS and copies what goes through
// them sees the proofs, and gets no further.
func TestManInTheMiddle(t *testing.T) {
	a := newAnswerer(t, rdma.Options{TLS: true})
	middle := newNetwork(t, rdma.Options{TLS: true, Secret: otherSecret})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	played := make(chan struct{})
	go func() {
		defer close(played)
		near, err := l.Accept()
		if err != nil {
			return
		}
		defer near.Close()
		far, err := net.Dial("tcp", a.addr)
		if err != nil {
			return
		}
		defer far.Close()
		between(near, far, middle)
	}()
	_, err = newNetwork(t, rdma.Options{TLS: true}).Dial(t.Context(), l.Addr().String())
	if !errors.Is(err, rdma.ErrPeer) {
		t.Errorf("dial: %v", err)
	}
	wait(t, played, "the end of the play")
	if got := a.n.cfg.Counters.AuthFailures.Load(); got != 1 {
		t.Errorf("%d authentication failures", got)
	}
	if len(a.taken) > 0 {
		t.Error("a lane was made")
	}
}

// between hands on hellos and proofs, takes TLS of both sides and hands on the proof.
func between(near, far net.Conn, n *Network) {
	copyN := func(to io.Writer, from io.Reader, size int64) { _, _ = io.CopyN(to, from, size) }
	copyN(far, near, helloSize)
	copyN(near, far, helloSize)
	copyN(far, near, proofSize)
	copyN(near, far, 1+proofSize)
	in, out := tls.Server(near, n.serverTLS), tls.Client(far, clientTLS())
	if in.Handshake() != nil || out.Handshake() != nil {
		return
	}
	copyN(out, in, proofSize)
	copyN(in, out, 1)
}

// TestCallerMeetsStrangers: the calling end too proves first who is there, and says
// what is wrong.
func TestCallerMeetsStrangers(t *testing.T) {
	reply := func(h hello) func(c net.Conn) {
		return func(c net.Conn) {
			_, _ = io.CopyN(io.Discard, c, helloSize)
			_, _ = c.Write(h.encode())
			_, _ = io.CopyN(io.Discard, c, proofSize)
		}
	}
	for name, tc := range map[string]struct {
		play func(c net.Conn)
		want string
	}{
		"silence":         {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "no answer in time"},
		"hangs up":        {func(net.Conn) {}, ""},
		"a web server":    {func(c net.Conn) { _, _ = io.WriteString(c, strings.Repeat("HTTP/1.1 400 Bad Request\r\n", 3)) }, "is the address right?"},
		"another version": {func(c net.Conn) { _, _ = io.WriteString(c, "WFT2"+strings.Repeat("\x00", helloSize)) }, "same release"},
		"wants TLS":       {reply(hello{status: helloWantTLS}), "set tls = true in the cluster file of this host"},
		"has no TLS":      {reply(hello{status: helloNoTLS}), "set tls = true in the cluster file of that host"},
		"unknown status":  {reply(hello{status: 99}), "refused with status 99"},
		"a wrong verdict": {func(c net.Conn) { reply(hello{slots: 1, session: 1})(c); _, _ = c.Write(make([]byte, 1+proofSize)) }, "copy the cluster's secret file"},
		"refuses":         {func(c net.Conn) { reply(hello{slots: 1, session: 1})(c); _, _ = c.Write([]byte{helloProof}) }, "copy the cluster's secret file"},
		"trickles": {func(c net.Conn) {
			_, _ = io.CopyN(io.Discard, c, helloSize)
			trickle(c, &hello{slots: 1, session: 1})
		}, "no answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			played := make(chan struct{})
			go func() {
				defer close(played)
				if c, err := l.Accept(); err == nil {
					tc.play(c)
					c.Close()
				}
			}()
			start := time.Now()
			_, err = newNetwork(t, rdma.Options{}).Dial(t.Context(), l.Addr().String())
			if !errors.Is(err, rdma.ErrPeer) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("dial: %v, want ErrPeer and %q", err, tc.want)
			}
			if took := time.Since(start); took > shakeTime+5*time.Second {
				t.Errorf("it took %s", took)
			}
			wait(t, played, "the end of the script")
		})
	}
}

// TestTooManyStrangers: silent connections fill the places for handshakes and no more;
// when they have gone there is room again.
func TestTooManyStrangers(t *testing.T) {
	a := newAnswerer(t, rdma.Options{DialTimeout: 2 * time.Second})
	var silent []net.Conn
	for range maxHandshakes + 20 {
		silent = append(silent, a.connect(t))
	}
	refused := 0
	for _, c := range silent {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("a silent stranger was answered")
		}
		if time.Since(start) < time.Second {
			refused++
		}
		c.Close()
	}
	if refused < 20 {
		t.Errorf("%d were refused at once", refused)
	}
}

// canned is a connection that says what it was given and then nothing.
type canned struct {
	net.Conn // for what is not called
	in       bytes.Reader
	reply    func(p []byte) []byte // what it says to a message
}

func (c *canned) Read(p []byte) (int, error) {
	if c.in.Len() == 0 {
		return 0, io.EOF
	}
	return c.in.Read(p)
}

func (c *canned) Write(p []byte) (int, error) {
	if c.reply != nil && c.in.Len() == 0 {
		c.in.Reset(c.reply(p))
		c.reply = nil
	}
	return len(p), nil
}

// TestStrangersCost: a handshake with one who does not have the secret allocates less
// than a page, whether TLS is configured or not.
func TestStrangersCost(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, secure bool) {
		n := newNetwork(t, rdma.Options{TLS: secure})
		greeting := (&hello{tls: secure, slots: 1024, session: 9}).encode()
		flood := bytes.Repeat([]byte{0x16}, 64<<10)
		for name, said := range map[string][]byte{
			"garbage": flood, "hello": greeting, "hello and a flood": append(bytes.Clone(greeting), flood...),
		} {
			for _, reply := range []func([]byte) []byte{
				nil,
				func([]byte) []byte { return flood },
				func(got []byte) []byte { return proof(otherSecret, labelCaller, greeting, got) },
			} {
				conns := make([]canned, 200)
				for i := range conns {
					conns[i].in.Reset(said)
					conns[i].reply = reply
				}
				if cost := costOf(conns, n); cost > 4096 {
					t.Errorf("%s: a handshake allocates %d bytes", name, cost)
				} else {
					t.Logf("%s: %d bytes", name, cost)
				}
			}
		}
		if a := n.cfg.Counters.AuthFailures.Load(); a == 0 {
			t.Error("no script got as far as a proof")
		}
	})
}

// costOf is what each handshake allocates, in bytes.
func costOf(conns []canned, n *Network) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range conns {
		if _, err := n.answer(&conns[i]); err == nil {
			panic("a stranger was taken")
		}
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / uint64(len(conns))
}

// lines counts what is logged.
type lines struct {
	slog.Handler
	n atomic.Int64
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }

func (l *lines) Handle(context.Context, slog.Record) error {
	l.n.Add(1)
	return nil
}

// TestStrangersInTheLog: however many there are, the log gets a line a second.
func TestStrangersInTheLog(t *testing.T) {
	log := &lines{}
	n := newNetwork(t, rdma.Options{})
	n.cfg.Log = slog.New(log)
	l, err := n.Listen("127.0.0.1:0", nil, func(wire.Lane) { t.Error("a lane was made") })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	start := time.Now()
	for range 200 {
		c, err := net.Dial("tcp", l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(make([]byte, helloSize))
		_, _ = io.Copy(io.Discard, c)
		c.Close()
	}
	if got, most := log.n.Load(), 1+int64(time.Since(start)/time.Second); got == 0 || got > most {
		t.Errorf("%d lines, want 1 to %d", got, most)
	}
}

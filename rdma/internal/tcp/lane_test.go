package tcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// pipeLane is a lane over a connection that takes only what its other end reads, in a
// bubble whose clock moves when all wait.
func pipeLane(t *testing.T, answer bool) (*lane, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	n := newNetwork(t, rdma.Options{Grace: time.Second})
	l := newLane(n, &agreed{conn: near, socket: near, session: 1, slots: 2}, answer)
	t.Cleanup(func() {
		far.Close()
		l.Break(rdma.ErrClosed)
	})
	return l, far
}

// TestPushAnsweredEarly: a peer that answers a push before it has taken the bytes does
// not get what the buffer holds afterwards.
func TestPushAnsweredEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, far := pipeLane(t, true)
		to := newTap(l)
		l.Start(to)
		p := bytes.Repeat([]byte{1}, 64<<10)
		pushed := make(chan error, 1)
		go func() {
			err := l.Push(t.Context(), 7, 0x1000, p)
			clear(p) // it is lent to the next transfer
			pushed <- err
		}()
		synctest.Wait()
		var raw [headSize]byte
		if _, err := io.ReadFull(far, raw[:]); err != nil {
			t.Fatal(err)
		}
		var h head
		if err := h.decode(raw[:]); err != nil || h.Kind != kindPush || int(h.Length) != len(p) {
			t.Fatalf("head %+v, %v", h, err)
		}
		send(t, far, head{Header: wire.Header{Kind: kindPushed, ID: h.ID}}, nil)
		synctest.Wait()
		if len(pushed) > 0 {
			t.Error("the push is over while its bytes are being written")
		}
		got := make([]byte, len(p))
		if _, err := io.ReadFull(far, got); err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(got, 0) >= 0 {
			t.Error("the peer got bytes that were put into the buffer after the push")
		}
		if err := <-pushed; err != nil {
			t.Error(err)
		}
	})
}

// TestCallAnsweredEarly: the same of a call, whose request is the caller's again with
// its reply.
func TestCallAnsweredEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, far := pipeLane(t, false)
		to := newTap(l)
		l.Start(to)
		for id := range uint64(2) { // the first is written by a goroutine, the second queued
			req := bytes.Repeat([]byte{1}, 1000)
			if err := l.Send(wire.Message{Kind: wire.Call, ID: id, Body: req}); err != nil {
				t.Fatal(err)
			}
			send(t, far, head{Header: wire.Header{Kind: wire.Reply, ID: id}}, nil)
			if m := <-to.got; m.Kind != wire.Reply {
				t.Fatalf("got %+v", m)
			}
			clear(req)
		}
		for range 2 {
			if h, body := frameOf(t, far); h.Kind != wire.Call || !bytes.Equal(body, bytes.Repeat([]byte{1}, 1000)) {
				t.Errorf("the peer got %+v and % x...", h, body[:8])
			}
		}
	})
}

// TestPushNeverTaken: Grace after its end a push that the peer does not take breaks the
// lane, and only then lets go of the buffer.
func TestPushNeverTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, far := pipeLane(t, true)
		to := newTap(l)
		l.Start(to)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := l.Push(ctx, 7, 0x1000, make([]byte, 4096))
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != time.Minute+time.Second {
			t.Errorf("%v after %s", err, took)
		}
		to.wantBroken(t, "was not over 1s after its end")
		if _, err := io.Copy(io.Discard, far); err != nil {
			t.Error(err)
		}
	})
}

// TestStartOfABrokenLane: whoever starts a lane that has ended in the meantime is
// told.
func TestStartOfABrokenLane(t *testing.T) {
	l, _ := pipeLane(t, false)
	l.Break(errors.New("gone before it began"))
	to := newTap(l)
	l.Start(to)
	to.wantBroken(t, "gone before it began")
	if err := l.Send(wire.Message{Kind: wire.Ping}); !errors.Is(err, rdma.ErrPeer) {
		t.Errorf("send: %v", err)
	}
	if err := l.Pull(t.Context(), 1, 4096, make([]byte, 1)); !errors.Is(err, rdma.ErrPeer) {
		t.Errorf("pull: %v", err)
	}
}

// TestUnread: what waits for a peer that does not read is bounded, in frames and in
// bytes, and then the lane breaks.
func TestUnread(t *testing.T) {
	for name, m := range map[string]wire.Message{
		"pongs":   {Kind: wire.Pong},
		"replies": {Kind: wire.Reply, Body: make([]byte, rdma.MaxMessage)},
	} {
		synctest.Test(t, func(t *testing.T) {
			l, _ := pipeLane(t, true)
			to := newTap(l)
			l.Start(to)
			sent := 0
			for l.Send(m) == nil {
				if sent++; sent > 2*maxQueue {
					t.Fatalf("%s: %d frames wait", name, sent)
				}
			}
			if m.Body != nil && sent > 2*l.info.Slots+2 {
				t.Errorf("%s: %d wait with %d slots", name, sent, l.info.Slots)
			}
			to.wantBroken(t, errUnread.Error())
		})
	}
}

// TestBulkEndsAlone: who waits for a bulk frame has it back when it is written, and not when
// all that was queued with it is; small frames are written together.
func TestBulkEndsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, far := pipeLane(t, true)
		ended := 0
		for range 5 {
			f := frame{body: make([]byte, 100<<10), after: func() { ended++ }}
			if err := l.out.push(f); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 5 {
			synctest.Wait()
			if ended != i {
				t.Errorf("%d frames have ended when %d are read", ended, i)
			}
			if _, err := io.CopyN(io.Discard, far, headSize+100<<10); err != nil {
				t.Fatal(err)
			}
		}
		small := make([]frame, maxBatch+1)
		for i := range small {
			small[i].body = make([]byte, 1<<10)
		}
		if n := together(small); n != maxBatch {
			t.Errorf("%d small frames are written together", n)
		}
		small[2].body = make([]byte, maxTogether)
		if n := together(small); n != 2 {
			t.Errorf("%d frames are written with a bulk one that follows", n)
		}
	})
}

// TestPayloadIsHeard: what comes of transfers is a sign of life at either end. On a slow
// link, messages wait behind it for longer than a silent lane lives.
func TestPayloadIsHeard(t *testing.T) {
	for kind, answer := range map[wire.Kind]bool{kindPush: false, kindPull: false, kindPulled: true, kindPushed: true} {
		synctest.Test(t, func(t *testing.T) {
			l, far := pipeLane(t, answer)
			to := newTap(l)
			l.Start(to)
			go func() { _, _ = io.Copy(io.Discard, far) }()
			h := head{Header: wire.Header{Kind: kind, ID: 1}}
			var body []byte
			switch kind {
			case kindPull:
				h.Length = 4
			case kindPush:
				h.Length, body = 4, []byte("abcd")
			case kindPulled:
				h.Length, body = 4, []byte("abcd")
				go func() { _ = l.Pull(t.Context(), 7, 0x1000, make([]byte, 4)) }()
			case kindPushed:
				go func() { _ = l.Push(t.Context(), 7, 0x1000, make([]byte, 4)) }()
			}
			synctest.Wait()
			send(t, far, h, body)
			synctest.Wait()
			if to.heard.Load() == 0 || len(to.broken) > 0 {
				t.Errorf("kind %d: heard %d times", kind, to.heard.Load())
			}
			far.Close()
		})
	}
}

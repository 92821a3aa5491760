package tcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/region"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// brokenFrames are what no end may send to any other, with a part of the cause that
// the lane ends with.
func brokenFrames() map[string]script {
	oversize := func(k wire.Kind, n uint32) []byte {
		return bytesOf(head{Header: wire.Header{Kind: k, Length: n, ID: 1, Value: 4096}}, nil)
	}
	return map[string]script{
		"garbage":                {bytes.Repeat([]byte{0xa5}, 4096), "unknown bits"},
		"zeros":                  {make([]byte, 4096), "kind 0"},
		"a browser":              {[]byte("GET /metrics HTTP/1.1\r\nHost: weft\r\n\r\n"), "unknown bits"},
		"call beyond MaxMessage": {oversize(wire.Call, rdma.MaxMessage+1), "message of kind 1 with"},
		"call of 4 GiB":          {oversize(wire.Call, 1<<32-1), "message of kind 1 with"},
		"ping with a body":       {oversize(wire.Ping, 1), "message of kind 5 with"},
		"unknown kind":           {oversize(kindPushed+1, 0), "frame of kind 20"},
		"pushed with bytes":      {oversize(kindPushed, 1), "frame of kind 19 with"},
		"pull beyond MaxBulk":    {oversize(kindPull, rdma.MaxBulk+1), "transfer of"},
		"push beyond MaxBulk":    {oversize(kindPush, rdma.MaxBulk+1), "transfer of"},
		"answer to no pull":      {oversize(kindPulled, 100), "answer to no transfer"},
		"answer to no push":      {oversize(kindPushed, 0), "answer to no transfer"},
		"half a head":            {oversize(wire.Ping, 0)[:headSize/2], ""},
		"half a call":            {append(oversize(wire.Call, 100), make([]byte, 50)...), ""},
		"nothing more":           {nil, "hung up"},
	}
}

type script struct {
	bytes []byte
	cause string
}

// TestBrokenFrames: whichever end gets them, the lane ends, its Receiver hears of no
// message, and the other lanes do not notice.
func TestBrokenFrames(t *testing.T) {
	for name, s := range brokenFrames() {
		t.Run(name, func(t *testing.T) {
			plainAndTLS(t, func(t *testing.T, secure bool) {
				a := newAnswerer(t, rdma.Options{TLS: secure})
				c, far := a.join(t)
				s.play(t, c, far)
				near := newCaller(t, rdma.Options{TLS: secure})
				copy(near.memory, "untouched")
				s.play(t, near.script, near.tap)
				if string(near.memory[:9]) != "untouched" {
					t.Error("memory was written")
				}
			})
		})
	}
}

// play sends the frames and hangs up.
func (s script) play(t *testing.T, c net.Conn, to *tap) {
	t.Helper()
	if _, err := c.Write(s.bytes); err != nil {
		t.Fatal(err)
	}
	c.Close()
	to.wantBroken(t, s.cause)
	if len(to.got) > 0 {
		t.Errorf("received %+v", <-to.got)
	}
}

// TestCallerAsksForTransfers: only the answering end may ask for them.
func TestCallerAsksForTransfers(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, secure bool) {
		a := newAnswerer(t, rdma.Options{TLS: secure})
		for _, k := range []wire.Kind{kindPull, kindPush} {
			c, far := a.join(t)
			send(t, c, head{Header: wire.Header{Kind: k, ID: 1, Value: 4096, Length: 8}, key: 5}, make([]byte, 8))
			far.wantBroken(t, "the caller asked for a transfer")
		}
	})
}

// TestStrangeMemory: an answering end that names memory which is not there, not there
// any more, or not all of it, is told so and gets nothing; the lane goes on. There are
// no rights to be wrong: what is registered under a key may be read and written, and
// staging memory has none.
func TestStrangeMemory(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, secure bool) {
		c := newCaller(t, rdma.Options{TLS: secure})
		staging, err := c.n.Register(0, make([]byte, 4096))
		if err != nil {
			t.Fatal(err)
		}
		defer staging.Close()
		stale, err := c.n.Register(memoryKey+1, c.memory[:4096])
		if err != nil {
			t.Fatal(err)
		}
		if err := stale.Close(); err != nil {
			t.Fatal(err)
		}
		at, size := region.Addr(c.memory), uint64(len(c.memory))
		copy(c.memory, "secret")
		id := uint64(0)
		for name, r := range map[string]rdma.Remote{
			"no such key":  {Addr: at, RKey: memoryKey + 99, Len: 6},
			"stale key":    {Addr: at, RKey: memoryKey + 1, Len: 6},
			"staging":      {Addr: at, RKey: 0, Len: 6},
			"before":       {Addr: at - 1, RKey: memoryKey, Len: 6},
			"beyond":       {Addr: at + size - 5, RKey: memoryKey, Len: 6},
			"far beyond":   {Addr: at + 1<<40, RKey: memoryKey, Len: 6},
			"wrapping":     {Addr: ^uint64(0) - 2, RKey: memoryKey, Len: 6},
			"null":         {Addr: 0, RKey: memoryKey, Len: 6},
			"one too many": {Addr: at + 1, RKey: memoryKey, Len: uint32(size)},
		} {
			for _, k := range []wire.Kind{kindPull, kindPush} {
				id++
				var body []byte
				if k == kindPush {
					body = bytes.Repeat([]byte("x"), int(r.Len))
				}
				send(t, c.script, head{Header: wire.Header{Kind: k, ID: id, Value: r.Addr, Length: r.Len}, key: r.RKey}, body)
				h, got := frameOf(t, c.script)
				if h.ID != id || h.Kind != k+1 || h.Status != statusRemote || len(got) > 0 {
					t.Errorf("%s: answered %+v with %d bytes", name, h, len(got))
				}
			}
		}
		send(t, c.script, head{Header: wire.Header{Kind: kindPull, ID: 1, Value: at, Length: 6}, key: memoryKey}, nil)
		if h, got := frameOf(t, c.script); h.Status != statusOK || string(got) != "secret" {
			t.Errorf("after those: %+v, %q", h, got)
		}
		if p := c.n.cfg.Counters; p.PulledBytes.Load() != 6 || p.PushedBytes.Load() != 0 {
			t.Errorf("counted %d pulled and %d pushed", p.PulledBytes.Load(), p.PushedBytes.Load())
		}
	})
}

// TestBadAnswers: an answer that fits no transfer, or not the one it names, ends the
// lane and the transfer with an error.
func TestBadAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		push   bool
		answer func(id uint64) []byte
		want   error // of the transfer; nil when it is over before
	}{
		"longer than asked":  {false, pulledOf(101, 101), rdma.ErrPeer},
		"shorter than asked": {false, pulledOf(99, 99), rdma.ErrPeer},
		"cut off":            {false, pulledOf(100, 60), rdma.ErrPeer},
		"pushed for a pull":  {false, pushed, rdma.ErrPeer},
		"pulled for a push":  {true, pulledOf(100, 100), rdma.ErrPeer},
		"of another id":      {false, func(id uint64) []byte { return pulledOf(100, 100)(id + 1) }, rdma.ErrPeer},
		"pulled twice":       {false, func(id uint64) []byte { return append(pulledOf(100, 100)(id), pulledOf(100, 100)(id)...) }, nil},
		"pushed twice":       {true, func(id uint64) []byte { return append(pushed(id), pushed(id)...) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			plainAndTLS(t, func(t *testing.T, secure bool) {
				a := newAnswerer(t, rdma.Options{TLS: secure})
				c, far := a.join(t)
				done := make(chan error, 1)
				p := make([]byte, 128)
				go func() {
					if tc.push {
						done <- far.lane.Push(t.Context(), 5, 4096, p[:100])
					} else {
						done <- far.lane.Pull(t.Context(), 5, 4096, p[:100])
					}
				}()
				h, _ := frameOf(t, c)
				if _, err := c.Write(tc.answer(h.ID)); err != nil {
					t.Fatal(err)
				}
				if name == "cut off" {
					c.Close()
				}
				if err := wait(t, done, "the end of the transfer"); !errors.Is(err, tc.want) {
					t.Errorf("transfer: %v, want %v", err, tc.want)
				}
				far.wantBroken(t, "")
				if !bytes.Equal(p[100:], make([]byte, 28)) {
					t.Error("bytes behind the buffer were written")
				}
			})
		})
	}
}

func pulledOf(says, sends int) func(id uint64) []byte {
	return func(id uint64) []byte {
		return bytesOf(head{Header: wire.Header{Kind: kindPulled, ID: id, Length: uint32(says)}}, bytes.Repeat([]byte("p"), sends))
	}
}

func pushed(id uint64) []byte {
	return bytesOf(head{Header: wire.Header{Kind: kindPushed, ID: id}}, nil)
}

// TestAsksWithoutReading: an answering end that asks for ever more memory and does not
// read it is cut off, and the memory can be closed at once then.
func TestAsksWithoutReading(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, secure bool) {
		c := newCaller(t, rdma.Options{TLS: secure})
		ask := bytesOf(head{Header: wire.Header{Kind: kindPull, ID: 1, Value: region.Addr(c.memory), Length: rdma.MaxBulk}, key: memoryKey}, nil)
		asks := bytes.Repeat(ask, maxAsked+100)
		go func() { _, _ = c.script.Write(asks) }() // fails when it is cut off
		c.wantBroken(t, "too many transfers at once")
	})
}

// TestStopsReading: what a caller that does not read asks for ends with its context,
// Grace later, and the lane breaks; the answerer's other lanes do not notice.
func TestStopsReading(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, secure bool) {
		a := newAnswerer(t, rdma.Options{TLS: secure, Grace: shakeTime})
		script, far := a.join(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 8)
		p := make([]byte, rdma.MaxBulk)
		for range cap(done) { // more than sockets hold
			go func() { done <- far.lane.Push(ctx, 5, 4096, p) }()
		}
		if _, err := io.ReadFull(script, make([]byte, headSize)); err != nil { // a push is under way
			t.Fatal(err)
		}
		a.stillServes(t)
		cancel()
		for range cap(done) {
			if err := wait(t, done, "the end of a push"); !errors.Is(err, context.Canceled) && !errors.Is(err, rdma.ErrPeer) {
				t.Errorf("push: %v", err)
			}
		}
		far.wantBroken(t, "was not over")
	})
}

// TestTrickledPush: a push that trickles holds its memory only until the lane is
// broken, which package network does when no message comes. The memory is unmapped
// then: a byte more would be a fault.
func TestTrickledPush(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, secure bool) {
		c := newCaller(t, rdma.Options{TLS: secure})
		memory, err := region.Map(4096, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		reg, err := c.n.Register(memoryKey+1, memory)
		if err != nil {
			t.Fatal(err)
		}
		h := head{Header: wire.Header{Kind: kindPush, ID: 1, Value: region.Addr(memory), Length: 4096}, key: memoryKey + 1}
		send(t, c.script, h, []byte("12345"))
		trickled, closed := make(chan struct{}), make(chan error, 1)
		go func() {
			defer close(trickled)
			for range 4000 {
				if _, err := c.script.Write([]byte{1}); err != nil {
					return
				}
			}
		}()
		go func() { closed <- errors.Join(reg.Close(), region.Unmap(memory)) }()
		c.lane.Break(errors.New("given up"))
		if err := wait(t, closed, "the end of the memory"); err != nil {
			t.Error(err)
		}
		wait(t, trickled, "the end of the trickle")
	})
}

package tcp

import (
	"bytes"
	"errors"
	"testing"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/wire"
)

func TestHeadGolden(t *testing.T) {
	golden := []byte{
		18, 0, 0, 0, // kind: Push, status, no bits
		0, 0, 0x40, 0, // length: 4 MiB
		1, 0, 0, 0, 0, 0, 0, 0, // transfer
		0, 0x10, 0, 0, 0, 0x7f, 0, 0, // address
		0xef, 0xbe, 0xad, 0xde, // key
		0, 0, 0, 0,
	}
	h := head{Header: wire.Header{Kind: kindPush, Length: rdma.MaxBulk, ID: 1, Value: 0x7f0000001000}, key: 0xdeadbeef}
	got := bytes.Repeat([]byte{0xff}, headSize)
	h.encode(got)
	if !bytes.Equal(got, golden) {
		t.Errorf("encoded\n% x, want\n% x", got, golden)
	}
	var back head
	if err := back.decode(golden); err != nil || back != h {
		t.Errorf("decoded %+v, %v", back, err)
	}
	if want := (rdma.Remote{Addr: 0x7f0000001000, RKey: 0xdeadbeef, Len: rdma.MaxBulk}); back.remote() != want {
		t.Errorf("names %+v", back.remote())
	}
}

func TestHeadRefused(t *testing.T) {
	for name, h := range map[string]head{
		"unknown kind":         {Header: wire.Header{Kind: kindPushed + 1}},
		"call with a key":      {Header: wire.Header{Kind: wire.Call}, key: 1},
		"pulled with a key":    {Header: wire.Header{Kind: kindPulled}, key: 1},
		"pushed with bytes":    {Header: wire.Header{Kind: kindPushed, Length: 1}},
		"failed with bytes":    {Header: wire.Header{Kind: kindPulled, Status: statusRemote, Length: 1}},
		"push beyond MaxBulk":  {Header: wire.Header{Kind: kindPush, Length: rdma.MaxBulk + 1}},
		"pull beyond MaxBulk":  {Header: wire.Header{Kind: kindPull, Length: rdma.MaxBulk + 1}},
		"pulled beyond it":     {Header: wire.Header{Kind: kindPulled, Length: 1<<32 - 1}},
		"reply beyond a limit": {Header: wire.Header{Kind: wire.Reply, Length: rdma.MaxMessage + 1}},
	} {
		p := make([]byte, headSize)
		h.encode(p)
		if err := new(head).decode(p); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	p := make([]byte, headSize)
	(&head{Header: wire.Header{Kind: wire.Ping}}).encode(p)
	p[headSize-1] = 1
	if new(head).decode(p) == nil || new(head).decode(p[:headSize-1]) == nil {
		t.Error("a head with unknown bits or a short one was taken")
	}
}

func FuzzHead(f *testing.F) {
	for _, h := range []head{
		{Header: wire.Header{Kind: kindPull, Length: 5, ID: 1, Value: 2}, key: 3},
		{Header: wire.Header{Kind: kindPulled, Status: statusRemote, ID: 1}},
		{Header: wire.Header{Kind: wire.Call, Length: rdma.MaxMessage}},
	} {
		p := make([]byte, headSize)
		h.encode(p)
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var h head
		if h.decode(p) != nil {
			return
		}
		if h.Length > rdma.MaxBulk {
			t.Errorf("%d bytes were taken", h.Length)
		}
		again := make([]byte, headSize)
		h.encode(again)
		if !bytes.Equal(again, p[:headSize]) {
			t.Errorf("% x became % x", p[:headSize], again)
		}
	})
}

func TestHelloGolden(t *testing.T) {
	golden := append([]byte{
		'W', 'F', 'T', '1', // magic and version
		0,     // status
		1,     // flags: TLS
		32, 0, // slots
		8, 7, 6, 5, 4, 3, 2, 1, // session
	}, bytes.Repeat([]byte{0xab}, 32)...) // nonce
	h := &hello{tls: true, slots: 32, session: 0x0102030405060708, nonce: [32]byte(bytes.Repeat([]byte{0xab}, 32))}
	if got := h.encode(); !bytes.Equal(got, golden) {
		t.Errorf("encoded\n% x, want\n% x", got, golden)
	}
	var back hello
	if err := back.decode(golden); err != nil || back != *h {
		t.Errorf("decoded %+v, %v", back, err)
	}
}

func TestHelloRefused(t *testing.T) {
	good := (&hello{slots: 1, session: 1}).encode()
	for name, tc := range map[string]struct {
		change func(p []byte) []byte
		want   error
	}{
		"empty":         {func([]byte) []byte { return nil }, errNotWeft},
		"short":         {func(p []byte) []byte { return p[:helloSize-1] }, errNotWeft},
		"long":          {func(p []byte) []byte { return append(p, 0) }, errNotWeft},
		"magic":         {func(p []byte) []byte { p[0] = 'G'; return p }, errNotWeft},
		"version":       {func(p []byte) []byte { p[3] = '2'; return p }, errVersion},
		"no slots":      {func(p []byte) []byte { p[6] = 0; return p }, nil},
		"no session":    {func(p []byte) []byte { p[8] = 0; return p }, nil},
		"unknown flags": {func(p []byte) []byte { p[5] = 2; return p }, nil},
	} {
		err := new(hello).decode(tc.change(bytes.Clone(good)))
		if err == nil || (tc.want != nil && !errors.Is(err, tc.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzHello(f *testing.F) {
	f.Add((&hello{tls: true, slots: 1, session: 1}).encode())
	f.Add((&hello{status: helloVersion}).encode())
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		var h, back hello
		if h.decode(p) != nil {
			return
		}
		if h.status == helloOK && !bytes.Equal(h.encode(), p) {
			t.Errorf("% x became % x", p, h.encode())
		}
		if err := back.decode(h.encode()); err != nil || back != h {
			t.Errorf("%+v became %+v, %v", h, back, err)
		}
	})
}

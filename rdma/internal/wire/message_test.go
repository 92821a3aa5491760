package wire

import (
	"bytes"
	"testing"

	"github.com/weftstore/weft/rdma"
)

func TestHeaderGolden(t *testing.T) {
	golden := []byte{
		2,    // kind: Reply
		9,    // status
		0, 0, // no bits
		0x00, 0x40, 0, 0, // length 16384
		8, 7, 6, 5, 4, 3, 2, 1, // id
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, // value
	}
	h := Header{Kind: Reply, Status: 9, Length: rdma.MaxMessage, ID: 0x0102030405060708, Value: 0x1112131415161718}
	got := bytes.Repeat([]byte{0xff}, HeaderSize)
	h.Encode(got)
	if !bytes.Equal(got, golden) {
		t.Errorf("encoded\n% x, want\n% x", got, golden)
	}
	var back Header
	if err := back.Decode(golden); err != nil || back != h {
		t.Errorf("decoded %+v, %v", back, err)
	}
}

func TestHeaderRefused(t *testing.T) {
	header := func(change func(p []byte)) []byte {
		p := make([]byte, HeaderSize)
		h := Header{Kind: Call, Length: 1, ID: 1}
		h.Encode(p)
		change(p)
		return p
	}
	for name, p := range map[string][]byte{
		"empty":             nil,
		"short":             header(func([]byte) {})[:HeaderSize-1],
		"unknown bits":      header(func(p []byte) { p[2] = 1 }),
		"more unknown bits": header(func(p []byte) { p[3] = 0x80 }),
		"kind 0":            header(func(p []byte) { p[0] = 0 }),
		"unknown kind":      header(func(p []byte) { p[0] = byte(Pong) + 1 }),
		"ping with a body":  header(func(p []byte) { p[0] = byte(Ping) }),
		"a byte too long":   header(func(p []byte) { p[4], p[5] = 1, 0x40 }),
		"4 GiB":             header(func(p []byte) { copy(p[4:], "\xff\xff\xff\xff") }),
	} {
		if err := new(Header).Decode(p); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, h := range []Header{{Kind: Call, Length: 1, ID: 1, Value: 2}, {Kind: Own + 1, Status: 1}, {Kind: Pong}, {}} {
		p := make([]byte, HeaderSize)
		h.Encode(p)
		f.Add(p)
	}
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, p []byte) {
		var h Header
		if h.Decode(p) != nil {
			return
		}
		if h.Kind < Own && h.Length > rdma.MaxMessage {
			t.Errorf("a body of %d bytes was taken", h.Length)
		}
		again := make([]byte, HeaderSize)
		h.Encode(again)
		if !bytes.Equal(again, p[:HeaderSize]) {
			t.Errorf("% x became % x", p[:HeaderSize], again)
		}
	})
}

// TestProof: parts cannot be shifted into each other, and each label, secret and
// part counts.
func TestProof(t *testing.T) {
	p := func(secret, label string, parts ...string) string {
		list := make([][]byte, len(parts))
		for i := range parts {
			list[i] = []byte(parts[i])
		}
		return string(Proof([]byte(secret), 32, label, list...))
	}
	seen := map[string]bool{}
	all := []string{
		p("s", "l", "ab", "c"), p("s", "l", "a", "bc"), p("s", "l", "abc"), p("s", "l", "abc", ""),
		p("s", "la", "b", "c"), p("t", "l", "ab", "c"), p("s", "l", "c", "ab"),
	}
	for _, one := range all {
		seen[one] = true
	}
	if len(seen) != len(all) {
		t.Errorf("%d different proofs of %d", len(seen), len(all))
	}
	if n := len(Proof(nil, 1, "")); n != 16 {
		t.Errorf("a proof of %d bytes", n)
	}
	if !Proves([]byte(all[0]), []byte(all[0])) || Proves([]byte(all[0])[:16], []byte(all[0])) || Proves(nil, []byte(all[0])) {
		t.Error("Proves takes other than equal proofs")
	}
}

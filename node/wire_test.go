package node

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

func seq(first byte) (b [16]byte) {
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goldenRequest is a Write; see the field table in the package comment.
const goldenRequest = `
	04 01 000000000000
	101112131415161718191a1b1c1d1e1f
	00000000000000000000000000000000 00 00000000000000
	0080000000000000
	8877665544332211 ddccbbaa 00800000
	efcdab8967452301
	01000000 00000000
	0807060504030201`

func TestRequestGolden(t *testing.T) {
	want := request{
		op: opWrite, target: seq(0x10), off: 0x8000, value: 0x0123456789abcdef,
		remote: rdma.Remote{Addr: 0x1122334455667788, RKey: 0xaabbccdd, Len: 0x8000},
	}
	var buf [rdma.MaxMessage]byte
	n, err := want.encode(buf[:], []uint64{0x0102030405060708}, nil)
	golden := unhex(t, goldenRequest)
	if err != nil || !bytes.Equal(buf[:n], golden) {
		t.Errorf("encoded %x, %v; want %x", buf[:n], err, golden)
	}
	var got request
	if err := got.decode(golden); err != nil {
		t.Fatal(err)
	}
	want.crcs, want.body = golden[requestSize:], []byte{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %+v, want %+v", got, want)
	}
}

// tracedRequest is goldenRequest with a trace context.
func tracedRequest(t testing.TB) []byte {
	p := append(unhex(t, goldenRequest), unhex(t, "202122232425262728292a2b2c2d2e2f 3031323334353637")...)
	p[2] = flagTrace
	return p
}

func TestTracedRequestGolden(t *testing.T) {
	golden := tracedRequest(t)
	var q request
	if err := q.decode(golden); err != nil {
		t.Fatal(err)
	}
	if want := (tracing.Context)(golden[len(golden)-tracing.ContextSize:]); q.trace != want || len(q.crcs) != 8 || len(q.body) != 0 {
		t.Errorf("decoded %+v", q)
	}
	var buf [rdma.MaxMessage]byte
	n, err := q.encode(buf[:], []uint64{0x0102030405060708}, nil)
	if err != nil || !bytes.Equal(buf[:n], golden) {
		t.Errorf("encoded %x, %v; want %x", buf[:n], err, golden)
	}
	// Where there is no room the request goes without.
	if n, err := q.encode(buf[:requestSize+8], []uint64{1}, nil); err != nil || n != requestSize+8 || buf[2] != 0 {
		t.Errorf("without room: %d bytes, flags %d, %v", n, buf[2], err)
	}
}

// TestRequestStrict spoils a good request in one place at a time.
func TestRequestStrict(t *testing.T) {
	golden := unhex(t, goldenRequest)
	for name, spoil := range map[string]func(p []byte) []byte{
		"version":         func(p []byte) []byte { p[1] = 2; return p },
		"op 0":            func(p []byte) []byte { p[0] = 0; return p },
		"op unknown":      func(p []byte) []byte { p[0] = byte(opEnd); return p },
		"padding":         func(p []byte) []byte { p[7] = 1; return p },
		"more padding":    func(p []byte) []byte { p[47] = 1; return p },
		"negative offset": func(p []byte) []byte { p[55] = 0x80; return p },
		"unused field":    func(p []byte) []byte { p[40] = 1; return p },
		"too many crcs":   func(p []byte) []byte { p[80] = 2; return p },
		"huge crcs":       func(p []byte) []byte { p[83] = 0xff; return p },
		"huge body":       func(p []byte) []byte { p[87] = 0xff; return p },
		"cut":             func(p []byte) []byte { return p[:len(p)-1] },
		"long":            func(p []byte) []byte { return append(p, 0) },
		"header cut":      func(p []byte) []byte { return p[:requestSize-1] },
		"empty":           func([]byte) []byte { return nil },
		"unknown flag":    func(p []byte) []byte { p[2] = 2; return p },
		"no trace":        func(p []byte) []byte { p[2] = flagTrace; return p },
		"empty trace":     func(p []byte) []byte { p[2] = flagTrace; return append(p, make([]byte, tracing.ContextSize)...) },
	} {
		var q request
		if err := q.decode(spoil(bytes.Clone(golden))); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEncodeLimits(t *testing.T) {
	var buf [rdma.MaxMessage]byte
	q := request{op: opAppend}
	if _, err := q.encode(buf[:], make([]uint64, 2), make([]byte, extent.MaxMeta)); err != nil {
		t.Errorf("the largest append does not fit: %v", err)
	}
	if _, err := q.encode(buf[:], nil, make([]byte, extent.MaxMeta+1)); !errors.Is(err, ErrProtocol) {
		t.Errorf("meta too long: %v", err)
	}
	q = request{op: opWrite}
	if _, err := q.encode(buf[:], make([]uint64, maxUnits+1), nil); !errors.Is(err, ErrProtocol) {
		t.Errorf("too many checksums: %v", err)
	}
	if replySize+infoSize+extent.MaxMeta > rdma.MaxMessage {
		t.Error("the largest meta does not fit into a reply")
	}
}

func TestReplyGolden(t *testing.T) {
	var buf [64]byte
	putReply(buf[:], statusOK, 3, true)
	if want := unhex(t, "00 01 0100 03000000"); !bytes.Equal(buf[:replySize], want) {
		t.Errorf("reply header %x, want %x", buf[:replySize], want)
	}
	n := putError(buf[:], extent.ErrNotFound)
	want := append(unhex(t, "01 01 0000 00000000"), "chunk not found"...)
	if !bytes.Equal(buf[:n], want) {
		t.Errorf("error reply %x, want %x", buf[:n], want)
	}
}

func sampleStatus() TargetStatus {
	return TargetStatus{
		ID: seq(0x20), Dir: "/mnt/a", State: Failing, WasMount: true, Error: "bad",
		Since: time.Unix(1, 2).UTC(), Checked: time.Unix(3, 4).UTC(),
		IOErrors: 1, ConsecutiveIOErrors: 2, CorruptFound: 3, Writers: 4,
		Reads: 5, ReadBytes: 6, Writes: 7, WrittenBytes: 8,
		Usage: extent.Usage{
			Total: 9, Free: 10, Chunks: 11, LiveBytes: 12, DeadBytes: 13, Extents: 14,
			SyncedCommits: 15, CommitChunks: 16,
		},
	}
}

func TestRecordGolden(t *testing.T) {
	want := sampleStatus()
	golden := unhex(t, `
		202122232425262728292a2b2c2d2e2f 04 01 0600 0300 0000
		02ca9a3b00000000 045ed0b200000000
		0100000000000000 0200000000000000 0300000000000000 0400000000000000
		0500000000000000 0600000000000000 0700000000000000 0800000000000000
		0900000000000000 0a00000000000000 0b00000000000000 0c00000000000000
		0d00000000000000 0e00000000000000 0f00000000000000 1000000000000000`)
	golden = append(golden, "/mnt/abad"...)
	var buf [1024]byte
	if n := want.put(buf[:]); !bytes.Equal(buf[:n], golden) {
		t.Errorf("encoded\n%x, want\n%x", buf[:n], golden)
	}
	if want.put(buf[:len(golden)-1]) != 0 {
		t.Error("a record was written where it does not fit")
	}
	var got TargetStatus
	if n, err := got.get(golden); n != len(golden) || err != nil || got != want {
		t.Errorf("decoded %d, %v: %+v", n, err, got)
	}
}

func TestInfoGolden(t *testing.T) {
	want := extent.Info{ID: extent.ID{Set: seq(1), Index: 9}, Length: 0x1234, Created: time.Unix(0, 0x55).UTC()}
	golden := unhex(t, `0102030405060708090a0b0c0d0e0f10 09 00000000000000 3412000000000000 5500000000000000`)
	var buf [infoSize]byte
	putInfo(buf[:], &want)
	if !bytes.Equal(buf[:], golden) {
		t.Errorf("encoded %x, want %x", buf, golden)
	}
	if got, err := getInfo(golden); err != nil || got != want {
		t.Errorf("decoded %+v, %v", got, err)
	}
}

// TestStatusCodes: every error reaches the client as itself, however wrapped.
func TestStatusCodes(t *testing.T) {
	for _, want := range []error{
		extent.ErrNotFound, extent.ErrCorrupt, extent.ErrExists, extent.ErrFull, extent.ErrFenced,
		extent.ErrOffline, extent.ErrInvalid, ErrIO, ErrUnknownTarget, ErrBusy, ErrProtocol,
		context.Canceled, context.DeadlineExceeded, rdma.ErrRemote,
	} {
		var buf [rdma.MaxMessage]byte
		n := putError(buf[:], fmt.Errorf("at the node: %w", want))
		var r reply
		if err := r.decode(buf[:n]); err != nil {
			t.Fatal(err)
		}
		got := remoteError(opRead, r.status, r.body)
		if !errors.Is(got, want) {
			t.Errorf("%v arrives as %v", want, got)
		}
	}
	long := strings.Repeat("ä", 300) + "\n"
	var buf [rdma.MaxMessage]byte
	n := putError(buf[:], errors.New("x"+long))
	if n > replySize+maxMessage {
		t.Errorf("message of %d bytes", n-replySize)
	}
	if got := remoteError(opRead, 200, []byte("a\nb\xff")); !errors.Is(got, ErrProtocol) || got.Error() != "read: a b?" {
		t.Errorf("unknown status: %q", got)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(unhex(f, goldenRequest))
	f.Add(tracedRequest(f))
	f.Fuzz(func(t *testing.T, p []byte) {
		var q request
		if q.decode(p) != nil {
			return
		}
		crcs := make([]uint64, 0, maxUnits)
		o := op{q: q}
		o.q.remote.Len = uint32(len(q.crcs) / 8 * (32 << 10))
		if err := o.takeCRCs(); err != nil {
			t.Fatal(err)
		}
		crcs = append(crcs, o.crcs[:o.ncrc]...)
		var buf [rdma.MaxMessage]byte
		n, err := q.encode(buf[:], crcs, q.body)
		if err != nil || !bytes.Equal(buf[:n], p) {
			t.Fatalf("%x encodes as %x, %v", p, buf[:n], err)
		}
	})
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("\x00\x01\x01\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x01\x01\x00\x00\x00\x00\x00\x00chunk not found"))
	f.Fuzz(func(t *testing.T, p []byte) {
		var r reply
		if r.decode(p) != nil {
			return
		}
		if len(r.body) != len(p)-replySize || (r.status == statusOK && r.count > len(r.body)) {
			t.Fatalf("%+v of %d bytes", r, len(p))
		}
		if r.status != statusOK && remoteError(opRead, r.status, r.body).Error() == "" {
			t.Fatal("no message")
		}
	})
}

func FuzzRecord(f *testing.F) {
	var buf [1024]byte
	s := sampleStatus()
	f.Add(buf[:s.put(buf[:])])
	f.Fuzz(func(t *testing.T, p []byte) {
		var s TargetStatus
		n, err := s.get(p)
		if err != nil {
			return
		}
		var again [2048]byte
		if !bytes.Equal(again[:s.put(again[:])], p[:n]) {
			t.Fatalf("%x is not what it encodes as", p[:n])
		}
	})
}

func FuzzInfo(f *testing.F) {
	f.Add(make([]byte, infoSize))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) < infoSize {
			return
		}
		i, err := getInfo(p)
		if err != nil {
			return
		}
		var again [infoSize]byte
		putInfo(again[:], &i)
		if !bytes.Equal(again[:], p[:infoSize]) {
			t.Fatalf("%x encodes as %x", p[:infoSize], again)
		}
	})
}

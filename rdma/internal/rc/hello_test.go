package rc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/weftstore/weft/rdma/internal/wire"
)

func TestHelloGolden(t *testing.T) {
	golden := append([]byte{
		'W', 'F', 'V', '1', // magic and version
		2,    // kind: prove
		0,    // reason
		0, 4, // slots: 1024
		8, 7, 6, 5, 4, 3, 2, 1, // session
		1, 1, 1, 1, 1, 1, 1, 1, // nonce
	}, append(bytes.Repeat([]byte{2}, 16), // cookie
		bytes.Repeat([]byte{3}, 16)...)...) // proof
	h := &hello{
		kind: helloProve, slots: 1024, session: 0x0102030405060708, nonce: [8]byte(bytes.Repeat([]byte{1}, 8)),
		cookie: [16]byte(bytes.Repeat([]byte{2}, 16)), proof: [16]byte(bytes.Repeat([]byte{3}, 16)),
	}
	if got := h.encode(); !bytes.Equal(got, golden) || len(got) != helloSize {
		t.Errorf("encoded\n% x, want\n% x", got, golden)
	}
	var back hello
	if err := back.decode(append(golden, 0, 0, 0)); err != nil || back != *h {
		t.Errorf("decoded %+v, %v", back, err)
	}
}

func TestHelloRefused(t *testing.T) {
	good := (&hello{kind: helloAsk, slots: 1, session: 1}).encode()
	for name, tc := range map[string]struct {
		change func(p []byte) []byte
		want   error
	}{
		"empty":        {func([]byte) []byte { return nil }, errNotWeft},
		"short":        {func(p []byte) []byte { return p[:helloSize-1] }, errNotWeft},
		"magic":        {func(p []byte) []byte { p[1] = 0; return p }, errNotWeft},
		"version":      {func(p []byte) []byte { p[3] = '2'; return p }, errVersion},
		"kind 0":       {func(p []byte) []byte { p[4] = 0; return p }, nil},
		"unknown kind": {func(p []byte) []byte { p[4] = helloAccept + 1; return p }, nil},
		"no slots":     {func(p []byte) []byte { p[6] = 0; return p }, nil},
		"no session":   {func(p []byte) []byte { p[8] = 0; return p }, nil},
	} {
		err := new(hello).decode(tc.change(bytes.Clone(good)))
		if err == nil || (tc.want != nil && !errors.Is(err, tc.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzHello(f *testing.F) {
	f.Add((&hello{kind: helloAsk, slots: 1, session: 1}).encode())
	f.Add((&hello{kind: helloRefuse, reason: reasonOld}).encode())
	f.Add(append((&hello{kind: helloCookie}).encode(), 0))
	f.Fuzz(func(t *testing.T, p []byte) {
		var h hello
		if h.decode(p) == nil && !bytes.Equal(h.encode(), p[:helloSize]) {
			t.Errorf("% x became % x", p[:helloSize], h.encode())
		}
	})
}

var (
	right = bytes.Repeat([]byte("r"), 32)
	wrong = bytes.Repeat([]byte("w"), 32)
)

// baker is cookies whose clock the test moves.
func baker() (c *cookies, clock *time.Time) {
	now := time.Unix(1_800_000_000, 999)
	c = newCookies()
	c.now = func() time.Time { return now }
	return c, &now
}

// proving is what a caller sends who was given a cookie for nonce n.
func proving(c *cookies, n uint64, secret []byte) *hello {
	h := &hello{kind: helloProve, slots: 1, session: 7}
	binary.LittleEndian.PutUint64(h.nonce[:], n)
	h.cookie = c.give(h)
	h.prove(secret)
	return h
}

func TestCookies(t *testing.T) {
	for name, tc := range map[string]struct {
		wait   time.Duration
		change func(h *hello)
		want   byte
	}{
		"good":             {0, func(*hello) {}, 0},
		"at its last":      {cookieLife - time.Second, func(*hello) {}, 0},
		"too old":          {cookieLife + time.Second, func(*hello) {}, reasonOld},
		"of the future":    {-3 * time.Second, func(*hello) {}, reasonOld},
		"made younger":     {cookieLife + time.Second, func(h *hello) { h.cookie[0] += 5; h.prove(right) }, reasonOld},
		"other session":    {0, func(h *hello) { h.session++; h.prove(right) }, reasonOld},
		"other nonce":      {0, func(h *hello) { h.nonce[0]++; h.prove(right) }, reasonOld},
		"made up":          {0, func(h *hello) { h.cookie[15]++; h.prove(right) }, reasonOld},
		"wrong secret":     {0, func(h *hello) { h.prove(wrong) }, reasonProof},
		"more slots":       {0, func(h *hello) { h.slots++ }, reasonProof},
		"no proof":         {0, func(h *hello) { h.proof = [proofSize]byte{} }, reasonProof},
		"answerer's proof": {0, func(h *hello) { h.proveTo(h, right) }, reasonProof},
	} {
		c, clock := baker()
		h := proving(c, 1, right)
		tc.change(h)
		*clock = clock.Add(tc.wait)
		if got := c.take(h, right); got != tc.want {
			t.Errorf("%s: reason %d, want %d", name, got, tc.want)
		}
		if tc.want != 0 && len(c.used) != 0 {
			t.Errorf("%s: remembered", name)
		}
	}
	c, _ := baker()
	other, _ := baker()
	if got := c.take(proving(other, 1, right), right); got != reasonOld {
		t.Errorf("cookie of another answerer: reason %d", got)
	}
}

// TestCookieReplay: a cookie is taken once, at any time of its life.
func TestCookieReplay(t *testing.T) {
	c, clock := baker()
	h := proving(c, 1, right)
	if got := c.take(h, right); got != 0 {
		t.Fatalf("reason %d", got)
	}
	for range 3 * int(cookieLife/time.Second) {
		if got := c.take(h, right); got != reasonOld {
			t.Errorf("replay: reason %d", got)
		}
		if got := c.take(proving(c, 2, right), right); got != 0 { // makes it forget what is old
			t.Errorf("another caller: reason %d", got)
		}
		*clock = clock.Add(time.Second)
	}
}

// TestCookiesAreForgotten: what is remembered is bounded by the proofs of a short time.
func TestCookiesAreForgotten(t *testing.T) {
	c, clock := baker()
	const perSecond = 10
	for i := range uint64(1000) {
		if got := c.take(proving(c, i, right), right); got != 0 {
			t.Fatalf("reason %d", got)
		}
		_ = c.take(proving(c, i, wrong), right)
		if most := perSecond * (2*int(cookieLife/time.Second) + 1); len(c.used) > most {
			t.Fatalf("%d cookies are remembered, want at most %d", len(c.used), most)
		}
		*clock = clock.Add(time.Second / perSecond)
	}
}

func TestProofOfAnswerer(t *testing.T) {
	caller := &hello{kind: helloProve, slots: 1, session: 7, nonce: [8]byte{1}}
	caller.prove(right)
	accept := func(change func(h *hello), secret []byte) *hello {
		h := &hello{kind: helloAccept, slots: 1, session: 9, nonce: caller.nonce}
		h.proveTo(caller, secret)
		change(h)
		return h
	}
	if !accept(func(*hello) {}, right).provedTo(caller, right) {
		t.Error("the right proof is not taken")
	}
	other := *caller
	other.proof[0]++
	for name, bad := range map[string]bool{
		"secret":       accept(func(*hello) {}, wrong).provedTo(caller, right),
		"slots":        accept(func(h *hello) { h.slots++ }, right).provedTo(caller, right),
		"nonce":        accept(func(h *hello) { h.nonce[0]++; h.proveTo(caller, right) }, right).provedTo(caller, right),
		"other caller": accept(func(*hello) {}, right).provedTo(&other, right),
		"mirrored":     caller.provedTo(caller, right),
	} {
		if bad {
			t.Errorf("%s: taken", name)
		}
	}
}

// asked is keys with a question about key 5 under way.
func asked() *keys {
	k := &keys{}
	k.init()
	k.turn <- struct{}{}
	k.asking, k.answer = 5, make(chan *window, 1)
	return k
}

func TestTold(t *testing.T) {
	golden := []byte{
		0, 0x10, 0, 0, 0, 0x7f, 0, 0, // base
		0, 0, 0x40, 0, 0, 0, 0, 0, // length
		0xef, 0xbe, 0xad, 0xde, // rkey
	}
	k := asked()
	answer := k.answer
	if err := k.told(&wire.Header{Kind: kindResolved, ID: 5}, golden); err != nil {
		t.Fatal(err)
	}
	want := window{base: 0x7f0000001000, len: 4 << 20, rkey: 0xdeadbeef}
	if w, ok := k.find(5); !ok || w != want || *<-answer != want || len(k.turn) != 0 {
		t.Errorf("found %+v, %v", w, ok)
	}
	if err := k.told(&wire.Header{Kind: kindResolved, ID: 5}, golden); err == nil {
		t.Error("a second answer was taken")
	}
	for name, h := range map[string]*wire.Header{"another key": {ID: 6}, "a wide key": {ID: 1<<32 | 5}} {
		if err := asked().told(h, golden); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := asked().told(&wire.Header{ID: 5}, golden[1:]); err == nil {
		t.Error("a short answer was taken")
	}
	k = asked()
	answer = k.answer
	if err := k.told(&wire.Header{ID: 5, Status: statusUnknown}, nil); err != nil || <-answer != nil {
		t.Errorf("an unknown key: %v", err)
	}
	if _, ok := k.find(5); ok {
		t.Error("an unknown key is remembered")
	}
	k = asked()
	for i := range uint32(maxKeys) {
		k.known[100+i] = window{}
	}
	if err := k.told(&wire.Header{ID: 5}, golden); err != nil || len(k.known) > maxKeys {
		t.Errorf("%d keys are remembered, %v", len(k.known), err)
	}
}

func FuzzTold(f *testing.F) {
	f.Add(uint64(5), byte(0), make([]byte, resolvedSize))
	f.Add(uint64(5), byte(1), []byte{})
	f.Fuzz(func(t *testing.T, id uint64, status byte, body []byte) {
		k := asked()
		answer := k.answer
		err := k.told(&wire.Header{Kind: kindResolved, ID: id, Status: status}, body)
		w, ok := k.find(5)
		if ok != (err == nil && status == 0) {
			t.Errorf("known %v, %v", ok, err)
		}
		if err != nil {
			return
		}
		if told := <-answer; (told != nil) != ok || (ok && *told != w) {
			t.Errorf("told %v, found %v", told, w)
		}
	})
}

// FuzzOwn: what the other end may not send is refused without an effect.
func FuzzOwn(f *testing.F) {
	f.Add(byte(kindResolve), []byte{1}, false)
	f.Add(byte(kindResolved), []byte{}, false)
	f.Add(byte(kindResolve), []byte{}, true)
	f.Fuzz(func(t *testing.T, kind byte, body []byte, answer bool) {
		k := wire.Kind(kind)
		if k == kindResolve && !answer && len(body) == 0 {
			return // is answered: needs a device
		}
		l := &lane{answer: answer}
		l.keys.init()
		if err := l.own(&wire.Header{Kind: k, ID: 5}, body); err == nil {
			t.Errorf("kind %d with %d bytes: taken", kind, len(body))
		}
	})
}

package rc

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/verbs"
	"github.com/weftstore/weft/rdma/internal/wire"
)

const (
	magic      = "WFV1"
	helloSize  = verbs.MaxPrivate
	proofStart = 40
	proofSize  = 16
	cookieSize = 16
	cookieLife = 10 * time.Second

	labelCaller   = "weft verbs 1 caller"
	labelAnswerer = "weft verbs 1 answerer"
)

// Kinds of hellos.
const (
	helloAsk    = 1
	helloProve  = 2
	helloCookie = 3
	helloRefuse = 4
	helloAccept = 5
)

// Reasons of a refusal.
const (
	reasonVersion = 1
	reasonProof   = 2
	reasonBusy    = 3
	reasonOld     = 4
)

func errRefused(reason byte) error {
	text := map[byte]string{
		reasonVersion: "it speaks another version of the protocol: run the same release of weft on all hosts",
		reasonProof:   "it has another secret: copy the cluster's secret file to both hosts",
		reasonBusy:    "too many others are connecting to it just now",
		reasonOld:     "the handshake took too long",
	}[reason]
	if text == "" {
		text = fmt.Sprintf("refused with reason %d", reason)
	}
	return fmt.Errorf("%w: %s", rdma.ErrPeer, text)
}

// hello is the private data of a connection request and of its answers.
type hello struct {
	kind    byte
	reason  byte
	slots   int
	session uint64
	nonce   [8]byte
	cookie  [cookieSize]byte
	proof   [proofSize]byte
}

func (h *hello) encode() []byte {
	p := make([]byte, helloSize)
	copy(p, magic)
	p[4], p[5] = h.kind, h.reason
	binary.LittleEndian.PutUint16(p[6:], uint16(h.slots))
	binary.LittleEndian.PutUint64(p[8:], h.session)
	copy(p[16:], h.nonce[:])
	copy(p[24:], h.cookie[:])
	copy(p[proofStart:], h.proof[:])
	return p
}

var (
	errNotWeft = errors.New("it does not speak Weft's fabric protocol: is the address right?")
	errVersion = errors.New("another version of the protocol")
)

// decode reads what may be padded with zeros.
func (h *hello) decode(p []byte) error {
	if len(p) < helloSize || string(p[:3]) != magic[:3] {
		return errNotWeft
	}
	if p[3] != magic[3] {
		return errVersion
	}
	*h = hello{
		kind: p[4], reason: p[5], slots: int(binary.LittleEndian.Uint16(p[6:])), session: binary.LittleEndian.Uint64(p[8:]),
		nonce: [8]byte(p[16:]), cookie: [cookieSize]byte(p[24:]), proof: [proofSize]byte(p[proofStart:]),
	}
	switch {
	case h.kind < helloAsk || h.kind > helloAccept:
		return fmt.Errorf("hello of kind %d", h.kind)
	case h.kind != helloCookie && h.kind != helloRefuse && (h.slots < 1 || h.session == 0):
		return fmt.Errorf("hello of kind %d with %d slots", h.kind, h.slots)
	}
	return nil
}

// prove puts in the proof of the caller.
func (h *hello) prove(secret []byte) {
	h.proof = [proofSize]byte(wire.Proof(secret, proofSize, labelCaller, h.encode()[:proofStart]))
}

func (h *hello) proved(secret []byte) bool {
	return wire.Proves(h.proof[:], wire.Proof(secret, proofSize, labelCaller, h.encode()[:proofStart]))
}

// proveTo puts in the proof of the answerer, to what the caller sent.
func (h *hello) proveTo(caller *hello, secret []byte) {
	h.proof = [proofSize]byte(wire.Proof(secret, proofSize, labelAnswerer, h.encode()[:proofStart], caller.encode()))
}

func (h *hello) provedTo(caller *hello, secret []byte) bool {
	want := wire.Proof(secret, proofSize, labelAnswerer, h.encode()[:proofStart], caller.encode())
	return h.nonce == caller.nonce && wire.Proves(h.proof[:], want)
}

// cookies makes and takes cookies.
type cookies struct {
	key [32]byte
	now func() time.Time

	mu   sync.Mutex
	used map[[cookieSize]byte]time.Time // only those whose proof held
}

func newCookies() *cookies {
	c := &cookies{now: time.Now, used: map[[cookieSize]byte]time.Time{}}
	_, _ = rand.Read(c.key[:]) // never fails since Go 1.24
	return c
}

// bake makes the cookie of a hello for a time.
func (c *cookies) bake(h *hello, seconds uint32) (out [cookieSize]byte) {
	var b [20]byte
	binary.LittleEndian.PutUint32(b[:], seconds)
	binary.LittleEndian.PutUint64(b[4:], h.session)
	copy(b[12:], h.nonce[:])
	binary.LittleEndian.PutUint32(out[:], seconds)
	copy(out[4:], wire.Proof(c.key[:], proofSize, "cookie", b[:]))
	return out
}

func (c *cookies) give(h *hello) [cookieSize]byte { return c.bake(h, uint32(c.now().Unix())) }

// take says why a proving hello is refused, 0 when it is not. A cookie is taken once.
func (c *cookies) take(h *hello, secret []byte) (reason byte) {
	now := c.now()
	seconds := binary.LittleEndian.Uint32(h.cookie[:])
	baked := c.bake(h, seconds)
	age := now.Sub(time.Unix(int64(seconds), 0))
	if !wire.Proves(h.cookie[:], baked[:]) || age < -time.Second || age > cookieLife {
		return reasonOld
	}
	if !h.proved(secret) {
		return reasonProof
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, t := range c.used {
		if now.Sub(t) > 2*cookieLife {
			delete(c.used, k)
		}
	}
	if _, again := c.used[h.cookie]; again {
		return reasonOld
	}
	c.used[h.cookie] = now
	return 0
}

package tcp

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/wire"
)

const (
	magic     = "WFT1"
	helloSize = 48
	proofSize = 32
	flagTLS   = 1

	labelCaller   = "weft tcp 1 caller"
	labelAnswerer = "weft tcp 1 answerer"
	labelExport   = "EXPORTER-weft-fabric"
)

// Statuses of hellos and verdicts.
const (
	helloOK      = 0
	helloVersion = 1
	helloWantTLS = 2
	helloNoTLS   = 3
	helloProof   = 4
)

// errRefused turns a status into what a person can do about it.
func errRefused(status byte) error {
	text := map[byte]string{
		helloVersion: "it speaks another version of the protocol: run the same release of weft on all hosts",
		helloWantTLS: "it wants TLS: set tls = true in the cluster file of this host",
		helloNoTLS:   "it has no TLS: set tls = true in the cluster file of that host",
		helloProof:   "it has another secret: copy the cluster's secret file to both hosts",
	}[status]
	if text == "" {
		text = fmt.Sprintf("refused with status %d", status)
	}
	return fmt.Errorf("%w: %s", rdma.ErrPeer, text)
}

// hello is the first message of either end.
type hello struct {
	status  byte
	tls     bool
	slots   int
	session uint64
	nonce   [32]byte
}

func (h *hello) encode() []byte {
	p := make([]byte, helloSize)
	copy(p, magic)
	p[4] = h.status
	if h.tls {
		p[5] = flagTLS
	}
	binary.LittleEndian.PutUint16(p[6:], uint16(h.slots))
	binary.LittleEndian.PutUint64(p[8:], h.session)
	copy(p[16:], h.nonce[:])
	return p
}

var errNotWeft = errors.New("it does not speak Weft's fabric protocol: is the address right?")

// decode reports another version as errVersion.
func (h *hello) decode(p []byte) error {
	if len(p) != helloSize || string(p[:3]) != magic[:3] {
		return errNotWeft
	}
	if p[3] != magic[3] {
		return errVersion
	}
	*h = hello{status: p[4], tls: p[5]&flagTLS != 0, slots: int(binary.LittleEndian.Uint16(p[6:])),
		session: binary.LittleEndian.Uint64(p[8:]), nonce: [32]byte(p[16:])}
	if h.status == helloOK && (p[5]&^flagTLS != 0 || h.slots < 1 || h.session == 0) {
		return fmt.Errorf("hello with flags %#x and %d slots", p[5], h.slots)
	}
	return nil
}

var errVersion = errors.New("another version of the protocol")

func (n *Network) hello() *hello {
	h := &hello{tls: n.cfg.TLS, slots: n.cfg.Slots, session: n.cfg.Session}
	_, _ = rand.Read(h.nonce[:]) // never fails since Go 1.24
	return h
}

// agreed is what a handshake comes to.
type agreed struct {
	conn    net.Conn // the TLS connection where there is one
	socket  net.Conn // beneath it, or the same
	session uint64
	slots   int
}

func readHello(c net.Conn, h *hello) ([]byte, error) {
	p := make([]byte, helloSize)
	if _, err := io.ReadFull(c, p); err != nil {
		return nil, err
	}
	return p, h.decode(p)
}

// call is the caller's half of the handshake.
func (n *Network) call(c net.Conn) (*agreed, error) {
	mine, theirs := n.hello(), &hello{}
	sent := mine.encode()
	if _, err := c.Write(sent); err != nil {
		return nil, err
	}
	got, err := readHello(c, theirs)
	switch {
	case errors.Is(err, errVersion):
		return nil, errRefused(helloVersion)
	case err != nil:
		return nil, err
	case theirs.status != helloOK:
		return nil, errRefused(theirs.status)
	case theirs.tls != mine.tls:
		return nil, errors.New("the answer to the hello contradicts it")
	}
	if err := n.prove(c, sent, got, nil); err != nil {
		return nil, err
	}
	inner := c
	if mine.tls {
		t := tls.Client(c, clientTLS())
		binding, err := export(t)
		if err != nil {
			return nil, err
		}
		if err := n.prove(t, sent, got, binding); err != nil {
			return nil, err
		}
		inner = t
	}
	return &agreed{conn: inner, socket: c, session: theirs.session, slots: min(mine.slots, theirs.slots)}, nil
}

// answer is the answerer's half. What it refuses it tells the caller.
func (n *Network) answer(c net.Conn) (*agreed, error) {
	mine, theirs := n.hello(), &hello{}
	got, err := readHello(c, theirs)
	switch {
	case errors.Is(err, errVersion):
		mine.status = helloVersion
	case err != nil:
		return nil, err
	case theirs.status != helloOK:
		return nil, fmt.Errorf("hello of a caller with status %d", theirs.status)
	case theirs.tls && !mine.tls:
		mine.status = helloNoTLS
	case mine.tls && !theirs.tls:
		mine.status = helloWantTLS
	}
	sent := mine.encode()
	if _, err := c.Write(sent); err != nil {
		return nil, err
	}
	if mine.status != helloOK {
		return nil, fmt.Errorf("refused with status %d", mine.status)
	}
	if err := n.check(c, got, sent, nil); err != nil {
		return nil, err
	}
	inner := c
	if mine.tls {
		t := tls.Server(c, n.serverTLS)
		binding, err := export(t)
		if err != nil {
			return nil, err
		}
		if err := n.check(t, got, sent, binding); err != nil {
			return nil, err
		}
		inner = t
	}
	return &agreed{conn: inner, socket: c, session: theirs.session, slots: min(mine.slots, theirs.slots)}, nil
}

// prove is the caller's half of the proofs, over the caller's hello, the answerer's and
// what binds them to a session of TLS, if there is one.
func (n *Network) prove(c net.Conn, parts ...[]byte) error {
	if _, err := c.Write(wire.Proof(n.cfg.Secret, proofSize, labelCaller, parts...)); err != nil {
		return err
	}
	var verdict [1 + proofSize]byte
	if _, err := io.ReadFull(c, verdict[:1]); err != nil {
		return err
	}
	if verdict[0] != helloOK {
		return errRefused(verdict[0])
	}
	if _, err := io.ReadFull(c, verdict[1:]); err != nil {
		return err
	}
	if !wire.Proves(verdict[1:], wire.Proof(n.cfg.Secret, proofSize, labelAnswerer, parts...)) {
		n.cfg.Counters.AuthFailures.Add(1)
		return errRefused(helloProof)
	}
	return nil
}

// check is the answerer's half of the proofs.
func (n *Network) check(c net.Conn, parts ...[]byte) error {
	var proof [proofSize]byte
	if _, err := io.ReadFull(c, proof[:]); err != nil {
		return err
	}
	if !wire.Proves(proof[:], wire.Proof(n.cfg.Secret, proofSize, labelCaller, parts...)) {
		n.cfg.Counters.AuthFailures.Add(1)
		_, err := c.Write([]byte{helloProof})
		return errors.Join(errors.New("the caller has another secret"), err)
	}
	_, err := c.Write(append([]byte{helloOK}, wire.Proof(n.cfg.Secret, proofSize, labelAnswerer, parts...)...))
	return err
}

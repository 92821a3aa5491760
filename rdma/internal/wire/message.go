package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/weftstore/weft/rdma"
)

// Kind of a message.
type Kind uint8

// Kinds that all wires have. Those of one wire begin at Own.
const (
	Call   Kind = 1
	Reply  Kind = 2
	Refuse Kind = 3
	Cancel Kind = 4
	Ping   Kind = 5
	Pong   Kind = 6
	Own    Kind = 16
)

// HeaderSize is the encoded size of a Header.
const HeaderSize = 24

// Header stands before the body of each message.
type Header struct {
	Kind   Kind
	Status uint8
	Length uint32 // of the body
	ID     uint64
	Value  uint64
}

// Encode writes h to p[:HeaderSize].
func (h *Header) Encode(p []byte) {
	_ = p[HeaderSize-1]
	p[0], p[1], p[2], p[3] = byte(h.Kind), h.Status, 0, 0
	binary.LittleEndian.PutUint32(p[4:], h.Length)
	binary.LittleEndian.PutUint64(p[8:], h.ID)
	binary.LittleEndian.PutUint64(p[16:], h.Value)
}

// Decode reads p[:HeaderSize]. It checks what holds for all kinds: no unknown bits,
// a body only where there may be one and not longer than rdma.MaxMessage. Kinds
// from Own on are the wire's to check.
func (h *Header) Decode(p []byte) error {
	if len(p) < HeaderSize {
		return fmt.Errorf("header of %d bytes", len(p))
	}
	*h = Header{
		Kind: Kind(p[0]), Status: p[1], Length: binary.LittleEndian.Uint32(p[4:]),
		ID: binary.LittleEndian.Uint64(p[8:]), Value: binary.LittleEndian.Uint64(p[16:]),
	}
	switch {
	case p[2] != 0 || p[3] != 0:
		return fmt.Errorf("header with unknown bits")
	case h.Kind >= Own:
		return nil
	case h.Kind < Call || h.Kind > Pong:
		return fmt.Errorf("message of kind %d", h.Kind)
	case h.Length > rdma.MaxMessage || (h.Length > 0 && h.Kind != Call && h.Kind != Reply):
		return fmt.Errorf("message of kind %d with %d bytes", h.Kind, h.Length)
	}
	return nil
}

// Message is what a lane carries.
type Message struct {
	Kind  Kind
	ID    uint64
	Value uint64
	Body  []byte
	// Hold is set for a received Call: the body is the receiver's until Release.
	// Bodies of other messages are lent for Receive.
	Hold Hold
}

// Hold keeps the memory of a received body. Release it exactly once.
type Hold interface{ Release() }

package tcp

import (
	"encoding/binary"
	"fmt"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// Kinds of frames besides those of package wire.
const (
	kindPull   = wire.Own
	kindPulled = wire.Own + 1
	kindPush   = wire.Own + 2
	kindPushed = wire.Own + 3
)

// Statuses of transfers.
const (
	statusOK     = 0
	statusRemote = 1
)

// headSize is the encoded size of a head.
const headSize = wire.HeaderSize + 8

// head stands before the bytes of a frame.
type head struct {
	wire.Header
	key uint32
}

func (h *head) encode(p []byte) {
	h.Encode(p)
	binary.LittleEndian.PutUint32(p[wire.HeaderSize:], h.key)
	binary.LittleEndian.PutUint32(p[wire.HeaderSize+4:], 0)
}

// decode checks all that does not depend on what is under way.
func (h *head) decode(p []byte) error {
	if len(p) < headSize {
		return fmt.Errorf("frame of %d bytes", len(p))
	}
	if err := h.Decode(p); err != nil {
		return err
	}
	h.key = binary.LittleEndian.Uint32(p[wire.HeaderSize:])
	named := h.Kind == kindPull || h.Kind == kindPush
	switch {
	case binary.LittleEndian.Uint32(p[wire.HeaderSize+4:]) != 0 || (h.key != 0 && !named):
		return fmt.Errorf("frame with unknown bits")
	case h.Kind < wire.Own:
		return nil
	case h.Kind > kindPushed:
		return fmt.Errorf("frame of kind %d", h.Kind)
	case h.Length > rdma.MaxBulk:
		return fmt.Errorf("transfer of %d bytes", h.Length)
	case h.Length > 0 && (h.Kind == kindPushed || (h.Kind == kindPulled && h.Status != statusOK)):
		return fmt.Errorf("frame of kind %d with %d bytes", h.Kind, h.Length)
	}
	return nil
}

// remote is the memory that a Pull or Push names.
func (h *head) remote() rdma.Remote {
	return rdma.Remote{Addr: h.Value, RKey: h.key, Len: h.Length}
}

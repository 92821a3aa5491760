package extent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/weftstore/weft/internal/checksum"
)

// loc is where a chunk is: an index entry.
type loc struct {
	extent  uint64
	own     bool
	rec     int64 // offset of the record header
	data    int64 // offset of the data
	length  int64
	seq     uint64
	created int64
	head    uint32 // bytes of the record header
}

func (l *loc) footprint() int64 { return int64(l.head) + align(l.length, recordAlign) }

// table is where the checksum table is.
func (l *loc) table() int64 { return l.rec + recordFixed }

// entry is a change of the index since the last checkpoint.
type entry struct {
	loc
	gone bool
}

// index is the state as of the last checkpoint. get and ascend may run beside apply.
type index interface {
	get(id ID) (loc, bool, error)
	// ascend calls fn in id order for ids after the given one.
	ascend(after *ID, fn func(ID, loc) bool) error
	// load is the state that apply left; ok is false when there is none.
	load() (s indexState, ok bool, err error)
	// apply makes a checkpoint durable, whole or not at all.
	apply(c *indexChange) error
	close() error
}

// indexState is what a checkpoint knows besides the chunks.
type indexState struct {
	indexHead
	extents map[uint64]extentState
	own     map[uint64]ID // own-file extents
}

// indexHead is the singular part.
type indexHead struct {
	identity   Identity
	seq        uint64
	nextExtent uint64
	chunks     uint64
	live       int64
}

// extentState is a shared extent as of a checkpoint.
type extentState struct {
	salt    [16]byte
	covered int64
	live    int64
	doomed  bool // everything was moved out; the file is to be removed
	tombs   map[uint64]int64
}

// indexChange is one checkpoint.
type indexChange struct {
	head    indexHead
	entries map[ID]entry
	extents map[uint64]extentState
	dropped []uint64
}

var errIndex = errors.New("index damaged")

const (
	keySize      = 17
	locSize      = 61
	headSize     = 73
	extentFixed  = 45
	indexVersion = 1
)

func encodeKey(id ID) (k [keySize]byte) {
	copy(k[:], id.Set[:])
	k[16] = id.Index
	return k
}

func decodeKey(k []byte) (id ID, ok bool) {
	if len(k) != keySize {
		return id, false
	}
	copy(id.Set[:], k)
	id.Index = k[16]
	return id, true
}

func compareID(a, b ID) int {
	if c := bytes.Compare(a.Set[:], b.Set[:]); c != 0 {
		return c
	}
	return int(a.Index) - int(b.Index)
}

// sum is the checksum of a key with its value.
func sum(key, value []byte) uint64 { return checksum.UpdateCRC64(checksum.CRC64(key), value) }

func encodeLoc(key []byte, l loc) []byte {
	b := make([]byte, locSize)
	le := binary.LittleEndian
	if l.own {
		b[0] = 1
	}
	le.PutUint64(b[1:], l.extent)
	le.PutUint64(b[9:], uint64(l.rec))
	le.PutUint64(b[17:], uint64(l.data))
	le.PutUint64(b[25:], uint64(l.length))
	le.PutUint64(b[33:], l.seq)
	le.PutUint64(b[41:], uint64(l.created))
	le.PutUint32(b[49:], l.head)
	le.PutUint64(b[53:], sum(key, b[:53]))
	return b
}

func decodeLoc(key, b []byte) (l loc, err error) {
	le := binary.LittleEndian
	if len(b) != locSize || le.Uint64(b[53:]) != sum(key, b[:53]) || b[0] > 1 {
		return l, fmt.Errorf("entry %x: %w", key, errIndex)
	}
	l = loc{
		own: b[0] == 1, extent: le.Uint64(b[1:]), rec: int64(le.Uint64(b[9:])), data: int64(le.Uint64(b[17:])),
		length: int64(le.Uint64(b[25:])), seq: le.Uint64(b[33:]), created: int64(le.Uint64(b[41:])), head: le.Uint32(b[49:]),
	}
	if l.length < 0 || l.length > MaxChunk || l.rec < headerBlock || l.data < headerBlock || l.head > maxRecord {
		return loc{}, fmt.Errorf("entry %x: %w", key, errIndex)
	}
	return l, nil
}

func encodeHead(h *indexHead) []byte {
	b := make([]byte, headSize)
	le := binary.LittleEndian
	b[0] = indexVersion
	copy(b[1:], h.identity.Deployment[:])
	copy(b[17:], h.identity.Target[:])
	le.PutUint64(b[33:], h.seq)
	le.PutUint64(b[41:], h.nextExtent)
	le.PutUint64(b[49:], h.chunks)
	le.PutUint64(b[57:], uint64(h.live))
	le.PutUint64(b[65:], checksum.CRC64(b[:65]))
	return b
}

func decodeHead(b []byte) (h indexHead, err error) {
	le := binary.LittleEndian
	if len(b) != headSize || b[0] != indexVersion || le.Uint64(b[65:]) != checksum.CRC64(b[:65]) {
		return h, fmt.Errorf("head: %w", errIndex)
	}
	copy(h.identity.Deployment[:], b[1:])
	copy(h.identity.Target[:], b[17:])
	h.seq, h.nextExtent = le.Uint64(b[33:]), le.Uint64(b[41:])
	h.chunks, h.live = le.Uint64(b[49:]), int64(le.Uint64(b[57:]))
	return h, nil
}

func encodeExtent(key []byte, s *extentState) []byte {
	b := make([]byte, extentFixed-8, extentFixed+16*len(s.tombs))
	le := binary.LittleEndian
	if s.doomed {
		b[0] = 1
	}
	copy(b[1:], s.salt[:])
	le.PutUint64(b[17:], uint64(s.covered))
	le.PutUint64(b[25:], uint64(s.live))
	le.PutUint32(b[33:], uint32(len(s.tombs)))
	for victim, n := range s.tombs {
		b = le.AppendUint64(b, victim)
		b = le.AppendUint64(b, uint64(n))
	}
	return le.AppendUint64(b, sum(key, b))
}

func decodeExtent(key, b []byte) (s extentState, err error) {
	le := binary.LittleEndian
	bad := fmt.Errorf("extent %x: %w", key, errIndex)
	if len(b) < extentFixed || le.Uint64(b[len(b)-8:]) != sum(key, b[:len(b)-8]) || b[0] > 1 {
		return s, bad
	}
	s.doomed = b[0] == 1
	copy(s.salt[:], b[1:])
	s.covered, s.live = int64(le.Uint64(b[17:])), int64(le.Uint64(b[25:]))
	n := int(le.Uint32(b[33:]))
	if s.covered < headerBlock || len(b)-extentFixed != 16*n {
		return s, bad
	}
	s.tombs = make(map[uint64]int64, n)
	for i := range n {
		at := b[37+16*i:]
		s.tombs[le.Uint64(at)] = int64(le.Uint64(at[8:]))
	}
	return s, nil
}

// memIndex is an index that is not kept.
type memIndex struct {
	mu sync.RWMutex
	m  map[ID]loc
}

func (x *memIndex) get(id ID) (loc, bool, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	l, ok := x.m[id]
	return l, ok, nil
}

func (x *memIndex) ascend(after *ID, fn func(ID, loc) bool) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	ids := make([]ID, 0, len(x.m))
	for id := range x.m {
		if after == nil || compareID(id, *after) > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, compareID)
	for _, id := range ids {
		if !fn(id, x.m[id]) {
			break
		}
	}
	return nil
}

func (x *memIndex) load() (indexState, bool, error) { return indexState{}, false, nil }

func (x *memIndex) apply(c *indexChange) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, e := range c.entries {
		if e.gone {
			delete(x.m, id)
		} else {
			x.m[id] = e.loc
		}
	}
	return nil
}

func (x *memIndex) close() error { return nil }

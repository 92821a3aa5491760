package region

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/gate"
)

// Table finds memory by its key. The zero value is empty. Looking takes no lock.
type Table struct {
	mu   sync.Mutex
	rows atomic.Pointer[map[uint32]*Entry]
}

// Entry is memory that peers may name.
type Entry struct {
	table     *Table
	key       uint32
	bytes     []byte
	addr      uint64
	transfers gate.Gate // shut when it is removed
}

// Add enters memory under a key, which must be free.
func (t *Table) Add(key uint32, bytes []byte) *Entry {
	e := &Entry{table: t, key: key, bytes: bytes, addr: Addr(bytes)}
	t.change(func(rows map[uint32]*Entry) { rows[key] = e })
	return e
}

// AddNew enters memory under a free random key.
func (t *Table) AddNew(bytes []byte) *Entry {
	e := &Entry{table: t, bytes: bytes, addr: Addr(bytes)}
	t.change(func(rows map[uint32]*Entry) {
		for e.key == 0 || rows[e.key] != nil {
			e.key = RandomKey()
		}
		rows[e.key] = e
	})
	return e
}

func (t *Table) change(f func(rows map[uint32]*Entry)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows := map[uint32]*Entry{}
	if old := t.rows.Load(); old != nil {
		rows = maps.Clone(*old)
	}
	f(rows)
	t.rows.Store(&rows)
}

// Window is the memory that w names. The caller must Leave the entry when it has
// done with it. rdma.ErrRemote when there is none such.
func (t *Table) Window(w rdma.Remote) (*Entry, []byte, error) {
	rows := t.rows.Load()
	if rows == nil {
		return nil, nil, rdma.ErrRemote
	}
	e := (*rows)[w.RKey]
	if e == nil || w.Addr < e.addr {
		return nil, nil, rdma.ErrRemote
	}
	off, size := w.Addr-e.addr, uint64(len(e.bytes))
	if off > size || uint64(w.Len) > size-off || !e.transfers.Enter() {
		return nil, nil, rdma.ErrRemote
	}
	end := off + uint64(w.Len)
	return e, e.bytes[off:end:end], nil
}

// Key that the memory is entered under: a secret.
func (e *Entry) Key() uint32 { return e.key }

// Leave ends the use of a Window.
func (e *Entry) Leave() { e.transfers.Leave() }

// Remove revokes the key and waits until every Window of it was left. Idempotent.
func (e *Entry) Remove() {
	if !e.transfers.IsShut() {
		e.table.change(func(rows map[uint32]*Entry) {
			if rows[e.key] == e {
				delete(rows, e.key)
			}
		})
	}
	e.transfers.Shut()
}

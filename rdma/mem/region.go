package mem

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/gate"
)

// region is anonymous memory with a key. transfers is shut when it is closed.
type region struct {
	t         *Transport
	bytes     []byte
	addr      uint64
	key       uint32
	transfers gate.Gate
	closed    atomic.Bool
}

// Register implements rdma.Transport.
func (t *Transport) Register(n int) (rdma.Region, error) {
	page := os.Getpagesize()
	if n <= 0 || n > math.MaxInt-page {
		return nil, fmt.Errorf("register memory: length %d out of range", n)
	}
	n = (n + page - 1) / page * page
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("register %d bytes: %w", n, err)
	}
	r := &region{t: t, bytes: b, addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))}
	if err := t.addRegion(r); err != nil {
		return nil, fmt.Errorf("register %d bytes: %w", n, errJoin(err, syscall.Munmap(b)))
	}
	return r, nil
}

// addRegion gives r a free random key. Readers of the table take no lock, so it
// is copied.
func (t *Transport) addRegion(r *region) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return rdma.ErrClosed
	}
	old := t.regionTable()
	for r.key == 0 || old[r.key] != nil {
		r.key = randomKey()
	}
	t.storeRegions(old, r, 0)
	t.stats.registered.Add(int64(len(r.bytes)))
	return nil
}

func (t *Transport) storeRegions(old map[uint32]*region, add *region, drop uint32) {
	table := make(map[uint32]*region, len(old)+1)
	for k, r := range old {
		if k != drop {
			table[k] = r
		}
	}
	if add != nil {
		table[add.key] = add
	}
	t.regions.Store(&table)
}

func (t *Transport) regionTable() map[uint32]*region {
	if p := t.regions.Load(); p != nil {
		return *p
	}
	return nil
}

// window is the memory that w names, with the region entered: the caller leaves
// it. ErrRemote when there is none such.
func (t *Transport) window(w rdma.Remote) (*region, []byte, error) {
	r := t.regionTable()[w.RKey]
	if r == nil || w.Addr < r.addr {
		return nil, nil, rdma.ErrRemote
	}
	off := w.Addr - r.addr
	size := uint64(len(r.bytes))
	if off > size || uint64(w.Len) > size-off || !r.transfers.Enter() {
		return nil, nil, rdma.ErrRemote
	}
	end := off + uint64(w.Len)
	return r, r.bytes[off:end:end], nil
}

func (r *region) Bytes() []byte {
	if r.closed.Load() {
		return nil
	}
	return r.bytes
}

func (r *region) Remote(off, n int) rdma.Remote {
	_ = r.bytes[off : off+n]
	if n > math.MaxUint32 {
		panic(fmt.Sprintf("rdma/mem: remote of %d bytes", n))
	}
	return rdma.Remote{Addr: r.addr + uint64(off), RKey: r.key, Len: uint32(n)}
}

func (r *region) Close() error {
	if r.closed.Swap(true) {
		r.transfers.Shut() // wait as the first Close does
		return nil
	}
	r.t.mu.Lock()
	r.t.storeRegions(r.t.regionTable(), nil, r.key)
	r.t.mu.Unlock()
	r.transfers.Shut()
	r.t.stats.registered.Add(-int64(len(r.bytes)))
	// The slice header stays: len is what late range checks read.
	if err := syscall.Munmap(r.bytes); err != nil {
		return fmt.Errorf("unregister memory: %w", err)
	}
	return nil
}

func randomKey() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return binary.LittleEndian.Uint32(b[:])
}
